mod real_servers;

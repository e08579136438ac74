//! What the program promises, one file for each theme.

mod server_add;
mod real_servers;

//! What the program promises, one file for each theme.

mod config_mistakes;
mod real_servers;
mod server_add;

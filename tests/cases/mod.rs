//! What the program promises, one file for each theme.

mod config_mistakes;
mod server_add;
mod real_servers;

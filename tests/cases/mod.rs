//! What the program promises, one file for each theme.

mod real;
mod server_add;

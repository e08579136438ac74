//! What the program promises, one file for each theme.

mod config_mistakes;
mod fetch;
mod fleet;
mod hostile_input;
mod install;
mod provisioning;
mod questions;
mod queue_add;
mod real;
mod server_add;
mod usage;

//! What the program promises, one file for each theme.

mod config_mistakes;
mod dry_run;
mod expiry;
mod fetch;
mod fleet;
mod history;
mod hostile_input;
mod hosts;
mod install;
mod logs;
mod monitors;
mod provisioning;
mod questions;
mod queue_add;
mod queue_list;
mod real;
mod schema;
mod screen;
mod secrets;
mod server_add;
mod setup_script;
mod shared_state;
mod tickets;
mod usage;

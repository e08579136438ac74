//! One file for each thing a user can ask; the only place where the parts meet.

mod apply;
mod check;
mod completions;
mod config;
mod confirm;
mod context;
mod explain;
mod fetch;
mod history;
mod login;
mod outbox;
mod person;
mod quarantine;
mod queue;
mod queue_add;
mod queue_add_list;
mod queue_set;
mod send;
mod server;
mod server_add;
mod server_rotate;
mod server_set;
mod setup_script;
mod state;
mod state_migrate;
mod status;
mod token;

use crate::cli::{Cli, Command};
use crate::fault::Errors;

pub use context::Context;

/// Runs one command.
pub fn dispatch(cli: Cli) -> Result<(), Errors> {
    let context = Context::new(&cli.global)?;
    match cli.command {
        Command::Server(command) => Ok(server::run(&context, &command)?),
        Command::Queue(command) => queue::run(&context, &command),
        Command::Token(command) => token::run(&context, *command.0),
        Command::Config(command) => config::run(&context, &command),
        Command::Fetch(args) => fetch::run(&context, &args),
        Command::Send(args) => send::run(&context, &args),
        Command::Check(args) => check::run(&context, &args),
        Command::SetupScript(args) => Ok(setup_script::run(&context, &args)?),
        Command::Status(args) => status::run(&context, &args),
        Command::History(args) => Ok(history::run(&context, &args)?),
        Command::Quarantine(command) => Ok(quarantine::run(&context, &command)?),
        Command::Outbox(command) => outbox::run(&context, &command),
        Command::State(command) => Ok(state::run(&context, &command)?),
        Command::Explain(args) => Ok(explain::run(&context, &args)?),
        Command::Completions(args) => Ok(completions::run(&context, &args)?),
    }
}

//! One file for each thing a user can ask; the only place where the parts meet.

mod config;
mod context;
mod provision;
mod queue;
mod queue_add;
mod secret_flags;
mod server;
mod server_add;
mod server_set;
mod table;
mod words;

use crate::cli::{Cli, Command};
use anyhow::Result;

pub use context::Context;

/// Runs one command.
pub fn dispatch(cli: Cli) -> Result<()> {
    let context = Context::new(&cli.global)?;
    match cli.command {
        Command::Server(command) => server::run(&context, &command),
        Command::Queue(command) => queue::run(&context, &command),
        Command::Config(command) => config::run(&context, &command),
        Command::Token(_) => Err(crate::fault::Fault::usage("not there yet").into()),
        Command::Fetch(_) => Err(crate::fault::Fault::usage("not there yet").into()),
        Command::Send(_) => Err(crate::fault::Fault::usage("not there yet").into()),
        Command::Completions { shell } => {
            let mut command = crate::command();
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut command, "queuemail", &mut script);
            context
                .output
                .line(String::from_utf8_lossy(&script).trim_end())
        }
    }
}

/// A word for a shell to read, for commands in hints.
pub fn shell_quote(word: &str) -> String {
    crate::config::quoted(std::path::Path::new(word))
}

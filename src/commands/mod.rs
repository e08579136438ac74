//! One file for each thing a user can ask; the only place where the parts meet.

mod access;
mod context;
mod send;
mod token;

use crate::cli::{Cli, Command};
use crate::fault::Errors;

pub use access::Access;
pub use context::Context;

/// Runs one command.
pub fn dispatch(cli: Cli) -> Result<(), Errors> {
    let context = Context::new(&cli.global)?;
    match cli.command {
        Command::Server(_) | Command::Queue(_) | Command::Config(_) => {
            Err(crate::fault::Fault::usage("not there yet").into())
        }
        Command::Token(command) => Ok(token::run(&context, command)?),
        Command::Fetch(_) => Err(crate::fault::Fault::usage("not there yet").into()),
        Command::Send(args) => send::run(&context, &args),
        Command::Completions { shell } => {
            let mut command = crate::command();
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut command, "queuemail", &mut script);
            context
                .output
                .line(String::from_utf8_lossy(&script).trim_end())?;
            Ok(())
        }
    }
}

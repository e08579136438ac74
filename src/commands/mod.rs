//! One file for each thing a user can ask; the only place where the parts meet.

mod access;
mod claims;
mod context;
mod explain;
mod login;
mod token;

use crate::cli::{Cli, Command};
use anyhow::Result;

pub use access::Access;
pub use context::Context;

/// Runs one command.
pub fn dispatch(cli: Cli) -> Result<()> {
    let context = Context::new(&cli.global)?;
    match cli.command {
        Command::Server(_) | Command::Queue(_) | Command::Config(_) => {
            Err(crate::fault::Fault::usage("not there yet").into())
        }
        Command::Token(command) => token::run(&context, command),
        Command::Fetch(_) => Err(crate::fault::Fault::usage("not there yet").into()),
        Command::Send(_) => Err(crate::fault::Fault::usage("not there yet").into()),
        Command::Explain(args) => explain::run(&context, &args),
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

//! Completions: a script for each shell, and the answers that it asks for.

use super::Context;
use crate::cli::bash::{self, Replaced};
use crate::cli::complete::{Candidate, candidates};
use crate::cli::{CompletionsArgs, Shell};
use anyhow::Result;

pub fn run(context: &Context, args: &CompletionsArgs) -> Result<()> {
    if args.typed.is_empty() {
        let script = match args.shell {
            Shell::Bash => include_str!("../../completions/queuemail.bash"),
            Shell::Zsh => include_str!("../../completions/_queuemail"),
            Shell::Fish => include_str!("../../completions/queuemail.fish"),
        };
        return context.output.line(script.trim_end());
    }
    let (words, replaced) = match args.shell {
        Shell::Bash => bash::words(&args.typed),
        Shell::Zsh | Shell::Fish => (args.typed.clone(), Replaced::default()),
    };
    for candidate in candidates(&context.config_path, &words) {
        let Candidate { value, help } = candidate;
        let line = match args.shell {
            Shell::Bash => replaced.by(&value),
            Shell::Zsh => format!("{}:{help}", value.replace('\\', r"\\").replace(':', r"\:")),
            Shell::Fish => format!("{value}\t{help}"),
        };
        context.output.line(&line)?;
    }
    Ok(())
}

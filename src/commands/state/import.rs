//! `state import`: what another program has fetched is not fetched again.

use crate::cli::ImportArgs;
use crate::commands::Context;
use crate::config;
use crate::fault::Fault;
use crate::fetch::{self, ImportOrder};
use crate::office::Office;
use crate::peers::{self, Fetched, Memory, Program};
use crate::tell;
use anyhow::Result;

pub fn run(context: &Context, args: &ImportArgs) -> Result<()> {
    let program = args.program;
    let config = config::load(&context.config_path)?;
    let office = Office::link(&config)?;
    let users = fetch::users(&office, &args.address)?;
    let memory = memory(args, program, &users)?;
    let store = context.store(&config)?;
    let order = ImportOrder {
        program,
        address: &args.address,
        folder: args.folder.as_deref(),
        dry_run: args.dry_run,
    };
    let done = fetch::import(&context.means, &office, &store, &order, memory)?;
    tell::import::tell(&context.output, &order, &done)
}

fn memory(args: &ImportArgs, program: Program, users: &[&str]) -> Result<Memory> {
    let name = program.name();
    match (&args.path, args.read) {
        (Some(path), _) => peers::read(program, path, users),
        (None, true) if program.marks_as_read() => Ok(Memory::of(Fetched::Read, 0)),
        (None, true) => Err(Fault::usage(format!(
            "`--read` does not go with `{name}`, which keeps a record of its own: give its PATH"
        ))
        .into()),
        (None, false) if program.marks_as_read() => Err(Fault::usage(format!(
            "{name} marks the messages that it has fetched as read, and keeps no other record (fetchmail by POP3: `.fetchids`)"
        ))
        .hint("to skip all messages that are marked as read now, whoever has read them: add --read")
        .into()),
        (None, false) => Err(Fault::usage(format!("`state import {name}` needs a PATH")).into()),
    }
}

//! `check`: every step to a working mailbox, with its result, its time and, at the first that
//! fails, one sentence: what is wrong, who must act, the exact command or page.
//!
//! Nothing is changed on any server and nothing is sent; a token that is got on the way is kept
//! as any other.

use super::Context;
use crate::check::report::{self, Heard};
use crate::check::{self, Checked, Walk};
use crate::cli::CheckArgs;
use crate::config;
use crate::fault::{Errors, Fault, Kind, Told};
use crate::files;
use crate::office::Office;
use crate::output::Output;
use crate::tell;
use anyhow::Result;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub fn run(context: &Context, args: &CheckArgs) -> Result<(), Errors> {
    let config = match config::load(&context.config_path) {
        Ok(config) => config,
        Err(err) => return unreadable(context, args, err),
    };
    let office = Office::link(&config)?;
    let subjects = check::subjects(&office, &args.names, &args.boundary)?;
    let is_shared = context.place(config.state.as_ref())?.is_some();
    let store = match context.store(&config) {
        Err(err) if is_shared => {
            let mut walk = Walk::default();
            walk.failed("database", err, Duration::ZERO);
            return conclude(context, args, &[check::of_state(walk)]);
        }
        store => store?,
    };
    let heard = args.report.as_ref().map(|_| {
        let observer = Arc::clone(&context.means.observer);
        Arc::new(Heard::new(observer))
    });
    let checked = check::walk_all(&context.means, &office, &store, &subjects, heard)?;
    conclude(context, args, &checked)
}

/// A configuration that cannot be read is the first cross.
fn unreadable(context: &Context, args: &CheckArgs, err: anyhow::Error) -> Result<(), Errors> {
    let mut walk = Walk::default();
    let shown = files::shown(&context.config_path);
    walk.failed("configuration", err, Duration::ZERO);
    let checked = Checked {
        kind: "configuration",
        title: shown.clone(),
        queue: None,
        name: shown,
        walk,
        heard: Vec::new(),
    };
    conclude(context, args, &[checked])
}

fn conclude(context: &Context, args: &CheckArgs, checked: &[Checked]) -> Result<(), Errors> {
    let worst = checked.iter().filter_map(|c| c.walk.worst()).max();
    tell::check::all(&context.output, checked, worst)?;
    let told = worst.map(|kind| anyhow::Error::new(Told(kind)));
    let unwritten = args
        .report
        .as_ref()
        .and_then(|path| write(&context.output, path, checked).err());
    Errors::none_or(told.into_iter().chain(unwritten).collect())
}

/// Writes the report, whole or not at all, for its owner alone.
fn write(output: &Output, path: &Path, checked: &[Checked]) -> Result<()> {
    let replace = |text: &[u8]| files::replace(path, text, 0o600);
    let written = output.put(path, report::text(checked).as_bytes(), replace);
    written.map_err(|err| {
        let path = path.display();
        let why = err.root_cause();
        Fault::new(
            Kind::CannotWrite,
            format!("cannot write the report to `{path}`: {why}"),
        )
        .hint("choose a file in a folder that you can write to")
        .by_library()
        .into()
    })
}

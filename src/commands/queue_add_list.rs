//! `queue add --from-file`: the addresses of a list, in one change of the configuration.

use super::Context;
use super::apply::{Told, apply};
use super::person::Terminal;
use crate::cli::QueueAdd;
use crate::config;
use crate::fault::{Errors, Fault};
use crate::files;
use crate::model::Tree;
use crate::output::is_standard;
use crate::provision::{self, Line, Mailbox, Outcome};
use crate::wording::counted;
use anyhow::Result;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// So many of the warnings about a list are shown.
const WARNINGS: usize = 5;

pub fn run(context: &Context, args: &QueueAdd, said: &Mailbox, list: &Path) -> Result<(), Errors> {
    let bytes = read(list)?;
    let lines = provision::lines(&bytes, said, &Terminal(context))?;
    let (mut errors, mut lacking) = (Vec::new(), Vec::new());
    apply(context, args.dry_run, |config| {
        let before = config.clone();
        let lines = lines.add(config, &context.config_path, args.keep_going);
        let outcome = match *config == before {
            true => Outcome::Unchanged,
            false => Outcome::Changed,
        };
        let has_error = lines.iter().any(|line| line.outcome.is_err());
        // None of them holds where nothing was added.
        let holds = args.keep_going || !has_error;
        let trees = lines.iter().map(|line| tree(line, holds)).collect();
        let told = Told {
            outcome,
            about: vec![("lines", Tree::List(trees))],
            lines: Some(match holds {
                true => lines.iter().filter_map(words).collect(),
                false => Vec::new(),
            }),
        };
        if holds {
            lacking = lines.iter().flat_map(|line| line.lacking.clone()).collect();
        }
        errors = faults(lines, args.keep_going);
        Ok(told)
    })?;
    for text in lacking.iter().take(WARNINGS) {
        context.output.warn(text);
    }
    if lacking.len() > WARNINGS {
        let more = lacking.len() - WARNINGS;
        context.output.warn(&counted(
            more,
            "more warning of this kind",
            "more warnings of this kind",
        ));
    }
    Errors::none_or(errors)
}

/// The bytes of the list, of which one more than is allowed may be read.
fn read(list: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let is_stdin = is_standard(list);
    let cannot = |err: std::io::Error| {
        let name = match is_stdin {
            true => "standard input".to_owned(),
            false => files::shown(list),
        };
        Fault::usage(format!("cannot read {name}: {err}")).by_system(&err)
    };
    let most = config::MAX_SIZE + 1;
    match is_stdin {
        true => std::io::stdin().lock().take(most).read_to_end(&mut bytes),
        false => File::open(list).and_then(|file| file.take(most).read_to_end(&mut bytes)),
    }
    .map_err(cannot)?;
    Ok(bytes)
}

/// What a person reads of a line that has no error.
fn words(line: &Line) -> Option<String> {
    let outcome = line.outcome.as_ref().ok()?;
    let (queue, address) = line.names.as_ref()?;
    let (number, word) = (line.number, outcome.word());
    Some(format!("line {number}: {word} {address} in {queue}"))
}

fn tree(line: &Line, holds: bool) -> Tree {
    let text = |text: &str| Tree::Text(text.to_owned());
    let number = u32::try_from(line.number).unwrap_or(u32::MAX);
    let mut object = vec![("line", Tree::Number(number))];
    match &line.outcome {
        Ok(outcome) => object.push((
            "result",
            text(match holds {
                true => outcome.word(),
                false => "not added",
            }),
        )),
        Err(err) => {
            object.push(("result", text("error")));
            object.push(("error", text(&err.to_string())));
        }
    }
    if let Some((queue, address)) = &line.names {
        object.push(("queue", text(queue)));
        object.push(("address", text(address)));
    }
    Tree::Map(object)
}

/// The errors of the lines, each with its line, and last what they mean for the others.
fn faults(lines: Vec<Line>, keeps_going: bool) -> Vec<anyhow::Error> {
    let count = lines.len();
    let failed = lines.into_iter().filter_map(|line| {
        let err = line.outcome.err()?;
        Some(match err.downcast::<Fault>() {
            Ok(mut fault) => {
                fault.what = format!("line {}: {}", line.number, fault.what);
                fault.into()
            }
            Err(err) => err.context(format!("line {}", line.number)),
        })
    });
    let mut errors: Vec<anyhow::Error> = failed.collect();
    if !errors.is_empty() && !keeps_going {
        let what = match (errors.len(), count) {
            (_, 1) => "nothing was added: the only line has an error".to_owned(),
            (1, _) => format!("nothing was added: 1 of {count} lines has an error"),
            (n, _) => format!("nothing was added: {n} of {count} lines have an error"),
        };
        let fault = Fault::usage(what);
        errors.push(match errors.len() < count {
            true => fault
                .hint("correct them, or add the other lines: --keep-going")
                .into(),
            false => fault.into(),
        });
    }
    errors
}

//! How a change of the configuration is made, or shown first, and told.

use super::Context;
use crate::cli::Refused;
use crate::config::{self, Change, Config, Tree, Written};
use crate::fault::Fault;
use crate::output::escape_lines;
use crate::provision::Outcome;
use anyhow::Result;

/// Changes the file and tells the outcome; with `dry_run` only shows what would change.
pub fn apply(
    context: &Context,
    dry_run: bool,
    names: &[(&'static str, &str)],
    change: impl FnOnce(&mut Config) -> Result<Outcome>,
) -> Result<()> {
    let names = names.iter().map(|(key, name)| (*key, (*name).to_owned()));
    let names = names.collect();
    apply_to(context, dry_run, |config| Ok((change(config)?, names)))
}

/// The same, where the change finds out itself which names it is about.
pub fn apply_to(
    context: &Context,
    dry_run: bool,
    change: impl FnOnce(&mut Config) -> Result<(Outcome, Vec<(&'static str, String)>)>,
) -> Result<()> {
    if !dry_run {
        let ((outcome, names), written) = config::update(&context.config_path, change)?;
        return tell(context, outcome, &names, written);
    }
    let ((outcome, names), diff) = config::preview(&context.config_path, change)?;
    if context.output.json {
        let mut object = described(context, outcome, &names);
        object.push(("dry_run", Tree::Flag(true)));
        object.push(("diff", Tree::Text(diff)));
        return context.output.json(&Tree::Map(object));
    }
    match outcome {
        Outcome::Unchanged => context.output.line(outcome.word()),
        _ => context.output.line(escape_lines(&diff).trim_end()),
    }
}

/// The outcome, the names that it is about and the file.
fn described(
    context: &Context,
    outcome: Outcome,
    names: &[(&'static str, String)],
) -> Vec<(&'static str, Tree)> {
    let text = |text: &str| Tree::Text(text.to_owned());
    let mut object = vec![("result", text(outcome.word()))];
    object.extend(names.iter().map(|(key, value)| (*key, text(value))));
    let file = context.config_path.display().to_string();
    object.push(("file", Tree::Text(file)));
    object
}

/// Prints the outcome: one word, or one JSON object with `names`.
fn tell(
    context: &Context,
    outcome: Outcome,
    names: &[(&'static str, String)],
    written: Written,
) -> Result<()> {
    let file = config::shown(&context.config_path);
    if written.new_file {
        context.output.step(&format!("made {file}"));
    }
    if written.made_private {
        context.output.warn(&format!(
            "{file} holds a secret now, so it was made private (0600)"
        ));
    }
    if !context.output.json {
        return context.output.line(outcome.word());
    }
    context
        .output
        .json(&Tree::Map(described(context, outcome, names)))
}

/// The value of an option of `add`, which has nothing to take away.
pub fn given<T: Clone>(change: &Option<Change<T>>, flag: &str) -> Result<Option<T>> {
    match change {
        None => Ok(None),
        Some(Change::Set(value)) => Ok(Some(value.clone())),
        Some(Change::Unset) => Err(Fault::usage(format!("`{flag}`{}", Refused::Empty)).into()),
    }
}

//! How a change of the configuration is made, or shown first, and told.

use super::Context;
use crate::config::{self, Written};
use crate::files;
use crate::model::{Config, Tree};
use crate::output::escape_lines;
use crate::provision::Outcome;
use anyhow::Result;

/// What is told of a change.
pub struct Told {
    pub outcome: Outcome,
    /// More keys of the JSON object.
    pub about: Vec<(&'static str, Tree)>,
    /// What people read instead of the outcome's word.
    pub lines: Option<Vec<String>>,
}

impl Told {
    /// The outcome of a change to what has these names.
    pub fn of(outcome: Outcome, names: &[(&'static str, &str)]) -> Told {
        let names = names.iter();
        Told {
            outcome,
            about: names
                .map(|(key, name)| (*key, Tree::Text((*name).to_owned())))
                .collect(),
            lines: None,
        }
    }
}

/// Changes the file and tells what the change says of itself; with `dry_run` only shows what would
/// change.
pub fn apply(
    context: &Context,
    dry_run: bool,
    change: impl FnOnce(&mut Config) -> Result<Told>,
) -> Result<()> {
    if !dry_run {
        let (told, written) = config::update(&context.config_path, change)?;
        return tell(context, told, written);
    }
    let (told, diff) = config::preview(&context.config_path, change)?;
    if context.output.json {
        let mut object = described(context, told);
        object.push(("dry_run", Tree::Flag(true)));
        object.push(("diff", Tree::Text(diff)));
        return context.output.json(&Tree::Map(object));
    }
    match told.outcome {
        Outcome::Unchanged => context.output.line(told.outcome.word()),
        _ => context.output.line(escape_lines(&diff).trim_end()),
    }
}

/// The outcome, what it is about and the file.
fn described(context: &Context, told: Told) -> Vec<(&'static str, Tree)> {
    let mut object = vec![("result", Tree::Text(told.outcome.word().to_owned()))];
    object.extend(told.about);
    let file = context.config_path.display().to_string();
    object.push(("file", Tree::Text(file)));
    object
}

/// Prints the outcome: one word, or one JSON object.
fn tell(context: &Context, told: Told, written: Written) -> Result<()> {
    let file = files::shown(&context.config_path);
    if written.new_file {
        context.output.step(&format!("created {file}"));
    }
    if written.made_private {
        context.output.warn(&format!(
            "{file} now contains a secret, so it was made private (0600)"
        ));
    }
    if context.output.json {
        return context.output.json(&Tree::Map(described(context, told)));
    }
    match told.lines {
        None => context.output.line(told.outcome.word()),
        Some(lines) if lines.is_empty() => Ok(()),
        Some(lines) => context.output.line(&lines.join("\n")),
    }
}

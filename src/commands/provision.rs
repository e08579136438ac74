//! What `server` and `queue` commands share: values from options or questions, and how a
//! change is told.

use super::Context;
use crate::config::{self, Config, Tree, Written};
use crate::fault::Fault;
use crate::output::escape_lines;
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Reads an option's value; a mistake names the option.
pub fn value<T: FromStr<Err = String>>(flag: &str, text: &str) -> Result<T> {
    if text.trim().is_empty() {
        return Err(Fault::usage(format!("`{flag}` must not be empty")).into());
    }
    text.trim()
        .parse()
        .map_err(|e| Fault::usage(format!("`{flag}`: {e}")).into())
}

pub fn optional<T: FromStr<Err = String>>(flag: &str, text: &Option<String>) -> Result<Option<T>> {
    text.as_deref().map(|t| value(flag, t)).transpose()
}

/// An option of `set`: absent leaves `slot` as it is, empty unsets it.
pub fn change<T: FromStr<Err = String>>(
    slot: &mut Option<T>,
    flag: &str,
    text: &Option<String>,
) -> Result<()> {
    match text.as_deref() {
        None => {}
        Some("") => *slot = None,
        Some(text) => *slot = Some(value(flag, text)?),
    }
    Ok(())
}

pub fn change_path(slot: &mut Option<PathBuf>, path: &Option<PathBuf>) -> Result<()> {
    match path {
        None => {}
        Some(p) if p.as_os_str().is_empty() => *slot = None,
        Some(p) => *slot = Some(typed_path(p)?),
    }
    Ok(())
}

/// A path typed in a shell: relative to where the shell is, while one in the file is relative
/// to the file.
pub fn typed_path(path: &Path) -> Result<PathBuf> {
    if path.starts_with("~") {
        return Ok(path.to_owned());
    }
    if path.as_os_str().is_empty() {
        return Err(Fault::usage("the name of a file is empty").into());
    }
    if path.to_str().is_none() {
        return Err(Fault::usage(format!(
            "`{}` is not UTF-8, which the configuration file must be",
            path.display()
        ))
        .into());
    }
    Ok(std::path::absolute(path)?)
}

/// A delivery typed in a shell; its path becomes absolute.
pub fn typed_target(flag: &str, text: &str) -> Result<config::Target> {
    let target: config::Target = value(flag, text)?;
    if target.as_str().contains(":~") {
        return Ok(target);
    }
    config::absolute_target(&target, &std::env::current_dir()?)
}

/// A value that a command cannot do without. Where it may be asked for, `guide` has done so.
pub struct Required<'a> {
    pub context: &'a Context,
    /// A command that would work, for the hint.
    pub example: String,
}

impl Required<'_> {
    /// `flag` is the option's name, or `NAME` for a positional value.
    pub fn value<T: FromStr<Err = String>>(&self, given: &Option<String>, flag: &str) -> Result<T> {
        match given {
            Some(text) => value(flag, text),
            None => Err(self.missing(flag).into()),
        }
    }

    /// Fails unless questions may be asked.
    pub fn may_ask(&self, flag: &str) -> Result<()> {
        match self.context.may_ask {
            true => Ok(()),
            false => Err(self.missing(flag).into()),
        }
    }

    pub fn missing(&self, flag: &str) -> Fault {
        let why = match crate::output::can_ask() {
            true => "`--no-input` forbids to ask",
            false => "there is no terminal to ask on",
        };
        Fault::usage(format!("`{flag}` is needed, and {why}")).hint(&self.example)
    }
}

/// A name of the user's choice.
pub struct Name(pub String);

impl FromStr for Name {
    type Err = String;
    fn from_str(text: &str) -> Result<Name, String> {
        match config::bad_name(text) {
            Some(why) => Err(why.to_owned()),
            None => Ok(Name(text.to_owned())),
        }
    }
}

/// What became of the thing that a command names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Created,
    Changed,
    Unchanged,
    Removed,
}

impl Outcome {
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Created => "created",
            Outcome::Changed => "changed",
            Outcome::Unchanged => "unchanged",
            Outcome::Removed => "removed",
        }
    }
}

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

/// Where two definitions differ, in words that show no secret.
pub fn differences(file: &Tree, asked: &Tree) -> Vec<String> {
    let mut keys: Vec<&str> = file.entries().iter().map(|(k, _)| *k).collect();
    keys.extend(asked.entries().iter().map(|(k, _)| *k));
    let mut seen = Vec::new();
    let mut found = Vec::new();
    for key in keys {
        if seen.contains(&key) || key == "addresses" {
            continue;
        }
        seen.push(key);
        let (old, new) = (file.get(key), asked.get(key));
        if old == new {
            continue;
        }
        let words = |tree: &Tree| format!("`{}`", tree.words());
        found.push(match (old, new) {
            (Some(Tree::Secret(_)), Some(Tree::Secret(_))) => format!("another {key}"),
            (Some(old), Some(new)) => format!("{key} is {}, here {}", words(old), words(new)),
            (Some(old), None) => format!("{key} is {}, here not given", words(old)),
            (None, Some(new)) => format!("{key} is not set, here {}", words(new)),
            (None, None) => continue,
        });
    }
    found
}

/// The refusal to overwrite what is defined differently.
pub fn different(what: &str, differences: &[String], set: &str) -> anyhow::Error {
    Fault::usage(format!(
        "{what} is there already, defined differently: {}",
        differences.join("; ")
    ))
    .hint(format!(
        "add --replace to put the new definition in its place, or change single values: {set}"
    ))
    .into()
}

/// The configuration with its paths made absolute, for comparing.
pub fn resolved(config: &Config, context: &Context) -> Result<Config> {
    let mut config = config.clone();
    config::resolve_paths(&mut config, &context.config_path)?;
    Ok(config)
}

/// The fault for a name that is not in the file.
pub fn unknown(what: &str, name: &str, known: &[&str]) -> anyhow::Error {
    let fault = Fault::usage(format!("no {what} named `{name}`"));
    let all = match what {
        "queue or address" => "queues and addresses".to_owned(),
        "queue, address or server" => "queues, addresses and servers".to_owned(),
        one => format!("{one}s"),
    };
    let in_file = config::named(&all, known);
    match config::nearest(name, known.iter().copied()) {
        Some(near) => fault.hint(format!("did you mean `{near}`? {in_file}")),
        None => fault.hint(in_file),
    }
    .into()
}

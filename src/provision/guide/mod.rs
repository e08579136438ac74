//! Questions about what a definition lacks.
//!
//! An answer is what an option would have said, and nothing else. So what is then done is what the
//! command line does that is shown at the end, which asks nothing.

mod queue;
mod server;

pub use queue::mailbox as ask_mailbox;
pub use server::{
    incoming as ask_incoming, is_incoming as ask_if_incoming, outgoing as ask_outgoing,
};

use super::{Person, typed_path};
use crate::config;
use crate::model::{Config, Given};
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The configuration that answers are checked against; an empty one before the first server.
pub fn known(path: &Path) -> Result<Config> {
    match path.exists() && !config::is_blank(&config::read(path)?.0) {
        true => config::load(path),
        false => config::parse("version: 1\n", path),
    }
}

/// Asks for a value, with the check of the type that it will be, and one more.
fn ask<T: FromStr<Err = String>>(
    person: &dyn Person,
    question: &str,
    proposal: Option<&str>,
    also: impl Fn(&T) -> Result<(), String>,
) -> Result<T> {
    let text = person.line(question, proposal, &|text| {
        text.parse().and_then(|value| also(&value))
    })?;
    text.parse().map_err(anyhow::Error::msg)
}

/// What an option says; it is asked for where nothing is said.
fn fill<T>(said: &mut Option<T>, ask: impl FnOnce() -> Result<T>) -> Result<&mut T> {
    let value = match said.take() {
        Some(value) => value,
        None => ask()?,
    };
    Ok(said.insert(value))
}

/// The same, where nothing more is to be checked.
fn ask_any<T: FromStr<Err = String>>(
    person: &dyn Person,
    question: &str,
    proposal: Option<&str>,
) -> Result<T> {
    ask(person, question, proposal, |_| Ok(()))
}

/// Asks for a value that may be left out.
fn ask_optional<T: FromStr<Err = String>>(
    person: &dyn Person,
    question: &str,
) -> Result<Option<T>> {
    let check = |text: &str| text.parse::<T>().map(drop);
    match person.line(question, Some(""), &check)?.as_str() {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(anyhow::Error::msg),
    }
}

/// Asks to choose one of several, each with a line that explains it.
fn choose(
    person: &dyn Person,
    question: &str,
    choices: &[(&str, &str)],
    first: usize,
) -> Result<usize> {
    let width = choices.iter().map(|(name, _)| name.chars().count()).max();
    let width = width.unwrap_or_default();
    let lines: Vec<String> = choices
        .iter()
        .map(|(name, words)| format!("{name:width$}  {words}").trim_end().to_owned())
        .collect();
    let chosen = person.choice(question, &lines, first)?;
    let name = choices.get(chosen).map_or("", |(name, _)| name);
    person.tell(&format!("{question}: {name}"));
    Ok(chosen)
}

/// Asks for a file that is there.
fn file(person: &dyn Person, question: &str) -> Result<PathBuf> {
    let text = person.line(question, None, &|text| {
        let path = typed_path(Path::new(text)).map_err(|e| e.to_string())?;
        match path.is_file() || path.starts_with("~") {
            true => Ok(()),
            false => Err(format!("file `{}` does not exist", path.display())),
        }
    })?;
    Ok(PathBuf::from(text))
}

/// Asks where the password of an account comes from, unless an option says so.
fn password(person: &dyn Person, given: &mut Option<Given>, account: &str) -> Result<()> {
    if given.is_some() {
        return Ok(());
    }
    let choices = [
        ("by hand", "once, with `queuemail token login`"),
        ("password", "typed at the end, stored in the configuration"),
        ("file", "a file with the password, read at each use"),
    ];
    person.tell(
        "`by hand` also works with multi-factor sign-in. A typed password makes the \
         configuration file private.",
    );
    *given = match choose(person, &format!("How {account} signs in"), &choices, 0)? {
        0 => None,
        1 => Some(Given::Asked),
        _ => Some(Given::source("file", file(person, "File of the password")?)),
    };
    Ok(())
}

/// Said before the first question.
fn introduce(person: &dyn Person, what: &str) {
    person.tell(&format!(
        "Adding {what}.\nArrow keys select; Enter accepts the marked choice or the value in [brackets]; Ctrl-C cancels."
    ));
}

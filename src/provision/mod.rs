//! Servers and queues of the configuration: added, changed, given another name, removed.
//!
//! All works on the model ([`Config`] in, changed [`Config`] out); who calls has it read and
//! written. What is said of a definition ([`NewServer`], [`Mailbox`], [`ServerChange`]) has its options
//! for clap as the model has its keys for serde, so that there is one type of it and not two. Where it
//! is not complete it gets what it lacks from a [`Person`], with whose answers it is what a command
//! line could have said, which `options` shows. `many` takes the definitions of mailboxes from a `list`, a `row` each.

mod add_mailbox;
mod credential;
mod guide;
mod kinds;
pub mod lacking;
mod list;
mod mailbox;
mod many;
mod new_server;
mod options;
mod queue;
mod row;
mod secret;
mod server;
mod server_change;
mod server_options;
mod typed;

pub use add_mailbox::add_mailbox;
pub use credential::Credential;
pub use guide::{ask_if_incoming, ask_incoming, ask_mailbox, ask_outgoing, known};
pub use kinds::{Incoming, Outgoing};
pub use mailbox::{Mailbox, MailboxChange, NewMailbox};
pub use many::{Line, lines};
pub use new_server::{Kind, NewServer};
pub use queue::{remove_queue, set_queue, tree_of_queue};
pub use server::{
    add_server, put_secret, put_secret_end, remove_server, set_server, tree_of_server,
};
pub use server_change::ServerChange;
pub use typed::{Refused, guid, value};

use crate::config;
use crate::fault::Fault;
use crate::files;
use crate::model::{Change, Config, EmailAddress, Queue, Target, Tree, put_with};
use crate::secret::Secret;
use anyhow::Result;
use std::path::{Path, PathBuf};

/// Whoever gave the command, where a terminal leads to them.
pub trait Person {
    /// Why no question may be asked; `None` where one may.
    fn cannot_ask(&self) -> Option<&'static str>;

    /// Asks for a line until `check` has nothing against it. An empty answer stands for `proposal`;
    /// where that is empty too, the line may be left empty.
    fn line(
        &self,
        question: &str,
        proposal: Option<&str>,
        check: &dyn Fn(&str) -> Result<(), String>,
    ) -> Result<String>;

    /// Asks to choose one of several, `first` being marked at the start; the number of the choice.
    fn choice(&self, question: &str, choices: &[String], first: usize) -> Result<usize>;

    /// Asks for a secret, which is not shown.
    fn secret(&self, question: &str) -> Result<Secret>;

    /// The secret on standard input, as the option `flag` says.
    fn piped(&self, flag: &str) -> Result<Secret>;

    /// How many messages wait in the folders of a mailbox of this configuration, if it can be read.
    fn waiting(&self, config: &Config, address: &EmailAddress) -> Result<u64>;

    /// Tells something beside the questions.
    fn tell(&self, text: &str);

    fn warn(&self, text: &str);
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

    fn of(before: &Config, after: &Config) -> Outcome {
        match before == after {
            true => Outcome::Unchanged,
            false => Outcome::Changed,
        }
    }
}

/// What a definition needs that nobody has given. Where it may be asked for, `guide` has done so.
pub struct Required<'a> {
    pub person: &'a dyn Person,
    /// A command that would work, for the hint.
    pub example: String,
}

impl Required<'_> {
    /// `flag` is the option's name, or `NAME` for a positional value.
    pub fn value<T: Clone>(&self, given: &Option<T>, flag: &str) -> Result<T> {
        match given {
            Some(value) => Ok(value.clone()),
            None => Err(self.missing(flag).into()),
        }
    }

    /// Fails unless questions may be asked.
    pub fn may_ask(&self, flag: &str) -> Result<()> {
        match self.person.cannot_ask() {
            None => Ok(()),
            Some(_) => Err(self.missing(flag).into()),
        }
    }

    pub fn missing(&self, flag: &str) -> Fault {
        let why = self
            .person
            .cannot_ask()
            .unwrap_or("queuemail asks no questions here");
        Fault::usage(format!("`{flag}` is missing, and {why}")).hint(&self.example)
    }
}

/// The place of an address in a queue. Exchange's mailbox names know no case.
fn find(queue: &Queue, address: &EmailAddress) -> Option<usize> {
    let wanted = address.as_str().to_lowercase();
    queue
        .addresses
        .iter()
        .position(|a| a.address.as_str().to_lowercase() == wanted)
}

/// A path typed in a shell: relative to where the shell is, while one in the file is relative
/// to the file.
fn typed_path(path: &Path) -> Result<PathBuf> {
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
    files::absolute(path)
}

/// Changes the path of a file where another is typed.
fn put_path(change: &Option<Change<PathBuf>>, slot: &mut Option<PathBuf>) -> Result<()> {
    put_with(change, slot, |path| typed_path(path))
}

/// A delivery typed in a shell; its path becomes absolute.
fn typed_target(target: &Target) -> Result<Target> {
    if target.as_str().contains(":~") {
        return Ok(target.clone());
    }
    target.absolute(&files::current_folder()?)
}

/// Where two definitions differ, in words that show no secret.
fn differences(file: &Tree, asked: &Tree) -> Vec<String> {
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
fn different(what: &str, differences: &[String], set: &str) -> anyhow::Error {
    Fault::usage(format!(
        "{what} already exists with other values: {}",
        differences.join("; ")
    ))
    .hint(format!(
        "add --replace to replace it, or change single values: {set}"
    ))
    .into()
}

/// The configuration of `file` with its paths made absolute, for comparing.
fn resolved(config: &Config, file: &Path) -> Result<Config> {
    let mut config = config.clone();
    config::resolve_paths(&mut config, file)?;
    Ok(config)
}

#[cfg(test)]
mod tests;

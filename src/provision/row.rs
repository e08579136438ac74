//! An entry of a list as a mailbox: its names are those of the options of `queue add`.

use super::Mailbox;
use super::list::Cell;
use crate::fault::Fault;
use crate::model::{self, Change, Given, SecretSource};
use anyhow::Result;
use std::str::FromStr;

/// The names, but for those of [`PASSWORD`].
const NAMES: [&str; 17] = [
    "queue",
    "address",
    "server",
    "priority",
    "extension-language",
    "account",
    "sender",
    "outgoing",
    "folder",
    "start",
    "select",
    "deliver",
    "after",
    "queue-priority",
    "queue-language",
    "queue-start",
    "replace",
];

/// A kind of [`SecretSource`] follows: a list says where a password is, and never holds one.
const PASSWORD: &str = "password-";

/// The kind of a password's source in a name.
fn password_kind(name: &str) -> Option<&'static str> {
    let kind = name.strip_prefix(PASSWORD)?;
    SecretSource::KINDS
        .iter()
        .find(|known| **known == kind)
        .copied()
}

/// Refuses a name that is unknown.
pub fn check(name: &str) -> Result<()> {
    if NAMES.contains(&name) || password_kind(name).is_some() {
        return Ok(());
    }
    let fault = Fault::usage(format!("a list cannot contain option `--{name}`"));
    let hint = match model::nearest(name, NAMES) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!(
            "the names in the first line: {}; see `queuemail queue add --help`",
            NAMES.join(", ")
        ),
    };
    Err(fault.hint(hint).into())
}

impl Mailbox {
    /// Takes over what an entry says; what it does not say stays as it is.
    ///
    /// # Errors
    /// `Usage`: a value that the option would not take either.
    pub fn put_row(&mut self, cells: &[Cell]) -> Result<()> {
        for (name, values) in cells {
            self.put_cell(name, values)?;
        }
        Ok(())
    }

    fn put_cell(&mut self, name: &str, values: &[String]) -> Result<()> {
        match name {
            "queue" => self.queue = Some(one(name, values)?),
            "address" => self.address = Some(one(name, values)?),
            "server" => self.server = Some(one(name, values)?),
            "priority" => self.values.priority = changed(name, values)?,
            "extension-language" => self.values.extension_language = changed(name, values)?,
            "account" => self.values.account = changed(name, values)?,
            "sender" => self.values.sender = flag(name, values)?,
            "outgoing" => self.values.outgoing = changed(name, values)?,
            "folder" => self.values.folders = values.to_vec(),
            "start" => self.values.start = changed(name, values)?,
            "select" => {
                let conditions = values.iter().map(|value| read(name, value));
                self.values.select = conditions
                    .map(|one| one.map(Change::Set))
                    .collect::<Result<_>>()?;
            }
            "deliver" => self.values.deliver = changed(name, values)?,
            "after" => self.values.after = changed(name, values)?,
            "queue-priority" => self.of_queue.queue_priority = changed(name, values)?,
            "queue-language" => self.of_queue.queue_language = changed(name, values)?,
            "queue-start" => self.of_queue.queue_start = changed(name, values)?,
            "replace" => self.replace = flag(name, values)?,
            name => match password_kind(name) {
                Some(kind) => {
                    self.values.password.given = Some(Given::source(kind, only(name, values)?))
                }
                None => return check(name),
            },
        }
        Ok(())
    }
}

fn only<'a>(name: &str, values: &'a [String]) -> Result<&'a str> {
    match values {
        [value] => Ok(value),
        _ => Err(Fault::usage(format!("`{name}` takes one value")).into()),
    }
}

fn changed<T: FromStr<Err = String>>(name: &str, values: &[String]) -> Result<Option<Change<T>>> {
    one(name, values).map(Change::Set).map(Some)
}

fn one<T: FromStr<Err = String>>(name: &str, values: &[String]) -> Result<T> {
    read(name, only(name, values)?)
}

fn read<T: FromStr<Err = String>>(name: &str, value: &str) -> Result<T> {
    let value = value.trim().parse();
    value.map_err(|why| Fault::usage(format!("`{name}`: {why}")).into())
}

/// `Export-Csv` writes `True` and `False`.
fn flag(name: &str, values: &[String]) -> Result<bool> {
    match &*only(name, values)?.trim().to_ascii_lowercase() {
        "true" | "yes" | "1" => Ok(true),
        "false" | "no" | "0" => Ok(false),
        _ => Err(Fault::usage(format!("`{name}` is either true or false")).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_its_place() {
        for name in NAMES {
            // No value of any of them: each is refused for its value, but for those that are text.
            let mut mailbox = Mailbox::default();
            let cells = [(name.to_owned(), vec!["\u{1}".to_owned()])];
            let said = mailbox.put_row(&cells).map_err(|e| e.to_string());
            match name {
                "folder" => said.unwrap(),
                _ => assert!(
                    said.unwrap_err().starts_with(&format!("`{name}`")),
                    "{name}"
                ),
            }
        }
        for kind in SecretSource::KINDS {
            check(&format!("{PASSWORD}{kind}")).unwrap();
        }
        assert!(check("password").is_err() && check("password-stdin").is_err());
    }
}

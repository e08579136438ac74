//! Options as they were given, or could have been. Secrets are no part of them, so none can be shown:
//! one that was typed appears as `--secret-stdin`.

use super::secret::{SourceArgs, Which};
use super::typed::Refused;
use crate::fault::Fault;
use crate::model::{Change, Given, Name};
use crate::shell;
use anyhow::Result;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Options and their values, in the order in which they are shown.
#[derive(Default)]
pub struct Options {
    /// A word with its value; quoted as a shell takes it.
    words: Vec<(String, String)>,
    /// One that is empty, which takes a key away.
    empty: Option<&'static str>,
}

/// A path as an option has it.
pub fn shown(path: &Option<Change<PathBuf>>) -> Option<Change<String>> {
    path.as_ref().map(|path| match path {
        Change::Unset => Change::Unset,
        Change::Set(path) => Change::Set(path.display().to_string()),
    })
}

impl Options {
    pub fn value(mut self, flag: &str, value: &Option<impl ToString>) -> Options {
        if let Some(value) = value {
            let value = value.to_string();
            // What begins with a dash would be read as an option.
            let joint = if value.starts_with('-') { '=' } else { ' ' };
            let value = format!("{joint}{}", shell::quote(&value));
            self.words.push((flag.to_owned(), value));
        }
        self
    }

    /// An option that `add` refuses where its value is empty, for it has nothing to take away.
    pub fn change<T: ToString>(self, flag: &'static str, change: &Option<Change<T>>) -> Options {
        match change {
            None => self,
            Some(Change::Set(value)) => self.value(flag, &Some(value.to_string())),
            Some(Change::Unset) => self.text(flag, ""),
        }
    }

    /// Likewise.
    pub fn text(mut self, flag: &'static str, text: &str) -> Options {
        if text.is_empty() {
            self.empty.get_or_insert(flag);
        }
        self.value(flag, &Some(text))
    }

    pub fn flag(mut self, flag: &str, is_set: bool) -> Options {
        if is_set {
            self.words.push((flag.to_owned(), String::new()));
        }
        self
    }

    /// Where a secret comes from; what was asked for is on standard input then.
    pub fn secret<W: Which>(self, source: &SourceArgs<W>) -> Options {
        match &source.given {
            None => self,
            Some(Given::Asked | Given::Stdin) => self.flag(&format!("--{}", W::STDIN), true),
            Some(Given::Source { kind, text }) => {
                let text: &OsStr = text;
                self.value(&format!("--{}-{kind}", W::NAME), &Some(text.display()))
            }
        }
    }

    pub fn and(mut self, others: Options) -> Options {
        self.words.extend(others.words);
        self.empty = self.empty.or(others.empty);
        self
    }

    /// The first option.
    pub fn first(&self) -> Option<&str> {
        self.words.first().map(|(flag, _)| flag.as_str())
    }

    /// Refuses an empty value.
    pub fn refuse_empty(&self) -> Result<()> {
        match self.empty {
            None => Ok(()),
            Some(flag) => Err(Fault::usage(format!("`{flag}`{}", Refused::Empty)).into()),
        }
    }

    /// The command line of them, as it is told after questions. `command` follows `--config`.
    pub fn line(self, config: Option<&Path>, command: &str, name: &Option<Name>) -> String {
        let mut line = "queuemail".to_owned();
        let config = Options::default().value("--config", &config.map(Path::display));
        let (first, last) = match name {
            // It would be read as an option if it stood first.
            Some(Name(name)) if name.starts_with('-') => {
                (String::new(), format!(" -- {}", shell::quote(name)))
            }
            Some(Name(name)) => (format!(" {}", shell::quote(name)), String::new()),
            None => (String::new(), String::new()),
        };
        let write = |line: &mut String, options: Options| {
            for (flag, value) in options.words {
                line.push_str(&format!(" {flag}{value}"));
            }
        };
        write(&mut line, config);
        line.push_str(&format!(" {command}{first}"));
        write(&mut line, self);
        format!("\nThe same without questions:\n  {line}{last}\n")
    }
}

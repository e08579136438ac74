//! What a command says of a value that the file may hold.

use std::ffi::{OsStr, OsString};
use std::fmt;

/// Another value for a key that may be absent.
#[derive(Clone, Debug, PartialEq)]
pub enum Change<T> {
    /// The key goes, and the default holds again.
    Unset,
    Set(T),
}

/// As an option gives it: an empty value takes the key away.
impl<T: fmt::Display> fmt::Display for Change<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::Unset => Ok(()),
            Change::Set(value) => value.fmt(f),
        }
    }
}

/// Changes a key's value where something is said of it.
pub fn put<T: Clone + Into<U>, U>(change: &Option<Change<T>>, slot: &mut Option<U>) {
    match change {
        None => {}
        Some(Change::Unset) => *slot = None,
        Some(Change::Set(value)) => *slot = Some(value.clone().into()),
    }
}

/// The same, where the file's value is made of what is said.
pub fn put_with<T>(
    change: &Option<Change<T>>,
    slot: &mut Option<T>,
    make: impl Fn(&T) -> anyhow::Result<T>,
) -> anyhow::Result<()> {
    match change {
        None => {}
        Some(Change::Unset) => *slot = None,
        Some(Change::Set(value)) => *slot = Some(make(value)?),
    }
    Ok(())
}

/// Where a secret comes from, as a command was told; never the secret itself.
#[derive(Clone, Debug, PartialEq)]
pub enum Given {
    /// It is asked for, and kept in the file.
    Asked,
    /// It is read from standard input, and kept in the file.
    Stdin,
    /// It is read from here at each use. An empty text takes the secret away.
    Source {
        /// One of the kinds of [`super::SecretSource`].
        kind: &'static str,
        text: OsString,
    },
}

impl Given {
    pub fn source(kind: &'static str, text: impl AsRef<OsStr>) -> Given {
        let text = text.as_ref().to_owned();
        Given::Source { kind, text }
    }
}

//! What a command says of a value that the file may hold.

use std::ffi::{OsStr, OsString};

/// Another value for a key that may be absent.
#[derive(Clone, Debug, PartialEq)]
pub enum Change<T> {
    /// The key goes, and the default holds again.
    Unset,
    Set(T),
}

/// Changes a key's value where something is said of it.
pub fn put<T: Clone>(change: &Option<Change<T>>, slot: &mut Option<T>) {
    match change {
        None => {}
        Some(Change::Unset) => *slot = None,
        Some(Change::Set(value)) => *slot = Some(value.clone()),
    }
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

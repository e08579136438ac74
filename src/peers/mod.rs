//! What other programs remember of a mailbox: which messages they have fetched. Each keeps that in a
//! form of its own, or leaves it to the server.
//!
//! - `getmail`, `fetchmail`, `mbsync`: files that name messages by the server's ids
//! - `maildir`: the messages themselves, as any program has delivered them
//! - `uids`, `copies`: what is made of them
//!
//! Nothing here asks a server or writes a file. What is read was written by others: it is bounded,
//! and what cannot be understood is an error that names the line.

mod copies;
mod fetchmail;
#[cfg(any(fuzzing, test))]
pub mod fuzz;
mod getmail;
mod lines;
mod maildir;
mod mbsync;
mod uids;

pub use copies::{Copies, Likeness};
pub use getmail::as_in_a_name;
pub use uids::Uids;

use crate::fault::Fault;
use crate::wording::words;
use anyhow::Result;
use std::io;
use std::path::Path;

/// So many messages are read, twice what Exchange keeps in a folder.
const MOST: usize = 2_000_000;

const NOT_REGULAR: &str = "it is not a regular file";

/// A program, or a store that any of them fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    Getmail,
    Fetchmail,
    Mbsync,
    Maildir,
    Wsgetmail,
}

words!(Program {
    Getmail = "getmail",
    Fetchmail = "fetchmail",
    Mbsync = "mbsync",
    Maildir = "maildir",
    Wsgetmail = "wsgetmail",
});

impl Program {
    /// Who has fetched what it keeps, for people.
    pub fn owner(self) -> &'static str {
        match self {
            Program::Maildir => "the program that filled the Maildir",
            other => other.name(),
        }
    }

    /// Whether it leaves it to the server which messages it has fetched: it marks them as read.
    pub fn marks_as_read(self) -> bool {
        matches!(self, Program::Fetchmail | Program::Wsgetmail)
    }
}

/// What a program remembers.
pub struct Memory {
    pub fetched: Fetched,
    /// So many messages are remembered by something that says nothing of a message of the folder:
    /// the identifiers of POP3, a copy without a Message-ID, a placeholder.
    pub unclear: u64,
    /// The folder that it is about, as the name of a file has it: see [`as_in_a_name`].
    pub folder: Option<String>,
    /// Messages that lie beside what names them by UIDs: some of those should be among them.
    pub witnesses: Option<Copies>,
}

impl Memory {
    /// Of a program that says no more.
    pub fn of(fetched: Fetched, unclear: u64) -> Memory {
        Memory {
            fetched,
            unclear,
            folder: None,
            witnesses: None,
        }
    }
}

/// Which messages were fetched.
pub enum Fetched {
    /// Those with these UIDs of IMAP.
    Uids(Uids),
    /// Those of which there is a copy.
    Copies(Copies),
    /// All that are marked as read now.
    Read,
}

/// Reads what a program keeps in `path`; `users` are the names by which it may know the mailbox.
///
/// # Errors
/// `Usage` where there is nothing of this program, `Malformed` with the place of what cannot be
/// understood, `TryLater` where the program is still at work.
pub fn read(program: Program, path: &Path, users: &[&str]) -> Result<Memory> {
    match program {
        Program::Getmail => getmail::read(path, users),
        Program::Fetchmail => fetchmail::read(path, users),
        Program::Mbsync => mbsync::read(path),
        Program::Maildir => maildir::read(path),
        Program::Wsgetmail => Err(Fault::usage(
            "wsgetmail keeps no file of what it has fetched, so no PATH can be imported",
        )
        .into()),
    }
}

/// The fault of a file or folder that cannot be read as it should.
fn unreadable(path: &Path, why: io::Error) -> Fault {
    Fault::usage(format!("cannot read `{}`: {why}", path.display())).by_system(&why)
}

fn not_regular(path: &Path) -> Fault {
    unreadable(path, io::Error::other(NOT_REGULAR))
}

/// The fault of a line, counted from 1, that is not as the program writes it.
fn malformed(path: &Path, line: usize, why: &str) -> Fault {
    Fault::malformed(format!("line {line} of `{}`: {why}", path.display()))
}

/// The fault of more messages than are read.
fn too_many(path: &Path) -> Fault {
    Fault::malformed(format!(
        "`{}` names more than {MOST} messages",
        path.display()
    ))
}

#[cfg(test)]
mod tests;

//! Where fetched mail comes to rest.
//!
//! A delivery works in steps, so that a crash between any two of them neither loses a message
//! nor delivers it twice:
//!
//! 1. the message is *staged*: its octets are written to a file on the filesystem where it will
//!    rest, and made durable;
//! 2. an [`Intent`], which says how to finish, is put on record by the caller, durably;
//! 3. [`Delivery::deliver`] does the one step that makes the message visible;
//! 4. [`Delivery::flush`] makes that step durable, and the caller records it.
//!
//! After a crash between 2 and 4, [`recover`] looks at what is on disk and finishes, or finds
//! that it had been finished. Deliveries that cannot be looked at (a command) start again from
//! the beginning with the same delivery id.

mod command;
mod eml;
mod handover;
mod https;
mod lmtp;
mod maildir;
mod mbox;
mod mboxrd;
mod percent;
mod probe;
mod stamp;
mod stdout;
mod target;

use crate::fault::Fault;
use crate::files::{self, End, folder_of};
use crate::mail::{RemoteId, Summary};
use anyhow::Result;
use handover::Handover;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[cfg(any(fuzzing, test))]
pub mod fuzz;

pub use handover::LATEST_START;
pub use https::announce;
pub use probe::probe;
pub use stamp::stamp;
pub use target::{Place, expand, fixed_part};

/// What is known of a message when it is delivered.
#[derive(Clone, Debug, Serialize)]
pub struct Letter {
    pub queue: String,
    pub address: String,
    pub folder: String,
    pub uidvalidity: u32,
    /// What its source names it by: an IMAP server, Graph, or for a report the outbox.
    pub uid: RemoteId,
    pub size: u64,
    pub priority: u32,
    pub language: String,
    pub message_id: Option<String>,
    /// What its header says.
    #[serde(flatten)]
    pub summary: Summary,
    /// `ordinary`, `auto-reply`, `auto-generated`, `bounce` or `list`: what a router must know.
    pub kind: &'static str,
    /// Of a bounce: the Message-ID of the message that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original_message_id: Option<String>,
    /// The same for the same message on every attempt.
    pub delivery_id: String,
}

/// How an interrupted delivery is finished. Kept in the state database as JSON.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Intent {
    /// Each file is renamed, in this order; a source that is gone has been renamed, unless
    /// [`maildir::is_lost`].
    Rename { files: Vec<(PathBuf, PathBuf)> },
    /// The rendered message is appended to the mbox file, at this offset.
    Append {
        rendered: PathBuf,
        file: PathBuf,
        offset: u64,
        length: u64,
    },
    /// It cannot be seen whether it happened: start again from the server.
    Again {
        spool: PathBuf,
        /// So many seconds after it went on record nobody is handing the message over any more. 0
        /// in what earlier versions wrote.
        #[serde(default)]
        seconds: u64,
    },
}

impl Intent {
    /// The staged files that must be durable before the intent is put on record.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let (renamed, rendered) = match self {
            Intent::Rename { files } => (files.as_slice(), None),
            Intent::Append { rendered, .. } => (&[][..], Some(rendered.as_path())),
            Intent::Again { .. } => (&[][..], None),
        };
        renamed
            .iter()
            .map(|(from, _)| from.as_path())
            .chain(rendered)
    }

    /// The files that the message is in once it is visible, as far as they are known.
    pub fn targets(&self) -> impl Iterator<Item = &Path> {
        let renamed = match self {
            Intent::Rename { files } => files.as_slice(),
            Intent::Append { .. } | Intent::Again { .. } => &[],
        };
        renamed.iter().map(|(_, to)| to.as_path())
    }

    /// How long after it went on record somebody may still be making the message visible in a way
    /// that cannot be seen, in seconds; `None` where it can be seen.
    pub fn in_flight(&self) -> Option<i64> {
        match self {
            Intent::Again { seconds, .. } => Some(i64::try_from(*seconds).unwrap_or(i64::MAX)),
            Intent::Rename { .. } | Intent::Append { .. } => None,
        }
    }
}

/// A message that the destination refused; the destination itself is well.
#[derive(Clone, Debug)]
pub struct Rejected {
    /// Trying again will not help.
    pub for_good: bool,
    pub reason: String,
    /// The destination asks to be left alone, with whatever is for it.
    pub wait: Option<Wait>,
}

/// A wish of a destination to be left alone for so long.
#[derive(Clone, Debug)]
pub struct Wait {
    /// See [`Place::may_ask_to_wait`].
    pub destination: String,
    pub time: Duration,
}

impl std::fmt::Display for Rejected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Rejected {}

/// Says whether a message may be delivered still.
pub type May<'a> = dyn Fn(&Intent) -> Result<()> + Sync + 'a;

/// A way to deliver.
pub trait Delivery: Send {
    /// The folder in which messages are staged.
    fn staging(&self) -> &Path;

    /// Decides how a staged message will be delivered; may add files next to it, which must be
    /// durable when the folder's filesystem is synced.
    fn plan(&mut self, staged: &Path, letter: &Letter) -> Result<Intent>;

    /// Makes the message visible and returns where, for the person who looks for it. The root
    /// of the error is [`Rejected`] when it concerns this message alone; the staged file is then
    /// still there, and the caller's.
    fn deliver(&mut self, intent: &Intent, letter: &Letter) -> Result<String>;

    /// Delivers a group of messages and returns for each, in their order, what
    /// [`Delivery::deliver`] does. The last ones are left out where an earlier outcome keeps them
    /// back too: an error that is not one message's, or a wish to wait. Before each, `may` is asked.
    fn deliver_all(&mut self, work: &[(Letter, Intent)], may: &May<'_>) -> Vec<Result<String>> {
        let mut outcomes = Vec::with_capacity(work.len());
        for (letter, intent) in work {
            let outcome = may(intent).and_then(|()| self.deliver(intent, letter));
            // Whatever went wrong, another host may have had a part in it.
            let outcome = outcome.or_else(|err| may(intent).and(Err(err)));
            let goes_on = outcome.as_ref().map_or_else(is_of_one_message, |_| true);
            outcomes.push(outcome);
            if !goes_on {
                break;
            }
        }
        outcomes
    }

    /// How many messages may be delivered before one is recorded: as many as can be, where a
    /// crash can be told from a delivery; some, where whoever takes them knows one again; one,
    /// where neither is so.
    fn group(&self) -> usize {
        usize::MAX
    }

    /// Makes everything that was delivered durable.
    fn flush(&mut self) -> Result<()>;

    /// What was flushed is on record: nothing is needed any more to recover it.
    fn recorded(&mut self) {}
}

/// Whether the messages after the one that failed so may still be delivered.
fn is_of_one_message(err: &anyhow::Error) -> bool {
    err.downcast_ref()
        .is_some_and(|why: &Rejected| why.wait.is_none())
}

/// Opens the delivery that a target names; `spool` is a private folder for those that
/// have no place of their own to stage in.
pub fn open(place: &Place, spool: &Path) -> Result<Box<dyn Delivery>> {
    Ok(match place {
        Place::Maildir(path) => Box::new(maildir::Maildir::open(path)?),
        Place::Eml(path) => Box::new(eml::Eml::open(path)?),
        Place::Mbox(path) => Box::new(mbox::Mbox::open(path, spool)),
        Place::Command(words) => {
            let words = words.clone();
            Box::new(Handover::to(command::Program { words }, spool))
        }
        Place::Lmtp(address) => Box::new(Handover::to(lmtp::Lmtp::new(address.clone()), spool)),
        Place::Https(to) => Box::new(Handover::to(https::Https::new(to.clone()), spool)),
        Place::Stdout(form) => Box::new(Handover::to(stdout::Stdout(*form), spool)),
    })
}

/// Finishes what was interrupted after it was put on record so many seconds ago. `Some(where)` when
/// the message is delivered now, `None` when it must be fetched again. The same again does no harm,
/// until that is on record and [`recovered`] is called.
pub fn recover(intent: &Intent, age: i64) -> Result<Option<String>> {
    match intent {
        Intent::Rename { files: renamed } => {
            for (from, to) in renamed {
                check_way(folder_of(from))?;
                check_way(folder_of(to))?;
                // A source that is gone has been renamed, but only where its folder is there: of
                // a disk that is not mounted nothing can be told.
                let folder = folder_of(from);
                std::fs::metadata(folder).map_err(|e| cannot_write(folder, &e))?;
            }
            for (from, to) in renamed {
                if maildir::is_lost(from, to, age)? {
                    return Ok(None);
                }
            }
            finish_renames(renamed)?;
            for folder in folders(renamed) {
                files::sync_folder(folder)?;
            }
            Ok(renamed.last().map(|(_, to)| to.display().to_string()))
        }
        Intent::Append {
            rendered,
            file,
            offset,
            length,
        } => {
            let done = mbox::recover(rendered, file, *offset, *length)?;
            Ok(done.then(|| format!("mbox:{}", file.display())))
        }
        Intent::Again { spool, .. } => match std::fs::remove_file(spool) {
            // It may be another host's path, which this host cannot know; there the file is swept
            // away.
            Err(e) if e.kind() != io::ErrorKind::NotFound && folder_of(spool).is_dir() => {
                Err(cannot_write(spool, &e))
            }
            _ => Ok(None),
        },
    }
}

/// That a delivery is finished is on record: nothing is needed any more to recover it.
pub fn recovered(intent: &Intent) {
    if let Intent::Append { rendered, .. } = intent {
        // What stays is swept away by a later run.
        let _ = std::fs::remove_file(rendered);
    }
}

/// Makes a folder that mail is written to, private to this user, if it is not there, and sees that
/// no other user leads the program elsewhere.
fn make_folder(folder: &Path) -> Result<()> {
    check_way(folder)?;
    if files::make_folder(folder).map_err(|e| cannot_write(folder, &e))? {
        // Somebody may have been there meanwhile.
        check_way(folder)?;
    }
    Ok(())
}

/// Refuses a folder that another user's link leads to.
fn check_way(folder: &Path) -> Result<()> {
    files::real_path(folder, End::Folder).map(drop)
}

/// Renames what was staged, in order. Who does so for the first time, and alone, finds all of it: a
/// file that is gone was taken away by somebody else, another state's run or a cleaner, and is not
/// delivered. Over a network it may have been renamed though the answer says that it is gone.
///
/// # Errors
/// [`Rejected`], to be tried again, where a file is gone.
fn rename_staged(files: &[(PathBuf, PathBuf)]) -> Result<()> {
    for (from, to) in files {
        match std::fs::rename(from, to) {
            Err(e) if e.kind() == io::ErrorKind::NotFound && !from.exists() => {
                if !maildir::is_there(to)? {
                    let reason = format!(
                        "another program removed `{}` before it was delivered",
                        from.display()
                    );
                    return Err(Rejected {
                        for_good: false,
                        reason,
                        wait: None,
                    }
                    .into());
                }
            }
            Err(e) => return Err(cannot_write(to, &e)),
            Ok(()) => {}
        }
    }
    Ok(())
}

/// Renames in order, passing over those that have been renamed.
fn finish_renames(files: &[(PathBuf, PathBuf)]) -> Result<()> {
    for (from, to) in files {
        match std::fs::rename(from, to) {
            Err(e) if e.kind() == io::ErrorKind::NotFound && !from.exists() => {}
            Err(e) => return Err(cannot_write(to, &e)),
            Ok(()) => {}
        }
    }
    Ok(())
}

/// The folders that the renamed files rest in, each once.
fn folders(files: &[(PathBuf, PathBuf)]) -> Vec<&Path> {
    let mut folders: Vec<&Path> = files.iter().map(|(_, to)| folder_of(to)).collect();
    folders.dedup();
    folders
}

/// The fault of a destination that cannot be written; nothing is lost by it.
pub fn cannot_write(path: &Path, err: &io::Error) -> anyhow::Error {
    let remedy = files::remedy(err);
    Fault::cannot_write(format!("cannot write `{}`: {err}", path.display()))
        .hint(format!("nothing was removed from the server; {remedy}"))
        .by_system(err)
        .into()
}

/// An intent that another kind of delivery made: a bug, reported instead of guessed at.
fn not_ours(intent: &Intent) -> anyhow::Error {
    Fault::bug(format!(
        "a delivery received the intent of another delivery: {intent:?}"
    ))
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_disk_that_is_not_mounted_nothing_is_told() {
        let disk = tempfile::tempdir().unwrap();
        let path = |name: &str| disk.path().join(name);
        let intent = Intent::Rename {
            files: vec![(path("tmp/a"), path("new/a"))],
        };
        assert!(
            recover(&intent, 0).is_err(),
            "the staging folder is missing"
        );
        std::fs::create_dir(path("tmp")).unwrap();
        std::fs::create_dir(path("new")).unwrap();
        std::fs::write(path("tmp/a"), "x").unwrap();
        assert!(recover(&intent, 0).unwrap().is_some());
        assert!(path("new/a").exists());
        assert!(
            recover(&intent, 0).unwrap().is_some(),
            "it had been renamed"
        );
    }
}

//! Marking, deleting and moving messages, and making sure that it happened.
//!
//! The answers to STORE, MOVE and EXPUNGE say little, and servers have been seen to answer OK and
//! do nothing. So after each set a search asks which of its messages are still as they were.
//! Messages that are gone are found by no search, and count as settled.

use super::faults::{Meaning, meaning};
use super::wire::Failure;
use super::{ImapMailbox, search, uid_set};
use crate::config::AfterFetch;
use crate::fault::Fault;
use crate::mail::{Mailbox, utf7};
use anyhow::Result;

/// Messages in one command.
const SET: usize = 1000;

impl ImapMailbox {
    /// Settles ascending, distinct UIDs of the open folder.
    ///
    /// Without UIDPLUS (RFC 4315) only EXPUNGE is left, which would take away whatever others
    /// have flagged; then a message to delete, or moved by copying, is flagged `\Deleted` and
    /// left for the server or a person to expunge. True when they have left the folder.
    pub(super) fn settle_uids(&mut self, uids: &[u32], action: &AfterFetch) -> Result<bool> {
        let target = match action {
            AfterFetch::Move(folder) => Some(self.target(folder)?),
            _ => None,
        };
        for (range, set) in uid_set::sets(uids, SET) {
            let (what, done) = match action {
                AfterFetch::Keep => return Ok(false),
                AfterFetch::Seen => ("cannot mark messages as read", self.mark_seen(&set)),
                AfterFetch::Delete => ("cannot delete messages", self.delete(&set)),
                AfterFetch::Move(_) => {
                    let folder = target.as_deref().unwrap_or_default();
                    ("cannot move messages", self.move_to(&set, folder))
                }
            };
            let left = done.map_err(|failure| self.fault(what, failure))?;
            if !left.is_empty() {
                return Err(Fault::try_later(format!(
                    "{what}: `{}` said that it did, but {} of {} are as they were (UID {})",
                    self.place.host,
                    left.len(),
                    range.len(),
                    uid_set::sets(&left, 100)
                        .first()
                        .map_or("", |(_, text)| text.as_str())
                ))
                .into());
            }
        }
        let left = self.on_wire(|wire| match action {
            AfterFetch::Keep | AfterFetch::Seen => Ok(false),
            AfterFetch::Delete => wire.offers("UIDPLUS"),
            AfterFetch::Move(_) => Ok(wire.offers("MOVE")? || wire.offers("UIDPLUS")?),
        });
        left.map_err(|failure| self.fault("cannot talk to the server", failure))
    }

    /// The name on the wire of a folder to move to.
    fn target(&mut self, folder: &str) -> Result<String> {
        // There the messages would get new UIDs, and be fetched again for ever.
        if let Some(open) = self.folder.clone()
            && self.is_one_folder(&open, folder)?
        {
            return Err(Fault::config(format!(
                "messages cannot be moved from folder `{folder}` to itself"
            ))
            .into());
        }
        Ok(utf7::encode(folder))
    }

    fn mark_seen(&mut self, set: &str) -> Result<Vec<u32>, Failure> {
        self.store(set, "+FLAGS.SILENT (\\Seen)")?;
        self.still(set, "UNSEEN")
    }

    fn delete(&mut self, set: &str) -> Result<Vec<u32>, Failure> {
        self.store(set, "+FLAGS.SILENT (\\Deleted)")?;
        if !self.on_wire(|wire| wire.offers("UIDPLUS"))? {
            return self.still(set, "UNDELETED");
        }
        self.ask(|session| session.uid_expunge(set))?;
        self.still(set, "")
    }

    fn move_to(&mut self, set: &str, folder: &str) -> Result<Vec<u32>, Failure> {
        if self.on_wire(|wire| wire.offers("MOVE"))? {
            self.fill_folder(folder, |mailbox, folder| {
                mailbox.ask(|session| session.uid_mv(set, folder))
            })?;
            return self.still(set, "");
        }
        // Those that an earlier run has copied and flagged are not copied again.
        let fresh = self.still(set, "UNDELETED")?;
        for (_, fresh) in uid_set::sets(&fresh, SET) {
            self.fill_folder(folder, |mailbox, folder| {
                // The library's own call does not quote the name.
                let command = format!("UID COPY {fresh} {}", quote(folder));
                mailbox.ask(|session| session.run_command_and_check_ok(command))
            })?;
        }
        self.delete(set)
    }

    /// Runs a command that puts messages into a folder, by its name on the wire; makes the folder
    /// once if it is missing.
    fn fill_folder(
        &mut self,
        folder: &str,
        command: impl Fn(&mut ImapMailbox, &str) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        match command(self, folder) {
            Err(Failure::Refused(words)) if meaning(&words) == Meaning::NoFolder => {}
            done => return done,
        }
        if let Some(name) = utf7::decode(folder)
            && let Some(other) = self.other_form(&name)?
        {
            return command(self, &utf7::encode(&other));
        }
        match self.ask(|session| session.create(folder)) {
            // Somebody else may have made it just now.
            Ok(()) | Err(Failure::Refused(_)) => command(self, folder),
            cut => cut,
        }
    }

    fn store(&mut self, set: &str, change: &str) -> Result<(), Failure> {
        self.ask(|session| session.run_command_and_check_ok(format!("UID STORE {set} {change}")))
    }

    /// Those of a set that a search key still finds.
    fn still(&mut self, set: &str, key: &str) -> Result<Vec<u32>, Failure> {
        let key = format!("UID {set} {key}");
        self.on_wire(|wire| search::run(wire, key.trim_end()))
    }
}

/// A folder's name, which is printable ASCII by now, as a quoted string.
fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

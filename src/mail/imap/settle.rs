//! Marking, deleting and moving messages, and making sure that it happened.
//!
//! The answers to STORE, MOVE and EXPUNGE say little, and servers have been seen to answer OK and
//! do nothing. So after each set a search asks which of its messages are still as they were.
//! Messages that are gone are found by no search, and count as settled.

use super::faults::{Meaning, meaning, scope};
use super::line::quoted;
use super::wire::Failure;
use super::{ImapMailbox, by_id, search, uid_set};
use crate::fault::{Fault, Scope, kind_of};
use crate::mail::{Mailbox, Settled, cannot_settle, to_itself, utf7};
use crate::model::AfterFetch;
use anyhow::Result;

/// Messages in one command.
const SET: usize = 1000;
/// After so many refused commands in a row it is not single messages: halving a set down to one
/// message takes ten.
const REFUSED: u32 = 16;

impl ImapMailbox {
    /// Settles ascending, distinct UIDs of the open folder.
    ///
    /// Without UIDPLUS (RFC 4315) only EXPUNGE is left, which would take away whatever others
    /// have flagged; then a message to delete is flagged `\Deleted` and left for the server or a
    /// person to expunge, and one to move stays as it is: see [`ImapMailbox::may_move`].
    ///
    /// A set that is refused is halved, for one message in it may be the reason.
    pub(super) fn settle_uids(&mut self, uids: &[u32], action: &AfterFetch) -> Result<Settled> {
        let target = match action {
            AfterFetch::Move(folder) => Some(self.target(folder)?),
            _ => None,
        };
        let Some(what) = cannot_settle(action) else {
            return Ok(Settled::default());
        };
        if target.is_some() && !self.can_move()? {
            return Ok(Settled::default());
        }
        // Halves of a set would be copied again.
        let may_halve = match action {
            AfterFetch::Move(_) => self.to(what, |wire| wire.offers("MOVE"))?,
            _ => true,
        };
        let mut refused = Vec::new();
        let mut in_a_row = 0;
        let sets = uid_set::sets(uids, SET);
        let mut sets: Vec<_> = sets.into_iter().rev().map(|(range, _)| range).collect();
        while let Some(range) = sets.pop() {
            let part = &uids[range.clone()];
            let (_, set) = uid_set::sets(part, SET).swap_remove(0);
            let done = match action {
                AfterFetch::Keep => break,
                AfterFetch::Seen => self.mark_seen(&set),
                AfterFetch::Delete => self.delete(&set),
                AfterFetch::Move(_) => self.move_to(&set, target.as_deref().unwrap_or_default()),
            };
            match done {
                Ok(left) => {
                    in_a_row = 0;
                    let fault = self.not_done(what, &left, part.len());
                    refused.extend(left.into_iter().map(|uid| (uid, fault.clone())));
                }
                Err(Failure::Refused(words))
                    if may_halve
                        && in_a_row < REFUSED
                        && scope(&words).is_none_or(|scope| scope == Scope::Message) =>
                {
                    in_a_row += 1;
                    if let [uid] = part {
                        let kind = kind_of(&self.fault(what, Failure::Refused(words.clone())));
                        let fault = Fault::new(kind, format!("{what} (UID {uid})"));
                        refused.push((*uid, fault.said(words).of(Scope::Message)));
                    } else {
                        let middle = range.start + part.len() / 2;
                        sets.push(middle..range.end);
                        sets.push(range.start..middle);
                    }
                }
                Err(failure) => return Err(self.fault(what, failure)),
            }
        }
        let left = match action {
            AfterFetch::Keep | AfterFetch::Seen => false,
            AfterFetch::Delete => self.offers("UIDPLUS")?,
            AfterFetch::Move(_) => true,
        };
        Ok(Settled {
            left,
            refused: by_id(refused),
        })
    }

    /// Why messages are as they were, though the server said OK.
    fn not_done(&self, what: &str, left: &[u32], of: usize) -> Fault {
        Fault::try_later(format!(
            "{what}: `{}` reported success, but {} of {of} are unchanged (UID {})",
            self.place.host,
            left.len(),
            uid_set::sets(left, 100)
                .first()
                .map_or("", |(_, text)| text.as_str())
        ))
        .of(Scope::Message)
    }

    /// Whether the server offers MOVE (RFC 6851), or UIDPLUS, by which a copy is made and the message
    /// expunged.
    fn can_move(&mut self) -> Result<bool> {
        Ok(self.offers("MOVE")? || self.offers("UIDPLUS")?)
    }

    /// Refuses to move where only COPY is left: the message would stay where it is, and nothing
    /// could tell the next run for sure that it has been copied.
    pub(super) fn may_move(&mut self) -> Result<()> {
        if self.can_move()? {
            return Ok(());
        }
        Err(Fault::config(format!(
            "`{}` offers neither MOVE nor UIDPLUS: queuemail could only copy messages, perhaps several times, and not move them",
            self.place.host
        ))
        .said(format!(
            "CAPABILITY {}",
            self.wire.borrow().heard.offers.as_deref().unwrap_or_default()
        ))
        .hint("set `after_fetch` to keep, seen or delete")
        .into())
    }

    /// The name on the wire of a folder to move to.
    fn target(&mut self, folder: &str) -> Result<String> {
        if let Some(open) = self.folder.clone()
            && self.is_one_folder(&open, folder)?
        {
            return Err(to_itself(folder).into());
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
                // The library's own call does not quote the name, which is printable ASCII by now.
                let command = format!("UID COPY {fresh} {}", quoted(folder));
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

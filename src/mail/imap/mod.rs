//! A mailbox reached by IMAP (RFC 3501), with the `imap` library over a guarded stream.
//!
//! The library runs the commands with short answers: SELECT, STORE, COPY, MOVE, EXPUNGE, CREATE.
//! Between two of them commands written here use the same stream where its way does not do: the
//! sign-in shows no token and needs little code ([`connect`]), messages go from the wire to the
//! sink without being held ([`retrieve`]), SEARCH and LIST take every form of answer ([`search`]),
//! and what a server says unasked is not asked for. `wire` bounds all that is read, `guard` decides
//! what the library sees. `ENABLE IMAP4rev2` is never sent: it changes the answers.

mod connect;
mod describe;
mod faults;
mod fetch;
mod folders;
#[cfg(any(fuzzing, test))]
pub mod fuzz;
mod guard;
mod line;
mod retrieve;
mod search;
mod settle;
#[cfg(test)]
mod tests;
mod uid_set;
mod wire;

pub use connect::open;
pub use faults::is_not_connected;

use super::{
    Detail, Folder, Horizon, Listing, Mailbox, Missing, Page, Part, Query, RemoteId, Settled, Sink,
    Traits, names, utf7,
};
use crate::fault::{Cause, Fault};
use crate::model::AfterFetch;
use anyhow::Result;
use faults::{Meaning, Place, meaning};
use guard::Guard;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use wire::{Cut, Failure, Wire};

/// Messages on a page of a listing.
const PAGE: usize = 2000;

/// A signed-in session.
pub struct ImapMailbox {
    place: Place,
    wire: Rc<RefCell<Wire>>,
    /// `None` once the connection is of no more use.
    session: Option<imap::Session<Guard>>,
    /// The open folder's name.
    folder: Option<String>,
}

impl ImapMailbox {
    fn new(place: Place, wire: Rc<RefCell<Wire>>, session: imap::Session<Guard>) -> ImapMailbox {
        ImapMailbox {
            place,
            wire,
            session: Some(session),
            folder: None,
        }
    }

    /// The folder in which the server keeps what was sent: that with the attribute `\Sent`
    /// (RFC 6154), else one of the usual names.
    pub fn sent_folder(&mut self) -> Result<Option<String>> {
        self.to("cannot list the folders", folders::sent)
    }

    /// How many messages of a folder have this Message-ID.
    pub fn find_message_id(&mut self, folder: &str, id: &str) -> Result<usize> {
        self.open(folder, false)?;
        let found = self.to("cannot look for the message", |wire| {
            search::with_message_id(wire, id)
        })?;
        Ok(found.len())
    }

    /// The texts since the last call that the server wants a person to see.
    pub fn take_alerts(&mut self) -> Vec<String> {
        std::mem::take(&mut self.wire.borrow_mut().heard.alerts)
    }

    /// Runs a command of the library.
    fn ask<T>(
        &mut self,
        command: impl FnOnce(&mut imap::Session<Guard>) -> imap::Result<T>,
    ) -> Result<T, Failure> {
        let session = self.session.as_mut().ok_or(Cut::Closed)?;
        let result = caught(|| command(session)).map_err(|e| failure(e, &self.wire));
        self.close_after(result)
    }

    /// Runs a command on the same stream.
    fn on_wire<T>(
        &mut self,
        command: impl FnOnce(&mut Wire) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        if self.session.is_none() {
            return Err(Cut::Closed.into());
        }
        let result = command(&mut self.wire.borrow_mut());
        self.close_after(result)
    }

    /// As [`ImapMailbox::on_wire`]; `what` says what cannot be done where it fails.
    fn to<T>(
        &mut self,
        what: &str,
        command: impl FnOnce(&mut Wire) -> Result<T, Failure>,
    ) -> Result<T> {
        let done = self.on_wire(command);
        done.map_err(|failure| self.fault(what, failure))
    }

    /// Whether the server offers a capability.
    fn offers(&mut self, name: &str) -> Result<bool> {
        self.to("cannot talk to the server", |wire| wire.offers(name))
    }

    fn close_after<T>(&mut self, result: Result<T, Failure>) -> Result<T, Failure> {
        if let Err(Failure::Cut(_)) = &result {
            self.session = None;
        }
        result
    }

    fn fault(&self, what: &str, failure: Failure) -> anyhow::Error {
        faults::failed(&self.place, what, failure)
    }

    fn select(&mut self, folder: &str, write: bool) -> Result<imap::types::Mailbox, Failure> {
        let name = utf7::encode(folder);
        self.ask(|session| match write {
            true => session.select(&name),
            false => session.examine(&name),
        })
    }

    /// The folders' names, decoded.
    fn folders(&mut self) -> Result<Vec<String>> {
        self.to("cannot list the folders", folders::list)
    }

    /// A folder of this name in the other form of Unicode, where there is none in this one.
    fn other_form(&mut self, folder: &str) -> Result<Option<String>, Failure> {
        if folder.is_ascii() {
            return Ok(None);
        }
        let listed = self.on_wire(folders::list)?;
        let other = listed.iter().find(|name| names::look_same(name, folder));
        Ok(other
            .filter(|_| !listed.iter().any(|name| name == folder))
            .cloned())
    }

    /// Tells a folder that is not there from one that cannot be opened.
    fn cannot_open(&mut self, folder: &str, failure: Failure) -> anyhow::Error {
        let what = format!(
            "cannot open folder `{folder}` of mailbox `{}`",
            self.place.user
        );
        if let Failure::Refused(words) = &failure
            && matches!(meaning(words), Meaning::NoFolder | Meaning::Other)
            && let Ok(listed) = self.on_wire(folders::list)
            && !listed.iter().any(|name| same_folder(name, folder))
        {
            return names::no_folder(&self.place.user, folder, &listed)
                .said(words.clone())
                .into();
        }
        self.fault(&what, failure)
    }
}

impl Mailbox for ImapMailbox {
    fn open(&mut self, folder: &str, write: bool) -> Result<Folder> {
        self.folder = None;
        {
            let heard = &mut self.wire.borrow_mut().heard;
            (heard.exists, heard.uid_next, heard.permanent) = (0, None, None);
            heard.next_is_wrong = false;
        }
        let mut opened = self.select(folder, write);
        if matches!(opened, Err(Failure::Refused(_)))
            && let Ok(Some(name)) = self.other_form(folder)
        {
            opened = self.select(&name, write);
        }
        let opened = match opened {
            Ok(opened) => opened,
            Err(failure) => return Err(self.cannot_open(folder, failure)),
        };
        let Some(uidvalidity) = opened.uid_validity else {
            return Err(Fault::refused(format!(
                    "`{}` sends no UIDVALIDITY for folder `{folder}`, so its messages cannot be identified",
                    self.place.host
                ),
            )
            .into());
        };
        if write && opened.is_read_only {
            return Err(Fault::no_access(format!(
                    "folder `{folder}` of mailbox `{}` is read-only: nothing can be marked, moved or deleted in it",
                    self.place.user
                ),
            )
            .cause(Cause::ReadOnly)
            .said(self.wire.borrow().heard.tagged.clone())
            .into());
        }
        self.folder = Some(folder.to_owned());
        Ok(Folder {
            uidvalidity,
            exists: opened.exists,
            next: self.wire.borrow().heard.uid_next.map(RemoteId::from),
        })
    }

    fn list(&mut self, query: &Query, page: &mut Page<'_>) -> Result<Listing> {
        let after = match &query.after {
            Some(mark) => Some(mark.parse().map_err(|_| {
                Fault::bug(format!("`{mark}` is not a position in an IMAP folder"))
            })?),
            None => None,
        };
        let (since, select) = (query.since, query.select.as_ref());
        let mut uids = self.to("cannot list the messages", |wire| {
            search::search(wire, after, since, select)
        })?;
        let is_at_mark = after.is_some() && uids.first().copied() == after;
        let at_mark = is_at_mark.then(|| RemoteId::from(uids.remove(0)));
        for uids in uids.chunks(PAGE) {
            page(uids.iter().map(|uid| RemoteId::from(*uid).into()).collect())?;
        }
        // What has arrived since the folder was opened may be at UIDNEXT or beyond it. So may be
        // what no server gives, and beyond that mail would be passed over: the mark stays below.
        let next = self.wire.borrow().heard.uid_next;
        let is_below = |uid: &&u32| next.is_none_or(|next| **uid < next);
        let last = uids.iter().rfind(is_below).map(u32::to_string);
        Ok(Listing {
            mark: last.or_else(|| query.after.clone()),
            at_mark,
        })
    }

    /// By UIDNEXT; where the server does not tell it, by the highest UID.
    fn horizon(&mut self) -> Result<Horizon> {
        let next = self.wire.borrow().heard.uid_next;
        let highest = match next {
            Some(next) => Some(next - 1),
            None => {
                let all = |wire: &mut Wire| search::search(wire, None, None, None);
                self.to("cannot list the messages", all)?.last().copied()
            }
        };
        Ok(Horizon {
            highest: Some(RemoteId::from(highest.unwrap_or(0))),
            ..Horizon::default()
        })
    }

    fn describe(&mut self, ids: &[RemoteId], detail: Detail) -> Result<Vec<(RemoteId, Traits)>> {
        let uids = uids(ids)?;
        let found = self.to("cannot look at the messages", |wire| {
            describe::describe(wire, &uids, detail)
        });
        found.map(by_id)
    }

    fn retrieve(
        &mut self,
        ids: &[RemoteId],
        part: Part,
        sink: &mut dyn Sink,
    ) -> Result<Vec<(RemoteId, Missing)>> {
        let uids = uids(ids)?;
        self.on_wire(|wire| retrieve::retrieve(wire, &uids, part, sink))
            .map(by_id)
            .map_err(|failure| match failure {
                Failure::Cut(cut) => faults::cut_off(&self.place, cut),
                refused => self.fault("cannot retrieve the messages", refused),
            })
    }

    fn present(&mut self, ids: &[RemoteId]) -> Result<Vec<RemoteId>> {
        let uids = uids(ids)?;
        let found = self.to("cannot look for messages", |wire| {
            search::present(wire, &uids)
        })?;
        Ok(found.into_iter().map(RemoteId::from).collect())
    }

    fn settle(&mut self, ids: &[RemoteId], action: &AfterFetch) -> Result<Settled> {
        let uids = uids(ids)?;
        self.settle_uids(&uids, action)
    }

    /// By what the server offers, and by PERMANENTFLAGS (RFC 3501 §7.1).
    fn may_settle(&mut self, action: &AfterFetch) -> Result<()> {
        let flag = match action {
            AfterFetch::Keep => return Ok(()),
            AfterFetch::Seen => "\\Seen",
            AfterFetch::Delete => "\\Deleted",
            AfterFetch::Move(_) => {
                self.may_move()?;
                if self.offers("MOVE")? {
                    return Ok(());
                }
                "\\Deleted"
            }
        };
        let kept = |flags: &String| {
            let mut flags = flags.split(['(', ')', ' ']);
            flags.any(|kept| kept.eq_ignore_ascii_case(flag))
        };
        if self.wire.borrow().heard.permanent.as_ref().is_none_or(kept) {
            return Ok(());
        }
        Err(Fault::no_access(format!(
            "folder `{}` of mailbox `{}` does not keep the flag {flag}",
            self.folder.as_deref().unwrap_or_default(),
            self.place.user
        ))
        .cause(Cause::FlagNotKept)
        .into())
    }

    /// Exchange finds a folder by its name in any case; where names differ by case or the form of
    /// Unicode alone and are not one folder, both are listed.
    fn is_one_folder(&mut self, name: &str, other: &str) -> Result<bool> {
        if same_folder(name, other) || !names::same_but_for_case(name, other) {
            return Ok(same_folder(name, other));
        }
        let listed = self.folders()?;
        let is_listed = |wanted: &str| listed.iter().any(|name| name == wanted);
        Ok(!(is_listed(name) && is_listed(other)))
    }

    /// The farewell is not waited for: all that was to be done has been answered.
    fn close(&mut self) {
        let _ = self.on_wire(|wire| Ok(wire.send_command("LOGOUT")?));
        self.session = None;
    }
}

/// The UIDs, ascending, each once.
fn uids(ids: &[RemoteId]) -> Result<Vec<u32>> {
    let mut uids = Vec::with_capacity(ids.len());
    for id in ids {
        match id.as_number() {
            Some(uid) if uid > 0 => uids.push(uid),
            _ => return Err(Fault::bug(format!("`{id}` is not an IMAP UID")).into()),
        }
    }
    uids.sort_unstable();
    uids.dedup();
    Ok(uids)
}

/// What is known of messages, by the ids that others have of them.
fn by_id<T>(known: Vec<(u32, T)>) -> Vec<(RemoteId, T)> {
    let with_id = |(uid, what)| (RemoteId::from(uid), what);
    known.into_iter().map(with_id).collect()
}

/// Only INBOX is the same in every case (RFC 3501 §5.1).
fn same_folder(a: &str, b: &str) -> bool {
    a == b || (a.eq_ignore_ascii_case("INBOX") && b.eq_ignore_ascii_case("INBOX"))
}

/// Runs a call of the library, whose parser may panic; the guard leaves it no cause to.
fn caught<T>(call: impl FnOnce() -> imap::Result<T>) -> imap::Result<T> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or(Err(imap::Error::ConnectionLost))
}

/// What an error of the library was about: the guard knows better.
fn failure(e: imap::Error, wire: &RefCell<Wire>) -> Failure {
    if let Some(cut) = wire.borrow_mut().heard.cut.take() {
        return cut.into();
    }
    match e {
        imap::Error::No(_) | imap::Error::Bad(_) => {
            Failure::Refused(wire.borrow().heard.tagged.clone())
        }
        imap::Error::Validate(e) => {
            Cut::Disorder(format!("no answer to a bad argument: {e}")).into()
        }
        other => Cut::Disorder(format!("an answer that cannot be read: {other}")).into(),
    }
}

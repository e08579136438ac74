//! Whether the UIDs of a folder mean other messages now, as they do in a mailbox that was restored
//! from a backup under the same UIDVALIDITY: old UIDs are given to new mail.
//!
//! Three signs tell it. UIDNEXT, which only ever grows (RFC 3501 §2.3.1.1), is no higher than a UID
//! on record. The message at the mark, which had left the folder, is there. And what has the UID of
//! a message that was delivered is another message: that is looked at before the server is told what
//! an earlier run could not tell it, for mail that nobody has fetched must not be deleted.

use super::AT_ONCE;
use super::identity::{HeadReader, Identity};
use crate::fault::{Fault, Scope};
use crate::mail::{self, Mailbox, Part, RemoteId, Sink};
use crate::state::{FolderRecord, Store, Unsettled};
use anyhow::Result;
use std::collections::{HashMap, HashSet};
use std::io;

/// By UIDNEXT. Where the message that has the highest UID on record is still there, the server tells
/// a wrong one.
pub fn by_next(
    mailbox: &mut dyn Mailbox,
    opened: &mail::Folder,
    store: &Store,
    record: &FolderRecord,
) -> Result<bool> {
    let Some(next) = &opened.next else {
        return Ok(false);
    };
    match store.highest(record)? {
        Some(highest) if *next <= highest => Ok(mailbox.present(&[highest])?.is_empty()),
        _ => Ok(false),
    }
}

/// By any sign. Asks the server for more than a fetch does, which sees the message at the mark in
/// its listing and the others when it tells the server of them.
pub fn by_any_sign(
    mailbox: &mut dyn Mailbox,
    opened: &mail::Folder,
    store: &Store,
    record: &FolderRecord,
    now: i64,
) -> Result<bool> {
    if by_next(mailbox, opened, store, record)? {
        return Ok(true);
    }
    let mark = record.mark.as_deref().and_then(RemoteId::of_mark);
    if let Some(mark) = mark
        && store.has_left(record, &mark)?
        && !mailbox.present(&[mark])?.is_empty()
    {
        return Ok(true);
    }
    let mut row = 0;
    loop {
        let (last, part) = store.unsettled(record.id, record.epoch, row, AT_ONCE, now)?;
        if part.is_empty() {
            return Ok(false);
        }
        if matches!(compare(mailbox, &part)?, Compared::Others) {
            return Ok(true);
        }
        row = last;
    }
}

/// What a folder holds under the ids of messages that were delivered by an earlier run.
pub enum Compared {
    /// One of them is another message.
    Others,
    /// Those messages, or nothing any more; except for these, which the server does not show.
    Same(Vec<(RemoteId, Fault)>),
}

/// Compares messages of the open folder with those that were delivered under their ids. An id that
/// does not ascend stays one message's for good (Graph).
pub fn compare(mailbox: &mut dyn Mailbox, delivered: &[Unsettled]) -> Result<Compared> {
    let ids: Vec<RemoteId> = delivered
        .iter()
        .map(|message| message.remote.clone())
        .filter(RemoteId::ascends)
        .collect();
    let mut seen = Identities::default();
    if !ids.is_empty() {
        mailbox.retrieve(&ids, Part::Header, &mut seen)?;
    }
    // Without a Message-ID the text tells which mail it is.
    let is_known = |id: &RemoteId| {
        let identity = seen.found.get(id);
        identity.is_some_and(|identity| identity.message_id.is_some())
    };
    let whole: Vec<RemoteId> = ids.into_iter().filter(|id| !is_known(id)).collect();
    let mut doubtful = Vec::new();
    if !whole.is_empty() {
        let missing = mailbox.retrieve(&whole, Part::Whole, &mut seen)?;
        for (id, _) in &missing {
            seen.found.remove(id);
        }
        doubtful = missing.into_iter().map(|(id, _)| id).collect();
    }
    for message in delivered {
        let Some(identity) = seen.found.get(&message.remote) else {
            continue;
        };
        if identity.is_placeholder(&message.remote) {
            doubtful.push(message.remote.clone());
        } else if message.fingerprint != Some(identity.fingerprint) {
            return Ok(Compared::Others);
        }
    }
    if doubtful.is_empty() {
        return Ok(Compared::Same(Vec::new()));
    }
    let present: HashSet<RemoteId> = mailbox.present(&doubtful)?.into_iter().collect();
    doubtful.retain(|id| present.contains(id));
    let not_shown = doubtful.into_iter().map(|id| {
        let what = format!(
            "cannot mark, move or delete the delivered message {id}: the server does not return it again, so queuemail cannot confirm that it is the same message"
        );
        (id, Fault::try_later(what).of(Scope::Message))
    });
    Ok(Compared::Same(not_shown.collect()))
}

/// Takes messages for their identities alone.
#[derive(Default)]
struct Identities {
    open: HeadReader,
    found: HashMap<RemoteId, Identity>,
}

impl Sink for Identities {
    fn begin(&mut self, _announced: Option<u64>) -> io::Result<()> {
        self.open = HeadReader::default();
        Ok(())
    }

    fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        self.open.take(octets);
        Ok(())
    }

    fn end(&mut self, id: &RemoteId) -> io::Result<()> {
        let identity = std::mem::take(&mut self.open).finish();
        self.found.insert(id.clone(), identity);
        Ok(())
    }

    fn discard(&mut self) {
        self.open = HeadReader::default();
    }
}

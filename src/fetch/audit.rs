//! The proof of completeness: what the server holds against the ledger.

use super::Job;
use super::look::{Seen, each_folder};
use crate::mail::{Mailbox, Query, RemoteId};
use crate::state::{Epoch, Store, uidvalidity};
use anyhow::Result;
use std::collections::HashSet;

/// What became of the messages that a folder of the server holds now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    pub folder: String,
    pub on_server: u64,
    pub delivered: u64,
    pub quarantined: u64,
    /// Dropped from quarantine by a person.
    pub dropped: u64,
    /// Failed before, or arrived since the last run: the next run takes them.
    pub pending: u64,
    /// Passed over: neither on record nor ahead of the mark. Put back, so that the next run takes
    /// them.
    pub unaccounted: Vec<RemoteId>,
}

/// Audits a mailbox, folder by folder. The caller holds its lock.
pub fn audit(
    job: &Job,
    store: &Store,
    mailbox: &mut dyn Mailbox,
    now: i64,
    mut found: impl FnMut(&Audit) -> Result<()>,
) -> Result<()> {
    each_folder(job, store, mailbox, &mut |mailbox, seen| {
        found(&of_folder(store, mailbox, seen, now)?)
    })
}

fn of_folder(store: &Store, mailbox: &mut dyn Mailbox, seen: Seen<'_>, now: i64) -> Result<Audit> {
    let Seen {
        name,
        epoch,
        record,
    } = seen;
    let mut audit = Audit {
        folder: name.to_owned(),
        ..Audit::default()
    };
    let listed = mailbox.list(&Query::default())?.ids;
    let (states, known) = match &record {
        Some(record) => (
            store.states(record.id, epoch)?,
            store.accounted(record.id, epoch, None, &listed)?,
        ),
        None => Default::default(),
    };
    let mark = record.as_ref().and_then(|r| r.mark.clone());
    let ahead = ahead(mailbox, mark, epoch)?;
    for id in listed {
        audit.on_server += 1;
        match states.get(&id).map(String::as_str) {
            Some("delivered") => audit.delivered += 1,
            Some("quarantined") => audit.quarantined += 1,
            Some("dropped") => audit.dropped += 1,
            Some(_) => audit.pending += 1,
            // Moved away, forgotten, and put back by a person.
            None if known.contains(&id) => audit.delivered += 1,
            None if ahead.as_ref().is_some_and(|a| !a.holds(&id)) => audit.unaccounted.push(id),
            None => audit.pending += 1,
        }
    }
    if let Some(record) = record {
        store.put_back(record.id, epoch, &audit.unaccounted, now)?;
    }
    Ok(audit)
}

/// What lies ahead of the mark of a folder: not on record, and the next run's to take.
enum Ahead {
    /// IMAP's UIDs above this.
    Above(u32),
    /// What a listing from the mark gives: the marks of Graph tell nothing by themselves.
    Listed(HashSet<RemoteId>),
}

impl Ahead {
    fn holds(&self, id: &RemoteId) -> bool {
        match (self, id) {
            (Ahead::Above(mark), RemoteId::Uid(uid)) => uid > mark,
            (Ahead::Listed(ids), id) => ids.contains(id),
            (Ahead::Above(_), RemoteId::Graph(_)) => true,
        }
    }
}

/// `None` where nothing has been fetched yet, so that all lies ahead.
fn ahead(mailbox: &mut dyn Mailbox, mark: Option<String>, epoch: Epoch) -> Result<Option<Ahead>> {
    let Some(mark) = mark else {
        return Ok(None);
    };
    if uidvalidity(epoch) != 0 {
        return Ok(mark.parse().ok().map(Ahead::Above));
    }
    let listing = mailbox.list(&Query {
        after: Some(mark),
        since: None,
    })?;
    Ok(Some(Ahead::Listed(listing.ids.into_iter().collect())))
}

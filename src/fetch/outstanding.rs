//! What of a folder is to be retrieved: what is due again and what is new, in order.

use super::Job;
use super::pile::Sorted;
use super::sift::{Found, Sift};
use crate::mail::{Listed, Mailbox, RemoteId};
use crate::state::{FolderRecord, Standing, Store};
use anyhow::Result;
use std::collections::HashMap;

/// So many that are listed are held against the ledger together: Graph lists a hundred at a time, and a
/// ledger may be far away.
const LISTED: usize = 1000;

/// What is to be retrieved, and what became of the rest of the folder.
pub struct Outstanding {
    /// In the order of arrival. Where ids ascend, a part of the work moves the mark, which passes
    /// over all below it. Where they do not, those that failed before are first.
    pub ids: Sorted,
    /// Those of the others that this run goes on without (see [`super::pass::Pass`]).
    pub set_aside: Vec<RemoteId>,
    pub found: Found,
    /// All that the folder holds is accounted for once all of `ids` is. Not so where some is left out:
    /// a listing of some days only says nothing of what lies before them, and what is not selected is
    /// not on record, for another selection may take it.
    pub is_all: bool,
    /// The listing's.
    mark: Option<String>,
}

impl Outstanding {
    /// The mark that holds once all of it is accounted for: nothing may pass over what is left out.
    pub fn mark(&self) -> Option<&str> {
        self.mark.as_deref().filter(|_| self.is_all)
    }

    /// Leaves out what comes after the first `most`.
    pub fn truncate(&mut self, most: u64) {
        self.is_all &= self.ids.count() <= most;
        self.ids.truncate(most);
    }
}

/// What is due again and what is new, of that which the sieve lets through and which is not set
/// aside. Beyond the id `highest`, if it is known, nothing is on record. `None` where the UIDs went
/// back: what is at the mark had left the folder.
pub fn outstanding(
    job: &Job,
    store: &Store,
    mailbox: &mut dyn Mailbox,
    record: &FolderRecord,
    mut sift: Sift<'_>,
    mut highest: Option<RemoteId>,
    is_set_aside: impl Fn(&RemoteId) -> bool,
) -> Result<Option<Outstanding>> {
    let epoch = record.epoch;
    let mut set_aside = Vec::new();
    let mut is_wanted = |id: &RemoteId| {
        let is_wanted = !is_set_aside(id);
        if !is_wanted {
            set_aside.push(id.clone());
        }
        is_wanted
    };
    // To catch up is to skip also what could not be fetched so far.
    let until = match job.catch_up {
        true => i64::MAX / 2,
        false => store.now(),
    };
    store.due(record.id, epoch, until, &mut |id| match is_wanted(&id) {
        true if job.catch_up => sift.take_again(id),
        true => sift.take_due(id),
        false => Ok(()),
    })?;
    let query = sift.query(job, record.mark.clone());
    let mut take = |listed: Vec<Listed>| {
        let ids: Vec<RemoteId> = listed.iter().map(|listed| listed.id.clone()).collect();
        sift.see(&ids);
        let known = on_record(store, record, ids, &mut highest)?;
        let is_new = |listed: &Listed| !known.contains_key(&listed.id) && is_wanted(&listed.id);
        sift.take(listed.into_iter().filter(is_new).collect())
    };
    let mut waiting = Vec::new();
    let listing = mailbox.list(&query, &mut |page| {
        waiting.extend(page);
        match waiting.len() < LISTED {
            true => Ok(()),
            false => take(std::mem::take(&mut waiting)),
        }
    })?;
    if !waiting.is_empty() {
        take(waiting)?;
    }
    if let Some(id) = &listing.at_mark
        && store.has_left(record, id)?
    {
        return Ok(None);
    }
    let (ids, found) = sift.finish(mailbox)?;
    Ok(Some(Outstanding {
        is_all: set_aside.is_empty() && job.since.is_none() && job.select.is_none(),
        ids,
        set_aside,
        found,
        mark: listing.mark,
    }))
}

/// What became of those messages that are on record. Beyond `highest`, if it is known, nothing is. It
/// moves on with the listing, for what is skipped goes on record while the rest is listed.
fn on_record(
    store: &Store,
    record: &FolderRecord,
    ids: Vec<RemoteId>,
    highest: &mut Option<RemoteId>,
) -> Result<HashMap<RemoteId, Standing>> {
    let first = ids.iter().min().filter(|id| id.ascends());
    let known = match highest.as_ref().zip(first) {
        Some((highest, first)) if *highest < *first => HashMap::new(),
        _ => store.accounted(record.id, record.epoch, &ids)?,
    };
    if let Some(highest) = highest {
        *highest = ids.into_iter().fold(highest.clone(), RemoteId::max);
    }
    Ok(known)
}

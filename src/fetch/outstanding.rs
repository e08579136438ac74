//! What of a folder is to be retrieved: what is due again and what is new, in order.

use super::Job;
use super::pile::Sorted;
use super::sift::{Found, Sift};
use crate::mail::{Listed, Mailbox, RemoteId};
use crate::state::{FolderRecord, Store};
use anyhow::Result;

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
/// aside. `None` where the UIDs went back: what is at the mark had left the folder.
pub fn outstanding(
    job: &Job,
    store: &Store,
    mailbox: &mut dyn Mailbox,
    record: &FolderRecord,
    mut sift: Sift<'_>,
    is_set_aside: impl Fn(&RemoteId) -> bool,
) -> Result<Option<Outstanding>> {
    let epoch = record.epoch;
    let mut set_aside = Vec::new();
    let mut is_wanted = |id: &RemoteId| {
        let is_set_aside = is_set_aside(id);
        if is_set_aside {
            set_aside.push(id.clone());
        }
        !is_set_aside
    };
    // To catch up is to skip also what could not be fetched so far.
    let until = if job.catch_up {
        i64::MAX / 2
    } else {
        store.now()
    };
    store.due(record.id, epoch, until, &mut |id| match is_wanted(&id) {
        true if job.catch_up => sift.take_again(id),
        true => sift.take_due(id),
        false => Ok(()),
    })?;
    let query = sift.query(job, record.mark.clone());
    let listing = mailbox.list(&query, &mut |page| {
        let ids: Vec<RemoteId> = page.iter().map(|listed| listed.id.clone()).collect();
        sift.see(&ids);
        let known = store.accounted(record.id, epoch, &ids)?;
        let is_new = |listed: &Listed| !known.contains_key(&listed.id) && is_wanted(&listed.id);
        sift.take(page.into_iter().filter(is_new).collect())
    })?;
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

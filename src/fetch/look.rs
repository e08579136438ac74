//! `fetch --dry-run`: what a run would do. And what it has in common with an audit: each folder is
//! looked at once, and nothing changes.

use super::errors::is_of_folder;
use super::outstanding::outstanding;
use super::pile::Sorted;
use super::sift::Sift;
use super::start::{self, Horizon};
use super::{Job, folder_key, mailbox_key, restored};
use crate::mail::Mailbox;
use crate::state::{Epoch, FolderRecord, Store};
use anyhow::Result;

/// A folder that is looked at.
pub struct Seen<'a> {
    pub name: &'a str,
    pub epoch: Epoch,
    /// What is known of it, if it was fetched before.
    pub record: Option<FolderRecord>,
}

/// Has each folder of the job looked at, open and once by whatever names it has. One that is gone,
/// or not permitted, keeps no other back; the first such error is returned.
pub fn each_folder(
    job: &Job,
    store: &Store,
    mailbox: &mut dyn Mailbox,
    look: &mut dyn FnMut(&mut dyn Mailbox, Seen<'_>) -> Result<()>,
) -> Result<()> {
    let mut keys = Vec::new();
    let mut one = |name: &str| {
        let opened = mailbox.open(name, false)?;
        let key = folder_key(job, name, store, mailbox, &keys)?;
        if keys.contains(&key) {
            return Ok(());
        }
        let mut record =
            store.folder_record(&mailbox_key(&job.address), &key, opened.uidvalidity)?;
        if let Some(known) = &record
            && restored::by_any_sign(mailbox, &opened, store, known, store.now())?
        {
            record = Some(known.with_uids_gone_back());
        }
        keys.push(key);
        let seen = Seen {
            name,
            epoch: record
                .as_ref()
                .map_or_else(|| opened.uidvalidity.into(), |record| record.epoch),
            record,
        };
        look(mailbox, seen)
    };
    let mut first = Ok(());
    for name in &job.folders {
        match one(name) {
            Err(err) if is_of_folder(&err) => first = first.and(Err(err)),
            looked => looked?,
        }
    }
    first
}

/// What a run would do with a folder.
pub struct Listing<'a> {
    pub folder: &'a str,
    pub epoch: Epoch,
    /// To be fetched, in order.
    pub ids: &'a Sorted,
    /// There before fetching began, and to be skipped.
    pub skipped: u64,
}

/// Tells what would be fetched, folder by folder.
/// Changes nothing. The caller holds the mailbox's lock.
pub fn list(
    job: &Job,
    store: &Store,
    mailbox: &mut dyn Mailbox,
    mut found: impl FnMut(&Listing<'_>) -> Result<()>,
) -> Result<()> {
    let mut left = job.limit.map(u64::from);
    each_folder(job, store, mailbox, &mut |mailbox, seen| {
        let record = seen.record.as_ref();
        let horizon = match record {
            Some(record) => {
                let known = record.start.as_deref();
                start::of_record(known, job, store, mailbox, seen.epoch)?
            }
            None => Horizon::of_start(job.start, mailbox, seen.epoch)?,
        };
        let sift = || Sift::new(job, store, record, horizon.clone(), None).of_epoch(seen.epoch);
        let work = match record {
            Some(record) => outstanding(job, store, mailbox, record, sift(), None, |_| false)?,
            None => None,
        };
        let (mut ids, skipped) = match work {
            Some(work) => (work.ids, work.found.skipped),
            // Nothing is known of it, or its UIDs went back.
            None => {
                let mut sift = sift();
                let all = sift.query(job, None);
                mailbox.list(&all, &mut |page| sift.take(page))?;
                let (ids, found) = sift.finish(mailbox)?;
                (ids, found.skipped)
            }
        };
        if let Some(left) = &mut left {
            ids.truncate(*left);
            *left -= ids.count();
        }
        let epoch = seen.epoch;
        found(&Listing {
            folder: seen.name,
            epoch,
            ids: &ids,
            skipped,
        })
    })
}

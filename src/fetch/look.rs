//! A look at a mailbox that fetches nothing: what a run would do.

use super::pile::{Pile, Sorted};
use super::visit::{is_of_folder, outstanding};
use super::{Job, folder_key, mailbox_key, restored};
use crate::mail::{Mailbox, Query};
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
/// or closed to us, keeps no other back; the first such error is returned.
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

/// Tells what would be fetched: of each folder its name, its epoch and the messages, in order.
/// Changes nothing. The caller holds the mailbox's lock.
pub fn list(
    job: &Job,
    store: &Store,
    mailbox: &mut dyn Mailbox,
    mut found: impl FnMut(&str, Epoch, &Sorted) -> Result<()>,
) -> Result<()> {
    let mut left = job.limit.map(u64::from);
    each_folder(job, store, mailbox, &mut |mailbox, seen| {
        let work = match &seen.record {
            Some(record) => outstanding(job, store, mailbox, record, seen.epoch, |_| true)?,
            None => None,
        };
        let mut ids = match work {
            Some(work) => work.ids,
            // Nothing is known of it, or its UIDs went back.
            None => {
                let all = Query {
                    after: None,
                    since: job.since,
                };
                let mut pile = Pile::new(&job.scratch);
                mailbox.list(&all, &mut |page| {
                    page.into_iter().try_for_each(|listed| pile.add(listed))
                })?;
                pile.sort()?
            }
        };
        if let Some(left) = &mut left {
            ids.truncate(*left);
            *left -= ids.count();
        }
        found(seen.name, seen.epoch, &ids)
    })
}

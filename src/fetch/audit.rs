//! `fetch --audit`: proves that no message was missed. What the server holds is compared with what is
//! on record; what was missed is put back, so that the next run fetches it.

use super::look::{Seen, each_folder};
use super::pile::{Pile, Sorted};
use super::sift::Sift;
use super::{AT_ONCE, Job};
use crate::mail::{Listed, Mailbox, Query, RemoteId};
use crate::state::{Lock, Standing, Store};
use anyhow::Result;
use serde::Serialize;
use std::hash::{BuildHasher, RandomState};

/// The bits of a digest that hold a standing.
const STANDING: u64 = 7;

/// What became of the messages that a folder of the server holds now. Programs are told of it under
/// these names.
#[derive(Serialize)]
pub struct Audit {
    pub folder: String,
    pub on_server: u64,
    pub delivered: u64,
    pub quarantined: u64,
    /// Dropped from quarantine by a person.
    pub dropped: u64,
    /// There before fetching began.
    pub skipped: u64,
    /// Not on record, for they are not selected.
    pub not_selected: u64,
    /// Failed before, or arrived since the last run: the next run takes them.
    pub pending: u64,
    /// Passed over: neither on record nor ahead of the mark. Put back, so that the next run takes
    /// them.
    pub unaccounted: Sorted,
}

/// Audits a mailbox, of which `lock` is, folder by folder.
pub fn audit(
    job: &Job,
    store: &Store,
    lock: &Lock,
    mailbox: &mut dyn Mailbox,
    now: i64,
    mut found: impl FnMut(&Audit) -> Result<()>,
) -> Result<()> {
    each_folder(job, store, mailbox, &mut |mailbox, seen| {
        found(&of_folder(job, store, lock, mailbox, seen, now)?)
    })
}

fn of_folder(
    job: &Job,
    store: &Store,
    lock: &Lock,
    mailbox: &mut dyn Mailbox,
    seen: Seen<'_>,
    now: i64,
) -> Result<Audit> {
    let mark = seen.record.as_ref().and_then(|r| r.mark.as_deref());
    let Held {
        digests,
        not_selected,
        behind,
    } = held(job, store, mailbox, &seen)?;
    let unaccounted = match mark {
        Some(mark) if !behind.ascend() && behind.count() > 0 => {
            passed_over(job, mailbox, mark, &behind)?
        }
        _ => behind,
    };
    if let Some(record) = &seen.record {
        for ids in unaccounted.pages(AT_ONCE) {
            store.put_back(lock, record.id, seen.epoch, &ids?, now)?;
        }
    }
    let [delivered, quarantined, dropped, skipped, pending] = digests.counts();
    Ok(Audit {
        folder: seen.name.to_owned(),
        on_server: delivered + quarantined + dropped + skipped + pending,
        delivered,
        quarantined,
        dropped,
        skipped,
        not_selected,
        pending: pending.saturating_sub(unaccounted.count() + not_selected),
        unaccounted,
    })
}

/// What the open folder holds.
struct Held {
    /// Of every message, its standing; pending where none is on record.
    digests: Digests,
    not_selected: u64,
    /// Not on record and not above the mark, though they are to be fetched.
    behind: Sorted,
}

fn held(job: &Job, store: &Store, mailbox: &mut dyn Mailbox, folder: &Seen<'_>) -> Result<Held> {
    let record = folder.record.as_ref();
    let mark = record.and_then(|r| r.mark.as_deref());
    let selected = selected(job, store, mailbox)?;
    let mut not_selected = 0;
    let (mut digests, mut behind) = (Digests::default(), Pile::new(&job.scratch));
    mailbox.list(&Query::default(), &mut |page| {
        let ids: Vec<RemoteId> = page.iter().map(|listed| listed.id.clone()).collect();
        let known = match record {
            Some(record) => store.accounted(record.id, folder.epoch, &ids)?,
            None => Default::default(),
        };
        for listed in page {
            let standing = known.get(&listed.id).copied();
            digests.add(&listed.id, standing.unwrap_or(Standing::Pending));
            let is_left = selected.as_ref().is_some_and(|all| !all.holds(&listed.id));
            if standing.is_none() && is_left {
                not_selected += 1;
            } else if standing.is_none()
                // Where ids do not ascend, what is selected is found wherever it is.
                && (selected.is_none() || listed.id.ascends())
                && !is_above(&listed.id, mark)
            {
                behind.add(listed)?;
            }
        }
        Ok(())
    })?;
    Ok(Held {
        digests,
        not_selected,
        behind: behind.sort()?,
    })
}

/// The messages that are selected, where not all are: as a run finds them, wherever they are.
fn selected(job: &Job, store: &Store, mailbox: &mut dyn Mailbox) -> Result<Option<Digests>> {
    if job.select.is_none() {
        return Ok(None);
    }
    let mut sift = Sift::new(job, store, None, None, None);
    let query = sift.query(job, None);
    mailbox.list(&query, &mut |page| sift.take(page))?;
    let (ids, found) = sift.finish(mailbox)?;
    let mut all = Digests::default();
    for page in ids.pages(AT_ONCE) {
        for id in page? {
            all.add(&id, Standing::Pending);
        }
    }
    for one in found.too_large() {
        all.add(&one?.id, Standing::Pending);
    }
    all.sort();
    Ok(Some(all))
}

/// Ids, of which there may be a million: of each 61 bits are kept, and its standing. That two of a
/// million have the same is less likely than one in a million.
#[derive(Default)]
struct Digests {
    hasher: RandomState,
    found: Vec<u64>,
}

impl Digests {
    fn of(&self, id: &RemoteId) -> u64 {
        self.hasher.hash_one(id) & !STANDING
    }

    fn add(&mut self, id: &RemoteId, standing: Standing) {
        self.found.push(self.of(id) | standing as u64);
    }

    /// Makes [`Digests::holds`] ready to answer.
    fn sort(&mut self) {
        self.found.sort_unstable();
    }

    fn holds(&self, id: &RemoteId) -> bool {
        let digest = self.of(id);
        let at = self.found.partition_point(|found| *found < digest);
        self.found
            .get(at)
            .is_some_and(|found| found & !STANDING == digest)
    }

    /// How many there are of each standing, in the order of [`Standing`]; those added twice are
    /// counted once.
    fn counts(mut self) -> [u64; 5] {
        self.sort();
        self.found.dedup_by_key(|found| *found & !STANDING);
        let mut counts = [0; 5];
        for found in self.found {
            counts[(found & STANDING) as usize] += 1;
        }
        counts
    }
}

/// Whether the next run takes what is not on record: all where nothing has been fetched yet, and
/// ids above the mark where they ascend.
fn is_above(id: &RemoteId, mark: Option<&str>) -> bool {
    match mark.map(RemoteId::of_mark) {
        Some(Some(mark)) => id.ascends() && *id > mark,
        Some(None) => false,
        None => true,
    }
}

/// Those which a listing from the mark does not give.
fn passed_over(
    job: &Job,
    mailbox: &mut dyn Mailbox,
    mark: &str,
    unknown: &Sorted,
) -> Result<Sorted> {
    let query = Query {
        after: Some(mark.to_owned()),
        ..Query::default()
    };
    let mut ahead = Digests::default();
    mailbox.list(&query, &mut |page| {
        for listed in page {
            ahead.add(&listed.id, Standing::Pending);
        }
        Ok(())
    })?;
    ahead.sort();
    let mut rest = Pile::new(&job.scratch);
    for page in unknown.pages(AT_ONCE) {
        for id in page? {
            if !ahead.holds(&id) {
                rest.add(Listed::from(id))?;
            }
        }
    }
    rest.sort()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_is_listed_twice_counts_once() {
        let ids: Vec<_> = (0..1000)
            .map(|n| RemoteId::from(format!("AAk{n}")))
            .collect();
        let mut digests = Digests::default();
        for (n, id) in ids.iter().chain(&ids[..500]).enumerate() {
            let standing = match n % 10 {
                0 => Standing::Quarantined,
                1 => Standing::Dropped,
                2 | 3 => Standing::Pending,
                _ => Standing::Delivered,
            };
            digests.add(id, standing);
        }
        digests.sort();
        assert!(ids.iter().all(|id| digests.holds(id)));
        assert!(!digests.holds(&RemoteId::from("AAk1000".to_owned())));
        assert_eq!(digests.counts(), [600, 100, 100, 0, 200]);
    }
}

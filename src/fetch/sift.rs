//! What of a listing is new and to be fetched: the rest is skipped, recognised or not selected.
//!
//! Most folders need none of it: what is listed goes straight to the pile. Where it is needed,
//! messages are looked at without being retrieved: a page at a time by IMAP, with the listing by
//! Graph. What is not selected leaves no trace, so that another selection applies at once.

use super::aside::Aside;
use super::identity;
use super::pile::{Pile, Sorted};
use super::start::Horizon;
use super::{AT_ONCE, Folder, Job};
use crate::mail::{Detail, Listed, Mailbox, Query, RemoteId, Traits};
use crate::model::{Day, Recording, Select, Verdict};
use crate::state::{About, Epoch, FolderRecord, Lock, SkippedRecord, Store};
use anyhow::Result;
use std::collections::HashSet;
use std::path::Path;

/// A folder's listing on its way to the pile.
pub struct Sift<'a> {
    store: &'a Store,
    folder: i64,
    epoch: Epoch,
    horizon: Option<Horizon>,
    select: Option<&'a Select>,
    recording: Recording,
    /// Messages that were skipped in a former epoch may be there under new ids.
    recognises: bool,
    /// What is found out goes on record, by virtue of the mailbox's lock.
    lock: Option<&'a Lock>,
    scratch: &'a Path,
    /// Listed, and still to be looked at.
    bare: Pile,
    pile: Pile,
    pub found: Found,
}

/// What became of the messages that are not in the pile.
pub struct Found {
    /// There before fetching began.
    pub skipped: u64,
    /// Where ids ascend: the last message that is listed and behind the horizon.
    pub mark: Option<RemoteId>,
    /// There before fetching began, and on record as skipped under other ids.
    pub recognised: u64,
    too_large: Aside,
}

impl Found {
    /// The messages that are selected but for their size.
    pub fn too_large(&self) -> impl Iterator<Item = Result<TooLarge>> {
        self.too_large.all(|line| {
            let read: (bool, String, u64, About) = serde_json::from_str(line).ok()?;
            let (ascends, text, size, about) = read;
            let id = match ascends {
                true => RemoteId::of_mark(&text)?,
                false => RemoteId::from(text),
            };
            Some(TooLarge { id, size, about })
        })
    }
}

/// A message that is selected but for its size.
pub struct TooLarge {
    pub id: RemoteId,
    /// In octets, as the server counts them.
    pub size: u64,
    /// What is known of it without its being retrieved, for whoever finds it in quarantine.
    pub about: About,
}

impl<'a> Sift<'a> {
    /// `record` is `None` for a folder that is not on record yet. Without a `lock`,
    /// nothing changes.
    pub fn new(
        job: &'a Job,
        store: &'a Store,
        record: Option<&FolderRecord>,
        horizon: Option<Horizon>,
        lock: Option<&'a Lock>,
    ) -> Sift<'a> {
        Sift {
            store,
            folder: record.map_or(0, |record| record.id),
            epoch: record.map_or(0, |record| record.epoch),
            horizon,
            select: job.select.as_ref(),
            recording: job.recording,
            recognises: lock.is_some() && record.is_some_and(|record| record.skipped_before),
            lock,
            scratch: &job.scratch,
            bare: Pile::new(&job.scratch),
            pile: Pile::new(&job.scratch),
            found: Found {
                skipped: 0,
                mark: None,
                recognised: 0,
                too_large: Aside::new(&job.scratch),
            },
        }
    }

    /// For messages of the open folder that were skipped, of which the selected are to be fetched.
    pub fn of_skipped(job: &'a Job, store: &'a Store, folder: &'a Folder<'_>) -> Sift<'a> {
        let lock = Some(folder.lock);
        Sift {
            recognises: false,
            ..Sift::new(job, store, Some(&folder.record), None, lock)
        }
    }

    /// The epoch of a folder that is not on record yet.
    pub fn of_epoch(mut self, epoch: Epoch) -> Sift<'a> {
        self.epoch = epoch;
        self
    }

    /// What is to be asked of the server. What is behind the horizon is skipped, and what was is
    /// recognised, selected or not.
    pub fn query(&self, job: &Job, mark: Option<String>) -> Query {
        Query {
            after: mark,
            since: job.since.map(Day::date),
            detail: self.detail(),
            select: match self.horizon.is_some() || self.recognises {
                true => None,
                false => job.select.clone(),
            },
        }
    }

    fn detail(&self) -> Option<Detail> {
        match self.select {
            Some(_) => Some(Detail::Selection),
            None if self.horizon.is_some() || self.recognises => Some(Detail::Identity),
            None => None,
        }
    }

    /// A message that is to be tried again: it was selected when it was new.
    pub fn take_due(&mut self, id: RemoteId) -> Result<()> {
        self.pile.add(id.into())
    }

    /// A message that is to be looked at again, though it is on record.
    pub fn take_again(&mut self, id: RemoteId) -> Result<()> {
        self.bare.add(id.into())
    }

    /// Sees all that is listed, on record or not.
    pub fn see(&mut self, ids: &[RemoteId]) {
        if let Some(horizon) = &self.horizon {
            let behind = ids.iter().filter(|id| id.ascends());
            let behind = behind.filter(|id| horizon.is_behind(self.epoch, id, None));
            self.found.mark = behind.chain(&self.found.mark).max().cloned();
        }
    }

    /// Takes a page of messages that are not on record.
    pub fn take(&mut self, listed: Vec<Listed>) -> Result<()> {
        if self.detail().is_none() {
            return listed.into_iter().try_for_each(|one| self.pile.add(one));
        }
        let mut told = Vec::new();
        for one in listed {
            match one.traits {
                Some(_) => told.push(one),
                None => self.bare.add(one)?,
            }
        }
        self.judge(told)
    }

    /// Looks at what came without its traits; what is to be fetched, in order.
    pub fn finish(mut self, mailbox: &mut dyn Mailbox) -> Result<(Sorted, Found)> {
        let bare = std::mem::replace(&mut self.bare, Pile::new(self.scratch)).sort()?;
        if let Some(detail) = self.detail() {
            for ids in bare.pages(AT_ONCE) {
                let ids = ids?;
                let told = mailbox.describe(&ids, detail)?;
                let known: HashSet<RemoteId> = told.iter().map(|(id, _)| id.clone()).collect();
                let untold: Vec<RemoteId> =
                    ids.into_iter().filter(|id| !known.contains(id)).collect();
                self.judge(
                    told.into_iter()
                        .map(|(id, traits)| listed(id, traits))
                        .collect(),
                )?;
                self.take_untold(mailbox, &untold)?;
            }
        }
        Ok((self.pile.sort()?, self.found))
    }

    /// Of these the server tells nothing. What is there all the same is fetched, unless its id says
    /// that it is behind the horizon: what is wrong with it then comes to light.
    fn take_untold(&mut self, mailbox: &mut dyn Mailbox, ids: &[RemoteId]) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let epoch = self.epoch;
        let is_behind = |id: &RemoteId| {
            let horizon = self.horizon.as_ref();
            horizon.is_some_and(|horizon| horizon.is_behind(epoch, id, None))
        };
        let (behind, others): (Vec<RemoteId>, Vec<RemoteId>) =
            mailbox.present(ids)?.into_iter().partition(is_behind);
        let untold = |id| listed(id, Traits::default());
        self.skip(behind.into_iter().map(untold).collect())?;
        others
            .into_iter()
            .try_for_each(|id| self.pile.add(id.into()))
    }

    /// Decides about messages of which all is known that is asked for.
    fn judge(&mut self, mut told: Vec<Listed>) -> Result<()> {
        if let Some(lock) = self.lock.filter(|_| self.recognises) {
            let rows = records(&told);
            let known = self.store.recognise_skipped(
                lock,
                self.folder,
                self.epoch,
                &rows,
                self.store.now(),
            )?;
            self.found.recognised += known.len() as u64;
            told.retain(|one| !known.contains(&one.id));
        }
        if let Some(horizon) = &self.horizon {
            let (behind, beyond) = told.into_iter().partition(|one| {
                let received = one.traits.as_ref().and_then(|traits| traits.received);
                horizon.is_behind(self.epoch, &one.id, received)
            });
            self.skip(behind)?;
            told = beyond;
        }
        for one in told {
            let verdict = match (self.select, &one.traits) {
                (Some(select), Some(traits)) => {
                    select.verdict(traits.unread, &traits.from, &traits.subject, traits.size)
                }
                _ => Verdict::Selected,
            };
            match verdict {
                Verdict::Selected => self.pile.add(one)?,
                Verdict::NotSelected => {}
                Verdict::TooLarge => {
                    let traits = one.traits.map(|traits| *traits).unwrap_or_default();
                    let size = traits.size.unwrap_or_default();
                    let about = about(traits).within(self.recording);
                    let (ascends, id) = (one.id.ascends(), one.id.to_string());
                    let line = serde_json::to_string(&(ascends, id, size, &about))?;
                    self.found.too_large.add(&line)?;
                }
            }
        }
        Ok(())
    }

    fn skip(&mut self, behind: Vec<Listed>) -> Result<()> {
        self.found.skipped += match self.lock {
            Some(lock) => self.store.skip(
                lock,
                self.folder,
                self.epoch,
                &records(&behind),
                self.store.now(),
            )?,
            None => behind.len() as u64,
        };
        Ok(())
    }
}

fn listed(id: RemoteId, traits: Traits) -> Listed {
    Listed {
        traits: Some(Box::new(traits)),
        ..Listed::from(id)
    }
}

/// What a server tells of a message, as it is on record.
fn about(traits: Traits) -> About {
    let some = |text: String| Some(text).filter(|text| !text.is_empty());
    About {
        message_id: some(traits.message_id).map(|id| format!("<{id}>")),
        from: some(traits.from.join(", ")),
        sender: traits.from.into_iter().next(),
        subject: some(traits.subject),
        sha256: None,
    }
}

/// What is on record of messages once they are skipped.
fn records(listed: &[Listed]) -> Vec<SkippedRecord> {
    let record = |one: &Listed| {
        let traits = one.traits.as_deref()?;
        Some(SkippedRecord {
            remote: one.id.clone(),
            fingerprint: identity::of_skipped(&traits.message_id, traits.received, &traits.subject),
            received: traits.received,
        })
    };
    listed.iter().filter_map(record).collect()
}

//! Makes staged messages durable, delivers them and records it, many at a time.
//!
//! The order is the promise. For each batch:
//!
//! 1. the files are made durable, with their names;
//! 2. that they are about to be delivered, and how, is put on record;
//! 3. they are delivered, and that is made durable;
//! 4. that they are delivered is put on record.
//!
//! A crash before 2 leaves files that the next run sweeps away and messages that it fetches
//! again. A crash after 2 is finished by `delivery::recover`. The wire does not wait for the
//! disk: see `batches`.

use super::batches::{Exit, Staged};
use super::kept::{self, Kept};
use super::{Delivered, Folder, Reporter, Tally};
use crate::delivery::{self, Delivery, Intent, Letter, Rejected, Wait};
use crate::fault::Fault;
use crate::files;
use crate::mail::RemoteId;
use crate::state::{
    About, Arrived, Failure, Moment, Next, StagedRecord, Standing, Store, WaitName,
};
use anyhow::Result;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

/// A message, and how it will be delivered.
type Planned = (Letter, Intent);

/// What is needed of a message besides its [`Letter`].
struct Rest {
    path: PathBuf,
    fingerprint: [u8; 16],
    sha256: [u8; 32],
}

/// A message that is delivered, and not on record as that yet.
struct Done {
    letter: Letter,
    /// Where it is, for people.
    place: String,
    /// It cannot be seen from outside that it is delivered.
    unseen: bool,
}

/// Delivers what one retrieval brings.
pub struct Committer<'a> {
    pub store: &'a Store,
    pub folder: &'a Folder<'a>,
    pub delivery: &'a mut dyn Delivery,
    pub reporter: &'a dyn Reporter,
    pub tally: Tally,
    /// Every message of this retrieval that is accounted for, delivered or not.
    pub accounted: HashSet<RemoteId>,
    /// Those that were delivered and wait for the server to be told.
    pub delivered: Vec<RemoteId>,
    /// What is retrieved, …
    pub ids: &'a [RemoteId],
    /// … and the mark that is moved once all of it is accounted for.
    pub mark: Option<RemoteId>,
    pub is_marked: bool,
    /// So many deliveries in a row asked to be tried later.
    pub later_in_a_row: u32,
    /// See [`super::pass::Pass::restarted`].
    pub restarted: HashSet<String>,
}

/// After so many, the destination is taken to be down and the run goes on with other mailboxes.
const LATER_LIMIT: u32 = 3;

impl Committer<'_> {
    /// Works until the other end hangs up. After an error nothing more is delivered.
    pub fn run(&mut self, batches: Exit<'_>) -> Result<()> {
        while let Some(batch) = batches.batch(self.delivery.group()) {
            self.commit(batch)?;
        }
        Ok(())
    }

    fn commit(&mut self, batch: Vec<Staged>) -> Result<()> {
        let now = self.store.now();
        let mut batch = self.without_those_known(batch, now)?;
        batch.retain(|staged| !self.accounted.contains(&staged.id));
        if batch.is_empty() {
            return Ok(());
        }
        let (work, rests) = self.plan(batch)?;
        self.make_durable(&work)?;
        let recorded = Moment::now();
        let now = self.store.now();
        let abouts = self.put_on_record(&work, &rests, now)?;
        let (work, rests) = self.without_those_told_of(work, rests)?;
        if work.is_empty() {
            return Ok(());
        }
        let lock = self.folder.lock;
        let is_ours = |intent: &Intent| match intent.in_flight() {
            Some(_) => lock.check_since(recorded, delivery::LATEST_START),
            None => lock.check(),
        };
        let outcomes = self.delivery.deliver_all(&work, &is_ours);
        let mut delivered = Vec::with_capacity(work.len());
        let mut rejected = Vec::new();
        // What keeps everything from the destination.
        let mut broken = None;
        for (((letter, intent), rest), outcome) in work.into_iter().zip(&rests).zip(outcomes) {
            match outcome.map_err(|err| err.downcast::<Rejected>()) {
                Ok(place) => {
                    self.later_in_a_row = 0;
                    delivered.push(Done {
                        letter,
                        place,
                        unseen: intent.in_flight().is_some(),
                    });
                }
                Err(Ok(why)) => {
                    self.later_in_a_row += u32::from(!why.for_good);
                    rejected.push((letter, &rest.path, why));
                }
                Err(Err(err)) => {
                    let err = self.given_up(&letter, &intent, err);
                    broken.get_or_insert(err);
                }
            }
        }
        // What became of the others is put on record before anything is told of that.
        if let Err(err) = self.delivery.flush() {
            return Err(broken.unwrap_or(err));
        }
        self.record_delivered(delivered, &abouts, now)?;
        let enough = self.record_rejected(rejected, now)?;
        match broken.or(enough.map(Fault::into)) {
            Some(err) => Err(err),
            None => Ok(()),
        }
    }

    /// Decides how each message is delivered.
    fn plan(&mut self, batch: Vec<Staged>) -> Result<(Vec<Planned>, Vec<Rest>)> {
        let mut work = Vec::with_capacity(batch.len());
        let mut rests = Vec::with_capacity(batch.len());
        for staged in batch {
            let rest = Rest {
                path: staged.path,
                fingerprint: staged.identity.fingerprint,
                sha256: staged.sha256,
            };
            let letter = self.folder.letter(staged.id, staged.size, staged.identity);
            if self.folder.job.stamp {
                delivery::stamp(&rest.path, &letter)?;
            }
            let intent = self.delivery.plan(&rest.path, &letter)?;
            work.push((letter, intent));
            rests.push(rest);
        }
        Ok((work, rests))
    }

    fn record_delivered(
        &mut self,
        delivered: Vec<Done>,
        abouts: &HashMap<RemoteId, About>,
        now: i64,
    ) -> Result<()> {
        let unknown = About::default();
        let arrived: Vec<(&RemoteId, Arrived<'_>)> = delivered
            .iter()
            .map(|Done { letter, place, .. }| {
                let arrived = Arrived {
                    about: abouts.get(&letter.uid).unwrap_or(&unknown),
                    size: letter.size,
                    place,
                    delivery_id: &letter.delivery_id,
                };
                (&letter.uid, arrived)
            })
            .collect();
        let Folder { record, epoch, .. } = self.folder;
        let mailbox = super::mailbox_key(&self.folder.job.address);
        let origin = self.folder.job.origin(&mailbox, &self.folder.key);
        let mark = self.mark_after(&delivered).map(ToString::to_string);
        let next = Next {
            after: self.folder.after,
            mark: mark.as_deref(),
        };
        self.store
            .delivered(record.id, *epoch, &arrived, &next, &origin, now)
            .map_err(|err| self.not_recorded(&delivered, err))?;
        self.is_marked = mark.is_some();
        self.delivery.recorded();
        for Done { letter, place, .. } in delivered {
            self.tally.fetched += 1;
            self.tally.octets += letter.size;
            self.reporter.delivered(&Delivered {
                letter: &letter,
                delivered_to: &place,
            });
            self.accounted.insert(letter.uid.clone());
            self.delivered.push(letter.uid);
        }
        Ok(())
    }

    /// The mark, if with these all that is retrieved is accounted for.
    fn mark_after(&self, delivered: &[Done]) -> Option<&RemoteId> {
        let mark = self.mark.as_ref()?;
        if self.accounted.len() + delivered.len() < self.ids.len() {
            return None;
        }
        let new: HashSet<&RemoteId> = delivered.iter().map(|done| &done.letter.uid).collect();
        let is_accounted = |id| self.accounted.contains(id) || new.contains(id);
        self.ids.iter().all(is_accounted).then_some(mark)
    }

    /// Puts on record which messages were refused or put off, and returns why nothing more is
    /// delivered here in this run, if so.
    fn record_rejected(
        &mut self,
        rejected: Vec<(Letter, &PathBuf, Rejected)>,
        now: i64,
    ) -> Result<Option<Fault>> {
        let mut wait: Option<(Wait, String)> = None;
        let mut put_off = String::new();
        for (letter, path, why) in rejected {
            if self.failed(&letter.uid, &why.reason, why.for_good, now)? {
                Kept::new(self.store).take(&letter.delivery_id, path)?;
            } else {
                kept::remove(path).map_err(|e| delivery::cannot_write(path, &e))?;
            }
            if let Some(asked) = why.wait
                && wait
                    .as_ref()
                    .is_none_or(|(longest, _)| longest.time < asked.time)
            {
                wait = Some((asked, why.reason.clone()));
            }
            if !why.for_good {
                put_off = why.reason;
            }
        }
        let fault = match wait {
            Some((wait, reason)) => {
                let name = WaitName::Destination(&wait.destination);
                self.store
                    .keep_wait(name, wait.time, &reason, self.store.clock())?;
                let mut fault = Fault::try_later(reason);
                fault.retry_after = Some(wait.time);
                fault
            }
            None if self.later_in_a_row >= LATER_LIMIT => Fault::try_later(format!(
                "the delivery failed temporarily, {} times in a row: {put_off}",
                self.later_in_a_row
            )),
            None => return Ok(None),
        };
        Ok(Some(fault.hint(
            "the messages stay on the server, and a later run tries again",
        )))
    }

    /// A delivery that did not come about. Where the record says that somebody may still be at it,
    /// it says so no longer: else another host would wait for nothing.
    fn given_up(&self, letter: &Letter, intent: &Intent, err: anyhow::Error) -> anyhow::Error {
        if intent.in_flight().is_none() || !self.store.is_shared() {
            return err;
        }
        let Folder {
            lock,
            record,
            epoch,
            ..
        } = self.folder;
        match self.store.restart(lock, record.id, *epoch, &letter.uid) {
            Ok(()) => err,
            // That it is waited for is safe.
            Err(also) => err.context(format!("{also:#}")),
        }
    }

    /// That these are delivered could not be put on record: says which of them may come again.
    fn not_recorded(&self, delivered: &[Done], err: anyhow::Error) -> anyhow::Error {
        let again: Vec<String> = delivered
            .iter()
            .filter(|done| self.store.is_shared() && done.unseen)
            .map(|Done { letter, .. }| {
                format!("{} (delivery ID {})", letter.uid, letter.delivery_id)
            })
            .collect();
        match err.downcast::<Fault>() {
            Ok(fault) if !again.is_empty() => fault
                .hint(format!(
                    "delivered but not recorded, so it may be delivered again with the same delivery ID: message {}",
                    again.join(", ")
                ))
                .into(),
            Ok(fault) => fault.into(),
            Err(err) => err,
        }
    }

    /// Files that an intent names must survive what comes; a message that would be fetched
    /// again need not.
    fn make_durable(&self, work: &[(Letter, Intent)]) -> Result<()> {
        let files: Vec<&Path> = work.iter().flat_map(|(_, i)| i.files()).collect();
        if files.is_empty() {
            return Ok(());
        }
        files::sync_files(self.delivery.staging(), &files)
            .map_err(|e| delivery::cannot_write(self.delivery.staging(), &e))
    }

    fn put_on_record(
        &self,
        work: &[Planned],
        rests: &[Rest],
        now: i64,
    ) -> Result<HashMap<RemoteId, About>> {
        let records = work
            .iter()
            .zip(rests)
            .map(|((letter, intent), rest)| {
                Ok(StagedRecord {
                    remote: letter.uid.clone(),
                    intent: serde_json::to_string(intent)?,
                    fingerprint: rest.fingerprint,
                    size: letter.size,
                    about: self.folder.about(letter, &rest.sha256),
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let Folder {
            lock,
            record,
            epoch,
            ..
        } = self.folder;
        self.store.stage(lock, record.id, *epoch, &records, now)?;
        Ok(records.into_iter().map(|r| (r.remote, r.about)).collect())
    }

    /// Takes out what is not to be delivered: mail that was delivered under a former id, and
    /// the server's placeholders for messages that it could not convert.
    fn without_those_known(&mut self, batch: Vec<Staged>, now: i64) -> Result<Vec<Staged>> {
        let mut rest = Vec::with_capacity(batch.len());
        for staged in batch {
            if staged.identity.is_placeholder(&staged.id) {
                self.failed(&staged.id, PLACEHOLDER, false, now)?;
            } else if self.folder.record.renumbered
                && self.store.recognise(
                    self.folder.lock,
                    self.folder.record.id,
                    self.folder.epoch,
                    &staged.id,
                    &staged.identity.fingerprint,
                    now,
                )?
            {
                self.tally.recognised += 1;
                self.accounted.insert(staged.id.clone());
            } else {
                rest.push(staged);
                continue;
            }
            kept::remove(&staged.path).map_err(|e| delivery::cannot_write(&staged.path, &e))?;
        }
        Ok(rest)
    }

    /// Takes out what another host handed over, as it told only by now.
    fn without_those_told_of(
        &mut self,
        work: Vec<Planned>,
        rests: Vec<Rest>,
    ) -> Result<(Vec<Planned>, Vec<Rest>)> {
        let mut left = (
            Vec::with_capacity(work.len()),
            Vec::with_capacity(work.len()),
        );
        for ((letter, intent), rest) in work.into_iter().zip(rests) {
            if intent.in_flight().is_some() && self.is_told_of(&letter)? {
                let path = &rest.path;
                kept::remove(path).map_err(|e| delivery::cannot_write(path, &e))?;
                self.accounted.insert(letter.uid);
            } else {
                left.0.push((letter, intent));
                left.1.push(rest);
            }
        }
        Ok(left)
    }

    /// Whether another host delivered this message, and nobody knew until now: it tells so whenever it
    /// can, and what is delivered cannot be about to be.
    fn is_told_of(&self, letter: &Letter) -> Result<bool> {
        if !self.store.is_shared() || !self.restarted.contains(&letter.delivery_id) {
            return Ok(false);
        }
        let Folder { record, epoch, .. } = self.folder;
        let id = std::slice::from_ref(&letter.uid);
        let known = self.store.accounted(record.id, *epoch, id)?;
        Ok(known.get(&letter.uid) == Some(&Standing::Delivered))
    }

    /// Puts on record that a message could not be had. True when it is in quarantine now.
    pub fn failed(
        &mut self,
        id: &RemoteId,
        reason: &str,
        for_good: bool,
        now: i64,
    ) -> Result<bool> {
        let failure = Failure {
            reason,
            for_good,
            about: None,
        };
        let Folder {
            lock,
            record,
            epoch,
            ..
        } = self.folder;
        let quarantined = self
            .store
            .failed(lock, record.id, *epoch, id, &failure, now)?;
        if quarantined {
            self.tally.quarantined += 1;
        } else {
            self.tally.failed += 1;
        }
        self.accounted.insert(id.clone());
        self.reporter.failed(self.folder, id, reason, quarantined);
        Ok(quarantined)
    }
}

const PLACEHOLDER: &str = "the server sent a placeholder, because it could not convert this message for IMAP; Outlook or `via: graph` may show it";

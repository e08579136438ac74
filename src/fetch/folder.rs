//! The open folder, as a part of a [`Visit`]: it is listed, and what is listed is brought, a chunk at a
//! time, and accounted for. The mark moves over what is accounted for, and over nothing else.

use super::Folder;
use super::errors::{is_wish, of_delivery};
use super::outstanding::{Outstanding, outstanding};
use super::sift::{Found, Sift, TooLarge};
use super::start::Horizon;
use super::visit::{CHUNK, Ended, Visit};
use crate::delivery::{self, Delivery};
use crate::mail::RemoteId;
use crate::model::AfterFetch;
use crate::state::{Failure, Standing, WaitName};
use anyhow::Result;
use std::collections::HashSet;

/// A chunk has so many messages where a run has a time budget, which is looked at in between.
const CHUNK_IN_TIME: usize = 50;

impl Visit<'_> {
    /// Brings what is outstanding in the open folder.
    pub(super) fn bring(&mut self, folder: &Folder<'_>) -> Result<Ended> {
        let (job, store, record) = (self.job, self.store, &folder.record);
        let Some(mut work) = self.list(folder)? else {
            return Ok(Ended::WentBack);
        };
        self.record_found(folder, &work.found)?;
        if record.skipped_before && work.set_aside.is_empty() && job.since.is_none() {
            store.close_skipped(folder.lock, record.id, record.epoch)?;
        }
        if job.catch_up {
            // What has arrived meanwhile is for the next run.
            if let Some(mark) = work.mark().filter(|_| work.ids.count() == 0) {
                store.set_mark(folder.lock, record.id, mark)?;
            }
            return Ok(Ended::Whole);
        }
        if let Some(limit) = job.limit {
            work.truncate(u64::from(limit).saturating_sub(self.tally.fetched));
        }
        self.reporter.found(folder, work.ids.count());
        if work.ids.count() > 0 {
            let mut delivery = self.open_delivery(folder)?;
            let ended = self.bring_chunks(folder, &work, delivery.as_mut())?;
            if ended != Ended::Whole {
                return Ok(ended);
            }
        }
        self.charge(folder, &work.set_aside)?;
        // Where ids ascend, each chunk has moved it.
        if let Some(mark) = work.mark()
            && !work.ids.ascend()
            && record.mark.as_deref() != Some(mark)
        {
            store.set_mark(folder.lock, record.id, mark)?;
        }
        // What is not listed may be there all the same, where some is left out.
        if record.renumbered && work.is_all {
            store.close_former_epochs(folder.lock, record.id, folder.epoch)?;
        }
        Ok(Ended::Whole)
    }

    /// What is outstanding in the open folder; `None` where its UIDs went back.
    fn list(&mut self, folder: &Folder<'_>) -> Result<Option<Outstanding>> {
        let (job, store, record) = (self.job, self.store, &folder.record);
        let horizon = record.start.as_deref();
        let horizon = horizon.map(|text| Horizon::read(store, text)).transpose()?;
        let sift = Sift::new(job, store, Some(record), horizon, Some(folder.lock));
        let is_set_aside = |id: &RemoteId| self.pass.is_set_aside(&folder.key, id);
        let highest = folder.highest.clone();
        outstanding(
            job,
            store,
            self.mailbox,
            record,
            sift,
            highest,
            is_set_aside,
        )
    }

    /// Puts on record that all that was there before fetching began is skipped, and tells of it;
    /// with what is too large to be selected, which goes to quarantine.
    fn record_found(&mut self, folder: &Folder<'_>, found: &Found) -> Result<()> {
        let (job, store, record) = (self.job, self.store, &folder.record);
        self.tally.recognised += found.recognised;
        // A listing of some days only has not come by all that is behind the horizon.
        let horizon = record.start.as_deref();
        let horizon = horizon.map(|text| Horizon::read(store, text)).transpose()?;
        if let Some(horizon) = horizon
            && job.since.is_none()
        {
            let is_ahead = horizon.is_ahead();
            if !is_ahead {
                let mark = found.mark.as_ref().map(ToString::to_string);
                store.started(folder.lock, record.id, mark.as_deref())?;
            }
            if !is_ahead || found.skipped > 0 {
                self.reporter.skipped(folder, found.skipped);
            }
        }
        self.quarantine_too_large(folder, found)
    }

    /// Puts what is too large to be selected into quarantine, with what is known of it.
    pub(super) fn quarantine_too_large(
        &mut self,
        folder: &Folder<'_>,
        found: &Found,
    ) -> Result<()> {
        let most = self.job.select.as_ref().and_then(|select| select.max_size);
        for one in found.too_large() {
            let TooLarge { id, size, about } = one?;
            let reason = format!(
                "the message has {size} bytes, more than max_size ({})",
                most.map(|most| most.to_string()).unwrap_or_default()
            );
            let failure = Failure {
                reason: &reason,
                for_good: true,
                about: Some(&about),
            };
            let (record, epoch, now) = (folder.record.id, folder.epoch, self.store.now());
            if self
                .store
                .failed(folder.lock, record, epoch, &id, &failure, now)?
            {
                self.tally.quarantined += 1;
                self.reporter.failed(folder, &id, &reason, true);
            }
        }
        Ok(())
    }

    /// Opens the place that the folder's mail is delivered to, and sweeps away what dead runs left.
    fn open_delivery(&mut self, folder: &Folder<'_>) -> Result<Box<dyn Delivery>> {
        let (job, store) = (self.job, self.store);
        // What cannot be moved at all would be, in each run, mail that was not moved.
        if let AfterFetch::Move(_) = folder.after {
            self.mailbox.may_settle(folder.after)?;
        }
        let place = delivery::expand(
            &job.target,
            &job.queue,
            &job.address,
            folder.name,
            &job.language,
            &job.webhooks,
        )?;
        if let Some(destination) = place.may_ask_to_wait() {
            let wait = WaitName::Destination(&destination);
            store
                .respect_wait(wait, store.clock())
                .map_err(|err| of_delivery(&job.target, err))?;
        }
        if store.is_shared() {
            place.may_be_shared()?;
        }
        if let Some(root) = delivery::fixed_part(&job.target) {
            store.check_place(&root)?;
        }
        let delivery = delivery::open(&place, &job.scratch)?;
        self.pass
            .names
            .sweep(delivery.staging())
            .map_err(|e| delivery::cannot_write(delivery.staging(), &e))?;
        Ok(delivery)
    }

    /// Brings the work chunk by chunk, and tells the server of each.
    fn bring_chunks(
        &mut self,
        folder: &Folder<'_>,
        work: &Outstanding,
        delivery: &mut dyn Delivery,
    ) -> Result<Ended> {
        let size = match self.job.deadline {
            Some(_) => CHUNK_IN_TIME,
            None => CHUNK,
        };
        for (n, chunk) in work.ids.pages(size).enumerate() {
            // However little time there is, a message is fetched in it.
            if n > 0 && self.job.is_over() {
                return Ok(Ended::TimeUp);
            }
            let mut chunk = chunk?;
            if work.ids.may_repeat() {
                self.leave_out_repeated(folder, &mut chunk)?;
            }
            let mark = mark_after(folder, work, &chunk);
            let Some(fetched) = self.chunk(folder, &chunk, mark, delivery)? else {
                return Ok(Ended::TimeUp);
            };
            if self.told.is_ok()
                && *folder.after != AfterFetch::Keep
                && !fetched.delivered.is_empty()
            {
                self.told = self.settle(folder, &fetched.delivered, folder.after);
                if self.told.as_ref().is_err_and(is_wish) {
                    return Ok(Ended::LeftAlone);
                }
            }
            chunk.retain(|id| !fetched.gone.contains(id));
            if !fetched.is_marked
                && let Some(mark) = mark_after(folder, work, &chunk)
            {
                self.store
                    .set_mark(folder.lock, folder.record.id, &mark.to_string())?;
            }
        }
        Ok(Ended::Whole)
    }

    /// Leaves out what came in an earlier chunk, or comes twice in this one.
    fn leave_out_repeated(&self, folder: &Folder<'_>, chunk: &mut Vec<RemoteId>) -> Result<()> {
        let store = self.store;
        let known = store.accounted(folder.record.id, folder.epoch, chunk)?;
        let mut seen = HashSet::new();
        chunk.retain(|id| {
            let is_open = known.get(id).is_none_or(|s| *s == Standing::Pending);
            is_open && seen.insert(id.clone())
        });
        Ok(())
    }

    /// Puts on record that the server breaks off over these messages, now that the others came.
    fn charge(&mut self, folder: &Folder<'_>, set_aside: &[RemoteId]) -> Result<()> {
        let failure = Failure {
            reason: "the server closed the connection during this message, twice in a row",
            for_good: false,
            about: None,
        };
        for id in set_aside {
            let (record, epoch) = (folder.record.id, folder.epoch);
            let quarantined =
                self.store
                    .failed(folder.lock, record, epoch, id, &failure, self.store.now())?;
            match quarantined {
                true => self.tally.quarantined += 1,
                false => self.tally.failed += 1,
            }
            self.reporter
                .failed(folder, id, failure.reason, quarantined);
        }
        Ok(())
    }
}

/// Where ids ascend, everything up to the last of the chunk that `came` is accounted for. One that
/// nothing came of may never have been: beyond it may be mail that is still to come. The listing's own
/// mark is not passed over either.
fn mark_after(folder: &Folder<'_>, work: &Outstanding, came: &[RemoteId]) -> Option<RemoteId> {
    let end = work.mark().and_then(RemoteId::of_mark)?;
    let begin = folder.record.mark.as_deref().and_then(RemoteId::of_mark);
    let is_listed = |id: &&RemoteId| id.ascends() && **id <= end;
    let last = came.iter().filter(is_listed).max();
    last.filter(|last| begin.as_ref() < Some(*last)).cloned()
}

//! What is done over one connection to a mailbox: folder by folder, part by part.

use super::batches::Batches;
use super::commit::Committer;
use super::intake::Intake;
use super::pass::Pass;
use super::pile::Sorted;
use super::restored::{self, Compared};
use super::sift::{Found, Sift, TooLarge};
use super::start::{self, Horizon};
use super::{Folder, Job, Reporter, Tally, folder_key, mailbox_key};
use crate::delivery::{self, Delivery};
use crate::fault::{Cause, Fault, Kind, Scope, cause_of};
use crate::mail::{self, Listed, Mailbox, Missing, Part, RemoteId};
use crate::model::AfterFetch;
use crate::output::escape;
use crate::state::{Epoch, Failure, FolderRecord, Lock, Standing, Store, WaitName, uidvalidity};
use anyhow::Result;
use jiff::Timestamp;
use std::collections::HashSet;
use std::fmt;
use std::thread::Builder;

/// So many messages are asked for before the server is told of those delivered.
pub(super) const CHUNK: usize = 2000;
/// The same when a run has a time budget, which is looked at in between.
const CHUNK_IN_TIME: usize = 50;

/// How far a piece of work has come that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Whole,
    /// The UIDs of the folder went back.
    WentBack,
    /// The job's time was up; the connection is of no more use.
    TimeUp,
}

/// One connection, and those who have a part in what is done over it.
pub struct Visit<'a> {
    pub job: &'a Job,
    pub store: &'a Store,
    /// The mailbox's.
    pub lock: &'a Lock,
    pub mailbox: &'a mut dyn Mailbox,
    pub pass: &'a mut Pass,
    pub reporter: &'a dyn Reporter,
    pub tally: &'a mut Tally,
    /// Why the first message of the open folder that the server refuses to mark, move or delete
    /// stays as it is. Told when the folder is through, for it keeps no other back.
    pub unsettled: Option<Fault>,
}

/// What became of some messages.
struct Fetched {
    /// Delivered, of which the server is to be told.
    delivered: Vec<RemoteId>,
    /// Not in the folder any more.
    gone: HashSet<RemoteId>,
}

/// What is to be retrieved, and the mark that holds once all of it is accounted for.
pub struct Outstanding {
    /// In the order of arrival. Where ids ascend, a part of the work moves the mark, which passes
    /// over all below it. Where they do not, those that failed before are first.
    pub ids: Sorted,
    mark: Option<String>,
    /// What became of the others.
    pub found: Found,
}

/// What is due again and what is new, of that which is `wanted` and which the sieve lets through.
/// `None` where the UIDs went back: what is at the mark had left the folder.
pub fn outstanding(
    job: &Job,
    store: &Store,
    mailbox: &mut dyn Mailbox,
    record: &FolderRecord,
    mut sift: Sift<'_>,
    mut wanted: impl FnMut(&RemoteId) -> bool,
) -> Result<Option<Outstanding>> {
    let epoch = record.epoch;
    // To catch up is to skip also what could not be fetched so far.
    let until = if job.catch_up {
        i64::MAX / 2
    } else {
        store.now()
    };
    store.due(record.id, epoch, until, &mut |id| match wanted(&id) {
        true if job.catch_up => sift.take_again(id),
        true => sift.take_due(id),
        false => Ok(()),
    })?;
    let query = sift.query(job, record.mark.clone());
    let listing = mailbox.list(&query, &mut |page| {
        let ids: Vec<RemoteId> = page.iter().map(|listed| listed.id.clone()).collect();
        sift.see(&ids);
        let known = store.accounted(record.id, epoch, &ids)?;
        let is_new = |listed: &Listed| !known.contains_key(&listed.id) && wanted(&listed.id);
        sift.take(page.into_iter().filter(is_new).collect())
    })?;
    if let Some(id) = &listing.at_mark
        && store.has_left(record, id)?
    {
        return Ok(None);
    }
    let (ids, found) = sift.finish(mailbox)?;
    Ok(Some(Outstanding {
        ids,
        // A listing of some days only says nothing of what lies before them, and what is not
        // selected is not on record: another selection may take it.
        mark: listing
            .mark
            .filter(|_| job.since.is_none() && job.select.is_none()),
        found,
    }))
}

impl Visit<'_> {
    /// Fetches each folder of the job.
    pub fn folders(mut self) -> Result<()> {
        let job = self.job;
        mail::refuse_to_move_back(self.mailbox, &job.folders, &job.after, true)?;
        let (mut first, mut waits) = (Ok(()), Ok(()));
        for name in &job.folders {
            match self.named(name) {
                Ok(Ended::Whole | Ended::WentBack) => {}
                // Nothing was begun, and another folder may be delivered to another place.
                Err(err) if destination_waits(&err) => waits = waits.and(Err(err)),
                // A folder that is gone, or not permitted, keeps no other back.
                Err(err) if is_of_folder(&err) => first = first.and(Err(err)),
                ended => return first_of(first, ended.map(|_| ())).and(waits),
            }
        }
        first.and(waits)
    }

    /// Fetches the folder of this name, unless it is among those `seen` by this run.
    fn named(&mut self, name: &str) -> Result<Ended> {
        let (job, store, lock) = (self.job, self.store, self.lock);
        let opened = self.mailbox.open(name, job.after != AfterFetch::Keep)?;
        let key = folder_key(job, name, store, self.mailbox, &self.pass.seen)?;
        if self.pass.seen.contains(&key) {
            return Ok(Ended::Whole);
        }
        self.pass.seen.push(key.clone());
        let address = mailbox_key(&job.address);
        let valid = opened.uidvalidity;
        let start = start::at_first(job, store, self.mailbox, &address, &key, valid)?;
        let mut record = store.open_folder(lock, &address, &key, valid, start.as_deref())?;
        let went_back = restored::by_next(self.mailbox, &opened, store, &record)?;
        if went_back {
            record = self.begin_again(name, &record)?;
        }
        if record.is_new && record.start.is_none() {
            self.tell_of_waiting(name, opened.exists);
        }
        self.renew_start(name, &mut record)?;
        let mut folder = Folder {
            job,
            lock,
            name,
            epoch: record.epoch,
            record,
            key,
            after: &job.after,
        };
        if folder.record.renumbered && !went_back {
            self.tell_of_other_ids(name, folder.epoch);
        }
        if !self.knows_skipped_later(&folder) {
            self.include_skipped(&folder)?;
        }
        // New mail comes even where the server cannot be told of what came before.
        let earlier = match job.catch_up {
            true => Ok(Ended::Whole),
            false => self.settle_earlier(&folder),
        };
        let (mut told, went_back) = match earlier {
            Ok(ended) => (Ok(()), ended == Ended::WentBack),
            Err(err) => (Err(err), false),
        };
        let ended = match &told {
            _ if went_back => Ok(Ended::WentBack),
            Err(err) if is_wish(err) => Ok(Ended::Whole),
            _ => self.folder(&folder, &mut told),
        };
        let ended = match ended {
            Ok(Ended::WentBack) => {
                folder.record = self.begin_again(name, &folder.record)?;
                folder.epoch = folder.record.epoch;
                self.folder(&folder, &mut told)
            }
            ended => ended,
        };
        let ended = match ended {
            Ok(Ended::Whole) if job.include_skipped => self.fetch_included(&mut folder, &mut told),
            ended => ended,
        };
        match (first_of(told, ended), self.unsettled.take()) {
            (Ok(Ended::Whole), Some(fault)) => Err(fault.into()),
            (Err(err), Some(fault)) if destination_waits(&err) => Err(fault.into()),
            (ended, _) => ended,
        }
    }

    /// Puts on record what is behind the horizon from now on: to catch up, all that is there; before
    /// the day that fetching begins on, what the configuration says today.
    fn renew_start(&mut self, name: &str, record: &mut FolderRecord) -> Result<()> {
        let (job, store, lock) = (self.job, self.store, self.lock);
        let known = record.start.as_deref();
        let horizon = start::of_record(known, job, store, self.mailbox, record.epoch)?;
        let horizon = match job.catch_up && !horizon.as_ref().is_some_and(Horizon::is_ahead) {
            true => Some(Horizon::now(self.mailbox, record.epoch)?),
            false => horizon,
        };
        if record.is_new && horizon.as_ref().is_some_and(Horizon::is_ahead) {
            self.reporter.note(&format!(
                "`{}` folder `{name}`: start is {}, so mail that arrives before that day (UTC) is skipped",
                job.address, job.start
            ));
        }
        let horizon = horizon.map(|horizon| horizon.written()).transpose()?;
        if horizon == record.start {
            return Ok(());
        }
        match &horizon {
            Some(text) => store.set_start(lock, record.id, text)?,
            None => store.started(lock, record.id, None)?,
        }
        record.start = horizon;
        Ok(())
    }

    /// Tells how many messages were there before the first fetch, which brings them, too.
    fn tell_of_waiting(&self, name: &str, exists: u32) {
        let (waiting, them) = match exists {
            0 => return,
            1 => ("1 message".to_owned(), "it"),
            n => (format!("{n} messages"), "them"),
        };
        self.reporter.note(&format!(
            "`{}` folder `{name}` contains {waiting} from before the first fetch; queuemail fetches {them}, too",
            self.job.address
        ));
    }

    /// Tells that the messages of a folder have other ids now.
    fn tell_of_other_ids(&self, name: &str, epoch: Epoch) {
        let why = match uidvalidity(epoch) {
            0 => "its messages now have the IDs of Graph".to_owned(),
            epoch => format!("its messages now have other UIDs (UIDVALIDITY {epoch})"),
        };
        self.reporter.note(&format!(
            "`{}` folder `{name}`: {why}; messages delivered before are recognised",
            self.job.address
        ));
    }

    /// Tells that the UIDs of a folder went back, and begins to look at it again.
    fn begin_again(&self, name: &str, record: &FolderRecord) -> Result<FolderRecord> {
        self.reporter.warn(&format!(
            "`{}` folder `{name}`: its UIDs are lower under the same UIDVALIDITY, as if the mailbox had been restored; the whole folder is checked again, and messages delivered before are recognised",
            self.job.address
        ));
        self.store.uids_went_back(self.lock, record)
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

    /// Tells the server what an earlier run recorded and could not tell, once each message is seen
    /// to be the one that was delivered. Nothing is told of those among which another one is.
    fn settle_earlier(&mut self, folder: &Folder<'_>) -> Result<Ended> {
        let mut row = 0;
        loop {
            let (id, epoch) = (folder.record.id, folder.epoch);
            let (last, mut rest) = self
                .store
                .unsettled(id, epoch, row, CHUNK, self.store.now())?;
            if rest.is_empty() {
                return Ok(Ended::Whole);
            }
            let Compared::Same(not_shown) = restored::compare(self.mailbox, &rest)? else {
                return Ok(Ended::WentBack);
            };
            rest.retain(|message| !not_shown.iter().any(|(id, _)| *id == message.remote));
            self.refused(folder, not_shown)?;
            while let Some(action) = rest.first().map(|message| message.action.clone()) {
                let (now, later): (Vec<_>, Vec<_>) = rest
                    .into_iter()
                    .partition(|message| message.action == action);
                let ids: Vec<RemoteId> = now.into_iter().map(|message| message.remote).collect();
                self.settle(folder, &ids, &action)?;
                rest = later;
            }
            row = last;
        }
    }

    /// Puts on record of which messages the server cannot be told, each for a reason of its own.
    fn refused(&mut self, folder: &Folder<'_>, refused: Vec<(RemoteId, Fault)>) -> Result<()> {
        if refused.is_empty() {
            return Ok(());
        }
        let (id, epoch) = (folder.record.id, folder.epoch);
        let reasons: Vec<_> = refused
            .iter()
            .map(|(id, fault)| (id.clone(), in_words(fault)))
            .collect();
        self.store.refused(id, epoch, &reasons, self.store.now())?;
        if let Some((_, fault)) = refused.into_iter().next() {
            self.unsettled.get_or_insert(fault.hint(
                "queuemail delivered the message; it retries after 1 minute, then less often, but at least every 12 hours",
            ));
        }
        Ok(())
    }

    /// Tells the server what became of messages, and puts on record that it knows.
    fn settle(&mut self, folder: &Folder<'_>, ids: &[RemoteId], action: &AfterFetch) -> Result<()> {
        let (id, epoch) = (folder.record.id, folder.epoch);
        // What an earlier run has promised is done, whatever the configuration says by now.
        if !self.pass.may_move && *action == self.job.after {
            mail::refuse_to_move_back(self.mailbox, &self.job.folders, action, false)?;
            self.pass.may_move = true;
        }
        folder.lock.check()?;
        let err = match self.mailbox.settle(ids, action) {
            Ok(settled) => {
                let refused: HashSet<&RemoteId> =
                    settled.refused.iter().map(|(id, _)| id).collect();
                let done: Vec<RemoteId> = ids
                    .iter()
                    .filter(|id| !refused.contains(id))
                    .cloned()
                    .collect();
                self.store.settled(id, epoch, &done, settled.left)?;
                return self.refused(folder, settled.refused);
            }
            Err(err) => err,
        };
        // One that cannot be moved must not have all others tried again with it.
        if matches!(action, AfterFetch::Delete | AfterFetch::Move(_))
            && !is_wish(&err)
            && let Ok(present) = self.mailbox.present(ids)
        {
            let present: HashSet<RemoteId> = present.into_iter().collect();
            let left: Vec<_> = ids
                .iter()
                .filter(|id| !present.contains(id))
                .cloned()
                .collect();
            self.store.settled(id, epoch, &left, true)?;
        }
        Err(err)
    }

    /// Fetches the open folder; `told` is what came of telling the server about earlier messages.
    pub(super) fn folder(&mut self, folder: &Folder<'_>, told: &mut Result<()>) -> Result<Ended> {
        let (job, store) = (self.job, self.store);
        let mut set_aside = Vec::new();
        let pass = &self.pass;
        let wanted = |id: &RemoteId| {
            let is_set_aside = pass.is_set_aside(&folder.key, id);
            if is_set_aside {
                set_aside.push(id.clone());
            }
            !is_set_aside
        };
        let record = &folder.record;
        let horizon = record.start.as_deref();
        let horizon = horizon.map(|text| Horizon::read(store, text)).transpose()?;
        let sift = Sift::new(job, store, Some(record), horizon, Some(folder.lock));
        let work = outstanding(job, store, self.mailbox, record, sift, wanted)?;
        let Some(mut work) = work else {
            return Ok(Ended::WentBack);
        };
        self.record_found(folder, &work.found)?;
        if record.skipped_before && set_aside.is_empty() && job.since.is_none() {
            store.close_skipped(folder.lock, record.id, record.epoch)?;
        }
        if job.catch_up {
            // What has arrived meanwhile is for the next run.
            if let Some(mark) = work.mark.filter(|_| work.ids.count() == 0) {
                store.set_mark(folder.lock, record.id, &mark)?;
            }
            return Ok(Ended::Whole);
        }
        if !set_aside.is_empty() {
            // Nothing may pass over them that are not on record yet.
            work.mark = None;
        }
        let left = job
            .limit
            .map(|limit| u64::from(limit).saturating_sub(self.tally.fetched));
        let cut = left.is_some_and(|left| left < work.ids.count());
        if cut {
            work.ids.truncate(left.unwrap_or(0));
            work.mark = None;
        }
        self.reporter.found(folder, work.ids.count());
        if work.ids.count() > 0 {
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
                    .respect_wait(wait, Timestamp::now())
                    .map_err(|err| err.context(CannotDeliver(job.target.to_string())))?;
            }
            if store.is_shared() {
                place.may_be_shared()?;
            }
            if let Some(root) = delivery::fixed_part(&job.target) {
                store.check_place(&root)?;
            }
            let mut delivery = delivery::open(&place, &job.scratch)?;
            self.pass
                .names
                .sweep(delivery.staging())
                .map_err(|e| delivery::cannot_write(delivery.staging(), &e))?;
            let size = match job.deadline {
                Some(_) => CHUNK_IN_TIME,
                None => CHUNK,
            };
            for (n, chunk) in work.ids.pages(size).enumerate() {
                // However little time there is, a message is fetched in it.
                if n > 0 && job.is_over() {
                    return Ok(Ended::TimeUp);
                }
                let mut chunk = chunk?;
                if work.ids.may_repeat() {
                    self.leave_out_repeated(folder, &mut chunk)?;
                }
                let Some(fetched) = self.chunk(folder, &chunk, delivery.as_mut())? else {
                    return Ok(Ended::TimeUp);
                };
                if told.is_ok()
                    && *folder.after != AfterFetch::Keep
                    && !fetched.delivered.is_empty()
                {
                    *told = self.settle(folder, &fetched.delivered, folder.after);
                    if told.as_ref().is_err_and(is_wish) {
                        return Ok(Ended::Whole);
                    }
                }
                // Where ids ascend, everything up to the last of the chunk is accounted for. One that
                // nothing came of may never have been: beyond it may be mail that is still to come.
                // The listing's own mark is not passed over either.
                if let Some(end) = work.mark.as_deref().and_then(RemoteId::of_mark) {
                    let came = |id: &&RemoteId| !fetched.gone.contains(*id);
                    let is_listed = |id: &&RemoteId| id.ascends() && **id <= end;
                    let last = chunk.iter().filter(is_listed).filter(came).max();
                    let mark = folder.record.mark.as_deref().and_then(RemoteId::of_mark);
                    if let Some(last) = last.filter(|last| mark.is_none_or(|mark| mark < **last)) {
                        store.set_mark(folder.lock, folder.record.id, &last.to_string())?;
                    }
                }
            }
        }
        self.charge(folder, &set_aside)?;
        // Where ids ascend, each chunk has moved it.
        if let Some(mark) = work.mark
            && !work.ids.ascend()
            && folder.record.mark.as_ref() != Some(&mark)
        {
            store.set_mark(folder.lock, folder.record.id, &mark)?;
        }
        // What is not listed may be there all the same, where some is left out.
        let is_whole = !cut && set_aside.is_empty() && job.since.is_none() && job.select.is_none();
        if folder.record.renumbered && is_whole {
            store.close_former_epochs(folder.lock, folder.record.id, folder.epoch)?;
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

    /// Retrieves, delivers and records some messages of the open folder; `None` when the job's time
    /// was up.
    fn chunk(
        &mut self,
        folder: &Folder<'_>,
        ids: &[RemoteId],
        delivery: &mut dyn Delivery,
    ) -> Result<Option<Fetched>> {
        let job = self.job;
        let staging = delivery.staging().to_owned();
        let mut committer = Committer {
            store: self.store,
            folder,
            delivery,
            reporter: self.reporter,
            tally: Tally::default(),
            accounted: HashSet::new(),
            delivered: Vec::new(),
            later_in_a_row: 0,
            restarted: self.pass.restarted.clone(),
        };
        let batches = Batches::of(self.store.is_shared());
        let (entry, exit) = batches.ends();
        let (retrieved, stored, time_up, committed) = std::thread::scope(|scope| {
            let committer = &mut committer;
            let disk = Builder::new().spawn_scoped(scope, move || committer.run(exit));
            let disk = match disk {
                Ok(disk) => disk,
                Err(e) => {
                    let fault = Fault::try_later(format!("cannot store messages: {e}"));
                    return (Err(fault.by_system(&e).into()), None, false, Ok(()));
                }
            };
            let mut intake =
                Intake::new(&staging, &mut self.pass.names, entry).until(job.deadline, ids.len());
            let retrieved = self.mailbox.retrieve(ids, Part::Whole, &mut intake);
            let stored = intake.failure.take();
            let time_up = intake.time_up;
            drop(intake);
            let committed = disk.join().unwrap_or_else(|_| {
                Err(Fault::new(Kind::Bug, "the delivery thread panicked").into())
            });
            (retrieved, stored, time_up, committed)
        });
        // The disk's own words come first: the mailbox only knows that its sink refused.
        let ours = || CannotDeliver(folder.job.target.to_string());
        let result = match (committed, stored) {
            (Err(failure), _) | (Ok(()), Some(failure)) => Err(failure.context(ours())),
            (Ok(()), None) if time_up => {
                // What was delivered is settled by the next run: an answer was left unread.
                self.tally.add(&committer.tally);
                return Ok(None);
            }
            (Ok(()), None) => retrieved,
        };
        if result.as_ref().is_err_and(is_cut) {
            let next = ids.iter().find(|id| !committer.accounted.contains(id));
            self.pass.broke_over(&folder.key, next);
        }
        let missing = match &result {
            Ok(missing) => missing.clone(),
            Err(_) => Vec::new(),
        };
        let gone = self.account_for_missing(&mut committer, &missing)?;
        if result.is_ok() {
            // Whatever a server leaves out, the mark must not pass over it.
            for id in ids
                .iter()
                .filter(|id| !committer.accounted.contains(id))
                .cloned()
                .collect::<Vec<_>>()
            {
                committer.failed(
                    &id,
                    "the server did not answer for this message",
                    false,
                    self.store.now(),
                )?;
            }
        }
        let delivered = std::mem::take(&mut committer.delivered);
        self.tally.add(&committer.tally);
        result?;
        Ok(Some(Fetched { delivered, gone }))
    }

    /// A message that was asked for and did not come is gone, or the server cannot give it: the
    /// first needs no record, the second is tried again later. Gives those that are gone.
    fn account_for_missing(
        &mut self,
        committer: &mut Committer<'_>,
        missing: &[(RemoteId, Missing)],
    ) -> Result<HashSet<RemoteId>> {
        let mut gone = HashSet::new();
        if missing.is_empty() {
            return Ok(gone);
        }
        let ids: Vec<RemoteId> = missing.iter().map(|(id, _)| id.clone()).collect();
        let present: HashSet<RemoteId> = self.mailbox.present(&ids)?.into_iter().collect();
        let folder = committer.folder;
        for (id, why) in missing {
            if !present.contains(id) {
                self.store
                    .gone(folder.lock, folder.record.id, folder.epoch, id)?;
                committer.accounted.insert(id.clone());
                gone.insert(id.clone());
                continue;
            }
            let reason = match why {
                Missing::Silent => {
                    "the server lists this message but returns nothing for it".to_owned()
                }
                Missing::Refused(text) => format!("the server refused this message: {text}"),
                Missing::TooLarge { announced, max } => {
                    format!("the message is too large: {announced} bytes, the limit is {max}")
                }
            };
            committer.failed(id, &reason, false, self.store.now())?;
        }
        Ok(gone)
    }
}

/// The first of two errors, of which the second often follows; but before it what the server
/// wishes, and what hinders the delivery.
fn first_of<T>(first: Result<()>, then: Result<T>) -> Result<T> {
    match (first, then) {
        // That is not news, and where nobody named the mailbox, it is not told.
        (Err(first), Err(err)) if destination_waits(&err) => Err(first),
        (Err(_), Err(err)) if is_wish(&err) || is_of_delivery(&err) => Err(err),
        (first, then) => first.and(then),
    }
}

/// Why the server cannot be told of a message, for the record.
fn in_words(fault: &Fault) -> String {
    match &fault.server_said {
        Some(said) => format!("{fault}: {}", escape(said)),
        None => fault.to_string(),
    }
}

/// The server wants to wait, or a new token.
fn is_wish(err: &anyhow::Error) -> bool {
    let waits = |fault: &Fault| fault.retry_after.is_some();
    err.downcast_ref::<mail::TokenExpired>().is_some()
        || err.downcast_ref::<Fault>().is_some_and(waits)
}

/// Marks an error of the delivery, which a new connection to the mailbox does not mend.
#[derive(Clone, Debug)]
struct CannotDeliver(String);

impl fmt::Display for CannotDeliver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot deliver to `{}`", self.0)
    }
}

/// An error of one folder or less, which the others need not share.
pub fn is_of_folder(err: &anyhow::Error) -> bool {
    err.downcast_ref::<Fault>()
        .is_some_and(|fault| fault.scope() <= Scope::Folder)
}

/// An error of where mail is delivered to, and not of the mailbox.
pub fn is_of_delivery(err: &anyhow::Error) -> bool {
    err.downcast_ref::<CannotDeliver>().is_some()
}

/// The destination asked earlier to be left alone for a time, which has not passed.
pub fn destination_waits(err: &anyhow::Error) -> bool {
    is_of_delivery(err) && cause_of(err) == Some(Cause::WaitHolds)
}

/// A connection that broke, without a wish of the server to be left alone.
pub fn is_cut(err: &anyhow::Error) -> bool {
    !is_of_delivery(err)
        && err.downcast_ref::<Fault>().is_some_and(|f| {
            f.kind == Kind::TryLater && f.retry_after.is_none() && f.scope() == Scope::Mailbox
        })
}

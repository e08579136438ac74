//! What is done over one connection to a mailbox: folder by folder.
//!
//! The steps have files of their own: `settle` tells the server what an earlier run could not tell it,
//! `folder` brings what is outstanding, `chunk` does so with some messages at a time, and `included`
//! with what was skipped.

use super::errors::{destination_waits, first_of, is_of_folder, is_wish};
use super::pass::Pass;
use super::start::{self, Horizon};
use super::{Folder, Job, Reporter, Tally, folder_key, mailbox_key, restored};
use crate::fault::Fault;
use crate::mail::{self, Mailbox};
use crate::model::AfterFetch;
use crate::state::{Epoch, FolderRecord, Lock, Store, uidvalidity};
use crate::wording::messages;
use anyhow::Result;

/// So many messages are asked for before the server is told of those delivered.
pub const CHUNK: usize = 2000;

/// How far a piece of work has come that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Whole,
    /// The UIDs of the folder went back.
    WentBack,
    /// The server wants to wait, or a new token: what it said is in [`Visit::told`].
    LeftAlone,
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
    /// Whether the server could be told what became of the open folder's messages. After an error it is
    /// told of no others in this folder.
    pub told: Result<()>,
    /// Why the first message of the open folder that the server refuses to mark, move or delete
    /// stays as it is. Told when the folder is through, for it keeps no other back.
    pub unsettled: Option<Fault>,
}

impl<'a> Visit<'a> {
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
    fn named(&mut self, name: &'a str) -> Result<Ended> {
        let Some(mut folder) = self.enter(name)? else {
            return Ok(Ended::Whole);
        };
        if !self.knows_skipped_later(&folder) {
            self.include_skipped(&folder)?;
        }
        let ended = self.fetch(&mut folder);
        let told = std::mem::replace(&mut self.told, Ok(()));
        match (first_of(told, ended), self.unsettled.take()) {
            (Ok(Ended::Whole), Some(fault)) => Err(fault.into()),
            (Err(err), Some(fault)) if destination_waits(&err) => Err(fault.into()),
            (ended, _) => ended,
        }
    }

    /// Opens the folder of this name, and has it on record; `None` if it is among those `seen`.
    fn enter(&mut self, name: &'a str) -> Result<Option<Folder<'a>>> {
        let (job, store, lock) = (self.job, self.store, self.lock);
        let opened = self.mailbox.open(name, job.after != AfterFetch::Keep)?;
        let key = folder_key(job, name, store, self.mailbox, &self.pass.seen)?;
        if self.pass.seen.contains(&key) {
            return Ok(None);
        }
        self.pass.seen.push(key.clone());
        let address = mailbox_key(&job.address);
        let valid = opened.uidvalidity;
        let start = start::at_first(job, store, self.mailbox, &address, &key, valid)?;
        let mut record = store.open_folder(lock, &address, &key, valid, start.as_deref())?;
        let mut highest = None;
        let went_back = restored::by_next(self.mailbox, &opened, store, &record, &mut highest)?;
        if went_back {
            record = self.begin_again(name, &record)?;
        }
        if record.is_new && record.start.is_none() {
            self.tell_of_waiting(name, opened.exists);
        }
        self.renew_start(name, &mut record)?;
        if record.renumbered && !went_back {
            self.tell_of_other_ids(name, record.epoch);
        }
        Ok(Some(Folder {
            job,
            lock,
            name,
            epoch: record.epoch,
            record,
            highest,
            key,
            after: &job.after,
        }))
    }

    /// Tells the server of what came before, and fetches the open folder. New mail comes even where the
    /// server cannot be told.
    fn fetch(&mut self, folder: &mut Folder<'_>) -> Result<Ended> {
        let earlier = match self.job.catch_up {
            true => Ok(Ended::Whole),
            false => self.settle_earlier(folder),
        };
        let ended = match earlier {
            Ok(Ended::Whole) => self.bring(folder)?,
            Ok(ended) => ended,
            Err(err) => {
                let is_wish = is_wish(&err);
                self.told = Err(err);
                match is_wish {
                    true => Ended::LeftAlone,
                    false => self.bring(folder)?,
                }
            }
        };
        let ended = match ended {
            Ended::WentBack => {
                folder.record = self.begin_again(folder.name, &folder.record)?;
                folder.epoch = folder.record.epoch;
                folder.highest = None;
                self.bring(folder)?
            }
            ended => ended,
        };
        match ended {
            Ended::Whole if self.job.include_skipped => self.fetch_included(folder),
            ended => Ok(ended),
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
            1 => (messages(1), "it"),
            n => (messages(n.into()), "them"),
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
}

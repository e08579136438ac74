//! A chunk of the open folder's messages, as a part of a [`Visit`]: it is retrieved while what has come
//! of it is delivered and recorded (see `commit`), and what did not come is accounted for.

use super::batches::Batches;
use super::commit::Committer;
use super::errors::{is_cut, of_delivery};
use super::intake::Intake;
use super::visit::Visit;
use super::{Folder, Tally};
use crate::delivery::Delivery;
use crate::fault::{Fault, Kind};
use crate::mail::{Missing, Part, RemoteId};
use anyhow::Result;
use std::collections::HashSet;
use std::thread::Builder;

/// What became of a chunk.
pub struct Fetched {
    /// Delivered, of which the server is to be told.
    pub delivered: Vec<RemoteId>,
    /// Not in the folder any more.
    pub gone: HashSet<RemoteId>,
    /// The mark has passed them.
    pub is_marked: bool,
}

/// Of messages that were asked for: those that did not come, and why; `None` when the job's time was
/// up.
type Retrieved = Result<Option<Vec<(RemoteId, Missing)>>>;

impl Visit<'_> {
    /// Retrieves, delivers and records some messages of the open folder; `mark` is moved with the last
    /// of them where all are delivered. `None` when the job's time was up.
    pub(super) fn chunk(
        &mut self,
        folder: &Folder<'_>,
        ids: &[RemoteId],
        mark: Option<RemoteId>,
        delivery: &mut dyn Delivery,
    ) -> Result<Option<Fetched>> {
        let mut committer = Committer {
            store: self.store,
            folder,
            delivery,
            reporter: self.reporter,
            tally: Tally::default(),
            accounted: HashSet::new(),
            delivered: Vec::new(),
            ids,
            mark,
            is_marked: false,
            later_in_a_row: 0,
            restarted: self.pass.restarted.clone(),
        };
        let retrieved = self.retrieve(ids, &mut committer);
        if retrieved.as_ref().is_err_and(is_cut) {
            let next = ids.iter().find(|id| !committer.accounted.contains(id));
            self.pass.broke_over(&folder.key, next);
        }
        let gone = match &retrieved {
            Ok(Some(missing)) => {
                let gone = self.account_for_missing(&mut committer, missing)?;
                self.account_for_unanswered(&mut committer, ids)?;
                gone
            }
            // What was delivered is settled by the next run: an answer was left unread.
            Ok(None) | Err(_) => HashSet::new(),
        };
        self.tally.add(&committer.tally);
        let fetched = Fetched {
            delivered: committer.delivered,
            gone,
            is_marked: committer.is_marked,
        };
        Ok(retrieved?.map(|_| fetched))
    }

    /// Retrieves messages, while another thread delivers and records what has come of them.
    fn retrieve(&mut self, ids: &[RemoteId], committer: &mut Committer<'_>) -> Retrieved {
        let target = &committer.folder.job.target;
        let staging = committer.delivery.staging().to_owned();
        let batches = Batches::of(self.store.is_shared());
        let (entry, exit) = batches.ends();
        std::thread::scope(|scope| {
            let disk = Builder::new().spawn_scoped(scope, move || committer.run(exit));
            let disk = disk.map_err(|e| {
                Fault::try_later(format!("cannot store messages: {e}")).by_system(&e)
            })?;
            let mut intake = Intake::new(&staging, &mut self.pass.names, entry)
                .until(self.job.deadline, ids.len());
            let retrieved = self.mailbox.retrieve(ids, Part::Whole, &mut intake);
            let stored = intake.failure.take();
            let time_up = intake.time_up;
            drop(intake);
            let committed = disk.join().unwrap_or_else(|_| {
                Err(Fault::new(Kind::Bug, "the delivery thread panicked").into())
            });
            // The disk's own words come first: the mailbox only knows that its sink refused.
            match (committed, stored) {
                (Err(failure), _) | (Ok(()), Some(failure)) => Err(of_delivery(target, failure)),
                (Ok(()), None) if time_up => Ok(None),
                (Ok(()), None) => retrieved.map(Some),
            }
        })
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

    /// Whatever a server leaves out without a word, the mark must not pass over it.
    fn account_for_unanswered(
        &self,
        committer: &mut Committer<'_>,
        ids: &[RemoteId],
    ) -> Result<()> {
        let is_open = |id: &&RemoteId| !committer.accounted.contains(id);
        let unanswered: Vec<RemoteId> = ids.iter().filter(is_open).cloned().collect();
        for id in &unanswered {
            let reason = "the server did not answer for this message";
            committer.failed(id, reason, false, self.store.now())?;
        }
        Ok(())
    }
}

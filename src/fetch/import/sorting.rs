//! Sorts the messages of a folder that another program has fetched from: fetched by that program, new,
//! or in doubt.

use super::spool::Spool;
use crate::fault::Fault;
use crate::fetch::pile::Pile;
use crate::fetch::start::Horizon;
use crate::fetch::{AT_ONCE, Job, identity};
use crate::mail::{Detail, Listed, Mailbox, Query, RemoteId, Traits};
use crate::peers::{Copies, Fetched, Likeness, Memory, Program};
use crate::state::{FolderRecord, SkippedRecord, Standing, Store};
use crate::wording::messages;
use anyhow::Result;
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;

/// What came of it: of each message that the folder holds, where it belongs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    pub queue: String,
    pub address: String,
    pub folder: String,
    /// Fetched by the other program, and on record as skipped from now on.
    pub imported: u64,
    /// On record before.
    pub on_record: u64,
    /// Perhaps fetched by the other program: the next fetch delivers them.
    pub in_doubt: u64,
    /// Not fetched by the other program.
    pub new: u64,
    /// Of these two, so many are from before the folder's start, and the next fetch skips them.
    pub before_start: u64,
    /// Remembered by the other program, and not in the folder.
    pub absent: u64,
    /// As of [`Memory`].
    pub unclear: u64,
}

/// The messages of a folder on their way to where they belong.
pub struct Sorting<'a> {
    record: Option<&'a FolderRecord>,
    uidvalidity: u32,
    /// What is behind it is skipped by the next fetch.
    pub horizon: Option<Horizon>,
    memory: Memory,
    /// Messages to be put on record, by their UIDs, of which there is a copy too.
    witnessed: u64,
    /// To be put on record.
    pub chosen: Spool,
    /// Alike to a copy that another message may have a better right to.
    candidates: Spool,
    /// On record before, and remembered by the other program by their UIDs.
    remembered: u64,
    hasher: RandomState,
    /// Digests of ids that are texts: a listing of Graph may give one twice.
    seen: HashSet<u64>,
    done: Imported,
}

impl<'a> Sorting<'a> {
    /// `scratch` is a private folder.
    pub fn new(
        memory: Memory,
        scratch: &Path,
        record: Option<&'a FolderRecord>,
        uidvalidity: u32,
    ) -> Result<Sorting<'a>> {
        Ok(Sorting {
            record,
            uidvalidity,
            horizon: None,
            memory,
            witnessed: 0,
            chosen: Spool::new(scratch),
            candidates: Spool::new(scratch),
            remembered: 0,
            hasher: RandomState::new(),
            seen: HashSet::new(),
            done: Imported::default(),
        })
    }

    /// How many messages belong where.
    pub fn counted(&self) -> Imported {
        let seen = self.chosen.count() + self.remembered;
        Imported {
            imported: self.chosen.count(),
            unclear: self.memory.unclear,
            absent: match &self.memory.fetched {
                Fetched::Uids(uids) => uids.count(self.uidvalidity).saturating_sub(seen),
                Fetched::Copies(copies) => copies.left(),
                Fetched::Read => 0,
            },
            ..self.done.clone()
        }
    }

    /// Refuses what is about another mailbox: of its messages are copies, and of these are none.
    pub fn refuse_unwitnessed(&self, program: Program, name: &str) -> Result<()> {
        let chosen = self.chosen.count();
        if self.memory.witnesses.is_none() || self.witnessed > 0 || chosen == 0 {
            return Ok(());
        }
        let what = format!(
            "none of the {} in folder `{name}` that {} has fetched by their UIDs is in the Maildir of its state: it is the state of another mailbox",
            messages(chosen),
            program.name()
        );
        Err(Fault::usage(what)
            .hint("give the state of this mailbox; if the Maildir was emptied since: copy the state to another folder, and import that")
            .into())
    }

    /// Sorts all messages of the open folder.
    pub fn all(&mut self, job: &Job, store: &Store, mailbox: &mut dyn Mailbox) -> Result<()> {
        let query = Query {
            detail: Some(Detail::Likeness),
            ..Query::default()
        };
        let mut bare = Pile::new(&job.scratch);
        mailbox.list(&query, &mut |page| {
            let (told, untold): (Vec<Listed>, Vec<Listed>) =
                page.into_iter().partition(|one| one.traits.is_some());
            untold.into_iter().try_for_each(|one| bare.add(one))?;
            let told = told
                .into_iter()
                .filter_map(|one| Some((one.id, *one.traits?)));
            self.sort(store, told.collect())
        })?;
        for ids in bare.sort()?.pages(AT_ONCE) {
            let ids = ids?;
            let mut told = mailbox.describe(&ids, Detail::Likeness)?;
            let known: HashSet<RemoteId> = told.iter().map(|(id, _)| id.clone()).collect();
            let silent: Vec<RemoteId> = ids.into_iter().filter(|id| !known.contains(id)).collect();
            if !silent.is_empty() {
                // Their ids are all that is known of them.
                let present = mailbox.present(&silent)?.into_iter();
                told.extend(present.map(|id| (id, untold())));
            }
            self.sort(store, told)?;
        }
        self.settle_candidates()
    }

    /// Sorts messages of a page, each once.
    fn sort(&mut self, store: &Store, mut page: Vec<(RemoteId, Traits)>) -> Result<()> {
        page.retain(|(id, _)| id.ascends() || self.seen.insert(self.hasher.hash_one(id)));
        let ids: Vec<RemoteId> = page.iter().map(|(id, _)| id.clone()).collect();
        let known = match self.record {
            Some(record) => store.accounted(record.id, record.epoch, &ids)?,
            None => Default::default(),
        };
        for (id, traits) in page {
            let standing = known
                .get(&id)
                .filter(|standing| **standing != Standing::Pending);
            match standing {
                Some(_) => self.keep_known(&id, &traits),
                None => self.sort_one(id, &traits)?,
            }
        }
        Ok(())
    }

    /// What is on record is remembered for this message alone, and not for another one like it.
    fn keep_known(&mut self, id: &RemoteId, traits: &Traits) {
        self.done.on_record += 1;
        match &mut self.memory.fetched {
            Fetched::Uids(uids) => {
                let is_there = uids.holds(self.uidvalidity, id);
                self.remembered += u64::from(is_there);
            }
            Fetched::Copies(copies) => {
                if let Likeness::Same(key) = copies.likeness(traits) {
                    copies.take(key);
                }
            }
            Fetched::Read => {}
        }
    }

    fn sort_one(&mut self, id: RemoteId, traits: &Traits) -> Result<()> {
        let row = |id| SkippedRecord {
            remote: id,
            fingerprint: identity::of_skipped(&traits.message_id, traits.received, &traits.subject),
            received: traits.received,
        };
        let was_fetched = match &self.memory.fetched {
            Fetched::Uids(uids) => uids.holds(self.uidvalidity, &id),
            Fetched::Read => !traits.unread,
            Fetched::Copies(copies) => match copies.likeness(traits) {
                Likeness::Same(key) => return self.candidates.add(&row(id), key),
                Likeness::InDoubt => {
                    self.leave(&id, traits.received);
                    self.done.in_doubt += 1;
                    return Ok(());
                }
                Likeness::Unlike => false,
            },
        };
        if was_fetched {
            let witnesses = self.memory.witnesses.as_ref();
            let is_there = |all: &Copies| all.likeness(traits) != Likeness::Unlike;
            self.witnessed += u64::from(witnesses.is_some_and(is_there));
            return self.chosen.add(&row(id), 0);
        }
        self.leave(&id, traits.received);
        self.done.new += 1;
        Ok(())
    }

    /// Leaves a message to the next fetch.
    fn leave(&mut self, id: &RemoteId, received: Option<i64>) {
        let epoch = self
            .record
            .map_or(self.uidvalidity.into(), |record| record.epoch);
        let horizon = self.horizon.as_ref();
        let is_behind = horizon.is_some_and(|horizon| horizon.is_behind(epoch, id, received));
        self.done.before_start += u64::from(is_behind);
    }

    /// Gives each copy to one message, now that all are known.
    fn settle_candidates(&mut self) -> Result<()> {
        let Fetched::Copies(copies) = &mut self.memory.fetched else {
            return Ok(());
        };
        take_copies(copies, &self.candidates, &mut self.chosen, &mut self.done)
    }
}

fn take_copies(
    copies: &mut Copies,
    candidates: &Spool,
    chosen: &mut Spool,
    done: &mut Imported,
) -> Result<()> {
    for one in candidates.all() {
        let (row, key) = one?;
        match copies.take(key) {
            true => chosen.add(&row, 0)?,
            // More messages than copies are alike.
            false => done.in_doubt += 1,
        }
    }
    Ok(())
}

/// What is known of a message that is there, and of which the server tells nothing.
fn untold() -> Traits {
    Traits {
        unread: true,
        ..Traits::default()
    }
}

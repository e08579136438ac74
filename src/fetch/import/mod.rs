//! Takes a mailbox over from another program: what that has fetched is put on record as skipped, so
//! that it is not delivered again.
//!
//! Every message that the folder holds is held against what the program remembers (`peers`), by its
//! UID, by a copy of it, or by its being read. Whatever is in doubt is left for the next fetch. What
//! is found goes into a file on its way (`spool`), and from there on record in one transaction.

mod spool;

use super::pile::Pile;
use super::plan::{Orders, Work, plan};
use super::verdict::{held, waits};
use super::{Job, folder_key, identity, mailbox_key, restored, start};
use crate::config::{AfterFetch, Start};
use crate::fault::{Fault, Scene};
use crate::mail::{self, Detail, Listed, Mailbox, Query, RemoteId, Traits};
use crate::means::Means;
use crate::office::Office;
use crate::peers::{Copies, Fetched, Likeness, Memory, Program, as_in_a_name};
use crate::reach::{Mailboxes, Wanted};
use crate::shell;
use crate::state::{
    FolderRecord, ImportedFolder, Lock, LockName, SkippedRecord, Standing, Store, WaitName,
};
use crate::wording::messages;
use anyhow::{Context as _, Result};
use jiff::Timestamp;
use spool::Spool;
use std::cell::Cell;
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

/// Messages that are looked at together.
const AT_ONCE: usize = 2000;

/// What is to be imported, and where to.
pub struct ImportOrder<'o> {
    pub program: Program,
    pub address: &'o str,
    /// The only folder of the address where none is named.
    pub folder: Option<&'o str>,
    /// Count, and put nothing on record.
    pub dry_run: bool,
}

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

/// The mailbox of an address, and the names that it is known by.
///
/// # Errors
/// `Usage` where the address is not one of the configuration.
pub fn users<'a>(office: &'a Office<'a>, address: &str) -> Result<[&'a str; 2]> {
    let chosen = office.chosen(&[address.to_owned()])?;
    match chosen.into_iter().find(|entry| entry.is_of(address)) {
        Some(entry) => Ok([entry.address.address.as_str(), entry.account()]),
        None => Err(Fault::usage(format!(
            "`{address}` is the name of a queue, not an address"
        ))
        .into()),
    }
}

/// Imports what another program remembers.
///
/// # Errors
/// `TryLater` where the mailbox is being fetched, or its server wants to wait; `Usage` where nothing
/// of what is remembered says anything of this folder. Nothing is on record then.
pub fn import(
    means: &Means,
    office: &Office<'_>,
    store: &Store,
    order: &ImportOrder<'_>,
    memory: Memory,
) -> Result<Imported> {
    let names = [order.address.to_owned()];
    let planned = plan(office, store, &orders(&names))?;
    // A queue may have the name of an address.
    let mut tasks = planned.tasks.iter();
    let Some(task) = tasks.find(|task| task.entry.is_of(order.address)) else {
        let without_place = planned.without_place.into_iter();
        let mut errors = without_place.filter(|(name, _)| name.eq_ignore_ascii_case(order.address));
        let error = errors.next().map(|(_, err)| err);
        return Err(error.context("no mailbox was planned")?);
    };
    let job = &task.job;
    let folder = folder(job, order.folder)?;
    let mailbox = &*mailbox_key(&job.address);
    let lock = match store.lock(LockName::Fetch { mailbox })? {
        Ok(lock) => lock,
        Err(holder) => return Err(held(job, &holder).into()),
    };
    if let Some(wait) = store.wait(WaitName::Mailbox(mailbox), Timestamp::now())? {
        return Err(waits(job, &wait).into());
    }
    let mailboxes = Mailboxes::new(means, office, store);
    let way = Cell::default();
    let scene = || Scene {
        doing: format!(
            "cannot import into `{}` (queue `{}`)",
            job.address, job.queue
        ),
        ..mailboxes.scene(&task.entry, way.get())
    };
    let wanted = Wanted::of(&task.entry, &AfterFetch::Keep);
    let mut opened = mailboxes.open(&wanted, false, &way).with_context(scene)?;
    let mailbox = opened.mailbox();
    let done = Import {
        job,
        store,
        lock: &lock,
        order,
        memory,
        means,
    }
    .folder(mailbox, folder);
    mailbox.close();
    done.with_context(scene)
}

fn orders(names: &[String]) -> Orders<'_> {
    Orders {
        work: Work::Fetch,
        names,
        target: None,
        after: None,
        since: None,
        limit: None,
        include_skipped: false,
        jobs: 1,
        deadline: None,
        budget_each: None,
        in_json: false,
    }
}

/// The folder that is meant, as the configuration names it.
fn folder<'j>(job: &'j Job, named: Option<&str>) -> Result<&'j str> {
    let all = || format!("`{}`", job.folders.join("`, `"));
    let found = match (named, &job.folders[..]) {
        (Some(name), folders) => folders.iter().find(|f| f.eq_ignore_ascii_case(name)),
        (None, [only]) => Some(only),
        (None, _) => {
            return Err(Fault::usage(format!(
                "`{}` has several folders ({}): name one with --folder",
                job.address,
                all()
            ))
            .into());
        }
    };
    match found {
        Some(name) => Ok(name),
        None => Err(Fault::usage(format!(
            "`{}` is not a folder that queuemail fetches for `{}`: that is {}",
            named.unwrap_or_default(),
            job.address,
            all()
        ))
        .into()),
    }
}

struct Import<'a> {
    job: &'a Job,
    store: &'a Store,
    lock: &'a Lock,
    order: &'a ImportOrder<'a>,
    memory: Memory,
    means: &'a Means,
}

impl Import<'_> {
    fn folder(self, mailbox: &mut dyn Mailbox, name: &str) -> Result<Imported> {
        let (job, store) = (self.job, self.store);
        self.refuse_another(name)?;
        let opened = mailbox.open(name, false)?;
        let uidvalidity = opened.uidvalidity;
        let key = folder_key(job, name, store, mailbox, &[])?;
        let address = mailbox_key(&job.address);
        let record = store.folder_record(&address, &key, uidvalidity)?;
        if let Some(known) = &record
            && restored::by_any_sign(mailbox, &opened, store, known, store.now())?
        {
            let what = format!(
                "the UIDs of folder `{name}` went back, as if the mailbox had been restored"
            );
            return Err(Fault::try_later(what)
                .hint(format!(
                    "queuemail fetch {}, then import again",
                    shell::quote(&job.address)
                ))
                .into());
        }
        self.refuse_useless(name, &opened)?;
        self.means.observer.step(&format!(
            "`{}` folder `{name}`: comparing {} with what {} has fetched",
            job.address,
            messages(opened.exists.into()),
            self.order.program.owner()
        ));
        let begins = match job.start {
            Start::On(_) => start::at_first(job, store, mailbox, &address, &key, uidvalidity)?,
            // What the other program has fetched is what was there before.
            Start::All | Start::Now => None,
        };
        let mut found = Sorting {
            record: record.as_ref(),
            uidvalidity,
            horizon: begins
                .as_deref()
                .map(|text| start::Horizon::read(store, text))
                .transpose()?,
            memory: self.memory,
            chosen: Spool::new(&job.scratch)?,
            candidates: Spool::new(&job.scratch)?,
            remembered: 0,
            hasher: RandomState::new(),
            seen: HashSet::new(),
            done: Imported::default(),
        };
        found.all(job, store, mailbox)?;
        let mut done = found.done;
        done.unclear = found.memory.unclear;
        done.absent = match &found.memory.fetched {
            Fetched::Uids(uids) => {
                let seen = found.chosen.count() + found.remembered;
                uids.count(uidvalidity).saturating_sub(seen)
            }
            Fetched::Copies(copies) => copies.left(),
            Fetched::Read => 0,
        };
        done.imported = found.chosen.count();
        if done.imported == 0 && record.is_none() && job.start == Start::Now {
            // Nothing goes on record: fetching has not begun.
            done.before_start = done.new + done.in_doubt;
        }
        if !self.order.dry_run && done.imported > 0 {
            let folder = ImportedFolder {
                address: &address,
                name: &key,
                uidvalidity,
                start: begins.as_deref(),
            };
            let chosen = &found.chosen;
            let written =
                store.import(self.lock, &folder, || chosen.pages(AT_ONCE), store.now())?;
            // What is being delivered is not skipped.
            done.on_record += done.imported.saturating_sub(written);
            done.imported = written;
        }
        Ok(Imported {
            queue: job.queue.clone(),
            address: job.address.clone(),
            folder: name.to_owned(),
            ..done
        })
    }

    /// Refuses what is about another folder, by the name of its file.
    fn refuse_another(&self, name: &str) -> Result<()> {
        let Some(told) = &self.memory.folder else {
            return Ok(());
        };
        let own = as_in_a_name(name, '.');
        // Other letters may be encoded.
        if !own.is_ascii() || !told.is_ascii() || own.eq_ignore_ascii_case(told) {
            return Ok(());
        }
        let what = format!("by its name, the file is of folder `{told}`, not of `{name}`");
        Err(Fault::usage(what)
            .hint("name the folder with --folder, or another file")
            .into())
    }

    /// Refuses what says nothing of the folder as it is now.
    fn refuse_useless(&self, name: &str, opened: &mail::Folder) -> Result<()> {
        let program = self.order.program.name();
        let what = match &self.memory.fetched {
            Fetched::Uids(uids) => match (uids.newest(), opened.uidvalidity) {
                (None, _) if self.memory.unclear > 0 => format!(
                    "none of the {} that {program} remembers can be told by its UID of IMAP",
                    messages(self.memory.unclear)
                ),
                (Some(_), 0) => format!(
                    "{program} remembers UIDs of IMAP, but queuemail reads `{}` by Graph, where messages have no UIDs",
                    self.job.address
                ),
                (Some(newest), now) if uids.count(now) == 0 => format!(
                    "{program} remembers UIDs of UIDVALIDITY {newest}, but folder `{name}` has UIDVALIDITY {now}: its messages have other UIDs now, or it is another folder"
                ),
                (_, now) => match (uids.highest(now), &opened.next) {
                    (Some(highest), Some(next)) if highest >= *next => format!(
                        "{program} remembers UID {highest}, but folder `{name}` has not given it yet (UIDNEXT is {next}): it is the state of another mailbox, or the mailbox was restored"
                    ),
                    _ => return Ok(()),
                },
            },
            Fetched::Copies(copies) if copies.is_empty() && self.memory.unclear > 0 => format!(
                "none of the {} in the Maildir has a Message-ID",
                messages(self.memory.unclear)
            ),
            Fetched::Copies(_) | Fetched::Read => return Ok(()),
        };
        let (queue, address) = (
            shell::quote(&self.job.queue),
            shell::quote(&self.job.address),
        );
        let mut fault = Fault::usage(what);
        if self.order.program != Program::Maildir {
            fault = fault.hint(format!(
                "if {program} delivered into a Maildir: queuemail state import maildir MAILDIR --address {address}"
            ));
        }
        Err(fault
            .hint(format!(
                "or set the day where fetching begins: queuemail queue set {queue} --address {address} --start DATE"
            ))
            .into())
    }
}

/// The messages of a folder on their way to where they belong.
struct Sorting<'a> {
    record: Option<&'a FolderRecord>,
    uidvalidity: u32,
    horizon: Option<start::Horizon>,
    memory: Memory,
    /// To be put on record.
    chosen: Spool,
    /// Alike to a copy that another message may have a better right to.
    candidates: Spool,
    /// On record before, and remembered by the other program by their UIDs.
    remembered: u64,
    hasher: RandomState,
    /// Digests of ids that are texts: a listing of Graph may give one twice.
    seen: HashSet<u64>,
    done: Imported,
}

impl Sorting<'_> {
    fn all(&mut self, job: &Job, store: &Store, mailbox: &mut dyn Mailbox) -> Result<()> {
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

//! Takes a mailbox over from another program: what that has fetched is put on record as skipped, so
//! that it is not delivered again.
//!
//! Every message that the folder holds is held against what the program remembers (`peers`), by its
//! UID, by a copy of it, or by its being read (`sorting`). Whatever is in doubt is left for the next
//! fetch. What is found goes into a file on its way (`spool`), and from there on record in one transaction.

mod sorting;
mod spool;

pub use sorting::Imported;

use super::plan::{Orders, Work, plan};
use super::verdict::{held, waits};
use super::{AT_ONCE, Job, folder_key, mailbox_key, restored, start};
use crate::fault::{Fault, Scene};
use crate::mail::{self, Mailbox};
use crate::means::Means;
use crate::model::{AfterFetch, Start};
use crate::office::Office;
use crate::peers::{Fetched, Memory, Program, as_in_a_name};
use crate::reach::{Mailboxes, Wanted};
use crate::shell;
use crate::state::{ImportedFolder, Lock, LockName, Store, WaitName};
use crate::wording::messages;
use anyhow::{Context as _, Result};
use jiff::Timestamp;
use sorting::Sorting;
use std::cell::Cell;
use std::time::Duration;

/// What is to be imported, and where to.
pub struct ImportOrder<'o> {
    pub program: Program,
    pub address: &'o str,
    /// The only folder of the address where none is named.
    pub folder: Option<&'o str>,
    /// Count, and put nothing on record.
    pub dry_run: bool,
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
        every: Duration::ZERO,
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

/// The fault of a folder that has to be looked at again first.
fn went_back(job: &Job, name: &str) -> Fault {
    let what =
        format!("the UIDs of folder `{name}` went back, as if the mailbox had been restored");
    let address = shell::quote(&job.address);
    Fault::try_later(what).hint(format!("queuemail fetch {address}, then import again"))
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
            return Err(went_back(job, name).into());
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
        let horizon = begins.as_deref();
        let horizon = horizon.map(|text| start::Horizon::read(store, text));
        let mut found = Sorting::new(self.memory, &job.scratch, record.as_ref(), uidvalidity)?;
        found.horizon = horizon.transpose()?;
        found.all(job, store, mailbox)?;
        found.refuse_unwitnessed(self.order.program, name)?;
        let mut done = found.counted();
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

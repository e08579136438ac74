//! The engine: brings the new mail of one mailbox to where it rests, and tells the server.
//!
//! For every folder: finish what a crash interrupted, list what is behind the mark, retrieve it
//! into files, deliver and record (see `commit`), then mark, move or delete on the server what
//! is on record as delivered. A connection that breaks is opened again while that may help (`pass`).
//! Nothing here prints or reads the configuration file.

mod audit;
mod commit;
mod fields;
mod identity;
mod intake;
mod kept;
mod machine;
mod pass;

use crate::config::{AfterFetch, Target};
use crate::delivery::{self, Delivery, Letter};
use crate::digest::{hex, sha256};
use crate::fault::{Fault, Kind, kind_of};
use crate::mail::{self, Mailbox, Missing, Query, RemoteId};
use crate::state::{Failure, FolderRecord, Interrupted, Store};
use anyhow::{Context, Result};
use commit::Committer;
use intake::{Intake, Staged};
use pass::Pass;
use std::collections::HashSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Instant;

pub use audit::{Audit, audit};
pub use kept::Kept;

/// So many messages are asked for before the server is told of those delivered.
const CHUNK: usize = 2000;
/// The same when a run has a time budget, which is looked at in between.
const CHUNK_IN_TIME: usize = 50;
/// So many messages may be on disk and not yet durable.
const IN_FLIGHT: usize = 2000;

/// One mailbox, and what is to be done with its mail.
#[derive(Clone, Debug)]
pub struct Job {
    pub queue: String,
    /// As the configuration has it.
    pub address: String,
    pub priority: u32,
    pub language: String,
    pub folders: Vec<String>,
    pub target: Target,
    pub after: AfterFetch,
    /// Put `X-Queuemail-*` header fields before each message.
    pub stamp: bool,
    /// At most so many messages in this run.
    pub limit: Option<u32>,
    /// Only what was received on or after this day.
    pub since: Option<jiff::civil::Date>,
    /// Stop between two messages at this time.
    pub deadline: Option<Instant>,
    /// A private folder of ours for what has no place of its own to be staged in.
    pub spool: PathBuf,
    /// The state folder, where the octets of refused messages are kept.
    pub state: PathBuf,
}

impl Job {
    fn is_over(&self) -> bool {
        self.deadline.is_some_and(|end| Instant::now() >= end)
    }
}

/// How far a piece of work has come that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Whole,
    /// The job's time was up; the connection is of no more use.
    TimeUp,
}

/// What a run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub fetched: u64,
    /// Could not be delivered now; tried again later.
    pub failed: u64,
    /// Given up on and kept aside.
    pub quarantined: u64,
    /// Found again under other ids after the server changed them.
    pub recognised: u64,
    pub octets: u64,
}

impl Tally {
    pub fn add(&mut self, other: &Tally) {
        self.fetched += other.fetched;
        self.failed += other.failed;
        self.quarantined += other.quarantined;
        self.recognised += other.recognised;
        self.octets += other.octets;
    }
}

/// A folder that is being fetched.
pub struct Folder<'a> {
    pub job: &'a Job,
    pub name: &'a str,
    /// What the state knows it by.
    pub key: String,
    pub epoch: u32,
    pub record: FolderRecord,
    pub after: &'a AfterFetch,
}

impl Folder<'_> {
    fn letter(&self, staged: &Staged) -> Letter {
        Letter {
            queue: self.job.queue.clone(),
            address: self.job.address.clone(),
            folder: self.name.to_owned(),
            uidvalidity: self.epoch,
            uid: staged.id.clone(),
            size: staged.size,
            priority: self.job.priority,
            language: self.job.language.clone(),
            message_id: staged.identity.message_id.clone(),
            kind: staged.identity.machine.name(),
            original_message_id: staged.identity.original_message_id.clone(),
            delivery_id: self.delivery_id(&staged.id),
        }
    }

    fn delivery_id(&self, id: &RemoteId) -> String {
        delivery_id(&self.job.address, &self.key, self.epoch, id)
    }
}

/// Names a message for good: the same on every attempt, on every machine. `folder` is what the
/// state knows it by.
pub fn delivery_id(address: &str, folder: &str, epoch: u32, id: &RemoteId) -> String {
    let address = mailbox_key(address);
    let key = format!("{address}\0{folder}\0{epoch}\0{id}");
    hex(&sha256(key.as_bytes())[..16])
}

/// A message that was delivered.
pub struct Delivered<'a> {
    pub letter: &'a Letter,
    pub delivered_to: &'a str,
}

/// Hears what happens while it happens, from several threads.
pub trait Reporter: Sync {
    /// So many messages of a folder are about to be fetched.
    fn found(&self, folder: &Folder<'_>, messages: u64);
    fn delivered(&self, delivered: &Delivered<'_>);
    /// A delivery that a crash interrupted is finished.
    fn recovered(&self, job: &Job, message: &Interrupted, delivered_to: &str);
    fn failed(&self, folder: &Folder<'_>, id: &RemoteId, reason: &str, quarantined: bool);
    fn note(&self, text: &str);
}

/// Opens the mailbox; `true` asks for a new token because the server called the last one stale.
pub type Open<'a> = dyn FnMut(bool) -> Result<Box<dyn Mailbox>> + 'a;

/// Fetches one mailbox; a connection that breaks is opened again as long as there is progress, and
/// one whose token ran out, with a new token. The caller holds its lock. What was done is in `tally` also when an
/// error ends the run.
pub fn fetch_mailbox(
    job: &Job,
    store: &Store,
    open: &mut Open<'_>,
    reporter: &dyn Reporter,
    tally: &mut Tally,
) -> Result<()> {
    finish_interrupted(job, store, reporter, tally)?;
    let mut pass = Pass::new(&tag(&job.address));
    let mut stale_token = false;
    loop {
        let before = *tally;
        let mut mailbox = open(stale_token)?;
        pass.seen.clear();
        let result = fetch_folders(job, store, mailbox.as_mut(), &mut pass, reporter, tally);
        match result {
            Ok(_) => {
                mailbox.close();
                return Ok(());
            }
            Err(err) => {
                let was_new = stale_token;
                stale_token = err.downcast_ref::<mail::TokenExpired>().is_some();
                let further = pass.goes_on(*tally != before);
                let again = (stale_token && !was_new) || (is_cut(&err) && further);
                if !again || job.is_over() {
                    return Err(err);
                }
                reporter.note(&format!("`{}`: {err:#}; connecting again", job.address));
            }
        }
    }
}

/// Marks an error of the delivery, which a new connection to the mailbox does not mend.
#[derive(Clone, Debug)]
struct CannotDeliver(String);

impl fmt::Display for CannotDeliver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot deliver to `{}`", self.0)
    }
}

/// A connection that broke, without a wish of the server to be left alone.
fn is_cut(err: &anyhow::Error) -> bool {
    let ours = err.downcast_ref::<CannotDeliver>().is_some();
    !ours
        && err
            .downcast_ref::<Fault>()
            .is_some_and(|f| f.kind == Kind::TryLater && f.retry_after.is_none())
}

/// What would be fetched: of each folder the messages, in order. Changes nothing.
pub fn list_mailbox(
    job: &Job,
    store: &Store,
    mailbox: &mut dyn Mailbox,
) -> Result<Vec<(String, u32, Vec<RemoteId>)>> {
    let mut found = Vec::new();
    let mut seen = Vec::new();
    let mut left = job.limit.map(|limit| limit as usize);
    for name in &job.folders {
        let opened = mailbox.open(name, false)?;
        let key = folder_key(job, name, store, mailbox, &seen)?;
        if seen.contains(&key) {
            continue;
        }
        let record = store.folder_record(&mailbox_key(&job.address), &key, opened.epoch)?;
        seen.push(key);
        let mut ids = match &record {
            Some(record) => outstanding(job, store, mailbox, record, opened.epoch)?.ids,
            None => {
                mailbox
                    .list(&Query {
                        after: None,
                        since: job.since,
                    })?
                    .ids
            }
        };
        if let Some(left) = &mut left {
            ids.truncate(*left);
            *left -= ids.len();
        }
        found.push((name.clone(), opened.epoch, ids));
    }
    Ok(found)
}

/// Finishes the deliveries that a crash interrupted, before anything else is fetched.
fn finish_interrupted(
    job: &Job,
    store: &Store,
    reporter: &dyn Reporter,
    tally: &mut Tally,
) -> Result<()> {
    for message in store.interrupted(&mailbox_key(&job.address))? {
        let intent = serde_json::from_str(&message.intent)
            .context("the state database holds an intent that is not ours")?;
        match delivery::recover(&intent, now() - message.since)? {
            Some(place) => {
                store.delivered(
                    message.folder,
                    message.epoch,
                    std::iter::once((&message.remote, place.as_str())),
                    &job.after,
                    now(),
                )?;
                tally.fetched += 1;
                tally.octets += message.size;
                reporter.recovered(job, &message, &place);
            }
            None => store.restart(&message)?,
        }
    }
    Ok(())
}

fn fetch_folders(
    job: &Job,
    store: &Store,
    mailbox: &mut dyn Mailbox,
    pass: &mut Pass,
    reporter: &dyn Reporter,
    tally: &mut Tally,
) -> Result<Ended> {
    let folders: Vec<&str> = job.folders.iter().map(String::as_str).collect();
    mail::refuse_to_move_back(mailbox, &folders, &job.after)?;
    let mut first = Ok(());
    for name in folders {
        match fetch_named(job, name, store, mailbox, pass, reporter, tally) {
            Ok(Ended::Whole) => {}
            // A folder that is gone, or closed to us, keeps no other back.
            Err(err) if matches!(kind_of(&err), Kind::Config | Kind::Refused | Kind::SignIn) => {
                first = first.and(Err(err));
            }
            ended => return first_of(first, ended),
        }
    }
    first.map(|()| Ended::Whole)
}

/// Fetches the folder of this name, unless it is among those `seen` by this run.
fn fetch_named(
    job: &Job,
    name: &str,
    store: &Store,
    mailbox: &mut dyn Mailbox,
    pass: &mut Pass,
    reporter: &dyn Reporter,
    tally: &mut Tally,
) -> Result<Ended> {
    let opened = mailbox.open(name, job.after != AfterFetch::Keep)?;
    let key = folder_key(job, name, store, mailbox, &pass.seen)?;
    if pass.seen.contains(&key) {
        return Ok(Ended::Whole);
    }
    pass.seen.push(key.clone());
    let folder = Folder {
        job,
        name,
        epoch: opened.epoch,
        record: store.open_folder(&mailbox_key(&job.address), &key, opened.epoch)?,
        key,
        after: &job.after,
    };
    if folder.record.renumbered {
        let why = match folder.epoch {
            0 => "its messages have the ids of Graph now".to_owned(),
            epoch => format!("its messages have other UIDs now (UIDVALIDITY {epoch})"),
        };
        reporter.note(&format!(
            "`{}` folder `{name}`: {why}; those delivered before are recognised",
            job.address
        ));
    }
    // New mail comes even where the server cannot be told of what came before.
    let mut told = settle_earlier(store, mailbox, &folder);
    let ended = match &told {
        Err(err) if is_wish(err) => Ok(Ended::Whole),
        _ => fetch_folder(store, mailbox, &folder, pass, reporter, tally, &mut told),
    };
    first_of(told, ended)
}

/// The first of two errors, of which the second often follows; but before it what the server
/// wishes, and what hinders the delivery.
fn first_of<T>(first: Result<()>, then: Result<T>) -> Result<T> {
    match (first, then) {
        (Err(_), Err(err)) if is_wish(&err) || err.downcast_ref::<CannotDeliver>().is_some() => {
            Err(err)
        }
        (first, then) => first.and(then),
    }
}

/// The server wants to wait, or a new token.
fn is_wish(err: &anyhow::Error) -> bool {
    let waits = |fault: &Fault| fault.retry_after.is_some();
    err.downcast_ref::<mail::TokenExpired>().is_some()
        || err.downcast_ref::<Fault>().is_some_and(waits)
}

/// Tells the server what an earlier run recorded and could not tell.
fn settle_earlier(store: &Store, mailbox: &mut dyn Mailbox, folder: &Folder<'_>) -> Result<()> {
    let mut rest = store.unsettled(folder.record.id, folder.epoch)?;
    while let Some((_, action)) = rest.first().cloned() {
        let (now, later): (Vec<_>, Vec<_>) = rest.into_iter().partition(|(_, a)| *a == action);
        let ids: Vec<RemoteId> = now.into_iter().map(|(id, _)| id).collect();
        settle(store, mailbox, folder, &ids, &action)?;
        rest = later;
    }
    Ok(())
}

/// Tells the server what became of messages, and puts on record that it knows.
fn settle(
    store: &Store,
    mailbox: &mut dyn Mailbox,
    folder: &Folder<'_>,
    ids: &[RemoteId],
    action: &AfterFetch,
) -> Result<()> {
    let (id, epoch) = (folder.record.id, folder.epoch);
    let err = match mailbox.settle(ids, action) {
        Ok(left) => return store.settled(id, epoch, ids, left),
        Err(err) => err,
    };
    // One that cannot be moved must not have all others tried again with it.
    if matches!(action, AfterFetch::Delete | AfterFetch::Move(_))
        && !is_wish(&err)
        && let Ok(present) = mailbox.present(ids)
    {
        let present: HashSet<RemoteId> = present.into_iter().collect();
        let left: Vec<_> = ids
            .iter()
            .filter(|id| !present.contains(id))
            .cloned()
            .collect();
        store.settled(id, epoch, &left, true)?;
    }
    Err(err)
}

/// What is to be retrieved, and the mark that holds once all of it is accounted for.
struct Outstanding {
    ids: Vec<RemoteId>,
    mark: Option<String>,
}

fn outstanding(
    job: &Job,
    store: &Store,
    mailbox: &mut dyn Mailbox,
    record: &FolderRecord,
    epoch: u32,
) -> Result<Outstanding> {
    let due = store.due(record.id, epoch, now())?;
    let listing = mailbox.list(&Query {
        after: record.mark.clone(),
        since: job.since,
    })?;
    let known = store.accounted(record.id, epoch, record.mark.as_deref(), &listing.ids)?;
    let new = listing.ids.into_iter().filter(|id| !known.contains(id));
    let mut ids = due;
    ids.extend(new);
    // Of UIDs a part of the work moves the mark, which passes over all below it. Those of Graph are
    // in the order of arrival.
    if let Some(RemoteId::Uid(_)) = ids.first() {
        ids.sort_unstable();
    }
    Ok(Outstanding {
        ids,
        // A listing of some days only says nothing of what lies before them.
        mark: listing.mark.filter(|_| job.since.is_none()),
    })
}

fn fetch_folder(
    store: &Store,
    mailbox: &mut dyn Mailbox,
    folder: &Folder<'_>,
    pass: &mut Pass,
    reporter: &dyn Reporter,
    tally: &mut Tally,
    told: &mut Result<()>,
) -> Result<Ended> {
    let job = folder.job;
    let mut work = outstanding(job, store, mailbox, &folder.record, folder.epoch)?;
    let (set_aside, ids): (Vec<_>, Vec<_>) = work.ids.into_iter().partition(|id| {
        pass.set_aside
            .iter()
            .any(|(f, i)| *f == folder.key && i == id)
    });
    work.ids = ids;
    if !set_aside.is_empty() {
        // Nothing may pass over them that are not on record yet.
        work.mark = None;
    }
    let left = job
        .limit
        .map(|limit| (limit as usize).saturating_sub(tally.fetched as usize));
    let cut = left.is_some_and(|left| left < work.ids.len());
    if cut {
        work.ids.truncate(left.unwrap_or(0));
        work.mark = None;
    }
    reporter.found(folder, work.ids.len() as u64);
    if !work.ids.is_empty() {
        let place = delivery::expand(
            &job.target,
            &job.queue,
            &job.address,
            folder.name,
            &job.language,
        )?;
        let mut delivery = delivery::open(&place, &job.spool)?;
        pass.names
            .sweep(delivery.staging())
            .map_err(|e| delivery::cannot_write(delivery.staging(), &e))?;
        let size = match job.deadline {
            Some(_) => CHUNK_IN_TIME,
            None => CHUNK,
        };
        for (n, chunk) in work.ids.chunks(size).enumerate() {
            // However little time there is, a message is fetched in it.
            if n > 0 && job.is_over() {
                return Ok(Ended::TimeUp);
            }
            let Some(fetched) = fetch_chunk(
                store,
                mailbox,
                folder,
                chunk,
                delivery.as_mut(),
                pass,
                reporter,
                tally,
            )?
            else {
                return Ok(Ended::TimeUp);
            };
            if told.is_ok() && *folder.after != AfterFetch::Keep && !fetched.delivered.is_empty() {
                *told = settle(store, mailbox, folder, &fetched.delivered, folder.after);
                if told.as_ref().is_err_and(is_wish) {
                    return Ok(Ended::Whole);
                }
            }
            // IMAP's ids ascend: everything up to the last of the chunk is accounted for. One that
            // nothing came of may never have been: beyond it may be mail that is still to come.
            let last = chunk.iter().rfind(|id| !fetched.gone.contains(id));
            if let (Some(RemoteId::Uid(last)), Some(_)) = (last, &work.mark)
                && folder
                    .record
                    .mark
                    .as_ref()
                    .and_then(|m| m.parse::<u32>().ok())
                    .is_none_or(|mark| mark < *last)
            {
                store.set_mark(folder.record.id, &last.to_string())?;
            }
        }
    }
    for id in &set_aside {
        let reason = "the server broke off over this message, twice in a row";
        let failure = Failure {
            reason,
            for_good: false,
        };
        let (record, epoch) = (folder.record.id, folder.epoch);
        let quarantined = store.failed(record, epoch, id, &failure, now())?;
        match quarantined {
            true => tally.quarantined += 1,
            false => tally.failed += 1,
        }
        reporter.failed(folder, id, reason, quarantined);
    }
    let is_moved = matches!(work.ids.first(), Some(RemoteId::Uid(_)));
    if let Some(mark) = work.mark
        && !is_moved
        && folder.record.mark.as_ref() != Some(&mark)
    {
        store.set_mark(folder.record.id, &mark)?;
    }
    if folder.record.renumbered && !cut && set_aside.is_empty() && job.since.is_none() {
        store.close_former_epochs(folder.record.id, folder.epoch)?;
    }
    Ok(Ended::Whole)
}

/// What became of some messages.
struct Fetched {
    /// Delivered, of which the server is to be told.
    delivered: Vec<RemoteId>,
    /// Not in the folder any more.
    gone: HashSet<RemoteId>,
}

/// Retrieves, delivers and records some messages of the open folder; `None` when the job's time
/// was up.
#[allow(clippy::too_many_arguments)]
fn fetch_chunk(
    store: &Store,
    mailbox: &mut dyn Mailbox,
    folder: &Folder<'_>,
    ids: &[RemoteId],
    delivery: &mut dyn Delivery,
    pass: &mut Pass,
    reporter: &dyn Reporter,
    tally: &mut Tally,
) -> Result<Option<Fetched>> {
    let job = folder.job;
    let staging = delivery.staging().to_owned();
    let mut committer = Committer {
        store,
        folder,
        delivery,
        reporter,
        tally: Tally::default(),
        accounted: HashSet::new(),
        delivered: Vec::new(),
        later_in_a_row: 0,
    };
    let (sender, receiver) = mpsc::sync_channel(IN_FLIGHT);
    let (retrieved, stored, time_up, committed) = std::thread::scope(|scope| {
        let committer = &mut committer;
        let disk = scope.spawn(move || committer.run(&receiver));
        let mut intake =
            Intake::new(&staging, &mut pass.names, sender).until(job.deadline, ids.len());
        let retrieved = mailbox.retrieve(ids, &mut intake);
        let stored = intake.failure.take();
        let time_up = intake.time_up;
        drop(intake);
        let committed = disk
            .join()
            .unwrap_or_else(|_| Err(Fault::new(Kind::Bug, "the delivery thread panicked").into()));
        (retrieved, stored, time_up, committed)
    });
    // The disk's own words come first: the mailbox only knows that its sink refused.
    let ours = || CannotDeliver(folder.job.target.to_string());
    let result = match (committed, stored) {
        (Err(failure), _) | (Ok(()), Some(failure)) => Err(failure.context(ours())),
        (Ok(()), None) if time_up => {
            // What was delivered is settled by the next run: an answer was left unread.
            tally.add(&committer.tally);
            return Ok(None);
        }
        (Ok(()), None) => retrieved,
    };
    // Messages come in the order of their UIDs.
    if result.as_ref().is_err_and(is_cut) {
        let next = ids.iter().find(|id| !committer.accounted.contains(id));
        pass.broke_over = next
            .filter(|id| matches!(id, RemoteId::Uid(_)))
            .map(|id| (folder.key.clone(), id.clone()));
    }
    let missing = match &result {
        Ok(missing) => missing.clone(),
        Err(_) => Vec::new(),
    };
    let gone = account_for_missing(store, mailbox, &mut committer, &missing)?;
    if result.is_ok() {
        // Whatever a server leaves out, the mark must not pass over it.
        for id in ids
            .iter()
            .filter(|id| !committer.accounted.contains(id))
            .cloned()
            .collect::<Vec<_>>()
        {
            committer.failed(&id, "the server said nothing of this message", false, now())?;
        }
    }
    let delivered = std::mem::take(&mut committer.delivered);
    tally.add(&committer.tally);
    result?;
    Ok(Some(Fetched { delivered, gone }))
}

/// A message that was asked for and did not come is gone, or the server cannot give it: the
/// first needs no record, the second is tried again later. Gives those that are gone.
fn account_for_missing(
    store: &Store,
    mailbox: &mut dyn Mailbox,
    committer: &mut Committer<'_>,
    missing: &[(RemoteId, Missing)],
) -> Result<HashSet<RemoteId>> {
    let mut gone = HashSet::new();
    if missing.is_empty() {
        return Ok(gone);
    }
    let ids: Vec<RemoteId> = missing.iter().map(|(id, _)| id.clone()).collect();
    let present: HashSet<RemoteId> = mailbox.present(&ids)?.into_iter().collect();
    let folder = committer.folder;
    for (id, why) in missing {
        if !present.contains(id) {
            store.gone(folder.record.id, folder.epoch, id)?;
            committer.accounted.insert(id.clone());
            gone.insert(id.clone());
            continue;
        }
        let reason = match why {
            Missing::Silent => "the server lists this message but gives nothing for it".to_owned(),
            Missing::Refused(text) => format!("the server refused this message: {text}"),
            Missing::TooLarge { announced, max } => {
                format!("the message is too large: {announced} octets, the limit is {max}")
            }
        };
        committer.failed(id, &reason, false, now())?;
    }
    Ok(gone)
}

/// What the state knows a mailbox by.
pub fn mailbox_key(address: &str) -> String {
    address.to_lowercase()
}

/// What the state knows the open folder `name` by: the name that it was first fetched by, or that
/// this run has `seen` it by. A folder may have several: INBOX is one, however it is written (RFC
/// 3501 §5.1), to Exchange every other is too, and Graph also knows some by names in another
/// language. By each of them its mail would be new.
fn folder_key(
    job: &Job,
    name: &str,
    store: &Store,
    mailbox: &mut dyn Mailbox,
    seen: &[String],
) -> Result<String> {
    let name = match name.eq_ignore_ascii_case("INBOX") {
        true => "INBOX",
        false => name,
    };
    let known = store.folder_names(&mailbox_key(&job.address))?;
    if !known.iter().any(|known| known == name) {
        for other in known.iter().chain(seen) {
            if mailbox.is_one_folder(name, other)? {
                return Ok(other.clone());
            }
        }
    }
    Ok(name.to_owned())
}

/// A short name of a mailbox for file names.
fn tag(address: &str) -> String {
    hex(&sha256(mailbox_key(address).as_bytes())[..5])
}

/// Unix time in seconds.
pub fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

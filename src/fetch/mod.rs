//! The engine: brings the new mail of mailboxes to where it rests, and tells the servers.
//!
//! A run takes each mailbox that is planned, several at a time. In a mailbox, what a crash interrupted
//! is finished first. Then for every folder: list what is behind the mark, retrieve it into files,
//! deliver and record it, then mark, move or delete on the server what is on record as delivered. A
//! connection that breaks is opened again while that may help. Nothing here prints or reads the
//! configuration file.
//!
//! - `plan`, `run`: which mailboxes, and all of them; `share`: those that are this host's turn where
//!   hosts share the state; `done`, `verdict`: what the run did, and what it says of that
//! - `interrupted`: what a crash interrupted
//! - `pass`: what the connections to one mailbox have in common; `visit`: one of them, folder by folder
//! - `settle`: tells the server what became of messages; `restored`: whether they are those messages
//! - `outstanding`: what of a folder is to be fetched; `sift`, `start`, `pile`: what is left out, what
//!   was there before fetching began, and the rest in order
//! - `folder`, `chunk`: has it brought, and accounts for it; `intake`, `batches`, `commit`: off the wire
//!   into files, and from there to where it rests, in the order that is the promise
//! - `identity`, `machine`: which mail it is, and who wrote it: a person or a machine
//! - `kept`: octets of messages in quarantine; `included`: what was skipped and is wanted all the same;
//!   `import`: what other programs have fetched
//! - `look`, `audit`: what a run would do, and whether anything was missed
//! - `errors`: whose an error is

mod aside;
mod audit;
mod batches;
mod chunk;
mod commit;
mod done;
mod errors;
mod folder;
mod identity;
mod import;
mod included;
mod intake;
mod interrupted;
mod kept;
mod look;
mod machine;
mod outstanding;
mod pass;
mod pile;
mod plan;
mod restored;
mod run;
mod settle;
mod share;
mod sift;
mod start;
mod verdict;
mod visit;

use crate::delivery::Letter;
use crate::digest::{hex, sha256};
use crate::fault::{Kind, kind_of};
use crate::mail::{self, Mailbox, RemoteId};
use crate::model::{AfterFetch, Day, Recording, Select, Start, Target, Webhook};
use crate::state::{About, Epoch, FolderRecord, Interrupted, Lock, Origin, Store, uidvalidity};
use anyhow::Result;
use errors::is_cut;
use identity::Identity;
use interrupted::finish_interrupted;
use pass::Pass;
use std::fmt::Display;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use visit::Visit;

#[cfg(any(fuzzing, test))]
pub mod fuzz;

pub use audit::{Audit, audit};
pub use errors::{destination_waits, is_of_delivery};
pub use import::{ImportOrder, Imported, import, users};
pub use kept::Kept;
pub use look::{Listing, list};
pub use pile::Sorted;
pub use plan::{Orders, Work};
pub use run::run;
pub use verdict::of_messages;

/// So many messages are looked at, or put on record, together.
const AT_ONCE: usize = 2000;

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
    /// What goes with mail that is posted to a URL.
    pub webhooks: Arc<[Webhook]>,
    pub after: AfterFetch,
    /// Put `X-Queuemail-*` header fields before each message.
    pub stamp: bool,
    /// What the history says of it.
    pub recording: Recording,
    /// At most so many messages in this run.
    pub limit: Option<u32>,
    /// Only what was received on or after this day.
    pub since: Option<Day>,
    /// Where fetching a folder begins that is not on record yet.
    pub start: Start,
    /// Which messages are fetched; all without it.
    pub select: Option<Select>,
    /// Fetch nothing: skip what is there.
    pub catch_up: bool,
    /// Fetch also what was skipped.
    pub include_skipped: bool,
    /// Stop between two messages at this time.
    pub deadline: Option<Instant>,
    /// A private folder for what has no place of its own to be staged in, and for what
    /// memory is not to hold.
    pub scratch: PathBuf,
}

impl Job {
    /// Where its messages come from, for the history.
    fn origin<'a>(&'a self, mailbox: &'a str, folder: &'a str) -> Origin<'a> {
        Origin {
            queue: &self.queue,
            address: mailbox,
            folder,
            recording: self.recording,
        }
    }

    fn is_over(&self) -> bool {
        self.deadline.is_some_and(|end| Instant::now() >= end)
    }
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
    /// That of its mailbox.
    pub lock: &'a Lock,
    pub name: &'a str,
    /// What the state knows it by.
    pub key: String,
    pub epoch: Epoch,
    pub record: FolderRecord,
    /// Beyond this id, if it is known, nothing was on record when the folder was opened.
    pub highest: Option<RemoteId>,
    pub after: &'a AfterFetch,
}

impl Folder<'_> {
    fn letter(&self, id: RemoteId, size: u64, identity: Identity) -> Letter {
        Letter {
            queue: self.job.queue.clone(),
            address: self.job.address.clone(),
            folder: self.name.to_owned(),
            uidvalidity: uidvalidity(self.epoch),
            size,
            priority: self.job.priority,
            language: self.job.language.clone(),
            message_id: identity.message_id,
            summary: identity.summary,
            kind: identity.machine.name(),
            original_message_id: identity.original_message_id,
            delivery_id: self.delivery_id(&id),
            uid: id,
        }
    }

    /// What is on record of a message until it is delivered, and then in the history.
    fn about(&self, letter: &Letter, sha256: &[u8; 32]) -> About {
        let summary = &letter.summary;
        About {
            message_id: letter.message_id.clone(),
            from: summary.from.clone(),
            sender: summary.sender.clone(),
            subject: summary.subject.clone(),
            sha256: Some(hex(sha256)),
        }
        .within(self.job.recording)
    }

    fn delivery_id(&self, id: &RemoteId) -> String {
        delivery_id(&self.job.address, &self.key, self.epoch, id)
    }
}

/// Names a message for good: the same on every attempt, on every machine. `folder` is what the
/// state knows it by.
pub fn delivery_id(address: &str, folder: &str, epoch: Epoch, id: &RemoteId) -> String {
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
    /// All that was there before fetching began is on record as skipped: so many messages now.
    fn skipped(&self, folder: &Folder<'_>, messages: u64);
    fn failed(&self, folder: &Folder<'_>, id: &dyn Display, reason: &str, quarantined: bool);
    fn note(&self, text: &str);
    fn warn(&self, text: &str);

    /// Of a folder that is only looked into: what would be fetched.
    ///
    /// # Errors
    /// Why it cannot be told.
    fn would_fetch(&self, job: &Job, listing: &Listing<'_>) -> Result<()>;

    /// Of a folder that is only looked into: what became of its messages.
    ///
    /// # Errors
    /// Why it cannot be told.
    fn audited(&self, job: &Job, audit: &Audit) -> Result<()>;
}

/// Opens the mailbox; `true` asks for a new token because the server called the last one stale.
pub type Open<'a> = dyn FnMut(bool) -> Result<Box<dyn Mailbox>> + 'a;

/// Fetches one mailbox; a connection that breaks is opened again as long as that may help, and one
/// whose token ran out, with a new token. `lock` is the mailbox's. What was done is in `tally` also
/// when an error ends the run.
pub fn fetch_mailbox(
    job: &Job,
    store: &Store,
    lock: &Lock,
    open: &mut Open<'_>,
    reporter: &dyn Reporter,
    tally: &mut Tally,
) -> Result<()> {
    let done = visits(job, store, lock, open, reporter, tally);
    done.or_else(|err| match kind_of(&err) {
        Kind::TryLater => Err(err),
        // Whatever went wrong, another host may have had a part in it, and goes on from here.
        _ => lock.check().and(Err(err)),
    })
}

fn visits(
    job: &Job,
    store: &Store,
    lock: &Lock,
    open: &mut Open<'_>,
    reporter: &dyn Reporter,
    tally: &mut Tally,
) -> Result<()> {
    let mut pass = Pass::new(&tag(store, &job.address), lock.number());
    pass.restarted = finish_interrupted(job, store, lock, reporter, tally)?;
    let mut stale_token = false;
    loop {
        let before = *tally;
        let mut mailbox = open(stale_token)?;
        pass.seen.clear();
        let visit = Visit {
            job,
            store,
            lock,
            mailbox: mailbox.as_mut(),
            pass: &mut pass,
            reporter,
            tally,
            told: Ok(()),
            unsettled: None,
        };
        match visit.folders() {
            Ok(()) => {
                mailbox.close();
                return Ok(());
            }
            Err(err) => {
                let was_new = stale_token;
                stale_token = err.downcast_ref::<mail::TokenExpired>().is_some();
                let further = pass.goes_on(*tally != before);
                let again = (stale_token && !was_new) || (is_cut(&err) && further);
                if !again || job.is_over() || lock.check().is_err() {
                    return Err(err);
                }
                reporter.note(&format!("`{}`: {err:#}; connecting again", job.address));
            }
        }
    }
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

/// A short name of a mailbox for file names, other in each state: what a run of another one stages in
/// the same folder is not on record here, and is not this one's to tidy up.
fn tag(store: &Store, address: &str) -> String {
    let key = [mailbox_key(address).as_bytes(), b"\0", &store.mark()].concat();
    hex(&sha256(&key)[..5])
}

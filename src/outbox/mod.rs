//! The outbox: messages that were promised to leave, kept until they have.
//!
//! The order is the promise:
//!
//! 1. a message's octets are in a file of their own, the file and its folder synced, before its
//!    row is on record; only then is it promised ([`keep`]);
//! 2. whoever works on a message holds the lock of its file, which the kernel releases when they
//!    die ([`claim`]);
//! 3. that the end of the message goes out next is on record before it does
//!    ([`Claim::hand_over`]): a message found in that state without a holder is `unknown` and
//!    never sent again by itself;
//! 4. what became of it is on record before its file goes ([`Claim::settle`]).
//!
//! A crash before 1 is complete leaves a file without a row, which [`sweep`] removes: nobody was
//! promised anything.

mod report;

pub use report::{Destination, deliver_report};

use crate::fault::{Fault, Kind, kind_of};
use crate::files;
use crate::mail::{Envelope, Outcome, Receipt, RefusedRecipient};
use crate::state::{OutboxEntry, OutboxState, Store};
use anyhow::{Context, Result};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::time::{Duration, SystemTime};

/// A message that could not be sent for so many seconds is given up (RFC 5321 §4.5.4.1 has 4 to
/// 5 days).
pub const GIVE_UP_AFTER: i64 = 5 * 24 * 3600;

/// The wait after the first attempt; it doubles with each.
const FIRST_WAIT: i64 = 60;
/// The longest wait between two attempts.
const LONGEST_WAIT: i64 = 4 * 3600;
/// A file without a row is somebody's that is at work; after this time it is nobody's.
const ORPHAN_AGE: Duration = Duration::from_secs(24 * 3600);

/// A message of the outbox that only we work on, until this is dropped.
pub struct Claim<'a> {
    store: &'a Store,
    pub entry: OutboxEntry,
    /// Somebody died handing it over, and nobody was told yet.
    pub abandoned: bool,
    file: File,
}

/// What became of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It is dealt with and gone from the outbox.
    Gone,
    /// It, or what is left of it, is tried again at this time (Unix seconds).
    Later(i64),
    /// Nobody knows; a person decides.
    Unknown,
    /// Given up on; its report is due.
    Failed,
}

/// Who hears of recipients that are refused for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Teller {
    /// The caller, who waits for the first attempt.
    Caller,
    /// The sender's queue, by a report.
    Report,
}

/// Keeps a message, durably; when this returns, it may be promised. Its lock is ours.
///
/// `shared_id`: the same message also leaves for others in a transaction of its own.
pub fn keep<'a>(
    store: &'a Store,
    envelope: Envelope,
    message_id: &str,
    octets: &[u8],
    shared_id: bool,
    now: i64,
) -> Result<Claim<'a>> {
    let folder = store.outbox_folder();
    files::create_private_folder(&folder)?;
    let cannot = |e: io::Error| cannot_keep(store, &e);
    let temp = tempfile::Builder::new()
        .prefix("")
        .suffix(".eml")
        .rand_bytes(16)
        .tempfile_in(&folder)
        .map_err(cannot)?;
    // The lock comes before the name is known to anybody through the row.
    temp.as_file().lock().map_err(cannot)?;
    let (mut file, path) = temp.into_parts();
    file.write_all(octets)
        .and_then(|()| file.sync_all())
        .map_err(cannot)?;
    files::sync_folder(&folder)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut entry = OutboxEntry {
        id: 0,
        file: name.into_owned(),
        envelope,
        message_id: message_id.to_owned(),
        shared_id,
        size: octets.len() as u64,
        state: OutboxState::Waiting,
        attempts: 0,
        next_attempt: now,
        reason: String::new(),
        refused: Vec::new(),
        report: None,
        kept_at: now,
        changed_at: now,
    };
    entry.id = store.outbox_add(&entry)?;
    // On record: from here on the file stays until the row is gone.
    let _ = path.keep();
    Ok(Claim {
        store,
        entry,
        abandoned: false,
        file,
    })
}

/// Takes a message to work on. `None` where another process has it, or it is dealt with. What
/// somebody died handing over comes as `unknown`.
pub fn claim(store: &Store, id: i64, now: i64) -> Result<Option<Claim<'_>>> {
    let Some(entry) = store.outbox_entry(id)? else {
        return Ok(None);
    };
    let path = store.outbox_folder().join(&entry.file);
    let file = match OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
        .open(&path)
    {
        Ok(file) => file,
        // Whoever had it is done with it.
        Err(e) if e.kind() == io::ErrorKind::NotFound && store.outbox_entry(id)?.is_none() => {
            return Ok(None);
        }
        Err(e) => {
            return Err(Fault::new(
                Kind::CannotWrite,
                format!(
                    "cannot read message {id} of the outbox, `{}`: {e}",
                    path.display()
                ),
            )
            .hint(format!(
                "if the file is lost, so is the message: queuemail outbox drop {id}"
            ))
            .into());
        }
    };
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(e)) => return Err(cannot_keep(store, &e)),
    }
    // What was read before the lock may be out of date.
    let Some(entry) = store.outbox_entry(id)? else {
        return Ok(None);
    };
    let mut claim = Claim {
        store,
        abandoned: entry.state == OutboxState::Sending,
        entry,
        file,
    };
    if claim.abandoned {
        claim.entry.state = OutboxState::Unknown;
        claim.entry.reason = "the program ended while it handed the message over".to_owned();
        claim.entry.changed_at = now;
        store.outbox_update(&claim.entry)?;
    }
    Ok(Some(claim))
}

impl<'a> Claim<'a> {
    /// The message.
    pub fn octets(&self) -> Result<Vec<u8>> {
        let mut octets = Vec::with_capacity(usize::try_from(self.entry.size).unwrap_or(0));
        let path = self.store.outbox_folder().join(&self.entry.file);
        File::open(&path)
            .and_then(|file| file.take(self.entry.size + 1).read_to_end(&mut octets))
            .with_context(|| format!("cannot read `{}`", path.display()))?;
        if octets.len() as u64 != self.entry.size {
            return Err(Fault::new(
                Kind::CannotWrite,
                format!(
                    "message {} of the outbox has {} octets and not the {} that were kept",
                    self.entry.id,
                    octets.len(),
                    self.entry.size
                ),
            )
            .hint(format!("nothing was sent; see `{}`", path.display()))
            .into());
        }
        Ok(octets)
    }

    /// Puts on record, durably, that the end of the message goes out next.
    pub fn hand_over(&self) -> Result<()> {
        let mut entry = self.entry.clone();
        entry.state = OutboxState::Sending;
        self.store.outbox_update(&entry)
    }

    /// Puts on record what became of an attempt.
    pub fn settle(
        &mut self,
        result: &Result<Receipt>,
        teller: Teller,
        now: i64,
    ) -> Result<Settled> {
        let entry = &mut self.entry;
        entry.attempts += 1;
        entry.changed_at = now;
        let settled = after_attempt(entry, result, teller, now);
        self.record(settled)
    }

    /// A person or the server says that it was accepted, or nobody wants it any more.
    pub fn remove(&mut self) -> Result<()> {
        self.record(Settled::Gone).map(drop)
    }

    /// Lets it be tried again at once, those given up on included.
    pub fn restart(&mut self, now: i64) -> Result<()> {
        let entry = &mut self.entry;
        let again = std::mem::take(&mut entry.refused);
        entry
            .envelope
            .to
            .extend(again.into_iter().map(|r| r.address));
        entry.state = OutboxState::Waiting;
        entry.report = None;
        entry.next_attempt = now;
        // A person vouches for another while.
        entry.kept_at = now;
        entry.changed_at = now;
        self.store.outbox_update(entry)
    }

    fn record(&mut self, settled: Settled) -> Result<Settled> {
        if settled != Settled::Gone {
            self.store.outbox_update(&self.entry)?;
            return Ok(settled);
        }
        self.store.outbox_remove(self.entry.id)?;
        // The row is what counts; a file that stays is swept later.
        let _ = fs::remove_file(self.store.outbox_folder().join(&self.entry.file));
        Ok(settled)
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

/// Decides where a message stands after an attempt.
fn after_attempt(
    entry: &mut OutboxEntry,
    result: &Result<Receipt>,
    teller: Teller,
    now: i64,
) -> Settled {
    let mut wait = Duration::ZERO;
    match result {
        Err(err) => {
            let fault = err.downcast_ref::<Fault>();
            wait = fault.and_then(|f| f.retry_after).unwrap_or_default();
            entry.reason = words(err);
            entry.state = OutboxState::Waiting;
        }
        Ok(receipt) => {
            let why = [&receipt.why, &receipt.server_said];
            let why: Vec<&str> = why.into_iter().flatten().map(String::as_str).collect();
            let why = why.join(": ");
            match receipt.outcome {
                Outcome::Unknown => {
                    entry.state = OutboxState::Unknown;
                    entry.reason = match why.is_empty() {
                        true => "the connection broke after the message was handed over".into(),
                        false => why,
                    };
                    return Settled::Unknown;
                }
                Outcome::Accepted => {
                    entry.shared_id = true;
                    entry.envelope.to.clear();
                    sort_out(entry, &receipt.refused, teller);
                }
                Outcome::Refused { for_good: false } => {
                    let left = |to: &String| {
                        !receipt
                            .refused
                            .iter()
                            .any(|r| r.for_good && r.address == *to)
                    };
                    entry.envelope.to.retain(left);
                    let gone: Vec<_> = receipt
                        .refused
                        .iter()
                        .filter(|r| r.for_good)
                        .cloned()
                        .collect();
                    sort_out(entry, &gone, teller);
                    entry.reason = match why.is_empty() {
                        true => receipt
                            .refused
                            .iter()
                            .find(|r| !r.for_good)
                            .map_or_else(String::new, |r| {
                                format!("{}: {}", r.address, r.server_said)
                            }),
                        false => why,
                    };
                }
                Outcome::Refused { for_good: true } => {
                    let said = |to: String| {
                        let own = receipt.refused.iter().find(|r| r.address == to);
                        RefusedRecipient {
                            for_good: true,
                            server_said: own.map_or_else(|| why.clone(), |r| r.server_said.clone()),
                            address: to,
                        }
                    };
                    let all: Vec<_> = std::mem::take(&mut entry.envelope.to)
                        .into_iter()
                        .map(said)
                        .collect();
                    entry.reason = all.first().map_or(why.clone(), |r| r.server_said.clone());
                    sort_out(entry, &all, teller);
                }
            }
        }
    }
    if !entry.envelope.to.is_empty() && now - entry.kept_at >= GIVE_UP_AFTER {
        let reason = entry.reason.clone();
        let verdicts = result.as_ref().map(|r| &r.refused[..]).unwrap_or_default();
        let given_up = |address: String| RefusedRecipient {
            for_good: false,
            server_said: verdicts
                .iter()
                .find(|r| r.address == address)
                .map_or_else(|| reason.clone(), |r| r.server_said.clone()),
            address,
        };
        let left = std::mem::take(&mut entry.envelope.to);
        entry.refused.extend(left.into_iter().map(given_up));
    }
    if !entry.envelope.to.is_empty() {
        let wait = i64::try_from(wait.as_secs()).unwrap_or(i64::MAX);
        entry.state = OutboxState::Waiting;
        entry.next_attempt = now + backoff(entry.attempts, random()).max(wait.min(24 * 3600));
        return Settled::Later(entry.next_attempt);
    }
    if entry.refused.is_empty() {
        return Settled::Gone;
    }
    entry.state = OutboxState::Failed;
    Settled::Failed
}

/// Keeps those refused for now among the recipients, and those refused for good for the report.
fn sort_out(entry: &mut OutboxEntry, refused: &[RefusedRecipient], teller: Teller) {
    for one in refused {
        if !one.for_good {
            entry.reason = format!("{}: {}", one.address, one.server_said);
            entry.envelope.to.push(one.address.clone());
        } else if teller == Teller::Report {
            entry.refused.push(one.clone());
        }
    }
}

/// Seconds until the attempt after `attempts`: doubling, and up to a fifth more or less, so that
/// messages that failed together do not come back together. `random` is of 0 to 1.
fn backoff(attempts: u32, random: f64) -> i64 {
    let doubled = FIRST_WAIT << attempts.saturating_sub(1).min(16);
    let wait = doubled.min(LONGEST_WAIT) as f64;
    (wait * (0.8 + 0.4 * random)) as i64
}

fn random() -> f64 {
    use ring::rand::{SecureRandom, SystemRandom};
    let mut octets = [0; 4];
    // Without random numbers the jitter is missing, nothing else.
    let _ = SystemRandom::new().fill(&mut octets);
    f64::from(u32::from_le_bytes(octets)) / f64::from(u32::MAX)
}

/// An error in one line, the server's words included.
fn words(err: &anyhow::Error) -> String {
    let mut text = format!("{err:#}");
    if let Some(said) = err
        .downcast_ref::<Fault>()
        .and_then(|f| f.server_said.as_ref())
    {
        text = format!("{text}: {said}");
    }
    text
}

/// True for an error after which a message is kept rather than given back to its caller: what
/// stands in the way may pass, or be mended by a person, without the message being another.
pub fn may_pass(err: &anyhow::Error) -> bool {
    matches!(kind_of(err), Kind::TryLater | Kind::SignIn | Kind::Refused)
}

/// Removes files that no row names, left by processes that died before they promised anything.
pub fn sweep(store: &Store) -> Result<()> {
    let Ok(folder) = fs::read_dir(store.outbox_folder()) else {
        return Ok(());
    };
    let now = SystemTime::now();
    let old: Vec<_> = folder
        .flatten()
        .filter(|file| {
            let age = file.metadata().and_then(|m| m.modified());
            age.is_ok_and(|at| now.duration_since(at).is_ok_and(|age| age > ORPHAN_AGE))
        })
        .collect();
    if old.is_empty() {
        return Ok(());
    }
    let named: Vec<String> = store.outbox()?.into_iter().map(|e| e.file).collect();
    for file in old {
        if !named.iter().any(|name| file.file_name() == name.as_str()) {
            let _ = fs::remove_file(file.path());
        }
    }
    Ok(())
}

fn cannot_keep(store: &Store, err: &io::Error) -> anyhow::Error {
    Fault::new(
        Kind::CannotWrite,
        format!(
            "cannot keep the message in `{}`: {err}",
            store.outbox_folder().display()
        ),
    )
    .hint("the message is not kept and was not sent; another state folder: --state-dir")
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(to: &[&str]) -> OutboxEntry {
        OutboxEntry {
            id: 1,
            file: "x".into(),
            envelope: Envelope {
                from: Some("us@contoso.example".into()),
                to: to.iter().map(|&t| t.to_owned()).collect(),
                ..Envelope::default()
            },
            message_id: "<1@contoso.example>".into(),
            shared_id: false,
            size: 1,
            state: OutboxState::Sending,
            attempts: 1,
            next_attempt: 0,
            reason: String::new(),
            refused: Vec::new(),
            report: None,
            kept_at: 1000,
            changed_at: 1000,
        }
    }

    fn refused(address: &str, for_good: bool) -> RefusedRecipient {
        RefusedRecipient {
            address: address.into(),
            for_good,
            server_said: if for_good { "550 no" } else { "450 later" }.into(),
        }
    }

    #[test]
    fn only_what_was_not_accepted_is_left() {
        let mut entry = entry(&["a", "b", "c"]);
        let receipt = Ok(Receipt {
            refused: vec![refused("b", true), refused("c", false)],
            ..Receipt::of(Outcome::Accepted)
        });
        let settled = after_attempt(&mut entry, &receipt, Teller::Report, 1000);
        assert!(matches!(settled, Settled::Later(at) if (1048..=1072).contains(&at)));
        assert_eq!(entry.envelope.to, ["c"]);
        assert_eq!(entry.refused, [refused("b", true)]);
        assert!(entry.shared_id, "Sent Items has this Message-ID now");
        let later = 1000 + GIVE_UP_AFTER;
        let receipt = Ok(Receipt {
            refused: vec![refused("c", false)],
            ..Receipt::of(Outcome::Refused { for_good: false })
        });
        let settled = after_attempt(&mut entry, &receipt, Teller::Report, later);
        assert_eq!(settled, Settled::Failed);
        assert_eq!(entry.refused, [refused("b", true), refused("c", false)]);
        assert_eq!(entry.envelope.to, [""; 0]);
    }

    #[test]
    fn unknown_keeps_everybody_and_waits_for_a_person() {
        let mut entry = entry(&["a"]);
        let receipt = Ok(Receipt::of(Outcome::Unknown));
        let far = 1000 + 2 * GIVE_UP_AFTER;
        assert_eq!(
            after_attempt(&mut entry, &receipt, Teller::Report, far),
            Settled::Unknown
        );
        assert_eq!(
            (entry.state, entry.envelope.to),
            (OutboxState::Unknown, vec!["a".to_owned()])
        );
    }

    #[test]
    fn a_wait_that_the_server_asked_for_is_kept() {
        let mut entry = entry(&["a"]);
        let fault = Fault::try_later("x").retry_after(Some(Duration::from_secs(7200)));
        let settled = after_attempt(&mut entry, &Err(fault.into()), Teller::Caller, 1000);
        assert_eq!(settled, Settled::Later(8200));
    }

    #[test]
    fn one_at_a_time_works_on_a_message() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let envelope = entry(&["a"]).envelope;
        let mine = keep(&store, envelope, "<1@x>", b"hello", false, 5).unwrap();
        let other = Store::open(folder.path()).unwrap();
        assert!(claim(&other, mine.entry.id, 6).unwrap().is_none());
        mine.hand_over().unwrap();
        let id = mine.entry.id;
        drop(mine);
        // As if its holder had died in the middle.
        let mut found = claim(&other, id, 7).unwrap().unwrap();
        assert_eq!(found.entry.state, OutboxState::Unknown);
        assert_eq!(found.octets().unwrap(), b"hello");
        found.remove().unwrap();
        drop(found);
        assert!(claim(&store, id, 8).unwrap().is_none());
        assert_eq!(fs::read_dir(store.outbox_folder()).unwrap().count(), 0);
    }

    proptest! {
        #[test]
        fn nobody_is_lost(
            to in proptest::collection::btree_set("[a-f]", 1..6),
            fates in proptest::collection::vec(0..3u8, 6),
            outcome in 0..5u8,
            age in 0..2 * GIVE_UP_AFTER,
        ) {
            let to: Vec<&str> = to.iter().map(String::as_str).collect();
            let verdicts: Vec<_> = to.iter().zip(&fates).filter(|(_, f)| **f > 0).map(|(t, f)| refused(t, *f == 1)).collect();
            let outcome = match outcome {
                0 => None,
                1 => Some(Outcome::Accepted),
                2 => Some(Outcome::Refused { for_good: true }),
                3 => Some(Outcome::Refused { for_good: false }),
                _ => Some(Outcome::Unknown),
            };
            let accepted: Vec<&str> = match outcome {
                Some(Outcome::Accepted) => to.iter().copied().filter(|t| !verdicts.iter().any(|v| v.address == *t)).collect(),
                _ => Vec::new(),
            };
            let result = match outcome {
                None => Err(Fault::try_later("x").into()),
                Some(outcome) => Ok(Receipt { refused: verdicts, ..Receipt::of(outcome) }),
            };
            let mut entry = entry(&to);
            let settled = after_attempt(&mut entry, &result, Teller::Report, 1000 + age);
            let mut found = accepted;
            found.extend(entry.envelope.to.iter().map(String::as_str));
            found.extend(entry.refused.iter().map(|r| r.address.as_str()));
            found.sort_unstable();
            prop_assert_eq!(found, to);
            prop_assert_eq!(settled == Settled::Gone, entry.envelope.to.is_empty() && entry.refused.is_empty());
        }

        #[test]
        fn the_wait_grows_and_has_an_end(attempts in 1..60u32, random in 0.0..1.0f64) {
            let wait = backoff(attempts, random);
            prop_assert!((48..=LONGEST_WAIT * 6 / 5).contains(&wait));
            prop_assert!(attempts < 10 || wait >= LONGEST_WAIT * 4 / 5);
        }
    }
}

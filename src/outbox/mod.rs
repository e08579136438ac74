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

mod fate;
mod report;

pub use report::{Destination, deliver_report};

use crate::fault::{Fault, Kind, kind_of};
use crate::files;
use crate::mail::{Envelope, Receipt};
use crate::state::{OutboxEntry, OutboxState, Store};
use anyhow::{Context, Result};
use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, DirEntry, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime};
use tempfile::NamedTempFile;

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
    let temp = locked_file(&folder).map_err(cannot)?;
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

/// A new file that is locked by us: the lock comes before the name is known to anybody through the
/// row. A sweep that found the file in between has taken its name, and then another one is made.
fn locked_file(folder: &Path) -> io::Result<NamedTempFile> {
    loop {
        let temp = tempfile::Builder::new()
            .prefix("")
            .suffix(".eml")
            .rand_bytes(16)
            .tempfile_in(folder)?;
        temp.as_file().lock()?;
        if temp.as_file().metadata()?.nlink() > 0 {
            return Ok(temp);
        }
    }
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
        let settled = fate::after_attempt(entry, result, teller, now);
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

/// True for an error after which a message is kept rather than given back to its caller: what
/// stands in the way may pass, or be mended by a person, without the message being another.
pub fn may_pass(err: &anyhow::Error) -> bool {
    matches!(kind_of(err), Kind::TryLater | Kind::SignIn | Kind::Refused)
}

/// Removes files that no row names, left by processes that died before they promised anything.
/// Whoever still works on one holds its lock; the age alone says little, for clocks are set.
pub fn sweep(store: &Store) -> Result<()> {
    let Ok(folder) = fs::read_dir(store.outbox_folder()) else {
        return Ok(());
    };
    let now = SystemTime::now();
    let old: Vec<_> = folder
        .flatten()
        .filter(|file| {
            let at = file.metadata().and_then(|m| m.modified());
            at.is_ok_and(|at| now.duration_since(at).unwrap_or_else(|e| e.duration()) > ORPHAN_AGE)
        })
        .collect();
    if old.is_empty() {
        return Ok(());
    }
    let nameless = |files: &mut Vec<(DirEntry, Option<File>)>| -> Result<()> {
        let named: HashSet<OsString> = store.outbox()?.into_iter().map(|e| e.file.into()).collect();
        files.retain(|(file, _)| !named.contains(&file.file_name()));
        Ok(())
    };
    let mut old = old.into_iter().map(|file| (file, None)).collect();
    nameless(&mut old)?;
    old.retain_mut(|(file, lock)| {
        *lock = File::open(file.path()).ok();
        lock.as_ref().is_some_and(|lock| lock.try_lock().is_ok())
    });
    if old.is_empty() {
        return Ok(());
    }
    // Whoever held a lock until now may have put its row on record.
    nameless(&mut old)?;
    for (file, _) in old {
        let _ = fs::remove_file(file.path());
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

    #[test]
    fn one_at_a_time_works_on_a_message() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let envelope = Envelope {
            from: Some("us@contoso.example".into()),
            to: vec!["a@x.example".into()],
            ..Envelope::default()
        };
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

    #[test]
    fn a_sweep_takes_what_nobody_works_on_whatever_the_clock_says() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let outbox = store.outbox_folder();
        files::create_private_folder(&outbox).unwrap();
        let envelope = Envelope::default();
        drop(keep(&store, envelope, "<1@x>", b"kept", false, 5).unwrap());
        let being_written = locked_file(&outbox).unwrap();
        let left = outbox.join("left.eml");
        let fresh = outbox.join("fresh.eml");
        for path in [&left, &fresh] {
            fs::write(path, "x").unwrap();
        }
        // As if the clock had been set a week ahead, or back, since.
        let week = Duration::from_secs(7 * 86_400);
        for time in [SystemTime::now() - week, SystemTime::now() + week] {
            fs::write(&left, "x").unwrap();
            for file in fs::read_dir(&outbox).unwrap() {
                let path = file.unwrap().path();
                if path != fresh {
                    File::open(path).unwrap().set_modified(time).unwrap();
                }
            }
            sweep(&store).unwrap();
            assert!(!left.exists() && fresh.exists());
            assert!(being_written.path().exists());
            assert_eq!(fs::read_dir(&outbox).unwrap().count(), 3);
        }
    }
}

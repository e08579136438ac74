//! Locks: what one process at a time does.
//!
//! Where the state is a folder, a lock is a file's, which the kernel releases when its holder dies:
//! there are no stale locks and nothing to unlock by hand. Where several hosts share a database it is
//! a lease ([`super::lease`]), which ends some time after its holder was heard of last. So who holds
//! one asks [`Lock::check`] before each step that others see, and what is put on record by virtue of
//! it carries its fence.

use super::db::Fence;
use super::heartbeat::{Heartbeat, Open};
use super::lease::{Holder, Lease, Leases};
use super::moment::Moment;
use super::{LockName, Store};
use crate::digest::{hex, sha256};
use crate::fault::{Cause, Fault, Kind, cause_of};
use crate::files;
use anyhow::Result;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::ops::Deref;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

const PATIENCE: u32 = 10;

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub struct Lock(Right);

#[derive(Debug)]
enum Right {
    /// Nobody else has it while the file is open and locked.
    File(File),
    Lease(Lease),
    #[cfg(test)]
    Free,
}

impl Lock {
    /// What needs none, in tests.
    #[cfg(test)]
    pub const FREE: Lock = Lock(Right::Free);

    /// That of a lease.
    pub(super) fn of_lease(lease: Lease) -> Lock {
        Lock(Right::Lease(lease))
    }

    /// Nothing more is done about it: that it is over is on record.
    pub(super) fn forget(self) {
        if let Right::Lease(lease) = &self.0 {
            lease.forget();
        }
    }

    /// That of a file which is locked.
    pub(super) fn of_file(file: File) -> Lock {
        Lock(Right::File(file))
    }

    /// Whether it is certainly held: then the next step that others see may be made.
    ///
    /// # Errors
    /// `TryLater`: another host may have it by now.
    pub fn check(&self) -> Result<()> {
        match &self.0 {
            Right::Lease(lease) => lease.check(),
            _ => Ok(()),
        }
    }

    /// The same for a step that cannot be seen by others, and that was put on record after this
    /// moment: they know since when it may be in the making, and count on it that it has begun within
    /// `latest`.
    pub fn check_since(&self, recorded: Moment, latest: Duration) -> Result<()> {
        match &self.0 {
            Right::Lease(lease) => lease.check_since(recorded, latest),
            _ => Ok(()),
        }
    }

    /// What [`Store::was_taken_over`] knows it by.
    pub fn taken(&self) -> Taken {
        Taken(self.fence().cloned())
    }

    /// Notes that the database refused a write, where it did so because another host has the lock.
    pub(crate) fn heed(&self, err: &anyhow::Error) {
        if let Right::Lease(lease) = &self.0
            && cause_of(err) == Some(Cause::LeaseLost)
        {
            lease.lose();
        }
    }

    /// Ascends from one claim of it to the next, whichever host claims it; `None` where it is a file,
    /// which is never lost while it is held.
    pub fn number(&self) -> Option<i64> {
        self.fence().map(|fence| fence.number)
    }

    /// What the database undoes a write by, once another host has the lock.
    pub(super) fn fence(&self) -> Option<&Fence> {
        match &self.0 {
            Right::Lease(lease) => Some(lease.fence()),
            _ => None,
        }
    }
}

/// A lock as it was taken, also when it is over.
#[derive(Clone, Debug)]
pub struct Taken(Option<Fence>);

impl Drop for Lock {
    /// A process that was started meanwhile may have the file open, too.
    fn drop(&mut self) {
        if let Right::File(file) = &self.0 {
            let _ = file.unlock();
        }
    }
}

/// Where locks are.
pub enum Locks {
    Files(Files),
    Leases(Shared),
}

/// The leases of a process, with what renews them.
pub struct Shared {
    leases: Leases,
    /// How the heartbeat, which begins with the first lease, opens its connection.
    open: Mutex<Option<Open>>,
    heartbeat: OnceLock<Heartbeat>,
}

impl Shared {
    pub fn new(leases: Leases, open: Open) -> Shared {
        Shared {
            leases,
            open: Mutex::new(Some(open)),
            heartbeat: OnceLock::new(),
        }
    }

    fn take(&self, name: LockName<'_>) -> Result<std::result::Result<Lock, Holder>> {
        let taken = self.leases.take(&name.to_string())?;
        self.beat();
        Ok(taken.map(|lease| Lock(Right::Lease(lease))))
    }

    /// Has the heartbeat begin, if it has not.
    pub(super) fn beat(&self) {
        let open = self
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(open) = open {
            let start = || Heartbeat::start(self.leases.clone(), open);
            self.heartbeat.get_or_init(start);
        }
    }
}

impl Deref for Shared {
    type Target = Leases;

    fn deref(&self) -> &Leases {
        &self.leases
    }
}

impl Locks {
    /// How long what is true is tried to be put on record while the database is away: so many times
    /// as long as a lease holds, which are ten minutes of the usual one.
    pub fn patience(&self) -> Duration {
        match self {
            Locks::Files(_) => Duration::ZERO,
            Locks::Leases(leases) => leases.period() * PATIENCE,
        }
    }

    /// Takes the lock of this name, or tells who holds it.
    pub fn take(&self, name: LockName<'_>) -> Result<std::result::Result<Lock, Holder>> {
        match self {
            Locks::Files(files) => files.take(name),
            Locks::Leases(leases) => leases.take(name),
        }
    }
}

/// The locks of a state folder. They are files, whose names are digests of the locks' names.
pub struct Files {
    folder: PathBuf,
}

impl Files {
    pub fn new(folder: PathBuf) -> Files {
        Files { folder }
    }

    /// Who holds one of the locks, whichever it is.
    pub fn holder(&self) -> Option<Holder> {
        let entries = std::fs::read_dir(&self.folder).ok()?;
        entries.flatten().find_map(|entry| {
            let mut file = File::open(entry.path()).ok()?;
            match file.try_lock() {
                Err(TryLockError::WouldBlock) => Some(read_holder(&mut file)),
                _ => None,
            }
        })
    }

    fn take(&self, name: LockName<'_>) -> Result<std::result::Result<Lock, Holder>> {
        files::create_private_folder(&self.folder)?;
        let path = self
            .folder
            .join(hex(&sha256(name.to_string().as_bytes())[..12]));
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|e| cannot_lock(&path, &e))?;
        match file.try_lock() {
            Ok(()) => {
                let _ = write_holder(&mut file);
                Ok(Ok(Lock::of_file(file)))
            }
            Err(TryLockError::WouldBlock) => Ok(Err(read_holder(&mut file))),
            Err(TryLockError::Error(e)) => Err(cannot_lock(&path, &e)),
        }
    }
}

impl Store {
    /// Who waits for a lock asks for it again after such a pause at most.
    pub fn longest_pause(&self) -> Duration {
        Duration::from_millis(match self.locks {
            Locks::Files(_) => 40,
            // It costs a question to the database.
            Locks::Leases(_) => 200,
        })
    }

    /// Whether another host has taken a lock over after it was taken here.
    pub fn was_taken_over(&self, lock: &Taken) -> Result<bool> {
        match (&self.locks, &lock.0) {
            (Locks::Leases(leases), Some(fence)) => leases.was_claimed_after(fence),
            _ => Ok(false),
        }
    }

    /// Takes the lock of this name, or tells who holds it.
    pub fn lock(&self, name: LockName<'_>) -> Result<std::result::Result<Lock, Holder>> {
        self.locks.take(name)
    }
}

fn cannot_lock(path: &Path, err: &std::io::Error) -> anyhow::Error {
    Fault::new(
        Kind::CannotWrite,
        format!("cannot lock `{}`: {err}", path.display()),
    )
    .hint(format!(
        "{}; another state folder: --state-dir",
        files::remedy(err)
    ))
    .by_system(err)
    .into()
}

/// For the message to others only: the lock itself is the kernel's.
fn write_holder(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    write!(
        file,
        "{} {}",
        std::process::id(),
        jiff::Timestamp::now().as_second()
    )
}

fn read_holder(file: &mut File) -> Holder {
    let mut text = String::new();
    let _ = file.take(100).read_to_string(&mut text);
    let mut words = text.split(' ');
    Holder {
        host: None,
        pid: words.next().and_then(|w| w.parse().ok()),
        since: words
            .next()
            .and_then(|w| w.parse().ok())
            .and_then(|s| jiff::Timestamp::from_second(s).ok()),
    }
}

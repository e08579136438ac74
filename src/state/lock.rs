//! Locks between processes, released by the kernel when their holder dies: there are no stale
//! locks and nothing to unlock by hand.

use super::{LockName, Store};
use crate::digest::{hex, sha256};
use crate::fault::{Fault, Kind};
use crate::files;
use anyhow::Result;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Who holds a lock, as far as it has written that down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    pub pid: Option<u32>,
    pub since: Option<jiff::Timestamp>,
}

/// The locks of a state folder. They are files, whose names are digests of the locks' names.
pub struct Leases {
    folder: PathBuf,
}

impl Leases {
    pub fn new(folder: PathBuf) -> Leases {
        Leases { folder }
    }

    /// Takes the lock of this name, or tells who holds it.
    pub fn take(&self, name: LockName<'_>) -> Result<std::result::Result<Lock, Holder>> {
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
                Ok(Ok(Lock { _file: file }))
            }
            Err(TryLockError::WouldBlock) => Ok(Err(read_holder(&mut file))),
            Err(TryLockError::Error(e)) => Err(cannot_lock(&path, &e)),
        }
    }
}

impl Store {
    /// Takes the lock of this name, or tells who holds it.
    pub fn lock(&self, name: LockName<'_>) -> Result<std::result::Result<Lock, Holder>> {
        self.leases.take(name)
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
        pid: words.next().and_then(|w| w.parse().ok()),
        since: words
            .next()
            .and_then(|w| w.parse().ok())
            .and_then(|s| jiff::Timestamp::from_second(s).ok()),
    }
}

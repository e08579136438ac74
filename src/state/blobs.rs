//! Bodies: the octets of messages that are kept, each by a name. The outbox has promised to send
//! its own; those of the quarantine help whoever decides about a message.
//!
//! Each is a private file in a folder of the state, which nobody outside of this file relies on; or,
//! where hosts share a database, rows in it ([`super::bodies`]).

use super::bodies::{Blob, Rows};
use super::{Lock, LockName, Store};
use crate::digest::{hex, random};
use crate::fault::{Fault, Kind};
use crate::files;
use anyhow::Result;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use tempfile::{NamedTempFile, TempPath};

/// Octets that are read at once.
const PIECE: usize = 64 << 10;

/// The bodies of one kind.
pub struct Blobs {
    folder: PathBuf,
    /// Where they are, if not in the folder.
    rows: Option<Rows>,
}

/// A new body that only this process works on. It is removed again when this is dropped.
pub struct NewBlob<'o> {
    pub name: String,
    /// What the transaction that makes its row has to write.
    pub unwritten: Option<&'o [u8]>,
    // The file is removed before its lock goes.
    file: Option<(TempPath, File)>,
}

impl NewBlob<'_> {
    /// From here on the body stays until it is removed. Gives the lock of a file.
    pub fn keep(self) -> Option<Lock> {
        let (path, file) = self.file?;
        let _ = path.keep();
        Some(Lock::of_file(file))
    }
}

/// What came of asking for the right to work on a body, which ends when it is dropped or the process
/// dies.
pub enum Hold {
    Ours(Lock),
    /// Somebody else works on it.
    Theirs,
    /// There is none of this name.
    Gone,
}

impl Store {
    /// The messages that were promised to leave.
    pub fn outbox_bodies(&self) -> &Blobs {
        &self.outbox
    }

    /// Asks for the right to work on the message of the outbox that has this body.
    pub fn hold_message(&self, body: &str) -> Result<Hold> {
        if !self.is_shared() {
            return self.outbox.hold(body);
        }
        if !self.outbox.has(body) {
            return Ok(Hold::Gone);
        }
        Ok(match self.lock(LockName::Message { body })? {
            Ok(lock) => Hold::Ours(lock),
            Err(_) => Hold::Theirs,
        })
    }

    /// The messages that a delivery refused.
    pub fn quarantine_bodies(&self) -> &Blobs {
        &self.quarantine
    }
}

impl Blobs {
    pub fn new(folder: PathBuf) -> Blobs {
        Blobs { folder, rows: None }
    }

    pub fn rows(rows: Rows) -> Blobs {
        let folder = PathBuf::new();
        Blobs {
            folder,
            rows: Some(rows),
        }
    }

    /// Puts a message away under a new name, durably; this process alone may work on it. Where it
    /// is to be in a database, it is written with its row ([`Store::promise`]).
    ///
    /// # Errors
    /// `CannotWrite`: it is not kept.
    pub fn put<'o>(&self, octets: &'o [u8]) -> Result<NewBlob<'o>> {
        if self.rows.is_some() {
            return Ok(NewBlob {
                name: format!("{}.eml", hex(&random::<16>()?)),
                unwritten: Some(octets),
                file: None,
            });
        }
        files::create_private_folder(&self.folder)?;
        let cannot = |e: io::Error| self.cannot_keep(&e);
        let (mut file, path) = self.locked_file().map_err(cannot)?.into_parts();
        file.write_all(octets)
            .and_then(|()| file.sync_all())
            .map_err(cannot)?;
        files::sync_folder(&self.folder)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Ok(NewBlob {
            name: name.into_owned(),
            unwritten: None,
            file: Some((path, file)),
        })
    }

    /// A new file that this process has locked: the lock comes before the name is known to anybody
    /// through a row. A sweep that found the file in between has taken its name, and then another
    /// one is made.
    fn locked_file(&self) -> io::Result<NamedTempFile> {
        loop {
            let temp = tempfile::Builder::new()
                .prefix("")
                .suffix(".eml")
                .rand_bytes(16)
                .tempfile_in(&self.folder)?;
            temp.as_file().lock()?;
            if temp.as_file().metadata()?.nlink() > 0 {
                return Ok(temp);
            }
        }
    }

    /// Takes in a staged file, which is of the same filesystem, durably, under this name. One that
    /// is gone is passed over.
    pub fn take_in(&self, name: &str, staged: &Path) -> Result<()> {
        if let Some(rows) = &self.rows {
            return rows.take_in(name, staged);
        }
        files::create_private_folder(&self.folder)?;
        let path = self.path(name);
        let moved = File::open(staged)
            .and_then(|file| file.sync_all())
            .and_then(|()| fs::rename(staged, &path))
            .and_then(|()| File::open(&self.folder)?.sync_all());
        match moved {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(files::cannot("write", &path, &e)),
            _ => Ok(()),
        }
    }

    /// Asks for the right to work on a body that is a file.
    pub fn hold(&self, name: &str) -> Result<Hold> {
        let path = self.path(name);
        let cannot = |e: io::Error| files::cannot("read", &path, &e);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
            .open(&path);
        let file = match file {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Hold::Gone),
            file => file.map_err(cannot)?,
        };
        match file.try_lock() {
            Ok(()) => Ok(Hold::Ours(Lock::of_file(file))),
            Err(TryLockError::WouldBlock) => Ok(Hold::Theirs),
            Err(TryLockError::Error(e)) => Err(cannot(e)),
        }
    }

    /// Gives a body to `take`, piece by piece.
    pub fn read(&self, name: &str, take: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        if let Some(rows) = &self.rows {
            return rows.read(name, take);
        }
        let path = self.path(name);
        let cannot = |e: io::Error| files::cannot("read", &path, &e);
        let mut file = File::open(&path).map_err(cannot)?;
        let mut piece = vec![0; PIECE];
        loop {
            match file.read(&mut piece).map_err(cannot)? {
                0 => return Ok(()),
                n => take(&piece[..n])?,
            }
        }
    }

    /// The first `most` octets of a body.
    pub fn octets(&self, name: &str, most: u64) -> Result<Vec<u8>> {
        if let Some(rows) = &self.rows {
            return rows.octets(name, most);
        }
        let path = self.path(name);
        let mut octets = Vec::new();
        File::open(&path)
            .and_then(|file| {
                let size = file.metadata()?.len().min(most);
                octets.reserve(usize::try_from(size).unwrap_or(0));
                file.take(most).read_to_end(&mut octets)
            })
            .map_err(|e| files::cannot("read", &path, &e))?;
        Ok(octets)
    }

    /// Whether there is a body of this name. One that cannot be looked for counts as there: whoever
    /// goes on finds out why.
    pub fn has(&self, name: &str) -> bool {
        if let Some(rows) = &self.rows {
            return rows.has(name).unwrap_or(true);
        }
        self.path(name).is_file()
    }

    /// Removes a body, unless another process was faster.
    pub fn remove(&self, name: &str) -> Result<()> {
        if let Some(rows) = &self.rows {
            return rows.remove(name);
        }
        let path = self.path(name);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(files::cannot("write", &path, &e)),
            _ => Ok(()),
        }
    }

    /// All bodies, in no order.
    pub fn all(&self) -> Result<Vec<Blob>> {
        if let Some(rows) = &self.rows {
            return rows.all();
        }
        let cannot = |e: io::Error| files::cannot("read", &self.folder, &e);
        let entries = match fs::read_dir(&self.folder) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(cannot)?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.map_err(cannot)?;
            let about = match entry.metadata() {
                // Another process was faster.
                Err(e) if e.kind() == ErrorKind::NotFound => continue,
                about => about.map_err(cannot)?,
            };
            // The program's own names are plain.
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            let at = about.modified().map_err(cannot)?;
            let size = about.len();
            found.push(Blob { name, size, at });
        }
        Ok(found)
    }

    /// Where a person finds the body of this name.
    pub fn place(&self, name: &str) -> String {
        if let Some(rows) = &self.rows {
            return rows.place(name);
        }
        self.path(name).display().to_string()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn cannot_keep(&self, err: &io::Error) -> anyhow::Error {
        let folder = self.folder.display();
        let what = format!("cannot keep the message in `{folder}`: {err}");
        Fault::new(Kind::CannotWrite, what)
            .hint("the message is not kept and was not sent; another state folder: --state-dir")
            .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        (folder, store)
    }

    #[test]
    fn one_that_is_not_kept_is_gone_and_one_that_is_kept_is_whole() {
        let (_folder, store) = store();
        let bodies = store.outbox_bodies();
        assert_eq!(bodies.all().unwrap(), [], "there is no folder yet");
        drop(bodies.put(b"not promised").unwrap());
        assert_eq!(bodies.all().unwrap(), []);
        let octets = vec![7; PIECE + 1];
        let body = bodies.put(&octets).unwrap();
        let name = body.name.clone();
        drop(body.keep());
        let mut read = Vec::new();
        let mut take = |piece: &[u8]| {
            read.extend_from_slice(piece);
            Ok(())
        };
        bodies.read(&name, &mut take).unwrap();
        assert!(read == octets && bodies.octets(&name, u64::MAX).unwrap() == octets);
        assert_eq!(bodies.octets(&name, 3).unwrap(), [7; 3]);
        assert_eq!(bodies.all().unwrap()[0].size, octets.len() as u64);
        assert_eq!(store.quarantine_bodies().all().unwrap(), []);
        bodies.remove(&name).unwrap();
        bodies.remove(&name).unwrap();
        assert!(!bodies.has(&name));
    }

    #[test]
    fn one_at_a_time_holds_a_body() {
        let (folder, store) = store();
        let other = Store::open(folder.path()).unwrap();
        let new = store.outbox_bodies().put(b"hello").unwrap();
        let name = new.name.clone();
        let ask = || other.outbox_bodies().hold(&name).unwrap();
        assert!(matches!(ask(), Hold::Theirs), "also before it is kept");
        let held = new.keep();
        assert!(matches!(ask(), Hold::Theirs));
        drop(held);
        assert!(matches!(ask(), Hold::Ours(_)));
        store.outbox_bodies().remove(&name).unwrap();
        assert!(matches!(ask(), Hold::Gone));
    }
}

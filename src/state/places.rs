//! Folders that mail is delivered to by several hosts: whether what is at a path here is what the
//! others have there.
//!
//! A host on which the shared storage is not mounted would find an empty folder at its path: it would
//! take what another one was about to deliver for delivered, since the staged file is gone, and
//! deliver where nobody looks. So the folder holds a mark, a file with an id that is also on record.

use super::db::{Sql, Value, values};
use super::{Locks, Store};
use crate::digest::{hex, random};
use crate::fault::{Fault, Kind};
use crate::files;
use crate::shell;
use anyhow::Result;
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The mark in a folder.
const MARK: &str = ".queuemail";
/// Octets of a mark that are read at most.
const LONGEST: u64 = 200;
/// How often, and after which pause, one is read again that is being written.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(100);

/// The marks on record that this process knows of: none of them ever changes.
#[derive(Default)]
pub struct Places(Mutex<HashMap<PathBuf, Place>>);

/// A mark on record.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    id: String,
    /// The host that delivered there first.
    host: String,
}

impl Store {
    /// Sees that a folder is the one that the other hosts deliver to, where there are others. The
    /// first one to deliver there makes it, and its mark.
    ///
    /// # Errors
    /// `CannotWrite`: it is another folder.
    pub fn check_place(&self, folder: &Path) -> Result<()> {
        let Locks::Leases(leases) = &self.locks else {
            return Ok(());
        };
        if let Some(place) = self.place(folder)? {
            return compare(folder, &place, read(folder)?);
        }
        files::make_folder(folder).map_err(|e| files::cannot("write", folder, &e))?;
        let made = make(folder)?;
        let here = read(folder)?.unwrap_or_default();
        let place = self.keep_place(folder, &here, leases.host())?;
        if made && place.id != here {
            // Another host was faster, elsewhere.
            let _ = std::fs::remove_file(folder.join(MARK));
        }
        compare(folder, &place, Some(here))
    }

    /// Whether a folder is on record as one that hosts deliver to; nothing is made.
    ///
    /// # Errors
    /// As [`Store::check_place`].
    pub fn is_known_place(&self, folder: &Path) -> Result<bool> {
        if !self.is_shared() {
            return Ok(false);
        }
        match self.place(folder)? {
            Some(place) => compare(folder, &place, read(folder)?).map(|()| true),
            None => Ok(false),
        }
    }

    /// The same for a file that is to be there, or was: of the folders above it those on record.
    pub fn check_places_of(&self, file: &Path) -> Result<()> {
        if !self.is_shared() {
            return Ok(());
        }
        for folder in file.ancestors().skip(1) {
            if let Some(place) = self.place(folder)? {
                compare(folder, &place, read(folder)?)?;
            }
        }
        Ok(())
    }

    fn place(&self, folder: &Path) -> Result<Option<Place>> {
        const PLACE: Sql = Sql::postgres("SELECT id, host FROM place WHERE path = ?1");
        if let Some(place) = self.places.known().get(folder) {
            return Ok(Some(place.clone()));
        }
        let path = folder.to_string_lossy();
        let found = self.read(|reader| {
            reader.row(&PLACE, &values![&*path], |row| {
                Ok(Place {
                    id: row.get(0)?,
                    host: row.get(1)?,
                })
            })
        })?;
        if let Some(place) = &found {
            self.places.known().insert(folder.to_owned(), place.clone());
        }
        Ok(found)
    }

    /// Puts the mark of a folder on record, unless there is one; gives the one that is.
    fn keep_place(&self, folder: &Path, id: &str, host: &str) -> Result<Place> {
        const KEEP: Sql = Sql::postgres(
            "INSERT INTO place (path, id, host) VALUES (?1, ?2, ?3) ON CONFLICT (path) DO NOTHING",
        );
        let path = folder.to_string_lossy();
        let row: [Value<'_>; 3] = values![&*path, id, host];
        self.transaction(|tx| tx.later(&KEEP, &row))?;
        self.place(folder)?
            .ok_or_else(|| self.spoilt("the mark of a folder", &"it is missing").into())
    }
}

impl Places {
    fn known(&self) -> MutexGuard<'_, HashMap<PathBuf, Place>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn compare(folder: &Path, place: &Place, here: Option<String>) -> Result<()> {
    if here.as_deref() == Some(&*place.id) {
        return Ok(());
    }
    let host = &place.host;
    Err(Fault::new(
        Kind::CannotWrite,
        format!(
            "`{}` is not the folder that {host} delivers to",
            folder.display()
        ),
    )
    .hint("mount the shared storage there, on each host at the same path")
    .hint(format!(
        "if it is the same folder and only its mark is missing: copy {} from {host}",
        shell::quote(folder.join(MARK))
    ))
    .into())
}

/// The id in the mark of a folder, if there is one. One that another host writes just now is waited
/// for a moment.
fn read(folder: &Path) -> Result<Option<String>> {
    let path = folder.join(MARK);
    for _ in 0..TRIES {
        let mut text = String::new();
        let read = File::open(&path).and_then(|file| file.take(LONGEST).read_to_string(&mut text));
        match read {
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            Err(e) => return Err(files::cannot("read", &path, &e)),
            Ok(_) if text.ends_with('\n') => return Ok(Some(text.trim().to_owned())),
            Ok(_) => std::thread::sleep(PAUSE),
        }
    }
    Ok(Some(String::new()))
}

/// Makes the mark of a folder, durably. False where there is one by now.
fn make(folder: &Path) -> Result<bool> {
    let path = folder.join(MARK);
    let id = hex(&random::<16>()?);
    // Created once, also on storage that has no hard links.
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(&path);
    let mut file = match made {
        Err(e) if e.kind() == ErrorKind::AlreadyExists => return Ok(false),
        made => made.map_err(|e| files::cannot("write", &path, &e))?,
    };
    file.write_all(format!("{id}\n").as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| File::open(folder)?.sync_all())
        .map_err(|e| files::cannot("write", &path, &e))?;
    Ok(true)
}

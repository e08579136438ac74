//! Credentials that are being renewed: how far each renewal is, and the new credential until it is
//! in its place.
//!
//! The record is in the database. The new credential itself is in a private file of this machine's
//! state folder, so that no database and no backup of one ever holds it.

use super::Store;
use super::db::{Sql, values};
use crate::files;
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use zeroize::Zeroizing;

/// The folder of new credentials that are not in their place yet.
const FOLDER: &str = "rotation";
/// What the name of one that is being written ends with.
const UNFINISHED: &str = "new";
/// No new credential is larger, in bytes.
const LARGEST: u64 = 1 << 20;

/// What is renewed: the credential of an app that is at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RotationKey {
    pub client_id: String,
    /// A file, or the server's entry in the configuration.
    pub place: String,
}

impl RotationKey {
    fn text(&self) -> String {
        format!("{}\t{}", self.client_id.to_lowercase(), self.place)
    }
}

/// How far a renewal is. Each step is on record before the next one begins.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "lowercase")]
pub enum RotationStep {
    /// The new credential may have been made, and may be registered.
    Begun,
    /// The new credential is registered, and kept on this machine.
    Registered,
    /// The new credential is in its place, and the old one is still registered.
    Installed,
    /// Nothing is left to be done.
    Done,
}

/// A renewal. Times are Unix seconds.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Rotation {
    /// What the new credential is called in the app registration, and its file here.
    pub id: String,
    /// Of the app, in lower case.
    pub client_id: String,
    /// The server that was named, for messages.
    pub server: String,
    /// `secret` or `certificate`.
    pub kind: String,
    pub step: RotationStep,
    pub begun_at: i64,
    /// The Object ID of the app registration, where it is known.
    pub object_id: Option<String>,
    /// Key ID of the credential that is replaced; `None` where it is not known.
    pub old_key: Option<String>,
    /// Key ID of the new credential, once it is known.
    pub new_key: Option<String>,
    /// Fingerprint of the new credential, once it was made.
    pub print: Option<String>,
    /// When the new credential expires.
    pub ends_at: Option<i64>,
    /// When the old credential is due to be removed, once the new one is in its place.
    pub remove_at: Option<i64>,
}

impl RotationStep {
    /// Its name on record and in what programs get.
    pub fn name(self) -> &'static str {
        match self {
            RotationStep::Begun => "begun",
            RotationStep::Registered => "registered",
            RotationStep::Installed => "installed",
            RotationStep::Done => "done",
        }
    }
}

impl Store {
    /// The last renewal of this credential.
    pub fn rotation(&self, key: &RotationKey) -> Result<Option<Rotation>> {
        const ONE: Sql = Sql::both("SELECT record FROM rotation WHERE key = ?1");
        self.read(|reader| reader.row(&ONE, &values![&key.text()], |row| row.json(0)))
    }

    /// The last renewal of each credential.
    pub fn rotations(&self) -> Result<Vec<Rotation>> {
        const ALL: Sql = Sql::both("SELECT record FROM rotation ORDER BY key");
        self.read(|reader| reader.rows(&ALL, &[], |row| row.json(0)))
    }

    /// Puts on record how far a renewal is.
    pub fn set_rotation(&self, key: &RotationKey, rotation: &Rotation) -> Result<()> {
        const SET: Sql = Sql::both(
            "INSERT INTO rotation (key, record) VALUES (?1, ?2)
             ON CONFLICT (key) DO UPDATE SET record = ?2",
        );
        let record = serde_json::to_string(rotation)?;
        self.transaction(|tx| tx.later(&SET, &values![&key.text(), &record]))
    }

    /// Takes a renewal from the record that changed nothing; `before` is what was there.
    pub fn undo_rotation(&self, key: &RotationKey, before: Option<&Rotation>) -> Result<()> {
        const REMOVE: Sql = Sql::both("DELETE FROM rotation WHERE key = ?1");
        match before {
            Some(before) => self.set_rotation(key, before),
            None => self.transaction(|tx| tx.later(&REMOVE, &values![&key.text()])),
        }
    }

    /// The new credential of a renewal, if this machine has it.
    ///
    /// # Errors
    /// Those of the system.
    pub fn new_credential(&self, id: &str) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let path = self.credential_file(id);
        match files::read_plain(&path, LARGEST) {
            Ok(octets) => Ok(Some(octets)),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(files::cannot("read", &path, &e)),
        }
    }

    /// Keeps the new credential of a renewal, private and durable.
    pub fn keep_new_credential(&self, id: &str, octets: &[u8]) -> Result<()> {
        let path = self.credential_file(id);
        let folder = files::folder_of(&path);
        files::create_private_folder(folder)?;
        // What a crash leaves has a name that is known, and goes with the rest.
        let unfinished = path.with_extension(UNFINISHED);
        let written = File::options()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&unfinished)
            .and_then(|mut file| {
                file.write_all(octets)?;
                file.sync_all()
            })
            .and_then(|()| std::fs::rename(&unfinished, &path));
        written.map_err(|e| files::cannot("write", &path, &e))?;
        files::sync_folder(folder)
    }

    /// Forgets the new credential of a renewal, which is in its place or not wanted any more.
    pub fn forget_new_credential(&self, id: &str) -> Result<()> {
        let path = self.credential_file(id);
        for path in [path.with_extension(UNFINISHED), path] {
            match std::fs::remove_file(&path) {
                Err(e) if e.kind() != ErrorKind::NotFound => {
                    return Err(files::cannot("remove", &path, &e));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn credential_file(&self, id: &str) -> PathBuf {
        self.folder.join(FOLDER).join(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::engines_tests::on_both;
    use std::os::unix::fs::PermissionsExt;

    fn rotation() -> Rotation {
        Rotation {
            id: "1b7e1c4e".into(),
            client_id: "abc".into(),
            server: "Contoso's".into(),
            kind: "secret".into(),
            step: RotationStep::Begun,
            begun_at: 10,
            object_id: None,
            old_key: Some("old".into()),
            new_key: None,
            print: None,
            ends_at: None,
            remove_at: None,
        }
    }

    #[test]
    fn what_was_put_on_record_is_found_again() {
        on_both(|engine| {
            let store = engine.open();
            let key = |place: &str| RotationKey {
                client_id: "ABC".into(),
                place: place.into(),
            };
            assert_eq!(store.rotation(&key("/a")).unwrap(), None);
            let mut one = rotation();
            store.set_rotation(&key("/a"), &one).unwrap();
            one.step = RotationStep::Installed;
            one.remove_at = Some(20);
            store.set_rotation(&key("/a"), &one).unwrap();
            store.set_rotation(&key("/b"), &rotation()).unwrap();
            // The letter case of a GUID means nothing.
            let other = RotationKey {
                client_id: "abc".into(),
                ..key("/a")
            };
            assert_eq!(store.rotation(&other).unwrap(), Some(one.clone()));
            assert_eq!(store.rotations().unwrap(), [one, rotation()]);
            store.undo_rotation(&key("/a"), Some(&rotation())).unwrap();
            store.undo_rotation(&key("/b"), None).unwrap();
            assert_eq!(store.rotations().unwrap(), [rotation()]);
        });
    }

    #[test]
    fn a_new_credential_is_private_until_it_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        assert!(store.new_credential("id").unwrap().is_none());
        store.keep_new_credential("id", b"key").unwrap();
        assert_eq!(&**store.new_credential("id").unwrap().unwrap(), b"key");
        for (path, mode) in [("rotation", 0o700), ("rotation/id", 0o600)] {
            let found = std::fs::metadata(folder.path().join(path)).unwrap();
            assert_eq!(found.permissions().mode() & 0o777, mode, "{path}");
        }
        store.forget_new_credential("id").unwrap();
        store.forget_new_credential("id").unwrap();
        assert!(store.new_credential("id").unwrap().is_none());
    }
}

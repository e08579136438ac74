//! The octets of messages that a delivery refused, as far as we have them: whoever decides about
//! a message in quarantine can look at it here.
//!
//! Each is a private file of its own, named by its delivery id, in a folder of the state. They
//! are a help and no promise: the message itself stays on the server. Together they are bounded,
//! and the oldest make room for the newest.

use crate::delivery::cannot_write;
use crate::files;
use anyhow::Result;
use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Octets of all of them together. A larger message is not kept.
const ROOM: u64 = 256 << 20;

/// The files, in one folder.
pub struct Kept(PathBuf);

impl Kept {
    pub fn new(state: &Path) -> Kept {
        Kept(state.join("quarantine"))
    }

    /// Takes a staged file, which is of the same filesystem, in; durably. One that is gone is
    /// passed over.
    pub fn take(&self, delivery_id: &str, staged: &Path) -> Result<()> {
        files::create_private_folder(&self.0)?;
        let path = self.path(delivery_id);
        match self.move_in(staged, &path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(cannot_write(&path, &e)),
            _ => Ok(()),
        }
    }

    fn move_in(&self, staged: &Path, path: &Path) -> io::Result<()> {
        let size = std::fs::metadata(staged)?.len();
        if size > ROOM {
            return std::fs::remove_file(staged);
        }
        self.make_room(ROOM - size)?;
        File::open(staged)?.sync_all()?;
        std::fs::rename(staged, path)?;
        File::open(&self.0)?.sync_all()
    }

    /// Removes the oldest until the rest takes at most so many octets.
    fn make_room(&self, most: u64) -> io::Result<()> {
        let mut files: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        for entry in std::fs::read_dir(&self.0)? {
            let entry = entry?;
            let about = match entry.metadata() {
                // Another process was faster.
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                about => about?,
            };
            files.push((about.modified()?, about.len(), entry.path()));
        }
        files.sort();
        let mut total: u64 = files.iter().map(|(_, size, _)| size).sum();
        for (_, size, path) in files {
            if total <= most {
                break;
            }
            remove(&path)?;
            total -= size;
        }
        Ok(())
    }

    /// The file of a message, where there is one.
    pub fn find(&self, delivery_id: &str) -> Option<PathBuf> {
        Some(self.path(delivery_id)).filter(|path| path.is_file())
    }

    /// Removes the file of a message that was decided about.
    pub fn remove(&self, delivery_id: &str) -> Result<()> {
        let path = self.path(delivery_id);
        remove(&path).map_err(|e| cannot_write(&path, &e))
    }

    /// Removes the files of all messages but those that `unfinished` names, which is asked only
    /// where there is a file: of a message that was delivered after all, or is gone.
    pub fn tidy(&self, unfinished: impl FnOnce() -> Result<HashSet<String>>) -> Result<()> {
        let names: Vec<String> = match std::fs::read_dir(&self.0) {
            Err(_) => return Ok(()),
            Ok(entries) => entries
                .flatten()
                .map(|entry| entry.file_name().to_string_lossy().into_owned())
                .collect(),
        };
        if names.is_empty() {
            return Ok(());
        }
        let unfinished = unfinished()?;
        for name in names {
            let id = name.strip_suffix(".eml").unwrap_or(&name);
            if !unfinished.contains(id) {
                let path = self.0.join(&name);
                remove(&path).map_err(|e| cannot_write(&path, &e))?;
            }
        }
        Ok(())
    }

    fn path(&self, delivery_id: &str) -> PathBuf {
        self.0.join(format!("{delivery_id}.eml"))
    }
}

/// Removes a file, unless another process was faster.
pub fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn staged(folder: &Path, size: u64) -> PathBuf {
        let path = folder.join("staged");
        File::create(&path).unwrap().set_len(size).unwrap();
        path
    }

    #[test]
    fn they_are_bounded_and_the_oldest_go_first() {
        let state = tempfile::tempdir().unwrap();
        let kept = Kept::new(state.path());
        for (n, id) in ["a", "b", "c"].iter().enumerate() {
            let path = staged(state.path(), 100 << 20);
            let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(n as u64);
            File::open(&path).unwrap().set_modified(time).unwrap();
            kept.take(id, &path).unwrap();
        }
        assert_eq!(kept.find("a"), None);
        assert!(kept.find("b").is_some() && kept.find("c").is_some());
        kept.take("d", &staged(state.path(), ROOM + 1)).unwrap();
        assert_eq!(kept.find("d"), None, "it is too large");
        assert!(!state.path().join("staged").exists());
        kept.tidy(|| Ok(["c".to_owned()].into())).unwrap();
        assert_eq!(kept.find("b"), None, "it was decided about");
        assert!(kept.find("c").is_some());
        kept.remove("c").unwrap();
        kept.remove("c").unwrap();
        kept.tidy(|| panic!("there is no file")).unwrap();
    }
}

//! The octets of messages that a delivery refused, as far as they are here: whoever decides about
//! a message in quarantine can look at it here.
//!
//! They are a help and no promise: the message itself stays on the server. Together they are
//! bounded, and the oldest make room for the newest.

use crate::delivery::cannot_write;
use crate::state::{Blob, Blobs, Store};
use anyhow::Result;
use std::collections::HashSet;
use std::io;
use std::path::Path;

/// Octets of all of them together. A larger message is not kept.
const ROOM: u64 = 256 << 20;

/// The octets, each by the delivery id of its message.
pub struct Kept<'a>(&'a Blobs);

impl<'a> Kept<'a> {
    pub fn new(store: &'a Store) -> Kept<'a> {
        Kept(store.quarantine_bodies())
    }

    /// Takes a staged file in, durably. One that is gone is passed over.
    pub fn take(&self, delivery_id: &str, staged: &Path) -> Result<()> {
        let size = match staged.metadata() {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            about => about.map_err(|e| cannot_write(staged, &e))?.len(),
        };
        if size > ROOM {
            return remove(staged).map_err(|e| cannot_write(staged, &e));
        }
        self.make_room(ROOM - size)?;
        self.0.take_in(&name(delivery_id), staged)
    }

    /// Removes the oldest until the rest takes at most so many octets.
    fn make_room(&self, most: u64) -> Result<()> {
        let mut all = self.0.all()?;
        all.sort_by(|a, b| (a.at, a.size, &a.name).cmp(&(b.at, b.size, &b.name)));
        let mut total: u64 = all.iter().map(|blob| blob.size).sum();
        for Blob { name, size, .. } in all {
            if total <= most {
                break;
            }
            self.0.remove(&name)?;
            total -= size;
        }
        Ok(())
    }

    /// Where a person finds the octets of a message, if they are kept.
    pub fn place(&self, delivery_id: &str) -> Option<String> {
        let name = name(delivery_id);
        self.0.has(&name).then(|| self.0.place(&name))
    }

    /// Gives the octets of a message to `take`, piece by piece.
    pub fn read(&self, delivery_id: &str, take: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        self.0.read(&name(delivery_id), take)
    }

    /// Removes the octets of a message that was decided about.
    pub fn remove(&self, delivery_id: &str) -> Result<()> {
        self.0.remove(&name(delivery_id))
    }

    /// Removes the octets of all messages but those that `unfinished` names, which is asked only
    /// where there are some: of a message that was delivered after all, or is gone.
    pub fn tidy(&self, unfinished: impl FnOnce() -> Result<HashSet<String>>) -> Result<()> {
        // What cannot be looked at now is tidied by a later run.
        let all = self.0.all().unwrap_or_default();
        if all.is_empty() {
            return Ok(());
        }
        let unfinished = unfinished()?;
        for Blob { name, .. } in all {
            let id = name.strip_suffix(".eml").unwrap_or(&name);
            if !unfinished.contains(id) {
                self.0.remove(&name)?;
            }
        }
        Ok(())
    }
}

/// The name of a message's octets.
fn name(delivery_id: &str) -> String {
    format!("{delivery_id}.eml")
}

/// Removes a staged file, unless another process was faster.
pub fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::path::PathBuf;
    use std::time::SystemTime;

    fn staged(folder: &Path, size: u64) -> PathBuf {
        let path = folder.join("staged");
        File::create(&path).unwrap().set_len(size).unwrap();
        path
    }

    #[test]
    fn they_are_bounded_and_the_oldest_go_first() {
        let state = tempfile::tempdir().unwrap();
        let store = Store::open(state.path()).unwrap();
        let kept = Kept::new(&store);
        for (n, id) in ["a", "b", "c"].iter().enumerate() {
            let path = staged(state.path(), 100 << 20);
            let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(n as u64);
            File::open(&path).unwrap().set_modified(time).unwrap();
            kept.take(id, &path).unwrap();
        }
        assert_eq!(kept.place("a"), None);
        assert!(kept.place("b").is_some() && kept.place("c").is_some());
        kept.take("d", &staged(state.path(), ROOM + 1)).unwrap();
        assert_eq!(kept.place("d"), None, "it is too large");
        assert!(!state.path().join("staged").exists());
        kept.tidy(|| Ok(["c".to_owned()].into())).unwrap();
        assert_eq!(kept.place("b"), None, "it was decided about");
        assert!(kept.place("c").is_some());
        kept.remove("c").unwrap();
        kept.remove("c").unwrap();
        kept.tidy(|| panic!("there is no file")).unwrap();
    }
}

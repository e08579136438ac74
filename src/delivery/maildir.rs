//! Maildir: staged in `tmp/`, delivered by one rename into `new/`.
//!
//! The rename is atomic, and a file that is no longer in `tmp/` has been delivered, whatever a
//! reader did with it since: that is how a crash is told from a delivery. Only after 36 hours may it
//! have been cleaned away: see [`is_lost`].

use super::{Delivery, Intent, Letter, cannot_write, rename_staged};
use crate::files::folder_of;
use anyhow::Result;
use std::path::{Path, PathBuf};

pub struct Maildir {
    tmp: PathBuf,
    new: PathBuf,
}

impl Maildir {
    /// Opens the Maildir at `path`, creating what is missing of it, private to this user.
    pub fn open(path: &Path) -> Result<Maildir> {
        for sub in ["tmp", "new", "cur"] {
            super::make_folder(&path.join(sub))?;
        }
        Ok(Maildir {
            tmp: path.join("tmp"),
            new: path.join("new"),
        })
    }
}

/// Who keeps a Maildir may remove a file that has been in `tmp/` for so many seconds: 36 hours, by
/// the convention (maildir(5) of qmail), which Dovecot and Courier follow.
const CLEANED_AFTER: i64 = 36 * 3600;

/// Whether a file that went on record so many seconds ago was removed from `tmp/` and not delivered.
///
/// Of a file that is gone it cannot always be told. Before it may be cleaned away it was renamed,
/// and a reader has perhaps taken it out of the Maildir since, as importers do at once: to look for
/// it would deliver that message again. Later it was delivered if it is in `new/`, or in `cur/`
/// with flags after its name. If it is in neither, a cleaner or a reader has taken it; then losing
/// it is the worse mistake. A clock that was set back makes it old.
pub(super) fn is_lost(from: &Path, to: &Path, age: i64) -> Result<bool> {
    let in_maildir = |path: &Path, sub: &str| folder_of(path).ends_with(sub);
    if !in_maildir(from, "tmp")
        || !in_maildir(to, "new")
        || (0..CLEANED_AFTER).contains(&age)
        || from.exists()
    {
        return Ok(false);
    }
    is_there(to).map(|is_there| !is_there)
}

/// Whether a message that was to be delivered as this file is there: in `new/` of a Maildir, or in
/// `cur/` with flags after its name; elsewhere, as this file.
pub(super) fn is_there(to: &Path) -> Result<bool> {
    let new = folder_of(to);
    if to.exists() || !new.ends_with("new") {
        return Ok(to.exists());
    }
    let name = to.file_name().unwrap_or_default().as_encoded_bytes();
    for folder in [new.to_owned(), new.with_file_name("cur")] {
        for entry in std::fs::read_dir(&folder).map_err(|e| cannot_write(&folder, &e))? {
            let entry = entry.map_err(|e| cannot_write(&folder, &e))?;
            if entry.file_name().as_encoded_bytes().starts_with(name) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

impl Delivery for Maildir {
    fn staging(&self) -> &Path {
        &self.tmp
    }

    fn plan(&mut self, staged: &Path, _: &Letter) -> Result<Intent> {
        let name = staged.file_name().unwrap_or_default();
        Ok(Intent::Rename {
            files: vec![(staged.to_owned(), self.new.join(name))],
        })
    }

    fn deliver(&mut self, intent: &Intent, _: &Letter) -> Result<String> {
        let Intent::Rename { files } = intent else {
            return Err(super::not_ours(intent));
        };
        rename_staged(files)?;
        Ok(self.new.display().to_string())
    }

    fn flush(&mut self) -> Result<()> {
        crate::files::sync_folder(&self.new)
    }
}

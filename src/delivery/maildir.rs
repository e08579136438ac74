//! Maildir: staged in `tmp/`, delivered by one rename into `new/`.
//!
//! The rename is atomic, and a file that is no longer in `tmp/` has been delivered, whatever a
//! reader did with it since: that is how a crash is told from a delivery.

use super::{Delivery, Intent, Letter, cannot_write, finish_renames};
use anyhow::Result;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

pub struct Maildir {
    tmp: PathBuf,
    new: PathBuf,
}

impl Maildir {
    /// Opens the Maildir at `path`, creating what is missing of it, private to us.
    pub fn open(path: &Path) -> Result<Maildir> {
        for sub in ["tmp", "new", "cur"] {
            let folder = path.join(sub);
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&folder)
                .map_err(|e| cannot_write(&folder, &e))?;
        }
        Ok(Maildir {
            tmp: path.join("tmp"),
            new: path.join("new"),
        })
    }
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
        finish_renames(files)?;
        Ok(self.new.display().to_string())
    }

    fn flush(&mut self) -> Result<()> {
        crate::files::sync_folder(&self.new)
    }
}

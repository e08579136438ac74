//! One `.eml` file for each message, and a JSON file next to it that says what is known of it.
//!
//! The JSON file appears first: a reader that sees the message also sees what is known of it.

use super::{Delivery, Intent, Letter, cannot_write, rename_staged};
use anyhow::Result;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

pub struct Eml {
    folder: PathBuf,
    staging: PathBuf,
}

impl Eml {
    /// Opens the folder, creating it private to this user; messages are staged in its `.staging/`.
    pub fn open(folder: &Path) -> Result<Eml> {
        let staging = folder.join(".staging");
        super::make_folder(&staging)?;
        Ok(Eml {
            folder: folder.to_owned(),
            staging,
        })
    }
}

impl Delivery for Eml {
    fn staging(&self) -> &Path {
        &self.staging
    }

    fn plan(&mut self, staged: &Path, letter: &Letter) -> Result<Intent> {
        let mut sidecar = staged.as_os_str().to_owned();
        sidecar.push(".json");
        let sidecar = PathBuf::from(sidecar);
        let mut json = serde_json::to_vec_pretty(letter)?;
        json.push(b'\n');
        // As private as the message.
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&sidecar)
            .and_then(|mut file| file.write_all(&json))
            .map_err(|e| cannot_write(&sidecar, &e))?;
        let name = staged.file_name().unwrap_or_default().to_string_lossy();
        Ok(Intent::Rename {
            files: vec![
                (sidecar, self.folder.join(format!("{name}.json"))),
                (staged.to_owned(), self.folder.join(format!("{name}.eml"))),
            ],
        })
    }

    fn deliver(&mut self, intent: &Intent, _: &Letter) -> Result<String> {
        let Intent::Rename { files } = intent else {
            return Err(super::not_ours(intent));
        };
        rename_staged(files)?;
        Ok(files
            .last()
            .map(|(_, to)| to.display().to_string())
            .unwrap_or_default())
    }

    fn flush(&mut self) -> Result<()> {
        crate::files::sync_folder(&self.folder)
    }
}

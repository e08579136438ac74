//! Where relative paths and `~/` of the file lead: a relative path starts at the file's folder, so that
//! cron and a shell mean the same file.

use super::values::Target;
use crate::fault::Fault;
use anyhow::Result;
use std::path::{Path, PathBuf};

/// A path as seen from `folder`, `~/` being the home folder.
pub fn absolute(path: &Path, folder: &Path) -> Result<PathBuf> {
    let Ok(below) = path.strip_prefix("~") else {
        return Ok(folder.join(path));
    };
    match std::env::var_os("HOME").filter(|h| !h.is_empty()) {
        Some(home) => Ok(Path::new(&home).join(below)),
        None => Err(Fault::config(format!(
            "`{}` needs a home folder, and HOME is not set",
            path.display()
        ))
        .hint("write the path in full")
        .into()),
    }
}

impl Target {
    /// The same delivery, its path absolute if it has one.
    pub fn absolute(&self, folder: &Path) -> Result<Target> {
        let resolved = match self.as_str().split_once(':') {
            Some((kind, path)) if Target::KINDS.contains(&(kind, true)) => {
                format!("{kind}:{}", absolute(Path::new(path), folder)?.display())
            }
            // HOST:PORT is not a path.
            Some(("lmtp", path)) if path.starts_with(['/', '.', '~']) => {
                format!("lmtp:{}", absolute(Path::new(path), folder)?.display())
            }
            _ => return Ok(self.clone()),
        };
        resolved
            .parse()
            .map_err(|e: String| Fault::config(e).into())
    }
}

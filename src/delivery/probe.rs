//! Whether mail could be delivered to a place: looked at, nothing made.

use super::Place;
use crate::fault::{Fault, Kind};
use crate::shell;
use anyhow::Result;
use rustix::fs::{Access, AtFlags, CWD, accessat};
use std::path::{Path, PathBuf};

/// What a delivery will find, in words.
///
/// # Errors
/// `CannotWrite` with what is in the way.
pub fn probe(place: &Place) -> Result<String> {
    match place {
        Place::Maildir(path) => {
            for part in ["tmp", "new", "cur"] {
                folder(&path.join(part))?;
            }
            folder(path).map(|found| format!("maildir {}: {found}", path.display()))
        }
        Place::Eml(path) => folder(path).map(|found| format!("folder {}: {found}", path.display())),
        Place::Mbox(path) if path.is_dir() => Err(cannot(path, "it is a folder").into()),
        Place::Mbox(path) if path.exists() => {
            may(path, Access::WRITE_OK)?;
            // A lock file is made beside it.
            folder(crate::files::folder_of(path))?;
            Ok(format!("mbox {}: can be written", path.display()))
        }
        Place::Mbox(path) => folder(crate::files::folder_of(path))
            .map(|_| format!("mbox {}: will be made", path.display())),
        Place::Command(words) => program(words.first().map_or("", String::as_str)),
        Place::Lmtp(address) => {
            super::lmtp::probe(address)?;
            Ok(format!("{address}: takes mail"))
        }
        Place::Stdout(_) => Ok("standard output".to_owned()),
    }
}

/// A folder that can be written, or made.
fn folder(path: &Path) -> Result<&'static str> {
    let mut at = path;
    // Whatever is there already decides.
    while std::fs::symlink_metadata(at).is_err() {
        let above = crate::files::folder_of(at);
        if above == at {
            break;
        }
        at = above;
    }
    if !at.is_dir() {
        return Err(cannot(at, "it is no folder").into());
    }
    may(at, Access::WRITE_OK | Access::EXEC_OK)?;
    Ok(match at == path {
        true => "can be written",
        false => "will be made",
    })
}

/// With the rights that we have now, not those of who started us.
fn may(path: &Path, access: Access) -> Result<()> {
    accessat(CWD, path, access, AtFlags::EACCESS)
        .map_err(|e| cannot(path, &std::io::Error::from(e).to_string()).into())
}

fn cannot(path: &Path, why: &str) -> Fault {
    let shown = shell::quote(path);
    Fault::new(
        Kind::CannotWrite,
        format!("cannot deliver to `{}`: {why}", path.display()),
    )
    .hint(format!("namei -l {shown}"))
}

/// A program, by its path or found in `PATH`.
fn program(name: &str) -> Result<String> {
    let found = if name.contains('/') {
        Some(PathBuf::from(name)).filter(|p| is_program(p))
    } else {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path)
            .map(|folder| folder.join(name))
            .find(|p| is_program(p))
    };
    match found {
        Some(path) => Ok(format!("command {}", path.display())),
        None => Err(Fault::new(
            Kind::CannotWrite,
            format!("cannot deliver to command `{name}`: there is no such program"),
        )
        .hint(format!("type {}", shell::quote(name)))
        .into()),
    }
}

fn is_program(path: &Path) -> bool {
    path.is_file() && accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS).is_ok()
}

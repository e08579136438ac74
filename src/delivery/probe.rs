//! Whether mail could be delivered to a place: looked at, nothing made.

use super::Place;
use crate::fault::Fault;
use crate::files::{self, End};
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
        Place::Mbox(path) => mbox(path, &files::real_path(path, End::File)?),
        Place::Command(words) => program(words.first().map_or("", String::as_str)),
        Place::Lmtp(address) => {
            super::lmtp::probe(address)?;
            Ok(format!("{address}: accepts mail"))
        }
        Place::Https(to) => super::https::probe(to),
        Place::Stdout(_) => Ok("standard output".to_owned()),
    }
}

/// An mbox that can be written, or made; `real` is what its path leads to.
fn mbox(path: &Path, real: &Path) -> Result<String> {
    if real.is_dir() {
        return Err(cannot(path, "it is a folder").into());
    }
    // A lock file is made next to it.
    existing(files::folder_of(real))?;
    let found = match real.symlink_metadata() {
        Ok(about) => {
            super::mbox::check(&about, path)?;
            may(real, Access::WRITE_OK)?;
            "can be written"
        }
        Err(_) => "will be created",
    };
    Ok(format!("mbox {}: {found}", path.display()))
}

/// A folder that can be written, or made, and that no other user's link leads to.
fn folder(path: &Path) -> Result<&'static str> {
    files::real_path(path, End::Folder)?;
    existing(path)
}

/// A folder that can be written, or made.
fn existing(path: &Path) -> Result<&'static str> {
    let mut at = path;
    // Whatever is there already decides.
    while std::fs::symlink_metadata(at).is_err() {
        let above = files::folder_of(at);
        if above == at {
            break;
        }
        at = above;
    }
    if !at.is_dir() {
        return Err(cannot(at, "it is not a folder").into());
    }
    may(at, Access::WRITE_OK | Access::EXEC_OK)?;
    Ok(match at == path {
        true => "can be written",
        false => "will be created",
    })
}

/// With the rights that the process has now, not those of who started it.
fn may(path: &Path, access: Access) -> Result<()> {
    accessat(CWD, path, access, AtFlags::EACCESS)
        .map_err(|e| cannot(path, &std::io::Error::from(e).to_string()).into())
}

fn cannot(path: &Path, why: &str) -> Fault {
    let shown = shell::quote(path);
    Fault::cannot_write(format!("cannot deliver to `{}`: {why}", path.display()))
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
        None => Err(Fault::cannot_write(format!(
            "cannot deliver to command `{name}`: the program does not exist"
        ))
        .hint(format!("type {}", shell::quote(name)))
        .into()),
    }
}

fn is_program(path: &Path) -> bool {
    path.is_file() && accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS).is_ok()
}

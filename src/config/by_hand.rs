//! The file changed by a person with an editor: a copy is edited, and takes the file's place once it
//! is valid. Until then everybody reads the file as it was.

use super::edit::HEAD;
use super::load;
use super::paths::resolve_paths;
use super::write::{lock, put, read_if_there, target_of};
use crate::fault::{Errors, Fault};
use crate::files;
use anyhow::Result;
use std::io::Write;
use std::path::Path;

/// Has a copy of the file edited until it is valid, and puts it in the file's place, under the lock
/// of all changes. True if something changed. The file keeps its owner and its permissions; one that
/// holds a plain secret is private from then on.
///
/// `edit` is given the copy; `again` is told what is wrong with it and decides whether it is edited
/// again.
///
/// # Errors
/// Those of `edit` and `again`; what is wrong with the copy, where it is not to be edited again; 73
/// if the file cannot be written; 75 if others hold the lock.
pub fn edit_by_hand(
    path: &Path,
    edit: impl Fn(&Path) -> Result<()>,
    again: impl Fn(&Errors) -> Result<bool>,
) -> Result<bool, Errors> {
    let target = target_of(path)?;
    let _lock = lock(&target)?;
    let before = read_if_there(&target)?.map(|(text, _)| text);
    let folder = files::folder_of(&target);
    // Private (0600), and gone when this ends.
    let mut copy = tempfile::Builder::new()
        .prefix(".edited-")
        .suffix(".yaml")
        .tempfile_in(folder)
        .map_err(|e| files::cannot("create a file in", folder, &e))?;
    let text = before.as_deref().unwrap_or(HEAD);
    copy.write_all(text.as_bytes())
        .map_err(|e| files::cannot("write", copy.path(), &e))?;
    loop {
        edit(copy.path())?;
        match checked(copy.path(), path) {
            Ok((after, _)) if Some(&after) == before.as_ref() => return Ok(false),
            Ok((after, is_secret)) => {
                let is_private = is_secret || before.is_none();
                let mode = if is_private { 0o600 } else { 0o777 };
                put(&target, path, &after, mode)?;
                return Ok(true);
            }
            Err(wrong) => {
                if !again(&wrong)? {
                    return Err(wrong);
                }
            }
        }
    }
}

/// The text of the copy, which will be the file at `path`, and whether it holds a plain secret.
fn checked(copy: &Path, path: &Path) -> Result<(String, bool), Errors> {
    let bytes = files::read_plain(copy, load::MAX_SIZE + 1).map_err(|e| {
        let copy = copy.display();
        Fault::cannot_write(format!("cannot read `{copy}` after it was edited: {e}"))
    })?;
    let text = load::decode(bytes.to_vec(), path)?;
    let mut config = load::parse_all(&text, path)?;
    resolve_paths(&mut config, path)?;
    let is_secret = !config.plain_secrets().is_empty();
    Ok((text, is_secret))
}

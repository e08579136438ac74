//! mbsync's state of a pair of folders (`.mbsyncstate`, isync 1.1 to 1.5): some named numbers, an
//! empty line, then a line for each message: its UID on the far side, which is the server, that on the
//! near side, and flags. The first flag may say that the near side has a placeholder alone (`>`), that
//! the message was not fetched (`^`, `!`), or that its copy has expired (`~`, `X`). Versions before 1.4
//! called the sides master and slave.

use super::lines::{Input, number};
use super::uids::Uids;
use super::{Copies, Fetched, Memory, maildir, malformed, unreadable};
use crate::fault::Fault;
use crate::files::folder_of;
use anyhow::Result;
use std::path::{Path, PathBuf};

/// Instead of the UID of a message that is not there, before 1.3.
const NEVER: [u32; 2] = [u32::MAX, u32::MAX - 1];

pub fn read(path: &Path) -> Result<Memory> {
    let path = match path.is_dir() {
        true => path.join(".mbsyncstate"),
        false => path.to_owned(),
    };
    refuse_unfinished(&path)?;
    let memory = of(Input::open(&path)?)?;
    Ok(Memory {
        witnesses: witnesses(&path)?,
        ..memory
    })
}

/// With `SyncState *` the state lies in the Maildir that it is about. Its numbers alone do not tell one
/// mailbox of Exchange from another: the INBOX of many has the same UIDVALIDITY.
fn witnesses(path: &Path) -> Result<Option<Copies>> {
    let folder = folder_of(path);
    if !folder.join("cur").is_dir() || !folder.join("new").is_dir() {
        return Ok(None);
    }
    Ok(match maildir::read(folder)?.fetched {
        Fetched::Copies(copies) if !copies.is_empty() => Some(copies),
        _ => None,
    })
}

pub fn of(input: Input<'_>) -> Result<Memory> {
    let path = input.path;
    let (mut uidvalidity, mut in_header, mut last) = (None, true, 0);
    let (mut uids, mut unclear) = (Vec::new(), 0);
    input.each_line(|line, text| {
        last = line;
        if in_header && text.is_empty() {
            in_header = false;
            return match uidvalidity {
                Some(_) => Ok(()),
                None => Err(malformed(path, line, "FarUidValidity is missing above it").into()),
            };
        }
        let mut words = text.split(|&b| b == b' ').filter(|word| !word.is_empty());
        let words = [words.next(), words.next(), words.next(), words.next()];
        if in_header {
            match words {
                [Some(name), Some(value), None, _] if is_name(name) && number(value).is_some() => {
                    if [&b"FarUidValidity"[..], b"MasterUidValidity"].contains(&name) {
                        uidvalidity = number(value);
                    }
                    return Ok(());
                }
                _ => {
                    let why = "it is not as mbsync 1.1 to 1.5 writes it: a name and a number";
                    return Err(malformed(path, line, why).into());
                }
            }
        }
        let (far, near, flags) = match words {
            [Some(far), Some(near), flags, None] => (number(far), number(near), flags),
            _ => (None, None, None),
        };
        let (Some(far), Some(near)) = (far, near) else {
            let why = "it is not as mbsync writes it: two UIDs and flags";
            return Err(malformed(path, line, why).into());
        };
        match (far, uidvalidity) {
            // It is on the near side alone.
            (0, _) | (_, None | Some(0)) => {}
            (far, _) if NEVER.contains(&far) => {}
            (far, Some(uidvalidity)) => match was_fetched(near, flags.unwrap_or_default()) {
                true => uids.push((uidvalidity, far)),
                false => unclear += 1,
            },
        }
        Ok(())
    })?;
    if in_header {
        let why = "the file ends here, before the empty line that ends its header";
        return Err(malformed(path, last.max(1), why).into());
    }
    Ok(Memory::of(Fetched::Uids(Uids::of(uids)), unclear))
}

/// Whether all of a message has been on the near side.
fn was_fetched(near: u32, flags: &[u8]) -> bool {
    match flags.first() {
        Some(b'>' | b'^' | b'!') => false,
        Some(b'~' | b'X') => true,
        _ => near > 0 && !NEVER.contains(&near),
    }
}

fn is_name(word: &[u8]) -> bool {
    word.len() < 64 && word.iter().all(u8::is_ascii_alphabetic)
}

/// What has changed since the state was written is in a journal until mbsync ends.
fn refuse_unfinished(path: &Path) -> Result<()> {
    let mut journal = path.as_os_str().to_owned();
    journal.push(".journal");
    let journal = PathBuf::from(journal);
    match journal.symlink_metadata() {
        Ok(_) => Err(Fault::try_later(format!(
            "mbsync is running, or was interrupted: its journal `{}` exists",
            journal.display()
        ))
        .hint("wait until mbsync is done, or run it once more, and import its state then")
        .into()),
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(err) => Err(unreadable(&journal, err).into()),
    }
}

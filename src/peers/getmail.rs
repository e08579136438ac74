//! getmail's `oldmail-HOST-PORT-USER-FOLDER`: a line for each message that it has seen, as an
//! identifier, NUL and a Unix time. By IMAP the identifier is `UIDVALIDITY/UID`; versions before
//! 4.22 put the folder's name between them. By POP3 it is the server's own, and there is no folder.

use super::lines::{Input, number};
use super::uids::{Uids, of_numbers, of_pop3};
use super::{Fetched, Memory, malformed, unreadable};
use crate::fault::Fault;
use anyhow::Result;
use std::io;
use std::path::Path;

/// Exchange gives the INBOX of many a mailbox the same UIDVALIDITY (14), so that by its numbers alone
/// the file of another mailbox could be taken for that of this one: its name must tell.
pub fn read(path: &Path, users: &[&str]) -> Result<Memory> {
    if path.is_dir() {
        return Err(unreadable(path, io::Error::other("it is a folder"))
            .hint("name getmail's file of this mailbox and folder in it, oldmail-HOST-PORT-USER-FOLDER")
            .into());
    }
    let name = path.file_name().map(|name| name.to_string_lossy());
    let folder = match name
        .as_deref()
        .and_then(|name| name.strip_prefix("oldmail-"))
    {
        Some(name) => match users.iter().find_map(|user| folder_in(name, user)) {
            Some(folder) => Some(folder.to_owned()).filter(|folder| !folder.is_empty()),
            None => return Err(of_another(path, users)),
        },
        None => None,
    };
    let memory = of(Input::open(path)?)?;
    Ok(Memory { folder, ..memory })
}

/// The folder in the rest of a file's name, `HOST-PORT-USER-FOLDER`, if it is of this user; empty by
/// POP3.
fn folder_in<'n>(name: &'n str, user: &str) -> Option<&'n str> {
    let user = format!("-{}", as_in_a_name(user, '-').to_lowercase());
    // In lower case, some letters have another length: then nothing is found at their place.
    let lower = name.to_lowercase();
    let rests = lower
        .match_indices(&user)
        .filter_map(|(at, _)| name.get(at + user.len()..));
    let mut folders = rests.filter_map(|rest| match rest {
        "" => Some(""),
        rest => rest.strip_prefix('-'),
    });
    folders.next()
}

/// A name as getmail has it in the name of a file: of what may not be in one, each run becomes this
/// character.
pub fn as_in_a_name(name: &str, instead: char) -> String {
    let mut text = String::new();
    let mut in_run = false;
    for c in name.chars() {
        let is_removed = r"/\:;<>|".contains(c);
        match is_removed {
            false => text.push(c),
            true if !in_run => text.push(instead),
            true => {}
        }
        in_run = is_removed;
    }
    text
}

fn of_another(path: &Path, users: &[&str]) -> anyhow::Error {
    let what = format!(
        "`{}` is the file of another user than `{}`",
        path.display(),
        users.join("` or `")
    );
    Fault::usage(what)
        .hint("if getmail calls this mailbox by another name: copy the file to a name without `oldmail-`, and import that")
        .into()
}

pub fn of(input: Input<'_>) -> Result<Memory> {
    let path = input.path;
    let (mut uids, mut unclear) = (Vec::new(), 0);
    input.each_line(|line, text| {
        if text.trim_ascii().is_empty() {
            return Ok(());
        }
        let not_getmails = || {
            malformed(
                path,
                line,
                "it is not as getmail writes it: an identifier, NUL and a time",
            )
        };
        let at = text.iter().position(|&b| b == 0).ok_or_else(not_getmails)?;
        let (identifier, time) = (text[..at].trim_ascii(), text[at + 1..].trim_ascii());
        if identifier.is_empty() || number(time).is_none() {
            return Err(not_getmails().into());
        }
        let mut parts = identifier.split(|&b| b == b'/');
        let (first, last) = (parts.next(), parts.next_back());
        let pair = match (first, last) {
            (Some(uidvalidity), Some(uid)) => of_numbers(uidvalidity, uid),
            _ => of_pop3(identifier),
        };
        match pair {
            Some(pair) => uids.push(pair),
            None => unclear += 1,
        }
        Ok(())
    })?;
    Ok(Memory::of(Fetched::Uids(Uids::of(uids)), unclear))
}

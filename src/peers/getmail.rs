//! getmail's `oldmail-HOST-PORT-USER-FOLDER`: a line for each message that it has seen, as an
//! identifier, NUL and a Unix time. By IMAP the identifier is `UIDVALIDITY/UID`; versions before
//! 4.22 put the folder's name between them. By POP3 it is the server's own, and there is no folder.

use super::lines::{Input, number};
use super::uids::{Uids, of_numbers, of_pop3};
use super::{Fetched, Memory, malformed, unreadable};
use anyhow::Result;
use std::path::Path;

pub fn read(path: &Path) -> Result<Memory> {
    if path.is_dir() {
        return Err(unreadable(path, "it is a folder")
            .hint("name getmail's file of this mailbox and folder in it, oldmail-HOST-PORT-USER-FOLDER")
            .into());
    }
    of(Input::open(path)?)
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
    Ok(Memory {
        fetched: Fetched::Uids(Uids::of(uids)),
        unclear,
    })
}

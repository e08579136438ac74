//! fetchmail's `.fetchids`: a line `USER@HOST IDENTIFIER` for each message that it has seen by POP3.
//! By IMAP it keeps nothing.

use super::lines::Input;
use super::uids::{Uids, of_pop3};
use super::{Fetched, Memory, malformed};
use crate::fault::Fault;
use anyhow::Result;
use std::path::Path;

pub fn read(path: &Path, users: &[&str]) -> Result<Memory> {
    of(Input::open(path)?, users)
}

pub fn of(input: Input<'_>, users: &[&str]) -> Result<Memory> {
    let path = input.path;
    let is_of = |name: &[u8]| {
        users.iter().map(|user| user.as_bytes()).any(|user| {
            name.get(user.len()) == Some(&b'@') && name[..user.len()].eq_ignore_ascii_case(user)
        })
    };
    let (mut uids, mut unclear) = (Vec::new(), 0);
    input.each_line(|line, text| {
        let mut words = text
            .split(u8::is_ascii_whitespace)
            .filter(|word| !word.is_empty());
        match (words.next(), words.next(), words.next()) {
            (None, ..) => {}
            (Some(name), Some(identifier), None) if name.contains(&b'@') => {
                match of_pop3(identifier) {
                    _ if !is_of(name) => {}
                    Some(pair) => uids.push(pair),
                    None => unclear += 1,
                }
            }
            _ => {
                let why = "it is not as fetchmail writes it: USER@HOST and an identifier";
                return Err(malformed(path, line, why).into());
            }
        }
        Ok(())
    })?;
    if uids.is_empty() && unclear == 0 {
        return Err(Fault::usage(format!(
            "`{}` names no message of `{}`",
            path.display(),
            users.join("` or `")
        ))
        .hint("by IMAP, fetchmail keeps nothing there: it marks messages as read, see --read")
        .into());
    }
    Ok(Memory::of(Fetched::Uids(Uids::of(uids)), unclear))
}

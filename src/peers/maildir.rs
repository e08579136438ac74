//! A Maildir, whoever has filled it: the messages in its folders `new` and `cur`. Folders within it
//! are others: what is in `.Sent` was not fetched.

use super::copies::Copies;
use super::{Fetched, MOST, Memory, NOT_REGULAR, not_regular, too_many, unreadable};
use crate::fault::Fault;
use crate::mail::Traits;
use crate::mail::header::header_end;
use anyhow::Result;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A head is read up to so many octets.
const HEAD: usize = 256 << 10;
/// Octets that are read at once.
const PIECE: usize = 16 << 10;

pub fn read(path: &Path) -> Result<Memory> {
    let mut copies = Copies::default();
    let mut count = 0;
    for name in ["new", "cur"] {
        let folder = path.join(name);
        let entries = std::fs::read_dir(&folder).map_err(|e| {
            unreadable(&folder, e)
                .hint("name the Maildir itself, the folder that contains `new` and `cur`")
        })?;
        for entry in entries {
            let entry = entry.map_err(|e| unreadable(&folder, e))?;
            // Those are not messages (https://cr.yp.to/proto/maildir.html).
            if entry.file_name().as_bytes().starts_with(b".") {
                continue;
            }
            // Nothing else is opened: a device would notice.
            let kind = entry
                .file_type()
                .map_err(|e| unreadable(&entry.path(), e))?;
            if !kind.is_file() {
                return Err(not_regular(&entry.path()).into());
            }
            count += 1;
            if count > MOST {
                return Err(too_many(path).into());
            }
            add(&mut copies, &entry.path())?;
        }
    }
    let unclear = copies.without_id();
    Ok(Memory::of(Fetched::Copies(copies.sorted()), unclear))
}

fn add(copies: &mut Copies, path: &Path) -> Result<()> {
    let wrong = |err: io::Error| match err.kind() {
        // A mail program has marked the message as read, which is a part of its name.
        ErrorKind::NotFound => Fault::try_later(format!(
            "the Maildir has changed meanwhile: `{}` is gone",
            path.display()
        ))
        .hint("run the same command again"),
        _ => unreadable(path, err),
    };
    let mut file = open(path).map_err(wrong)?;
    let mut head = Vec::new();
    let mut end = 0;
    // Most heads are in the first piece.
    while head.len() < HEAD && end == head.len() {
        let room = PIECE.min(HEAD - head.len()) as u64;
        let read = file
            .by_ref()
            .take(room)
            .read_to_end(&mut head)
            .map_err(wrong)?;
        end = header_end(&head);
        if read == 0 {
            break;
        }
    }
    let traits = Traits::of_head(&head[..end]);
    let size = || size(&head, &mut file);
    copies.add(&traits, size).map_err(wrong)?;
    Ok(())
}

fn open(path: &Path) -> io::Result<File> {
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOFOLLOW;
    let file = std::os::unix::fs::OpenOptionsExt::custom_flags(
        File::options().read(true),
        flags.bits().cast_signed(),
    )
    .open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other(NOT_REGULAR)),
    }
}

/// The octets of a message with CRLF at the end of each line, as servers count them.
fn size(start: &[u8], rest: &mut File) -> io::Result<u64> {
    let (mut size, mut last) = (0, 0);
    let mut count = |piece: &[u8]| {
        for &octet in piece {
            size += 1 + u64::from(octet == b'\n' && last != b'\r');
            last = octet;
        }
    };
    count(start);
    let mut piece = vec![0; PIECE];
    loop {
        match rest.read(&mut piece)? {
            0 => return Ok(size),
            read => count(&piece[..read]),
        }
    }
}

//! Messages on their way into the record, in a file without a name: a folder may hold a million.

use crate::delivery::cannot_write;
use crate::digest::hex;
use crate::fetch::pile::lines;
use crate::files;
use crate::mail::RemoteId;
use crate::state::SkippedRecord;
use anyhow::Result;
use std::fs::File;
use std::io::{self, BufRead, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Octets that are held before they are written.
const HELD: usize = 64 << 10;

/// Takes messages, each with a number, and gives them back in the order in which they came.
pub struct Spool {
    file: File,
    /// Octets of `file`.
    end: u64,
    /// What follows it.
    held: Vec<u8>,
    count: u64,
    /// For what an error says.
    folder: PathBuf,
}

impl Spool {
    /// `folder` is a private folder.
    pub fn new(folder: &Path) -> Result<Spool> {
        Ok(Spool {
            file: files::nameless(folder).map_err(|e| cannot_write(folder, &e))?,
            end: 0,
            held: Vec::new(),
            count: 0,
            folder: folder.to_owned(),
        })
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    pub fn add(&mut self, message: &SkippedRecord, number: u64) -> Result<()> {
        self.count += 1;
        self.held
            .extend_from_slice(line(message, number).as_bytes());
        if self.held.len() > HELD {
            let written = self.file.write_all(&self.held);
            written.map_err(|e| cannot_write(&self.folder, &e))?;
            self.end += self.held.len() as u64;
            self.held.clear();
        }
        Ok(())
    }

    pub fn all(&self) -> impl Iterator<Item = Result<(SkippedRecord, u64)>> {
        let all = lines(&self.file, 0, self.end).chain(self.held.lines());
        all.map(|line| line.and_then(|line| read(&line).ok_or(ErrorKind::InvalidData.into())))
            .map(|read: io::Result<_>| read.map_err(|e| cannot_write(&self.folder, &e)))
    }

    /// All messages, `most` at a time.
    pub fn pages(&self, most: usize) -> impl Iterator<Item = Result<Vec<SkippedRecord>>> {
        let mut all = self.all();
        std::iter::from_fn(move || {
            let page = all.by_ref().take(most).map(|one| Ok(one?.0));
            let page: Result<Vec<SkippedRecord>> = page.collect();
            match page {
                Ok(page) if page.is_empty() => None,
                page => Some(page),
            }
        })
    }
}

/// An id is a number, or a text of printable ASCII.
fn line(message: &SkippedRecord, number: u64) -> String {
    let SkippedRecord {
        remote,
        fingerprint,
        received,
    } = message;
    let kind = if remote.ascends() { 'n' } else { 't' };
    let received = received.map(|seconds| seconds.to_string());
    let received = received.unwrap_or_default();
    format!(
        "{number}\t{received}\t{}\t{kind}\t{remote}\n",
        hex(fingerprint)
    )
}

fn read(line: &str) -> Option<(SkippedRecord, u64)> {
    let mut parts = line.splitn(5, '\t');
    let mut next = || parts.next();
    let number = next()?.parse().ok()?;
    let received = match next()? {
        "" => None,
        seconds => Some(seconds.parse().ok()?),
    };
    let fingerprint = u128::from_str_radix(next()?, 16).ok()?.to_be_bytes();
    let remote = match (next()?, next()?) {
        ("n", id) => RemoteId::of_mark(id)?,
        (_, id) => RemoteId::from(id.to_owned()),
    };
    let message = SkippedRecord {
        remote,
        fingerprint,
        received,
    };
    Some((message, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::new(folder.path()).unwrap();
        let message = |n: u32| SkippedRecord {
            remote: match n % 2 {
                0 => RemoteId::from(n),
                _ => RemoteId::from(format!("AAMk={n}")),
            },
            fingerprint: [u8::try_from(n % 250).unwrap(); 16],
            received: (!n.is_multiple_of(3)).then_some(i64::from(n) - 1000),
        };
        for n in 0..5000 {
            spool.add(&message(n), u64::MAX - u64::from(n)).unwrap();
        }
        assert_eq!(spool.count(), 5000);
        assert!(spool.end > 0 && !spool.held.is_empty());
        for _ in 0..2 {
            for (n, one) in (0..).zip(spool.all()) {
                let (found, number) = one.unwrap();
                assert_eq!(format!("{found:?}"), format!("{:?}", message(n)));
                assert_eq!(number, u64::MAX - u64::from(n));
            }
            let pages: Vec<_> = spool.pages(2000).map(|page| page.unwrap().len()).collect();
            assert_eq!(pages, [2000, 2000, 1000]);
        }
    }
}

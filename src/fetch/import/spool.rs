//! Messages on their way into the record, in a file without a name: a folder may hold a million.

use crate::digest::hex;
use crate::fetch::aside::Aside;
use crate::mail::RemoteId;
use crate::state::SkippedRecord;
use anyhow::Result;
use std::path::Path;

/// Takes messages, each with a number, and gives them back in the order in which they came.
pub struct Spool(Aside);

impl Spool {
    /// `folder` is a private folder.
    pub fn new(folder: &Path) -> Spool {
        Spool(Aside::new(folder))
    }

    pub fn count(&self) -> u64 {
        self.0.count()
    }

    pub fn add(&mut self, message: &SkippedRecord, number: u64) -> Result<()> {
        self.0.add(&line(message, number))
    }

    pub fn all(&self) -> impl Iterator<Item = Result<(SkippedRecord, u64)>> {
        self.0.all(read)
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
        "{number}\t{received}\t{}\t{kind}\t{remote}",
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
        let mut spool = Spool::new(folder.path());
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

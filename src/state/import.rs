//! What another program has fetched goes on record as skipped: all of it, together with its folder,
//! or nothing.

use super::db::Error;
use super::ledger::{begin, skip};
use super::{Lock, SkippedRecord, Store};
use anyhow::Result;

/// The folder that messages are imported into, as it is opened now.
#[derive(Clone, Copy, Debug)]
pub struct ImportedFolder<'a> {
    /// The mailbox's address in lower case.
    pub address: &'a str,
    pub name: &'a str,
    pub uidvalidity: u32,
    /// Where fetching begins, if it is not on record yet.
    pub start: Option<&'a str>,
}

impl Store {
    /// Puts messages on record as skipped, unless they are dealt with, in one durable transaction;
    /// gives their number. `pages` gives all of them, page by page, each time that it is called: a
    /// transaction may have to be repeated.
    ///
    /// # Errors
    /// Those of the database, and of `pages`; nothing is on record then.
    pub fn import<P>(
        &self,
        lock: &Lock,
        folder: &ImportedFolder<'_>,
        pages: impl Fn() -> P,
        now: i64,
    ) -> Result<u64>
    where
        P: Iterator<Item = Result<Vec<SkippedRecord>>>,
    {
        let ImportedFolder {
            address,
            name,
            uidvalidity,
            start,
        } = *folder;
        let mut failure = None;
        let written = self.intend(lock, |tx| {
            let Some(record) = begin(tx, address, name, uidvalidity, start)? else {
                let what = "the folder that was just recorded is missing";
                return Err(Error::Spoilt(what.to_owned()));
            };
            let (mut given, mut changed) = (0, 0);
            for page in pages() {
                let page = page.map_err(|err| {
                    failure = Some(err);
                    Error::Spoilt("what is imported cannot be read".to_owned())
                })?;
                given += page.len() as u64;
                changed += skip(tx, record.id, record.epoch, &page, now)?;
            }
            // It may all be there already.
            Ok(if tx.is_repeat() { given } else { changed })
        });
        match failure {
            Some(err) => Err(err),
            None => written,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Fault;
    use crate::mail::RemoteId;
    use crate::state::Standing;
    use crate::state::engines_tests::on_both;

    const FOLDER: ImportedFolder<'_> = ImportedFolder {
        address: "a@x.example",
        name: "INBOX",
        uidvalidity: 7,
        start: None,
    };

    fn row(uid: u32) -> SkippedRecord {
        SkippedRecord {
            remote: RemoteId::from(uid),
            fingerprint: [1; 16],
            received: Some(5),
        }
    }

    #[test]
    fn all_of_it_is_on_record_or_nothing() {
        on_both(|engine| {
            let store = engine.open();
            let broken = || {
                let pages = [
                    Ok(vec![row(1), row(2)]),
                    Err(Fault::usage("no more").into()),
                ];
                pages.into_iter()
            };
            let err = store.import(&Lock::FREE, &FOLDER, broken, 9).unwrap_err();
            assert_eq!(err.to_string(), "no more");
            let known = || store.folder_record("a@x.example", "INBOX", 7).unwrap();
            assert_eq!(known(), None, "on {engine}");
            let whole = || [Ok(vec![row(1), row(2)]), Ok(vec![row(3)])].into_iter();
            assert_eq!(store.import(&Lock::FREE, &FOLDER, whole, 9).unwrap(), 3);
            assert_eq!(store.import(&Lock::FREE, &FOLDER, whole, 9).unwrap(), 0);
            let record = known().unwrap();
            let ids: Vec<RemoteId> = [1, 3, 4].map(RemoteId::from).into();
            let standing = store.accounted(record.id, record.epoch, &ids).unwrap();
            let of = |uid: u32| standing.get(&RemoteId::from(uid)).copied();
            assert_eq!(
                [of(1), of(3), of(4)],
                [Some(Standing::Skipped), Some(Standing::Skipped), None]
            );
        });
    }
}

//! What is on record of a mailbox when it is claimed: what its visit asks first, and what is the same
//! in all that have no new mail. It comes with the claim, so that such a visit asks nothing more.
//!
//! A card says only what nobody else changes while this process has the mailbox, and says each
//! thing once: whatever the visit itself changes is asked of the database from then on. That
//! something is *not* there stays true, too: another host, which has lost the mailbox, may still
//! put on record what it has delivered, and nothing else.

use super::Store;
use super::db::{Error, Row, Sql};
use super::ledger::{Epoch, FolderId, FolderRecord, uidvalidity};
use crate::mail::RemoteId;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// The cards of the mailboxes that this process has, by the address in lower case.
#[derive(Default)]
pub struct Cards(Mutex<HashMap<String, Card>>);

/// Of one mailbox; what was said is not there any more.
#[derive(Debug, Default)]
pub struct Card {
    /// No wait is on record.
    pub no_wait: Option<()>,
    /// No delivery is interrupted.
    pub no_interrupted: Option<()>,
    /// The names of all folders, the oldest first.
    pub names: Option<Vec<String>>,
    folders: Vec<FolderCard>,
}

/// Of one folder.
#[derive(Debug)]
pub struct FolderCard {
    id: FolderId,
    name: String,
    pub epoch: Epoch,
    /// It is of one epoch, and nothing of another one is looked for.
    settled: bool,
    pub mark: Option<String>,
    start: Option<String>,
    /// The highest id in the epoch, if there is one.
    pub highest: Option<Option<RemoteId>>,
    /// Whether the message at the mark is on record as one that left.
    pub has_left: Option<bool>,
    /// Nothing is to be tried again.
    pub nothing_due: Option<()>,
    /// There is nothing of which the server is still to be told.
    pub nothing_unsettled: Option<()>,
    is_opened: bool,
}

impl Card {
    /// The record of a folder, where it is of this UIDVALIDITY and none of another.
    pub fn record(&self, name: &str, valid: u32) -> Option<FolderRecord> {
        let of_this = |folder: &&FolderCard| folder.name == name && !folder.is_opened;
        let folder = self.folders.iter().find(of_this)?;
        let is_sound = |mark: &String| valid == 0 || RemoteId::of_mark(mark).is_some();
        let is_same = folder.settled
            && uidvalidity(folder.epoch) == valid
            && folder.mark.as_ref().is_none_or(is_sound);
        is_same.then(|| FolderRecord {
            id: folder.id,
            epoch: folder.epoch,
            mark: folder.mark.clone(),
            renumbered: false,
            skipped_before: false,
            start: folder.start.clone(),
            is_new: false,
        })
    }

    /// The same, which is not said again.
    pub fn take_record(&mut self, name: &str, valid: u32) -> Option<FolderRecord> {
        let record = self.record(name, valid)?;
        let of_this = self
            .folders
            .iter_mut()
            .filter(|folder| folder.id == record.id);
        of_this.for_each(|folder| folder.is_opened = true);
        Some(record)
    }
}

impl Store {
    /// What the card of a mailbox says.
    pub(super) fn of_card<T>(
        &self,
        mailbox: &str,
        say: impl FnOnce(&mut Card) -> Option<T>,
    ) -> Option<T> {
        if !self.is_shared() {
            return None;
        }
        let mut cards = self.cards.0.lock().unwrap_or_else(PoisonError::into_inner);
        cards.get_mut(mailbox).and_then(say)
    }

    /// What the card of a mailbox says of a folder.
    pub(super) fn of_folder_card<T>(
        &self,
        id: FolderId,
        say: impl FnOnce(&mut FolderCard) -> Option<T>,
    ) -> Option<T> {
        if !self.is_shared() {
            return None;
        }
        let mut cards = self.cards.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut folders = cards.values_mut().flat_map(|card| &mut card.folders);
        folders.find(|folder| folder.id == id).and_then(say)
    }

    pub(super) fn keep_card(&self, mailbox: &str, card: Card) {
        let mut cards = self.cards.0.lock().unwrap_or_else(PoisonError::into_inner);
        cards.insert(mailbox.to_owned(), card);
    }

    /// The mailbox is not this process's any more, or is another than its card says.
    pub(super) fn drop_card(&self, mailbox: &str) {
        if self.is_shared() {
            let mut cards = self.cards.0.lock().unwrap_or_else(PoisonError::into_inner);
            cards.remove(mailbox);
        }
    }
}

/// Takes note of a row of [`CARDS`].
pub fn note(cards: &mut HashMap<String, Card>, row: &Row<'_>) -> Result<(), Error> {
    let card = cards.entry(row.get(0)?).or_insert_with(|| Card {
        no_wait: Some(()),
        no_interrupted: Some(()),
        names: Some(Vec::new()),
        folders: Vec::new(),
    });
    if row.get(1)? {
        card.no_wait = None;
    }
    let Some(id) = row.get(2)? else {
        return Ok(());
    };
    let is_open: bool = row.get(7)?;
    if is_open {
        card.no_interrupted = None;
    }
    let name: String = row.get(3)?;
    card.names.get_or_insert_default().push(name.clone());
    let is_unsettled: bool = row.get(8)?;
    card.folders.push(FolderCard {
        id,
        name,
        epoch: row.get(4)?,
        settled: row.get::<i64>(5)? == 0,
        mark: row.get(6)?,
        start: row.get(9)?,
        highest: Some(row.get(10)?),
        has_left: Some(row.get(11)?),
        nothing_due: (!is_open).then_some(()),
        nothing_unsettled: (!is_unsettled).then_some(()),
        is_opened: false,
    });
    Ok(())
}

/// Of the mailboxes of these leases, a name on each line, those that a run holds: a row for each
/// folder, and for each mailbox that has none. It is to see what stood there when the lease was got,
/// so it comes after the claim, and not with it in one statement. A mark by UIDs is a number.
pub const CARDS: Sql = Sql::postgres(
    "SELECT wanted.address,
            EXISTS (SELECT 1 FROM wait WHERE wait.key = 'mailbox ' || wanted.address),
            f.id, f.name, f.epoch, f.former, f.mark,
            EXISTS (SELECT 1 FROM message m
                    WHERE m.folder = f.id AND (m.state = 'failed' OR m.state = 'staged')),
            EXISTS (SELECT 1 FROM message m WHERE m.folder = f.id AND m.settle IS NOT NULL),
            f.start,
            (SELECT m.remote FROM message m WHERE m.folder = f.id AND m.epoch = f.epoch
             ORDER BY m.remote DESC LIMIT 1),
            EXISTS (SELECT 1 FROM message m
                    WHERE m.folder = f.id AND m.epoch = f.epoch AND m.present = 0
                      AND m.remote = lpad(f.mark, 10, '0'))
     FROM (SELECT substr(lease.name, length('fetch ') + 1) AS address
           FROM unnest(string_to_array(?1, ?2)) AS own (name)
           JOIN lease ON lease.name = own.name AND lease.holder = ?3) wanted
     LEFT JOIN folder f ON f.address = wanted.address
     ORDER BY f.id",
);

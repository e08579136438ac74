//! Messages that a former epoch dealt with, known again: where a server numbers a folder anew, its
//! messages have other ids, and none may be fetched again for that.

use super::db::{Sql, values};
use super::ledger::{Epoch, FolderId, SkippedRecord, take_row};
use super::{Lock, Store};
use crate::mail::RemoteId;
use anyhow::Result;
use std::collections::HashSet;

/// Servers tell the time at which a message was received alike, but for what a wrong zone makes of
/// it, in seconds.
pub(super) const RECEIVED_ALIKE: i64 = 86_400;

impl Store {
    /// Recognises a message that a former epoch dealt with: its row becomes this message's, and
    /// `true` is returned. Each row recognises one message.
    pub fn recognise(
        &self,
        lock: &Lock,
        folder: FolderId,
        epoch: Epoch,
        remote: &RemoteId,
        fingerprint: &[u8; 16],
        now: i64,
    ) -> Result<bool> {
        const FORMER: Sql = Sql::both(
            "SELECT id FROM message
             WHERE folder = ?1 AND epoch <> ?2 AND fingerprint = ?3
               AND (present = 1 OR (present = 2 AND remote = ?4))
               AND state IN ('delivered', 'quarantined', 'dropped')
             ORDER BY remote <> ?4, id LIMIT 1",
        );
        const DONE: Sql = Sql::both(
            "SELECT 1 FROM message
             WHERE folder = ?1 AND epoch = ?2 AND fingerprint = ?3 AND remote = ?4
               AND state IN ('delivered', 'quarantined', 'dropped')",
        );
        self.intend(lock, |tx| {
            let values = values![folder, epoch, fingerprint, remote];
            if tx.is_repeat() && tx.exists(&DONE, &values)? {
                return Ok(true);
            }
            let former = tx.row(&FORMER, &values, |row| row.get::<i64>(0))?;
            let Some(former) = former else {
                return Ok(false);
            };
            take_row(tx, former, folder, epoch, remote, now)?;
            Ok(true)
        })
    }

    /// Recognises messages that were skipped in a former epoch: the row of each becomes this
    /// message's. Gives those that are recognised; each row recognises one.
    pub fn recognise_skipped(
        &self,
        lock: &Lock,
        folder: FolderId,
        epoch: Epoch,
        messages: &[SkippedRecord],
        now: i64,
    ) -> Result<HashSet<RemoteId>> {
        const FORMER: Sql = Sql::both(
            "SELECT id FROM message
             WHERE folder = ?1 AND epoch <> ?2 AND fingerprint = ?3
               AND (present = 1 OR (present = 2 AND remote = ?4))
               AND state = 'skipped'
               AND coalesce(abs(received - ?5), 0) <= ?6
             ORDER BY remote <> ?4, coalesce(abs(received - ?5), 0), id LIMIT 1",
        );
        let mut found = HashSet::new();
        self.intend_in_passing(lock, |tx| {
            for message in messages {
                let SkippedRecord {
                    remote,
                    fingerprint,
                    received,
                } = message;
                let alike = values![
                    folder,
                    epoch,
                    fingerprint,
                    remote,
                    *received,
                    RECEIVED_ALIKE
                ];
                let former = tx.row(&FORMER, &alike, |row| row.get::<i64>(0))?;
                if let Some(former) = former {
                    take_row(tx, former, folder, epoch, remote, now)?;
                    found.insert(remote.clone());
                }
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// Ends the recognition of what was skipped in a former epoch: what was not found again is no
    /// longer there.
    pub fn close_skipped(&self, lock: &Lock, folder: FolderId, epoch: Epoch) -> Result<()> {
        const LEAVE: Sql = Sql::both(
            "UPDATE message SET present = 0
             WHERE folder = ?1 AND epoch <> ?2 AND state = 'skipped' AND present <> 0",
        );
        self.intend_in_passing(lock, |tx| tx.later(&LEAVE, &values![folder, epoch]))
    }

    /// Ends the recognition of a former epoch: what was not found again is no longer there. While
    /// a message could not be had under its new id it may be one of them, and nothing ends; nor while
    /// one is still being delivered.
    pub fn close_former_epochs(&self, lock: &Lock, folder: FolderId, epoch: Epoch) -> Result<()> {
        const UNSEEN: Sql = Sql::both(
            "SELECT 1 FROM message
             WHERE folder = ?1 AND epoch = ?2 AND state = 'failed' AND fingerprint IS NULL
             UNION ALL
             SELECT 1 FROM message
             WHERE folder = ?1 AND epoch = ?2 AND state = 'quarantined' AND fingerprint IS NULL
             UNION ALL
             SELECT 1 FROM message WHERE folder = ?1 AND state = 'staged'
             LIMIT 1",
        );
        const LEAVE: Sql = Sql::both(
            "UPDATE message SET present = 0, settle = NULL
             WHERE folder = ?1 AND epoch <> ?2 AND (present <> 0 OR settle IS NOT NULL)",
        );
        // What was not delivered under the former ids is listed under the new ones.
        const CLEAR: Sql = Sql::both(
            "DELETE FROM message
             WHERE folder = ?1 AND epoch <> ?2 AND (state = 'failed' OR state = 'quarantined')",
        );
        const CLOSE: Sql = Sql::both("UPDATE folder SET former = 0 WHERE id = ?1");
        self.intend(lock, |tx| {
            if tx.exists(&UNSEEN, &values![folder, epoch])? {
                return Ok(());
            }
            tx.later(&LEAVE, &values![folder, epoch])?;
            tx.later(&CLEAR, &values![folder, epoch])?;
            tx.later(&CLOSE, &values![folder])
        })
    }
}

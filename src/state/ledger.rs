//! The ledger: what became of every message of every folder.
//!
//! A message that is in the ledger is accounted for. A folder's *mark* says up to where
//! everything is accounted for, so that a listing starts behind it; messages behind the mark
//! whose row says `failed` are tried again.

use super::Store;
use crate::config::AfterFetch;
use crate::digest::sha256;
use crate::mail::RemoteId;
use anyhow::{Context, Result};
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{OptionalExtension, Row, ToSql, params};
use std::collections::{HashMap, HashSet};

/// Row of a folder in the database.
pub type FolderId = i64;

/// What the ledger knows of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderRecord {
    pub id: FolderId,
    pub mark: Option<String>,
    /// Mail was delivered in another epoch and may be here under new ids.
    pub renumbered: bool,
}

/// What became of a message that is accounted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Delivered,
    Quarantined,
    /// Dropped from quarantine by a person.
    Dropped,
    /// To be tried again, or interrupted.
    Pending,
}

fn standing(row: &Row<'_>, column: usize) -> rusqlite::Result<Standing> {
    Ok(match row.get_ref(column)?.as_str()? {
        "delivered" => Standing::Delivered,
        "quarantined" => Standing::Quarantined,
        "dropped" => Standing::Dropped,
        _ => Standing::Pending,
    })
}

/// A message that is about to be delivered.
#[derive(Clone, Debug)]
pub struct StagedRecord {
    pub remote: RemoteId,
    /// How to finish the delivery; only the delivery reads it.
    pub intent: String,
    pub fingerprint: [u8; 16],
    pub size: u64,
}

/// A delivery that a crash may have interrupted.
#[derive(Clone, Debug)]
pub struct Interrupted {
    pub folder: FolderId,
    pub folder_name: String,
    pub epoch: u32,
    pub remote: RemoteId,
    pub size: u64,
    pub intent: String,
    /// Unix seconds when that went on record.
    pub since: i64,
}

impl ToSql for RemoteId {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            RemoteId::Uid(uid) => ToSqlOutput::Owned(Value::Integer((*uid).into())),
            RemoteId::Graph(id) => ToSqlOutput::Borrowed(ValueRef::Text(id.as_bytes())),
        })
    }
}

pub(super) fn remote_id(row: &Row<'_>, column: usize) -> rusqlite::Result<RemoteId> {
    match row.get_ref(column)? {
        ValueRef::Integer(_) => Ok(RemoteId::Uid(row.get(column)?)),
        _ => Ok(RemoteId::Graph(row.get(column)?)),
    }
}

impl Store {
    /// The record of a folder that was opened in `epoch`. A new epoch drops the mark: everything
    /// is listed again, and what was delivered in the former one is recognised.
    pub fn open_folder(&self, address: &str, name: &str, epoch: u32) -> Result<FolderRecord> {
        let record = self.record_folder(address, name, epoch)?;
        if record.renumbered {
            // Needed only now: without it, each message would be looked for among all.
            self.transaction(|tx| {
                tx.execute(
                    "CREATE INDEX IF NOT EXISTS message_fingerprint ON message (folder, fingerprint)",
                    [],
                )
            })?;
        }
        Ok(record)
    }

    fn record_folder(&self, address: &str, name: &str, epoch: u32) -> Result<FolderRecord> {
        self.transaction(|tx| {
            tx.prepare_cached(
                "INSERT INTO folder (address, name, epoch) VALUES (?1, ?2, ?3)
                 ON CONFLICT (address, name) DO UPDATE
                 SET epoch = ?3, mark = NULL WHERE epoch <> ?3",
            )?
            .execute(params![address, name, epoch])
        })?;
        self.folder_record(address, name, epoch)?
            .context("the folder that was just recorded is not there")
    }

    /// The record of a folder, without changing anything.
    pub fn folder_record(
        &self,
        address: &str,
        name: &str,
        epoch: u32,
    ) -> Result<Option<FolderRecord>> {
        self.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT id, CASE WHEN epoch = ?3 THEN mark END,
                        EXISTS (SELECT 1 FROM message m
                                WHERE m.folder = folder.id AND (m.epoch < ?3 OR m.epoch > ?3)
                                  AND m.present = 1)
                 FROM folder WHERE address = ?1 AND name = ?2",
                )?
                .query_row(params![address, name, epoch], |row| {
                    Ok(FolderRecord {
                        id: row.get(0)?,
                        mark: row.get(1)?,
                        renumbered: row.get(2)?,
                    })
                })
                .optional()
        })
    }

    /// The names of a mailbox's folders on record, the oldest first.
    pub fn folder_names(&self, address: &str) -> Result<Vec<String>> {
        self.read(|connection| {
            connection
                .prepare_cached("SELECT name FROM folder WHERE address = ?1 ORDER BY id")?
                .query_map([address], |row| row.get(0))?
                .collect()
        })
    }

    /// What became of those on a page of a listing that are accounted for, in this epoch. One that
    /// was forgotten had been delivered.
    pub fn accounted(
        &self,
        folder: FolderId,
        epoch: u32,
        listed: &[RemoteId],
    ) -> Result<HashMap<RemoteId, Standing>> {
        let bounds = (listed.iter().min(), listed.iter().max());
        self.read(|connection| {
            let mut known = HashMap::new();
            if let (Some(RemoteId::Uid(first)), Some(RemoteId::Uid(last))) = bounds {
                let listed: HashSet<&RemoteId> = listed.iter().collect();
                let mut statement = connection.prepare_cached(
                    "SELECT remote, state FROM message
                     WHERE folder = ?1 AND epoch = ?2 AND remote BETWEEN ?3 AND ?4",
                )?;
                let mut rows = statement.query(params![folder, epoch, first, last])?;
                while let Some(row) = rows.next()? {
                    let id = remote_id(row, 0)?;
                    if listed.contains(&id) {
                        known.insert(id, standing(row, 1)?);
                    }
                }
                return Ok(known);
            }
            let mut remembered = connection.prepare_cached(
                "SELECT state FROM message WHERE folder = ?1 AND epoch = ?2 AND remote = ?3",
            )?;
            let mut forgotten = connection
                .prepare_cached("SELECT 1 FROM forgotten_id WHERE folder = ?1 AND digest = ?2")?;
            for id in listed {
                let found = remembered
                    .query_row(params![folder, epoch, id], |row| standing(row, 0))
                    .optional()?;
                if let Some(found) = found {
                    known.insert(id.clone(), found);
                } else if forgotten.exists(params![folder, id_digest(id)])? {
                    // Moved away, forgotten, and put back by a person.
                    known.insert(id.clone(), Standing::Delivered);
                }
            }
            Ok(known)
        })
    }

    /// Hands over the failed messages whose time has come; also those whose time is further off
    /// than it is ever set, because the clock was set back since. `each` must not ask the store.
    pub fn due(
        &self,
        folder: FolderId,
        epoch: u32,
        now: i64,
        each: &mut dyn FnMut(RemoteId) -> Result<()>,
    ) -> Result<()> {
        let connection = self.connection();
        let mut refused = None;
        let mut all = || {
            let mut statement = connection.prepare_cached(DUE)?;
            let mut rows = statement.query(params![folder, epoch, now, now + LONGEST_BACKOFF])?;
            while refused.is_none()
                && let Some(row) = rows.next()?
            {
                refused = each(remote_id(row, 0)?).err();
            }
            Ok(())
        };
        all().map_err(|e| self.cannot_read(e))?;
        refused.map_or(Ok(()), Err)
    }

    /// Moves the mark: everything up to it is accounted for.
    pub fn set_mark(&self, folder: FolderId, mark: &str) -> Result<()> {
        self.transaction(|tx| {
            tx.prepare_cached("UPDATE folder SET mark = ?2 WHERE id = ?1")?
                .execute(params![folder, mark])
        })
        .map(drop)
    }

    /// Puts on record, durably, that these are about to be delivered.
    pub fn stage(
        &self,
        folder: FolderId,
        epoch: u32,
        messages: &[StagedRecord],
        now: i64,
    ) -> Result<()> {
        self.transaction(|tx| {
            let mut insert = tx.prepare_cached(
                "INSERT INTO message (folder, epoch, remote, state, intent, fingerprint, size, changed_at)
                 VALUES (?1, ?2, ?3, 'staged', ?4, ?5, ?6, ?7)
                 ON CONFLICT (folder, epoch, remote) DO UPDATE
                 SET state = 'staged', intent = ?4, fingerprint = ?5, size = ?6, changed_at = ?7",
            )?;
            for message in messages {
                insert.execute(params![
                    folder,
                    epoch,
                    message.remote,
                    message.intent,
                    message.fingerprint,
                    i64::try_from(message.size).unwrap_or(i64::MAX),
                    now
                ])?;
            }
            Ok(())
        })
    }

    /// Puts on record, durably, that these are delivered, and what is to be done on the server.
    pub fn delivered<'a>(
        &self,
        folder: FolderId,
        epoch: u32,
        messages: impl Iterator<Item = (&'a RemoteId, &'a str)>,
        after: &AfterFetch,
        now: i64,
    ) -> Result<()> {
        let settle = (*after != AfterFetch::Keep).then(|| after.to_string());
        self.transaction(|tx| {
            let mut update = tx.prepare_cached(
                "UPDATE message SET state = 'delivered', intent = NULL, reason = NULL,
                        next_attempt = NULL, settle = ?4, delivered_to = ?5, changed_at = ?6
                 WHERE folder = ?1 AND epoch = ?2 AND remote = ?3",
            )?;
            for (remote, place) in messages {
                update.execute(params![folder, epoch, remote, settle, place, now])?;
            }
            Ok(())
        })
    }

    /// Puts on record that a message could not be delivered and when to try again; for good, or
    /// after [`MAX_ATTEMPTS`], it is quarantined. Returns true when it is.
    pub fn failed(
        &self,
        folder: FolderId,
        epoch: u32,
        remote: &RemoteId,
        failure: &Failure<'_>,
        now: i64,
    ) -> Result<bool> {
        self.transaction(|tx| {
            let attempts: u32 = tx
                .prepare_cached(
                    "SELECT attempts FROM message WHERE folder = ?1 AND epoch = ?2 AND remote = ?3",
                )?
                .query_row(params![folder, epoch, remote], |row| row.get(0))
                .optional()?
                .unwrap_or(0)
                + 1;
            let quarantine = failure.for_good || attempts >= MAX_ATTEMPTS;
            tx.prepare_cached(
                "INSERT INTO message (folder, epoch, remote, state, attempts, next_attempt, reason, changed_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
                 ON CONFLICT (folder, epoch, remote) DO UPDATE
                 SET state = ?4, intent = NULL, attempts = ?5, next_attempt = ?6, reason = ?7, changed_at = ?8",
            )?
            .execute(params![
                folder,
                epoch,
                remote,
                if quarantine { "quarantined" } else { "failed" },
                attempts,
                now + backoff(attempts),
                failure.reason,
                now
            ])?;
            Ok(quarantine)
        })
    }

    /// Forgets a failed message that is no longer on the server.
    pub fn gone(&self, folder: FolderId, epoch: u32, remote: &RemoteId) -> Result<()> {
        self.transaction(|tx| {
            tx.prepare_cached(
                "DELETE FROM message WHERE folder = ?1 AND epoch = ?2 AND remote = ?3
                 AND state IN ('failed', 'staged')",
            )?
            .execute(params![folder, epoch, remote])
        })
        .map(drop)
    }

    /// The deliveries of a mailbox that a crash may have interrupted.
    pub fn interrupted(&self, address: &str) -> Result<Vec<Interrupted>> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT m.folder, m.epoch, m.remote, m.intent, m.changed_at, f.name, coalesce(m.size, 0)
             FROM folder f CROSS JOIN message m ON m.folder = f.id
             WHERE f.address = ?1 AND m.state = 'staged' AND m.state <> 'delivered'",
            )?;
            statement
                .query_map([address], |row| {
                    Ok(Interrupted {
                        folder: row.get(0)?,
                        epoch: row.get(1)?,
                        remote: remote_id(row, 2)?,
                        intent: row.get(3)?,
                        since: row.get(4)?,
                        folder_name: row.get(5)?,
                        size: row.get::<_, i64>(6)?.unsigned_abs(),
                    })
                })
                .and_then(Iterator::collect)
        })
    }

    /// Puts an interrupted delivery back among those to be tried, at once.
    pub fn restart(&self, message: &Interrupted) -> Result<()> {
        self.transaction(|tx| {
            tx.execute(
                "UPDATE message SET state = 'failed', intent = NULL, next_attempt = 0
                 WHERE folder = ?1 AND epoch = ?2 AND remote = ?3",
                params![message.folder, message.epoch, message.remote],
            )
        })
        .map(drop)
    }

    /// Delivered messages with something still to be done on the server: the first `most` whose
    /// row comes after `row`. Gives the last one's row, too.
    pub fn unsettled(
        &self,
        folder: FolderId,
        epoch: u32,
        row: i64,
        most: usize,
    ) -> Result<(i64, Vec<(RemoteId, AfterFetch)>)> {
        let mut last = row;
        let found = self.read(|connection| {
            let mut statement = connection.prepare_cached(UNSETTLED)?;
            let most = i64::try_from(most).unwrap_or(i64::MAX);
            statement
                .query_map(params![folder, epoch, row, most], |row| {
                    let settle: String = row.get(1)?;
                    last = row.get(2)?;
                    Ok((remote_id(row, 0)?, settle.parse().unwrap_or_default()))
                })
                .and_then(Iterator::collect)
        })?;
        Ok((last, found))
    }

    /// Puts on record that the server has done it, and whether they have left the folder.
    pub fn settled(
        &self,
        folder: FolderId,
        epoch: u32,
        ids: &[RemoteId],
        left: bool,
    ) -> Result<()> {
        self.transaction(|tx| {
            let mut update = tx.prepare_cached(
                "UPDATE message SET settle = NULL, present = ?4
                 WHERE folder = ?1 AND epoch = ?2 AND remote = ?3",
            )?;
            for id in ids {
                update.execute(params![folder, epoch, id, !left])?;
            }
            Ok(())
        })
    }

    /// Recognises a message that a former epoch dealt with: its row becomes this message's, and
    /// `true` is returned. Each row recognises one message.
    pub fn recognise(
        &self,
        folder: FolderId,
        epoch: u32,
        remote: &RemoteId,
        fingerprint: &[u8; 16],
        now: i64,
    ) -> Result<bool> {
        self.transaction(|tx| {
            let former: Option<i64> = tx
                .prepare_cached(
                    "SELECT id FROM message
                     WHERE folder = ?1 AND epoch <> ?2 AND fingerprint = ?3 AND present = 1
                       AND state IN ('delivered', 'quarantined', 'dropped')
                     ORDER BY id LIMIT 1",
                )?
                .query_row(params![folder, epoch, fingerprint], |row| row.get(0))
                .optional()?;
            let Some(former) = former else {
                return Ok(false);
            };
            // It may have failed under its new id before.
            tx.prepare_cached(
                "DELETE FROM message WHERE folder = ?1 AND epoch = ?2 AND remote = ?3",
            )?
            .execute(params![folder, epoch, remote])?;
            tx.prepare_cached(
                "UPDATE message SET epoch = ?2, remote = ?3, changed_at = ?4 WHERE id = ?1",
            )?
            .execute(params![former, epoch, remote, now])?;
            Ok(true)
        })
    }

    /// Forgets what was delivered [`REMEMBERED`] seconds ago or earlier and then left the folder,
    /// deleted or moved by us. A UID is never given again; of an id of Graph, by which a message
    /// may be put back, a digest stays. How many there were stays, too.
    pub fn forget_left(&self, now: i64) -> Result<()> {
        const LEFT: &str = "present = 0 AND settle IS NULL AND changed_at < ?1";
        // So many at once that no other process waits long.
        const AT_ONCE: u32 = 10_000;
        let before = now - REMEMBERED;
        let due = self.read(|connection| {
            connection
                .prepare_cached(&format!("SELECT 1 FROM message WHERE {LEFT} LIMIT 1"))?
                .exists([before])
        })?;
        if !due {
            return Ok(());
        }
        self.transaction_in_passing(|tx| {
            // Of each folder: how many were delivered, and when the last of them.
            let mut delivered: HashMap<FolderId, (i64, i64)> = HashMap::new();
            let mut delete = tx.prepare(&format!(
                "DELETE FROM message
                 WHERE id IN (SELECT id FROM message WHERE {LEFT} LIMIT {AT_ONCE})
                 RETURNING folder, state = 'delivered', changed_at, remote"
            ))?;
            let mut keep =
                tx.prepare("INSERT OR IGNORE INTO forgotten_id (folder, digest) VALUES (?1, ?2)")?;
            let mut rows = delete.query([before])?;
            while let Some(row) = rows.next()? {
                let id = remote_id(row, 3)?;
                if let RemoteId::Graph(_) = id {
                    keep.execute(params![row.get::<_, FolderId>(0)?, id_digest(&id)])?;
                }
                if row.get(1)? {
                    let (count, last) = delivered.entry(row.get(0)?).or_default();
                    *count += 1;
                    *last = row.get::<_, i64>(2)?.max(*last);
                }
            }
            let mut update = tx.prepare(
                "UPDATE folder SET forgotten = forgotten + ?2,
                        forgotten_at = max(coalesce(forgotten_at, 0), ?3)
                 WHERE id = ?1",
            )?;
            for (folder, (count, last)) in delivered {
                update.execute(params![folder, count, last])?;
            }
            Ok(())
        })
    }

    /// Puts messages that were passed over among those to be tried, at once.
    pub fn put_back(&self, folder: FolderId, epoch: u32, ids: &[RemoteId], now: i64) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        self.transaction(|tx| {
            let mut insert = tx.prepare_cached(
                "INSERT OR IGNORE INTO message
                 (folder, epoch, remote, state, next_attempt, reason, changed_at)
                 VALUES (?1, ?2, ?3, 'failed', 0, 'found by an audit', ?4)",
            )?;
            for id in ids {
                insert.execute(params![folder, epoch, id, now])?;
            }
            Ok(())
        })
    }

    /// Ends the recognition of a former epoch: what was not found again is no longer there. While
    /// a message could not be had under its new id it may be one of them, and nothing ends.
    pub fn close_former_epochs(&self, folder: FolderId, epoch: u32) -> Result<()> {
        self.transaction(|tx| {
            let unseen: bool = tx
                .prepare_cached(
                    "SELECT EXISTS (SELECT 1 FROM message
                                    WHERE folder = ?1 AND epoch = ?2 AND fingerprint IS NULL
                                      AND state IN ('failed', 'quarantined'))",
                )?
                .query_row(params![folder, epoch], |row| row.get(0))?;
            if unseen {
                return Ok(());
            }
            tx.execute(
                "UPDATE message SET present = 0, settle = NULL WHERE folder = ?1 AND epoch <> ?2",
                params![folder, epoch],
            )?;
            // What was not delivered under the former ids is listed under the new ones.
            tx.execute(
                "DELETE FROM message
                 WHERE folder = ?1 AND epoch <> ?2 AND state IN ('failed', 'quarantined')",
                params![folder, epoch],
            )?;
            Ok(())
        })
    }
}

/// The words on 'delivered' let the index of unfinished messages be used.
const DUE: &str = "SELECT remote FROM message
    WHERE folder = ?1 AND epoch = ?2 AND state = 'failed' AND state <> 'delivered'
      AND (next_attempt <= ?3 OR next_attempt > ?4)
    ORDER BY id";

const UNSETTLED: &str = "SELECT remote, settle, id FROM message
    WHERE folder = ?1 AND epoch = ?2 AND settle IS NOT NULL AND id > ?3
    ORDER BY id LIMIT ?4";

/// How long a message is remembered that left its folder, in seconds: 90 days. Nothing needs it; it
/// answers questions of people.
const REMEMBERED: i64 = 90 * 86_400;

/// What stays of an id of Graph: 64 bits tell millions of them apart.
fn id_digest(id: &RemoteId) -> i64 {
    let digest = sha256(id.to_string().as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    i64::from_be_bytes(first)
}

/// Why a message was not delivered.
pub struct Failure<'a> {
    pub reason: &'a str,
    /// Trying again will not help.
    pub for_good: bool,
}

/// After so many attempts a message is quarantined.
const MAX_ATTEMPTS: u32 = 8;

/// The longest time between two attempts, in seconds.
const LONGEST_BACKOFF: i64 = 12 * 3600;

/// Seconds to wait after the n-th attempt: a minute, then five times as long each, half a day at
/// most; eight attempts take a day and a half.
fn backoff(attempts: u32) -> i64 {
    (60 * 5_i64.saturating_pow(attempts.saturating_sub(1))).min(LONGEST_BACKOFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Store, FolderId) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let record = store.open_folder("a@contoso.example", "INBOX", 1).unwrap();
        (folder, store, record.id)
    }

    fn deliver(store: &Store, folder: FolderId, ids: &[RemoteId]) {
        let staged: Vec<_> = ids
            .iter()
            .map(|remote| StagedRecord {
                remote: remote.clone(),
                intent: String::new(),
                fingerprint: [0; 16],
                size: 1,
            })
            .collect();
        store.stage(folder, 1, &staged, 0).unwrap();
        let places = ids.iter().map(|id| (id, "x"));
        store
            .delivered(folder, 1, places, &AfterFetch::Seen, 0)
            .unwrap();
    }

    #[test]
    fn what_is_unsettled_is_read_part_by_part() {
        let (_state, store, folder) = store();
        let ids: Vec<_> = [5, 3, 9, 1, 7].map(RemoteId::Uid).into();
        deliver(&store, folder, &ids);
        store.settled(folder, 1, &ids[1..2], false).unwrap();
        let (mut row, mut found) = (0, Vec::new());
        loop {
            let (last, part) = store.unsettled(folder, 1, row, 2).unwrap();
            if part.is_empty() {
                break;
            }
            assert!(part.len() <= 2);
            found.extend(part.into_iter().map(|(id, _)| id));
            row = last;
        }
        assert_eq!(found, [5, 9, 1, 7].map(RemoteId::Uid));
    }

    #[test]
    fn an_error_ends_what_is_due() {
        let (_state, store, folder) = store();
        let ids: Vec<_> = [4, 2, 8].map(RemoteId::Uid).into();
        store.put_back(folder, 1, &ids, 0).unwrap();
        let mut found = Vec::new();
        let mut due = |room: usize| {
            found.clear();
            store
                .due(folder, 1, 10, &mut |id| {
                    anyhow::ensure!(found.len() < room, "full");
                    found.push(id);
                    Ok(())
                })
                .map(|()| found.clone())
        };
        assert_eq!(due(3).unwrap(), ids);
        assert_eq!(due(1).unwrap_err().to_string(), "full");
    }

    /// Each run asks for them, and most folders hold a thousand times as many as there are.
    #[test]
    fn what_is_due_and_unsettled_is_found_by_an_index_of_its_own() {
        let (_state, store, folder) = store();
        let ids: Vec<_> = (1..2000).map(RemoteId::Uid).collect();
        deliver(&store, folder, &ids);
        store.settled(folder, 1, &ids, false).unwrap();
        let connection = store.connection();
        let mut used = Vec::new();
        for sql in [DUE, UNSETTLED] {
            let plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}"));
            let mut plan = plan.unwrap();
            let mut rows = plan.query(params![folder, 1, 0, 0]).unwrap();
            while let Some(row) = rows.next().unwrap() {
                used.push(row.get::<_, String>(3).unwrap());
            }
        }
        assert!(used[0].contains("message_unfinished"), "{used:?}");
        assert!(used[1].contains("message_unsettled"), "{used:?}");
        assert_eq!(used.len(), 2, "nothing is sorted: {used:?}");
    }

    #[test]
    fn a_page_is_told_what_became_of_each() {
        for ids in [
            [3, 9, 5, 7].map(RemoteId::Uid),
            ["c", "d", "a", "b"].map(|id| RemoteId::Graph(id.into())),
        ] {
            let (_state, store, folder) = store();
            deliver(&store, folder, &ids[..2]);
            store.put_back(folder, 1, &ids[2..3], 0).unwrap();
            let known = store.accounted(folder, 1, &ids[1..]).unwrap();
            let expected = [
                (ids[1].clone(), Standing::Delivered),
                (ids[2].clone(), Standing::Pending),
            ];
            assert_eq!(known, HashMap::from(expected));
            assert!(store.accounted(folder, 2, &ids).unwrap().is_empty());
            assert!(store.accounted(folder, 1, &[]).unwrap().is_empty());
        }
    }
}

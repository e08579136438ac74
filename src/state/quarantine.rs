//! Messages that were given up on: seen, tried again or dropped by a person.

use super::Store;
use super::ledger::{Epoch, remote_id};
use crate::mail::RemoteId;
use anyhow::Result;
use rusqlite::{Row, params};

/// A message in quarantine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// Names it in `quarantine show`, `retry` and `drop`.
    pub id: i64,
    pub address: String,
    pub folder: String,
    pub epoch: Epoch,
    pub remote: RemoteId,
    pub attempts: u32,
    pub reason: String,
    /// Unix seconds.
    pub since: i64,
}

const SELECT: &str =
    "SELECT m.id, f.address, f.name, m.epoch, m.remote, m.attempts, m.reason, m.changed_at
     FROM message m JOIN folder f ON f.id = m.folder";

fn quarantined(row: &Row<'_>) -> rusqlite::Result<Quarantined> {
    Ok(Quarantined {
        id: row.get(0)?,
        address: row.get(1)?,
        folder: row.get(2)?,
        epoch: row.get(3)?,
        remote: remote_id(row, 4)?,
        attempts: row.get(5)?,
        reason: row.get::<_, Option<String>>(6)?.unwrap_or_default(),
        since: row.get(7)?,
    })
}

impl Store {
    /// All that is in quarantine, the oldest first.
    pub fn quarantine(&self) -> Result<Vec<Quarantined>> {
        self.given_up("m.state = 'quarantined'")
    }

    /// The same and all that is still tried, or is to be tried again.
    pub fn unfinished(&self) -> Result<Vec<Quarantined>> {
        self.given_up("m.state IN ('quarantined', 'failed', 'staged') AND m.state <> 'delivered'")
    }

    fn given_up(&self, condition: &str) -> Result<Vec<Quarantined>> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&format!(
                "{SELECT} WHERE {condition} ORDER BY m.changed_at, m.id"
            ))?;
            statement.query_map([], quarantined)?.collect()
        })
    }

    /// Puts a message back among those to be tried, at once. False where it is not in quarantine.
    pub fn release(&self, id: i64) -> Result<bool> {
        self.transaction(|tx| {
            tx.execute(
                "UPDATE message SET state = 'failed', attempts = 0, next_attempt = 0
                 WHERE id = ?1 AND state = 'quarantined'",
                [id],
            )
        })
        .map(|changed| changed > 0)
    }

    /// Gives a message up for good: it counts as dealt with and is not fetched again. It stays on
    /// the server. False where it is not in quarantine.
    pub fn drop_quarantined(&self, id: i64, now: i64) -> Result<bool> {
        self.transaction(|tx| {
            tx.execute(
                "UPDATE message SET state = 'dropped', changed_at = ?2
                 WHERE id = ?1 AND state = 'quarantined'",
                params![id, now],
            )
        })
        .map(|changed| changed > 0)
    }
}

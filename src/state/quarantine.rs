//! Messages that were given up on: seen, tried again or dropped by a person.

use super::Store;
use super::db::{Error, Row, Sql, values};
use super::history::{self, About};
use super::ledger::Epoch;
use crate::mail::RemoteId;
use anyhow::Result;

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
    /// What is known of it, if it got as far as to be staged.
    pub about: About,
    /// Unix seconds.
    pub since: i64,
}

/// The start of a statement that [`quarantined`] reads the rows of.
macro_rules! given_up {
    ($rest:literal) => {
        Sql::both(concat!(
            "SELECT m.id, f.address, f.name, m.epoch, m.remote, m.attempts, m.reason, m.changed_at,
                    m.about
             FROM message m JOIN folder f ON f.id = m.folder ",
            $rest
        ))
    };
}

fn quarantined(row: &Row<'_>) -> Result<Quarantined, Error> {
    Ok(Quarantined {
        id: row.get(0)?,
        address: row.get(1)?,
        folder: row.get(2)?,
        epoch: row.get(3)?,
        remote: row.get(4)?,
        attempts: row.get(5)?,
        reason: row.get::<Option<String>>(6)?.unwrap_or_default(),
        since: row.get(7)?,
        about: history::about(row, 8)?,
    })
}

impl Store {
    /// All that is in quarantine, the oldest first.
    pub fn quarantine(&self) -> Result<Vec<Quarantined>> {
        const QUARANTINED: Sql =
            given_up!("WHERE m.state = 'quarantined' ORDER BY m.changed_at, m.id");
        self.read(|reader| reader.rows(&QUARANTINED, &[], quarantined))
    }

    /// The same and all that is still tried, or is to be tried again.
    pub fn unfinished(&self) -> Result<Vec<Quarantined>> {
        const UNFINISHED: Sql = given_up!(
            "WHERE (m.state = 'failed' OR m.state = 'staged' OR m.state = 'quarantined')
             ORDER BY m.changed_at, m.id"
        );
        self.read(|reader| reader.rows(&UNFINISHED, &[], quarantined))
    }

    /// Puts a message back among those to be tried, at once. False where it is not in quarantine.
    pub fn release(&self, id: i64) -> Result<bool> {
        const RELEASE: Sql = Sql::both(
            "UPDATE message SET state = 'failed', attempts = 0, next_attempt = 0
             WHERE id = ?1 AND state = 'quarantined'",
        );
        self.transaction(|tx| tx.run(&RELEASE, &values![id]))
            .map(|changed| changed > 0)
    }

    /// Gives a message up for good: it counts as dealt with and is not fetched again. It stays on
    /// the server. False where it is not in quarantine.
    pub fn drop_quarantined(&self, id: i64, now: i64) -> Result<bool> {
        const DROP: Sql = Sql::both(
            "UPDATE message SET state = 'dropped', changed_at = ?2, about = NULL
             WHERE id = ?1 AND state = 'quarantined'",
        );
        self.transaction(|tx| tx.run(&DROP, &values![id, now]))
            .map(|changed| changed > 0)
    }
}

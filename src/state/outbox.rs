//! The rows of the outbox: what is kept of each message beside its octets, which are in a file.
//!
//! A message whose row is there has been promised to somebody; it leaves the table only when it
//! was accepted, reported back or dropped by a person.

use super::Store;
use super::db::{Error, Row, Sql, values};
use crate::mail::Envelope;
use crate::mail::RefusedRecipient;
use anyhow::Result;
use std::path::PathBuf;

/// Where a message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutboxState {
    /// To be sent when its time comes.
    Waiting,
    /// Somebody is handing it over; if nobody holds its lock, they died doing so.
    Sending,
    /// Nobody knows whether the server has it; it is never sent again by itself.
    Unknown,
    /// Given up on; its report is due, or could not be delivered.
    Failed,
}

impl OutboxState {
    pub fn word(self) -> &'static str {
        match self {
            OutboxState::Waiting => "waiting",
            OutboxState::Sending => "sending",
            OutboxState::Unknown => "unknown",
            OutboxState::Failed => "failed",
        }
    }

    fn of(word: &str) -> OutboxState {
        match word {
            "waiting" => OutboxState::Waiting,
            "sending" => OutboxState::Sending,
            "failed" => OutboxState::Failed,
            // What is not understood is not sent again.
            _ => OutboxState::Unknown,
        }
    }
}

/// One message of the outbox. Times are Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxEntry {
    /// Names it for people; never given twice.
    pub id: i64,
    /// The file's name in the folder [`Store::outbox_folder`].
    pub file: String,
    /// Who sends, and who is still to get it.
    pub envelope: Envelope,
    pub message_id: String,
    /// Another transaction with this Message-ID may have been accepted: finding it proves nothing.
    pub shared_id: bool,
    pub size: u64,
    pub state: OutboxState,
    pub attempts: u32,
    pub next_attempt: i64,
    pub reason: String,
    /// Refused for good, and the sender is still to be told.
    pub refused: Vec<RefusedRecipient>,
    /// How the report to the sender is being delivered (an intent of `delivery`, JSON).
    pub report: Option<String>,
    pub kept_at: i64,
    pub changed_at: i64,
}

/// What the outbox holds, for `status`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutboxCounts {
    pub waiting: u64,
    pub unknown: u64,
    pub failed: u64,
    /// When the oldest message came in, Unix seconds.
    pub oldest: Option<i64>,
}

/// A statement that [`entry`] reads the rows of.
macro_rules! entries {
    ($rest:literal) => {
        Sql::both(concat!(
            "SELECT id, file, envelope, message_id, shared_id, size, state, attempts,
                    next_attempt, reason, refused, report, kept_at, changed_at
             FROM outbox ",
            $rest
        ))
    };
}

fn entry(row: &Row<'_>) -> Result<OutboxEntry, Error> {
    Ok(OutboxEntry {
        id: row.get(0)?,
        file: row.get(1)?,
        envelope: row.json(2)?,
        message_id: row.get(3)?,
        shared_id: row.get(4)?,
        size: row.get::<i64>(5)?.unsigned_abs(),
        state: OutboxState::of(&row.get::<String>(6)?),
        attempts: row.get(7)?,
        next_attempt: row.get(8)?,
        reason: row.get(9)?,
        refused: row.json(10)?,
        report: row.get(11)?,
        kept_at: row.get(12)?,
        changed_at: row.get(13)?,
    })
}

impl Store {
    /// Where the octets of the outbox's messages are.
    pub fn outbox_folder(&self) -> PathBuf {
        self.path().join("outbox")
    }

    /// Puts a message on record, durably; its file must be durable already. Returns its id.
    pub fn outbox_add(&self, entry: &OutboxEntry) -> Result<i64> {
        const ADD: Sql = Sql::both(
            "INSERT INTO outbox (file, envelope, message_id, shared_id, size, state, attempts,
                                 next_attempt, reason, refused, kept_at, changed_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, '[]', ?10, ?10) RETURNING id",
        );
        let envelope = serde_json::to_string(&entry.envelope)?;
        let row = values![
            &entry.file,
            &envelope,
            &entry.message_id,
            entry.shared_id,
            entry.size,
            entry.state.word(),
            entry.attempts,
            entry.next_attempt,
            &entry.reason,
            entry.kept_at,
        ];
        self.transaction(|tx| tx.only_row(&ADD, &row, |row| row.get(0)))
    }

    /// Puts on record, durably, how a message stands now. File, size and ids do not change.
    pub fn outbox_update(&self, entry: &OutboxEntry) -> Result<()> {
        const UPDATE: Sql = Sql::both(
            "UPDATE outbox SET envelope = ?2, shared_id = ?3, state = ?4, attempts = ?5,
                    next_attempt = ?6, reason = ?7, refused = ?8, report = ?9, changed_at = ?10
             WHERE id = ?1",
        );
        let envelope = serde_json::to_string(&entry.envelope)?;
        let refused = serde_json::to_string(&entry.refused)?;
        let row = values![
            entry.id,
            &envelope,
            entry.shared_id,
            entry.state.word(),
            entry.attempts,
            entry.next_attempt,
            &entry.reason,
            &refused,
            entry.report.as_ref(),
            entry.changed_at,
        ];
        self.transaction(|tx| tx.run(&UPDATE, &row)).map(drop)
    }

    /// Takes a message off the record: it is dealt with. Its file is then nobody's.
    pub fn outbox_remove(&self, id: i64) -> Result<()> {
        const REMOVE: Sql = Sql::both("DELETE FROM outbox WHERE id = ?1");
        self.transaction(|tx| tx.run(&REMOVE, &values![id]))
            .map(drop)
    }

    pub fn outbox_entry(&self, id: i64) -> Result<Option<OutboxEntry>> {
        const ONE: Sql = entries!("WHERE id = ?1");
        self.read(|reader| reader.row(&ONE, &values![id], entry))
    }

    /// All messages, the oldest first.
    pub fn outbox(&self) -> Result<Vec<OutboxEntry>> {
        const ALL: Sql = entries!("ORDER BY id");
        self.read(|reader| reader.rows(&ALL, &[], entry))
    }

    /// Those that there is something to do about now: to be sent, to be reported, or left by a
    /// process that may have died. No wait is longer than a day, unless the clock was set back.
    pub fn outbox_due(&self, now: i64) -> Result<Vec<OutboxEntry>> {
        const DUE: Sql = entries!(
            "WHERE (state = 'waiting' AND (next_attempt <= ?1 OR next_attempt > ?2))
                OR state = 'sending' OR refused <> '[]'
             ORDER BY id"
        );
        self.read(|reader| reader.rows(&DUE, &values![now, now + 86_400], entry))
    }

    pub fn outbox_counts(&self) -> Result<OutboxCounts> {
        const COUNTS: Sql = Sql::both(
            "SELECT count(*) FILTER (WHERE state = 'waiting' OR state = 'sending'),
                    count(*) FILTER (WHERE state = 'unknown'),
                    count(*) FILTER (WHERE state = 'failed'),
                    min(kept_at)
             FROM outbox",
        );
        self.read(|reader| {
            reader.only_row(&COUNTS, &[], |row| {
                let count = |column| row.get(column).map(i64::unsigned_abs);
                Ok(OutboxCounts {
                    waiting: count(0)?,
                    unknown: count(1)?,
                    failed: count(2)?,
                    oldest: row.get(3)?,
                })
            })
        })
    }
}

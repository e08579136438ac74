//! Which way (`via: auto`) was found for a mailbox or a sender.

use super::Store;
use anyhow::Result;
use rusqlite::{OptionalExtension, params};

/// A way that was found to work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownWay {
    /// `imap`, `smtp` or `graph`.
    pub way: String,
    /// Why this one, for people.
    pub reason: String,
    /// Unix milliseconds.
    pub found_at: i64,
}

impl Store {
    pub fn way(&self, key: &str) -> Result<Option<KnownWay>> {
        self.read(|connection| {
            connection
                .query_row(
                    "SELECT way, reason, found_at FROM way WHERE key = ?1",
                    [key],
                    |row| {
                        Ok(KnownWay {
                            way: row.get(0)?,
                            reason: row.get(1)?,
                            found_at: row.get(2)?,
                        })
                    },
                )
                .optional()
        })
    }

    pub fn set_way(&self, key: &str, way: &str, reason: &str) -> Result<()> {
        let now = jiff::Timestamp::now().as_millisecond();
        self.transaction(|tx| {
            tx.execute(
                "INSERT OR REPLACE INTO way (key, way, reason, found_at) VALUES (?1, ?2, ?3, ?4)",
                params![key, way, reason, now],
            )
        })
        .map(drop)
    }

    /// Forgets a way that failed.
    pub fn forget_way(&self, key: &str) -> Result<()> {
        self.transaction(|tx| tx.execute("DELETE FROM way WHERE key = ?1", [key]))
            .map(drop)
    }
}

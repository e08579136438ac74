//! Which way (`via: auto`) was found for a mailbox or a sender.

use super::db::{Sql, values};
use super::{Store, WayName};
use anyhow::Result;

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
    pub fn way(&self, name: WayName<'_>) -> Result<Option<KnownWay>> {
        const WAY: Sql = Sql::both("SELECT way, reason, found_at FROM way WHERE key = ?1");
        self.read(|reader| {
            reader.row(&WAY, &values![&name.to_string()], |row| {
                Ok(KnownWay {
                    way: row.get(0)?,
                    reason: row.get(1)?,
                    found_at: row.get(2)?,
                })
            })
        })
    }

    pub fn set_way(&self, name: WayName<'_>, way: &str, reason: &str) -> Result<()> {
        const SET: Sql = Sql::both(
            "INSERT INTO way (key, way, reason, found_at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (key) DO UPDATE SET way = ?2, reason = ?3, found_at = ?4",
        );
        let now = jiff::Timestamp::now().as_millisecond();
        let key = name.to_string();
        let row = values![&key, way, reason, now];
        self.transaction(|tx| tx.run(&SET, &row)).map(drop)
    }

    /// Forgets a way that failed.
    pub fn forget_way(&self, name: WayName<'_>) -> Result<()> {
        const FORGET: Sql = Sql::both("DELETE FROM way WHERE key = ?1");
        self.transaction(|tx| tx.run(&FORGET, &values![&name.to_string()]))
            .map(drop)
    }
}

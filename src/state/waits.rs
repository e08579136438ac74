//! Waits that a server asked for, kept so that the next run and other processes wait too.

use super::Store;
use anyhow::Result;
use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};

/// No wait that is kept is longer, in milliseconds; one that seems so is of a clock that was
/// wrong then or is now, and does not hold.
const LONGEST: i64 = 24 * 3600 * 1000;

/// A server asked to be left alone until then, in these words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    pub until: Timestamp,
    pub reason: String,
}

impl Store {
    /// The wait that still holds for this key.
    pub fn wait(&self, key: &str, now: Timestamp) -> Result<Option<Wait>> {
        self.read(|connection| {
            let now = now.as_millisecond();
            let row: Option<(i64, String)> = connection
                .prepare_cached(
                    "SELECT until, reason FROM wait
                     WHERE key = ?1 AND until > ?2 AND until <= ?3",
                )?
                .query_row(params![key, now, now + LONGEST], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })
                .optional()?;
            Ok(row.and_then(|(until, reason)| {
                let until = Timestamp::from_millisecond(until).ok()?;
                Some(Wait { until, reason })
            }))
        })
    }

    pub fn set_wait(&self, key: &str, wait: &Wait) -> Result<()> {
        self.transaction(|tx| {
            tx.execute(
                "INSERT OR REPLACE INTO wait (key, until, reason) VALUES (?1, ?2, ?3)",
                params![key, wait.until.as_millisecond(), wait.reason],
            )
        })
        .map(drop)
    }

    /// All waits that still hold and whose key begins with `prefix`, the rest of the key first.
    pub fn waits(&self, prefix: &str, now: Timestamp) -> Result<Vec<(String, Wait)>> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT key, until, reason FROM wait WHERE until > ?1 AND until <= ?2",
            )?;
            let now = now.as_millisecond();
            let rows = statement
                .query_map([now, now + LONGEST], |row| {
                    Ok((
                        row.get::<_, String>(0)?,
                        row.get::<_, i64>(1)?,
                        row.get::<_, String>(2)?,
                    ))
                })
                .and_then(Iterator::collect::<rusqlite::Result<Vec<_>>>)?;
            Ok(rows
                .into_iter()
                .filter_map(|(key, until, reason)| {
                    let rest = key.strip_prefix(prefix)?.to_owned();
                    let until = Timestamp::from_millisecond(until).ok()?;
                    Some((rest, Wait { until, reason }))
                })
                .collect())
        })
    }
}

//! How much came and went on each day: counts over the history.

use super::Store;
use super::db::{Row, Sql, values};
use anyhow::Result;
use std::ops::Range;

/// What is on record of one day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DayCounts {
    /// Messages that were delivered.
    pub fetched: u64,
    /// Messages that a server accepted.
    pub sent: u64,
    /// Messages that a server refused, or of which nobody knows.
    pub unsent: u64,
}

/// Counts each day in three indexes and reads no row of the table. What is not sent is rare, so that
/// its index costs nothing; the others are those of the history.
macro_rules! each_day {
    ($days:literal) => {
        concat!(
            "SELECT (SELECT count(*) FROM history
                     WHERE at >= CAST(d.value ->> 0 AS BIGINT)
                       AND at < CAST(d.value ->> 1 AS BIGINT)),
                    (SELECT count(*) FROM history
                     WHERE sent = 1 AND at >= CAST(d.value ->> 0 AS BIGINT)
                       AND at < CAST(d.value ->> 1 AS BIGINT)),
                    (SELECT count(*) FROM history
                     WHERE sent = 1 AND outcome <> 'accepted'
                       AND at >= CAST(d.value ->> 0 AS BIGINT)
                       AND at < CAST(d.value ->> 1 AS BIGINT))
             FROM ",
            $days,
            " ORDER BY d.key"
        )
    };
}

impl Store {
    /// What came and went in each of these spans of time, in Unix seconds.
    pub fn count_days(&self, days: &[Range<i64>]) -> Result<Vec<DayCounts>> {
        const EACH: Sql = Sql::two(
            each_day!("json_each(?1) d"),
            each_day!(
                "json_array_elements(CAST(CAST(?1 AS TEXT) AS json)) WITH ORDINALITY d (value, key)"
            ),
        );
        let days: Vec<[i64; 2]> = days.iter().map(|day| [day.start, day.end]).collect();
        let days = serde_json::to_string(&days)?;
        self.read(|reader| {
            reader.rows(&EACH, &values![&days], |row| {
                let count = |column| Row::get::<i64>(row, column).map(i64::unsigned_abs);
                let (all, from_us, unsent) = (count(0)?, count(1)?, count(2)?);
                Ok(DayCounts {
                    fetched: all.saturating_sub(from_us),
                    sent: from_us.saturating_sub(unsent),
                    unsent,
                })
            })
        })
    }
}

#[cfg(test)]
#[path = "days_tests.rs"]
mod tests;

//! How much came and went on each day: counts over the history.

use super::Store;
use super::db::{Row, Sql, Value};
use anyhow::Result;
use std::ops::Range;

/// So many days at most are counted at once, which is how many the statement has.
pub const MOST_DAYS: usize = 30;

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

impl Store {
    /// What came and went in each of these spans of time, in Unix seconds; of the first
    /// [`MOST_DAYS`]. Each is counted in three indexes, and no row of the table is read. What is not
    /// sent is rare, so that its index costs nothing; the others are those of the history.
    pub fn count_days(&self, days: &[Range<i64>]) -> Result<Vec<DayCounts>> {
        const EACH: Sql = Sql::both(
            "WITH day (n, low, high) AS (VALUES
                 (1, CAST(?1 AS BIGINT), CAST(?2 AS BIGINT)), (2, ?3, ?4), (3, ?5, ?6),
                 (4, ?7, ?8), (5, ?9, ?10), (6, ?11, ?12), (7, ?13, ?14), (8, ?15, ?16),
                 (9, ?17, ?18), (10, ?19, ?20), (11, ?21, ?22), (12, ?23, ?24), (13, ?25, ?26),
                 (14, ?27, ?28), (15, ?29, ?30), (16, ?31, ?32), (17, ?33, ?34),
                 (18, ?35, ?36), (19, ?37, ?38), (20, ?39, ?40), (21, ?41, ?42),
                 (22, ?43, ?44), (23, ?45, ?46), (24, ?47, ?48), (25, ?49, ?50),
                 (26, ?51, ?52), (27, ?53, ?54), (28, ?55, ?56), (29, ?57, ?58),
                 (30, ?59, ?60))
             SELECT (SELECT count(*) FROM history WHERE at >= d.low AND at < d.high),
                    (SELECT count(*) FROM history WHERE sent = 1 AND at >= d.low AND at < d.high),
                    (SELECT count(*) FROM history
                     WHERE sent = 1 AND outcome <> 'accepted' AND at >= d.low AND at < d.high)
             FROM day d ORDER BY d.n",
        );
        let mut values: Vec<Value<'_>> = days
            .iter()
            .take(MOST_DAYS)
            .flat_map(|day| [day.start.into(), day.end.into()])
            .collect();
        // Where there are fewer days, nothing is between the ends of the others.
        values.resize(2 * MOST_DAYS, 0_i64.into());
        let mut counts: Vec<DayCounts> = self.read(|reader| {
            reader.rows(&EACH, &values, |row| {
                let count = |column| Row::get::<i64>(row, column).map(i64::unsigned_abs);
                let (all, from_us, unsent) = (count(0)?, count(1)?, count(2)?);
                Ok(DayCounts {
                    fetched: all.saturating_sub(from_us),
                    sent: from_us.saturating_sub(unsent),
                    unsent,
                })
            })
        })?;
        counts.truncate(days.len());
        Ok(counts)
    }
}

#[cfg(test)]
#[path = "days_tests.rs"]
mod tests;

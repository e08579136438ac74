//! What only ever grows: how much was done since the state was made, for metrics.

use super::Store;
use super::db::{self, Row, Sql, Tx, values};
use anyhow::Result;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Counter {
    /// Messages of a mailbox that were delivered.
    Fetched,
    /// Attempts at messages of a mailbox that failed.
    Failed,
    /// Messages of a mailbox that were put into quarantine.
    Quarantined,
    /// Messages that a server accepted from an address.
    Sent,
    /// Waits that a service requested.
    Throttled,
    /// Changes of the incidents: who counts one holds up others until it has committed.
    Changed,
}

impl Counter {
    const ALL: [Counter; 6] = [
        Counter::Fetched,
        Counter::Failed,
        Counter::Quarantined,
        Counter::Sent,
        Counter::Throttled,
        Counter::Changed,
    ];

    /// What the state knows it by.
    fn name(self) -> &'static str {
        match self {
            Counter::Fetched => "fetched",
            Counter::Failed => "failed",
            Counter::Quarantined => "quarantined",
            Counter::Sent => "sent",
            Counter::Throttled => "throttled",
            Counter::Changed => "changed",
        }
    }
}

/// Adds to a counter, if there is something to add.
pub(super) fn add(
    tx: &mut Tx<'_>,
    counter: Counter,
    subject: &str,
    number: u64,
) -> Result<(), db::Error> {
    const ADD: Sql = Sql::both(
        "INSERT INTO counter (name, subject, value) VALUES (?1, ?2, ?3)
         ON CONFLICT (name, subject) DO UPDATE SET value = counter.value + ?3",
    );
    if number > 0 {
        tx.later(&ADD, &values![counter.name(), subject, number])?;
    }
    Ok(())
}

impl Store {
    /// Adds to the counters of these subjects. This is not waited for.
    pub fn count(&self, counter: Counter, numbers: &[(String, u64)]) -> Result<()> {
        self.transaction_in_passing(|tx| {
            numbers
                .iter()
                .try_for_each(|(subject, number)| add(tx, counter, subject, *number))
        })
    }

    /// All counters that have begun to count, with their subjects.
    pub fn counters(&self) -> Result<Vec<(Counter, String, u64)>> {
        const ALL: Sql =
            Sql::both("SELECT name, subject, value FROM counter ORDER BY name, subject");
        self.read(|reader| {
            let counter = |row: &Row<'_>| {
                let name: String = row.get(0)?;
                let counter = Counter::ALL.into_iter().find(|own| own.name() == name);
                let counter = counter.ok_or_else(|| row.spoilt(0, name))?;
                Ok((counter, row.get(1)?, row.get::<i64>(2)?.unsigned_abs()))
            };
            reader.rows(&ALL, &[], counter)
        })
    }
}

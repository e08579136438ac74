//! How each mailbox has fared: for `status`, monitors and the person who wonders.

use super::Store;
use super::counters::{Counter, add};
use super::db::{Error, Row, Sql, Tx, values};
use anyhow::Result;

/// What is known of one mailbox. Times are Unix seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// The end of the last run that fetched it without an error.
    pub last_success: Option<i64>,
    /// When the last message was delivered.
    pub last_message: Option<i64>,
    /// The last run's error, if it ended with one, and when.
    pub last_error: Option<(i64, String)>,
    /// Messages known and not yet delivered.
    pub backlog: u64,
    pub quarantined: u64,
    pub delivered: u64,
    /// Delivered, and the server not yet told.
    pub unsettled: u64,
    /// Of those, how many the server refused to mark, move or delete, and why one of them.
    pub refused: Option<(u64, String)>,
    /// How long the last run took, in milliseconds.
    pub took: Option<i64>,
}

/// How a run of a mailbox ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ran {
    /// The address in lower case.
    pub mailbox: String,
    pub error: Option<String>,
    /// Another host has taken the mailbox over, and tells how it went.
    pub is_left: bool,
    /// In milliseconds.
    pub took: Option<u64>,
    /// Messages delivered, to be tried again, and put into quarantine.
    pub fetched: u64,
    pub failed: u64,
    pub quarantined: u64,
}

impl Ran {
    /// The mailbox was fetched, and all of it.
    pub fn is_whole(&self) -> bool {
        self.error.is_none() && !self.is_left
    }

    /// A run of which nothing more is known.
    pub fn new(mailbox: String, error: Option<String>) -> Ran {
        Ran {
            mailbox,
            error,
            ..Ran::default()
        }
    }
}

impl Store {
    /// Puts on record how runs of mailboxes ended, each with its error if it had one. This is
    /// not waited for: after a power cut, the runs of the last seconds may be forgotten.
    pub fn record_runs(&self, runs: &[Ran], now: i64) -> Result<()> {
        if runs.is_empty() {
            return Ok(());
        }
        self.transaction_in_passing(|tx| write_runs(tx, runs.iter(), now))
    }

    /// How many messages of each of these mailboxes could not be fetched since then (Unix time), and
    /// are still to be tried again.
    pub fn failed_since(&self, mailboxes: &[&str], since: i64) -> Result<Vec<u64>> {
        const FAILED: Sql = Sql::both(
            "SELECT count(*) FROM folder f JOIN message m ON m.folder = f.id
             WHERE f.address = ?1 AND m.state = 'failed' AND m.changed_at >= ?2",
        );
        self.read(|reader| {
            let each = mailboxes.iter().map(|mailbox| values![*mailbox, since]);
            let counts =
                reader.row_of_each(&FAILED, each, |row| row.get(0).map(i64::unsigned_abs))?;
            Ok(counts.into_iter().map(Option::unwrap_or_default).collect())
        })
    }

    /// What is known of a mailbox.
    pub fn health(&self, address: &str) -> Result<Health> {
        const RUNS: Sql = Sql::both(
            "SELECT last_success, failed_at, error, took FROM mailbox WHERE address = ?1",
        );
        const DELIVERED: Sql = Sql::both(
            "SELECT CAST(coalesce(sum(delivered), 0) AS BIGINT), max(delivered_at)
             FROM folder WHERE address = ?1",
        );
        const OPEN: Sql = Sql::both(
            "SELECT count(*) FILTER (WHERE m.state <> 'quarantined'),
                    count(*) FILTER (WHERE m.state = 'quarantined')
             FROM folder f JOIN message m ON m.folder = f.id
             WHERE f.address = ?1
               AND (m.state = 'failed' OR m.state = 'staged' OR m.state = 'quarantined')",
        );
        const UNSETTLED: Sql = Sql::both(
            "SELECT count(*), count(m.reason), max(m.reason)
             FROM folder f JOIN message m ON m.folder = f.id
             WHERE f.address = ?1 AND m.settle IS NOT NULL",
        );
        let whose = values![address];
        self.read(|reader| {
            let mut health = Health::default();
            let count = |row: &Row<'_>, column| row.get(column).map(i64::unsigned_abs);
            let _: Option<()> = reader.row(&RUNS, &whose, |row| {
                health.last_success = row.get(0)?;
                health.last_error = row.get::<Option<i64>>(1)?.zip(row.get(2)?);
                health.took = row.get(3)?;
                Ok(())
            })?;
            reader.only_row(&DELIVERED, &whose, |row| {
                health.delivered = count(row, 0)?;
                health.last_message = row.get(1)?;
                Ok(())
            })?;
            reader.only_row(&OPEN, &whose, |row| {
                health.backlog = count(row, 0)?;
                health.quarantined = count(row, 1)?;
                Ok(())
            })?;
            reader.only_row(&UNSETTLED, &whose, |row| {
                health.unsettled = count(row, 0)?;
                let reason: Option<String> = row.get(2)?;
                health.refused = Some(count(row, 1)?).zip(reason);
                Ok(())
            })?;
            Ok(health)
        })
    }
}

/// Puts on record how runs of mailboxes ended, see [`Store::record_runs`].
pub(super) fn write_runs<'r>(
    tx: &mut Tx<'_>,
    runs: impl Iterator<Item = &'r Ran> + Clone,
    now: i64,
) -> Result<(), Error> {
    const WELL: Sql = Sql::both(
        "INSERT INTO mailbox (address, last_success, took) VALUES (?1, ?2, ?3)
         ON CONFLICT (address) DO UPDATE
         SET last_success = ?2, failed_at = NULL, error = NULL, took = ?3",
    );
    const FAILED: Sql = Sql::both(
        "INSERT INTO mailbox (address, failed_at, error, took) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (address) DO UPDATE SET failed_at = ?2, error = ?3, took = ?4",
    );
    let well = runs.clone().filter(|ran| ran.is_whole());
    tx.many_later(&WELL, well.map(|ran| values![&ran.mailbox, now, ran.took]))?;
    let failed = runs.clone().filter(|ran| ran.error.is_some());
    tx.many_later(
        &FAILED,
        failed.map(|ran| values![&ran.mailbox, now, ran.error.as_ref(), ran.took]),
    )?;
    for ran in runs {
        add(tx, Counter::Fetched, &ran.mailbox, ran.fetched)?;
        add(tx, Counter::Failed, &ran.mailbox, ran.failed)?;
        add(tx, Counter::Quarantined, &ran.mailbox, ran.quarantined)?;
    }
    Ok(())
}

//! How each mailbox has fared: for `status`, monitors and the person who wonders.

use super::Store;
use anyhow::Result;
use rusqlite::params;

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
}

impl Store {
    /// Puts on record how runs of mailboxes ended, each with its error if it had one. This is
    /// not waited for: after a power cut, the runs of the last seconds may be forgotten.
    pub fn record_runs(&self, runs: &[(String, Option<String>)], now: i64) -> Result<()> {
        if runs.is_empty() {
            return Ok(());
        }
        self.transaction_in_passing(|tx| {
            let mut well = tx.prepare_cached(
                "INSERT INTO mailbox (address, last_success) VALUES (?1, ?2)
                 ON CONFLICT (address) DO UPDATE
                 SET last_success = ?2, failed_at = NULL, error = NULL",
            )?;
            let mut failed = tx.prepare_cached(
                "INSERT INTO mailbox (address, failed_at, error) VALUES (?1, ?2, ?3)
                 ON CONFLICT (address) DO UPDATE SET failed_at = ?2, error = ?3",
            )?;
            for (address, error) in runs {
                match error {
                    None => well.execute(params![address, now])?,
                    Some(error) => failed.execute(params![address, now, error])?,
                };
            }
            Ok(())
        })
    }

    /// What is known of a mailbox.
    pub fn health(&self, address: &str) -> Result<Health> {
        self.read(|connection| {
            let mut health = Health::default();
            let mut runs = connection.prepare_cached(
                "SELECT last_success, failed_at, error FROM mailbox WHERE address = ?1",
            )?;
            let mut rows = runs.query([address])?;
            if let Some(row) = rows.next()? {
                health.last_success = row.get(0)?;
                let failed_at: Option<i64> = row.get(1)?;
                health.last_error = failed_at.zip(row.get(2)?);
            }
            let (delivered, last): (i64, _) = connection
                .prepare_cached(
                    "SELECT coalesce(sum(delivered), 0), max(delivered_at)
                     FROM folder WHERE address = ?1",
                )?
                .query_row([address], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let (backlog, quarantined): (i64, i64) = connection
                .prepare_cached(
                    "SELECT count(*) FILTER (WHERE m.state <> 'quarantined'),
                            count(*) FILTER (WHERE m.state = 'quarantined')
                     FROM folder f JOIN message m ON m.folder = f.id
                     WHERE f.address = ?1 AND (m.state = 'failed' OR m.state = 'staged'
                                               OR m.state = 'quarantined')",
                )?
                .query_row([address], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let unsettled: i64 = connection
                .prepare_cached(
                    "SELECT count(*) FROM folder f JOIN message m ON m.folder = f.id
                     WHERE f.address = ?1 AND m.settle IS NOT NULL",
                )?
                .query_row([address], |row| row.get(0))?;
            health.delivered = delivered.unsigned_abs();
            health.last_message = last;
            health.backlog = backlog.unsigned_abs();
            health.quarantined = quarantined.unsigned_abs();
            health.unsettled = unsettled.unsigned_abs();
            Ok(health)
        })
    }
}

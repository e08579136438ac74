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
            let counts = connection
                .prepare_cached(
                    "SELECT coalesce(sum(m.state IN ('failed', 'staged')), 0),
                        coalesce(sum(m.state = 'quarantined'), 0),
                        coalesce(sum(m.state = 'delivered'), 0),
                        coalesce(sum(m.settle IS NOT NULL), 0),
                        max(CASE WHEN m.state = 'delivered' THEN m.changed_at END)
                 FROM folder f JOIN message m ON m.folder = f.id WHERE f.address = ?1",
                )?
                .query_row([address], |row| {
                    Ok((
                        row.get::<_, i64>(0)?,
                        row.get::<_, i64>(1)?,
                        row.get::<_, i64>(2)?,
                        row.get::<_, i64>(3)?,
                        row.get(4)?,
                    ))
                })?;
            health.backlog = counts.0.unsigned_abs();
            health.quarantined = counts.1.unsigned_abs();
            health.delivered = counts.2.unsigned_abs();
            health.unsettled = counts.3.unsigned_abs();
            health.last_message = counts.4;
            let forgotten: (i64, Option<i64>) = connection
                .prepare_cached(
                    "SELECT coalesce(sum(forgotten), 0), max(forgotten_at)
                     FROM folder WHERE address = ?1",
                )?
                .query_row([address], |row| Ok((row.get(0)?, row.get(1)?)))?;
            health.delivered += forgotten.0.unsigned_abs();
            health.last_message = health.last_message.max(forgotten.1);
            Ok(health)
        })
    }
}

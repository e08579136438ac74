//! How each mailbox has fared: for `status`, monitors and the person who wonders.

use super::Store;
use super::counters::{Counter, add};
use super::db::{Error, Row, Sql, Tx, values};
use anyhow::Result;
use std::collections::{BTreeSet, HashMap};

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
        const FAILED: Sql = Sql::two(
            "SELECT count(*) FROM folder f JOIN message m ON m.folder = f.id
             WHERE f.address = ?1 AND m.state = 'failed' AND m.changed_at >= ?2",
            "SELECT count(*), r.number
             FROM unnest(?1::text[], ?2::bigint[]) WITH ORDINALITY AS r (address, since, number)
             JOIN folder f ON f.address = r.address
             JOIN message m ON m.folder = f.id AND m.state = 'failed' AND m.changed_at >= r.since
             GROUP BY r.number",
        );
        self.read(|reader| {
            let each = mailboxes.iter().map(|mailbox| values![*mailbox, since]);
            let counts =
                reader.row_of_each(&FAILED, each, |row| row.get(0).map(i64::unsigned_abs))?;
            Ok(counts.into_iter().map(Option::unwrap_or_default).collect())
        })
    }

    /// What is known of a mailbox (in lower case).
    #[cfg(test)]
    pub fn health(&self, address: &str) -> Result<Health> {
        let mut all = self.health_of(std::iter::once(address))?;
        Ok(all.remove(address).unwrap_or_default())
    }

    /// What is known of each of these mailboxes (in lower case); one of which nothing is known is not
    /// among them. However many they are, so many statements are asked.
    pub fn health_of<'a>(
        &self,
        addresses: impl Iterator<Item = &'a str>,
    ) -> Result<HashMap<String, Health>> {
        const RUNS: Sql = Sql::two(
            "SELECT address, last_success, failed_at, error, took FROM mailbox
             WHERE address IN (SELECT value FROM json_each(?1))",
            "SELECT address, last_success, failed_at, error, took FROM mailbox
             WHERE address IN (SELECT json_array_elements_text(?1::json))",
        );
        const DELIVERED: Sql = Sql::two(
            "SELECT address, coalesce(sum(delivered), 0), max(delivered_at) FROM folder
             WHERE address IN (SELECT value FROM json_each(?1)) GROUP BY address",
            "SELECT address, CAST(coalesce(sum(delivered), 0) AS BIGINT), max(delivered_at)
             FROM folder WHERE address IN (SELECT json_array_elements_text(?1::json))
             GROUP BY address",
        );
        const OPEN: Sql = Sql::two(
            "SELECT f.address, count(*) FILTER (WHERE m.state <> 'quarantined'),
                    count(*) FILTER (WHERE m.state = 'quarantined')
             FROM json_each(?1) r CROSS JOIN folder f ON f.address = r.value
             CROSS JOIN message m ON m.folder = f.id
             WHERE m.state = 'failed' OR m.state = 'staged' OR m.state = 'quarantined'
             GROUP BY f.address",
            "SELECT f.address, count(*) FILTER (WHERE m.state <> 'quarantined'),
                    count(*) FILTER (WHERE m.state = 'quarantined')
             FROM folder f JOIN message m ON m.folder = f.id
             WHERE f.address IN (SELECT json_array_elements_text(?1::json))
               AND (m.state = 'failed' OR m.state = 'staged' OR m.state = 'quarantined')
             GROUP BY f.address",
        );
        const UNSETTLED: Sql = Sql::two(
            "SELECT f.address, count(*), count(m.reason), max(m.reason)
             FROM json_each(?1) r CROSS JOIN folder f ON f.address = r.value
             CROSS JOIN message m ON m.folder = f.id
             WHERE m.settle IS NOT NULL GROUP BY f.address",
            "SELECT f.address, count(*), count(m.reason), max(m.reason)
             FROM folder f JOIN message m ON m.folder = f.id
             WHERE f.address IN (SELECT json_array_elements_text(?1::json))
               AND m.settle IS NOT NULL
             GROUP BY f.address",
        );
        let addresses: BTreeSet<&str> = addresses.collect();
        let list = serde_json::to_string(&addresses)?;
        let whose = values![&list];
        self.read(|reader| {
            let mut all: HashMap<String, Health> = HashMap::new();
            let asked = [&RUNS, &DELIVERED, &OPEN, &UNSETTLED].map(|sql| (sql, &whose[..]));
            reader.all(&asked, &mut |number, row| {
                let health = all.entry(row.get(0)?).or_default();
                match number {
                    0 => {
                        health.last_success = row.get(1)?;
                        health.last_error = row.get::<Option<i64>>(2)?.zip(row.get(3)?);
                        health.took = row.get(4)?;
                    }
                    1 => {
                        health.delivered = count(row, 1)?;
                        health.last_message = row.get(2)?;
                    }
                    2 => {
                        health.backlog = count(row, 1)?;
                        health.quarantined = count(row, 2)?;
                    }
                    _ => {
                        health.unsettled = count(row, 1)?;
                        let reason: Option<String> = row.get(3)?;
                        health.refused = Some(count(row, 2)?).zip(reason);
                    }
                }
                Ok(())
            })?;
            Ok(all)
        })
    }
}

/// What a column counts.
fn count(row: &Row<'_>, column: usize) -> Result<u64, Error> {
    row.get(column).map(i64::unsigned_abs)
}

/// Puts on record how runs of mailboxes ended, see [`Store::record_runs`].
pub(super) fn write_runs<'r>(
    tx: &mut Tx<'_>,
    runs: impl Iterator<Item = &'r Ran> + Clone,
    now: i64,
) -> Result<(), Error> {
    const WELL: Sql = Sql::two(
        "INSERT INTO mailbox (address, last_success, took) VALUES (?1, ?2, ?3)
         ON CONFLICT (address) DO UPDATE
         SET last_success = ?2, failed_at = NULL, error = NULL, took = ?3",
        "INSERT INTO mailbox (address, last_success, took)
         SELECT DISTINCT ON (address) address, last_success, took
         FROM unnest(?1::text[], ?2::bigint[], ?3::bigint[]) WITH ORDINALITY
              AS r (address, last_success, took, number)
         ORDER BY address, number DESC
         ON CONFLICT (address) DO UPDATE
         SET last_success = excluded.last_success, failed_at = NULL, error = NULL,
             took = excluded.took",
    );
    const FAILED: Sql = Sql::two(
        "INSERT INTO mailbox (address, failed_at, error, took) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (address) DO UPDATE SET failed_at = ?2, error = ?3, took = ?4",
        "INSERT INTO mailbox (address, failed_at, error, took)
         SELECT DISTINCT ON (address) address, failed_at, error, took
         FROM unnest(?1::text[], ?2::bigint[], ?3::text[], ?4::bigint[]) WITH ORDINALITY
              AS r (address, failed_at, error, took, number)
         ORDER BY address, number DESC
         ON CONFLICT (address) DO UPDATE
         SET failed_at = excluded.failed_at, error = excluded.error, took = excluded.took",
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::engines_tests::on_both;
    use crate::state::{Failure, Lock};

    #[test]
    fn many_are_asked_for_at_once_and_each_has_its_own() {
        on_both(|engine| {
            let store = engine.open();
            // An address is text from outside.
            let odd = "o'dd\"\\@x.example";
            store
                .record_runs(
                    &[
                        Ran::new("a@x.example".to_owned(), None),
                        Ran::new(odd.to_owned(), Some("no".to_owned())),
                        Ran::new("z@x.example".to_owned(), Some("not asked for".to_owned())),
                    ],
                    7,
                )
                .unwrap();
            for (name, for_good) in [("INBOX", true), ("Rest", false)] {
                let lock = &Lock::FREE;
                let folder = store.open_folder(lock, odd, name, 1, None).unwrap();
                let failure = Failure {
                    reason: "no",
                    for_good,
                    about: None,
                };
                store
                    .failed(lock, folder.id, folder.epoch, &3.into(), &failure, 8)
                    .unwrap();
            }
            let asked = ["a@x.example", odd, "unknown@x.example", "a@x.example"];
            let all = store.health_of(asked.into_iter()).unwrap();
            let well = Health {
                last_success: Some(7),
                ..Health::default()
            };
            let ill = Health {
                last_error: Some((7, "no".to_owned())),
                backlog: 1,
                quarantined: 1,
                ..Health::default()
            };
            let expected = [("a@x.example".to_owned(), well), (odd.to_owned(), ill)];
            assert_eq!(all, HashMap::from(expected), "{engine}");
        });
    }
}

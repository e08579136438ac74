//! Waits that a server asked for, kept so that the next run and other processes wait too.

use super::counters::{self, Counter};
use super::db::{Sql, values};
use super::{Store, WaitName};
use crate::fault::{Cause, Fault};
use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use std::collections::HashMap;
use std::time::Duration;

/// No wait that is kept is longer, in milliseconds; one that seems so is of a clock that was
/// wrong then or is now, and does not hold.
const LONGEST: i64 = 24 * 3600 * 1000;

/// A server asked to be left alone until then, in these words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    pub until: Timestamp,
    pub reason: String,
}

/// A wait of a [`Sender`](super::Sender).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendingWait {
    pub server: String,
    pub user: String,
    pub wait: Wait,
}

/// Waits that still hold.
#[derive(Clone, Debug, Default)]
pub struct Waits {
    /// By the address in lower case.
    pub of_mailboxes: HashMap<String, Wait>,
    pub of_sending: Vec<SendingWait>,
}

impl Store {
    /// The wait of this name that still holds.
    pub fn wait(&self, name: WaitName<'_>, now: Timestamp) -> Result<Option<Wait>> {
        const WAIT: Sql = Sql::both(
            "SELECT until, reason FROM wait WHERE key = ?1 AND until > ?2 AND until <= ?3",
        );
        if let WaitName::Mailbox(mailbox) = name
            && self.of_card(mailbox, |card| card.no_wait.take()).is_some()
        {
            return Ok(None);
        }
        let key = name.to_string();
        let now = now.as_millisecond();
        let row: Option<(i64, String)> = self.read(|reader| {
            reader.row(&WAIT, &values![&key, now, now + LONGEST], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
        })?;
        Ok(row.and_then(|(until, reason)| {
            let until = Timestamp::from_millisecond(until).ok()?;
            Some(Wait { until, reason })
        }))
    }

    pub fn set_wait(&self, name: WaitName<'_>, wait: &Wait) -> Result<()> {
        const SET: Sql = Sql::both(
            "INSERT INTO wait (key, until, reason) VALUES (?1, ?2, ?3)
             ON CONFLICT (key) DO UPDATE SET until = ?2, reason = ?3",
        );
        let key = name.to_string();
        let row = values![&key, wait.until.as_millisecond(), &wait.reason];
        self.transaction(|tx| {
            if let Some(service) = name.service() {
                counters::add(tx, Counter::Throttled, service, 1)?;
            }
            tx.later(&SET, &row)
        })
    }

    /// Keeps a wait that begins now.
    pub fn keep_wait(
        &self,
        name: WaitName<'_>,
        time: Duration,
        reason: &str,
        now: Timestamp,
    ) -> Result<()> {
        let until = now.saturating_add(SignedDuration::try_from(time)?)?;
        let reason = reason.to_owned();
        self.set_wait(name, &Wait { until, reason })
    }

    /// # Errors
    /// `TryLater` while the wait of this name holds.
    pub fn respect_wait(&self, name: WaitName<'_>, now: Timestamp) -> Result<()> {
        let Some(wait) = self.wait(name, now)? else {
            return Ok(());
        };
        let until = wait.until.strftime("%Y-%m-%dT%H:%M:%SZ");
        let mut fault = Fault::try_later(format!("a wait until {until}: {}", wait.reason))
            .cause(Cause::WaitHolds);
        fault.retry_after = wait.until.duration_since(now).try_into().ok();
        Err(fault.into())
    }

    /// All waits of mailboxes and senders that still hold.
    pub fn waits(&self, now: Timestamp) -> Result<Waits> {
        const WAITS: Sql =
            Sql::both("SELECT key, until, reason FROM wait WHERE until > ?1 AND until <= ?2");
        let now = now.as_millisecond();
        let rows: Vec<(String, i64, String)> = self.read(|reader| {
            reader.rows(&WAITS, &values![now, now + LONGEST], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
        })?;
        let mut waits = Waits::default();
        for (key, until, reason) in rows {
            let Ok(until) = Timestamp::from_millisecond(until) else {
                continue;
            };
            let wait = Wait { until, reason };
            if let Some(mailbox) = key.strip_prefix(WaitName::OF_A_MAILBOX) {
                waits.of_mailboxes.insert(mailbox.to_owned(), wait);
            } else if let Some(sender) = key.strip_prefix(WaitName::OF_SENDING)
                // A server's name may hold a space, a user's does not.
                && let Some((server, user)) = sender.rsplit_once(' ')
            {
                waits.of_sending.push(SendingWait {
                    server: server.to_owned(),
                    user: user.to_owned(),
                    wait,
                });
            }
        }
        Ok(waits)
    }
}

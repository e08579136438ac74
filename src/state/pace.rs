//! What each mailbox has sent of late, so that all processes together keep its limits.

use super::db::{Sql, values};
use super::{Sender, Store};
use anyhow::Result;
use jiff::Timestamp;
use std::time::Duration;

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;

/// How much a mailbox may send; `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    pub messages_per_minute: Option<u32>,
    /// In any 24 hours.
    pub recipients_per_day: Option<u32>,
}

impl Store {
    /// Notes that `sender` sends a message to `recipients` people now; or, where that would be
    /// above its pace, notes nothing and returns how long to wait before asking again.
    pub fn take_turn(
        &self,
        sender: Sender<'_>,
        recipients: usize,
        pace: Pace,
        now: Timestamp,
    ) -> Result<Option<Duration>> {
        // One that seems to be sent in the future is of a clock that was set back since.
        const OLD: Sql = Sql::both("DELETE FROM sent WHERE at <= ?1 OR at > ?2");
        const NTH: Sql = Sql::both(
            "SELECT at FROM sent WHERE mailbox = ?1 AND at > ?2 ORDER BY at DESC LIMIT 1 OFFSET ?3",
        );
        const RECENT: Sql =
            Sql::both("SELECT at, recipients FROM sent WHERE mailbox = ?1 ORDER BY at DESC");
        const SENT: Sql =
            Sql::both("INSERT INTO sent (mailbox, at, recipients) VALUES (?1, ?2, ?3)");
        let now = now.as_millisecond();
        let mailbox = &sender.to_string();
        let recipients = i64::try_from(recipients).unwrap_or(i64::MAX);
        self.transaction(|tx| {
            tx.alone(mailbox)?;
            tx.later(&OLD, &values![now - DAY, now + MINUTE])?;
            let mut wait = 0;
            if let Some(most) = pace.messages_per_minute {
                // The message that must be a minute old for this one to fit.
                let which = values![mailbox, now - MINUTE, most.max(1) - 1];
                if let Some(at) = tx.row(&NTH, &which, |row| row.get::<i64>(0))? {
                    wait = at + MINUTE - now;
                }
            }
            if let Some(most) = pace.recipients_per_day {
                // The most recent messages that fit beside this one; the next older must expire.
                let mut room = i64::from(most) - recipients;
                let recent: Vec<(i64, i64)> = tx.rows(&RECENT, &values![mailbox], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })?;
                let next = recent.iter().find(|(_, recipients)| {
                    room -= recipients;
                    room < 0
                });
                if let Some((at, _)) = next {
                    wait = wait.max(at + DAY - now);
                }
            }
            if wait > 0 {
                return Ok(Some(Duration::from_millis(wait.unsigned_abs())));
            }
            tx.later(&SENT, &values![mailbox, now, recipients])?;
            Ok(None)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::engines_tests::on_both;

    fn sender(server: &str) -> Sender<'_> {
        Sender { server, user: "u" }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    #[test]
    fn a_mailbox_never_sends_more_than_its_limit_in_any_minute() {
        on_both(|engine| {
            let store = engine.open();
            let pace = Pace {
                messages_per_minute: Some(30),
                recipients_per_day: None,
            };
            let mut sent = Vec::new();
            for second in 0..300 {
                // Two processes that ask all the time.
                for store in [&store, &engine.open()] {
                    if store
                        .take_turn(sender("a"), 1, pace, at(second))
                        .unwrap()
                        .is_none()
                    {
                        sent.push(second);
                    }
                }
            }
            assert_eq!(sent.len(), 150, "nor less than it may");
            for window in sent.windows(31) {
                assert!(window[30] - window[0] >= 60, "{window:?}");
            }
            assert_eq!(
                store.take_turn(sender("a"), 1, pace, at(299)).unwrap(),
                Some(Duration::from_secs(1))
            );
            assert_eq!(
                store.take_turn(sender("b"), 1, pace, at(299)).unwrap(),
                None
            );
        });
    }

    #[test]
    fn recipients_of_a_day_are_counted() {
        on_both(|engine| {
            let store = engine.open();
            let pace = Pace {
                messages_per_minute: None,
                recipients_per_day: Some(10),
            };
            let turn = |n, second| store.take_turn(sender("a"), n, pace, at(second)).unwrap();
            assert_eq!(turn(6, 0), None);
            assert_eq!(turn(4, 60), None);
            assert_eq!(turn(1, 120), Some(Duration::from_secs(86_400 - 120)));
            assert_eq!(turn(7, 120), Some(Duration::from_secs(86_400 - 60)));
            assert_eq!(turn(6, 86_400), None);
            assert_eq!(turn(1, 86_400), Some(Duration::from_secs(60)));
        });
    }
}

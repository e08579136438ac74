//! The rows of the outbox: what is kept of each message beside its octets, which are its body.
//!
//! A message whose row is there has been promised to somebody; it leaves the table only when it
//! was accepted, reported back or dropped by a person.

use super::blobs::NewBlob;
use super::bodies;
use super::db::{Error, Row, Sql, Tx, values};
use super::history::{self, Sent};
use super::{Lock, LockName, Store};
use crate::fault::{Fault, Kind};
use crate::mail::Envelope;
use crate::mail::RefusedRecipient;
use anyhow::Result;
use std::ops::RangeInclusive;

/// Seconds of the longest wait between two attempts at a message.
pub const LONGEST_WAIT: i64 = 24 * 3600;

/// Octets of all messages in the outbox of a shared database.
const ROOM: u64 = 2 << 30;

/// The times that a message waits for: after now, and no later than the longest wait. One on
/// record outside of them has come, or is a wrong clock's and has come too.
fn still_waited_for(now: i64) -> RangeInclusive<i64> {
    now + 1..=now + LONGEST_WAIT
}

/// Where a message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutboxState {
    /// To be sent when its time comes.
    Waiting,
    /// Somebody is handing it over; if nobody holds its lock, they died doing so.
    Sending,
    /// Nobody knows whether the server has it; it is never sent again by itself.
    Unknown,
    /// Given up on; its report is due, or could not be delivered.
    Failed,
}

impl OutboxState {
    pub fn word(self) -> &'static str {
        match self {
            OutboxState::Waiting => "waiting",
            OutboxState::Sending => "sending",
            OutboxState::Unknown => "unknown",
            OutboxState::Failed => "failed",
        }
    }

    fn of(word: &str) -> OutboxState {
        match word {
            "waiting" => OutboxState::Waiting,
            "sending" => OutboxState::Sending,
            "failed" => OutboxState::Failed,
            // What is not understood is not sent again.
            _ => OutboxState::Unknown,
        }
    }
}

/// One message of the outbox. Times are Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxEntry {
    /// Names it for people; never given twice.
    pub id: i64,
    /// The name of its body, among [`Store::outbox_bodies`].
    pub file: String,
    /// Who sends, and who is still to get it.
    pub envelope: Envelope,
    pub message_id: String,
    /// Another transaction with this Message-ID may have been accepted: finding it proves nothing.
    pub shared_id: bool,
    pub size: u64,
    pub state: OutboxState,
    pub attempts: u32,
    pub next_attempt: i64,
    pub reason: String,
    /// Refused for good, and the sender is still to be told.
    pub refused: Vec<RefusedRecipient>,
    /// How the report to the sender is being delivered (an intent of `delivery`, JSON).
    pub report: Option<String>,
    /// Who handed it to the relay: by what they are counted, a blank, and what else is known.
    pub submitter: Option<String>,
    pub kept_at: i64,
    pub changed_at: i64,
}

impl OutboxEntry {
    /// True for a message that is to be sent now.
    pub fn is_due(&self, now: i64) -> bool {
        self.state == OutboxState::Waiting && !still_waited_for(now).contains(&self.next_attempt)
    }
}

/// What the outbox holds, for `status`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutboxCounts {
    pub waiting: u64,
    pub unknown: u64,
    pub failed: u64,
    /// When the oldest message came in, Unix seconds.
    pub oldest: Option<i64>,
}

/// A statement that [`entry`] reads the rows of.
macro_rules! entries {
    ($rest:literal) => {
        Sql::both(concat!(
            "SELECT id, file, envelope, message_id, shared_id, size, state, attempts,
                    next_attempt, reason, refused, report, kept_at, changed_at,
                    submitter
             FROM outbox ",
            $rest
        ))
    };
}

fn entry(row: &Row<'_>) -> Result<OutboxEntry, Error> {
    Ok(OutboxEntry {
        id: row.get(0)?,
        file: row.get(1)?,
        envelope: row.json(2)?,
        message_id: row.get(3)?,
        shared_id: row.get(4)?,
        size: row.get::<i64>(5)?.unsigned_abs(),
        state: OutboxState::of(&row.get::<String>(6)?),
        attempts: row.get(7)?,
        next_attempt: row.get(8)?,
        reason: row.get(9)?,
        refused: row.json(10)?,
        report: row.get(11)?,
        kept_at: row.get(12)?,
        changed_at: row.get(13)?,
        submitter: row.get(14)?,
    })
}

impl Store {
    /// Puts a message on record whose body is `body`, durably. This process may work on it.
    ///
    /// # Errors
    /// `TryLater` where a shared database has no room left for it: nothing is on record then.
    pub fn promise(&self, entry: &mut OutboxEntry, body: NewBlob<'_>) -> Result<Lock> {
        if self.is_shared() {
            self.check_room(entry.size)?;
        }
        // Before anybody else can find it.
        let lease = match self.is_shared() {
            true => Some(self.lock(LockName::Message { body: &body.name })?),
            false => None,
        };
        if let Some(Err(holder)) = lease {
            let what = format!("another message has the same body: {holder:?}");
            return Err(Fault::new(Kind::Bug, what).into());
        }
        entry.id = self.outbox_add(entry, body.unwritten)?;
        let lock = body.keep();
        let lock = lease.and_then(Result::ok).or(lock);
        lock.ok_or_else(|| Fault::new(Kind::Bug, "a new message has no lock").into())
    }

    /// Finds out whether a message of this size still has a place in a shared database.
    fn check_room(&self, size: u64) -> Result<()> {
        const USED: Sql = Sql::both("SELECT CAST(coalesce(sum(size), 0) AS BIGINT) FROM outbox");
        let used = self.read(|reader| reader.only_row(&USED, &[], |row| row.get::<i64>(0)))?;
        if used.unsigned_abs().saturating_add(size) <= ROOM {
            return Ok(());
        }
        let what = format!(
            "the outbox in the database is full: it contains {} of {} MiB",
            used >> 20,
            ROOM >> 20
        );
        Err(Fault::try_later(what)
            .hint("the message was not kept; see what the outbox contains: queuemail outbox list")
            .into())
    }

    /// Puts a message on record, durably. Its body is durable already, or `unwritten` and put into
    /// the database with it. Returns its id.
    fn outbox_add(&self, entry: &OutboxEntry, unwritten: Option<&[u8]>) -> Result<i64> {
        // What was kept before, and its answer lost, is not kept twice.
        const ADD: Sql = Sql::two(
            "INSERT INTO outbox (file, envelope, message_id, shared_id, size, state, attempts,
                                 next_attempt, reason, refused, kept_at, changed_at, submitter)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, '[]', ?10, ?10, ?11) RETURNING id",
            "INSERT INTO outbox (file, envelope, message_id, shared_id, size, state, attempts,
                                 next_attempt, reason, refused, kept_at, changed_at, submitter)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, '[]', ?10, ?10, ?11)
             ON CONFLICT (file) DO UPDATE SET file = ?1 RETURNING id",
        );
        let envelope = serde_json::to_string(&entry.envelope)?;
        let row = values![
            &entry.file,
            &envelope,
            &entry.message_id,
            entry.shared_id,
            entry.size,
            entry.state.word(),
            entry.attempts,
            entry.next_attempt,
            &entry.reason,
            entry.kept_at,
            entry.submitter.as_ref(),
        ];
        self.transaction(|tx| {
            if let Some(octets) = unwritten {
                bodies::put(tx, bodies::OUTBOX, &entry.file, octets)?;
            }
            tx.only_row(&ADD, &row, |row| row.get(0))
        })
    }

    /// Puts on record, durably, what is about to happen to a message, of which `lock` is. Body, size
    /// and ids do not change.
    pub fn outbox_update(&self, lock: &Lock, entry: &OutboxEntry) -> Result<()> {
        let write = |work: &mut Work<'_>| self.intend(lock, work);
        outbox_write(entry, entry.attempts, None, write)
    }

    /// Puts on record, durably, what became of a message that had been tried so often, with what the
    /// history is to say of it: whoever works on it by now, unless they have tried it since. With a
    /// `lock`, not where another host works on it by now.
    pub fn outbox_settle(
        &self,
        lock: Option<&Lock>,
        entry: &OutboxEntry,
        attempts: u32,
        sent: Option<&Sent>,
    ) -> Result<()> {
        let write = |work: &mut Work<'_>| self.persist(lock, work);
        outbox_write(entry, attempts, sent, write)
    }

    /// Takes a message off the record that had been tried so often: it is dealt with, whoever works
    /// on it by now; with a `lock`, not where another host does. Its body goes with it from a shared
    /// database; as a file it is then nobody's. `sent` is what the history is to say of it, and when
    /// it was (Unix seconds).
    pub fn outbox_remove(
        &self,
        lock: Option<&Lock>,
        id: i64,
        attempts: u32,
        sent: Option<(&Sent, i64)>,
    ) -> Result<()> {
        const REMOVE_BODY: Sql = Sql::postgres(
            "DELETE FROM body WHERE kind = 'outbox'
             AND id = (SELECT file FROM outbox WHERE id = ?1 AND attempts = ?2)",
        );
        const REMOVE: Sql = Sql::both("DELETE FROM outbox WHERE id = ?1 AND attempts = ?2");
        let which = values![id, attempts];
        self.persist(lock, |tx| {
            if self.is_shared() {
                tx.later(&REMOVE_BODY, &which)?;
            }
            tx.later(&REMOVE, &which)?;
            sent.map_or(Ok(()), |(sent, at)| history::write_sent(tx, sent, at))
        })
    }

    pub fn outbox_entry(&self, id: i64) -> Result<Option<OutboxEntry>> {
        const ONE: Sql = entries!("WHERE id = ?1");
        self.read(|reader| reader.row(&ONE, &values![id], entry))
    }

    /// All messages, the oldest first.
    pub fn outbox(&self) -> Result<Vec<OutboxEntry>> {
        const ALL: Sql = entries!("ORDER BY id");
        self.read(|reader| reader.rows(&ALL, &[], entry))
    }

    /// Those that there is something to do about now: to be sent ([`OutboxEntry::is_due`]), to be
    /// reported, or left by a process that may have died.
    pub fn outbox_due(&self, now: i64) -> Result<Vec<OutboxEntry>> {
        const DUE: Sql = entries!(
            "WHERE (state = 'waiting' AND (next_attempt < ?1 OR next_attempt > ?2))
                OR state = 'sending' OR refused <> '[]'
             ORDER BY id"
        );
        let waits = still_waited_for(now);
        let bounds = values![*waits.start(), *waits.end()];
        self.read(|reader| reader.rows(&DUE, &bounds, entry))
    }

    /// How many messages of a submitter there are, and their octets.
    pub fn outbox_share(&self, who: &str) -> Result<(u64, u64)> {
        const SHARE: Sql = Sql::both(
            "SELECT count(*), coalesce(sum(size), 0) FROM outbox
             WHERE substr(submitter, 1, length(?1)) = ?1",
        );
        let with_blank = format!("{who} ");
        self.read(|reader| {
            reader.only_row(&SHARE, &values![&with_blank], |row| {
                let number = |column| row.get(column).map(i64::unsigned_abs);
                Ok((number(0)?, number(1)?))
            })
        })
    }
}

/// A statement that [`counts`] reads the row of.
pub(super) const COUNTS: Sql = Sql::both(
    "SELECT count(*) FILTER (WHERE state = 'waiting' OR state = 'sending'),
            count(*) FILTER (WHERE state = 'unknown'),
            count(*) FILTER (WHERE state = 'failed'),
            min(kept_at)
     FROM outbox",
);

pub(super) fn counts(row: &Row<'_>) -> Result<OutboxCounts, Error> {
    let count = |column| row.get(column).map(i64::unsigned_abs);
    Ok(OutboxCounts {
        waiting: count(0)?,
        unknown: count(1)?,
        failed: count(2)?,
        oldest: row.get(3)?,
    })
}

/// What is done in a transaction.
type Work<'a> = dyn FnMut(&mut Tx<'_>) -> Result<(), Error> + 'a;

/// Has `write` put on record what may change of a message that had been tried so often, with what
/// the history is to say of it.
fn outbox_write(
    entry: &OutboxEntry,
    attempts: u32,
    sent: Option<&Sent>,
    write: impl FnOnce(&mut Work<'_>) -> Result<()>,
) -> Result<()> {
    const UPDATE: Sql = Sql::both(
        "UPDATE outbox SET envelope = ?2, shared_id = ?3, state = ?4, attempts = ?5,
                next_attempt = ?6, reason = ?7, refused = ?8, report = ?9, kept_at = ?10,
                changed_at = ?11
         WHERE id = ?1 AND attempts = ?12",
    );
    let envelope = serde_json::to_string(&entry.envelope)?;
    let refused = serde_json::to_string(&entry.refused)?;
    let row = values![
        entry.id,
        &envelope,
        entry.shared_id,
        entry.state.word(),
        entry.attempts,
        entry.next_attempt,
        &entry.reason,
        &refused,
        entry.report.as_ref(),
        entry.kept_at,
        entry.changed_at,
        attempts,
    ];
    write(&mut |tx| {
        tx.later(&UPDATE, &row)?;
        sent.map_or(Ok(()), |sent| {
            history::write_sent(tx, sent, entry.changed_at)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::engines_tests::on_both;
    use proptest::prelude::*;

    fn kept(next_attempt: i64) -> OutboxEntry {
        OutboxEntry {
            id: 0,
            file: "x".into(),
            envelope: Envelope::default(),
            message_id: "<1@x.example>".into(),
            shared_id: false,
            size: 1,
            state: OutboxState::Waiting,
            attempts: 1,
            next_attempt,
            reason: String::new(),
            refused: Vec::new(),
            report: None,
            submitter: None,
            kept_at: 0,
            changed_at: 0,
        }
    }

    #[test]
    fn a_time_further_ahead_than_any_wait_is_a_wrong_clocks() {
        for (ahead, is_due) in [
            (-1_000_000_000, true),
            (0, true),
            (1, false),
            (LONGEST_WAIT, false),
            (LONGEST_WAIT + 1, true),
            (1_000_000_000, true),
        ] {
            let now = 1_800_000_000;
            assert_eq!(kept(now + ahead).is_due(now), is_due, "{ahead}");
        }
    }

    #[test]
    fn each_submitter_has_a_share_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        for (submitter, size) in [
            (Some("uid=3 gid=3 pid=1"), 10),
            (Some("uid=3 gid=9 pid=2"), 20),
            (Some("uid=33 gid=33 pid=3"), 40),
            (None, 80),
        ] {
            let submitter = submitter.map(str::to_owned);
            let entry = OutboxEntry {
                submitter,
                size,
                ..kept(0)
            };
            store.outbox_add(&entry, None).unwrap();
        }
        assert_eq!(store.outbox_share("uid=3").unwrap(), (2, 30));
        assert_eq!(store.outbox_share("uid=33").unwrap(), (1, 40));
        assert_eq!(store.outbox_share("uid=4").unwrap(), (0, 0));
        let all = store.outbox().unwrap();
        assert_eq!(all[1].submitter.as_deref(), Some("uid=3 gid=9 pid=2"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn what_is_found_due_is_due(times in proptest::collection::vec(-200_000..200_000i64, 1..6)) {
            on_both(|engine| {
                let store = engine.open();
                for (index, &time) in times.iter().enumerate() {
                    let file = format!("{index}.eml");
                    store.outbox_add(&OutboxEntry { file, ..kept(time) }, None).unwrap();
                }
                let due: Vec<i64> = store.outbox_due(0).unwrap().iter().map(|e| e.id).collect();
                let all = store.outbox().unwrap();
                let want: Vec<i64> = all.iter().filter(|e| e.is_due(0)).map(|e| e.id).collect();
                assert_eq!(due, want);
            });
        }
    }
}

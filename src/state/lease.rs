//! Leases: the locks of a state that several hosts share, as rows of its database.
//!
//! A lease is a name, who holds it, until when by the database's clock, and a number that grows with
//! each claim: the *fence*. Nothing of it lives in a session of the database, which would end with
//! the connection and not with the process, and which a failover forgets.
//!
//! Two things keep a host that was frozen, or cut off, from doing harm: it acts only for three
//! quarters of the time that a lease holds, counted from when its last good renewal was *sent*
//! ([`Lease::check`]); and what it puts on record carries its fence, by which the database refuses it
//! once another host has claimed the lease.

mod share;

pub use share::{Claimed, Due, Ended};

use super::db::{Db, Durable, Error, Fence, Row, Sql, Tx, Value, values};
use super::failure;
use super::moment::Moment;
use super::names::LockName;
use crate::digest::{hex, random};
use crate::fault::{Cause, Fault};
use anyhow::Result;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// A claim that met a transaction which ends just now is repeated so often, with this pause.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(100);

/// A process that works says so again after this time.
const SIGN_AGAIN: Duration = Duration::from_secs(15);

/// Whoever claims many leases, one after the other, looks so often for sessions of holders that
/// vanished: a mailbox that one of them keeps from it is passed over until then.
const SWEEP_AGAIN: Duration = Duration::from_secs(2);

/// A measurement of the database's clock that took longer is not used where there is a better one.
const GOOD_MEASUREMENT: Duration = Duration::from_secs(2);

/// Who claims: a process, for as long as its state is open.
#[derive(Clone, Debug)]
pub struct Run {
    pub id: String,
    pub host: String,
}

/// Who holds a lock, as far as it has written that down.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holder {
    /// Where several hosts share the state.
    pub host: Option<String>,
    pub pid: Option<u32>,
    pub since: Option<jiff::Timestamp>,
}

/// The leases of this process.
#[derive(Clone)]
pub struct Leases(Arc<Held>);

/// What this process holds, and what it knows of the database's clock.
pub struct Held {
    db: Arc<Db>,
    run: Run,
    /// How long a lease holds after its last renewal.
    period: Duration,
    leases: Mutex<HashMap<String, Known>>,
    clock: Mutex<Option<Clock>>,
    /// Why the last renewal failed, if it did.
    trouble: Mutex<Option<String>>,
    /// What tells the configuration of this process from every other.
    config: OnceLock<String>,
    /// When this process last said that it works.
    signed: Mutex<Option<Moment>>,
    /// When it last ended what holders that vanished are still at.
    swept: Mutex<Option<Moment>>,
}

/// What is known of a lease that this process has.
#[derive(Clone, Copy, Debug)]
struct Known {
    fence: i64,
    /// When the last good renewal, or the claim, was sent.
    sent: Moment,
    /// Another process has it.
    lost: bool,
}

/// The database's time at a moment of this process.
#[derive(Clone, Copy, Debug)]
struct Clock {
    /// Unix milliseconds.
    time: i64,
    at: Moment,
}

/// A lease that is held until it is dropped, as long as it is renewed.
pub struct Lease {
    held: Arc<Held>,
    fence: Fence,
}

impl Run {
    /// # Errors
    /// Where the system provides no random numbers.
    pub fn new() -> Result<Run> {
        let host = rustix::system::uname();
        Ok(Run {
            id: hex(&random::<8>()?),
            host: host.nodename().to_string_lossy().into_owned(),
        })
    }

    /// What the database calls the connections of this run (`application_name`).
    pub fn program(&self) -> String {
        format!("queuemail/{}", self.id)
    }
}

impl Leases {
    pub fn new(db: Arc<Db>, run: Run, period: Duration) -> Leases {
        Leases(Arc::new(Held {
            db,
            run,
            period,
            leases: Mutex::default(),
            clock: Mutex::default(),
            trouble: Mutex::default(),
            config: OnceLock::new(),
            signed: Mutex::default(),
            swept: Mutex::default(),
        }))
    }

    /// Claims the lease of this name, or tells who holds it.
    pub fn take(&self, name: &str) -> Result<Result<Lease, Holder>> {
        for _ in 1..TRIES {
            match self.claim(name)? {
                Claim::Ours(lease) => return Ok(Ok(lease)),
                Claim::Theirs(holder) => return Ok(Err(holder)),
                Claim::Free(_) => std::thread::sleep(PAUSE),
                Claim::Unknown => self.know(name)?,
            }
        }
        Ok(match self.claim(name)? {
            Claim::Ours(lease) => Ok(lease),
            Claim::Theirs(holder) | Claim::Free(holder) => Err(holder),
            Claim::Unknown => Err(Holder::default()),
        })
    }

    /// Makes the row of a lease that was never claimed. Alone, so that nobody waits for the end of a
    /// transaction that has just made it.
    fn know(&self, name: &str) -> Result<()> {
        let know = |tx: &mut Tx<'_>| tx.later(&KNOW, &values![name, ""]);
        write(&self.0.db, Durable::Now, know)
    }

    fn claim(&self, name: &str) -> Result<Claim> {
        let held = &self.0;
        let mut sent = Moment::now();
        let one = Names {
            text: name,
            separator: "",
        };
        let claimed = write(&held.db, Durable::Now, |tx| {
            sent = Moment::now();
            // One whose answer was lost may be this process's.
            let again = tx.is_repeat() && !held.leases().contains_key(name);
            held.sign(tx)?;
            held.end_sessions(tx, &one)?;
            let (claims, of) = (held.claims(&one, again, None, 1), values![name]);
            let (mut mine, mut theirs) = (None, None);
            tx.last(&[(&CLAIM, &claims), (&HOLDER, &of)], &mut |number, row| {
                match number {
                    0 => mine = Some(ours(row)?),
                    _ => theirs = Some(holder(row)?),
                }
                Ok(())
            })?;
            Ok(mine.ok_or(theirs))
        })?;
        held.has_signed();
        Ok(match claimed {
            Ok(ours) => Claim::Ours(self.hold(ours, sent)),
            Err(None) => Claim::Unknown,
            Err(Some((holder, true))) => Claim::Free(holder),
            Err(Some((holder, false))) => Claim::Theirs(holder),
        })
    }

    /// Notes that a lease is this process's, by a claim that was sent then.
    fn hold(&self, ours: Ours, sent: Moment) -> Lease {
        let held = &self.0;
        held.measured(ours.time, sent);
        let known = Known {
            fence: ours.number,
            sent,
            lost: false,
        };
        held.leases().insert(ours.name.clone(), known);
        Lease {
            held: Arc::clone(held),
            fence: Fence {
                name: ours.name,
                number: ours.number,
            },
        }
    }

    /// Whether another process has claimed a lease after this claim of it.
    pub fn was_claimed_after(&self, claim: &Fence) -> Result<bool> {
        let db = &self.0.db;
        let name = values![&claim.name];
        let number = db.read(|reader| reader.row(&NUMBER, &name, |row| row.get::<i64>(0)));
        let number = number.map_err(|e| failure::fault("read", db.place(), &e))?;
        Ok(number.is_some_and(|number| number > claim.number))
    }

    /// Renews all that is held; `db` is the heartbeat's own.
    pub fn renew(&self, db: &Db) -> Result<()> {
        let held = &self.0;
        let mine: Vec<i64> = held.leases().values().map(|known| known.fence).collect();
        if mine.is_empty() {
            return Ok(());
        }
        let fences: Vec<String> = mine.iter().map(i64::to_string).collect();
        let fences = fences.join(",");
        let mut sent = Moment::now();
        let renewed: Vec<(i64, i64)> = write(db, Durable::Now, |tx| {
            sent = Moment::now();
            tx.later(&SEEN, &values![&held.run.id])?;
            let values = values![&held.run.id, millis(held.period), &fences];
            let mut renewed = Vec::new();
            // With the commit: were that cut off, the leases would be locked, and nobody could claim
            // them once they are over.
            tx.last(&[(&RENEW, &values)], &mut |_, row| {
                renewed.push((row.get(0)?, row.get(1)?));
                Ok(())
            })?;
            Ok(renewed)
        })?;
        if let Some((_, time)) = renewed.last() {
            held.measured(*time, sent);
        }
        let asked = |known: &&mut Known| mine.contains(&known.fence);
        for known in held.leases().values_mut().filter(asked) {
            match renewed.iter().any(|(fence, _)| *fence == known.fence) {
                true => known.sent = known.sent.max(sent),
                false => known.lost = true,
            }
        }
        *lock(&held.trouble) = None;
        Ok(())
    }

    /// Notes why a renewal failed, for whoever stops for it.
    pub fn troubled(&self, err: &anyhow::Error) {
        *lock(&self.0.trouble) = Some(format!("{err:#}"));
    }

    /// Notes what tells the configuration of this process from every other, once.
    pub fn works_by(&self, config: String) {
        let _ = self.0.config.set(config);
    }

    /// What [`Leases::works_by`] noted.
    pub fn config(&self) -> Option<&str> {
        self.0.config.get().map(String::as_str)
    }

    /// The name of this host.
    pub fn host(&self) -> &str {
        &self.0.run.host
    }

    /// How long a lease holds after its last renewal.
    pub fn period(&self) -> Duration {
        self.0.period
    }

    /// The database's time in Unix milliseconds, whatever the clock of this host is set to. `None`
    /// where it cannot be asked.
    pub fn time(&self) -> Option<i64> {
        let held = &self.0;
        let known =
            |clock: Option<Clock>| clock.map(|clock| clock.time + millis(clock.at.elapsed()));
        let now = *lock(&held.clock);
        known(now).or_else(|| {
            let sent = Moment::now();
            let time = held
                .db
                .read(|reader| reader.only_row(&TIME, &[], |row| row.get(0)));
            held.measured(time.ok()?, sent);
            let now = *lock(&held.clock);
            known(now)
        })
    }
}

/// Names of leases in one value of a statement.
struct Names<'n> {
    text: &'n str,
    /// What stands between two; empty where there is one.
    separator: &'static str,
}

/// A lease that a statement has claimed.
struct Ours {
    name: String,
    number: i64,
    /// The database's time.
    time: i64,
    /// When it was claimed before, in Unix microseconds.
    before: Option<i64>,
}

/// A row of [`CLAIM`].
fn ours(row: &Row<'_>) -> Result<Ours, Error> {
    Ok(Ours {
        number: row.get(0)?,
        time: row.get(1)?,
        name: row.get(2)?,
        before: row.get(3)?,
    })
}

/// What came of a claim.
enum Claim {
    Ours(Lease),
    Theirs(Holder),
    /// It is free, but a transaction that rests on it has not ended.
    Free(Holder),
    /// Nobody has ever claimed it.
    Unknown,
}

impl Held {
    fn leases(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        lock(&self.leases)
    }

    /// Says that this process works, and who it is, unless it has lately: one row of it is in the
    /// database, for which its transactions would wait.
    fn sign(&self, tx: &mut Tx<'_>) -> Result<(), Error> {
        let is_recent = |at: &Moment| at.elapsed() < SIGN_AGAIN;
        if lock(&self.signed).as_ref().is_some_and(is_recent) && !tx.is_repeat() {
            return Ok(());
        }
        let run = &self.run;
        let config = self.config.get();
        let pid = i64::from(std::process::id());
        let version = env!("CARGO_PKG_VERSION");
        tx.later(&RUN, &values![&run.id, &run.host, pid, version, config])
    }

    /// What [`Held::sign`] said is on record.
    fn has_signed(&self) {
        let mut signed = lock(&self.signed);
        let is_recent = |at: &Moment| at.elapsed() < SIGN_AGAIN;
        if !signed.as_ref().is_some_and(is_recent) {
            *signed = Some(Moment::now());
        }
    }

    /// Ends what holders that vanished are still at.
    fn end_sessions(&self, tx: &mut Tx<'_>, names: &Names<'_>) -> Result<(), Error> {
        let Names { text, separator } = *names;
        let (run, period) = (&self.run.id, millis(self.period));
        tx.later(&END_SESSIONS, &values![text, run, period, separator])
    }

    /// The values of [`CLAIM`]: of these leases those that are free, in their order, and so many at
    /// most: all that are, or those that were claimed so long ago, in milliseconds. `again`: also what
    /// is already this process's.
    fn claims<'v>(
        &'v self,
        names: &Names<'v>,
        again: bool,
        every: Option<i64>,
        most: u64,
    ) -> [Value<'v>; 7] {
        let Names { text, separator } = *names;
        values![
            text,
            &self.run.id,
            millis(self.period),
            again,
            separator,
            every.unwrap_or(0),
            most
        ]
    }

    /// Notes the database's time, which an answer brought to what was sent then.
    fn measured(&self, time: i64, sent: Moment) {
        let mut clock = lock(&self.clock);
        if clock.is_none() || sent.elapsed() <= GOOD_MEASUREMENT {
            *clock = Some(Clock {
                time,
                at: Moment::now(),
            });
        }
    }
}

impl Lease {
    pub fn fence(&self) -> &Fence {
        &self.fence
    }

    /// See `Lock::check`.
    pub fn check(&self) -> Result<()> {
        match self.is_good() {
            true => Ok(()),
            false => Err(self.lost()),
        }
    }

    /// See `Lock::check_since`.
    pub fn check_since(&self, recorded: Moment, latest: Duration) -> Result<()> {
        self.check()?;
        match recorded.elapsed() < latest {
            true => Ok(()),
            false => Err(self.lost()),
        }
    }

    /// The database knows of another holder.
    pub fn lose(&self) {
        if let Some(known) = self.held.leases().get_mut(&self.fence.name)
            && known.fence == self.fence.number
        {
            known.lost = true;
        }
    }

    /// It is not renewed from here on, and others have it as soon as its time is over.
    pub(super) fn forget(&self) {
        let mut leases = self.held.leases();
        let mine = |known: &Known| known.fence == self.fence.number;
        if leases.get(&self.fence.name).is_some_and(mine) {
            leases.remove(&self.fence.name);
        }
    }

    fn is_good(&self) -> bool {
        let known = self.held.leases().get(&self.fence.name).copied();
        known.is_some_and(|known| {
            known.fence == self.fence.number
                && !known.lost
                && known.sent.elapsed() < self.held.period * 3 / 4
        })
    }

    fn lost(&self) -> anyhow::Error {
        let why = match &*lock(&self.held.trouble) {
            None => "this host was too slow".to_owned(),
            Some(trouble) => trouble.clone(),
        };
        Fault::try_later(format!("another host may have taken over by now: {why}"))
            .cause(Cause::LeaseLost)
            .hint("the next run finishes what was started: run the same command again")
            .into()
    }
}

impl Drop for Lease {
    /// Lets others have it at once. Where the database is away it ends by itself.
    fn drop(&mut self) {
        let is_good = self.is_good();
        self.forget();
        if is_good {
            let Fence { name, number } = &self.fence;
            let release = |tx: &mut Tx<'_>| match name.starts_with(LockName::OF_A_MESSAGE) {
                true => tx.later(&REMOVE, &values![name, *number]),
                false => {
                    let row = values![name, *number, true, None::<i64>];
                    tx.many_later(&RELEASE, std::iter::once(row))
                }
            };
            let _ = write(&self.held.db, Durable::InPassing, release);
        }
    }
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.fence.fmt(f)
    }
}

fn write<T>(
    db: &Db,
    durable: Durable,
    work: impl FnMut(&mut Tx<'_>) -> Result<T, Error>,
) -> Result<T> {
    let done = db.write(durable, None, work);
    done.map_err(|e| failure::fault("write", db.place(), &e).into())
}

/// Forgets leases and runs of long ago.
pub fn tidy(tx: &mut Tx<'_>) -> Result<(), Error> {
    tx.later(&TIDY_LEASES, &[])?;
    tx.later(&TIDY_RUNS, &[])
}

/// Who held a lease last; true where it is over.
fn holder(row: &Row<'_>) -> Result<(Holder, bool), Error> {
    let holder = Holder {
        host: row.get(0)?,
        pid: row.get(1)?,
        since: row
            .get::<Option<i64>>(2)?
            .and_then(|since| jiff::Timestamp::from_second(since).ok()),
    };
    Ok((holder, row.get(3)?))
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Who this process is, for those who find its leases.
const RUN: Sql = Sql::postgres(
    "INSERT INTO run (id, host, pid, version, config, began, seen)
     VALUES (?1, ?2, ?3, ?4, ?5, clock_timestamp(), clock_timestamp())
     ON CONFLICT (id) DO UPDATE SET seen = clock_timestamp()",
);

const SEEN: Sql = Sql::postgres("UPDATE run SET seen = clock_timestamp() WHERE id = ?1");

/// Makes the rows of those that were never claimed; each process in the same order, so that none
/// waits for one that waits for it.
const KNOW: Sql = Sql::postgres(
    "INSERT INTO lease (name, fence, until)
     SELECT wanted.name, 0, '-infinity'
     FROM unnest(string_to_array(?1, ?2)) AS wanted (name)
     WHERE NOT EXISTS (SELECT 1 FROM lease WHERE lease.name = wanted.name)
     ORDER BY wanted.name
     ON CONFLICT (name) DO NOTHING",
);

/// Ends what the sessions of a holder that vanished are still at, and what began so long ago that
/// nobody waits for it any more: the rows that they have locked would be so until the database finds
/// out that nobody is there. Some services allow this to nobody.
const END_SESSIONS: Sql = Sql::postgres(
    "SELECT CASE WHEN has_function_privilege('pg_terminate_backend(integer, bigint)', 'EXECUTE')
                 THEN pg_terminate_backend(session.pid) END
     FROM pg_stat_activity session
     WHERE session.usename = current_user AND session.datname = current_database()
       AND session.application_name LIKE 'queuemail/%'
       AND session.state <> 'idle' AND session.pid <> pg_backend_pid()
       AND (session.xact_start < clock_timestamp() - ?3 * interval '1 millisecond'
            OR EXISTS (SELECT 1 FROM lease
                       WHERE lease.name = ANY (string_to_array(?1, ?4)) AND lease.holder <> ?2
                         AND lease.until < clock_timestamp()
                         AND session.application_name = 'queuemail/' || lease.holder))",
);

/// While a transaction that rests on the lease commits just now, its row is locked and passed over.
const CLAIM: Sql = Sql::postgres(
    "WITH free AS MATERIALIZED (
         SELECT lease.name, lease.claimed_at
         FROM unnest(string_to_array(?1, ?5)) WITH ORDINALITY AS wanted (name, place)
         JOIN lease ON lease.name = wanted.name
         WHERE (lease.until < clock_timestamp()
                AND (?6 = 0 OR lease.claimed_at IS NULL
                     OR lease.claimed_at <= clock_timestamp() - ?6 * interval '1 millisecond'))
            OR (?4 <> 0 AND lease.holder = ?2)
         ORDER BY wanted.place LIMIT ?7
         FOR UPDATE OF lease SKIP LOCKED)
     UPDATE lease SET holder = ?2, fence = nextval('lease_fence'), claimed_at = clock_timestamp(),
            until = clock_timestamp() + ?3 * interval '1 millisecond'
     FROM free WHERE lease.name = free.name
     RETURNING lease.fence, (extract(epoch FROM clock_timestamp()) * 1000)::bigint, lease.name,
               (extract(epoch FROM free.claimed_at) * 1000000)::bigint",
);

const TIME: Sql = Sql::postgres("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint");

const RENEW: Sql = Sql::postgres(
    "UPDATE lease SET until = clock_timestamp() + ?2 * interval '1 millisecond'
     WHERE name IN (SELECT name FROM lease
                    WHERE holder = ?1 AND fence = ANY (string_to_array(?3, ',')::bigint[])
                    ORDER BY name FOR UPDATE)
     RETURNING fence, (extract(epoch FROM clock_timestamp()) * 1000)::bigint",
);

/// A message of the outbox has a lease of its own, which nobody needs again soon.
const REMOVE: Sql = Sql::postgres("DELETE FROM lease WHERE name = ?1 AND fence = ?2");

/// What was claimed so long ago, and what ended so long ago, nobody asks for; when a mailbox was
/// fetched last stays.
const TIDY_LEASES: Sql = Sql::postgres(
    "DELETE FROM lease
     WHERE claimed_at < clock_timestamp() - interval '7 days' AND until < clock_timestamp()
       AND name NOT LIKE 'fetch %'",
);

const TIDY_RUNS: Sql = Sql::postgres(
    "DELETE FROM run
     WHERE seen < clock_timestamp() - interval '1 day'
       AND id NOT IN (SELECT holder FROM lease WHERE holder IS NOT NULL)",
);

/// Lets others have leases at once; that of a mailbox which was not visited is as if it had not been
/// claimed.
const RELEASE: Sql = Sql::postgres(
    "UPDATE lease SET holder = NULL, until = '-infinity',
            claimed_at = CASE WHEN own.was_visited <> 0 THEN lease.claimed_at
                              ELSE to_timestamp(own.before / 1000000.0) END
     FROM (SELECT lease.name, r.was_visited, r.before
           FROM unnest(?1::text[], ?2::bigint[], ?3::bigint[], ?4::bigint[])
                AS r (name, fence, was_visited, before)
           JOIN lease ON lease.name = r.name AND lease.fence = r.fence
           ORDER BY lease.name FOR UPDATE OF lease) own
     WHERE lease.name = own.name",
);

const NUMBER: Sql = Sql::postgres("SELECT fence FROM lease WHERE name = ?1");

const HOLDER: Sql = Sql::postgres(
    "SELECT run.host, run.pid, floor(extract(epoch FROM lease.claimed_at))::bigint,
            CASE WHEN lease.until < clock_timestamp() THEN 1::bigint ELSE 0::bigint END
     FROM lease LEFT JOIN run ON run.id = lease.holder WHERE lease.name = ?1",
);

#[cfg(test)]
#[path = "lease_tests.rs"]
mod tests;

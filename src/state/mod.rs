//! What is remembered between runs: tokens, ledger, cursors, waits and locks, in one SQLite
//! database in the state folder, or in PostgreSQL.
//!
//! Every statement on the database is in this folder, behind [`Store`], and reaches it through
//! `db`, so that the store can become another database without a change elsewhere. Commits are
//! durable (WAL with `synchronous = FULL`): what `Ok` was said of survives a power cut.

mod blobs;
mod bodies;
mod card;
mod checkup;
mod counters;
mod days;
mod db;
mod delivered;
mod disk;
#[cfg(test)]
pub(crate) mod engines_tests;
mod facts;
mod failure;
mod former;
mod health;
mod heartbeat;
mod history;
mod hosts;
mod import;
mod incidents;
mod lease;
mod ledger;
mod lock;
mod migrate;
mod moment;
mod moves;
mod names;
mod outbox;
mod pace;
mod places;
mod quarantine;
mod rotation;
mod schema;
mod seal;
#[cfg(test)]
mod statements_tests;
mod tidy;
mod tokens;
mod waits;
mod ways;

pub use tokens::{Failure as SignInFailure, KeptToken, TokenPlaces, TokenRow, Trace};

pub use blobs::{Blobs, Hold};
pub use bodies::Blob;
pub use checkup::Checkup;
pub use counters::Counter;
pub use days::{DayCounts, MOST_DAYS};
pub use db::postgres::{Place, Wish};
pub use delivered::Next;
pub use facts::Facts;
pub use health::{Health, Ran};
pub use history::{
    About, Answer, Arrived, LOOKED_AT, Origin, Past, Question, Recipient, Sent, What,
};
pub use hosts::SharingHost;
pub use import::ImportedFolder;
pub use incidents::{Event, Incident, IncidentKind, IncidentName};
pub use lease::{Claimed, Due, Ended, Holder};
pub use ledger::{
    Epoch, Failure, FolderRecord, Interrupted, SkippedRecord, StagedRecord, Standing, Unsettled,
    uidvalidity,
};
pub use lock::{Lock, Taken};
pub use migrate::{Migration, Moved, Spot, Watch};
pub use moment::Moment;
pub use names::{LockName, Sender, TokenKey, WaitName, WayName};
pub use outbox::{LONGEST_WAIT, OutboxCounts, OutboxEntry, OutboxState};
pub use pace::Pace;
pub use quarantine::Quarantined;
pub use rotation::{Rotation, RotationKey, RotationStep};
pub use waits::{SendingWait, Wait};
pub use ways::Ground;

use crate::fault::{Cause, Fault, Kind, cause_of, kind_of};
use crate::files::{self, End};
use crate::model::Secrets;
use anyhow::Result;
use bodies::Rows;
use card::Cards;
use db::{At, Db, Durable, Reader, Tx};
use lease::{Leases, Run};
use lock::{Files, Locks, Shared};
use places::Places;
use rustix::fs::OFlags;
use schema::sqlite::Owner;
use seal::Seal;
use std::fmt::Display;
use std::fs::{File, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a statement waits for another process that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// What is true is tried again after these pauses while a shared database is away.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The database's file in the state folder.
const DATABASE: &str = "state.sqlite";
/// The log of what was written last, next to it.
const LOG: &str = "state.sqlite-wal";

/// The folder of the locks that processes take.
const LOCKS: &str = "locks";
/// The folders of bodies.
const OUTBOX: &str = "outbox";
const QUARANTINE: &str = "quarantine";
/// The folder of what is on its way through this machine.
const SCRATCH: &str = "spool";

/// The opened state folder. Shared by the threads of a process.
pub struct Store {
    folder: PathBuf,
    db: Arc<Db>,
    /// Of a state that hosts share.
    identity: Option<String>,
    seal: Seal,
    locks: Locks,
    places: Places,
    cards: Cards,
    outbox: Blobs,
    quarantine: Blobs,
}

impl Store {
    /// Opens the database in `folder`, creating both, private to this user.
    pub fn open(folder: &Path) -> Result<Store> {
        // What is on record names files in it, and another run may start elsewhere.
        let folder = &files::absolute(folder)?;
        let path = folder.join(DATABASE);
        check_folder(folder)?;
        disk::check(folder)?;
        refuse_lost(folder, &path)?;
        files::create_private_folder(folder)?;
        let not_opened = |e: std::io::Error| failure::not_opened(&path, &e);
        let cannot_open = |e: db::Error| failure::fault("open", At::File(&path), &e);
        create_private(&path).map_err(not_opened)?;
        let mut connection =
            schema::sqlite::connect(&path, BUSY_TIMEOUT).map_err(|e| cannot_open(e.into()))?;
        match schema::sqlite::owner(&mut connection).map_err(|e| cannot_open(e.into()))? {
            Owner::We => {}
            Owner::Later => return Err(failure::later(&path).into()),
            Owner::Away => {
                let db = Db::of_file(connection, &path, &folder.join(LOG));
                return Err(moves::refusal(&db));
            }
            Owner::Damaged => return Err(failure::lost(&path, "damaged").into()),
            Owner::Another => return Err(failure::of_another(&path).into()),
        }
        make_private(folder).map_err(not_opened)?;
        schema::sqlite::prepare(&mut connection, BUSY_TIMEOUT)
            .map_err(|e| cannot_open(e.into()))?;
        Ok(Store {
            folder: folder.to_owned(),
            db: Arc::new(Db::of_file(connection, &path, &folder.join(LOG))),
            identity: None,
            seal: Seal::new(None),
            locks: Locks::Files(Files::new(folder.join(LOCKS))),
            places: Places::default(),
            cards: Cards::default(),
            outbox: Blobs::new(folder.join(OUTBOX)),
            quarantine: Blobs::new(folder.join(QUARANTINE)),
        })
    }

    /// Opens the state in the database of a server; `folder` is for what is on its way. Tokens in it are sealed with `key`, and not kept without one.
    ///
    /// # Errors
    /// `Config` where there is no state, which [`Store::init`] makes.
    pub fn open_shared(folder: &Path, mut place: Place, key: Option<&Secrets>) -> Result<Store> {
        let run = Run::new()?;
        place.program = run.program();
        let db = Store::connect(place)?;
        let meta = Store::meta_of(&db)?;
        let Some(meta) = meta else {
            return Err(failure::postgres::no_schema(db.place()).into());
        };
        if meta.oldest_program > schema::postgres::VERSION {
            return Err(failure::postgres::later(db.place(), meta.version).into());
        }
        if meta.moved_to.is_some() {
            return Err(moves::refusal(&Db::Postgres(db)));
        }
        let folder = &files::absolute(folder)?;
        check_folder(folder)?;
        disk::check(folder)?;
        files::create_private_folder(folder)?;
        // One statement at a time, and none that is waited for longer than it is of use.
        let own = db.place().alone(db.place().lease / 4);
        let open = Box::new(move || {
            let db = Store::connect(own.clone())?;
            Ok(Db::Postgres(db))
        });
        let period = db.place().lease;
        let db = Arc::new(Db::Postgres(db));
        let leases = Leases::new(Arc::clone(&db), run, period);
        Ok(Store {
            folder: folder.to_owned(),
            identity: Some(meta.id),
            seal: Seal::new(key),
            locks: Locks::Leases(Shared::new(leases, open)),
            places: Places::default(),
            cards: Cards::default(),
            outbox: Blobs::rows(Rows::new(Arc::clone(&db), bodies::OUTBOX)),
            quarantine: Blobs::rows(Rows::new(Arc::clone(&db), bodies::QUARANTINE)),
            db,
        })
    }

    /// Makes the state in the database of a server. False where there is one.
    pub fn init(place: Place) -> Result<bool> {
        let db = Store::connect(place)?;
        schema::postgres::init(&db).map_err(|e| {
            let at = At::Server(db.place());
            let fault = failure::fault("create the tables of", at, &e);
            match &e {
                db::Error::Postgres(err) if schema::postgres::is_taken(err) => {
                    failure::postgres::taken(fault)
                }
                _ => fault,
            }
            .into()
        })
    }

    /// What makes the state in a database, for whoever runs it.
    pub fn script() -> String {
        schema::postgres::script()
    }

    fn connect(place: Place) -> Result<db::postgres::Db> {
        db::postgres::Db::open(place.clone())
            .map_err(|e| failure::fault("open", At::Server(&place), &e).into())
    }

    fn meta_of(db: &db::postgres::Db) -> Result<Option<schema::postgres::Meta>> {
        schema::postgres::meta(db)
            .map_err(|e| failure::fault("open", At::Server(db.place()), &e).into())
    }

    /// True where hosts may share it.
    pub fn is_shared(&self) -> bool {
        self.identity.is_some()
    }

    /// True where a secret may be kept in it. Whoever runs a database can read it, and its backups:
    /// there, only what is sealed.
    pub fn keeps_secrets(&self) -> bool {
        !self.is_shared() || self.seal.has_key()
    }

    /// Finds out whether what is sealed with the key of the state can be.
    ///
    /// # Errors
    /// `Config` where it is not a key; those of its source.
    pub fn check_key(&self) -> Result<()> {
        self.seal.check()
    }

    /// A private folder on a disk of this machine, for what is on its way: messages that are staged
    /// where their destination has no place for them, and what memory is not to hold.
    pub fn scratch(&self) -> Result<PathBuf> {
        let folder = self.folder.join(SCRATCH);
        files::create_private_folder(&folder)?;
        Ok(folder)
    }

    /// Tells this state from every other on this machine.
    pub fn identity(&self) -> Vec<u8> {
        if let Some(id) = &self.identity {
            return id.clone().into_bytes();
        }
        let folder = std::fs::canonicalize(&self.folder).unwrap_or_default();
        folder.into_os_string().into_encoded_bytes()
    }

    /// Tells this state from every other, also from one at the same path of another machine or
    /// container; what was copied, as from a backup, is another one.
    pub fn mark(&self) -> Vec<u8> {
        let mut mark = self.identity();
        if !self.is_shared() {
            let database = self.folder.join(DATABASE).metadata();
            mark.extend(database.map_or(0, |file| file.ino()).to_be_bytes());
        }
        mark
    }

    /// Runs `work`, which changes nothing. It may be run again, from its beginning.
    fn read<T>(&self, work: impl FnMut(&Reader<'_>) -> Result<T, db::Error>) -> Result<T> {
        self.db.read(work).map_err(|e| self.fault("read", &e))
    }

    /// The fault of `what` is on record and cannot be understood: the program never writes it.
    pub fn spoilt(&self, what: &str, err: &dyn Display) -> Fault {
        failure::spoilt(self.db.place(), what, err)
    }

    /// The time: the database's where several hosts share it, so that none of their clocks counts.
    pub fn clock(&self) -> jiff::Timestamp {
        let shared = match &self.locks {
            Locks::Leases(leases) => leases.time(),
            Locks::Files(_) => None,
        };
        let shared = shared.and_then(|time| jiff::Timestamp::from_millisecond(time).ok());
        shared.unwrap_or_else(jiff::Timestamp::now)
    }

    /// The same in Unix seconds.
    pub fn now(&self) -> i64 {
        self.clock().as_second()
    }

    /// Runs `work` in one durable transaction. It may be run again, from its beginning.
    fn transaction<T>(&self, work: impl FnMut(&mut Tx<'_>) -> Result<T, db::Error>) -> Result<T> {
        self.write(Durable::Now, None, work)
    }

    /// Runs `work`, which says what comes next, in one durable transaction. It is undone where
    /// another host has the lock by now.
    fn intend<T>(
        &self,
        lock: &Lock,
        work: impl FnMut(&mut Tx<'_>) -> Result<T, db::Error>,
    ) -> Result<T> {
        self.write(Durable::Now, Some(lock), work)
    }

    /// The same, which does not wait for the disk.
    fn intend_in_passing<T>(
        &self,
        lock: &Lock,
        work: impl FnMut(&mut Tx<'_>) -> Result<T, db::Error>,
    ) -> Result<T> {
        self.write(Durable::InPassing, Some(lock), work)
    }

    /// Runs `work`, which says what has happened, in one durable transaction. That is true whoever
    /// holds the lock by now, and nobody else knows it: while a shared database is away, it is tried
    /// again for [`Locks::patience`].
    fn fact<T>(&self, work: impl FnMut(&mut Tx<'_>) -> Result<T, db::Error>) -> Result<T> {
        self.persist(None, work)
    }

    /// The same of what is true only as long as nobody else has taken the lock: it is undone where
    /// another host has.
    fn persist<T>(
        &self,
        lock: Option<&Lock>,
        mut work: impl FnMut(&mut Tx<'_>) -> Result<T, db::Error>,
    ) -> Result<T> {
        let began = Moment::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let written = self.write(Durable::Now, lock, &mut work);
            let Err(err) = &written else {
                return written;
            };
            if kind_of(err) != Kind::TryLater || cause_of(err) == Some(Cause::LeaseLost) {
                return written;
            }
            if began.elapsed() >= self.locks.patience() {
                return written;
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Runs `work` in one transaction that is whole or not there after a power cut, and does not
    /// wait for the disk.
    fn transaction_in_passing<T>(
        &self,
        work: impl FnMut(&mut Tx<'_>) -> Result<T, db::Error>,
    ) -> Result<T> {
        self.write(Durable::InPassing, None, work)
    }

    fn write<T>(
        &self,
        durable: Durable,
        lock: Option<&Lock>,
        work: impl FnMut(&mut Tx<'_>) -> Result<T, db::Error>,
    ) -> Result<T> {
        let done = self.db.write(durable, lock.and_then(Lock::fence), work);
        let written = done.map_err(|e| self.fault("write", &e));
        if let (Err(err), Some(lock)) = (&written, lock) {
            lock.heed(err);
        }
        written
    }

    fn fault(&self, verb: &str, err: &db::Error) -> anyhow::Error {
        failure::fault(verb, self.db.place(), err).into()
    }
}

/// Refuses a folder of somebody else, or that others may change: they could put another database,
/// or a lock, in the place of the program's, and lead what is written elsewhere.
fn check_folder(folder: &Path) -> Result<()> {
    let real = files::real_path(folder, End::OwnFolder)?;
    let Ok(about) = real.metadata() else {
        return Ok(());
    };
    let name = folder.display();
    let refusal = |what: String| Fault::new(Kind::CannotWrite, what);
    let me = rustix::process::geteuid().as_raw();
    let owner = about.uid();
    if ![0, me].contains(&owner) {
        let what = format!("the state folder `{name}` belongs to another user (uid {owner})");
        return Err(refusal(what)
            .hint(files::owner_hint(me, owner, folder))
            .into());
    }
    if let Some(others) = files::who_else_can_change(&about) {
        let what = format!("the state folder `{name}` can be changed by {others}");
        let fault = refusal(what).hint(files::narrow_hint(&about, folder));
        return Err(match owner == me {
            true => fault,
            false => fault.hint(files::owner_hint(me, owner, folder)),
        }
        .into());
    }
    Ok(())
}

/// Tells a database that was emptied, or removed from beside its log, from a new one, for which all
/// mail would be new: no lock was ever taken beside the latter. One that another process makes just
/// now is empty for a moment.
fn refuse_lost(folder: &Path, path: &Path) -> Result<()> {
    let lost = || match path.metadata() {
        Ok(file) if file.len() == 0 && folder.join(LOCKS).is_dir() => Some("empty"),
        Err(e) if e.kind() == ErrorKind::NotFound && folder.join(LOG).exists() => Some("gone"),
        _ => None,
    };
    let end = Instant::now() + Duration::from_secs(2);
    while let Some(what) = lost() {
        if Instant::now() >= end {
            return Err(failure::lost(path, what).into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Creates the database's file if there is none, and finds out whether it can be written.
fn create_private(path: &Path) -> std::io::Result<()> {
    File::options()
        .create(true)
        .append(true)
        .mode(0o600)
        // Of a FIFO, that would wait for a reader.
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path)
        .map(drop)
}

/// Takes the database and its log from others: tokens are in them, and they may be older than this
/// process. SQLite gives a new log the same permissions.
fn make_private(folder: &Path) -> std::io::Result<()> {
    for path in [DATABASE, LOG].map(|name| folder.join(name)) {
        let mode = match path.metadata() {
            Err(e) if e.kind() == ErrorKind::NotFound => continue,
            about => about?.permissions().mode(),
        };
        if mode & 0o077 != 0 {
            std::fs::set_permissions(&path, Permissions::from_mode(mode & 0o700))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::db::LONGEST_LOG;
    use super::*;
    use rusqlite::Connection;

    #[test]
    fn one_that_another_process_makes_just_now_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let other = Connection::open(folder.path().join(DATABASE)).unwrap();
        other
            .execute_batch("PRAGMA journal_mode = WAL; BEGIN IMMEDIATE")
            .unwrap();
        std::thread::scope(|scope| {
            let store = scope.spawn(|| Store::open(folder.path()).map(drop));
            std::thread::sleep(Duration::from_millis(300));
            other.execute_batch("COMMIT").unwrap();
            store.join().unwrap().unwrap();
        });
    }

    #[test]
    fn one_that_many_make_at_once_is_ours_at_every_moment() {
        for _ in 0..20 {
            let folder = tempfile::tempdir().unwrap();
            std::thread::scope(|scope| {
                let opened =
                    [(); 12].map(|()| scope.spawn(|| Store::open(folder.path()).map(drop)));
                for store in opened {
                    store.join().unwrap().unwrap();
                }
            });
        }
    }

    #[test]
    fn one_of_a_later_version_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        drop(Store::open(folder.path()).unwrap());
        let later = Connection::open(folder.path().join(DATABASE)).unwrap();
        later.pragma_update(None, "user_version", 1000).unwrap();
        let err = Store::open(folder.path()).err().unwrap();
        assert!(err.to_string().contains("later version"), "{err}");
    }

    #[test]
    fn the_log_is_copied_once_it_is_long() {
        let folder = tempfile::tempdir().unwrap();
        let log = || std::fs::metadata(folder.path().join(LOG)).map_or(0, |log| log.len());
        let runs = |n: usize, now| {
            let store = Store::open(folder.path()).unwrap();
            let address = |i| Ran::new(format!("{i}-{}@contoso.com", "a".repeat(200)), None);
            store
                .record_runs(&(0..n).map(address).collect::<Vec<_>>(), now)
                .unwrap();
        };
        runs(1, 0); // makes the tables, too
        runs(1_000, 1);
        assert_eq!(log(), 0, "a long log is copied");
        runs(1, 2);
        let one = log();
        assert!(one > 0 && one < LONGEST_LOG, "{one}");
        for now in 3..100 {
            runs(1, now);
            assert!(log() < LONGEST_LOG, "{}", log());
        }
    }
}

//! Leases of two hosts, which are two stores of one database.

use super::*;
use crate::digest;
use crate::fault::cause_of;
use crate::mail::RemoteId;
use crate::model::{Days, Recording};
use crate::state::engines_tests::Engine;
use crate::state::lock::{Locks, Shared};
use crate::state::{About, Arrived, Lock, LockName, Moment, Next, Origin, StagedRecord, Store};
use std::process::Stdio;

const ORIGIN: Origin<'_> = Origin {
    queue: "q",
    address: "a@x",
    folder: "INBOX",
    recording: Recording {
        days: Days::OF_HISTORY,
        subject: true,
    },
};

const FETCH: LockName<'_> = LockName::Fetch { mailbox: "a@x" };

fn take(store: &Store) -> Lock {
    store.lock(FETCH).unwrap().unwrap()
}

fn fence(lock: &Lock) -> i64 {
    lock.fence().unwrap().number
}

/// As if so much time had passed that all leases are over.
fn end_all(engine: &Engine) {
    engine.number(
        "WITH ended AS (UPDATE lease SET until = clock_timestamp() - interval '1 s' RETURNING 1)
         SELECT count(*) FROM ended",
    );
}

#[test]
fn one_of_two_hosts_has_it_until_it_lets_go() {
    let engine = Engine::postgres();
    let (a, b) = (engine.open(), engine.open());
    let lock = take(&a);
    let first = fence(&lock);
    let holder = b.lock(FETCH).unwrap().unwrap_err();
    assert_eq!(holder.pid, Some(std::process::id()));
    let host = rustix::system::uname();
    assert_eq!(holder.host.as_deref(), host.nodename().to_str().ok());
    let age = b.now() - holder.since.unwrap().as_second();
    assert!((-1..60).contains(&age), "{holder:?}");
    let other = b.lock(LockName::Fetch { mailbox: "b@x" }).unwrap().unwrap();
    drop(lock);
    let lock = take(&b);
    assert!(fence(&lock) > first && fence(&other) > first);
    assert!(a.lock(FETCH).unwrap().is_err());
}

#[test]
fn one_of_many_gets_it() {
    let engine = Engine::postgres();
    let stores: Vec<Store> = (0..3).map(|_| engine.open()).collect();
    for _ in 0..5 {
        let taken = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for store in stores.iter().chain(&stores) {
                scope.spawn(|| {
                    if let Ok(lock) = store.lock(FETCH).unwrap() {
                        super::lock(&taken).push(lock);
                    }
                });
            }
        });
        assert_eq!(taken.into_inner().unwrap().len(), 1);
    }
}

fn record(uid: u32) -> StagedRecord {
    StagedRecord {
        remote: RemoteId::from(uid),
        intent: "{}".into(),
        fingerprint: [0; 16],
        size: 1,
        about: About::default(),
    }
}

/// After another host has taken over nothing that is about to happen can be put on record, and what
/// has happened can.
#[test]
fn intentions_are_fenced_and_facts_are_not() {
    let engine = Engine::postgres();
    let (a, b) = (engine.open(), engine.open());
    let lock = take(&a);
    let folder = a.open_folder(&lock, "a@x", "INBOX", 7, None).unwrap();
    let stage = |store: &Store, lock: &Lock, uid| {
        store.stage(lock, folder.id, folder.epoch, &[record(uid)], 1)
    };
    stage(&a, &lock, 1).unwrap();
    end_all(&engine);
    let taken = take(&b);
    lock.check().unwrap();
    let err = stage(&a, &lock, 2).unwrap_err();
    assert_eq!(cause_of(&err), Some(Cause::LeaseLost), "{err:#}");
    assert!(lock.check().is_err(), "it knows now");
    assert!(a.set_mark(&lock, folder.id, "2").is_err());
    assert!(
        a.gone(&lock, folder.id, folder.epoch, &RemoteId::from(1))
            .is_err()
    );
    let open = "SELECT count(*) FROM message WHERE state = 'staged'";
    assert_eq!(engine.number(open), Some(1));
    let id = RemoteId::from(1);
    let delivered = |store: &Store, mark: &str| {
        let about = About::default();
        let arrived = Arrived {
            about: &about,
            size: 1,
            place: "there",
            delivery_id: "d",
        };
        let keep = crate::model::AfterFetch::Keep;
        store.delivered(
            folder.id,
            folder.epoch,
            &[(&id, arrived)],
            &Next {
                after: &keep,
                mark: Some(mark),
            },
            &ORIGIN,
            2,
        )
    };
    let mark = "SELECT mark::bigint FROM folder";
    delivered(&a, "9").unwrap();
    assert_eq!(engine.number(open), Some(0));
    assert_eq!(engine.number(mark), Some(9), "it is accounted for");
    stage(&b, &taken, 1).unwrap();
    assert_eq!(
        engine.number(open),
        Some(0),
        "what is delivered is not about to be"
    );
    delivered(&b, "12").unwrap();
    delivered(&a, "10").unwrap();
    assert_eq!(engine.number(mark), Some(12), "it does not go back");
    assert_eq!(engine.number("SELECT delivered FROM folder"), Some(1));
    b.open_folder(&taken, "a@x", "INBOX", 8, None).unwrap();
    delivered(&a, "13").unwrap();
    assert_eq!(engine.number(mark), None, "UIDs mean other messages now");
}

/// A lease that is over, and that nobody else has claimed, refuses as well.
#[test]
fn a_lease_that_is_over_fences() {
    let engine = Engine::postgres();
    let a = engine.open();
    let lock = take(&a);
    let folder = a.open_folder(&lock, "a@x", "INBOX", 7, None).unwrap();
    end_all(&engine);
    let err = a.set_mark(&lock, folder.id, "2").unwrap_err();
    assert_eq!(cause_of(&err), Some(Cause::LeaseLost), "{err:#}");
}

#[test]
fn it_is_renewed_while_it_is_held_and_not_longer() {
    let engine = Engine::postgres();
    let (a, b) = (engine.open_with(SHORT), engine.open_with(SHORT));
    let lock = take(&a);
    let began = Moment::now();
    while began.elapsed() < SHORT * 5 / 4 {
        lock.check().unwrap();
        assert!(b.lock(FETCH).unwrap().is_err());
        std::thread::sleep(SHORT / 10);
    }
    // As if the process had died.
    std::mem::forget(lock);
    drop(a);
    let until = engine.number("SELECT (extract(epoch FROM until) * 1000)::bigint FROM lease");
    let now = || engine.number("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint");
    let longest = i64::try_from(SHORT.as_millis()).unwrap();
    assert!(until.unwrap() - now().unwrap() <= longest);
    let died = Moment::now();
    while b.lock(FETCH).unwrap().is_err() {
        assert!(died.elapsed() < SHORT * 20, "it does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(now() >= until, "it was taken too early");
}

/// Long enough for a machine that does nothing for two seconds.
const SHORT: Duration = Duration::from_secs(5);

/// A store that cannot renew what it holds.
fn mute(engine: &Engine) -> (Store, Run) {
    let store = engine.open();
    let run = Run {
        id: format!("mute-{}", digest::hex(&digest::random::<8>().unwrap())),
        host: "mute".to_owned(),
    };
    let leases = Leases::new(Arc::clone(&store.db), run.clone(), SHORT);
    let open = Box::new(|| Err(Fault::try_later("no connection").into()));
    let locks = Locks::Leases(Shared::new(leases, open));
    (Store { locks, ..store }, run)
}

/// Who cannot renew stops before the lease is over for the others.
#[test]
fn who_cannot_renew_does_not_act() {
    let engine = Engine::postgres();
    let ((a, _), b) = (mute(&engine), engine.open());
    let began = Moment::now();
    let lock = take(&a);
    lock.check().unwrap();
    lock.check_since(began, Duration::from_secs(1)).unwrap();
    let taken = began.elapsed();
    loop {
        // It is asked after this moment, and it was taken after it began.
        let asked = began.elapsed();
        if lock.check().is_err() {
            break;
        }
        let acts = asked.saturating_sub(taken);
        assert!(acts < SHORT * 9 / 10, "there is time between");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(began.elapsed() >= SHORT * 3 / 4);
    let err = lock.check().unwrap_err();
    assert!(err.to_string().contains("no connection"), "{err}");
    // Nobody took it meanwhile: a late renewal makes it good again.
    let Locks::Leases(leases) = &a.locks else {
        panic!("no leases");
    };
    leases.renew(&a.db).unwrap();
    lock.check().unwrap();
    assert!(lock.check_since(began, Duration::from_secs(1)).is_err());
    end_all(&engine);
    let _other = take(&b);
    leases.renew(&a.db).unwrap();
    assert!(lock.check().is_err(), "it is another's");
}

/// A transaction of the holder that vanished holds on to the lease's row, in the middle of a commit.
#[test]
fn what_a_holder_that_vanished_is_still_at_is_ended() {
    let engine = Engine::postgres();
    let ((a, run), b) = (mute(&engine), engine.open());
    let began = Moment::now();
    let lock = take(&a);
    let held = format!(
        "BEGIN; SELECT queuemail_fence('fetch a@x', {}); SELECT pg_sleep(600); COMMIT",
        fence(&lock)
    );
    let mut session = engine
        .psql(&held)
        .env("PGAPPNAME", format!("queuemail/{}", run.id))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while began.elapsed() < SHORT * 9 / 10 {
        if let Ok(early) = b.lock(FETCH).unwrap() {
            assert!(began.elapsed() >= SHORT, "it holds");
            drop(early);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    std::thread::sleep(SHORT / 4);
    drop(take(&b));
    assert!(began.elapsed() < SHORT * 20);
    assert!(!session.wait().unwrap().success(), "it was ended");
}

/// The database's time is everybody's.
#[test]
fn the_time_is_the_databases() {
    let engine = Engine::postgres();
    let (a, b) = (engine.open(), engine.open());
    let locks = [
        a.lock(LockName::Fetch { mailbox: "a" }),
        b.lock(LockName::Fetch { mailbox: "b" }),
    ];
    assert!(locks.iter().flatten().all(Result::is_ok));
    let theirs = engine
        .number("SELECT extract(epoch FROM clock_timestamp())::bigint")
        .unwrap();
    for store in [&a, &b] {
        assert!((theirs - 2..=theirs + 2).contains(&store.now()));
    }
}

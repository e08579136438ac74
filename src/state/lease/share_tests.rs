//! Hosts that share mailboxes, which are stores of one database.

use super::*;
use crate::state::engines_tests::{Engine, on_both};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

const EVERY: Duration = Duration::from_secs(30);

fn mailboxes(n: usize) -> Vec<String> {
    (0..n).map(|n| format!("m{n:02}@x")).collect()
}

fn claim(store: &Store, mailboxes: &[String], most: usize) -> Vec<Claimed> {
    let claimed = store.claim_mailboxes(mailboxes, EVERY, most, &mut Vec::new());
    claimed.unwrap()
}

fn due(store: &Store, mailboxes: &[String]) -> Vec<usize> {
    let due = store
        .due_mailboxes(mailboxes, EVERY, &mut Vec::new())
        .unwrap();
    due.iter().map(|due| due.index).collect()
}

fn end(store: &Store, ended: Vec<Ended>) {
    let mut ended = ended;
    let none = store.claim_mailboxes(&[], EVERY, 8, &mut ended).unwrap();
    assert!(none.is_empty() && ended.is_empty());
}

/// As if so much time had passed.
fn passes(engine: &Engine, seconds: u32) {
    engine.script(&format!(
        "UPDATE lease SET claimed_at = claimed_at - interval '{seconds} s'"
    ));
}

#[test]
fn without_other_hosts_all_are_due() {
    on_both(|engine| {
        let store = engine.open();
        assert_eq!(due(&store, &mailboxes(3)), [0, 1, 2]);
    });
}

#[test]
fn each_host_gets_the_first_ones_that_no_other_has() {
    let engine = Engine::postgres();
    let (a, b) = (engine.open(), engine.open());
    let all = mailboxes(10);
    assert_eq!(due(&a, &all).len(), 10);
    let names = |claimed: &[Claimed]| -> Vec<String> {
        claimed.iter().map(|one| one.mailbox.clone()).collect()
    };
    let mut wanted = all.clone();
    wanted.reverse();
    let of_a = claim(&a, &wanted, 3);
    assert_eq!(names(&of_a), wanted[..3]);
    let of_b = claim(&b, &wanted, 8);
    assert_eq!(names(&of_b), wanted[3..]);
    assert!(claim(&a, &wanted, 8).is_empty());
    assert!(due(&b, &all).is_empty());
    of_a.iter()
        .chain(&of_b)
        .for_each(|one| one.lock.check().unwrap());
}

#[test]
fn what_was_visited_is_due_again_in_time_and_what_was_given_back_at_once() {
    let engine = Engine::postgres();
    let (a, b) = (engine.open(), engine.open());
    let all = mailboxes(3);
    due(&a, &all);
    let mut claimed = claim(&a, &all, 8);
    assert_eq!(claimed.len(), 3);
    let ran = Ran::new(all[0].clone(), Some("a wall".into()));
    let given_back = claimed.remove(2).given_back(None);
    let kept = claimed.remove(1);
    end(&a, vec![claimed.remove(0).visited(Some(ran)), given_back]);
    let health = a.health(&all[0]).unwrap();
    assert_eq!(health.last_error.unwrap().1, "a wall");
    assert_eq!(due(&b, &all), [2], "one is held, one was visited");
    let looked = b.due_mailboxes(&all, EVERY, &mut Vec::new()).unwrap();
    assert_eq!(looked[0].ago, None, "as if nobody had claimed it");
    passes(&engine, 31);
    assert_eq!(due(&b, &all), [0, 2]);
    let looked = b.due_mailboxes(&all, EVERY, &mut Vec::new()).unwrap();
    assert!(
        looked[0].ago.is_some_and(|ago| (31..60).contains(&ago)),
        "{looked:?}"
    );
    kept.lock.check().unwrap();
}

/// A host that was too slow asks whether another one has taken over; what it then gives back is that
/// one's all the same.
#[test]
fn who_was_too_slow_learns_whether_another_has_taken_over() {
    let engine = Engine::postgres();
    let (a, b) = (engine.open(), engine.open());
    let all = mailboxes(2);
    due(&a, &all);
    let mut of_a = claim(&a, &all, 8);
    engine.script("UPDATE lease SET until = clock_timestamp() - interval '1 s'");
    let taken: Vec<_> = of_a.iter().map(|one| one.lock.taken()).collect();
    assert!(taken.iter().all(|lock| !a.was_taken_over(lock).unwrap()));
    passes(&engine, 31);
    let of_b = claim(&b, &all[1..], 8);
    assert_eq!(of_b.len(), 1);
    let now = |a: &Store| [0, 1].map(|n: usize| a.was_taken_over(&taken[n]).unwrap());
    assert_eq!(now(&a), [false, true]);
    let ran = Ran::new(all[0].clone(), Some("too slow".into()));
    let (second, first) = (of_a.pop().unwrap(), of_a.pop().unwrap());
    end(
        &a,
        vec![first.given_back(Some(ran)), second.given_back(None)],
    );
    assert_eq!(a.health(&all[0]).unwrap().last_error.unwrap().1, "too slow");
    assert_eq!(
        due(&b, &all),
        [0],
        "it is due at once; the other one is held"
    );
    of_b[0].lock.check().unwrap();
    end(&b, of_b.into_iter().map(|one| one.visited(None)).collect());
    assert_eq!(now(&a), [false, true], "also when it is over");
}

/// The end of a visit comes with the next claim, or not at all.
#[test]
fn an_end_is_one_transaction_with_the_next_claim() {
    let engine = Engine::postgres();
    let (a, b) = (engine.open(), engine.open());
    let all = mailboxes(2);
    due(&a, &all);
    let first = claim(&a, &all[..1], 1).remove(0);
    let mut ended = vec![first.visited(Some(Ran::new(all[0].clone(), None)))];
    let second = a.claim_mailboxes(&all[1..], EVERY, 1, &mut ended).unwrap();
    assert!(ended.is_empty() && second.len() == 1);
    assert!(due(&b, &all).is_empty());
    assert!(a.health(&all[0]).unwrap().last_success.is_some());
    passes(&engine, 31);
    assert_eq!(due(&b, &all), [0]);
    let counts = "SELECT mailboxes FROM run";
    assert_eq!(engine.number(counts), Some(1));
}

/// What the card of a mailbox says is what the database says, and what is not on it is asked.
#[test]
fn a_card_says_what_is_on_record() {
    let engine = Engine::postgres();
    let store = engine.open();
    let all = mailboxes(3);
    let free = crate::state::Lock::FREE;
    let open = |mailbox: &str, valid| store.open_folder(&free, mailbox, "INBOX", valid, None);
    let (idle, busy) = (open(&all[0], 7).unwrap(), open(&all[1], 7).unwrap());
    store.set_mark(&free, idle.id, "5").unwrap();
    engine.script(&format!(
        "INSERT INTO message (folder, epoch, remote, state, settle, present, changed_at, intent)
         VALUES ({0}, 7, '0000000005', 'delivered', NULL, 0, 0, NULL),
                ({0}, 7, '0000000009', 'delivered', NULL, 1, 0, NULL),
                ({1}, 7, '0000000001', 'staged', NULL, 1, 0, '{{}}'),
                ({1}, 7, '0000000002', 'failed', NULL, 1, 0, NULL),
                ({1}, 7, '0000000003', 'delivered', 'seen', 1, 0, NULL);
         INSERT INTO wait (key, until, reason) VALUES ('mailbox {2}', 9000, 'x')",
        idle.id, busy.id, all[1]
    ));
    let says = || {
        let told = |mailbox: &String| {
            let mut said = vec![format!(
                "{:?} {:?} {:?}",
                store.wait(
                    crate::state::WaitName::Mailbox(mailbox),
                    jiff::Timestamp::UNIX_EPOCH
                ),
                store.interrupted(mailbox).unwrap().len(),
                store.folder_names(mailbox).unwrap(),
            )];
            let record = store.folder_record(mailbox, "INBOX", 7).unwrap();
            if let Some(record) = record {
                let again = store.open_folder(&free, mailbox, "INBOX", 7, None).unwrap();
                let mut due = Vec::new();
                let mut note = |id| {
                    due.push(id);
                    Ok(())
                };
                store.due(record.id, record.epoch, 5, &mut note).unwrap();
                said.push(format!(
                    "{record:?} {again:?} {due:?} {:?} {:?} {:?} {:?}",
                    store.highest(&record).unwrap(),
                    store
                        .has_left(&record, &crate::mail::RemoteId::from(5))
                        .unwrap(),
                    store
                        .has_left(&record, &crate::mail::RemoteId::from(9))
                        .unwrap(),
                    store.unsettled(record.id, record.epoch, 0, 9, 5).unwrap(),
                ));
            }
            said
        };
        all.iter().map(told).collect::<Vec<_>>()
    };
    let expected = says();
    due(&store, &all);
    let claimed = claim(&store, &all, 8);
    assert_eq!(claimed.len(), 3);
    assert_eq!(says(), expected, "by the cards");
    assert_eq!(says(), expected, "by the database");
    let renumbered = open(&all[0], 8).unwrap();
    assert_eq!((renumbered.epoch, renumbered.mark), (8, None));
    // What changes while a card is kept is told once it is said.
    end(
        &store,
        claimed
            .into_iter()
            .map(|one| one.given_back(None))
            .collect(),
    );
    let claimed = claim(&store, &all, 8);
    let again = open(&all[0], 9).unwrap();
    assert_eq!(
        (again.epoch, again.mark),
        (9, None),
        "another epoch than that of the card"
    );
    assert_eq!(claimed.len(), 3);
}

/// The heartbeat and the end of visits change the same rows all the time.
#[test]
fn neither_the_heartbeat_nor_the_end_of_visits_waits_for_the_other() {
    let engine = Engine::postgres();
    let store = engine.open_with(Duration::from_secs(60));
    let Locks::Leases(leases) = &store.locks else {
        panic!("no leases");
    };
    let all = mailboxes(40);
    due(&store, &all);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                leases.renew(&leases.0.db).unwrap();
            }
        });
        for round in 0..60 {
            passes(&engine, 31);
            let mut claimed = claim(&store, &all, 40);
            assert_eq!(claimed.len(), 40, "round {round}");
            if round % 2 == 0 {
                claimed.reverse();
            }
            let names: BTreeSet<&String> = claimed.iter().map(|one| &one.mailbox).collect();
            assert_eq!(names.len(), 40);
            end(
                &store,
                claimed.into_iter().map(|one| one.visited(None)).collect(),
            );
        }
        is_over.store(true, Ordering::Relaxed);
    });
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(engine.number(deadlocks), Some(0));
}

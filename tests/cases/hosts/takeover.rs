//! Who holds a mailbox, and what another host does about it.

use super::{At, Fleet, LONG, SHORT, name};
use crate::cases::fetch::mail_store::{MailStore, Manner};
use crate::cases::fetch::{SUPPORT, Sorted, Via, assert_same, files};
use crate::patience::{PATIENCE, until};
use crate::standin::App;
use crate::world::Running;
use std::time::{Duration, Instant};

/// Host A, whose leases hold so many seconds, hangs in the middle of the first delivery, which is
/// by a command. Gives the messages, too.
fn hanging(lease: u64, messages: usize) -> (Fleet, Vec<Vec<u8>>, Running) {
    hanging_in(lease, messages, &["fetch"], |_| ())
}

/// The same in such a run, of a fleet that is first changed.
fn hanging_in(
    lease: u64,
    messages: usize,
    run: &[&str],
    change: impl Fn(&Fleet),
) -> (Fleet, Vec<Vec<u8>>, Running) {
    // With a short lease a slow machine may find itself too slow before that: then once more.
    for _ in 0..20 {
        let fleet = with_command(SLOW);
        fleet.lease_of_a(lease);
        change(&fleet);
        let sent = fleet.desk.deliver(0..messages);
        let mut running = fleet.run(At::A, run).starts();
        until("the command begins, or the run is over", || {
            fleet.shared("began").exists() || running.is_over()
        });
        if fleet.shared("began").exists() {
            return (fleet, sent, running);
        }
    }
    panic!("the command does not begin");
}

fn with_command(script: &str) -> Fleet {
    let fleet = Fleet::new(
        Via::Imap,
        "deliver: 'command:/bin/sh {shared}/take.sh {shared}'",
    );
    std::fs::write(fleet.shared("take.sh"), script).unwrap();
    std::fs::create_dir(fleet.shared("taken")).unwrap();
    fleet
}

const SLOW: &str =
    "touch \"$1/began\"; while [ -d \"$1\" ] && [ ! -e \"$1/go\" ]; do sleep 0.05; done
cat > \"$1/taken/$QUEUEMAIL_DELIVERY_ID.$$\"\n";

#[test]
fn a_held_mailbox_is_passed_over_and_who_holds_it_is_told_when_it_was_named() {
    let (fleet, sent, running) = hanging(SHORT, 1);
    // A delivery that takes longer than a lease holds: the heartbeat renews it.
    let longer = SHORT + 1;
    let over = format!(
        "SELECT bool_and(until > clock_timestamp()
                         AND clock_timestamp() - claimed_at > interval '{longer} s')
         FROM lease WHERE name LIKE 'fetch %'"
    );
    until("it is renewed", || fleet.database.sql(&over) == "t");
    fleet.fetch(At::B).succeeds().says_nothing();
    let ran = fleet.run(At::B, &["fetch", "support"]).fails(75);
    let who = match rustix::process::geteuid().is_root() {
        true => format!("(process {} on {}, since ", running.pid(), name(At::A)),
        false => format!("(process {} on ", running.pid()),
    };
    ran.mentions("is being fetched by another queuemail")
        .mentions(&who);
    std::fs::write(fleet.shared("go"), "").unwrap();
    assert_eq!(running.ends().code, 0);
    fleet
        .run(At::B, &["fetch", "support"])
        .succeeds()
        .says_nothing();
    let taken: Vec<Vec<u8>> = files(&fleet.shared("taken")).into_values().collect();
    assert_same(&sent, &taken, "once");
}

/// A lease that ends in order is free at once, and one whose holder died is not before its time.
#[test]
fn who_died_is_waited_for() {
    let (fleet, sent, running) = hanging(LONG, 3);
    running.signal("-KILL");
    running.ends();
    fleet.leases_hold(600);
    fleet.run(At::B, &["fetch", "support"]).fails(75);
    std::fs::write(fleet.shared("go"), "").unwrap();
    let begins = Instant::now();
    fleet.leases_hold(SHORT);
    let mut ran = fleet.run(At::B, &["fetch", "support", "-v"]).ends();
    while ran.code == 75 && begins.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(100));
        ran = fleet.run(At::B, &["fetch", "support", "-v"]).ends();
    }
    assert_eq!(ran.code, 0, "{ran}");
    assert!(
        begins.elapsed() >= Duration::from_secs(SHORT),
        "it was waited for"
    );
    // What it was about to hand over may be on its way, and the others are fetched.
    let ran =
        ran.mentions("another host may still be delivering message 1; queuemail retries it in ");
    let taken = || {
        files(&fleet.shared("taken"))
            .into_values()
            .collect::<Vec<_>>()
    };
    let came = taken();
    assert_eq!(came.iter().filter(|m| **m != sent[0]).count(), 2, "{ran}");
    let before = came.len();
    fleet.hand_overs_end();
    fleet.fetch(At::B).succeeds();
    let came = taken();
    assert!(came.len() == before + 1 && came.contains(&sent[0]));
    fleet.fetch(At::A).succeeds().says_nothing();
    assert_eq!(taken().len(), came.len());
}

/// A delivery that ended with an error is over: the next host, and the next run, need not wait.
#[test]
fn after_an_orderly_end_nothing_waits() {
    let store = MailStore::start(Manner::default());
    let fleet = Fleet::new(Via::Imap, "deliver: lmtp:127.0.0.1:1");
    let sent = fleet.desk.deliver(0..3);
    fleet.fetch(At::A).fails(75);
    for at in [At::A, At::B] {
        let world = fleet.world(at);
        let config = world.config();
        let target = store.target();
        world.write_config(config.replace("deliver: lmtp:127.0.0.1:1", &target));
    }
    fleet.fetch(At::B).succeeds();
    assert_same(&sent, &store.taken().sorted(), "at once");
}

/// A fetch at a host whose clock is wrong.
fn fetch_at(fleet: &Fleet, host: At, offset: &str) -> crate::world::Run {
    let folder = format!("/usr/lib/{}-linux-gnu/faketime", std::env::consts::ARCH);
    fleet
        .fetch(host)
        .env("LD_PRELOAD", format!("{folder}/libfaketimeMT.so.1"))
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .env("FAKETIME", offset)
}

/// The clock of a host has no say in any of this.
#[test]
fn a_hosts_wrong_clock_changes_nothing() {
    for (a, b) in [("+2h", "-2h"), ("-400d", "+400d")] {
        let fleet = with_command("cat > \"$1/taken/$QUEUEMAIL_DELIVERY_ID.$$\"\n");
        let at = |host, offset: &str| fetch_at(&fleet, host, offset);
        let sent = fleet.desk.deliver(0..2);
        // As if host A had died handing the first one over, just now.
        at(At::A, a).succeeds();
        fleet.database.sql(
            "UPDATE message SET state = 'staged', delivered_to = NULL,
                    intent = '{\"again\":{\"spool\":\"/nowhere/x\",\"seconds\":360}}'
             WHERE remote = '0000000001'",
        );
        let taken = || files(&fleet.shared("taken")).len();
        assert_eq!(taken(), sent.len());
        at(At::B, b).succeeds();
        assert_eq!(
            taken(),
            sent.len(),
            "clocks at {a} and {b}: it is waited for"
        );
        fleet.hand_overs_end();
        at(At::B, b).succeeds();
        assert_eq!(taken(), sent.len() + 1, "clocks at {a} and {b}: it is over");
    }
}

/// Nor in what people are told, and how often.
#[test]
fn a_hosts_wrong_clock_has_nobody_told_again() {
    let fleet = Fleet::new(Via::Imap, "deliver: maildir:{shared}/Mail");
    let told = fleet.shared("told");
    for at in [At::A, At::B] {
        let world = fleet.world(at);
        let command = format!("[sh, -c, 'cat >> \"{}\"']", told.display());
        let notify = format!("notify:\n  after: 0s\n  command: {command}\n");
        world.write_config(world.config() + &notify);
    }
    let app = App::default().client_id;
    fleet.desk.m365.revoke(&app, SUPPORT);
    for (host, offset) in [
        (At::B, "+0s"),
        (At::A, "+3d"),
        (At::B, "+0s"),
        (At::A, "+3d"),
        (At::B, "-3d"),
    ] {
        fetch_at(&fleet, host, offset).fails(77);
    }
    let said = std::fs::read_to_string(&told).unwrap();
    assert_eq!(said.matches("\"event\"").count(), 1, "{said}");
    assert!(said.contains("\"event\":\"opened\""), "{said}");
}

/// The database is away for longer than a lease holds: nothing more is done, and a message that was
/// handed over in the meantime is on record as soon as it is back.
#[test]
fn what_is_true_is_put_on_record_once_the_database_is_back() {
    let (fleet, sent, running) = hanging(SHORT, 3);
    fleet.line.freeze();
    std::fs::write(fleet.shared("go"), "").unwrap();
    std::thread::sleep(Duration::from_secs(SHORT + 1));
    fleet.line.thaw();
    let ran = running.ends();
    assert!(matches!(ran.code, 0 | 75), "{ran}");
    fleet.leases_end();
    fleet.fetch(At::B).succeeds();
    let taken: Vec<Vec<u8>> = files(&fleet.shared("taken")).into_values().collect();
    assert_same(
        &sent,
        &taken.sorted(),
        "each once: nobody had to wait for the first",
    );
}

/// Who was frozen for longer than its lease held finds that another host goes on. That is no fault,
/// but to who named the mailbox.
#[test]
fn who_was_slow_leaves_a_mailbox_to_who_took_it_over() {
    for (args, code) in [(&["fetch"][..], 0), (&["fetch", "support"], 75)] {
        let (fleet, sent, running) = hanging_in(SHORT, 3, args, |_| ());
        running.signal("-STOP");
        fleet.database.wait_for_leases();
        std::fs::write(fleet.shared("go"), "").unwrap();
        fleet.fetch(At::B).succeeds();
        running.signal("-CONT");
        let ran = running.ends();
        assert_eq!(ran.code, code, "{args:?}\n{ran}");
        match code {
            0 => ran.says_nothing(),
            _ => ran.mentions("support@contoso.example"),
        };
        let taken: Vec<Vec<u8>> = files(&fleet.shared("taken")).into_values().collect();
        assert_same(&sent, &taken.sorted(), "each once");
        fleet.fetch(At::B).succeeds().says_nothing();
    }
}

/// The same where no other host was there: it goes on itself, in the same run.
#[test]
fn who_was_slow_and_is_alone_goes_on() {
    let (fleet, sent, running) = hanging_in(SHORT, 3, &["fetch"], |fleet| {
        let world = fleet.world(At::A);
        world.write_config(world.config().replace("every: 0s", "every: 30s"));
    });
    running.signal("-STOP");
    fleet.database.wait_for_leases();
    std::fs::write(fleet.shared("go"), "").unwrap();
    running.signal("-CONT");
    let ran = running.ends();
    assert_eq!(ran.code, 0, "{ran}");
    ran.says_nothing();
    let taken: Vec<Vec<u8>> = files(&fleet.shared("taken")).into_values().collect();
    assert_same(&sent, &taken.sorted(), "each once");
}

/// It does not come back: the run ends, and says what may come again.
#[test]
fn what_cannot_be_put_on_record_is_said() {
    // It tries for ten times as long as a lease holds: the shortest.
    let (fleet, _, running) = hanging(3, 2);
    fleet.line.cut();
    std::fs::write(fleet.shared("go"), "").unwrap();
    let ran = running.ends();
    assert_eq!(ran.code, 75, "{ran}");
    ran.mentions(
        "hint: delivered but not recorded, so it may be delivered again with the same delivery ID: message 1 (delivery ID ",
    );
    assert_eq!(files(&fleet.shared("taken")).len(), 1);
}

/// A host may stand still with the mailbox claimed, lose it, and go on with tidying up. What its
/// successor staged is on record by then: a file that is gone would count as delivered.
#[test]
fn who_lost_a_mailbox_takes_nothing_of_its_successor_away() {
    let fleet = Fleet::new(Via::Imap, "deliver: maildir:{shared}/Mail");
    fleet.desk.deliver(0..1);
    fleet.fetch(At::A).succeeds();
    let new = files(&fleet.shared("Mail/new"));
    let name = new.keys().next().unwrap();
    // The claim is the number between the last F and what names the mailbox.
    let (before, rest) = name.rsplit_once('F').expect(name);
    let (claim, whose) = rest.split_once('_').expect(name);
    let claim: u64 = claim.parse().expect(name);
    let staged = |claim: u64| {
        let path = fleet.shared(&format!("Mail/tmp/{before}0F{claim}_{whose}"));
        std::fs::write(&path, "staged").unwrap();
        path
    };
    let (earlier, later) = (staged(claim), staged(claim + 1000));
    fleet.desk.deliver(1..2);
    fleet.leases_end();
    fleet.fetch(At::B).succeeds();
    assert_eq!(files(&fleet.shared("Mail/new")).len(), 2);
    assert!(!earlier.exists(), "what a former claim left is swept away");
    assert!(
        later.exists(),
        "a later claim is not this host's to tidy up"
    );
}

//! What a shared state costs: how often a host waits for the database, which is far away.

use super::State;
use super::sharing::{Crowd, Manner};
use crate::campaign;
use crate::cases::fetch::{Desk, Via};
use crate::servers::proxy::Far;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// To the database and back.
const TRIP: Duration = Duration::from_millis(1);

/// To connect, to sign in by a password, and to part.
const CONNECTING: u64 = 4;

/// So often a run with new messages waits whatever their number: to connect; for the version of the
/// tables, what is due, the claim with the card; five times for a token, which is not kept without a key;
/// for the mark of the folder that is delivered to; for the end with another look, what is old, and what
/// fails.
const OF_A_RUN: u64 = CONNECTING + 12;

/// What a run cost.
struct Cost {
    time: Duration,
    trips: u64,
}

/// Fetches so many new messages into a Maildir; with a state in PostgreSQL, or beside it in SQLite.
fn fetch(via: Via, messages: usize, after: &str, is_shared: bool) -> Cost {
    let mail = TempDir::new().unwrap();
    let keys = format!(
        "deliver: maildir:{}/Mail\nafter_fetch: {after}",
        mail.path().display()
    );
    let desk = Desk::new(via, &keys);
    let database = State::new();
    let far = Far::to(database.server().port(), TRIP / 2);
    if is_shared {
        let config = desk.world.config();
        let state = format!("state:\n  postgres: {}\n", database.url(far.port));
        desk.world.write_config(config + &state);
    }
    // What is new to a folder is not in the figures.
    desk.deliver(0..1);
    desk.world.run(["fetch"]).succeeds();
    desk.deliver(1..messages + 1);
    if is_shared {
        database.sql("UPDATE lease SET claimed_at = claimed_at - interval '60 s'");
    }
    let (before, began) = (far.trips(), Instant::now());
    desk.world.run(["fetch"]).succeeds();
    let cost = Cost {
        time: began.elapsed(),
        trips: far.trips() - before,
    };
    let came = std::fs::read_dir(mail.path().join("Mail/new")).unwrap();
    assert_eq!(came.count(), messages + 1);
    cost
}

#[test]
fn many_messages_cost_few_round_trips() {
    let many = match campaign::whole() {
        true => 10_000,
        false => 2_000,
    };
    for (via, after, messages) in [
        (Via::Imap, "keep", 5),
        (Via::Imap, "keep", many),
        (Via::Imap, "seen", many),
        (Via::Graph, "keep", many),
    ] {
        let alone = fetch(via, messages, after, false);
        let shared = fetch(via, messages, after, true);
        let story = format!(
            "{via:?}, {after}: {messages} messages: {} round trips, {:.2} s; {:.2} s in SQLite",
            shared.trips,
            shared.time.as_secs_f64(),
            alone.time.as_secs_f64(),
        );
        println!("{story}");
        // A batch has a thousand messages, or those of half a second, and goes on record in two trips,
        // the second one with the mark. What Graph lists is held against the ledger, a thousand at a
        // time, and what the server was told goes on record, two thousand at a time.
        let thousands = messages as u64 / 1000;
        let batches = thousands + (shared.time.as_secs_f64() * 2.0) as u64 + 1;
        let beside = match (via, after) {
            (Via::Graph, _) => thousands,
            (Via::Imap, "keep") => 0,
            _ => thousands.div_ceil(2),
        };
        let most = OF_A_RUN + 2 * batches + beside;
        assert!(shared.trips <= most, "{story}; at most {most} round trips");
        if campaign::whole() {
            let more = shared.time.saturating_sub(alone.time);
            assert!(more <= Duration::from_secs(1), "{story}");
        }
    }
}

/// What such a run waits for: the version of the tables, what is due, the claim with the card, the token,
/// the end with another look, what is old, and what fails.
#[test]
fn a_lone_mailbox_without_mail_costs_few_round_trips() {
    let desk = Desk::new(Via::Imap, "deliver: maildir:Mail");
    let database = State::new();
    let far = Far::to(database.server().port(), TRIP / 2);
    let state = format!(
        "state:\n  postgres: {}\n  key: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
        database.url(far.port)
    );
    let config = desk.world.config();
    desk.world.write_config(config + &state);
    desk.deliver(0..1);
    desk.world.run(["fetch"]).succeeds();
    database.sql("UPDATE lease SET claimed_at = claimed_at - interval '60 s'");
    let before = far.trips();
    desk.world.run(["fetch"]).succeeds();
    let trips = far.trips() - before;
    println!("{trips} round trips for a mailbox without mail");
    assert!(trips <= CONNECTING + 8, "{trips} round trips");
}

#[test]
fn the_status_of_many_mailboxes_asks_no_more_than_that_of_one() {
    let crowd = Crowd::new(&Manner {
        mailboxes: 40,
        ..Manner::default()
    });
    crowd.mail_comes();
    crowd.fetch(0, &[]);
    let port = crowd.database.server().port();
    let far = Far::to(port, TRIP / 2);
    let world = &crowd.hosts[0];
    let config = world.config();
    world.write_config(config.replace(&format!(":{port}/"), &format!(":{}/", far.port)));
    let ran = crowd.run(0, &["status"]).succeeds();
    assert_eq!(ran.stdout.matches("@contoso.example").count(), 40, "{ran}");
    let trips = far.trips();
    println!("{trips} round trips for the status of 40 mailboxes");
    assert!(trips < 40, "{trips} round trips");
}

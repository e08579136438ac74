//! The promise at every crash: after runs killed at random moments, one clean run has delivered
//! each message exactly once. `QUEUEMAIL_SOAK` kills more often.

mod disk;

use super::{Office, assert_same};
use crate::campaign;
use crate::mail::odd::{self, Random};
use crate::servers::RealServers;
use crate::servers::proxy::{self, Cut};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::Duration;

fn kills() -> usize {
    match std::env::var_os("QUEUEMAIL_SOAK") {
        Some(_) => 200,
        None => 25,
    }
}

/// Messages of a mailbox: mostly small, none alike.
fn messages(seeds: std::ops::Range<u64>) -> impl Iterator<Item = Vec<u8>> {
    seeds.map(|seed| odd::sized(seed, 500 + (seed as usize * 97) % 6000))
}

#[test]
fn kill_9_at_random_moments_loses_and_repeats_nothing() {
    for after in ["keep", "delete"] {
        let office = Office::new();
        let mailbox = format!("kill-{after}@contoso.com");
        office.add_queue("kill", &mailbox, &["--after", after]);
        let mut count = 2000;
        office.servers.fill(&mailbox, "INBOX", messages(0..count));
        let mut random = Random(1 + campaign::seed() as u64);
        println!("{after}: random numbers from {}", random.0);
        let mut interrupted = 0;
        // A kill comes within so many milliseconds.
        let mut within = 400;
        for _ in 0..kills().div_ceil(2) {
            let mut child = office
                .fetch(&[])
                .command()
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let pause = random.below(within);
            std::thread::sleep(Duration::from_millis(pause));
            child.kill().unwrap();
            let status = child.wait().unwrap();
            match status.signal() {
                Some(9) => interrupted += 1,
                // On a fast machine a run is over sooner than that.
                _ => within = pause.max(50),
            }
            // There is always work left to be interrupted in.
            let new = office.maildir("kill").join("new");
            if fs::read_dir(new).is_ok_and(|new| new.count() as u64 + 200 > count) {
                office
                    .servers
                    .fill(&mailbox, "INBOX", messages(count..count + 1000));
                count += 1000;
            }
        }
        assert!(interrupted * 4 > kills(), "only {interrupted} were killed");
        office.fetch(&[]).succeeds();
        let mut expected: Vec<_> = messages(0..count).collect();
        expected.sort();
        assert_same(&expected, &office.delivered("kill"));
        let left = if after == "keep" { count } else { 0 };
        let inbox = office.servers.client(&mailbox).select("INBOX");
        assert_eq!(u64::from(inbox.exists), left);
        // And nothing is left to do.
        office.fetch(&[]).succeeds().says_nothing();
        assert_same(&expected, &office.delivered("kill"));
        println!(
            "campaign: {interrupted} random kills under load, Dovecot, {after}, {count} messages: 0 lost, 0 twice"
        );
    }
}

#[test]
fn a_connection_that_breaks_anywhere_loses_and_repeats_nothing() {
    let office = Office::new();
    let mailbox = "cut@contoso.com";
    let servers = office.servers;
    office.add_queue("cut", mailbox, &[]);
    let through = |cut| {
        let port = proxy::start(servers.imaps_port(), Duration::ZERO, cut);
        office
            .world
            .run(["server", "set", "Contoso", "--imap"])
            .arg(format!("imaps://127.0.0.1:{port}"))
            .succeeds();
    };
    servers.fill(mailbox, "INBOX", messages(0..300));
    let octets: usize = messages(0..300).map(|message| message.len()).sum();
    let mut random = Random(1 + campaign::seed() as u64);
    println!("random numbers from {}", random.0);
    for _ in 0..kills().div_ceil(3) {
        // In the handshake, at the sign-in, within a message: wherever it happens to be.
        let cut = 1 + random.below(octets as u64 / kills() as u64);
        through(Cut::All(cut));
        office.fetch(&["cut"]).fails(75);
    }
    // A run by itself goes on after a break, as long as it gets further.
    through(Cut::Each(octets as u64 / 5));
    office.fetch(&["cut"]).succeeds();
    assert_same(&office.stored(mailbox, "INBOX"), &office.delivered("cut"));
    println!(
        "campaign: {} cuts of the line, Dovecot: 0 lost, 0 twice",
        kills().div_ceil(3)
    );
}

#[test]
fn a_restarted_server_is_the_same_server() {
    // Its own: the end of the shared one would disturb the other tests.
    let servers = RealServers::start();
    let mailbox = "restart@contoso.com";
    servers.fill(mailbox, "INBOX", messages(0..50));
    let office = Office::with(&servers, &servers.imap_url());
    office.add_queue("restart", mailbox, &[]);
    office.fetch(&["restart"]).succeeds().says_nothing();
    servers.restart_dovecot();
    servers.fill(mailbox, "INBOX", messages(50..60));
    office.fetch(&["restart"]).succeeds().says_nothing();
    // In the middle of a run: it ends well or asks for another, which gets the rest.
    for round in 0..kills().div_ceil(10) as u64 {
        let from = 60 + round * 1000;
        servers.fill(mailbox, "INBOX", messages(from..from + 1000));
        let mut run = office
            .fetch(&["restart"])
            .command()
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(100 + round * 40));
        servers.restart_dovecot();
        let code = run.wait().unwrap().code();
        assert!(matches!(code, Some(0 | 75)), "{code:?}");
    }
    office.fetch(&["restart"]).succeeds().says_nothing();
    assert_same(
        &office.stored(mailbox, "INBOX"),
        &office.delivered("restart"),
    );
    println!(
        "campaign: {} restarts in the middle of a run, Dovecot: 0 lost, 0 twice",
        kills().div_ceil(10)
    );
}

//! What is staged and not on record as delivered yet: others may take it away, or a second fault may
//! come before the first one is made good.

use super::campaigns::{killed_at, make_due, makes_good};
use super::{Desk, Via, assert_same, files, mboxrd};
use crate::killed;
use crate::patience::until;
use std::fs;

const MAIL: &str = ".config/queuemail/mail";

/// Runs that are killed one after the other, until one is not: whatever the first one appended is
/// known again by each.
#[test]
fn what_was_appended_is_known_though_the_run_that_finds_it_dies_too() {
    let first = Desk::new(Via::Imap, "deliver: mbox:mail");
    first.deliver(0..3);
    let log = first.path("strace.log");
    let traced = first.fetch(&[]).under(killed::tracing(&log));
    traced.succeeds();
    // All is appended and durable then, and not on record.
    let unlocks = killed::calls(&log, |line| {
        line.starts_with("unlink(") && line.contains("/mail.lock\"")
    });
    let (call, n) = unlocks.last().expect("the lock of the mbox goes");
    let mut died = 0;
    for again in 1..=6 {
        let desk = Desk::new(Via::Imap, "deliver: mbox:mail");
        let sent = desk.deliver(0..3);
        assert_eq!(killed_at(&desk, call, *n).code, -10, "the first run");
        let appended = mboxrd(&desk.path(MAIL));
        assert_same(&sent, &appended, "the first run");
        let ran = killed_at(&desk, "unlink", again);
        died += u32::from(ran.code != 0);
        let story = format!("killed at the {again}. unlink of the next run, too");
        makes_good(&desk, &sent, |desk| mboxrd(&desk.path(MAIL)), &story);
        // What a kill left there goes with the next message.
        desk.deliver(3..4);
        desk.fetch(&[]).succeeds().says_nothing();
        let spool = files(&desk.world.state_dir().join("spool"));
        assert!(spool.is_empty(), "{story}: {:?}", spool.keys());
    }
    assert!(died > 0, "no run of these removes anything");
}

/// Somebody else takes the staged files away before they are renamed. They are not delivered, and
/// nothing may be deleted from the server.
#[test]
fn what_was_taken_away_before_it_was_delivered_is_fetched_again() {
    for (target, staging, delivered) in [
        ("maildir:mail", "mail/tmp", "mail/new"),
        ("eml:mail", "mail/.staging", "mail"),
    ] {
        let address = format!("deliver: {target}\nafter_fetch: delete");
        let desk = Desk::new(Via::Imap, &address);
        let sent = desk.deliver(0..2);
        let below = |path: &str| desk.path(".config/queuemail").join(path);
        let slow = "--inject=rename:delay_enter=3000000:when=1";
        let slow = [
            "strace",
            "-f",
            "-qq",
            "-o",
            "/dev/null",
            "--trace=rename",
            slow,
        ];
        let mut running = desk.fetch(&["support"]).under(slow).starts();
        let on_record = || {
            let count = "SELECT count(*) FROM message WHERE state = 'staged'";
            let count = desk
                .state()
                .query_row(count, [], |row| row.get::<_, u32>(0));
            count.unwrap_or(0) == 2
        };
        until("both are on record, or the run is over", || {
            running.is_over() || (desk.world.state_dir().is_dir() && on_record())
        });
        for name in files(&below(staging)).keys() {
            fs::remove_file(below(staging).join(name)).unwrap();
        }
        let ran = running.ends();
        assert_eq!(ran.code, 75, "{target}\n{ran}");
        ran.mentions("before it was delivered");
        let left = desk.m365.messages(super::SUPPORT, "INBOX").len();
        assert_eq!(left, 2, "{target}: on the server");
        make_due(&desk);
        desk.fetch(&[]).succeeds().says_nothing();
        let here = files(&below(delivered)).into_iter();
        let here = here.filter(|(name, _)| !name.ends_with(".json"));
        let here: Vec<Vec<u8>> = here.map(|(_, octets)| octets).collect();
        assert_same(&sent, &here, target);
        assert!(desk.m365.messages(super::SUPPORT, "INBOX").is_empty());
    }
}

/// Another state, as of a second installation, fetches the same mailbox into the same folder. Each
/// delivers what it fetches, and neither sweeps away what the other has staged.
#[test]
fn what_another_state_has_staged_is_left_alone() {
    let desk = Desk::new(Via::Imap, "deliver: maildir:mail");
    let sent = desk.deliver(0..3);
    let ran = killed_at(&desk, "rename", 1);
    assert_eq!(ran.code, -10, "{ran}");
    let staged = files(&desk.path(MAIL).join("tmp"));
    assert_eq!(staged.len(), 3, "{:?}", staged.keys());
    let other = desk.path("other");
    desk.fetch(&["--limit", "1"])
        .env("QUEUEMAIL_STATE_DIR", &other)
        .succeeds();
    assert_eq!(files(&desk.path(MAIL).join("tmp")), staged);
    // As on another machine, or in another container, at the same path.
    let (state, aside) = (desk.world.state_dir(), desk.path("aside"));
    fs::rename(&state, &aside).unwrap();
    desk.fetch(&["--limit", "1"]).succeeds();
    assert_eq!(files(&desk.path(MAIL).join("tmp")), staged);
    fs::remove_dir_all(&state).unwrap();
    fs::rename(&aside, &state).unwrap();
    desk.fetch(&[]).succeeds();
    let mut all = sent.clone();
    all.extend([sent[0].clone(), sent[0].clone()]);
    assert_same(&all, &desk.maildir(MAIL), "each state its own");
}

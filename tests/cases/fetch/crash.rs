//! SIGKILL at every system call that changes anything between the first octet of a message and
//! the last word to the server; after one more run every message is there, exactly once.
//!
//! `cargo test` kills at a sample of the calls; `QUEUEMAIL_SOAK=1` at each.

use super::{Desk, Sorted, Via, assert_same, files, mboxrd};
use crate::killed::{self, CALLS, Hit, stride};
use std::collections::BTreeSet;

const MESSAGES: usize = 7;

/// Kills a fetch at its n-th `call`. False when it ended before.
fn killed_at(desk: &Desk, call: &str, n: usize) -> bool {
    killed::killed_at(&desk.fetch(&[]).command(), Hit::All, call, n)
}

/// Kills a fetch at every n-th call of every kind; `delivered` reads what the delivery holds.
fn campaign(via: Via, address: &str, delivered: impl Fn(&Desk) -> Vec<Vec<u8>>) {
    let mut kills = 0;
    for call in CALLS {
        // The kinds start at different calls, so that the sample is not the same for each.
        let mut n = 1 + (call.len() * 7) % stride();
        loop {
            let desk = Desk::new(via, address);
            let sent = desk.deliver(0..MESSAGES);
            if !killed_at(&desk, call, n) {
                break;
            }
            kills += 1;
            let story = format!("killed at the {n}. {call}, {via:?}, {address}");
            let ran = desk.fetch(&[]).ends();
            assert_eq!(ran.code, 0, "{story}\n{ran}");
            assert_same(&sent, &delivered(&desk), &story);
            desk.fetch(&[]).succeeds().says_nothing();
            assert_same(
                &sent,
                &delivered(&desk),
                &format!("{story}, and a third run"),
            );
            n += stride();
        }
    }
    assert!(kills >= 5, "only {kills} kills: does strace work here?");
    println!("{kills} kills, 0 lost, 0 twice: {via:?}, {address}");
}

#[test]
fn maildir() {
    campaign(Via::Imap, "deliver: maildir:mail", |desk| {
        desk.maildir(".config/queuemail/mail")
    });
}

#[test]
fn maildir_and_delete() {
    let address = "deliver: maildir:mail\nafter_fetch: delete";
    campaign(Via::Imap, address, |desk| {
        desk.maildir(".config/queuemail/mail")
    });
}

#[test]
fn mbox_and_seen() {
    let address = "deliver: mbox:mail\nafter_fetch: seen";
    campaign(Via::Imap, address, |desk| {
        mboxrd(&desk.path(".config/queuemail/mail"))
    });
}

#[test]
fn eml_and_move() {
    let address = "deliver: eml:mail\nafter_fetch: move:Archive";
    campaign(Via::Imap, address, |desk| {
        let all = files(&desk.path(".config/queuemail/mail"));
        let (eml, json): (Vec<_>, Vec<_>) = all
            .into_iter()
            .partition(|(name, _)| name.ends_with(".eml"));
        assert_eq!(eml.len(), json.len(), "each message has its sidecar");
        eml.into_iter()
            .map(|(_, bytes)| bytes)
            .collect::<Vec<_>>()
            .sorted()
    });
}

#[test]
fn maildir_by_graph() {
    campaign(
        Via::Graph,
        "deliver: maildir:mail\nafter_fetch: seen",
        |desk| desk.maildir(".config/queuemail/mail"),
    );
}

/// A command's effect cannot be looked at: the message in flight may come again, under the same
/// delivery id.
#[test]
fn command() {
    let script = "#!/bin/sh\ncat > \"$1/$QUEUEMAIL_DELIVERY_ID.$$\"\n";
    for n in (1..).step_by(if stride() == 1 { 1 } else { 9 }) {
        let desk = Desk::new(Via::Imap, "deliver: 'command:/bin/sh take.sh taken'");
        desk.world.write("take.sh", script);
        std::fs::create_dir(desk.path("taken")).unwrap();
        let sent = desk.deliver(0..MESSAGES);
        if !killed_at(&desk, "pwrite64", n) {
            assert!(n > 5, "only {n} kills");
            break;
        }
        // The killed run's last command may still be at work.
        std::thread::sleep(std::time::Duration::from_millis(50));
        let story = format!("killed at the {n}. pwrite64");
        desk.fetch(&[]).succeeds();
        let taken = files(&desk.path("taken"));
        let ids: BTreeSet<&str> = taken.keys().filter_map(|k| k.split('.').next()).collect();
        let unique: BTreeSet<Vec<u8>> = taken.values().cloned().collect();
        assert_eq!(ids.len(), MESSAGES, "{story}: an id for each message");
        assert!(
            taken.len() <= MESSAGES + 1,
            "{story}: only the one in flight again"
        );
        assert_same(&sent, &unique.into_iter().collect::<Vec<_>>(), &story);
    }
}

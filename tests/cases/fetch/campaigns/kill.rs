//! SIGKILL at the system calls that change anything between the first octet of a message and the
//! last word to the server, and at random moments.

use super::{Campaign, Desk, Via, both, campaign, eml, maildir, makes_good, mbox};
use crate::killed::{self, Call};
use crate::world::Ran;
use std::process::Stdio;
use std::time::Duration;

pub const MESSAGES: usize = 7;

/// The calls that a run at such a desk makes; see [`killed::calls`].
pub fn calls(desk: &Desk, takes: impl Fn(&str) -> bool) -> Vec<Call> {
    let log = desk.path("strace.log");
    desk.fetch(&[]).under(killed::tracing(&log)).succeeds();
    killed::calls(&log, takes)
}

/// A run that is killed at its n-th such call, if it gets so far.
pub fn killed_at(desk: &Desk, call: &str, n: usize) -> Ran {
    desk.fetch(&[]).under(killed::killing(call, n)).ends()
}

/// Kills a fetch at calls of every kind; `delivered` reads what the delivery holds.
fn at_calls(via: Via, address: &str, delivered: impl Fn(&Desk) -> Vec<Vec<u8>>) {
    let story = format!(
        "killed at a system call, {via:?}, {}",
        address.replace('\n', ", ")
    );
    let mut campaign = Campaign::new(&story);
    let first = Desk::new(via, address);
    first.deliver(0..MESSAGES);
    let places = calls(&first, |_| true);
    for (call, n) in campaign.some_of(&places, 5) {
        let desk = Desk::new(via, address);
        let sent = desk.deliver(0..MESSAGES);
        let ran = killed_at(&desk, call, *n);
        let story = format!("{story}: the {n}. {call}");
        // Threads take turns: a run may have fewer calls of a kind than the first had.
        assert!(matches!(ran.code, 0 | -10), "{story}\n{ran}");
        if ran.code != 0 {
            campaign.fault();
        }
        makes_good(&desk, &sent, &delivered, &story);
    }
    campaign.end(3);
}

#[test]
fn maildir_and_keep() {
    both(|via| at_calls(via, "deliver: maildir:mail", maildir));
}

#[test]
fn maildir_and_delete() {
    both(|via| at_calls(via, "deliver: maildir:mail\nafter_fetch: delete", maildir));
}

#[test]
fn mbox_and_seen() {
    both(|via| at_calls(via, "deliver: mbox:mail\nafter_fetch: seen", mbox));
}

#[test]
fn eml_and_move() {
    both(|via| at_calls(via, "deliver: eml:mail\nafter_fetch: move:Archive", eml));
}

#[test]
fn at_random_moments() {
    both(|via| {
        let address = "deliver: maildir:mail\nafter_fetch: move:Done";
        let mut campaign = Campaign::new(format!("killed at a random moment, {via:?}"));
        let desk = Desk::new(via, address);
        let faults = desk.m365.faults();
        // Slow enough that each moment comes before the end.
        faults
            .graph
            .latency
            .store(20, std::sync::atomic::Ordering::SeqCst);
        *faults.imap_drip.lock().unwrap() = Some((150, Duration::from_millis(3)));
        let mut sent = Vec::new();
        let moments: Vec<u64> = (0..150).map(|n| 10 + n).collect();
        for moment in campaign.some_of(&moments, 6) {
            // There is always something to be interrupted in.
            sent.extend(desk.deliver(sent.len()..sent.len() + 30));
            let mut child = desk
                .fetch(&[])
                .command()
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            std::thread::sleep(Duration::from_millis(*moment));
            child.kill().unwrap();
            if child.wait().unwrap().code().is_none() {
                campaign.fault();
            }
        }
        makes_good(&desk, &sent, maildir, &format!("killed, {via:?}"));
        let rest = desk.m365.messages(super::SUPPORT, "INBOX").len();
        let done = desk.m365.messages(super::SUPPORT, "Done").len();
        assert_eq!((rest, done), (0, sent.len()), "{via:?}: on the server");
        campaign.end(if campaign::whole() { 50 } else { 3 });
    });
}

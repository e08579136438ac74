//! The clock: set forward and back between runs and during one. Nothing that was kept with a time
//! of a wrong clock holds up a mailbox once it is right.
//!
//! libfaketime gives the program another time than the test's.

use super::{Campaign, Desk, SUPPORT, Via, assert_same, both, campaign, maildir, makes_good};
use crate::standin::{GraphFault, ImapFault, UidFault};
use crate::world::Run;
use std::process::Stdio;
use std::time::Duration;

const FORWARD: &str = "+400d";

/// The run has a clock that is this much ahead (`+2h`) or behind (`-3d`).
pub fn at(run: Run, offset: &str) -> Run {
    let folder = format!("/usr/lib/{}-linux-gnu/faketime", std::env::consts::ARCH);
    run.env("LD_PRELOAD", format!("{folder}/libfaketimeMT.so.1"))
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .env("FAKETIME", offset)
}

#[test]
fn set_between_runs() {
    both(|via| {
        let mut campaign = Campaign::new(format!("clock set between runs, {via:?}"));
        let desk = Desk::new(via, "deliver: maildir:mail\nafter_fetch: seen");
        let offsets = [
            "+0", "+2h", "-2h", FORWARD, "-400d", "+1d", "-90s", "+90s", "-12y", "+0",
        ];
        let mut sent = Vec::new();
        let rounds = if campaign::whole() { 5 } else { 1 };
        for round in 0..rounds {
            for offset in offsets {
                sent.extend(desk.deliver(sent.len()..sent.len() + 3));
                let ran = at(desk.fetch(&[]), offset).ends();
                let story = format!("the clock at {offset}, {via:?}, round {round}");
                assert!(ran.code == 0 && ran.stderr.is_empty(), "{story}\n{ran}");
                assert_same(&sent, &maildir(&desk), &story);
                campaign.fault();
            }
        }
        makes_good(&desk, &sent, maildir, "the clock is right again");
        desk.fetch(&["--audit"]).succeeds();
        campaign.end(10);
    });
}

#[test]
fn set_during_a_run() {
    both(|via| {
        let mut campaign = Campaign::new(format!("clock set during a run, {via:?}"));
        let rounds = if campaign::whole() { 20 } else { 2 };
        let desk = Desk::new(via, "deliver: maildir:mail\nafter_fetch: delete");
        let faults = desk.m365.faults();
        faults
            .graph
            .latency
            .store(10, std::sync::atomic::Ordering::SeqCst);
        *faults.imap_drip.lock().unwrap() = Some((600, Duration::from_millis(10)));
        let file = desk.world.write("time", "+0\n");
        let mut sent = Vec::new();
        for round in 0..rounds {
            sent.extend(desk.deliver(sent.len()..sent.len() + 40));
            let run = at(desk.fetch(&[]), "+0")
                .env("FAKETIME", "")
                .env("FAKETIME_TIMESTAMP_FILE", &file)
                .env("FAKETIME_NO_CACHE", "1");
            let mut child = run.command().stderr(Stdio::piped()).spawn().unwrap();
            let mut steps = ["+3h", "-3h", FORWARD, "-400d", "+0"].iter().cycle();
            while child.try_wait().unwrap().is_none() {
                std::thread::sleep(Duration::from_millis(30 + round));
                // By a rename, so that nobody reads half of it.
                let new = desk.world.write("time.new", steps.next().unwrap());
                std::fs::rename(new, &file).unwrap();
                campaign.fault();
            }
            let out = child.wait_with_output().unwrap();
            let text = String::from_utf8_lossy(&out.stderr);
            assert!(out.status.success(), "{via:?}, {}: {text}", out.status);
        }
        makes_good(&desk, &sent, maildir, &format!("set during runs, {via:?}"));
        campaign.end(4);
    });
}

/// A wait that the server asked for when the clock was far ahead does not hold for a year.
#[test]
fn a_wait_of_a_wrong_clock_does_not_hold() {
    both(|via| {
        let desk = Desk::new(via, "deliver: maildir:mail");
        let sent = desk.deliver(0..3);
        match via {
            Via::Imap => desk.m365.faults().imap_next(
                1,
                ImapFault::Throttled {
                    milliseconds: 60_000,
                    bye: true,
                },
            ),
            Via::Graph => desk.m365.faults().graph.next(
                1,
                "/delta",
                GraphFault::Error(429, "ApplicationThrottled", "Wait.", Some(60)),
            ),
        }
        at(desk.fetch(&[]), FORWARD).fails(75);
        at(desk.fetch(&["support"]), FORWARD)
            .fails(75)
            .mentions("waits until");
        makes_good(&desk, &sent, maildir, &format!("a wait, {via:?}"));
    });
}

/// A message that failed when the clock was far ahead is tried again once it is right.
#[test]
fn a_next_attempt_of_a_wrong_clock_is_now() {
    both(|via| {
        let desk = Desk::new(via, "deliver: maildir:mail");
        let sent = desk.deliver(0..3);
        let ids = desk.m365.graph_ids(SUPPORT, "INBOX");
        let faults = desk.m365.faults();
        faults.imap_uid(SUPPORT, 2, UidFault::NoData);
        let broken = GraphFault::Error(500, "ErrorContentConversionFailed", "No.", None);
        faults.graph.next(99, &ids[1], broken);
        at(desk.fetch(&[]), FORWARD).fails(75);
        at(desk.fetch(&[]), FORWARD).succeeds().says_nothing();
        faults.imap_uid_heals(SUPPORT, 2);
        faults.graph.heal();
        makes_good(&desk, &sent, maildir, &format!("an attempt, {via:?}"));
    });
}

/// A monitor is not told that all is well for as long as the clock was ahead.
#[test]
fn a_success_of_a_wrong_clock_is_none() {
    let desk = Desk::new(Via::Imap, "deliver: maildir:mail");
    at(desk.fetch(&[]), FORWARD).succeeds();
    desk.world
        .run(["status", "--check"])
        .fails(69)
        .mentions("was last fetched when the clock was wrong, ");
    desk.fetch(&[]).succeeds();
    desk.world.run(["status", "--check"]).succeeds();
}

/// A token that was had when the clock was ahead, or that the server's clock calls expired.
#[test]
fn a_token_of_a_wrong_clock_is_had_anew() {
    both(|via| {
        let desk = Desk::new(via, "deliver: maildir:mail");
        let mut sent = desk.deliver(0..2);
        desk.m365
            .faults()
            .expires_in
            .store(3599, std::sync::atomic::Ordering::SeqCst);
        at(desk.fetch(&[]), FORWARD).succeeds();
        sent.extend(desk.deliver(2..4));
        makes_good(&desk, &sent, maildir, &format!("a token, {via:?}"));
        assert_eq!(desk.m365.token_requests().len(), 2, "{via:?}");
    });
}

/// Permissions stand in the token: one that was given since does not help before there is a new
/// one. Nobody has to know that, and a mailbox that stays closed does not cost a token each run.
#[test]
fn a_permission_that_was_given_counts_within_minutes() {
    both(|via| {
        let desk = Desk::new(via, "deliver: maildir:mail");
        let requests = || desk.m365.token_requests().len();
        let no_roles = &desk.m365.faults().no_roles;
        no_roles.store(true, std::sync::atomic::Ordering::SeqCst);
        let sent = desk.deliver(0..3);
        desk.fetch(&[]).fails(77);
        desk.fetch(&[]).fails(77);
        assert_eq!(requests(), 1, "{via:?}: the token is used again at first");
        at(desk.fetch(&[]), "+11m").fails(77);
        assert_eq!(requests(), 2, "{via:?}: an older one is replaced");
        at(desk.fetch(&[]), "+12m").fails(77);
        assert_eq!(requests(), 2, "{via:?}: once");
        no_roles.store(false, std::sync::atomic::Ordering::SeqCst);
        let ran = at(desk.fetch(&[]), "+23m").ends();
        assert!(ran.code == 0 && ran.stderr.is_empty(), "{via:?}\n{ran}");
        assert_same(&sent, &maildir(&desk), "fetched with a new token");
        assert_eq!(requests(), 3, "{via:?}");
    });
}

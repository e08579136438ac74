//! The line: a connection cut after every number of octets that the server sends, a server that
//! is started again in the middle of a run, a laptop that was closed, an access token that runs
//! out.

use super::{Campaign, Desk, SUPPORT, Via, both, campaign, maildir, makes_good};
use crate::standin::{GraphFault, ImapFault, Trick, UidFault, folder_id};
use std::process::Stdio;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

fn cut_after(desk: &Desk, octets: u64) {
    let faults = desk.m365.faults();
    faults.imap_close_after.store(octets, SeqCst);
    faults.graph.close_after.store(octets, SeqCst);
}

#[test]
fn cut_after_every_octet() {
    both(|via| {
        let address = "deliver: maildir:mail\nafter_fetch: move:Archive";
        let mut campaign = Campaign::new(format!("cut after N octets, {via:?}"));
        let places: Vec<u64> = (1..6000).step_by(7).collect();
        for octets in campaign.some_of(&places, 8) {
            let desk = Desk::new(via, address);
            let sent = desk.deliver(0..6);
            cut_after(&desk, *octets);
            let ran = desk.fetch(&[]).ends();
            let story = format!("cut after {octets} octets, {via:?}");
            // A run goes on after a break, as long as it gets further.
            assert!(matches!(ran.code, 0 | 75), "{story}\n{ran}");
            let log = desk.m365.log();
            if log.iter().any(|line| line.contains("closed on purpose")) {
                campaign.fault();
            }
            cut_after(&desk, 0);
            super::make_due(&desk);
            makes_good(&desk, &sent, maildir, &story);
            let archive = desk.m365.messages(SUPPORT, "Archive").len();
            assert_eq!(archive, sent.len(), "{story}: all are on the server");
        }
        campaign.end(4);
    });
}

#[test]
fn a_server_that_is_started_again() {
    both(|via| {
        let mut campaign = Campaign::new(format!("server started again, {via:?}"));
        let address = "deliver: maildir:mail\nafter_fetch: delete";
        let desk = Desk::new(via, address);
        let faults = desk.m365.faults();
        faults.graph.latency.store(5, SeqCst);
        *faults.imap_drip.lock().unwrap() = Some((300, Duration::from_millis(5)));
        let mut sent = Vec::new();
        let moments: Vec<u64> = (0..100).map(|n| 60 + n * 5).collect();
        for moment in campaign.some_of(&moments, 5) {
            sent.extend(desk.deliver(sent.len()..sent.len() + 40));
            let mut run = desk
                .fetch(&[])
                .command()
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            std::thread::sleep(Duration::from_millis(*moment));
            if run.try_wait().unwrap().is_none() {
                campaign.fault();
            }
            desk.m365.restart((*moment % 4) as u32);
            let code = run.wait().unwrap().code();
            assert!(matches!(code, Some(0 | 75)), "after {moment} ms: {code:?}");
            faults.drop_connections.store(0, SeqCst);
        }
        super::make_due(&desk);
        makes_good(&desk, &sent, maildir, &format!("started again, {via:?}"));
        let left = desk.m365.messages(SUPPORT, "INBOX").len();
        assert_eq!(left, 0, "{via:?}: all were deleted");
        campaign.end(if campaign::whole() { 30 } else { 2 });
    });
}

/// The server goes silent in the middle of a message: the run ends in time, the next goes on.
#[test]
fn a_line_that_falls_silent() {
    both(|via| {
        let mut campaign = Campaign::new(format!("silent in the middle of a message, {via:?}"));
        let numbers: Vec<usize> = (0..8).collect();
        for n in campaign.some_of(&numbers, 2) {
            let desk = Desk::new(via, "deliver: maildir:mail\nafter_fetch: seen");
            let sent = desk.deliver(0..8);
            let long = Duration::from_secs(100);
            match via {
                Via::Imap => {
                    desk.m365
                        .faults()
                        .imap_uid(SUPPORT, *n as u32 + 1, UidFault::Stall(long))
                }
                Via::Graph => {
                    let id = desk.m365.graph_ids(SUPPORT, "INBOX").remove(*n);
                    let stall = GraphFault::Odd(Trick::Stall(80, long));
                    desk.m365.faults().graph.next(9, &id, stall);
                }
            }
            let story = format!("silent in message {n}, {via:?}");
            let ran = desk.fetch(&["--timeout", "2"]).ends();
            assert_eq!(ran.code, 75, "{story}\n{ran}");
            assert!(
                ran.stderr.contains("did not answer in time")
                    || ran.stderr.contains("could not be fetched now"),
                "{story}\n{ran}"
            );
            campaign.fault();
            desk.m365.faults().imap_uid_heals(SUPPORT, *n as u32 + 1);
            desk.m365.faults().graph.heal();
            super::make_due(&desk);
            makes_good(&desk, &sent, maildir, &story);
        }
        campaign.end(2);
    });
}

/// The token runs out at the n-th request of a run: a new one is had, and the work goes on.
#[test]
fn a_token_that_runs_out() {
    both(|via| {
        let mut campaign = Campaign::new(format!("token ran out, {via:?}"));
        let places: Vec<u32> = match via {
            Via::Imap => (1..=4).collect(),
            Via::Graph => (0..20).collect(),
        };
        for n in campaign.some_of(&places, 3) {
            let desk = Desk::new(via, "deliver: maildir:mail\nafter_fetch: seen");
            let sent = desk.deliver(0..20);
            match via {
                Via::Imap => desk.m365.faults().imap_at(
                    *n,
                    ImapFault::Bye("Session invalidated - AccessTokenExpired".into()),
                ),
                Via::Graph => {
                    let id = desk.m365.graph_ids(SUPPORT, "INBOX").remove(*n as usize);
                    let text = "Lifetime validation failed, the token is expired.";
                    let fault = GraphFault::Error(401, "InvalidAuthenticationToken", text, None);
                    // The message is asked for again, and then the folder.
                    desk.m365.faults().graph.next(2, &id, fault.clone());
                    let folder = format!("={}", folder_id("INBOX"));
                    desk.m365.faults().graph.next(1, &folder, fault);
                }
            }
            let story = format!("the token ran out at {n}, {via:?}");
            let ran = desk.fetch(&[]).ends();
            assert!(ran.code == 0 && ran.stderr.is_empty(), "{story}\n{ran}");
            assert_eq!(
                desk.m365.token_requests().len(),
                2,
                "{story}: one token more"
            );
            campaign.fault();
            makes_good(&desk, &sent, maildir, &story);
            let inbox = desk.m365.messages(SUPPORT, "INBOX");
            let seen = inbox
                .iter()
                .filter(|m| m.flags.iter().any(|f| f == "\\Seen"));
            assert_eq!(seen.count(), 20, "{story}");
        }
        campaign.end(3);
    });
}

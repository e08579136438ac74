//! Host A is killed at a system call that changes anything, and host B takes over.

use super::{At, Campaign, Desks, Kind, Via};
use crate::campaign::whole;
use crate::cases::fetch::both;
use crate::killed;

fn at_calls(kind: Kind, via: Via) {
    let mut campaign = Campaign::new(format!(
        "host killed, another takes over, {kind:?}, {via:?}"
    ));
    let first = Desks::new(kind, via);
    let log = first.fleet.desk.path("strace.log");
    let tracing = killed::tracing(&log);
    first.fleet.run_under(At::A, &["fetch"], tracing).succeeds();
    let places = killed::calls(&log, |line| !line.starts_with("openat"));
    campaign.together(&places, 3, |(call, n)| {
        let desks = Desks::new(kind, via);
        let killing = killed::killing(call, *n);
        let killed = desks.fleet.run_under(At::A, &["fetch"], killing).ends();
        let story = format!("{kind:?}, {via:?}, killed at the {n}. {call}\n{killed}");
        // The calls of what the run starts are counted, too: then that is killed, and the run goes on.
        let its_command = kind == Kind::Command && killed.code == 75;
        assert!(matches!(killed.code, 0 | -10) || its_command, "{story}");
        // What the killed run handed over last may still be at work.
        std::thread::sleep(std::time::Duration::from_millis(50));
        desks.fleet.leases_end();
        desks.taken_over(&story);
        desks.is_good(1, &story);
        killed.code != 0
    });
    campaign.end(1);
}

#[test]
fn maildir() {
    both(|via| at_calls(Kind::Maildir, via));
}

#[test]
fn eml() {
    at_calls(Kind::Eml, Via::Imap);
    if whole() {
        at_calls(Kind::Eml, Via::Graph);
    }
}

#[test]
fn command() {
    at_calls(Kind::Command, Via::Imap);
}

#[test]
fn lmtp() {
    at_calls(Kind::Lmtp, Via::Imap);
}

//! Host A is cut off from the database, or frozen, between any two pieces of what they say, and goes
//! on later: before its lease is over, after host B has taken over, or after that what it was about
//! to hand over is taken to be over, too.

use super::{At, Campaign, Desks, Kind, Via, ended_well};
use crate::cases::hosts::{LONG, SHORT};
use crate::world::Ran;
use std::time::{Duration, Instant};

/// What befalls host A.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// Nothing passes between it and the database.
    CutOff,
    /// It is stopped.
    Frozen,
}

/// When that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Until {
    /// Its lease still holds.
    Soon,
    /// Host B has fetched what it could.
    TakenOver,
    /// Host B has done the rest, too, once the longest hand-over was over.
    HandedOver,
}

/// How long host B may take for it after the lease is over.
const TAKEN_OVER_WITHIN: Duration = Duration::from_secs(15);

/// Pieces that a run and the database send each other.
fn pieces(kind: Kind) -> u64 {
    let first = Desks::new(kind, Via::Imap);
    let before = first.fleet.line.pieces();
    first.fleet.fetch(At::A).succeeds();
    first.fleet.line.pieces() - before
}

fn campaign(kind: Kind, fault: Fault, sample: usize) {
    let mut campaign = Campaign::new(format!("host {fault:?}, {kind:?}"));
    let places: Vec<(u64, Until)> = (1..=pieces(kind))
        .flat_map(|n| [Until::Soon, Until::TakenOver, Until::HandedOver].map(|until| (n, until)))
        .filter(|(_, until)| {
            *until != Until::HandedOver || !matches!(kind, Kind::Maildir | Kind::Eml)
        })
        .collect();
    campaign.together(&places, sample, |(n, until)| once(kind, fault, *n, *until));
    campaign.end(sample / 2);
}

/// Host B fetches. What it finds locked by a session of host A, which it has the database end, it leaves
/// to its next run.
fn take_over(desks: &Desks, story: &str) -> Ran {
    let began = Instant::now();
    loop {
        let ran = desks.fleet.fetch(At::B).ends();
        assert_eq!(ran.code, 0, "{story}\n{ran}");
        let is_done = !desks.is_seen() || desks.came() == desks.sent;
        if is_done || began.elapsed() > TAKEN_OVER_WITHIN {
            return ran;
        }
    }
}

/// True where the fault took place before the run was over.
fn once(kind: Kind, fault: Fault, n: u64, until: Until) -> bool {
    let desks = Desks::new(kind, Via::Imap);
    let fleet = &desks.fleet;
    let line = &fleet.line;
    let story = format!("{kind:?}, {fault:?} at piece {n} until {until:?}");
    if until != Until::Soon {
        fleet.lease_of_a(SHORT);
    }
    line.freeze_at(n);
    let mut running = fleet.fetch(At::A).starts();
    fleet.wait_frozen(&mut running, &story);
    let took_place = !running.is_over();
    if fault == Fault::Frozen && took_place {
        running.signal("-STOP");
        line.thaw();
    }
    if until == Until::Soon {
        std::thread::sleep(Duration::from_millis(300));
    } else {
        fleet.database.wait_for_leases();
        let ran = take_over(&desks, &story);
        if desks.is_seen() {
            let story = format!("{story}\nhost B:\n{ran}");
            super::assert_same(&desks.sent, &desks.came(), &story);
        }
        if until == Until::HandedOver {
            fleet.hand_overs_end();
            let ran = fleet.fetch(At::B).ends();
            assert_eq!(ran.code, 0, "{story}\n{ran}");
        }
    }
    if fault == Fault::Frozen && took_place {
        running.signal("-CONT");
    }
    line.thaw();
    let ran = running.ends();
    let story = format!("{story}\nhost A:\n{ran}");
    ended_well(&ran, &story);
    if until == Until::Soon {
        assert_eq!(ran.code, 0, "{story}");
    }
    fleet.lease_of_a(LONG);
    fleet.leases_end();
    desks.taken_over(&story);
    desks.is_good(1, &story);
    took_place
}

#[test]
fn maildir() {
    campaign(Kind::Maildir, Fault::CutOff, 3);
}

#[test]
fn eml_frozen() {
    campaign(Kind::Eml, Fault::Frozen, 2);
}

#[test]
fn lmtp() {
    campaign(Kind::Lmtp, Fault::CutOff, 3);
}

#[test]
fn command() {
    campaign(Kind::Command, Fault::CutOff, 2);
}

#[test]
fn maildir_frozen() {
    campaign(Kind::Maildir, Fault::Frozen, 2);
}

#[test]
fn lmtp_frozen() {
    campaign(Kind::Lmtp, Fault::Frozen, 2);
}

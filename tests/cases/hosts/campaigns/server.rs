//! The database ends as in a power cut, in the middle of a run, and comes back: what it has committed
//! it still has.

use super::{At, Campaign, Desks, Kind, ended_well};
use std::time::Duration;

fn campaign(kind: Kind, sample: usize) {
    let mut campaign = Campaign::new(format!("database killed and started again, {kind:?}"));
    let places: Vec<u64> = (1..60).collect();
    campaign.together(&places, sample, |n| {
        let desks = Desks::alone(kind);
        let line = &desks.fleet.line;
        let story = format!("{kind:?}, the database ends at piece {n}");
        line.freeze_at(*n);
        let mut running = desks.fleet.fetch(At::A).starts();
        desks.fleet.wait_frozen(&mut running, &story);
        let took_place = !running.is_over();
        let database = &desks.fleet.database;
        database.server().stop();
        line.thaw();
        std::thread::sleep(Duration::from_millis(200));
        database.server().launch();
        let ran = running.ends();
        let story = format!("{story}\nhost A:\n{ran}");
        ended_well(&ran, &story);
        desks.fleet.leases_end();
        desks.taken_over(&story);
        desks.is_good(1, &story);
        took_place
    });
    campaign.end(sample / 2);
}

#[test]
fn maildir() {
    campaign(Kind::Maildir, 2);
}

#[test]
fn lmtp() {
    campaign(Kind::Lmtp, 2);
}

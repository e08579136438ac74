//! SIGKILL at the calls of a renewal: what is configured always signs in, and the next run ends
//! what was begun and leaves one credential.

use super::Office;
use super::certificates::with_two_files;
use crate::killed::{self, stride};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const RUN: [&str; 2] = ["--grace", "0s"];

fn campaign(office: &Office, step: usize, ends_well: impl Fn(&str)) {
    let log = office.world.path("calls");
    office.rotate(&RUN).under(killed::tracing(&log)).succeeds();
    ends_well("the traced run");
    let places = killed::calls(&log, |line| !line.starts_with("openat"));
    assert!(places.len() > 40, "does strace work here? {places:?}");
    let mut killed_in_the_middle = 0;
    for (call, n) in places.iter().step_by(step) {
        let killing = killed::killing(call, *n);
        let ran = office.rotate(&RUN).under(killing).ends();
        let story = format!("killed at the {n}. {call}: {ran}");
        private(&office.world.state_dir(), &story);
        office.signs_in(&story);
        let status = office.world.run(["status", "--json"]).succeeds().json();
        let left = status["rotations"].as_array().unwrap().len();
        killed_in_the_middle += usize::from(ran.code != 0 && left > 0);
        let next = office.rotate(&RUN).ends();
        assert_eq!(next.code, 0, "{story}\nthen: {next}");
        ends_well(&story);
        office.signs_in(&story);
    }
    println!(
        "campaign: {} places, {killed_in_the_middle} left something",
        places.len()
    );
    assert!(killed_in_the_middle > 1, "{killed_in_the_middle}");
}

/// Whatever is left, nobody else can read it.
fn private(folder: &Path, story: &str) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o077;
        assert_eq!(mode, 0, "{}: {story}", entry.path().display());
        if entry.path().is_dir() {
            private(&entry.path(), story);
        }
    }
}

#[test]
fn no_kill_costs_a_secret() {
    let office = Office::with_secret();
    campaign(&office, stride().div_ceil(2), |story| {
        assert_eq!(office.registered(), [office.secret()], "{story}");
        assert_eq!(office.kept(), 0, "{story}");
    });
}

#[test]
fn no_kill_costs_a_certificate_in_two_files() {
    let office = with_two_files();
    // Each run makes a key or two, which takes its time.
    campaign(&office, stride(), |story| {
        let present = fs::read_to_string(office.world.path("cert.pem")).unwrap();
        assert_eq!(office.app().certificates, [present], "{story}");
        assert_eq!(office.kept(), 0, "{story}");
    });
}

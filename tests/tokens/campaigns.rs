//! SIGKILL at every system call that changes anything while a refresh token is redeemed and its
//! successor put on record; then one more run must get a token without a person.
//!
//! Entra ID does not revoke a refresh token that was used
//! (https://learn.microsoft.com/en-us/entra/identity-platform/refresh-tokens), and neither does a
//! lenient stand-in: there no kill costs a sign-in. A strict server takes a refresh token once
//! (RFC 9700 §4.14.2). There a kill between its answer and the moment when the new one is durable
//! does, and the error says so.

use super::Home;
use crate::killed::{CALLS, Hit, killed_at, stride};
use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

/// What the kills of one campaign led to.
#[derive(Debug, Default)]
struct Count {
    kills: usize,
    /// Of these, the token endpoint had answered.
    answered: usize,
    /// Of these, the new refresh token was on record.
    recorded: usize,
    /// The next run needed a person.
    signed_out: usize,
}

/// Every whole refresh token that is kept anywhere.
fn on_record(home: &Home) -> BTreeSet<String> {
    // What a killed run left is for the next run to clean up: the test looks at a copy.
    let copy = tempfile::tempdir().unwrap();
    for name in ["state.sqlite", "state.sqlite-wal"] {
        let _ = fs::copy(home.path("state").join(name), copy.path().join(name));
    }
    let database = rusqlite::Connection::open(copy.path().join("state.sqlite")).unwrap();
    let mut statement = database
        .prepare("SELECT refresh_token FROM token WHERE refresh_token IS NOT NULL")
        .unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    let mut found: BTreeSet<String> = rows.map(Result::unwrap).collect();
    for entry in fs::read_dir(home.path("vault")).into_iter().flatten() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap_or_default();
        let record: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        if record["kind"] == "refresh" {
            found.insert(record["token"].as_str().unwrap().to_owned());
        }
    }
    found
}

fn campaign(head: &str, hit: Hit, strict: bool) -> Count {
    let mut count = Count::default();
    let sign_in = || {
        let home = Home::signed_in_person(head);
        home.standin.faults().strict_rotation.store(strict, SeqCst);
        home
    };
    let mut home = sign_in();
    for call in CALLS {
        // Of the many calls that open libraries, few are taken.
        let step = match (*call, hit) {
            ("openat", _) => stride(),
            (_, Hit::All) => 1,
            (_, Hit::Main) => stride().div_ceil(6),
        };
        for n in (1..).step_by(step) {
            let (before, kept) = (home.asked(), on_record(&home));
            let run = home.command(&["token", "get", "support", "--fresh"]);
            if !killed_at(&run, hit, call, n) {
                break;
            }
            // A program that it started may still be at work.
            std::thread::sleep(Duration::from_millis(30));
            count.kills += 1;
            let answered = home.asked() > before;
            let recorded = !on_record(&home).is_subset(&kept);
            count.answered += usize::from(answered);
            count.recorded += usize::from(recorded);
            let next = home.run(&["token", "get", "support", "--fresh"]);
            let story = format!(
                "killed at the {n}. {call}; answered: {answered}, recorded: {recorded}; {next:?}"
            );
            let window = strict && answered && !recorded;
            match next.code {
                // A store outside may have taken it while the test looked.
                0 => assert!(!window || hit == Hit::Main, "{story}"),
                _ => {
                    assert!(window, "{story}");
                    count.signed_out += 1;
                    next.fails(77)
                        .mentions("sign in again: `queuemail token login support@contoso.com`");
                    home = sign_in();
                }
            }
        }
    }
    assert!(count.kills >= 5, "does strace work here? {count:?}");
    // The sample reaches both sides of the window.
    assert!(count.answered > count.recorded, "{count:?}");
    assert!(count.recorded > 0, "{count:?}");
    println!("campaign: refresh token renewed, {head:?}, {hit:?}, strict: {strict}: {count:?}");
    count
}

#[test]
fn no_kill_costs_a_sign_in_at_a_server_like_entra() {
    campaign("", Hit::All, false);
}

#[test]
fn a_strict_server_wants_a_new_sign_in_after_a_kill_before_the_record() {
    campaign("", Hit::All, true);
}

#[test]
fn no_kill_costs_a_sign_in_with_a_store_outside() {
    campaign(super::store::COMMAND, Hit::Main, false);
}

#[test]
fn a_strict_server_with_a_store_outside() {
    campaign(super::store::COMMAND, Hit::Main, true);
}

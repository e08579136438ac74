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
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

/// What the kills of one campaign led to.
#[derive(Debug, Default)]
struct Count {
    kills: usize,
    /// Of these, the token endpoint had answered.
    answered: usize,
    /// The next run needed a person.
    signed_out: usize,
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
        // Of the many calls that open libraries, fewer are taken than of those that write.
        let step = match *call {
            "openat" => stride(),
            _ => stride().div_ceil(4),
        };
        for n in (1..).step_by(step) {
            let before = home.asked();
            let run = home.command(&["token", "get", "support", "--fresh"]);
            if !killed_at(&run, hit, call, n) {
                break;
            }
            // A program that it started may still be at work.
            std::thread::sleep(Duration::from_millis(30));
            count.kills += 1;
            let answered = home.asked() > before;
            count.answered += usize::from(answered);
            let next = home.run(&["token", "get", "support", "--fresh"]);
            match next.code {
                0 => {}
                _ if strict && answered => {
                    count.signed_out += 1;
                    next.fails(77)
                        .says("sign in again: `queuemail token login support@contoso.com`");
                    home = sign_in();
                }
                _ => panic!(
                    "killed at the {n}. {call}; strict: {strict}; answered: {answered}; then: {next:?}"
                ),
            }
        }
    }
    assert!(count.kills >= 5, "does strace work here? {count:?}");
    assert!(count.answered > 0, "no kill came late enough: {count:?}");
    println!("{head:?}, {hit:?}, strict: {strict}: {count:?}");
    count
}

#[test]
fn no_kill_costs_a_sign_in_at_a_server_like_entra() {
    let count = campaign("", Hit::All, false);
    assert_eq!(count.signed_out, 0, "{count:?}");
}

#[test]
fn a_strict_server_wants_a_new_sign_in_after_a_kill_before_the_record() {
    let count = campaign("", Hit::All, true);
    assert!(
        count.signed_out < count.answered,
        "the window is closed by the record: {count:?}"
    );
}

#[test]
fn no_kill_costs_a_sign_in_with_a_store_outside() {
    let count = campaign(super::store::COMMAND, Hit::Main, false);
    assert_eq!(count.signed_out, 0, "{count:?}");
}

#[test]
fn a_strict_server_with_a_store_outside() {
    let count = campaign(super::store::COMMAND, Hit::Main, true);
    assert!(
        count.signed_out < count.answered,
        "the window is closed by the store: {count:?}"
    );
}

//! The cache, and that many processes make one request.

use super::{Home, claims};
use crate::patience::until;
use crate::standin::{Gate, TokenFault};
use std::process::{Child, Stdio};
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

#[test]
fn a_fresh_token_comes_from_the_cache() {
    let home = Home::new();
    home.service("secret: 's3cret~+&='");
    let first = home.run(&["token", "get", "support"]).succeeds();
    let second = home
        .run(&["token", "get", "support@contoso.com"])
        .succeeds();
    let third = home
        .run(&["token", "get", "contoso", "--for", "smtp"])
        .succeeds();
    assert_eq!(first.stdout, second.stdout);
    assert_eq!(
        first.stdout, third.stdout,
        "one registration, one resource, one token"
    );
    assert_eq!(home.asked(), 1);
    let forced = home.run(&["token", "get", "support", "--fresh"]).succeeds();
    assert_ne!(first.stdout, forced.stdout);
    assert_eq!(home.asked(), 2);
    let after = home.run(&["token", "get", "support"]).succeeds();
    assert_eq!(forced.stdout, after.stdout);
}

#[test]
fn a_token_near_its_end_is_replaced() {
    let home = Home::new();
    home.service("secret: 's3cret~+&='");
    home.standin.faults().expires_in.store(2, SeqCst);
    let first = home.run(&["token", "get", "support"]).succeeds();
    std::thread::sleep(Duration::from_millis(1100));
    let second = home.run(&["token", "get", "support"]).succeeds();
    assert_ne!(first.stdout, second.stdout);
}

#[test]
fn the_cache_outlives_a_secret_that_is_gone() {
    let home = Home::new();
    home.write("secret", "s3cret~+&=\n");
    home.service("secret: {file: '{home}/secret'}");
    home.run(&["token", "get", "support"]).succeeds();
    std::fs::remove_file(home.path("secret")).unwrap();
    home.run(&["token", "get", "support"]).succeeds();
    home.run(&["token", "get", "support", "--fresh"])
        .fails(78)
        .mentions("secret");
}

/// So many runs of `token get support` at once, while the token endpoint takes its time; all
/// get the same token. Gives it.
fn at_once(runs: usize, home: &Home) -> String {
    let before = home.asked();
    home.standin
        .faults()
        .token_next(1, TokenFault::Delay(Duration::from_millis(500)));
    let children: Vec<_> = (0..runs)
        .map(|_| {
            home.command(&["token", "get", "support"])
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    let tokens: Vec<String> = children
        .into_iter()
        .map(|child| {
            super::Ran::from(child.wait_with_output().unwrap())
                .succeeds()
                .stdout
        })
        .collect();
    assert_eq!(home.asked() - before, 1);
    assert!(tokens.iter().all(|token| *token == tokens[0]));
    claims(&tokens[0]);
    tokens[0].clone()
}

#[test]
fn two_hundred_processes_make_one_request() {
    let home = Home::new();
    home.service("secret: 's3cret~+&='");
    at_once(200, &home);
}

/// The server takes each refresh token once: two requests with one would end the sign-in.
#[test]
fn two_hundred_processes_redeem_a_refresh_token_once() {
    // Those who read from a store outside start a program each.
    for (head, runs) in [("", 200), (super::store::COMMAND, 50)] {
        let home = Home::new();
        super::store::script(&home);
        home.standin.faults().strict_rotation.store(true, SeqCst);
        home.person(head, super::PASSWORD);
        // A sign-in whose access token has expired since.
        home.standin.faults().expires_in.store(1, SeqCst);
        home.run(&["token", "get", "support"]).succeeds();
        home.standin.faults().expires_in.store(0, SeqCst);
        home.person(head, "");
        std::thread::sleep(Duration::from_millis(1100));
        let token = at_once(runs, &home);
        // The rotated refresh token is on record, and it works.
        let next = home.run(&["token", "get", "support", "--fresh"]).succeeds();
        assert_ne!(next.stdout, token);
        let grants = home.standin.token_requests();
        let grants: Vec<&str> = grants.iter().map(|r| r.grant_type.as_str()).collect();
        assert_eq!(grants, ["password", "refresh_token", "refresh_token"]);
    }
}

#[test]
fn those_who_waited_for_a_failure_share_it() {
    let home = Home::new();
    home.service("secret: wrong");
    let gate = Gate::default();
    home.standin
        .faults()
        .token_next(1, TokenFault::Hold(gate.way()));
    let children: Vec<_> = (0..20)
        .map(|_| {
            home.command(&["token", "get", "support"])
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    // None is so late that it would find the failure over and ask by itself.
    until("all look at what is kept", || {
        let reads = |child: &Child| {
            let open = std::fs::read_dir(format!("/proc/{}/fd", child.id()));
            let mut files = open.unwrap().flatten();
            files.any(|file| {
                std::fs::read_link(file.path()).is_ok_and(|path| path.ends_with("state.sqlite"))
            })
        };
        children.iter().all(reads)
    });
    gate.open();
    for child in children {
        super::Ran::from(child.wait_with_output().unwrap())
            .fails(77)
            .mentions("AADSTS7000215");
    }
    let asked = home.asked();
    assert!(asked < 20, "{asked} requests for 20 processes");
    // A person who sets the secret right need not wait.
    home.service("secret: 's3cret~+&='");
    home.run(&["token", "get", "support"]).succeeds();
}

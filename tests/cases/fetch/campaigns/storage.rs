//! The disk: a call that writes fails because it is full, broken or read-only, once or from then
//! on, at the delivery and at the state alike.
//!
//! Here each call is made to fail; that a disk which is really full behaves so is shown by
//! `cases::real::campaigns`.

use super::kill::calls;
use super::{Campaign, Desk, Via, both, campaign, eml, maildir, makes_good, mbox};

const ERRORS: [&str; 4] = ["ENOSPC", "EIO", "EROFS", "EDQUOT"];

/// What a run ends with that meets such an error: nothing was lost by it, or the destination
/// cannot be written.
fn at_calls(via: Via, address: &str, delivered: impl Fn(&Desk) -> Vec<Vec<u8>>) {
    let story = format!("disk errors, {via:?}, {}", address.replace('\n', ", "));
    let mut campaign = Campaign::new(&story);
    let first = Desk::new(via, address);
    first.deliver(0..7);
    let home = first.path("").display().to_string();
    let places = calls(&first, |line| {
        let writes = !line.starts_with("openat") || line.contains("O_CREAT");
        line.contains(&home) && writes
    });
    let mut at = campaign::seed();
    for (call, n) in campaign.some_of(&places, 6) {
        let desk = Desk::new(via, address);
        let sent = desk.deliver(0..7);
        at += 1;
        let error = ERRORS[at % ERRORS.len()];
        // A disk that is full stays so for a while, but can still be read.
        let once = call == "openat" || at.is_multiple_of(3);
        let on = if once { "" } else { "+" };
        let fail = format!("--inject={call}:error={error}:when={n}{on}");
        let trace = format!("--trace={call}");
        let ran = desk
            .fetch(&[])
            .under(["strace", "-f", "-qq", "-o", "/dev/null", &trace, &fail])
            .ends();
        let story = format!("{story}: {error} at the {n}. {call}{on}");
        // Another thread's n-th `openat` may be that of a library or of /etc/hosts.
        let elsewhere = call == "openat" && matches!(ran.code, 69 | 75 | 77 | 78 | 127);
        assert!(matches!(ran.code, 0 | 73) || elsewhere, "{story}\n{ran}");
        // Standard error is written, too, and lost where `write` fails from then on.
        if ran.code == 73 && !(call == "write" && on == "+") {
            assert!(ran.stderr.contains("hint: "), "{story}: no remedy\n{ran}");
            assert!(ran.stderr.contains("HOME/"), "{story}: no path\n{ran}");
        }
        campaign.fault();
        makes_good(&desk, &sent, &delivered, &story);
    }
    campaign.end(3);
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
fn eml_and_keep() {
    both(|via| at_calls(via, "deliver: eml:mail", eml));
}

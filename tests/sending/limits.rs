//! The limits that the program keeps, and the waits that a server asks for.

use super::{MESSAGE, configure, later, office, outbox, pipe};
use crate::patience::PATIENCE;
use crate::standin::{SmtpAt, SmtpFault};
use std::time::Instant;

fn limit(home: &crate::tokens::Home, limits: &str) {
    configure(home, "user: 1b7e", &format!("    limits: {{ {limits} }}"));
}

fn files(home: &crate::tokens::Home, count: usize) -> Vec<String> {
    (0..count)
        .flat_map(|n| {
            let text = MESSAGE.replace("<1@", &format!("<{n}@"));
            let path = home.write(&format!("{n}.eml"), &text);
            ["--file".to_owned(), path.display().to_string()]
        })
        .collect()
}

#[test]
fn no_more_leave_in_a_minute_than_may_in_all_processes_together() {
    let home = office();
    limit(&home, "messages_per_minute: 3");
    let files = files(&home, 5);
    let mut args = vec!["send", "-t", "--outbox", "--json"];
    args.extend(files.iter().map(String::as_str));
    let ran = home.run(&args).succeeds();
    assert_eq!(home.standin.submitted().len(), 3, "{ran:?}");
    assert_eq!(outbox(&home).len(), 2);
    assert!(
        ran.stdout.contains(r#""accepted":3,"bytes":"#) && ran.stdout.contains(r#""kept":2"#),
        "{ran:?}"
    );
    // Another process is no other mailbox.
    pipe(&home, &["send", "-t", "--outbox"], MESSAGE.as_bytes()).succeeds();
    assert_eq!(home.standin.submitted().len(), 3);
    // Another mailbox is another.
    let other = MESSAGE.replace("support@", "billing@");
    pipe(&home, &["send", "-t"], other.as_bytes()).succeeds();
    assert_eq!(home.standin.submitted().len(), 4);
}

#[test]
fn recipients_of_a_day_are_limited() {
    let home = office();
    limit(&home, "recipients_per_day: 9");
    pipe(&home, &["send", "-t"], MESSAGE.as_bytes()).succeeds();
    pipe(&home, &["send", "-t"], MESSAGE.as_bytes()).succeeds();
    pipe(&home, &["send", "-t"], MESSAGE.as_bytes())
        .fails(75)
        .mentions("`support@contoso.com` has reached the limit of outgoing server `out`");
    pipe(&home, &["send", "a@example.com"], MESSAGE.as_bytes()).succeeds();
}

#[test]
fn a_message_to_too_many_goes_out_in_several_transactions() {
    let home = office();
    limit(&home, "recipients_per_message: 3");
    let ran = pipe(&home, &["send", "-t", "--json"], MESSAGE.as_bytes()).succeeds();
    let sent = home.standin.submitted();
    assert_eq!(sent.len(), 2);
    assert_eq!(
        sent[0].recipients,
        ["anna@example.com", "b@example.com", "c@example.com"]
    );
    assert_eq!(sent[1].recipients, ["secret@example.com"]);
    assert_eq!(sent[0].bytes, sent[1].bytes);
    assert_eq!(ran.stdout.lines().count(), 2);
    // Kept, each is a message of its own.
    home.standin
        .faults()
        .smtp_next(9, SmtpAt::Connect, SmtpFault::Reply("421 4.3.2 x".into()));
    pipe(&home, &["send", "-t", "--outbox"], MESSAGE.as_bytes()).succeeds();
    assert_eq!(outbox(&home).len(), 2);
}

#[test]
fn a_message_that_is_too_large_is_refused_before_anything_is_connected() {
    let home = office();
    limit(&home, "message_size: 100");
    pipe(&home, &["send", "-t"], MESSAGE.as_bytes())
        .fails(69)
        .mentions("accepts 100 (limits: message_size)");
    assert!(home.standin.log().is_empty());
}

#[test]
fn connections_are_shared_out_among_processes() {
    let home = office();
    // Exchange's own limit holds in the stand-in: the fourth would be refused.
    limit(&home, "connections: 3");
    home.standin.faults().smtp_next(
        6,
        SmtpAt::Dot,
        SmtpFault::Delay(std::time::Duration::from_millis(400)),
    );
    let start = Instant::now();
    let file = home.write("m", MESSAGE);
    let runs: Vec<_> = (0..6)
        .map(|_| {
            home.command(&["send", "-t"])
                .stdin(std::fs::File::open(&file).unwrap())
                .spawn()
                .unwrap()
        })
        .collect();
    for mut run in runs {
        assert!(run.wait().unwrap().success());
    }
    assert_eq!(home.standin.submitted().len(), 6);
    assert!(start.elapsed().as_millis() >= 800, "two rounds");
}

#[test]
fn a_message_with_very_many_names_takes_no_time() {
    let home = office();
    let resent: String = (0..40_000).map(|n| format!("Resent-X{n}: y\n")).collect();
    let to: Vec<String> = (0..40_000).map(|n| format!("a{n}@example.com")).collect();
    let message = format!(
        "{resent}From: support@contoso.com\nTo: {}\n\nx\n",
        to.join(",\n ")
    );
    let start = Instant::now();
    pipe(&home, &["send", "-t", "--dry-run"], message.as_bytes()).succeeds();
    let took = start.elapsed();
    assert!(
        took < PATIENCE,
        "each name once and not for each other: {took:?}"
    );
    let headers: Vec<String> = (0..1001).map(|n| format!("--header=X-{n}: y")).collect();
    let args = [
        "send",
        "--dry-run",
        "--to",
        "a@example.com",
        "-f",
        "support@contoso.com",
    ];
    let args: Vec<&str> = args
        .into_iter()
        .chain(headers.iter().map(String::as_str))
        .collect();
    home.run(&args).fails(64).mentions("the limit is 1000");
    home.run(&args[..args.len() - 1]).succeeds();
}

#[test]
fn a_busy_server_is_left_alone_by_every_process() {
    let home = office();
    let busy = "432 4.3.2 Concurrent connections limit exceeded.";
    home.standin
        .faults()
        .smtp_next(1, SmtpAt::Auth, SmtpFault::Reply(busy.into()));
    pipe(&home, &["send", "-t"], MESSAGE.as_bytes())
        .fails(75)
        .mentions(busy);
    let before = home.standin.log().len();
    pipe(&home, &["send", "-t"], MESSAGE.as_bytes())
        .fails(75)
        .mentions("outgoing server `out` requested a wait")
        .mentions(busy);
    assert_eq!(home.standin.log().len(), before, "nothing was connected");
    // What is kept comes back when the wait is over, not before.
    pipe(&home, &["send", "-t", "--outbox"], MESSAGE.as_bytes()).succeeds();
    later(&home);
    home.run(&["outbox", "flush"]).succeeds();
    assert_eq!(home.standin.submitted().len(), 1);
}

/// Nobody is its author, so that it can be sent for nobody; the outbox does not promise it either.
#[test]
fn a_message_of_no_octets_is_refused_before_anything_is_connected() {
    let home = office();
    for more in [
        &["-t"][..],
        &["anna@example.com"],
        &["--outbox", "anna@example.com"],
    ] {
        let ran = pipe(&home, &[&["send"], more].concat(), b"");
        assert_eq!(ran.code, 65, "{more:?}");
        ran.mentions("the message is empty");
    }
    assert!(home.standin.submitted().is_empty());
}

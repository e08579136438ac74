//! Delivering into Dovecot by LMTP: what a mail store takes, it has octet for octet.

use super::{Office, assert_same};
use crate::cases::tickets::{by_a_machine, by_a_person, recipe};
use crate::mail::odd;

#[test]
fn a_mail_store_takes_every_message_by_lmtp() {
    let office = Office::new();
    let mailbox = "store@contoso.com";
    office.add_queue("store", mailbox, &["--after", "move:Taken"]);
    let target = format!("lmtp:{}", office.servers.lmtp_socket().display());
    office
        .world
        .run(["queue", "set", "store", "--deliver", &target])
        .succeeds();
    let messages: Vec<_> = (0..40).map(odd::random).collect();
    office.servers.append(mailbox, "INBOX", &messages);
    // The queue's own address is the recipient: what is delivered comes into the same INBOX.
    let sent = office.stored(mailbox, "INBOX");
    office.fetch(&[]).succeeds().says_nothing();
    assert_same(&sent, &office.stored(mailbox, "Taken"));
    let mut came: Vec<_> = office
        .stored(mailbox, "INBOX")
        .iter()
        .map(|bytes| whole_lines(without_envelope(bytes)))
        .collect();
    came.sort();
    let mut sent: Vec<_> = sent.iter().map(|bytes| whole_lines(bytes)).collect();
    sent.sort();
    assert_same(&sent, &came);
}

/// The recipe of `docs/ticket-systems.md`. What comes a second time, as after a crash, has the same id.
#[test]
fn sieve_sorts_what_lmtp_brings() {
    let office = Office::new();
    let mailbox = "sieve@contoso.com";
    office.add_queue("sieve", mailbox, &["--after", "move:Taken"]);
    let target = format!("lmtp:{}", office.servers.lmtp_socket().display());
    let set = ["queue", "set", "sieve", "--deliver", &target];
    office.world.run(set).succeeds();
    let config = office.world.config();
    let config = config.replace(
        "queues:",
        "defaults:\n  stamp: true\n  language: de\nqueues:",
    );
    office.world.write_config(config);
    office.servers.sieve(mailbox, &recipe("sieve"));
    let sent = [by_a_person("A question"), by_a_machine("Out of office")];
    office.servers.append(mailbox, "INBOX", &sent);
    office.fetch(&[]).succeeds().says_nothing();
    let only = |folder: &str, subject: &str| {
        let found = office.stored(mailbox, folder);
        assert_eq!(found.len(), 1, "{folder}");
        let text = String::from_utf8_lossy(&found[0]).into_owned();
        assert!(text.contains(&format!("Subject: {subject}")), "{text}");
    };
    only("Language/de", "A question");
    only("Automatic", "Out of office");
    assert!(office.stored(mailbox, "INBOX").is_empty());
}

#[test]
fn a_store_that_is_away_loses_nothing() {
    let office = Office::new();
    let mailbox = "away@contoso.com";
    office.add_queue("away", mailbox, &["--after", "delete"]);
    office
        .world
        .run(["queue", "set", "away", "--deliver", "lmtp:/nowhere/lmtp"])
        .succeeds();
    office
        .servers
        .append(mailbox, "INBOX", &[odd::sized(1, 500)]);
    office
        .fetch(&[])
        .fails(75)
        .mentions("cannot deliver to `lmtp:/nowhere/lmtp`")
        .mentions("check that the mail store runs");
    assert_eq!(office.servers.read(mailbox, "INBOX").len(), 1);
}

/// Takes off the two fields that Dovecot puts before a message.
fn without_envelope(bytes: &[u8]) -> &[u8] {
    let mut rest = bytes;
    while rest.starts_with(b"Return-Path:") || rest.starts_with(b"Delivered-To:") {
        let end = rest.iter().position(|&b| b == b'\n').unwrap() + 1;
        rest = &rest[end..];
    }
    rest
}

/// Dovecot ends a last line that has no end.
fn whole_lines(bytes: &[u8]) -> Vec<u8> {
    let end: &[u8] = if bytes.ends_with(b"\n") { b"" } else { b"\r\n" };
    [bytes, end].concat()
}

//! Sending through Postfix to Dovecot, and fetching the mail again.

use super::{Office, assert_same};
use crate::mail::odd;
use crate::servers::RealServers;

const SENDER: &str = "support@contoso.com";

/// An office that may send as `SENDER`.
fn office(smtps: bool) -> Office<'static> {
    let office = Office::new();
    let url = match smtps {
        true => office.servers.smtps_url(),
        false => office.servers.smtp_url(),
    };
    office.add_outgoing(&url, SENDER);
    office.add_queue(
        "support",
        SENDER,
        &["--sender", "--outgoing", "Contoso out"],
    );
    office
}

/// A message without what the servers on its way put before it.
fn without_trace(bytes: &[u8]) -> Vec<u8> {
    let mut rest = bytes;
    loop {
        let is_trace = ["Return-Path:", "Delivered-To:", "Received:"]
            .iter()
            .any(|name| rest.starts_with(name.as_bytes()));
        if !is_trace {
            return rest.to_vec();
        }
        // To the end of the field, the lines that continue it included.
        loop {
            let line = rest.iter().position(|octet| *octet == b'\n').unwrap() + 1;
            rest = &rest[line..];
            if !rest.starts_with(b" ") && !rest.starts_with(b"\t") {
                break;
            }
        }
    }
}

#[test]
fn mail_goes_out_and_comes_back_octet_for_octet() {
    for (smtps, mailbox) in [
        (false, "customer@example.com"),
        (true, "customers@example.com"),
    ] {
        let office = office(smtps);
        office.add_queue("customer", mailbox, &[]);
        let mut sent: Vec<_> = odd::all()
            .into_iter()
            .filter(|odd| odd.sendable)
            .map(|odd| odd.bytes)
            .collect();
        if smtps {
            sent.push(odd::large().bytes);
        }
        let mut run = office.world.run(["send", "-f", SENDER, mailbox]);
        for (number, bytes) in sent.iter().enumerate() {
            let file = office.world.write(format!("out/{number}.eml"), bytes);
            run = run.arg("--file").arg(file);
        }
        run.succeeds();
        let came = office.servers.read_sent(mailbox, sent.len());
        let mut came: Vec<_> = came.iter().map(|m| without_trace(&m.bytes)).collect();
        came.sort();
        sent.sort();
        assert_same(&sent, &came);
        office.fetch(&["customer"]).succeeds().says_nothing();
        assert_same(
            &office.stored(mailbox, "INBOX"),
            &office.delivered("customer"),
        );
    }
}

#[test]
fn what_smtp_cannot_carry_arrives_in_other_lines_or_not_at_all() {
    let office = office(false);
    let text = String::from_utf8(odd::sized(1, 500)).unwrap();
    for (name, odd) in [("nul", "a\0b"), ("cr", "a\rb"), ("lf", "a\nb\n.\nc")] {
        let mailbox = format!("carry-{name}@example.com");
        let message = text.replacen("\r\n\r\n", &format!("\r\n\r\n{odd}\r\n"), 1);
        let send = office.world.run(["send", "-i", "-f", SENDER, &mailbox]);
        let ran = send.stdin(&message).ends();
        if ran.code == 0 {
            // Line ends in their wire form, and nothing else changed.
            let came = office.servers.read_sent(&mailbox, 1);
            let came = String::from_utf8(without_trace(&came[0].bytes)).unwrap();
            let lines = |text: &str| text.replace("\r\n", "\n").replace('\r', "\n");
            assert_eq!(lines(&came), lines(&message), "{name}");
        } else {
            // Malformed, or more than this server can.
            assert!([65, 69].contains(&ran.code), "{name}\n{ran}");
            let inbox = office.servers.client(&mailbox).select("INBOX");
            assert_eq!(inbox.exists, 0, "{name}\n{ran}");
        }
    }
}

#[test]
fn the_verdict_on_each_recipient_is_told() {
    let office = office(false);
    let message = odd::sized(7, 800);
    let send = |recipients: &[&str]| {
        office
            .world
            .run(["send", "-f", SENDER])
            .args(recipients)
            .stdin(&message)
    };
    send(&["unknown@example.com"])
        .fails(67)
        .mentions("550 5.1.1");
    send(&["later@example.com"]).fails(75).mentions("450 4.2.1");
    // The message goes to those who are accepted, and the others are named.
    let ran = send(&["verdict@example.com", "unknown@example.com"]).fails(67);
    ran.mentions("unknown@example.com");
    let came = office.servers.read_sent("verdict@example.com", 1);
    assert_eq!(without_trace(&came[0].bytes), message);
}

#[test]
fn many_messages_share_one_connection() {
    let office = office(false);
    let mailbox = "many-sent@example.com";
    let mut run = office.world.run(["send", "-f", SENDER, mailbox]);
    for seed in 0..50 {
        let file = office
            .world
            .write(format!("{seed}.eml"), odd::sized(seed, 1000));
        run = run.arg("--file").arg(file);
    }
    run.args(["--jobs", "1"]).succeeds();
    let came = office.servers.read_sent(mailbox, 50);
    let trace = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..400]).into_owned();
    assert_eq!(came.len(), 50, "{}", trace(&came[0].bytes));
    let log = office.servers.log();
    let sessions = log
        .lines()
        .filter(|line| line.contains("disconnect from") && line.contains("data=50"))
        .count();
    assert_eq!(sessions, 1, "50 messages in one session:\n{log}");
    assert_eq!(office.standin.token_requests().len(), 1);
}

/// A server that offers OAUTHBEARER (RFC 7628) and not XOAUTH2, as others than Exchange may.
#[test]
fn oauthbearer_alone_is_enough_to_read_and_to_send() {
    let servers = RealServers::start_with("oauthbearer");
    for starttls in [false, true] {
        let (imap, smtp) = match starttls {
            true => (servers.imap_starttls_url(), servers.smtp_url()),
            false => (servers.imap_url(), servers.smtps_url()),
        };
        let office = Office::with(&servers, &imap);
        let mailbox = format!("bearer-{starttls}@contoso.com");
        servers.append(&mailbox, "INBOX", &["Subject: x\r\n\r\nWell done.\r\n"]);
        office.add_outgoing(&smtp, &mailbox);
        office.add_queue(
            "bearer",
            &mailbox,
            &["--sender", "--outgoing", "Contoso out"],
        );
        let ran = office.fetch(&["-vv"]).succeeds();
        assert!(ran.stderr.contains("AUTHENTICATE OAUTHBEARER"), "{ran}");
        assert_eq!(office.delivered("bearer").len(), 1);
        let to = format!("bearer-{starttls}@example.com");
        let ran = office
            .world
            .run(["send", "-vv", "-f", &mailbox, "--to", &to])
            .args(["--subject", "x", "--text", "-"])
            .stdin("Hello.\n")
            .succeeds();
        assert!(ran.stderr.contains("AUTH OAUTHBEARER"), "{ran}");
        servers.read_sent(&to, 1);
    }
}

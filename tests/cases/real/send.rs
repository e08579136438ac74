//! Sending through Postfix to Dovecot, and fetching the mail again.

use super::{Office, assert_same};
use crate::mail::odd;
use crate::servers::proxy::{self, Cut};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

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
        let came = office.servers.read_when(mailbox, "INBOX", sent.len());
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
            let came = office.servers.read_when(&mailbox, "INBOX", 1);
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
    let came = office.servers.read_when("verdict@example.com", "INBOX", 1);
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
    let came = office.servers.read_when(mailbox, "INBOX", 50);
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

/// A bare client on one connection, as people write it in Python: how fast is that?
const PYTHON: &str = "import smtplib, ssl, sys, time
port, ca, user, password, to = sys.argv[1:6]
octets = [open(name, 'rb').read() for name in sys.argv[6:]]
context = ssl.create_default_context(cafile=ca)
with smtplib.SMTP('127.0.0.1', int(port)) as server:
    server.starttls(context=context)
    server.login(user, password)
    for message in octets:
        server.sendmail(user, [to], message)";

/// Seconds of a batch through a line with this delay each way: Python's, then ours.
fn race(office: &Office<'_>, files: &[PathBuf], delay: Duration, runs: usize) -> (f64, f64) {
    let url = office.servers.smtp_url();
    let port: u16 = url.rsplit(':').next().unwrap().parse().unwrap();
    let port = match delay.is_zero() {
        true => port,
        false => proxy::start(port, delay, Cut::Never),
    };
    office
        .world
        .run(["server", "set", "Contoso out", "--smtp"])
        .arg(format!("smtp://127.0.0.1:{port}"))
        .succeeds();
    let mailbox = &format!("batch-{}@example.com", delay.as_millis());
    let mut best = (f64::MAX, f64::MAX);
    for _ in 0..runs {
        let start = Instant::now();
        let status = Command::new("python3")
            .args(["-c", PYTHON, &port.to_string()])
            .arg(&office.ca_file)
            .args([SENDER, crate::servers::PASSWORD, mailbox.as_str()])
            .args(files)
            .status();
        assert!(status.unwrap().success());
        best.0 = start.elapsed().as_secs_f64().min(best.0);
        let start = Instant::now();
        let mut run = office.world.run(["send", "-f", SENDER, mailbox.as_str()]);
        for file in files {
            run = run.arg("--file").arg(file);
        }
        run.succeeds();
        best.1 = start.elapsed().as_secs_f64().min(best.1);
    }
    let came = office
        .servers
        .read_when(mailbox, "INBOX", 2 * runs * files.len());
    assert_eq!(came.len(), 2 * runs * files.len());
    office.servers.client(mailbox).command("DELETE INBOX");
    best
}

fn batch(office: &Office<'_>, count: u64) -> Vec<PathBuf> {
    (0..count)
        .map(|seed| {
            office
                .world
                .write(format!("{seed}.eml"), odd::sized(seed, 4096))
        })
        .collect()
}

#[test]
fn a_batch_over_a_long_line_is_four_times_as_fast_as_a_bare_client() {
    let count = match std::env::var_os("QUEUEMAIL_SOAK") {
        Some(_) => 200,
        None => 40,
    };
    let office = office(false);
    // The token is not what is measured, and neither was Python's password fetched.
    let files = batch(&office, count);
    let (python, ours) = race(&office, &files, Duration::from_millis(20), 1);
    println!(
        "{count} messages at 40 ms: Python {python:.2} s, queuemail {ours:.2} s, {:.1} times as fast",
        python / ours
    );
    assert!(
        ours * 4.0 < python,
        "Python {python:.2} s, queuemail {ours:.2} s"
    );
}

#[test]
fn a_batch_on_this_machine_is_as_fast_as_a_bare_client() {
    let office = office(false);
    let files = batch(&office, 200);
    let (python, ours) = race(&office, &files, Duration::ZERO, 3);
    println!(
        "200 messages on loopback: Python {python:.2} s, queuemail {ours:.2} s, {:.2} of it",
        ours / python
    );
    // The binary that the tests run is not optimised, and other tests run beside this one.
    assert!(
        ours < python * 2.0,
        "Python {python:.2} s, queuemail {ours:.2} s"
    );
}

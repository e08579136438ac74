//! What a session keeps, refuses and promises.

use super::{Client, Relay, text};
use crate::sending::{SUPPORT, configure, office, outbox, pipe};
use crate::tokens::Ran;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;

const SCRIPT: &str = "EHLO me\r\nMAIL FROM:<support@contoso.com> BODY=8BITMIME\r\n\
    RCPT TO:<anna@example.com>\r\nRCPT TO:<Anna@EXAMPLE.com>\r\nDATA\r\n";

#[test]
fn a_session_in_a_pipe_keeps_its_message_and_a_flush_sends_it() {
    use std::os::unix::process::CommandExt;
    let home = office();
    let script = home.write(
        "script",
        &format!("{SCRIPT}{}..x\r\n.\r\nQUIT\r\n", text(1)),
    );
    let mut command = home.command(&["-bs"]);
    command.arg0("/usr/sbin/sendmail");
    command.stdin(File::open(script).unwrap());
    let ran = Ran::from(command.output().unwrap()).succeeds();
    let codes: Vec<&str> = ran.stdout.lines().map(|line| &line[..3]).collect();
    assert!(
        codes.ends_with(&["250", "250", "250", "354", "250", "221"]),
        "{}",
        ran.stdout
    );
    assert!(
        ran.stdout.contains("250 2.0.0 ok: queued as 1\r\n"),
        "{}",
        ran.stdout
    );
    assert_eq!(ran.stderr, "");
    // Kept, and nothing else.
    assert!(home.standin.submitted().is_empty());
    let kept = outbox(&home);
    assert_eq!((kept.len(), &kept[0]["attempts"]), (1, &0.into()));
    let uid = rustix::process::getuid().as_raw();
    let by = kept[0]["submitter"].as_str().unwrap();
    assert!(by.starts_with(&format!("uid={uid} ")), "{by}");
    let shown = home.run(&["outbox", "show", "1"]).succeeds();
    assert!(
        shown.stdout.contains(&format!("submitted by: uid={uid} ")),
        "{}",
        shown.stdout
    );
    let ran = home.run(&["outbox", "flush"]).succeeds();
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", ""));
    let sent = home.standin.submitted();
    assert_eq!((sent.len(), sent[0].from.as_str()), (1, SUPPORT));
    // One and the same mailbox, as far as anybody knows; and the text as it was, but for Bcc.
    assert_eq!(sent[0].recipients, ["anna@example.com", "Anna@EXAMPLE.com"]);
    let want = text(1).replace("Bcc: secret@example.com\r\n", "") + ".x\r\n";
    assert_eq!(String::from_utf8_lossy(&sent[0].bytes), want);
    // What is said about it when asked.
    let ran = pipe(
        &home,
        &["-v", "send", "--smtp-session"],
        format!("{SCRIPT}{}.\r\n", text(2)).as_bytes(),
    )
    .succeeds();
    assert!(
        ran.stderr
            .contains("message 2: kept in the outbox, from uid="),
        "{}",
        ran.stderr
    );
}

#[test]
fn the_rules_of_every_message_hold() {
    let home = office();
    let relay = Relay::start(&home);
    let mut client = relay.tcp();
    client.ask("EHLO x", "250");
    for (from, code) in [
        ("stranger@example.com", "550 5.7.1"),
        ("reads@contoso.com", "550 5.7.1"),
        ("closed@contoso.com", "451 4.3.5"),
        ("root", "550 5.7.1"),
        ("", "250"),
    ] {
        client.ask(&format!("MAIL FROM:<{from}>"), code);
    }
    client.ask("RCPT TO:<root>", "550 5.1.3");
    client.ask("RSET", "250");
    let said = client.send(
        SUPPORT,
        "a@example.com",
        &text(1).replace(SUPPORT, "boss@contoso.com"),
    );
    assert!(
        said.starts_with("550 5.7.1 ") && said.contains("boss@contoso.com"),
        "{said}"
    );
    let said = client.send(SUPPORT, "a@example.com", "Subject: x\r\nno header\r\n\r\n");
    assert!(said.starts_with("554 5.6.0 "), "{said}");
    let said = client.send("", "a@example.com", "Subject: nobody\r\n\r\n");
    assert!(said.starts_with("554 5.6.0 "), "{said}");
    assert!(outbox(&home).is_empty());
    // Mail of this machine, once somebody stands in for it.
    configure(
        &home,
        "deliver:",
        "  sender: support@contoso.com\n  recipient: admin@example.com",
    );
    let mut client = relay.unix();
    client.ask("HELO x", "250");
    let said = client.send(
        "root@localhost",
        "root",
        "From: root (Cron Daemon)\r\nTo: root\r\n\r\nx\r\n",
    );
    assert!(said.starts_with("250 2.0.0 "), "{said}");
    home.run(&["outbox", "flush"]).succeeds();
    let sent = home.standin.submitted();
    assert_eq!(
        (sent[0].from.as_str(), &sent[0].recipients[..]),
        (SUPPORT, &["admin@example.com".to_owned()][..])
    );
    let log = relay.log();
    assert!(
        log.contains("outgoing server `closed` is disabled") && !log.contains("stranger"),
        "{log}"
    );
}

/// Nothing of what two servers could read in two ways is kept, nor anything after it.
#[test]
fn smuggling_is_refused_and_ends_the_session() {
    let home = office();
    let relay = Relay::start(&home);
    for end in [
        "\n.\n",
        "\n.\r\n",
        "\r\n.\n",
        "\r.\r",
        "\r\n.\r",
        "\0\r\n.\r\n",
        "\r.\r\n",
    ] {
        for client in [relay.unix(), relay.tcp()] {
            let mut client = client;
            client.ask("EHLO x", "250");
            client.ask(&format!("MAIL FROM:<{SUPPORT}>"), "250");
            client.ask("RCPT TO:<a@example.com>", "250");
            client.ask("DATA", "354");
            let said = client.say(&format!(
                "{}{end}MAIL FROM:<{SUPPORT}>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n{}\r\n.\r\n",
                text(1),
                text(2)
            ));
            assert!(said.starts_with("550 5.6.0 "), "{end:?}: {said}");
            assert_eq!(client.reply(), "", "{end:?}");
        }
    }
    let mut browser = TcpStream::connect(("127.0.0.1", relay.port)).unwrap();
    browser
        .write_all(format!("POST / HTTP/1.1\r\nHost: x\r\n\r\n{SCRIPT}{}.\r\n", text(3)).as_bytes())
        .unwrap();
    let mut said = String::new();
    browser.read_to_string(&mut said).unwrap();
    assert!(said.ends_with("421 4.7.0 this is SMTP\r\n"), "{said}");
    assert!(outbox(&home).is_empty());
}

#[test]
fn each_user_has_so_much_and_no_more() {
    let home = office();
    let config = fs::read_to_string(home.path("config.yaml")).unwrap();
    let limited =
        |relay: &str| home.write("config.yaml", &format!("{config}relay: {{ {relay} }}\n"));
    limited("messages_per_user: 2");
    let relay = Relay::start(&home);
    let mut client = relay.unix();
    client.ask("EHLO x", "250");
    for n in 1..3 {
        assert!(
            client
                .send(SUPPORT, "a@example.com", &text(n))
                .starts_with("250 ")
        );
    }
    client.ask(&format!("MAIL FROM:<{SUPPORT}>"), "452 4.3.1");
    // Others have their own.
    let mut other = relay.tcp();
    other.ask("EHLO x", "250");
    assert!(
        other
            .send(SUPPORT, "a@example.com", &text(3))
            .starts_with("250 ")
    );
    assert!(
        outbox(&home)[2]["submitter"]
            .as_str()
            .unwrap()
            .starts_with("host=127.0.0.1 port=")
    );
    // What has left counts no more.
    home.run(&["outbox", "flush"]).succeeds();
    assert!(
        client
            .send(SUPPORT, "a@example.com", &text(4))
            .starts_with("250 ")
    );
    limited("megabytes_per_user: 1");
    let mut client = relay.unix();
    client.ask("EHLO x", "250");
    client.ask(&format!("MAIL FROM:<{SUPPORT}> SIZE=1048577"), "452 4.3.1");
    // SIZE is a client's word, and may be wrong.
    let line = "x".repeat(70) + "\r\n";
    let large = text(5) + &line.repeat(15_000);
    assert!(
        client
            .send(SUPPORT, "a@example.com", &large)
            .starts_with("452 4.3.1 ")
    );
    assert!(
        client
            .send(SUPPORT, "a@example.com", &text(6))
            .starts_with("250 ")
    );
    assert_eq!(outbox(&home).len(), 2);
    // A session more than a user may have.
    let mut all: Vec<Client> = (0..48).map(|_| relay.unix()).collect();
    let mut refused = UnixStream::connect(&relay.socket).unwrap();
    let mut said = String::new();
    refused.read_to_string(&mut said).unwrap();
    assert!(said.starts_with("421 4.7.0 uid="), "{said}");
    all.pop();
    relay.tcp().ask("QUIT", "221");
}

#[test]
fn a_message_that_cannot_be_kept_is_not_promised() {
    let home = office();
    let relay = Relay::start(&home);
    let mut client = relay.unix();
    client.ask("EHLO x", "250");
    assert!(
        client
            .send(SUPPORT, "a@example.com", &text(1))
            .starts_with("250 ")
    );
    // As on a disk that is full.
    fs::remove_dir_all(home.path("state/outbox")).unwrap();
    fs::write(home.path("state/outbox"), "").unwrap();
    let said = client.send(SUPPORT, "a@example.com", &text(2));
    assert!(said.starts_with("452 4.3.1 "), "{said}");
    assert!(
        relay.log().contains("the relay refused a message of uid="),
        "{}",
        relay.log()
    );
    assert_eq!(outbox(&home).len(), 1);
    // Nor is anything where the configuration is in error, or the state's place is taken.
    home.write("config.yaml", "version: 2\nsecret: hush\n");
    let mut late = UnixStream::connect(&relay.socket).unwrap();
    let mut said = String::new();
    late.read_to_string(&mut said).unwrap();
    assert_eq!(
        said,
        "421 4.3.0 the relay does not work now; see its log\r\n"
    );
    relay.wait_for("version");
    // A relay whose own configuration is gone does not lead its clients to itself.
    fs::remove_file(home.path("config.yaml")).unwrap();
    let before = relay.sessions.lock().unwrap().len();
    let mut late = UnixStream::connect(&relay.socket).unwrap();
    said.clear();
    late.read_to_string(&mut said).unwrap();
    assert!(said.starts_with("421 4.3.0 "), "{said}");
    relay.wait_for("cannot read");
    assert_eq!(relay.sessions.lock().unwrap().len(), before + 1);
}

//! The unencrypted dialogue before TLS, over a real socket.

use super::super::connect::ask_for_tls;
use super::*;
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};

/// Speaks with a server that says these two things: its greeting, and its answer to STARTTLS.
fn speak(greeting: &'static str, answer: &'static str) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let server = std::thread::spawn(move || {
        let (mut peer, _) = listener.accept().unwrap();
        peer.write_all(greeting.as_bytes()).unwrap();
        let mut line = String::new();
        BufReader::new(peer.try_clone().unwrap())
            .read_line(&mut line)
            .unwrap();
        peer.write_all(answer.as_bytes()).unwrap();
        line
    });
    let stream =
        Stream::new(stream, Duration::from_secs(5)).with_longest_wait(Duration::from_millis(300));
    let mut wire = Wire::new(stream, None);
    let result = ask_for_tls(&mut wire, &place());
    drop(wire);
    let line = server.join().unwrap();
    assert!(matches!(line.as_str(), "t1 STARTTLS\r\n" | ""), "{line}");
    result
}

#[test]
fn tls_may_start_after_the_tagged_ok() {
    assert!(speak("* OK ready\r\n", "t1 OK begin\r\n").is_ok());
    assert!(
        speak(
            "* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n",
            "* OK soon\r\nt1 ok\r\n"
        )
        .is_ok()
    );
}

#[test]
fn octets_after_the_tagged_ok_are_refused() {
    let err = speak(
        "* OK ready\r\n",
        "t1 OK begin\r\n* CAPABILITY AUTH=XOAUTH2\r\n",
    )
    .unwrap_err();
    assert_eq!(fault(&err).kind, Kind::Refused);
    assert!(err.to_string().contains("before TLS"), "{err}");
}

#[test]
fn without_starttls_nothing_goes_on() {
    for (greeting, answer, kind) in [
        (
            "* OK ready\r\n",
            "t1 BAD unknown command\r\n",
            Kind::Refused,
        ),
        ("* OK ready\r\n", "t1 NO not now\r\n", Kind::Refused),
        ("* OK ready\r\n", "q1 OK\r\n", Kind::TryLater),
        ("* OK ready\r\n", "* BYE no\r\n", Kind::TryLater),
        ("* OK ready\r\n", "", Kind::TryLater),
        ("* PREAUTH ready\r\n", "", Kind::Refused),
        ("+OK POP3 ready\r\n", "", Kind::Config),
    ] {
        let err = speak(greeting, answer).unwrap_err();
        assert_eq!(fault(&err).kind, kind, "{greeting} {answer}");
    }
}

#[test]
fn a_server_that_waits_for_tls_is_recognised() {
    let err = speak("", "").unwrap_err();
    assert_eq!(fault(&err).kind, Kind::TryLater);
    assert!(fault(&err).hints[0].contains("imaps://"));
}

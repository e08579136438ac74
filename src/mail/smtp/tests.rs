//! The transport against a scripted server over real TLS, on loopback.

use super::*;
use crate::mail::Outcome;
use crate::net::TlsMode;
use native_tls::{Identity, TlsAcceptor};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{LazyLock, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

struct Authority {
    ca_file: tempfile::NamedTempFile,
    acceptor: TlsAcceptor,
}

static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca = params.self_signed(&key).unwrap();
    let issuer = rcgen::Issuer::new(params, key);
    let host_key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    // A name other than the authority's, or the chain looks self-signed.
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, "localhost");
    let host = params.signed_by(&host_key, &issuer).unwrap();
    let mut ca_file = tempfile::NamedTempFile::new().unwrap();
    ca_file.write_all(ca.pem().as_bytes()).unwrap();
    let identity =
        Identity::from_pkcs8(host.pem().as_bytes(), host_key.serialize_pem().as_bytes()).unwrap();
    Authority {
        ca_file,
        acceptor: TlsAcceptor::new(identity).unwrap(),
    }
});

trait ReadWrite: Read + Write {}
impl<T: Read + Write> ReadWrite for T {}

/// The server's end of a connection.
struct Peer {
    stream: Box<dyn ReadWrite>,
    tcp: TcpStream,
}

impl Peer {
    fn say(&mut self, text: &str) {
        let _ = self.stream.write_all(text.as_bytes());
        let _ = self.stream.write_all(b"\r\n");
        let _ = self.stream.flush();
    }

    /// One line without its end; empty when the client has left.
    fn hear(&mut self) -> String {
        let mut line = Vec::new();
        let mut octet = [0];
        while let Ok(1) = self.stream.read(&mut octet) {
            line.push(octet[0]);
            if line.ends_with(b"\r\n") {
                break;
            }
        }
        String::from_utf8(line)
            .unwrap()
            .trim_end_matches("\r\n")
            .to_owned()
    }

    #[track_caller]
    fn expect(&mut self, start: &str) -> String {
        let line = self.hear();
        assert!(line.starts_with(start), "expected {start:?}, got {line:?}");
        line
    }

    fn octets(&mut self, count: usize) -> Vec<u8> {
        let mut octets = vec![0; count];
        self.stream.read_exact(&mut octets).unwrap();
        octets
    }

    /// DATA's content as it is on the wire, final dot included.
    fn data(&mut self) -> String {
        let mut data = String::new();
        loop {
            let line = self.hear();
            data += &line;
            data += "\r\n";
            if line == "." {
                return data;
            }
        }
    }

    fn start_tls(&mut self) {
        let tls = AUTHORITY.acceptor.accept(self.tcp.try_clone().unwrap());
        self.stream = Box::new(tls.unwrap());
    }

    /// Greeting, STARTTLS and a successful sign-in; offers `extensions` inside TLS.
    fn welcome(&mut self, extensions: &[&str]) {
        self.until_auth(extensions);
        self.expect("AUTH XOAUTH2 dXNlcj11c0Bjb250b3NvLmV4YW1wbGU");
        self.say("235 2.7.0 Authentication successful");
    }

    fn until_auth(&mut self, extensions: &[&str]) {
        self.say("220 localhost Microsoft ESMTP MAIL Service ready");
        self.expect("EHLO [127.0.0.1]");
        self.say("250-localhost Hello\r\n250-SIZE 1000000\r\n250 STARTTLS");
        self.expect("STARTTLS");
        self.say("220 2.0.0 SMTP server ready");
        self.start_tls();
        self.expect("EHLO [127.0.0.1]");
        self.say("250-localhost Hello");
        for extension in extensions {
            self.say(&format!("250-{extension}"));
        }
        self.say("250 ENHANCEDSTATUSCODES");
    }
}

const EXCHANGE: &[&str] = &[
    "SIZE 157286400",
    "PIPELINING",
    "DSN",
    "AUTH LOGIN XOAUTH2",
    "8BITMIME",
    "BINARYMIME",
    "CHUNKING",
    "SMTPUTF8",
];
const PLAIN: &[&str] = &["AUTH XOAUTH2", "SIZE 100"];

/// Serves one connection after the other, one script each.
fn serve(scripts: Vec<fn(&mut Peer)>) -> (u16, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let thread = std::thread::spawn(move || {
        for script in scripts {
            let (tcp, _) = listener.accept().unwrap();
            tcp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            script(&mut Peer {
                stream: Box::new(tcp.try_clone().unwrap()),
                tcp,
            });
        }
    });
    (port, thread)
}

const TOKEN: &str = "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.c2VjcmV0";

/// What happened: each submission's result and the trace.
struct Seen {
    results: Vec<Result<Receipt>>,
    trace: String,
}

impl Seen {
    fn receipt(&self) -> &Receipt {
        self.results[0].as_ref().unwrap()
    }

    fn fault(&self) -> &crate::fault::Fault {
        self.results[0]
            .as_ref()
            .unwrap_err()
            .downcast_ref()
            .unwrap()
    }
}

fn submit_with(
    scripts: Vec<fn(&mut Peer)>,
    tls: TlsMode,
    token: &str,
    messages: &[(&[&str], &[u8])],
) -> Seen {
    let (port, thread) = serve(scripts);
    let trace = Mutex::new(String::new());
    let note = |line: &str| *trace.lock().unwrap() += &format!("{line}\n");
    let token = |_| Ok(Secret::new(token));
    let mut smtp = Smtp::new(
        Server {
            endpoint: Endpoint {
                scheme: "smtp".into(),
                tls,
                host: "localhost".into(),
                port,
            },
            settings: Settings {
                connect_timeout: Duration::from_secs(10),
                io_timeout: Duration::from_secs(10),
                ca_file: Some(AUTHORITY.ca_file.path().to_owned()),
            },
            user: "us@contoso.example".into(),
        },
        token,
        &note,
    );
    let results = messages
        .iter()
        .map(|(to, message)| {
            let envelope = Envelope {
                from: Some("us@contoso.example".into()),
                to: to.iter().map(|&a| a.to_owned()).collect(),
                ..Envelope::default()
            };
            smtp.submit(&envelope, message)
        })
        .collect();
    smtp.close();
    drop(smtp);
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
    Seen {
        results,
        trace: trace.into_inner().unwrap(),
    }
}

fn submit(script: fn(&mut Peer), to: &[&str], message: &[u8]) -> Seen {
    submit_with(vec![script], TlsMode::StartTls, TOKEN, &[(to, message)])
}

const MESSAGE: &[u8] = b"Subject: x\r\n\r\n.\r\n..two\r\n";
const A: &str = "a@example.net";
const B: &str = "b@example.net";

#[test]
fn many_messages_share_a_connection_and_dots_are_doubled() {
    let seen = submit_with(
        vec![|peer| {
            peer.welcome(EXCHANGE);
            for n in 1..=2 {
                peer.expect("MAIL FROM:<us@contoso.example> SIZE=24 BODY=7BIT");
                peer.expect("RCPT TO:<a@example.net>");
                peer.expect("RCPT TO:<b@example.net>");
                peer.expect("DATA");
                peer.say("250 2.1.0 Sender OK\r\n250 2.1.5 Recipient OK");
                peer.say("251 2.1.5 will forward\r\n354 Start mail input");
                assert_eq!(peer.data(), "Subject: x\r\n\r\n..\r\n...two\r\n.\r\n");
                peer.say(&format!(
                    "250 2.0.0 OK <{n}@prod.outlook.com> [Hostname=AM0.prod.outlook.com]"
                ));
            }
            peer.expect("QUIT");
            peer.say("221 2.0.0 bye");
        }],
        TlsMode::StartTls,
        TOKEN,
        &[(&[A, B], MESSAGE), (&[A, B], MESSAGE)],
    );
    for (n, result) in seen.results.iter().enumerate() {
        let receipt = result.as_ref().unwrap();
        assert_eq!(receipt.outcome, Outcome::Accepted);
        assert_eq!(
            receipt.message_id,
            Some(format!("<{}@prod.outlook.com>", n + 1))
        );
        assert!(receipt.refused.is_empty());
    }
    assert!(!seen.trace.contains("eyJ0"), "{}", seen.trace);
    assert!(!seen.trace.contains("dXNlcj"), "{}", seen.trace);
    assert!(
        seen.trace.contains("C: AUTH XOAUTH2 (secret)"),
        "{}",
        seen.trace
    );
}

#[test]
fn implicit_tls_needs_no_starttls() {
    let seen = submit_with(
        vec![|peer| {
            peer.start_tls();
            peer.say("220 localhost");
            peer.expect("EHLO ");
            peer.say("250-localhost\r\n250 AUTH XOAUTH2");
            peer.expect("AUTH XOAUTH2 ");
            peer.say("235 yes");
            peer.expect("MAIL FROM:<us@contoso.example>");
            peer.say("250 ok");
            peer.expect("RCPT");
            peer.say("250 ok");
            peer.expect("DATA");
            peer.say("354 go");
            peer.data();
            peer.say("250 ok");
        }],
        TlsMode::Implicit,
        TOKEN,
        &[(&[A], MESSAGE)],
    );
    assert_eq!(seen.receipt().outcome, Outcome::Accepted);
    assert_eq!(seen.receipt().message_id, None);
}

#[test]
fn octets_in_clear_after_the_220_end_the_connection() {
    let seen = submit(
        |peer| {
            peer.say("220 localhost");
            peer.expect("EHLO");
            peer.say("250-localhost\r\n250 STARTTLS");
            peer.expect("STARTTLS");
            peer.say("220 ready\r\n250-INJECTED.example\r\n250 AUTH PLAIN XOAUTH2");
            assert_eq!(peer.hear(), "", "not even a TLS handshake");
        },
        &[A],
        MESSAGE,
    );
    assert!(
        seen.fault()
            .what
            .contains("in clear after it agreed to start TLS")
    );
    assert_eq!(seen.fault().kind, Kind::Refused);
}

#[test]
fn without_starttls_nothing_goes_on() {
    let seen = submit(
        |peer| {
            peer.say("220 localhost");
            peer.expect("EHLO");
            peer.say("250-localhost\r\n250 AUTH XOAUTH2");
            assert_eq!(peer.hear(), "");
        },
        &[A],
        MESSAGE,
    );
    assert!(seen.fault().what.contains("does not offer STARTTLS"));
}

#[test]
fn what_was_offered_before_tls_is_forgotten() {
    let seen = submit(
        |peer| {
            peer.say("220 localhost");
            peer.expect("EHLO");
            peer.say("250-localhost\r\n250-AUTH XOAUTH2\r\n250 STARTTLS");
            peer.expect("STARTTLS");
            peer.say("220 ready");
            peer.start_tls();
            peer.expect("EHLO");
            peer.say("250-localhost\r\n250 AUTH LOGIN");
        },
        &[A],
        MESSAGE,
    );
    assert_eq!(seen.fault().kind, Kind::SignIn);
    assert!(
        seen.fault().what.ends_with("it offers LOGIN"),
        "{}",
        seen.fault()
    );
}

#[test]
fn an_untrusted_certificate_ends_it() {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut other = tempfile::NamedTempFile::new().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["other".to_owned()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    other.write_all(certificate.pem().as_bytes()).unwrap();
    let (port, thread) = serve(vec![|peer| {
        peer.say("220 localhost");
        peer.expect("EHLO");
        peer.say("250-localhost\r\n250 STARTTLS");
        peer.expect("STARTTLS");
        peer.say("220 ready");
        assert!(
            AUTHORITY
                .acceptor
                .accept(peer.tcp.try_clone().unwrap())
                .is_err()
        );
    }]);
    let token = |_| Ok(Secret::new(TOKEN));
    let mut smtp = Smtp::new(
        Server {
            endpoint: format!("smtp://localhost:{port}").parse().unwrap(),
            settings: Settings {
                connect_timeout: Duration::from_secs(5),
                io_timeout: Duration::from_secs(5),
                ca_file: Some(other.path().to_owned()),
            },
            user: "us@contoso.example".into(),
        },
        token,
        &|_| {},
    );
    let envelope = Envelope {
        to: vec![A.into()],
        ..Envelope::default()
    };
    let err = smtp.submit(&envelope, MESSAGE).unwrap_err();
    assert!(err.to_string().contains("is not trusted"), "{err}");
    thread.join().unwrap();
}

#[test]
fn a_refused_sign_in_keeps_the_servers_words() {
    let seen = submit(
        |peer| {
            peer.until_auth(PLAIN);
            peer.expect("AUTH XOAUTH2 ");
            peer.say("535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.");
        },
        &[A],
        MESSAGE,
    );
    assert_eq!(seen.fault().kind, Kind::SignIn);
    assert!(
        seen.fault()
            .server_said
            .as_deref()
            .unwrap()
            .starts_with("535 5.7.139 ")
    );
}

#[test]
fn a_failure_challenge_is_answered_and_decoded() {
    let seen = submit(
        |peer| {
            peer.until_auth(PLAIN);
            peer.expect("AUTH XOAUTH2 ");
            peer.say("334 eyJzdGF0dXMiOiI0MDEifQ==");
            assert_eq!(peer.hear(), "");
            peer.say("535 5.7.3 Authentication unsuccessful");
        },
        &[A],
        MESSAGE,
    );
    assert_eq!(
        seen.fault().server_said.as_deref(),
        Some("535 5.7.3 Authentication unsuccessful ({\"status\":\"401\"})")
    );
}

#[test]
fn a_temporary_refusal_of_the_sign_in_may_pass() {
    let seen = submit(
        |peer| {
            peer.until_auth(PLAIN);
            let line = peer.expect("AUTH XOAUTH2 ");
            peer.say(&format!(
                "432 4.3.2 Concurrent connections limit exceeded. {line}"
            ));
        },
        &[A],
        MESSAGE,
    );
    assert_eq!(seen.fault().kind, Kind::TryLater);
    let said = seen.fault().server_said.as_deref().unwrap();
    assert!(said.ends_with("AUTH XOAUTH2 (secret)"), "{said}");
}

#[test]
fn a_long_response_goes_on_its_own_line_and_oauthbearer_where_only_that_is_offered() {
    let long = "x".repeat(12_300);
    let seen = submit_with(
        vec![|peer| {
            peer.until_auth(&["AUTH OAUTHBEARER"]);
            assert_eq!(peer.hear(), "AUTH OAUTHBEARER");
            peer.say("334 ");
            peer.expect("bixhPXVzQGNvbnRvc28uZXhhbXBsZSwB");
            peer.say("334 e30=");
            assert_eq!(peer.hear(), "AQ==");
            peer.say("535 no");
        }],
        TlsMode::StartTls,
        &long,
        &[(&[A], MESSAGE)],
    );
    assert_eq!(seen.fault().server_said.as_deref(), Some("535 no ({})"));
}

#[test]
fn each_recipient_has_its_own_fate() {
    let seen = submit(
        |peer| {
            peer.welcome(PLAIN);
            peer.expect("MAIL");
            peer.say("250 ok");
            peer.expect("RCPT TO:<a@");
            peer.say("550 5.1.10 RESOLVER.ADR.RecipientNotFound");
            peer.expect("RCPT TO:<b@");
            peer.say("250 ok");
            peer.expect("RCPT TO:<c@");
            peer.say("452-4.5.3 too\r\n452 4.5.3 many");
            peer.expect("DATA");
            peer.say("354 go");
            peer.data();
            peer.say("250 ok");
        },
        &[A, B, "c@example.net"],
        MESSAGE,
    );
    let receipt = seen.receipt();
    assert_eq!(receipt.outcome, Outcome::Accepted);
    let kinds: Vec<Kind> = receipt.refused.iter().map(|r| r.kind()).collect();
    assert_eq!(kinds, [Kind::UnknownRecipient, Kind::TryLater]);
    assert_eq!(receipt.refused[1].server_said, "452 4.5.3 too 4.5.3 many");
}

#[test]
fn a_message_for_nobody_is_not_sent_and_the_next_begins_anew() {
    let seen = submit_with(
        vec![|peer| {
            peer.welcome(PLAIN);
            peer.expect("MAIL");
            peer.say("250 ok");
            peer.expect("RCPT");
            peer.say("550 5.7.60 not as this sender");
            peer.expect("RSET");
            peer.say("250 ok");
            peer.expect("MAIL");
            peer.say("554 5.2.0 SubmissionQuotaExceededException");
        }],
        TlsMode::StartTls,
        TOKEN,
        &[(&[A], MESSAGE), (&[A], MESSAGE)],
    );
    assert_eq!(seen.receipt().outcome, Outcome::Refused { for_good: true });
    assert_eq!(seen.receipt().refused[0].kind(), Kind::Refused);
    let second = seen.results[1].as_ref().unwrap();
    assert_eq!(second.outcome, Outcome::Refused { for_good: true });
    assert!(
        second
            .server_said
            .as_deref()
            .unwrap()
            .starts_with("554 5.2.0")
    );
}

#[test]
fn a_go_ahead_for_nobody_ends_the_connection_without_a_message() {
    let seen = submit(
        |peer| {
            peer.welcome(EXCHANGE);
            peer.expect("MAIL");
            peer.expect("RCPT");
            peer.expect("DATA");
            peer.say("250 ok\r\n450 4.2.1 later\r\n354 go");
            assert_eq!(peer.hear(), "");
        },
        &[A],
        MESSAGE,
    );
    assert_eq!(seen.receipt().outcome, Outcome::Refused { for_good: false });
}

#[test]
fn a_connection_that_dies_after_the_final_dot_leaves_the_outcome_unknown() {
    let seen = submit(
        |peer| {
            peer.welcome(PLAIN);
            peer.expect("MAIL");
            peer.say("250 ok");
            peer.expect("RCPT");
            peer.say("250 ok");
            peer.expect("DATA");
            peer.say("354 go");
            peer.data();
        },
        &[A],
        MESSAGE,
    );
    assert_eq!(seen.receipt().outcome, Outcome::Unknown);
    assert!(seen.receipt().why.is_some());
}

#[test]
fn an_answer_that_the_final_dot_cannot_have_is_unknown() {
    let seen = submit(
        |peer| {
            peer.welcome(PLAIN);
            peer.expect("MAIL");
            peer.say("250 ok");
            peer.expect("RCPT");
            peer.say("250 ok");
            peer.expect("DATA");
            peer.say("354 go");
            peer.data();
            peer.say("354 go on");
        },
        &[A],
        MESSAGE,
    );
    assert_eq!(seen.receipt().outcome, Outcome::Unknown);
}

#[test]
fn a_connection_that_dies_before_the_final_dot_is_certainly_not_accepted() {
    let seen = submit(
        |peer| {
            peer.welcome(PLAIN);
            peer.expect("MAIL");
            peer.say("250 ok");
            peer.expect("RCPT");
            peer.say("250 ok");
            peer.expect("DATA");
        },
        &[A],
        MESSAGE,
    );
    assert_eq!(seen.fault().kind, Kind::TryLater);
}

#[test]
fn an_idle_connection_that_was_closed_is_opened_again_once() {
    fn one(peer: &mut Peer) {
        peer.welcome(EXCHANGE);
        peer.expect("MAIL");
        peer.expect("RCPT");
        peer.expect("DATA");
        peer.say("250 ok\r\n250 ok\r\n354 go");
        peer.data();
        peer.say("250 ok");
    }
    let seen = submit_with(
        vec![
            |peer| {
                one(peer);
                peer.say("421 4.4.1 Connection timed out");
            },
            one,
        ],
        TlsMode::StartTls,
        TOKEN,
        &[(&[A], MESSAGE), (&[A], MESSAGE)],
    );
    for result in &seen.results {
        assert_eq!(result.as_ref().unwrap().outcome, Outcome::Accepted);
    }
}

#[test]
fn what_data_cannot_carry_goes_as_a_chunk() {
    let seen = submit_with(
        vec![|peer| {
            peer.welcome(EXCHANGE);
            for (body, octets) in [
                ("BINARYMIME", &b"Subject: x\r\n\r\n\n.\r\n\0"[..]),
                ("8BITMIME", b"Subject: x\r\n\r\n\xe4"),
            ] {
                peer.expect(&format!(
                    "MAIL FROM:<us@contoso.example> SIZE={} BODY={body}",
                    octets.len()
                ));
                peer.expect("RCPT");
                peer.say("250 ok\r\n250 ok");
                peer.expect(&format!("BDAT {} LAST", octets.len()));
                assert_eq!(peer.octets(octets.len()), octets);
                peer.say("250 2.0.0 OK");
            }
        }],
        TlsMode::StartTls,
        TOKEN,
        &[
            (&[A], b"Subject: x\r\n\r\n\n.\r\n\0"),
            (&[A], b"Subject: x\r\n\r\n\xe4"),
        ],
    );
    for result in &seen.results {
        assert_eq!(result.as_ref().unwrap().outcome, Outcome::Accepted);
    }
}

#[test]
fn what_the_server_cannot_carry_is_refused_before_it_hears_of_it() {
    let seen = submit_with(
        vec![|peer| {
            peer.welcome(PLAIN);
            peer.expect("QUIT");
            peer.say("221 bye");
        }],
        TlsMode::StartTls,
        TOKEN,
        &[
            (&[A], &[b'x'; 101]),
            (&[A], b"a: b\r\n\r\nc\nd\r\n"),
            (&["a@example.net>\r\nRCPT TO:<b@example.net"], MESSAGE),
            (&["j\u{f6}rg@example.net"], MESSAGE),
            (&[], MESSAGE),
        ],
    );
    for result in &seen.results {
        let receipt = result.as_ref().unwrap();
        assert_eq!(receipt.outcome, Outcome::Refused { for_good: true });
        assert!(receipt.why.is_some());
    }
}

#[test]
fn a_large_message_arrives_whole() {
    let line = format!(".{}\r\n", "x".repeat(77));
    let message = format!("Subject: x\r\n\r\n{}", line.repeat(3_000));
    let seen = submit(
        |peer| {
            peer.welcome(EXCHANGE);
            peer.expect("MAIL");
            peer.expect("RCPT");
            peer.expect("DATA");
            peer.say("250 ok\r\n250 ok\r\n354 go");
            let data = peer.data();
            let want = format!("..{}\r\n", "x".repeat(77)).repeat(3_000);
            assert_eq!(data, format!("Subject: x\r\n\r\n{want}.\r\n"));
            peer.say("250 ok");
        },
        &[A],
        message.as_bytes(),
    );
    assert_eq!(seen.receipt().outcome, Outcome::Accepted);
}

#[test]
fn replies_are_bounded_and_must_be_replies() {
    for script in [
        (|peer: &mut Peer| peer.say(&"x".repeat(9_000))) as fn(&mut Peer),
        |peer| {
            for _ in 0..200 {
                peer.say("220-on and on");
            }
        },
        |peer| peer.say("220-a\r\n250 b"),
        |peer| peer.say("* OK IMAP4rev1"),
        |peer| peer.say("\u{e9}\u{e9}"),
    ] {
        let seen = submit(script, &[A], MESSAGE);
        assert!(
            seen.fault().what.contains("does not speak SMTP"),
            "{}",
            seen.fault()
        );
    }
    let seen = submit(|peer| peer.say("554 5.7.1 go away"), &[A], MESSAGE);
    assert_eq!(
        kind_of(seen.results[0].as_ref().unwrap_err()),
        Kind::Refused
    );
}

#[test]
fn a_code_that_the_command_cannot_have_is_no_success() {
    for script in [
        (|peer: &mut Peer| {
            peer.until_auth(PLAIN);
            peer.expect("AUTH");
            peer.say("250 ok");
        }) as fn(&mut Peer),
        |peer| {
            peer.welcome(PLAIN);
            peer.expect("MAIL");
            peer.say("235 2.7.0 late");
        },
        |peer| {
            peer.welcome(PLAIN);
            peer.expect("MAIL");
            peer.say("250 ok");
            peer.expect("RCPT");
            peer.say("354 go");
        },
    ] {
        let seen = submit(script, &[A], MESSAGE);
        assert!(seen.results[0].is_err());
    }
}

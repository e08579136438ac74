//! The transport against a scripted server over real TLS, on loopback.

mod cuts;
mod peer;

use super::*;
use crate::mail::Outcome;
use crate::net::{TlsMode, Trace};
use peer::{AUTHORITY, EXCHANGE, PLAIN, Peer, serve};
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

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

fn smtp_to(port: u16, tls: TlsMode, token: &str, trace: Option<Trace>) -> Smtp<'_> {
    let server = Server {
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
            watch: Default::default(),
        },
        user: "us@contoso.example".into(),
    };
    Smtp::new(server, move |_| Ok(Secret::new(token)), trace)
}

fn submit_with(
    scripts: Vec<fn(&mut Peer)>,
    tls: TlsMode,
    token: &str,
    messages: &[(&[&str], &[u8])],
) -> Seen {
    let (port, thread) = serve(scripts);
    let trace = Arc::new(Mutex::new(String::new()));
    let log = trace.clone();
    let note = move |line: &str| *log.lock().unwrap() += &format!("{line}\n");
    let mut smtp = smtp_to(port, tls, token, Some(Arc::new(note)));
    let results = messages
        .iter()
        .map(|(to, message)| {
            let envelope = Envelope {
                from: Some("us@contoso.example".into()),
                to: to.iter().map(|&a| a.to_owned()).collect(),
                ..Envelope::default()
            };
            smtp.submit(&envelope, message, &mut || Ok(()))
        })
        .collect();
    smtp.close();
    drop(smtp);
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
    Seen {
        results,
        trace: trace.lock().unwrap().clone(),
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
            .contains("before TLS after it agreed to STARTTLS")
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
    let untrusted = |peer: &mut Peer| {
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
    };
    // Where the system keeps its authorities by name too, a second connection tries them all.
    let (port, _) = serve(vec![untrusted, untrusted]);
    let token = |_| Ok(Secret::new(TOKEN));
    let mut smtp = Smtp::new(
        Server {
            endpoint: format!("smtp://localhost:{port}").parse().unwrap(),
            settings: Settings {
                connect_timeout: Duration::from_secs(5),
                io_timeout: Duration::from_secs(5),
                ca_file: Some(other.path().to_owned()),
                watch: Default::default(),
            },
            user: "us@contoso.example".into(),
        },
        token,
        None,
    );
    let envelope = Envelope {
        to: vec![A.into()],
        ..Envelope::default()
    };
    let err = smtp.submit(&envelope, MESSAGE, &mut || Ok(())).unwrap_err();
    assert!(err.to_string().contains("is not trusted"), "{err}");
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
    assert_eq!(seen.receipt().outcome, Outcome::Refused { for_good: false });
    assert!(seen.receipt().why.is_some());
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
        if let Ok(receipt) = &seen.results[0] {
            assert_eq!(receipt.outcome, Outcome::Refused { for_good: false });
        }
    }
}

#[test]
fn a_server_that_leaves_closes_the_way_and_one_that_breaks_only_ends_the_message() {
    let seen = submit_with(
        vec![
            |peer| {
                peer.welcome(PLAIN);
                peer.expect("MAIL");
            },
            |peer| {
                peer.welcome(PLAIN);
                peer.expect("MAIL");
                peer.say("421 4.3.2 shutting down");
            },
        ],
        TlsMode::StartTls,
        TOKEN,
        &[(&[A], MESSAGE), (&[A], MESSAGE)],
    );
    assert_eq!(seen.receipt().outcome, Outcome::Refused { for_good: false });
    let err = seen.results[1].as_ref().unwrap_err();
    assert_eq!(kind_of(err), Kind::TryLater);
}

//! The connection ends after each number of replies, in each way that a message goes out: what the
//! replies until then have decided is told, and only what they left open is unknown.

use super::*;
use peer::Peer;

/// How the message goes out.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Manner {
    /// All in one group, the message by BDAT.
    Together,
    /// The envelope in one group, the message by DATA.
    Pipelined,
    OneByOne,
}

/// What the server answers to MAIL, to RCPT of both recipients, and to the message; and after how
/// many replies (with the one to DATA) it leaves.
#[derive(Clone, Debug)]
struct Case {
    manner: Manner,
    mail: &'static str,
    recipients: [&'static str; 2],
    end: &'static str,
    cut: usize,
}

impl Case {
    /// The replies in their order.
    fn replies(&self) -> Vec<&'static str> {
        let [a, b] = self.recipients;
        match self.manner {
            Manner::Together => vec![self.mail, a, b, self.end],
            // A server that lets a message for nobody come, which RFC 2920 §3.1 allows.
            _ => vec![self.mail, a, b, "354 go", self.end],
        }
    }

    fn play(&self, peer: &mut Peer) {
        peer.welcome(match self.manner {
            Manner::OneByOne => peer::PLAIN,
            _ => peer::EXCHANGE,
        });
        for reply in self.replies().into_iter().take(self.cut) {
            let line = peer.hear();
            if line.is_empty() || line == "QUIT" {
                return;
            }
            if line.starts_with("BDAT") {
                peer.octets(MESSAGE.len());
            }
            if line == "Subject: x" {
                peer.data();
            }
            peer.say(reply);
        }
        let _ = peer.tcp.shutdown(std::net::Shutdown::Write);
        // Nothing is left unread, so that a reset does not overtake the replies.
        peer.tcp_to_its_end();
    }

    /// What is proven by the replies that arrived, and who was refused.
    fn want(&self) -> (Outcome, Vec<&'static str>) {
        let replies = self.replies();
        let seen = &replies[..self.cut];
        let is_refusal = |reply: &str| !reply.starts_with(['2', '3']);
        let is_for_good = |reply: &str| reply.starts_with('5');
        let refused = |at: usize| seen.get(at).copied().filter(|r| is_refusal(r));
        if let Some(mail) = refused(0) {
            let for_good = is_for_good(mail);
            return (Outcome::Refused { for_good }, vec![]);
        }
        let who: Vec<_> = [(1, A), (2, B)]
            .into_iter()
            .filter_map(|(at, who)| refused(at).map(|_| who))
            .collect();
        if let (Some(a), Some(b)) = (refused(1), refused(2)) {
            let for_good = is_for_good(a) && is_for_good(b);
            return (Outcome::Refused { for_good }, who);
        }
        if seen.len() == replies.len() {
            return match is_refusal(self.end) {
                true => (Outcome::Refused { for_good: true }, who),
                false => (Outcome::Accepted, who),
            };
        }
        let handed_over = match self.manner {
            Manner::Together => true,
            _ => seen.len() + 1 == replies.len(),
        };
        match handed_over {
            true => (Outcome::Unknown, who),
            // It goes again, to everybody.
            false => (Outcome::Refused { for_good: false }, vec![]),
        }
    }
}

fn cases() -> Vec<Case> {
    let mut envelopes = vec![
        ("550 5.7.60 not as this sender", ["503 5.5.1 no"; 2]),
        ("451 4.3.0 later", ["503 5.5.1 no"; 2]),
    ];
    let fates = ["250 ok", "550 5.1.1 who", "450 4.2.1 later"];
    for a in fates {
        envelopes.extend(fates.map(|b| ("250 ok", [a, b])));
    }
    let mut cases = Vec::new();
    for manner in [Manner::Together, Manner::Pipelined, Manner::OneByOne] {
        for &(mail, recipients) in &envelopes {
            for end in ["250 2.0.0 OK", "554 5.6.0 no"] {
                let case = Case {
                    manner,
                    mail,
                    recipients,
                    end,
                    cut: 0,
                };
                let cuts = 0..=case.replies().len();
                cases.extend(cuts.map(|cut| Case {
                    cut,
                    ..case.clone()
                }));
            }
        }
    }
    cases
}

#[test]
fn what_a_reply_has_decided_is_never_unknown() {
    for case in cases() {
        let script = case.clone();
        let (port, thread) = peer::serve(vec![move |peer: &mut Peer| script.play(peer)]);
        let mut smtp = smtp_to(port, TlsMode::StartTls, TOKEN, None);
        if case.manner == Manner::Together {
            smtp = smtp.for_one();
        }
        let envelope = Envelope {
            from: Some("us@contoso.example".into()),
            to: vec![A.into(), B.into()],
            ..Envelope::default()
        };
        let receipt = smtp.submit(&envelope, MESSAGE, &mut || Ok(())).unwrap();
        drop(smtp);
        thread.join().unwrap();
        let refused: Vec<_> = receipt.refused.iter().map(|r| &r.address[..]).collect();
        assert_eq!((receipt.outcome, refused), case.want(), "{case:?}");
    }
}

#[test]
fn a_server_that_leaves_has_not_taken_what_followed() {
    let ask = |mail: &'static str, recipient: &'static str| {
        let script = move |peer: &mut Peer| {
            peer.welcome(peer::EXCHANGE);
            peer.expect("MAIL");
            peer.expect("RCPT");
            peer.expect("BDAT");
            peer.octets(MESSAGE.len());
            peer.say(mail);
            peer.say(recipient);
        };
        let (port, thread) = peer::serve(vec![script]);
        let mut smtp = smtp_to(port, TlsMode::StartTls, TOKEN, None).for_one();
        let envelope = Envelope {
            to: vec![A.into()],
            ..Envelope::default()
        };
        let result = smtp.submit(&envelope, MESSAGE, &mut || Ok(()));
        drop(smtp);
        thread.join().unwrap();
        result
    };
    // Nothing was decided before: it is tried again, and is not unknown.
    let err = ask("250 ok", "421 4.3.2 leaving").unwrap_err();
    assert_eq!(kind_of(&err), Kind::TryLater);
    let receipt = ask("550 5.7.60 no", "421 4.3.2 leaving").unwrap();
    assert_eq!(receipt.outcome, Outcome::Refused { for_good: true });
    // A reply that RCPT cannot have decides nothing.
    let receipt = ask("250 ok", "354 go").unwrap();
    assert_eq!(receipt.outcome, Outcome::Unknown);
}

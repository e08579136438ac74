//! Replies (RFC 5321 §4.2) and what a server offers in its answer to EHLO.

use super::Code;
use crate::fault::{Cause, Fault, Kind};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub code: u16,
    /// The text after the code of each line.
    pub lines: Vec<String>,
}

impl Reply {
    /// The reply with one more line, or begun with it, and whether that is its last. `None` for a
    /// line that is none of this reply.
    pub fn add(reply: Option<Reply>, line: &str) -> Option<(Reply, bool)> {
        let (code, is_last, text) = Reply::split(line)?;
        let mut reply = reply.unwrap_or(Reply {
            code,
            lines: Vec::new(),
        });
        reply.lines.push(text.to_owned());
        (reply.code == code).then_some((reply, is_last))
    }

    /// Splits a line into its code, whether it is the reply's last, and its text.
    fn split(line: &str) -> Option<(u16, bool, &str)> {
        let code = line.get(..3)?;
        if !code.bytes().all(|b| b.is_ascii_digit()) || !matches!(code.as_bytes()[0], b'2'..=b'5') {
            return None;
        }
        let code = code.parse().ok()?;
        match line.as_bytes().get(3) {
            None => Some((code, true, "")),
            Some(b' ') => Some((code, true, &line[4..])),
            Some(b'-') => Some((code, false, &line[4..])),
            Some(_) => None,
        }
    }

    /// The server's words: the code and every line.
    pub fn said(&self) -> String {
        format!("{} {}", self.code, self.lines.join(" "))
            .trim_end()
            .to_owned()
    }

    /// Its numbers; every line has the same (RFC 2034 §4).
    pub fn numbers(&self) -> Option<Code> {
        Code::read(&self.said())
    }

    /// 4xx.
    pub fn is_temporary(&self) -> bool {
        self.code / 100 == 4
    }

    /// 4xx or 5xx.
    pub fn is_refusal(&self) -> bool {
        matches!(self.code / 100, 4 | 5)
    }

    /// The fault of a reply that stops the dialogue: later for 4xx, for good for 5xx.
    pub fn fault(&self, what: impl Into<String>) -> Fault {
        let kind = if self.code / 100 == 5 {
            Kind::Refused
        } else {
            Kind::TryLater
        };
        self.tells(Fault::new(kind, what))
    }

    /// A fault with the server's words, and what its numbers say of the server.
    pub fn tells(&self, fault: Fault) -> Fault {
        let fault = fault.said(self.said());
        match self.code {
            421 => fault.cause(Cause::ServerLeaves),
            _ if self.numbers().is_some_and(Code::is_busy) => fault.cause(Cause::ServerBusy),
            _ => fault,
        }
    }

    /// The Message-ID in `250 2.0.0 OK <id> [Hostname=…]`, as Exchange answers.
    pub fn message_id(&self) -> Option<String> {
        self.lines.iter().find_map(|line| {
            let start = line.find('<')?;
            let id = &line[start..=start + line[start..].find('>')?];
            let valid = id.contains('@')
                && !id[1..].contains('<')
                && !id.contains(|c: char| c.is_whitespace() || c.is_control());
            valid.then(|| id.to_owned())
        })
    }
}

/// What a server offers (the extensions that are used).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    pub starttls: bool,
    /// SASL mechanisms, in upper case.
    pub mechanisms: Vec<String>,
    pub pipelining: bool,
    pub eight_bit: bool,
    pub utf8: bool,
    pub chunking: bool,
    pub binary: bool,
    pub dsn: bool,
    /// SIZE (RFC 1870) is offered.
    pub size: bool,
    /// The largest message in octets, if the server names one.
    pub max_size: Option<u64>,
}

impl Offer {
    /// Reads the answer to EHLO: its first line greets, the others are extensions.
    pub fn read(reply: &Reply) -> Offer {
        let mut offer = Offer::default();
        for line in reply.lines.iter().skip(1) {
            let mut words = line.split_ascii_whitespace();
            let Some(keyword) = words.next() else {
                continue;
            };
            match keyword.to_ascii_uppercase().as_str() {
                "STARTTLS" => offer.starttls = true,
                "AUTH" => offer.mechanisms.extend(words.map(str::to_ascii_uppercase)),
                "PIPELINING" => offer.pipelining = true,
                "8BITMIME" => offer.eight_bit = true,
                "SMTPUTF8" => offer.utf8 = true,
                "CHUNKING" => offer.chunking = true,
                "BINARYMIME" => offer.binary = true,
                "DSN" => offer.dsn = true,
                "SIZE" => {
                    offer.size = true;
                    // RFC 1870 §3: zero means that there is no fixed limit.
                    offer.max_size = words.next().and_then(|n| n.parse().ok()).filter(|&n| n > 0);
                }
                _ => {}
            }
        }
        offer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reply(lines: &[&str]) -> Reply {
        Reply {
            code: 250,
            lines: lines.iter().map(|&l| l.to_owned()).collect(),
        }
    }

    #[test]
    fn exchange_names_the_message_id_it_used() {
        let id = |line| reply(&[line]).message_id();
        assert_eq!(
            id("2.0.0 OK <AM0PR01MB1234@AM0PR01MB.eurprd01.prod.outlook.com> [Hostname=AM0PR01MB.eurprd01.prod.outlook.com]").as_deref(),
            Some("<AM0PR01MB1234@AM0PR01MB.eurprd01.prod.outlook.com>")
        );
        assert_eq!(id("2.0.0 Ok: queued as 4F1B2"), None);
        assert_eq!(id("<not an@id> x"), None);
        assert_eq!(id("> < @"), None);
    }

    #[test]
    fn an_offer_is_read_in_any_case() {
        let offer = Offer::read(&reply(&[
            "STARTTLS is in this greeting only",
            "size 157286400",
            "auth login XOAuth2",
            "ChunkING",
            "",
        ]));
        assert!(!offer.starttls && offer.chunking && !offer.binary && offer.size);
        assert_eq!(offer.max_size, Some(157_286_400));
        assert_eq!(offer.mechanisms, ["LOGIN", "XOAUTH2"]);
        assert_eq!(Offer::read(&reply(&["x", "SIZE 0"])).max_size, None);
    }

    proptest! {
        #[test]
        fn any_line_can_be_split(line in "\\PC{0,40}|[0-9]{0,4}[- x]?.{0,10}") {
            if let Some((code, _, rest)) = Reply::split(&line) {
                prop_assert!((200..600).contains(&code));
                prop_assert!(line.ends_with(rest));
            }
            let _ = reply(&[&line]).message_id();
        }
    }
}

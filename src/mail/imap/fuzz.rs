//! A whole session with a server that says anything: sign-in, a listing, every message.

use super::connect::{greet, sign_in};
use super::faults::Place;
use super::fetch::Items;
use super::line::{self, Line};
use super::wire::Wire;
use crate::mail::{Detail, Mailbox, Part, Query, RemoteId, Sink};
use crate::net::{Socket, Stream, TlsMode};
use crate::secret::Secret;
use std::io::{self, Read, Write};
use std::time::Duration;

/// Answers with what is left of the input; to the client's command, whose tag the input cannot
/// know, each `\x01` is that tag.
struct Peer {
    left: Vec<u8>,
    given: usize,
    tag: Vec<u8>,
    pending: Vec<u8>,
}

impl Read for Peer {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut n = 0;
        while n < out.len() {
            if let Some(byte) = self.pending.pop() {
                out[n] = byte;
                n += 1;
                continue;
            }
            let Some(&byte) = self.left.get(self.given) else {
                break;
            };
            self.given += 1;
            match byte {
                // The end of what is said before the next command.
                0 if n > 0 => break,
                0 => {}
                1 => self.pending = self.tag.iter().rev().copied().collect(),
                byte => {
                    out[n] = byte;
                    n += 1;
                }
            }
        }
        Ok(n)
    }
}

impl Write for Peer {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        if let Some(end) = octets.iter().position(|&b| b == b' ') {
            self.tag = octets[..end.min(16)].to_vec();
        }
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Socket for Peer {
    fn set_read_timeout(&self, _: Option<Duration>) -> io::Result<()> {
        Ok(())
    }

    fn set_write_timeout(&self, _: Option<Duration>) -> io::Result<()> {
        Ok(())
    }
}

/// Holds that each message begins, flows and ends in this order.
#[derive(Default)]
struct Count {
    open: bool,
    octets: u64,
}

impl Sink for Count {
    fn begin(&mut self, _announced: Option<u64>) -> io::Result<()> {
        assert!(!self.open, "a message began inside another");
        self.open = true;
        Ok(())
    }

    fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        assert!(self.open, "bytes outside any message");
        self.octets += octets.len() as u64;
        Ok(())
    }

    fn end(&mut self, _id: &RemoteId) -> io::Result<()> {
        assert!(self.open, "an end outside any message");
        self.open = false;
        Ok(())
    }

    fn discard(&mut self) {
        self.open = false;
    }
}

/// `data` is all that the server ever says.
pub fn session(data: &[u8]) {
    let peer = Peer {
        left: data.to_vec(),
        given: 0,
        tag: Vec::new(),
        pending: Vec::new(),
    };
    let place = Place {
        host: "outlook.office365.com".to_owned(),
        port: 993,
        user: "support@contoso.com".to_owned(),
    };
    let mut wire = Wire::new(Stream::new(peer, Duration::from_secs(60)), None);
    if greet(&mut wire, &place, TlsMode::Implicit).is_err() {
        return;
    }
    let Ok(mut mailbox) = sign_in(wire, place, &Secret::new("a-token-of-no-worth")) else {
        return;
    };
    if mailbox.open("INBOX", true).is_err() {
        return;
    }
    let mut ids = Vec::new();
    let listed = mailbox.list(&Query::default(), &mut |page| {
        ids.extend(page.into_iter().map(|listed| listed.id));
        Ok(())
    });
    if listed.is_err() {
        return;
    }
    let _ = mailbox.describe(&ids[..ids.len().min(64)], Detail::Selection);
    let mut sink = Count::default();
    let _ = mailbox.retrieve(&ids[..ids.len().min(64)], Part::Whole, &mut sink);
    assert!(
        sink.octets <= data.len() as u64 + 64,
        "more octets came out than went in"
    );
}

/// One line, and the pieces of a FETCH response.
pub fn lines(data: &[u8]) {
    let _ = (Line::parse(data), line::word(data), line::number(data));
    let _ = (line::literal(data), line::code(data, b"UIDVALIDITY"));
    let mut items = Items::default();
    for piece in data.split(|&b| b == b'\n') {
        let mut piece = piece;
        while items.next(&mut piece).is_ok_and(|_| !piece.is_empty()) {}
    }
}

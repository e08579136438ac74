//! The dialogue of SMTP (RFC 5321) and LMTP (RFC 2033), from the client's side: commands go out,
//! bounded replies come in, each within a time.
//!
//! Nothing that arrived unencrypted may be read as an answer inside TLS: who starts TLS looks at
//! [`Dialogue::unread`] first. [`Reply`] understands what was said, [`Code`] its numbers, [`Offer`]
//! what a server can do; [`Dots`] makes a message fit for DATA.

mod code;
mod dots;
mod reply;

pub use code::Code;
pub use dots::Dots;
pub use reply::{Offer, Reply};

use crate::net::{Connector, Stream};
use anyhow::Result;
use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

/// Octets of one reply line; RFC 5321 §4.5.3.1.5 has 512.
const MAX_LINE: usize = 4096;
/// Lines of one reply; the longest, the answer to EHLO, has about twenty.
const MAX_LINES: usize = 128;

pub struct Dialogue {
    stream: Stream,
    /// Received and not yet read.
    unread: Vec<u8>,
}

/// Why there is no reply.
#[derive(Debug)]
pub enum Broken {
    Io(io::Error),
    /// The peer closed the connection, perhaps in the middle of a reply.
    Closed,
    /// What came is not a reply: it, or what is wrong with it.
    Nonsense(String),
}

impl Dialogue {
    pub fn new(stream: Stream) -> Dialogue {
        Dialogue {
            stream,
            unread: Vec::new(),
        }
    }

    /// How many octets the peer has sent beyond the replies read so far.
    pub fn unread(&self) -> usize {
        self.unread.len() + self.stream.unread()
    }

    /// Starts TLS, within `wait`.
    pub fn start_tls(
        mut self,
        host: &str,
        connector: &Connector,
        wait: Duration,
    ) -> Result<Dialogue> {
        self.stream.allow(wait);
        Ok(Dialogue::new(self.stream.start_tls(host, connector)?))
    }

    /// What is written next takes at most so long in all, and longer for many octets.
    pub fn allow(&mut self, wait: Duration) {
        self.stream.allow(wait);
    }

    /// Nothing is read or written after this time.
    pub fn end_at(&mut self, time: Instant) {
        self.stream.end_at(time);
    }

    pub fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        self.stream.write_all(octets)?;
        self.stream.flush()
    }

    /// Reads one reply; `wait` is for all its lines, each of which `heard` is told. A reply that
    /// breaks off is none, however it begins.
    ///
    /// # Errors
    /// [`Broken`]: the connection is of no more use.
    pub fn reply(
        &mut self,
        wait: Duration,
        mut heard: impl FnMut(&str),
    ) -> std::result::Result<Reply, Broken> {
        self.stream.allow(wait);
        let mut reply: Option<Reply> = None;
        for _ in 0..MAX_LINES {
            let line = self.line()?;
            let text = String::from_utf8_lossy(&line);
            heard(&text);
            match Reply::add(reply, &text) {
                Some((whole, true)) => return Ok(whole),
                Some((begun, false)) => reply = Some(begun),
                None => return Err(Broken::Nonsense(text.into_owned())),
            }
        }
        Err(Broken::Nonsense("a reply without an end".to_owned()))
    }

    /// One line without its line ending.
    fn line(&mut self) -> std::result::Result<Vec<u8>, Broken> {
        let mut searched = 0;
        loop {
            if let Some(at) = self.unread[searched..].iter().position(|&b| b == b'\n') {
                let mut line: Vec<u8> = self.unread.drain(..=searched + at).collect();
                line.pop();
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                return Ok(line);
            }
            searched = self.unread.len();
            if searched > MAX_LINE {
                return Err(Broken::Nonsense("a line without an end".to_owned()));
            }
            let mut chunk = [0; 2048];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(Broken::Closed),
                Ok(n) => self.unread.extend_from_slice(&chunk[..n]),
                Err(e) => return Err(Broken::Io(e)),
            }
        }
    }
}

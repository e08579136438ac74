//! The connection: commands out, bounded replies in, every wait with an end.
//!
//! Nothing that arrived in clear is ever read as an answer inside TLS: STARTTLS consumes the
//! clear connection, and octets that it had already received are an error.

use super::reply::Reply;
use crate::fault::{Cause, Fault, Kind};
use crate::net;
use crate::output::escape;
use crate::secret::{Mask, Secret};
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

pub type Result<T> = std::result::Result<T, Fault>;

/// Octets of one reply line; RFC 5321 §4.5.3.1.5 has 512.
const MAX_LINE: usize = 4096;
/// Lines of one reply; the longest, the answer to EHLO, has about twenty.
const MAX_LINES: usize = 128;

/// A TCP connection on which reads and writes end at a deadline, however slowly octets trickle.
pub struct Timed {
    tcp: TcpStream,
    deadline: Instant,
}

impl Timed {
    fn left(&self) -> io::Result<Duration> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::WouldBlock.into());
        }
        Ok(left)
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.tcp.set_read_timeout(Some(self.left()?))?;
        self.tcp.read(buffer)
    }
}

impl Write for Timed {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.tcp.set_write_timeout(Some(self.left()?))?;
        self.tcp.write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tcp.flush()
    }
}

enum Stream {
    Clear(Timed),
    Tls(Box<net::TlsStream<Timed>>),
}

pub struct Wire<'a> {
    stream: Stream,
    /// Received and not yet read.
    unread: Vec<u8>,
    host: String,
    trace: &'a dyn Fn(&str),
    /// What a server may repeat and nobody may see.
    secrets: Mask,
}

impl<'a> Wire<'a> {
    pub fn new(tcp: TcpStream, host: &str, trace: &'a dyn Fn(&str)) -> Wire<'a> {
        Wire {
            stream: Stream::Clear(Timed {
                tcp,
                deadline: Instant::now(),
            }),
            unread: Vec::new(),
            host: host.to_owned(),
            trace,
            secrets: Mask::default(),
        }
    }

    /// Starts TLS. Whatever the peer has sent in clear beyond the replies read so far could come
    /// from anybody on the way, so it ends the connection.
    pub fn start_tls(self, connector: &net::Connector, wait: Duration) -> anyhow::Result<Wire<'a>> {
        if !self.unread.is_empty() {
            return Err(Fault::new(
                Kind::Refused,
                format!(
                    "`{}` sent {} octets in clear after it agreed to start TLS",
                    self.host,
                    self.unread.len()
                ),
            )
            .hint("somebody on the way to the host may be tampering with the connection; nothing was sent")
            .into());
        }
        let Stream::Clear(mut stream) = self.stream else {
            return Err(Fault::new(Kind::Bug, "TLS is already on").into());
        };
        stream.deadline = Instant::now() + wait;
        let tls = net::start_tls(stream, &self.host, connector)?;
        Ok(Wire {
            stream: Stream::Tls(Box::new(tls)),
            ..self
        })
    }

    fn arm(&mut self, wait: Duration) {
        let timed = match &mut self.stream {
            Stream::Clear(timed) => timed,
            Stream::Tls(tls) => tls.get_mut(),
        };
        timed.deadline = Instant::now() + wait;
    }

    /// Our address, as EHLO names it (RFC 5321 §4.1.3).
    pub fn address_literal(&self) -> String {
        let timed = match &self.stream {
            Stream::Clear(timed) => timed,
            Stream::Tls(tls) => tls.get_ref(),
        };
        match timed.tcp.local_addr().map(|a| a.ip().to_canonical()) {
            Ok(std::net::IpAddr::V4(ip)) => format!("[{ip}]"),
            Ok(std::net::IpAddr::V6(ip)) => format!("[IPv6:{ip}]"),
            Err(_) => "[127.0.0.1]".to_owned(),
        }
    }

    /// Writes octets; `wait` is for all of them.
    pub fn write(&mut self, octets: &[u8], wait: Duration) -> Result<()> {
        self.arm(wait);
        match &mut self.stream {
            Stream::Clear(s) => s.write_all(octets).and_then(|()| s.flush()),
            Stream::Tls(s) => s.write_all(octets).and_then(|()| s.flush()),
        }
        .map_err(|e| self.broken(&e, wait))
    }

    /// Writes command lines, each with its CRLF, in one go.
    pub fn send(&mut self, lines: &[&str], wait: Duration) -> Result<()> {
        for line in lines {
            self.note("C: ", line);
        }
        self.write((lines.join("\r\n") + "\r\n").as_bytes(), wait)
    }

    /// Writes a command line of which only `shown` may be told.
    pub fn send_secret(&mut self, line: &str, shown: &str, wait: Duration) -> Result<()> {
        self.note("C: ", shown);
        self.write((line.to_owned() + "\r\n").as_bytes(), wait)
    }

    pub fn note(&self, who: &str, text: &str) {
        (self.trace)(&format!("{who}{}", escape(text)));
    }

    /// Keeps a secret out of the trace and of every reply.
    pub fn mask(&mut self, secret: Secret) {
        self.secrets.add(secret);
    }

    /// A server's words without our secrets.
    pub fn masked(&self, text: &str) -> String {
        self.secrets.hide(text)
    }

    /// Reads one reply; `wait` is for all its lines.
    pub fn reply(&mut self, wait: Duration) -> Result<Reply> {
        self.arm(wait);
        let mut reply: Option<Reply> = None;
        for _ in 0..MAX_LINES {
            let line = self.line(wait)?;
            let text = String::from_utf8_lossy(&line);
            self.note("S: ", &self.masked(&text));
            let (code, last, rest) = Reply::split(&text)
                .filter(|(code, ..)| reply.as_ref().is_none_or(|r| r.code == *code))
                .ok_or_else(|| self.nonsense(&self.masked(&text)))?;
            let reply = reply.get_or_insert_with(|| Reply {
                code,
                lines: Vec::new(),
            });
            reply.lines.push(rest.to_owned());
            if last {
                // All lines together: a secret may be broken into several.
                let words = self.masked(&reply.lines.join("\n"));
                return Ok(Reply {
                    code,
                    lines: words.split('\n').map(str::to_owned).collect(),
                });
            }
        }
        Err(self.nonsense("a reply without an end"))
    }

    /// One line without its line ending.
    fn line(&mut self, wait: Duration) -> Result<Vec<u8>> {
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
                return Err(self.nonsense("a line without an end"));
            }
            let mut chunk = [0; 2048];
            let read = match &mut self.stream {
                Stream::Clear(s) => s.read(&mut chunk),
                Stream::Tls(s) => s.read(&mut chunk),
            };
            match read {
                Ok(0) => {
                    let what = format!("`{}` closed the connection", self.host);
                    return Err(self.lost(Cause::ConnectionBroke, what));
                }
                Ok(n) => self.unread.extend_from_slice(&chunk[..n]),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(self.broken(&e, wait)),
            }
        }
    }

    fn broken(&self, err: &io::Error, wait: Duration) -> Fault {
        if matches!(err.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) {
            let what = format!(
                "`{}` did not answer within {} seconds",
                self.host,
                wait.as_secs_f32().ceil()
            );
            return self.lost(Cause::NoAnswer, what);
        }
        let what = format!("the connection to `{}` broke: {err}", self.host);
        self.lost(Cause::ConnectionBroke, what)
    }

    fn lost(&self, cause: Cause, what: String) -> Fault {
        Fault::try_later(what).cause(cause).at(&self.host, None)
    }

    fn nonsense(&self, text: &str) -> Fault {
        Fault::try_later(format!("`{}` does not speak SMTP", self.host)).said(text)
    }
}

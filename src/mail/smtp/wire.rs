//! The dialogue with a submission server, told to a trace without its secrets; what breaks it is a
//! fault of the host.
//!
//! Nothing that arrived unencrypted is ever read as an answer inside TLS: STARTTLS consumes the
//! clear connection, and octets that it had already received are an error.

use crate::dialogue::{Broken, Dialogue, Reply};
use crate::fault::{Cause, Fault};
use crate::net::{self, Stream, Trace};
use crate::output::escape;
use crate::secret::{Mask, Secret};
use std::io;
use std::net::{IpAddr, TcpStream};
use std::time::Duration;

pub type Result<T> = std::result::Result<T, Fault>;

pub struct Wire {
    dialogue: Dialogue,
    /// This host's address, if it is known.
    own: Option<IpAddr>,
    host: String,
    trace: Option<Trace>,
    /// What a server may repeat and nobody may see.
    secrets: Mask,
}

impl Wire {
    pub fn new(tcp: TcpStream, host: &str, trace: Option<Trace>) -> Wire {
        Wire {
            own: tcp
                .local_addr()
                .ok()
                .map(|address| address.ip().to_canonical()),
            dialogue: Dialogue::new(Stream::new(tcp, Duration::ZERO)),
            host: host.to_owned(),
            trace,
            secrets: Mask::default(),
        }
    }

    /// Starts TLS. Whatever the peer has sent unencrypted beyond the replies read so far could come
    /// from anybody on the way, so it ends the connection.
    pub fn start_tls(self, connector: &net::Connector, wait: Duration) -> anyhow::Result<Wire> {
        let unread = self.dialogue.unread();
        if unread > 0 {
            return Err(Fault::refused(format!(
                "`{}` sent {unread} bytes before TLS after it agreed to STARTTLS",
                self.host
            ))
            .hint("somebody may tamper with the connection; nothing was sent")
            .into());
        }
        Ok(Wire {
            dialogue: self.dialogue.start_tls(&self.host, connector, wait)?,
            ..self
        })
    }

    /// This host's address, as EHLO names it (RFC 5321 §4.1.3).
    pub fn address_literal(&self) -> String {
        match self.own {
            Some(IpAddr::V4(ip)) => format!("[{ip}]"),
            Some(IpAddr::V6(ip)) => format!("[IPv6:{ip}]"),
            None => "[127.0.0.1]".to_owned(),
        }
    }

    /// Writes octets; `wait` is for all of them.
    pub fn write(&mut self, octets: &[u8], wait: Duration) -> Result<()> {
        self.dialogue.allow(wait);
        let written = self.dialogue.write(octets);
        written.map_err(|e| self.broken(&e, wait))
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
        if let Some(trace) = &self.trace {
            trace(&format!("{who}{}", escape(text)));
        }
    }

    /// Keeps a secret out of the trace and of every reply.
    pub fn mask(&mut self, secret: Secret) {
        self.secrets.add(secret);
    }

    /// A server's words without secrets.
    pub fn masked(&self, text: &str) -> String {
        self.secrets.hide(text)
    }

    /// Reads one reply; `wait` is for all its lines.
    pub fn reply(&mut self, wait: Duration) -> Result<Reply> {
        let (trace, secrets) = (&self.trace, &self.secrets);
        let reply = self.dialogue.reply(wait, |line| {
            if let Some(trace) = trace {
                trace(&format!("S: {}", escape(&secrets.hide(line))));
            }
        });
        let reply = reply.map_err(|broken| match broken {
            Broken::Io(e) => self.broken(&e, wait),
            Broken::Closed => {
                let what = format!("`{}` closed the connection", self.host);
                self.lost(Cause::ConnectionBroke, what)
            }
            Broken::Nonsense(text) => {
                Fault::try_later(format!("`{}` does not speak SMTP", self.host))
                    .said(self.masked(&text))
            }
        })?;
        // All lines together: a secret may be broken into several.
        let words = self.masked(&reply.lines.join("\n"));
        Ok(Reply {
            lines: words.split('\n').map(str::to_owned).collect(),
            ..reply
        })
    }

    fn broken(&self, err: &io::Error, wait: Duration) -> Fault {
        if net::is_late(err) {
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
}

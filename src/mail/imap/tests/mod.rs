//! The whole session against a scripted peer: what a server may say, and what it may not.

mod bounds;
mod listing;
mod opening;
mod retrieving;
mod settling;
mod signing_in;
mod start_tls;

use super::connect::{greet, sign_in};
use super::faults::Place;
use super::wire::{Limits, Wire};
use super::*;
use crate::fault::{Kind, kind_of};
use crate::mail::TokenExpired;
use crate::net::{Socket, Stream, TlsMode};
use crate::secret::Secret;
use proptest::prelude::*;
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const TOKEN: &str = "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.c2VjcmV0.c2lnbmF0dXJl";
const OLD_EXCHANGE: &str = "* CAPABILITY IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR UIDPLUS MOVE ID UNSELECT CHILDREN IDLE NAMESPACE LITERAL+";

type Answer = Box<dyn FnMut(&str) -> Vec<u8> + Send>;

/// Answers each line of the client by a function, and then what it says for ever, or closes.
struct Peer {
    answer: Answer,
    ours: Vec<u8>,
    theirs: Vec<u8>,
    read: usize,
    /// The most octets that one read gives.
    chunk: usize,
    endless: Option<Vec<u8>>,
    served: Arc<AtomicU64>,
}

impl Read for Peer {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.read == self.theirs.len()
            && let Some(more) = &self.endless
        {
            self.theirs.clone_from(more);
            self.read = 0;
        }
        let n = out.len().min(self.theirs.len() - self.read).min(self.chunk);
        out[..n].copy_from_slice(&self.theirs[self.read..self.read + n]);
        self.read += n;
        self.served.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

impl Write for Peer {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.ours.extend_from_slice(octets);
        while let Some(end) = self.ours.windows(2).position(|w| w == b"\r\n") {
            let line: Vec<u8> = self.ours.drain(..end + 2).take(end).collect();
            let answer = (self.answer)(std::str::from_utf8(&line).unwrap());
            self.theirs.extend(answer);
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

fn place() -> Place {
    Place {
        host: "outlook.office365.com".into(),
        port: 993,
        user: "support@contoso.com".into(),
    }
}

fn wire(
    theirs: &[u8],
    endless: Option<&[u8]>,
    answer: impl FnMut(&str) -> Vec<u8> + Send + 'static,
) -> (Wire, Arc<AtomicU64>) {
    let served = Arc::new(AtomicU64::new(0));
    let peer = Peer {
        answer: Box::new(answer),
        ours: Vec::new(),
        theirs: theirs.to_vec(),
        read: 0,
        chunk: usize::MAX,
        endless: endless.map(<[u8]>::to_vec),
        served: served.clone(),
    };
    let stream = Stream::new(peer, Duration::from_secs(60));
    (Wire::new(stream, None), served)
}

/// A line of the client as its tag and its command.
fn split(line: &str) -> (&str, &str) {
    line.split_once(' ').unwrap_or((line, ""))
}

/// A session with a server that answers as Exchange does, and to some commands as given: how they
/// begin, and the answer, in which `{t}` is the tag. Of several entries with the same beginning
/// each is used once, and the last one stays. Also what was asked after the sign-in.
fn session(script: &[(&str, &str)]) -> (ImapMailbox, Arc<Mutex<Vec<String>>>) {
    session_with(OLD_EXCHANGE, script)
}

fn session_with(
    capability: &str,
    script: &[(&str, &str)],
) -> (ImapMailbox, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = asked.clone();
    let mut script: Vec<(String, String)> = script
        .iter()
        .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
        .collect();
    let capability = capability.to_owned();
    let (wire, _) = wire(b"", None, move |line| {
        let (tag, command) = split(line);
        log.lock().unwrap().push(command.to_owned());
        let found = script
            .iter()
            .position(|(begin, _)| command.starts_with(begin));
        let answer = match found {
            Some(at) => {
                let (begin, answer) = script[at].clone();
                if script[at + 1..].iter().any(|(other, _)| *other == begin) {
                    script.remove(at);
                }
                answer
            }
            None => match command.split(' ').next().unwrap_or_default() {
                "CAPABILITY" => format!("{capability}\r\n{{t}} OK CAPABILITY completed.\r\n"),
                "LOGOUT" => "* BYE Microsoft Exchange Server IMAP4 server signing off.\r\n{t} OK LOGOUT completed.\r\n".into(),
                "SELECT" | "EXAMINE" => "* 3 EXISTS\r\n* 0 RECENT\r\n* FLAGS (\\Seen)\r\n* OK [PERMANENTFLAGS (\\Seen)] p\r\n* OK [UIDVALIDITY 14] v\r\n{t} OK [READ-WRITE] SELECT completed.\r\n".into(),
                _ => "{t} OK completed.\r\n".into(),
            },
        };
        answer.replace("{t}", tag).into_bytes()
    });
    let mailbox = sign_in(wire, place(), &Secret::new(TOKEN)).unwrap();
    asked.lock().unwrap().clear();
    (mailbox, asked)
}

/// Keeps what arrives.
#[derive(Default)]
struct Kept {
    arrived: Vec<(u32, Vec<u8>)>,
    open: Option<Vec<u8>>,
    discarded: usize,
    fail_at: Option<u32>,
}

impl Sink for Kept {
    fn begin(&mut self, announced: Option<u64>) -> io::Result<()> {
        assert!(self.open.is_none() && announced.is_some());
        self.open = Some(Vec::new());
        Ok(())
    }

    fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        self.open.as_mut().unwrap().extend_from_slice(octets);
        Ok(())
    }

    fn end(&mut self, id: &RemoteId) -> io::Result<()> {
        let uid = id.as_number().unwrap();
        let octets = self.open.take().unwrap();
        if self.fail_at == Some(uid) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.arrived.push((uid, octets));
        Ok(())
    }

    fn discard(&mut self) {
        self.open.take().unwrap();
        self.discarded += 1;
    }
}

impl Kept {
    fn texts(&self) -> Vec<(u32, &str)> {
        self.arrived
            .iter()
            .map(|(uid, octets)| (*uid, std::str::from_utf8(octets).unwrap()))
            .collect()
    }
}

fn ids(uids: impl IntoIterator<Item = u32>) -> Vec<RemoteId> {
    uids.into_iter().map(RemoteId::from).collect()
}

fn fault(err: &anyhow::Error) -> &Fault {
    err.downcast_ref::<Fault>().expect("a fault at the root")
}

/// All that a listing finds, and what it ends with.
fn listed(mailbox: &mut ImapMailbox, query: &Query) -> Result<(Vec<RemoteId>, Listing)> {
    let mut found = Vec::new();
    let listing = mailbox.list(query, &mut |page| {
        found.extend(page.into_iter().map(|listed| listed.id));
        Ok(())
    })?;
    Ok((found, listing))
}

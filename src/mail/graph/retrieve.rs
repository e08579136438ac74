//! Messages into the sink: several requests at once, and memory that no message can fill.
//!
//! Graph serves four requests of an app on a mailbox at a time, and each costs a round trip, so
//! that many are always under way; fewer when it says that this is too much, for others may be
//! using the mailbox at the same time. The sink takes one message at a time, in the thread that
//! asked. A small message waits for it in memory, whole; a larger one is passed through in
//! pieces while the others wait.

use super::client::{Client, IMMUTABLE};
use super::faults::{Failure, Meaning, Refusal};
use crate::fault::{Fault, Scope};
use crate::http::Incoming;
use crate::mail::{Missing, RemoteId, Sink};
use crate::workers::locked;
use ::http::{Method, Response};
use anyhow::Result;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread::Builder;
use url::Url;

/// Requests at once.
const AT_ONCE: usize = 4;
/// A message up to so many octets is held in memory.
const SMALL: usize = 192 << 10;
/// Octets of a piece of a larger one.
const PIECE: usize = 32 << 10;
/// Pieces on their way to the sink.
const PIECES: usize = 4;
/// Larger messages are not taken: above the 150 MiB of Exchange's transport.
const MAX_MESSAGE: u64 = 160 << 20;
/// Octets of a refusal in a message's place that are read.
const REFUSAL: u64 = 64 << 10;
/// The longest name of a header field that is looked for, in octets.
const LONGEST_NAME: usize = 200;
const WHAT: &str = "cannot retrieve the messages";

/// Who may ask: as many at once as the service allows.
struct Turns {
    /// How many are taken, and how many there are.
    taken: Mutex<(usize, usize)>,
    given_back: Condvar,
}

impl Default for Turns {
    fn default() -> Turns {
        Turns {
            taken: Mutex::new((0, AT_ONCE)),
            given_back: Condvar::new(),
        }
    }
}

/// Given back when dropped.
struct Turn<'a>(&'a Turns);

impl Turns {
    fn take(&self) -> Turn<'_> {
        let mut taken = locked(&self.taken);
        while taken.0 >= taken.1 {
            let waited = self.given_back.wait(taken);
            taken = waited.unwrap_or_else(PoisonError::into_inner);
        }
        taken.0 += 1;
        Turn(self)
    }

    /// One less, but one.
    fn fewer(&self) {
        let mut taken = locked(&self.taken);
        taken.1 = (taken.1 - 1).max(1);
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut taken = locked(&self.0.taken);
        taken.0 -= 1;
        self.0.given_back.notify_all();
    }
}

/// What a worker tells the thread that holds the sink.
enum Event {
    Whole(usize, Vec<u8>),
    /// A larger message: its octets, and one empty piece at its end.
    Large(usize, Option<u64>, Receiver<Vec<u8>>),
    Missing(usize, Missing),
    /// Nothing more can be had.
    Over(anyhow::Error),
}

struct Work<'a> {
    client: &'a Client,
    folder: &'a str,
    ids: &'a [RemoteId],
    next: AtomicUsize,
    turns: Turns,
    over: AtomicBool,
    /// Held while a large message passes.
    large: Mutex<()>,
}

/// Retrieves messages; returns those that did not arrive.
pub fn retrieve(
    client: &Client,
    folder: &str,
    ids: &[RemoteId],
    sink: &mut dyn Sink,
) -> Result<Vec<(RemoteId, Missing)>> {
    let work = Work {
        client,
        folder,
        ids,
        next: AtomicUsize::new(0),
        turns: Turns::default(),
        over: AtomicBool::new(false),
        large: Mutex::new(()),
    };
    std::thread::scope(|scope| {
        let (sender, events) = sync_channel(1);
        for number in 0..AT_ONCE.min(ids.len()) {
            let sender = sender.clone();
            let work = &work;
            match Builder::new().spawn_scoped(scope, move || work.run(&sender)) {
                Err(e) if number == 0 => return Err(no_thread(&e).into()),
                // Fewer do.
                Err(_) => break,
                Ok(_) => {}
            }
        }
        drop(sender);
        let result = collect(&work, &events, sink);
        work.over.store(true, Ordering::Relaxed);
        // Workers that still have something to say find nobody to listen, and end.
        drop(events);
        result
    })
}

fn no_thread(err: &io::Error) -> Fault {
    Fault::try_later(format!("cannot retrieve messages: {err}")).by_system(err)
}

fn collect(
    work: &Work<'_>,
    events: &Receiver<Event>,
    sink: &mut dyn Sink,
) -> Result<Vec<(RemoteId, Missing)>> {
    let mut missing = Vec::new();
    let mut over = None;
    // After a failure the others' whole messages are still taken.
    for event in events {
        match event {
            Event::Whole(at, octets) => {
                sink.begin(Some(octets.len() as u64))?;
                sink.write(&octets)?;
                sink.end(&work.ids[at])?;
            }
            Event::Large(at, announced, pieces) => {
                sink.begin(announced)?;
                let mut whole = false;
                for piece in pieces {
                    whole = piece.is_empty();
                    if !whole {
                        sink.write(&piece)?;
                    }
                }
                match whole {
                    true => sink.end(&work.ids[at])?,
                    false => sink.discard(),
                }
            }
            Event::Missing(at, why) => missing.push((work.ids[at].clone(), why)),
            Event::Over(err) => {
                work.over.store(true, Ordering::Relaxed);
                over.get_or_insert(err);
            }
        }
    }
    match over {
        Some(err) => Err(err),
        None => Ok(missing),
    }
}

/// How an attempt at a message ended.
enum Attempt {
    /// It is with the sink's thread, or known to be missing.
    Done,
    /// Not its own fault, perhaps: another attempt may tell.
    Failed(Why),
    /// Refused for itself, if the folder is not refused too.
    Refused(String),
    /// The sink's thread does not listen any more.
    Unheard,
}

/// Why a message did not come.
enum Why {
    Words(String),
    /// The answer did not say where it ends.
    Unframed,
}

impl Work<'_> {
    fn run(&self, events: &SyncSender<Event>) {
        while !self.over.load(Ordering::Relaxed) {
            let at = self.next.fetch_add(1, Ordering::Relaxed);
            if at >= self.ids.len() {
                return;
            }
            match self.message(at, events) {
                Ok(true) => {}
                Ok(false) => return,
                Err(err) => {
                    let _ = events.send(Event::Over(err));
                    return;
                }
            }
        }
    }

    /// Brings one message; false when nobody listens. An error is the end of all.
    fn message(&self, at: usize, events: &SyncSender<Event>) -> Result<bool> {
        let id = super::text(&self.ids[at])?;
        // By way of the folder: a message that was moved away meanwhile is gone from here.
        let url = self
            .client
            .url(&["mailFolders", self.folder, "messages", id, "$value"]);
        // Gateways fail on large messages now and then; a second attempt tells.
        let mut last = Why::Words(String::new());
        for _ in 0..2 {
            match self.attempt(at, &url, events)? {
                Attempt::Done => return Ok(true),
                Attempt::Unheard => return Ok(false),
                Attempt::Failed(why) => last = why,
                Attempt::Refused(words) => {
                    last = Why::Words(words);
                    break;
                }
            }
        }
        let words = self.of_message(last)?;
        Ok(events
            .send(Event::Missing(at, Missing::Refused(words)))
            .is_ok())
    }

    /// What to say of a message that did not come; an error where it is not about the message:
    /// then the folder does not answer either. So nothing that passes counts against a message,
    /// and no message counts against the mailbox.
    fn of_message(&self, why: Why) -> Result<String> {
        let is_framed = self
            .client
            .ask_folder(self.folder)
            .map_err(|failure| self.client.fault(WHAT, failure))?;
        match why {
            Why::Words(words) => Ok(words),
            Why::Unframed if is_framed => {
                Ok("the answer does not say where the message ends".to_owned())
            }
            Why::Unframed => {
                let host = self.client.host();
                let fault = Fault::try_later(format!(
                    "{WHAT}: answers from `{host}` do not say where they end, so an incomplete message would look complete"
                ));
                Err(fault
                    .hint(format!(
                        "usually a proxy that inspects TLS removes the length: exclude `{host}` from the inspection"
                    ))
                    .into())
            }
        }
    }

    fn attempt(&self, at: usize, url: &Url, events: &SyncSender<Event>) -> Result<Attempt> {
        let mut asked = 0;
        let (response, _turn) = loop {
            let turn = self.turns.take();
            if self.over.load(Ordering::Relaxed) {
                return Ok(Attempt::Unheard);
            }
            let response = match self.client.open(&Method::GET, url, IMMUTABLE, None) {
                Ok(response) => response,
                Err(lost) => return Ok(Attempt::Failed(Why::Words(lost.fault.what))),
            };
            if response.status().as_u16() == 200 {
                break (response, turn);
            }
            let refusal = self.client.refusal(response);
            asked += 1;
            // What is refused at the same time counts once.
            let first = !self.client.is_waiting();
            if !self.client.may_wait(&refusal, asked) {
                return self.refused(at, refusal, events);
            }
            if first {
                self.turns.fewer();
            }
        };
        self.receive(at, response, events)
    }

    fn refused(&self, at: usize, refusal: Refusal, events: &SyncSender<Event>) -> Result<Attempt> {
        let words = refusal.words_and_id();
        Ok(match (refusal.meaning(), refusal.scope()) {
            (Meaning::Gone, _) => heard(events.send(Event::Missing(at, Missing::Silent))),
            (_, Some(Scope::Message)) => {
                heard(events.send(Event::Missing(at, Missing::Refused(words))))
            }
            (_, Some(_)) => return Err(self.client.fault(WHAT, Failure::from(refusal))),
            (Meaning::Trouble | Meaning::BadToken, None) => Attempt::Failed(Why::Words(words)),
            (_, None) => Attempt::Refused(words),
        })
    }

    /// Why an answer is not a message whole and unchanged; from its header.
    ///
    /// Graph says `text/plain` of a message and sends it in chunks. That an answer without a
    /// length or chunks is whole cannot be proved (see [`Incoming::is_framed`]): Graph knows a
    /// message's size in MIME only once it has made it, and a second answer may break off at the
    /// same octet. So no message is taken from such an answer.
    fn unfit(&self, response: &Response<Incoming>) -> Option<Why> {
        let field = |name| {
            let value = response.headers().get(name)?;
            let text = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
            let text = text.split(';').next().unwrap_or_default().trim();
            Some(text.to_owned()).filter(|text| !text.is_empty())
        };
        let coding = field(::http::header::CONTENT_ENCODING).filter(|coding| coding != "identity");
        let kind = field(::http::header::CONTENT_TYPE).filter(|kind| {
            !matches!(
                kind.as_str(),
                "text/plain" | "message/rfc822" | "message/global" | "application/octet-stream"
            )
        });
        match coding.or(kind) {
            Some(what) => Some(self.instead(&what)),
            None => (!response.body().is_framed()).then_some(Why::Unframed),
        }
    }

    /// What an answer says that is not a message: an error of Graph's form, for all its status of
    /// success, is read as the refusal that it is.
    fn other_answer(&self, response: Response<Incoming>, why: Why) -> Attempt {
        let (parts, body) = response.into_parts();
        let Why::Words(words) = why else {
            return Attempt::Failed(why);
        };
        let body = body.read_all(REFUSAL).unwrap_or_default();
        Attempt::Failed(Why::Words(match Refusal::is_in(&body) {
            true => {
                let refusal = Refusal::read(parts.status.as_u16(), &parts.headers, &body);
                format!("{words}: {}", self.client.masked(refusal).words_and_id())
            }
            false => words,
        }))
    }

    /// Something else came in the message's place.
    fn instead(&self, what: &str) -> Why {
        let what: String = what.chars().take(80).collect();
        Why::Words(format!(
            "`{}` answered with {} instead of the message",
            self.client.host(),
            crate::output::escape(&what)
        ))
    }

    /// Takes the octets: in memory while they are few, then straight through.
    fn receive(
        &self,
        at: usize,
        response: Response<Incoming>,
        events: &SyncSender<Event>,
    ) -> Result<Attempt> {
        let announced = response
            .headers()
            .get(::http::header::CONTENT_LENGTH)
            .and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
        let too_large = |announced| Missing::TooLarge {
            announced,
            max: MAX_MESSAGE,
        };
        if let Some(announced) = announced.filter(|a| *a > MAX_MESSAGE) {
            return Ok(heard(events.send(Event::Missing(at, too_large(announced)))));
        }
        let id = self.client.in_brackets(&response);
        if let Some(why) = self.unfit(&response) {
            return Ok(self.other_answer(response, why));
        }
        let mut body = response.into_body();
        // Room for the last piece, too: growing would take twice as much.
        let expected = announced.unwrap_or(0).min((SMALL + PIECE) as u64) as usize;
        let mut octets = Vec::with_capacity(expected);
        let mut piece = vec![0; PIECE];
        while octets.len() <= SMALL {
            match body.read(&mut piece) {
                // Exchange makes a header for every item: no octets are no message.
                Ok(0) if octets.is_empty() => {
                    return Ok(heard(events.send(Event::Missing(at, Missing::Silent))));
                }
                Ok(0) if !begins_as_message(&octets) => {
                    return Ok(Attempt::Failed(self.instead("other text")));
                }
                Ok(0) => return Ok(heard(events.send(Event::Whole(at, octets)))),
                Ok(read) => octets.extend_from_slice(&piece[..read]),
                Err(fault) => return Ok(Attempt::Failed(cut(&fault, octets.len() as u64, &id))),
            }
        }
        if !begins_as_message(&octets) {
            return Ok(Attempt::Failed(self.instead("other text")));
        }
        let _alone = locked(&self.large);
        let (sender, pieces) = sync_channel(PIECES);
        if events.send(Event::Large(at, announced, pieces)).is_err() {
            return Ok(Attempt::Unheard);
        }
        let mut size = octets.len() as u64;
        if sender.send(octets).is_err() {
            return Ok(Attempt::Unheard);
        }
        loop {
            match body.read(&mut piece) {
                Ok(read) => {
                    size += read as u64;
                    if size > MAX_MESSAGE {
                        // The sink discards what has no end.
                        drop(sender);
                        return Ok(heard(events.send(Event::Missing(at, too_large(size)))));
                    }
                    if sender.send(piece[..read].to_vec()).is_err() {
                        return Ok(Attempt::Unheard);
                    }
                    if read == 0 {
                        return Ok(Attempt::Done);
                    }
                }
                Err(fault) => return Ok(Attempt::Failed(cut(&fault, size, &id))),
            }
        }
    }
}

fn cut(fault: &Fault, size: u64, id: &str) -> Why {
    Why::Words(format!("{} after {size} bytes{id}", fault.what))
}

/// Whether octets begin with the name of a header field and its colon (RFC 5322 §2.2), as each
/// message does that Exchange makes. A page begins with `<`, an object with `{`.
fn begins_as_message(octets: &[u8]) -> bool {
    let head = &octets[..octets.len().min(LONGEST_NAME)];
    let Some(colon) = head.iter().position(|b| *b == b':') else {
        return false;
    };
    let name = head[..colon].trim_ascii_end();
    name.first().is_some_and(u8::is_ascii_alphanumeric) && name.iter().all(u8::is_ascii_graphic)
}

fn heard(sent: Result<(), std::sync::mpsc::SendError<Event>>) -> Attempt {
    match sent {
        Ok(()) => Attempt::Done,
        Err(_) => Attempt::Unheard,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_begins_with_a_header_field() {
        for message in ["From: a", "Received : x", "X-1:", "0a: b\r\n\r\n"] {
            assert!(begins_as_message(message.as_bytes()), "{message}");
        }
        for other in [
            "",
            "<!DOCTYPE html><a href=\"https://x\">",
            "{\"error\":{}}",
            "Bad gateway: try later\r\n",
            "no colon",
            ": x",
            "\u{feff}From: a",
        ] {
            assert!(!begins_as_message(other.as_bytes()), "{other}");
        }
        let long = format!("{}: x", "a".repeat(LONGEST_NAME));
        assert!(!begins_as_message(long.as_bytes()));
    }
}

//! Messages into the sink: several requests at once, and memory that no message can fill.
//!
//! Graph serves four requests of an app on a mailbox at a time, and each costs a round trip, so
//! that many are always under way; fewer when it says that this is too much, for others may be
//! using the mailbox at the same time. The sink takes one message at a time, in the thread that
//! asked. A small message waits for it in memory, whole; a larger one is passed through in
//! pieces while the others wait.

use super::client::{Client, IMMUTABLE, request_id};
use super::faults::{Failure, Meaning, Refusal};
use crate::fault::Fault;
use crate::http::Incoming;
use crate::mail::{Missing, RemoteId, Sink};
use ::http::{Method, Response};
use anyhow::Result;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Condvar, Mutex, PoisonError};
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
/// So many messages in a row that fail for a reason that is not their own make us look whether
/// the service answers at all.
const IN_A_ROW: u32 = 3;

/// Who may ask: so many at once as the service lets us.
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
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        while taken.0 >= taken.1 {
            let waited = self.given_back.wait(taken);
            taken = waited.unwrap_or_else(PoisonError::into_inner);
        }
        taken.0 += 1;
        Turn(self)
    }

    /// One less, but one.
    fn fewer(&self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.1 = (taken.1 - 1).max(1);
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut taken = self.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
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
    failed_in_a_row: AtomicU32,
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
        failed_in_a_row: AtomicU32::new(0),
        large: Mutex::new(()),
    };
    std::thread::scope(|scope| {
        let (sender, events) = sync_channel(1);
        for _ in 0..AT_ONCE.min(ids.len()) {
            let sender = sender.clone();
            let work = &work;
            scope.spawn(move || work.run(&sender));
        }
        drop(sender);
        let result = collect(&work, &events, sink);
        work.over.store(true, Ordering::Relaxed);
        // Workers that still have something to say find nobody to listen, and end.
        drop(events);
        result
    })
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
    /// Not its own fault, perhaps.
    Failed(String),
    /// The sink's thread does not listen any more.
    Unheard,
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
        let RemoteId::Graph(id) = &self.ids[at] else {
            return Err(super::no_id(&self.ids[at]).into());
        };
        // By way of the folder: a message that was moved away meanwhile is gone from here.
        let url = self
            .client
            .url(&["mailFolders", self.folder, "messages", id, "$value"]);
        // Gateways fail on large messages now and then; a second attempt tells.
        let mut words = String::new();
        for _ in 0..2 {
            match self.attempt(at, &url, events)? {
                Attempt::Done => {
                    self.failed_in_a_row.store(0, Ordering::Relaxed);
                    return Ok(true);
                }
                Attempt::Unheard => return Ok(false),
                Attempt::Failed(why) => words = why,
            }
        }
        if self.failed_in_a_row.fetch_add(1, Ordering::Relaxed) + 1 >= IN_A_ROW {
            self.does_it_answer()?;
            self.failed_in_a_row.store(0, Ordering::Relaxed);
        }
        Ok(events
            .send(Event::Missing(at, Missing::Refused(words)))
            .is_ok())
    }

    /// An error when it is not the messages that are broken but the service or the line.
    fn does_it_answer(&self) -> Result<()> {
        let mut url = self.client.url(&["mailFolders", self.folder]);
        url.set_query(Some("$select=id"));
        self.client
            .json::<serde_json::Value>(&Method::GET, &url, IMMUTABLE, None)
            .map(drop)
            .map_err(|failure| self.client.fault("cannot retrieve the messages", failure))
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
                Err(lost) => return Ok(Attempt::Failed(lost.fault.what)),
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
        let missing = match refusal.meaning() {
            Meaning::Gone => Missing::Silent,
            Meaning::Trouble => return Ok(Attempt::Failed(refusal.words_and_id())),
            Meaning::BadItem | Meaning::Other => Missing::Refused(refusal.words_and_id()),
            Meaning::BadToken
            | Meaning::Forbidden
            | Meaning::NoMailbox
            | Meaning::SyncStateLost
            | Meaning::Throttled => {
                let failure = Failure::from(refusal);
                return Err(self.client.fault("cannot retrieve the messages", failure));
            }
        };
        Ok(heard(events.send(Event::Missing(at, missing))))
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
        let id = request_id(&response);
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
                Ok(0) => return Ok(heard(events.send(Event::Whole(at, octets)))),
                Ok(read) => octets.extend_from_slice(&piece[..read]),
                Err(fault) => return Ok(Attempt::Failed(cut(&fault, octets.len() as u64, &id))),
            }
        }
        let _alone = self.large.lock().unwrap_or_else(PoisonError::into_inner);
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

fn cut(fault: &Fault, size: u64, id: &str) -> String {
    format!("{} after {size} octets{id}", fault.what)
}

fn heard(sent: Result<(), std::sync::mpsc::SendError<Event>>) -> Attempt {
    match sent {
        Ok(()) => Attempt::Done,
        Err(_) => Attempt::Unheard,
    }
}

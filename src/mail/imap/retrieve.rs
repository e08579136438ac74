//! Messages straight from the wire into the sink.
//!
//! The library would hold a whole answer in memory and parse it twice, so `UID FETCH` is read here.
//! A set that is too long for a line becomes several commands, of which the next is under way
//! before the last one's answer is read: the line is never idle for a round trip. When a set is
//! refused as a whole, what did not arrive of it is asked for one by one, so that one message
//! that the server cannot give does not keep back the others.
//!
//! A message of 0 octets is one if its size agrees; else the server has given nothing.

use super::faults::{Meaning, meaning};
use super::fetch::{Body, Found, Items, unquote};
use super::line::{Line, Status};
use super::search;
use super::uid_set;
use super::wire::{Cut, Failure, Wire};
use crate::mail::{Missing, Part, RemoteId, Sink};
use std::collections::VecDeque;
use std::ops::Range;

/// Commands under way at once; the unread ones must fit the buffers of the connection.
const AHEAD: usize = 3;
/// Messages in one command: enough to keep a long line busy, few enough to ask for one by one.
const SET: usize = 1000;

/// So many messages in a row that the server says it is unavailable for are believed.
const UNAVAILABLE: u32 = 3;

/// Retrieves the messages of these ascending, distinct UIDs, or a part of each; returns those that
/// did not arrive.
pub fn retrieve(
    wire: &mut Wire,
    uids: &[u32],
    part: Part,
    sink: &mut dyn Sink,
) -> Result<Vec<(u32, Missing)>, Failure> {
    let mut fetching = Fetching {
        wire,
        sink,
        uids,
        part,
        settled: vec![false; uids.len()],
        missing: Vec::new(),
        empty: Vec::new(),
        waste: 0,
        unavailable: 0,
        available: false,
        doubt: None,
        line: Vec::new(),
    };
    fetching.wire.begin();
    let again = fetching.ask(uid_set::sets(uids, SET))?;
    let singles = again
        .into_iter()
        .map(|at| (at..at + 1, uids[at].to_string()))
        .collect();
    fetching.ask(singles)?;
    fetching.take_empty()?;
    match fetching.doubt {
        Some(words) if !fetching.available => Err(Failure::Refused(words)),
        _ => Ok(fetching.missing),
    }
}

struct Fetching<'a> {
    wire: &'a mut Wire,
    sink: &'a mut dyn Sink,
    uids: &'a [u32],
    part: Part,
    /// For each UID: it has arrived, or is known not to.
    settled: Vec<bool>,
    missing: Vec<(u32, Missing)>,
    /// Those that came with a body of 0 octets.
    empty: Vec<u32>,
    /// Octets passed over since the last tagged line.
    waste: u64,
    /// Messages in a row for which the server said that it is unavailable.
    unavailable: u32,
    /// Something was given: the server does answer.
    available: bool,
    /// The words with which it said that it is unavailable, when that was about one message.
    doubt: Option<String>,
    /// The piece of a response that is read.
    line: Vec<u8>,
}

/// A message under way, within one FETCH response.
#[derive(Default)]
struct Message {
    /// The UID that it was given, and its position, if it is one that was asked for.
    uid: Option<u32>,
    at: Option<usize>,
    /// The UID is one that was not asked for, or there were several.
    unwanted: bool,
    /// The sink was told to begin.
    begun: bool,
    /// Its body was there, with 0 octets.
    empty: bool,
    /// Its size, when it is too large.
    too_large: Option<u64>,
}

impl Fetching<'_> {
    /// Asks for sets, several at once, and reads all answers. Returns the positions of the
    /// messages to ask for again: those of a set that was refused.
    fn ask(&mut self, sets: Vec<(Range<usize>, String)>) -> Result<Vec<usize>, Failure> {
        let mut sets = sets.into_iter();
        let mut under_way = VecDeque::new();
        let mut again = Vec::new();
        loop {
            while under_way.len() < AHEAD {
                let Some((range, text)) = sets.next() else {
                    break;
                };
                let section = match self.part {
                    Part::Whole => "",
                    Part::Header => "HEADER",
                };
                let command = format!("UID FETCH {text} (UID BODY.PEEK[{section}])");
                under_way.push_back((self.wire.send_command(&command)?, range));
            }
            if under_way.is_empty() {
                return Ok(again);
            }
            let Some((tag, status)) = self.response()? else {
                continue;
            };
            // Commands may be answered in another order than they were asked in.
            let Some(at) = under_way.iter().position(|(t, _)| t.as_bytes() == tag) else {
                return Err(
                    Cut::Disorder("an answer to a command that was not sent".into()).into(),
                );
            };
            let Some((_, range)) = under_way.remove(at) else {
                continue;
            };
            let words = self.wire.heard.tagged.clone();
            self.close_set(range, status, words, &mut again)?;
            self.waste = 0;
            self.wire.begin();
        }
    }

    /// A set is answered: what has not arrived is missing, or to be asked for again.
    fn close_set(
        &mut self,
        range: Range<usize>,
        status: Status,
        words: String,
        again: &mut Vec<usize>,
    ) -> Result<(), Failure> {
        let alone = range.len() == 1;
        if status != Status::Ok {
            match meaning(&words) {
                Meaning::Throttled(_) | Meaning::NotConnected | Meaning::TokenExpired => {
                    return Err(Failure::Refused(words));
                }
                // One message may be the reason, when the server gives others; several in a row
                // are not.
                Meaning::Unavailable | Meaning::Limit if alone => {
                    self.unavailable += 1;
                    if self.unavailable >= UNAVAILABLE {
                        return Err(Failure::Refused(words));
                    }
                    self.doubt.get_or_insert_with(|| words.clone());
                }
                _ => self.unavailable = 0,
            }
        } else {
            self.unavailable = 0;
            self.available = true;
        }
        for at in range {
            if self.settled[at] {
                continue;
            }
            let why = match status {
                Status::Ok => Missing::Silent,
                _ if meaning(&words) == Meaning::Gone => Missing::Silent,
                _ if alone => Missing::Refused(words.clone()),
                _ => {
                    again.push(at);
                    continue;
                }
            };
            self.miss(at, why);
        }
        Ok(())
    }

    fn miss(&mut self, at: usize, why: Missing) {
        self.settled[at] = true;
        self.missing.push((self.uids[at], why));
    }

    /// Reads one response; returns the tag and status of a tagged one.
    fn response(&mut self) -> Result<Option<(Vec<u8>, Status)>, Cut> {
        let longest = self.wire.limits.line;
        self.line.clear();
        self.wire.read_line(&mut self.line, longest)?;
        match Line::parse(&self.line) {
            Line::Data {
                number: Some(_),
                kind,
                rest,
            } if kind.eq_ignore_ascii_case(b"FETCH") => {
                // Where the items begin; the line itself is reused for the pieces that follow.
                let from = super::line::trim_end(&self.line).len() - rest.len();
                let mut message = Message::default();
                let done = self.fetch(from, &mut message);
                if message.begun {
                    self.sink.discard();
                }
                done?;
                Ok(None)
            }
            Line::More(_) => Err(Cut::Disorder(
                "a continuation request at the wrong time".into(),
            )),
            other => Ok(self
                .wire
                .note(other)?
                .map(|(tag, status)| (tag.to_vec(), status))),
        }
    }

    /// Reads a FETCH response whose items begin at `from`; leaves `message.begun` set when what
    /// the sink has got is to be discarded.
    fn fetch(&mut self, mut from: usize, message: &mut Message) -> Result<(), Cut> {
        let mut items = Items::default();
        let longest = self.wire.limits.line;
        loop {
            // One piece: up to the end of the response, or to a literal.
            let line = std::mem::take(&mut self.line);
            let mut piece = super::line::trim_end(&line[from..]);
            let literal = super::line::literal(&line[from..]);
            let next = loop {
                match items.next(&mut piece) {
                    Ok(Found::Uid(uid)) => self.identify(uid, message),
                    Ok(Found::Head(Body::Literal(size))) => break Some((size, false)),
                    Ok(
                        Found::Body(Body::Nil)
                        | Found::Head(_)
                        | Found::Size(_)
                        | Found::Seen
                        | Found::Date(_),
                    ) => {}
                    Ok(Found::Body(Body::Quoted(text))) => {
                        let text = unquote(text);
                        self.quoted(&text, message)?;
                    }
                    Ok(Found::Body(Body::Literal(size))) => break Some((size, true)),
                    Ok(Found::Other(size)) => break Some((size, false)),
                    Ok(Found::End) => break None,
                    // In doubt the literal is passed over, so that no text of a message is ever
                    // taken for an answer; the message counts as not given.
                    Err(_) => {
                        return self.pass_over(literal, line);
                    }
                }
            };
            self.line = line;
            let Some((size, body)) = next else {
                return self.end(message);
            };
            if body {
                self.body(size, message)?;
            } else {
                self.skip(size)?;
            }
            self.line.clear();
            self.wire.read_line(&mut self.line, longest)?;
            from = 0;
        }
    }

    /// Passes over the rest of a response that cannot be read.
    fn pass_over(&mut self, mut literal: Option<u64>, mut line: Vec<u8>) -> Result<(), Cut> {
        let longest = self.wire.limits.line;
        while let Some(size) = literal {
            self.skip(size)?;
            line.clear();
            self.wire.read_line(&mut line, longest)?;
            literal = super::line::literal(&line);
        }
        self.line = line;
        Ok(())
    }

    fn identify(&self, uid: u32, message: &mut Message) {
        let is_another = message.uid.replace(uid).is_some_and(|first| first != uid);
        message.at = self.uids.binary_search(&uid).ok();
        // A second copy of what has arrived is as unwanted as what was not asked for.
        message.unwanted |= is_another || message.at.is_none_or(|at| self.settled[at]);
    }

    /// The message's octets as a literal.
    fn body(&mut self, size: u64, message: &mut Message) -> Result<(), Cut> {
        if size > self.wire.limits.message {
            message.too_large = Some(size);
            return self.skip(size);
        }
        message.empty |= size == 0;
        if size == 0 || message.unwanted || message.begun {
            return self.skip(size);
        }
        if message.at.is_none() {
            // It may turn out to be unwanted.
            self.count_waste(size)?;
        }
        self.sink.begin(Some(size)).map_err(Cut::Sink)?;
        message.begun = true;
        let sink = &mut *self.sink;
        self.wire.read_literal(size, |octets| sink.write(octets))
    }

    /// The message's octets as a quoted string: short ones, from a few servers.
    fn quoted(&mut self, text: &[u8], message: &mut Message) -> Result<(), Cut> {
        message.empty |= text.is_empty();
        if text.is_empty() || message.unwanted || message.begun {
            return Ok(());
        }
        self.sink
            .begin(Some(text.len() as u64))
            .map_err(Cut::Sink)?;
        message.begun = true;
        self.sink.write(text).map_err(Cut::Sink)
    }

    /// The response is complete: the message arrived if its UID is one that was asked for.
    fn end(&mut self, message: &mut Message) -> Result<(), Cut> {
        let Some(at) = message.at.filter(|_| !message.unwanted) else {
            return Ok(());
        };
        if message.begun {
            message.begun = false;
            self.sink
                .end(&RemoteId::from(self.uids[at]))
                .map_err(Cut::Sink)?;
            self.settled[at] = true;
            self.available = true;
        } else if let Some(announced) = message.too_large {
            let max = self.wire.limits.message;
            self.miss(at, Missing::TooLarge { announced, max });
        } else if message.empty {
            self.empty.push(self.uids[at]);
        }
        Ok(())
    }

    /// Takes those with a body of 0 octets whose size is 0, too, for messages of 0 octets.
    fn take_empty(&mut self) -> Result<(), Failure> {
        let mut empty = std::mem::take(&mut self.empty);
        empty.sort_unstable();
        empty.dedup();
        for (_, set) in uid_set::sets(&empty, SET) {
            let sizes = match search::fetch_sizes(self.wire, &set) {
                Err(Failure::Refused(words)) if meaning(&words) == Meaning::Other => continue,
                sizes => sizes?,
            };
            let agree = |uid: &u32| empty.binary_search(uid).is_ok();
            for (uid, _) in sizes.iter().filter(|(uid, size)| *size == 0 && agree(uid)) {
                let before = self.missing.len();
                self.missing.retain(|(other, _)| other != uid);
                if self.missing.len() == before {
                    continue; // the size of one came twice
                }
                self.sink
                    .begin(Some(0))
                    .and_then(|()| self.sink.end(&RemoteId::from(*uid)))
                    .map_err(Cut::Sink)?;
            }
        }
        Ok(())
    }

    fn skip(&mut self, size: u64) -> Result<(), Cut> {
        self.count_waste(size)?;
        self.wire.read_literal(size, |_| Ok(()))
    }

    fn count_waste(&mut self, size: u64) -> Result<(), Cut> {
        self.waste = self.waste.saturating_add(size);
        if self.waste > self.wire.limits.waste {
            return Err(Cut::TooMuch(format!(
                "over {} bytes of a message that is too large or was not requested",
                self.wire.limits.waste
            )));
        }
        Ok(())
    }
}

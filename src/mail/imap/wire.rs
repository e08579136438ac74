//! The one stream of an IMAP session: everything that is read passes the bounds here.
//!
//! Two readers share it, one after the other and never in the middle of a response: the library,
//! through [`super::guard`], and the client's own commands (SEARCH, LIST, FETCH). It counts the
//! octets and lines of the command in progress, message bodies apart, and keeps what the server
//! said besides.

use super::line::{self, Line, Status};
use crate::net::{Connector, SMALL_BUFFER, Stream, Trace, grow};
use crate::output::escape;
use crate::secret::{Mask, Secret};
use std::io::{self, Read, Write};

/// So much of a server's text is kept or shown, in octets.
const LONGEST_TEXT: usize = 1 << 10;

/// What a server may send.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Octets of a line, its small literals included.
    pub line: usize,
    /// Octets of a literal that is not a message.
    pub small_literal: u64,
    /// Octets of all lines that answer one command.
    pub octets: u64,
    /// The same of a search, where there are more: those of two million UIDs.
    pub search: u64,
    /// Lines that answer one command.
    pub lines: u32,
    /// Octets of a message; a larger one is passed over.
    pub message: u64,
    /// Octets of messages that nobody wanted or that are too large, passed over in one command.
    pub waste: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            line: 64 << 10,
            small_literal: 64 << 10,
            octets: 16 << 20,
            search: 24 << 20,
            lines: 100_000,
            message: 160 << 20,
            waste: 1 << 30,
        }
    }
}

/// Why a connection is of no more use.
#[derive(Debug)]
pub enum Cut {
    Io(io::Error),
    /// The stream ended.
    Closed,
    /// The server's words.
    Bye(String),
    /// It sent more than is taken; what.
    TooMuch(String),
    /// It sent what is no IMAP; what.
    Disorder(String),
    /// The sink's own error.
    Sink(io::Error),
}

/// A command that did not succeed.
#[derive(Debug)]
pub enum Failure {
    /// Refused with these words (`NO …` or `BAD …`); the session goes on.
    Refused(String),
    Cut(Cut),
}

impl From<Cut> for Failure {
    fn from(cut: Cut) -> Failure {
        Failure::Cut(cut)
    }
}

/// What the server said besides its answers.
#[derive(Debug, Default)]
pub struct Heard {
    /// Texts that a person must see (RFC 3501 §7.1, ALERT).
    pub alerts: Vec<String>,
    /// Untagged NO and BAD since the command began.
    pub warnings: Vec<String>,
    /// The words of the last tagged line.
    pub tagged: String,
    /// The messages in the open folder.
    pub exists: u32,
    /// The UID that the open folder's next message will have (RFC 3501 §2.3.1.1), if it tells.
    pub uid_next: Option<u32>,
    /// The open folder holds a message at it or above it.
    pub next_is_wrong: bool,
    /// The flags that can be changed in the open folder for good (PERMANENTFLAGS, RFC 3501 §7.1);
    /// all, where the server does not tell.
    pub permanent: Option<String>,
    /// What the server offers, as it last said it, asked or unasked; it may be more after a
    /// sign-in.
    pub offers: Option<String>,
    /// What a challenge said after the server refused a token.
    pub challenge: Option<String>,
    /// Why the stream ended; the library only sees an I/O error.
    pub cut: Option<Cut>,
}

pub struct Wire {
    stream: Stream,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    octets: u64,
    lines: u32,
    tags: u32,
    /// What tags begin with: another letter before TLS than in it, so that no answer that came
    /// unencrypted counts for a command in TLS.
    letter: char,
    trace: Option<Trace>,
    /// Never shown, nor kept in what the server said.
    secrets: Mask,
    pub limits: Limits,
    pub heard: Heard,
}

impl Wire {
    pub fn new(stream: Stream, trace: Option<Trace>) -> Wire {
        Wire {
            stream,
            buffer: vec![0; SMALL_BUFFER],
            start: 0,
            end: 0,
            octets: 0,
            lines: 0,
            tags: 0,
            letter: 'q',
            trace,
            secrets: Mask::default(),
            limits: Limits::default(),
            heard: Heard::default(),
        }
    }

    /// Tells that what follows is said before TLS.
    pub fn begin_in_clear(&mut self) {
        self.letter = 't';
    }

    /// Starts TLS. What was said before it is forgotten (RFC 3501 §6.2.1); who calls this has looked
    /// at [`Wire::unread`].
    pub fn start_tls(self, host: &str, connector: &Connector) -> anyhow::Result<Wire> {
        Ok(Wire {
            stream: self.stream.start_tls(host, connector)?,
            heard: Heard::default(),
            tags: 0,
            letter: 'q',
            ..self
        })
    }

    /// How many octets have arrived that nobody has read.
    pub fn unread(&self) -> usize {
        self.end - self.start + self.stream.unread()
    }

    /// Keeps a secret out of the trace and of every text that is kept.
    pub fn mask(&mut self, secret: Secret) {
        self.secrets.add(secret);
    }

    /// The answer to a command begins to be counted.
    pub fn begin(&mut self) {
        self.octets = 0;
        self.lines = 0;
        self.heard.warnings.clear();
        self.stream.renew();
    }

    /// Sends lines as they are; `shown` is their form in the trace.
    pub fn send(&mut self, lines: &[u8], shown: &str) -> Result<(), Cut> {
        self.show("C", shown.as_bytes());
        self.stream
            .write_all(lines)
            .and_then(|()| self.stream.flush())
            .map_err(Cut::Io)
    }

    /// Sends a command of the client and returns its tag.
    pub fn send_command(&mut self, command: &str) -> Result<String, Cut> {
        self.send_as(command, command)
    }

    /// The same of a command that holds a secret; `shown` is its form in the trace.
    pub fn send_as(&mut self, command: &str, shown: &str) -> Result<String, Cut> {
        self.tags += 1;
        let tag = format!("{}{}", self.letter, self.tags);
        let line = Secret::new(format!("{tag} {command}\r\n"));
        self.send(line.expose().as_bytes(), &format!("{tag} {shown}"))?;
        Ok(tag)
    }

    /// Runs a command of the client and gives each untagged line of its answer to `each`, the small
    /// literals in it included.
    pub fn run(
        &mut self,
        command: &str,
        longest: usize,
        mut each: impl FnMut(Line<'_>) -> Result<(), Cut>,
    ) -> Result<(), Failure> {
        self.begin();
        let tag = self.send_command(command)?;
        let mut line = Vec::new();
        loop {
            self.read_response(&mut line, longest)?;
            let parsed = Line::parse(&line);
            match self.note_untagged(parsed, &tag)? {
                Some(status) => return self.verdict(status),
                None => each(parsed)?,
            }
        }
    }

    /// Runs `UID SEARCH`, whose answer may be a line of any length: `each` gets the first piece of
    /// it as a line, and what follows as it is. Pieces are cut behind a space or a comma.
    pub fn run_search(
        &mut self,
        command: &str,
        mut each: impl FnMut(Piece<'_>) -> Result<(), Cut>,
    ) -> Result<(), Failure> {
        self.begin();
        let tag = self.send_command(command)?;
        let longest = self.limits.line;
        let too_long = || Cut::TooMuch(format!("a line of over {longest} bytes"));
        let mut line = Vec::new();
        let mut is_first = true;
        loop {
            let room = longest.saturating_sub(line.len());
            let is_whole = self.read_piece(&mut line, room)?;
            let cut = match is_whole {
                true => line.len(),
                false => {
                    let end = line.iter().rposition(|&b| matches!(b, b' ' | b','));
                    end.ok_or_else(too_long)? + 1
                }
            };
            if is_first {
                self.show("S", line::trim_end(&line[..cut]));
                if is_whole {
                    self.read_literals(&mut line, longest)?;
                }
                let cut = if is_whole { line.len() } else { cut };
                let parsed = Line::parse(&line[..cut]);
                if !is_whole && !is_search(parsed) {
                    return Err(too_long().into());
                }
                match self.note_untagged(parsed, &tag)? {
                    Some(status) => return self.verdict(status),
                    None => each(Piece::Line(parsed))?,
                }
            } else {
                each(Piece::More(line::trim_end(&line[..cut])))?;
            }
            match is_whole {
                true => line.clear(),
                false => drop(line.drain(..cut)),
            }
            is_first = is_whole;
        }
    }

    /// Notes a line of the answer to the command of this tag; gives the status of a tagged one.
    pub fn note_untagged(&mut self, line: Line<'_>, tag: &str) -> Result<Option<Status>, Cut> {
        match self.note(line)? {
            Some((of, status)) if of == tag.as_bytes() => Ok(Some(status)),
            Some((of, _)) => Err(Cut::Disorder(format!(
                "an answer to `{}` instead of `{tag}`",
                self.text(of)
            ))),
            None => Ok(None),
        }
    }

    /// True if the server offers this. It is asked if it has not said unasked what it offers.
    pub fn offers(&mut self, name: &str) -> Result<bool, Failure> {
        if self.heard.offers.is_none() {
            self.run("CAPABILITY", self.limits.line, |_| Ok(()))?;
        }
        let offers = self.heard.offers.get_or_insert_default();
        Ok(offers
            .split(' ')
            .any(|word| word.eq_ignore_ascii_case(name)))
    }

    /// What the last tagged line means.
    pub fn verdict(&self, status: Status) -> Result<(), Failure> {
        match status {
            Status::Ok => Ok(()),
            Status::No | Status::Bad => Err(Failure::Refused(self.heard.tagged.clone())),
        }
    }

    /// Keeps what a line tells besides; returns the tag and status of a tagged one.
    pub fn note<'a>(&mut self, line: Line<'a>) -> Result<Option<(&'a [u8], Status)>, Cut> {
        match line {
            Line::Tagged { tag, status, words } => {
                self.heard.tagged = self.text(words);
                if status == Status::Ok {
                    self.note_codes(line::word(words).1);
                }
                return Ok(Some((tag, status)));
            }
            Line::Data { number, kind, rest } => {
                let is = |name: &[u8]| kind.eq_ignore_ascii_case(name);
                match number {
                    Some(n) if is(b"EXISTS") => self.heard.exists = n,
                    Some(_) if is(b"EXPUNGE") => {
                        self.heard.exists = self.heard.exists.saturating_sub(1);
                    }
                    None if is(b"BYE") => return Err(Cut::Bye(self.last_words(rest))),
                    None if is(b"NO") || is(b"BAD") => {
                        let text = self.text(rest);
                        keep(&mut self.heard.warnings, text);
                    }
                    None if is(b"OK") => {
                        self.note_codes(rest);
                        if line::code(rest, b"ALERT").is_some() {
                            let text = self.text(rest);
                            keep(&mut self.heard.alerts, text);
                        }
                    }
                    None if is(b"CAPABILITY") => self.heard.offers = Some(list(rest)),
                    _ => {}
                }
            }
            Line::Odd => return Err(Cut::Disorder("a line that is not IMAP".into())),
            Line::More(_) | Line::Empty => {}
        }
        Ok(None)
    }

    /// Keeps what the response codes of an OK tell.
    fn note_codes(&mut self, text: &[u8]) {
        if let Some(offers) = line::code(text, b"CAPABILITY") {
            self.heard.offers = Some(list(offers));
        }
        let next = line::code(text, b"UIDNEXT").and_then(line::number);
        if let Some(next) = next.filter(|&next| next > 0) {
            self.heard.uid_next = Some(next);
        }
        if let Some(flags) = line::code(text, b"PERMANENTFLAGS") {
            self.heard.permanent = Some(list(flags));
        }
    }

    /// The words of a BYE, after the warnings that led to it.
    fn last_words(&self, rest: &[u8]) -> String {
        let mut words = self.heard.warnings.clone();
        words.push(format!("BYE {}", self.text(rest)));
        words.join("; ")
    }

    /// The server's words without the secrets, at most 1 KiB of them.
    pub fn text(&self, words: &[u8]) -> String {
        // A secret may stand where the text is cut; what is beyond this is not shown.
        let some = &words[..words.len().min(LONGEST_TEXT * 2)];
        let mut text = self.secrets.hide(&String::from_utf8_lossy(some));
        if text.len() > LONGEST_TEXT || some.len() < words.len() {
            text.truncate(text.floor_char_boundary(LONGEST_TEXT));
            text.push('…');
        }
        text
    }

    /// Reads a response that holds no message: a line, or several with small literals between
    /// them, which stay in it.
    pub fn read_response(&mut self, into: &mut Vec<u8>, longest: usize) -> Result<(), Cut> {
        into.clear();
        self.read_line(into, longest)?;
        self.read_literals(into, longest)
    }

    /// Reads on behind the first line of a response, while a line of it ends in a literal.
    fn read_literals(&mut self, into: &mut Vec<u8>, longest: usize) -> Result<(), Cut> {
        let mut from = 0;
        loop {
            let Some(size) = line::literal(&into[from..]).filter(|_| takes_literals(into)) else {
                return Ok(());
            };
            if size > self.limits.small_literal || into.len() as u64 + size > longest as u64 {
                return Err(Cut::TooMuch(format!("a literal of {size} bytes")));
            }
            self.octets += size;
            self.read_literal(size, |octets| {
                into.extend_from_slice(octets);
                Ok(())
            })?;
            from = into.len();
            self.read_line(into, longest)?;
        }
    }

    /// Adds one line to `into`, its end included.
    pub fn read_line(&mut self, into: &mut Vec<u8>, longest: usize) -> Result<(), Cut> {
        let from = into.len();
        if !self.read_piece(into, longest)? {
            return Err(Cut::TooMuch(format!("a line of over {longest} bytes")));
        }
        if self.trace.is_some() {
            let shown = line::trim_end(&into[from..]).to_vec();
            self.show("S", &shown);
        }
        Ok(())
    }

    /// Adds to `into` what is left of a line, its end included, but no more than `most` octets;
    /// true where the line has ended.
    fn read_piece(&mut self, into: &mut Vec<u8>, most: usize) -> Result<bool, Cut> {
        let mut left = most;
        while left > 0 {
            if self.start == self.end {
                self.fill()?;
            }
            let ready = &self.buffer[self.start..self.end];
            let ready = &ready[..ready.len().min(left)];
            let end = ready.iter().position(|&b| b == b'\n').map(|at| at + 1);
            let taken = end.unwrap_or(ready.len());
            self.octets += taken as u64;
            if self.octets > self.limits.octets {
                return Err(Cut::TooMuch(format!(
                    "over {} bytes for one command",
                    self.limits.octets
                )));
            }
            into.extend_from_slice(&ready[..taken]);
            self.start += taken;
            left -= taken;
            if end.is_some() {
                self.lines += 1;
                if self.lines > self.limits.lines {
                    return Err(Cut::TooMuch(format!(
                        "over {} lines for one command",
                        self.limits.lines
                    )));
                }
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Hands the next `size` octets to `each` as they come, in pieces as large as the buffer, and
    /// without a copy of the whole.
    pub fn read_literal(
        &mut self,
        size: u64,
        mut each: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(), Cut> {
        let mut left = size;
        while left > 0 {
            let piece = usize::try_from(left)
                .unwrap_or(usize::MAX)
                .min(self.buffer.len());
            // These octets are certain to come, so that to wait for them costs nothing.
            while self.end - self.start < piece {
                self.fill()?;
            }
            each(&self.buffer[self.start..self.start + piece]).map_err(Cut::Sink)?;
            self.start += piece;
            left -= piece as u64;
        }
        if let Some(trace) = &self.trace {
            trace(&format!("S: <{size} bytes>"));
        }
        Ok(())
    }

    /// Reads more behind what is in the buffer; to be called only when it is not full.
    fn fill(&mut self) -> Result<(), Cut> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.end == self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        let read = self.stream.read(&mut self.buffer[self.end..]);
        match read.map_err(Cut::Io)? {
            0 => Err(Cut::Closed),
            n => {
                self.end += n;
                if self.end == self.buffer.len() {
                    grow(&mut self.buffer);
                }
                Ok(())
            }
        }
    }

    fn show(&self, who: &str, line: &[u8]) {
        if let Some(trace) = &self.trace {
            trace(&format!("{who}: {}", escape(&self.text(line))));
        }
    }
}

/// A line of the answer to a search that is longer than others may be comes in several.
pub enum Piece<'a> {
    Line(Line<'a>),
    /// What follows in the same line.
    More(&'a [u8]),
}

fn is_search(line: Line<'_>) -> bool {
    line.untagged(b"SEARCH")
        .or(line.untagged(b"ESEARCH"))
        .is_some()
}

fn list(words: &[u8]) -> String {
    String::from_utf8_lossy(words).into_owned()
}

/// Keeps the first twenty texts; more than that nobody reads.
fn keep(texts: &mut Vec<String>, text: String) {
    if texts.len() < 20 {
        texts.push(text);
    }
}

/// True for a response that may hold literals: a text that ends in `{5}` is not a literal.
fn takes_literals(response: &[u8]) -> bool {
    let Line::Data { kind, .. } = Line::parse(response) else {
        return false;
    };
    [
        &b"FETCH"[..],
        b"LIST",
        b"LSUB",
        b"STATUS",
        b"NAMESPACE",
        b"ID",
        b"METADATA",
    ]
    .iter()
    .any(|name| kind.eq_ignore_ascii_case(name))
}

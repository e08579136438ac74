//! What the `imap` library sees of the stream: only what it asked for, in its plainest form.
//!
//! The library (3.0.0-alpha.15) panics on some legal answers, loses its place after those that its
//! parser does not know, overflows the stack on nested lists, reads without a bound, and forgets
//! the words of a BYE. So it gets one line at a time, and of these only the tagged line and the two
//! facts that it wants about a folder, each rewritten from what was understood; the rest is noted by
//! the [`Wire`] and kept from it. Nothing is left in the library's own buffer after a tagged line, so
//! that other commands can use the stream in between.
//!
//! A session comes from its `login` or its `authenticate` alone. `authenticate` reads each challenge
//! with a regular expression, and no feature of it does without: who calls it links `regex`, which
//! nothing else in the program needs and which is half a megabyte of it. What is rewritten here on
//! the way cannot change that, for a linker goes by what may be called. So [`super::connect`] signs
//! in, and the LOGIN that opens the session is answered here and never sent.

use super::line::{self, Line, Status};
use super::wire::{Cut, Wire};
use std::cell::RefCell;
use std::io::{self, Cursor, Read, Write};
use std::rc::Rc;

pub struct Guard {
    wire: Rc<RefCell<Wire>>,
    /// The tag of the command in progress, and whether that opens a folder.
    tag: Vec<u8>,
    opens_folder: bool,
    /// What the library has written, and what it is to read.
    out: Vec<u8>,
    ready: Cursor<Vec<u8>>,
    line: Vec<u8>,
}

impl Guard {
    pub fn new(wire: Rc<RefCell<Wire>>) -> Guard {
        Guard {
            wire,
            tag: Vec::new(),
            opens_folder: false,
            out: Vec::new(),
            ready: Cursor::default(),
            line: Vec::new(),
        }
    }

    /// Reads on until there is a line for the library.
    fn next_line(&mut self) -> Result<Vec<u8>, Cut> {
        let mut wire = self.wire.borrow_mut();
        loop {
            let longest = wire.limits.line;
            wire.read_response(&mut self.line, longest)?;
            let parsed = Line::parse(&self.line);
            let tag = String::from_utf8_lossy(&self.tag);
            if let Some(status) = wire.note_untagged(parsed, &tag)? {
                let Line::Tagged { words, .. } = parsed else {
                    continue;
                };
                return Ok([&self.tag, plain_status(status, words)].concat());
            }
            match parsed {
                Line::More(_) => {
                    return Err(Cut::Disorder(
                        "a continuation request at the wrong time".into(),
                    ));
                }
                Line::Data { number, kind, rest } if self.opens_folder => match number {
                    Some(n) if kind.eq_ignore_ascii_case(b"EXISTS") => {
                        return Ok(format!("* {n} EXISTS\r\n").into_bytes());
                    }
                    None if kind.eq_ignore_ascii_case(b"OK") => {
                        let uid_validity = line::code(rest, b"UIDVALIDITY").and_then(line::number);
                        if let Some(n) = uid_validity.filter(|&n| n > 0) {
                            return Ok(format!("* OK [UIDVALIDITY {n}] valid\r\n").into_bytes());
                        }
                    }
                    _ => {}
                },
                _ => {}
            }
        }
    }

    /// Sends what the library wrote, in one piece, and sees what it asks.
    fn forward(&mut self) -> Result<(), Cut> {
        let out = std::mem::take(&mut self.out);
        let line = line::trim_end(&out);
        let (tag, command) = line::word(line);
        let (verb, _) = line::word(command);
        self.tag = tag.to_vec();
        let is = |name: &[u8]| verb.eq_ignore_ascii_case(name);
        if is(b"LOGIN") {
            self.ready = Cursor::new([tag, plain_status(Status::Ok, b"")].concat());
            return Ok(());
        }
        self.opens_folder = is(b"SELECT") || is(b"EXAMINE");
        let mut wire = self.wire.borrow_mut();
        wire.begin();
        wire.send(&out, &String::from_utf8_lossy(line))
    }

    /// Keeps the reason, and gives the library an error of its own kind.
    fn keep(&self, cut: Cut) -> io::Error {
        self.wire.borrow_mut().heard.cut.get_or_insert(cut);
        io::Error::other("the stream was cut")
    }
}

/// A tagged line's end, with the one code that the library is to see.
fn plain_status(status: Status, words: &[u8]) -> &'static [u8] {
    match status {
        Status::Ok => {
            let (_, text) = line::word(words);
            if line::code(text, b"READ-ONLY").is_some() {
                b" OK [READ-ONLY] done\r\n"
            } else {
                b" OK done\r\n"
            }
        }
        Status::No => b" NO refused\r\n",
        Status::Bad => b" BAD refused\r\n",
    }
}

impl Read for Guard {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let is_read = self.ready.position() == self.ready.get_ref().len() as u64;
        if is_read {
            let line = self.next_line().map_err(|cut| self.keep(cut))?;
            self.ready = Cursor::new(line);
        }
        self.ready.read(out)
    }
}

impl Write for Guard {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.out.extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        self.forward().map_err(|cut| self.keep(cut))
    }
}

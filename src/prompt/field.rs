//! A question and the line that is typed after it, on as many rows as they need.
//!
//! The keys come from dialoguer's console. Its own `Input` counts rows in bytes and leaves stale ones
//! where a line is longer than the terminal is wide, and knows no Ctrl-U, Ctrl-W, Home, End or Delete.

use crate::output::{escape, is_unsafe};
use crate::wording::{place, width};
use dialoguer::console::Key;

pub const CTRL_D: char = '\u{4}';
const CTRL_K: char = '\u{b}';
const CTRL_U: char = '\u{15}';
const CTRL_W: char = '\u{17}';

pub struct Field {
    question: String,
    text: Vec<char>,
    /// The cursor is before this character.
    at: usize,
    /// The row of the cursor, counted from that where the question begins.
    row: usize,
}

impl Field {
    pub fn new(question: &str) -> Field {
        Field {
            question: escape(question),
            text: Vec::new(),
            at: 0,
            row: 0,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    pub fn text(&self) -> String {
        self.text.iter().collect()
    }

    /// Does what a key says; what then is to be written. Ctrl-A and Ctrl-E come as `Home` and `End`.
    pub fn pressed(&mut self, key: &Key, columns: usize) -> String {
        match key {
            Key::ArrowLeft => self.at = self.at.saturating_sub(1),
            Key::ArrowRight => self.at = self.text.len().min(self.at + 1),
            Key::Home => self.at = 0,
            Key::End => self.at = self.text.len(),
            Key::Backspace if self.at > 0 => {
                self.at -= 1;
                self.text.remove(self.at);
            }
            Key::Del | Key::Char(CTRL_D) if self.at < self.text.len() => {
                self.text.remove(self.at);
            }
            Key::Char(CTRL_K) => self.text.truncate(self.at),
            Key::Char(CTRL_U) => self.erase_from(0),
            Key::Char(CTRL_W) => {
                let before = &self.text[..self.at];
                let word = before.iter().rposition(|c| *c != ' ').unwrap_or(0);
                let space = before[..word].iter().rposition(|c| *c == ' ');
                self.erase_from(space.map_or(0, |space| space + 1));
            }
            // Marks of direction come along with what is copied from a page.
            Key::Char(c) if !is_unsafe(*c) => return self.put(*c, columns),
            _ => return String::new(),
        }
        self.drawn(columns)
    }

    /// Takes away what is before the cursor, from this character on.
    fn erase_from(&mut self, start: usize) {
        self.text.drain(start..self.at);
        self.at = start;
    }

    /// Most of what is typed only goes on in the same row.
    fn put(&mut self, c: char, columns: usize) -> String {
        self.text.insert(self.at, c);
        self.at += 1;
        let (row, column) = place(&self.before(self.at), columns);
        let alone = width(c.encode_utf8(&mut [0; 4]));
        if self.at == self.text.len() && row == self.row && column >= alone && alone > 0 {
            return c.to_string();
        }
        self.drawn(columns)
    }

    /// The question with what is typed, written over what is there, and the cursor in its place.
    pub fn drawn(&mut self, columns: usize) -> String {
        let all = self.before(self.text.len());
        let end = place(&all, columns);
        let cursor = place(&self.before(self.at), columns);
        let mut drawn = up(self.row);
        drawn += "\r\x1b[J";
        drawn += &all;
        // The cursor stays at the end of a row that is full until something follows.
        if end.1 == 0 {
            drawn += "\n";
        }
        drawn += &up(end.0 - cursor.0);
        drawn += "\r";
        if cursor.1 > 0 {
            drawn += &format!("\x1b[{}C", cursor.1);
        }
        self.row = cursor.0;
        drawn
    }

    /// Leaves the line as it is, for what comes below.
    pub fn left(&mut self, columns: usize) -> String {
        let mut drawn = String::new();
        if self.at < self.text.len() {
            self.at = self.text.len();
            drawn = self.drawn(columns);
        }
        if place(&self.before(self.at), columns).1 > 0 {
            drawn += "\n";
        }
        drawn
    }

    fn before(&self, at: usize) -> String {
        let typed = self.text[..at].iter();
        self.question.chars().chain(typed.copied()).collect()
    }
}

/// Moves the cursor up so many rows.
fn up(rows: usize) -> String {
    match rows {
        0 => String::new(),
        rows => format!("\x1b[{rows}A"),
    }
}

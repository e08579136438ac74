//! Text of others made safe to show: on a terminal, and as JSON.

use super::aside::aside;
use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};
use std::borrow::Cow;
use std::io::{self, Write};

/// Writes a line to stderr; a stderr that is gone is nobody's loss.
pub fn eprintln_safe(text: &str) {
    aside(&mut || {
        let _ = writeln!(io::stderr().lock(), "{}", laid_out(text));
    });
}

/// What leaves the program: line ends and tabs are its own, whatever else is unsafe was forgotten
/// before.
pub fn laid_out(text: &str) -> Cow<'_, str> {
    let is_forgotten = |c: char| is_unsafe(c) && c != '\n' && c != '\t';
    if !text.contains(is_forgotten) {
        return Cow::Borrowed(text);
    }
    let lines = text.split('\n').map(|line| {
        let cells: Vec<String> = line.split('\t').map(escape).collect();
        cells.join("\t")
    });
    Cow::Owned(lines.collect::<Vec<_>>().join("\n"))
}

/// As [`escape`], but for text of several lines.
pub fn escape_lines(text: &str) -> String {
    text.split('\n').map(escape).collect::<Vec<_>>().join("\n")
}

/// Makes hostile text safe to show: what [`is_unsafe`] becomes escapes, so that a server cannot
/// move the cursor, colour the terminal or fake a line of the program.
pub fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match is_unsafe(c) {
            true => safe.extend(c.escape_default()),
            false => safe.push(c),
        }
    }
    safe
}

/// A value as JSON in one line that is as safe to show: where a string holds what [`is_unsafe`],
/// it is written as `\uXXXX` (RFC 8259 §7), which says the same.
///
/// # Errors
/// A value that JSON cannot hold.
pub fn json(value: &impl Serialize) -> serde_json::Result<String> {
    let mut octets = Vec::new();
    write_json(&mut octets, value)?;
    String::from_utf8(octets).map_err(serde::ser::Error::custom)
}

/// Writes a value as [`json`] has it.
pub fn write_json(writer: impl Write, value: &impl Serialize) -> serde_json::Result<()> {
    value.serialize(&mut Serializer::with_formatter(writer, Safe))
}

/// JSON in one line without what [`is_unsafe`].
struct Safe;

impl Formatter for Safe {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| is_unsafe(*c)) {
            // All of them have four digits at most.
            write!(writer, "{}\\u{:04x}", &rest[..at], u32::from(c))?;
            rest = &rest[at + c.len_utf8()..];
        }
        writer.write_all(rest.as_bytes())
    }
}

/// True for a character that does something to a terminal or to the order of what is read:
/// controls (C0, DEL, C1), marks of direction, and the separators of lines and paragraphs.
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_moves_a_cursor_or_turns_a_line_is_escaped() {
        let text = "a\u{1b}[31m\u{7f}\u{9b}\u{61c}\u{200f}\u{2028}\u{2029}\u{202e}\u{2066}\r\nb";
        let shown = "a\\u{1b}[31m\\u{7f}\\u{9b}\\u{61c}\\u{200f}\\u{2028}\\u{2029}\\u{202e}\\u{2066}\\r\\nb";
        assert_eq!(escape(text), shown);
    }

    proptest! {
        #[test]
        fn nothing_unsafe_is_shown(text in "(\\PC|[\u{0}-\u{9f}\u{61c}\u{2020}-\u{206f}]){0,40}") {
            prop_assert!(!escape(&text).contains(is_unsafe));
            let shown = json(&serde_json::json!({ &text: [&text] })).unwrap();
            prop_assert!(!shown.contains(is_unsafe), "{shown}");
            let read: serde_json::Value = serde_json::from_str(&shown).unwrap();
            prop_assert_eq!(read[&text][0].as_str(), Some(text.as_str()));
        }
    }
}

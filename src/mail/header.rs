//! The header fields of a message as they stand (RFC 5322 §2.2). No field is too odd to be passed
//! over, none is changed.
//!
//! Whoever reads a field's words, decoded whatever their spelling, finds them in
//! [`super::authored`], an address in [`super::addresses`].

use super::traits::is_plain_line;
use memchr::memchr;
use std::ops::Range;

/// Where the header ends: at the first empty line, or with the message.
pub fn header_end(octets: &[u8]) -> usize {
    let mut at = 0;
    while at < octets.len() && !starts_with_empty_line(&octets[at..]) {
        at = line_end(octets, at);
    }
    at
}

pub fn starts_with_empty_line(octets: &[u8]) -> bool {
    octets.starts_with(b"\n") || octets.starts_with(b"\r\n")
}

/// The place after the line that begins at `at`.
pub fn line_end(octets: &[u8], at: usize) -> usize {
    memchr(b'\n', &octets[at..]).map_or(octets.len(), |n| at + n + 1)
}

/// A line with those that continue it, which is a field if it has a colon.
pub struct Field<'a> {
    head: &'a [u8],
    /// Where it is in the head, with its line ends.
    pub whole: Range<usize>,
    /// Where its name ends.
    colon: Option<usize>,
    /// The name without the blanks around it.
    bare_name: Option<&'a [u8]>,
}

impl<'a> Field<'a> {
    /// The name as it stands, where it is one: visible characters, and perhaps blanks before the
    /// colon, which RFC 5322 §4.5.8 allows.
    pub fn name(&self) -> Option<&'a [u8]> {
        let name = self.head[self.whole.start..self.colon?].trim_ascii_end();
        let is_visible = !name.is_empty() && name.iter().all(|b| matches!(b, 33..=126));
        is_visible.then_some(name)
    }

    /// Where the value is, with its line ends.
    pub fn value(&self) -> Range<usize> {
        let start = self.colon.map_or(self.whole.end, |colon| colon + 1);
        start..self.whole.end
    }

    /// Whether it has this name, whatever blanks are around it.
    pub fn is(&self, name: &str) -> bool {
        self.bare_name
            .is_some_and(|own| own.eq_ignore_ascii_case(name.as_bytes()))
    }

    /// The value, unfolded, with white space made single.
    pub fn words(&self) -> String {
        let value = self.head[self.value()].trim_ascii();
        if is_plain_line(value) {
            return String::from_utf8_lossy(value).into_owned();
        }
        let text = String::from_utf8_lossy(&self.head[self.value()]);
        text.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// All fields and other lines, in their order.
pub fn fields(head: &[u8]) -> impl Iterator<Item = Field<'_>> {
    let mut start = 0;
    std::iter::from_fn(move || {
        if start == head.len() {
            return None;
        }
        // A field ends at a line end that no white space follows (RFC 5322 §2.2.3).
        let mut end = line_end(head, start);
        while matches!(head.get(end), Some(b' ' | b'\t')) {
            end = line_end(head, end);
        }
        let whole = start..end;
        start = end;
        let colon = memchr(b':', &head[whole.clone()]).map(|at| whole.start + at);
        Some(Field {
            head,
            colon,
            bare_name: colon.map(|colon| head[whole.start..colon].trim_ascii()),
            whole,
        })
    })
}

/// The fields of a head, to look many of them up.
pub struct Fields<'a> {
    head: &'a [u8],
    fields: Vec<Field<'a>>,
}

impl<'a> Fields<'a> {
    pub fn of(head: &'a [u8]) -> Fields<'a> {
        let fields = fields(head).collect();
        Fields { head, fields }
    }

    /// What they are the fields of.
    pub fn head(&self) -> &'a [u8] {
        self.head
    }

    /// The words of the first field of this name, if there are any.
    pub fn get(&self, name: &str) -> Option<String> {
        let field = self.fields.iter().find(|field| field.is(name))?;
        Some(field.words()).filter(|words| !words.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fields_are_read_as_they_stand() {
        let head = b"From : a\r\nno field\r\n at all\r\nX-Long:\r\n one\r\n\ttwo\r\nx-long: b\n";
        let found: Vec<_> = fields(head)
            .map(|field| (field.name(), field.words()))
            .collect();
        assert_eq!(
            found,
            [
                (Some(&b"From"[..]), "a".to_owned()),
                (None, String::new()),
                (Some(b"X-Long"), "one two".to_owned()),
                (Some(b"x-long"), "b".to_owned()),
            ]
        );
        let fields = Fields::of(head);
        assert_eq!(fields.get("x-LONG").as_deref(), Some("one two"));
        assert_eq!(fields.get("from").as_deref(), Some("a"));
        assert_eq!(fields.get("to"), None);
    }

    proptest! {
        #[test]
        fn every_octet_is_of_one_field(head in "([a:]| |\t|\r|\n|\r\n){0,40}") {
            let mut at = 0;
            for field in fields(head.as_bytes()) {
                prop_assert_eq!(field.whole.start, at);
                prop_assert!(field.whole.end > at && field.value().end == field.whole.end);
                at = field.whole.end;
            }
            prop_assert_eq!(at, head.len());
        }
    }
}

//! One line of a server, taken apart as far as every reader needs; pure.

/// What a line is (RFC 3501 §7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// The end of a command: `words` begin with the status.
    Tagged {
        tag: &'a [u8],
        status: Status,
        words: &'a [u8],
    },
    /// `+`: the server waits for more.
    More(&'a [u8]),
    /// `* KIND rest`, or `* number KIND rest`.
    Data {
        number: Option<u32>,
        kind: &'a [u8],
        rest: &'a [u8],
    },
    /// Nothing in it.
    Empty,
    /// Nothing that IMAP knows.
    Odd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Ok,
    No,
    Bad,
}

impl<'a> Line<'a> {
    /// Takes a line apart; its end (CRLF or LF) may be there or not.
    pub fn parse(line: &'a [u8]) -> Line<'a> {
        let line = trim_end(line);
        let (first, rest) = word(line);
        match first {
            b"" if rest.is_empty() => Line::Empty,
            b"*" => data(rest),
            b"+" => Line::More(rest),
            _ if first.starts_with(b"+") || first.starts_with(b"*") => Line::Odd,
            tag => match status(word(rest).0) {
                Some(status) => Line::Tagged {
                    tag,
                    status,
                    words: rest,
                },
                None => Line::Odd,
            },
        }
    }

    /// What follows in an untagged response of this kind (`* LIST …`).
    pub fn untagged(self, wanted: &[u8]) -> Option<&'a [u8]> {
        match self {
            Line::Data {
                number: None,
                kind,
                rest,
            } => kind.eq_ignore_ascii_case(wanted).then_some(rest),
            _ => None,
        }
    }

    /// What follows in an untagged FETCH response (`* 1 FETCH …`).
    pub fn fetched(self) -> Option<&'a [u8]> {
        match self {
            Line::Data {
                number: Some(_),
                kind,
                rest,
            } => kind.eq_ignore_ascii_case(b"FETCH").then_some(rest),
            _ => None,
        }
    }
}

fn data(rest: &[u8]) -> Line<'_> {
    // Exchange has been seen to send a response code without the `OK` before it.
    if rest.starts_with(b"[") {
        return Line::Data {
            number: None,
            kind: b"OK",
            rest,
        };
    }
    let (first, after) = word(rest);
    if first.is_empty() {
        return Line::Odd;
    }
    match number(first) {
        Some(n) => {
            let (kind, rest) = word(after);
            Line::Data {
                number: Some(n),
                kind,
                rest,
            }
        }
        None => Line::Data {
            number: None,
            kind: first,
            rest: after,
        },
    }
}

fn status(word: &[u8]) -> Option<Status> {
    if word.eq_ignore_ascii_case(b"OK") {
        Some(Status::Ok)
    } else if word.eq_ignore_ascii_case(b"NO") {
        Some(Status::No)
    } else if word.eq_ignore_ascii_case(b"BAD") {
        Some(Status::Bad)
    } else {
        None
    }
}

/// The text up to the first space, and what comes after that space.
pub fn word(text: &[u8]) -> (&[u8], &[u8]) {
    match text.iter().position(|&b| b == b' ') {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, b""),
    }
}

/// A number of RFC 3501: digits only, at most 32 bits.
pub fn number(text: &[u8]) -> Option<u32> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The line without its end.
pub fn trim_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The octets of the literal that a line announces at its end: `{n}`, `{n+}`, `~{n}`.
pub fn literal(line: &[u8]) -> Option<u64> {
    let line = trim_end(line).strip_suffix(b"}")?;
    let line = line.strip_suffix(b"+").unwrap_or(line);
    let digits = line.iter().rev().take_while(|b| b.is_ascii_digit()).count();
    let (before, digits) = line.split_at(line.len() - digits);
    if !before.ends_with(b"{") || digits.is_empty() {
        return None;
    }
    // A size past 64 bits is past every limit as well.
    Some(
        std::str::from_utf8(digits)
            .ok()?
            .parse()
            .unwrap_or(u64::MAX),
    )
}

/// A text as a quoted string (RFC 3501 §9).
pub fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The argument of a response code that a text begins with: `[CODE argument] text`.
pub fn code<'a>(text: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let inner = text.strip_prefix(b"[")?;
    let end = inner.iter().position(|&b| b == b']')?;
    let (code, argument) = word(&inner[..end]);
    code.eq_ignore_ascii_case(name).then_some(argument)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_are_taken_apart() {
        assert_eq!(
            Line::parse(b"q1 NO [TRYCREATE] no such folder\r\n"),
            Line::Tagged {
                tag: b"q1",
                status: Status::No,
                words: b"NO [TRYCREATE] no such folder"
            }
        );
        assert_eq!(
            Line::parse(b"* 12 FETCH (UID 5)\r\n"),
            Line::Data {
                number: Some(12),
                kind: b"FETCH",
                rest: b"(UID 5)"
            }
        );
        assert_eq!(
            Line::parse(b"* [UIDVALIDITY 3] valid\n"),
            Line::Data {
                number: None,
                kind: b"OK",
                rest: b"[UIDVALIDITY 3] valid"
            }
        );
        assert_eq!(Line::parse(b"+\r\n"), Line::More(b""));
        assert_eq!(Line::parse(b"\r\n"), Line::Empty);
        assert_eq!(Line::parse(b"+OK POP3 ready\r\n"), Line::Odd);
        assert_eq!(Line::parse(b"HTTP/1.1 400 Bad Request\r\n"), Line::Odd);
    }

    #[test]
    fn literals_are_found_at_the_end_only() {
        assert_eq!(literal(b"BODY[] {12}\r\n"), Some(12));
        assert_eq!(literal(b"BODY[] ~{12+}\r\n"), Some(12));
        assert_eq!(literal(b"{99999999999999999999999}\r\n"), Some(u64::MAX));
        assert_eq!(literal(b"\"{12}\"\r\n"), None);
        assert_eq!(literal(b"{}\r\n"), None);
        assert_eq!(literal(b"12}\r\n"), None);
    }

    #[test]
    fn codes_are_found_at_the_start_only() {
        assert_eq!(code(b"[UIDVALIDITY 7] x", b"uidvalidity"), Some(&b"7"[..]));
        assert_eq!(code(b"[ALERT] x", b"ALERT"), Some(&b""[..]));
        assert_eq!(code(b"x [ALERT]", b"ALERT"), None);
    }

    proptest! {
        #[test]
        fn no_line_panics(line in proptest::collection::vec(any::<u8>(), 0..80)) {
            Line::parse(&line);
            literal(&line);
            code(&line, b"ALERT");
        }
    }
}

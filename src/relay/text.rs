//! The text of a message after DATA, up to the line with a single dot (RFC 5321 §4.1.1.4).
//!
//! Lines end in CRLF and in nothing else. A CR or LF that stands alone could be a line's end to one
//! server and none to the next, so that a second message hides in the first ("SMTP smuggling"); a
//! NUL ends the text for programs in C. None of them is mended: the message is refused.

/// Reads a text piece by piece.
#[derive(Debug)]
pub struct Text {
    octets: Vec<u8>,
    /// Octets that are taken at most; what comes beyond is passed over.
    limit: usize,
    place: Place,
    too_large: bool,
}

/// Where the next octet stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    LineStart,
    InLine,
    /// After a CR, which an LF must follow.
    Cr,
    /// After a dot at the start of a line.
    Dot,
    /// After that and a CR.
    DotCr,
}

/// How a text ended.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// All of it, without the dots that the client has doubled.
    Whole(Vec<u8>),
    TooLarge,
    /// It holds this, and is not read on.
    Foul(&'static str),
}

impl Text {
    pub fn new(limit: usize) -> Text {
        Text {
            octets: Vec::new(),
            limit,
            place: Place::LineStart,
            too_large: false,
        }
    }

    /// Reads on. Returns how many octets of `input` belong to the text, and its end if it is there.
    pub fn take(&mut self, input: &[u8]) -> (usize, Option<End>) {
        let mut at = 0;
        while let Some(&octet) = input.get(at) {
            if octet == 0 {
                return (at, Some(End::Foul("a NUL")));
            }
            at += 1;
            self.place = match (self.place, octet) {
                (Place::Cr, b'\n') => {
                    self.keep(b"\r\n");
                    Place::LineStart
                }
                (Place::DotCr, b'\n') => return (at, Some(self.end())),
                (Place::Cr | Place::DotCr, _) => return (at, Some(End::Foul("a bare CR"))),
                (_, b'\n') => return (at, Some(End::Foul("a bare LF"))),
                (Place::Dot, b'\r') => Place::DotCr,
                (_, b'\r') => Place::Cr,
                (Place::LineStart, b'.') => Place::Dot,
                _ => {
                    let rest = &input[at..];
                    let is_special = |o: &u8| matches!(o, b'\r' | b'\n' | 0);
                    let run = rest.iter().position(is_special).unwrap_or(rest.len());
                    self.keep(&input[at - 1..at + run]);
                    at += run;
                    Place::InLine
                }
            };
        }
        (at, None)
    }

    fn keep(&mut self, octets: &[u8]) {
        self.too_large |= self.octets.len() + octets.len() > self.limit;
        if !self.too_large {
            self.octets.extend_from_slice(octets);
        }
    }

    fn end(&mut self) -> End {
        match self.too_large {
            true => End::TooLarge,
            false => End::Whole(std::mem::take(&mut self.octets)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Reads it in pieces of this size; gives the end, and what is left over.
    fn read(input: &[u8], piece: usize, limit: usize) -> (Option<End>, Vec<u8>) {
        let mut text = Text::new(limit);
        let mut at = 0;
        for piece in input.chunks(piece) {
            let (used, end) = text.take(piece);
            at += used;
            if end.is_some() {
                return (end, input[at..].to_vec());
            }
            assert_eq!(used, piece.len());
        }
        (None, Vec::new())
    }

    #[test]
    fn a_text_ends_at_its_dot_and_nowhere_else() {
        let whole = |text: &[u8]| Some(End::Whole(text.to_vec()));
        for (input, end, rest) in [
            (&b".\r\n"[..], whole(b""), &b""[..]),
            (b"a\r\n.\r\nQUIT\r\n", whole(b"a\r\n"), b"QUIT\r\n"),
            (b"..\r\n..a\r\n.b\r\n.\r\n", whole(b".\r\n.a\r\nb\r\n"), b""),
            (b"a.\r\n.\r\n", whole(b"a.\r\n"), b""),
            (b"a\r\n.", None, b""),
            (b"a\n.\r\n", Some(End::Foul("a bare LF")), b".\r\n"),
            (b"a\r\n.\nb", Some(End::Foul("a bare LF")), b"b"),
            (b"a\r.\r\n", Some(End::Foul("a bare CR")), b"\r\n"),
            (b"a\r\n.\r.\r\n", Some(End::Foul("a bare CR")), b"\r\n"),
            (b"a\r\r\n.\r\n", Some(End::Foul("a bare CR")), b"\n.\r\n"),
            (b"a\0b", Some(End::Foul("a NUL")), b"\0b"),
            (b".\0", Some(End::Foul("a NUL")), b"\0"),
        ] {
            for piece in [1, 2, 3, 100] {
                assert_eq!(
                    read(input, piece, 100),
                    (end_of(&end), rest.to_vec()),
                    "{input:?} {piece}"
                );
            }
        }
    }

    fn end_of(end: &Option<End>) -> Option<End> {
        match end {
            Some(End::Whole(octets)) => Some(End::Whole(octets.clone())),
            Some(End::TooLarge) => Some(End::TooLarge),
            Some(End::Foul(what)) => Some(End::Foul(what)),
            None => None,
        }
    }

    #[test]
    fn a_text_that_is_too_large_is_read_to_its_end() {
        let input = b"12345678\r\n.\r\nQUIT\r\n";
        assert_eq!(
            read(input, 4, 10).0,
            Some(End::Whole(b"12345678\r\n".to_vec()))
        );
        assert_eq!(
            read(input, 4, 9),
            (Some(End::TooLarge), b"QUIT\r\n".to_vec())
        );
    }

    proptest! {
        /// What a client stuffs comes out as it was, however it is cut.
        #[test]
        fn what_is_stuffed_comes_back(lines in proptest::collection::vec("[.a ]{0,4}", 0..6), piece in 1..9usize) {
            let text: String = lines.iter().map(|l| format!("{l}\r\n")).collect();
            let stuffed: String = lines.iter().map(|l| match l.starts_with('.') {
                true => format!(".{l}\r\n"),
                false => format!("{l}\r\n"),
            }).collect();
            let input = format!("{stuffed}.\r\nrest");
            prop_assert_eq!(
                read(input.as_bytes(), piece, 1000),
                (Some(End::Whole(text.into_bytes())), b"rest".to_vec())
            );
        }

        /// No octets make two readings of one text, and what is taken has clean lines.
        #[test]
        fn any_cut_gives_the_same(input in "[.\r\n\0a]{0,14}", piece in 1..5usize) {
            let whole = read(input.as_bytes(), 100, 8);
            prop_assert_eq!(&read(input.as_bytes(), piece, 8), &whole);
            if let Some(End::Whole(octets)) = &whole.0 {
                let left = String::from_utf8_lossy(octets).replace("\r\n", "");
                prop_assert!(!left.contains(['\r', '\n', '\0']), "{:?}", octets);
            }
        }
    }
}

//! The items of a FETCH response (RFC 3501 §7.4.2), taken from the wire piece by piece; pure.
//!
//! A response is one line, or several that literals stand between. [`Items`] is fed these
//! pieces, remembers where it is from one to the next, and names the items that matter: the UID,
//! the size, the flag of what was read, the date, and the body, which it never holds. Items come in
//! any order, and unknown ones are passed over, however they are nested. [`Told`] is what comes of a
//! response that brings no message.

/// How deep parentheses may nest; they are counted, not recursed into.
const DEEPEST: u32 = 64;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    Uid(u32),
    /// RFC822.SIZE, in octets.
    Size(u64),
    /// The flag \Seen.
    Seen,
    /// INTERNALDATE, without its quotes.
    Date(&'a [u8]),
    /// Fields of the header, `BODY[HEADER.FIELDS (…)]`.
    Head(Body<'a>),
    Body(Body<'a>),
    /// A literal of another item; the piece ends with it.
    Other(u64),
    /// The response is complete.
    End,
}

/// The value of `BODY[]`, of `BODY[HEADER]` or of a part of them: only one is asked for at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body<'a> {
    /// So many octets follow this piece.
    Literal(u64),
    /// The text between quotes, backslashes still in it.
    Quoted(&'a [u8]),
    Nil,
}

/// What the name of an item with fields of the header begins with.
const HEAD: &[u8] = b"BODY[HEADER.FIELDS ";

/// The response cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Item {
    Uid,
    Size,
    Flags,
    Date,
    Head,
    Body,
    Other,
}

/// The place in a response.
#[derive(Default)]
pub struct Items {
    /// Parentheses that are open; 0 before the response and after it.
    depth: u32,
    /// The item whose value comes next.
    item: Option<Item>,
    /// The last thing found was a literal.
    after_literal: bool,
    ended: bool,
}

impl Items {
    /// Finds the next thing in `piece` and shortens it. A literal that is found is the last
    /// thing of its piece: the next call takes the piece that follows the literal's octets.
    pub fn next<'a>(&mut self, piece: &mut &'a [u8]) -> Result<Found<'a>, Malformed> {
        if self.ended {
            return Err(Malformed);
        }
        // Else the literal was longer or shorter than it said.
        if std::mem::take(&mut self.after_literal) && !matches!(piece.first(), Some(b' ' | b')')) {
            return Err(Malformed);
        }
        loop {
            *piece = skip_spaces(piece);
            let Some(&first) = piece.first() else {
                return Err(Malformed);
            };
            if self.depth == 0 {
                *piece = piece.strip_prefix(b"(").ok_or(Malformed)?;
                self.depth = 1;
                continue;
            }
            match first {
                b'(' if self.item.is_some() => {
                    self.depth += 1;
                    *piece = &piece[1..];
                    if self.depth > DEEPEST {
                        return Err(Malformed);
                    }
                }
                b')' => {
                    *piece = &piece[1..];
                    self.depth -= 1;
                    match self.depth {
                        0 if self.item.is_none() && piece.is_empty() => {
                            self.ended = true;
                            return Ok(Found::End);
                        }
                        0 => return Err(Malformed),
                        // The value of an item was a list, and it is closed.
                        1 => self.item = None,
                        _ => {}
                    }
                }
                _ => match self.item {
                    None => self.item = Some(name(piece)?),
                    Some(item) => {
                        let value = value(piece)?;
                        self.after_literal = matches!(value, Value::Literal(_));
                        let whole = self.depth == 1;
                        if whole {
                            self.item = None;
                        }
                        if let Some(found) = self.of(item, value, whole)? {
                            return Ok(found);
                        }
                    }
                },
            }
        }
    }

    /// What the value of an item is good for, if anything; `whole`: it is not part of a list.
    fn of<'a>(
        &self,
        item: Item,
        value: Value<'a>,
        whole: bool,
    ) -> Result<Option<Found<'a>>, Malformed> {
        let number = super::line::number;
        Ok(Some(match (item, value) {
            (Item::Uid, Value::Atom(text)) if whole => Found::Uid(number(text).ok_or(Malformed)?),
            // A size that is not a number is none, and no reason to give up.
            (Item::Size, Value::Atom(text)) if whole => match number(text) {
                Some(size) => Found::Size(size.into()),
                None => return Ok(None),
            },
            (Item::Flags, Value::Atom(text))
                if self.depth == 2 && text.eq_ignore_ascii_case(b"\\Seen") =>
            {
                Found::Seen
            }
            (Item::Date, Value::Quoted(text)) if whole => Found::Date(text),
            (Item::Head, Value::Literal(n)) if whole => Found::Head(Body::Literal(n)),
            (Item::Head, Value::Quoted(text)) if whole => Found::Head(Body::Quoted(text)),
            (Item::Body, Value::Literal(n)) if whole => Found::Body(Body::Literal(n)),
            (Item::Body, Value::Quoted(text)) if whole => Found::Body(Body::Quoted(text)),
            (Item::Body, Value::Atom(text)) if whole => match text.eq_ignore_ascii_case(b"NIL") {
                true => Found::Body(Body::Nil),
                false => return Err(Malformed),
            },
            (_, Value::Literal(n)) => Found::Other(n),
            _ => return Ok(None),
        }))
    }
}

/// What a FETCH response tells whose literals are small, and stand in it.
#[derive(Debug, Default)]
pub struct Told<'a> {
    pub uid: Option<u32>,
    pub size: Option<u64>,
    pub seen: bool,
    /// INTERNALDATE, without its quotes.
    pub date: Option<&'a [u8]>,
    /// The fields of the header that were asked for.
    pub head: Option<Vec<u8>>,
}

impl<'a> Told<'a> {
    /// Reads what follows FETCH. Where it cannot be read to its end, what was read holds.
    pub fn read(&mut self, mut rest: &'a [u8]) -> Result<(), Malformed> {
        let mut items = Items::default();
        loop {
            // A piece ends with the response, or with a literal.
            let end = rest.iter().position(|&b| b == b'\n');
            let (piece, after) = rest.split_at(end.map_or(rest.len(), |end| end + 1));
            let mut piece = super::line::trim_end(piece);
            let (octets, is_head) = loop {
                match items.next(&mut piece)? {
                    Found::Uid(uid) => self.uid = Some(uid),
                    Found::Size(octets) => self.size = Some(octets),
                    Found::Seen => self.seen = true,
                    Found::Date(text) => self.date = Some(text),
                    Found::Head(Body::Quoted(text)) => self.head = Some(unquote(text)),
                    Found::Head(Body::Literal(octets)) => break (octets, true),
                    Found::Body(Body::Literal(octets)) | Found::Other(octets) => {
                        break (octets, false);
                    }
                    Found::Head(Body::Nil) | Found::Body(_) => {}
                    Found::End => return Ok(()),
                }
            };
            let octets = usize::try_from(octets).unwrap_or(usize::MAX);
            let text = after.get(..octets).ok_or(Malformed)?;
            if is_head {
                self.head = Some(text.to_vec());
            }
            rest = &after[octets..];
        }
    }
}

enum Value<'a> {
    Atom(&'a [u8]),
    Quoted(&'a [u8]),
    Literal(u64),
}

/// Reads an item's name, with the section in brackets and the partial that it may have.
fn name(piece: &mut &[u8]) -> Result<Item, Malformed> {
    let mut end = 0;
    let mut bracket = false;
    for &b in piece.iter() {
        match b {
            b'[' => bracket = true,
            b']' => bracket = false,
            b' ' | b'(' | b')' if !bracket => break,
            b'"' | b'{' if !bracket => return Err(Malformed),
            _ => {}
        }
        end += 1;
    }
    let (name, rest) = piece.split_at(end);
    if name.is_empty() || bracket {
        return Err(Malformed);
    }
    *piece = rest;
    Ok(if name.eq_ignore_ascii_case(b"UID") {
        Item::Uid
    } else if name.eq_ignore_ascii_case(b"RFC822.SIZE") {
        Item::Size
    } else if name.eq_ignore_ascii_case(b"BODY[]") || name.eq_ignore_ascii_case(b"BODY[HEADER]") {
        Item::Body
    } else if name.eq_ignore_ascii_case(b"FLAGS") {
        Item::Flags
    } else if name.eq_ignore_ascii_case(b"INTERNALDATE") {
        Item::Date
    } else if name
        .get(..HEAD.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(HEAD))
    {
        Item::Head
    } else {
        Item::Other
    })
}

fn value<'a>(piece: &mut &'a [u8]) -> Result<Value<'a>, Malformed> {
    let text: &'a [u8] = piece;
    if let Some(inner) = text.strip_prefix(b"\"") {
        let mut escaped = false;
        for (at, &b) in inner.iter().enumerate() {
            match b {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => {
                    *piece = &inner[at + 1..];
                    return Ok(Value::Quoted(&inner[..at]));
                }
                _ => {}
            }
        }
        return Err(Malformed);
    }
    if text.starts_with(b"{") || text.starts_with(b"~{") {
        // Only a literal that ends its line is one; the octets after it are the server's.
        let open = text.iter().position(|&b| b == b'{').ok_or(Malformed)?;
        let inner = text[open + 1..].strip_suffix(b"}").ok_or(Malformed)?;
        if inner.contains(&b'{') {
            return Err(Malformed);
        }
        *piece = &text[text.len()..];
        return super::line::literal(text)
            .map(Value::Literal)
            .ok_or(Malformed);
    }
    let end = text
        .iter()
        .position(|b| matches!(b, b' ' | b'(' | b')'))
        .unwrap_or(text.len());
    if end == 0 {
        return Err(Malformed);
    }
    *piece = &text[end..];
    Ok(Value::Atom(&text[..end]))
}

/// The text that a quoted string stands for.
pub fn unquote(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut escaped = false;
    for &b in text {
        if b == b'\\' && !escaped {
            escaped = true;
        } else {
            escaped = false;
            out.push(b);
        }
    }
    out
}

fn skip_spaces<'a>(text: &&'a [u8]) -> &'a [u8] {
    let spaces = text.iter().take_while(|&&b| b == b' ').count();
    &text[spaces..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// All that is found in a response given as its pieces.
    fn all(pieces: &[&str]) -> Result<Vec<String>, Malformed> {
        let mut items = Items::default();
        let mut found = Vec::new();
        for piece in pieces {
            let mut rest = piece.as_bytes();
            loop {
                let one = items.next(&mut rest)?;
                found.push(format!("{one:?}"));
                if matches!(
                    one,
                    Found::End
                        | Found::Other(_)
                        | Found::Body(Body::Literal(_))
                        | Found::Head(Body::Literal(_))
                ) {
                    break;
                }
            }
        }
        Ok(found)
    }

    #[test]
    fn items_come_in_any_order() {
        assert_eq!(
            all(&["(UID 5 BODY[] {10}", ")"]).unwrap(),
            ["Uid(5)", "Body(Literal(10))", "End"]
        );
        assert_eq!(
            all(&["(FLAGS (\\Seen $X) BODY[] {10}", " RFC822.SIZE 12 UID 5)"]).unwrap(),
            ["Seen", "Body(Literal(10))", "Size(12)", "Uid(5)", "End"]
        );
        assert_eq!(
            all(&["(RFC822.SIZE NIL UID 5)"]).unwrap(),
            ["Uid(5)", "End"]
        );
        assert_eq!(
            all(&["(body[] NIL uid 7)"]).unwrap(),
            ["Body(Nil)", "Uid(7)", "End"]
        );
        assert_eq!(all(&["(FLAGS ())"]).unwrap(), ["End"]);
    }

    #[test]
    fn other_items_are_passed_over() {
        assert_eq!(
            all(&[
                "(BODY[HEADER.FIELDS (TO \"C C\")] {3}",
                " ENVELOPE (\"a)\" (NIL {4}",
                ") NIL) BODYSTRUCTURE ((((\"x\\\")\")))) UID 9 BODY[]<0> {1}",
                ")"
            ])
            .unwrap(),
            ["Head(Literal(3))", "Other(4)", "Uid(9)", "Other(1)", "End"]
        );
    }

    #[test]
    fn a_uid_inside_another_item_is_not_the_messages() {
        assert_eq!(
            all(&["(X (UID 4 BODY[] {5}", ") UID 6)"]).unwrap(),
            ["Other(5)", "Uid(6)", "End"]
        );
    }

    #[test]
    fn quoted_bodies_keep_their_backslashes_until_asked() {
        let mut piece: &[u8] = b"(BODY[] \"a\\\"\\\\b\" UID 1)";
        let Ok(Found::Body(Body::Quoted(text))) = Items::default().next(&mut piece) else {
            panic!("no quoted body");
        };
        assert_eq!(unquote(text), b"a\"\\b");
    }

    #[test]
    fn what_is_no_response_is_refused() {
        for piece in [
            "",
            "UID 5",
            "(UID x)",
            "(UID 5",
            "(UID 5)x",
            "(BODY[] abc)",
            "(BODY[ {5}",
            "(X {5} Y)",
            "(\"X\" 1)",
            "(X \"a)",
            "(X ))",
            "(UID 99999999999)",
        ] {
            assert_eq!(all(&[piece]), Err(Malformed), "{piece}");
        }
        assert_eq!(
            all(&[&format!("(X {}", "(".repeat(200_000))]),
            Err(Malformed)
        );
    }

    proptest! {
        #[test]
        fn no_piece_panics_or_never_ends(
            text in "[()\\[\\]{}\"\\\\ A-Z0-9~+]{0,60}",
            uid in "(UID|BODY\\[\\]|X)",
        ) {
            let mut items = Items::default();
            let piece = format!("({uid} {text}");
            let mut rest = piece.as_bytes();
            for _ in 0..=piece.len() {
                if items.next(&mut rest).is_err() {
                    return Ok(());
                }
            }
            prop_assert!(false, "more found than there are octets");
        }
    }
}

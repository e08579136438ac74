//! Reading IMAP commands: literals, quoted strings, lists, sets, and modified UTF-7.

use std::io;

use super::net::Conn;

/// One argument of a command.
#[derive(Clone, Debug, PartialEq)]
pub enum Arg {
    /// An atom as it came, with brackets and all (`BODY.PEEK[HEADER]<0.10>`).
    Atom(String),
    /// A quoted string or a literal.
    Text(Vec<u8>),
    List(Vec<Arg>),
}

impl Arg {
    /// Atom or string as text.
    pub fn text(&self) -> String {
        match self {
            Arg::Atom(atom) => atom.clone(),
            Arg::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Arg::List(_) => String::new(),
        }
    }

    pub fn upper(&self) -> String {
        self.text().to_ascii_uppercase()
    }
}

pub struct Command {
    pub tag: String,
    /// In upper case; `UID FETCH` is one name.
    pub name: String,
    pub args: Vec<Arg>,
    /// The line without literals, for the log.
    pub line: String,
}

/// Stands for a literal in the gathered line; IMAP allows no NUL anywhere else.
const LITERAL: u8 = 0;

/// Reads a whole command with its literals; `None` at the end of the connection.
pub fn command(conn: &mut Conn) -> io::Result<Option<Command>> {
    let mut text = Vec::new();
    let mut literals = Vec::new();
    loop {
        let Some(mut line) = conn.line(1 << 20)? else {
            return Ok(None);
        };
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        let Some((open, size, must_ask)) = literal_at_end(&line) else {
            text.extend(line);
            break;
        };
        line.truncate(open);
        text.extend(line);
        text.push(LITERAL);
        if must_ask {
            conn.put(b"+ Ready for additional command text.\r\n")?;
        }
        literals.push(conn.exactly(size.min(256 << 20))?);
    }
    Ok(Some(parse(&text, literals)))
}

/// `{123}` or `{123+}` at the end of a line: where it begins, how long, whether to ask for it.
fn literal_at_end(line: &[u8]) -> Option<(usize, u64, bool)> {
    let inner = line.strip_suffix(b"}")?;
    let open = inner.iter().rposition(|byte| *byte == b'{')?;
    let digits = std::str::from_utf8(&inner[open + 1..]).ok()?;
    let size = digits.trim_end_matches('+').parse().ok()?;
    Some((open, size, !digits.ends_with('+')))
}

fn parse(text: &[u8], literals: Vec<Vec<u8>>) -> Command {
    let mut reader = Reader {
        text,
        at: 0,
        literals: literals.into_iter(),
        depth: 0,
    };
    let mut args = reader.list();
    let mut word = || {
        if args.is_empty() {
            return String::new();
        }
        args.remove(0).text()
    };
    let tag = word();
    let mut name = word().to_ascii_uppercase();
    if name == "UID" {
        name = format!("UID {}", word().to_ascii_uppercase());
    }
    Command {
        tag,
        name,
        args,
        line: String::from_utf8_lossy(text).replace('\0', "{…}"),
    }
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    literals: std::vec::IntoIter<Vec<u8>>,
    depth: u32,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// Reads arguments to the closing parenthesis or the end.
    fn list(&mut self) -> Vec<Arg> {
        let mut args = Vec::new();
        while let Some(byte) = self.peek() {
            match byte {
                b' ' => self.at += 1,
                b')' => {
                    self.at += 1;
                    break;
                }
                b'(' => {
                    self.at += 1;
                    self.depth += 1;
                    // Nobody nests deeper in earnest, and the stack is not endless.
                    if self.depth < 50 {
                        args.push(Arg::List(self.list()));
                    }
                    self.depth -= 1;
                }
                b'"' => args.push(Arg::Text(self.quoted())),
                LITERAL => {
                    self.at += 1;
                    args.push(Arg::Text(self.literals.next().unwrap_or_default()));
                }
                _ => args.push(Arg::Atom(self.atom())),
            }
        }
        args
    }

    fn quoted(&mut self) -> Vec<u8> {
        self.at += 1;
        let mut text = Vec::new();
        while let Some(byte) = self.peek() {
            self.at += 1;
            match byte {
                b'"' => break,
                b'\\' => {
                    text.extend(self.peek());
                    self.at += 1;
                }
                _ => text.push(byte),
            }
        }
        text
    }

    /// An atom; what stands between brackets belongs to it, spaces included.
    fn atom(&mut self) -> String {
        let start = self.at;
        let mut depth = 0;
        while let Some(byte) = self.peek() {
            match byte {
                b'[' => depth += 1,
                b']' => depth -= 1,
                b' ' | b'(' | b')' | LITERAL if depth <= 0 => break,
                _ => {}
            }
            self.at += 1;
        }
        String::from_utf8_lossy(&self.text[start..self.at]).into_owned()
    }
}

/// The ranges of a sequence set; `*` is the largest number in use. `None` when it is malformed.
pub fn set(text: &str, largest: u32) -> Option<Vec<(u32, u32)>> {
    let number = |word: &str| match word {
        "*" => Some(largest),
        _ => word.parse::<u32>().ok().filter(|number| *number > 0),
    };
    text.split(',')
        .map(|range| {
            let (from, to) = range.split_once(':').unwrap_or((range, range));
            let (from, to) = (number(from)?, number(to)?);
            Some((from.min(to), from.max(to)))
        })
        .collect()
}

/// A folder name as IMAP writes it (RFC 3501 §5.1.3).
pub fn to_utf7(name: &str) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
    let mut out = String::new();
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        if matches!(first, ' '..='~') {
            out.push_str(if first == '&' { "&-" } else { &rest[..1] });
            rest = &rest[1..];
            continue;
        }
        let end = rest
            .find(|other| matches!(other, ' '..='~'))
            .unwrap_or(rest.len());
        let units: Vec<u8> = rest[..end]
            .encode_utf16()
            .flat_map(u16::to_be_bytes)
            .collect();
        out.push('&');
        out.push_str(&STANDARD_NO_PAD.encode(units).replace('/', ","));
        out.push('-');
        rest = &rest[end..];
    }
    out
}

/// A folder name from its modified UTF-7; what is no such thing stays as it is.
pub fn from_utf7(name: &str) -> String {
    decode_utf7(name).unwrap_or_else(|| name.to_string())
}

fn decode_utf7(name: &str) -> Option<String> {
    use base64::Engine;
    use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
    let config = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone);
    let engine = GeneralPurpose::new(&base64::alphabet::STANDARD, config);
    let mut out = String::new();
    let mut rest = name;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        let (coded, after) = rest[at + 1..].split_once('-')?;
        if coded.is_empty() {
            out.push('&');
        } else {
            let bytes = engine.decode(coded.replace(',', "/")).ok()?;
            let units: Vec<u16> = bytes
                .chunks_exact(2)
                .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
                .collect();
            out.push_str(&String::from_utf16(&units).ok()?);
        }
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}

/// A string as IMAP writes it: quoted if it can be, else a literal.
pub fn quote(text: &str) -> String {
    if text.contains(['"', '\\', '\r', '\n']) {
        return format!("{{{}}}\r\n{text}", text.len());
    }
    format!("\"{text}\"")
}

//! What others say, without what they repeat of secrets: the one masking of the program.
//!
//! Twelve octets in a row of a secret betray it, wherever they stand in a text. So every twelve of
//! each secret, in each usual encoding, are put into a table, and a text is read once past it:
//! the time grows with the text and not with what is in it.

use super::Secret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use std::borrow::Cow;
use std::ops::Range;
use std::sync::OnceLock;
use zeroize::Zeroizing;

/// So many octets of a secret are never shown; of a shorter secret, all of it.
const PART: usize = 12;
/// A secret that is shorter is not looked for: it would be found everywhere.
const SHORTEST: usize = 4;
/// So many encoders, one after the other, are undone.
const LAYERS: usize = 4;
const HIDDEN: &str = "(secret)";

/// The secrets that a text must not repeat.
#[derive(Debug, Default)]
pub struct Mask {
    secrets: Vec<Secret>,
    /// Made when the first text comes: most runs have none.
    table: OnceLock<Table>,
}

impl Mask {
    pub fn new(secrets: impl IntoIterator<Item = Secret>) -> Mask {
        Mask {
            secrets: secrets.into_iter().collect(),
            table: OnceLock::new(),
        }
    }

    pub fn add(&mut self, secret: Secret) {
        if !self.secrets.contains(&secret) {
            self.secrets.push(secret);
            self.table = OnceLock::new();
        }
    }

    /// The text with `(secret)` instead of each part of a secret, be it as it is, in letters of
    /// another case, broken into lines, or encoded: for a URL, in base64 (also as a part of a
    /// longer text), for HTML, for JSON.
    pub fn hide(&self, text: &str) -> String {
        let hidden = self.parts(text);
        let mut out = String::with_capacity(text.len());
        let mut at = 0;
        for part in hidden {
            let from = text.floor_char_boundary(part.start).max(at);
            let to = text.ceil_char_boundary(part.end).max(from);
            out.push_str(&text[at..from]);
            out.push_str(HIDDEN);
            at = to;
        }
        out.push_str(&text[at..]);
        out
    }

    /// True if the text repeats a part of a secret.
    pub fn finds(&self, text: &str) -> bool {
        !self.parts(text).is_empty()
    }

    /// Where parts of secrets stand, in order.
    fn parts(&self, text: &str) -> Vec<Range<usize>> {
        if self.secrets.is_empty() || text.len() < SHORTEST {
            return Vec::new();
        }
        let table = self.table.get_or_init(|| Table::of(&self.secrets));
        let mut found = Vec::new();
        let mut text = Text::new(text.as_bytes());
        table.search(&text, &mut found);
        for _ in 0..LAYERS {
            let Some(decoded) = text.decoded() else {
                break;
            };
            text = decoded;
            table.search(&text, &mut found);
        }
        found.sort_by_key(|part| part.start);
        let mut parts: Vec<Range<usize>> = Vec::new();
        for part in found {
            match parts.last_mut() {
                Some(last) if part.start <= last.end => last.end = last.end.max(part.end),
                _ => parts.push(part),
            }
        }
        parts
    }
}

/// A text, or what is left of it once encodings are undone.
struct Text<'t> {
    octets: Cow<'t, [u8]>,
    /// Where each octet is written in the text at first; `None` for that text itself.
    places: Option<Vec<(usize, usize)>>,
}

impl<'t> Text<'t> {
    fn new(octets: &'t [u8]) -> Text<'t> {
        Text {
            octets: Cow::Borrowed(octets),
            places: None,
        }
    }

    fn place(&self, at: usize) -> (usize, usize) {
        match &self.places {
            Some(places) => places[at],
            None => (at, at + 1),
        }
    }

    /// The text without what one encoder for URLs, HTML or JSON wrote; `None` where that is nothing.
    fn decoded(&self) -> Option<Text<'t>> {
        if !self.octets.iter().any(|octet| b"%&\\".contains(octet)) {
            return None;
        }
        let mut octets = Vec::with_capacity(self.octets.len());
        let mut places = Vec::with_capacity(self.octets.len());
        let mut rest = &*self.octets;
        while let Some(first) = rest.first() {
            let found = match first {
                b'%' => percent(rest),
                b'&' => entity(rest),
                b'\\' => backslash(rest),
                _ => None,
            };
            let (code, length) = found.unwrap_or((u32::from(*first), 1));
            let at = self.octets.len() - rest.len();
            rest = &rest[length..];
            match u8::try_from(code) {
                Ok(octet) => octets.push(octet),
                Err(_) => {
                    let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                    octets.extend(character.encode_utf8(&mut [0; 4]).bytes());
                }
            }
            let place = (self.place(at).0, self.place(at + length - 1).1);
            places.resize(octets.len(), place);
        }
        (octets.len() < self.octets.len()).then_some(Text {
            octets: Cow::Owned(octets),
            places: Some(places),
        })
    }
}

/// The parts of all secrets, hashed, in a table with open addressing; zero is an empty place.
struct Table {
    places: Zeroizing<Vec<u64>>,
    /// The lengths of the parts: [`PART`], and those of short secrets.
    widths: Vec<usize>,
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(secret)")
    }
}

impl Table {
    fn of(secrets: &[Secret]) -> Table {
        let mut forms = Vec::new();
        for secret in secrets.iter().filter(|s| s.0.len() >= SHORTEST) {
            forms.extend(spellings(secret));
        }
        let size: usize = forms.iter().map(|form| form.len()).sum();
        let mut table = Table {
            places: Zeroizing::new(vec![0; (size * 2).next_power_of_two()]),
            widths: Vec::new(),
        };
        for form in &forms {
            let width = form.len().min(PART);
            if !table.widths.contains(&width) {
                table.widths.push(width);
            }
            let mut window = Window::default();
            for octet in form.iter() {
                window.push(*octet, 0);
                if let Some(hash) = window.hash(width) {
                    table.put(hash);
                }
            }
        }
        table
    }

    fn put(&mut self, hash: u64) {
        let last = self.places.len() - 1;
        let mut at = hash as usize & last;
        while self.places[at] != 0 && self.places[at] != hash {
            at = (at + 1) & last;
        }
        self.places[at] = hash;
    }

    fn has(&self, hash: u64) -> bool {
        let last = self.places.len() - 1;
        let mut at = hash as usize & last;
        while self.places[at] != 0 {
            if self.places[at] == hash {
                return true;
            }
            at = (at + 1) & last;
        }
        false
    }

    fn search(&self, text: &Text<'_>, found: &mut Vec<Range<usize>>) {
        let mut window = Window::default();
        for (at, octet) in text.octets.iter().enumerate() {
            if octet.is_ascii_whitespace() {
                continue;
            }
            let (start, end) = text.place(at);
            window.push(fold(*octet), start);
            for &width in &self.widths {
                if window.hash(width).is_some_and(|hash| self.has(hash)) {
                    let start = window.start(width);
                    match found.last_mut() {
                        Some(last) if last.start <= start && start <= last.end => last.end = end,
                        _ => found.push(start..end),
                    }
                }
            }
        }
    }
}

/// The last [`PART`] octets that went by.
#[derive(Default)]
struct Window {
    octets: u128,
    starts: [usize; PART],
    count: usize,
}

impl Window {
    fn push(&mut self, octet: u8, start: usize) {
        self.octets = self.octets << 8 | u128::from(octet);
        self.starts[self.count % PART] = start;
        self.count += 1;
    }

    /// Where the last `width` octets begin.
    fn start(&self, width: usize) -> usize {
        self.starts[(self.count - width) % PART]
    }

    /// A number for the last `width` octets, never zero; `None` where there are not so many.
    fn hash(&self, width: usize) -> Option<u64> {
        let octets = self.octets & ((1 << (8 * width)) - 1) | (width as u128) << (8 * PART);
        let mixed = (octets as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
            ^ ((octets >> 64) as u64).wrapping_mul(0xc2b2_ae3d_27d4_eb4f);
        let mixed = (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (self.count >= width).then_some((mixed ^ mixed >> 32) | 1)
    }
}

/// One for all spellings: letters of both cases, and the two alphabets of base64.
fn fold(octet: u8) -> u8 {
    match octet {
        b'-' => b'+',
        b'_' => b'/',
        other => other.to_ascii_lowercase(),
    }
}

/// The spellings of a secret that are looked for, folded and without white space.
fn spellings(secret: &Secret) -> Vec<Zeroizing<Vec<u8>>> {
    let text = secret.expose();
    let octets = text.as_bytes();
    let form: String = url::form_urlencoded::byte_serialize(octets).collect();
    // RFC 3986 has it otherwise in two places.
    let strict = form.replace('+', "%20").replace("%7E", "~");
    let json = serde_json::Value::from(text).to_string();
    let html = text.replace('&', "&amp;").replace('<', "&lt;");
    let html = html.replace('>', "&gt;").replace('"', "&quot;");
    let mut forms: Vec<Zeroizing<Vec<u8>>> = Vec::new();
    let mut keep = |spelling: Vec<u8>| {
        let spelling = Zeroizing::new(spelling);
        let folded = spelling.iter().filter(|octet| !octet.is_ascii_whitespace());
        let folded: Vec<u8> = folded.map(|octet| fold(*octet)).collect();
        let folded = Zeroizing::new(folded);
        if folded.len() >= SHORTEST && !forms.contains(&folded) {
            forms.push(folded);
        }
    };
    keep(octets.to_vec());
    let mut layer = Text::new(octets);
    for _ in 0..LAYERS {
        let Some(decoded) = layer.decoded() else {
            break;
        };
        keep(decoded.octets.to_vec());
        layer = decoded;
    }
    keep(form.into_bytes());
    keep(strict.into_bytes());
    keep(json.trim_matches('"').as_bytes().to_vec());
    keep(html.into_bytes());
    // Within a longer text base64 depends on how many octets stand before, modulo three; only
    // those characters count that depend on nothing else.
    for before in 0..3 {
        let padded = Zeroizing::new([&b"\0\0"[..before], octets].concat());
        let encoded = Zeroizing::new(STANDARD_NO_PAD.encode(&*padded));
        let own = (before * 8).div_ceil(6)..padded.len() * 8 / 6;
        keep(encoded.as_bytes()[own].to_vec());
    }
    forms
}

/// `%2B`: the octet and how long it is written.
fn percent(text: &[u8]) -> Option<(u32, usize)> {
    Some((hex(text, 1, 2)?, 3))
}

/// `&lt;`, `&#43;` and `&#x2b;`.
fn entity(text: &[u8]) -> Option<(u32, usize)> {
    const LONGEST: usize = 10;
    let end = text.iter().take(LONGEST).position(|octet| *octet == b';')?;
    let name = std::str::from_utf8(&text[1..end]).ok()?;
    let code = match name {
        "amp" => u32::from(b'&'),
        "lt" => u32::from(b'<'),
        "gt" => u32::from(b'>'),
        "quot" => u32::from(b'"'),
        "apos" => u32::from(b'\''),
        _ => match name.strip_prefix("#x").or(name.strip_prefix("#X")) {
            Some(digits) => u32::from_str_radix(digits, 16).ok()?,
            None => name.strip_prefix('#')?.parse().ok()?,
        },
    };
    Some((code, end + 1))
}

/// `\u002b`, `\x2b`, `\/` and `\n`.
fn backslash(text: &[u8]) -> Option<(u32, usize)> {
    Some(match text.get(1)? {
        b'u' => (hex(text, 2, 4)?, 6),
        b'x' => (hex(text, 2, 2)?, 4),
        b'n' | b'r' | b't' => (u32::from(b' '), 2),
        sign @ (b'/' | b'"' | b'\'' | b'\\') => (u32::from(*sign), 2),
        _ => return None,
    })
}

fn hex(text: &[u8], from: usize, digits: usize) -> Option<u32> {
    let digits = text.get(from..from + digits)?;
    digits.iter().try_fold(0, |number, digit| {
        Some(number << 4 | char::from(*digit).to_digit(16)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use proptest::prelude::*;
    use std::time::Duration;

    const TOKEN: &str = "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9";

    #[test]
    fn an_echoed_secret_is_hidden_whole_or_cut() {
        let mask = Mask::new([Secret::new(TOKEN), Secret::new("a b&c=d")]);
        for (said, shown) in [
            (
                format!("500 unknown: AUTH XOAUTH2 {TOKEN}."),
                "500 unknown: AUTH XOAUTH2 (secret).",
            ),
            (format!("too long: {}", &TOKEN[..20]), "too long: (secret)"),
            (format!("x{}y", &TOKEN[15..]), "x(secret)y"),
            (
                "password=a+b%26c%3Dd or a b&c=d".to_owned(),
                "password=(secret) or (secret)",
            ),
            ("you sent a%20b%26c%3Dd".to_owned(), "you sent (secret)"),
            ("you sent a%20b%26c%3dd".to_owned(), "you sent (secret)"),
            ("you sent a+b%26c%3dd".to_owned(), "you sent (secret)"),
            (
                "you sent a%2520b&amp;amp;c\\u003dd".to_owned(),
                "you sent (secret)",
            ),
            ("535 5.7.3 n\u{f6}".to_owned(), "535 5.7.3 n\u{f6}"),
        ] {
            assert_eq!(mask.hide(&said), shown, "{said}");
        }
    }

    #[test]
    fn a_secret_of_a_few_letters_is_hidden_as_a_whole() {
        let mask = Mask::new([Secret::new("Ab1!"), Secret::new("abc")]);
        assert_eq!(mask.hide("no: Ab1!, abc, Ab1"), "no: (secret), abc, Ab1");
        assert_eq!(Mask::default().hide("as it is"), "as it is");
    }

    /// Encodings in which a server, a proxy or a library repeats what it was sent.
    fn encoded(part: &str, how: usize) -> String {
        let html = part
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('"', "&quot;");
        let form: String = url::form_urlencoded::byte_serialize(part.as_bytes()).collect();
        let entity = |c: char| match c {
            c if c.is_ascii_alphanumeric() => c.to_string(),
            c => format!("&#x{:X};", c as u32),
        };
        match how {
            0 => part.to_owned(),
            1 => form,
            2 => form.to_lowercase().replace('+', "%20"),
            3 => form.replace('%', "%25"),
            4 => html,
            5 => part.chars().map(entity).collect(),
            6 => serde_json::Value::from(part).to_string(),
            7 => serde_json::Value::from(html)
                .to_string()
                .replace('&', "\\u0026"),
            8 => part.to_uppercase(),
            9 => part.chars().map(|c| format!("{c}\r\n ")).collect(),
            10 => part.bytes().map(|b| format!("%{b:02x}")).collect(),
            _ => part.replace('/', "\\/"),
        }
    }

    proptest! {
        /// Twelve characters of a secret are hidden wherever they stand and however encoded: the
        /// text is as if another part had been in their place.
        #[test]
        fn no_part_of_a_secret_is_shown(
            // Without what begins an escape, which would be decoded with the rest.
            secret in "[!-$'-\\[\\]-~]{12,90}", how in 0..12_usize, from in any::<prop::sample::Index>(),
            length in any::<prop::sample::Index>(), glue in "[a-z,:= ]{0,5}",
        ) {
            let from = from.index(secret.len() - PART + 1);
            let part = &secret[from..from + PART + length.index(secret.len() - from - PART + 1)];
            let said = format!("no: {glue}{}{glue}", encoded(part, how));
            let shown = Mask::new([Secret::new(&secret)]).hide(&said);
            let rest = shown.replace(HIDDEN, "").replace(['"', '\r', '\n', ' '], "");
            let frame = format!("no:{glue}{glue}").replace(' ', "");
            prop_assert!(shown.contains(HIDDEN), "{said}\n{shown}");
            prop_assert!(rest.len() <= frame.len() + 6, "{said}\n{shown}");
        }

        /// Likewise in base64 of a longer text, whole, wrapped or cut.
        #[test]
        fn no_part_of_a_secret_is_shown_in_base64(
            secret in "[!-~]{24,90}", before in "[ -~]{0,9}", width in 4..80_usize, safe in any::<bool>(),
        ) {
            let text = format!("{before}{secret}!");
            let whole = match safe {
                true => URL_SAFE_NO_PAD.encode(&text),
                false => STANDARD.encode(&text),
            };
            let chars: Vec<char> = whole.chars().collect();
            let lines: Vec<String> = chars.chunks(width).map(|line| line.iter().collect()).collect();
            let shown = Mask::new([Secret::new(&secret)]).hide(&lines.join("\r\n\t"));
            let left = shown.replace(HIDDEN, "").replace(char::is_whitespace, "");
            prop_assert!(left.len() <= before.len() * 4 / 3 + 8, "{whole}\n{shown}");
        }

        #[test]
        fn any_text_is_read(secret in "\\PC{0,20}", text in "(\\PC|[%&#;x25amp\\\\u]){0,60}") {
            let mask = Mask::new([Secret::new(&secret)]);
            let shown = mask.hide(&format!("{text}{secret}{text}"));
            prop_assert!(secret.len() < 12 || !shown.contains(&secret), "{shown}");
        }

        #[test]
        fn other_words_stay(text in "[ -~]{0,200}") {
            let mask = Mask::new([Secret::new(TOKEN), Secret::new("Yw8~another+secret/of=42")]);
            prop_assert_eq!(mask.hide(&text), text);
        }
    }

    /// 32 times the text takes about 32 times the work, whatever is in it; not 1024 times. The time
    /// is the thread's own on the processor: other work on the machine does not count.
    #[test]
    fn the_time_grows_with_the_text() {
        let processor_time = || {
            let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
            Duration::try_from(now).unwrap()
        };
        let mask = Mask::new([Secret::new(TOKEN.repeat(60))]);
        for piece in [
            TOKEN,
            "a",
            "%25",
            "&amp;",
            "\\",
            "%252525zz&#9999999\\\\u00",
        ] {
            let took = |octets: usize, runs: usize| {
                let text = piece.repeat(octets / piece.len());
                let times = (0..runs).map(|_| {
                    let began = processor_time();
                    assert!(!mask.hide(&text).is_empty());
                    processor_time() - began
                });
                times.min().unwrap_or_default()
            };
            let (one, many) = (took(1 << 16, 3), took(1 << 21, 1));
            assert!(
                many < one * 320,
                "{piece:?}: 64 KiB {one:?}, 2 MiB {many:?}"
            );
        }
    }
}

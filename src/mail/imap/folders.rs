//! The folders' names: LIST, and its answers.

use super::wire::{Failure, Wire};
use crate::mail::utf7;

/// Lists all folders that can be opened. A name that is no modified UTF-7 is kept as it came.
pub fn list(wire: &mut Wire) -> Result<Vec<String>, Failure> {
    let mut names = Vec::new();
    each(wire, |name, _| names.push(name))?;
    Ok(names)
}

/// Gives the name and the attributes of each folder, unless it is `\Noselect` or `\NonExistent`,
/// which cannot be opened (RFC 3501 §7.2.2, RFC 5258 §3).
fn each(wire: &mut Wire, mut folder: impl FnMut(String, &[u8])) -> Result<(), Failure> {
    let longest = wire.limits.line;
    wire.run("LIST \"\" \"*\"", longest, |line| {
        if let Some(rest) = line.untagged(b"LIST")
            && let Some((name, attributes)) = entry(rest)
            && !has(attributes, b"\\Noselect")
            && !has(attributes, b"\\NonExistent")
        {
            folder(name, attributes);
        }
        Ok(())
    })
}

/// What the folder of sent mail is called, where no attribute tells it: Exchange's English name,
/// and those of other servers.
const SENT: [&str; 5] = [
    "Sent Items",
    "Sent",
    "Sent Messages",
    "Sent Mail",
    "INBOX.Sent",
];

/// The folder of sent mail, by its attribute (RFC 6154 §2), else by its name.
pub fn sent(wire: &mut Wire) -> Result<Option<String>, Failure> {
    let mut marked = None;
    let mut names = Vec::new();
    each(wire, |name, attributes| match has(attributes, b"\\Sent") {
        true => marked = Some(name),
        false => names.push(name),
    })?;
    Ok(marked.or_else(|| {
        let usual = SENT
            .iter()
            .find_map(|sent| names.iter().find(|n| n.eq_ignore_ascii_case(sent)));
        usual.cloned()
    }))
}

fn has(attributes: &[u8], wanted: &[u8]) -> bool {
    let mut attributes = attributes.split(|&b| b == b' ');
    attributes.any(|own| own.eq_ignore_ascii_case(wanted))
}

/// The name and the attributes in `(\attributes) "/" name`.
fn entry(rest: &[u8]) -> Option<(String, &[u8])> {
    let rest = rest.strip_prefix(b"(")?;
    let end = rest.iter().position(|&b| b == b')')?;
    let (attributes, rest) = rest.split_at(end);
    let rest = rest[1..].strip_prefix(b" ")?;
    // The delimiter: NIL, or one character in quotes, which may be a backslash with another.
    let rest = match rest {
        [b'"', b'\\', _, b'"', b' ', rest @ ..] | [b'"', _, b'"', b' ', rest @ ..] => rest,
        _ => super::line::word(rest).1,
    };
    let name = string(rest)?;
    let text = String::from_utf8_lossy(&name).into_owned();
    Some((utf7::decode(&text).unwrap_or(text), attributes))
}

/// A string in any form: literal, quoted, or bare, with whatever a server left unquoted.
fn string(text: &[u8]) -> Option<Vec<u8>> {
    if text.first() == Some(&b'{') {
        let end = text.iter().position(|&b| b == b'\n')?;
        let size = super::line::literal(&text[..=end])?;
        let octets = &text[end + 1..];
        return octets
            .get(..usize::try_from(size).ok()?)
            .map(<[u8]>::to_vec);
    }
    if let Some(inner) = text.strip_prefix(b"\"") {
        let inner = inner.strip_suffix(b"\"").unwrap_or(inner);
        return Some(super::fetch::unquote(inner));
    }
    (!text.is_empty()).then(|| text.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_come_in_every_form() {
        for (rest, expected) in [
            ("(\\HasNoChildren) \"/\" INBOX", Some("INBOX")),
            ("() NIL INBOX", Some("INBOX")),
            (
                "(\\Sent) \"/\" \"&AMk-l&AOk-ments envoy&AOk-s\"",
                Some("Éléments envoyés"),
            ),
            ("() \"/\" {5}\r\na\\b\"c", Some("a\\b\"c")),
            ("() \"\\\\\" \"a\\\\b\"", Some("a\\b")),
            ("() \"/\" Sent Items", Some("Sent Items")),
            ("() \"/\" \"R&D\"", Some("R&D")),
            ("() \"/\" {9}\r\nab", None),
            ("INBOX", None),
        ] {
            let found = entry(rest.as_bytes()).map(|(name, _)| name);
            assert_eq!(found.as_deref(), expected, "{rest}");
        }
        let (_, attributes) = entry(b"(\\HasChildren \\NoSelect) \"/\" Public").unwrap();
        assert!(has(attributes, b"\\Noselect") && !has(attributes, b"\\Sent"));
    }

    proptest! {
        #[test]
        fn no_answer_panics(rest in "[()\\\\\"{}/ \r\nA-Za-z0-9&-]{0,40}") {
            entry(rest.as_bytes());
        }
    }
}

//! What the header of a message says, for people and for the programs that get the message: decoded,
//! each value in one line, and within limits. A sender chooses these texts; no value here has a
//! control character, and none ends its line.

use super::header::Fields;
use super::traits::is_plain_line;
use mail_parser::{Addr, Address, Message};
use serde::Serialize;

/// The most characters of a subject.
const SUBJECT: usize = 1000;
/// The most characters of a name, and of an address (RFC 5321 §4.5.3.1 has fewer).
const NAME: usize = 200;
const ADDRESS: usize = 320;
/// So many addresses of From, and of To, the first ones.
const AUTHORS: usize = 5;
const RECIPIENTS: usize = 50;
/// So many References: the first, which began the thread, and the last.
const REFERENCES: usize = 50;
/// A longer id, in octets, is left out: it would not fit a line (RFC 5322 §2.1.1).
const ID: usize = 998;

/// The header of a message in words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// `Name <address>`, in the form that a header field has, but not encoded.
    pub from: Option<String>,
    pub to: Vec<String>,
    pub subject: Option<String>,
    /// RFC 3339, in the author's zone.
    pub date: Option<String>,
    /// A Message-ID with its angle brackets.
    pub in_reply_to: Option<String>,
    pub references: Vec<String>,
    /// The first address of From alone, in lower case.
    #[serde(skip)]
    pub sender: Option<String>,
}

impl Summary {
    /// `fields` are those that `message` was parsed from: ids are taken as they stand there.
    pub(super) fn of(message: &Message<'_>, fields: &Fields<'_>) -> Summary {
        let mut references = ids(fields, "references");
        if references.len() > REFERENCES {
            references.drain(1..=references.len() - REFERENCES);
        }
        let from = people(message.from(), AUTHORS).join(", ");
        let stated = || fields.get("from").map(|from| line(&from, NAME + ADDRESS));
        let first = message.from().and_then(|from| from.first());
        let address = first.and_then(|first| first.address.as_deref());
        let some = |text: &String| !text.is_empty();
        Summary {
            from: Some(from).filter(some).or_else(stated).filter(some),
            to: people(message.to(), RECIPIENTS),
            subject: message
                .subject()
                .map(|subject| line(subject, SUBJECT))
                .filter(some),
            date: message
                .date()
                .filter(|date| date.is_valid())
                .map(|date| date.to_rfc3339()),
            in_reply_to: ids(fields, "in-reply-to").into_iter().next(),
            references,
            sender: address
                .map(|address| line(address, ADDRESS).to_lowercase())
                .filter(some),
        }
    }
}

/// A text in one line of at most so many characters; white space is made single, and controls
/// count as white space.
fn line(text: &str, most: usize) -> String {
    if text.len() <= most && is_plain_line(text.as_bytes()) {
        return text.to_owned();
    }
    let mut line = String::new();
    let mut left = most;
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    for word in words.filter(|word| !word.is_empty()) {
        let blank = usize::from(!line.is_empty());
        if left <= blank {
            break;
        }
        line.push_str(&" "[..blank]);
        left -= blank;
        for c in word.chars().take(left) {
            line.push(c);
            left -= 1;
        }
    }
    line
}

/// The ids of a field, with their angle brackets.
fn ids(fields: &Fields<'_>, name: &str) -> Vec<String> {
    let value = fields.get(name).unwrap_or_default();
    let is_odd = |c: char| c.is_whitespace() || c.is_control();
    value
        .split('<')
        .skip(1)
        .filter_map(|rest| rest.split_once('>'))
        .map(|(id, _)| id)
        .filter(|id| !id.is_empty() && id.len() + 2 <= ID && !id.contains(is_odd))
        .map(|id| format!("<{id}>"))
        .collect()
}

fn people(field: Option<&Address<'_>>, most: usize) -> Vec<String> {
    let all = field.into_iter().flat_map(Address::iter);
    all.filter_map(person).take(most).collect()
}

/// A person as a header field has them: what stands in quotes there does so here, so that nobody
/// becomes two.
fn person(one: &Addr<'_>) -> Option<String> {
    let name = line(one.name.as_deref().unwrap_or_default(), NAME);
    let address = line(one.address.as_deref().unwrap_or_default(), ADDRESS);
    match (name.is_empty(), address.is_empty()) {
        (true, true) => None,
        (true, false) => Some(written(&address)),
        (false, true) => Some(phrase(&name)),
        (false, false) => Some(format!("{} <{}>", phrase(&name), written(&address))),
    }
}

/// A name, quoted where it would mean something else (RFC 5322 §3.2.3).
fn phrase(name: &str) -> String {
    match name.bytes().any(|b| is_special(b) || b == b'.') {
        true => quoted(name),
        false => name.to_owned(),
    }
}

/// An address, its local part quoted where it would mean something else.
fn written(address: &str) -> String {
    let Some((local, domain)) = address.rsplit_once('@') else {
        return phrase(address);
    };
    let inner = local.strip_prefix('"').and_then(|l| l.strip_suffix('"'));
    let local = inner.unwrap_or(local);
    let is_odd = |b| is_special(b) || b == b' ';
    let local = match local.bytes().any(is_odd) {
        true => quoted(local),
        false => local.to_owned(),
    };
    let may = |c: &char| !u8::try_from(*c).is_ok_and(is_odd) || "[]:".contains(*c);
    match domain.bytes().any(is_odd) {
        true => format!("{local}@{}", domain.chars().filter(may).collect::<String>()),
        false => format!("{local}@{domain}"),
    }
}

fn is_special(b: u8) -> bool {
    matches!(
        b,
        b'(' | b')' | b'<' | b'>' | b'[' | b']' | b':' | b';' | b'@' | b'\\' | b',' | b'"'
    )
}

fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', r"\\").replace('"', r#"\""#);
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use super::super::read_head;
    use super::*;
    use proptest::prelude::*;

    fn of(head: &str) -> Summary {
        read_head(&Fields::of(head.as_bytes())).1
    }

    #[test]
    fn it_is_decoded_and_nobody_becomes_two() {
        let found = of("From: =?utf-8?Q?M=C3=BCller=2C_Anna?= <Anna@X.example>\r\n\
             To: a@x.example, \"B, the 2nd\" <b@x.example>\r\n\
             Subject: =?utf-8?B?R3LDvMOfZQ==?=\r\n  again\r\n\
             Date: Mon, 23 Nov 2026 09:00:00 +0100\r\n\
             In-Reply-To: Your mail of <2@x.example>\r\n\
             References: <1@x.example><2@x.example>\r\n <3 4@x.example> <5@x.example>\r\n\r\n");
        assert_eq!(
            found.from.as_deref(),
            Some("\"Müller, Anna\" <Anna@X.example>")
        );
        assert_eq!(found.sender.as_deref(), Some("anna@x.example"));
        assert_eq!(found.to, ["a@x.example", "\"B, the 2nd\" <b@x.example>"]);
        assert_eq!(found.subject.as_deref(), Some("Grüße again"));
        assert_eq!(found.date.as_deref(), Some("2026-11-23T09:00:00+01:00"));
        assert_eq!(found.in_reply_to.as_deref(), Some("<2@x.example>"));
        assert_eq!(
            found.references,
            ["<1@x.example>", "<2@x.example>", "<5@x.example>"]
        );
        assert_eq!(of(""), Summary::default());
    }

    #[test]
    fn what_is_long_is_cut() {
        let many = |one: &dyn Fn(usize) -> String, between: &str| {
            (0..200).map(one).collect::<Vec<_>>().join(between)
        };
        let found = of(&format!(
            "To: {}\r\nSubject: {}\r\nReferences: {}\r\nIn-Reply-To: <{}@x>\r\n\r\n",
            many(&|i| format!("p{i}@x.example"), ", "),
            "é".repeat(3000),
            many(&|i| format!("<{i}@x>"), " "),
            "a".repeat(2000),
        ));
        assert_eq!(found.to.len(), RECIPIENTS);
        assert_eq!(found.subject.map(|s| s.chars().count()), Some(SUBJECT));
        assert_eq!(found.references.len(), REFERENCES);
        assert_eq!(found.references[0], "<0@x>");
        assert_eq!(found.references[1], "<151@x>");
        assert_eq!(found.references[REFERENCES - 1], "<199@x>");
        assert_eq!(found.in_reply_to, None);
    }

    proptest! {
        #[test]
        fn what_is_a_line_stays(words in proptest::collection::vec("[!-~]{1,9}", 0..5), most in 0usize..40) {
            let text = words.join(" ");
            let cut: String = text.chars().take(most).collect();
            prop_assert_eq!(line(&text, most), cut.trim_end());
        }

        #[test]
        fn no_value_ends_its_line(
            octets in proptest::collection::vec(any::<u8>(), 0..200), name in "\\PC{0,20}",
        ) {
            let mut head = Vec::new();
            for field in ["From", "To", "Subject", "Date", "In-Reply-To", "References"] {
                head.extend(format!("{field}: ").bytes());
                head.extend(octets.iter().map(|b| if *b == b'\n' { b' ' } else { *b }));
                head.extend(format!(" {name} <a@b>\r\n").bytes());
            }
            let Summary { from, to, subject, date, in_reply_to, references, sender } =
                read_head(&Fields::of(&head)).1;
            prop_assert!(to.len() <= RECIPIENTS && references.len() <= REFERENCES);
            let all = [from, subject, date, in_reply_to, sender].into_iter().flatten();
            for value in all.chain(to).chain(references) {
                prop_assert!(!value.contains(|c: char| c.is_control()), "{value:?}");
                prop_assert!(!value.contains(['\u{2028}', '\u{2029}']), "{value:?}");
                prop_assert!(value.len() <= 8 * AUTHORS * (NAME + ADDRESS), "{value:?}");
            }
        }
    }
}

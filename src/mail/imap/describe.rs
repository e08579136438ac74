//! What is told of messages without retrieving them: `UID FETCH` of a few items and fields.

use super::faults::{Meaning, meaning};
use super::fetch::Told;
use super::uid_set;
use super::wire::{Cut, Failure, Wire};
use crate::mail::{Detail, Traits};
use std::collections::BTreeMap;

/// Messages in one command.
const SET: usize = 500;
/// Octets of the fields of one message; what is beyond is not looked at.
const FIELDS: usize = 8 << 10;
/// Octets of all else that answers for one message.
const REST: usize = 4 << 10;

/// Tells of the messages of these ascending, distinct UIDs, as far as the server does.
pub fn describe(
    wire: &mut Wire,
    uids: &[u32],
    detail: Detail,
) -> Result<Vec<(u32, Traits)>, Failure> {
    // Some servers have to read a message to know its size.
    let (items, fields) = match detail {
        Detail::Identity => ("UID INTERNALDATE", "MESSAGE-ID SUBJECT"),
        Detail::Selection => (
            "UID INTERNALDATE FLAGS RFC822.SIZE",
            "MESSAGE-ID FROM SUBJECT",
        ),
        Detail::Likeness => (
            "UID INTERNALDATE FLAGS RFC822.SIZE",
            "MESSAGE-ID DATE SUBJECT",
        ),
    };
    let mut asking = Asking {
        wire,
        items: format!("({items} BODY.PEEK[HEADER.FIELDS ({fields})]<0.{FIELDS}>)"),
        found: BTreeMap::new(),
    };
    for part in uids.chunks(SET) {
        asking.ask(part)?;
    }
    Ok(asking.found.into_iter().collect())
}

struct Asking<'a> {
    wire: &'a mut Wire,
    items: String,
    found: BTreeMap<u32, Traits>,
}

impl Asking<'_> {
    /// Asks for these; where they are refused together, for each half, down to the message that
    /// the server cannot tell of.
    fn ask(&mut self, uids: &[u32]) -> Result<(), Failure> {
        for (range, set) in uid_set::sets(uids, SET) {
            let uids = &uids[range];
            match self.ask_once(uids, &set) {
                Err(Failure::Refused(words)) if is_of_message(&words) => {
                    if uids.len() > 1 {
                        let (first, second) = uids.split_at(uids.len() / 2);
                        self.ask(first)?;
                        self.ask(second)?;
                    }
                }
                asked => asked?,
            }
        }
        Ok(())
    }

    fn ask_once(&mut self, uids: &[u32], set: &str) -> Result<(), Failure> {
        let (usual, found) = (self.wire.limits, &mut self.found);
        let most = (uids.len() * (FIELDS + REST)) as u64;
        self.wire.limits.octets = usual.octets.saturating_add(most);
        let command = format!("UID FETCH {set} {}", self.items);
        let done = self.wire.run(&command, usual.line, |line| {
            if let Some(rest) = line.fetched()
                && let Some((uid, traits)) = read(rest)?
                && uids.binary_search(&uid).is_ok()
            {
                found.insert(uid, traits);
            }
            Ok(())
        });
        self.wire.limits = usual;
        done
    }
}

/// Whether a refusal may be about one message.
fn is_of_message(words: &str) -> bool {
    !matches!(
        meaning(words),
        Meaning::Throttled(_)
            | Meaning::NotConnected
            | Meaning::TokenExpired
            | Meaning::Unavailable
            | Meaning::Limit
    )
}

/// Reads a FETCH response; `None` where it is one of another kind.
fn read(rest: &[u8]) -> Result<Option<(u32, Traits)>, Cut> {
    let mut told = Told::default();
    told.read(rest)
        .map_err(|_| Cut::Disorder("a FETCH response that cannot be read".into()))?;
    Ok(told.uid.zip(told.head).map(|(uid, head)| {
        let traits = Traits {
            received: told.date.and_then(received),
            unread: !told.seen,
            size: told.size,
            ..Traits::of_head(&head)
        };
        (uid, traits)
    }))
}

/// The Unix time of an INTERNALDATE (RFC 3501 §9, `date-time`): ` 7-Nov-2026 08:00:00 +0100`.
fn received(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    let time = jiff::Timestamp::strptime("%d-%b-%Y %H:%M:%S %z", text.trim()).ok()?;
    Some(time.as_second())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_response_is_read_whatever_its_order() {
        let head = "From: a@x.example\r\nSubject: it\r\nMessage-ID: <1@x>\r\n\r\n";
        let date = "INTERNALDATE \" 7-Nov-2026 08:00:00 +0100\"";
        let fields = "BODY[HEADER.FIELDS (MESSAGE-ID FROM SUBJECT)]<0>";
        let expected = Traits {
            message_id: "1@x".into(),
            received: Some(1_794_034_800),
            sent: None,
            from: vec!["a@x.example".into()],
            subject: "it".into(),
            unread: false,
            size: Some(12),
        };
        for text in [
            format!(
                "(UID 5 {date} FLAGS (\\Answered \\Seen) RFC822.SIZE 12 {fields} {{{}}}\r\n{head})",
                head.len()
            ),
            format!(
                "({fields} {{{}}}\r\n{head} {date} X {{3}}\r\n)\r\n FLAGS (\\SEEN) RFC822.SIZE 12 UID 5)\r\n",
                head.len()
            ),
        ] {
            assert_eq!(
                read(text.as_bytes()).unwrap(),
                Some((5, expected.clone())),
                "{text}"
            );
        }
        assert_eq!(read(b"(FLAGS (\\Seen))").unwrap(), None);
        assert!(read(b"(UID 5 BODY[HEADER.FIELDS (X)] {9}\r\nshort)").is_err());
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "\\((UID 5 |FLAGS|\\(|\\)|BODY\\[HEADER.FIELDS \\(X\\)\\] |\\{[0-9]{1,3}\\}\r\n|[a-z: \r\n\"]){0,20}") {
            let _ = read(text.as_bytes());
        }
    }
}

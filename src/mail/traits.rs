//! What a server tells of a message that is not retrieved: by which it is known again under
//! another id, and by which it is selected.

use mail_parser::{Address, HeaderName, MessageParser};

/// How much is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// The Message-ID, the subject, and when it was received.
    Identity,
    /// Also what [`Select`](crate::model::Select) looks at.
    Selection,
    /// The identity, and also what a copy is recognised by, and whether it was read.
    Likeness,
}

/// What a server tells of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traits {
    /// Without angle brackets; empty where there is none.
    pub message_id: String,
    /// When the server received it (INTERNALDATE, receivedDateTime), in Unix seconds.
    pub received: Option<i64>,
    /// When its author sent it, as the message says (Date, sentDateTime), in Unix seconds.
    pub sent: Option<i64>,
    /// The bare addresses of From, in lower case.
    pub from: Vec<String>,
    /// Decoded, with white space made single.
    pub subject: String,
    pub unread: bool,
    /// In octets, as the server counts them.
    pub size: Option<u64>,
}

impl Traits {
    /// Reads the fields Message-ID, Date, From and Subject of a head.
    pub fn of_head(head: &[u8]) -> Traits {
        let Some(message) = MessageParser::default().parse_headers(head) else {
            return Traits::default();
        };
        Traits {
            message_id: bare_id(
                message
                    .header_raw(HeaderName::MessageId)
                    .unwrap_or_default(),
            ),
            sent: message
                .date()
                .filter(|date| date.is_valid())
                .map(mail_parser::DateTime::to_timestamp),
            from: bare_addresses(message.from()),
            subject: single_spaced(message.subject().unwrap_or_default()),
            ..Traits::default()
        }
    }
}

/// The bare addresses of a field in lower case.
pub fn bare_addresses(field: Option<&Address<'_>>) -> Vec<String> {
    field
        .into_iter()
        .flat_map(Address::iter)
        .filter_map(|one| Some(single_spaced(one.address.as_deref()?).to_lowercase()))
        .collect()
}

/// A Message-ID without white space and angle brackets: servers differ in both.
pub fn bare_id(text: &str) -> String {
    let id: String = text.split_whitespace().collect();
    let inner = id.strip_prefix('<').and_then(|id| id.strip_suffix('>'));
    inner.unwrap_or(&id).to_owned()
}

/// The same with white space made single.
pub fn single_spaced(text: &str) -> String {
    if is_plain_line(text.as_bytes()) {
        return text.to_owned();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether a text is of visible ASCII in which all white space is single blanks, and none is at its
/// ends: as almost all texts are, which need no closer look.
pub fn is_plain_line(text: &[u8]) -> bool {
    let mut before = b' ';
    let mut fits = |b| {
        let fits = matches!(b, b'!'..=b'~') || b == b' ' && before != b' ';
        before = b;
        fits
    };
    text.iter().all(|b| fits(*b)) && (before != b' ' || text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_head_is_read_however_it_is_written() {
        let one = Traits::of_head(
            b"From: \"A\" <Anna@X.example>\r\nSubject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\r\n  an alle\r\nMessage-ID:\r\n <1.a@x>\r\n\r\n",
        );
        assert_eq!(one.message_id, "1.a@x");
        assert_eq!(one.from, ["anna@x.example"]);
        assert_eq!(one.subject, "Gr\u{fc}\u{df}e an alle");
        assert_eq!(Traits::of_head(b""), Traits::default());
        let sent = |date: &str| Traits::of_head(format!("Date: {date}\r\n").as_bytes()).sent;
        assert_eq!(sent("Sat, 7 Nov 2026 08:00:00 +0100"), Some(1_794_034_800));
        assert_eq!(
            sent("7 Nov 2026 07:00 GMT (was: early)"),
            Some(1_794_034_800)
        );
        assert_eq!(sent("yesterday"), None);
        assert_eq!(bare_id("<>"), "");
        assert_eq!(bare_id(" <a@b> "), "a@b");
    }

    proptest! {
        #[test]
        fn what_is_plain_stays(text in "[a-z\\x00\\t \u{a0}]{0,6}") {
            let words: Vec<&str> = text.split_whitespace().collect();
            prop_assert_eq!(single_spaced(&text), words.join(" "));
            let single = words.join(" ") == text && text.bytes().all(|b| b.is_ascii_lowercase() || b == b' ');
            prop_assert_eq!(is_plain_line(text.as_bytes()), single);
        }
    }
}

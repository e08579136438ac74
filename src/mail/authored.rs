//! What the author of a message wrote in its header, however a server writes it down.
//!
//! Exchange keeps mail in parts and makes the message again for whoever asks: fields in another
//! order and folded elsewhere, a date in another zone, words in another encoding (RFC 2047), a
//! name with quotes or without. What is the same each time is what is read here.

use super::Summary;
use super::header::{Fields, header_end};
use super::traits::{bare_addresses, single_spaced as words};
use mail_parser::{Address, HeaderName, Message, MessageParser};

/// Date, From, To and Subject, of which servers change the spelling alone. What cannot be read is
/// taken as it stands; what is missing is empty.
///
/// With it goes what people and programs read of the same header.
pub fn read_head(fields: &Fields<'_>) -> ([String; 4], Summary) {
    let Some(message) = MessageParser::default().parse_headers(fields.head()) else {
        return Default::default();
    };
    (authored(&message), Summary::of(&message, fields))
}

/// What the header of a whole message says.
pub fn summary(message: &[u8]) -> Summary {
    read_head(&Fields::of(&message[..header_end(message)])).1
}

fn authored(message: &Message<'_>) -> [String; 4] {
    let date = message.date().filter(|date| date.is_valid());
    [
        date.map(|date| date.to_timestamp().to_string())
            .unwrap_or_else(|| raw(message, HeaderName::Date)),
        addresses(message.from()).unwrap_or_else(|| raw(message, HeaderName::From)),
        addresses(message.to()).unwrap_or_else(|| raw(message, HeaderName::To)),
        words(message.subject().unwrap_or_default()),
    ]
}

/// The first line of a message's text that holds something, decoded, with white space made single.
/// Empty where there is none.
pub fn first_line(message: &[u8]) -> String {
    let text = MessageParser::default()
        .parse(message)
        .and_then(|message| Some(message.body_text(0)?.into_owned()))
        .unwrap_or_default();
    text.lines()
        .map(words)
        .find(|line| !line.is_empty())
        .unwrap_or_default()
}

/// The bare addresses in lower case; `None` where there are none.
fn addresses(field: Option<&Address<'_>>) -> Option<String> {
    let found = bare_addresses(field);
    (!found.is_empty()).then(|| found.join(","))
}

fn raw(message: &Message<'_>, name: HeaderName<'_>) -> String {
    words(message.header_raw(name).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::{Engine, engine::general_purpose::STANDARD};
    use proptest::prelude::*;

    fn of(head: &str) -> [String; 4] {
        read_head(&Fields::of(head.as_bytes())).0
    }

    #[test]
    fn spelling_makes_no_difference() {
        let plain = of(
            "Date: Mon, 23 Nov 2026 08:00:00 +0000\r\nFrom: Anna <anna@x.example>\r\n\
             To: a@x.example, B <b@x.example>\r\nSubject: Gr\u{fc}\u{df}e an alle\r\n\r\n",
        );
        assert_eq!(
            plain,
            [
                "1795420800",
                "anna@x.example",
                "a@x.example,b@x.example",
                "Gr\u{fc}\u{df}e an alle"
            ]
        );
        for other in [
            "Subject: =?iso-8859-1?Q?Gr=FC=DFe_?=\r\n =?utf-8?B?YW4gYWxsZQ==?=\r\n\
             To: <A@x.example>,\r\n\t\"B\" <b@X.example>\r\nFrom: \"Anna\" <Anna@x.example>\r\n\
             Date: Mon, 23 Nov 2026 09:00:00 +0100 (CET)\r\n\r\n",
            "date: 23 Nov 2026 00:00:00 -0800\nfrom: anna@x.example (Anna)\nTO: a@x.example,b@x.example\n\
             subject:   Gr\u{fc}\u{df}e\n an  alle\n\n",
        ] {
            assert_eq!(of(other), plain, "{other}");
        }
    }

    #[test]
    fn the_first_line_is_found_in_any_form() {
        for text in [
            "\r\n\r\nIt  failed.\r\nSorry.\r\n",
            "Content-Type: text/html\r\n\r\n<html><body><p>It failed.</p><p>Sorry.</p></body></html>",
            "Content-Transfer-Encoding: base64\r\n\r\nDQpJdCBmYWlsZWQuDQpTb3JyeS4NCg==\r\n",
            "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nIt =\r\nfailed.\r\n--b--\r\n",
        ] {
            let line = first_line(text.as_bytes());
            assert!(line.starts_with("It"), "{text}: {line}");
        }
        assert_eq!(first_line(b""), "");
        assert_eq!(first_line(b"Subject: x\r\n\r\n"), "");
    }

    #[test]
    fn what_cannot_be_read_is_taken_as_it_stands() {
        assert_eq!(
            of("Date: yesterday,  late\r\nFrom: nobody in\r\n particular\r\n\r\n"),
            ["yesterday, late", "nobody in particular", "", ""]
        );
        assert_eq!(of(""), <[String; 4]>::default());
    }

    proptest! {
        #[test]
        fn a_message_made_anew_is_the_same(
            seconds in 0i64..4_000_000_000, zone in -12i8..14, subject in "[a-zA-Z0-9 äß€.:-]{0,40}",
            name in "[a-z]{1,8}",
        ) {
            let time = jiff::Timestamp::from_second(seconds).unwrap();
            let date = |zone| {
                let zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(zone));
                jiff::fmt::rfc2822::to_string(&jiff::ZonedDateTime::new(time, zone)).unwrap()
            };
            let one = format!("Date: {}\r\nFrom: {name}@x.example\r\nSubject: {subject}\r\n\r\n", date(0));
            let anew = format!(
                "Subject: =?utf-8?B?{}?=\r\nFrom: \"{name}\" <{name}@x.example>\r\nDate: {}\r\n\r\n",
                STANDARD.encode(&subject), date(zone)
            );
            prop_assert_eq!(of(&one), of(&anew));
        }

        #[test]
        fn nothing_panics(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            first_line(&octets);
            read_head(&Fields::of(&octets));
            read_head(&Fields::of(&[b"Date: ", &octets[..], b"\r\nFrom: ", &octets[..], b"\r\nSubject: =?", &octets[..]].concat()));
        }
    }
}

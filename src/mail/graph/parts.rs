//! Attachments taken off a message, for what Graph does not take in one request.
//!
//! A file is octets with a name, a type and perhaps a Content-ID: where a part is no more than
//! that, Graph can make the same part of it again, and it is taken. That is so for files beside
//! the text (`multipart/mixed`) and pictures within it (`multipart/related`). A part that says
//! more stays, and so does all that is signed or encrypted, for none of it may change.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mail_parser::decoders::quoted_printable::quoted_printable_decode;
use mail_parser::{ContentType, MessageParser, MimeHeaders};
use std::ops::Range;

/// Parts within parts are looked at so deep.
const LEVELS: usize = 10;

#[derive(Debug, PartialEq, Eq)]
pub struct Attachment {
    pub name: String,
    /// Type and subtype.
    pub content_type: String,
    /// Without its angle brackets.
    pub content_id: Option<String>,
    /// Shown within the text, and not next to it.
    pub inline: bool,
    pub octets: Vec<u8>,
}

/// A message without the attachments that could be taken, and these.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Apart {
    pub rest: Vec<u8>,
    pub attachments: Vec<Attachment>,
    /// The largest part that stays.
    pub largest: Option<Kept>,
}

/// A part that stays.
#[derive(Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its octets as they stand in the message.
    pub size: usize,
    /// A name or type, for people.
    pub what: String,
    pub why: String,
}

/// Where a part stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// It is the text, or one form of it.
    Text,
    /// In a `multipart/mixed`.
    Beside,
    /// In a `multipart/related`, not as the text itself.
    Within,
}

/// Takes a message apart. An inline attachment of `inline_limit` octets or more stays: Graph
/// uploads it, but beside the text.
pub fn take_apart(message: &[u8], inline_limit: usize) -> Apart {
    let mut walk = Walk {
        message,
        inline_limit,
        apart: Apart::default(),
        copied: 0,
    };
    walk.part(0..message.len(), Place::Text, 0);
    let mut apart = walk.apart;
    apart.rest.extend_from_slice(&message[walk.copied..]);
    apart
}

struct Walk<'m> {
    message: &'m [u8],
    inline_limit: usize,
    apart: Apart,
    /// The rest holds what it is to hold of the message up to here.
    copied: usize,
}

impl Walk<'_> {
    /// Looks at a part; gives what is to be taken of it as a whole.
    fn part(&mut self, range: Range<usize>, place: Place, level: usize) -> Option<Attachment> {
        let part = &self.message[range.clone()];
        let head = crate::mail::header::header_end(part);
        // The head alone is parsed: a body of any size costs nothing.
        let fields = MessageParser::default().parse_headers(&part[..head]);
        let kind = fields.as_ref().and_then(|fields| fields.content_type());
        let kind_text = kind.map_or("text/plain".to_owned(), name_of);
        if let Some(multipart) = kind_text.strip_prefix("multipart/") {
            let boundary = kind.and_then(|kind| kind.attribute("boundary"));
            let parts =
                boundary.map(|b| delimiters(self.message, range.start + head..range.end, b));
            let parts = parts.filter(|parts| parts.len() > 1 && level < LEVELS);
            // `start` may name another part than the first as the text.
            let starts = kind.is_some_and(|kind| kind.has_attribute("start"));
            let place = match (multipart, parts) {
                ("mixed", Some(parts)) => Ok((Place::Beside, parts)),
                ("related", Some(parts)) if !starts => Ok((Place::Within, parts)),
                ("alternative", Some(parts)) => Ok((Place::Text, parts)),
                _ => Err("must stay in one piece"),
            };
            match place {
                Ok((place, parts)) => self.parts(&parts, place, boundary?, level),
                Err(why) => self.keep(part.len(), kind_text, why.into()),
            }
            return None;
        }
        let found = match (place, fields.as_ref()) {
            (Place::Text, _) | (_, None) => Err("is the text".into()),
            (place, Some(fields)) => attachment(fields, &part[head..], place),
        };
        match found {
            Ok(found) if found.inline && found.octets.len() >= self.inline_limit => {
                let why = format!("is an inline image and has {} bytes", found.octets.len());
                self.keep(part.len(), found.name, why);
            }
            Ok(found) => return Some(found),
            Err(why) => {
                let name = fields.as_ref().and_then(|fields| fields.attachment_name());
                self.keep(part.len(), name.map_or(kind_text, str::to_owned), why);
            }
        }
        None
    }

    /// Looks at the parts of a multipart, between the delimiters.
    fn parts(&mut self, delimiters: &[Range<usize>], place: Place, boundary: &str, level: usize) {
        let mut left = 0;
        for (n, pair) in delimiters.windows(2).enumerate() {
            let place = match place {
                Place::Within if n == 0 => Place::Text,
                place => place,
            };
            match self.part(pair[0].end..pair[1].start, place, level + 1) {
                None => left += 1,
                Some(found) => {
                    self.apart.attachments.push(found);
                    let before = &self.message[self.copied..pair[0].start];
                    self.apart.rest.extend_from_slice(before);
                    self.copied = pair[1].start;
                }
            }
        }
        if left == 0 {
            let empty = format!("--{boundary}\r\n\r\n\r\n");
            self.apart.rest.extend_from_slice(empty.as_bytes());
        }
    }

    fn keep(&mut self, size: usize, what: String, why: String) {
        if self
            .apart
            .largest
            .as_ref()
            .is_none_or(|kept| kept.size < size)
        {
            self.apart.largest = Some(Kept { size, what, why });
        }
    }
}

/// The file of a part, else why it is more than a file, or less.
fn attachment(
    fields: &mail_parser::Message<'_>,
    body: &[u8],
    place: Place,
) -> Result<Attachment, String> {
    let disposition = fields.content_disposition();
    let attached = disposition.is_some_and(ContentType::is_attachment);
    let content_id = fields.content_id().map(str::to_owned);
    match place {
        Place::Within if content_id.is_none() => return Err("has no Content-ID".into()),
        Place::Beside if !attached => return Err("does not say that it is an attachment".into()),
        _ => {}
    }
    let name = fields.attachment_name().ok_or("has no name")?.to_owned();
    let kind = fields.content_type();
    if kind.is_some_and(|kind| kind.ctype().eq_ignore_ascii_case("message")) {
        return Err("is a message".into());
    }
    let attributes = kind.and_then(|kind| kind.attributes()).unwrap_or_default();
    for attribute in attributes {
        // What a file's text is in unless something else is said.
        let usual = ["us-ascii", "utf-8"].contains(&attribute.value.to_ascii_lowercase().as_str());
        match attribute.name.to_ascii_lowercase().as_str() {
            "name" => {}
            "charset" if usual => {}
            other if other.starts_with("x-") => {}
            other => return Err(format!("has a type with the parameter `{other}`")),
        }
    }
    for field in fields.headers() {
        match field.name().to_ascii_lowercase().as_str() {
            "content-type" | "content-disposition" | "content-transfer-encoding" | "content-id" => {
            }
            "content-description" if fields.content_description() == Some(&name) => {}
            own if own.starts_with("content-") => return Err(format!("has a `{}`", field.name())),
            // RFC 2045 §9: only fields that begin so mean anything here.
            _ => {}
        }
    }
    Ok(Attachment {
        name,
        content_type: kind.map_or("application/octet-stream".to_owned(), name_of),
        content_id,
        inline: place == Place::Within && !attached,
        octets: decoded(fields, body).ok_or("is in an encoding that cannot be read")?,
    })
}

/// The octets that the body of a part stands for; `None` for an encoding that is none.
fn decoded(fields: &mail_parser::Message<'_>, body: &[u8]) -> Option<Vec<u8>> {
    let encoding = fields.content_transfer_encoding().unwrap_or("7bit");
    let body = body
        .strip_prefix(b"\r\n")
        .or(body.strip_prefix(b"\n"))
        .unwrap_or(body);
    // The line end before a delimiter belongs to it (RFC 2046 §5.1.1).
    let body = body.strip_suffix(b"\n").unwrap_or(body);
    let body = body.strip_suffix(b"\r").unwrap_or(body);
    match encoding.trim().to_ascii_lowercase().as_str() {
        "base64" => {
            let packed: Vec<u8> = body
                .iter()
                .copied()
                .filter(|b| !b.is_ascii_whitespace())
                .collect();
            STANDARD.decode(packed).ok()
        }
        "quoted-printable" => quoted_printable_decode(body),
        "7bit" | "8bit" | "binary" => Some(body.to_vec()),
        _ => None,
    }
}

/// Type and subtype in lower case.
fn name_of(kind: &ContentType<'_>) -> String {
    let subtype = kind.subtype().unwrap_or("octet-stream");
    format!("{}/{subtype}", kind.ctype()).to_ascii_lowercase()
}

/// Where the delimiter lines of a multipart are, the closing one last.
fn delimiters(message: &[u8], range: Range<usize>, boundary: &str) -> Vec<Range<usize>> {
    let mark = format!("--{boundary}");
    let mut found = Vec::new();
    let mut start = range.start;
    for line in message[range].split_inclusive(|&b| b == b'\n') {
        let range = start..start + line.len();
        start = range.end;
        let Some(tail) = line.strip_prefix(mark.as_bytes()) else {
            continue;
        };
        match tail.trim_ascii() {
            b"" => found.push(range),
            b"--" => {
                found.push(range);
                return found;
            }
            // A longer boundary of a part within.
            _ => {}
        }
    }
    // Without an end it is not taken apart.
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MIXED: &str = "Subject: x\r\nContent-Type: multipart/mixed; boundary=\"b\"\r\n\r\npreamble\r\n\
        --b\r\nContent-Type: multipart/alternative; boundary=b2\r\n\r\n--b2\r\n\r\ntext\r\n\
        --b2\r\nContent-Type: multipart/related; boundary=b3\r\n\r\n--b3\r\nContent-Type: text/html\r\n\r\n<img src=cid:1@x>\r\n\
        --b3\r\nContent-Type: image/png; name=a.png\r\nContent-ID: <1@x>\r\nContent-Transfer-Encoding: base64\r\n\r\nUE5H\r\n\
        --b3--\r\n--b2--\r\n\
        --b\r\nContent-Type: application/pdf; name=a.pdf\r\nContent-Disposition: attachment;\r\n filename*=utf-8''%C3%A4.pdf\r\nContent-Transfer-Encoding: BASE64\r\n\r\naGVs\r\nbG8=\r\n\
        --b \r\nContent-Disposition: attachment; filename=b.txt\r\n\r\nplain\r\n--b--\r\nepilogue";

    fn apart(message: &str) -> Apart {
        take_apart(message.as_bytes(), 1000)
    }

    fn file(name: &str, content_type: &str, octets: &[u8]) -> Attachment {
        Attachment {
            name: name.into(),
            content_type: content_type.into(),
            content_id: None,
            inline: false,
            octets: octets.into(),
        }
    }

    #[test]
    fn files_are_taken_and_the_text_stays() {
        let found = apart(MIXED);
        let picture = Attachment {
            content_id: Some("1@x".into()),
            inline: true,
            ..file("a.png", "image/png", b"PNG")
        };
        assert_eq!(
            found.attachments,
            [
                picture,
                file("\u{e4}.pdf", "application/pdf", b"hello"),
                file("b.txt", "application/octet-stream", b"plain"),
            ]
        );
        let cut = |text: &str, from: &str, to: &str| {
            let (start, end) = (text.find(from).unwrap(), text.find(to).unwrap());
            [&text[..start], &text[end..]].concat()
        };
        let expected = cut(MIXED, "--b3\r\nContent-Type: image", "--b3--");
        let expected = cut(&expected, "--b\r\nContent-Type: app", "--b--");
        assert_eq!(String::from_utf8(found.rest).unwrap(), expected);
    }

    #[test]
    fn each_encoding_gives_the_file_s_octets() {
        for (encoding, body, octets) in [
            ("base64", "Z\r\nA0K", &b"d\r\n"[..]),
            (
                "quoted-printable",
                "a=3D=C3=A4 =\r\nb\r\nc",
                "a=\u{e4} b\r\nc".as_bytes(),
            ),
            ("8bit", "\u{fc}\r\n", "\u{fc}\r\n".as_bytes()),
            ("7bit", "--b2\r\n", b"--b2\r\n"),
            ("7bit", "", b""),
        ] {
            let message = format!(
                "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n--b\r\n\
                 Content-Type: Text/CSV; charset=UTF-8\r\nContent-Disposition: attachment; filename=a.csv\r\n\
                 Content-Transfer-Encoding: {encoding}\r\n\r\n{body}\r\n--b--\r\n"
            );
            assert_eq!(
                apart(&message).attachments,
                [file("a.csv", "text/csv", octets)]
            );
        }
    }

    #[test]
    fn where_all_is_taken_an_empty_text_is_left() {
        let message = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\
             Content-Disposition: attachment; filename=a\r\n\r\nx\r\n--b--\r\n";
        assert_eq!(
            String::from_utf8(apart(message).rest).unwrap(),
            "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n\r\n--b--\r\n"
        );
    }

    #[test]
    fn what_is_more_than_a_file_stays_and_is_named() {
        for (message, what, why) in [
            (
                "Subject: x\r\n\r\ntext".to_owned(),
                "text/plain",
                "is the text",
            ),
            (
                MIXED.replace("mixed", "signed"),
                "multipart/signed",
                "must stay in one piece",
            ),
            (
                MIXED.replace("--b--", "--b-"),
                "multipart/mixed",
                "must stay in one piece",
            ),
        ] {
            let found = apart(&message);
            assert_eq!(found.rest, message.as_bytes());
            assert_eq!(found.attachments, []);
            let largest = found.largest.unwrap();
            assert_eq!((&largest.what[..], &largest.why[..]), (what, why));
        }
        let attachment = "Content-Disposition: attachment; filename=a";
        for (head, why) in [
            (
                "Content-Disposition: inline; filename=a",
                "does not say that it is an attachment",
            ),
            ("Content-Disposition: attachment", "has no name"),
            (
                &format!("{attachment}\r\nContent-Type: message/rfc822"),
                "is a message",
            ),
            (
                &format!("{attachment}\r\nContent-Type: text/calendar; method=REQUEST"),
                "has a type with the parameter `method`",
            ),
            (
                &format!("{attachment}\r\nContent-Type: text/csv; charset=utf-16"),
                "has a type with the parameter `charset`",
            ),
            (
                &format!("{attachment}\r\nContent-Language: de"),
                "has a `Content-Language`",
            ),
            (
                &format!("{attachment}\r\nContent-Transfer-Encoding: x-uuencode"),
                "is in an encoding that cannot be read",
            ),
            (
                &format!("{attachment}\r\nContent-Transfer-Encoding: base64"),
                "is in an encoding that cannot be read",
            ),
        ] {
            let message = format!(
                "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n--b\r\n\
                 {head}\r\n\r\nnot base64!\r\n--b--\r\n"
            );
            let found = apart(&message);
            assert_eq!(found.rest, message.as_bytes());
            assert_eq!(found.largest.unwrap().why, why, "{message}");
        }
        let large = MIXED.replace("UE5H", &"UE5H".repeat(400));
        let found = apart(&large);
        assert_eq!(found.attachments.len(), 2);
        assert_eq!(
            found.largest.unwrap().why,
            "is an inline image and has 1200 bytes"
        );
    }

    proptest! {
        #[test]
        fn nothing_panics_and_nothing_is_lost(octets in "(--b|--c|--|\r\n|\r\n\r\n|Content-Type: multipart/(mixed|related|alternative); boundary=[bc]|Content-Disposition: attachment; filename=x|Content-ID: <x>|Content-Transfer-Encoding: (base64|quoted-printable)|QQ==|=|:|é){0,30}") {
            let found = take_apart(octets.as_bytes(), 3);
            if found.attachments.is_empty() {
                prop_assert_eq!(found.rest, octets.as_bytes());
            }
        }
    }
}

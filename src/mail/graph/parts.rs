//! Attachments taken off a message, for what Graph does not take in one request.
//!
//! Only what comes back the same is taken: parts of a `multipart/mixed` itself, in base64, that
//! say they are attachments and have a name. A signed or encrypted message is of another type
//! and stays whole.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mail_parser::{MessageParser, MimeHeaders};
use std::ops::Range;

#[derive(Debug, PartialEq, Eq)]
pub struct Attachment {
    pub name: String,
    pub content_type: String,
    pub octets: Vec<u8>,
}

/// A message without attachments, and these. `None` where there are none to take.
pub fn take_apart(message: &[u8]) -> Option<(Vec<u8>, Vec<Attachment>)> {
    let head = crate::mail::message::header_end(message);
    // The head alone is parsed: a body of any size costs nothing.
    let top = MessageParser::default().parse_headers(&message[..head])?;
    let kind = top.content_type()?;
    let is = |own: &str, name: &str| own.eq_ignore_ascii_case(name);
    if !is(kind.ctype(), "multipart") || !is(kind.subtype().unwrap_or_default(), "mixed") {
        return None;
    }
    let boundary = kind.attribute("boundary")?;
    let delimiters = delimiters(message, head, boundary);
    let mut rest = message[..delimiters.first()?.start].to_vec();
    let mut attachments = Vec::new();
    let mut left = 0;
    for pair in delimiters.windows(2) {
        // The line end before a delimiter belongs to it (RFC 2046 §5.1.1).
        let part = message.get(pair[0].end..pair[1].start)?;
        match attachment(part) {
            Some(attachment) => attachments.push(attachment),
            None => {
                left += 1;
                rest.extend_from_slice(&message[pair[0].start..pair[1].start]);
            }
        }
    }
    if attachments.is_empty() {
        return None;
    }
    if left == 0 {
        rest.extend_from_slice(format!("--{boundary}\r\n\r\n\r\n").as_bytes());
    }
    rest.extend_from_slice(&message[delimiters.last()?.start..]);
    Some((rest, attachments))
}

/// Where the delimiter lines of a multipart are, the closing one last.
fn delimiters(message: &[u8], from: usize, boundary: &str) -> Vec<Range<usize>> {
    let mark = format!("--{boundary}");
    let mut found = Vec::new();
    let mut start = from;
    for line in message[from..].split_inclusive(|&b| b == b'\n') {
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
    // Without an end it is not ours to take apart.
    Vec::new()
}

fn attachment(part: &[u8]) -> Option<Attachment> {
    let head = crate::mail::message::header_end(part);
    let fields = MessageParser::default().parse_headers(&part[..head])?;
    let disposition = fields.content_disposition()?;
    let encoding = fields.content_transfer_encoding()?;
    if !disposition.is_attachment()
        || !encoding.trim().eq_ignore_ascii_case("base64")
        || fields.content_id().is_some()
    {
        return None;
    }
    let name = fields.attachment_name()?.to_owned();
    let kind = fields.content_type();
    if kind.is_some_and(|k| matches!(k.ctype(), "multipart" | "message")) {
        return None;
    }
    let content_type = kind.map_or("application/octet-stream".to_owned(), |kind| {
        format!(
            "{}/{}",
            kind.ctype(),
            kind.subtype().unwrap_or("octet-stream")
        )
    });
    let body: Vec<u8> = part[head..]
        .iter()
        .copied()
        .filter(|b| !b.is_ascii_whitespace())
        .collect();
    Some(Attachment {
        name,
        content_type,
        octets: STANDARD.decode(body).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MIXED: &str = "Subject: x\r\nContent-Type: multipart/mixed; boundary=\"b\"\r\n\r\npreamble\r\n\
        --b\r\nContent-Type: multipart/alternative; boundary=b2\r\n\r\n--b2\r\n\r\ntext\r\n--b2--\r\n\
        --b\r\nContent-Type: application/pdf; name=a.pdf\r\nContent-Disposition: attachment;\r\n filename*=utf-8''%C3%A4.pdf\r\nContent-Transfer-Encoding: BASE64\r\n\r\naGVs\r\nbG8=\r\n\
        --b \r\nContent-Disposition: attachment; filename=b.txt\r\n\r\nplain\r\n--b--\r\nepilogue";

    #[test]
    fn what_comes_back_the_same_is_taken_and_the_rest_stays() {
        let (rest, attachments) = take_apart(MIXED.as_bytes()).unwrap();
        assert_eq!(
            attachments,
            [Attachment {
                name: "\u{e4}.pdf".into(),
                content_type: "application/pdf".into(),
                octets: b"hello".into(),
            }]
        );
        let (start, end) = (
            MIXED.find("--b\r\nContent-Type: app"),
            MIXED.find("--b \r\n"),
        );
        let expected = [&MIXED[..start.unwrap()], &MIXED[end.unwrap()..]].concat();
        assert_eq!(String::from_utf8(rest).unwrap(), expected);
    }

    #[test]
    fn other_messages_stay_whole() {
        for message in [
            "Subject: x\r\n\r\ntext".to_owned(),
            MIXED.replace("mixed", "signed"),
            MIXED.replace("--b--", "--b-"),
            MIXED.replace("BASE64", "quoted-printable"),
            MIXED.replace("aGVs", "a*Vs"),
        ] {
            assert_eq!(take_apart(message.as_bytes()), None, "{message}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(octets in "(--b|--|\r\n|Content-Type: multipart/mixed; boundary=b|Content-Disposition: attachment; filename=x|Content-Transfer-Encoding: base64|QQ==|:|é){0,20}") {
            let _ = take_apart(octets.as_bytes());
        }
    }
}

//! Which mail this is, told from its head as it passes by.
//!
//! The server's ids do not survive a changed UIDVALIDITY or a change from IMAP to Graph, and
//! Exchange's octets differ between two fetches of the same item. What stays is what its author
//! wrote in the header: Message-ID, Date, From, To and Subject. Where there is no Message-ID, the
//! text is looked at, too.

use super::fields::Fields;
use super::machine::{self, Machine};
use crate::digest::Sha256;
use crate::mail::authored;

/// The head is searched for its end up to this many octets.
const HEAD_LIMIT: usize = 256 << 10;

/// What a message is recognised by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    pub fingerprint: [u8; 16],
    /// With its angle brackets, as the message has it.
    pub message_id: Option<String>,
    /// The server's own text in place of a message that it could not convert.
    pub placeholder: bool,
    /// Whether a person or a machine wrote it.
    pub machine: Machine,
    /// The Message-ID that a bounce is about.
    pub original_message_id: Option<String>,
}

/// A bounce's text is searched for the message that it is about up to this many octets.
const REPORT_LIMIT: usize = 128 << 10;

/// Takes the octets of a message as they pass.
#[derive(Default)]
pub struct HeadReader {
    head: Vec<u8>,
    /// How far the head was searched for its end.
    searched: usize,
    state: Progress,
    /// The beginning of a bounce's text.
    report: Vec<u8>,
}

#[derive(Default)]
enum Progress {
    #[default]
    Head,
    /// The head says which mail it is.
    Known(Identity),
    /// There is no Message-ID: the text is digested to the end.
    Digesting(Identity, Box<Text>),
}

/// Longer lines are taken as several of this many octets.
const LINE: usize = 4096;

/// The lines of a text, without what separates parts: a server makes boundaries up anew.
struct Text {
    digest: Sha256,
    line: Vec<u8>,
}

impl Text {
    fn take(&mut self, mut octets: &[u8]) {
        while !octets.is_empty() {
            let room = &octets[..octets.len().min(LINE - self.line.len())];
            let end = room.iter().position(|&b| b == b'\n');
            let (piece, rest) = octets.split_at(end.map_or(room.len(), |end| end + 1));
            self.line.extend_from_slice(piece);
            if end.is_some() || self.line.len() == LINE {
                self.end_line();
            }
            octets = rest;
        }
    }

    fn end_line(&mut self) {
        let line = self.line.trim_ascii();
        let separates = line.starts_with(b"--") || line.windows(9).any(|w| w == b"boundary=");
        if !line.is_empty() && !separates {
            self.digest.update(line);
            self.digest.update(b"\n");
        }
        self.line.clear();
    }

    fn finish(mut self) -> [u8; 16] {
        self.end_line();
        shortened(self.digest)
    }
}

impl HeadReader {
    pub fn take(&mut self, octets: &[u8]) {
        match &mut self.state {
            Progress::Known(identity) => keep_report(&mut self.report, identity, octets),
            Progress::Digesting(identity, text) => {
                text.take(octets);
                keep_report(&mut self.report, identity, octets);
            }
            Progress::Head => {
                self.head.extend_from_slice(octets);
                if let Some(end) = self.end_of_head() {
                    self.decide(end);
                }
            }
        }
    }

    pub fn finish(mut self) -> Identity {
        if matches!(self.state, Progress::Head) {
            self.decide(self.head.len());
        }
        let mut identity = match self.state {
            Progress::Known(identity) => identity,
            Progress::Digesting(identity, text) => Identity {
                fingerprint: text.finish(),
                ..identity
            },
            Progress::Head => Identity::default(),
        };
        if identity.machine == Machine::Bounce {
            identity.original_message_id = machine::original_message_id(&self.report);
        }
        identity
    }

    /// The length of the head, once its end was seen or given up on.
    fn end_of_head(&mut self) -> Option<usize> {
        let from = self.searched.saturating_sub(3);
        let tail = &self.head[from..];
        let end = tail
            .windows(2)
            .position(|w| w == b"\n\n")
            .map(|p| p + 1)
            .into_iter()
            .chain(
                tail.windows(4)
                    .position(|w| w == b"\r\n\r\n")
                    .map(|p| p + 2),
            )
            .min();
        self.searched = self.head.len();
        end.map(|p| from + p)
            .or((self.head.len() >= HEAD_LIMIT).then_some(self.head.len()))
    }

    fn decide(&mut self, end: usize) {
        let fields = Fields::of(&self.head[..end]);
        let mut identity = Identity {
            message_id: fields.get("message-id"),
            placeholder: is_placeholder(&fields),
            machine: Machine::of(&fields),
            ..Identity::default()
        };
        let mut digest = Sha256::new();
        keep_report(&mut self.report, &identity, &self.head[end..]);
        let id = identity.message_id.clone().unwrap_or_default();
        for part in authored(&self.head[..end]).iter().chain([&id]) {
            digest.update(part.as_bytes());
            digest.update(b"\0");
        }
        self.state = if identity.message_id.is_some() {
            identity.fingerprint = shortened(digest);
            Progress::Known(identity)
        } else {
            let line = Vec::new();
            let mut text = Text { digest, line };
            text.take(&self.head[end..]);
            Progress::Digesting(identity, Box::new(text))
        };
        self.head = Vec::new();
    }
}

/// Keeps the beginning of a bounce's text.
fn keep_report(report: &mut Vec<u8>, identity: &Identity, octets: &[u8]) {
    if identity.machine == Machine::Bounce {
        let room = REPORT_LIMIT.saturating_sub(report.len());
        report.extend_from_slice(&octets[..octets.len().min(room)]);
    }
}

/// Exchange answers a fetch of an item that it cannot convert with a message of its own, whose
/// subject says so and which comes from itself. A customer's mail *about* such an error has
/// another sender.
fn is_placeholder(fields: &Fields<'_>) -> bool {
    fields.get("subject").is_some_and(|s| {
        s.starts_with("Retrieval using the IMAP4 protocol failed for the following message")
    }) && fields
        .get("from")
        .is_some_and(|f| f.contains("Microsoft Exchange"))
}

fn shortened(digest: Sha256) -> [u8; 16] {
    let mut short = [0; 16];
    short.copy_from_slice(&digest.finish()[..16]);
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn identity(message: &[u8], piece: usize) -> Identity {
        let mut reader = HeadReader::default();
        for octets in message.chunks(piece.max(1)) {
            reader.take(octets);
        }
        reader.finish()
    }

    #[test]
    fn the_author_s_fields_tell_it_and_the_rest_does_not() {
        let one = identity(b"Message-ID: <1@a>\r\nSubject: x\r\n\r\nbody", 7);
        let refetched = identity(
            b"Received: again\r\nSubject: x\r\nMessage-ID:\r\n <1@a>\r\n\r\nother body",
            1000,
        );
        let other = identity(b"Message-ID: <2@a>\r\nSubject: x\r\n\r\nbody", 7);
        assert_eq!(one.message_id.as_deref(), Some("<1@a>"));
        assert_eq!(one.fingerprint, refetched.fingerprint);
        assert_ne!(one.fingerprint, other.fingerprint);
    }

    #[test]
    fn without_a_message_id_the_text_tells_it() {
        let one = identity(b"Subject: x\r\n\r\nbody", 3);
        assert_eq!(one.message_id, None);
        assert_eq!(
            one.fingerprint,
            identity(b"Subject: x\r\n\r\nbody", 50).fingerprint
        );
        assert_ne!(
            one.fingerprint,
            identity(b"Subject: x\r\n\r\nbodY", 50).fingerprint
        );
        assert_ne!(identity(b"", 1).fingerprint, one.fingerprint);
        let long = [b"Subject: x\n\n", &[b'a'; 3 * LINE][..]].concat();
        let longer = [&long[..], b"b"].concat();
        assert_eq!(
            identity(&long, 7).fingerprint,
            identity(&long, LINE).fingerprint
        );
        assert_ne!(
            identity(&long, 7).fingerprint,
            identity(&longer, 7).fingerprint
        );
        let parts = |boundary: &str| {
            identity(
                format!(
                    "Subject: x\r\nContent-Type: multipart/mixed;\r\n boundary={boundary}\r\n\r\n\
                     --{boundary}\r\n\r\ntext\r\n--{boundary}--\r\n"
                )
                .as_bytes(),
                9,
            )
        };
        assert_eq!(parts("a").fingerprint, parts("other").fingerprint);
    }

    #[test]
    fn exchange_s_placeholder_is_not_a_message() {
        let subject =
            "Subject: Retrieval using the IMAP4 protocol failed for the following message: 7\r\n";
        let placeholder =
            format!("From: Microsoft Exchange Server\r\n{subject}\r\nThe server couldn't");
        let about_it = format!("From: a customer <c@example.com>\r\n{subject}\r\nI saw this");
        assert!(identity(placeholder.as_bytes(), 10).placeholder);
        assert!(!identity(about_it.as_bytes(), 10).placeholder);
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(message in "(Message-ID: <x>|a: b|\r\n|\n|:| |--|é){0,30}", piece in 1usize..40) {
            prop_assert_eq!(identity(message.as_bytes(), piece), identity(message.as_bytes(), 10_000));
        }
    }
}

//! Which mail this is, told from its head as it passes by.
//!
//! The server's ids do not survive a changed UIDVALIDITY or a change from IMAP to Graph, and
//! Exchange's octets differ between two fetches of the same item. What stays is what its author
//! wrote in the header: Message-ID, Date, From, To and Subject. Where there is no Message-ID, the
//! text is looked at, too.

use super::machine::{self, Machine};
use crate::digest::Sha256;
use crate::mail::header::Fields;
use crate::mail::{self, RemoteId, Summary};
use memchr::memchr;

/// The head is searched for its end up to this many octets.
const HEAD_LIMIT: usize = 256 << 10;

/// What a message is recognised by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    pub fingerprint: [u8; 16],
    /// With its angle brackets, as the message has it.
    pub message_id: Option<String>,
    placeholder: Placeholder,
    /// Whether a person or a machine wrote it.
    pub machine: Machine,
    /// The Message-ID that a bounce, or another report of a delivery, is about.
    pub original_message_id: Option<String>,
    /// What its header says for people and programs.
    pub summary: Summary,
}

/// Whether the octets are the server's own, instead of a message that it could not convert.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Placeholder {
    #[default]
    No,
    Yes,
    /// If one of these numbers of its subject is the UID that was asked for.
    Numbered(Vec<u32>),
}

impl Identity {
    /// Whether this is what Exchange gives by IMAP for an item that it cannot convert. By Graph it
    /// gives an error.
    pub fn is_placeholder(&self, id: &RemoteId) -> bool {
        match (&self.placeholder, id.as_number()) {
            (Placeholder::Yes, Some(_)) => true,
            (Placeholder::Numbered(numbers), Some(uid)) => numbers.contains(&uid),
            _ => false,
        }
    }
}

/// What a message that is not retrieved is recognised by: its Message-ID, without angle brackets;
/// where it has none, the time at which it was received (Unix seconds) and its subject, of which a
/// server may keep no more than the beginning.
pub fn of_skipped(message_id: &str, received: Option<i64>, subject: &str) -> [u8; 16] {
    let mut digest = Sha256::new();
    match message_id {
        "" => {
            digest.update(b"received\0");
            digest.update(received.unwrap_or_default().to_string().as_bytes());
            let beginning: String = subject.chars().take(100).collect();
            digest.update(b"\0");
            digest.update(beginning.as_bytes());
        }
        id => {
            digest.update(b"message-id\0");
            digest.update(id.as_bytes());
        }
    }
    shortened(digest)
}

/// A placeholder is short: its head and its text are looked at up to this many octets.
const PLACEHOLDER_LIMIT: usize = 8 << 10;

/// A bounce's text is searched for the message that it is about up to this many octets.
const REPORT_LIMIT: usize = 128 << 10;

/// Takes the octets of a message as they pass.
#[derive(Default)]
pub struct HeadReader {
    /// The beginning of a head that comes in several pieces.
    head: Vec<u8>,
    /// How far the head was searched for its end.
    searched: usize,
    state: Progress,
    /// The beginning of a bounce's text.
    report: Vec<u8>,
    /// The beginning of what may be a placeholder, its head included.
    opening: Option<Vec<u8>>,
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

/// The lines of a text, without what separates parts: a server makes boundaries up again.
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
        if let Some(opening) = &mut self.opening {
            let room = PLACEHOLDER_LIMIT.saturating_sub(opening.len());
            opening.extend_from_slice(&octets[..octets.len().min(room)]);
        }
        match &mut self.state {
            Progress::Known(identity) => keep_report(&mut self.report, identity, octets),
            Progress::Digesting(identity, text) => {
                text.take(octets);
                keep_report(&mut self.report, identity, octets);
            }
            Progress::Head => {
                // Most heads come in one piece, and need not be kept.
                if self.head.is_empty() {
                    if let Some(end) = end_of_head(octets, 0) {
                        return self.decide(octets, end);
                    }
                    self.head.extend_from_slice(octets);
                } else {
                    self.head.extend_from_slice(octets);
                    if let Some(end) = end_of_head(&self.head, self.searched) {
                        let head = std::mem::take(&mut self.head);
                        return self.decide(&head, end);
                    }
                }
                self.searched = self.head.len();
            }
        }
    }

    pub fn finish(mut self) -> Identity {
        if matches!(self.state, Progress::Head) {
            let head = std::mem::take(&mut self.head);
            self.decide(&head, head.len());
        }
        let mut identity = match self.state {
            Progress::Known(identity) => identity,
            Progress::Digesting(identity, text) => Identity {
                fingerprint: text.finish(),
                ..identity
            },
            Progress::Head => Identity::default(),
        };
        if self.opening.is_some_and(|opening| tells_failure(&opening)) {
            identity.placeholder = Placeholder::Yes;
        }
        if identity.machine == Machine::Bounce {
            identity.original_message_id = machine::original_message_id(&self.report);
            if !machine::tells_failure(&self.report) {
                identity.machine = Machine::AutoGenerated;
            }
        }
        identity
    }

    /// Decides which mail it is by a head of which `opening` are the octets up to `end`.
    fn decide(&mut self, opening: &[u8], end: usize) {
        let (head, text) = opening.split_at(end);
        let fields = Fields::of(head);
        let (authored, summary) = mail::read_head(&fields);
        let mut identity = Identity {
            message_id: fields.get("message-id"),
            machine: Machine::of(&fields),
            placeholder: placeholder(&fields, &authored[3]),
            summary,
            ..Identity::default()
        };
        keep_report(&mut self.report, &identity, text);
        if was_never_sent(&fields) && identity.placeholder != Placeholder::Yes {
            let kept = opening.len().min(PLACEHOLDER_LIMIT);
            self.opening = Some(opening[..kept].to_vec());
        }
        let mut digest = Sha256::new();
        let id = identity.message_id.as_deref().unwrap_or_default();
        for part in authored.iter().map(String::as_str).chain([id]) {
            digest.update(part.as_bytes());
            digest.update(b"\0");
        }
        self.state = if identity.message_id.is_some() {
            identity.fingerprint = shortened(digest);
            Progress::Known(identity)
        } else {
            let line = Vec::new();
            let mut lines = Text { digest, line };
            lines.take(text);
            Progress::Digesting(identity, Box::new(lines))
        };
    }
}

/// The length of the head that these octets begin with, once its end is among them or it is given up
/// on; they were searched up to `searched` before.
fn end_of_head(octets: &[u8], searched: usize) -> Option<usize> {
    let mut line = searched.saturating_sub(3);
    while let Some(n) = memchr(b'\n', &octets[line..]) {
        line += n + 1;
        let (before, after) = octets.split_at(line);
        if after.starts_with(b"\n") || before.ends_with(b"\r\n") && after.starts_with(b"\r\n") {
            return Some(line);
        }
    }
    (octets.len() >= HEAD_LIMIT).then_some(octets.len())
}

/// Keeps the beginning of a bounce's text.
fn keep_report(report: &mut Vec<u8>, identity: &Identity, octets: &[u8]) {
    if identity.machine == Machine::Bounce {
        let room = REPORT_LIMIT.saturating_sub(report.len());
        report.extend_from_slice(&octets[..octets.len().min(room)]);
    }
}

/// Exchange answers a fetch of an item that it cannot convert with a message of its own, and says so
/// in the subject, in the mailbox's language. The sender's name differs between versions, and may be
/// missing; ENVELOPE is the placeholder's own, too. What is the same in every language: it was never
/// sent, and its subject names the protocol and the UID. A person's mail about such a failure, with
/// the same words in it, was sent.
fn placeholder(fields: &Fields<'_>, subject: &str) -> Placeholder {
    let in_english =
        subject.starts_with("Retrieval using the IMAP4 protocol failed for the following message");
    let from_exchange = || {
        let from = fields.get("from").unwrap_or_default();
        from.contains("Microsoft Exchange")
    };
    if in_english && (was_never_sent(fields) || from_exchange()) {
        return Placeholder::Yes;
    }
    if !was_never_sent(fields) || !subject.contains("IMAP4") {
        return Placeholder::No;
    }
    let numbers = subject.split(|c: char| !c.is_ascii_alphanumeric());
    Placeholder::Numbered(numbers.filter_map(|number| number.parse().ok()).collect())
}

/// Whoever sends a message gives it an id, and whoever takes it on its way puts a Received before it
/// (RFC 5321 §4.4).
fn was_never_sent(fields: &Fields<'_>) -> bool {
    fields.get("message-id").is_none() && fields.get("received").is_none()
}

/// Whether the text of what was never sent begins as Exchange's placeholder does in English.
fn tells_failure(opening: &[u8]) -> bool {
    let line = mail::first_line(opening)
        .to_lowercase()
        .replace('\u{2019}', "'");
    ["couldn't", "could not"]
        .iter()
        .any(|not| line.starts_with(&format!("the server {not} retrieve the following message")))
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
            "Subject: Retrieval using the IMAP4 protocol failed for the following message: 7";
        let german = "Subject: =?utf-8?Q?Fehler_beim_Abrufen_der_folgenden_Nachricht_=C3=BCber?=\r\n =?utf-8?Q?_das_IMAP4-Protokoll:_7?=";
        let text = "The server couldn't retrieve the following message:\r\n\r\nSubject: \"x\"";
        let html = "Content-Type: text/html\r\n\r\n<p>The server couldn\u{2019}t retrieve the following message:</p>";
        let sent = "Received: from a by b\r\nMessage-ID: <1@a>\r\n";
        let id = "Message-ID: <1@a>\r\n";
        for (is, message) in [
            (
                true,
                format!("From: Microsoft Exchange Server 2010\r\n{subject}\r\n\r\n{text}"),
            ),
            (
                true,
                format!("From: \"Microsoft Exchange Server\" <m@x>\r\n{id}{subject}\r\n\r\n{text}"),
            ),
            (
                true,
                format!("From: Serveur de messagerie\r\n{subject}\r\n\r\nautre"),
            ),
            (true, format!("{subject}\r\n\r\n")),
            (true, format!("From: x\r\nSubject: autre\r\n\r\n{text}")),
            (true, format!("From: x\r\nSubject: autre\r\n{html}")),
            (
                true,
                format!("From: x\r\n{german}\r\n\r\nDer Server konnte"),
            ),
            (true, format!("{german}\r\n\r\n")),
            // Sent by a person, with the same words.
            (
                false,
                format!("From: c@example.com\r\n{sent}{subject}\r\n\r\n{text}"),
            ),
            (
                false,
                format!("From: c@example.com\r\n{id}{subject}\r\n\r\n{text}"),
            ),
            (
                false,
                format!("From: c@example.com\r\n{id}{german}\r\n\r\nDer Server konnte"),
            ),
            (
                false,
                format!("From: c@example.com\r\n{sent}Subject: Fwd: x\r\n\r\n{text}"),
            ),
            // Nobody sent these, and they are none.
            (
                false,
                format!("From: x\r\nSubject: draft\r\n\r\nI saw this: {text}"),
            ),
            (
                false,
                format!("From: x\r\nSubject: draft 7\r\n\r\n> {text}"),
            ),
            (
                false,
                "Subject: IMAP4 and POP3, 17 of 70\r\n\r\nx".to_owned(),
            ),
        ] {
            for piece in [1, 10, 10_000] {
                let identity = identity(message.as_bytes(), piece);
                assert_eq!(identity.is_placeholder(&RemoteId::from(7)), is, "{message}");
                // By Graph there is none.
                assert!(!identity.is_placeholder(&RemoteId::from("7".to_owned())));
            }
        }
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(message in "(Message-ID: <x>|a: b|\r\n|\n|:| |--|é){0,30}", piece in 1usize..40) {
            prop_assert_eq!(identity(message.as_bytes(), piece), identity(message.as_bytes(), 10_000));
        }
    }
}

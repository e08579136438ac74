//! A message written from its parts: `--to`, `--subject`, `--text` and so on.
//!
//! lettre makes the MIME of it; what a part could smuggle into the header is refused.

use super::input;
use crate::fault::Fault;
use crate::mail::addresses;
use anyhow::Result;
use lettre::message::header::{Cc, ContentType, HeaderName, HeaderValue, ReplyTo, To};
use lettre::message::{Attachment, Mailboxes, Message, MessageBuilder, MultiPart, SinglePart};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Fields that the parts or the program itself write.
const OURS: &[&str] = &[
    "from",
    "sender",
    "to",
    "cc",
    "bcc",
    "subject",
    "reply-to",
    "in-reply-to",
    "references",
    "mime-version",
    "date",
    "message-id",
    "auto-submitted",
];

/// How often `--header` may be given: lettre looks at all fields for each that is added.
const MOST_HEADERS: usize = 1000;

/// A composed message and everybody who gets it; Bcc is in the envelope alone.
pub struct Composed {
    pub octets: Vec<u8>,
    pub recipients: Vec<String>,
}

/// The parts of a message that is to be written.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// The sender's full name.
    pub full_name: Option<&'a str>,
    /// Each a list of addresses, a comma between two.
    pub to: &'a [String],
    pub cc: &'a [String],
    pub bcc: &'a [String],
    pub reply_to: &'a [String],
    pub subject: Option<&'a str>,
    /// A Message-ID.
    pub in_reply_to: Option<&'a str>,
    /// A file, or `-` for standard input.
    pub text: Option<&'a Path>,
    pub html: Option<&'a Path>,
    pub attachments: &'a [PathBuf],
    /// Each `Name: value`.
    pub headers: &'a [String],
}

impl Parts<'_> {
    /// True if nothing is there to write; a full name alone is nothing.
    pub fn is_empty(&self) -> bool {
        let lists = [self.to, self.cc, self.bcc, self.reply_to, self.headers];
        lists.iter().all(|list| list.is_empty())
            && self.attachments.is_empty()
            && [self.text, self.html].iter().all(Option::is_none)
            && [self.subject, self.in_reply_to].iter().all(Option::is_none)
    }
}

/// Writes the message that `sender` sends.
pub fn compose(parts: &Parts<'_>, sender: &str) -> Result<Composed> {
    let builder = Message::builder().from(lettre::message::Mailbox::new(
        plain(parts.full_name, "-F")?,
        sender.parse().map_err(|e| {
            Fault::usage(format!(
                "`{}` is not an e-mail address: {e}",
                sender.escape_debug()
            ))
        })?,
    ));
    let (mut builder, recipients) = addressed(builder, parts)?;
    if recipients.is_empty() {
        return Err(Fault::usage("the message has no recipient: use --to, --cc or --bcc").into());
    }
    if let Some(subject) = plain(parts.subject, "--subject")? {
        builder = builder.subject(subject);
    }
    if let Some(id) = parts.in_reply_to {
        let id = message_id(id)?;
        builder = builder.in_reply_to(id.clone()).references(id);
    }
    builder = with_headers(builder, parts.headers)?;
    // The header alone would leave out Bcc, and a message to nobody else is none to lettre.
    let addresses = recipients.iter().filter_map(|r| r.parse().ok()).collect();
    let envelope = lettre::address::Envelope::new(None, addresses)
        .map_err(|e| Fault::usage(format!("cannot write the message: {e}")))?;
    let message = body(parts)?
        .attach(parts)?
        .build(builder.envelope(envelope))?;
    Ok(Composed {
        octets: message.formatted(),
        recipients,
    })
}

/// Writes to whom the message goes and whom an answer goes to; gives the recipients.
fn addressed(
    mut builder: MessageBuilder,
    parts: &Parts<'_>,
) -> Result<(MessageBuilder, Vec<String>)> {
    let mut recipients = Vec::new();
    for (option, lists) in [
        ("--to", parts.to),
        ("--cc", parts.cc),
        ("--bcc", parts.bcc),
        ("--reply-to", parts.reply_to),
    ] {
        let mut all = Vec::new();
        for list in lists {
            all.extend(mailboxes(option, list)?);
        }
        if option != "--reply-to" {
            recipients.extend(all.iter().map(|m| m.email.to_string()));
        }
        if all.is_empty() {
            continue;
        }
        // At once: the builder reads the field again for each that is added.
        let all = Mailboxes::from_iter(all);
        builder = match option {
            "--to" => builder.mailbox(To::from(all)),
            "--cc" => builder.mailbox(Cc::from(all)),
            "--reply-to" => builder.mailbox(ReplyTo::from(all)),
            _ => builder,
        };
    }
    Ok((builder, recipients))
}

/// Writes header fields as they were given.
fn with_headers(mut builder: MessageBuilder, headers: &[String]) -> Result<MessageBuilder> {
    if headers.len() > MOST_HEADERS {
        return Err(Fault::usage(format!(
            "--header is used {} times, and the limit is {MOST_HEADERS}",
            headers.len()
        ))
        .into());
    }
    let mut seen = HashSet::new();
    for header in headers {
        let (name, value) = field(header)?;
        if !seen.insert(name.to_string().to_ascii_lowercase()) {
            return Err(Fault::usage(format!("--header contains the field `{name}` twice")).into());
        }
        builder = builder.raw_header(HeaderValue::new(name, value));
    }
    Ok(builder)
}

/// How a message is marked that a program sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auto {
    /// As an answer.
    Replied,
    Generated,
}

/// RFC 3834 §5, and Exchange's own field, which keeps out-of-office answers from answering.
pub fn auto_fields(auto: Auto) -> [(&'static str, &'static str); 2] {
    let word = match auto {
        Auto::Replied => "auto-replied",
        Auto::Generated => "auto-generated",
    };
    [
        ("Auto-Submitted", word),
        ("X-Auto-Response-Suppress", "All"),
    ]
}

/// A value for one header field: no control characters, by which another could begin.
fn plain(value: Option<&str>, option: &str) -> Result<Option<String>> {
    match value {
        Some(text) if text.contains(char::is_control) => Err(Fault::usage(format!(
            "the value of {option} contains a control character: `{}`",
            text.escape_debug()
        ))
        .into()),
        other => Ok(other.map(str::to_owned)),
    }
}

fn mailboxes(option: &str, list: &str) -> Result<Mailboxes> {
    let wrong = |why: String| {
        Fault::usage(format!(
            "cannot read {option} `{}`: {why}",
            list.escape_debug()
        ))
    };
    plain(Some(list), option)?;
    let found: Mailboxes = list.parse().map_err(|e| wrong(format!("{e}")))?;
    // The program's own reader is the stricter one.
    let own = addresses::parse(list).map_err(wrong)?;
    if found.iter().count() == 0 || found.iter().count() != own.len() {
        return Err(wrong(
            "write addresses like `Anna <anna@example.com>`, separated by commas".into(),
        )
        .into());
    }
    for mailbox in found.iter() {
        if !addresses::is_mailbox(mailbox.email.as_ref()) {
            return Err(wrong(format!("`{}` is not a full e-mail address", mailbox.email)).into());
        }
    }
    Ok(found)
}

/// A Message-ID in angle brackets, which it gets where they are left out.
fn message_id(text: &str) -> Result<String> {
    let inner = text.trim().trim_start_matches('<').trim_end_matches('>');
    let visible = inner
        .bytes()
        .all(|b| b.is_ascii_graphic() && !matches!(b, b'<' | b'>'));
    if !visible || !inner.contains('@') {
        return Err(Fault::usage(format!(
            "`{}` is not a Message-ID: write it like <id@example.com>",
            text.escape_debug()
        ))
        .into());
    }
    Ok(format!("<{inner}>"))
}

/// `Name: value`, of a field that nobody else writes.
fn field(header: &str) -> Result<(HeaderName, String)> {
    let wrong = |why: &str| {
        Fault::usage(format!("--header `{}` {why}", header.escape_debug()))
            .hint("write it like --header 'X-Ticket: 4711'")
    };
    let (name, value) = header
        .split_once(':')
        .ok_or_else(|| wrong("has no colon"))?;
    plain(Some(value), "--header")?;
    let visible = !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic());
    if !visible {
        return Err(wrong("does not begin with the name of a field").into());
    }
    let lower = name.to_ascii_lowercase();
    if OURS.contains(&lower.as_str())
        || lower.starts_with("content-")
        || lower.starts_with("resent-")
    {
        return Err(
            wrong("names a field that has its own option, or that queuemail writes").into(),
        );
    }
    let name = HeaderName::new_from_ascii(name.to_owned())
        .map_err(|_| wrong("does not begin with the name of a field"))?;
    Ok((name, value.trim().to_owned()))
}

/// The content as it grows.
enum Body {
    Single(SinglePart),
    Multi(MultiPart),
}

fn body(parts: &Parts<'_>) -> Result<Body> {
    let named = [parts.text, parts.html].into_iter().flatten();
    let named = named.chain(parts.attachments.iter().map(PathBuf::as_path));
    if named.filter(|path| input::is_stdin(path)).count() > 1 {
        return Err(
            Fault::usage("standard input can be only one of --text, --html and --attach").into(),
        );
    }
    let read = |path: &Path, option: &str| -> Result<String> {
        String::from_utf8(input::read_text(path)?).map_err(|_| {
            Fault::malformed(format!(
                "the text of {option} `{}` is not UTF-8",
                path.display()
            ))
            .into()
        })
    };
    Ok(match (parts.text, parts.html) {
        (Some(text), Some(html)) => Body::Multi(MultiPart::alternative_plain_html(
            read(text, "--text")?,
            read(html, "--html")?,
        )),
        (Some(text), None) => Body::Single(SinglePart::plain(read(text, "--text")?)),
        (None, Some(html)) => Body::Single(SinglePart::html(read(html, "--html")?)),
        (None, None) => Body::Single(SinglePart::plain(String::new())),
    })
}

impl Body {
    fn attach(self, parts: &Parts<'_>) -> Result<Body> {
        if parts.attachments.is_empty() {
            return Ok(self);
        }
        let mut mixed = match self {
            Body::Single(part) => MultiPart::mixed().singlepart(part),
            Body::Multi(part) => MultiPart::mixed().multipart(part),
        };
        for path in parts.attachments {
            let octets = input::read_text(path)?;
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let name: String = name.chars().filter(|c| !c.is_control()).collect();
            let kind = content_type(path)?;
            mixed = mixed.singlepart(Attachment::new(name).body(octets, kind));
        }
        Ok(Body::Multi(mixed))
    }

    fn build(self, builder: lettre::message::MessageBuilder) -> Result<Message> {
        match self {
            Body::Single(part) => builder.singlepart(part),
            Body::Multi(part) => builder.multipart(part),
        }
        .map_err(|e| Fault::usage(format!("cannot write the message: {e}")).into())
    }
}

/// What a file is, by its name: the kinds that people attach; the rest are octets.
fn content_type(path: &Path) -> Result<ContentType> {
    let extension = path
        .extension()
        .unwrap_or_default()
        .to_string_lossy()
        .to_lowercase();
    let kind = match extension.as_str() {
        "txt" | "log" | "md" => "text/plain; charset=utf-8",
        "csv" => "text/csv; charset=utf-8",
        "html" | "htm" => "text/html; charset=utf-8",
        "pdf" => "application/pdf",
        "json" => "application/json",
        "xml" => "application/xml",
        "zip" => "application/zip",
        "gz" => "application/gzip",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "svg" => "image/svg+xml",
        "ics" => "text/calendar; charset=utf-8",
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "pptx" => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        _ => "application/octet-stream",
    };
    ContentType::parse(kind).map_err(|e| Fault::bug(format!("{kind}: {e}")).into())
}

//! IMAP FETCH: items, sections, partial octets, and all that Exchange gets wrong in them.

use std::collections::HashSet;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use super::faults::UidFault;
use super::imap::{Outcome, Session, done};
use super::imap_read::{Arg, Command, quote};
use super::mailbox::Message;
use super::message;

enum Item {
    Uid,
    Flags,
    InternalDate,
    Size,
    Envelope,
    Structure(&'static str),
    Body {
        /// As it is repeated in the answer, `BODY[HEADER]<0>`.
        label: String,
        section: Section,
        partial: Option<(usize, usize)>,
        peek: bool,
    },
}

enum Section {
    Whole,
    Header,
    Fields { names: Vec<String>, not: bool },
    Text,
    Empty,
}

pub fn fetch(session: &mut Session, command: &Command) -> Outcome {
    let bad = Ok("BAD Command Argument Error. 12".into());
    let Some(mut items) = command.args.get(1).and_then(items) else {
        return bad;
    };
    let Some(mut chosen) = session.chosen(command) else {
        return bad;
    };
    if command.name.starts_with("UID ") && !items.iter().any(|item| matches!(item, Item::Uid)) {
        items.insert(0, Item::Uid);
    }
    let world = session.world;
    let faults = &world.faults;
    if faults.imap_reverse_items.load(SeqCst) {
        items.reverse();
    }
    if faults.imap_reverse_messages.load(SeqCst) {
        chosen.reverse();
    }
    mark_seen(session, &items, &mut chosen);
    let noise = faults.imap_noise.lock().unwrap().clone();
    let uid_faults = faults.uid_faults(session.mailbox.as_deref().unwrap_or_default());
    for (number, message) in &chosen {
        let mut message = message.clone();
        let wants_body = items.iter().any(|item| matches!(item, Item::Body { .. }));
        match uid_faults.get(&message.uid) {
            Some(UidFault::Gone) => continue,
            Some(UidFault::NoData) if wants_body => continue,
            Some(UidFault::No(text)) if wants_body => return Ok(format!("NO {text}")),
            Some(UidFault::Bad(text)) if wants_body => return Ok(format!("BAD {text}")),
            Some(UidFault::NoOctets) if wants_body => message.bytes = Vec::new().into(),
            Some(UidFault::Instead(octets)) => message.bytes = octets.clone().into(),
            Some(UidFault::Placeholder) => message.bytes = placeholder(*number, &message).into(),
            Some(UidFault::CutShort) if wants_body => {
                let (size, uid) = (message.bytes.len(), message.uid);
                let head = format!("* {number} FETCH (UID {uid} BODY[] {{{size}}}\r\n");
                session.conn.put(head.as_bytes())?;
                session.conn.put(&message.bytes[..size / 2])?;
                session.conn.flush()?;
                return Err(io::Error::other("closed on purpose"));
            }
            _ => {}
        }
        if faults.imap_rerender.load(SeqCst) {
            static RENDERED: AtomicU64 = AtomicU64::new(0);
            let count = RENDERED.fetch_add(1, SeqCst);
            let line = format!("X-MS-Exchange-Rendering: {count}\r\n");
            message.bytes = [line.as_bytes(), &message.bytes].concat().into();
        }
        if let Some(UidFault::Stall(time)) = uid_faults.get(&message.uid) {
            // Half of the answer goes out now; the rest waits.
            session.conn.flush()?;
            session.conn.spoiler.stall = Some((message.bytes.len() / 2, *time));
        }
        for line in &noise {
            session.conn.put(line)?;
            session.conn.put(b"\r\n")?;
        }
        put_message(session, *number, &message, &items)?;
    }
    let count = chosen.len();
    world.log("IMAP", &format!("> ({count} FETCH answers)"));
    done("FETCH")
}

fn put_message(
    session: &mut Session,
    number: usize,
    message: &Message,
    items: &[Item],
) -> io::Result<()> {
    let conn = &mut session.conn;
    conn.put(format!("* {number} FETCH (").as_bytes())?;
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            conn.put(b" ")?;
        }
        let text = match item {
            Item::Uid => format!("UID {}", message.uid),
            Item::Flags => format!("FLAGS ({})", message.flags.join(" ")),
            Item::Size => format!("RFC822.SIZE {}", message.estimated_size()),
            Item::InternalDate => {
                let time = jiff::Timestamp::from_second(message.received).unwrap();
                format!(
                    "INTERNALDATE \"{}\"",
                    time.strftime("%d-%b-%Y %H:%M:%S +0000")
                )
            }
            Item::Envelope => envelope(&message.bytes),
            Item::Structure(name) => {
                let lines = message.bytes.iter().filter(|byte| **byte == b'\n').count();
                let size = message.bytes.len() - message::header(&message.bytes).len();
                format!("{name} (\"text\" \"plain\" NIL NIL NIL \"7bit\" {size} {lines})")
            }
            Item::Body {
                label,
                section,
                partial,
                ..
            } => {
                let gathered;
                let mut bytes: &[u8] = match section {
                    Section::Whole => &message.bytes,
                    Section::Header => message::header(&message.bytes),
                    Section::Text => &message.bytes[message::header(&message.bytes).len()..],
                    Section::Empty => b"",
                    Section::Fields { names, not } => {
                        gathered = some_fields(&message.bytes, names, *not);
                        &gathered
                    }
                };
                if let Some((from, length)) = partial {
                    let from = (*from).min(bytes.len());
                    bytes = &bytes[from..from.saturating_add(*length).min(bytes.len())];
                }
                conn.put(format!("{label} {{{}}}\r\n", bytes.len()).as_bytes())?;
                for piece in bytes.chunks(64 << 10) {
                    conn.put(piece)?;
                }
                continue;
            }
        };
        conn.put(text.as_bytes())?;
    }
    conn.put(b")\r\n")
}

/// BODY[] without PEEK marks a message as read; the answer then shows its flags, too.
fn mark_seen(session: &Session, items: &[Item], chosen: &mut [(usize, Message)]) {
    let marks = items
        .iter()
        .any(|item| matches!(item, Item::Body { peek: false, .. }));
    let Some(selected) = session.selected.as_ref().filter(|s| marks && !s.read_only) else {
        return;
    };
    let uids: HashSet<u32> = chosen.iter().map(|(_, message)| message.uid).collect();
    let seen = "\\Seen".to_string();
    session.with_mailbox(|mailbox| {
        for message in &mut mailbox.existing(&selected.name).messages {
            if uids.contains(&message.uid) && !message.has(&seen) {
                message.flags.push(seen.clone());
            }
        }
    });
    for (_, message) in chosen {
        if !message.has(&seen) {
            message.flags.push(seen.clone());
        }
    }
}

fn items(arg: &Arg) -> Option<Vec<Item>> {
    let words: Vec<String> = match arg {
        Arg::List(list) => list.iter().map(Arg::text).collect(),
        word => vec![word.text()],
    };
    let mut items = Vec::new();
    for word in words {
        match word.to_ascii_uppercase().as_str() {
            "ALL" => items.extend([Item::Flags, Item::InternalDate, Item::Size, Item::Envelope]),
            "FAST" => items.extend([Item::Flags, Item::InternalDate, Item::Size]),
            "FULL" => items.extend([
                Item::Flags,
                Item::InternalDate,
                Item::Size,
                Item::Envelope,
                Item::Structure("BODY"),
            ]),
            "UID" => items.push(Item::Uid),
            "FLAGS" => items.push(Item::Flags),
            "INTERNALDATE" => items.push(Item::InternalDate),
            "RFC822.SIZE" => items.push(Item::Size),
            "ENVELOPE" => items.push(Item::Envelope),
            "BODYSTRUCTURE" => items.push(Item::Structure("BODYSTRUCTURE")),
            "BODY" => items.push(Item::Structure("BODY")),
            "RFC822" => items.push(body("RFC822", Section::Whole, false)),
            "RFC822.HEADER" => items.push(body("RFC822.HEADER", Section::Header, true)),
            "RFC822.TEXT" => items.push(body("RFC822.TEXT", Section::Text, false)),
            _ => items.push(body_section(&word)?),
        }
    }
    Some(items)
}

fn body(label: &str, section: Section, peek: bool) -> Item {
    Item::Body {
        label: label.into(),
        section,
        partial: None,
        peek,
    }
}

/// `BODY[…]` or `BODY.PEEK[…]`, with or without `<offset.length>`.
fn body_section(word: &str) -> Option<Item> {
    let (name, rest) = word.split_once('[')?;
    let (inner, after) = rest.rsplit_once(']')?;
    let name = name.to_ascii_uppercase();
    if name != "BODY" && name != "BODY.PEEK" {
        return None;
    }
    let upper = inner.to_ascii_uppercase();
    let section = match upper.split(' ').next().unwrap_or_default() {
        "" => Section::Whole,
        "HEADER" | "MIME" => Section::Header,
        "TEXT" | "1" => Section::Text,
        kind @ ("HEADER.FIELDS" | "HEADER.FIELDS.NOT") => {
            let names = upper.split_once('(')?.1.trim_end_matches(')');
            Section::Fields {
                names: names
                    .split_ascii_whitespace()
                    .map(|name| name.trim_matches('"').to_string())
                    .collect(),
                not: kind.ends_with(".NOT"),
            }
        }
        _ => Section::Empty,
    };
    let partial = match after.strip_prefix('<').and_then(|a| a.strip_suffix('>')) {
        None => None,
        Some(text) => {
            let (from, length) = text.split_once('.')?;
            Some((from.parse().ok()?, length.parse().ok()?))
        }
    };
    let origin = partial.map(|(from, _): (usize, usize)| format!("<{from}>"));
    Some(Item::Body {
        label: format!("BODY[{inner}]{}", origin.unwrap_or_default()),
        section,
        partial,
        peek: name == "BODY.PEEK",
    })
}

fn some_fields(bytes: &[u8], names: &[String], not: bool) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, range) in message::raw_fields(bytes) {
        if names.contains(&name.to_ascii_uppercase()) != not {
            out.extend_from_slice(&bytes[range]);
        }
    }
    out.extend_from_slice(b"\r\n");
    out
}

fn envelope(bytes: &[u8]) -> String {
    let text = |name: &str| match message::field(bytes, name) {
        Some(value) if value.is_ascii() => quote(&value),
        _ => "NIL".to_string(),
    };
    let people = |name: &str| {
        let Some(value) = message::field(bytes, name) else {
            return "NIL".to_string();
        };
        match message::bare_address(&value).split_once('@') {
            Some((local, host)) => format!("((NIL NIL {} {}))", quote(local), quote(host)),
            None => "NIL".to_string(),
        }
    };
    let from = people("From");
    format!(
        "ENVELOPE ({} {} {from} {from} {from} {} {} NIL {} {})",
        text("Date"),
        text("Subject"),
        people("To"),
        people("Cc"),
        text("In-Reply-To"),
        text("Message-ID"),
    )
}

/// The mail that Exchange makes up when it cannot render a message.
fn placeholder(number: usize, original: &Message) -> Vec<u8> {
    let subject = message::field(&original.bytes, "Subject").unwrap_or_default();
    let from = message::field(&original.bytes, "From").unwrap_or_default();
    format!(
        "From: \"Microsoft Exchange Server\" <microsoftexchange@contoso.example>\r\n\
         To: <support@contoso.example>\r\n\
         Subject: Retrieval using the IMAP4 protocol failed for the following message: {number}\r\n\
         MIME-Version: 1.0\r\nContent-Type: text/plain; charset=\"us-ascii\"\r\n\r\n\
         The server couldn't retrieve the following message:\r\n\r\n\
         Subject: \"{subject}\"\r\nFrom: {from}\r\n\r\n\
         The message hasn't been deleted. You might be able to view it using either Outlook or \
         Outlook Web App. You can also contact the sender to find out what the message says.\r\n"
    )
    .into_bytes()
}

//! IMAP SEARCH: the keys that Exchange knows, and its refusal of the others.

use std::sync::atomic::Ordering::SeqCst;

use jiff::civil::Date;

use super::imap::{Outcome, Session, done};
use super::imap_read::{Arg, Command};
use super::mailbox::Message;

/// One condition.
enum Key {
    All,
    /// Places in the open folder, sorted.
    Places(Vec<usize>),
    Flag(&'static str, bool),
    /// The day it arrived, compared.
    Day(std::cmp::Ordering, Date),
    Larger(usize),
    Smaller(usize),
    /// Part of a header field (lower case), or of everything.
    Contains(Option<String>, String),
    Never,
    Not(Box<Key>),
    Or(Box<Key>, Box<Key>),
    And(Vec<Key>),
}

pub fn search(session: &mut Session, command: &Command) -> Outcome {
    let by_uid = command.name.starts_with("UID ");
    let mut args = command.args.as_slice();
    let bad = Ok("BAD Command Argument Error. 11".into());
    if args.first().map(Arg::upper).as_deref() == Some("RETURN") {
        return bad; // ESEARCH is not offered
    }
    if args.first().map(Arg::upper).as_deref() == Some("CHARSET") {
        args = args.get(2..).unwrap_or_default();
    }
    let Some(key) = keys(session, args) else {
        return bad;
    };
    let Some(selected) = &session.selected else {
        return bad;
    };
    let places: Vec<usize> = session.with_mailbox(|mailbox| {
        let Some(folder) = mailbox.folder(&selected.name) else {
            return Vec::new();
        };
        (0..selected.uids.len())
            .filter(|place| {
                folder
                    .find(selected.uids[*place])
                    .is_some_and(|at| key.fits(*place, &folder.messages[at]))
            })
            .collect()
    });
    let numbers: Vec<String> = places
        .iter()
        .map(|place| match by_uid {
            true => selected.uids[*place].to_string(),
            false => (place + 1).to_string(),
        })
        .collect();
    let faults = &session.world.faults;
    let extended = faults.imap_esearch.load(SeqCst) || faults.imap_new_front_end.load(SeqCst);
    let line = match (extended, numbers.is_empty()) {
        (false, true) => "* SEARCH".to_string(),
        (false, false) => format!("* SEARCH {}", numbers.join(" ")),
        (true, _) => {
            let uid = if by_uid { " UID" } else { "" };
            let all = match numbers.is_empty() {
                true => String::new(),
                false => format!(" ALL {}", numbers.join(",")),
            };
            format!("* ESEARCH (TAG \"{}\"){uid}{all}", command.tag)
        }
    };
    session.say(&line)?;
    done("SEARCH")
}

/// Reads a list of keys, which all must hold; `None` when one is unknown.
fn keys(session: &Session, mut args: &[Arg]) -> Option<Key> {
    if args.is_empty() {
        return None;
    }
    let mut all = Vec::new();
    while !args.is_empty() {
        all.push(key(session, &mut args)?);
    }
    Some(Key::And(all))
}

fn key(session: &Session, args: &mut &[Arg]) -> Option<Key> {
    let (first, rest) = args.split_first()?;
    *args = rest;
    if let Arg::List(inner) = first {
        return keys(session, inner);
    }
    let mut next = || {
        let (first, rest) = args.split_first()?;
        *args = rest;
        Some(first.text())
    };
    let name = first.upper();
    let flag = |flag| Some(Key::Flag(flag, true));
    let no_flag = |flag| Some(Key::Flag(flag, false));
    match name.as_str() {
        "ALL" => Some(Key::All),
        "SEEN" => flag("\\Seen"),
        "UNSEEN" => no_flag("\\Seen"),
        "DELETED" => flag("\\Deleted"),
        "UNDELETED" => no_flag("\\Deleted"),
        "FLAGGED" => flag("\\Flagged"),
        "UNFLAGGED" => no_flag("\\Flagged"),
        "ANSWERED" => flag("\\Answered"),
        "UNANSWERED" => no_flag("\\Answered"),
        "DRAFT" => flag("\\Draft"),
        "UNDRAFT" => no_flag("\\Draft"),
        "RECENT" | "NEW" => Some(Key::Never),
        "OLD" => Some(Key::All),
        "UID" => session.places(&next()?, true).map(Key::Places),
        "SINCE" | "SENTSINCE" => {
            let day = date(&next()?)?;
            Some(Key::Not(Box::new(Key::Day(std::cmp::Ordering::Less, day))))
        }
        "BEFORE" | "SENTBEFORE" => Some(Key::Day(std::cmp::Ordering::Less, date(&next()?)?)),
        "ON" | "SENTON" => Some(Key::Day(std::cmp::Ordering::Equal, date(&next()?)?)),
        "LARGER" => next()?.parse().ok().map(Key::Larger),
        "SMALLER" => next()?.parse().ok().map(Key::Smaller),
        "SUBJECT" | "FROM" | "TO" | "CC" | "BCC" => Some(Key::Contains(
            Some(name.to_ascii_lowercase()),
            next()?.to_lowercase(),
        )),
        "HEADER" => {
            let field = next()?.to_ascii_lowercase();
            Some(Key::Contains(Some(field), next()?.to_lowercase()))
        }
        "BODY" | "TEXT" => Some(Key::Contains(None, next()?.to_lowercase())),
        "NOT" => Some(Key::Not(Box::new(key(session, args)?))),
        "OR" => {
            let one = key(session, args)?;
            Some(Key::Or(Box::new(one), Box::new(key(session, args)?)))
        }
        _ if name.starts_with(|c: char| c.is_ascii_digit() || c == '*') => {
            session.places(&name, false).map(Key::Places)
        }
        _ => None, // KEYWORD and whatever else
    }
}

fn date(text: &str) -> Option<Date> {
    Date::strptime("%d-%b-%Y", text.trim()).ok()
}

impl Key {
    fn fits(&self, place: usize, message: &Message) -> bool {
        match self {
            Key::All => true,
            Key::Never => false,
            Key::Places(places) => places.binary_search(&place).is_ok(),
            Key::Flag(flag, wanted) => message.has(flag) == *wanted,
            Key::Day(order, day) => {
                let received = jiff::Timestamp::from_second(message.received).unwrap();
                let received = jiff::tz::TimeZone::UTC.to_datetime(received).date();
                received.cmp(day) == *order
            }
            Key::Larger(size) => message.estimated_size() > *size,
            Key::Smaller(size) => message.estimated_size() < *size,
            Key::Contains(field, text) => contains(message, field.as_deref(), text),
            Key::Not(key) => !key.fits(place, message),
            Key::Or(one, other) => one.fits(place, message) || other.fits(place, message),
            Key::And(keys) => keys.iter().all(|key| key.fits(place, message)),
        }
    }
}

fn contains(message: &Message, field: Option<&str>, text: &str) -> bool {
    let Some(field) = field else {
        return String::from_utf8_lossy(&message.bytes)
            .to_lowercase()
            .contains(text);
    };
    let fields = super::message::fields(&message.bytes);
    fields.iter().any(|(name, value)| {
        name.eq_ignore_ascii_case(field) && value.to_lowercase().contains(text)
    })
}

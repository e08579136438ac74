//! Which UIDs a folder holds: `UID SEARCH`, and its answers in every form.

use super::faults::{Meaning, meaning};
use super::fetch::Told;
use super::line::{self, Line, quoted};
use super::uid_set;
use super::wire::{Cut, Failure, Piece, Wire};
use crate::model::{Author, Larger, Select};
use jiff::civil::Date;

/// A longer command may be refused, in octets: some take 8 KB.
const LONGEST: usize = 7000;
/// More UIDs than any folder holds are not taken.
const MOST: usize = 2_000_000;

/// Finds the UIDs from `after` on, ascending, of messages received on or after `since` that `select`
/// may select.
///
/// `n:*` names the last message even when its UID is below `n` (RFC 3501 §9, seq-range), so the
/// answer is filtered. Neither RETURN nor a charset is asked for: Exchange knows none, and the
/// old form is understood by all; both `* SEARCH`, on several lines, and `* ESEARCH` (RFC 4731)
/// are read. No hit in a folder that holds messages is not believed: then the UIDs are fetched.
/// Where UIDNEXT says that there is nothing above `after`, nothing is asked, and nothing found,
/// unless a message was seen where it says that there is none.
pub fn search(
    wire: &mut Wire,
    after: Option<u32>,
    since: Option<Date>,
    select: Option<&Select>,
) -> Result<Vec<u32>, Failure> {
    let first = after.unwrap_or(1).max(1);
    let next = after.map(|after| after.checked_add(1));
    let is_end = |next| next == wire.heard.uid_next && !wire.heard.next_is_wrong;
    if next.is_some_and(|next| next.is_none() || is_end(next)) {
        return Ok(Vec::new());
    }
    let mut key = format!("UID {first}:*");
    if let Some(date) = since {
        key.push_str(&format!(" SINCE {}", date.strftime("%-d-%b-%Y")));
    }
    for narrower in select.map(narrowed).unwrap_or_default() {
        if key.len() + narrower.len() < LONGEST {
            key.push_str(&format!(" {narrower}"));
        }
    }
    let is_whole = after.is_none() && since.is_none() && select.is_none();
    let mut found = run(wire, &key)?;
    if found.is_empty() && is_whole && wire.heard.exists > 0 {
        found = fetch_uids(wire, "1:*")?;
    }
    found.retain(|&uid| uid >= first);
    judge_next(wire, &found);
    Ok(found)
}

/// The keys by which a search gives no less than what is selected. Letters that are not ASCII would
/// need a charset. A server that does not decode subjects (RFC 2047) finds an encoded one by `=?`.
/// What is larger and to be quarantined must be found.
fn narrowed(select: &Select) -> Vec<String> {
    let mut keys = Vec::new();
    if select.unread {
        keys.push("UNSEEN".to_owned());
    }
    if select.from.iter().all(|from| from.as_str().is_ascii()) {
        keys.extend(any_of("FROM", select.from.iter().map(Author::as_str)));
    }
    let words = select.subject_words();
    if !words.is_empty() {
        keys.extend(any_of("SUBJECT", words.into_iter().chain(["=?"])));
    }
    if let Some(size) = select.max_size
        && select.larger == Larger::Skip
        && let Ok(larger) = u32::try_from(size.octets() + 1)
    {
        keys.push(format!("SMALLER {larger}"));
    }
    keys
}

/// One key that one of these fits: `OR FROM "a" OR FROM "b" FROM "c"`.
fn any_of<'a>(name: &str, texts: impl Iterator<Item = &'a str>) -> Option<String> {
    let keys = texts.map(|text| format!("{name} {}", quoted(text)));
    keys.reduce(|all, key| format!("OR {key} {all}"))
}

/// Notes whether these UIDs show that the server tells a wrong UIDNEXT.
fn judge_next(wire: &mut Wire, found: &[u32]) {
    let next = wire.heard.uid_next;
    wire.heard.next_is_wrong |= found
        .iter()
        .any(|uid| next.is_some_and(|next| *uid >= next));
}

/// Which of these UIDs the folder still holds. One that the search does not find is asked for by
/// another command: who is taken to be gone is never asked for again.
pub fn present(wire: &mut Wire, uids: &[u32]) -> Result<Vec<u32>, Failure> {
    let mut found = Vec::new();
    for (_, set) in uid_set::sets(uids, usize::MAX) {
        found.extend(run(wire, &format!("UID {set}"))?);
    }
    found.sort_unstable();
    let mut lost = uids.to_vec();
    lost.retain(|uid| found.binary_search(uid).is_err());
    for (range, set) in uid_set::sets(&lost, usize::MAX) {
        found.extend(match fetch_uids(wire, &set) {
            Err(Failure::Refused(words)) if may_be_gone(&words) => match range.len() {
                1 => Vec::new(),
                _ => one_by_one(wire, &lost[range])?,
            },
            there => there?,
        });
    }
    judge_next(wire, &found);
    Ok(found)
}

/// Those of a refused set that the folder holds. One of them may be the reason, and of the others
/// the refusal says nothing: only of a UID that is asked for alone it is believed.
fn one_by_one(wire: &mut Wire, uids: &[u32]) -> Result<Vec<u32>, Failure> {
    let mut found = Vec::new();
    for uid in uids {
        match fetch_uids(wire, &uid.to_string()) {
            Err(Failure::Refused(words)) if may_be_gone(&words) => {}
            there => found.extend(there?),
        }
    }
    Ok(found)
}

/// Some refuse to fetch a UID that is gone, with or without a response code.
fn may_be_gone(words: &str) -> bool {
    matches!(meaning(words), Meaning::Gone | Meaning::Other)
}

/// The messages with this Message-ID. A server finds it as a part of the field's value too, so
/// that the angle brackets belong into it. An id that is not a text of IMAP is not looked for.
pub fn with_message_id(wire: &mut Wire, id: &str) -> Result<Vec<u32>, Failure> {
    if !id.bytes().all(|b| matches!(b, b' '..=b'~')) {
        return Err(Failure::Refused(format!(
            "the Message-ID `{}` cannot be searched for",
            id.escape_debug()
        )));
    }
    run(wire, &format!("HEADER Message-ID {}", quoted(id)))
}

/// Runs `UID SEARCH key`; the UIDs ascend, each once. A line may hold all UIDs of the largest
/// folder: it is taken as it comes, and never held.
pub fn run(wire: &mut Wire, key: &str) -> Result<Vec<u32>, Failure> {
    let mut found = Vec::new();
    let mut answer = Answer::None;
    let usual = wire.limits;
    wire.limits.octets = usual.octets.max(usual.search);
    let done = wire.run_search(&format!("UID SEARCH {key}"), |piece| match piece {
        Piece::Line(line) => {
            let rest;
            (answer, rest) = Answer::of(line);
            answer.take(rest, &mut found)
        }
        Piece::More(rest) => answer.take(rest, &mut found),
    });
    wire.limits = usual;
    done?;
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// The place in the line that answers a search.
enum Answer {
    /// It is another line, or what is wanted of this one has been taken.
    None,
    /// Among the numbers of `* SEARCH 7 8 9 (MODSEQ n)`.
    Numbers,
    /// In the set after ALL of `* ESEARCH (TAG "q1") UID ALL 1:3,7`.
    Set,
}

impl Answer {
    /// What a line answers, and where that begins in it.
    fn of(line: Line<'_>) -> (Answer, &[u8]) {
        if let Some(rest) = line.untagged(b"SEARCH") {
            return (Answer::Numbers, rest);
        }
        if let Some(mut rest) = line.untagged(b"ESEARCH") {
            while !rest.is_empty() {
                let (word, after) = line::word(rest);
                if word.eq_ignore_ascii_case(b"ALL") {
                    return (Answer::Set, after);
                }
                rest = after;
            }
        }
        (Answer::None, b"")
    }

    /// Takes whole words of the line.
    fn take(&mut self, rest: &[u8], found: &mut Vec<u32>) -> Result<(), Cut> {
        match self {
            Answer::None => {}
            Answer::Numbers => {
                for word in rest.split(|&b| b == b' ').filter(|w| !w.is_empty()) {
                    if word.starts_with(b"(") {
                        *self = Answer::None;
                        break;
                    }
                    match line::number(word) {
                        Some(uid) => push(found, uid)?,
                        None => {
                            return Err(Cut::Disorder(
                                "a search result that is not a number".into(),
                            ));
                        }
                    }
                }
            }
            Answer::Set => {
                let (set, _) = line::word(rest);
                let ends = set.len() < rest.len();
                for part in set.split(|&b| b == b',').filter(|part| !part.is_empty()) {
                    range(part, found)?;
                }
                if ends {
                    *self = Answer::None;
                }
            }
        }
        Ok(())
    }
}

/// The UIDs of `7` or `1:3`.
fn range(part: &[u8], found: &mut Vec<u32>) -> Result<(), Cut> {
    let odd = || Cut::Disorder("a search result that is not a set".into());
    let (first, last) = match part.iter().position(|&b| b == b':') {
        Some(at) => (&part[..at], &part[at + 1..]),
        None => (part, part),
    };
    let first = line::number(first).ok_or_else(odd)?;
    let last = line::number(last).ok_or_else(odd)?;
    for uid in first.min(last)..=first.max(last) {
        push(found, uid)?;
    }
    Ok(())
}

/// The second way: the UID of every message of a set.
fn fetch_uids(wire: &mut Wire, set: &str) -> Result<Vec<u32>, Failure> {
    let mut found = Vec::new();
    fetch_items(wire, set, "UID", |uid, _| push(&mut found, uid))?;
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// The UIDs of a set's messages with their sizes in octets, as far as the server tells both.
pub fn fetch_sizes(wire: &mut Wire, set: &str) -> Result<Vec<(u32, u64)>, Failure> {
    let mut found = Vec::new();
    fetch_items(wire, set, "UID RFC822.SIZE", |uid, size| {
        found.extend(size.map(|size| (uid, size)));
        Ok(())
    })?;
    Ok(found)
}

/// Asks for small items of a set's messages; `each` gets the UID, and the size if it came.
fn fetch_items(
    wire: &mut Wire,
    set: &str,
    items: &str,
    mut each: impl FnMut(u32, Option<u64>) -> Result<(), Cut>,
) -> Result<(), Failure> {
    let longest = wire.limits.line;
    // A line for each message, and each of some 40 octets.
    let usual = wire.limits;
    let exists = wire.heard.exists.min(MOST as u32);
    wire.limits.lines = usual.lines.saturating_add(exists);
    wire.limits.octets = usual.octets.saturating_add(u64::from(exists) * 64);
    let done = wire.run(&format!("UID FETCH {set} ({items})"), longest, |line| {
        if let Some(rest) = line.fetched() {
            let mut told = Told::default();
            // What stands before something odd holds.
            let _ = told.read(rest);
            if let Some(uid) = told.uid {
                each(uid, told.size)?;
            }
        }
        Ok(())
    });
    wire.limits = usual;
    done
}

fn push(found: &mut Vec<u32>, uid: u32) -> Result<(), Cut> {
    if found.len() >= MOST {
        return Err(Cut::TooMuch(format!("over {MOST} UIDs in one answer")));
    }
    // No message has the UID 0.
    if uid > 0 {
        found.push(uid);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Condition;

    #[test]
    fn a_selection_is_asked_for_in_ascii() {
        let keys = |conditions: &[&str]| {
            let conditions = conditions
                .iter()
                .map(|text| text.parse::<Condition>().unwrap());
            narrowed(&conditions.collect()).join(" ")
        };
        assert_eq!(
            keys(&[
                "unread=true",
                "from=a@b.example",
                "from=@c.example",
                "max_size=1kB"
            ]),
            "UNSEEN OR FROM \"@c.example\" FROM \"a@b.example\" SMALLER 1001"
        );
        assert_eq!(
            keys(&[
                "subject=your \"big\" one",
                "max_size=1kB",
                "larger=quarantine"
            ]),
            "OR SUBJECT \"=?\" SUBJECT \"\\\"big\\\"\""
        );
        assert_eq!(keys(&["subject=\u{e4}", "subject=x"]), "");
    }
}

//! `outbox list` and `outbox show`: the messages of the outbox.

use super::table::Table;
use crate::mail::{RefusedRecipient, Summary};
use crate::output::{Output, escape};
use crate::state::{OutboxEntry, OutboxState};
use crate::wording::{local_time, stamp};
use anyhow::Result;
use serde_json::json;

/// All messages; `summary` tells what the header of one says.
pub fn list(
    output: &Output,
    all: &[OutboxEntry],
    summary: impl Fn(&OutboxEntry) -> Summary,
) -> Result<()> {
    if output.json {
        let all: Vec<_> = all.iter().map(|e| as_json(e, &summary(e))).collect();
        return output.json(&json!({ "outbox": all }));
    }
    let mut table = Table::new(&[
        "ID",
        "SINCE",
        "STATE",
        "NEXT",
        "TRIES",
        "FROM",
        "RECIPIENTS",
        "SUBJECT",
        "REASON",
    ]);
    for entry in all {
        let said = summary(entry);
        let to = people(entry);
        let to = match to.len() {
            0..=2 => to.join(", "),
            n => format!("{} and {} more", to[0], n - 1),
        };
        let next = next_attempt(entry).unwrap_or_else(|| "-".to_owned());
        table.row(vec![
            entry.id.to_string(),
            local_time(entry.kept_at),
            entry.state.word().to_owned(),
            next,
            entry.attempts.to_string(),
            said.from
                .or_else(|| entry.envelope.from.clone())
                .unwrap_or_default(),
            to,
            said.subject.unwrap_or_default(),
            entry.reason.clone(),
        ]);
    }
    table.print(output)
}

/// When it is tried again by itself.
fn next_attempt(entry: &OutboxEntry) -> Option<String> {
    (entry.state == OutboxState::Waiting).then(|| local_time(entry.next_attempt))
}

/// Who is still to get it, or was refused and not yet reported.
fn people(entry: &OutboxEntry) -> Vec<String> {
    let refused = entry.refused.iter().map(|r| &r.address);
    entry.envelope.to.iter().chain(refused).cloned().collect()
}

/// One message, whose octets are at `place`, and whose header says this.
pub fn show(output: &Output, entry: &OutboxEntry, place: String, said: Summary) -> Result<()> {
    if output.json {
        let mut object = as_json(entry, &said);
        object["file"] = json!(place);
        return output.json(&object);
    }
    for (key, value) in [
        ("id", entry.id.to_string()),
        ("state", entry.state.word().to_owned()),
        ("since", local_time(entry.kept_at)),
        ("next attempt", next_attempt(entry).unwrap_or_default()),
        ("attempts", entry.attempts.to_string()),
        ("submitted by", entry.submitter.clone().unwrap_or_default()),
        ("sender", entry.envelope.from.clone().unwrap_or_default()),
        ("from", said.from.unwrap_or_default()),
        ("to", entry.envelope.to.join(", ")),
        ("subject", said.subject.unwrap_or_default()),
        ("refused", RefusedRecipient::all(&entry.refused)),
        ("message-id", entry.message_id.clone()),
        ("size", entry.size.to_string()),
        ("reason", entry.reason.clone()),
        ("file", place),
    ] {
        if !value.is_empty() {
            output.line(&format!("{key}: {}", escape(&value)))?;
        }
    }
    Ok(())
}

fn as_json(entry: &OutboxEntry, said: &Summary) -> serde_json::Value {
    json!({
        "id": entry.id,
        "state": entry.state.word(),
        "since": stamp(entry.kept_at),
        "next_attempt": stamp(entry.next_attempt).filter(|_| entry.state == OutboxState::Waiting),
        "attempts": entry.attempts,
        "submitter": entry.submitter,
        "from": entry.envelope.from,
        "from_header": said.from,
        "to": entry.envelope.to,
        "subject": said.subject,
        "refused": entry.refused,
        "message_id": entry.message_id,
        "size": entry.size,
        "reason": entry.reason,
    })
}

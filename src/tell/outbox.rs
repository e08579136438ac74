//! The messages of the outbox.

use super::table::Table;
use crate::output::{Output, escape};
use crate::state::{OutboxEntry, OutboxState};
use crate::wording::{local_time, stamp};
use anyhow::Result;
use serde_json::json;

pub fn list(output: &Output, all: &[OutboxEntry]) -> Result<()> {
    if output.json {
        let all: Vec<_> = all.iter().map(as_json).collect();
        return output.json(&json!({ "outbox": all }));
    }
    let mut table = Table::new(&[
        "ID",
        "SINCE",
        "STATE",
        "NEXT",
        "TRIES",
        "SENDER",
        "RECIPIENTS",
        "REASON",
    ]);
    for entry in all {
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
            entry.envelope.from.clone().unwrap_or_default(),
            to,
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

/// One message, whose octets are at `place`.
pub fn show(output: &Output, entry: &OutboxEntry, place: String) -> Result<()> {
    if output.json {
        let mut object = as_json(entry);
        object["file"] = json!(place);
        return output.json(&object);
    }
    let refused: Vec<String> = entry
        .refused
        .iter()
        .map(|r| format!("{}: {}", r.address, r.server_said))
        .collect();
    for (key, value) in [
        ("id", entry.id.to_string()),
        ("state", entry.state.word().to_owned()),
        ("since", local_time(entry.kept_at)),
        ("next attempt", next_attempt(entry).unwrap_or_default()),
        ("attempts", entry.attempts.to_string()),
        ("submitted by", entry.submitter.clone().unwrap_or_default()),
        ("sender", entry.envelope.from.clone().unwrap_or_default()),
        ("to", entry.envelope.to.join(", ")),
        ("refused", refused.join("; ")),
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

fn as_json(entry: &OutboxEntry) -> serde_json::Value {
    json!({
        "id": entry.id,
        "state": entry.state.word(),
        "since": stamp(entry.kept_at),
        "next_attempt": stamp(entry.next_attempt).filter(|_| entry.state == OutboxState::Waiting),
        "attempts": entry.attempts,
        "submitter": entry.submitter,
        "from": entry.envelope.from,
        "to": entry.envelope.to,
        "refused": entry.refused,
        "message_id": entry.message_id,
        "size": entry.size,
        "reason": entry.reason,
    })
}

//! The outbox for people and programs to look at.

use super::find;
use crate::commands::Context;
use crate::commands::table::{Table, local_time};
use crate::send::outbox;
use crate::state::{OutboxEntry, OutboxState, Store};
use anyhow::Result;
use jiff::Timestamp;
use serde_json::json;

pub fn list(context: &Context, store: &Store) -> Result<()> {
    let all = store.outbox()?;
    if context.output.json {
        let all: Vec<_> = all.iter().map(|entry| as_json(store, entry)).collect();
        return context.output.json(&json!({ "outbox": all }));
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
    for entry in &all {
        let said = outbox::summary(store, entry);
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
    table.print(&context.output)
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

pub fn show(context: &Context, store: &Store, id: i64, raw: bool) -> Result<()> {
    let entry = find(&store.outbox()?, id)?;
    let bodies = store.outbox_bodies();
    if raw {
        return bodies.read(&entry.file, &mut |piece| context.output.raw(piece));
    }
    let place = bodies.place(&entry.file);
    if context.output.json {
        let mut object = as_json(store, &entry);
        object["file"] = json!(place);
        return context.output.json(&object);
    }
    let refused: Vec<String> = entry
        .refused
        .iter()
        .map(|r| format!("{}: {}", r.address, r.server_said))
        .collect();
    let said = outbox::summary(store, &entry);
    for (key, value) in [
        ("id", id.to_string()),
        ("state", entry.state.word().to_owned()),
        ("since", local_time(entry.kept_at)),
        ("next attempt", next_attempt(&entry).unwrap_or_default()),
        ("attempts", entry.attempts.to_string()),
        ("sender", entry.envelope.from.clone().unwrap_or_default()),
        ("from", said.from.unwrap_or_default()),
        ("to", entry.envelope.to.join(", ")),
        ("subject", said.subject.unwrap_or_default()),
        ("refused", refused.join("; ")),
        ("message-id", entry.message_id.clone()),
        ("size", entry.size.to_string()),
        ("reason", entry.reason.clone()),
        ("file", place),
    ] {
        if !value.is_empty() {
            let value = crate::output::escape(&value);
            context.output.line(&format!("{key}: {value}"))?;
        }
    }
    Ok(())
}

fn as_json(store: &Store, entry: &OutboxEntry) -> serde_json::Value {
    let said = outbox::summary(store, entry);
    let stamp = |at: i64| Timestamp::from_second(at).ok().map(|t| t.to_string());
    json!({
        "id": entry.id,
        "state": entry.state.word(),
        "since": stamp(entry.kept_at),
        "next_attempt": stamp(entry.next_attempt).filter(|_| entry.state == OutboxState::Waiting),
        "attempts": entry.attempts,
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

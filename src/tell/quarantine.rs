//! `quarantine list` and `quarantine show`: messages that were given up on, and where their octets are.

use super::table::Table;
use crate::output::{Output, escape};
use crate::state::{Quarantined, uidvalidity};
use crate::wording::{local_time, stamp};
use anyhow::Result;
use serde_json::{Value, json};

/// All messages; `place` tells where the octets of one are, if they are kept.
pub fn list(
    output: &Output,
    all: &[Quarantined],
    place: impl Fn(&Quarantined) -> Option<String>,
) -> Result<()> {
    if output.json {
        let all: Vec<Value> = all.iter().map(|m| as_json(m, place(m))).collect();
        return output.json(&json!({ "quarantine": all }));
    }
    let mut table = Table::new(&[
        "ID", "SINCE", "ADDRESS", "FOLDER", "UID", "FROM", "SUBJECT", "REASON",
    ]);
    for message in all {
        table.row(vec![
            message.id.to_string(),
            local_time(message.since),
            message.address.clone(),
            message.folder.clone(),
            message.remote.to_string(),
            or_dash(&message.about.from),
            or_dash(&message.about.subject),
            message.reason.clone(),
        ]);
    }
    table.print(output)
}

/// What is not known of a message that did not arrive here.
fn or_dash(value: &Option<String>) -> String {
    value.clone().unwrap_or_else(|| "-".to_owned())
}

/// One message, whose octets are at `place`.
pub fn show(output: &Output, message: &Quarantined, place: Option<String>) -> Result<()> {
    if output.json {
        return output.json(&as_json(message, place));
    }
    for (key, value) in [
        ("id", message.id.to_string()),
        ("address", message.address.clone()),
        ("folder", message.folder.clone()),
        ("uid", message.remote.to_string()),
        ("uidvalidity", uidvalidity(message.epoch).to_string()),
        ("from", or_dash(&message.about.from)),
        ("subject", or_dash(&message.about.subject)),
        ("message-id", or_dash(&message.about.message_id)),
        ("since", local_time(message.since)),
        ("attempts", message.attempts.to_string()),
        ("reason", message.reason.clone()),
        (
            "message",
            place.unwrap_or_else(|| "not kept, it is on the server".to_owned()),
        ),
    ] {
        output.line(&format!("{key}: {}", escape(&value)))?;
    }
    Ok(())
}

fn as_json(message: &Quarantined, place: Option<String>) -> Value {
    json!({
        "id": message.id,
        "address": message.address,
        "folder": message.folder,
        "uid": message.remote.to_string(),
        "uidvalidity": uidvalidity(message.epoch),
        "since": stamp(message.since),
        "from": message.about.from,
        "subject": message.about.subject,
        "message_id": message.about.message_id,
        "attempts": message.attempts,
        "reason": message.reason,
        "message": place,
    })
}

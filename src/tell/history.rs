//! `history`: what was received and sent.

use super::table::Table;
use crate::output::Output;
use crate::state::{Answer, Past};
use crate::wording::{local_time, stamp};
use anyhow::Result;
use serde_json::{Value, json};

/// All that was found.
pub fn list(output: &Output, answer: &Answer) -> Result<()> {
    if output.json {
        let found: Vec<_> = answer.found.iter().map(as_json).collect();
        return output.json(&json!({
            "history": found,
            "complete": !answer.is_partial && !answer.has_more,
        }));
    }
    let mut table = Table::new(&[
        "TIME",
        "QUEUE",
        "WHAT",
        "FROM",
        "TO",
        "SUBJECT",
        "MESSAGE-ID",
        "DESTINATION",
    ]);
    for past in &answer.found {
        table.row(row(past));
    }
    table.print(output)
}

fn row(past: &Past) -> Vec<String> {
    let about = &past.about;
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
    let to = match &past.recipients[..] {
        [] => past.address.clone(),
        [one] => one.address.clone(),
        [first, others @ ..] => format!("{} and {} more", first.address, others.len()),
    };
    vec![
        local_time(past.at),
        past.queue.clone(),
        past.outcome
            .clone()
            .unwrap_or_else(|| "received".to_owned()),
        text(&about.from.clone().or_else(|| about.sender.clone())),
        to,
        text(&about.subject),
        text(&about.message_id),
        past.place.clone(),
    ]
}

fn as_json(past: &Past) -> Value {
    let about = &past.about;
    let mut object = json!({
        "direction": if past.is_sent { "sent" } else { "received" },
        "time": stamp(past.at),
        "queue": past.queue,
        "address": past.address,
        "message_id": about.message_id,
        "from": about.from,
        "subject": about.subject,
        "size": past.size,
        "sha256": about.sha256,
    });
    match past.is_sent {
        true => {
            object["sender"] = json!(about.sender);
            object["recipients"] = json!(past.recipients);
            object["outcome"] = json!(past.outcome);
            object["outgoing_server"] = json!(past.place);
            object["server_message_id"] = json!(past.server_id);
            object["server_said"] = json!(past.server_said);
        }
        false => {
            object["folder"] = json!(past.folder);
            object["delivered_to"] = json!(past.place);
            object["delivery_id"] = json!(past.delivery_id);
        }
    }
    object
}

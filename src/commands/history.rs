//! `history`: what was delivered and what was sent, for the questions of people.

use super::Context;
use super::table::{Table, local_time};
use crate::cli::HistoryArgs;
use crate::state::{LOOKED_AT, Past, Question, What};
use anyhow::Result;
use jiff::Timestamp;
use serde_json::{Value, json};

pub fn run(context: &Context, args: &HistoryArgs) -> Result<()> {
    let store = context.store()?;
    let now = Timestamp::now();
    let word = args.word.as_deref().map(str::trim);
    let question = Question {
        what: word.map_or(What::All, what),
        queue: args.queue.as_deref(),
        since: args.since.map_or(i64::MIN, |since| since.begins(now)),
        until: args.until.map_or(i64::MAX, |until| until.ends(now)),
        received: !args.sent,
        sent: !args.received,
        most: args.limit as usize,
    };
    let answer = store.history(&question)?;
    if answer.is_partial {
        context.output.warn(&format!(
            "only the newest {LOOKED_AT} messages of this period were searched; for older ones use --until"
        ));
    }
    if answer.has_more {
        context.output.warn(&format!(
            "only the newest {} messages are shown; for more use --limit, --since and --until",
            args.limit
        ));
    }
    if context.output.json {
        let found: Vec<_> = answer.found.iter().map(as_json).collect();
        return context.output.json(&json!({
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
    table.print(&context.output)
}

/// What a word looks for: with an `@` and no blank it is an address or a Message-ID.
fn what(word: &str) -> What<'_> {
    let is_name = word.contains('@') && !word.contains(char::is_whitespace);
    match is_name || (word.starts_with('<') && word.ends_with('>')) {
        true => What::Exactly(word),
        false => What::Text(word),
    }
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
        "time": Timestamp::from_second(past.at).ok().map(|t| t.to_string()),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_with_an_at_sign_is_looked_for_as_it_is() {
        assert_eq!(what("<1@x>"), What::Exactly("<1@x>"));
        assert_eq!(what("a@x.example"), What::Exactly("a@x.example"));
        assert_eq!(what("order 17 @home"), What::Text("order 17 @home"));
        assert_eq!(what("order"), What::Text("order"));
    }
}

//! A question before what cannot be taken back. Without a terminal nobody is asked: a script that
//! named its messages, queue or tokens meant them.

use super::Context;
use crate::fault::Fault;
use crate::output::escape;
use crate::prompt;
use anyhow::Result;

/// Asks whether to go on; `yes` answers in advance.
///
/// # Errors
/// `Usage`: the answer was no.
pub fn confirm(context: &Context, yes: bool, question: &str) -> Result<()> {
    if yes || !context.may_ask || prompt::confirmed(&escape(question))? {
        return Ok(());
    }
    Err(Fault::usage("the answer was no; nothing was changed").into())
}

/// Several messages in a question: `message 3`, `2 messages`.
pub fn messages(ids: &[i64]) -> String {
    match ids {
        [id] => format!("message {id}"),
        ids => format!("{} messages", ids.len()),
    }
}

/// The refusal of a number that no message has; `place` is "the outbox" or "quarantine".
pub fn no_message(id: i64, place: &str, known: impl Iterator<Item = i64>) -> Fault {
    let known: Vec<String> = known.map(|id| id.to_string()).collect();
    let fault = Fault::usage(format!("no message {id} in {place}"));
    match known.is_empty() {
        true => fault.hint(format!("the {} is empty", place.trim_start_matches("the "))),
        false => fault.hint(format!("in {place}: {}", known.join(", "))),
    }
}

//! `send`: what became of each message, and with `--dry-run` what would.

use crate::mail::{Outcome, Receipt, RefusedRecipient};
use crate::output::{Level, LogFormat, Output, Record, escape};
use crate::send::outbox::Settled;
use crate::send::{Mail, Sending};
use crate::wording::stamp;
use anyhow::Result;
use serde_json::{Value, json};
use std::io::IsTerminal;
use std::path::Path;

/// Tells what became of a message: an object with `--json`, else a line on a terminal or with
/// `-v`, else nothing. An error is told by whoever gets it.
pub fn tell(
    output: &Output,
    mail: &Mail<'_>,
    result: &Result<Receipt>,
    settled: Option<&Settled>,
) -> Result<()> {
    let kept = matches!(settled, Some(Settled::Later(_)));
    let nothing = Receipt::of(Outcome::Refused { for_good: false });
    let receipt = match result {
        Ok(receipt) => receipt,
        Err(_) if kept => &nothing,
        Err(_) => return Ok(()),
    };
    if output.wants(Level::Info) {
        log(output, mail, result, receipt, kept);
    }
    if output.json {
        return output.json(&object(mail, receipt, settled));
    }
    let is_watched = std::io::stdout().is_terminal() && output.verbose == 0 && !output.quiet;
    match receipt.outcome == Outcome::Accepted && is_watched {
        true => output.line(&accepted(mail, receipt)),
        false => Ok(()),
    }
}

/// Tells the log what became of a message, and which one it was.
fn log(output: &Output, mail: &Mail<'_>, result: &Result<Receipt>, receipt: &Receipt, kept: bool) {
    let reason = match result {
        Err(err) => Some(format!("{err:#}")),
        Ok(_) if receipt.outcome == Outcome::Accepted => None,
        Ok(_) => receipt
            .server_said
            .clone()
            .or(receipt.why.as_ref().map(ToString::to_string)),
    }
    .or_else(|| refusals(receipt));
    let said = reason.clone().unwrap_or_default();
    let (event, text) = match receipt.outcome {
        _ if kept => (
            "kept",
            format!(
                "kept as {} in the outbox, will be sent later: {}",
                mail.kept.unwrap_or_default(),
                escape(&said)
            ),
        ),
        Outcome::Accepted => ("accepted", accepted(mail, receipt)),
        Outcome::Refused { .. } => ("refused", format!("refused: {}", escape(&said))),
        Outcome::Unknown => ("unknown", format!("outcome unknown: {}", escape(&said))),
    };
    let mut record = Record::new(Level::Info, event, &text)
        .with("queue", mail.route.entry.queue.name.as_str())
        .with("address", mail.route.entry.address.address.as_str())
        .with("message_id", mail.message_id.as_str())
        .with("size", mail.octets.len())
        .with("outgoing_server", mail.route.outgoing.name.as_str())
        .with("from", mail.envelope.from.clone())
        .with("to", mail.envelope.to.clone());
    if kept {
        record = record.with("outbox_id", mail.kept);
    }
    // The text for people has it.
    if output.log != LogFormat::Text {
        record = record
            .with("reason", reason)
            .with("server_message_id", receipt.message_id.clone());
    }
    output.tell(&record);
}

/// Which recipients were refused, each with the server's words.
fn refusals(receipt: &Receipt) -> Option<String> {
    let all = &receipt.refused;
    (!all.is_empty()).then(|| RefusedRecipient::all(all))
}

/// For people: as which message it was accepted.
fn accepted(mail: &Mail<'_>, receipt: &Receipt) -> String {
    let mut line = format!("accepted: Message-ID {}", escape(&mail.message_id));
    if let Some(used) = receipt
        .message_id
        .as_ref()
        .filter(|id| **id != mail.message_id)
    {
        line += &format!(", which the server replaced by {}", escape(used));
    }
    line
}

/// What became of a message, for programs.
fn object(mail: &Mail<'_>, receipt: &Receipt, settled: Option<&Settled>) -> Value {
    let next = match settled {
        Some(Settled::Later(at)) => Some(*at),
        _ => None,
    };
    let refused: Vec<Value> = receipt
        .refused
        .iter()
        .map(|r| {
            json!({
                "address": r.address,
                "for_good": r.for_good,
                "server_said": r.server_said,
            })
        })
        .collect();
    json!({
        "event": "message",
        "outcome": match receipt.outcome {
            Outcome::Accepted => "accepted",
            Outcome::Refused { .. } if next.is_some() => "kept",
            Outcome::Refused { .. } => "refused",
            Outcome::Unknown => "unknown",
        },
        "file": mail.file,
        "outbox_id": mail.kept.filter(|_| settled.is_some_and(|s| *s != Settled::Gone)),
        "next_attempt": next.and_then(stamp),
        "queue": mail.route.entry.queue.name,
        "outgoing_server": mail.route.outgoing.name,
        "from": mail.envelope.from,
        "to": mail.envelope.to,
        "refused": refused,
        "size": mail.octets.len(),
        "message_id": mail.message_id,
        "server_message_id": receipt.message_id,
        "server_said": receipt.server_said,
    })
}

/// What would be sent, how and by whom, as lines for people.
pub fn foretell<'a>(
    config_path: &Path,
    sending: &'a Sending<'a>,
    mail: &Mail<'a>,
) -> Result<Vec<String>> {
    let (place, user) = sending.place(&mail.route)?;
    let safe = escape;
    let name = &mail.route.outgoing.name;
    Ok(vec![
        format!("would send {} bytes", mail.octets.len()),
        format!(
            "  from {} (queue {})",
            safe(mail.envelope.from.as_deref().unwrap_or_default()),
            mail.route.entry.queue.name
        ),
        format!("  to {}", safe(&mail.envelope.to.join(", "))),
        format!("  through {name}: {place} as {user}"),
        format!("  Message-ID {}", safe(&mail.message_id)),
        format!("  configuration {}", config_path.display()),
    ])
}

/// The same for programs.
pub fn foretell_json<'a>(
    config_path: &Path,
    sending: &'a Sending<'a>,
    mail: &Mail<'a>,
) -> Result<Value> {
    let (place, user) = sending.place(&mail.route)?;
    Ok(json!({
        "event": "would-send",
        "file": mail.file,
        "queue": mail.route.entry.queue.name,
        "from": mail.envelope.from.as_deref().unwrap_or_default(),
        "to": mail.envelope.to,
        "outgoing_server": mail.route.outgoing.name,
        "transport": place,
        "user": user,
        "size": mail.octets.len(),
        "message_id": mail.message_id,
        "config": config_path.display().to_string(),
    }))
}

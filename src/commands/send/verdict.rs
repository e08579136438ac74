//! What became of a message: told to people and scripts, and turned into an exit code.

use super::Mail;
use crate::commands::Context;
use crate::fault::{Fault, Kind};
use crate::mail::{Outcome, Receipt};
use crate::output::escape;
use anyhow::Result;
use serde_json::json;
use std::io::IsTerminal;
use std::time::Duration;

/// How many messages ended how.
#[derive(Default)]
pub struct Tally {
    accepted: u64,
    refused: u64,
    unknown: u64,
    octets: u64,
}

impl Tally {
    pub fn count(&mut self, mail: &Mail<'_>, result: &Result<Receipt>) {
        match result.as_ref().map(|r| r.outcome) {
            Ok(Outcome::Accepted) => {
                self.accepted += 1;
                self.octets += mail.octets.len() as u64;
            }
            Ok(Outcome::Refused { .. }) => self.refused += 1,
            Ok(Outcome::Unknown) => self.unknown += 1,
            Err(_) => {}
        }
    }

    /// The last JSON line of a run with several messages.
    pub fn tell(&self, context: &Context, messages: usize, took: Duration) -> Result<()> {
        let failed = messages as u64 - self.accepted - self.refused - self.unknown;
        context.output.json(&json!({
            "event": "summary",
            "accepted": self.accepted,
            "refused": self.refused,
            "unknown": self.unknown,
            "failed": failed,
            "bytes": self.octets,
            "seconds": (took.as_secs_f64() * 1000.0).round() / 1000.0,
        }))
    }
}

/// Tells what became of a message: an object with `--json`, else a line on a terminal or with
/// `-v`, else nothing. An error is told by whoever gets it.
pub fn tell(context: &Context, mail: &Mail<'_>, result: &Result<Receipt>) -> Result<()> {
    let Ok(receipt) = result else {
        return Ok(());
    };
    let output = &context.output;
    if output.json {
        let refused: Vec<_> = receipt
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
        return output.json(&json!({
            "event": "message",
            "outcome": match receipt.outcome {
                Outcome::Accepted => "accepted",
                Outcome::Refused { .. } => "refused",
                Outcome::Unknown => "unknown",
            },
            "file": mail.file.map(|f| f.display().to_string()),
            "queue": mail.route.entry.queue.name,
            "outgoing_server": mail.route.outgoing.name,
            "from": mail.envelope.from,
            "to": mail.envelope.to,
            "refused": refused,
            "size": mail.octets.len(),
            "message_id": mail.message_id,
            "server_message_id": receipt.message_id,
            "server_said": receipt.server_said,
        }));
    }
    if receipt.outcome != Outcome::Accepted {
        return Ok(());
    }
    let mut line = format!("accepted: Message-ID {}", escape(&mail.message_id));
    if let Some(used) = receipt
        .message_id
        .as_ref()
        .filter(|id| **id != mail.message_id)
    {
        line += &format!(", which the server replaced by {}", escape(used));
    }
    if output.verbose > 0 {
        output.step(&line);
    } else if std::io::stdout().is_terminal() && !output.quiet {
        output.line(&line)?;
    }
    Ok(())
}

/// `Ok` if every recipient was accepted; else what the caller has to know.
pub fn judge(mail: &Mail<'_>, receipt: Receipt) -> Result<()> {
    let from = mail.envelope.from.as_deref().unwrap_or_default();
    let refused = &receipt.refused;
    let worst = refused.iter().map(|r| r.kind()).max();
    let words = || {
        let each: Vec<String> = refused
            .iter()
            .map(|r| format!("{}: {}", r.address, r.server_said))
            .collect();
        each.join("; ")
    };
    match receipt.outcome {
        Outcome::Accepted => {
            let Some(kind) = worst else {
                return Ok(());
            };
            let later: Vec<&str> = refused
                .iter()
                .filter(|r| !r.for_good)
                .map(|r| r.address.as_str())
                .collect();
            let fault = Fault::new(
                kind,
                format!(
                    "the server refused {} of {} recipients, and accepted the message for the others",
                    refused.len(),
                    mail.envelope.to.len()
                ),
            )
            .said(words());
            Err(match later.join(" ") {
                none if none.is_empty() => fault,
                later => fault.hint(format!(
                    "try again for these only, without -t: queuemail send -f {from} {later}"
                )),
            }
            .into())
        }
        Outcome::Refused { for_good } => {
            let said = match &receipt.server_said {
                Some(said) => Some(said.clone()),
                None if refused.is_empty() => None,
                None => Some(words()),
            };
            let kind = match (for_good, &receipt.server_said) {
                (false, _) => Kind::TryLater,
                (true, Some(said)) => kind_of_refusal(said),
                (true, None) => worst.unwrap_or(Kind::Refused),
            };
            let what = receipt.why.unwrap_or_else(|| {
                let queue = &mail.route.entry.queue.name;
                format!("the server refused the message of queue `{queue}`")
            });
            let mut fault = Fault::new(kind, what);
            fault.server_said = said;
            Err(fault.into())
        }
        Outcome::Unknown => {
            let what = receipt
                .why
                .unwrap_or_else(|| "the server's answer was none that a message can have".into());
            let mut fault = Fault::new(Kind::OutcomeUnknown, what).hint(format!(
                "look for Message-ID {} in Sent Items of `{}` before sending again",
                escape(&mail.message_id),
                mail.route.user()
            ));
            fault.server_said = receipt.server_said;
            Err(anyhow::Error::new(fault).context(
                "the connection broke after the message was handed over; it may or may not have been accepted",
            ))
        }
    }
}

/// What a refusal of the whole message means: whether a person has to give a permission. 5.7.57,
/// 5.7.60 and 5.2.252 are Exchange's for a sender that may not send.
fn kind_of_refusal(said: &str) -> Kind {
    let mut words = said.split(' ');
    match (words.next(), words.next()) {
        (Some("530" | "535"), _) | (_, Some("5.7.57" | "5.7.60" | "5.2.252")) => Kind::SignIn,
        _ => Kind::Refused,
    }
}

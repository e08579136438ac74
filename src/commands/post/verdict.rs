//! What became of a message: told to people and scripts, and turned into an exit code.

use super::Mail;
use crate::commands::Context;
use crate::fault::{Fault, Kind, Scene};
use crate::mail::{Outcome, Receipt, RefusedRecipient};
use crate::outbox::Settled;
use crate::output::escape;
use crate::shell;
use anyhow::Result;
use serde_json::json;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How many messages ended how.
#[derive(Default)]
pub struct Tally {
    accepted: AtomicU64,
    refused: AtomicU64,
    unknown: AtomicU64,
    /// Kept in the outbox for later.
    kept: AtomicU64,
    /// Could not be read, or not be sent now.
    failed: AtomicU64,
    octets: AtomicU64,
}

impl Tally {
    pub fn count(&self, mail: &Mail<'_>, result: &Result<Receipt>, settled: Option<&Settled>) {
        let one = |counter: &AtomicU64| counter.fetch_add(1, Ordering::Relaxed);
        match result.as_ref().map(|r| r.outcome) {
            _ if matches!(settled, Some(Settled::Later(_))) => one(&self.kept),
            Ok(Outcome::Accepted) => {
                self.octets
                    .fetch_add(mail.octets.len() as u64, Ordering::Relaxed);
                one(&self.accepted)
            }
            Ok(Outcome::Refused { .. }) => one(&self.refused),
            Ok(Outcome::Unknown) => one(&self.unknown),
            Err(_) => one(&self.failed),
        };
    }

    /// Counts a message that never became one.
    pub fn unreadable(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// How many messages are done with.
    pub fn done(&self) -> u64 {
        [
            &self.accepted,
            &self.refused,
            &self.unknown,
            &self.kept,
            &self.failed,
        ]
        .iter()
        .map(|counter| counter.load(Ordering::Relaxed))
        .sum()
    }

    /// The last JSON line of a run with several messages.
    pub fn tell(&self, context: &Context, took: Duration) -> Result<()> {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        context.output.json(&json!({
            "event": "summary",
            "accepted": count(&self.accepted),
            "refused": count(&self.refused),
            "unknown": count(&self.unknown),
            "kept": count(&self.kept),
            "failed": count(&self.failed),
            "bytes": count(&self.octets),
            "seconds": (took.as_secs_f64() * 1000.0).round() / 1000.0,
        }))
    }
}

/// Tells what became of a message: an object with `--json`, else a line on a terminal or with
/// `-v`, else nothing. An error is told by whoever gets it.
pub fn tell(
    context: &Context,
    mail: &Mail<'_>,
    result: &Result<Receipt>,
    settled: Option<&Settled>,
) -> Result<()> {
    let output = &context.output;
    let kept = matches!(settled, Some(Settled::Later(_)));
    let nothing = Receipt::of(Outcome::Refused { for_good: false });
    let receipt = match result {
        Ok(receipt) => receipt,
        Err(_) if kept => &nothing,
        Err(_) => return Ok(()),
    };
    if output.json {
        let again = match settled {
            Some(Settled::Later(at)) => jiff::Timestamp::from_second(*at)
                .ok()
                .map(|t| t.to_string()),
            _ => None,
        };
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
                Outcome::Refused { .. } if kept => "kept",
                Outcome::Refused { .. } => "refused",
                Outcome::Unknown => "unknown",
            },
            "file": mail.file,
            "outbox_id": mail.kept.filter(|_| settled.is_some_and(|s| *s != Settled::Gone)),
            "next_attempt": again,
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
    if kept {
        let reason = match result {
            Err(err) => format!("{err:#}"),
            Ok(_) => receipt
                .server_said
                .clone()
                .or(receipt.why.clone())
                .unwrap_or_default(),
        };
        output.step(&format!(
            "kept as {} in the outbox, to be tried again: {}",
            mail.kept.unwrap_or_default(),
            escape(&reason)
        ));
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

/// Narrows a verdict down to what the caller has to know of a message that the outbox keeps:
/// what is tried again by itself is no error.
pub fn less_kept(result: Result<Receipt>, settled: &Settled) -> Result<Option<Receipt>> {
    if !matches!(settled, Settled::Later(_)) {
        return result.map(Some);
    }
    let Ok(mut receipt) = result else {
        return Ok(None);
    };
    receipt.refused.retain(|r| !r.may_pass());
    if receipt.refused.is_empty() {
        return Ok(None);
    }
    // The others are accepted or kept, and must not be sent to again.
    receipt.outcome = Outcome::Accepted;
    Ok(Some(receipt))
}

/// `Ok` if every recipient was accepted; else what the caller has to know, in this scene.
pub fn judge(mail: &Mail<'_>, receipt: Receipt, scene: impl FnOnce() -> Scene) -> Result<()> {
    if receipt.outcome == Outcome::Accepted && receipt.refused.is_empty() {
        return Ok(());
    }
    let mut scene = scene();
    let fault = match receipt.outcome {
        Outcome::Accepted => {
            let queue = &mail.route.entry.queue.name;
            let done = match mail.kept {
                Some(_) => "sent or kept",
                None => "sent",
            };
            scene.doing = format!("{done} for queue `{queue}`, but not to everybody");
            partly(mail, &receipt)
        }
        Outcome::Refused { for_good } => refused(receipt, for_good),
        Outcome::Unknown => {
            scene.doing = "the connection broke after the message was handed over; it may or may not have been accepted".into();
            unknown(mail, receipt)
        }
    };
    Err(anyhow::Error::new(fault).context(scene))
}

/// Some recipients were refused, and the caller must not send to the others again.
fn partly(mail: &Mail<'_>, receipt: &Receipt) -> Fault {
    let refused = &receipt.refused;
    let others = match mail.kept {
        Some(_) => "for the others it is accepted or kept",
        None => "it accepted the message for the others",
    };
    let fault = Fault::new(
        worst(refused),
        format!(
            "the server refused {} of {} recipients; {others}",
            refused.len(),
            mail.envelope.to.len()
        ),
    )
    .said(words(refused));
    let later: Vec<String> = refused
        .iter()
        .filter(|r| !r.for_good)
        .map(|r| shell::quote(&r.address))
        .collect();
    // What is kept is tried again by itself.
    if later.is_empty() || mail.kept.is_some() {
        return fault;
    }
    fault.hint(format!(
        "try again for these only, without -t: queuemail send -f {} {}",
        shell::quote(mail.envelope.from.as_deref().unwrap_or_default()),
        escape(&later.join(" "))
    ))
}

fn refused(receipt: Receipt, for_good: bool) -> Fault {
    let kind = match &receipt.server_said {
        _ if !for_good => Kind::TryLater,
        None if receipt.kind.is_some() => receipt.kind.unwrap_or(Kind::Refused),
        Some(said) => kind_of_refusal(said),
        None => worst(&receipt.refused),
    };
    let what = receipt.why.unwrap_or_else(|| match &receipt.server_said {
        Some(_) => "the server refused the message".to_owned(),
        None => "the server refused every recipient".to_owned(),
    });
    let mut fault = Fault::new(kind, what);
    fault.server_said = receipt
        .server_said
        .or_else(|| (!receipt.refused.is_empty()).then(|| words(&receipt.refused)));
    fault
}

fn unknown(mail: &Mail<'_>, receipt: Receipt) -> Fault {
    let what = receipt
        .why
        .unwrap_or_else(|| "the server's answer was none that a message can have".into());
    let mut fault = Fault::new(Kind::OutcomeUnknown, what);
    fault.server_said = receipt.server_said;
    if !receipt.refused.is_empty() {
        let refused = receipt.refused.iter().map(|r| escape(&r.address));
        fault = fault.hint(format!(
            "the server refused it before for: {}",
            refused.collect::<Vec<_>>().join(", ")
        ));
        fault
            .server_said
            .get_or_insert_with(|| words(&receipt.refused));
    }
    fault = fault.hint(format!(
        "look for Message-ID {} in Sent Items of `{}` before sending again",
        escape(&mail.message_id),
        mail.route.user()
    ));
    if let Some(id) = mail.kept {
        fault = fault.hint(format!(
            "it is kept in the outbox and not repeated by itself; to look there and send it if it is not found: queuemail outbox retry {id}"
        ));
    }
    fault
}

fn worst(refused: &[RefusedRecipient]) -> Kind {
    let kinds = refused.iter().map(RefusedRecipient::kind);
    kinds.max().unwrap_or(Kind::Refused)
}

/// Each refused recipient with the server's words.
fn words(refused: &[RefusedRecipient]) -> String {
    let each: Vec<String> = refused
        .iter()
        .map(|r| format!("{}: {}", r.address, r.server_said))
        .collect();
    each.join("; ")
}

/// What a refusal of the whole message means: whether a person has to give a permission. 5.7.57,
/// 5.7.60 and 5.2.252 are Exchange's for a sender that may not send, as is Graph's
/// ErrorSendAsDenied.
fn kind_of_refusal(said: &str) -> Kind {
    let mut words = said.split(' ');
    match (words.next(), words.next()) {
        (Some("530" | "535"), _) | (_, Some("5.7.57" | "5.7.60" | "5.2.252")) => Kind::SignIn,
        (Some("ErrorSendAsDenied:"), _) => Kind::SignIn,
        (Some("ErrorInvalidRecipients:"), _) => Kind::UnknownRecipient,
        _ => Kind::Refused,
    }
}

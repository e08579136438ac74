//! What became of a message, as the error that its sender gets and the exit code of it.

use super::Mail;
use super::outbox::Settled;
use crate::fault::{Fault, Kind, Scene};
use crate::mail::{Outcome, Receipt, RefusedRecipient};
use crate::output::escape;
use crate::shell;
use crate::wording::counted;
use anyhow::Result;

/// Narrows a verdict down to what the caller has to know of a message that the outbox keeps:
/// what is tried again by itself is not an error.
pub fn told_to_caller(result: Result<Receipt>, settled: &Settled) -> Result<Option<Receipt>> {
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
            scene.doing = format!("{done} for queue `{queue}`, but not to all recipients");
            partly(mail, &receipt)
        }
        Outcome::Refused { for_good } => refused(receipt, for_good),
        Outcome::Unknown => {
            scene.doing = "the connection broke after the transfer of the message; it may or may not have been accepted".into();
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
            "the server refused {} of {}; {others}",
            refused.len(),
            counted(mail.envelope.to.len(), "recipient", "recipients")
        ),
    )
    .said(RefusedRecipient::all(refused));
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
        "try again only for these, without -t: queuemail send -f {} {}",
        shell::quote(mail.envelope.from.as_deref().unwrap_or_default()),
        escape(&later.join(" "))
    ))
}

fn refused(receipt: Receipt, for_good: bool) -> Fault {
    let kind = match (&receipt.server_said, &receipt.why) {
        _ if !for_good => Kind::TryLater,
        (Some(_), _) => receipt.kind(),
        (None, Some(why)) => why.kind,
        (None, None) => worst(&receipt.refused),
    };
    let what = match &receipt.server_said {
        Some(_) => "the server refused the message",
        None => "the server refused every recipient",
    };
    let mut fault = told(receipt.why, kind, what);
    fault.server_said = receipt
        .server_said
        .or_else(|| (!receipt.refused.is_empty()).then(|| RefusedRecipient::all(&receipt.refused)));
    fault
}

fn unknown(mail: &Mail<'_>, receipt: Receipt) -> Fault {
    let what = "the server's answer is not possible for a message";
    let mut fault = told(receipt.why, Kind::OutcomeUnknown, what);
    fault.server_said = receipt.server_said;
    if !receipt.refused.is_empty() {
        let refused = receipt.refused.iter().map(|r| escape(&r.address));
        fault = fault.hint(format!(
            "the server refused it before for: {}",
            refused.collect::<Vec<_>>().join(", ")
        ));
        fault
            .server_said
            .get_or_insert_with(|| RefusedRecipient::all(&receipt.refused));
    }
    fault = fault.hint(format!(
        "before you send it again, look for Message-ID {} in Sent Items of `{}`",
        escape(&mail.message_id),
        mail.route.user()
    ));
    if let Some(id) = mail.kept {
        fault = fault.hint(format!(
            "it is kept in the outbox and not sent again automatically; to check Sent Items and send it if it is not there: queuemail outbox retry {id}"
        ));
    }
    fault
}

/// The program's own fault, if there is one, as a verdict of this kind; else one in these words.
fn told(why: Option<Fault>, kind: Kind, what: &str) -> Fault {
    let why = why.unwrap_or_else(|| Fault::new(kind, what));
    Fault {
        kind,
        hints: Vec::new(),
        retry_after: None,
        ..why
    }
}

fn worst(refused: &[RefusedRecipient]) -> Kind {
    let kinds = refused.iter().map(RefusedRecipient::kind);
    kinds.max().unwrap_or(Kind::Refused)
}

//! What the history says of a message that was sent, or was not.
//!
//! A message that waits in the outbox is not in the history yet, and one that was never handed over,
//! because the way to the server was closed, never is unless it is given up.

use super::outbox::Settled;
use super::{Mail, Sending};
use crate::digest::{hex, sha256};
use crate::mail::{self, Outcome, Receipt};
use crate::office::Route;
use crate::state::{About, OutboxEntry, Recipient, Sent};
use anyhow::Result;

/// Every recipient was dealt with in this way.
const ACCEPTED: &str = "accepted";
const REFUSED: &str = "refused";
const UNKNOWN: &str = "unknown";
const WAITING: &str = "waiting";

/// The row of an attempt; `settled` tells what the outbox does with the message, if it keeps it.
/// `None` where nothing has become of it yet.
pub fn of_attempt(
    sending: &Sending<'_>,
    mail: &Mail<'_>,
    result: &Result<Receipt>,
    settled: Option<&Settled>,
) -> Option<Sent> {
    let kept = matches!(settled, Some(Settled::Later(_)));
    let nothing;
    let receipt = match (result, settled) {
        (Ok(receipt), _) => receipt,
        (Err(_), Some(Settled::Failed)) => {
            nothing = Receipt::of(Outcome::Refused { for_good: false });
            &nothing
        }
        (Err(_), _) => return None,
    };
    let outcome = match receipt.outcome {
        Outcome::Accepted => ACCEPTED,
        Outcome::Refused { .. } if kept => return None,
        Outcome::Refused { .. } => REFUSED,
        Outcome::Unknown => UNKNOWN,
    };
    let became = |address: &String| {
        let refused = receipt.refused.iter().find(|r| r.address == *address);
        match refused {
            Some(refused) if kept && refused.may_pass() => WAITING,
            Some(_) => REFUSED,
            None => outcome,
        }
    };
    let recipient = |address: &String| Recipient {
        address: address.clone(),
        outcome: became(address).to_owned(),
    };
    let why = || match result {
        Ok(receipt) => receipt.why.as_ref().map(ToString::to_string),
        Err(err) => Some(format!("{err:#}")),
    };
    Some(Sent {
        recipients: mail.envelope.to.iter().map(recipient).collect(),
        outcome,
        server_id: receipt.message_id.clone(),
        server_said: receipt.server_said.clone().or_else(why),
        ..of_octets(
            sending,
            &mail.route,
            &mail.octets,
            &mail.message_id,
            mail.envelope.from.as_deref(),
        )
    })
}

/// The row of a message that Sent Items hold, of which nobody knew.
pub fn of_found(
    sending: &Sending<'_>,
    route: &Route<'_>,
    entry: &OutboxEntry,
    octets: &[u8],
) -> Sent {
    let recipient = |address: &String| Recipient {
        address: address.clone(),
        outcome: ACCEPTED.to_owned(),
    };
    Sent {
        recipients: entry.envelope.to.iter().map(recipient).collect(),
        server_said: Some("found in Sent Items".to_owned()),
        ..of_octets(
            sending,
            route,
            octets,
            &entry.message_id,
            entry.envelope.from.as_deref(),
        )
    }
}

fn of_octets(
    sending: &Sending<'_>,
    route: &Route<'_>,
    octets: &[u8],
    message_id: &str,
    sender: Option<&str>,
) -> Sent {
    let summary = mail::summary(octets);
    Sent {
        queue: route.entry.queue.name.clone(),
        address: route.entry.address.address.to_string().to_lowercase(),
        server: route.outgoing.name.clone(),
        about: About {
            message_id: Some(message_id.to_owned()),
            from: summary.from,
            sender: sender.map(str::to_lowercase).or(summary.sender),
            subject: summary.subject,
            sha256: Some(hex(&sha256(octets))),
        },
        size: octets.len() as u64,
        recipients: Vec::new(),
        outcome: ACCEPTED,
        server_id: None,
        server_said: None,
        recording: sending.office.recording(),
    }
}

impl Sending<'_> {
    /// Puts on record what became of a message that is kept nowhere. It is sent or not by now: that
    /// the history does not say so is told, and no error.
    pub fn record(&self, mail: &Mail<'_>, result: &Result<Receipt>) {
        let Some(sent) = of_attempt(self, mail, result, None) else {
            return;
        };
        if let Err(err) = self.store.record_sent(&sent, self.store.now()) {
            self.means.observer.warn(&format!(
                "the history does not mention this message: {err:#}"
            ));
        }
    }
}

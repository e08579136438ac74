//! Where a message stands after an attempt: gone, later, unknown or given up.

use super::{Settled, Teller};
use crate::digest;
use crate::fault::Fault;
use crate::mail::{Outcome, Receipt, RefusedRecipient};
use crate::state::{OutboxEntry, OutboxState};
use anyhow::Result;
use std::time::Duration;

/// A message that could not be sent for so many seconds is given up (RFC 5321 §4.5.4.1 has 4 to
/// 5 days).
const GIVE_UP_AFTER: i64 = 5 * 24 * 3600;

/// The wait after the first attempt; it doubles with each.
const FIRST_WAIT: i64 = 60;
/// The longest wait between two attempts.
const LONGEST_WAIT: i64 = 4 * 3600;
/// Decides where a message stands after an attempt.
pub fn after_attempt(
    entry: &mut OutboxEntry,
    result: &Result<Receipt>,
    teller: Teller,
    now: i64,
) -> Settled {
    let mut wait = Duration::ZERO;
    match result {
        Err(err) => {
            let fault = err.downcast_ref::<Fault>();
            wait = fault.and_then(|f| f.retry_after).unwrap_or_default();
            entry.reason = words(err);
            entry.state = OutboxState::Waiting;
        }
        Ok(receipt) => {
            let why = [&receipt.why, &receipt.server_said];
            let why: Vec<&str> = why.into_iter().flatten().map(String::as_str).collect();
            let why = why.join(": ");
            match receipt.outcome {
                Outcome::Unknown => {
                    entry.state = OutboxState::Unknown;
                    entry.reason = match why.is_empty() {
                        true => "the connection broke after the message was handed over".into(),
                        false => why,
                    };
                    return Settled::Unknown;
                }
                Outcome::Accepted => {
                    entry.shared_id = true;
                    entry.envelope.to.clear();
                    sort_out(entry, &receipt.refused, teller);
                }
                Outcome::Refused { for_good: false } => {
                    let left = |to: &String| {
                        !receipt
                            .refused
                            .iter()
                            .any(|r| r.for_good && r.address == *to)
                    };
                    entry.envelope.to.retain(left);
                    let gone: Vec<_> = receipt
                        .refused
                        .iter()
                        .filter(|r| r.for_good)
                        .cloned()
                        .collect();
                    sort_out(entry, &gone, teller);
                    entry.reason = match why.is_empty() {
                        true => receipt
                            .refused
                            .iter()
                            .find(|r| !r.for_good)
                            .map_or_else(String::new, |r| {
                                format!("{}: {}", r.address, r.server_said)
                            }),
                        false => why,
                    };
                }
                Outcome::Refused { for_good: true } => {
                    let said = |to: String| {
                        let own = receipt.refused.iter().find(|r| r.address == to);
                        RefusedRecipient {
                            for_good: true,
                            server_said: own.map_or_else(|| why.clone(), |r| r.server_said.clone()),
                            address: to,
                        }
                    };
                    let all: Vec<_> = std::mem::take(&mut entry.envelope.to)
                        .into_iter()
                        .map(said)
                        .collect();
                    entry.reason = all.first().map_or(why.clone(), |r| r.server_said.clone());
                    sort_out(entry, &all, teller);
                }
            }
        }
    }
    if !entry.envelope.to.is_empty() && now - entry.kept_at >= GIVE_UP_AFTER {
        let reason = entry.reason.clone();
        let verdicts = result.as_ref().map(|r| &r.refused[..]).unwrap_or_default();
        let given_up = |address: String| RefusedRecipient {
            for_good: false,
            server_said: verdicts
                .iter()
                .find(|r| r.address == address)
                .map_or_else(|| reason.clone(), |r| r.server_said.clone()),
            address,
        };
        let left = std::mem::take(&mut entry.envelope.to);
        entry.refused.extend(left.into_iter().map(given_up));
    }
    if !entry.envelope.to.is_empty() {
        let wait = i64::try_from(wait.as_secs()).unwrap_or(i64::MAX);
        entry.state = OutboxState::Waiting;
        entry.next_attempt = now + backoff(entry.attempts, random()).max(wait.min(24 * 3600));
        return Settled::Later(entry.next_attempt);
    }
    if entry.refused.is_empty() {
        return Settled::Gone;
    }
    entry.state = OutboxState::Failed;
    Settled::Failed
}

/// Keeps those refused for now among the recipients, and those refused for good for the report.
fn sort_out(entry: &mut OutboxEntry, refused: &[RefusedRecipient], teller: Teller) {
    for one in refused {
        if !one.for_good {
            entry.reason = format!("{}: {}", one.address, one.server_said);
            entry.envelope.to.push(one.address.clone());
        } else if teller == Teller::Report {
            entry.refused.push(one.clone());
        }
    }
}

/// Seconds until the attempt after `attempts`: doubling, and up to a fifth more or less, so that
/// messages that failed together do not come back together. `random` is of 0 to 1.
fn backoff(attempts: u32, random: f64) -> i64 {
    let doubled = FIRST_WAIT << attempts.saturating_sub(1).min(16);
    let wait = doubled.min(LONGEST_WAIT) as f64;
    (wait * (0.8 + 0.4 * random)) as i64
}

fn random() -> f64 {
    // Without random numbers the jitter is missing, nothing else.
    let random = digest::random().map_or(0, u32::from_le_bytes);
    f64::from(random) / f64::from(u32::MAX)
}

/// An error in one line, the server's words included.
fn words(err: &anyhow::Error) -> String {
    let mut text = format!("{err:#}");
    if let Some(said) = err
        .downcast_ref::<Fault>()
        .and_then(|f| f.server_said.as_ref())
    {
        text = format!("{text}: {said}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::Envelope;
    use proptest::prelude::*;

    fn entry(to: &[&str]) -> OutboxEntry {
        OutboxEntry {
            id: 1,
            file: "x".into(),
            envelope: Envelope {
                from: Some("us@contoso.example".into()),
                to: to.iter().map(|&t| t.to_owned()).collect(),
                ..Envelope::default()
            },
            message_id: "<1@contoso.example>".into(),
            shared_id: false,
            size: 1,
            state: OutboxState::Sending,
            attempts: 1,
            next_attempt: 0,
            reason: String::new(),
            refused: Vec::new(),
            report: None,
            kept_at: 1000,
            changed_at: 1000,
        }
    }

    fn refused(address: &str, for_good: bool) -> RefusedRecipient {
        RefusedRecipient {
            address: address.into(),
            for_good,
            server_said: if for_good { "550 no" } else { "450 later" }.into(),
        }
    }

    #[test]
    fn only_what_was_not_accepted_is_left() {
        let mut entry = entry(&["a", "b", "c"]);
        let receipt = Ok(Receipt {
            refused: vec![refused("b", true), refused("c", false)],
            ..Receipt::of(Outcome::Accepted)
        });
        let settled = after_attempt(&mut entry, &receipt, Teller::Report, 1000);
        assert!(matches!(settled, Settled::Later(at) if (1048..=1072).contains(&at)));
        assert_eq!(entry.envelope.to, ["c"]);
        assert_eq!(entry.refused, [refused("b", true)]);
        assert!(entry.shared_id, "Sent Items has this Message-ID now");
        let later = 1000 + GIVE_UP_AFTER;
        let receipt = Ok(Receipt {
            refused: vec![refused("c", false)],
            ..Receipt::of(Outcome::Refused { for_good: false })
        });
        let settled = after_attempt(&mut entry, &receipt, Teller::Report, later);
        assert_eq!(settled, Settled::Failed);
        assert_eq!(entry.refused, [refused("b", true), refused("c", false)]);
        assert_eq!(entry.envelope.to, [""; 0]);
    }

    #[test]
    fn unknown_keeps_everybody_and_waits_for_a_person() {
        let mut entry = entry(&["a"]);
        let receipt = Ok(Receipt::of(Outcome::Unknown));
        let far = 1000 + 2 * GIVE_UP_AFTER;
        assert_eq!(
            after_attempt(&mut entry, &receipt, Teller::Report, far),
            Settled::Unknown
        );
        assert_eq!(
            (entry.state, entry.envelope.to),
            (OutboxState::Unknown, vec!["a".to_owned()])
        );
    }

    #[test]
    fn a_wait_that_the_server_asked_for_is_kept() {
        let mut entry = entry(&["a"]);
        let fault = Fault::try_later("x").retry_after(Some(Duration::from_secs(7200)));
        let settled = after_attempt(&mut entry, &Err(fault.into()), Teller::Caller, 1000);
        assert_eq!(settled, Settled::Later(8200));
    }

    proptest! {
        #[test]
        fn nobody_is_lost(
            to in proptest::collection::btree_set("[a-f]", 1..6),
            fates in proptest::collection::vec(0..3u8, 6),
            outcome in 0..5u8,
            age in 0..2 * GIVE_UP_AFTER,
        ) {
            let to: Vec<&str> = to.iter().map(String::as_str).collect();
            let verdicts: Vec<_> = to.iter().zip(&fates).filter(|(_, f)| **f > 0).map(|(t, f)| refused(t, *f == 1)).collect();
            let outcome = match outcome {
                0 => None,
                1 => Some(Outcome::Accepted),
                2 => Some(Outcome::Refused { for_good: true }),
                3 => Some(Outcome::Refused { for_good: false }),
                _ => Some(Outcome::Unknown),
            };
            let accepted: Vec<&str> = match outcome {
                Some(Outcome::Accepted) => to.iter().copied().filter(|t| !verdicts.iter().any(|v| v.address == *t)).collect(),
                _ => Vec::new(),
            };
            let result = match outcome {
                None => Err(Fault::try_later("x").into()),
                Some(outcome) => Ok(Receipt { refused: verdicts, ..Receipt::of(outcome) }),
            };
            let mut entry = entry(&to);
            let settled = after_attempt(&mut entry, &result, Teller::Report, 1000 + age);
            let mut found = accepted;
            found.extend(entry.envelope.to.iter().map(String::as_str));
            found.extend(entry.refused.iter().map(|r| r.address.as_str()));
            found.sort_unstable();
            prop_assert_eq!(found, to);
            prop_assert_eq!(settled == Settled::Gone, entry.envelope.to.is_empty() && entry.refused.is_empty());
        }

        #[test]
        fn the_wait_grows_and_has_an_end(attempts in 1..60u32, random in 0.0..1.0f64) {
            let wait = backoff(attempts, random);
            prop_assert!((48..=LONGEST_WAIT * 6 / 5).contains(&wait));
            prop_assert!(attempts < 10 || wait >= LONGEST_WAIT * 4 / 5);
        }
    }
}

//! Where a message stands after an attempt: gone, later, unknown or given up.

use super::{ReportTo, Settled};
use crate::digest;
use crate::fault::Fault;
use crate::mail::{Outcome, Receipt, RefusedRecipient};
use crate::state::{self, OutboxEntry, OutboxState};
use anyhow::Result;
use std::collections::HashMap;

/// A message that could not be sent for so many seconds is given up (RFC 5321 §4.5.4.1 has 4 to
/// 5 days), but not before it was tried so often: the time may have passed while the machine was
/// off, or on a clock that was set. So many attempts are spread over half a day by the program's
/// own waits.
const GIVE_UP_AFTER: i64 = 5 * 24 * 3600;
const GIVE_UP_ATTEMPTS: u32 = 12;

/// The wait after the first attempt; it doubles with each.
const FIRST_WAIT: i64 = 60;
/// The longest wait between two attempts.
const LONGEST_WAIT: i64 = 4 * 3600;

/// Decides where a message stands after an attempt.
pub fn after_attempt(
    entry: &mut OutboxEntry,
    result: &Result<Receipt>,
    report_to: ReportTo,
    now: i64,
) -> Settled {
    // Nothing was kept later than now: the clock was ahead then.
    entry.kept_at = entry.kept_at.min(now);
    match result {
        Err(err) => entry.reason = words(err),
        Ok(receipt) => match receipt.outcome {
            Outcome::Unknown => {
                nobody_knows(entry, receipt, report_to);
                return Settled::Unknown;
            }
            Outcome::Accepted => {
                entry.shared_id = true;
                entry.envelope.to.clear();
                sort_out(entry, &receipt.refused, report_to);
            }
            Outcome::Refused { .. } if receipt.may_pass() => put_off(entry, receipt, report_to),
            Outcome::Refused { .. } => refuse(entry, receipt, report_to),
        },
    }
    let tried_long = now - entry.kept_at >= GIVE_UP_AFTER && entry.attempts >= GIVE_UP_ATTEMPTS;
    if tried_long {
        let reason = entry.reason.clone();
        let given_up = all_refused(entry, result.as_ref().ok(), &reason, false);
        entry.refused.extend(given_up);
    }
    if !entry.envelope.to.is_empty() {
        let wait = backoff(entry.attempts, random()).max(asked_for(result));
        entry.state = OutboxState::Waiting;
        entry.next_attempt = now + wait;
        return Settled::Later(entry.next_attempt);
    }
    if entry.refused.is_empty() {
        return Settled::Gone;
    }
    entry.state = OutboxState::Failed;
    Settled::Failed
}

/// The connection broke before the server answered: a person decides about the message.
fn nobody_knows(entry: &mut OutboxEntry, receipt: &Receipt, report_to: ReportTo) {
    let why = why(receipt);
    entry.state = OutboxState::Unknown;
    entry.reason = match why.is_empty() {
        true => "the connection broke after the transfer of the message".into(),
        false => why,
    };
    // Whom the server refused before that has it not, whatever Sent Items hold.
    let verdicts = verdicts(receipt);
    let is_open = |to: &String| !verdicts.contains_key(to.as_str());
    entry.envelope.to.retain(is_open);
    if report_to == ReportTo::Queue {
        let untold = receipt.refused.iter().cloned();
        entry.refused.extend(untold.map(|r| RefusedRecipient {
            for_good: true,
            ..r
        }));
    }
}

/// The message was refused, and may be accepted later for all but those refused for good.
fn put_off(entry: &mut OutboxEntry, receipt: &Receipt, report_to: ReportTo) {
    let verdicts = verdicts(receipt);
    let is_gone = |r: &&RefusedRecipient| !r.may_pass();
    let is_left = |to: &String| !verdicts.get(to.as_str()).is_some_and(is_gone);
    entry.envelope.to.retain(is_left);
    let gone: Vec<_> = receipt.refused.iter().filter(is_gone).cloned().collect();
    sort_out(entry, &gone, report_to);
    let why = why(receipt);
    entry.reason = match why.is_empty() {
        true => receipt
            .refused
            .iter()
            .find(|r| r.may_pass())
            .map_or_else(String::new, ToString::to_string),
        false => why,
    };
}

/// The message was refused for good, for everybody.
fn refuse(entry: &mut OutboxEntry, receipt: &Receipt, report_to: ReportTo) {
    let why = why(receipt);
    let all = all_refused(entry, Some(receipt), &why, true);
    entry.reason = all.first().map_or(why, |r| r.server_said.clone());
    sort_out(entry, &all, report_to);
}

/// Takes the recipients that are left out of the message: each is refused with the server's verdict on
/// it, or with what was `said` of the whole message.
fn all_refused(
    entry: &mut OutboxEntry,
    receipt: Option<&Receipt>,
    said: &str,
    for_good: bool,
) -> Vec<RefusedRecipient> {
    let verdicts = receipt.map(verdicts).unwrap_or_default();
    let refused = |address: String| match verdicts.get(address.as_str()) {
        Some(verdict) => RefusedRecipient {
            for_good,
            ..(*verdict).clone()
        },
        None => RefusedRecipient {
            address,
            for_good,
            server_said: said.to_owned(),
            code: receipt.and_then(|receipt| receipt.code),
        },
    };
    let left = std::mem::take(&mut entry.envelope.to);
    left.into_iter().map(refused).collect()
}

/// What the server said of single recipients.
fn verdicts(receipt: &Receipt) -> HashMap<&str, &RefusedRecipient> {
    let refused = receipt.refused.iter();
    refused.map(|r| (r.address.as_str(), r)).collect()
}

/// What was said of the whole message, by the program and by the server.
fn why(receipt: &Receipt) -> String {
    let ours = receipt.why.as_ref().map(ToString::to_string);
    let said = ours.into_iter().chain(receipt.server_said.clone());
    said.collect::<Vec<_>>().join(": ")
}

/// So many seconds the server asked to wait.
fn asked_for(result: &Result<Receipt>) -> i64 {
    let fault = result
        .as_ref()
        .err()
        .and_then(|e| e.downcast_ref::<Fault>());
    let wait = fault.and_then(|f| f.retry_after).unwrap_or_default();
    let wait = i64::try_from(wait.as_secs()).unwrap_or(i64::MAX);
    wait.min(state::LONGEST_WAIT)
}

/// Keeps those refused for now among the recipients, and the others for the report.
fn sort_out(entry: &mut OutboxEntry, refused: &[RefusedRecipient], report_to: ReportTo) {
    for one in refused {
        if one.may_pass() {
            entry.reason = one.to_string();
            entry.envelope.to.push(one.address.clone());
        } else if report_to == ReportTo::Queue {
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
    use crate::mail::{Code, Envelope};
    use proptest::prelude::*;
    use std::time::Duration;

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
            submitter: None,
            kept_at: 1000,
            changed_at: 1000,
        }
    }

    fn refused(address: &str, for_good: bool) -> RefusedRecipient {
        RefusedRecipient {
            address: address.into(),
            for_good,
            server_said: if for_good { "550 no" } else { "450 later" }.into(),
            code: Code::read(if for_good { "550" } else { "450" }),
        }
    }

    #[test]
    fn only_what_was_not_accepted_is_left() {
        let mut entry = entry(&["a", "b", "c"]);
        let receipt = Ok(Receipt {
            refused: vec![refused("b", true), refused("c", false)],
            ..Receipt::of(Outcome::Accepted)
        });
        let settled = after_attempt(&mut entry, &receipt, ReportTo::Queue, 1000);
        assert!(matches!(settled, Settled::Later(at) if (1048..=1072).contains(&at)));
        assert_eq!(entry.envelope.to, ["c"]);
        assert_eq!(entry.refused, [refused("b", true)]);
        assert!(entry.shared_id, "Sent Items has this Message-ID now");
        let later = 1000 + GIVE_UP_AFTER;
        entry.attempts = GIVE_UP_ATTEMPTS;
        let receipt = Ok(Receipt {
            refused: vec![refused("c", false)],
            ..Receipt::of(Outcome::Refused { for_good: false })
        });
        let settled = after_attempt(&mut entry, &receipt, ReportTo::Queue, later);
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
            after_attempt(&mut entry, &receipt, ReportTo::Queue, far),
            Settled::Unknown
        );
        assert_eq!(
            (entry.state, entry.envelope.to),
            (OutboxState::Unknown, vec!["a".to_owned()])
        );
    }

    #[test]
    fn whom_the_server_refused_before_it_broke_off_is_told_of_and_not_forgotten() {
        let broken = Ok(Receipt {
            refused: vec![refused("b", true), refused("c", false)],
            ..Receipt::of(Outcome::Unknown)
        });
        let mut entry = entry(&["a", "b", "c"]);
        after_attempt(&mut entry, &broken, ReportTo::Queue, 1000);
        assert_eq!(
            (entry.state, entry.envelope.to),
            (OutboxState::Unknown, vec!["a".to_owned()])
        );
        let told: Vec<_> = entry.refused.iter().map(|r| &r.address[..]).collect();
        assert_eq!(told, ["b", "c"]);
    }

    #[test]
    fn what_is_about_who_sends_is_kept_and_what_is_about_the_message_is_not() {
        for (said, is_kept) in [
            (
                "550 5.7.60 SMTP; Client does not have permissions to send as this sender",
                true,
            ),
            ("554 5.2.252 SendAsDenied", true),
            (
                "554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException",
                true,
            ),
            ("550 5.1.8 Access denied, bad outbound sender", true),
            ("550 5.7.501 Access denied", true),
            ("530 5.7.57 Client not authenticated to send mail", true),
            (
                "550 5.7.705 Access denied, tenant has exceeded threshold",
                true,
            ),
            ("554 5.6.0 Corrupt message content", false),
            (
                "552 5.3.4 Message size exceeds fixed maximum message size",
                false,
            ),
            ("552 5.2.3 Message too large", false),
            ("550 5.7.1 Message refused", false),
            ("550 5.5.105 External sending is not supported", false),
            ("550 no", false),
        ] {
            let receipt = Receipt {
                server_said: Some(said.to_owned()),
                code: Code::read(said),
                ..Receipt::of(Outcome::Refused { for_good: true })
            };
            let mut entry = entry(&["a"]);
            let settled = after_attempt(&mut entry, &Ok(receipt), ReportTo::Caller, 1000);
            assert_eq!(matches!(settled, Settled::Later(_)), is_kept, "{said}");
        }
        // A full mailbox is the recipient's where RCPT is refused.
        let told = |said: &str| RefusedRecipient {
            server_said: said.into(),
            code: Code::read(said),
            ..refused("a", true)
        };
        assert!(told("550 5.7.60 not as this sender").may_pass());
        assert!(!told("552 5.2.2 mailbox full").may_pass());
    }

    /// The attempts until it is given up, and the seconds that they took.
    fn given_up_after(entry: &mut OutboxEntry, mut now: i64) -> (u32, i64) {
        let start = now;
        loop {
            entry.attempts += 1;
            let away = Err(Fault::try_later("away").into());
            match after_attempt(entry, &away, ReportTo::Queue, now) {
                Settled::Later(at) => now = at,
                settled => {
                    assert_eq!(settled, Settled::Failed);
                    return (entry.attempts, now - start);
                }
            }
        }
    }

    #[test]
    fn it_is_given_up_after_five_days_and_several_attempts_over_time() {
        let with = |kept_at| OutboxEntry {
            kept_at,
            attempts: 0,
            ..entry(&["a"])
        };
        let today = 1_800_000_000;
        let (_, took) = given_up_after(&mut with(today), today);
        assert!(
            (GIVE_UP_AFTER..GIVE_UP_AFTER + 5 * 3600).contains(&took),
            "{took}"
        );
        // Kept on a clock that had not been set; kept before the machine was off.
        for kept_at in [5, today - 6 * 86_400] {
            let (attempts, took) = given_up_after(&mut with(kept_at), today);
            assert!(attempts >= 12 && took > 12 * 3600, "{attempts} {took}");
        }
        // Kept while the clock was years ahead: the five days begin now.
        let mut ahead = with(today + 1_000_000_000);
        let (_, took) = given_up_after(&mut ahead, today);
        assert!(took < GIVE_UP_AFTER + 5 * 3600, "{took}");
        assert_eq!(ahead.kept_at, today);
    }

    #[test]
    fn a_wait_that_the_server_asked_for_is_kept() {
        let mut entry = entry(&["a"]);
        let fault = Fault::try_later("x").retry_after(Some(Duration::from_secs(7200)));
        let settled = after_attempt(&mut entry, &Err(fault.into()), ReportTo::Caller, 1000);
        assert_eq!(settled, Settled::Later(8200));
    }

    proptest! {
        #[test]
        fn nobody_is_lost(
            to in proptest::collection::btree_set("[a-f]", 1..6),
            fates in proptest::collection::vec(0..3u8, 6),
            outcome in 0..5u8,
            age in 0..2 * GIVE_UP_AFTER,
            attempts in 1..2 * GIVE_UP_ATTEMPTS,
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
            entry.attempts = attempts;
            let settled = after_attempt(&mut entry, &result, ReportTo::Queue, 1000 + age);
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

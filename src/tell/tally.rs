//! How many messages of a run of `send` were accepted, refused or kept, for its last line.

use crate::mail::{Outcome, Receipt};
use crate::output::Output;
use crate::send::Mail;
use crate::send::outbox::Settled;
use anyhow::Result;
use serde_json::json;
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

    /// How many messages servers accepted, and their octets.
    pub fn accepted(&self) -> (u64, u64) {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (count(&self.accepted), count(&self.octets))
    }

    /// The last JSON line of a run with several messages.
    pub fn tell(&self, output: &Output, took: Duration) -> Result<()> {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        output.json(&json!({
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

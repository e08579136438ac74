//! How every mailbox fares, what waits in the outbox and what will end; and what of it a monitor
//! should hear.

use crate::expiry::{self, Expiry};
use crate::fault::{Fault, Kind};
use crate::fetch::mailbox_key;
use crate::office::Office;
use crate::shell;
use crate::state::{Counter, Health, Incident, OutboxCounts, SendingWait, Store, Wait, WaitName};
use crate::wording::{clock, messages, span};
use anyhow::Result;
use jiff::Timestamp;

/// One mailbox and what is known of it.
pub struct Line<'a> {
    pub queue: &'a str,
    pub address: &'a str,
    pub health: Health,
    pub wait: Option<Wait>,
}

/// How a mailbox is, in one word: what explains most of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    Ok,
    /// No run has fetched it yet.
    New,
    /// A server asked to come back later.
    Waiting,
    /// The last run did not succeed.
    Failing,
    /// So many messages are in quarantine.
    Quarantined(u64),
}

impl Line<'_> {
    pub fn condition(&self) -> Condition {
        let health = &self.health;
        if self.wait.is_some() {
            Condition::Waiting
        } else if health.last_error.is_some() {
            Condition::Failing
        } else if health.quarantined > 0 {
            Condition::Quarantined(health.quarantined)
        } else if health.last_success.is_none() {
            Condition::New
        } else {
            Condition::Ok
        }
    }
}

/// All that is known at one time.
pub struct Report<'a> {
    pub at: Timestamp,
    /// The mailboxes, the most urgent ones first.
    pub lines: Vec<Line<'a>>,
    pub outbox: OutboxCounts,
    /// Secrets and certificates whose end is known.
    pub ends: Vec<Expiry>,
    waits: Vec<SendingWait>,
    /// What was counted, and of whom.
    pub counters: Vec<(Counter, String, u64)>,
    /// The incidents that were told and are not over.
    pub incidents: Vec<Incident>,
}

impl<'a> Report<'a> {
    pub fn of(office: &'a Office<'a>, store: &Store) -> Result<Report<'a>> {
        let at = Timestamp::now();
        let mut entries: Vec<_> = office.mailboxes().collect();
        entries.sort_by_key(|entry| entry.priority());
        let line = |address: &'a str, queue: &'a str| {
            let key = mailbox_key(address);
            Ok(Line {
                queue,
                address,
                health: store.health(&key)?,
                wait: store.wait(WaitName::Mailbox(&key), at)?,
            })
        };
        let entries = entries.iter();
        let mut incidents = store.incidents()?;
        incidents.retain(|i| i.told_at.is_some() && i.closed_at.is_none());
        Ok(Report {
            at,
            lines: entries
                .map(|entry| line(entry.address.address.as_str(), &entry.queue.name))
                .collect::<Result<_>>()?,
            outbox: store.outbox_counts()?,
            ends: expiry::of_servers(office),
            waits: store.sending_waits(at)?,
            counters: store.counters()?,
            incidents,
        })
    }

    /// What a monitor should hear of; a mailbox that was not fetched for `max_age` seconds is not
    /// well.
    pub fn problems(&self, max_age: u32) -> Vec<Fault> {
        let now = self.at;
        let mailboxes = self.lines.iter();
        mailboxes
            .flat_map(|line| of_mailbox(line, now, max_age))
            .chain(of_outbox(&self.outbox, now, max_age))
            .chain(self.ends.iter().filter_map(|end| end.warning(now)))
            .chain(self.waits.iter().map(of_sender))
            .collect()
    }
}

/// What a monitor should hear of. The kinds: `Refused` where mail may be piling up, `TryLater`
/// where something waits for a person but mail flows.
fn of_mailbox(line: &Line<'_>, now: Timestamp, max_age: u32) -> Vec<Fault> {
    let Line {
        queue,
        address,
        health,
        wait,
    } = line;
    let mut found = Vec::new();
    let age = health.last_success.map(|at| now.as_second() - at);
    let error = health
        .last_error
        .as_ref()
        .map(|(_, text)| format!("; the last run said: {text}"))
        .unwrap_or_default();
    let check = format!("find the cause: queuemail check {}", shell::quote(address));
    let fetched = match age {
        Some(age) if age.abs() <= i64::from(max_age) => None,
        // Every run since would have set it right.
        Some(age) if age < 0 => Some(format!(
            "was last fetched when the clock was wrong, {} ahead",
            span(-age)
        )),
        Some(age) => Some(format!("was last fetched {} ago", span(age))),
        None => Some("has never been fetched".to_owned()),
    };
    if let Some(fetched) = fetched {
        let what = format!("`{address}` (queue `{queue}`) {fetched}{error}");
        found.push(Fault::new(Kind::Refused, what).hint(check.clone()));
    }
    if health.quarantined > 0 {
        found.push(
            Fault::try_later(format!(
                "{} of `{address}` (queue `{queue}`) in quarantine",
                messages(health.quarantined)
            ))
            .hint("see why: queuemail quarantine list"),
        );
    }
    if health.backlog > 0 && health.last_error.is_some() {
        found.push(
            Fault::try_later(format!(
                "{} of `{address}` (queue `{queue}`) could not be delivered yet",
                messages(health.backlog)
            ))
            .hint(check),
        );
    }
    if let Some((refused, reason)) = &health.refused {
        found.push(Fault::try_later(format!(
            "the server refuses to mark, move or delete {} of `{address}` (queue `{queue}`) after the delivery: {reason}",
            messages(*refused)
        )));
    }
    if let Some(wait) = wait {
        found.push(Fault::try_later(format!(
            "`{address}` (queue `{queue}`) waits until {}: {}",
            clock(wait.until),
            wait.reason
        )));
    }
    found
}

/// What waits in the outbox: it is well while it is young, and a person's as soon as nobody knows.
fn of_outbox(outbox: &OutboxCounts, now: Timestamp, max_age: u32) -> Vec<Fault> {
    let mut found = Vec::new();
    let mut late = |n: u64, what: &str, hint: &str| {
        if n > 0 {
            found
                .push(Fault::try_later(format!("{} of the outbox {what}", messages(n))).hint(hint));
        }
    };
    let age = outbox.oldest.map_or(0, |at| now.as_second() - at);
    if age.abs() > i64::from(max_age) {
        let since = match age < 0 {
            true => format!(
                "kept while the clock was wrong, {} ahead",
                span(age.saturating_neg())
            ),
            false => format!("for {}", span(age)),
        };
        late(
            outbox.waiting,
            &format!("could not be sent yet, the oldest {since}"),
            "see why: queuemail outbox list; sent by: queuemail outbox flush",
        );
    }
    late(
        outbox.unknown,
        "may or may not have been accepted",
        "check Sent Items and send what is not there: queuemail outbox retry ID",
    );
    late(
        outbox.failed,
        "could not be sent, nor the report to its sender",
        "see why: queuemail outbox list",
    );
    found
}

/// A sender that a server asked to wait.
fn of_sender(SendingWait { server, user, wait }: &SendingWait) -> Fault {
    Fault::try_later(format!(
        "mail of `{user}` through outgoing server `{server}` waits until {}: {}",
        clock(wait.until),
        wait.reason
    ))
}

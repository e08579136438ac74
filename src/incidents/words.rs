//! What is said of an incident: a line for people, an object for programs.

use super::decide::Notice;
use crate::fault::Fault;
use crate::state::{Event, Health, IncidentKind, IncidentName, OutboxCounts, TokenKey};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::collections::BTreeSet;

/// So many mailboxes are named; of the others the number is told.
const NAMED: usize = 5;

/// A notice in one line.
pub fn text(notice: &Notice) -> String {
    let what = what(&notice.name);
    let long = length(notice.at - notice.since);
    let whose = mailboxes(&notice.name, &notice.mailboxes);
    let reason = notice.reason.replace('\n', " ");
    match notice.event {
        Event::Opened => format!(
            "{what} has failed since {} ({long}){whose}: {reason}",
            clock(notice.since)
        ),
        Event::Repeated => format!(
            "{what} still fails, since {} ({long}){whose}: {reason}",
            clock(notice.since)
        ),
        Event::Recovered => format!("{what} works again after {long}{whose}"),
    }
}

fn what(name: &IncidentName) -> String {
    let subject = &name.subject;
    match name.kind {
        IncidentKind::Host => format!("host `{subject}`"),
        IncidentKind::SignIn => {
            let key = TokenKey::parse(subject);
            match key.account.is_empty() {
                true => format!(
                    "the sign-in of app `{}` at {}",
                    key.client_id, key.authority
                ),
                false => format!("the sign-in of `{}` at {}", key.account, key.authority),
            }
        }
        IncidentKind::Mailbox => format!("mailbox `{subject}`"),
        IncidentKind::Messages => format!("mail of `{subject}`"),
        IncidentKind::Outbox => "the outbox".to_owned(),
        IncidentKind::Notifier => format!("`notify.{subject}`"),
    }
}

/// The mailboxes that the name does not tell.
fn mailboxes(name: &IncidentName, all: &BTreeSet<String>) -> String {
    let is_shared = matches!(name.kind, IncidentKind::Host | IncidentKind::SignIn);
    if !is_shared || all.is_empty() {
        return String::new();
    }
    let named: Vec<&str> = all.iter().take(NAMED).map(String::as_str).collect();
    let more = match all.len() - named.len() {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    format!(", mailboxes {}{more}", named.join(", "))
}

/// Why mail does not leave the outbox.
pub fn outbox(counts: &OutboxCounts) -> String {
    let all = [
        (counts.waiting, "waiting"),
        (counts.unknown, "may or may not have been accepted"),
        (
            counts.failed,
            "could not be sent, nor the report to its sender",
        ),
    ];
    listed(all)
}

/// What messages of a mailbox are not delivered.
pub fn messages(health: &Health) -> String {
    let all = [
        (health.backlog, "to be tried again"),
        (health.quarantined, "in quarantine"),
    ];
    listed(all)
}

fn listed<const N: usize>(all: [(u64, &str); N]) -> String {
    let there = all.into_iter().filter(|(n, _)| *n > 0);
    let parts: Vec<String> = there.map(|(n, what)| format!("{n} {what}")).collect();
    parts.join(", ")
}

/// An error in one line: the program's words and the server's.
pub fn in_short(err: &anyhow::Error) -> String {
    let said = err
        .downcast_ref::<Fault>()
        .and_then(|f| f.server_said.as_deref());
    let what = err.root_cause().to_string();
    match said {
        Some(said) => format!("{what}: {said}"),
        None => what,
    }
}

/// A length of time in its two greatest units.
fn length(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let of = |n: i64, unit: &str, m: i64, part: &str| match m {
        0 => format!("{n} {unit}"),
        m => format!("{n} {unit} {m} {part}"),
    };
    match () {
        () if days > 0 => of(days, "d", hours % 24, "h"),
        () if hours > 0 => of(hours, "h", minutes % 60, "min"),
        () if minutes > 0 => format!("{minutes} min"),
        () => format!("{seconds} s"),
    }
}

/// A day and a time, local.
fn clock(at: i64) -> String {
    Timestamp::from_second(at).map_or_else(
        |_| at.to_string(),
        |at| {
            let at = at.to_zoned_datetime(TimeZone::system());
            at.strftime("%Y-%m-%d %H:%M").to_string()
        },
    )
}

//! `status`: the health of mailboxes, as tables for people and as one object for programs.

use super::table::Table;
use crate::expiry::{self, Expiry};
use crate::fault::Fault;
use crate::health::{Condition, Host, Line, Report};
use crate::output::Output;
use crate::state::{Incident, OutboxCounts, Rotation};
use crate::wording::{clock, local_time, messages, span, stamp};
use anyhow::Result;
use jiff::Timestamp;
use serde_json::json;

/// For people.
pub fn tables(output: &Output, report: &Report<'_>) -> Result<()> {
    mailboxes(output, &report.lines, report.at)?;
    outbox(output, &report.outbox, report.at)?;
    hosts(output, report)?;
    print_ends(output, &report.ends, report.at)?;
    print_rotations(output, &report.rotations)
}

/// For programs.
pub fn object(report: &Report<'_>, problems: &[Fault]) -> serde_json::Value {
    let mailboxes: Vec<_> = report.lines.iter().map(as_json).collect();
    let problems: Vec<_> = problems.iter().map(|p| &p.what).collect();
    let outbox = &report.outbox;
    json!({
        "mailboxes": mailboxes,
        "outbox": {
            "waiting": outbox.waiting,
            "unknown": outbox.unknown,
            "failed": outbox.failed,
            "oldest": time(outbox.oldest),
        },
        "hosts": report.hosts.iter().map(host).collect::<Vec<_>>(),
        "expiries": ends_json(&report.ends),
        "rotations": report.rotations.iter().map(rotation).collect::<Vec<_>>(),
        "incidents": report.incidents.iter().map(incident).collect::<Vec<_>>(),
        "problems": problems,
    })
}

fn host(Host { host, is_alike }: &Host) -> serde_json::Value {
    json!({
        "host": host.name,
        "version": host.version,
        "seen": time(Some(host.seen)),
        "visits": host.visits,
        "messages": host.messages,
        "same_configuration": is_alike,
    })
}

fn incident(incident: &Incident) -> serde_json::Value {
    json!({
        "incident": incident.name.to_string(),
        "since": time(Some(incident.opened_at)),
        "reason": incident.reason,
        "mailboxes": incident.mailboxes,
    })
}

fn time(at: Option<i64>) -> Option<String> {
    at.and_then(stamp)
}

/// The column of the state.
const STATE: usize = 2;

/// A state as people search for it.
pub(super) fn word(condition: Condition) -> String {
    match condition {
        Condition::Ok => "ok".to_owned(),
        Condition::New => "new".to_owned(),
        Condition::Waiting => "waiting".to_owned(),
        Condition::Failing => "failing".to_owned(),
        Condition::Quarantined(count) => format!("quarantined: {count}"),
    }
}

/// Green, yellow, red, or none.
fn color(condition: Condition) -> Option<u8> {
    match condition {
        Condition::Ok => Some(32),
        Condition::New => None,
        Condition::Waiting | Condition::Quarantined(_) => Some(33),
        Condition::Failing => Some(31),
    }
}

fn mailboxes(output: &Output, lines: &[Line<'_>], now: Timestamp) -> Result<()> {
    let mut table = Table::new(&[
        "QUEUE",
        "ADDRESS",
        "STATE",
        "FETCHED",
        "LAST MAIL",
        "DELIVERED",
    ]);
    for line in lines {
        let health = &line.health;
        let ago = |at: Option<i64>| match at {
            Some(at) => format!("{} ago", span(now.as_second() - at)),
            None => "never".to_owned(),
        };
        let condition = line.condition();
        table.row(vec![
            line.queue.to_owned(),
            line.address.to_owned(),
            word(condition),
            ago(health.last_success),
            ago(health.last_message),
            health.delivered.to_string(),
        ]);
        table.color(STATE, color(condition));
        let mut note = Vec::new();
        if health.backlog > 0 {
            note.push(format!("{} pending", messages(health.backlog)));
        }
        if health.quarantined > 0 && !matches!(condition, Condition::Quarantined(_)) {
            note.push(format!("{} in quarantine", messages(health.quarantined)));
        }
        match (&line.wait, &health.last_error) {
            (Some(wait), _) => note.push(format!("until {}: {}", clock(wait.until), wait.reason)),
            (None, Some((_, error))) => note.push(error.clone()),
            (None, None) => {}
        }
        if !note.is_empty() {
            table.note(&note.join("; "));
        }
    }
    table.print(output)
}

/// The hosts that share the state, if any was at work lately.
fn hosts(output: &Output, report: &Report<'_>) -> Result<()> {
    if report.hosts.is_empty() {
        return Ok(());
    }
    output.line("")?;
    let mut table = Table::new(&[
        "HOST",
        "VERSION",
        "SEEN",
        "VISITS",
        "MESSAGES",
        "CONFIGURATION",
    ]);
    for Host { host, is_alike } in &report.hosts {
        table.row(vec![
            host.name.clone(),
            host.version.clone(),
            format!("{} ago", span(report.at.as_second() - host.seen)),
            host.visits.to_string(),
            host.messages.to_string(),
            match is_alike {
                Some(true) => "same".to_owned(),
                Some(false) => "another".to_owned(),
                None => "-".to_owned(),
            },
        ]);
    }
    table.print(output)
}

/// A line on the outbox, if it holds anything.
fn outbox(output: &Output, outbox: &OutboxCounts, now: Timestamp) -> Result<()> {
    let Some(oldest) = outbox.oldest else {
        return Ok(());
    };
    output.line(&format!(
        "outbox: {} waiting, {} unknown, {} failed, the oldest {} old",
        outbox.waiting,
        outbox.unknown,
        outbox.failed,
        span(now.as_second() - oldest)
    ))
}

/// What ends by itself, if anything is known to.
fn print_ends(output: &Output, ends: &[Expiry], now: Timestamp) -> Result<()> {
    if !ends.is_empty() {
        output.line("")?;
    }
    let mut table = Table::new(&["SERVER", "CREDENTIAL", "STATE"]);
    for Expiry {
        kind, server, at, ..
    } in ends
    {
        table.row(vec![
            server.clone(),
            (*kind).to_owned(),
            expiry::ends(*at, now),
        ]);
    }
    table.print(output)
}

/// What is left to be done of renewals.
fn print_rotations(output: &Output, rotations: &[Rotation]) -> Result<()> {
    for Rotation {
        server,
        kind,
        remove_at,
        begun_at,
        ..
    } in rotations
    {
        output.line(&match remove_at {
            Some(at) => format!(
                "the old {kind} of server `{server}` is to be removed after {}",
                local_time(*at)
            ),
            None => format!(
                "a renewal of the {kind} of server `{server}` began at {} and is not finished",
                local_time(*begun_at)
            ),
        })?;
    }
    Ok(())
}

fn rotation(rotation: &Rotation) -> serde_json::Value {
    json!({
        "server": rotation.server,
        "credential": rotation.kind,
        "step": rotation.step.name(),
        "began": time(Some(rotation.begun_at)),
        "remove_after": time(rotation.remove_at),
    })
}

fn ends_json(ends: &[Expiry]) -> Vec<serde_json::Value> {
    ends.iter()
        .map(|end| {
            json!({
                "server": end.server,
                "credential": end.kind,
                "expires": end.at.to_string(),
            })
        })
        .collect()
}

fn as_json(line: &Line<'_>) -> serde_json::Value {
    let health = &line.health;
    json!({
        "queue": line.queue,
        "address": line.address,
        "last_visit": time(line.visited),
        "last_success": time(health.last_success),
        "last_message": time(health.last_message),
        "last_error": health.last_error.as_ref().map(|(_, text)| text),
        "delivered": health.delivered,
        "pending": health.backlog,
        "quarantined": health.quarantined,
        "unsettled": health.unsettled,
        "waits_until": line.wait.as_ref().map(|w| w.until.to_string()),
        "waits_for": line.wait.as_ref().map(|w| &w.reason),
    })
}

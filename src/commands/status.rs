//! `status`: how every mailbox fares, for a person, a monitor or Prometheus.

mod metrics;
mod nagios;
mod of_mailboxes;

use super::Context;
use super::table::Table;
use crate::cli::{StatusArgs, StatusFormat};
use crate::config::{self, Config};
use crate::expiry::{self, Expiry};
use crate::fault::{Errors, Fault, Kind};
use crate::fetch::mailbox_key;
use crate::shell;
use crate::state::{Health, Incident, OutboxCounts, SendingWait, Store, Wait, WaitName};
use anyhow::Result;
use jiff::Timestamp;
use serde_json::json;

/// One mailbox and what is known of it.
struct Line<'a> {
    queue: &'a str,
    address: &'a str,
    health: Health,
    wait: Option<Wait>,
}

pub fn run(context: &Context, args: &StatusArgs) -> Result<(), Errors> {
    match args.format {
        StatusFormat::Text => look(context, args),
        // Whatever goes wrong, a monitor gets its line.
        StatusFormat::Nagios => match look(context, args) {
            Err(errors) if !errors.is_of_plugin() => nagios::unknown(&context.output, errors),
            told => told,
        },
    }
}

fn look(context: &Context, args: &StatusArgs) -> Result<(), Errors> {
    let config = config::load(&context.config_path)?;
    let store = context.store()?;
    let now = Timestamp::now();
    let lines = lines(&config, &store, now)?;
    let outbox = store.outbox_counts()?;
    let ends = expiry::of_servers(&config, |_| true);
    let mut incidents = store.incidents()?;
    incidents.retain(|incident| incident.told_at.is_some() && incident.closed_at.is_none());
    if let Some(path) = &args.metrics {
        let known = metrics::Known {
            lines: &lines,
            outbox: &outbox,
            ends: &ends,
            counters: &store.counters()?,
            incidents: &incidents,
        };
        known.write(path)?;
    }
    let problems: Vec<Fault> = lines
        .iter()
        .flat_map(|line| problems(line, now, args.max_age))
        .chain(outbox_problems(&outbox, now, args.max_age))
        .chain(ends.iter().filter_map(|end| end.warning(now)))
        .chain(sending_waits(&store, now)?)
        .collect();
    if args.format == StatusFormat::Nagios {
        let output = &context.output;
        return nagios::tell(output, &lines, &outbox, &problems, now, args.max_age);
    }
    if context.output.json {
        let mailboxes: Vec<_> = lines.iter().map(as_json).collect();
        let problems: Vec<_> = problems.iter().map(|p| &p.what).collect();
        context.output.json(&json!({
            "mailboxes": mailboxes,
            "outbox": {
                "waiting": outbox.waiting,
                "unknown": outbox.unknown,
                "failed": outbox.failed,
                "oldest": time(outbox.oldest),
            },
            "expiries": ends_json(&ends),
            "incidents": incidents.iter().map(incident_json).collect::<Vec<_>>(),
            "problems": problems,
        }))?;
    } else if !args.check && args.metrics.is_none() {
        print_table(context, &lines, now)?;
        print_outbox(context, &outbox, now)?;
        print_ends(context, &ends, now)?;
    }
    if args.check {
        if problems.is_empty() && !context.output.json {
            context
                .output
                .step(&format!("all is well with {} mailboxes", lines.len()));
        }
        Errors::none_or(problems.into_iter().map(Into::into).collect())?;
    }
    Ok(())
}

fn lines<'a>(config: &'a Config, store: &Store, now: Timestamp) -> Result<Vec<Line<'a>>> {
    let mut entries: Vec<_> = config.mailboxes().collect();
    entries.sort_by_key(|entry| entry.priority());
    entries
        .into_iter()
        .map(|entry| {
            let address = entry.address.address.as_str();
            let key = mailbox_key(address);
            Ok(Line {
                queue: &entry.queue.name,
                address,
                health: store.health(&key)?,
                wait: store.wait(WaitName::Mailbox(&key), now)?,
            })
        })
        .collect()
}

/// What a monitor should hear of. The kinds: `Refused` where mail may be piling up, `TryLater`
/// where something waits for a person but mail flows.
fn problems(line: &Line<'_>, now: Timestamp, max_age: u32) -> Vec<Fault> {
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
    match age {
        Some(age) if age.abs() <= i64::from(max_age) => {}
        // Every run since would have set it right.
        Some(age) if age < 0 => found.push(
            Fault::new(
                Kind::Refused,
                format!(
                    "`{address}` (queue `{queue}`) was last fetched when the clock was wrong, {} ahead{error}",
                    span(-age)
                ),
            )
            .hint(check.clone()),
        ),
        Some(age) => found.push(
            Fault::new(
                Kind::Refused,
                format!(
                    "`{address}` (queue `{queue}`) was last fetched {} ago{error}",
                    span(age)
                ),
            )
            .hint(check.clone()),
        ),
        None => found.push(
            Fault::new(
                Kind::Refused,
                format!("`{address}` (queue `{queue}`) has never been fetched{error}"),
            )
            .hint(check.clone()),
        ),
    }
    if health.quarantined > 0 {
        found.push(
            Fault::try_later(format!(
                "{} of `{address}` (queue `{queue}`) in quarantine",
                count(health.quarantined)
            ))
            .hint("see why: queuemail quarantine list"),
        );
    }
    if health.backlog > 0 && health.last_error.is_some() {
        found.push(
            Fault::try_later(format!(
                "{} of `{address}` (queue `{queue}`) could not be delivered yet",
                count(health.backlog)
            ))
            .hint(check),
        );
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
fn outbox_problems(outbox: &OutboxCounts, now: Timestamp, max_age: u32) -> Vec<Fault> {
    let mut found = Vec::new();
    let mut late = |n: u64, what: &str, hint: &str| {
        if n > 0 {
            found.push(Fault::try_later(format!("{} of the outbox {what}", count(n))).hint(hint));
        }
    };
    let age = outbox.oldest.map_or(0, |at| now.as_second() - at);
    if age.abs() > i64::from(max_age) {
        let since = match age < 0 {
            true => format!(
                "kept when the clock was wrong, {} ahead",
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
        "look in Sent Items and send what is not there: queuemail outbox retry ID",
    );
    late(
        outbox.failed,
        "could not be sent, and its sender not be told",
        "see why: queuemail outbox list",
    );
    found
}

/// Senders that a server asked to wait.
fn sending_waits(store: &Store, now: Timestamp) -> Result<Vec<Fault>> {
    let waits = store.sending_waits(now)?.into_iter();
    Ok(waits
        .map(|SendingWait { server, user, wait }| {
            Fault::try_later(format!(
                "mail of `{user}` through outgoing server `{server}` waits until {}: {}",
                clock(wait.until),
                wait.reason
            ))
        })
        .collect())
}

/// A line on the outbox, if it holds anything.
fn print_outbox(context: &Context, outbox: &OutboxCounts, now: Timestamp) -> Result<()> {
    let Some(oldest) = outbox.oldest else {
        return Ok(());
    };
    context.output.line(&format!(
        "outbox: {} waiting, {} unknown, {} failed, the oldest {} old",
        outbox.waiting,
        outbox.unknown,
        outbox.failed,
        span(now.as_second() - oldest)
    ))
}

fn count(n: u64) -> String {
    match n {
        1 => "1 message".to_owned(),
        n => format!("{n} messages"),
    }
}

fn print_table(context: &Context, lines: &[Line<'_>], now: Timestamp) -> Result<()> {
    let mut table = Table::new(&[
        "QUEUE",
        "ADDRESS",
        "FETCHED",
        "LAST MAIL",
        "DELIVERED",
        "PENDING",
        "QUARANTINE",
        "STATE",
    ]);
    for line in lines {
        let health = &line.health;
        let ago = |at: Option<i64>| match at {
            Some(at) => format!("{} ago", span(now.as_second() - at)),
            None => "never".to_owned(),
        };
        let state = match (&line.wait, &health.last_error) {
            (Some(wait), _) => format!("waits until {}: {}", clock(wait.until), wait.reason),
            (None, Some((_, error))) => error.clone(),
            (None, None) if health.last_success.is_none() => "-".to_owned(),
            (None, None) => "well".to_owned(),
        };
        table.row(vec![
            line.queue.to_owned(),
            line.address.to_owned(),
            ago(health.last_success),
            ago(health.last_message),
            health.delivered.to_string(),
            health.backlog.to_string(),
            health.quarantined.to_string(),
            state,
        ]);
    }
    table.print(&context.output)
}

/// What ends by itself, if anything is known to.
fn print_ends(context: &Context, ends: &[Expiry], now: Timestamp) -> Result<()> {
    if !ends.is_empty() {
        context.output.line("")?;
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
    table.print(&context.output)
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

fn incident_json(incident: &Incident) -> serde_json::Value {
    json!({
        "incident": incident.name.to_string(),
        "since": time(Some(incident.opened_at)),
        "reason": incident.reason,
        "mailboxes": incident.mailboxes,
    })
}

fn time(at: Option<i64>) -> Option<String> {
    at.and_then(|at| Timestamp::from_second(at).ok())
        .map(|t| t.to_string())
}

fn as_json(line: &Line<'_>) -> serde_json::Value {
    let health = &line.health;
    json!({
        "queue": line.queue,
        "address": line.address,
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

/// A time span in one unit.
fn span(seconds: i64) -> String {
    match seconds.max(0) {
        s @ 0..120 => format!("{s} s"),
        s @ 120..7200 => format!("{} min", s / 60),
        s @ 7200..172_800 => format!("{} h", s / 3600),
        s => format!("{} days", s / 86_400),
    }
}

/// A time of day, local.
pub fn clock(time: Timestamp) -> String {
    time.to_zoned_datetime(jiff::tz::TimeZone::system())
        .strftime("%H:%M:%S")
        .to_string()
}

//! How mailboxes fare, in Prometheus' text format for the node exporter's textfile collector.

use crate::expiry::Expiry;
use crate::fault::{Fault, Kind};
use crate::files;
use crate::health::{Line, Report};
use crate::state::OutboxCounts;
use anyhow::Result;
use std::fmt::Write;
use std::path::Path;

/// Name, type, help and value; `None` leaves the sample out.
type Metric = (
    &'static str,
    &'static str,
    &'static str,
    fn(&Line<'_>) -> Option<i64>,
);
const METRICS: &[Metric] = &[
    (
        "queuemail_last_success_timestamp_seconds",
        "gauge",
        "End of the last run that fetched the mailbox without an error.",
        |l| l.health.last_success,
    ),
    (
        "queuemail_last_message_timestamp_seconds",
        "gauge",
        "When the last message was delivered.",
        |l| l.health.last_message,
    ),
    (
        "queuemail_last_run_failed",
        "gauge",
        "1 if the last run of the mailbox ended with an error.",
        |l| Some(l.health.last_error.is_some().into()),
    ),
    (
        "queuemail_delivered_messages",
        "gauge",
        "Messages on record as delivered.",
        |l| Some(l.health.delivered as i64),
    ),
    (
        "queuemail_pending_messages",
        "gauge",
        "Messages known and not yet delivered.",
        |l| Some(l.health.backlog as i64),
    ),
    (
        "queuemail_quarantined_messages",
        "gauge",
        "Messages in quarantine.",
        |l| Some(l.health.quarantined as i64),
    ),
    (
        "queuemail_refused_messages",
        "gauge",
        "Delivered messages that the server refuses to mark, move or delete.",
        |l| Some(l.health.refused.as_ref().map_or(0, |(n, _)| *n as i64)),
    ),
    (
        "queuemail_wait_until_timestamp_seconds",
        "gauge",
        "Until when the server asked to be left alone.",
        |l| l.wait.as_ref().map(|w| w.until.as_second()),
    ),
];

/// Replaces the file atomically.
///
/// # Errors
/// `CannotWrite`.
pub fn write(path: &Path, report: &Report<'_>) -> Result<()> {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = mailboxes(&mut text, &report.lines);
    let _ = outbox(&mut text, &report.outbox);
    let _ = ends(&mut text, &report.ends);
    files::replace(path, text.as_bytes(), 0o644).map_err(|e| {
        let why = format!("{e:#}");
        // The name of a temporary file says nothing to anybody.
        let why = why.split(" at path ").next().unwrap_or_default();
        Fault::new(
            Kind::CannotWrite,
            format!("cannot write the metrics to `{}`: {why}", path.display()),
        )
        .hint("make the folder, and let the user that runs queuemail write there")
        .into()
    })
}

fn mailboxes(text: &mut String, lines: &[Line<'_>]) -> std::fmt::Result {
    for (name, kind, help, value) in METRICS {
        writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}")?;
        for line in lines {
            if let Some(value) = value(line) {
                writeln!(
                    text,
                    "{name}{{queue=\"{}\",address=\"{}\"}} {value}",
                    label(line.queue),
                    label(line.address)
                )?;
            }
        }
    }
    Ok(())
}

fn outbox(text: &mut String, outbox: &OutboxCounts) -> std::fmt::Result {
    text.push_str(
        "# HELP queuemail_outbox_messages Messages kept to be sent.\n# TYPE queuemail_outbox_messages gauge\n",
    );
    for (state, n) in [
        ("waiting", outbox.waiting),
        ("unknown", outbox.unknown),
        ("failed", outbox.failed),
    ] {
        writeln!(text, "queuemail_outbox_messages{{state=\"{state}\"}} {n}")?;
    }
    let Some(oldest) = outbox.oldest else {
        return Ok(());
    };
    writeln!(
        text,
        "# HELP queuemail_outbox_oldest_timestamp_seconds When the oldest message of the outbox came in.\n\
         # TYPE queuemail_outbox_oldest_timestamp_seconds gauge\n\
         queuemail_outbox_oldest_timestamp_seconds {oldest}"
    )
}

fn ends(text: &mut String, ends: &[Expiry]) -> std::fmt::Result {
    const ENDS: &str = "queuemail_secret_expiry_timestamp_seconds";
    writeln!(
        text,
        "# HELP {ENDS} When a server's secret or certificate expires.\n# TYPE {ENDS} gauge"
    )?;
    for Expiry {
        kind, server, at, ..
    } in ends
    {
        writeln!(
            text,
            "{ENDS}{{server=\"{}\",credential=\"{kind}\"}} {}",
            label(server),
            at.as_second()
        )?;
    }
    Ok(())
}

/// A label's value as Prometheus' text format escapes it.
fn label(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

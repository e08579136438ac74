//! How mailboxes fare, in Prometheus' text format for the node exporter's textfile collector.

use super::metrics_of_mailboxes::{METRICS, Metric, Value};
use crate::expiry::Expiry;
use crate::fault::{Fault, Kind};
use crate::files;
use crate::health::{Host, Line, Report};
use crate::state::{Counter, IncidentKind};
use anyhow::Result;
use std::fmt::Write;
use std::path::Path;

/// Replaces the file atomically.
///
/// # Errors
/// `CannotWrite`.
pub fn write(path: &Path, report: &Report<'_>) -> Result<()> {
    files::replace(path, Text(report).text().as_bytes(), 0o644).map_err(|e| {
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

/// Its lines.
struct Text<'r>(&'r Report<'r>);

impl Text<'_> {
    /// The counter of a mailbox.
    fn count(&self, counter: Counter, line: &Line<'_>) -> f64 {
        let mailbox = line.address.to_lowercase();
        let of_it =
            |(own, subject, _): &&(Counter, String, u64)| *own == counter && *subject == mailbox;
        let found = self.0.counters.iter().find(of_it);
        found.map_or(0.0, |(_, _, value)| *value as f64)
    }

    /// Of each host that shares the state.
    fn hosts(&self, text: &mut String) {
        let hosts = &self.0.hosts;
        let name = "queuemail_host_seen_timestamp_seconds";
        let help = "When a host that shares the state was heard of last.";
        head(text, name, "gauge", help);
        for Host { host, .. } in hosts {
            let (host_label, version) = (label(&host.name), label(&host.version));
            let labels = format!("host=\"{host_label}\",version=\"{version}\"");
            sample(text, name, &labels, host.seen as f64);
        }
        let name = "queuemail_host_configuration_differs";
        let help = "1 if a host has another configuration than the one that tells this.";
        head(text, name, "gauge", help);
        for Host { host, is_alike } in hosts {
            let labels = format!("host=\"{}\"", label(&host.name));
            let differs = f64::from(u8::from(*is_alike == Some(false)));
            sample(text, name, &labels, differs);
        }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for Metric { name, help, value } in METRICS {
            let kind = match value {
                Value::Now(_) => "gauge",
                Value::Counted(_) => "counter",
            };
            head(&mut text, name, kind, help);
            for line in &self.0.lines {
                let value = match value {
                    Value::Now(of) => of(line),
                    Value::Counted(counter) => Some(self.count(*counter, line)),
                };
                if let Some(value) = value {
                    let (queue, address) = (label(line.queue), label(line.address));
                    let labels = format!("queue=\"{queue}\",address=\"{address}\"");
                    sample(&mut text, name, &labels, value);
                }
            }
        }
        let name = "queuemail_throttled_total";
        head(
            &mut text,
            name,
            "counter",
            "Waits that a service asked for.",
        );
        for service in ["reading", "sending", "delivery", "sign-in"] {
            let of_it = |(own, subject, _): &&(Counter, String, u64)| {
                *own == Counter::Throttled && subject == service
            };
            let value = self.0.counters.iter().find(of_it);
            let value = value.map_or(0.0, |(_, _, value)| *value as f64);
            sample(&mut text, name, &format!("service=\"{service}\""), value);
        }
        let name = "queuemail_incidents";
        head(
            &mut text,
            name,
            "gauge",
            "Incidents that were told and are not over.",
        );
        for kind in IncidentKind::ALL {
            let open = self.0.incidents.iter().filter(|i| i.name.kind == *kind);
            let labels = format!("kind=\"{}\"", kind.name());
            sample(&mut text, name, &labels, open.count() as f64);
        }
        self.hosts(&mut text);
        let name = "queuemail_outbox_messages";
        head(&mut text, name, "gauge", "Messages kept to be sent.");
        for (state, number) in [
            ("waiting", self.0.outbox.waiting),
            ("unknown", self.0.outbox.unknown),
            ("failed", self.0.outbox.failed),
        ] {
            sample(
                &mut text,
                name,
                &format!("state=\"{state}\""),
                number as f64,
            );
        }
        if let Some(oldest) = self.0.outbox.oldest {
            let name = "queuemail_outbox_oldest_timestamp_seconds";
            head(
                &mut text,
                name,
                "gauge",
                "When the oldest message of the outbox came in.",
            );
            sample(&mut text, name, "", oldest as f64);
        }
        let name = "queuemail_secret_expiry_timestamp_seconds";
        head(
            &mut text,
            name,
            "gauge",
            "When a server's secret or certificate expires.",
        );
        for Expiry {
            kind, server, at, ..
        } in &self.0.ends
        {
            let labels = format!("server=\"{}\",credential=\"{kind}\"", label(server));
            sample(&mut text, name, &labels, at.as_second() as f64);
        }
        let name = "queuemail_build_info";
        head(
            &mut text,
            name,
            "gauge",
            "1, with the version of the program.",
        );
        let labels = concat!("version=\"", env!("CARGO_PKG_VERSION"), "\"");
        sample(&mut text, name, labels, 1.0);
        text
    }
}

// Writing to a string cannot fail.

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn sample(text: &mut String, name: &str, labels: &str, value: f64) {
    let _ = match labels.is_empty() {
        true => writeln!(text, "{name} {value}"),
        false => writeln!(text, "{name}{{{labels}}} {value}"),
    };
}

/// A label's value as Prometheus' text format escapes it.
fn label(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

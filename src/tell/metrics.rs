//! The health of mailboxes, in Prometheus' text format for the node exporter's textfile collector.

use super::file::cannot_write;
use super::metrics_of_mailboxes::{METRICS, Metric, Value};
use crate::expiry::Expiry;
use crate::files;
use crate::health::{Host, Report};
use crate::output::Output;
use crate::state::{Counter, IncidentKind};
use anyhow::Result;
use std::fmt::Write;
use std::path::Path;

/// Replaces the file atomically; `-` is standard output.
///
/// # Errors
/// `CannotWrite`.
pub fn write(output: &Output, path: &Path, report: &Report<'_>) -> Result<()> {
    let replace = |text: &[u8]| files::replace(path, text, 0o644);
    output
        .put(path, Text(report).text().as_bytes(), replace)
        .map_err(|err| cannot_write("the metrics", path, &err))
}

/// Its lines.
struct Text<'r>(&'r Report<'r>);

impl Text<'_> {
    /// The counter of a mailbox in lower case, or of a service.
    fn count(&self, counter: Counter, subject: &str) -> f64 {
        let of_it = |(own, of, _): &&(Counter, String, u64)| *own == counter && of == subject;
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
        self.of_mailboxes(&mut text);
        self.of_services(&mut text);
        self.hosts(&mut text);
        self.of_outbox(&mut text);
        let name = "queuemail_secret_expiry_timestamp_seconds";
        let help = "When a server's secret or certificate expires.";
        head(&mut text, name, "gauge", help);
        for Expiry {
            kind, server, at, ..
        } in &self.0.ends
        {
            let labels = format!("server=\"{}\",credential=\"{kind}\"", label(server));
            sample(&mut text, name, &labels, at.as_second() as f64);
        }
        let name = "queuemail_build_info";
        let help = "1, with the version of the program.";
        head(&mut text, name, "gauge", help);
        let labels = concat!("version=\"", env!("CARGO_PKG_VERSION"), "\"");
        sample(&mut text, name, labels, 1.0);
        text
    }

    fn of_mailboxes(&self, text: &mut String) {
        for Metric { name, help, value } in METRICS {
            let kind = match value {
                Value::Now(_) => "gauge",
                Value::Counted(_) => "counter",
            };
            head(text, name, kind, help);
            for line in &self.0.lines {
                let value = match value {
                    Value::Now(of) => of(line),
                    Value::Counted(counter) => {
                        Some(self.count(*counter, &line.address.to_lowercase()))
                    }
                };
                if let Some(value) = value {
                    let (queue, address) = (label(line.queue), label(line.address));
                    let labels = format!("queue=\"{queue}\",address=\"{address}\"");
                    sample(text, name, &labels, value);
                }
            }
        }
    }

    fn of_services(&self, text: &mut String) {
        let name = "queuemail_throttled_total";
        head(text, name, "counter", "Waits that a service requested.");
        for service in ["reading", "sending", "delivery", "sign-in"] {
            let value = self.count(Counter::Throttled, service);
            sample(text, name, &format!("service=\"{service}\""), value);
        }
        let name = "queuemail_incidents";
        let help = "Incidents that were reported and are not over.";
        head(text, name, "gauge", help);
        for kind in IncidentKind::ALL {
            let open = self.0.incidents.iter().filter(|i| i.name.kind == *kind);
            let labels = format!("kind=\"{}\"", kind.name());
            sample(text, name, &labels, open.count() as f64);
        }
    }

    fn of_outbox(&self, text: &mut String) {
        let outbox = &self.0.outbox;
        let name = "queuemail_outbox_messages";
        head(text, name, "gauge", "Messages in the outbox.");
        for (state, number) in [
            ("waiting", outbox.waiting),
            ("unknown", outbox.unknown),
            ("failed", outbox.failed),
        ] {
            let labels = format!("state=\"{state}\"");
            sample(text, name, &labels, number as f64);
        }
        if let Some(oldest) = outbox.oldest {
            let name = "queuemail_outbox_oldest_timestamp_seconds";
            let help = "When the oldest message of the outbox was added.";
            head(text, name, "gauge", help);
            sample(text, name, "", oldest as f64);
        }
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

//! What a fetch says: of each message, of each folder that is looked into, at the end.

use super::progress::Progress;
use crate::fetch::{self, Audit, Delivered, Folder, Job, Listing, Reporter, Sorted, Tally};
use crate::output::{Level, LogFormat, Output, Record, escape};
use crate::shell;
use crate::state::{Interrupted, uidvalidity};
use crate::wording::messages;
use anyhow::Result;
use serde::Serialize;
use serde_json::json;
use std::fmt::Display;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Tells of messages as they come, for all mailboxes of a run.
pub struct ReportTo<'a> {
    output: &'a Output,
    progress: Progress,
    octets: AtomicU64,
}

impl<'a> ReportTo<'a> {
    pub fn new(output: &'a Output) -> ReportTo<'a> {
        ReportTo {
            output,
            progress: Progress::new(output),
            octets: AtomicU64::new(0),
        }
    }

    /// The run is over.
    pub fn end(&self, tally: &Tally) {
        self.progress.end(tally.fetched, tally.octets);
    }
}

impl Reporter for ReportTo<'_> {
    fn found(&self, folder: &Folder<'_>, messages: u64) {
        self.progress.found(&folder.job.address, messages);
    }

    fn delivered(&self, delivered: &Delivered<'_>) {
        let size = delivered.letter.size;
        let octets = self.octets.fetch_add(size, Ordering::Relaxed) + size;
        self.progress.done(&delivered.letter.address, octets);
        if self.output.wants(Level::Info) {
            let letter = delivered.letter;
            self.output.tell(
                &Record::new(Level::Info, "delivered", "delivered")
                    .with("queue", letter.queue.as_str())
                    .with("address", letter.address.as_str())
                    .with("folder", letter.folder.as_str())
                    .with("uid", letter.uid.to_string())
                    .with("message_id", letter.message_id.clone())
                    .with("size", letter.size)
                    .with("delivered_to", delivered.delivered_to)
                    .with("delivery_id", letter.delivery_id.as_str()),
            );
        }
        if !self.output.json {
            return;
        }
        if let Ok(serde_json::Value::Object(mut line)) = serde_json::to_value(delivered.letter) {
            line.insert("event".into(), "message".into());
            line.insert("delivered_to".into(), delivered.delivered_to.into());
            let _ = self.output.json(&line);
        }
    }

    fn recovered(&self, job: &Job, message: &Interrupted, delivered_to: &str) {
        let Interrupted {
            folder_name: folder,
            epoch,
            remote,
            ..
        } = message;
        let delivery_id = fetch::delivery_id(&job.address, folder, *epoch, remote);
        self.output.tell(
            &Record::new(
                Level::Info,
                "delivered",
                &format!(
                    "`{}`: finished the interrupted delivery of message {remote}",
                    job.address
                ),
            )
            .with("queue", job.queue.as_str())
            .with("address", job.address.as_str())
            .with("folder", folder.as_str())
            .with("uid", remote.to_string())
            .with("size", message.size)
            .with("delivered_to", delivered_to)
            .with("delivery_id", delivery_id.as_str()),
        );
        if !self.output.json {
            return;
        }
        let _ = self.output.json(&json!({
            "event": "message",
            "queue": job.queue,
            "address": job.address,
            "folder": folder,
            "uid": remote,
            "uidvalidity": uidvalidity(*epoch),
            "size": message.size,
            "priority": job.priority,
            "language": job.language,
            "message_id": message.about.message_id,
            "from": message.about.from,
            "subject": message.about.subject,
            "delivery_id": delivery_id,
            "delivered_to": delivered_to,
        }));
    }

    fn failed(&self, folder: &Folder<'_>, id: &dyn Display, reason: &str, quarantined: bool) {
        let what = if quarantined {
            "quarantined"
        } else {
            "not fetched, will be tried again"
        };
        let octets = self.octets.load(Ordering::Relaxed);
        self.progress.done(&folder.job.address, octets);
        let text = format!(
            "message {id} of `{}` folder `{}`: {what}: {}",
            folder.job.address,
            folder.name,
            escape(reason)
        );
        let event = if quarantined { "quarantined" } else { "failed" };
        let mut record = Record::new(Level::Warning, event, &text);
        // The text for people has it all.
        if self.output.log != LogFormat::Text {
            record = record
                .with("queue", folder.job.queue.as_str())
                .with("address", folder.job.address.as_str())
                .with("folder", folder.name)
                .with("uid", id.to_string())
                .with("reason", reason);
        }
        self.output.tell(&record);
    }

    /// Who asked for it is told on standard output.
    fn skipped(&self, folder: &Folder<'_>, count: u64) {
        let job = folder.job;
        let about = format!("{} ({}), {}", job.queue, job.address, folder.name);
        if self.output.json {
            let _ = self.output.json(&json!({
                "event": "skipped",
                "queue": job.queue,
                "address": job.address,
                "folder": folder.name,
                "skipped": count,
            }));
        } else if job.catch_up {
            let _ = self
                .output
                .line(&format!("{about}: {} skipped", messages(count)));
        } else {
            self.output.step(&format!(
                "{about}: {} skipped: older than the start ({}); to fetch skipped messages: \
                     queuemail fetch --include-skipped {}",
                messages(count),
                job.start,
                shell::quote(&job.address)
            ));
        }
    }

    fn note(&self, text: &str) {
        self.output.step(text);
    }

    fn warn(&self, text: &str) {
        self.output.warn(text);
    }

    fn would_fetch(&self, job: &Job, listing: &Listing<'_>) -> Result<()> {
        let Listing {
            folder,
            epoch,
            ids,
            skipped,
        } = *listing;
        let output = self.output;
        if output.json {
            return output.json(&WouldFetch {
                event: "would-fetch",
                queue: &job.queue,
                address: &job.address,
                folder,
                uidvalidity: uidvalidity(epoch),
                uids: ids,
                skipped,
                deliver: job.target.to_string(),
                after_fetch: job.after.to_string(),
            });
        }
        let mut text = format!(
            "{} ({}), {folder}: {} to fetch, to {}, then {}",
            job.queue,
            job.address,
            messages(ids.count()),
            job.target,
            job.after
        );
        if skipped > 0 {
            text.push_str(&format!("; {} to be skipped", messages(skipped)));
        }
        output.line(&text)
    }

    fn audited(&self, job: &Job, audit: &Audit) -> Result<()> {
        let output = self.output;
        if output.json {
            return output.json(&Audited {
                event: "audit",
                queue: &job.queue,
                address: &job.address,
                audit,
            });
        }
        let mut others = String::new();
        for (count, what) in [
            (audit.skipped, "skipped"),
            (audit.not_selected, "not selected"),
        ] {
            if count > 0 {
                others.push_str(&format!("{count} {what}, "));
            }
        }
        self.progress.audited();
        output.line(&format!(
            "{} ({}), {}: {} on the server: {} delivered, {} in quarantine, {} dropped, {others}{} pending, {} unaccounted for",
            job.queue,
            job.address,
            audit.folder,
            messages(audit.on_server),
            audit.delivered,
            audit.quarantined,
            audit.dropped,
            audit.pending,
            audit.unaccounted.count()
        ))
    }
}

/// The last word of a run: with `-v`, and always as JSON.
pub fn summary(output: &Output, tally: &Tally, mailboxes: usize, time: Duration) -> Result<()> {
    if output.json {
        return output.json(&json!({
            "event": "summary",
            "fetched": tally.fetched,
            "failed": tally.failed,
            "quarantined": tally.quarantined,
            "bytes": tally.octets,
            "seconds": (time.as_secs_f64() * 1000.0).round() / 1000.0,
        }));
    }
    let mut text = format!(
        "fetched {} ({} bytes) of {} in {:.1} s",
        messages(tally.fetched),
        tally.octets,
        match mailboxes {
            1 => "1 address".to_owned(),
            n => format!("{n} addresses"),
        },
        time.as_secs_f64()
    );
    for (count, what) in [
        (tally.recognised, "recognised as already fetched"),
        (tally.failed, "to be tried again"),
        (tally.quarantined, "quarantined"),
    ] {
        if count > 0 {
            text.push_str(&format!(", {count} {what}"));
        }
    }
    output.step(&text);
    Ok(())
}

#[derive(Serialize)]
struct WouldFetch<'a> {
    event: &'static str,
    queue: &'a str,
    address: &'a str,
    folder: &'a str,
    uidvalidity: u32,
    uids: &'a Sorted,
    skipped: u64,
    deliver: String,
    after_fetch: String,
}

#[derive(Serialize)]
struct Audited<'a> {
    event: &'static str,
    queue: &'a str,
    address: &'a str,
    #[serde(flatten)]
    audit: &'a Audit,
}

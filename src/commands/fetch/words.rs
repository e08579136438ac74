//! What a fetch says: of each message, of mailboxes that are passed over, at the end.

use super::progress::Progress;
use crate::commands::status::clock;
use crate::fault::{Fault, Kind};
use crate::fetch::{self, Audit, Delivered, Folder, Job, Reporter, Sorted, Tally};
use crate::output::{Output, escape};
use crate::shell;
use crate::state::{Epoch, Holder, Interrupted, Wait, uidvalidity};
use anyhow::Result;
use serde::Serialize;
use serde::ser::{Error as _, SerializeSeq, Serializer};
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

    pub fn end(&self) {
        self.progress.end();
    }
}

impl Reporter for ReportTo<'_> {
    fn found(&self, folder: &Folder<'_>, messages: u64) {
        self.progress.found(&folder.job.address, messages);
    }

    fn delivered(&self, delivered: &Delivered<'_>) {
        let size = delivered.letter.size;
        let octets = self.octets.fetch_add(size, Ordering::Relaxed) + size;
        self.progress.done(octets);
        if !self.output.json {
            return;
        }
        if let Ok(serde_json::Value::Object(mut line)) = serde_json::to_value(delivered.letter) {
            line.insert("event".into(), "message".into());
            line.insert("delivered_to".into(), delivered.delivered_to.into());
            let _ = self.output.json(&line);
        }
    }

    /// What its header says is not known any more.
    fn recovered(&self, job: &Job, message: &Interrupted, delivered_to: &str) {
        let Interrupted {
            folder_name: folder,
            epoch,
            remote,
            ..
        } = message;
        self.note(&format!(
            "`{}`: finished the interrupted delivery of message {remote}",
            job.address
        ));
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
            "message_id": null,
            "delivery_id": fetch::delivery_id(&job.address, folder, *epoch, remote),
            "delivered_to": delivered_to,
        }));
    }

    fn failed(&self, folder: &Folder<'_>, id: &dyn Display, reason: &str, quarantined: bool) {
        let what = if quarantined {
            "quarantined"
        } else {
            "not fetched, to be tried again"
        };
        self.progress.aside(|| {
            self.output.warn(&format!(
                "message {id} of `{}` folder `{}`: {what}: {}",
                folder.job.address,
                folder.name,
                escape(reason)
            ));
        });
    }

    fn note(&self, text: &str) {
        self.progress.aside(|| self.output.step(text));
    }

    fn warn(&self, text: &str) {
        self.progress.aside(|| self.output.warn(text));
    }
}

/// The fault of a mailbox that another process is fetching.
pub fn held(job: &Job, holder: &Holder) -> Fault {
    let mut who = "another queuemail".to_owned();
    if let Some(pid) = holder.pid {
        who.push_str(&format!(" (process {pid}"));
        if let Some(since) = holder.since {
            let since = since.to_zoned_datetime(jiff::tz::TimeZone::system());
            who.push_str(&format!(", since {}", since.strftime("%H:%M")));
        }
        who.push(')');
    }
    Fault::try_later(format!(
        "`{}` (queue `{}`) is being fetched by {who}",
        job.address, job.queue
    ))
    .hint("run it again when that one is done; a run that names no queue passes over it silently")
}

/// The fault of a mailbox whose server asked for a wait.
pub fn waits(job: &Job, wait: &Wait) -> Fault {
    Fault::try_later(format!(
        "`{}` (queue `{}`) is left alone until {}: {}",
        job.address,
        job.queue,
        clock(wait.until),
        wait.reason
    ))
    .hint("the server asked for it; a run that names no queue passes over it silently")
}

fn messages(count: u64) -> String {
    match count {
        1 => "1 message".to_owned(),
        n => format!("{n} messages"),
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
        (tally.recognised, "recognised as fetched before"),
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

/// Ids, of which there may be a million: each is written as it is read.
struct Each<'a>(&'a Sorted);

impl Serialize for Each<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(usize::try_from(self.0.count()).ok())?;
        for ids in self.0.pages(1000) {
            for id in ids.map_err(S::Error::custom)? {
                list.serialize_element(&id.to_string())?;
            }
        }
        list.end()
    }
}

#[derive(Serialize)]
struct WouldFetch<'a> {
    event: &'static str,
    queue: &'a str,
    address: &'a str,
    folder: &'a str,
    uidvalidity: u32,
    uids: Each<'a>,
    deliver: String,
    after_fetch: String,
}

#[derive(Serialize)]
struct Audited<'a> {
    event: &'static str,
    queue: &'a str,
    address: &'a str,
    folder: &'a str,
    on_server: u64,
    delivered: u64,
    quarantined: u64,
    dropped: u64,
    pending: u64,
    unaccounted: Each<'a>,
}

/// What a dry run says of a folder.
pub fn would_fetch(
    output: &Output,
    job: &Job,
    folder: &str,
    epoch: Epoch,
    ids: &Sorted,
) -> Result<()> {
    if output.json {
        return output.json(&WouldFetch {
            event: "would-fetch",
            queue: &job.queue,
            address: &job.address,
            folder,
            uidvalidity: uidvalidity(epoch),
            uids: Each(ids),
            deliver: job.target.to_string(),
            after_fetch: job.after.to_string(),
        });
    }
    output.line(&format!(
        "{} ({}), {folder}: {} to fetch, to {}, then {}",
        job.queue,
        job.address,
        messages(ids.count()),
        job.target,
        job.after
    ))
}

/// What an audit says of a folder.
pub fn audited(output: &Output, job: &Job, audit: &Audit) -> Result<()> {
    if output.json {
        return output.json(&Audited {
            event: "audit",
            queue: &job.queue,
            address: &job.address,
            folder: &audit.folder,
            on_server: audit.on_server,
            delivered: audit.delivered,
            quarantined: audit.quarantined,
            dropped: audit.dropped,
            pending: audit.pending,
            unaccounted: Each(&audit.unaccounted),
        });
    }
    output.line(&format!(
        "{} ({}), {}: {} on the server: {} delivered, {} in quarantine, {} dropped, {} pending, {} unaccounted for",
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

/// The fault of an audit that found messages passed over.
pub fn passed_over(job: &Job, count: u64) -> Fault {
    Fault::try_later(format!("{} had been passed over", messages(count))).hint(format!(
        "they are put back: queuemail fetch {}",
        shell::quote(&job.address)
    ))
}

/// What there is to report of messages at the end.
pub fn of_messages(tally: &Tally) -> Vec<anyhow::Error> {
    let mut errors = Vec::new();
    if tally.failed > 0 {
        errors.push(
            Fault::try_later(format!(
                "{} could not be fetched now",
                messages(tally.failed)
            ))
            .hint(match tally.failed {
                1 => "it stays on the server and is tried again by a later run",
                _ => "they stay on the server and are tried again by a later run",
            })
            .into(),
        );
    }
    if tally.quarantined > 0 {
        errors.push(
            Fault::new(
                Kind::Malformed,
                format!("{} put into quarantine", messages(tally.quarantined)),
            )
            .hint(match tally.quarantined {
                1 => "it stays on the server and is not tried again; see: queuemail quarantine list",
                _ => "they stay on the server and are not tried again; see: queuemail quarantine list",
            })
            .into(),
        );
    }
    errors
}

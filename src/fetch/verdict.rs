//! What a run has to say at its end, and of mailboxes that it passes over, as errors.

use super::{Job, Tally};
use crate::fault::{Fault, Kind};
use crate::output::escape;
use crate::shell;
use crate::state::{Holder, Wait};
use crate::wording::{clock, messages};

/// The fault of a mailbox that another process is fetching.
pub fn held(job: &Job, holder: &Holder) -> Fault {
    let mut who = "another queuemail".to_owned();
    if let Some(pid) = holder.pid {
        who.push_str(&format!(" (process {pid}"));
        if let Some(host) = &holder.host {
            who.push_str(&format!(" on {}", escape(host)));
        }
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
    .hint("run it again when that run has ended; a run without names skips it silently")
}

/// The fault of a mailbox whose server asked for a wait.
pub fn waits(job: &Job, wait: &Wait) -> Fault {
    Fault::try_later(format!(
        "`{}` (queue `{}`) waits until {}: {}",
        job.address,
        job.queue,
        clock(wait.until),
        wait.reason
    ))
    .hint("the server requested this wait; a run without names skips it silently")
}

/// The fault of an audit that found messages passed over.
pub fn passed_over(job: &Job, count: u64) -> Fault {
    Fault::try_later(format!("{} had been missed", messages(count))).hint(format!(
        "the next run fetches them: queuemail fetch {}",
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
                1 => "it stays on the server, and a later run tries again",
                _ => "they stay on the server, and a later run tries again",
            })
            .into(),
        );
    }
    if tally.quarantined > 0 {
        errors.push(
            Fault::new(
                Kind::Malformed,
                format!("{} moved to quarantine", messages(tally.quarantined)),
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

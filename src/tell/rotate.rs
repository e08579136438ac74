//! `server rotate`: what became of the renewal of a credential.

use crate::expiry;
use crate::output::Output;
use crate::rotate::{Outcome, Until};
use crate::shell;
use crate::wording::{local_time, stamp};
use anyhow::Result;
use jiff::Timestamp;
use serde_json::json;

/// Tells it; nothing where nothing was to be done unless it expires.
pub fn tell(output: &Output, outcome: &Outcome, until: Until) -> Result<()> {
    for note in &outcome.notes {
        output.warn(note);
    }
    if output.json {
        return output.json(&object(outcome));
    }
    let is_idle = !outcome.renewed && !outcome.removed;
    if output.quiet || is_idle && matches!(until, Until::RenewedIfWithin(_)) {
        return Ok(());
    }
    for line in lines(outcome) {
        output.line(&line)?;
    }
    Ok(())
}

fn lines(outcome: &Outcome) -> Vec<String> {
    let Outcome { kind, place, .. } = outcome;
    let server = &outcome.server;
    let mut lines = Vec::new();
    let done = |word: &str, would: &str| match outcome.dry_run {
        true => format!("would {would}"),
        false => word.to_owned(),
    };
    if outcome.removed {
        let word = done("removed", "remove");
        lines.push(format!("{word} the old {kind} of server `{server}`"));
    }
    if outcome.renewed {
        let word = done("renewed", "renew");
        let ends = outcome
            .ends_at
            .and_then(|at| Timestamp::from_second(at).ok());
        let ends = ends.map(|at| format!("; it {}", expiry::ends(at, Timestamp::now())));
        lines.push(format!(
            "{word} the {kind} of server `{server}` in {place}{}",
            ends.unwrap_or_default()
        ));
    }
    match outcome.remove_at {
        Some(at) if !outcome.dry_run && outcome.old_key.is_some() => lines.push(format!(
            "the old {kind} stays valid; the first run after {} removes it, or now: queuemail server rotate {} --finish",
            local_time(at),
            shell::quote(server)
        )),
        _ if lines.is_empty() => lines.push("unchanged".to_owned()),
        _ => {}
    }
    lines
}

fn object(outcome: &Outcome) -> serde_json::Value {
    json!({
        "event": "rotate",
        "server": outcome.server,
        "credential": outcome.kind,
        "renewed": outcome.renewed,
        "removed": outcome.removed,
        "dry_run": outcome.dry_run,
        "key_id": outcome.key_id,
        "expires": outcome.ends_at.and_then(stamp),
        "old_key_id": outcome.old_key,
        "remove_after": outcome.remove_at.and_then(stamp),
        "notes": outcome.notes,
    })
}

//! `state import`: what was recognised in a mailbox that another program has fetched from.

use crate::fetch::{ImportOrder, Imported};
use crate::output::Output;
use crate::wording::messages;
use anyhow::Result;
use serde_json::json;

/// Prints how many messages of a folder belong where.
pub fn tell(output: &Output, order: &ImportOrder<'_>, done: &Imported) -> Result<()> {
    let Imported {
        queue,
        address,
        folder,
        imported,
        on_record,
        in_doubt,
        new,
        before_start,
        absent,
        unclear,
    } = done;
    if output.json {
        return output.json(&json!({
            "event": "import",
            "from": order.program.name(),
            "queue": queue,
            "address": address,
            "folder": folder,
            "dry_run": order.dry_run,
            "imported": imported,
            "on_record": on_record,
            "in_doubt": in_doubt,
            "new": new,
            "before_start": before_start,
            "absent": absent,
            "unclear": unclear,
        }));
    }
    let skipped = match order.dry_run {
        true => "to be skipped",
        false => "skipped",
    };
    let next = new + in_doubt - before_start;
    let mut text = format!(
        "{queue} ({address}), {folder}: {} {skipped}, {} for the next fetch",
        messages(*imported),
        messages(next)
    );
    if *in_doubt > 0 {
        text.push_str(&format!(" ({in_doubt} in doubt)"));
    }
    let others = [
        (*before_start, "from before the start"),
        (*on_record, "on record before"),
        (*absent, "not on the server any more"),
        (*unclear, "not recognisable"),
    ];
    for (count, what) in others.iter().filter(|(count, _)| *count > 0) {
        text.push_str(&format!("; {count} {what}"));
    }
    output.line(&text)
}

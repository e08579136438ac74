//! How a move of the state goes, what was moved, and what is to be configured then.

use super::progress::{is_watched, styled};
use crate::output::Output;
use crate::shell;
use crate::state::{Migration, Moved, Spot, Watch};
use crate::wording::messages;
use anyhow::Result;
use indicatif::{HumanBytes, HumanCount, ProgressBar};
use serde_json::{Map, Value, json};
use std::path::Path;

/// One line on standard error: rows copied of all. Nothing where nobody watches, or where something
/// else is printed.
pub struct Progress(Option<ProgressBar>);

/// The bar is asked to move once for so many rows.
const STEP: u64 = 500;

impl Progress {
    pub fn new(output: &Output) -> Progress {
        let template = "{msg}: {human_pos} of {human_len} rows, {per_sec}, {eta} left";
        let bar = || styled(ProgressBar::new(0).with_message("copying"), template);
        Progress(is_watched(output).then(bar))
    }

    pub fn end(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

impl Watch for Progress {
    fn rows(&self, done: u64, of: u64) {
        if let Some(bar) = &self.0
            && (done.is_multiple_of(STEP) || done == of)
        {
            bar.set_length(of);
            bar.set_position(done);
        }
    }

    fn comparing(&self) {
        if let Some(bar) = &self.0 {
            bar.set_message("reading back");
        }
    }
}

/// Says what was moved, or would be; `configured` is the state that the configuration at this path
/// names now.
pub fn tell(
    output: &Output,
    migration: &Migration<'_>,
    moved: &Moved,
    is_dry: bool,
    configured: (&Spot, &Path),
) -> Result<()> {
    if output.json {
        return output.json(&object(migration, moved, is_dry));
    }
    if output.quiet {
        return Ok(());
    }
    let (from, to) = (migration.from, migration.to);
    let what = format!(
        "{} {}, {} ({})",
        HumanCount(moved.rows()),
        if moved.rows() == 1 { "row" } else { "rows" },
        messages(moved.bodies),
        HumanBytes(moved.octets)
    );
    output.line(&match (moved.was_there, is_dry) {
        (true, _) => format!("the state was already moved from `{from}` to `{to}`"),
        (false, true) => format!("would move the state from `{from}` to `{to}`: {what}"),
        (false, false) => format!("moved the state from `{from}` to `{to}`: {what}"),
    })?;
    if moved.without_key > 0 {
        output.line(&format!(
            "tokens that stay behind, because there is no `state.key`: {}",
            moved.without_key
        ))?;
    }
    if moved.missing > 0 {
        output.line(&format!(
            "{} of the outbox had lost their text before: queuemail outbox list",
            messages(moved.missing)
        ))?;
    }
    if is_dry {
        return Ok(());
    }
    match next(migration.to, configured) {
        Some(next) => output.line(&next),
        None => Ok(()),
    }
}

fn object(migration: &Migration<'_>, moved: &Moved, is_dry: bool) -> Value {
    let tables: Map<String, Value> = moved
        .tables
        .iter()
        .map(|(name, rows)| ((*name).to_owned(), json!(rows)))
        .collect();
    json!({
        "event": "migrate",
        "from": migration.from.to_string(),
        "to": migration.to.to_string(),
        "dry_run": is_dry,
        "already": moved.was_there,
        "tables": tables,
        "rows": moved.rows(),
        "messages": moved.bodies,
        "size": moved.octets,
        "tokens_left_out": moved.without_key,
        "messages_missing": moved.missing,
    })
}

/// What is to be configured for the new state to be used.
fn next(to: &Spot, (configured, path): (&Spot, &Path)) -> Option<String> {
    if to.to_string() == configured.to_string() {
        return None;
    }
    let file = path.display();
    Some(match (to, configured) {
        (Spot::Server(place), _) => {
            let words = Value::String(place.to_string());
            format!("now set in {file}: state: {{ postgres: {words} }}")
        }
        (Spot::Folder(folder), Spot::Server(_)) => format!(
            "now remove `state` from {file} (and QUEUEMAIL_STATE from the environment), and use the folder: --state-dir {}, or QUEUEMAIL_STATE_DIR",
            shell::quote(folder)
        ),
        (Spot::Folder(folder), Spot::Folder(_)) => format!(
            "now use the folder: --state-dir {}, or QUEUEMAIL_STATE_DIR",
            shell::quote(folder)
        ),
    })
}

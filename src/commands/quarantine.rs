//! `quarantine`: what was given up on, and what a person decides about it.

use super::Context;
use super::table::Table;
use crate::cli::QuarantineCommand;
use crate::fault::Fault;
use crate::state::{Quarantined, Store};
use anyhow::Result;
use jiff::Timestamp;
use serde_json::json;

pub fn run(context: &Context, command: &QuarantineCommand) -> Result<()> {
    let store = Store::open(&context.state_dir)?;
    match command {
        QuarantineCommand::List => list(context, &store),
        QuarantineCommand::Show { id } => show(context, &find(&store, *id)?),
        QuarantineCommand::Retry { ids, all } => change(
            context,
            &store,
            ids,
            *all,
            "to be tried again by the next run",
            |id| store.release(id),
        ),
        QuarantineCommand::Drop { ids } => change(
            context,
            &store,
            ids,
            false,
            "dropped; it stays on the server and is not fetched again",
            |id| store.drop_quarantined(id, Timestamp::now().as_second()),
        ),
    }
}

fn list(context: &Context, store: &Store) -> Result<()> {
    let all = store.quarantine()?;
    if context.output.json {
        let all: Vec<_> = all.iter().map(as_json).collect();
        return context.output.json(&json!({ "quarantine": all }));
    }
    let mut table = Table::new(&["ID", "SINCE", "ADDRESS", "FOLDER", "UID", "REASON"]);
    for message in &all {
        table.row(vec![
            message.id.to_string(),
            time(message.since),
            message.address.clone(),
            message.folder.clone(),
            message.remote.to_string(),
            message.reason.clone(),
        ]);
    }
    table.print(&context.output)
}

fn show(context: &Context, message: &Quarantined) -> Result<()> {
    if context.output.json {
        return context.output.json(&as_json(message));
    }
    for (key, value) in [
        ("id", message.id.to_string()),
        ("address", message.address.clone()),
        ("folder", message.folder.clone()),
        ("uid", message.remote.to_string()),
        ("uidvalidity", message.epoch.to_string()),
        ("since", time(message.since)),
        ("attempts", message.attempts.to_string()),
        ("reason", message.reason.clone()),
    ] {
        let value = crate::output::escape(&value);
        context.output.line(&format!("{key}: {value}"))?;
    }
    Ok(())
}

fn change(
    context: &Context,
    store: &Store,
    ids: &[i64],
    all: bool,
    what: &str,
    act: impl Fn(i64) -> Result<bool>,
) -> Result<()> {
    let ids = match all {
        true => store.quarantine()?.iter().map(|m| m.id).collect(),
        false => ids.to_vec(),
    };
    for &id in &ids {
        if !act(id)? {
            return Err(unknown(store, id)?.into());
        }
        context.output.step(&format!("message {id}: {what}"));
    }
    if context.output.json {
        context.output.json(&json!({ "changed": ids }))?;
    }
    Ok(())
}

fn find(store: &Store, id: i64) -> Result<Quarantined> {
    match store.quarantine()?.into_iter().find(|m| m.id == id) {
        Some(message) => Ok(message),
        None => Err(unknown(store, id)?.into()),
    }
}

fn unknown(store: &Store, id: i64) -> Result<Fault> {
    let known: Vec<String> = store
        .quarantine()?
        .iter()
        .map(|m| m.id.to_string())
        .collect();
    let fault = Fault::usage(format!("no message {id} in quarantine"));
    Ok(match known.is_empty() {
        true => fault.hint("the quarantine is empty"),
        false => fault.hint(format!("in quarantine: {}", known.join(", "))),
    })
}

fn as_json(message: &Quarantined) -> serde_json::Value {
    json!({
        "id": message.id,
        "address": message.address,
        "folder": message.folder,
        "uid": message.remote.to_string(),
        "uidvalidity": message.epoch,
        "since": Timestamp::from_second(message.since).ok().map(|t| t.to_string()),
        "attempts": message.attempts,
        "reason": message.reason,
    })
}

/// Local date and time.
fn time(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(
        |_| seconds.to_string(),
        |t| {
            t.to_zoned_datetime(jiff::tz::TimeZone::system())
                .strftime("%Y-%m-%d %H:%M")
                .to_string()
        },
    )
}

//! `quarantine`: what was given up on, and what a person decides about it.

use super::Context;
use super::table::{Table, local_time};
use crate::cli::QuarantineCommand;
use crate::fault::{Fault, Kind};
use crate::fetch::{self, Kept};
use crate::state::{Quarantined, Store, uidvalidity};
use anyhow::Result;
use jiff::Timestamp;
use serde_json::json;

pub fn run(context: &Context, command: &QuarantineCommand) -> Result<()> {
    let store = context.store()?;
    match command {
        QuarantineCommand::List => list(context, &store),
        QuarantineCommand::Show { id, raw: false } => show(context, &store, &find(&store, *id)?),
        QuarantineCommand::Show { id, raw: true } => print(context, &store, &find(&store, *id)?),
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
            |id| drop_one(&store, id),
        ),
    }
}

fn list(context: &Context, store: &Store) -> Result<()> {
    let all = store.quarantine()?;
    if context.output.json {
        let all: Vec<_> = all.iter().map(|m| as_json(store, m)).collect();
        return context.output.json(&json!({ "quarantine": all }));
    }
    let mut table = Table::new(&[
        "ID", "SINCE", "ADDRESS", "FOLDER", "UID", "FROM", "SUBJECT", "REASON",
    ]);
    for message in &all {
        table.row(vec![
            message.id.to_string(),
            local_time(message.since),
            message.address.clone(),
            message.folder.clone(),
            message.remote.to_string(),
            or_dash(&message.about.from),
            or_dash(&message.about.subject),
            message.reason.clone(),
        ]);
    }
    table.print(&context.output)
}

/// What is not known of a message that did not get as far as to us.
fn or_dash(value: &Option<String>) -> String {
    value.clone().unwrap_or_else(|| "-".to_owned())
}

/// Where the message's octets are, if it got as far as to us.
fn kept(store: &Store, message: &Quarantined) -> Option<String> {
    Kept::new(store).place(&delivery_id(message))
}

fn delivery_id(message: &Quarantined) -> String {
    fetch::delivery_id(
        &message.address,
        &message.folder,
        message.epoch,
        &message.remote,
    )
}

fn drop_one(store: &Store, id: i64) -> Result<bool> {
    let message = store.quarantine()?.into_iter().find(|m| m.id == id);
    let dropped = store.drop_quarantined(id, Timestamp::now().as_second())?;
    if let Some(message) = message.filter(|_| dropped) {
        Kept::new(store).remove(&delivery_id(&message))?;
    }
    Ok(dropped)
}

/// Prints the octets as they are.
fn print(context: &Context, store: &Store, message: &Quarantined) -> Result<()> {
    let id = delivery_id(message);
    let kept = Kept::new(store);
    if kept.place(&id).is_some() {
        return kept.read(&id, &mut |piece| context.output.raw(piece));
    }
    Err(Fault::new(
        Kind::Refused,
        format!("of message {} no octets are kept", message.id),
    )
    .hint(format!(
        "it is on the server: `{}` folder `{}`, {}",
        message.address, message.folder, message.remote
    ))
    .into())
}

fn show(context: &Context, store: &Store, message: &Quarantined) -> Result<()> {
    if context.output.json {
        return context.output.json(&as_json(store, message));
    }
    let place = kept(store, message);
    for (key, value) in [
        ("id", message.id.to_string()),
        ("address", message.address.clone()),
        ("folder", message.folder.clone()),
        ("uid", message.remote.to_string()),
        ("uidvalidity", uidvalidity(message.epoch).to_string()),
        ("from", or_dash(&message.about.from)),
        ("subject", or_dash(&message.about.subject)),
        ("message-id", or_dash(&message.about.message_id)),
        ("since", local_time(message.since)),
        ("attempts", message.attempts.to_string()),
        ("reason", message.reason.clone()),
        (
            "message",
            place.unwrap_or_else(|| "not kept, it is on the server".to_owned()),
        ),
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

fn as_json(store: &Store, message: &Quarantined) -> serde_json::Value {
    json!({
        "id": message.id,
        "address": message.address,
        "folder": message.folder,
        "uid": message.remote.to_string(),
        "uidvalidity": uidvalidity(message.epoch),
        "since": Timestamp::from_second(message.since).ok().map(|t| t.to_string()),
        "from": message.about.from,
        "subject": message.about.subject,
        "message_id": message.about.message_id,
        "attempts": message.attempts,
        "reason": message.reason,
        "message": kept(store, message),
    })
}

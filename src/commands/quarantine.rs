//! `quarantine`: what was given up on, and what a person decides about it.

use super::Context;
use super::confirm::{confirm, messages, no_message};
use crate::cli::QuarantineCommand;
use crate::fault::{Fault, Kind};
use crate::fetch::{self, Kept};
use crate::state::{Quarantined, Store};
use crate::tell;
use anyhow::Result;
use serde_json::json;

pub fn run(context: &Context, command: &QuarantineCommand) -> Result<()> {
    let store = context.store_alone()?;
    match command {
        QuarantineCommand::List => {
            let all = store.quarantine()?;
            tell::quarantine::list(&context.output, &all, |message| kept(&store, message))
        }
        QuarantineCommand::Show { id, raw: false } => {
            let message = find(&store, *id)?;
            tell::quarantine::show(&context.output, &message, kept(&store, &message))
        }
        QuarantineCommand::Show { id, raw: true } => print(context, &store, &find(&store, *id)?),
        QuarantineCommand::Retry { ids, all } => {
            let every = match all {
                true => store.quarantine()?.iter().map(|m| m.id).collect(),
                false => Vec::new(),
            };
            change(
                context,
                &store,
                if *all { &every } else { ids },
                "the next run tries again",
                |text| {
                    context.output.step(text);
                    Ok(())
                },
                |id| store.release(id),
            )
        }
        QuarantineCommand::Drop { ids, yes } => {
            for id in ids {
                find(&store, *id)?;
            }
            let messages = messages(ids);
            confirm(
                context,
                *yes,
                &format!("Drop {messages} and never fetch again?"),
            )?;
            change(
                context,
                &store,
                ids,
                "dropped; it stays on the server and is not fetched again",
                |text| context.tell_done(text),
                |id| drop_one(&store, id),
            )
        }
    }
}

/// Where the message's octets are, if they arrived here.
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
    let dropped = store.drop_quarantined(id, store.now())?;
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
        format!("queuemail has no copy of message {}", message.id),
    )
    .hint(format!(
        "it is on the server: `{}` folder `{}`, {}",
        message.address, message.folder, message.remote
    ))
    .into())
}

fn change(
    context: &Context,
    store: &Store,
    ids: &[i64],
    what: &str,
    tell: impl Fn(&str) -> Result<()>,
    act: impl Fn(i64) -> Result<bool>,
) -> Result<()> {
    for &id in ids {
        if !act(id)? {
            return Err(unknown(store, id)?.into());
        }
        tell(&format!("message {id}: {what}"))?;
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
    let known = store.quarantine()?;
    Ok(no_message(id, "quarantine", known.iter().map(|m| m.id)))
}

//! `outbox`: what is kept to be sent goes out, is looked at, and decided about.

use super::Context;
use super::confirm::{confirm, messages, no_message};
use crate::cli::OutboxCommand;
use crate::config;
use crate::fault::{Errors, Fault};
use crate::incidents::{self, Watch};
use crate::mail::Receipt;
use crate::office::Office;
use crate::send::outbox::{self, Settled};
use crate::send::{Listener, Mail, Sending, kept};
use crate::state::{OutboxEntry, Store};
use crate::tell;
use anyhow::Result;
use serde_json::json;
use std::collections::HashMap;

pub fn run(context: &Context, command: &OutboxCommand) -> Result<(), Errors> {
    let store = context.store_alone()?;
    match command {
        OutboxCommand::List => Ok(tell::outbox::list(
            &context.output,
            &store.outbox()?,
            |entry| outbox::summary(&store, entry),
        )?),
        OutboxCommand::Show { id, raw } => Ok(show(context, &store, *id, *raw)?),
        OutboxCommand::Flush => {
            outbox::sweep(&store)?;
            let due = store.outbox_due(store.now())?;
            if due.is_empty() && !incidents::may_change(&store)? {
                return Ok(());
            }
            let config = config::load(&context.config_path)?;
            let office = Office::link(&config)?;
            let sending = Sending::new(&context.means, &office, &store);
            let flushed = kept::flush_due(&sending, due, &Told(context));
            let watched = Watch::new(&context.means, &office, &store).after_flush();
            Errors::both(flushed, watched.map(drop).map_err(Errors::from))
        }
        OutboxCommand::Retry { ids, all, blindly } => {
            let chosen = choose(&store, ids, *all)?;
            let config = config::load(&context.config_path)?;
            let office = Office::link(&config)?;
            let sending = Sending::new(&context.means, &office, &store);
            kept::flush(&sending, chosen, &Told(context), |claim| {
                kept::ready_again(&sending, claim, *blindly, &Told(context))
            })
        }
        OutboxCommand::Drop { ids, yes } => Ok(give_up(context, &store, ids, *yes)?),
    }
}

/// Tells people and programs what became of messages.
struct Told<'a>(&'a Context);

impl Listener for Told<'_> {
    fn tell(
        &self,
        mail: &Mail<'_>,
        result: &Result<Receipt>,
        settled: Option<&Settled>,
    ) -> Result<()> {
        tell::send::tell(&self.0.output, mail, result, settled)
    }

    fn found_sent(&self, entry: &OutboxEntry, user: &str) -> Result<()> {
        let id = entry.id;
        self.0.output.result(
            &json!({
                "event": "message", "outcome": "accepted", "outbox_id": id, "found_in_sent_items": true,
                "message_id": entry.message_id,
            }),
            &format!("message {id}: it is in Sent Items of `{user}`, so it was sent and is not sent again"),
        )
    }
}

fn show(context: &Context, store: &Store, id: i64, raw: bool) -> Result<()> {
    let kept = store.outbox()?;
    let entry = kept.iter().find(|entry| entry.id == id);
    let entry = entry.ok_or_else(|| unknown(&kept, id))?;
    let bodies = store.outbox_bodies();
    match raw {
        true => bodies.read(&entry.file, &mut |piece| context.output.raw(piece)),
        false => tell::outbox::show(
            &context.output,
            entry,
            bodies.place(&entry.file),
            outbox::summary(store, entry),
        ),
    }
}

fn choose(store: &Store, ids: &[i64], all: bool) -> Result<Vec<OutboxEntry>> {
    let kept = store.outbox()?;
    if all {
        return Ok(kept);
    }
    let by_id: HashMap<i64, &OutboxEntry> = kept.iter().map(|e| (e.id, e)).collect();
    let entry = |id: &i64| by_id.get(id).map(|&entry| entry.clone());
    ids.iter()
        .map(|id| entry(id).ok_or_else(|| unknown(&kept, *id).into()))
        .collect()
}

fn unknown(kept: &[OutboxEntry], id: i64) -> Fault {
    no_message(id, "the outbox", kept.iter().map(|entry| entry.id))
}

fn give_up(context: &Context, store: &Store, ids: &[i64], yes: bool) -> Result<()> {
    let chosen = choose(store, ids, false)?;
    let messages = messages(ids);
    confirm(context, yes, &format!("Drop {messages} without sending?"))?;
    for entry in &chosen {
        let claim = outbox::claim(store, entry.id, store.now());
        let lost = claim
            .as_ref()
            .err()
            .is_some_and(|_| !store.outbox_bodies().has(&entry.file));
        match claim {
            Ok(Some(mut claim)) => claim.remove()?,
            Ok(None) => {
                return Err(Fault::try_later(format!(
                    "message {} of the outbox is being sent",
                    entry.id
                ))
                .into());
            }
            Err(_) if lost => store.outbox_remove(None, entry.id, entry.attempts, None)?,
            Err(err) => return Err(err),
        }
        context.tell_done(&format!("message {}: dropped", entry.id))?;
    }
    if context.output.json {
        let ids: Vec<i64> = chosen.iter().map(|e| e.id).collect();
        context.output.json(&json!({ "changed": ids }))?;
    }
    Ok(())
}

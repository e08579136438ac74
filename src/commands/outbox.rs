//! `outbox`: what is kept to be sent goes out, is looked at, and decided about.

mod sent;
mod show;

use super::Context;
use super::post::{self, Mail, Office, Post, verdict};
use crate::cli::OutboxCommand;
use crate::config::{self, Config};
use crate::delivery::{self, Place};
use crate::fault::{Errors, Fault, Kind};
use crate::outbox::{self, Claim, Destination, Settled, Teller};
use crate::shell;
use crate::state::{OutboxEntry, OutboxState, Store};
use crate::submit::{self, Route};
use anyhow::Result;
use jiff::Timestamp;
use serde_json::json;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

/// Connections at the same time, as many as Exchange allows.
const CONNECTIONS: usize = 3;

pub fn run(context: &Context, command: &OutboxCommand) -> Result<(), Errors> {
    let store = context.store()?;
    match command {
        OutboxCommand::List => Ok(show::list(context, &store)?),
        OutboxCommand::Show { id, raw } => Ok(show::show(context, &store, *id, *raw)?),
        OutboxCommand::Flush => {
            outbox::sweep(&store)?;
            let due = store.outbox_due(now())?;
            if due.is_empty() {
                return Ok(());
            }
            let config = config::load(&context.config_path)?;
            send(context, &config, &store, due, Teller::Report, |claim| {
                Ok(claim.entry.is_due(now()))
            })
        }
        OutboxCommand::Retry { ids, all, blindly } => {
            let chosen = choose(&store, ids, *all)?;
            let config = config::load(&context.config_path)?;
            send(context, &config, &store, chosen, Teller::Report, |claim| {
                ready_again(context, &config, &store, claim, *blindly)
            })
        }
        OutboxCommand::Drop { ids } => Ok(give_up(context, &store, ids)?),
    }
}

fn now() -> i64 {
    Timestamp::now().as_second()
}

/// Works on messages: those that `ready` allows are sent, and reports that are due delivered.
/// What others work on is theirs.
fn send(
    context: &Context,
    config: &Config,
    store: &Store,
    entries: Vec<OutboxEntry>,
    teller: Teller,
    ready: impl Fn(&mut Claim<'_>) -> Result<bool> + Sync,
) -> Result<(), Errors> {
    let office = Office::new(context, config, store);
    let errors: Mutex<Vec<anyhow::Error>> = Mutex::default();
    let mut entries = entries;
    // Those that share a way are neighbours, so that they share a connection.
    entries.sort_by(|a, b| (&a.envelope.from, a.id).cmp(&(&b.envelope.from, b.id)));
    let about = entries.len();
    post::work(
        &office,
        entries.into_iter(),
        about,
        CONNECTIONS,
        |post, entry| {
            if let Err(err) = one(&office, post, entry.id, teller, &ready) {
                let err = err.context(format!("message {} of the outbox", entry.id));
                errors
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(err);
            }
        },
    );
    let mut errors = errors.into_inner().unwrap_or_else(PoisonError::into_inner);
    fold_same(&mut errors);
    Errors::none_or(errors)
}

/// A server that is away is one problem, however many messages wait for it: of errors with the
/// same cause the first is told.
fn fold_same(errors: &mut Vec<anyhow::Error>) {
    let mut seen = HashSet::new();
    errors.retain(|err| {
        let Some(fault) = err.downcast_ref::<Fault>() else {
            return true;
        };
        seen.insert(format!(
            "{:?} {} {:?}",
            fault.kind, fault.what, fault.server_said
        ))
    });
}

fn one<'a>(
    office: &'a Office<'a>,
    post: &mut Post<'a>,
    id: i64,
    teller: Teller,
    ready: &impl Fn(&mut Claim<'_>) -> Result<bool>,
) -> Result<()> {
    let Some(mut claim) = outbox::claim(office.store, id, now())? else {
        return Ok(());
    };
    let mut verdict = Ok(());
    if ready(&mut claim)? {
        verdict = attempt(office, post, &mut claim, teller);
    } else if claim.abandoned {
        verdict = Err(unknown(&claim.entry).into());
    }
    if !claim.entry.refused.is_empty() {
        let reported = report(office, &mut claim);
        verdict = verdict.and(reported);
    }
    verdict
}

fn attempt<'a>(
    office: &'a Office<'a>,
    post: &mut Post<'a>,
    claim: &mut Claim<'_>,
    teller: Teller,
) -> Result<()> {
    let sender = claim.entry.envelope.from.clone().unwrap_or_default();
    let mail = submit::route(office.config, &sender)
        .map_err(anyhow::Error::from)
        .and_then(|route| {
            Ok(Mail {
                file: None,
                route,
                envelope: claim.entry.envelope.clone(),
                octets: Arc::new(claim.octets()?),
                message_id: claim.entry.message_id.clone(),
                kept: Some(claim.entry.id),
                alone: false,
            })
        });
    let mail = match mail {
        Ok(mail) => mail,
        // The configuration has changed, or the file cannot be read: it counts as an attempt.
        Err(err) => {
            let result = Err(err);
            claim.settle(&result, teller, now())?;
            return result.map(|_: crate::mail::Receipt| ());
        }
    };
    let result = post.submit(&mail, &mut || claim.hand_over());
    let settled = claim.settle(&result, teller, now())?;
    verdict::tell(office.context, &mail, &result, Some(&settled))?;
    if settled == Settled::Gone {
        office
            .context
            .output
            .step(&format!("message {}: sent", claim.entry.id));
    }
    verdict::judge(&mail, result?, || office.scene(&mail, post.way))
}

/// Makes a message ready to be sent again by a person's word. One that may have been accepted is
/// looked for in Sent Items first, and found means done.
fn ready_again(
    context: &Context,
    config: &Config,
    store: &Store,
    claim: &mut Claim<'_>,
    blindly: bool,
) -> Result<bool> {
    let id = claim.entry.id;
    if claim.entry.state == OutboxState::Unknown && !blindly {
        if claim.entry.shared_id {
            return Err(Fault::new(
                Kind::OutcomeUnknown,
                "Sent Items cannot tell whether it was accepted, for another transaction has the same Message-ID",
            )
            .hint(format!(
                "ask its recipients ({}), then: queuemail outbox retry --blindly {id}, or queuemail outbox drop {id}",
                claim.entry.envelope.to.join(", ")
            ))
            .into());
        }
        let sender = claim.entry.envelope.from.clone().unwrap_or_default();
        let route = submit::route(config, &sender)?;
        if sent::holds(context, config, store, &route, &claim.entry.message_id)? {
            claim.remove()?;
            let said = format!(
                "message {id}: Sent Items of `{}` holds it; it was sent and is not sent again",
                route.user()
            );
            match context.output.json {
                true => context.output.json(&json!({
                    "event": "message", "outcome": "accepted", "outbox_id": id, "found_in_sent_items": true,
                    "message_id": claim.entry.message_id,
                }))?,
                false => context.output.line(&said)?,
            }
            return Ok(false);
        }
    }
    claim.restart(now())?;
    Ok(true)
}

/// Delivers the report that is due to the queue of the sender, or says why it cannot.
fn report(office: &Office<'_>, claim: &mut Claim<'_>) -> Result<()> {
    let id = claim.entry.id;
    let sender = claim.entry.envelope.from.clone().unwrap_or_default();
    let place = submit::route(office.config, &sender)
        .map_err(anyhow::Error::from)
        .and_then(|route| destination(&route))
        .and_then(|to| outbox::deliver_report(claim, &to, now()));
    match place {
        Ok(place) => {
            office.context.output.step(&format!("message {id}: its report is in {place}"));
            Ok(())
        }
        Err(err) => {
            Err(err.context(format!("cannot deliver the report on message {id} to the queue of `{sender}`; it stays in the outbox")))
        }
    }
}

fn destination(route: &Route<'_>) -> Result<Destination> {
    let entry = &route.entry;
    let address = entry.address.address.as_str();
    let queue = &entry.queue.name;
    let target = entry.deliver().ok_or_else(|| {
        Fault::config(format!(
            "nothing says where the mail of `{address}` (queue `{queue}`) is to be delivered"
        ))
        .hint(format!(
            "queuemail queue set {} --address {} --deliver maildir:PATH",
            shell::quote(queue),
            shell::quote(address)
        ))
    })?;
    let webhooks = &entry.config.webhooks;
    let place = delivery::expand(target, queue, address, "INBOX", entry.language(), webhooks)?;
    if matches!(place, Place::Stdout(_)) {
        return Err(Fault::config(format!(
            "the mail of `{address}` is delivered to stdout, which keeps no report"
        ))
        .into());
    }
    Ok(Destination {
        place,
        queue: queue.clone(),
        address: address.to_owned(),
        priority: entry.priority().0,
        language: entry.language().to_owned(),
    })
}

fn unknown(entry: &OutboxEntry) -> Fault {
    Fault::new(
        Kind::OutcomeUnknown,
        format!("nobody knows whether it was accepted: {}", entry.reason),
    )
    .hint(format!(
        "to look in Sent Items and send it if it is not there: queuemail outbox retry {}",
        entry.id
    ))
}

fn choose(store: &Store, ids: &[i64], all: bool) -> Result<Vec<OutboxEntry>> {
    let kept = store.outbox()?;
    if all {
        return Ok(kept);
    }
    let by_id: HashMap<i64, &OutboxEntry> = kept.iter().map(|e| (e.id, e)).collect();
    ids.iter()
        .map(|id| match by_id.get(id) {
            Some(&entry) => Ok(entry.clone()),
            None => find(&kept, *id),
        })
        .collect()
}

fn find(kept: &[OutboxEntry], id: i64) -> Result<OutboxEntry> {
    kept.iter().find(|e| e.id == id).cloned().ok_or_else(|| {
        let known: Vec<String> = kept.iter().map(|e| e.id.to_string()).collect();
        let fault = Fault::usage(format!("no message {id} in the outbox"));
        match known.is_empty() {
            true => fault.hint("the outbox is empty"),
            false => fault.hint(format!("in the outbox: {}", known.join(", "))),
        }
        .into()
    })
}

fn give_up(context: &Context, store: &Store, ids: &[i64]) -> Result<()> {
    let chosen = choose(store, ids, false)?;
    for entry in &chosen {
        let claim = outbox::claim(store, entry.id, now());
        let lost = claim
            .as_ref()
            .err()
            .is_some_and(|_| !store.outbox_folder().join(&entry.file).exists());
        match claim {
            Ok(Some(mut claim)) => claim.remove()?,
            Ok(None) => {
                return Err(Fault::try_later(format!(
                    "message {} of the outbox is being sent",
                    entry.id
                ))
                .into());
            }
            Err(_) if lost => store.outbox_remove(entry.id)?,
            Err(err) => return Err(err),
        }
        context
            .output
            .step(&format!("message {}: dropped", entry.id));
    }
    if context.output.json {
        let ids: Vec<i64> = chosen.iter().map(|e| e.id).collect();
        context.output.json(&json!({ "changed": ids }))?;
    }
    Ok(())
}

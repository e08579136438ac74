//! `queue set`: single values of a queue or an address, an empty value taking the key away.

use super::Context;
use super::apply::apply_to;
use super::person::Terminal;
use crate::cli::{AddressValues, QueueSet};
use crate::fault::Fault;
use crate::model::{Address, Change, Condition, Name, SecretSource, Select, put};
use crate::provision::{self, Required, Wanted};
use crate::shell;
use anyhow::Result;

pub fn run(context: &Context, args: &QueueSet) -> Result<()> {
    let required = Required {
        person: &Terminal(context),
        example: format!(
            "queuemail queue set {} --password-file PATH",
            shell::quote(&args.name)
        ),
    };
    let whose = match &args.address {
        Some(address) => format!("mailbox `{address}`"),
        None => format!("queue `{}`", args.name),
    };
    let password = Wanted {
        what: "password",
        given: &args.values.password.given,
        whose: &whose,
    };
    let password = password.source(&required)?;
    apply_to(context, args.dry_run, |config| {
        let (outcome, address) = provision::set_queue(config, &args.name, |queue| {
            put(&args.queue_priority, &mut queue.priority);
            put(&args.queue_language, &mut queue.language);
            put(&args.queue_start, &mut queue.start);
            if args.address.is_none() && !touches_address(args) {
                return Ok(None);
            }
            let place = provision::pick(queue, args.address.as_ref())?;
            let entry = &mut queue.addresses[place];
            set(entry, args, &password)?;
            Ok(Some(entry.address.to_string()))
        })?;
        let mut about = vec![("queue", args.name.clone())];
        about.extend(address.map(|address| ("address", address)));
        Ok((outcome, about))
    })
}

fn set(
    entry: &mut Address,
    args: &QueueSet,
    password: &Option<Change<SecretSource>>,
) -> Result<()> {
    if let Some(server) = &args.server {
        entry.server = server.0.clone();
    }
    let v = &args.values;
    put(&v.priority, &mut entry.priority);
    put(&v.extension_language, &mut entry.extension_language);
    put_name(&v.account, &mut entry.account);
    put(password, &mut entry.password);
    entry.sender = (entry.sender || v.sender) && !args.no_sender;
    put_name(&v.outgoing, &mut entry.outgoing_server);
    if !v.folders.is_empty() {
        entry.folders = match v.folders[..] {
            [ref one] if one.is_empty() => None,
            _ => Some(v.folders.clone()),
        };
    }
    put(&v.start, &mut entry.start);
    if !v.select.is_empty() {
        entry.select = selection(&v.select)?;
    }
    match &v.deliver {
        None => {}
        Some(Change::Unset) => entry.deliver = None,
        Some(Change::Set(target)) => entry.deliver = Some(provision::typed_target(target)?),
    }
    put(&v.after, &mut entry.after_fetch);
    Ok(())
}

/// What `--select` says: an empty value takes the selection away.
fn selection(conditions: &[Change<Condition>]) -> Result<Option<Select>> {
    let set = conditions.iter().map(|condition| match condition {
        Change::Set(condition) => Some(condition.clone()),
        Change::Unset => None,
    });
    match conditions {
        [Change::Unset] => Ok(None),
        _ => set.collect::<Option<Select>>().map(Some).ok_or_else(|| {
            Fault::usage("`--select` is used both with an empty value and with conditions")
                .hint("to fetch every message, use only `--select ''`")
                .into()
        }),
    }
}

fn put_name(change: &Option<Change<Name>>, slot: &mut Option<String>) {
    match change {
        None => {}
        Some(Change::Unset) => *slot = None,
        Some(Change::Set(name)) => *slot = Some(name.0.clone()),
    }
}

/// True if an option concerns an address rather than the queue. The options are taken apart without
/// a rest, so that a new one cannot be forgotten.
fn touches_address(args: &QueueSet) -> bool {
    let AddressValues {
        priority,
        extension_language,
        account,
        password,
        sender,
        outgoing,
        folders,
        start,
        select,
        deliver,
        after,
    } = &args.values;
    args.server.is_some()
        || args.no_sender
        || *sender
        || !folders.is_empty()
        || start.is_some()
        || !select.is_empty()
        || password.given.is_some()
        || priority.is_some()
        || extension_language.is_some()
        || account.is_some()
        || outgoing.is_some()
        || deliver.is_some()
        || after.is_some()
}

//! `queue add`: a queue, or an address to a queue that exists.

use super::provision::{
    Name, Outcome, Required, apply, differences, different, optional, resolved, typed_target,
};
use super::secret_flags::{Source, SourceFlags};
use super::{Context, guide};
use crate::cli::{CheckArgs, QueueAdd};
use crate::config::{self, Address, Config, EmailAddress, Language, Priority, Queue, Tree};
use crate::fault::Errors;
use crate::prompt;
use crate::shell;
use anyhow::Result;

pub fn run(context: &Context, args: &QueueAdd) -> Result<(), Errors> {
    let complete = args.name.is_some() && args.address.is_some() && args.server.is_some();
    if complete || !context.may_ask {
        return Ok(add(context, args)?);
    }
    let args = guide::queue(context, args)?;
    add(context, &args)?;
    guide::show(&guide::queue_line(context, &args));
    if !prompt::agreed("Check now that it works?")? {
        return Ok(());
    }
    let check = CheckArgs {
        names: args.address.into_iter().collect(),
        boundary: Vec::new(),
    };
    super::check::run(context, &check)
}

fn add(context: &Context, args: &QueueAdd) -> Result<()> {
    let required = Required {
        context,
        example: format!(
            "queuemail queue add {} --address support@contoso.com --server INCOMING",
            args.name
                .as_deref()
                .map_or("QUEUE".to_owned(), shell::quote)
        ),
    };
    let name: Name = required.value(&args.name, "QUEUE")?;
    let address: EmailAddress = required.value(&args.address, "--address")?;
    let server: Name = required.value(&args.server, "--server")?;
    let v = &args.values;
    let mut entry = Address {
        address,
        server: server.0,
        priority: optional("--priority", &v.priority)?,
        extension_language: optional("--extension-language", &v.extension_language)?,
        account: optional::<Name>("--account", &v.account)?.map(|n| n.0),
        password: None,
        sender: v.sender,
        any_from: false,
        outgoing_server: optional::<Name>("--outgoing", &v.outgoing)?.map(|n| n.0),
        folders: (!v.folders.is_empty()).then(|| v.folders.clone()),
        deliver: v
            .deliver
            .as_deref()
            .map(|text| typed_target("--deliver", text))
            .transpose()?,
        after_fetch: optional("--after", &v.after)?,
        stamp: None,
    };
    let priority: Option<Priority> = optional("--queue-priority", &args.queue_priority)?;
    let language: Option<Language> = optional("--queue-language", &args.queue_language)?;
    let whose = format!("mailbox `{}`", entry.address);
    if let Source::Set(source) = SourceFlags::from(&v.password).source(&required, &whose)? {
        entry.password = Some(source);
    }
    let names = [("queue", &*name.0), ("address", entry.address.as_str())];
    apply(context, args.dry_run, &names, |config| {
        let mut wanted = config.clone();
        put(&mut wanted, &name.0, &entry, priority, &language);
        config::check_wanted(&wanted)?;
        let outcome = compare(
            &resolved(config, context)?,
            &resolved(&wanted, context)?,
            &name.0,
            &entry.address,
            args.replace,
        )?;
        if outcome != Outcome::Unchanged {
            *config = wanted;
        }
        Ok(outcome)
    })
}

fn put(
    config: &mut Config,
    name: &str,
    entry: &Address,
    priority: Option<Priority>,
    language: &Option<Language>,
) {
    let index = match config.queues.iter().position(|q| q.name == name) {
        Some(index) => index,
        None => {
            config.queues.push(Queue {
                name: name.to_owned(),
                language: None,
                priority: None,
                addresses: Vec::new(),
            });
            config.queues.len() - 1
        }
    };
    let queue = &mut config.queues[index];
    queue.priority = priority.or(queue.priority);
    queue.language = language.clone().or(queue.language.take());
    match find(queue, &entry.address) {
        // The spelling in the file stays: a mailbox's name knows no case.
        Some(i) => {
            queue.addresses[i] = Address {
                address: queue.addresses[i].address.clone(),
                ..entry.clone()
            }
        }
        None => queue.addresses.push(entry.clone()),
    }
}

/// The place of an address in a queue. Exchange's mailbox names know no case.
pub fn find(queue: &Queue, address: &EmailAddress) -> Option<usize> {
    let wanted = address.as_str().to_lowercase();
    queue
        .addresses
        .iter()
        .position(|a| a.address.as_str().to_lowercase() == wanted)
}

/// What the change would be; refused if it would overwrite something and `replace` is not set.
fn compare(
    old: &Config,
    new: &Config,
    name: &str,
    address: &EmailAddress,
    replace: bool,
) -> Result<Outcome> {
    let Some(before) = old.queue(name) else {
        return Ok(Outcome::Created);
    };
    let tree = |config: &Config| {
        config
            .queue(name)
            .and_then(|q| find(q, address).map(|i| q.addresses[i].tree()))
    };
    let (old_entry, new_entry) = (tree(old), tree(new));
    let queue_tree = |queue: Option<&Queue>| queue.map_or(Tree::Map(Vec::new()), Queue::tree);
    let mut found = differences(&queue_tree(Some(before)), &queue_tree(new.queue(name)));
    if let (Some(old), Some(new)) = (&old_entry, &new_entry) {
        found.extend(differences(old, new));
    }
    if !found.is_empty() && !replace {
        let what = match old_entry {
            Some(_) => format!("address `{address}` of queue `{name}`"),
            None => format!("queue `{name}`"),
        };
        let quoted = shell::quote(name);
        return Err(different(
            &what,
            &found,
            &format!("queuemail queue set {quoted} …"),
        ));
    }
    Ok(match old_entry {
        None => Outcome::Created,
        Some(_) if found.is_empty() => Outcome::Unchanged,
        Some(_) => Outcome::Changed,
    })
}

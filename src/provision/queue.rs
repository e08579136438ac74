//! Queues of the configuration and their addresses: put in, changed, removed.

use super::{Outcome, Person, Required, Wanted, differences, different, resolved, typed_target};
use crate::config::{
    self, Address, AfterFetch, Change, Condition, Config, EmailAddress, Given, Language, Name,
    Priority, Queue, Start, Target, Tree,
};
use crate::fault::Fault;
use crate::shell;
use anyhow::Result;
use std::path::Path;

/// What is said of a mailbox and of the queue that it feeds.
#[derive(Clone, Debug, Default)]
pub struct Mailbox {
    pub queue: Option<Name>,
    pub address: Option<EmailAddress>,
    pub server: Option<Name>,
    pub priority: Option<Priority>,
    pub extension_language: Option<Language>,
    pub account: Option<Name>,
    pub password: Option<Given>,
    pub sender: bool,
    pub outgoing: Option<Name>,
    pub folders: Vec<String>,
    pub start: Option<Start>,
    pub select: Vec<Condition>,
    pub deliver: Option<Target>,
    pub after: Option<AfterFetch>,
    pub queue_priority: Option<Priority>,
    pub queue_language: Option<Language>,
    pub queue_start: Option<Start>,
    /// It may take the place of another definition of the address.
    pub replace: bool,
}

impl Mailbox {
    /// All that nothing else could stand for is there.
    pub fn is_complete(&self) -> bool {
        self.queue.is_some() && self.address.is_some() && self.server.is_some()
    }

    /// The queue's name, and the entry of the mailbox. Everything but the password is checked before
    /// that is read or asked for.
    pub fn entry(&self, person: &dyn Person) -> Result<(String, Address)> {
        let name = self
            .queue
            .as_ref()
            .map_or("QUEUE".to_owned(), |n| shell::quote(&n.0));
        let required = Required {
            person,
            example: format!(
                "queuemail queue add {name} --address support@contoso.com --server INCOMING"
            ),
        };
        let name = required.value(&self.queue, "QUEUE")?.0;
        let mut entry = Address::new(
            required.value(&self.address, "--address")?,
            required.value(&self.server, "--server")?.0,
        );
        entry.priority = self.priority;
        entry.extension_language = self.extension_language.clone();
        entry.account = self.account.as_ref().map(Name::to_string);
        entry.sender = self.sender;
        entry.outgoing_server = self.outgoing.as_ref().map(Name::to_string);
        entry.folders = (!self.folders.is_empty()).then(|| self.folders.clone());
        entry.start = self.start;
        entry.select = (!self.select.is_empty()).then(|| self.select.iter().cloned().collect());
        entry.deliver = self.deliver.as_ref().map(typed_target).transpose()?;
        entry.after_fetch = self.after.clone();
        let password = Wanted {
            what: "password",
            given: &self.password,
            whose: &format!("mailbox `{}`", entry.address),
        };
        if let Some(Change::Set(source)) = password.source(&required)? {
            entry.password = Some(source);
        }
        Ok((name, entry))
    }
}

/// Puts a mailbox into a queue of the configuration of `file`, which is made if need be.
///
/// # Errors
/// One of that address is there with another definition, or the queue is, and `mailbox.replace` is
/// not set; the configuration would have a mistake.
pub fn add_mailbox(
    config: &mut Config,
    file: &Path,
    mailbox: &Mailbox,
    queue: &str,
    entry: &Address,
) -> Result<Outcome> {
    let mut wanted = config.clone();
    put(&mut wanted, queue, entry, mailbox);
    config::check_wanted(&wanted)?;
    let outcome = compare(
        &resolved(config, file)?,
        &resolved(&wanted, file)?,
        queue,
        &entry.address,
        mailbox.replace,
    )?;
    if outcome != Outcome::Unchanged {
        *config = wanted;
    }
    Ok(outcome)
}

fn put(config: &mut Config, name: &str, entry: &Address, said: &Mailbox) {
    let index = match config.queues.iter().position(|q| q.name == name) {
        Some(index) => index,
        None => {
            config.queues.push(Queue {
                name: name.to_owned(),
                language: None,
                priority: None,
                start: None,
                addresses: Vec::new(),
            });
            config.queues.len() - 1
        }
    };
    let queue = &mut config.queues[index];
    queue.priority = said.queue_priority.or(queue.priority);
    queue.language = said.queue_language.clone().or(queue.language.take());
    queue.start = said.queue_start.or(queue.start);
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
fn find(queue: &Queue, address: &EmailAddress) -> Option<usize> {
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

/// Changes a queue; the outcome, and what `change` gives.
pub fn set_queue<T>(
    config: &mut Config,
    name: &str,
    change: impl FnOnce(&mut Queue) -> Result<T>,
) -> Result<(Outcome, T)> {
    let before = config.clone();
    let index = place(config, name)?;
    let value = change(&mut config.queues[index])?;
    Ok((Outcome::of(&before, config), value))
}

/// Removes a queue, or one of its addresses.
pub fn remove_queue(
    config: &mut Config,
    name: &str,
    address: Option<&EmailAddress>,
) -> Result<Outcome> {
    let index = place(config, name)?;
    match address {
        None => {
            config.queues.remove(index);
        }
        Some(_) => {
            let i = pick(&config.queues[index], address)?;
            config.queues[index].addresses.remove(i);
        }
    }
    Ok(Outcome::Removed)
}

/// The definition of a queue.
///
/// # Errors
/// `Usage` where there is none of this name.
pub fn tree_of_queue(config: &Config, name: &str) -> Result<Tree> {
    Ok(config.queues[place(config, name)?].tree())
}

fn place(config: &Config, name: &str) -> Result<usize> {
    let place = config.queues.iter().position(|q| q.name == name);
    place.ok_or_else(|| config::unknown("queue", name, &config.queue_names()))
}

/// The address that is meant: the one named, else the only one.
pub fn pick(queue: &Queue, address: Option<&EmailAddress>) -> Result<usize> {
    let known: Vec<&str> = queue.addresses.iter().map(|a| a.address.as_str()).collect();
    match address {
        Some(address) => find(queue, address).ok_or_else(|| {
            Fault::usage(format!("queue `{}` has no address `{address}`", queue.name))
                .hint(config::named("its addresses", &known))
                .into()
        }),
        None if queue.addresses.len() == 1 => Ok(0),
        None => Err(Fault::usage(format!(
            "`--address` is needed: queue `{}` has {} addresses",
            queue.name,
            known.len()
        ))
        .hint(config::named("its addresses", &known))
        .into()),
    }
}

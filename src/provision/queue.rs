//! Queues of the configuration and their addresses: what is said of one; changed, removed.

use super::{NewMailbox, Outcome, Person, Required, Wanted, find, typed_target};
use crate::config::Tree;
use crate::fault::Fault;
use crate::model::{
    self, Address, AfterFetch, Change, Condition, Config, EmailAddress, Given, Language, Name,
    Priority, Queue, Start, Target,
};
use crate::shell;
use anyhow::Result;

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

    /// The mailbox as it is added. Everything but the password is checked before that is read or asked
    /// for.
    pub fn complete(&self, person: &dyn Person) -> Result<NewMailbox> {
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
        Ok(NewMailbox {
            queue: name,
            entry,
            queue_priority: self.queue_priority,
            queue_language: self.queue_language.clone(),
            queue_start: self.queue_start,
            replace: self.replace,
        })
    }
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
    place.ok_or_else(|| model::unknown("queue", name, &config.queue_names()))
}

/// The address that is meant: the one named, else the only one.
pub fn pick(queue: &Queue, address: Option<&EmailAddress>) -> Result<usize> {
    let known: Vec<&str> = queue.addresses.iter().map(|a| a.address.as_str()).collect();
    match address {
        Some(address) => find(queue, address).ok_or_else(|| {
            Fault::usage(format!("queue `{}` has no address `{address}`", queue.name))
                .hint(model::named("its addresses", &known))
                .into()
        }),
        None if queue.addresses.len() == 1 => Ok(0),
        None => Err(Fault::usage(format!(
            "`--address` is needed: queue `{}` has {} addresses",
            queue.name,
            known.len()
        ))
        .hint(model::named("its addresses", &known))
        .into()),
    }
}

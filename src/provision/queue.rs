//! Queues of the configuration and their addresses: changed, removed.

use super::{MailboxChange, Outcome, find};
use crate::fault::Fault;
use crate::model::{self, Change, Config, EmailAddress, Queue, SecretSource, Tree};
use anyhow::Result;

/// Changes a queue, and one of its addresses where something is said of one; the outcome, and that
/// address.
pub fn set_queue(
    config: &mut Config,
    name: &str,
    said: &MailboxChange,
    password: &Option<Change<SecretSource>>,
) -> Result<(Outcome, Option<EmailAddress>)> {
    let before = config.clone();
    let index = place(config, name)?;
    let queue = &mut config.queues[index];
    said.of_queue.put(queue);
    let address = match said.address.is_some() || said.touches_address() {
        false => None,
        true => {
            let place = pick(queue, said.address.as_ref())?;
            let entry = &mut queue.addresses[place];
            said.put(entry, password)?;
            Some(entry.address.clone())
        }
    };
    Ok((Outcome::of(&before, config), address))
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
fn pick(queue: &Queue, address: Option<&EmailAddress>) -> Result<usize> {
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

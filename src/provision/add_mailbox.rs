//! A mailbox put into a queue of the configuration, or several at once: what is there already is
//! compared, and kept from being overwritten by accident.

use super::mailbox::NewMailbox;
use super::{Outcome, differences, different, find};
use crate::config;
use crate::model::{Address, Config, Queue, Tree};
use crate::shell;
use anyhow::Result;
use std::path::Path;

/// Puts a mailbox into a queue of the configuration of `file`, which is made if need be.
///
/// # Errors
/// One of that address is there with another definition, or the queue is, and `replace` is not
/// set; the configuration would have a mistake.
pub fn add_mailbox(config: &mut Config, file: &Path, new: &NewMailbox) -> Result<Outcome> {
    let mut wanted = config.clone();
    let outcome = put(&mut wanted, file, new)?;
    config::check_wanted(&wanted)?;
    *config = wanted;
    Ok(outcome)
}

/// Puts mailboxes in, one after the other, except those that cannot be; what came of each.
///
/// The configuration is checked as a whole, which takes its time: all are tried together, and only
/// where one has a mistake, each half.
pub fn add_mailboxes(
    config: &mut Config,
    file: &Path,
    new: &[&NewMailbox],
) -> Vec<Result<Outcome>> {
    if let [one] = new {
        return vec![add_mailbox(config, file, one)];
    }
    let mut wanted = config.clone();
    let outcomes = new.iter().map(|new| put(&mut wanted, file, new)).collect();
    if config::check_wanted(&wanted).is_ok() {
        *config = wanted;
        return outcomes;
    }
    let (first, second) = new.split_at(new.len() / 2);
    let mut outcomes = add_mailboxes(config, file, first);
    outcomes.extend(add_mailboxes(config, file, second));
    outcomes
}

/// Puts a mailbox in; the configuration stays as it is where nothing changes, or it may not.
fn put(config: &mut Config, file: &Path, new: &NewMailbox) -> Result<Outcome> {
    let index = config.queues.iter().position(|q| q.name == new.queue);
    let before = index.map(|index| &config.queues[index]);
    let mut queue = before
        .cloned()
        .unwrap_or_else(|| Queue::new(new.queue.clone()));
    put_into(&mut queue, new);
    let outcome = match before {
        None => Outcome::Created,
        Some(before) => compare(before, &queue, file, new)?,
    };
    match index {
        _ if outcome == Outcome::Unchanged => {}
        Some(index) => config.queues[index] = queue,
        None => config.queues.push(queue),
    }
    Ok(outcome)
}

fn put_into(queue: &mut Queue, new: &NewMailbox) {
    new.of_queue.put(queue);
    match find(queue, &new.entry.address) {
        // The spelling in the file stays: a mailbox's name knows no case.
        Some(i) => {
            queue.addresses[i] = Address {
                address: queue.addresses[i].address.clone(),
                ..new.entry.clone()
            }
        }
        None => queue.addresses.push(new.entry.clone()),
    }
}

/// What the change would be; refused if it would overwrite something that is not to be replaced.
fn compare(old: &Queue, wanted: &Queue, file: &Path, new: &NewMailbox) -> Result<Outcome> {
    let address = &new.entry.address;
    let trees = |queue: &Queue| -> Result<(Tree, Option<Tree>)> {
        let mut queue = queue.clone();
        config::resolve_paths(&mut queue, file)?;
        let entry = find(&queue, address).map(|i| queue.addresses[i].tree());
        Ok((queue.tree(), entry))
    };
    let ((old_queue, old_entry), (new_queue, new_entry)) = (trees(old)?, trees(wanted)?);
    let mut found = differences(&old_queue, &new_queue);
    if let (Some(old), Some(new)) = (&old_entry, &new_entry) {
        found.extend(differences(old, new));
    }
    if !found.is_empty() && !new.replace {
        let name = &new.queue;
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

//! `queue list`, `show`, `set` and `remove`.

use super::Context;
use super::apply::{Told, apply};
use super::confirm::confirm;
use super::{queue_add, queue_set};
use crate::cli::QueueCommand;
use crate::config;
use crate::fault::Errors;
use crate::model::{Config, EmailAddress, Priority, Queue, Tree};
use crate::office::{MailboxEntry, Office};
use crate::provision;
use crate::tell::table::{self, Table};
use anyhow::Result;

pub fn run(context: &Context, command: &QueueCommand) -> Result<(), Errors> {
    match command {
        QueueCommand::Add(args) => return queue_add::run(context, args),
        QueueCommand::List => list(context),
        QueueCommand::Show { name } => show(context, name),
        QueueCommand::Set(args) => queue_set::run(context, args),
        QueueCommand::Remove {
            name,
            address,
            dry_run,
            yes,
        } => {
            let yes = *yes || *dry_run;
            confirm(context, yes, &question(name, address.as_ref()))?;
            remove(context, name, address.as_ref(), *dry_run)
        }
    }?;
    Ok(())
}

/// The most urgent address decides a queue's place.
fn urgency(config: &Config, queue: &Queue) -> u32 {
    let own = queue.priority.or(config.defaults.priority);
    let own = own.unwrap_or(Priority::DEFAULT);
    let addresses = queue.addresses.iter();
    let most_urgent = addresses.map(|a| a.priority.unwrap_or(own)).min();
    most_urgent.unwrap_or(own).0
}

fn list(context: &Context) -> Result<()> {
    let config = config::load(&context.config_path)?;
    let office = Office::link(&config)?;
    if context.output.json {
        let mut queues: Vec<&Queue> = config.queues.iter().collect();
        queues.sort_by_key(|queue| urgency(&config, queue));
        let queues = queues.into_iter().map(Queue::tree).collect();
        let mut mailboxes: Vec<_> = office.mailboxes().collect();
        mailboxes.sort_by_key(|mailbox| mailbox.priority().0);
        return context.output.json(&Tree::Map(vec![
            ("queues", Tree::List(queues)),
            (
                "mailboxes",
                Tree::List(mailboxes.iter().map(holds).collect()),
            ),
        ]));
    }
    let mut rows: Vec<(u32, Vec<String>)> = Vec::new();
    for mailbox in office.mailboxes() {
        let priority = mailbox.priority().0;
        let deliver = mailbox.deliver().map_or("-", |t| t.as_str());
        rows.push((
            priority,
            vec![
                priority.to_string(),
                mailbox.queue.name.clone(),
                mailbox.address.address.to_string(),
                mailbox.address.server.clone(),
                mailbox.language().to_owned(),
                if mailbox.address.sender { "yes" } else { "-" }.to_owned(),
                deliver.to_owned(),
            ],
        ));
    }
    for queue in config.queues.iter().filter(|q| q.addresses.is_empty()) {
        let priority = urgency(&config, queue);
        let mut row = vec![priority.to_string(), queue.name.clone()];
        row.resize(7, "-".to_owned());
        rows.push((priority, row));
    }
    rows.sort_by_key(|(priority, _)| *priority);
    let mut table = Table::new(&[
        "PRIORITY", "QUEUE", "ADDRESS", "SERVER", "LANGUAGE", "SENDER", "DELIVER",
    ]);
    for (_, row) in rows {
        table.row(row);
    }
    table.print(&context.output)
}

/// What holds for a mailbox, wherever it is said.
fn holds(mailbox: &MailboxEntry<'_>) -> Tree {
    let text = |value: &str| Tree::Text(value.to_owned());
    let mut keys = vec![
        ("address", text(mailbox.address.address.as_str())),
        ("queue", text(&mailbox.queue.name)),
        ("priority", Tree::Number(mailbox.priority().0)),
        ("language", text(mailbox.language())),
    ];
    keys.extend(mailbox.deliver().map(|to| ("deliver", text(to.as_str()))));
    Tree::Map(keys)
}

fn show(context: &Context, name: &str) -> Result<()> {
    let config = config::load(&context.config_path)?;
    let tree = provision::tree_of_queue(&config, name)?;
    table::show(&context.output, &tree)
}

/// Asked before a queue or an address is removed.
fn question(name: &str, address: Option<&EmailAddress>) -> String {
    match address {
        None => format!("Remove queue `{name}` with its addresses from the configuration?"),
        Some(address) => format!("Remove `{address}` of queue `{name}` from the configuration?"),
    }
}

fn remove(
    context: &Context,
    name: &str,
    address: Option<&EmailAddress>,
    dry_run: bool,
) -> Result<()> {
    let mut about = vec![("queue", name)];
    about.extend(address.map(|a| ("address", a.as_str())));
    apply(context, dry_run, |config| {
        let outcome = provision::remove_queue(config, name, address)?;
        Ok(Told::of(outcome, &about))
    })
}

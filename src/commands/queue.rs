//! `queue list`, `show`, `set` and `remove`.

use super::Context;
use super::provision::{
    Name, Outcome, Required, apply, apply_to, change, typed_target, unknown, value,
};
use super::queue_add::{self, find};
use super::secret_flags::SourceFlags;
use super::server_set::put_source;
use super::table::{self, Table};
use crate::cli::{QueueCommand, QueueSet};
use crate::config::{self, Config, EmailAddress, MailboxEntry, Priority, Queue, Tree};
use crate::fault::{Errors, Fault};
use crate::shell;
use anyhow::Result;

pub fn run(context: &Context, command: &QueueCommand) -> Result<(), Errors> {
    match command {
        QueueCommand::Add(args) => return queue_add::run(context, args),
        QueueCommand::List => list(context),
        QueueCommand::Show { name } => show(context, name),
        QueueCommand::Set(args) => set(context, args),
        QueueCommand::Remove {
            name,
            address,
            dry_run,
        } => remove(context, name, address.as_deref(), *dry_run),
    }?;
    Ok(())
}

/// The most urgent address decides a queue's place.
fn urgency(config: &Config, queue: &Queue) -> u32 {
    let own = queue.priority.or(config.defaults.priority);
    let priority = |address| {
        let mailbox = MailboxEntry {
            config,
            queue,
            address,
        };
        mailbox.priority().0
    };
    queue
        .addresses
        .iter()
        .map(priority)
        .min()
        .unwrap_or(own.map_or(Priority::DEFAULT.0, |p| p.0))
}

fn list(context: &Context) -> Result<()> {
    let config = config::load(&context.config_path)?;
    if context.output.json {
        let mut queues: Vec<&Queue> = config.queues.iter().collect();
        queues.sort_by_key(|queue| urgency(&config, queue));
        let queues = queues.into_iter().map(Queue::tree).collect();
        let mut mailboxes: Vec<_> = config.mailboxes().collect();
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
    for mailbox in config.mailboxes() {
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
    let queue = config
        .queue(name)
        .ok_or_else(|| unknown("queue", name, &config.queue_names()))?;
    if context.output.json {
        return context.output.json(&queue.tree());
    }
    table::print_tree(&context.output, &queue.tree())
}

fn set(context: &Context, args: &QueueSet) -> Result<()> {
    let required = Required {
        context,
        example: format!(
            "queuemail queue set {} --password-file PATH",
            shell::quote(&args.name)
        ),
    };
    let whose = match &args.address {
        Some(address) => format!("mailbox `{address}`"),
        None => format!("queue `{}`", args.name),
    };
    let password = SourceFlags::from(&args.values.password).source(&required, &whose)?;
    apply_to(context, args.dry_run, |config| {
        let before = config.clone();
        let names = config.queue_names();
        let Some(index) = config.queues.iter().position(|q| q.name == args.name) else {
            return Err(unknown("queue", &args.name, &names));
        };
        let queue = &mut config.queues[index];
        change(
            &mut queue.priority,
            "--queue-priority",
            &args.queue_priority,
        )?;
        change(
            &mut queue.language,
            "--queue-language",
            &args.queue_language,
        )?;
        let mut about = vec![("queue", args.name.clone())];
        if args.address.is_some() || touches_address(args) {
            let i = pick(queue, args.address.as_deref())?;
            let entry = &mut queue.addresses[i];
            if let Some(server) = &args.server {
                entry.server = value::<Name>("--server", server)?.0;
            }
            let v = &args.values;
            change(&mut entry.priority, "--priority", &v.priority)?;
            change(
                &mut entry.extension_language,
                "--extension-language",
                &v.extension_language,
            )?;
            change_name(&mut entry.account, "--account", &v.account)?;
            put_source(&mut entry.password, &password);
            entry.sender = (entry.sender || v.sender) && !args.no_sender;
            change_name(&mut entry.outgoing_server, "--outgoing", &v.outgoing)?;
            if !v.folders.is_empty() {
                entry.folders = match v.folders[..] {
                    [ref one] if one.is_empty() => None,
                    _ => Some(v.folders.clone()),
                };
            }
            match v.deliver.as_deref() {
                None => {}
                Some("") => entry.deliver = None,
                Some(text) => entry.deliver = Some(typed_target("--deliver", text)?),
            }
            change(&mut entry.after_fetch, "--after", &v.after)?;
            about.push(("address", entry.address.to_string()));
        }
        let outcome = match *config == before {
            true => Outcome::Unchanged,
            false => Outcome::Changed,
        };
        Ok((outcome, about))
    })
}

fn change_name(slot: &mut Option<String>, flag: &str, text: &Option<String>) -> Result<()> {
    let mut name = slot.take().map(Name);
    let result = change(&mut name, flag, text);
    *slot = name.map(|n| n.0);
    result
}

/// True if an option concerns an address rather than the queue.
fn touches_address(args: &QueueSet) -> bool {
    let v = &args.values;
    let p = &v.password;
    args.server.is_some()
        || args.no_sender
        || v.sender
        || !v.folders.is_empty()
        || p.set_password
        || p.password_stdin
        || p.password_file.is_some()
        || [
            &v.priority,
            &v.extension_language,
            &v.account,
            &v.outgoing,
            &v.deliver,
            &v.after,
            &p.password_env,
            &p.password_command,
            &p.password_keyring,
            &p.password_credential,
        ]
        .iter()
        .any(|value| value.is_some())
}

/// The address that is meant: the one named, else the only one.
fn pick(queue: &Queue, address: Option<&str>) -> Result<usize> {
    let known: Vec<&str> = queue.addresses.iter().map(|a| a.address.as_str()).collect();
    match address {
        Some(text) => {
            let address: EmailAddress = value("--address", text)?;
            find(queue, &address).ok_or_else(|| {
                Fault::usage(format!("queue `{}` has no address `{text}`", queue.name))
                    .hint(config::named("its addresses", &known))
                    .into()
            })
        }
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

fn remove(context: &Context, name: &str, address: Option<&str>, dry_run: bool) -> Result<()> {
    let mut about = vec![("queue", name)];
    about.extend(address.map(|a| ("address", a)));
    apply(context, dry_run, &about, |config| {
        let names = config.queue_names();
        let Some(index) = config.queues.iter().position(|q| q.name == name) else {
            return Err(unknown("queue", name, &names));
        };
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
    })
}

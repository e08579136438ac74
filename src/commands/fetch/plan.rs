//! Which mailboxes a run fetches, in which order, and what is done with their mail.

use super::Task;
use crate::cli::FetchArgs;
use crate::config::{self, AfterFetch, Config, Day, MailboxEntry, Target};
use crate::fault::{Cause, Fault};
use crate::fetch::Job;
use crate::shell;
use crate::state::Store;
use anyhow::Result;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

/// What a run is to do.
pub struct Plan<'a> {
    /// In ascending priority; equal ones in the file's order.
    pub tasks: Vec<Task<'a>>,
    /// Addresses whose mail has no place to go to; those of the others go on.
    pub homeless: Vec<(String, anyhow::Error)>,
}

/// The mailboxes that were asked for. With `json` nothing but JSON goes to standard output,
/// messages included.
pub fn plan<'a>(
    config: &'a Config,
    store: &Store,
    args: &FetchArgs,
    json: bool,
    deadline: Option<Instant>,
) -> Result<Plan<'a>> {
    let chosen = choose(config, &args.names)?;
    let target: Option<Target> = parse(args.deliver.as_deref(), "--deliver")?;
    // What is interrupted is finished by a run that starts in another folder.
    let whole = |target| config::absolute_target(&target, &std::env::current_dir()?);
    let target = target.map(whole).transpose()?;
    let after: Option<AfterFetch> = parse(args.after.as_deref(), "--after")?;
    let since: Option<Day> = parse(args.since.as_deref(), "--since")?;
    let webhooks: Arc<[config::Webhook]> = config.webhooks.clone().into();
    let scratch = store.scratch()?;
    let mut plan = Plan {
        tasks: Vec::new(),
        homeless: Vec::new(),
    };
    for entry in chosen {
        let address = entry.address.address.as_str();
        let Some(target) = target.clone().or_else(|| entry.deliver().cloned()) else {
            let fault = Fault::config(format!(
                "nothing says where the mail of `{address}` (queue `{}`) is to be delivered",
                entry.queue.name
            ))
            .cause(Cause::NoDelivery)
            .hint(format!(
                "queuemail queue set {} --address {} --deliver maildir:PATH",
                shell::quote(&entry.queue.name),
                shell::quote(address)
            ));
            plan.homeless.push((address.to_owned(), fault.into()));
            continue;
        };
        let folders = entry.folders();
        if let Some(why) = after.as_ref().and_then(|after| after.repeats(&folders)) {
            return Err(Fault::usage(format!("`--after` with `{address}`: {why}")).into());
        }
        plan.tasks.push(Task {
            entry,
            named: !args.names.is_empty(),
            job: Job {
                queue: entry.queue.name.clone(),
                address: address.to_owned(),
                priority: entry.priority().0,
                language: entry.language().to_owned(),
                folders: folders.into_iter().map(str::to_owned).collect(),
                webhooks: webhooks.clone(),
                target: if json { target.in_json() } else { target },
                after: after.clone().unwrap_or_else(|| entry.after_fetch()),
                stamp: entry.stamp(),
                recording: config.recording(),
                limit: args.limit,
                since: since.map(Day::date),
                deadline,
                scratch: scratch.clone(),
            },
        });
    }
    plan.tasks.sort_by_key(|task| task.job.priority);
    Ok(plan)
}

/// Reads the value of an option, or says which option is wrong.
fn parse<T: std::str::FromStr>(value: Option<&str>, option: &str) -> Result<Option<T>>
where
    T::Err: std::fmt::Display,
{
    value
        .map(|text| {
            text.parse()
                .map_err(|e| Fault::usage(format!("`{option}`: {e}")).into())
        })
        .transpose()
}

/// The mailboxes of the queues and addresses named; all where none is.
fn choose<'a>(config: &'a Config, names: &[String]) -> Result<Vec<MailboxEntry<'a>>> {
    let all: Vec<_> = config.mailboxes().collect();
    if names.is_empty() {
        return Ok(all);
    }
    let mut wanted = HashSet::new();
    for name in names {
        let before = wanted.len();
        for (index, entry) in all.iter().enumerate() {
            if is_named(entry, name) {
                wanted.insert(index);
            }
        }
        if before == wanted.len() && !all.iter().any(|entry| is_named(entry, name)) {
            let mut known: Vec<&str> = config.queues.iter().map(|q| q.name.as_str()).collect();
            known.extend(all.iter().map(|e| e.address.address.as_str()));
            return Err(config::unknown("queue or address", name, &known));
        }
    }
    Ok(all
        .into_iter()
        .enumerate()
        .filter(|(index, _)| wanted.contains(index))
        .map(|(_, entry)| entry)
        .collect())
}

fn is_named(entry: &MailboxEntry<'_>, name: &str) -> bool {
    entry.queue.name == name || entry.address.address.as_str().eq_ignore_ascii_case(name)
}

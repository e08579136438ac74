//! Which mailboxes a run fetches, in which order, and what is done with their mail.

use super::Job;
use crate::fault::Fault;
use crate::model::{AfterFetch, Day, Start, Target, Webhook};
use crate::office::{MailboxEntry, Office};
use crate::state::Store;
use anyhow::Result;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What is done with mailboxes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    Fetch,
    /// Put all that is there on record as skipped.
    CatchUp,
    /// Tell what would be fetched, and change nothing.
    List,
    /// Account for every message that the server holds.
    Audit,
}

/// What is wanted of a run.
#[derive(Clone, Debug)]
pub struct Orders<'o> {
    pub work: Work,
    /// Queues and addresses; all where there are none.
    pub names: &'o [String],
    /// Delivers here, and not where the configuration says.
    pub target: Option<Target>,
    /// Does this on the server, and not what the configuration says.
    pub after: Option<AfterFetch>,
    pub since: Option<Day>,
    /// At most so many messages of each mailbox.
    pub limit: Option<u32>,
    /// Fetch what was skipped, too.
    pub include_skipped: bool,
    /// So many mailboxes at a time.
    pub jobs: usize,
    /// When the run is to stop.
    pub deadline: Option<Instant>,
    /// The longest time for each mailbox.
    pub budget_each: Option<Duration>,
    /// Nothing but JSON goes to standard output, messages included.
    pub in_json: bool,
}

/// One mailbox of a run.
pub struct Task<'a> {
    pub entry: MailboxEntry<'a>,
    pub job: Job,
    /// It, or its queue, was named: being unable to fetch it is then an error, even for a harmless
    /// reason.
    pub named: bool,
}

/// What a run is to do.
pub struct Plan<'a> {
    /// In ascending priority; equal ones in the file's order.
    pub tasks: Vec<Task<'a>>,
    /// Addresses whose mail has no place to go to; those of the others go on.
    pub without_place: Vec<(String, anyhow::Error)>,
}

/// The mailboxes that were asked for.
///
/// # Errors
/// `Usage` where a name is of nothing, or an order cannot be carried out.
pub fn plan<'a>(office: &'a Office<'a>, store: &Store, orders: &Orders<'_>) -> Result<Plan<'a>> {
    let chosen = office.chosen(orders.names)?;
    let after = &orders.after;
    let webhooks: Arc<[Webhook]> = office.webhooks().into();
    let scratch = store.scratch()?;
    let mut plan = Plan {
        tasks: Vec::new(),
        without_place: Vec::new(),
    };
    for entry in chosen {
        let address = entry.address.address.as_str();
        let target = match &orders.target {
            Some(target) => target.clone(),
            None => match entry.destination() {
                Ok(target) => target.clone(),
                Err(fault) => {
                    plan.without_place.push((address.to_owned(), fault.into()));
                    continue;
                }
            },
        };
        let folders = entry.folders();
        if let Some(why) = after.as_ref().and_then(|after| after.repeats(&folders)) {
            return Err(Fault::usage(format!("`--after` with `{address}`: {why}")).into());
        }
        plan.tasks.push(Task {
            entry,
            named: !orders.names.is_empty(),
            job: Job {
                queue: entry.queue.name.clone(),
                address: address.to_owned(),
                priority: entry.priority().0,
                language: entry.language().to_owned(),
                folders: folders.into_iter().map(str::to_owned).collect(),
                webhooks: webhooks.clone(),
                target: if orders.in_json {
                    target.in_json()
                } else {
                    target
                },
                after: after.clone().unwrap_or_else(|| entry.after_fetch()),
                stamp: entry.stamp(),
                recording: office.recording(),
                limit: orders.limit,
                since: orders.since,
                start: match orders.include_skipped {
                    true => Start::All,
                    false => entry.start(),
                },
                select: entry.address.select.clone(),
                catch_up: orders.work == Work::CatchUp,
                include_skipped: orders.include_skipped,
                deadline: orders.deadline,
                scratch: scratch.clone(),
            },
        });
    }
    plan.tasks.sort_by_key(|task| task.job.priority);
    Ok(plan)
}

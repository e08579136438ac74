//! `fetch`: every mailbox once, the urgent ones first, several at a time.

use super::Context;
use crate::cli::{FetchArgs, Report};
use crate::config;
use crate::fault::Errors;
use crate::fetch::{self, Orders, Work};
use crate::files;
use crate::incidents::Watch;
use crate::means::Means;
use crate::model::Target;
use crate::office::Office;
use crate::reach;
use crate::tell::changes;
use crate::tell::fetch::{ReportTo, summary};
use anyhow::Result;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub fn run(context: &Context, args: &FetchArgs) -> Result<(), Errors> {
    let config = config::load(&context.config_path)?;
    let office = Office::link(&config)?;
    let _preparation = reach::prepare(&office);
    let store = context.store(&config)?;
    let start = Instant::now();
    let orders = orders(args, start, office.every(), context.output.json)?;
    let by_change = args.report == Report::Changes;
    let output = match by_change {
        true => changes::silent(context.output),
        false => context.output,
    };
    let means = Means {
        observer: Arc::new(output),
        ..context.means.clone()
    };
    let report_to = ReportTo::new(&output);
    let mut done = fetch::run(&means, &office, &store, &orders, &report_to)?;
    report_to.end(&done.tally);
    let of_messages = fetch::of_messages(&done.tally);
    let mut notices = Vec::new();
    if orders.work == Work::Fetch {
        let took = start.elapsed();
        summary(&output, &done.tally, done.mailboxes, took)?;
        let is_well =
            done.of_mailboxes.is_empty() && of_messages.is_empty() && done.errors.is_empty();
        match Watch::new(&means, &office, &store).after_run(done.seen, is_well) {
            Ok(told) => notices = told,
            Err(err) => done.errors.push(err),
        }
    }
    let of_mailboxes = done.of_mailboxes;
    let mut all = match by_change {
        true => changes::tell(&output, &notices, of_mailboxes, of_messages)?,
        false => {
            let of_mailboxes = of_mailboxes.into_iter().map(|(_, err)| err);
            of_mailboxes.chain(of_messages).collect()
        }
    };
    all.extend(done.errors);
    Errors::none_or(all)
}

fn orders(args: &FetchArgs, start: Instant, every: Duration, in_json: bool) -> Result<Orders<'_>> {
    let seconds = |budget: u32| Duration::from_secs(budget.into());
    // What is interrupted is finished by a run that starts in another folder.
    let whole = |target: &Target| target.absolute(&files::current_folder()?);
    Ok(Orders {
        work: match () {
            () if args.dry_run => Work::List,
            () if args.audit => Work::Audit,
            () if args.catch_up => Work::CatchUp,
            () => Work::Fetch,
        },
        include_skipped: args.include_skipped,
        names: &args.names,
        target: args.deliver.as_ref().map(whole).transpose()?,
        after: args.after.clone(),
        since: args.since,
        limit: args.limit,
        jobs: args.jobs,
        every,
        deadline: args.budget.map(|budget| start + seconds(budget)),
        budget_each: args.budget_each.map(seconds),
        in_json,
    })
}

//! `queue add`: a queue, or an address to a queue that exists.

use super::apply::{Told, apply};
use super::person::Terminal;
use super::{Context, queue_add_list};
use crate::cli::{CheckArgs, QueueAdd};
use crate::fault::Errors;
use crate::prompt;
use crate::provision::{self, Mailbox, Outcome, Person, lacking};
use anyhow::Result;

pub fn run(context: &Context, args: &QueueAdd) -> Result<(), Errors> {
    let person = Terminal(context);
    let mailbox = args.said.clone();
    mailbox.refuse_empty()?;
    if let Some(list) = &args.from_file {
        return queue_add_list::run(context, args, &mailbox, list);
    }
    if mailbox.is_complete() || !context.may_ask {
        return Ok(add(context, &mailbox, args.dry_run)?);
    }
    let config = provision::known(&context.config_path)?;
    let mailbox = provision::ask_mailbox(&person, &config, mailbox)?;
    add(context, &mailbox, args.dry_run)?;
    person.tell(&mailbox.line(context.config_option.as_deref()));
    if !prompt::agreed("Check now that it works?")? {
        return Ok(());
    }
    let address = mailbox.address.map(|address| address.to_string());
    let check = CheckArgs {
        names: address.into_iter().collect(),
        boundary: Vec::new(),
        report: None,
    };
    super::check::run(context, &check)
}

fn add(context: &Context, mailbox: &Mailbox, dry_run: bool) -> Result<()> {
    let new = mailbox.complete(&Terminal(context))?;
    let names = [
        ("queue", &*new.queue),
        ("address", new.entry.address.as_str()),
    ];
    let mut lacking = Vec::new();
    apply(context, dry_run, |config| {
        let outcome = provision::add_mailbox(config, &context.config_path, &new)?;
        if outcome != Outcome::Unchanged {
            lacking = lacking::of_mailbox(config, &new.queue, &new.entry);
        }
        Ok(Told::of(outcome, &names))
    })?;
    lacking.iter().for_each(|text| context.output.warn(text));
    Ok(())
}

//! `send`: messages from standard input, files or the command line's parts go out, each with its
//! own verdict; with `--outbox` (and as sendmail) what cannot leave now is kept.

mod options;
mod relay;

use super::{Context, outbox as outbox_command};
use crate::cli::{OutboxCommand, SendArgs};
use crate::config;
use crate::fault::Errors;
use crate::mail::Receipt;
use crate::office::Office;
use crate::send::input::{Input, Inputs};
use crate::send::outbox::Settled;
use crate::send::{self, Listener, Mail, Orders, Post, Sending};
use crate::tell::Count;
use crate::tell::send as words;
use crate::tell::tally::Tally;
use anyhow::Result;
use options::{Messages, marked, messages, notifications, refuse_other_modes};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Connections at the same time where nothing says how many: as many as Exchange allows.
const CONNECTIONS: usize = 3;

/// What all messages of a run share.
struct Run<'a> {
    context: &'a Context,
    args: &'a SendArgs,
    orders: Orders<'a>,
    sending: &'a Sending<'a>,
    tally: Tally,
    progress: Count,
    errors: Mutex<Vec<anyhow::Error>>,
}

pub fn run(context: &Context, args: &SendArgs) -> Result<(), Errors> {
    if args.mode.as_deref() == Some("p") {
        return outbox_command::run(context, &OutboxCommand::List);
    }
    if args.smtp_session || args.mode.as_deref() == Some("s") {
        return Ok(relay::session(context)?);
    }
    refuse_other_modes(args)?;
    let notifications = notifications(args)?;
    let config = match config::load(&context.config_path) {
        Err(err) if args.outbox && !args.dry_run && relay::is_for_others(&err) => {
            return relay::hand_over(context, args, err);
        }
        config => config?,
    };
    let office = Office::link(&config)?;
    let store = context.store(&config)?;
    let Messages {
        about,
        inputs,
        composed_for,
    } = messages(context, args, &office)?;
    let sending = Sending::new(&context.means, &office, &store);
    let sending = match args.outbox {
        true => sending.impatient(),
        false => sending,
    };
    let several = about > 1 || !args.mboxes.is_empty();
    let run = Run {
        context,
        args,
        orders: Orders {
            from: args.from.as_deref(),
            full_name: args.full_name.as_deref(),
            recipients: &args.recipients,
            composed_for,
            from_header: args.from_header,
            auto: args.auto.map(|kind| kind.map(marked)),
            notifications,
            several,
        },
        sending: &sending,
        tally: Tally::default(),
        progress: Count::new(&context.output, about, several && !args.dry_run),
        errors: Mutex::default(),
    };
    run.all(inputs, about)?;
    Errors::none_or(
        run.errors
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner),
    )
}

impl<'a> Run<'a> {
    /// Sends all messages, and tells how many were accepted.
    fn all(&self, inputs: Inputs<'_>, about: usize) -> Result<()> {
        let start = Instant::now();
        let jobs = self.args.jobs.unwrap_or(CONNECTIONS);
        send::work(self.sending, inputs, about, jobs, |post, input| {
            self.one(post, input);
            self.progress
                .show(self.tally.done(), self.tally.accepted().1);
        });
        let (accepted, octets) = self.tally.accepted();
        self.progress.end(accepted, octets);
        match self.orders.several && self.context.output.json && !self.args.dry_run {
            true => self.tally.tell(&self.context.output, start.elapsed()),
            false => Ok(()),
        }
    }

    /// Sends one message, which may need several transactions.
    fn one(&self, post: &mut Post<'a>, input: Input) {
        let name = input.name.clone();
        let result = input
            .octets
            .and_then(|octets| self.sending.prepare(&self.orders, octets, name.clone()));
        let mails = match result {
            Ok(mails) => mails,
            Err(err) => {
                self.tally.unreadable();
                return self.note(name.as_deref(), err);
            }
        };
        let outcome = match self.args.outbox && !self.args.dry_run {
            true => post.keep_and_try(mails, self),
            false => mails
                .into_iter()
                .map(|mail| match self.args.dry_run {
                    true => self.foretell(&mail),
                    false => post.send(&mail, self),
                })
                .collect(),
        };
        for err in outcome.into_iter().filter_map(Result::err) {
            self.note(name.as_deref(), err);
        }
    }

    fn note(&self, name: Option<&str>, err: anyhow::Error) {
        let err = match name {
            Some(name) if self.orders.several => err.context(format!("cannot send `{name}`")),
            _ => err,
        };
        self.errors
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(err);
    }

    /// Tells what would be sent; with `--raw` the exact octets, and the rest on standard error.
    fn foretell(&self, mail: &Mail<'a>) -> Result<()> {
        let output = &self.context.output;
        if self.args.raw {
            for line in words::foretell(&self.context.config_path, self.sending, mail)? {
                crate::output::eprintln_safe(&line);
            }
            return output.raw(&mail.octets);
        }
        if output.json {
            return output.json(&words::foretell_json(
                &self.context.config_path,
                self.sending,
                mail,
            )?);
        }
        for line in words::foretell(&self.context.config_path, self.sending, mail)? {
            output.line(&line)?;
        }
        Ok(())
    }
}

impl Listener for Run<'_> {
    fn tell(
        &self,
        mail: &Mail<'_>,
        result: &Result<Receipt>,
        settled: Option<&Settled>,
    ) -> Result<()> {
        self.tally.count(mail, result, settled);
        if self.progress.is_enough() {
            return Ok(());
        }
        words::tell(&self.context.output, mail, result, settled)
    }

    fn not_kept(&self) {
        self.tally.unreadable();
    }
}

//! `send`: messages from standard input, files or the command line's parts go out, each with its
//! own verdict; with `--outbox` (and as sendmail) what cannot leave now is kept.

mod tally;
pub mod words;

use super::{Context, outbox as outbox_command};
use crate::cli::{AutoArg, OutboxCommand, SendArgs};
use crate::config;
use crate::fault::{Errors, Fault};
use crate::mail::{Notifications, Receipt};
use crate::office::Office;
use crate::outbox::Settled;
use crate::send::compose::{self, Auto, Parts};
use crate::send::input::{self, Input, Sources};
use crate::send::{self, Listener, Mail, Orders, Post, Sending, composer};
use anyhow::Result;
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;
use tally::Tally;

/// Connections at the same time where nothing says how many: as many as Exchange allows.
const CONNECTIONS: usize = 3;

/// What all messages of a run share.
struct Run<'a> {
    context: &'a Context,
    args: &'a SendArgs,
    orders: Orders<'a>,
    sending: &'a Sending<'a>,
    about: usize,
    tally: Tally,
    errors: Mutex<Vec<anyhow::Error>>,
}

pub fn run(context: &Context, args: &SendArgs) -> Result<(), Errors> {
    if args.mode.as_deref() == Some("p") {
        return outbox_command::run(context, &OutboxCommand::List);
    }
    refuse_other_modes(args)?;
    let notifications = notifications(args)?;
    let config = config::load(&context.config_path)?;
    let office = Office::link(&config)?;
    let store = context.store()?;
    let mut composed_for = Vec::new();
    let parts = parts(args);
    let from = args.from.as_deref();
    let (about, inputs) = match parts.is_empty() {
        false => {
            let composed = compose::compose(&parts, &composer(&office, from)?)?;
            composed_for = composed.recipients;
            (1, input::one(composed.octets))
        }
        true => input::inputs(sources(args), &context.output)?,
    };
    let sending = Sending::new(&context.means, &office, &store);
    let sending = if args.outbox {
        sending.impatient()
    } else {
        sending
    };
    let run = Run {
        context,
        args,
        orders: Orders {
            from,
            full_name: args.full_name.as_deref(),
            recipients: &args.recipients,
            composed_for,
            from_header: args.from_header,
            auto: args.auto.map(|kind| kind.map(marked)),
            notifications,
            several: about > 1 || !args.mboxes.is_empty(),
        },
        sending: &sending,
        about,
        tally: Tally::default(),
        errors: Mutex::default(),
    };
    let start = Instant::now();
    let jobs = args.jobs.unwrap_or(CONNECTIONS);
    send::work(&sending, inputs, about, jobs, |post, input| {
        run.one(post, input);
        run.show_progress();
    });
    run.end_progress();
    if run.orders.several && context.output.json && !args.dry_run {
        run.tally.tell(context, start.elapsed())?;
    }
    Errors::none_or(
        run.errors
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner),
    )
}

impl<'a> Run<'a> {
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
            for line in words::foretell(self.context, self.sending, mail)? {
                crate::output::eprintln_safe(&line);
            }
            return output.raw(&mail.octets);
        }
        if output.json {
            return output.json(&words::foretell_json(self.context, self.sending, mail)?);
        }
        for line in words::foretell(self.context, self.sending, mail)? {
            output.line(&line)?;
        }
        Ok(())
    }

    fn progress_wanted(&self) -> bool {
        let output = &self.context.output;
        self.orders.several
            && !output.quiet
            && !output.json
            && output.verbose == 0
            && std::io::stderr().is_terminal()
            && !std::io::stdout().is_terminal()
    }

    fn show_progress(&self) {
        if self.progress_wanted() {
            let _ = write!(
                std::io::stderr(),
                "\r{} of about {} messages",
                self.tally.done(),
                self.about
            );
        }
    }

    fn end_progress(&self) {
        if self.progress_wanted() {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

fn parts(args: &SendArgs) -> Parts<'_> {
    let parts = &args.parts;
    Parts {
        full_name: args.full_name.as_deref(),
        to: &parts.to,
        cc: &parts.cc,
        bcc: &parts.bcc,
        reply_to: &parts.reply_to,
        subject: parts.subject.as_deref(),
        in_reply_to: parts.in_reply_to.as_deref(),
        text: parts.text.as_deref(),
        html: parts.html.as_deref(),
        attachments: &parts.attachments,
        headers: &parts.headers,
    }
}

fn sources(args: &SendArgs) -> Sources<'_> {
    Sources {
        files: &args.files,
        maildirs: &args.maildirs,
        mboxes: &args.mboxes,
        ignore_dots: args.ignore_dots || args.options.iter().any(|o| o == "i"),
    }
}

fn marked(kind: AutoArg) -> Auto {
    match kind {
        AutoArg::Replied => Auto::Replied,
        AutoArg::Generated => Auto::Generated,
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
        words::tell(self.context, mail, result, settled)
    }

    fn not_kept(&self) {
        self.tally.unreadable();
    }
}

/// sendmail has modes in which it is a server or shows things; we only send.
fn refuse_other_modes(args: &SendArgs) -> Result<(), Fault> {
    let what = match args.mode.as_deref() {
        None | Some("m") => return Ok(()),
        Some("s") => "speak SMTP on standard input",
        Some("d" | "D") => "run as a mail server",
        Some("i") => "keep aliases",
        Some(_) => "do anything but send",
    };
    let mode = args.mode.as_deref().unwrap_or_default();
    Err(Fault::usage(format!(
        "`-b{mode}` asks to {what}, which this program does not"
    ))
    .hint("give one message on standard input: queuemail send -t < MESSAGE"))
}

fn notifications(args: &SendArgs) -> Result<Notifications, Fault> {
    let notify = args.notify.as_ref().map(|text| {
        let upper = text.to_ascii_uppercase();
        let words = ["SUCCESS", "FAILURE", "DELAY"];
        if upper == "NEVER" || upper.split(',').all(|w| words.contains(&w)) {
            return Ok(upper);
        }
        Err(Fault::usage(format!(
            "`-N {}` is not known: use never, or some of success,failure,delay",
            text.escape_debug()
        )))
    });
    let returned = args.returned.as_ref().map(|text| match text.as_str() {
        "full" | "FULL" => Ok("FULL".to_owned()),
        "hdrs" | "HDRS" => Ok("HDRS".to_owned()),
        _ => Err(Fault::usage(format!(
            "`-R {}` is not known: use full or hdrs",
            text.escape_debug()
        ))),
    });
    Ok(Notifications {
        notify: notify.transpose()?,
        returned: returned.transpose()?,
        envelope_id: args.envelope_id.clone(),
    })
}

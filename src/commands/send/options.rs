//! The options of `send` as its engine takes them, and the messages that they name.

use crate::cli::{AutoArg, SendArgs};
use crate::commands::Context;
use crate::fault::Fault;
use crate::mail::Notifications;
use crate::office::Office;
use crate::send::compose::{self, Auto, Parts};
use crate::send::composer;
use crate::send::input::{self, Inputs, Sources};
use anyhow::Result;

/// The messages of a run.
pub struct Messages<'a> {
    /// About so many.
    pub about: usize,
    pub inputs: Inputs<'a>,
    /// Whom the one is for that is composed of options.
    pub composed_for: Vec<String>,
}

/// What is composed of options, or read.
pub fn messages<'a>(
    context: &'a Context,
    args: &SendArgs,
    office: &Office<'_>,
) -> Result<Messages<'a>> {
    let parts = parts(args);
    if parts.is_empty() {
        let (about, inputs) = input::inputs(sources(args), &context.output)?;
        return Ok(Messages {
            about,
            inputs,
            composed_for: Vec::new(),
        });
    }
    let composed = compose::compose(&parts, &composer(office, args.from.as_deref())?)?;
    Ok(Messages {
        about: 1,
        inputs: input::one(composed.octets),
        composed_for: composed.recipients,
    })
}

pub fn parts(args: &SendArgs) -> Parts<'_> {
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

pub fn sources(args: &SendArgs) -> Sources<'_> {
    Sources {
        files: &args.files,
        maildirs: &args.maildirs,
        mboxes: &args.mboxes,
        ignore_dots: args.ignore_dots || args.options.iter().any(|o| o == "i"),
    }
}

pub fn marked(kind: AutoArg) -> Auto {
    match kind {
        AutoArg::Replied => Auto::Replied,
        AutoArg::Generated => Auto::Generated,
    }
}

/// sendmail has modes in which it is a server or shows things; queuemail only sends.
pub fn refuse_other_modes(args: &SendArgs) -> Result<(), Fault> {
    let what = match args.mode.as_deref() {
        None | Some("m") => return Ok(()),
        Some("d" | "D") => "run as a mail server",
        Some("i") => "keep aliases",
        Some(_) => "do something other than send",
    };
    let mode = args.mode.as_deref().unwrap_or_default();
    Err(Fault::usage(format!(
        "`-b{mode}` would {what}, which this program does not do"
    ))
    .hint("send a message on standard input: queuemail send -t < MESSAGE"))
}

pub fn notifications(args: &SendArgs) -> Result<Notifications, Fault> {
    let notify = args.notify.as_ref().map(|text| {
        let upper = text.to_ascii_uppercase();
        let words = ["SUCCESS", "FAILURE", "DELAY"];
        if upper == "NEVER" || upper.split(',').all(|w| words.contains(&w)) {
            return Ok(upper);
        }
        Err(Fault::usage(format!(
            "unknown value `-N {}`: use never, or some of success,failure,delay",
            text.escape_debug()
        )))
    });
    let returned = args.returned.as_ref().map(|text| match text.as_str() {
        "full" | "FULL" => Ok("FULL".to_owned()),
        "hdrs" | "HDRS" => Ok("HDRS".to_owned()),
        _ => Err(Fault::usage(format!(
            "unknown value `-R {}`: use full or hdrs",
            text.escape_debug()
        ))),
    });
    Ok(Notifications {
        notify: notify.transpose()?,
        returned: returned.transpose()?,
        envelope_id: args.envelope_id.clone(),
    })
}

//! A command that takes the message on its standard input.
//!
//! No shell is run: the command line is split into words as a shell would split it, and what the
//! message's queue or folder is called can never become part of another command. The exit code
//! decides (sysexits.h): 0 delivered, 65 and 77 never, anything else later.

use super::handover::Taker;
use super::{Letter, Rejected, cannot_write};
use crate::child::{self, Bounds, Ended, Input, Running};
use crate::fault::Fault;
use crate::mail::Summary;
use anyhow::Result;
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::Duration;

/// How a command is run: one that takes longer is ended, and the message delivered later.
const BOUNDS: Bounds = Bounds {
    time: Duration::from_secs(300),
    output: None,
    words: 2000,
    own_group: true,
};

pub struct Program {
    /// The program and its arguments.
    pub words: Vec<String>,
}

impl Program {
    fn start(&self, message: File, letter: &Letter) -> std::io::Result<Running> {
        let (program, arguments) = self
            .words
            .split_first()
            .ok_or(std::io::ErrorKind::InvalidInput)?;
        let mut command = child::command(program);
        command
            .args(arguments)
            .env("QUEUEMAIL_QUEUE", &letter.queue)
            .env("QUEUEMAIL_ADDRESS", &letter.address)
            .env("QUEUEMAIL_PRIORITY", letter.priority.to_string())
            .env("QUEUEMAIL_LANGUAGE", &letter.language)
            .env("QUEUEMAIL_FOLDER", &letter.folder)
            .env("QUEUEMAIL_UID", letter.uid.to_string())
            .env("QUEUEMAIL_UIDVALIDITY", letter.uidvalidity.to_string())
            .env("QUEUEMAIL_SIZE", letter.size.to_string())
            .env("QUEUEMAIL_KIND", letter.kind)
            .env("QUEUEMAIL_DELIVERY_ID", &letter.delivery_id)
            .envs(of_header(&letter.summary));
        child::start(command, Input::File(message), BOUNDS)
    }
}

/// What the header says. Each variable is set, if only to nothing: the program's may have been set
/// by whoever started it.
fn of_header(summary: &Summary) -> [(&'static str, String); 6] {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    [
        ("QUEUEMAIL_FROM", text(&summary.from)),
        ("QUEUEMAIL_TO", summary.to.join(", ")),
        ("QUEUEMAIL_SUBJECT", text(&summary.subject)),
        ("QUEUEMAIL_DATE", text(&summary.date)),
        ("QUEUEMAIL_IN_REPLY_TO", text(&summary.in_reply_to)),
        ("QUEUEMAIL_REFERENCES", summary.references.join(" ")),
    ]
}

impl Taker for Program {
    /// [`TIME_LIMIT`], and a minute.
    fn longest(&self) -> Duration {
        Duration::from_secs(360)
    }

    fn take(&self, message: File, letter: &Letter) -> Result<String> {
        let name = &self.words[0];
        let running = self.start(message, letter).map_err(|e| {
            Fault::config(format!("cannot run the delivery command `{name}`: {e}"))
                .hint("nothing was removed from the server; correct `deliver` and run the same command again")
                .by_system(&e)
        })?;
        let ended = running
            .end()
            .map_err(|e| cannot_write(Path::new(name), &e))?;
        verdict(name, &ended)
    }
}

fn verdict(name: &str, ended: &Ended) -> Result<String> {
    let how = match ended.status {
        None => format!("did not end within {} s", BOUNDS.time.as_secs()),
        Some(status) => match (status.code(), status.signal()) {
            (Some(0), _) => return Ok(format!("command:{name}")),
            (Some(code), _) => format!("exited with {code}"),
            (None, signal) => format!("was killed by signal {}", signal.unwrap_or(0)),
        },
    };
    let for_good = matches!(ended.status.and_then(|s| s.code()), Some(65 | 77));
    let mut reason = format!("the command `{name}` {how}");
    let said = ended.words();
    if !said.is_empty() {
        reason.push_str(&format!(" and wrote: {said}"));
    }
    let wait = None;
    Err(Rejected {
        for_good,
        reason,
        wait,
    }
    .into())
}

//! `--report changes`: what begins to fail, still fails after a while, or works again, and nothing
//! else. The exit code stays that of the run.

use crate::fault::{Told, kind_of};
use crate::incidents::{self, Notice};
use crate::output::{Output, escape};
use crate::state::{Event, IncidentKind};
use anyhow::Result;

/// How a run speaks of which only changes are told: not of single messages, nor of what is tried
/// again. With `-v` it tells all the same.
pub fn silent(output: Output) -> Output {
    Output {
        quiet: output.quiet || output.verbose == 0,
        ..output
    }
}

/// Prints the notices. Gives the errors of mailboxes (in lower case) and messages for the exit code:
/// for each notice of a failure one is still to be printed with its hints, the others are told.
pub fn tell(
    output: &Output,
    notices: &[Notice],
    errors: Vec<(String, anyhow::Error)>,
    of_messages: Vec<anyhow::Error>,
) -> Result<Vec<anyhow::Error>> {
    for notice in notices {
        match output.json {
            true => output.json(&incidents::told(notice))?,
            false => output.line(&escape(&incidents::text(notice)))?,
        }
    }
    let of_mailboxes = |kind| {
        use IncidentKind::{Host, Mailbox, SignIn};
        matches!(kind, Host | SignIn | Mailbox)
    };
    let mut untold: Vec<&Notice> = notices
        .iter()
        .filter(|n| n.event != Event::Recovered && of_mailboxes(n.name.kind))
        .collect();
    let mut all = Vec::new();
    for (mailbox, err) in errors {
        let of_it = |notice: &&Notice| notice.mailboxes.contains(&mailbox);
        match untold.iter().position(of_it) {
            Some(at) => {
                untold.swap_remove(at);
                all.push(err);
            }
            None => all.push(Told(kind_of(&err)).into()),
        }
    }
    let silent = |err| anyhow::Error::from(Told(kind_of(&err)));
    all.extend(of_messages.into_iter().map(silent));
    Ok(all)
}

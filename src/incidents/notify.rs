//! Hands a notice over: to a program, to a URL, or by asking for a URL that says that all is well.
//! Each takes ten seconds at most.

use super::decide::Notice;
use super::words;
use crate::child::{self, Bounds, Input};
use crate::delivery;
use crate::digest::{hex, sha256};
use crate::fault::Fault;
use crate::http::Agent;
use crate::model::{Notify, PingUrl, Webhook, webhook_of};
use crate::net::{Settings, Watch};
use crate::output::escape;
use crate::secret::Secret;
use anyhow::Result;
use http::Request;
use jiff::Timestamp;
use serde::Serialize;
use std::time::Duration;

/// No way to notify takes longer.
const LONGEST: Duration = Duration::from_secs(10);
/// An answer to a ping is not longer, in octets.
const LONGEST_ANSWER: u64 = 64 << 10;

/// How a program that is told is run.
const BOUNDS: Bounds = Bounds {
    time: LONGEST,
    output: None,
    words: 2000,
    own_group: true,
};

/// A notice as it is told to programs.
#[derive(Serialize)]
pub struct Told<'a> {
    /// opened, repeated or recovered
    event: &'a str,
    /// The same for the same incident at all times.
    incident: String,
    kind: &'a str,
    subject: &'a str,
    /// When it began to fail.
    since: Option<String>,
    /// When this was decided.
    time: Option<String>,
    /// How long it has failed.
    seconds: i64,
    mailboxes: Vec<&'a String>,
    reason: &'a str,
    /// All of it as a sentence.
    text: String,
}

/// The notice as it is told to programs.
pub fn told(notice: &Notice) -> Told<'_> {
    let time = |at: i64| Timestamp::from_second(at).ok().map(|t| t.to_string());
    Told {
        event: notice.event.name(),
        incident: notice.name.to_string(),
        kind: notice.name.kind.name(),
        subject: &notice.name.subject,
        since: time(notice.since),
        time: time(notice.at),
        seconds: notice.at - notice.since,
        mailboxes: notice.mailboxes.iter().collect(),
        reason: &notice.reason,
        text: words::text(notice),
    }
}

fn json(notice: &Notice) -> Result<String> {
    Ok(serde_json::to_string(&told(notice))?)
}

/// Tells a notice to everybody who is to be told; gives each way and why it failed.
pub fn send(
    notify: &Notify,
    webhooks: &[Webhook],
    notice: &Notice,
) -> Vec<(&'static str, Option<anyhow::Error>)> {
    let mut tried = Vec::new();
    if let Some(words) = &notify.command {
        tried.push(("command", run(words, notice).err()));
    }
    if let Some(url) = &notify.url {
        let posted = json(notice)
            .and_then(|json| delivery::announce(url, webhooks, &id(notice), json, LONGEST));
        tried.push(("url", posted.err()));
    }
    tried
}

/// The same for the same notice at each attempt.
fn id(notice: &Notice) -> String {
    let (event, name) = (notice.event.name(), &notice.name);
    let key = format!("{event}\0{name}\0{}\0{}", notice.since, notice.at);
    hex(&sha256(key.as_bytes())[..16])
}

fn run(words: &[String], notice: &Notice) -> Result<()> {
    let Some((program, arguments)) = words.split_first() else {
        return Err(Fault::config("the command names no program").into());
    };
    let name = escape(program);
    let mut command = child::command(program);
    command.args(arguments);
    let input = Input::Secret(Secret::new(json(notice)? + "\n"));
    let cannot = |e: &std::io::Error| {
        Fault::config(format!("cannot run the command `{name}`: {e}")).by_system(e)
    };
    let ended = child::start(command, input, BOUNDS)
        .and_then(child::Running::end)
        .map_err(|e| cannot(&e))?;
    let how = match ended.status {
        Some(status) if status.success() => return Ok(()),
        Some(status) => format!("the command `{name}` ended with {status}"),
        None => format!(
            "the command `{name}` did not end within {} s",
            LONGEST.as_secs()
        ),
    };
    let fault = Fault::try_later(how);
    let said = ended.words();
    Err(match said.is_empty() {
        true => fault,
        false => fault.said(said),
    }
    .into())
}

/// Asks for a URL, to say that all is well.
///
/// # Errors
/// Why nobody heard it. The URL may be a secret: its host alone is named.
pub fn ping(url: &PingUrl, webhooks: &[Webhook]) -> Result<()> {
    let agent = match url.url().scheme() {
        "http" => Agent::local(LONGEST),
        _ => Agent::new(&Settings {
            connect_timeout: LONGEST,
            io_timeout: LONGEST,
            ca_file: webhook_of(webhooks, url.url()).and_then(|w| w.ca_file.clone()),
            watch: Watch::default(),
        })?,
    };
    let request = Request::get(url.url().as_str()).body(Vec::new())?;
    let answer = agent.within(LONGEST).call(request, LONGEST_ANSWER)?;
    match answer.status() {
        status if status.is_success() => Ok(()),
        status => Err(Fault::try_later(format!("`{url}` answered {status}")).into()),
    }
}

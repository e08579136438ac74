//! HTTP (RFC 9110): each message is posted to a URL, as it is.
//!
//! A post has the message's delivery id as its key, in `Idempotency-Key` and, as Standard Webhooks
//! 1.0 has it, in `webhook-id`: the same at each attempt. So whoever answers need not take a message
//! twice, though it may come again when the answer to it was lost; and several are in flight.
//!
//! An answer counts when its whole head is read. It says what is wrong with a message (which is then
//! this message's alone), that it is not the time, or that nobody takes mail at this URL; the last
//! is not the message's fault, and no attempt of its own (`https/answer`).

mod answer;
mod destination;
mod fields;
mod notice;
mod probe;

pub use destination::Destination;
pub use notice::announce;
pub use probe::probe;

use super::handover::Taker;
use super::{Letter, cannot_write};
use crate::fault::Fault;
use crate::http::{Agent, Incoming};
use answer::{judge, not_answered};
use anyhow::Result;
use destination::{Credentials, PATIENCE};
use http::{Request, Response};
use std::fs::File;
use std::io::{self, Seek};
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Posts to one URL.
pub struct Https {
    to: Box<Destination>,
    link: OnceLock<Link>,
}

/// What a first message makes, for all that follow.
struct Link {
    agent: Agent,
    credentials: Credentials,
    /// A connection may be left from an earlier message.
    used: AtomicBool,
}

impl Https {
    pub fn new(to: Box<Destination>) -> Https {
        let link = OnceLock::new();
        Https { to, link }
    }

    fn link(&self) -> Result<&Link> {
        if let Some(link) = self.link.get() {
            return Ok(link);
        }
        let link = Link {
            agent: self.to.agent()?,
            credentials: self.to.credentials()?,
            used: AtomicBool::new(false),
        };
        Ok(self.link.get_or_init(|| link))
    }
}

impl Taker for Https {
    /// For all but large messages on slow lines; a post has a key, by which a repeat is recognised.
    fn longest(&self) -> Duration {
        Duration::from_secs(180)
    }

    fn most_at_once(&self) -> usize {
        8
    }

    fn take(&self, message: File, letter: &Letter) -> Result<String> {
        let link = self.link()?;
        let answer = post(&self.to, link, &message, letter)?;
        judge(&self.to, &link.credentials.mask, answer)
    }
}

/// Posts a message and returns what was answered.
fn post(
    to: &Destination,
    link: &Link,
    mut message: &File,
    letter: &Letter,
) -> Result<Response<Incoming>> {
    let cannot_read = |e: &io::Error| cannot_write(Path::new("the message to be posted"), e);
    let length = message.metadata().map_err(|e| cannot_read(&e))?.len();
    let webhook = to.webhook.as_ref();
    let fields = fields::of_letter(webhook, &link.credentials, message, letter)
        .map_err(|e| cannot_read(&e))?;
    // A receiver may have ended the connection after the message before: with the same key the
    // post may be repeated at once.
    let again = link.used.swap(true, Ordering::Relaxed);
    let mut lost = None;
    for _ in 0..=usize::from(again) {
        message.rewind().map_err(|e| cannot_read(&e))?;
        let body = message.try_clone().map_err(|e| cannot_read(&e))?;
        let mut request = Request::post(to.url.url().as_str()).body(body)?;
        *request.headers_mut() = fields.clone();
        let began = Instant::now();
        match link.agent.open_from(request, length) {
            Ok(answer) => return Ok(answer),
            // One that hangs does so again.
            Err(e) if began.elapsed() >= PATIENCE => {
                lost = Some(e);
                break;
            }
            Err(e) => lost = Some(e),
        }
    }
    Err(lost.map_or_else(
        || Fault::bug("a request without an end").into(),
        |lost| not_answered(to, lost),
    ))
}

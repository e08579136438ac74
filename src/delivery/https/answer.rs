//! What an answer, or that there is none, means for what was posted.

use super::destination::Destination;
use crate::delivery::{Rejected, Wait};
use crate::fault::{Fault, Kind};
use crate::http::{Incoming, Lost, retry_after};
use crate::secret::Mask;
use anyhow::Result;
use http::header::LOCATION;
use http::{HeaderMap, Response, StatusCode};
use std::time::SystemTime;

/// So many octets of an answer's body are kept for the message about a failure.
pub const WORDS: usize = 2000;
/// A longer body is not read to its end, which would keep the connection.
const LONGEST: usize = 64 << 10;

/// What an answer means for a message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Meaning {
    Taken,
    /// This message will never be taken.
    Never,
    Later,
    /// Nothing can be delivered here until a person acts.
    Wrong(Kind),
}

pub fn meaning(status: StatusCode) -> Meaning {
    match status.as_u16() {
        200..=299 => Meaning::Taken,
        300..=399 => Meaning::Wrong(Kind::Config),
        400 | 406 | 413 | 415 | 422 => Meaning::Never,
        401 | 403 => Meaning::Wrong(Kind::SignIn),
        408 | 409 | 425 | 429 => Meaning::Later,
        400..=499 => Meaning::Wrong(Kind::Refused),
        _ => Meaning::Later,
    }
}

/// Says of a message what the answer to its post means: where it was delivered to, or why not.
pub fn judge(to: &Destination, mask: &Mask, answer: Response<Incoming>) -> Result<String> {
    let (head, body) = answer.into_parts();
    let status = head.status;
    let meaning = meaning(status);
    // Of a body that was read the connection is kept.
    let words = words(body);
    if meaning == Meaning::Taken {
        return Ok(to.to_string());
    }
    let mut said = format!("`{to}` answered {status}");
    let words = mask.hide(words.trim());
    if !words.is_empty() {
        said.push_str(&format!(": {words}"));
    }
    let kind = match meaning {
        Meaning::Wrong(kind) => kind,
        _ => {
            let asked = retry_after(&head.headers, SystemTime::now());
            let wait = asked.filter(|time| meaning == Meaning::Later && !time.is_zero());
            return Err(Rejected {
                for_good: meaning == Meaning::Never,
                reason: said,
                wait: wait.map(|time| Wait {
                    destination: to.to_string(),
                    time,
                }),
            }
            .into());
        }
    };
    Err(wrong(to, kind, said, mask, &head.headers).into())
}

/// Nothing can be delivered here until a person acts: says how.
pub fn wrong(to: &Destination, kind: Kind, said: String, mask: &Mask, fields: &HeaderMap) -> Fault {
    let hint = match kind {
        Kind::SignIn => {
            "correct `authorization` or `secret` of the webhook in the configuration".to_owned()
        }
        Kind::Config => {
            let location = fields.get(LOCATION).and_then(|value| value.to_str().ok());
            // What follows may be a key.
            let location = location.and_then(|l| l.split(['?', '#']).next());
            let location = mask.hide(location.unwrap_or("the final URL"));
            format!(
                "redirects are not followed; if you know where it leads, set `deliver` to {location}"
            )
        }
        _ => format!("check that `{to}` is the URL at which the receiver accepts mail by POST"),
    };
    Fault::new(kind, said)
        .hint(hint)
        .hint("nothing was removed from the server, and the next run continues here")
}

/// The beginning of an answer's body, as far as it comes in the short time that the destination's
/// agent has for it. One that is read to its end leaves the connection to the next message.
fn words(mut body: Incoming) -> String {
    let mut words = Vec::new();
    let mut piece = [0; WORDS];
    let mut length = 0;
    while length < LONGEST
        && let Ok(read @ 1..) = body.read(&mut piece)
    {
        let kept = read.min(WORDS - words.len());
        words.extend_from_slice(&piece[..kept]);
        length += read;
    }
    String::from_utf8_lossy(&words).into_owned()
}

/// No whole answer came. It may be this message that the receiver breaks over, if it got any of it.
pub fn not_answered(to: &Destination, lost: Lost) -> anyhow::Error {
    if lost.begun || lost.handed_over {
        return Rejected {
            for_good: false,
            reason: format!(
                "`{to}` gave no complete answer to this message: {}",
                lost.fault.what
            ),
            wait: None,
        }
        .into();
    }
    let fault = to.unusable(lost.fault);
    match fault.kind {
        Kind::TryLater => fault
            .hint("nothing was removed from the server; check that the receiver runs")
            .into(),
        _ => fault.into(),
    }
}

//! Posts a notice: a JSON text that is no message, and of which the sender itself keeps account.

use super::answer::{Meaning, WORDS, meaning};
use super::destination::Destination;
use super::fields;
use crate::fault::Fault;
use crate::model::{PostUrl, Webhook};
use anyhow::Result;
use http::Request;
use http::header::{CONTENT_TYPE, HeaderValue};
use std::io::Cursor;
use std::time::Duration;

/// An answer to a notice is not longer, in octets.
const LONGEST_ANSWER: u64 = 64 << 10;

/// Posts a JSON text that is no message, under an id that is the same at each attempt, with all that
/// a webhook of its URL adds. It takes no longer than `longest`.
///
/// # Errors
/// `Config` for a secret that is not there; else why it was not taken.
pub fn announce(
    url: &PostUrl,
    webhooks: &[Webhook],
    id: &str,
    json: String,
    longest: Duration,
) -> Result<()> {
    let to = Destination::of(url.clone(), webhooks);
    let credentials = to.credentials()?;
    let mut fields = fields::of_post(&credentials, id, Cursor::new(&json))?;
    let media_type = HeaderValue::from_static("application/json");
    fields.insert(CONTENT_TYPE, media_type);
    let mut request = Request::post(to.url.url().as_str()).body(json.into_bytes())?;
    *request.headers_mut() = fields;
    let agent = to.agent()?.within(longest);
    let answer = agent.call(request, LONGEST_ANSWER).map_err(|fault| {
        let what = format!("cannot post to `{to}`: {}", fault.what);
        Fault { what, ..fault }
    })?;
    let status = answer.status();
    if meaning(status) == Meaning::Taken {
        return Ok(());
    }
    let body = String::from_utf8_lossy(answer.body()).into_owned();
    let words: String = credentials
        .mask
        .hide(body.trim())
        .chars()
        .take(WORDS)
        .collect();
    let fault = Fault::try_later(format!("`{to}` answered {status}"));
    Err(match words.is_empty() {
        true => fault,
        false => fault.said(words),
    }
    .into())
}

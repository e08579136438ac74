//! One question to a token endpoint and its answer, whatever the grant.

use super::answer::{ErrorAnswer, GrantError, TokenAnswer, odd};
use super::token::Granted;
use super::trace;
use crate::fault::{Cause, Fault};
use crate::http::{self, Agent};
use crate::secret::Mask;
use ::http::StatusCode;
use ::http::header::{ACCEPT, CONTENT_TYPE};
use oauth2::{HttpRequest, HttpResponse, RequestTokenError};
use serde_json::error::Category;
use std::cell::RefCell;
use std::time::{Duration, SystemTime};

/// The largest answer of a token endpoint that is read, in octets.
const LARGEST_ANSWER: u64 = 1 << 20;

/// No page of a proxy or gateway silences the program longer, whatever it asks for: one that is
/// down for a day says nothing of the login host behind it.
const LONGEST_WAIT_OF_A_PAGE: Duration = Duration::from_secs(300);

/// The way to the wire, which the oauth2 crate is lent for one request.
pub type Wire<'w> = dyn Fn(HttpRequest) -> Result<HttpResponse, Fault> + 'w;

/// An answer as the oauth2 crate gives it.
pub type Answered<T> = Result<T, RequestTokenError<Fault, Box<ErrorAnswer>>>;

/// What the answer's frame said, which the oauth2 crate does not keep.
#[derive(Default)]
struct Frame {
    url: String,
    status: u16,
    content_type: String,
    retry_after: Option<Duration>,
}

/// Asks with `send`, which gets the way to the wire, and sorts what comes back.
pub fn exchange(
    agent: &Agent,
    tried_password: bool,
    send: impl FnOnce(&Wire<'_>) -> Answered<TokenAnswer>,
) -> Result<Granted, GrantError> {
    let asked_at = SystemTime::now();
    let answer = framed(agent, tried_password, send)?;
    answer.checked(asked_at).map_err(|fault| GrantError {
        refresh: answer.renewed().map(Box::new),
        ..fault.into()
    })
}

/// Posts a form (or, without one, gets) and reads the answer as `T`: for what the oauth2 crate
/// has no request of.
pub fn ask<T: serde::de::DeserializeOwned>(
    agent: &Agent,
    request: HttpRequest,
) -> Result<T, GrantError> {
    framed(agent, false, |http| {
        let response = http(request)?;
        let body = response.body();
        if response.status() == StatusCode::OK {
            parse(body)
        } else {
            Err(RequestTokenError::ServerResponse(parse(body)?))
        }
    })
}

/// A form as a request body (RFC 6749 appendix B).
pub fn form(url: &str, fields: &[(&str, &str)]) -> Result<HttpRequest, Fault> {
    let body = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish();
    ::http::Request::post(url)
        .header(ACCEPT, "application/json")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(body.into_bytes())
        .map_err(|e| Fault::config(format!("cannot build a request to `{url}`: {e}")))
}

fn parse<T: serde::de::DeserializeOwned>(body: &[u8]) -> Answered<T> {
    serde_json::from_slice(body).map_err(|_| RequestTokenError::Other(String::new()))
}

fn framed<T>(
    agent: &Agent,
    tried_password: bool,
    send: impl FnOnce(&Wire<'_>) -> Answered<T>,
) -> Result<T, GrantError> {
    let frame = RefCell::new(Frame::default());
    let mask = RefCell::new(Mask::default());
    let http = |request: HttpRequest| {
        for secret in trace::secrets_of(&request) {
            mask.borrow_mut().add(secret);
        }
        let url = request.uri().to_string();
        let mut response = trace::call(agent, request, LARGEST_ANSWER, &mask.borrow())?;
        // Some providers, and gateways before them, say 200 to whatever they refuse.
        let is_error = |body: &[u8]| {
            serde_json::from_slice::<ErrorAnswer>(body).is_ok_and(|answer| !answer.error.is_empty())
        };
        if response.status() == StatusCode::OK && is_error(response.body()) {
            *response.status_mut() = StatusCode::BAD_REQUEST;
        }
        *frame.borrow_mut() = Frame {
            url: url.split('?').next().unwrap_or_default().to_owned(),
            status: response.status().as_u16(),
            content_type: response
                .headers()
                .get(CONTENT_TYPE)
                .map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned())
                .unwrap_or_default(),
            retry_after: http::retry_after(response.headers(), SystemTime::now()),
        };
        Ok(response)
    };
    let answer = send(&http);
    let mask = mask.into_inner();
    let mut frame = frame.into_inner();
    frame.content_type = mask.hide(&frame.content_type);
    answer.map_err(|e| match e {
        RequestTokenError::Request(fault) => fault.into(),
        RequestTokenError::ServerResponse(answer) if !answer.error.is_empty() => answer
            .without(&mask)
            .sorted(frame.status, frame.retry_after, tried_password),
        // JSON, but not what RFC 6749 §5.1 says. The place is told, the value may be a secret.
        RequestTokenError::Parse(e, _) if frame.status == 200 => {
            malformed(&e.path().to_string(), e.inner().classify()).into()
        }
        _ => frame.is_from_elsewhere().into(),
    })
}

/// Why an answer of the right status is none.
fn malformed(place: &str, category: Category) -> Fault {
    match category {
        Category::Data if place == "." => {
            odd("a field is missing: access_token, token_type or expires_in")
        }
        Category::Data => odd(&format!("`{place}` is malformed")),
        // An answer that the line cut short; the next one may be whole.
        Category::Eof => {
            Fault::try_later("the token endpoint's answer cannot be used: it is incomplete")
                .cause(Cause::AnswerUnusable)
        }
        _ => odd("it is damaged JSON"),
    }
}

impl Frame {
    /// Something between this host and the login host answered: a proxy's page, a portal, nothing.
    fn is_from_elsewhere(&self) -> Fault {
        let status = self.status;
        let content_type: String = match self.content_type.as_str() {
            "" => "no content type".to_owned(),
            text => text.chars().take(80).collect(),
        };
        let url = url::Url::parse(&self.url).ok();
        let host = url.as_ref().and_then(|url| url.host_str());
        let fault = Fault::try_later(format!(
            "the answer of `{}` is not from a token endpoint: HTTP status {status}, {content_type}",
            self.url,
        ))
        .cause(Cause::AnswerUnusable)
        .at(host.unwrap_or(&self.url), None);
        let wait = self
            .retry_after
            .map(|wait| wait.min(LONGEST_WAIT_OF_A_PAGE));
        match status {
            300..400 => fault.hint("it redirects, and queuemail does not send secrets to another place: check the server's `address`"),
            429 | 500.. => fault.retry_after(wait),
            _ => fault.hint("usually a proxy or a sign-in page of the network answers instead: check HTTPS_PROXY and NO_PROXY, and the server's `address`"),
        }
    }
}

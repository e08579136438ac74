//! The exchange with a token endpoint, as whoever looks may see it (`-vv`).
//!
//! What is not known to be harmless is masked, in questions as in answers: a field that nobody has
//! heard of may hold a secret.

use super::answer::truncate;
use crate::fault::Fault;
use crate::http::Agent;
use crate::output::escape;
use crate::secret::{Mask, Secret};
use http::{HeaderMap, Request, Response};
use serde_json::Value;
use std::borrow::Cow;

/// The fields of a question that are no secret.
const ASKED: [&str; 9] = [
    "api-version",
    "client_assertion_type",
    "client_id",
    "grant_type",
    "login_hint",
    "redirect_uri",
    "resource",
    "scope",
    "username",
];

/// The fields of an answer that are no secret.
const ANSWERED: [&str; 20] = [
    "correlation_id",
    "error",
    "error_codes",
    "error_description",
    "error_uri",
    "expires_in",
    "expires_on",
    "ext_expires_in",
    "interval",
    "message",
    "not_before",
    "refresh_in",
    "resource",
    "scope",
    "statusCode",
    "suberror",
    "timestamp",
    "token_type",
    "trace_id",
    "verification_uri",
];

/// The header fields of an answer that tell something: the last two are what Microsoft's support
/// finds an exchange by, and Entra's clock.
const TELLING: [&str; 3] = ["retry-after", "x-ms-request-id", "date"];

/// The longest value that is shown, in octets.
const LONGEST: usize = 400;
/// A text of a hidden field that is shorter is not a secret, in octets.
const SHORTEST: usize = 12;
const MASK: &str = "(secret)";

/// A question in one line.
pub fn question(request: &Request<Vec<u8>>) -> String {
    let uri = request.uri();
    let place = uri.to_string();
    let place = place.split('?').next().unwrap_or_default();
    let mut line = format!("oauth > {} {}", request.method(), escape(place));
    let query = uri.query().unwrap_or_default().as_bytes();
    for (name, value) in fields(query).chain(fields(request.body())) {
        match ASKED.contains(&&*name) {
            true => add(&mut line, &name, &value),
            false => add(&mut line, &name, MASK),
        }
    }
    line
}

/// An answer in one line; `mask` holds the secrets of the question, which it may repeat. Nor does
/// one field repeat what another one hides.
pub fn answer(response: &Response<Vec<u8>>, mask: &Mask) -> String {
    let mut line = format!("oauth < {}", response.status().as_u16());
    let json = serde_json::from_slice(response.body());
    let fields = json.as_ref().ok().and_then(Value::as_object);
    let hidden = fields.into_iter().flatten().filter_map(|(name, value)| {
        let text = value.as_str().filter(|text| text.len() >= SHORTEST)?;
        (!ANSWERED.contains(&name.as_str())).then(|| Secret::new(text))
    });
    let own = Mask::new(hidden);
    let clean = |value: &str| {
        let value: String = value.chars().take(2 * LONGEST).collect();
        own.hide(&mask.hide(&value))
    };
    let mut tell = |name: &str, value: &str| add(&mut line, &clean(name), &clean(value));
    for name in TELLING {
        if let Some(value) = header(response.headers(), name) {
            tell(name, value);
        }
    }
    match fields {
        Some(fields) => {
            for (name, value) in fields {
                match value {
                    _ if !ANSWERED.contains(&name.as_str()) => tell(name, MASK),
                    Value::String(text) => tell(name, text),
                    other => tell(name, &other.to_string()),
                }
            }
        }
        None => {
            let kind = header(response.headers(), "content-type").unwrap_or("-");
            tell("content-type", kind);
            tell("octets", &response.body().len().to_string());
        }
    }
    line
}

/// Asks, and tells the question and what became of it; `mask` holds the question's secrets.
///
/// # Errors
/// As [`Agent::call`].
pub fn call(
    agent: &Agent,
    request: Request<Vec<u8>>,
    limit: u64,
    mask: &Mask,
) -> Result<Response<Vec<u8>>, Fault> {
    agent.tell(|| question(&request));
    let result = agent.call(request, limit).map_err(|fault| Fault {
        what: mask.hide(&fault.what),
        ..fault
    });
    agent.tell(|| match &result {
        Ok(response) => answer(response, mask),
        Err(fault) => format!("oauth ! {}", escape(&fault.what)),
    });
    result
}

/// What is secret in a question: nothing of it may come back in an error.
pub fn secrets_of(request: &Request<Vec<u8>>) -> Vec<Secret> {
    let of_form = fields(request.body())
        .filter(|(name, _)| !ASKED.contains(&&**name))
        .map(|(_, value)| Secret::new(value));
    let of_header = ["authorization", "x-identity-header"]
        .into_iter()
        .filter_map(|name| header(request.headers(), name))
        .map(|value| Secret::new(value.strip_prefix("Basic ").unwrap_or(value)));
    of_form.chain(of_header).collect()
}

fn fields(form: &[u8]) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    url::form_urlencoded::parse(form)
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

fn add(line: &mut String, name: &str, value: &str) {
    let (mut name, mut value) = (name.to_owned(), value.to_owned());
    truncate(&mut name, 40);
    truncate(&mut value, LONGEST);
    line.push_str(&format!(" {}={}", escape(&name), escape(&value)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever a field is called and holds: one line, and nothing of a secret.
        #[test]
        fn nothing_secret_is_shown(name in "[a-z_]{1,20}", secret in "[A-Za-z0-9+/=~.-]{12,60}") {
            prop_assume!(!ASKED.contains(&&*name) && !ANSWERED.contains(&&*name));
            let form = url::form_urlencoded::Serializer::new(String::new())
                .extend_pairs([("grant_type", "x"), (&name, &secret)])
                .finish();
            let request = Request::post(format!("https://login.example/t/token?{form}"))
                .body(form.into_bytes())
                .unwrap();
            let line = question(&request);
            prop_assert!(!line.contains(&secret), "{line}");
            prop_assert!(line.contains(&format!(" {name}={MASK}")), "{line}");
            let body = serde_json::json!({
                &name: { "deep": &secret },
                "error_description": format!("you sent {secret}\r\noauth < 200"),
            });
            let response = Response::builder()
                .status(400)
                .header("x-ms-request-id", &secret)
                .body(body.to_string().into_bytes())
                .unwrap();
            let line = answer(&response, &Mask::new(secrets_of(&request)));
            prop_assert!(!line.contains(&secret), "{line}");
            prop_assert!(!line.contains('\n') && !line.contains('\r'), "{line}");
        }
    }
}

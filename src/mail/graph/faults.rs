//! What Graph says when it says no, and what follows from it.
//!
//! An error of Graph is `{"error": {"code", "message", "innerError": {"request-id", …}}}`; what
//! stands between it and the program (gateways, proxies) answers in other forms. The code decides
//! where it is known, else the status; Exchange's codes are not all listed in Graph's
//! documentation.

use crate::fault::{Fault, Kind, Scope};
use crate::http::{self, Lost};
use crate::secret::Mask;
use ::http::{HeaderMap, HeaderValue};
use serde::Deserialize;
use serde_json::Value;
use std::time::{Duration, SystemTime};

/// An answer that is not a success.
#[derive(Clone, Debug)]
pub struct Refusal {
    pub status: u16,
    /// Empty where the answer is not Graph's own.
    pub code: String,
    message: String,
    request_id: Option<String>,
    client_request_id: Option<String>,
    date: Option<String>,
    pub retry_after: Option<Duration>,
}

/// Why a call brought nothing.
#[derive(Clone, Debug)]
pub enum Failure {
    /// Graph answered.
    Refused(Box<Refusal>),
    /// No answer, or one that cannot be read.
    Lost(Fault),
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Failure {
        Failure::Lost(fault)
    }
}

impl From<Lost> for Failure {
    fn from(lost: Lost) -> Failure {
        Failure::Lost(lost.fault)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Failure {
        Failure::Refused(Box::new(refusal))
    }
}

/// What a refusal says about the next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The token is not accepted.
    BadToken,
    /// No permission.
    Forbidden,
    /// There is no such mailbox, or none that Graph reaches.
    NoMailbox,
    /// The message or folder is not there.
    Gone,
    /// The state of a delta query is lost: begin again.
    SyncStateLost,
    /// Wait, then ask again.
    Throttled,
    /// A state of the whole mailbox or of what is behind it, which passes by itself: the mailbox
    /// is being moved, or another server takes over its store.
    Passing,
    /// The mailbox may send nothing for now: Microsoft has blocked it, or it has sent too much.
    Blocked,
    /// The service, or something on the way to it, is in trouble, maybe over one message.
    Trouble,
    /// This message cannot be had.
    BadItem,
    Other,
}

/// Answers that ask to wait; some gateways give them the status of a refusal for good.
const THROTTLED: &[&str] = &[
    "activitylimitreached",
    "applicationthrottled",
    "toomanyrequests",
];
/// Of what Exchange says in EWS's words (ResponseCodeType): try again later, and not about a message.
const PASSING: &[&str] = &[
    "erroradoperation",
    "erroradunavailable",
    "errorconnectionfailed",
    "errorconnectionfailedtransienterror",
    "errorinsufficientresources",
    "errormailboxfailover",
    "errormailboxmoveinprogress",
    "errormailboxstoreunavailable",
    "errorserverbusy",
];
/// The same, and it may be about a message.
const TROUBLE: &[&str] = &[
    "errorinternalservererror",
    "errorinternalservertransienterror",
    "errorirresolvableconflict",
    "errortimeoutexpired",
];
const NO_MAILBOX: &[&str] = &[
    "mailboxnotenabledforrestapi",
    "mailboxnotsupportedforrestapi",
    "errorinvaliduser",
    "errornonexistentmailbox",
    "request_resourcenotfound",
    "resourcenotfound",
];
const SYNC_STATE_LOST: &[&str] = &["syncstatenotfound", "syncstateinvalid", "resyncrequired"];
/// The header fields that tell something of a refusal.
const FIELDS: [&str; 4] = ["client-request-id", "date", "request-id", "retry-after"];
/// An error is no longer than this, in octets.
const LONGEST: usize = 64 << 10;

impl Refusal {
    /// Reads an answer; `body` may be cut short.
    pub fn read(status: u16, headers: &HeaderMap, body: &[u8]) -> Refusal {
        let body = serde_json::from_slice(body).unwrap_or_default();
        Refusal::of(status, headers, &body)
    }

    /// Reads one answer of a batch, whose header fields are JSON.
    pub fn of_batch(status: u16, headers: &Value, body: &Value) -> Refusal {
        let mut known = HeaderMap::new();
        for (name, value) in headers.as_object().into_iter().flatten() {
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            if let Some(name) = FIELDS.iter().find(|own| own.eq_ignore_ascii_case(name))
                && let Ok(text) = HeaderValue::from_str(&text)
            {
                known.insert(*name, text);
            }
        }
        Refusal::of(status, &known, body)
    }

    fn of(status: u16, headers: &HeaderMap, body: &Value) -> Refusal {
        let error = &body["error"];
        let inner = error.get("innerError").or_else(|| error.get("innererror"));
        let text = |value: &Value| value.as_str().filter(|s| !s.is_empty()).map(short);
        let told = |name: &str| {
            let in_header = || headers.get(name)?.to_str().ok().filter(|s| !s.is_empty());
            let in_body = inner.and_then(|inner| text(&inner[name]));
            in_body.or_else(|| in_header().map(short))
        };
        Refusal {
            status,
            code: text(&error["code"]).unwrap_or_default(),
            message: text(&error["message"]).unwrap_or_else(|| match status {
                0 => "no answer in the batch".to_owned(),
                status => format!("HTTP {status}"),
            }),
            request_id: told("request-id"),
            client_request_id: told("client-request-id"),
            date: told("date"),
            retry_after: http::retry_after(headers, SystemTime::now()),
        }
    }

    /// The same, and its words repeat no secret.
    pub fn without(self, mask: &Mask) -> Refusal {
        let hidden = |text: Option<String>| text.map(|text| mask.hide(&text));
        Refusal {
            status: self.status,
            code: mask.hide(&self.code),
            message: mask.hide(&self.message),
            request_id: hidden(self.request_id),
            client_request_id: hidden(self.client_request_id),
            date: hidden(self.date),
            retry_after: self.retry_after,
        }
    }

    /// The server's words: `code: message`.
    pub fn words(&self) -> String {
        match self.code.is_empty() {
            true => self.message.clone(),
            false => format!("{}: {}", self.code, self.message),
        }
    }

    /// The words with what Microsoft's support asks for, in one line.
    pub fn words_and_id(&self) -> String {
        match &self.request_id {
            Some(id) => format!("{} (request-id {id})", self.words()),
            None => self.words(),
        }
    }

    /// Whether a body is an error of Graph's form.
    pub fn is_in(body: &[u8]) -> bool {
        #[derive(Deserialize)]
        struct Object {
            error: Value,
        }
        body.len() <= LONGEST
            && serde_json::from_slice::<Object>(body).is_ok_and(|object| object.error.is_object())
    }

    pub fn meaning(&self) -> Meaning {
        let code = self.code.to_ascii_lowercase();
        let is = |codes: &[&str]| codes.contains(&code.as_str());
        match self.status {
            _ if is(THROTTLED) => Meaning::Throttled,
            _ if is(PASSING) => Meaning::Passing,
            _ if is(TROUBLE) => Meaning::Trouble,
            _ if is(SYNC_STATE_LOST) => Meaning::SyncStateLost,
            401 => Meaning::BadToken,
            403 if is(&["errorquotaexceeded"]) => Meaning::Other,
            403 if is(&["errormessagesubmissionblocked"]) => Meaning::Blocked,
            403 => Meaning::Forbidden,
            404 if is(NO_MAILBOX) => Meaning::NoMailbox,
            // A gateway's word does not make a message vanish.
            404 if code.is_empty() => Meaning::Trouble,
            404 => Meaning::Gone,
            410 => Meaning::SyncStateLost,
            429 | 503 | 509 => Meaning::Throttled,
            // Exchange names what is wrong with an item by a code of its own.
            200..=299 | 500 if code.starts_with("error") => Meaning::BadItem,
            // 0: an answer is missing. An error with a status of success is not Graph's.
            0 | 200..=299 | 408 | 412 | 421 | 423 | 425 | 500 | 502 | 504 => Meaning::Trouble,
            _ => Meaning::Other,
        }
    }

    /// How far a refusal of a call on one message reaches, where its code tells. Else the folder
    /// is to be asked: if it answers, the refusal is the message's.
    pub fn scope(&self) -> Option<Scope> {
        match self.meaning() {
            Meaning::Gone | Meaning::BadItem => Some(Scope::Message),
            Meaning::Passing | Meaning::Blocked => Some(Scope::Mailbox),
            _ => None,
        }
    }

    /// Whether it is certain that a call which was to change or send something did not: Exchange
    /// itself says so, or the status means that the call was not begun (RFC 9110 §15.5.13 and
    /// §15.5.20, RFC 4918 §11.3, RFC 8470 §5.2). A gateway does not know what happened behind it.
    pub fn is_undone(&self) -> bool {
        match self.status {
            412 | 421 | 423 | 425 => true,
            500 => !self.code.is_empty(),
            status => (400..500).contains(&status) && status != 408,
        }
    }

    /// Whether a token that was good has run out; `known_good`: it was accepted before. Graph has
    /// one code for every token that it does not take, and why it does not is in its text alone.
    pub fn token_expired(&self, known_good: bool) -> bool {
        self.meaning() == Meaning::BadToken && known_good
    }

    /// The error of a call. `what` could not be done, a phrase in the user's names; `known_good`:
    /// the same token was accepted before.
    pub fn fault(&self, host: &str, user: &str, what: &str, known_good: bool) -> Fault {
        let meaning = self.meaning();
        let fault = match meaning {
            Meaning::BadToken if self.token_expired(known_good) => {
                Fault::try_later(format!("`{host}` no longer accepts the token"))
            }
            Meaning::BadToken => {
                Fault::no_access(format!("`{host}` refuses the token for mailbox `{user}`"))
            }
            Meaning::Forbidden => {
                Fault::no_access(format!("{what}: no permission for mailbox `{user}`"))
            }
            Meaning::NoMailbox => Fault::new(
                Kind::UnknownRecipient,
                format!("`{host}` finds no mailbox `{user}`"),
            ),
            Meaning::Passing => Fault::try_later(format!("{what}: mailbox `{user}` is not ready"))
                .retry_after(self.retry_after),
            Meaning::Blocked => Fault::try_later(format!(
                "{what}: mailbox `{user}` is not allowed to send for now"
            ))
            .retry_after(self.retry_after),
            Meaning::Throttled => Fault::try_later(format!("{what}: `{host}` requests a wait"))
                .retry_after(self.retry_after),
            Meaning::Trouble => Fault::try_later(format!("{what}: `{host}` is not ready"))
                .retry_after(self.retry_after),
            Meaning::SyncStateLost => Fault::try_later(what.to_owned()),
            Meaning::Gone | Meaning::BadItem | Meaning::Other => Fault::refused(what.to_owned()),
        };
        let fault = match meaning {
            Meaning::BadToken | Meaning::NoMailbox | Meaning::Throttled => fault.of(Scope::Mailbox),
            _ => fault,
        };
        let fault = match self.ids() {
            Some(ids) => fault.hint(ids),
            None => fault,
        };
        fault.said(self.words())
    }

    /// What Microsoft's support finds the call by.
    fn ids(&self) -> Option<String> {
        let parts: Vec<String> = [
            ("request-id", &self.request_id),
            ("client-request-id", &self.client_request_id),
            ("date", &self.date),
        ]
        .into_iter()
        .filter_map(|(name, value)| {
            let value = crate::output::escape(value.as_ref()?);
            Some(format!("{name} {value}"))
        })
        .collect();
        (!parts.is_empty()).then(|| {
            format!(
                "Microsoft's support finds this call by {}",
                parts.join(", ")
            )
        })
    }
}

/// No text of a server is kept at any length.
fn short(text: &str) -> String {
    text.chars().take(1000).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refusal(status: u16, code: &str, message: &str) -> Refusal {
        let body = serde_json::json!({"error": {"code": code, "message": message,
            "innerError": {"request-id": "r-1", "client-request-id": "c-1", "date": "2026-11-23T08:00:00"}}});
        Refusal::read(status, &HeaderMap::new(), body.to_string().as_bytes())
    }

    #[test]
    fn codes_and_statuses_are_understood() {
        for (status, code, expected) in [
            (401, "InvalidAuthenticationToken", Meaning::BadToken),
            (403, "ErrorAccessDenied", Meaning::Forbidden),
            (404, "MailboxNotEnabledForRESTAPI", Meaning::NoMailbox),
            (404, "ErrorInvalidUser", Meaning::NoMailbox),
            (404, "ErrorItemNotFound", Meaning::Gone),
            (404, "", Meaning::Trouble),
            (410, "SyncStateNotFound", Meaning::SyncStateLost),
            (400, "syncStateNotFound", Meaning::SyncStateLost),
            (429, "ApplicationThrottled", Meaning::Throttled),
            (503, "", Meaning::Throttled),
            (403, "activityLimitReached", Meaning::Throttled),
            (500, "ErrorContentConversionFailed", Meaning::BadItem),
            (500, "ErrorInternalServerError", Meaning::Trouble),
            (504, "UnknownError", Meaning::Trouble),
            (500, "ErrorMailboxMoveInProgress", Meaning::Passing),
            (503, "ErrorMailboxFailover", Meaning::Passing),
            (403, "ErrorADUnavailable", Meaning::Passing),
            (403, "ErrorMessageSubmissionBlocked", Meaning::Blocked),
            (412, "", Meaning::Trouble),
            (421, "", Meaning::Trouble),
            (423, "ErrorLocked", Meaning::Trouble),
            (425, "", Meaning::Trouble),
            (409, "ErrorIrresolvableConflict", Meaning::Trouble),
            (200, "ErrorItemCorrupt", Meaning::BadItem),
            (200, "blocked", Meaning::Trouble),
            (400, "ErrorInvalidRecipients", Meaning::Other),
        ] {
            assert_eq!(
                refusal(status, code, "x").meaning(),
                expected,
                "{status} {code}"
            );
        }
    }

    #[test]
    fn an_error_carries_words_and_ids() {
        let fault = refusal(403, "ErrorAccessDenied", "Access is denied.").fault(
            "graph.example",
            "a@contoso.example",
            "cannot list the messages",
            true,
        );
        assert_eq!(fault.kind, Kind::SignIn);
        assert_eq!(
            fault.server_said.as_deref(),
            Some("ErrorAccessDenied: Access is denied.")
        );
        assert!(fault.hints[0].contains("request-id r-1"), "{fault:?}");
    }

    #[test]
    fn only_a_token_that_was_good_is_renewed() {
        let plain = refusal(401, "InvalidAuthenticationToken", "Invalid audience.");
        assert!(plain.token_expired(true));
        assert!(!plain.token_expired(false));
        assert!(!refusal(403, "ErrorAccessDenied", "expired").token_expired(true));
    }

    proptest! {
        #[test]
        fn any_body_is_read(status in 300u16..600, body in proptest::collection::vec(any::<u8>(), 0..80)) {
            let refusal = Refusal::read(status, &HeaderMap::new(), &body);
            prop_assert!(!refusal.words().is_empty());
        }
    }
}

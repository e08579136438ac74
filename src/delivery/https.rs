//! HTTP (RFC 9110): each message is posted to a URL, as it is.
//!
//! A post has the message's delivery id as its key, in `Idempotency-Key` and, as Standard Webhooks
//! 1.0 has it, in `webhook-id`: the same at each attempt. So whoever answers need not take a message
//! twice, though it may come again when the answer to it was lost; and several are in flight.
//!
//! An answer counts when its whole head is read. It says what is wrong with a message (which is then
//! this message's alone), that it is not the time, or that nobody takes mail at this URL; the last
//! is not the message's fault, and no attempt of its own.

use super::handover::Taker;
use super::percent::{is_unreserved, percent};
use super::{Letter, Rejected, Wait, cannot_write};
use crate::digest::hmac_sha256;
use crate::fault::{Fault, Kind};
use crate::http::{Agent, Incoming, Lost, retry_after};
use crate::model::{PostUrl, SecretSource, Webhook, webhook_of};
use crate::net::{self, Settings, Watch};
use crate::secret::{Mask, Secret};
use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION};
use http::{HeaderMap, Request, Response, StatusCode};
use std::fmt;
use std::fs::File;
use std::io::{self, Cursor, Read, Seek};
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};
use zeroize::Zeroizing;

/// For connecting, to whichever address of the host answers.
const CONNECTING: Duration = Duration::from_secs(30);
/// For each piece of a message on its way out, and for the answer to a whole message.
const PATIENCE: Duration = Duration::from_secs(60);
/// For the body of an answer whose head is read: it decides nothing.
const BODY: Duration = Duration::from_secs(2);
/// So many octets of an answer's body are kept for the message about a failure.
const WORDS: usize = 2000;
/// A longer body is not read to its end, which would keep the connection.
const LONGEST_BODY: usize = 64 << 10;
/// An answer to a notice is not longer, in octets.
const LONGEST_ANSWER: u64 = 64 << 10;
/// A header field's value that is longer is left out, in octets: servers bound all of them together.
const LONGEST_VALUE: usize = 1000;
/// What the base64 of a secret for signing begins with.
const OF_A_WEBHOOK: &str = "whsec_";
/// The least octets of such a secret, as Standard Webhooks has it.
const SHORTEST_KEY: usize = 24;

/// A URL, and what goes with what is posted there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    url: PostUrl,
    webhook: Option<Webhook>,
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(f)
    }
}

impl Destination {
    /// # Errors
    /// `Config` for a URL that no mail can be posted to.
    pub fn new(url: &str, webhooks: &[Webhook]) -> Result<Destination> {
        let url: PostUrl = url.parse().map_err(Fault::config)?;
        let webhook = webhook_of(webhooks, url.url()).cloned();
        Ok(Destination { url, webhook })
    }

    fn settings(&self) -> Settings {
        Settings {
            connect_timeout: CONNECTING,
            io_timeout: PATIENCE,
            ca_file: self.webhook.as_ref().and_then(|w| w.ca_file.clone()),
            watch: Watch::default(),
        }
    }

    /// The host's name or address, and its port.
    fn host(&self) -> (&str, u16) {
        let url = self.url.url();
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        (host, url.port_or_known_default().unwrap_or(443))
    }

    fn is_plain(&self) -> bool {
        self.url.url().scheme() == "http"
    }

    fn agent(&self) -> Result<Agent> {
        let agent = match self.is_plain() {
            true => Agent::local(PATIENCE),
            false => Agent::new(&self.settings())?,
        };
        Ok(agent.with_bodies_within(BODY))
    }

    /// A secret of the webhook. Error: `Config` where there is none.
    fn secret(&self, source: &SecretSource, what: &str) -> Result<Secret> {
        source.resolve(&format!("the {what} of webhook `{self}`"))
    }

    /// The request's own header fields: those that are the same for each message.
    fn constant(&self, mask: &mut Mask) -> Result<HeaderMap> {
        let mut fields = HeaderMap::new();
        let Some(source) = self.webhook.as_ref().and_then(|w| w.authorization.as_ref()) else {
            return Ok(fields);
        };
        let secret = self.secret(source, "authorization")?;
        let mut value = HeaderValue::from_str(secret.expose()).map_err(|_| {
            Fault::config(format!(
                "cannot use the authorization of webhook `{self}`: it is not a line of visible characters"
            ))
            .hint("use the whole value of the header field, like: Bearer TOKEN")
        })?;
        value.set_sensitive(true);
        fields.insert(AUTHORIZATION, value);
        // What a receiver repeats may be without the scheme, or undone.
        if let Some((_, credentials)) = secret.expose().split_once(' ') {
            mask.add(Secret::new(credentials));
            let undone = STANDARD.decode(credentials.trim()).unwrap_or_default();
            if let Ok(text) = String::from_utf8(undone) {
                let password = text
                    .split_once(':')
                    .map_or(&*text, |(_, password)| password);
                mask.add(Secret::new(password));
            }
        }
        mask.add(secret);
        Ok(fields)
    }

    /// The keys that sign each post, the one in use first.
    fn keys(&self, mask: &mut Mask) -> Result<Vec<Zeroizing<Vec<u8>>>> {
        let secrets = self.webhook.as_ref().and_then(|w| w.secret.as_ref());
        let sources = secrets.map_or(&[][..], |secrets| &secrets.0);
        let mut keys = Vec::new();
        for source in sources {
            let secret = self.secret(source, "secret")?;
            let text = secret.expose().trim();
            let text = text.strip_prefix(OF_A_WEBHOOK).unwrap_or(text);
            let key = STANDARD.decode(text).map(Zeroizing::new).ok();
            let key = key.filter(|key| key.len() >= SHORTEST_KEY).ok_or_else(|| {
                Fault::config(format!(
                    "cannot use the secret of webhook `{self}`: it is not {OF_A_WEBHOOK} and the base64 of {SHORTEST_KEY} bytes or more"
                ))
                .hint("to create one: echo whsec_$(openssl rand -base64 32)")
            })?;
            mask.add(Secret::new(text));
            keys.push(key);
        }
        Ok(keys)
    }
}

/// Posts to one URL.
pub struct Https {
    to: Box<Destination>,
    link: OnceLock<Link>,
}

/// What a first message makes, for all that follow.
struct Link {
    agent: Agent,
    fields: HeaderMap,
    keys: Vec<Zeroizing<Vec<u8>>>,
    /// What an answer may repeat, and no error message does.
    mask: Mask,
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
        let mut mask = Mask::default();
        let link = Link {
            agent: self.to.agent()?,
            fields: self.to.constant(&mut mask)?,
            keys: self.to.keys(&mut mask)?,
            mask,
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
        judge(&self.to, &link.mask, answer)
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
    let fields = fields(to, link, message, letter).map_err(|e| cannot_read(&e))?;
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

/// No whole answer came. It may be this message that the receiver breaks over, if it got any of it.
fn not_answered(to: &Destination, lost: Lost) -> anyhow::Error {
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
    let fault = unusable(to, lost.fault);
    match fault.kind {
        Kind::TryLater => fault
            .hint("nothing was removed from the server; check that the receiver runs")
            .into(),
        _ => fault.into(),
    }
}

/// What keeps everything from the destination, with the host that it is about.
fn unusable(to: &Destination, fault: Fault) -> Fault {
    let (host, port) = to.host();
    let what = format!("`{to}` cannot be used: {}", fault.what);
    Fault { what, ..fault }.at(host, Some(port))
}

/// The header fields of a post.
fn fields(to: &Destination, link: &Link, message: &File, letter: &Letter) -> io::Result<HeaderMap> {
    let webhook = to.webhook.as_ref();
    let id = &letter.delivery_id;
    let mut fields = link.fields.clone();
    sign(&mut fields, &link.keys, id, message)?;
    let mut put = |name, value| put(&mut fields, name, value);
    let known = [
        ("queuemail-queue", &letter.queue),
        ("queuemail-address", &letter.address),
        ("queuemail-folder", &letter.folder),
        ("queuemail-priority", &letter.priority.to_string()),
        ("queuemail-language", &letter.language),
        ("queuemail-kind", &letter.kind.to_owned()),
        ("queuemail-uid", &letter.uid.to_string()),
    ];
    for (name, value) in known {
        put(name, visible(value));
    }
    if let Some(id) = &letter.message_id {
        put("queuemail-message-id", visible(id));
    }
    // To and References may be longer than what a receiver takes.
    let summary = &letter.summary;
    let of_header = [
        ("queuemail-from", &summary.from),
        ("queuemail-date", &summary.date),
        ("queuemail-in-reply-to", &summary.in_reply_to),
    ];
    for (name, value) in of_header {
        if let Some(value) = value {
            put(name, visible(value));
        }
    }
    if let Some(subject) = &summary.subject {
        put("queuemail-subject", visible_start(subject));
    }
    if webhook.is_some_and(|webhook| webhook.cloudevents) {
        put("ce-specversion", "1.0".to_owned());
        put("ce-id", id.clone());
        put("ce-type", "queuemail.message".to_owned());
        let source = format!(
            "/{}/{}",
            percent(&letter.queue, is_unreserved),
            percent(&letter.address, is_unreserved)
        );
        put("ce-source", source);
    }
    let media_type = webhook.and_then(|webhook| webhook.content_type.as_deref());
    let media_type = HeaderValue::from_str(media_type.unwrap_or("message/rfc822"));
    fields.extend(media_type.map(|value| (CONTENT_TYPE, value)));
    Ok(fields)
}

/// Puts a header field among others, if its value can be one.
fn put(fields: &mut HeaderMap, name: &'static str, value: String) {
    if value.len() <= LONGEST_VALUE
        && let Ok(value) = HeaderValue::from_str(&value)
    {
        fields.insert(HeaderName::from_static(name), value);
    }
}

/// The header fields of what has this id, the same at each attempt, and where there are keys its
/// signatures.
fn sign(
    fields: &mut HeaderMap,
    keys: &[Zeroizing<Vec<u8>>],
    id: &str,
    body: impl Read + Seek,
) -> io::Result<()> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.unwrap_or_default().as_secs();
    put(fields, "idempotency-key", format!("\"{id}\""));
    put(fields, "webhook-id", id.to_owned());
    put(fields, "webhook-timestamp", now.to_string());
    if !keys.is_empty() {
        let signatures = signatures(keys, id, now, body)?;
        put(fields, "webhook-signature", signatures);
    }
    Ok(())
}

/// A value as visible ASCII, the rest percent-encoded, as CloudEvents' HTTP binding has it.
fn visible(value: &str) -> String {
    percent(value, |octet| {
        octet.is_ascii_graphic() && !b"\"%".contains(&octet)
    })
}

/// The same of as much of a text as a header field may hold.
fn visible_start(text: &str) -> String {
    let mut start = String::new();
    for c in text.chars() {
        let next = visible(c.encode_utf8(&mut [0; 4]));
        if start.len() + next.len() > LONGEST_VALUE {
            break;
        }
        start.push_str(&next);
    }
    start
}

/// The signatures of Standard Webhooks 1.0, one of each key: HMAC-SHA256 of `id.timestamp.body`.
fn signatures(
    keys: &[Zeroizing<Vec<u8>>],
    id: &str,
    now: u64,
    mut body: impl Read + Seek,
) -> io::Result<String> {
    let head = format!("{id}.{now}.");
    let mut all = Vec::new();
    for key in keys {
        body.rewind()?;
        let mac = hmac_sha256(key, head.as_bytes().chain(&mut body))?;
        all.push(format!("v1,{}", STANDARD.encode(mac)));
    }
    Ok(all.join(" "))
}

/// What an answer means for a message.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Meaning {
    Taken,
    /// This message will never be taken.
    Never,
    Later,
    /// Nothing can be delivered here until a person acts.
    Wrong(Kind),
}

fn meaning(status: StatusCode) -> Meaning {
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

fn judge(to: &Destination, mask: &Mask, answer: Response<Incoming>) -> Result<String> {
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

fn wrong(to: &Destination, kind: Kind, said: String, mask: &Mask, fields: &HeaderMap) -> Fault {
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

/// The beginning of an answer's body, as far as it comes within [`BODY`]. One that is read to its end
/// leaves the connection to the next message.
fn words(mut body: Incoming) -> String {
    let mut words = Vec::new();
    let mut piece = [0; WORDS];
    let mut length = 0;
    while length < LONGEST_BODY
        && let Ok(read @ 1..) = body.read(&mut piece)
    {
        let kept = read.min(WORDS - words.len());
        words.extend_from_slice(&piece[..kept]);
        length += read;
    }
    String::from_utf8_lossy(&words).into_owned()
}

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
    let webhook = webhook_of(webhooks, url.url()).cloned();
    let url = url.clone();
    let to = Destination { url, webhook };
    let mut mask = Mask::default();
    let mut fields = to.constant(&mut mask)?;
    let keys = to.keys(&mut mask)?;
    sign(&mut fields, &keys, id, Cursor::new(&json))?;
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
    let words: String = mask.hide(body.trim()).chars().take(WORDS).collect();
    let fault = Fault::try_later(format!("`{to}` answered {status}"));
    Err(match words.is_empty() {
        true => fault,
        false => fault.said(words),
    }
    .into())
}

/// Whether the URL's host can be connected to, in TLS where the URL asks for it; and, where the
/// configuration wants that, what it answers to HEAD.
///
/// # Errors
/// As those of a post.
pub fn probe(to: &Destination) -> Result<String> {
    let mut mask = Mask::default();
    let fields = to.constant(&mut mask)?;
    to.keys(&mut mask)?;
    let agent = to.agent()?;
    if to.webhook.as_ref().is_some_and(|webhook| webhook.probe) {
        let mut request = Request::head(to.url.url().as_str()).body(Vec::new())?;
        *request.headers_mut() = fields;
        let answer = agent.open(request).map_err(|lost| {
            not_answered(
                to,
                Lost {
                    begun: false,
                    handed_over: false,
                    ..lost
                },
            )
        })?;
        let status = answer.status();
        let said = format!("`{to}` answered {status} to HEAD");
        return match meaning(status) {
            Meaning::Taken => Ok(format!("{to}: {status}")),
            // It is there, and takes other methods.
            _ if status == StatusCode::METHOD_NOT_ALLOWED => Ok(format!("{to}: {status}")),
            Meaning::Wrong(kind) => Err(wrong(to, kind, said, &mask, answer.headers()).into()),
            Meaning::Never | Meaning::Later => Err(Fault::try_later(said).into()),
        };
    }
    let (host, port) = to.host();
    if !to.is_plain() && agent.is_proxied(host) {
        return Ok(format!("{to}: through the proxy, not tried"));
    }
    let settings = to.settings();
    let reached = match to.is_plain() {
        true => net::connect(host, port, &settings).map(drop),
        false => net::try_tls(host, port, &settings),
    };
    let cannot = |err: anyhow::Error| match err.downcast::<Fault>() {
        Ok(fault) => unusable(to, fault).into(),
        Err(err) => err,
    };
    reached.map_err(cannot)?;
    Ok(match to.is_plain() {
        true => format!("{to}: connects"),
        false => format!("{to}: connects with TLS"),
    })
}

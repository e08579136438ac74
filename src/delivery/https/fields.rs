//! The header fields of a post: who posts, under which key, and what is known of the message.

use super::destination::Credentials;
use crate::delivery::Letter;
use crate::delivery::percent::{is_unreserved, percent};
use crate::digest::hmac_sha256;
use crate::model::Webhook;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use std::fs::File;
use std::io::{self, Read, Seek};
use std::time::SystemTime;
use zeroize::Zeroizing;

/// A header field's value that is longer is left out, in octets: servers bound all of them together.
const LONGEST_VALUE: usize = 1000;

/// The header fields of a post of this message.
pub fn of_letter(
    webhook: Option<&Webhook>,
    credentials: &Credentials,
    message: &File,
    letter: &Letter,
) -> io::Result<HeaderMap> {
    let id = &letter.delivery_id;
    let mut fields = of_post(credentials, id, message)?;
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

/// The header fields of any post of what has this id, the same at each attempt, and where there are
/// keys its signatures.
pub fn of_post(
    credentials: &Credentials,
    id: &str,
    body: impl Read + Seek,
) -> io::Result<HeaderMap> {
    let mut fields = credentials.fields.clone();
    let keys = &credentials.keys;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.unwrap_or_default().as_secs();
    put(&mut fields, "idempotency-key", format!("\"{id}\""));
    put(&mut fields, "webhook-id", id.to_owned());
    put(&mut fields, "webhook-timestamp", now.to_string());
    if !keys.is_empty() {
        let signatures = signatures(keys, id, now, body)?;
        put(&mut fields, "webhook-signature", signatures);
    }
    Ok(fields)
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

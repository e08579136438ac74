//! Sending by Graph: sendMail, drafts, attachments, upload sessions.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::graph::{Call, error};
use super::graph_mail;
use super::http::{Request, Response};
use super::message::{bare_address, field, fields, header, raw_fields, with_field};
use super::submission::{self, Envelope};
use super::world::{World, guid, now, random_word};

/// A request's body at most.
const REQUEST: usize = 4 << 20;
/// MIME above this has been answered with 200, and was not sent.
const SILENT: usize = 2240 << 10;
/// An attachment that is to be uploaded has at least so many octets.
const LEAST_UPLOAD: u64 = 3 << 20;

/// An attachment of a draft.
#[derive(Default)]
pub struct Attached {
    name: String,
    kind: String,
    id: Option<String>,
    inline: bool,
    octets: Vec<u8>,
}

impl Attached {
    /// As a request describes it; the octets come apart.
    fn read(item: &Value) -> Attached {
        let text = |name: &str| item[name].as_str().map(str::to_string);
        Attached {
            name: text("name").unwrap_or_default(),
            kind: text("contentType").unwrap_or_default(),
            id: text("contentId"),
            inline: item["isInline"] == true,
            octets: Vec::new(),
        }
    }
}

/// The message of a body: MIME in base64, or JSON.
fn mime(call: &Call) -> Result<Vec<u8>, Response> {
    if call.request.body.len() > REQUEST {
        let text = "The page was not displayed because the request entity is too large.";
        return Err(error(413, "RequestEntityTooLarge", text));
    }
    let kind = call.request.header("content-type").unwrap_or_default();
    if kind.starts_with("text/plain") {
        return STANDARD.decode(&call.request.body).map_err(|_| {
            let text = "Invalid base64 string for MIME content.";
            error(400, "ErrorMimeContentInvalidBase64String", text)
        });
    }
    let body = call.json();
    let parameter = call.parameter("message");
    let message = match &parameter {
        Value::Null => &body,
        message => message,
    };
    let people = |name: &str| -> String {
        let list = message[name].as_array().cloned().unwrap_or_default();
        let list: Vec<String> = list
            .iter()
            .filter_map(|one| one["emailAddress"]["address"].as_str().map(str::to_string))
            .collect();
        list.join(", ")
    };
    let mut text = format!("From: {}\r\n", call.mailbox);
    for (field, property) in [
        ("To", "toRecipients"),
        ("Cc", "ccRecipients"),
        ("Bcc", "bccRecipients"),
    ] {
        let people = people(property);
        if !people.is_empty() {
            text += &format!("{field}: {people}\r\n");
        }
    }
    let subject = message["subject"].as_str().unwrap_or_default();
    let content = message["body"]["content"].as_str().unwrap_or_default();
    text += &format!(
        "Subject: {subject}\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{content}\r\n"
    );
    Ok(text.into_bytes())
}

/// There is no envelope: the header names the recipients, and Bcc does not go out.
fn submit(call: &Call, bytes: Vec<u8>) -> Response {
    let mut recipients = Vec::new();
    for (name, value) in fields(&bytes) {
        if ["to", "cc", "bcc"].contains(&name.to_ascii_lowercase().as_str()) {
            let list = value.split(',').map(bare_address).filter(|a| !a.is_empty());
            recipients.extend(list.map(str::to_string));
        }
    }
    if recipients.is_empty() {
        let text = "At least one recipient is not valid., Recipient is empty.";
        return error(400, "ErrorInvalidRecipients", text);
    }
    let mut out = bytes.clone();
    for (name, range) in raw_fields(&bytes).into_iter().rev() {
        if name.eq_ignore_ascii_case("bcc") {
            out.drain(range);
        }
    }
    let from = field(&bytes, "From").unwrap_or_default();
    let envelope = Envelope {
        from: bare_address(&from).to_string(),
        parameters: vec!["GRAPH".into()],
        recipient_parameters: vec![Vec::new(); recipients.len()],
        recipients,
    };
    let reply = submission::accept(call.world, &call.mailbox, envelope, out);
    match reply.get(..3) {
        Some("250") => Response::new(202, "text/plain", ""),
        _ if reply.contains("5.2.3 ") => error(
            413,
            "ErrorMessageSizeExceeded",
            "The message exceeds the maximum supported size.",
        ),
        _ => {
            let text = "The user account which was used to submit this request does not have the right to send mail on behalf of the specified sending account.";
            error(403, "ErrorSendAsDenied", text)
        }
    }
}

pub fn send_mail(call: &Call) -> Response {
    match mime(call) {
        Err(refusal) => refusal,
        Ok(bytes) if bytes.len() > SILENT => Response::new(200, "text/plain", ""),
        Ok(bytes) => submit(call, bytes),
    }
}

pub fn draft(call: &Call) -> Response {
    let mut bytes = match mime(call) {
        Ok(bytes) => bytes,
        Err(refusal) => return refusal,
    };
    if field(&bytes, "Message-ID").is_none() {
        let id = format!("<{}@LOCALHOST.eurprd00.prod.outlook.com>", guid());
        bytes = with_field(&bytes, "Message-ID", &id);
    }
    let mut store = call.world.store();
    let drafts = store.existing(&call.mailbox).existing("Drafts");
    drafts.add(
        Arc::new(bytes),
        vec!["\\Draft".into(), "\\Seen".into()],
        now(),
    );
    let message = drafts.messages.last().unwrap().clone();
    Response::json(201, &graph_mail::message_json(call, "Drafts", &message))
}

fn is_draft(call: &Call, id: &str) -> bool {
    let mut store = call.world.store();
    graph_mail::find(store.existing(&call.mailbox), id).is_some_and(|(name, _)| name == "Drafts")
}

fn not_found() -> Response {
    error(
        404,
        "ErrorItemNotFound",
        "The specified object was not found in the store.",
    )
}

pub fn attach(call: &Call, id: &str) -> Response {
    if !is_draft(call, id) {
        return not_found();
    }
    let body = call.json();
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_string();
    let octets = STANDARD.decode(text("contentBytes")).unwrap_or_default();
    if octets.len() as u64 >= LEAST_UPLOAD || call.request.body.len() > REQUEST {
        let text = "The page was not displayed because the request entity is too large.";
        return error(413, "RequestEntityTooLarge", text);
    }
    let entry = Attached {
        octets,
        ..Attached::read(&body)
    };
    let mut state = call.world.graph.lock().unwrap();
    state
        .attachments
        .entry(id.to_string())
        .or_default()
        .push(entry);
    Response::json(
        201,
        &json!({"@odata.type": "#microsoft.graph.fileAttachment", "id": guid(), "name": text("name")}),
    )
}

pub fn open_session(call: &Call, id: &str) -> Response {
    if !is_draft(call, id) {
        return not_found();
    }
    let item = &call.parameter("attachmentItem");
    let size = item["size"].as_u64().unwrap_or(0);
    if size < LEAST_UPLOAD {
        let text = "The attachment size should not be less than the minimum size.";
        return error(
            400,
            "ErrorAttachmentSizeShouldNotBeLessThanMinimumSize",
            text,
        );
    }
    let token = random_word(24);
    let url = format!("{}/upload/{token}", call.root());
    // An upload is never inline, whatever is asked for.
    let attached = Attached {
        inline: false,
        ..Attached::read(item)
    };
    let entry = (id.to_string(), size, attached);
    call.world
        .graph
        .lock()
        .unwrap()
        .uploads
        .insert(token, entry);
    Response::json(
        201,
        &json!({"uploadUrl": url, "expirationDateTime": "2027-01-01T00:00:00Z", "nextExpectedRanges": ["0-"]}),
    )
}

/// A range of an attachment, at an address that needs no token and refuses one.
pub fn upload(world: &World, request: &Request, token: &str) -> Response {
    if request.header("authorization").is_some() {
        return error(
            401,
            "InvalidAuthenticationToken",
            "An upload session takes no token.",
        );
    }
    let mut state = world.graph.lock().unwrap();
    let Some((draft, size, attached)) = state.uploads.get_mut(token) else {
        return not_found();
    };
    let octets = &mut attached.octets;
    let range = request.header("content-range").unwrap_or_default();
    let end = octets.len() + request.body.len();
    let expected = format!("bytes {}-{}/{size}", octets.len(), end - 1);
    if range != expected || request.body.len() >= REQUEST {
        return error(
            416,
            "ErrorInvalidRange",
            &format!("expected {expected}, got {range}"),
        );
    }
    octets.extend_from_slice(&request.body);
    if (end as u64) < *size {
        return Response::json(200, &json!({"nextExpectedRanges": [format!("{end}-")]}));
    }
    let entry = std::mem::take(attached);
    let draft = draft.clone();
    state.uploads.remove(token);
    state.attachments.entry(draft).or_default().push(entry);
    Response::new(201, "text/plain", "").with("Location", "https://localhost/attachments/1")
}

/// Sends a draft with what was attached to it.
pub fn send_draft(call: &Call, id: &str) -> Response {
    let bytes = {
        let mut store = call.world.store();
        let mailbox = store.existing(&call.mailbox);
        let Some((name, at)) = graph_mail::find(mailbox, id) else {
            return not_found();
        };
        mailbox.existing(&name).messages[at].bytes.to_vec()
    };
    let attached = call
        .world
        .graph
        .lock()
        .unwrap()
        .attachments
        .remove(id)
        .unwrap_or_default();
    let answer = submit(call, assemble(&bytes, &attached));
    if answer.status == 202 {
        let mut store = call.world.store();
        let drafts = store.existing(&call.mailbox).existing("Drafts");
        let uids = drafts
            .messages
            .iter()
            .filter(|m| m.id == id)
            .map(|m| m.uid)
            .collect();
        drafts.remove(&uids);
    }
    answer
}

fn assemble(draft: &[u8], attached: &[Attached]) -> Vec<u8> {
    if attached.is_empty() {
        return draft.to_vec();
    }
    let head = header(draft);
    let mut top = Vec::new();
    let mut own = Vec::new();
    for (name, range) in raw_fields(draft) {
        match name.to_ascii_lowercase().starts_with("content-") {
            true => own.extend_from_slice(&draft[range]),
            false => top.extend_from_slice(&draft[range]),
        }
    }
    let mut out = top;
    out.extend_from_slice(
        b"Content-Type: multipart/mixed; boundary=\"=_graph\"\r\n\r\n--=_graph\r\n",
    );
    out.extend_from_slice(&own);
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(&draft[head.len()..]);
    for Attached {
        name,
        kind,
        id,
        inline,
        octets,
    } in attached
    {
        let disposition = if *inline { "inline" } else { "attachment" };
        let id = id.as_ref().map(|id| format!("Content-ID: <{id}>\r\n"));
        let part = format!(
            "\r\n--=_graph\r\nContent-Type: {kind}; name=\"{name}\"\r\n{}Content-Disposition: {disposition}; filename=\"{name}\"\r\nContent-Transfer-Encoding: base64\r\n\r\n",
            id.unwrap_or_default()
        );
        out.extend_from_slice(part.as_bytes());
        for line in STANDARD.encode(octets).as_bytes().chunks(76) {
            out.extend_from_slice(line);
            out.extend_from_slice(b"\r\n");
        }
    }
    out.extend_from_slice(b"\r\n--=_graph--\r\n");
    out
}

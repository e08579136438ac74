//! Graph's messages: lists, delta queries, MIME, changes.

use std::collections::HashMap;
use std::sync::atomic::Ordering::SeqCst;

use super::graph_folders::{
    create, folder_id, folder_json, folder_name, folders, not_found, with_folder,
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Map, Value, json};

use super::graph::{Call, error};
use super::http::Response;
use super::mailbox::{Mailbox, Message};
use super::message::{bare_address, field, fields, header};
use super::world::random_word;

pub fn answer(call: &Call, path: &[&str]) -> Response {
    match (call.request.method.as_str(), path) {
        ("GET", ["mailFolders"]) => folders(call, None),
        ("POST", ["mailFolders"]) => create(call, None),
        ("GET", ["mailFolders", folder, "childFolders"]) => folders(call, Some(folder)),
        ("POST", ["mailFolders", folder, "childFolders"]) => create(call, Some(folder)),
        ("GET", ["mailFolders", folder]) => with_folder(call, folder, |mailbox, name| {
            Response::json(200, &select(call, folder_json(mailbox, name)))
        }),
        ("GET", ["mailFolders", folder, "messages"]) => messages(call, Some(folder)),
        ("GET", ["messages"]) => messages(call, None),
        ("GET", ["mailFolders", folder, "messages", "delta" | "delta()"]) => delta(call, folder),
        (_, ["mailFolders", folder, "messages", id, rest @ ..]) => {
            message(call, Some(folder), id, rest)
        }
        (_, ["messages", id, rest @ ..]) => message(call, None, id, rest),
        _ => {
            let text = format!("Resource not found for the segment '{}'.", path.join("/"));
            error(404, "ResourceNotFound", &text)
        }
    }
}

/// A message's id: the immutable one where asked for, else one that a move changes.
pub fn id_of(call: &Call, folder: &str, message: &Message) -> String {
    match call.immutable() {
        true => message.id.clone(),
        false => format!("AAMkAD{}-{}", URL_SAFE_NO_PAD.encode(folder), message.id),
    }
}

/// Where a message is: the folder's name and its place there.
pub fn find(mailbox: &Mailbox, id: &str) -> Option<(String, usize)> {
    for folder in &mailbox.folders {
        let prefix = format!("AAMkAD{}-", URL_SAFE_NO_PAD.encode(&folder.name));
        for (at, message) in folder.messages.iter().enumerate() {
            if message.id == id || id.strip_prefix(&prefix) == Some(message.id.as_str()) {
                return Some((folder.name.clone(), at));
            }
        }
    }
    None
}

pub fn message_json(call: &Call, folder: &str, message: &Message) -> Value {
    let time = jiff::Timestamp::from_second(message.received).unwrap();
    let time = time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let header = |name: &str| field(&message.bytes, name).unwrap_or_default();
    let people = |name: &str| -> Vec<Value> {
        let list = header(name);
        let list = list.split(',').map(bare_address).filter(|a| !a.is_empty());
        list.map(|address| json!({"emailAddress": {"name": address, "address": address}}))
            .collect()
    };
    let sent = mail_parser::MessageParser::default()
        .parse_headers(&message.bytes[..])
        .and_then(|parsed| Some(parsed.date()?.to_timestamp()))
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
        .map_or_else(
            || time.clone(),
            |sent| sent.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        );
    let parsed = mail_parser::MessageParser::default().parse_headers(&message.bytes[..]);
    let subject = parsed
        .as_ref()
        .and_then(|parsed| parsed.subject())
        .unwrap_or_default();
    let mut value = json!({
        "@odata.etag": format!("W/\"{}\"", message.uid),
        "id": id_of(call, folder, message),
        "createdDateTime": time, "lastModifiedDateTime": time,
        "receivedDateTime": time, "sentDateTime": sent,
        "subject": subject,
        "internetMessageId": header("Message-ID"),
        "parentFolderId": folder_id(folder),
        "hasAttachments": false,
        "isRead": message.has("\\Seen"),
        "isDraft": message.has("\\Draft"),
        "from": people("From").into_iter().next(),
        "toRecipients": people("To"),
        "ccRecipients": people("Cc"),
    });
    if call
        .query("$expand")
        .is_some_and(|expand| expand.contains("Integer 0x0E08"))
    {
        let size = message.estimated_size().to_string();
        value["singleValueExtendedProperties"] = json!([{"id": "Integer 0xe08", "value": size}]);
    }
    value
}

/// Only the properties that `$select` names.
pub fn select(call: &Call, value: Value) -> Value {
    let Some(names) = call.query("$select") else {
        return value;
    };
    let kept: Map<String, Value> = value
        .as_object()
        .unwrap()
        .iter()
        .filter(|(name, _)| {
            name.starts_with('@')
                || matches!(name.as_str(), "id" | "singleValueExtendedProperties")
                || names.split(',').any(|n| n == *name)
        })
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    Value::Object(kept)
}

fn messages(call: &Call, folder: Option<&str>) -> Response {
    if let Some(token) = call.query("$skiptoken") {
        let found = call.world.graph.lock().unwrap().pages.get(token).cloned();
        return found.map_or_else(lost, |(rest, delta)| page(call, rest, delta));
    }
    let mut store = call.world.store();
    let mailbox = store.existing(&call.mailbox);
    let only = match folder.map(|id| folder_name(mailbox, id)) {
        Some(None) => return not_found(),
        Some(name) => name,
        None => None,
    };
    let mut found: Vec<Value> = mailbox
        .folders
        .iter()
        .filter(|folder| only.as_ref().is_none_or(|name| *name == folder.name))
        .flat_map(|folder| {
            folder
                .messages
                .iter()
                .map(|m| message_json(call, &folder.name, m))
        })
        .collect();
    drop(store);
    if let Some(filter) = call.query("$filter") {
        // As the service, whoever sorts by a property must filter by it first.
        let sorts = call.query("$orderby").is_some();
        let Some(fits) = condition(filter).filter(|_| !sorts || filter.starts_with("received"))
        else {
            return error(
                400,
                "ErrorInvalidUrlQueryFilter",
                "The query filter is invalid.",
            );
        };
        found.retain(|message| fits(message));
    }
    found.reverse();
    let received = |m: &Value| {
        m["receivedDateTime"]
            .as_str()
            .unwrap_or_default()
            .to_string()
    };
    match call.query("$orderby") {
        Some("receivedDateTime") => found.sort_by_key(received),
        Some(_) => found.sort_by_key(|m| std::cmp::Reverse(received(m))),
        None => {}
    }
    let found = found.into_iter().map(|m| select(call, m)).collect();
    page(call, found, None)
}

type Condition = Box<dyn Fn(&Value) -> bool>;

/// The conditions of a `$filter` that the program makes; `None` where it has another.
fn condition(filter: &str) -> Option<Condition> {
    let mut all = Vec::new();
    for part in filter.split(" and ") {
        let inner = part.strip_prefix('(').and_then(|p| p.strip_suffix(')'));
        let any: Option<Vec<Condition>> = inner.unwrap_or(part).split(" or ").map(atom).collect();
        all.push(any?);
    }
    Some(Box::new(move |message| {
        all.iter().all(|any| any.iter().any(|fits| fits(message)))
    }))
}

fn atom(text: &str) -> Option<Condition> {
    let of = |message: &Value, name: &str| {
        let value = name.split('/').fold(message, |value, name| &value[name]);
        value.as_str().unwrap_or_default().to_string()
    };
    let string = |text: &str| {
        let inner = text.strip_prefix('\'')?.strip_suffix('\'')?;
        Some(inner.replace("''", "'").to_lowercase())
    };
    if let Some(since) = text.strip_prefix("receivedDateTime ge ") {
        let since = since.to_string();
        return Some(Box::new(move |m| of(m, "receivedDateTime") >= since));
    }
    if text == "isRead eq false" {
        return Some(Box::new(|m| m["isRead"] == json!(false)));
    }
    if let Some(inside) = text.strip_prefix("contains(") {
        let (name, part) = inside.strip_suffix(')')?.split_once(',')?;
        let (name, part) = (name.to_string(), string(part)?);
        return Some(Box::new(move |m| {
            of(m, &name).to_lowercase().contains(&part)
        }));
    }
    let (name, value) = text.split_once(" eq ")?;
    let (name, value) = (name.to_string(), string(value)?);
    Some(Box::new(move |m| of(m, &name).to_lowercase() == value))
}

/// The first page of these, and links to the next ones; a delta link at the end, if it is one.
pub fn page(call: &Call, mut found: Vec<Value>, delta: Option<String>) -> Response {
    let faults = &call.world.faults.graph;
    let wanted = call
        .prefers("odata.maxpagesize=")
        .or_else(|| call.query("$top").map(str::to_string))
        .and_then(|n| n.parse().ok())
        .unwrap_or(10usize);
    let size = match faults.page.load(SeqCst) as usize {
        0 => wanted.clamp(1, 1000),
        most => wanted.clamp(1, most),
    };
    let rest = found.split_off(size.min(found.len()));
    let mut body =
        json!({"@odata.context": format!("{}/$metadata#messages", call.root()), "value": found});
    let place = format!(
        "{}{}",
        call.root(),
        call.request.path.trim_start_matches("/v1.0")
    );
    let mut state = call.world.graph.lock().unwrap();
    if faults.always_more.load(SeqCst) {
        let token = random_word(9);
        body["@odata.nextLink"] = json!(format!("{place}?$skiptoken={token}"));
        state.pages.insert(token, (Vec::new(), delta));
    } else if faults.endless.load(SeqCst) {
        body["@odata.nextLink"] = json!(format!("{place}?$skiptoken=again"));
        state.pages.insert("again".into(), (found, delta));
    } else if !rest.is_empty() {
        let token = random_word(9);
        let place = match &*faults.foreign_link.lock().unwrap() {
            Some(host) => place.replacen("localhost", host, 1),
            None => place,
        };
        body["@odata.nextLink"] = json!(format!("{place}?$skiptoken={token}"));
        state.pages.insert(token, (rest, delta));
    } else if let Some(token) = delta {
        body["@odata.deltaLink"] = json!(format!("{place}?$deltatoken={token}"));
    }
    Response::json(200, &body)
}

/// A page of a crowd of messages that are not there; their ids are as long as real ones.
fn crowd(call: &Call, all: usize) -> Response {
    let at = call.query("$skiptoken").and_then(|at| at.parse().ok());
    let (at, size) = (at.unwrap_or(0), 500);
    let end = all.min(at + size);
    let entry = |n: usize| {
        let (day, second) = (1 + n * 7 % 28, n % 60);
        let received = format!("2026-01-{day:02}T00:00:{second:02}Z");
        json!({"id": format!("AAkA{n:0148}"), "receivedDateTime": received})
    };
    let mut body = json!({"value": (at..end).map(entry).collect::<Vec<_>>()});
    let place = format!(
        "{}{}",
        call.root(),
        call.request.path.trim_start_matches("/v1.0")
    );
    match end < all {
        true => body["@odata.nextLink"] = json!(format!("{place}?$skiptoken={end}")),
        false => body["@odata.deltaLink"] = json!(format!("{place}?$deltatoken=crowd")),
    }
    Response::json(200, &body)
}

fn delta(call: &Call, folder: &str) -> Response {
    let all = call.world.faults.graph.crowd.load(SeqCst);
    if all > 0 {
        return crowd(call, all);
    }
    if let Some(token) = call.query("$skiptoken") {
        let found = call.world.graph.lock().unwrap().pages.get(token).cloned();
        return match found {
            Some((rest, delta)) => page(call, rest, delta),
            None => lost(),
        };
    }
    let known = match call.query("$deltatoken") {
        None => None,
        Some(token) => match call.world.graph.lock().unwrap().deltas.get(token).cloned() {
            Some(known) => Some(known),
            None => return lost(),
        },
    };
    let mut now = HashMap::new();
    let mut found = Vec::new();
    {
        let mut store = call.world.store();
        let mailbox = store.existing(&call.mailbox);
        let Some(name) = folder_name(mailbox, folder) else {
            return not_found();
        };
        for message in mailbox.existing(&name).messages.iter().rev() {
            let read = message.has("\\Seen");
            now.insert(message.id.clone(), read);
            if known
                .as_ref()
                .is_none_or(|known| known.get(&message.id) != Some(&read))
            {
                found.push(select(call, message_json(call, &name, message)));
            }
        }
    }
    for id in known
        .iter()
        .flatten()
        .map(|(id, _)| id)
        .filter(|id| !now.contains_key(*id))
    {
        found.push(json!({"id": id, "@removed": {"reason": "deleted"}}));
    }
    let token = random_word(12);
    call.world
        .graph
        .lock()
        .unwrap()
        .deltas
        .insert(token.clone(), now);
    page(call, found, Some(token))
}

fn lost() -> Response {
    error(
        410,
        "SyncStateNotFound",
        "The sync state generation is not found; continuing with full sync.",
    )
}

fn message(call: &Call, folder: Option<&str>, id: &str, rest: &[&str]) -> Response {
    if (call.request.method.as_str(), rest) == ("GET", &["$value"]) {
        return value(call, folder, id);
    }
    let idle = call.world.faults.graph.idle.load(SeqCst);
    let mut store = call.world.store();
    let mailbox = store.existing(&call.mailbox);
    let Some((name, at)) = find(mailbox, id).filter(|(name, _)| is_in(mailbox, folder, name))
    else {
        return not_found();
    };
    match (call.request.method.as_str(), rest) {
        ("GET", []) => {
            let message = &mailbox.existing(&name).messages[at];
            Response::json(200, &select(call, message_json(call, &name, message)))
        }
        ("PATCH", []) => {
            let message = &mut mailbox.existing(&name).messages[at];
            if let Some(read) = call.json()["isRead"].as_bool().filter(|_| !idle) {
                message.flags.retain(|flag| flag != "\\Seen");
                if read {
                    message.flags.push("\\Seen".into());
                }
            }
            let message = message.clone();
            mailbox.existing(&name).version += 1;
            Response::json(200, &message_json(call, &name, &message))
        }
        ("DELETE", []) => {
            let uid = mailbox.existing(&name).messages[at].uid;
            if !idle {
                mailbox.existing(&name).remove(&[uid].into());
            }
            Response::new(204, "text/plain", "")
        }
        ("POST", ["move"]) => {
            let target = call.parameter("destinationId");
            let target = target.as_str().unwrap_or_default().to_string();
            let Some(target) = folder_name(mailbox, &target) else {
                return error(
                    404,
                    "ErrorFolderNotFound",
                    "The specified folder could not be found in the store.",
                );
            };
            let message = mailbox.existing(&name).messages[at].clone();
            if idle {
                return Response::json(201, &message_json(call, &name, &message));
            }
            mailbox.existing(&name).remove(&[message.uid].into());
            let folder = mailbox.existing(&target);
            folder.add_as(
                message.id.clone(),
                message.bytes.clone(),
                message.flags.clone(),
                message.received,
            );
            Response::json(201, &message_json(call, &target, &message))
        }
        _ => error(
            405,
            "ErrorInvalidRequest",
            "The OData request is not supported.",
        ),
    }
}

fn is_in(mailbox: &Mailbox, folder: Option<&str>, name: &str) -> bool {
    folder.is_none_or(|id| folder_name(mailbox, id).as_deref() == Some(name))
}

fn value(call: &Call, folder: Option<&str>, id: &str) -> Response {
    let bytes = {
        let mut store = call.world.store();
        let mailbox = store.existing(&call.mailbox);
        let Some((name, at)) = find(mailbox, id).filter(|(name, _)| is_in(mailbox, folder, name))
        else {
            return not_found();
        };
        mailbox.existing(&name).messages[at].bytes.clone()
    };
    let octets = match call.world.faults.graph.anew.load(SeqCst) {
        true => made_anew(&bytes),
        false => bytes.to_vec(),
    };
    Response::new(200, "text/plain", octets)
}

/// The same mail in other octets: fields in another order and another spelling, other boundaries.
fn made_anew(bytes: &[u8]) -> Vec<u8> {
    let mut out = String::new();
    for (name, value) in fields(bytes).into_iter().rev() {
        let value = match name.to_ascii_lowercase().as_str() {
            "subject" => format!("=?utf-8?B?{}?=", STANDARD.encode(&value)),
            "date" => match jiff::fmt::rfc2822::parse(&value) {
                Ok(date) => {
                    let there =
                        date.with_time_zone(jiff::tz::TimeZone::fixed(jiff::tz::offset(-7)));
                    jiff::fmt::rfc2822::to_string(&there).unwrap() + " (somewhere)"
                }
                Err(_) => value,
            },
            "from" | "to" => format!("\"Somebody\" <{}>", bare_address(&value)),
            _ => value,
        };
        out += &format!("{name}:\r\n {value}\r\n");
    }
    let body = &bytes[header(bytes).len()..];
    let text = format!("{out}\r\n{}", String::from_utf8_lossy(body));
    text.replace("=_b", "_000_AM0PR01").into_bytes()
}

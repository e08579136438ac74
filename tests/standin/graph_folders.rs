//! Graph's mailFolders: found by id, well-known name or parent, and made.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::graph::{Call, error};
use super::graph_mail::{page, select};
use super::http::Response;
use super::mailbox::{Folder, Mailbox};

/// Stands for a slash in a folder's own name, as in Exchange's store.
const SLASH: &str = "\u{f8ff}";

/// Each with the attribute that it has by IMAP, for its name is in the mailbox's language.
const WELL_KNOWN: [(&str, Option<&str>); 6] = [
    ("inbox", None),
    ("archive", Some("\\Archive")),
    ("deleteditems", Some("\\Trash")),
    ("drafts", Some("\\Drafts")),
    ("junkemail", Some("\\Junk")),
    ("sentitems", Some("\\Sent")),
];

pub fn folder_id(name: &str) -> String {
    format!("AQMkAD{}", URL_SAFE_NO_PAD.encode(name.to_lowercase()))
}

/// The name of a folder given by id or well-known name.
pub fn folder_name(mailbox: &Mailbox, id: &str) -> Option<String> {
    let known = WELL_KNOWN
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(id));
    let mut folders = mailbox.folders.iter();
    folders
        .find(|folder| match known {
            Some((_, None)) => folder.name == "INBOX",
            Some((_, attribute)) => folder.attribute == *attribute,
            None => folder_id(&folder.name) == id,
        })
        .map(|folder| folder.name.clone())
}

pub fn not_found() -> Response {
    error(
        404,
        "ErrorItemNotFound",
        "The specified object was not found in the store.",
    )
}

pub fn with_folder(
    call: &Call,
    id: &str,
    work: impl FnOnce(&mut Mailbox, &str) -> Response,
) -> Response {
    let mut store = call.world.store();
    let mailbox = store.existing(&call.mailbox);
    match folder_name(mailbox, id) {
        Some(name) => work(mailbox, &name),
        None => not_found(),
    }
}

fn children<'a>(mailbox: &'a Mailbox, parent: Option<&str>) -> Vec<&'a Folder> {
    let depth = |name: &str| name.matches('/').count();
    mailbox
        .folders
        .iter()
        .filter(|folder| match parent {
            None => depth(&folder.name) == 0,
            Some(parent) => {
                folder.name.starts_with(&format!("{parent}/"))
                    && depth(&folder.name) == depth(parent) + 1
            }
        })
        .collect()
}

pub fn folder_json(mailbox: &mut Mailbox, name: &str) -> Value {
    let child_count = children(mailbox, Some(name)).len();
    let folder = mailbox.existing(name);
    let shown = folder.name.rsplit('/').next().unwrap_or_default();
    json!({
        "id": folder_id(&folder.name),
        "displayName": if shown == "INBOX" { "Inbox".into() } else { shown.replace(SLASH, "/") },
        "parentFolderId": folder_id(name.rsplit_once('/').map_or("", |(parent, _)| parent)),
        "childFolderCount": child_count,
        "unreadItemCount": folder.messages.len() - folder.has_flag("\\Seen"),
        "totalItemCount": folder.messages.len(),
        "isHidden": false,
    })
}

pub fn folders(call: &Call, parent: Option<&str>) -> Response {
    let mut store = call.world.store();
    let mailbox = store.existing(&call.mailbox);
    let parent = match parent.map(|id| folder_name(mailbox, id)) {
        Some(None) => return not_found(),
        Some(name) => name,
        None => None,
    };
    let names: Vec<String> = children(mailbox, parent.as_deref())
        .iter()
        .map(|folder| folder.name.clone())
        .collect();
    let mut found: Vec<Value> = names
        .iter()
        .map(|name| folder_json(mailbox, name))
        .collect();
    drop(store);
    if let Some(filter) = call.query("$filter") {
        let Some(name) = filter
            .strip_prefix("displayName eq '")
            .and_then(|f| f.strip_suffix('\''))
        else {
            return error(
                400,
                "ErrorInvalidUrlQueryFilter",
                "The query filter is invalid.",
            );
        };
        let name = compared(&name.replace("''", "'"));
        found.retain(|f| compared(f["displayName"].as_str().unwrap_or_default()) == name);
    }
    let found = found
        .into_iter()
        .map(|folder| select(call, folder))
        .collect();
    page(call, found, None)
}

/// A name as the service compares it: some letters are two others to it.
fn compared(name: &str) -> String {
    name.to_lowercase().replace('ß', "ss")
}

pub fn create(call: &Call, parent: Option<&str>) -> Response {
    let mut store = call.world.store();
    let mailbox = store.existing(&call.mailbox);
    let name = call.json()["displayName"]
        .as_str()
        .unwrap_or_default()
        .replace('/', SLASH);
    let name = match parent.map(|id| folder_name(mailbox, id)) {
        Some(None) => return not_found(),
        Some(Some(parent)) => format!("{parent}/{name}"),
        None => name,
    };
    if !mailbox.create(&name) {
        return error(
            409,
            "ErrorFolderExists",
            "A folder with the specified name already exists.",
        );
    }
    Response::json(201, &folder_json(mailbox, &name))
}

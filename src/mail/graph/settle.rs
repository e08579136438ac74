//! Marking, deleting and moving messages, and making sure that it happened.
//!
//! Ids outlive a move, so a message that a person or rule has moved elsewhere could still be
//! deleted by its id. As over IMAP, only what is still in the open folder is touched; what is
//! gone from it counts as settled. Deleting is what IMAP's EXPUNGE is on Exchange: the message
//! goes to Recoverable Items, not to Deleted Items (`move:Deleted Items` does that).

use super::batch::Part;
use super::client::Client;
use super::faults::{Failure, Meaning};
use super::folders::{self, Found};
use crate::fault::{Fault, Scope};
use crate::mail::{RemoteId, cannot_settle, to_itself};
use crate::model::AfterFetch;
use anyhow::Result;
use serde_json::{Value, json};

/// The open folder.
pub struct OpenFolder {
    /// That it was opened by.
    pub name: String,
    pub id: String,
}

/// Settles messages; gives those that are as they were, each with its reason. A refusal counts
/// against a message alone if the folder answers. `known` is the folder to move to, where it was
/// found just now.
pub fn settle(
    client: &Client,
    open: &OpenFolder,
    ids: &[RemoteId],
    action: &AfterFetch,
    known: Option<Found>,
) -> Result<Vec<(RemoteId, Fault)>> {
    let Some(what) = cannot_settle(action) else {
        return Ok(Vec::new());
    };
    let target = match action {
        AfterFetch::Move(name) => Some(target(client, open, name, known, what)?),
        _ => None,
    };
    let ids = match action {
        AfterFetch::Seen => ids.to_vec(),
        _ => present(client, &open.id, ids)?,
    };
    let parts = ids
        .iter()
        .map(|id| part(client, &open.id, id, action, target.as_deref()))
        .collect::<Result<Vec<_>>>()?;
    let answers = client.batch(&parts).map_err(|f| client.fault(what, f))?;
    let total = ids.len();
    let mut undone = Vec::new();
    let mut in_doubt = false;
    for (id, answer) in ids.into_iter().zip(answers) {
        match answer {
            Ok(body) if is_done(&body, action, target.as_deref()) => {}
            Ok(_) => undone.push((id, None)),
            Err(refusal) if refusal.meaning() == Meaning::Gone => {}
            Err(refusal) => {
                let scope = refusal.scope();
                if scope.is_some_and(|scope| scope > Scope::Message) {
                    return Err(client.fault(what, Failure::from(refusal)));
                }
                in_doubt |= scope.is_none();
                undone.push((id, Some(refusal)));
            }
        }
    }
    if in_doubt {
        client
            .ask_folder(&open.id)
            .map_err(|failure| client.fault(what, failure))?;
    }
    let count = format!("{} of {total}", undone.len());
    let fault = |refusal| match refusal {
        Some(refusal) => client.refused(&format!("{what} ({count})"), refusal),
        None => Fault::try_later(format!(
            "{what}: `{}` reported success, but {count} are unchanged",
            client.host()
        ))
        .of(Scope::Message),
    };
    let undone = undone.into_iter();
    Ok(undone.map(|(id, refusal)| (id, fault(refusal))).collect())
}

/// The id of the folder that messages are moved to.
fn target(
    client: &Client,
    open: &OpenFolder,
    name: &str,
    known: Option<Found>,
    what: &str,
) -> Result<String> {
    let found = match known {
        _ if folders::same(name, &open.name) => None,
        Some(known) => Some(known),
        None => Some(folders::find_or_make(client, name).map_err(|f| client.fault(what, f))?),
    };
    let id = found.map(|found| found.id).filter(|id| *id != open.id);
    id.ok_or_else(|| to_itself(name).into())
}

fn part(
    client: &Client,
    folder: &str,
    id: &RemoteId,
    action: &AfterFetch,
    target: Option<&str>,
) -> Result<Part> {
    let mut segments = vec!["mailFolders", folder, "messages", super::text(id)?];
    let (method, body) = match action {
        AfterFetch::Delete => ("DELETE", None),
        AfterFetch::Move(_) => {
            segments.push("move");
            ("POST", Some(json!({"destinationId": target})))
        }
        AfterFetch::Seen | AfterFetch::Keep => ("PATCH", Some(json!({"isRead": true}))),
    };
    Ok(Part {
        method,
        url: client.url(&segments),
        body,
    })
}

/// Whether the message that came back is one, and as asked for in what it tells of itself.
fn is_done(body: &Value, action: &AfterFetch, target: Option<&str>) -> bool {
    let is_message = body["id"].is_string();
    match action {
        AfterFetch::Seen => is_message && body["isRead"] != json!(false),
        AfterFetch::Move(_) => {
            is_message
                && body["parentFolderId"]
                    .as_str()
                    .is_none_or(|folder| Some(folder) == target)
        }
        AfterFetch::Delete | AfterFetch::Keep => true,
    }
}

/// Those that are in the folder.
pub fn present(client: &Client, folder: &str, ids: &[RemoteId]) -> Result<Vec<RemoteId>> {
    let what = "cannot check whether messages exist";
    let parts = ids
        .iter()
        .map(|id| {
            let mut url = client.url(&["messages", super::text(id)?]);
            url.set_query(Some("$select=id,parentFolderId"));
            Ok(Part {
                method: "GET",
                url,
                body: None,
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let answers = client.batch(&parts).map_err(|f| client.fault(what, f))?;
    let mut found = Vec::new();
    for (id, answer) in ids.iter().zip(answers) {
        match answer {
            Ok(body) => {
                if body["parentFolderId"].as_str().is_none_or(|f| f == folder) {
                    found.push(id.clone());
                }
            }
            Err(refusal) => match refusal.scope() {
                _ if refusal.meaning() == Meaning::Gone => {}
                Some(Scope::Mailbox) => {
                    return Err(client.fault(what, Failure::from(refusal)));
                }
                // The message is there, and what comes next is refused or is not.
                _ => found.push(id.clone()),
            },
        }
    }
    Ok(found)
}

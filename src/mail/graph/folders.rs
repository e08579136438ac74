//! Folders by the names that people know them by.
//!
//! The folders that every mailbox has are found by their well-known names, in whatever language
//! the mailbox shows them; all others by their path of display names, `A/B`.

use super::client::{Client, IMMUTABLE, odata_text};
use super::faults::{Failure, Meaning};
use crate::fault::{Cause, Fault, Kind};
use ::http::Method;
use anyhow::Result;
use serde::Deserialize;
use serde_json::json;
use std::collections::HashSet;

/// At most so many folders are listed …
const MOST_FOLDERS: usize = 10_000;
/// … and so deep.
const DEEPEST: usize = 50;
const FIELDS: &str = "$select=id,displayName,totalItemCount,childFolderCount";

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Found {
    pub id: String,
    #[serde(default)]
    display_name: String,
    #[serde(default)]
    pub total_item_count: u32,
    #[serde(default)]
    child_folder_count: u32,
}

#[derive(Deserialize)]
struct Page {
    value: Vec<Found>,
    #[serde(rename = "@odata.nextLink")]
    next: Option<String>,
}

/// The well-known name of a folder that IMAP or Outlook show by this one.
fn well_known(name: &str) -> Option<&'static str> {
    Some(match name.to_lowercase().as_str() {
        "inbox" => "inbox",
        "sent items" | "sentitems" | "sent" => "sentitems",
        "deleted items" | "deleteditems" | "trash" => "deleteditems",
        "archive" => "archive",
        "junk email" | "junkemail" | "junk e-mail" => "junkemail",
        "drafts" => "drafts",
        "outbox" => "outbox",
        _ => return None,
    })
}

/// Two names of one folder.
pub fn same(a: &str, b: &str) -> bool {
    a == b
        || match (well_known(a), well_known(b)) {
            (Some(a), Some(b)) => a == b,
            _ => a.to_lowercase() == b.to_lowercase(),
        }
}

/// Finds a folder; `None` if it is not there.
pub fn find(client: &Client, name: &str) -> Result<Option<Found>, Failure> {
    walk(client, name, false)
}

/// Finds a folder, making it, and those above it, where it is missing.
pub fn find_or_make(client: &Client, name: &str) -> Result<Found, Failure> {
    walk(client, name, true)?.ok_or_else(|| Fault::config("a folder without a name").into())
}

/// Down a path from folder to folder.
fn walk(client: &Client, path: &str, make_missing: bool) -> Result<Option<Found>, Failure> {
    let mut parent: Option<Found> = None;
    for name in path.split('/') {
        let found = match child(client, parent.as_ref(), name)? {
            Some(found) => found,
            None if make_missing => make(client, parent.as_ref(), name)?,
            None => return Ok(None),
        };
        parent = Some(found);
    }
    Ok(parent)
}

fn children(client: &Client, parent: Option<&Found>) -> url::Url {
    match parent {
        None => client.url(&["mailFolders"]),
        Some(parent) => client.url(&["mailFolders", &parent.id, "childFolders"]),
    }
}

fn child(client: &Client, parent: Option<&Found>, name: &str) -> Result<Option<Found>, Failure> {
    // At the top are the folders that every mailbox has.
    if parent.is_none()
        && let Some(known) = well_known(name)
    {
        let mut url = client.url(&["mailFolders", known]);
        url.set_query(Some(FIELDS));
        match client.json(&Method::GET, &url, IMMUTABLE, None) {
            Ok(found) => return checked(found).map(Some),
            Err(Failure::Refused(refusal)) if refusal.meaning() == Meaning::Gone => {}
            Err(failure) => return Err(failure),
        }
    }
    let mut url = children(client, parent);
    let filter = odata_text(name);
    url.set_query(Some(&format!(
        "{FIELDS}&$filter=displayName%20eq%20{filter}"
    )));
    let page: Page = client.json(&Method::GET, &url, IMMUTABLE, None)?;
    // The server's comparison is not case-sensitive; nor are Exchange's folder names.
    let wanted = name.to_lowercase();
    let found = page
        .value
        .into_iter()
        .find(|folder| folder.display_name.to_lowercase() == wanted);
    found.map(checked).transpose()
}

fn make(client: &Client, parent: Option<&Found>, name: &str) -> Result<Found, Failure> {
    let url = children(client, parent);
    let body = json!({"displayName": name});
    checked(client.json(&Method::POST, &url, IMMUTABLE, Some(&body))?)
}

fn checked(found: Found) -> Result<Found, Failure> {
    match super::is_id(&found.id) {
        true => Ok(found),
        false => Err(Fault::try_later("a folder came with an id that is none").into()),
    }
}

/// The paths of all folders, parents first.
pub fn all(client: &Client) -> Result<Vec<String>, Failure> {
    let mut names = Vec::new();
    let mut seen = HashSet::new();
    let mut rest: Vec<(Option<Found>, String, usize)> = vec![(None, String::new(), 0)];
    while let Some((parent, prefix, depth)) = rest.pop() {
        let mut url = children(client, parent.as_ref());
        url.set_query(Some(&format!("{FIELDS}&$top=100")));
        let mut links = HashSet::new();
        loop {
            let page: Page = client.json(&Method::GET, &url, IMMUTABLE, None)?;
            for folder in page.value {
                let name = format!("{prefix}{}", folder.display_name);
                if names.len() >= MOST_FOLDERS || !seen.insert(folder.id.clone()) {
                    continue;
                }
                names.push(name.clone());
                if folder.child_folder_count > 0 && depth < DEEPEST && super::is_id(&folder.id) {
                    rest.push((Some(folder), format!("{name}/"), depth + 1));
                }
            }
            match page.next {
                Some(next) if links.insert(next.clone()) => url = client.link(&next)?,
                _ => break,
            }
        }
    }
    Ok(names)
}

/// What to say of a folder that is not there.
pub fn missing(client: &Client, name: &str) -> anyhow::Error {
    let names = match all(client) {
        Ok(names) => names,
        Err(failure) => return client.fault("cannot list the folders", failure),
    };
    let mut near: Vec<_> = names
        .iter()
        .map(|known| {
            let likeness = strsim::jaro_winkler(&known.to_lowercase(), &name.to_lowercase());
            (likeness, known)
        })
        .filter(|(likeness, _)| *likeness > 0.7)
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (lead, list): (_, Vec<&String>) = match near.is_empty() {
        true => ("its folders: ", names.iter().collect()),
        false => (
            "did you mean ",
            near.into_iter().map(|(_, name)| name).collect(),
        ),
    };
    let list: Vec<String> = list
        .into_iter()
        .take(8)
        .map(|name| format!("`{}`", crate::output::escape(name)))
        .collect();
    Fault::new(
        Kind::Config,
        format!("no folder `{name}` in mailbox `{}`", client.user),
    )
    .cause(Cause::NoFolder)
    .hint(format!("{lead}{}", list.join(", ")))
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_known_names_are_the_same_in_any_case_and_form() {
        assert!(same("INBOX", "Inbox"));
        assert!(same("Sent Items", "sentitems"));
        assert!(same("A/b", "a/B"));
        assert!(!same("INBOX", "Archive"));
        assert!(!same("INBOX/Done", "Done"));
    }
}

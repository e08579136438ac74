//! Folders by the names that people know them by.
//!
//! The folders that every mailbox has are found by their well-known names, in whatever language
//! the mailbox shows them; all others by their path of display names, `A/B`, of which one may hold
//! a slash itself.

use super::client::{Client, IMMUTABLE, Page, odata_text};
use super::faults::{Failure, Meaning};
use crate::fault::Fault;
use crate::mail::names;
use ::http::Method;
use anyhow::Result;
use serde::Deserialize;
use serde_json::json;
use std::collections::HashSet;

/// At most so many folders are listed, as Exchange keeps in a mailbox, …
const MOST_FOLDERS: usize = 10_000;
/// … so deep, …
const DEEPEST: usize = 50;
/// … on so many pages, of which each parent has one, …
const MOST_PAGES: usize = 11_000;
/// … so many in a row without a new one, …
const MOST_WITHOUT_NEWS: usize = 100;
/// … and so many octets of paths and ids.
const MOST_OCTETS: usize = 8 << 20;
/// So often a part of one path is looked for.
const MOST_LOOKS: usize = 200;
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

/// Two names of one folder, as far as the names tell.
pub fn same(a: &str, b: &str) -> bool {
    names::same_but_for_case(a, b)
        || well_known(a).is_some_and(|known| well_known(b) == Some(known))
}

/// Finds a folder; `None` if it is not there.
pub fn find(client: &Client, path: &str) -> Result<Option<Found>, Failure> {
    let reached = Descent::new(client).down(None, path)?;
    Ok(reached.folder.filter(|_| reached.rest.is_empty()))
}

/// Finds a folder, making it, and those above it, where it is missing.
pub fn find_or_make(client: &Client, path: &str) -> Result<Found, Failure> {
    let reached = Descent::new(client).down(None, path)?;
    let mut folder = reached.folder;
    for name in reached.rest.split('/').filter(|name| !name.is_empty()) {
        folder = Some(make(client, folder.as_ref(), name)?);
    }
    folder.ok_or_else(|| Fault::config("a folder without a name").into())
}

/// How far a path leads.
struct Reached<'p> {
    folder: Option<Found>,
    /// What is left of the path: nothing where its end was reached.
    rest: &'p str,
}

/// The way down a path. A slash parts two folders, or is a part of one's own name (`2025/26`),
/// which only the mailbox tells: the shortest name is looked for first.
struct Descent<'a> {
    client: &'a Client,
    looks: usize,
}

impl Descent<'_> {
    fn new(client: &Client) -> Descent<'_> {
        Descent { client, looks: 0 }
    }

    /// From a folder as far as the path leads.
    fn down<'p>(&mut self, from: Option<Found>, path: &'p str) -> Result<Reached<'p>, Failure> {
        let mut farthest = Reached {
            folder: from.clone(),
            rest: path,
        };
        let ends = path.match_indices('/').map(|(at, _)| at);
        for end in ends.chain([path.len()]) {
            let (name, rest) = path.split_at(end);
            let Some(found) = self.child(from.as_ref(), name)? else {
                continue;
            };
            let reached = match rest.strip_prefix('/') {
                None => Reached {
                    folder: Some(found),
                    rest,
                },
                Some(rest) => self.down(Some(found), rest)?,
            };
            if reached.rest.is_empty() {
                return Ok(reached);
            }
            if reached.rest.len() < farthest.rest.len() {
                farthest = reached;
            }
        }
        Ok(farthest)
    }

    /// The folder of this name right below `parent`.
    fn child(&mut self, parent: Option<&Found>, name: &str) -> Result<Option<Found>, Failure> {
        if name.is_empty() {
            return Ok(None);
        }
        // At the top are the folders that every mailbox has.
        if parent.is_none()
            && let Some(known) = well_known(name)
        {
            let mut url = self.client.url(&["mailFolders", known]);
            url.set_query(Some(FIELDS));
            match self.client.json(&Method::GET, &url, IMMUTABLE, None) {
                Ok(found) => return checked(found).map(Some),
                Err(Failure::Refused(refusal)) if refusal.meaning() == Meaning::Gone => {}
                Err(failure) => return Err(failure),
            }
        }
        // Whether the server finds a name in the other form of Unicode is not known.
        let mut forms = vec![name.to_owned()];
        for form in [names::composed(name), names::decomposed(name)] {
            if !forms.contains(&form) {
                forms.push(form);
            }
        }
        for form in forms {
            if let Some(found) = self.named(parent, &form)? {
                return checked(found).map(Some);
            }
        }
        Ok(None)
    }

    /// What the server finds by this name.
    fn named(&mut self, parent: Option<&Found>, name: &str) -> Result<Option<Found>, Failure> {
        self.looks += 1;
        if self.looks > MOST_LOOKS {
            return Err(self.client.endless("folders"));
        }
        let mut url = children(self.client, parent);
        let filter = odata_text(name);
        url.set_query(Some(&format!(
            "{FIELDS}&$filter=displayName%20eq%20{filter}"
        )));
        let mut page: Page<Found> = self.client.json(&Method::GET, &url, IMMUTABLE, None)?;
        // The server's comparison is not case-sensitive; nor are Exchange's folder names.
        let same = |f: &Found| names::same_but_for_case(&f.display_name, name);
        let exact = page.value.iter().position(|f| f.display_name == name);
        Ok(match exact.or_else(|| page.value.iter().position(same)) {
            Some(at) => Some(page.value.swap_remove(at)),
            // What is one name to the server (`ß` and `ss`) is one here.
            None => page.value.pop().filter(|found| {
                page.value.is_empty() && !(name.is_ascii() && found.display_name.is_ascii())
            }),
        })
    }
}

fn children(client: &Client, parent: Option<&Found>) -> url::Url {
    match parent {
        None => client.url(&["mailFolders"]),
        Some(parent) => client.url(&["mailFolders", &parent.id, "childFolders"]),
    }
}

fn make(client: &Client, parent: Option<&Found>, name: &str) -> Result<Found, Failure> {
    let url = children(client, parent);
    let body = json!({"displayName": name});
    checked(client.json(&Method::POST, &url, IMMUTABLE, Some(&body))?)
}

fn checked(found: Found) -> Result<Found, Failure> {
    match super::is_id(&found.id) {
        true => Ok(found),
        false => Err(Fault::try_later("a folder has an invalid id").into()),
    }
}

/// The paths of all folders, parents first.
fn all(client: &Client) -> Result<Vec<String>, Failure> {
    let mut paths: Vec<String> = Vec::new();
    let mut seen = HashSet::new();
    let (mut pages, mut without_news, mut octets) = (0, 0, 0);
    let mut rest: Vec<(Option<Found>, String, usize)> = vec![(None, String::new(), 0)];
    while let Some((parent, prefix, depth)) = rest.pop() {
        let mut url = children(client, parent.as_ref());
        url.set_query(Some(&format!("{FIELDS}&$top=100")));
        loop {
            if pages >= MOST_PAGES || without_news > MOST_WITHOUT_NEWS {
                return Err(client.endless("folders"));
            }
            pages += 1;
            without_news += 1;
            let page: Page<Found> = client.json(&Method::GET, &url, IMMUTABLE, None)?;
            for folder in page.value {
                if !super::is_id(&folder.id) || !seen.insert(folder.id.clone()) {
                    continue;
                }
                without_news = 0;
                let path = format!("{prefix}{}", folder.display_name);
                octets += path.len() + folder.id.len();
                if paths.len() >= MOST_FOLDERS || octets > MOST_OCTETS {
                    return Err(client.endless("folders"));
                }
                paths.push(path.clone());
                if folder.child_folder_count > 0 && depth < DEEPEST {
                    rest.push((Some(folder), format!("{path}/"), depth + 1));
                }
            }
            match page.next {
                Some(next) => url = client.link(&next)?,
                None => break,
            }
        }
    }
    Ok(paths)
}

/// What to say of a folder that is not there.
pub fn missing(client: &Client, name: &str) -> anyhow::Error {
    // That it is missing is known also where the others cannot be listed.
    let others = all(client).unwrap_or_default();
    names::no_folder(&client.user, name, &others).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_known_names_are_the_same_in_any_case_and_form() {
        assert!(same("INBOX", "Inbox"));
        assert!(same("Sent Items", "sentitems"));
        assert!(same("A/b", "a/B"));
        assert!(same("Entwürfe", "ENTWU\u{308}RFE"));
        assert!(!same("INBOX", "Archive"));
        assert!(!same("INBOX/Done", "Done"));
    }
}

//! Which messages a folder holds, and which are new: delta queries, page by page.
//!
//! The mark is the time at which a round of deltas began and the last link of it. After
//! [`ROUND`] a full listing begins a new round, for two reasons: a delta link is not to be
//! replayed for ever, and deltas with immutable ids have been seen to keep silent about a message
//! that was moved away and back. Whatever is listed again the ledger knows.

use super::client::{Client, IMMUTABLE, odata_text};
use super::faults::{Failure, Meaning};
use crate::fault::Fault;
use crate::mail::{Listing, Query, RemoteId};
use ::http::Method;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::HashSet;
use std::time::{SystemTime, UNIX_EPOCH};
use url::Url;

/// Seconds after which a full listing is made again.
const ROUND: u64 = 7 * 24 * 3600;
/// Entries on a page; fewer when the server fails on so many.
const PAGE_SIZES: [u32; 3] = [500, 50, 5];
/// A listing has at most so many pages: five million messages …
const MOST_PAGES: usize = 10_000;
/// … and at most so many in a row that list nothing new.
const BARREN_PAGES: usize = 100;

#[derive(Deserialize)]
struct Page {
    value: Vec<Entry>,
    #[serde(rename = "@odata.nextLink")]
    next: Option<String>,
    #[serde(rename = "@odata.deltaLink")]
    delta: Option<String>,
}

#[derive(Deserialize)]
struct Entry {
    id: String,
    #[serde(rename = "receivedDateTime")]
    received: Option<String>,
    /// Deleted, or moved to another folder.
    #[serde(rename = "@removed")]
    removed: Option<IgnoredAny>,
}

pub fn list(client: &Client, folder: &str, query: &Query) -> Result<Listing, Failure> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let mark = query.after.as_deref().and_then(read_mark);
    if let Some((began, link)) = mark
        // One that began in the future is of a clock that was set back since.
        && now.checked_sub(began).is_some_and(|age| age < ROUND)
        && let Ok(url) = client.link(link)
    {
        match walk(client, url, query) {
            // The state is lost, or of a folder that another of the same name has replaced:
            // everything is listed again, and what is known is known.
            Err(Failure::Refused(refusal))
                if matches!(
                    refusal.meaning(),
                    Meaning::SyncStateLost | Meaning::Gone | Meaning::Other
                ) => {}
            walked => return walked.map(|(ids, link)| listing(ids, link, began)),
        }
    }
    let select = "$select=id,receivedDateTime";
    let url = match query.since {
        // A delta query with a filter gives 5,000 messages at most, this one all.
        Some(day) => {
            let mut url = client.url(&["mailFolders", folder, "messages"]);
            url.set_query(Some(&format!(
                "{select}&$filter=receivedDateTime%20ge%20{day}T00:00:00Z&$orderby=receivedDateTime&$top={}",
                PAGE_SIZES[0]
            )));
            url
        }
        None => {
            let mut url = client.url(&["mailFolders", folder, "messages", "delta"]);
            url.set_query(Some(select));
            url
        }
    };
    let (ids, link) = walk(client, url, query)?;
    Ok(listing(ids, link, now))
}

/// How many messages of a folder have this Message-ID; no more than a page of them are counted.
pub fn with_message_id(client: &Client, folder: &str, id: &str) -> Result<usize, Failure> {
    let mut url = client.url(&["mailFolders", folder, "messages"]);
    url.set_query(Some(&format!(
        "$select=id&$filter=internetMessageId%20eq%20{}&$top=10",
        odata_text(id)
    )));
    let page: Page = client.json(&Method::GET, &url, IMMUTABLE, None)?;
    Ok(page.value.len())
}

fn listing(ids: Vec<RemoteId>, link: Option<String>, began: u64) -> Listing {
    Listing {
        ids,
        mark: link.map(|link| format!("{began} {link}")),
        at_mark: None,
    }
}

fn read_mark(mark: &str) -> Option<(u64, &str)> {
    let (began, link) = mark.split_once(' ')?;
    Some((began.parse().ok()?, link))
}

/// Follows the links from page to page; gives what was found, in order of arrival, and the link
/// to go on from next time.
fn walk(
    client: &Client,
    first: Url,
    query: &Query,
) -> Result<(Vec<RemoteId>, Option<String>), Failure> {
    let since = query.since.map(|day| format!("{day}T00:00:00Z"));
    let mut found: Vec<(String, String)> = Vec::new();
    let mut seen = HashSet::new();
    let mut links = HashSet::new();
    let mut url = first;
    let mut barren = 0;
    for _ in 0..MOST_PAGES {
        if !links.insert(url.as_str().to_owned()) || barren > BARREN_PAGES {
            return Err(endless(client));
        }
        let page = page(client, &url)?;
        barren += 1;
        for entry in page.value {
            if entry.removed.is_some() {
                barren = 0;
                continue;
            }
            if !super::is_id(&entry.id) {
                // Passing over it in silence would lose the message.
                return Err(Fault::try_later(format!(
                    "`{}` lists a message by an id that is none",
                    client.host()
                ))
                .into());
            }
            let received = entry.received.unwrap_or_default();
            // An entry that does not tell its time may be of these days.
            let early = !received.is_empty() && since.as_ref().is_some_and(|s| received < *s);
            if seen.insert(entry.id.clone()) {
                barren = 0;
                if !early {
                    found.push((received, entry.id));
                }
            }
        }
        match page.next {
            Some(next) => url = client.link(&next)?,
            None => {
                found.sort_by(|a, b| a.0.cmp(&b.0));
                let ids = found.into_iter().map(|(_, id)| RemoteId::Graph(id));
                return Ok((ids.collect(), page.delta));
            }
        }
    }
    Err(endless(client))
}

/// One page; a smaller one where the server fails, for one broken message can spoil a large one.
fn page(client: &Client, url: &Url) -> Result<Page, Failure> {
    let mut sizes = PAGE_SIZES.iter().peekable();
    loop {
        let size = sizes.next().unwrap_or(&1);
        let prefer = format!("{IMMUTABLE}, odata.maxpagesize={size}");
        match client.json(&Method::GET, url, &prefer, None) {
            Err(Failure::Refused(refusal))
                if sizes.peek().is_some()
                    && matches!(refusal.meaning(), Meaning::Trouble | Meaning::BadItem) => {}
            answer => return answer,
        }
    }
}

fn endless(client: &Client) -> Failure {
    Fault::try_later(format!("`{}` lists messages without an end", client.host())).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_a_time_and_a_link() {
        assert_eq!(
            read_mark("17 https://x/y?z=1 2"),
            Some((17, "https://x/y?z=1 2"))
        );
        for bad in ["", "17", "x https://y", "-1 x"] {
            assert_eq!(read_mark(bad), None, "{bad}");
        }
    }
}

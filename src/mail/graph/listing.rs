//! Which messages a folder holds, and which are new: delta queries, page by page.
//!
//! The mark is the time at which a round of deltas began and the last link of it. After
//! [`ROUND`] a full listing begins a new round, for two reasons: a delta link is not to be
//! replayed for ever, and deltas with immutable ids have been seen to keep silent about a message
//! that was moved away and back. Whatever is listed again the ledger knows.

use super::batch::Part;
use super::client::{Client, IMMUTABLE, Page, odata_text};
use super::faults::{Failure, Meaning};
use crate::fault::Fault;
use crate::mail::{self, Detail, Horizon, Listed, Query, RemoteId, Traits};
use ::http::Method;
use anyhow::Result;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::time::{SystemTime, UNIX_EPOCH};
use url::Url;

/// Seconds after which a full listing is made again.
const ROUND: u64 = 7 * 24 * 3600;
/// Entries on a page; fewer when the server fails on so many.
const PAGE_SIZES: [u32; 3] = [500, 50, 5];
/// The newest messages of a folder are those of so many seconds: no other arrives late by more, …
const HORIZON_SPAN: i64 = 600;
/// … on so many pages at most.
const HORIZON_PAGES: usize = 20;
/// A longer condition makes an address that may be refused, in octets.
const LONGEST_CONDITION: usize = 3000;
/// A page has at most so many entries, ten times what is asked for, …
const MOST_ON_PAGE: usize = 5_000;
/// … and a listing so many pages, …
const MOST_PAGES: usize = 10_000;
/// … so many in a row that list nothing new, …
const MOST_WITHOUT_NEWS: usize = 100;
/// … so many entries, twice what Exchange keeps in a folder, …
const MOST: usize = 2_000_000;
/// … and so many octets of ids; those of Graph have 152.
const MOST_OCTETS: usize = 512 << 20;

#[derive(Deserialize)]
struct Entry {
    id: String,
    #[serde(rename = "receivedDateTime")]
    received: Option<String>,
    /// Deleted, or moved to another folder.
    #[serde(rename = "@removed")]
    removed: Option<IgnoredAny>,
    // These where they are asked for.
    #[serde(rename = "internetMessageId")]
    message_id: Option<String>,
    subject: Option<String>,
    #[serde(rename = "sentDateTime")]
    sent: Option<String>,
    #[serde(rename = "isRead")]
    is_read: Option<bool>,
    from: Option<Recipient>,
    #[serde(rename = "singleValueExtendedProperties")]
    properties: Option<Vec<Property>>,
}

#[derive(Deserialize)]
struct Recipient {
    #[serde(rename = "emailAddress")]
    address: Option<Address>,
}

#[derive(Deserialize)]
struct Address {
    address: Option<String>,
}

#[derive(Deserialize)]
struct Property {
    value: Option<String>,
}

/// PidTagMessageSize ([MS-OXPROPS]): Graph has no property for it.
const SIZE: &str = "Integer 0x0E08";

/// What a query asks of each message.
fn select(detail: Option<Detail>) -> String {
    let select = "$select=id,receivedDateTime";
    match detail {
        None => select.to_owned(),
        Some(Detail::Identity) => format!("{select},internetMessageId,subject"),
        Some(Detail::Likeness) => {
            format!("{select},internetMessageId,subject,sentDateTime,isRead")
        }
        Some(Detail::Selection) => format!(
            "{select},internetMessageId,subject,isRead,from&$expand=singleValueExtendedProperties($filter=id%20eq%20{})",
            odata_text(SIZE)
        ),
    }
}

impl Entry {
    fn traits(&self) -> Traits {
        let seconds = |time: &Option<String>| {
            let time = time.as_ref()?.parse::<jiff::Timestamp>().ok();
            time.map(jiff::Timestamp::as_second)
        };
        let from = self
            .from
            .as_ref()
            .and_then(|from| from.address.as_ref()?.address.as_ref());
        let size = self.properties.iter().flatten();
        let size = size
            .filter_map(|property| property.value.as_ref()?.parse().ok())
            .next();
        Traits {
            message_id: mail::bare_id(self.message_id.as_deref().unwrap_or_default()),
            received: seconds(&self.received),
            sent: seconds(&self.sent),
            from: from.map(|from| from.to_lowercase()).into_iter().collect(),
            subject: mail::single_spaced(self.subject.as_deref().unwrap_or_default()),
            unread: !self.is_read.unwrap_or(false),
            size,
        }
    }
}

/// Lists the messages of a folder page by page; gives the mark.
pub fn list(
    client: &Client,
    folder: &str,
    query: &Query,
    page: &mut mail::Page<'_>,
) -> Result<Option<String>> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    // What was not selected before may be now, wherever it is: no mark is of use.
    let mark = query.after.as_deref().and_then(read_mark);
    let goes_on = mark
        .filter(|_| query.select.is_none())
        .and_then(|(began, link)| {
            // One that began in the future is of a clock that was set back since.
            let is_recent = now.checked_sub(began).is_some_and(|age| age < ROUND);
            Some((began, client.link(link).ok().filter(|_| is_recent)?))
        });
    let all = || Walk::new(client, whole(client, folder, query), query, query.detail);
    let (mut began, mut walk, mut may_begin_anew) = match goes_on {
        Some((began, url)) => (began, Walk::new(client, url, query, None), true),
        None => (now, all(), false),
    };
    loop {
        match walk.next() {
            // The state is lost, or of a folder that another of the same name has replaced:
            // everything is listed again, and what is known is known.
            Err(Failure::Refused(refusal))
                if may_begin_anew
                    && matches!(
                        refusal.meaning(),
                        Meaning::SyncStateLost | Meaning::Gone | Meaning::Other
                    ) =>
            {
                (began, walk, may_begin_anew) = (now, all(), false);
            }
            next => match next.map_err(|e| client.fault("cannot list the messages", e))? {
                Some(found) => page(found)?,
                None => return Ok(walk.delta.map(|link| format!("{began} {link}"))),
            },
        }
    }
}

/// The first page of all that a query asks for.
fn whole(client: &Client, folder: &str, query: &Query) -> Url {
    let select = select(query.detail);
    let filter = filter(query);
    if filter.is_empty() {
        let mut url = client.url(&["mailFolders", folder, "messages", "delta"]);
        url.set_query(Some(&select));
        return url;
    }
    // A delta query with a filter gives 5,000 messages at most, this one all. With other conditions
    // the service may refuse to sort.
    let order = match query.select {
        None => "&$orderby=receivedDateTime",
        Some(_) => "",
    };
    let mut url = client.url(&["mailFolders", folder, "messages"]);
    url.set_query(Some(&format!(
        "{select}&$filter={}{order}&$top={}",
        filter.join("%20and%20"),
        PAGE_SIZES[0]
    )));
    url
}

/// The conditions of a query, by which the service gives no less than is wanted.
fn filter(query: &Query) -> Vec<String> {
    let mut all = Vec::new();
    if let Some(day) = query.since {
        all.push(format!("receivedDateTime%20ge%20{day}T00:00:00Z"));
    }
    let Some(select) = &query.select else {
        return all;
    };
    if select.unread {
        all.push("isRead%20eq%20false".to_owned());
    }
    let address = "from/emailAddress/address";
    let from = select.from.iter().map(|author| {
        let text = odata_text(author.as_str());
        match author.is_domain() {
            true => format!("contains({address},{text})"),
            false => format!("{address}%20eq%20{text}"),
        }
    });
    let words = select.subject_words();
    let subject = words
        .iter()
        .map(|word| format!("contains(subject,{})", odata_text(word)));
    for conditions in [from.collect::<Vec<_>>(), subject.collect()] {
        let any = conditions.join("%20or%20");
        if !any.is_empty() && any.len() < LONGEST_CONDITION {
            all.push(format!("({any})"));
        }
    }
    all
}

/// What the folder holds at this moment: its newest messages, and where there are more, the time of
/// the last of these. What arrives meanwhile comes before them all, so that the next page repeats
/// some and names nothing newer.
pub fn horizon(client: &Client, folder: &str) -> Result<Horizon, Failure> {
    let mut url = client.url(&["mailFolders", folder, "messages"]);
    url.set_query(Some(&format!(
        "{}&$orderby=receivedDateTime%20desc&$top={}",
        select(None),
        PAGE_SIZES[0]
    )));
    let mut horizon = Horizon::default();
    let mut latest = None;
    for _ in 0..HORIZON_PAGES {
        let page = page(client, &url)?;
        let times = page.value.iter().filter_map(|entry| {
            let time: jiff::Timestamp = entry.received.as_ref()?.parse().ok()?;
            Some(time.as_second())
        });
        let times: Vec<i64> = times.collect();
        latest = latest.max(times.iter().max().copied());
        horizon.received = times.into_iter().min();
        let ids = page.value.into_iter().map(|entry| entry.id);
        let ids = ids.filter(|id| super::is_id(id));
        horizon.newest.extend(ids.map(RemoteId::from));
        let Some(next) = page.next else {
            horizon.received = None;
            break;
        };
        let span = latest.zip(horizon.received);
        if span.is_some_and(|(latest, last)| latest - last > HORIZON_SPAN) {
            break;
        }
        url = client.link(&next)?;
    }
    Ok(horizon)
}

/// Tells of messages by their ids, many in a batch.
pub fn describe(
    client: &Client,
    folder: &str,
    ids: &[&str],
    detail: Detail,
) -> Result<Vec<(RemoteId, Traits)>, Failure> {
    let part = |id: &&str| {
        let mut url = client.url(&["mailFolders", folder, "messages", id]);
        url.set_query(Some(&select(Some(detail))));
        Part {
            method: "GET",
            url,
            body: None,
        }
    };
    let parts: Vec<Part> = ids.iter().map(part).collect();
    let mut found = Vec::new();
    for (id, answer) in ids.iter().zip(client.batch(&parts)?) {
        let answer = match answer {
            Err(refusal)
                if !matches!(
                    refusal.meaning(),
                    Meaning::Gone | Meaning::BadItem | Meaning::Trouble | Meaning::Other
                ) =>
            {
                return Err(Failure::Refused(Box::new(refusal)));
            }
            answer => answer.ok(),
        };
        let entry = answer.and_then(|answer| Entry::deserialize(answer).ok());
        found.extend(entry.map(|entry| (RemoteId::from((*id).to_owned()), entry.traits())));
    }
    Ok(found)
}

/// How many messages of a folder have this Message-ID; no more than a page of them are counted.
pub fn with_message_id(client: &Client, folder: &str, id: &str) -> Result<usize, Failure> {
    let mut url = client.url(&["mailFolders", folder, "messages"]);
    url.set_query(Some(&format!(
        "$select=id&$filter=internetMessageId%20eq%20{}&$top=10",
        odata_text(id)
    )));
    let page: Page<Entry> = client.json(&Method::GET, &url, IMMUTABLE, None)?;
    Ok(page.value.len())
}

/// When the round of a mark began, and its link.
fn read_mark(mark: &str) -> Option<(u64, &str)> {
    let (began, link) = mark.split_once(' ')?;
    Some((began.parse().ok()?, link))
}

/// The way along the links from page to page. What it remembers of a page is eight octets.
struct Walk<'a> {
    client: &'a Client,
    /// The page to come; `None` behind the last.
    url: Option<Url>,
    /// From where to go on next time, once the last page is there.
    delta: Option<String>,
    since: Option<String>,
    /// What the entries tell, where they were asked to.
    detail: Option<Detail>,
    hasher: RandomState,
    /// The links that were followed, and the ids of each page, digested.
    seen: HashSet<u64>,
    pages: usize,
    entries: usize,
    octets: usize,
    without_news: usize,
}

impl<'a> Walk<'a> {
    fn new(client: &'a Client, first: Url, query: &Query, detail: Option<Detail>) -> Walk<'a> {
        Walk {
            client,
            url: Some(first),
            delta: None,
            since: query.since.map(|day| format!("{day}T00:00:00Z")),
            detail,
            hasher: RandomState::new(),
            seen: HashSet::new(),
            pages: 0,
            entries: 0,
            octets: 0,
            without_news: 0,
        }
    }

    /// The next page; `None` behind the last.
    fn next(&mut self) -> Result<Option<Vec<Listed>>, Failure> {
        let Some(url) = self.url.take() else {
            return Ok(None);
        };
        let link = self.hasher.hash_one(url.as_str());
        if !self.seen.insert(link)
            || self.pages >= MOST_PAGES
            || self.without_news > MOST_WITHOUT_NEWS
        {
            return Err(self.client.endless("messages"));
        }
        let page = page(self.client, &url)?;
        self.pages += 1;
        self.entries += page.value.len();
        self.octets += page.value.iter().map(|e| e.id.len()).sum::<usize>();
        if page.value.len() > MOST_ON_PAGE || self.entries > MOST || self.octets > MOST_OCTETS {
            return Err(self.client.endless("messages"));
        }
        let ids = page.value.iter().map(|e| (&e.id, e.removed.is_some()));
        let ids = self.hasher.hash_one(ids.collect::<Vec<_>>());
        let is_new = !page.value.is_empty() && self.seen.insert(ids);
        self.without_news = if is_new { 0 } else { self.without_news + 1 };
        let mut found = Vec::new();
        for entry in page.value.into_iter().filter(|e| e.removed.is_none()) {
            found.extend(self.listed(entry)?);
        }
        match page.next {
            Some(next) => self.url = Some(self.client.link(&next)?),
            None => self.delta = page.delta,
        }
        Ok(Some(found))
    }

    /// A message as it is handed over, unless it is of an earlier day than wanted.
    fn listed(&self, entry: Entry) -> Result<Option<Listed>, Failure> {
        if !super::is_id(&entry.id) {
            // Passing over it in silence would lose the message.
            return Err(Fault::try_later(format!(
                "`{}` lists a message with an invalid id",
                self.client.host()
            ))
            .into());
        }
        let traits = self.detail.map(|_| Box::new(entry.traits()));
        // One that does not tell its time may be of these days.
        let received = entry.received.filter(|time| is_time(time));
        let received = received.unwrap_or_default();
        let early = !received.is_empty() && self.since.as_ref().is_some_and(|s| received < *s);
        Ok((!early).then_some(Listed {
            id: RemoteId::from(entry.id),
            received,
            traits,
        }))
    }
}

/// A time as RFC 3339 has it, or what cannot be told from one by its characters.
fn is_time(text: &str) -> bool {
    text.len() <= 40 && text.bytes().all(|b| b.is_ascii_graphic())
}

/// One page; a smaller one where the server fails, for one broken message can spoil a large one.
fn page(client: &Client, url: &Url) -> Result<Page<Entry>, Failure> {
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

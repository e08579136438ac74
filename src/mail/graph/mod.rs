//! A mailbox reached, and mail sent, by Microsoft Graph (REST, v1.0).
//!
//! The same contracts as IMAP and SMTP: [`GraphMailbox`] reads, `sending` sends. Ids are
//! immutable ones, so a folder has one epoch for ever; the mark of a listing is a delta link.
//! `client` and `batch` make the calls, `faults` understands refusals, `folders` finds folders by
//! name, `listing` asks what is new, `retrieve` streams messages, `settle` marks, deletes and
//! moves; `addressed` and `parts` make a message fit for sending.

mod addressed;
mod batch;
mod client;
mod faults;
mod folders;
#[cfg(any(fuzzing, test))]
pub mod fuzz;
mod listing;
mod parts;
mod retrieve;
mod sending;
mod settle;

pub use client::Client;
pub use faults::{Failure, Meaning, Refusal};
pub use sending::transport;

use super::{
    Detail, Folder, Horizon, Listing, Mailbox, Missing, Page, Part, Query, RemoteId, Settled, Sink,
    Traits,
};
use crate::fault::Fault;
use crate::http::Agent;
use crate::model::AfterFetch;
use crate::secret::Secret;
use anyhow::Result;
use folders::Found;
use settle::OpenFolder;
use std::collections::HashMap;

/// A mailbox with a token for it.
pub struct GraphMailbox {
    client: Client,
    folder: Option<OpenFolder>,
    /// Folders by the names that they were looked for, until something is done with them: it asks
    /// again the next time.
    found: HashMap<String, Option<Found>>,
}

/// A mailbox at the service root `root`; nothing is asked of it yet.
///
/// # Errors
/// `Config` where `root` is not an address.
pub fn open(agent: Agent, root: &str, user: &str, token: Secret) -> Result<GraphMailbox> {
    Ok(GraphMailbox {
        client: Client::new(agent, root, user, token)?,
        folder: None,
        found: HashMap::new(),
    })
}

impl GraphMailbox {
    /// How many messages of Sent Items have this Message-ID.
    pub fn find_sent(&self, message_id: &str) -> Result<usize> {
        listing::with_message_id(&self.client, "sentitems", message_id)
            .map_err(|failure| self.client.fault("cannot look into Sent Items", failure))
    }

    /// The id of a folder, as it was when this connection first looked for it.
    fn id(&mut self, name: &str) -> Result<Option<String>> {
        if let Some(open) = self.folder.as_ref().filter(|open| open.name == name) {
            return Ok(Some(open.id.clone()));
        }
        if !self.found.contains_key(name) {
            let found = folders::find(&self.client, name)
                .map_err(|failure| self.client.fault("cannot look for a folder", failure))?;
            self.found.insert(name.to_owned(), found);
        }
        let found = self.found.get(name).and_then(Option::as_ref);
        Ok(found.map(|found| found.id.clone()))
    }

    fn opened(&self) -> Result<&OpenFolder> {
        let none = || Fault::bug("no folder is open");
        Ok(self.folder.as_ref().ok_or_else(none)?)
    }
}

impl Mailbox for GraphMailbox {
    /// Graph does not tell beforehand whether the app may write; the first settling does.
    fn open(&mut self, folder: &str, _write: bool) -> Result<Folder> {
        self.folder = None;
        let found = match self.found.remove(folder).flatten() {
            Some(found) => Some(found),
            None => folders::find(&self.client, folder).map_err(|failure| {
                let what = format!(
                    "cannot open folder `{folder}` of mailbox `{}`",
                    self.client.user
                );
                self.client.fault(&what, failure)
            })?,
        };
        let Some(found) = found else {
            return Err(folders::missing(&self.client, folder));
        };
        let exists = found.total_item_count;
        self.folder = Some(OpenFolder {
            name: folder.to_owned(),
            id: found.id,
        });
        Ok(Folder {
            uidvalidity: 0,
            exists,
            next: None,
        })
    }

    fn list(&mut self, query: &Query, page: &mut Page<'_>) -> Result<Listing> {
        let mark = listing::list(&self.client, &self.opened()?.id, query, page)?;
        Ok(Listing {
            mark,
            at_mark: None,
        })
    }

    fn horizon(&mut self) -> Result<Horizon> {
        listing::horizon(&self.client, &self.opened()?.id)
            .map_err(|failure| self.client.fault("cannot list the messages", failure))
    }

    fn describe(&mut self, ids: &[RemoteId], detail: Detail) -> Result<Vec<(RemoteId, Traits)>> {
        let texts: Vec<&str> = ids.iter().map(text).collect::<Result<_>>()?;
        listing::describe(&self.client, &self.opened()?.id, &texts, detail)
            .map_err(|failure| self.client.fault("cannot look at the messages", failure))
    }

    /// Graph gives no header by itself.
    fn retrieve(
        &mut self,
        ids: &[RemoteId],
        _: Part,
        sink: &mut dyn Sink,
    ) -> Result<Vec<(RemoteId, Missing)>> {
        retrieve::retrieve(&self.client, &self.opened()?.id, ids, sink)
    }

    fn present(&mut self, ids: &[RemoteId]) -> Result<Vec<RemoteId>> {
        settle::present(&self.client, &self.opened()?.id, ids)
    }

    fn settle(&mut self, ids: &[RemoteId], action: &AfterFetch) -> Result<Settled> {
        let target = match action {
            AfterFetch::Move(name) => self.found.remove(name).flatten(),
            _ => None,
        };
        Ok(Settled {
            refused: settle::settle(&self.client, self.opened()?, ids, action, target)?,
            left: matches!(action, AfterFetch::Delete | AfterFetch::Move(_)),
        })
    }

    /// A folder that every mailbox has is also found by its name in the mailbox's language.
    fn is_one_folder(&mut self, name: &str, other: &str) -> Result<bool> {
        if folders::same(name, other) {
            return Ok(true);
        }
        Ok(match self.id(name)? {
            Some(found) => self.id(other)? == Some(found),
            None => false,
        })
    }

    fn close(&mut self) {}
}

/// An id that is fit for an address and the ledger: Graph's are some hundred characters of
/// base64url.
fn is_id(id: &str) -> bool {
    (1..=1024).contains(&id.len())
        && id.bytes().all(|b| b.is_ascii_graphic())
        && !matches!(id, "." | "..")
}

/// The id as Graph has it.
fn text(id: &RemoteId) -> Result<&str> {
    let not_ours = || Fault::bug(format!("`{id}` is not an ID of Graph"));
    Ok(id.as_text().ok_or_else(not_ours)?)
}

//! What a run walks: mailboxes, servers that nobody uses yet, and mailboxes that must be closed.

use crate::model::{Authentication, EmailAddress};
use crate::office::{Incoming, MailboxEntry, Outgoing};
use crate::reach::ReadWay;

pub enum Subject<'a> {
    Mailbox(MailboxEntry<'a>),
    /// A server that no address reads through yet.
    Incoming(&'a Incoming<'a>),
    /// A server that no address sends through yet.
    Outgoing(&'a Outgoing<'a>),
    Boundary(Boundary<'a>),
}

/// Who must not get where.
pub struct Boundary<'a> {
    pub server: &'a Incoming<'a>,
    /// Whose token is tried, and a mailbox that it must open; for an app, where there is none,
    /// only the token is there.
    pub own: Option<MailboxEntry<'a>>,
    pub address: EmailAddress,
    pub way: ReadWay,
}

impl Subject<'_> {
    pub fn title(&self) -> String {
        match self {
            Subject::Mailbox(entry) => {
                format!("{} (queue {})", entry.address.address, entry.queue.name)
            }
            Subject::Incoming(server) => format!("incoming server {}", server.name),
            Subject::Outgoing(server) => format!("outgoing server {}", server.name),
            Subject::Boundary(boundary) => {
                let way = boundary.way.name();
                let whose = match boundary.account() {
                    Some(account) => format!(" as {account}"),
                    None => String::new(),
                };
                format!(
                    "boundary of server {} by {way}{whose}: {}",
                    boundary.server.name, boundary.address
                )
            }
        }
    }

    /// What kind of thing it is, for people.
    pub fn kind(&self) -> &'static str {
        match self {
            Subject::Mailbox(_) => "mailbox",
            Subject::Incoming(_) => "incoming server",
            Subject::Outgoing(_) => "outgoing server",
            Subject::Boundary(_) => "closed mailbox",
        }
    }

    pub fn queue(&self) -> Option<String> {
        match self {
            Subject::Mailbox(entry) => Some(entry.queue.name.clone()),
            _ => None,
        }
    }

    pub fn name(&self) -> String {
        match self {
            Subject::Mailbox(entry) => entry.address.address.to_string(),
            Subject::Incoming(server) => server.name.clone(),
            Subject::Outgoing(server) => server.name.clone(),
            Subject::Boundary(boundary) => boundary.address.to_string(),
        }
    }
}

impl<'a> Boundary<'a> {
    /// By each way that the server allows.
    pub fn by_each_way(
        server: &'a Incoming<'a>,
        own: Option<MailboxEntry<'a>>,
        address: &EmailAddress,
    ) -> impl Iterator<Item = Boundary<'a>> {
        ReadWay::of(server.via).iter().map(move |way| Boundary {
            server,
            own,
            address: address.clone(),
            way: *way,
        })
    }

    /// The person who signs in; `None`: the app itself.
    pub fn account(&self) -> Option<&str> {
        match self.server.authentication {
            Authentication::OauthService => None,
            Authentication::OauthUser => self.own.as_ref().map(MailboxEntry::account),
        }
    }
}

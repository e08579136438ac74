//! What a name stands for that was given on the command line.

use super::link::Office;
use super::mailbox::MailboxEntry;
use super::registration::Registration;
use super::servers::{Incoming, Outgoing};
use crate::fault::Fault;
use crate::model::{Day, Resource, unknown};
use crate::shell;
use anyhow::Result;
use std::collections::HashSet;

/// What a token can be of.
pub enum Subject<'a> {
    Mailbox(MailboxEntry<'a>),
    Incoming(&'a Incoming<'a>),
    Outgoing(&'a Outgoing<'a>),
}

/// An app registration that is to be changed.
pub struct AppOf<'a> {
    pub registration: &'a Registration<'a>,
    /// The service root of Graph.
    pub graph: &'a str,
    /// When its secret expires, where the file says so.
    pub secret_expires: Option<Day>,
}

impl Office<'_> {
    /// What `name` is: a queue with one address, an address, or a server. Of two servers of this
    /// name it is the outgoing one `to_send`.
    ///
    /// # Errors
    /// `Usage` where nothing, or a queue of several mailboxes, has this name.
    pub fn subject(&self, name: &str, to_send: bool) -> Result<Subject<'_>> {
        if let Some(queue) = self.config.queue(name) {
            let mut entries = self.mailboxes().filter(|e| e.queue.name == name);
            return match (entries.next(), entries.next()) {
                (Some(entry), None) => Ok(Subject::Mailbox(entry)),
                (None, _) => Err(Fault::usage(format!("queue `{name}` has no address"))
                    .hint(format!(
                        "add one: queuemail queue add {} --address ADDRESS --server INCOMING",
                        shell::quote(name)
                    ))
                    .into()),
                _ => {
                    let several = queue.addresses.iter();
                    let list: Vec<&str> = several.map(|a| a.address.as_str()).collect();
                    Err(Fault::usage(format!(
                        "queue `{name}` has {} addresses, and a token is for one mailbox",
                        list.len()
                    ))
                    .hint(format!("choose one: {}", list.join(", ")))
                    .into())
                }
            };
        }
        if let Some(entry) = self.mailboxes().find(|entry| entry.is_of(name)) {
            return Ok(Subject::Mailbox(entry));
        }
        let incoming = self.incoming_server(name);
        match (incoming, self.outgoing_server(name)) {
            (_, Some(server)) if to_send || incoming.is_none() => Ok(Subject::Outgoing(server)),
            (Some(server), _) => Ok(Subject::Incoming(server)),
            _ => {
                let mut known = self.config.queue_names();
                known.extend(self.addresses());
                known.extend(self.config.server_names());
                Err(unknown("queue, address or server", name, &known))
            }
        }
    }

    /// The mailboxes of the queues and addresses named; all where none is.
    ///
    /// # Errors
    /// `Usage` where nothing has one of the names.
    pub fn chosen(&self, names: &[String]) -> Result<Vec<MailboxEntry<'_>>> {
        let all: Vec<_> = self.mailboxes().collect();
        if names.is_empty() {
            return Ok(all);
        }
        let mut wanted = HashSet::new();
        for name in names {
            let before = wanted.len();
            let is_named =
                |entry: &MailboxEntry<'_>| entry.queue.name == *name || entry.is_of(name);
            for (index, entry) in all.iter().enumerate() {
                if is_named(entry) {
                    wanted.insert(index);
                }
            }
            if before == wanted.len() && !all.iter().any(is_named) {
                let mut known = self.config.queue_names();
                known.extend(self.addresses());
                return Err(unknown("queue or address", name, &known));
            }
        }
        let numbered = all.into_iter().enumerate();
        let chosen = numbered.filter(|(index, _)| wanted.contains(index));
        Ok(chosen.map(|(_, entry)| entry).collect())
    }

    /// Makes sure that each name is a server's.
    ///
    /// # Errors
    /// `Usage` where one is not.
    pub fn check_servers(&self, names: &[String]) -> Result<()> {
        let known = self.config.server_names();
        match names.iter().find(|name| !known.contains(&name.as_str())) {
            Some(name) => Err(unknown("server", name, &known)),
            None => Ok(()),
        }
    }

    /// The app registration that the server of this name signs in with, and what is needed to
    /// change it; of two servers of the name, the incoming one's.
    ///
    /// # Errors
    /// `Usage` where no server has the name; `Config` where an outgoing one has no app, or Graph's
    /// host is not known.
    pub fn app_of(&self, name: &str) -> Result<AppOf<'_>> {
        let servers = (self.incoming_server(name), self.outgoing_server(name));
        let (registration, graph) = match servers {
            (Some(server), _) => (&server.registration, server.graph()?),
            (None, Some(server)) => (server.registration()?, server.graph()?),
            (None, None) => return Err(unknown("server", name, &self.config.server_names())),
        };
        let own = registration.app_server;
        let secret_expires = match self.incoming_server(own) {
            Some(server) => server.secret_expires,
            None => self.outgoing_server(own).and_then(|s| s.secret_expires),
        };
        Ok(AppOf {
            registration,
            graph,
            secret_expires,
        })
    }

    fn incoming_server(&self, name: &str) -> Option<&Incoming<'_>> {
        self.incoming.iter().find(|server| server.name == name)
    }

    fn outgoing_server(&self, name: &str) -> Option<&Outgoing<'_>> {
        self.outgoing.iter().find(|server| server.name == name)
    }

    /// The app registrations of all servers, as far as it is clear which they are.
    pub fn registrations(&self) -> impl Iterator<Item = &Registration<'_>> {
        let outgoing = self.outgoing.iter().filter_map(|s| s.registration().ok());
        self.incoming
            .iter()
            .map(|s| &s.registration)
            .chain(outgoing)
    }

    /// Makes sure that each name is a queue's, an address's or a server's.
    ///
    /// # Errors
    /// `Usage` where one is not.
    pub fn check_names(&self, names: &[String]) -> Result<()> {
        let mut known = self.config.queue_names();
        known.extend(self.config.server_names());
        for name in names {
            let is_known = known.contains(&name.as_str());
            if !is_known && !self.mailboxes().any(|entry| entry.is_of(name)) {
                known.extend(self.addresses());
                return Err(unknown("queue, address or server", name, &known));
            }
        }
        Ok(())
    }

    fn addresses(&self) -> impl Iterator<Item = &str> {
        let addresses = self.config.addresses();
        addresses.map(|(_, address)| address.address.as_str())
    }
}

impl<'a> Subject<'a> {
    /// The address, or the server's name.
    pub fn name(&self) -> &'a str {
        match self {
            Subject::Mailbox(entry) => entry.address.address.as_str(),
            Subject::Incoming(server) => &server.name,
            Subject::Outgoing(server) => &server.name,
        }
    }

    /// The app registration that a token of it is asked for with.
    ///
    /// # Errors
    /// `Config` where it is not clear as which app an outgoing server signs in.
    pub fn registration(&self, resource: Resource) -> Result<&'a Registration<'a>, Fault> {
        match self {
            Subject::Outgoing(server) => server.registration(),
            Subject::Incoming(server) => Ok(&server.registration),
            Subject::Mailbox(entry) => match entry.outgoing {
                Some(server) if resource == Resource::Smtp => server.registration(),
                _ => Ok(&entry.incoming.registration),
            },
        }
    }
}

//! A mailbox opened for reading, by IMAP or Graph, or by whichever of them is permitted.
//!
//! With `via: auto` the token tells first which way the app has a permission for, then the
//! service whether the way is open. An app's token for Graph need not name the permission: a role
//! that Exchange gives (RBAC for Applications) stands in no token, so there the service alone
//! decides. What was found, and why, is remembered; it is looked for again when it fails.

use super::way::{Permission, ReadWay, is_about_the_way, to_grant};
use crate::fault::{Fault, Kind, Scene, kind_of};
use crate::http::{self, Preparation};
use crate::mail::Mailbox;
use crate::mail::graph::{self, GraphMailbox};
use crate::mail::imap::{self, ImapMailbox};
use crate::means::Means;
use crate::model::{AfterFetch, Authentication, IncomingVia};
use crate::net;
use crate::office::{Incoming, MailboxEntry, Office, Route};
use crate::output::escape;
use crate::secret::Secret;
use crate::state::{Store, WayName};
use crate::tokens::Access;
use anyhow::{Context as _, Result};
use std::cell::Cell;

/// Begins what takes time before mailboxes that are read by Graph can be opened; it goes on beside
/// other work until it is dropped.
pub fn prepare(office: &Office<'_>) -> Preparation {
    let servers = office.incoming.iter();
    let by_https = servers.filter(|server| server.via == IncomingVia::Graph);
    http::prepare(by_https.map(|server| server.ca_file.clone()))
}

/// Opens mailboxes; shared by threads.
pub struct Mailboxes<'a> {
    means: Means,
    office: &'a Office<'a>,
    store: &'a Store,
    access: Access<'a>,
}

/// A mailbox that is to be opened.
#[derive(Clone, Copy)]
pub struct Wanted<'w> {
    /// Whose token opens it, and through which server.
    entry: &'w MailboxEntry<'w>,
    /// How IMAP names it.
    name: &'w str,
    /// How Graph names it, where a GUID does as well.
    graph_name: &'w str,
    /// Mail is to be marked, moved or deleted in it.
    writes: bool,
}

impl<'w> Wanted<'w> {
    /// The mailbox of an address, with whose mail this is done after a fetch.
    pub fn of(entry: &'w MailboxEntry<'w>, after: &AfterFetch) -> Wanted<'w> {
        let name = entry.address.address.as_str();
        Wanted {
            entry,
            name,
            graph_name: name,
            writes: *after != AfterFetch::Keep,
        }
    }

    /// The mailbox that submits the mail of a route, to be looked into.
    pub fn submitting(route: &'w Route<'w>) -> Wanted<'w> {
        Wanted {
            entry: &route.entry,
            name: route.user(),
            graph_name: route.graph_user(),
            writes: false,
        }
    }

    /// What the state knows the way by: another server may have another app.
    fn way_name(&self) -> WayName<'w> {
        WayName::Reading {
            mailbox: self.name,
            server: &self.entry.incoming.name,
        }
    }
}

/// A mailbox, opened one way or the other.
pub enum Opened {
    Imap(Box<ImapMailbox>),
    Graph(Box<GraphMailbox>),
}

impl Opened {
    pub fn mailbox(&mut self) -> &mut dyn Mailbox {
        match self {
            Opened::Imap(mailbox) => mailbox.as_mut(),
            Opened::Graph(mailbox) => mailbox.as_mut(),
        }
    }
}

impl From<Opened> for Box<dyn Mailbox> {
    fn from(opened: Opened) -> Box<dyn Mailbox> {
        match opened {
            Opened::Imap(mailbox) => mailbox,
            Opened::Graph(mailbox) => mailbox,
        }
    }
}

impl<'a> Mailboxes<'a> {
    pub fn new(means: &Means, office: &'a Office<'a>, store: &'a Store) -> Mailboxes<'a> {
        Mailboxes {
            means: means.clone(),
            office,
            store,
            access: Access::new(means, office, store),
        }
    }

    /// Opens a mailbox; `stale_token` asks for a new token, `way` gets the way that is tried.
    ///
    /// # Errors
    /// What the token, the connection or the sign-in fails with; where no way is permitted,
    /// why the first one is.
    pub fn open(
        &self,
        wanted: &Wanted<'_>,
        stale_token: bool,
        way: &Cell<ReadWay>,
    ) -> Result<Opened> {
        let only = match wanted.entry.incoming.via {
            IncomingVia::Imap => ReadWay::Imap,
            IncomingVia::Graph => ReadWay::Graph,
            IncomingVia::Auto => return self.open_either(wanted, stale_token, way),
        };
        way.set(only);
        self.open_by(wanted, only, stale_token)
    }

    /// What the state knows the app, or the person's account in it, by that signs in to read a
    /// mailbox.
    pub fn subject(&self, entry: &MailboxEntry<'_>) -> Result<String> {
        self.access.subject(entry)
    }

    /// Makes another try fare better, after one failed with `err`, where that can be: forgets the
    /// way that `auto` found, and gets new tokens.
    pub fn mend(&self, wanted: &Wanted<'_>, err: &anyhow::Error) -> Result<bool> {
        Ok(self.forget(wanted, err)? | self.renew(wanted.entry, err)?)
    }

    /// Forgets the way that `auto` found, because it failed with `err`. True if another try may
    /// find a better one.
    fn forget(&self, wanted: &Wanted<'_>, err: &anyhow::Error) -> Result<bool> {
        if wanted.entry.incoming.via != IncomingVia::Auto || !is_about_the_way(err) {
            return Ok(false);
        }
        let name = wanted.way_name();
        let known = self.store.way(name)?.is_some();
        self.store.forget_way(name)?;
        Ok(known)
    }

    /// Gets new tokens where the service refused, with `err`, one that was obtained a while ago.
    /// True if another try may succeed.
    fn renew(&self, entry: &MailboxEntry<'_>, err: &anyhow::Error) -> Result<bool> {
        if kind_of(err) != Kind::SignIn {
            return Ok(false);
        }
        let mut renewed = false;
        for way in ReadWay::of(entry.incoming.via) {
            if self.access.is_dated(entry, way.resource())? {
                // Why there is no new one is told once the old one has ended.
                renewed |= self.token(entry, *way, true).is_ok();
            }
        }
        Ok(renewed)
    }

    fn open_either(
        &self,
        wanted: &Wanted<'_>,
        stale_token: bool,
        way: &Cell<ReadWay>,
    ) -> Result<Opened> {
        let name = wanted.way_name();
        let address = wanted.name;
        let observer = &self.means.observer;
        if let Some(known) = self.store.way(name)? {
            let found = match known.way.as_str() {
                "graph" => ReadWay::Graph,
                _ => ReadWay::Imap,
            };
            observer.step(&format!(
                "`{address}` is read by {}: {}",
                known.way, known.reason
            ));
            way.set(found);
            match self.open_by(wanted, found, stale_token) {
                Err(err) if is_about_the_way(&err) => self.store.forget_way(name)?,
                opened => return opened,
            }
        }
        let mut refusals: Vec<(ReadWay, anyhow::Error)> = Vec::new();
        for found in ReadWay::of(IncomingVia::Auto).iter().copied() {
            way.set(found);
            match self.try_way(wanted, found, stale_token) {
                Ok((opened, why)) => {
                    let mut reason = format!("{why} and the mailbox opened");
                    for (other, err) in &refusals {
                        reason.push_str(&format!("; {} did not: {}", other.name(), brief(err)));
                    }
                    self.store.set_way(name, found.name(), &reason)?;
                    observer.step(&format!(
                        "`{address}` is read by {}: {reason}",
                        found.name()
                    ));
                    return Ok(opened);
                }
                Err(err) if is_about_the_way(&err) => refusals.push((found, err)),
                Err(err) => return Err(err),
            }
        }
        let mut refusals = refusals.into_iter();
        let (Some((first, err)), Some((_, other))) = (refusals.next(), refusals.next()) else {
            return Err(Fault::bug("no transport was tried").into());
        };
        way.set(first);
        Err(err.context(format!(
            "`{address}` can be read neither by imap nor by graph ({})",
            brief(&other)
        )))
    }

    /// Opens the mailbox this way if the token may permit it and the service accepts it; gives the
    /// reason, too.
    fn try_way(
        &self,
        wanted: &Wanted<'_>,
        way: ReadWay,
        stale_token: bool,
    ) -> Result<(Opened, String)> {
        let token = self.token(wanted.entry, way, stale_token)?;
        let purpose = way.purpose(wanted.writes);
        let authentication = wanted.entry.incoming.authentication;
        let permission = Permission::of(&token, authentication, purpose);
        let by_exchange = matches!(permission, Permission::Missing(_))
            && way == ReadWay::Graph
            && authentication == Authentication::OauthService;
        let reason = match permission {
            Permission::Held(permission) => format!("the token has {permission}"),
            Permission::Missing(_) if by_exchange => {
                "the token contains no permission, Exchange grants one (RBAC for Applications)"
                    .to_owned()
            }
            Permission::Missing(fault) => return Err(fault.into()),
        };
        let mut opened = self.connect_to(wanted, way, token)?;
        // Exchange refuses some mailboxes only after the sign-in.
        opened.mailbox().open("INBOX", false).map_err(|mut err| {
            if let Some(fault) = err.downcast_mut::<Fault>()
                && by_exchange
                && fault.kind == Kind::SignIn
            {
                fault.hints.push(format!(
                    "the token has no permission for graph, and no role in Exchange grants one: {}",
                    to_grant(purpose)
                ));
            }
            err
        })?;
        Ok((opened, reason))
    }

    fn token(&self, entry: &MailboxEntry<'_>, way: ReadWay, stale: bool) -> Result<Secret> {
        if stale {
            let anew = Access::new(&self.means, self.office, self.store).fresh(true);
            return Ok(anew.mailbox_access(entry, way.resource())?.secret);
        }
        Ok(self.access.mailbox_access(entry, way.resource())?.secret)
    }

    fn open_by(&self, wanted: &Wanted<'_>, way: ReadWay, stale_token: bool) -> Result<Opened> {
        let token = self.token(wanted.entry, way, stale_token)?;
        self.connect_to(wanted, way, token)
    }

    fn connect_to(&self, wanted: &Wanted<'_>, way: ReadWay, token: Secret) -> Result<Opened> {
        let server = wanted.entry.incoming;
        let name = match way {
            ReadWay::Imap => wanted.name,
            ReadWay::Graph => wanted.graph_name,
        };
        let settings = self.means.net_settings(server.ca_file.as_deref());
        self.connect(server, way, name, token, &settings)
    }

    /// Who and where, for an error; `way` is the one that was tried last.
    pub fn scene(&self, entry: &MailboxEntry<'_>, way: ReadWay) -> Scene {
        let server = entry.incoming;
        let is_person = server.authentication == Authentication::OauthUser;
        let mut scene = Scene {
            queue: Some(entry.queue.name.clone()),
            address: Some(entry.address.address.to_string()),
            account: is_person.then(|| entry.account().to_owned()),
            protocol: Some(way.name().to_owned()),
            ..server.registration.scene()
        };
        if let (ReadWay::Imap, Ok(endpoint)) = (way, server.imap()) {
            endpoint.name_in(&mut scene);
        }
        scene
    }

    /// Connects to a server's host and, by IMAP, signs in to the mailbox of this name. By Graph the
    /// first request connects; where somebody watches, the host is asked for nothing but an answer.
    pub fn connect(
        &self,
        server: &Incoming<'_>,
        way: ReadWay,
        name: &str,
        token: Secret,
        settings: &net::Settings,
    ) -> Result<Opened> {
        Ok(match way {
            ReadWay::Imap => {
                let mut mailbox =
                    imap::open(&server.imap()?, settings, name, &token, self.means.trace())?;
                // RFC 3501 §7.1: what the server marks so must be shown to a person.
                for alert in mailbox.take_alerts() {
                    self.means
                        .observer
                        .warn(&format!("the server of `{name}` says: {}", escape(&alert)));
                }
                Opened::Imap(Box::new(mailbox))
            }
            ReadWay::Graph => {
                let (agent, root) = (self.access.http_by(settings)?, server.graph()?);
                if settings.watch.is_on() {
                    agent.reach(root)?;
                }
                Opened::Graph(Box::new(
                    graph::open(agent, root, name, token)
                        .with_context(|| format!("incoming server `{}`", server.name))?,
                ))
            }
        })
    }
}

/// An error in a few words.
fn brief(err: &anyhow::Error) -> String {
    match err.downcast_ref::<Fault>() {
        Some(fault) => match &fault.server_said {
            Some(words) => words.lines().next().unwrap_or_default().to_owned(),
            None => fault.what.clone(),
        },
        None => format!("{err:#}"),
    }
}

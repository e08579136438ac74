//! A mailbox opened for reading, by IMAP or Graph, or by whichever of them is open to us.
//!
//! With `via: auto` the token tells first which way the app has a permission for, then the
//! service whether the way is open. An app's token for Graph need not name the permission: a role
//! that Exchange gives (RBAC for Applications) stands in no token, so there the service alone
//! decides. What was found, and why, is remembered; it is looked for again when it fails.

use super::Context;
use super::access::Access;
use crate::config::{
    AfterFetch, Authentication, Config, IncomingServer, IncomingVia, MailboxEntry, Resource,
    resolve,
};
use crate::fault::{Fault, Kind, kind_of};
use crate::mail::{self, Mailbox};
use crate::oauth::Claims;
use crate::output::escape;
use crate::secret::Secret;
use crate::state::{Store, WayName};
use anyhow::{Context as _, Result};
use std::cell::Cell;

/// Opens mailboxes; shared by threads.
pub struct Reading<'a> {
    context: &'a Context,
    config: &'a Config,
    store: &'a Store,
    access: &'a Access<'a>,
}

/// A way to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Imap,
    Graph,
}

impl Way {
    /// The ways that a server allows, in the order in which they are tried.
    pub fn of(via: IncomingVia) -> &'static [Way] {
        match via {
            IncomingVia::Imap => &[Way::Imap],
            IncomingVia::Graph => &[Way::Graph],
            IncomingVia::Auto => &[Way::Imap, Way::Graph],
        }
    }

    pub fn name(self) -> &'static str {
        self.resource().name()
    }

    pub fn resource(self) -> Resource {
        match self {
            Way::Imap => Resource::Imap,
            Way::Graph => Resource::Graph,
        }
    }

    /// The permissions, of an application or a person, one of which opens this way.
    fn permissions(self, writes: bool) -> &'static [&'static str] {
        match (self, writes) {
            (Way::Imap, _) => &["IMAP.AccessAsApp", "IMAP.AccessAsUser.All"],
            (Way::Graph, true) => &["Mail.ReadWrite", "Mail.ReadWrite.Shared"],
            (Way::Graph, false) => &[
                "Mail.ReadWrite",
                "Mail.ReadWrite.Shared",
                "Mail.Read",
                "Mail.Read.Shared",
            ],
        }
    }
}

impl<'a> Reading<'a> {
    pub fn new(
        context: &'a Context,
        config: &'a Config,
        store: &'a Store,
        access: &'a Access<'a>,
    ) -> Reading<'a> {
        Reading {
            context,
            config,
            store,
            access,
        }
    }

    /// Opens a mailbox; `stale_token` asks for a new token, `way` gets the way that is tried.
    pub fn open(
        &self,
        entry: &MailboxEntry<'_>,
        after: &AfterFetch,
        stale_token: bool,
        way: &Cell<Way>,
    ) -> Result<Box<dyn Mailbox>> {
        let server = self.server(entry)?;
        let only = match server.via {
            IncomingVia::Imap => Way::Imap,
            IncomingVia::Graph => Way::Graph,
            IncomingVia::Auto => return self.open_either(entry, server, after, stale_token, way),
        };
        way.set(only);
        let token = self.token(entry, only, stale_token)?;
        self.connect(entry, server, only, token)
    }

    /// Forgets the way that `auto` found, because it failed with `err`. True if another try may
    /// find a better one.
    pub fn forget(&self, entry: &MailboxEntry<'_>, err: &anyhow::Error) -> Result<bool> {
        let server = self.server(entry)?;
        if server.via != IncomingVia::Auto || !is_about_the_way(err) {
            return Ok(false);
        }
        let name = name(entry, server);
        let known = self.store.way(name)?.is_some();
        self.store.forget_way(name)?;
        Ok(known)
    }

    /// Gets new tokens where the service refused, with `err`, one that was obtained a while ago.
    /// True if another try may fare better.
    pub fn renew(&self, entry: &MailboxEntry<'_>, err: &anyhow::Error) -> Result<bool> {
        if kind_of(err) != Kind::SignIn {
            return Ok(false);
        }
        let mut renewed = false;
        for way in Way::of(self.server(entry)?.via) {
            if self.access.is_dated(entry, way.resource())? {
                // Why there is no new one is told once the old one has ended.
                renewed |= self.token(entry, *way, true).is_ok();
            }
        }
        Ok(renewed)
    }

    fn server(&self, entry: &MailboxEntry<'_>) -> Result<&'a IncomingServer> {
        let name = &entry.address.server;
        self.config
            .incoming_server(name)
            .ok_or_else(|| Fault::config(format!("there is no incoming server `{name}`")).into())
    }

    fn open_either(
        &self,
        entry: &MailboxEntry<'_>,
        server: &IncomingServer,
        after: &AfterFetch,
        stale_token: bool,
        way: &Cell<Way>,
    ) -> Result<Box<dyn Mailbox>> {
        let name = name(entry, server);
        let address = &entry.address.address;
        let output = &self.context.output;
        if let Some(known) = self.store.way(name)? {
            let found = match known.way.as_str() {
                "graph" => Way::Graph,
                _ => Way::Imap,
            };
            output.step(&format!(
                "`{address}` is read by {}: {}",
                known.way, known.reason
            ));
            way.set(found);
            let opened = self
                .token(entry, found, stale_token)
                .and_then(|token| self.connect(entry, server, found, token));
            match opened {
                Err(err) if is_about_the_way(&err) => self.store.forget_way(name)?,
                opened => return opened,
            }
        }
        let mut refusals: Vec<(Way, anyhow::Error)> = Vec::new();
        for found in Way::of(IncomingVia::Auto).iter().copied() {
            way.set(found);
            match self.try_way(entry, server, after, found, stale_token) {
                Ok((mailbox, why)) => {
                    let mut reason = format!("{why} and the mailbox opened");
                    for (other, err) in &refusals {
                        reason.push_str(&format!("; {} did not: {}", other.name(), brief(err)));
                    }
                    self.store.set_way(name, found.name(), &reason)?;
                    output.step(&format!(
                        "`{address}` is read by {}: {reason}",
                        found.name()
                    ));
                    return Ok(mailbox);
                }
                Err(err) if is_about_the_way(&err) => refusals.push((found, err)),
                Err(err) => return Err(err),
            }
        }
        let mut refusals = refusals.into_iter();
        let (Some((first, err)), Some((_, other))) = (refusals.next(), refusals.next()) else {
            return Err(Fault::new(Kind::Bug, "no way to read was tried").into());
        };
        way.set(first);
        Err(err.context(format!(
            "`{address}` can be read neither by imap nor by graph ({})",
            brief(&other)
        )))
    }

    /// Opens the mailbox this way if the token may permit it and the service lets us in; gives the
    /// reason, too.
    fn try_way(
        &self,
        entry: &MailboxEntry<'_>,
        server: &IncomingServer,
        after: &AfterFetch,
        way: Way,
        stale_token: bool,
    ) -> Result<(Box<dyn Mailbox>, String)> {
        let token = self.token(entry, way, stale_token)?;
        let wanted = way.permissions(*after != AfterFetch::Keep);
        let claims = Claims::of(token.expose());
        let permission = claims.as_ref().map(|claims| {
            let mut held = claims.roles.iter().chain(&claims.scopes);
            held.find(|own| wanted.contains(&own.as_str())).cloned()
        });
        let by_exchange = permission == Some(None)
            && way == Way::Graph
            && server.authentication == Authentication::OauthService;
        let reason = match permission {
            // A token need not be readable; then the service alone decides.
            None => "the token has an unknown permission".to_owned(),
            Some(Some(permission)) => format!("the token has {permission}"),
            Some(None) if by_exchange => {
                "the token names no permission, Exchange gives one (RBAC for Applications)"
                    .to_owned()
            }
            Some(None) => {
                return Err(Fault::new(
                    Kind::SignIn,
                    format!("the token has no permission for {}", way.name()),
                )
                .hint(format!("grant the app one of: {}", wanted.join(", ")))
                .into());
            }
        };
        let mut mailbox = self.connect(entry, server, way, token)?;
        // Exchange refuses some mailboxes only after the sign-in.
        mailbox.open("INBOX", false).map_err(|mut err| {
            if let Some(fault) = err.downcast_mut::<Fault>()
                && by_exchange
                && fault.kind == Kind::SignIn
            {
                fault.hints.push(format!(
                    "the token has no permission for graph, and no role in Exchange gives one: grant the app one of: {}",
                    wanted.join(", ")
                ));
            }
            err
        })?;
        Ok((mailbox, reason))
    }

    fn token(&self, entry: &MailboxEntry<'_>, way: Way, stale: bool) -> Result<Secret> {
        if stale {
            let anew = Access::new(self.context, self.config, self.store).fresh(true);
            return anew.mailbox_token(entry, way.resource());
        }
        self.access.mailbox_token(entry, way.resource())
    }

    fn connect(
        &self,
        entry: &MailboxEntry<'_>,
        server: &IncomingServer,
        way: Way,
        token: Secret,
    ) -> Result<Box<dyn Mailbox>> {
        let output = self.context.output;
        let address = entry.address.address.as_str();
        let ca_file = server.ca_file.as_deref();
        let traced = output.verbose >= 2;
        Ok(match way {
            Way::Imap => {
                let mut mailbox = mail::imap::open(
                    &resolve::imap(server)?,
                    &self.context.net_settings(ca_file),
                    address,
                    &token,
                    traced.then(|| Box::new(move |line: &str| output.trace(line)) as _),
                )?;
                // RFC 3501 §7.1: what the server marks so must be shown to a person.
                for alert in mailbox.take_alerts() {
                    output.warn(&format!(
                        "the server of `{address}` says: {}",
                        escape(&alert)
                    ));
                }
                Box::new(mailbox)
            }
            Way::Graph => Box::new(
                mail::graph::open(
                    self.access.http(ca_file)?,
                    resolve::graph(server)?,
                    address,
                    token,
                    traced.then(|| Box::new(move |line: &str| output.trace(line)) as _),
                )
                .with_context(|| format!("incoming server `{}`", server.name))?,
            ),
        })
    }
}

/// What the state knows a mailbox's way by.
fn name<'a>(entry: &MailboxEntry<'a>, server: &'a IncomingServer) -> WayName<'a> {
    WayName::Reading {
        mailbox: entry.address.address.as_str(),
        server: &server.name,
    }
}

/// Another way may do better, because this one is closed to us and not merely out of order.
fn is_about_the_way(err: &anyhow::Error) -> bool {
    matches!(
        kind_of(err),
        Kind::SignIn | Kind::UnknownRecipient | Kind::Refused
    )
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

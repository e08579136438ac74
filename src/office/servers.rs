//! A server with the app registration that it signs in with and the hosts that it leads to.

use super::registration::Registration;
use crate::fault::Fault;
use crate::model::{
    Address, App, Apps, Authentication, Authority, Cloud, Config, HttpsUrl, IncomingServer,
    OutgoingServer, SecretSource, swapped,
};
use crate::net::Endpoint;
use crate::shell;
use std::ops::Deref;

/// The account that signs in for OAuth User, and its password if the file has one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Account<'a> {
    pub name: &'a str,
    pub password: Option<&'a SecretSource>,
}

/// An incoming server: its entry in the file, which it stands for, and the app that signs in.
#[derive(Debug)]
pub struct Incoming<'a> {
    entry: &'a IncomingServer,
    pub registration: Registration<'a>,
}

impl Deref for Incoming<'_> {
    type Target = IncomingServer;

    fn deref(&self) -> &IncomingServer {
        self.entry
    }
}

impl<'a> Incoming<'a> {
    pub(super) fn new(entry: &'a IncomingServer) -> Incoming<'a> {
        Incoming {
            entry,
            registration: Registration::of_incoming(entry),
        }
    }

    /// Where its mailboxes are read by IMAP: its own URL, else its cloud's.
    ///
    /// # Errors
    /// `Config` where there is neither; loading a file has refused that already.
    pub fn imap(&self) -> Result<Endpoint, Fault> {
        let own = self.entry.imap.clone();
        own.or_else(|| self.address.cloud().map(Cloud::imap))
            .ok_or_else(|| self.leads_nowhere("imap", "imaps://HOST"))
    }

    /// Where Graph serves its mailboxes: its own URL, else its cloud's.
    ///
    /// # Errors
    /// `Config` where there is neither; loading a file has refused that already.
    pub fn graph(&self) -> Result<&str, Fault> {
        graph_root(self.entry.graph.as_ref(), &self.address)
            .ok_or_else(|| self.leads_nowhere("graph", "https://HOST"))
    }

    fn leads_nowhere(&self, key: &str, url: &str) -> Fault {
        Fault::config(format!(
            "incoming server `{}` has no `{key}` URL, and its login host `{}` is not a Microsoft host",
            self.name,
            self.address.host()
        ))
        .hint(format!(
            "queuemail server set {} --{key} {url}",
            shell::quote(&self.name)
        ))
    }
}

/// An outgoing server: its entry in the file, which it stands for, and the app that signs in.
#[derive(Debug)]
pub struct Outgoing<'a> {
    config: &'a Config,
    entry: &'a OutgoingServer,
    /// `None` where it is not clear; why is told where it is needed.
    registration: Option<Registration<'a>>,
}

impl Deref for Outgoing<'_> {
    type Target = OutgoingServer;

    fn deref(&self) -> &OutgoingServer {
        self.entry
    }
}

impl<'a> Outgoing<'a> {
    pub(super) fn new(
        config: &'a Config,
        entry: &'a OutgoingServer,
        app: Option<App<'a>>,
    ) -> Outgoing<'a> {
        Outgoing {
            config,
            entry,
            registration: app.map(|app| Registration::of_outgoing(entry, app)),
        }
    }

    /// The app registration that it signs in with: its own, else that of the incoming server
    /// named by `app`, else that of the one incoming server of the same tenant.
    ///
    /// # Errors
    /// `Config`, naming what to write, where none or several fit.
    pub fn registration(&self) -> Result<&Registration<'a>, Fault> {
        let known = self.registration.as_ref();
        known.ok_or_else(|| Apps::of(self.config).fault(self.entry))
    }

    /// Who signs in for what is sent, if that is a person.
    pub fn person(&self, address: Option<&'a Address>) -> Option<Account<'a>> {
        match self.authentication {
            Authentication::OauthService => None,
            Authentication::OauthUser => self.account(address).ok(),
        }
    }

    /// The account that sends for OAuth User: the server's user, if that is an address, else the
    /// account of the sending address.
    ///
    /// # Errors
    /// `Config` where neither is there.
    pub fn account(&self, address: Option<&'a Address>) -> Result<Account<'a>, Fault> {
        let server = self.entry;
        let own = server.user.as_ref().filter(|u| !u.is_guid());
        let of_address = address.map(|a| {
            let name = a.account.as_deref().unwrap_or(a.address.as_str());
            (name, a.password.as_ref())
        });
        match (own, of_address) {
            (Some(user), of_address) => Ok(Account {
                name: user.as_str(),
                password: server.password.as_ref().or_else(|| {
                    of_address
                        .filter(|(name, _)| name.eq_ignore_ascii_case(user.as_str()))
                        .and_then(|(_, password)| password)
                }),
            }),
            (None, Some((name, password))) => Ok(Account {
                name,
                password: server.password.as_ref().or(password),
            }),
            (None, None) => Err(Fault::config(format!(
                "outgoing server `{}` has no account to sign in",
                server.name
            ))
            .hint(format!(
                "set the account's address: queuemail server set {} --user ADDRESS",
                shell::quote(&server.name)
            ))),
        }
    }

    /// Adds to a refusal what may be wrong with two settings, as [`swapped`] says.
    pub fn swapped(&self, fault: Fault) -> Fault {
        swapped(self.entry, fault)
    }

    /// Where SMTP is spoken: the server's own `smtp`, else the cloud's that it signs in at.
    ///
    /// # Errors
    /// `Config` where the host is not known, or no app.
    pub fn smtp(&self) -> Result<Endpoint, Fault> {
        let authority = &self.registration()?.authority;
        let own = self.entry.smtp.clone();
        own.or_else(|| authority.cloud().map(|cloud| cloud.smtp()))
            .ok_or_else(|| self.unknown_host("SMTP", "--smtp smtp://HOST", authority))
    }

    /// Where Graph serves: the server's own `graph`, else the cloud's that it signs in at.
    ///
    /// # Errors
    /// `Config` where the host is not known, or no app.
    pub fn graph(&self) -> Result<&str, Fault> {
        let authority = &self.registration()?.authority;
        graph_root(self.entry.graph.as_ref(), authority)
            .ok_or_else(|| self.unknown_host("Graph", "--graph https://HOST", authority))
    }

    fn unknown_host(&self, what: &str, option: &str, authority: &Authority) -> Fault {
        Fault::config(format!(
            "the {what} host of outgoing server `{}` is not known, because `{}` is not a Microsoft cloud",
            self.name,
            authority.host()
        ))
        .hint(format!(
            "queuemail server set {} {option}",
            shell::quote(&self.name)
        ))
    }
}

/// A `graph` URL, else that of the cloud of `authority`.
fn graph_root<'a>(own: Option<&'a HttpsUrl>, authority: &Authority) -> Option<&'a str> {
    own.map(HttpsUrl::as_str)
        .or_else(|| authority.cloud().map(Cloud::graph))
}

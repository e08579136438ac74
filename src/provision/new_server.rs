//! A server to be added: from what is said of it, and what is asked for, to its entry.

use super::options::Options;
use super::secret::{Password, SourceArgs};
use super::server_options::{OfIncoming, OfOutgoing, OfServer};
use super::typed::value;
use super::{Person, Required};
use crate::model::{
    Authentication, Change, ClientId, IncomingServer, IncomingVia, Name, OutgoingServer,
    OutgoingVia,
};
use crate::shell;
use anyhow::Result;
use clap::Args;
use std::path::Path;

/// What is said of a new server of either kind.
#[derive(Clone, Debug)]
pub enum NewServer {
    Incoming(Incoming),
    Outgoing(Outgoing),
}

/// What is said of an incoming server.
#[derive(Args, Clone, Debug, Default)]
pub struct Incoming {
    /// A name of your choice; queues refer to the server by it
    #[arg(value_parser = value::<Name>())]
    pub name: Option<Name>,
    #[command(flatten)]
    pub own: OfIncoming,
    #[command(flatten)]
    pub of_both: OfServer,
    /// Read through imap, graph or the first that works (auto)
    #[arg(long, value_name = "WAY")]
    pub via: Option<IncomingVia>,
    /// Replace a server of this name that has other values
    #[arg(long)]
    pub replace: bool,
}

/// What is said of an outgoing server.
#[derive(Args, Clone, Debug, Default)]
pub struct Outgoing {
    /// A name of your choice; queues refer to the server by it
    #[arg(value_parser = value::<Name>())]
    pub name: Option<Name>,
    #[command(flatten)]
    pub own: OfOutgoing,
    #[command(flatten)]
    pub of_both: OfServer,
    /// Send through smtp, graph or the first that works (auto)
    #[arg(long, value_name = "WAY")]
    pub via: Option<OutgoingVia>,
    /// Replace a server of this name that has other values
    #[arg(long)]
    pub replace: bool,
}

/// The entry of a server of either kind.
#[derive(Clone, Debug)]
pub enum Server {
    Incoming(IncomingServer),
    Outgoing(OutgoingServer),
}

impl NewServer {
    /// All that nothing else could stand for is there.
    pub fn is_complete(&self) -> bool {
        match self {
            NewServer::Incoming(said) => {
                said.name.is_some()
                    && said.own.address.is_some()
                    && said.of_both.authentication.is_some()
                    && said.of_both.client_id.is_some()
            }
            NewServer::Outgoing(said) => {
                said.name.is_some()
                    && said.own.tenant.is_some()
                    && said.of_both.authentication.is_some()
            }
        }
    }

    /// It may take the place of another of its name.
    pub fn replaces(&self) -> bool {
        match self {
            NewServer::Incoming(said) => said.replace,
            NewServer::Outgoing(said) => said.replace,
        }
    }

    fn options(&self) -> Options {
        match self {
            NewServer::Incoming(said) => said.options(),
            NewServer::Outgoing(said) => said.options(),
        }
    }

    /// Refuses an option without a value.
    pub fn refuse_empty(&self) -> Result<()> {
        self.options().refuse_empty()
    }

    /// The command that adds it to the configuration named by `--config`.
    pub fn line(&self, config: Option<&Path>) -> String {
        let (kind, name) = match self {
            NewServer::Incoming(said) => ("incoming", &said.name),
            NewServer::Outgoing(said) => ("outgoing", &said.name),
        };
        let command = format!("server add {kind}");
        self.options().line(config, &command, name)
    }

    /// The server. Everything but a secret is checked before one is read or asked for.
    pub fn server(&self, person: &dyn Person) -> Result<Server> {
        match self {
            NewServer::Incoming(said) => said.server(person).map(Server::Incoming),
            NewServer::Outgoing(said) => said.server(person).map(Server::Outgoing),
        }
    }
}

impl Incoming {
    fn options(&self) -> Options {
        self.own
            .options()
            .and(self.of_both.options())
            .value("--via", &self.via)
            .flag("--replace", self.replace)
    }

    fn server(&self, person: &dyn Person) -> Result<IncomingServer> {
        let required = required(
            person,
            &self.name,
            "incoming",
            "--address https://login.microsoftonline.com/TENANT --auth oauth-service --client-id ID --secret-file PATH",
        );
        let mut server = IncomingServer::new(
            required.value(&self.name, "NAME")?.0,
            required.value(&self.own.address, "--address")?,
            required.value(&self.of_both.authentication, "--auth")?,
            required.value(&client_id(&self.of_both), "--client-id")?,
        );
        self.own.put(&self.of_both, &mut server)?;
        server.via = self.via.unwrap_or_default();
        let is_needed = server.authentication == Authentication::OauthService;
        let whose = format!("server `{}`", server.name);
        let password = SourceArgs::<Password>::default();
        let secrets = self
            .of_both
            .secrets(&password, is_needed, &whose, &required)?;
        secrets.put(&mut server.credentials_mut());
        Ok(server)
    }
}

impl Outgoing {
    fn options(&self) -> Options {
        self.own
            .options()
            .and(self.of_both.options())
            .value("--via", &self.via)
            .flag("--replace", self.replace)
    }

    fn server(&self, person: &dyn Person) -> Result<OutgoingServer> {
        let required = required(
            person,
            &self.name,
            "outgoing",
            "--tenant contoso.onmicrosoft.com --auth oauth-service --app INCOMING --user GUID",
        );
        let mut server = OutgoingServer::new(
            required.value(&self.name, "NAME")?.0,
            required.value(&self.own.tenant, "--tenant")?,
            required.value(&self.of_both.authentication, "--auth")?,
        );
        self.own.put(&self.of_both, &mut server)?;
        server.via = self.via.unwrap_or_default();
        let is_service = server.authentication == Authentication::OauthService;
        let is_needed = server.client_id.is_some() && is_service;
        let whose = format!("server `{}`", server.name);
        let secrets = self
            .of_both
            .secrets(&self.own.password, is_needed, &whose, &required)?;
        secrets.put(&mut server.credentials_mut());
        secrets.put_password(&mut server);
        Ok(server)
    }
}

fn client_id(of_both: &OfServer) -> Option<ClientId> {
    match &of_both.client_id {
        Some(Change::Set(id)) => Some(id.clone()),
        _ => None,
    }
}

fn required<'p>(
    person: &'p dyn Person,
    name: &Option<Name>,
    kind: &str,
    options: &str,
) -> Required<'p> {
    let name = name
        .as_ref()
        .map_or("NAME".to_owned(), |n| shell::quote(&n.0));
    Required {
        person,
        example: format!("queuemail server add {kind} {name} {options}"),
    }
}

impl Server {
    pub fn name(&self) -> &str {
        match self {
            Server::Incoming(server) => &server.name,
            Server::Outgoing(server) => &server.name,
        }
    }

    /// `incoming` or `outgoing`.
    pub fn kind(&self) -> &'static str {
        match self {
            Server::Incoming(_) => "incoming",
            Server::Outgoing(_) => "outgoing",
        }
    }
}

//! A server to be added: from what is said of it, and what is asked for, to its entry.

use super::options::Options;
use super::secret::{Password, SourceArgs};
use super::server_options::{OfServer, Secrets};
use super::typed::value;
use super::{Person, Required};
use crate::model::{Config, Name, Server};
use crate::shell;
use anyhow::Result;
use clap::builder::EnumValueParser;
use clap::{Args, ValueEnum};
use std::fmt::{Debug, Display};
use std::path::Path;

/// A kind of server, by the options that it alone has.
pub trait Kind: Args + Clone + Debug + Default {
    type Server: Server;
    type Via: ValueEnum + Display + Debug + Default + Send + Sync + 'static;

    /// The help of `--via`.
    const VIA: &'static str;
    /// Options with which a new one can be added, for a hint.
    const EXAMPLE: &'static str;

    fn options(&self) -> Options;

    fn password(&self) -> &SourceArgs<Password>;

    /// All of its own options are there that nothing else could stand for.
    fn is_complete(&self, of_both: &OfServer) -> bool;

    /// The entry of this name, with what every entry has.
    fn begin(
        &self,
        name: String,
        of_both: &OfServer,
        required: &Required<'_>,
    ) -> Result<Self::Server>;

    /// Puts what is said into an entry, all but secrets and the way.
    fn put(&self, of_both: &OfServer, server: &mut Self::Server) -> Result<()>;

    fn put_secrets(secrets: &Secrets, server: &mut Self::Server);

    fn via(server: &mut Self::Server) -> &mut Self::Via;

    /// Whether an app signs in as itself, by its own credential.
    fn needs_credential(server: &Self::Server) -> bool;

    /// What the server lacks to be used.
    fn lacking(config: &Config, server: &Self::Server) -> Vec<String>;
}

/// What is said of a new server.
#[derive(Args, Clone, Debug, Default)]
pub struct NewServer<K: Kind> {
    /// A name of your choice; queues refer to the server by it
    #[arg(value_parser = value::<Name>())]
    pub name: Option<Name>,
    #[command(flatten)]
    pub own: K,
    #[command(flatten)]
    pub of_both: OfServer,
    #[arg(long, value_name = "WAY", help = K::VIA, value_parser = EnumValueParser::<K::Via>::new())]
    pub via: Option<K::Via>,
    /// Replace a server of this name that has other values
    #[arg(long)]
    pub replace: bool,
}

impl<K: Kind> NewServer<K> {
    /// All that nothing else could stand for is there.
    pub fn is_complete(&self) -> bool {
        let is_begun = self.name.is_some() && self.of_both.authentication.is_some();
        is_begun && self.own.is_complete(&self.of_both)
    }

    fn options(&self) -> Options {
        self.own
            .options()
            .and(self.of_both.options())
            .value("--via", &self.via)
            .flag("--replace", self.replace)
    }

    /// Refuses an option without a value.
    pub fn refuse_empty(&self) -> Result<()> {
        self.options().refuse_empty()
    }

    /// The command that adds it to the configuration named by `--config`.
    pub fn line(&self, config: Option<&Path>) -> String {
        let command = format!("server add {}", K::Server::KIND);
        self.options().line(config, &command, &self.name)
    }

    /// The server. Everything but a secret is checked before one is read or asked for.
    pub fn server(&self, person: &dyn Person) -> Result<K::Server> {
        let name = self.name.as_ref();
        let name = name.map_or("NAME".to_owned(), |name| shell::quote(&name.0));
        let (kind, options) = (K::Server::KIND, K::EXAMPLE);
        let required = Required {
            person,
            example: format!("queuemail server add {kind} {name} {options}"),
        };
        let name = required.value(&self.name, "NAME")?.0;
        let whose = format!("server `{name}`");
        let mut server = self.own.begin(name, &self.of_both, &required)?;
        self.own.put(&self.of_both, &mut server)?;
        *K::via(&mut server) = self.via.clone().unwrap_or_default();
        let is_needed = K::needs_credential(&server);
        let password = self.own.password();
        let secrets = self
            .of_both
            .secrets(password, is_needed, &whose, &required)?;
        K::put_secrets(&secrets, &mut server);
        Ok(server)
    }
}

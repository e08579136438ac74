//! Single values of a server changed, an empty value taking the key away.

use super::kinds::{Incoming, Outgoing};
use super::new_server::Kind;
use super::server::Entry;
use super::server_options::{OfServer, Secrets};
use super::{Person, Required};
use crate::fault::Fault;
use crate::model::{Change, Given, Server};
use crate::shell;
use anyhow::Result;
use clap::{Args, ValueEnum};

/// What `server set` says.
#[derive(Args, Clone, Debug)]
pub struct ServerChange {
    #[command(flatten)]
    of_both: OfServer,
    /// The transport: imap, smtp, graph or auto
    #[arg(long, value_name = "WAY")]
    via: Option<String>,
    #[command(flatten, next_help_heading = "Only for incoming servers")]
    incoming: Incoming,
    #[command(flatten, next_help_heading = "Only for outgoing servers")]
    outgoing: Outgoing,
    /// Send through it again
    #[arg(long, conflicts_with = "disabled")]
    enabled: bool,
}

impl ServerChange {
    /// The secrets. They are read, or asked for, before the file is locked.
    pub fn secrets(&self, name: &str, person: &dyn Person) -> Result<Secrets> {
        let option = match self.outgoing.password.given {
            Some(Given::Asked) => "password-file",
            _ => "secret-file",
        };
        let required = Required {
            person,
            example: format!(
                "queuemail server set {} --{option} PATH",
                shell::quote(name)
            ),
        };
        let whose = format!("server `{name}`");
        self.of_both
            .secrets(&self.outgoing.password, false, &whose, &required)
    }

    /// Puts what is said into the entry of the server of this name.
    ///
    /// # Errors
    /// `Usage` where something is for the other kind of server, or cannot be.
    pub fn put(&self, name: &str, server: Entry<'_>, secrets: &Secrets) -> Result<()> {
        match server {
            Entry::Incoming(server) => {
                let others = self.outgoing.options().flag("--enabled", self.enabled);
                let first = match (&self.outgoing.password.given, others.first()) {
                    (Some(Given::Asked), Some("--password-stdin")) => Some("--set-password"),
                    (_, first) => first,
                };
                refuse(first, "outgoing", name)?;
                if self.of_both.client_id == Some(Change::Unset) {
                    return Err(Fault::usage("`--client-id` must not be empty").into());
                }
                self.put_into(&self.incoming, server, secrets)
            }
            Entry::Outgoing(server) => {
                refuse(self.incoming.options().first(), "incoming", name)?;
                server.enabled |= self.enabled;
                self.put_into(&self.outgoing, server, secrets)
            }
        }
    }

    fn put_into<K: Kind>(&self, own: &K, server: &mut K::Server, secrets: &Secrets) -> Result<()> {
        secrets.make_room(&self.of_both.credential, &mut server.credentials_mut());
        own.put(&self.of_both, server)?;
        K::put_secrets(secrets, server);
        put_way(self.via.as_deref(), K::via(server), K::Server::KIND)
    }
}

/// Refuses an option that the server of this name has no use for.
fn refuse(option: Option<&str>, kind: &str, name: &str) -> Result<()> {
    match option {
        None => Ok(()),
        Some(option) => Err(Fault::usage(format!(
            "`{option}` is only for {kind} servers, and `{name}` is not one"
        ))
        .into()),
    }
}

/// Puts the way of this name; the default for an empty one.
fn put_way<W: ValueEnum + Default>(text: Option<&str>, slot: &mut W, kind: &str) -> Result<()> {
    *slot = match text {
        None => return Ok(()),
        Some("") => W::default(),
        Some(text) => W::from_str(text, false).map_err(|_| {
            let ways = W::value_variants().iter();
            let ways = ways.filter_map(|way| Some(way.to_possible_value()?.get_name().to_owned()));
            let mut ways: Vec<String> = ways.collect();
            let last = ways.pop().unwrap_or_default();
            Fault::usage(format!(
                "`--via`: `{text}` is not a transport of an {kind} server: use {} or {last}",
                ways.join(", ")
            ))
        })?,
    };
    Ok(())
}

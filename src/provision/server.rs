//! Servers of the configuration: put in, changed, renamed, removed.

use super::{Outcome, differences, different, resolved};
use crate::config;
use crate::fault::Fault;
use crate::model::{
    self, Config, CredentialsMut, Day, IncomingServer, Name, OutgoingServer, SecretSource, Server,
    Tree,
};
use crate::secret::Secret;
use crate::shell;
use anyhow::Result;
use std::path::Path;

/// A server of either kind, to be changed.
pub enum Entry<'a> {
    Incoming(&'a mut IncomingServer),
    Outgoing(&'a mut OutgoingServer),
}

/// Puts a server into the configuration of `file`.
///
/// # Errors
/// One of that name is there with another definition, and `replace` is not set; the
/// configuration would have a mistake.
pub fn add_server<S: Server>(
    config: &mut Config,
    file: &Path,
    server: &S,
    replace: bool,
) -> Result<Outcome> {
    let mut wanted = config.clone();
    let name = server.name();
    let servers = S::all(&mut wanted);
    match servers.iter().position(|other| other.name() == name) {
        Some(place) => servers[place] = server.clone(),
        None => servers.push(server.clone()),
    }
    config::check_wanted(&wanted)?;
    let old = tree_of(&resolved(config, file)?, name);
    let new = tree_of(&resolved(&wanted, file)?, name);
    let outcome = match (old, new) {
        (Some(old), Some(new)) if old == new => return Ok(Outcome::Unchanged),
        (Some(old), Some(new)) if !replace => {
            return Err(different(
                &format!("server `{name}`"),
                &differences(&old, &new),
                &format!("queuemail server set {} …", shell::quote(name)),
            ));
        }
        (Some(_), _) => Outcome::Changed,
        (None, _) => Outcome::Created,
    };
    *config = wanted;
    Ok(outcome)
}

/// The definition of a server of either kind.
///
/// # Errors
/// `Usage` where there is none of this name.
pub fn tree_of_server(config: &Config, name: &str) -> Result<Tree> {
    tree_of(config, name).ok_or_else(|| model::unknown("server", name, &config.server_names()))
}

fn tree_of(config: &Config, name: &str) -> Option<Tree> {
    let incoming = config.incoming_server(name).map(IncomingServer::tree);
    incoming.or_else(|| config.outgoing_server(name).map(OutgoingServer::tree))
}

/// Changes a server, and gives it another name, also where others refer to it.
pub fn set_server(
    config: &mut Config,
    name: &str,
    rename: &Option<Name>,
    change: impl FnOnce(Entry<'_>) -> Result<()>,
) -> Result<Outcome> {
    let before = config.clone();
    let mut incoming = config.incoming_servers.iter_mut();
    let mut outgoing = config.outgoing_servers.iter_mut();
    if let Some(server) = incoming.find(|s| s.name == name) {
        change(Entry::Incoming(server))?;
    } else if let Some(server) = outgoing.find(|s| s.name == name) {
        change(Entry::Outgoing(server))?;
    } else {
        return Err(model::unknown("server", name, &config.server_names()));
    }
    if let Some(new) = rename {
        rename_server(config, name, &new.0);
    }
    Ok(Outcome::of(&before, config))
}

/// Puts the new secret of a server into the configuration.
pub fn put_secret(config: &mut Config, name: &str, secret: &Secret) -> Result<Outcome> {
    set_server(config, name, &None, |server| {
        *credentials_of(server).secret = Some(SecretSource::Plain(secret.clone()));
        Ok(())
    })
}

/// Puts the day into the configuration on which the secret of a server expires.
pub fn put_secret_end(config: &mut Config, name: &str, end: Day) -> Result<Outcome> {
    set_server(config, name, &None, |server| {
        *credentials_of(server).secret_expires = Some(end);
        Ok(())
    })
}

fn credentials_of(server: Entry<'_>) -> CredentialsMut<'_> {
    match server {
        Entry::Incoming(server) => server.credentials_mut(),
        Entry::Outgoing(server) => server.credentials_mut(),
    }
}

fn rename_server(config: &mut Config, old: &str, new: &str) {
    let swap = |name: &mut String| {
        if name == old {
            *name = new.to_owned();
        }
    };
    let was_incoming = config.incoming_server(old).is_some();
    config
        .incoming_servers
        .iter_mut()
        .for_each(|s| swap(&mut s.name));
    config.outgoing_servers.iter_mut().for_each(|s| {
        swap(&mut s.name);
        if let (true, Some(app)) = (was_incoming, &mut s.app) {
            swap(app);
        }
    });
    for address in config.queues.iter_mut().flat_map(|q| &mut q.addresses) {
        if was_incoming {
            swap(&mut address.server);
        } else if let Some(name) = &mut address.outgoing_server {
            swap(name);
        }
    }
}

/// Removes a server that nothing refers to.
pub fn remove_server(config: &mut Config, name: &str) -> Result<Outcome> {
    if !config.server_names().contains(&name) {
        return Err(model::unknown("server", name, &config.server_names()));
    }
    let users = users(config, name);
    if let Some((first, command)) = users.first() {
        let others = match users.len() - 1 {
            0 => String::new(),
            n => format!(" and {n} more"),
        };
        let all: Vec<&str> = users.iter().take(12).map(|(who, _)| who.as_str()).collect();
        return Err(
            Fault::usage(format!("server `{name}` is used by {first}{others}"))
                .hint(format!("used by: {}", all.join(", ")))
                .hint(format!(
                    "first change or remove what uses it, for example: {command}"
                ))
                .into(),
        );
    }
    config.incoming_servers.retain(|s| s.name != name);
    config.outgoing_servers.retain(|s| s.name != name);
    Ok(Outcome::Removed)
}

/// Who refers to a server, and a command that takes the reference away.
fn users(config: &Config, name: &str) -> Vec<(String, String)> {
    let mut users = Vec::new();
    for server in &config.outgoing_servers {
        if server.app.as_deref() == Some(name) {
            users.push((
                format!("outgoing server `{}`", server.name),
                format!("queuemail server remove {}", shell::quote(&server.name)),
            ));
        }
    }
    for (queue, entry) in config.addresses() {
        let (queue, address) = (&queue.name, &entry.address);
        if entry.server == name || entry.outgoing_server.as_deref() == Some(name) {
            users.push((
                format!("address `{address}` of queue `{queue}`"),
                format!(
                    "queuemail queue remove {} --address {}",
                    shell::quote(queue),
                    shell::quote(address.as_str())
                ),
            ));
        }
    }
    users
}

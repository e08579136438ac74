//! As which app an outgoing server signs in: its own, or that of an incoming server.

use super::{
    Authentication, Authority, ClientId, Config, IncomingServer, OutgoingServer, no_server,
};
use crate::fault::Fault;
use crate::shell;

/// The app that an outgoing server signs in as.
pub enum App<'a> {
    /// Its own, at the login host `login`.
    Own {
        client_id: &'a ClientId,
        login: String,
    },
    Of(&'a IncomingServer),
}

/// The app of an outgoing server: its own, else that of the incoming server named by `app`, else
/// that of the one incoming server of the same tenant.
///
/// # Errors
/// `Config`, naming what to write, where none or several fit.
pub fn app_of<'a>(config: &'a Config, server: &'a OutgoingServer) -> Result<App<'a>, Fault> {
    if let Some(client_id) = &server.client_id {
        let login = login_host(config, server)?;
        return Ok(App::Own { client_id, login });
    }
    let app = match &server.app {
        Some(name) => config
            .incoming_server(name)
            .ok_or_else(|| Fault::config(no_server("incoming", name)))?,
        None => only_app(config, server)?,
    };
    Ok(App::Of(app))
}

/// Where an outgoing server signs in, if that is clear.
pub fn authority_of(config: &Config, server: &OutgoingServer) -> Option<Authority> {
    let login = match app_of(config, server).ok()? {
        App::Own { login, .. } => login,
        App::Of(app) => app.address.login.clone(),
    };
    Some(Authority {
        login,
        tenant: server.tenant.clone(),
    })
}

fn only_app<'a>(config: &'a Config, server: &OutgoingServer) -> Result<&'a IncomingServer, Fault> {
    let of_tenant = |authentication: Authentication| -> Vec<&IncomingServer> {
        config
            .incoming_servers
            .iter()
            .filter(|s| s.address.tenant == server.tenant && s.authentication == authentication)
            .collect()
    };
    let mut fitting = of_tenant(server.authentication);
    if fitting.is_empty() && server.authentication == Authentication::OauthUser {
        fitting = of_tenant(Authentication::OauthService);
    }
    let name = &server.name;
    match fitting[..] {
        [one] => Ok(one),
        [] => Err(swapped(server, Fault::config(format!(
            "outgoing server `{name}` has no app registration to sign in as: no {} incoming server has tenant `{}`",
            server.authentication, server.tenant
        )))
        .hint(format!(
            "name one: queuemail server set {} --app INCOMING, or give its own: --client-id ID --secret-file FILE",
            shell::quote(name)
        ))
        .hint(known("incoming servers", config.incoming_servers.iter().map(|s| s.name.as_str())))),
        _ => Err(Fault::config(format!(
            "outgoing server `{name}` could sign in as several incoming servers of tenant `{}`",
            server.tenant
        ))
        .hint(format!(
            "name one: queuemail server set {} --app {}",
            shell::quote(name),
            shell::quote(&fitting[0].name)
        ))
        .hint(known("these fit", fitting.iter().map(|s| s.name.as_str())))),
    }
}

/// Adds what is wrong where an application ID stands in `user` and its secret in `password`, as
/// the table of the product that these terms come from can be read.
pub fn swapped(server: &OutgoingServer, fault: Fault) -> Fault {
    match (&server.user, &server.password) {
        (Some(user), Some(_)) if user.is_guid() => fault.hint(format!(
            "if `user` ({user}) of outgoing server `{}` is an application ID and `password` its secret, they belong into `client_id` and `secret`: queuemail server set {} --client-id {user} --secret-stdin",
            server.name,
            shell::quote(&server.name)
        )),
        _ => fault,
    }
}

/// The login host of an outgoing server that has its own registration: that of the incoming
/// servers of its tenant, else the only one in the file, else the worldwide cloud's.
fn login_host(config: &Config, server: &OutgoingServer) -> Result<String, Fault> {
    let hosts = |all: bool| {
        let mut hosts: Vec<&str> = config
            .incoming_servers
            .iter()
            .filter(|s| all || s.address.tenant == server.tenant)
            .map(|s| s.address.login.as_str())
            .collect();
        hosts.sort_unstable();
        hosts.dedup();
        hosts
    };
    let mut found = hosts(false);
    if found.is_empty() {
        found = hosts(true);
    }
    match found[..] {
        [] => Ok("https://login.microsoftonline.com".to_owned()),
        [one] => Ok(one.to_owned()),
        _ => Err(Fault::config(format!(
            "the login host of outgoing server `{}` is not clear: {}",
            server.name,
            found.join(", ")
        ))
        .hint(format!(
            "name the incoming server that it signs in as: queuemail server set {} --app INCOMING",
            shell::quote(&server.name)
        ))),
    }
}

fn known<'a>(what: &str, names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    match names.is_empty() {
        true => format!("{what} in the file: none"),
        false => format!("{what}: {}", names.join(", ")),
    }
}

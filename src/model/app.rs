//! As which app an outgoing server signs in: its own, or that of an incoming server.

use super::{
    Authentication, Authority, ClientId, Config, IncomingServer, OutgoingServer, Tenant, no_server,
};
use crate::fault::{Fault, Kind};
use crate::shell;
use std::collections::{BTreeSet, HashMap};

/// The app that an outgoing server signs in as.
pub enum App<'a> {
    /// Its own, at the login host `login`.
    Own {
        client_id: &'a ClientId,
        login: String,
    },
    Of(&'a IncomingServer),
}

/// The incoming servers of a file, by what an outgoing one finds its app by.
pub struct Apps<'a> {
    all: &'a [IncomingServer],
    by_name: HashMap<&'a str, &'a IncomingServer>,
    by_tenant: HashMap<(&'a Tenant, Authentication), Vec<&'a IncomingServer>>,
    /// The login hosts of each tenant, and of the whole file.
    hosts: HashMap<&'a Tenant, BTreeSet<&'a str>>,
    all_hosts: BTreeSet<&'a str>,
}

/// Why an outgoing server has no app.
enum NoApp<'f> {
    /// There is no incoming server of this name.
    Unknown(&'f str),
    NoneFits,
    Several(&'f [&'f IncomingServer]),
    Hosts(&'f BTreeSet<&'f str>),
}

impl<'a> Apps<'a> {
    pub fn of(config: &'a Config) -> Apps<'a> {
        let all = &config.incoming_servers[..];
        let mut apps = Apps {
            all,
            by_name: all.iter().map(|s| (&*s.name, s)).collect(),
            by_tenant: HashMap::new(),
            hosts: HashMap::new(),
            all_hosts: BTreeSet::new(),
        };
        for server in all {
            let Authority { login, tenant } = &server.address;
            let fitting = apps.by_tenant.entry((tenant, server.authentication));
            fitting.or_default().push(server);
            apps.hosts.entry(tenant).or_default().insert(login);
            apps.all_hosts.insert(login);
        }
        apps
    }

    /// The app of an outgoing server: its own, else that of the incoming server named by `app`,
    /// else that of the one incoming server of the same tenant; if it is clear.
    pub fn find(&self, server: &'a OutgoingServer) -> Option<App<'a>> {
        self.app(server).ok()
    }

    /// Where an outgoing server signs in, if that is clear.
    pub fn authority(&self, server: &OutgoingServer) -> Option<Authority> {
        let login = match self.app(server).ok()? {
            App::Own { login, .. } => login,
            App::Of(app) => app.address.login.clone(),
        };
        Some(Authority {
            login,
            tenant: server.tenant.clone(),
        })
    }

    /// Why an outgoing server has no app, and what to write.
    pub fn fault(&self, server: &OutgoingServer) -> Fault {
        let name = &server.name;
        let quoted = shell::quote(name);
        match self.app(server) {
            Ok(_) => Fault::new(Kind::Bug, format!("server `{name}` has an app after all")),
            Err(NoApp::Unknown(app)) => Fault::config(no_server("incoming", app)),
            Err(NoApp::NoneFits) => swapped(server, Fault::config(format!(
                "outgoing server `{name}` has no app registration to sign in as: no {} incoming server has tenant `{}`",
                server.authentication, server.tenant
            )))
            .hint(format!(
                "choose one: queuemail server set {quoted} --app INCOMING, or set its own: --client-id ID --secret-file FILE"
            ))
            .hint(known("incoming servers", self.all.iter().map(|s| s.name.as_str()))),
            Err(NoApp::Several(fitting)) => Fault::config(format!(
                "outgoing server `{name}` could sign in as several incoming servers of tenant `{}`",
                server.tenant
            ))
            .hint(format!(
                "choose one: queuemail server set {quoted} --app {}",
                shell::quote(&fitting[0].name)
            ))
            .hint(known("these fit", fitting.iter().map(|s| s.name.as_str()))),
            Err(NoApp::Hosts(hosts)) => {
                let hosts: Vec<&str> = hosts.iter().copied().collect();
                Fault::config(format!(
                    "the login host of outgoing server `{name}` is ambiguous: {}",
                    hosts.join(", ")
                ))
                .hint(format!(
                    "name the incoming server whose app it uses: queuemail server set {quoted} --app INCOMING"
                ))
            }
        }
    }

    fn app<'n, 's: 'n>(&'n self, server: &'s OutgoingServer) -> Result<App<'s>, NoApp<'n>>
    where
        'a: 's,
    {
        if let Some(client_id) = &server.client_id {
            let login = self.login_host(server)?.to_owned();
            return Ok(App::Own { client_id, login });
        }
        if let Some(name) = &server.app {
            let app = self.by_name.get(name.as_str());
            return app.map_or(Err(NoApp::Unknown(name)), |app| Ok(App::Of(app)));
        }
        let mut fitting = self.of_tenant(server, server.authentication);
        if fitting.is_empty() && server.authentication == Authentication::OauthUser {
            fitting = self.of_tenant(server, Authentication::OauthService);
        }
        match fitting {
            [one] => Ok(App::Of(one)),
            [] => Err(NoApp::NoneFits),
            several => Err(NoApp::Several(several)),
        }
    }

    fn of_tenant<'n>(
        &'n self,
        server: &'n OutgoingServer,
        authentication: Authentication,
    ) -> &'n [&'a IncomingServer] {
        let fitting = self.by_tenant.get(&(&server.tenant, authentication));
        fitting.map_or(&[], Vec::as_slice)
    }

    /// The login host of an outgoing server that has its own registration: that of the incoming
    /// servers of its tenant, else the only one in the file, else the worldwide cloud's.
    fn login_host<'n>(&'n self, server: &'n OutgoingServer) -> Result<&'n str, NoApp<'n>> {
        let hosts = self.hosts.get(&server.tenant).unwrap_or(&self.all_hosts);
        match (hosts.first(), hosts.len()) {
            (None, _) => Ok(Authority::WORLDWIDE),
            (Some(one), 1) => Ok(one),
            _ => Err(NoApp::Hosts(hosts)),
        }
    }
}

/// Adds what is wrong where an application ID stands in `user` and its secret in `password`, as
/// the table of the product that these terms come from can be read.
pub fn swapped(server: &OutgoingServer, fault: Fault) -> Fault {
    match (&server.user, &server.password) {
        (Some(user), Some(_)) if user.is_guid() => fault.hint(format!(
            "if `user` ({user}) of outgoing server `{}` is an application ID and `password` its secret, move them to `client_id` and `secret`: queuemail server set {} --client-id {user} --secret-stdin",
            server.name,
            shell::quote(&server.name)
        )),
        _ => fault,
    }
}

fn known<'a>(what: &str, names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    match names.is_empty() {
        true => format!("{what} in the file: none"),
        false => format!("{what}: {}", names.join(", ")),
    }
}

//! Which app registration signs in, at which authority, for which scope: pure functions over the
//! configuration.

use super::credential::{FederatedToken, ManagedIdentity};
use super::model::{Address, MailboxEntry};
use super::server_credentials::Credentials;
use super::values::{HttpsUrl, OauthEndpoint};
use super::{
    Authentication, Authority, ClientId, Cloud, Config, IncomingServer, OutgoingServer, Purpose,
    Resource, SecretSource,
};
use crate::fault::{Fault, Proof, Scene};
use crate::net::Endpoint;
use crate::shell;
use std::path::Path;

/// What stands for a client, as the file has it.
#[derive(Clone, Debug, PartialEq)]
pub enum CredentialSource<'a> {
    /// A public client.
    None,
    Secret(&'a SecretSource),
    Certificate {
        certificate: &'a Path,
        /// Where it is not in the certificate's own file.
        private_key: Option<&'a Path>,
        passphrase: Option<&'a SecretSource>,
    },
    FederatedToken(FederatedToken),
    ManagedIdentity {
        /// The host's own, and not the one that the client ID names.
        system: bool,
    },
}

/// An app registration, seen from the server that signs in with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Registration<'a> {
    /// The configured server's name, for messages.
    pub server: &'a str,
    /// It is an outgoing server.
    pub is_outgoing: bool,
    /// The server whose entry holds the client ID and the credential: itself, or its `app`.
    pub app_server: &'a str,
    pub authority: Authority,
    pub authentication: Authentication,
    pub client_id: &'a ClientId,
    pub credential: CredentialSource<'a>,
    /// Replaces the cloud's own scope.
    pub scope: Option<&'a str>,
    pub ca_file: Option<&'a Path>,
    pub endpoints: Endpoints<'a>,
}

/// The endpoints of an authority whose paths are not Entra ID's.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Endpoints<'a> {
    token: Option<&'a OauthEndpoint>,
    authorization: Option<&'a OauthEndpoint>,
    device_authorization: Option<&'a OauthEndpoint>,
}

impl Registration<'_> {
    /// Its names and ids, for an error.
    pub fn scene(&self) -> Scene {
        Scene {
            server: Some(self.server.to_owned()),
            is_outgoing: self.is_outgoing,
            app_server: Some(self.app_server.to_owned()),
            tenant: Some(self.authority.tenant.to_string()),
            client_id: Some(self.client_id.to_string()),
            proof: self.proof(),
            host: Some(self.authority.host().to_owned()),
            login_host: self.authority.microsofts_host(),
            ..Scene::default()
        }
    }

    fn proof(&self) -> Option<Proof> {
        match self.credential {
            CredentialSource::None => None,
            CredentialSource::Secret(_) => Some(Proof::Secret),
            CredentialSource::Certificate { .. } => Some(Proof::Certificate),
            CredentialSource::FederatedToken(_) | CredentialSource::ManagedIdentity { .. } => {
                Some(Proof::Federated)
            }
        }
    }

    /// Whether the authority has Entra ID's paths, and with them its ways.
    pub fn is_entra(&self) -> bool {
        self.endpoints.token.is_none()
    }

    /// RFC 6749 §3.2.
    pub fn token_endpoint(&self) -> String {
        match self.endpoints.token {
            Some(own) => own.as_str().to_owned(),
            None => self.authority.token_endpoint(),
        }
    }

    /// RFC 6749 §3.1.
    ///
    /// # Errors
    /// `Config` where the authority is not Entra ID and none is given.
    pub fn authorization_endpoint(&self) -> Result<String, Fault> {
        match self.endpoints.authorization {
            Some(own) => Ok(own.as_str().to_owned()),
            None if self.is_entra() => Ok(self.authority.authorization_endpoint()),
            None => Err(self.lacks("authorization_endpoint", "--authorization-endpoint")),
        }
    }

    /// RFC 8628 §3.1.
    ///
    /// # Errors
    /// As [`Registration::authorization_endpoint`].
    pub fn device_authorization_endpoint(&self) -> Result<String, Fault> {
        match self.endpoints.device_authorization {
            Some(own) => Ok(own.as_str().to_owned()),
            None if self.is_entra() => Ok(self.authority.device_authorization_endpoint()),
            None => Err(self.lacks(
                "device_authorization_endpoint",
                "--device-authorization-endpoint",
            )),
        }
    }

    fn lacks(&self, key: &str, flag: &str) -> Fault {
        let server = self.server;
        Fault::config(format!(
            "server `{server}` has a `token_endpoint` of its own and no `{key}`"
        ))
        .hint(format!(
            "give it, if the provider has one: queuemail server set {} {flag} URL",
            shell::quote(server)
        ))
    }
}

/// The account that signs in for OAuth User, and its password if the file has one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Account<'a> {
    pub name: &'a str,
    pub password: Option<&'a SecretSource>,
}

/// The app registration of an incoming server.
pub fn incoming(server: &IncomingServer) -> Registration<'_> {
    Registration {
        server: &server.name,
        is_outgoing: false,
        app_server: &server.name,
        authority: server.address.clone(),
        authentication: server.authentication,
        client_id: &server.client_id,
        credential: credential(&server.credentials()),
        scope: server.scope.as_deref(),
        ca_file: server.ca_file.as_deref(),
        endpoints: Endpoints {
            token: server.token_endpoint.as_ref(),
            authorization: server.authorization_endpoint.as_ref(),
            device_authorization: server.device_authorization_endpoint.as_ref(),
        },
    }
}

/// Where an incoming server's mailboxes are read by IMAP: its own URL, else its cloud's.
///
/// # Errors
/// `Config` where there is neither; loading a file has refused that already.
pub fn imap(server: &IncomingServer) -> Result<Endpoint, Fault> {
    server
        .imap
        .clone()
        .or_else(|| server.address.cloud().map(Cloud::imap))
        .ok_or_else(|| {
            Fault::config(format!(
                "incoming server `{}` has no `imap` URL, and its login host `{}` is none of Microsoft's",
                server.name,
                server.address.host()
            ))
            .hint(format!(
                "queuemail server set {} --imap imaps://HOST",
                shell::quote(&server.name)
            ))
        })
}

/// Where Graph serves an incoming server's mailboxes: its own URL, else its cloud's.
///
/// # Errors
/// `Config` where there is neither; loading a file has refused that already.
pub fn graph(server: &IncomingServer) -> Result<&str, Fault> {
    graph_root(server.graph.as_ref(), &server.address).ok_or_else(|| {
        Fault::config(format!(
            "incoming server `{}` has no `graph` URL, and its login host `{}` is none of Microsoft's",
            server.name,
            server.address.host()
        ))
        .hint(format!(
            "queuemail server set {} --graph https://HOST",
            shell::quote(&server.name)
        ))
    })
}

/// A `graph` URL, else that of the cloud of `authority`.
pub fn graph_root<'a>(own: Option<&'a HttpsUrl>, authority: &Authority) -> Option<&'a str> {
    own.map(HttpsUrl::as_str)
        .or_else(|| authority.cloud().map(Cloud::graph))
}

/// The app registration that an outgoing server signs in with: its own, else that of the incoming
/// server named by `app`, else that of the one incoming server of the same tenant.
///
/// # Errors
/// `Config`, naming what to write, where none or several fit.
pub fn outgoing<'a>(
    config: &'a Config,
    server: &'a OutgoingServer,
) -> Result<Registration<'a>, Fault> {
    if let Some(client_id) = &server.client_id {
        return Ok(Registration {
            server: &server.name,
            is_outgoing: true,
            app_server: &server.name,
            authority: Authority {
                login: login_host(config, server)?,
                tenant: server.tenant.clone(),
            },
            authentication: server.authentication,
            client_id,
            credential: credential(&server.credentials()),
            scope: server.scope.as_deref(),
            ca_file: server.ca_file.as_deref(),
            endpoints: Endpoints::default(),
        });
    }
    let app = match &server.app {
        Some(name) => config.incoming_server(name).ok_or_else(|| {
            Fault::config(format!(
                "`app: {name}` of outgoing server `{}` names no incoming server",
                server.name
            ))
            .hint(known(
                "incoming servers",
                config.incoming_servers.iter().map(|s| s.name.as_str()),
            ))
        })?,
        None => only_app(config, server)?,
    };
    let of_app = incoming(app);
    Ok(Registration {
        server: &server.name,
        is_outgoing: true,
        app_server: of_app.server,
        authority: Authority {
            login: of_app.authority.login,
            tenant: server.tenant.clone(),
        },
        authentication: server.authentication,
        scope: server.scope.as_deref(),
        ca_file: server.ca_file.as_deref().or(of_app.ca_file),
        client_id: of_app.client_id,
        // A registration signs a person in as a public client unless it has a credential.
        credential: of_app.credential,
        endpoints: of_app.endpoints,
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

fn credential<'a>(c: &Credentials<'a>) -> CredentialSource<'a> {
    let federated = || {
        let file = c.federated_token_file;
        let file = file.map(|path| FederatedToken::File(path.to_owned()));
        c.federated_token.cloned().or(file)
    };
    if let Some(secret) = c.secret {
        CredentialSource::Secret(secret)
    } else if let Some(certificate) = c.certificate {
        CredentialSource::Certificate {
            certificate,
            private_key: c.private_key,
            passphrase: c.certificate_passphrase,
        }
    } else if let Some(token) = federated() {
        CredentialSource::FederatedToken(token)
    } else {
        match c.managed_identity {
            ManagedIdentity::No => CredentialSource::None,
            ManagedIdentity::User => CredentialSource::ManagedIdentity { system: false },
            ManagedIdentity::System => CredentialSource::ManagedIdentity { system: true },
        }
    }
}

/// The account that reads a mailbox.
pub fn reader<'a>(entry: &MailboxEntry<'a>) -> Account<'a> {
    Account {
        name: entry.account(),
        password: entry.address.password.as_ref(),
    }
}

/// Who signs in for what is sent, if that is a person.
pub fn person_who_sends<'a>(
    server: &'a OutgoingServer,
    address: Option<&'a Address>,
) -> Option<Account<'a>> {
    match server.authentication {
        Authentication::OauthService => None,
        Authentication::OauthUser => sender(server, address).ok(),
    }
}

/// The account that sends through an outgoing server for OAuth User: its user, if that is an
/// address, else the account of the sending address.
///
/// # Errors
/// `Config` where neither is there.
pub fn sender<'a>(
    server: &'a OutgoingServer,
    address: Option<&'a Address>,
) -> Result<Account<'a>, Fault> {
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
            "outgoing server `{}` does not say which account signs in",
            server.name
        ))
        .hint(format!(
            "give the account's address: queuemail server set {} --user ADDRESS",
            shell::quote(&server.name)
        ))),
    }
}

/// Whether a person must sign in for what `entry` sends through, and by another sign-in than for
/// reading it.
pub fn signs_in_apart(entry: &MailboxEntry<'_>, server: &OutgoingServer) -> bool {
    let (Ok(sending), Ok(account)) = (
        outgoing(entry.config, server),
        sender(server, Some(entry.address)),
    ) else {
        return false;
    };
    let reading = entry.config.incoming_server(&entry.address.server);
    sending.authentication == Authentication::OauthUser
        && !reading.map(incoming).is_some_and(|reading| {
            reading.authentication == Authentication::OauthUser
                && reading.authority == sending.authority
                && reading.client_id == sending.client_id
                && account.name.eq_ignore_ascii_case(entry.account())
        })
}

/// The scope to ask for. `other_mailbox`: a person reads or sends for a mailbox that is not
/// theirs, for which Graph has permissions of their own.
///
/// A login host that we don't know gets the worldwide scopes, unless the server has a `scope`.
pub fn scope(
    registration: &Registration<'_>,
    resource: Resource,
    sending: bool,
    other_mailbox: bool,
) -> String {
    let cloud = registration.authority.cloud().unwrap_or(Cloud::Worldwide);
    match registration.authentication {
        Authentication::OauthService => match registration.scope {
            Some(scope) => scope.to_owned(),
            None => format!("{}/.default", cloud.application_resource(resource)),
        },
        Authentication::OauthUser => {
            let mut scope = match registration.scope {
                Some(scope) => scope.to_owned(),
                None => {
                    let purpose = match (resource, sending) {
                        (Resource::Graph, true) => Purpose::GraphSend,
                        _ => Purpose::of(resource),
                    };
                    let permission = purpose.scope(other_mailbox);
                    format!("{}/{permission}", cloud.delegated_resource(resource))
                }
            };
            // Without it no refresh token comes back, and each run would need the password. It is
            // OpenID Connect's word, which not every provider knows.
            if registration.is_entra() && !scope.split_whitespace().any(|s| s == "offline_access") {
                scope.push_str(" offline_access");
            }
            scope
        }
    }
}

/// The resource to name to Entra's version 1 endpoint, where that is the one to ask: in China the
/// password grant is known to give a token for mail there, with a resource in the place of scopes.
pub fn v1_resource(
    registration: &Registration<'_>,
    account: Account<'_>,
    scope: &str,
) -> Option<&'static str> {
    let resource = Cloud::China.delegated_resource(Resource::Imap);
    let mail = scope
        .strip_prefix(resource)
        .is_some_and(|rest| rest.starts_with('/'));
    let is_it = registration.authority.cloud() == Some(Cloud::China)
        && registration.scope.is_none()
        && account.password.is_some()
        && mail;
    is_it.then_some(resource)
}

fn known<'a>(what: &str, names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    match names.is_empty() {
        true => format!("{what} in the file: none"),
        false => format!("{what}: {}", names.join(", ")),
    }
}

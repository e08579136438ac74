//! What is said of a server, by the options of `server add` and `server set`.

use super::options::{Options, shown};
use super::secret::{Password, SourceArgs, one_stdin};
use super::typed::{change, change_path, change_text, value};
use super::{Credential, Required, put_path};
use crate::model::{
    Authentication, Authority, Change, ClientId, CredentialsMut, HttpsUrl, IncomingServer,
    OauthEndpoint, OutgoingServer, SecretSource, ServerUser, Tenant, put,
};
use crate::net::Endpoint;
use anyhow::Result;
use clap::Args;
use std::path::PathBuf;

/// What both kinds of server have.
#[derive(Args, Clone, Debug, Default)]
pub struct OfServer {
    /// Sign in as the app (oauth-service) or as a person (oauth-user)
    #[arg(long = "auth", value_name = "TYPE")]
    pub authentication: Option<Authentication>,
    /// Application (client) ID of the app registration
    #[arg(long, value_name = "ID", value_parser = change::<ClientId>())]
    pub client_id: Option<Change<ClientId>>,
    #[command(flatten)]
    pub credential: Credential,
    /// Graph service root, if not the default of the cloud
    #[arg(long, hide_short_help = true, value_name = "URL", value_parser = change::<HttpsUrl>())]
    pub graph: Option<Change<HttpsUrl>>,
    /// OAuth scope, if not the default of the cloud
    #[arg(long, hide_short_help = true, value_name = "SCOPE", value_parser = change_text())]
    pub scope: Option<Change<String>>,
    /// PEM file of authorities to trust in addition to the system's
    #[arg(long, hide_short_help = true, value_name = "PEM", value_parser = change_path())]
    pub ca_file: Option<Change<PathBuf>>,
}

/// What an incoming server alone has.
#[derive(Args, Clone, Debug, Default)]
pub struct OfIncoming {
    /// Login address: https://<login host>/<tenant>, the tenant a GUID or a domain name
    #[arg(long, value_name = "URL", value_parser = value::<Authority>())]
    pub address: Option<Authority>,
    /// IMAP host, if not the default of the cloud: imaps://HOST[:PORT] or imap://HOST[:PORT]
    #[arg(long, hide_short_help = true, value_name = "URL", value_parser = change::<Endpoint>())]
    pub imap: Option<Change<Endpoint>>,
    /// Token endpoint of a provider other than Entra ID
    #[arg(long, hide_short_help = true, value_name = "URL", value_parser = change::<OauthEndpoint>())]
    pub token_endpoint: Option<Change<OauthEndpoint>>,
    /// Authorization endpoint of such a provider, for a sign-in with a browser
    #[arg(long, hide_short_help = true, value_name = "URL", value_parser = change::<OauthEndpoint>())]
    pub authorization_endpoint: Option<Change<OauthEndpoint>>,
    /// Device authorization endpoint of such a provider, for a sign-in with a code
    #[arg(long, hide_short_help = true, value_name = "URL", value_parser = change::<OauthEndpoint>())]
    pub device_authorization_endpoint: Option<Change<OauthEndpoint>>,
}

/// What an outgoing server alone has.
#[derive(Args, Clone, Debug, Default)]
pub struct OfOutgoing {
    /// Tenant: a GUID or a domain name
    #[arg(long, value_name = "ID|DOMAIN", value_parser = value::<Tenant>())]
    pub tenant: Option<Tenant>,
    /// The mailbox user that sends: its object ID (GUID) or address
    #[arg(long, value_name = "GUID|ADDRESS", value_parser = change::<ServerUser>())]
    pub user: Option<Change<ServerUser>>,
    /// Sign in with the app registration of this incoming server, instead of a client ID
    #[arg(long, value_name = "INCOMING", value_parser = change_text())]
    pub app: Option<Change<String>>,
    #[command(flatten)]
    pub password: SourceArgs<Password>,
    /// Keep the server in the file but send nothing through it
    #[arg(long)]
    pub disabled: bool,
    /// Submission host, if not the default of the cloud: smtp://HOST[:PORT] or smtps://HOST[:PORT]
    #[arg(long, hide_short_help = true, value_name = "URL", value_parser = change::<Endpoint>())]
    pub smtp: Option<Change<Endpoint>>,
}

/// What is said of the secrets of a server, read from where it is said to be.
#[derive(Default)]
pub struct Secrets {
    secret: Option<Change<SecretSource>>,
    passphrase: Option<Change<SecretSource>>,
    password: Option<Change<SecretSource>>,
}

impl OfServer {
    pub fn options(&self) -> Options {
        Options::default()
            .value("--auth", &self.authentication)
            .change("--client-id", &self.client_id)
            .and(self.credential.options())
            .change("--graph", &self.graph)
            .change("--scope", &self.scope)
            .change("--ca-file", &shown(&self.ca_file))
    }

    /// The secrets; the client secret is asked for where one `is_needed` and nothing else is said.
    pub fn secrets(
        &self,
        password: &SourceArgs<Password>,
        is_needed: bool,
        whose: &str,
        required: &Required<'_>,
    ) -> Result<Secrets> {
        let (secret, passphrase) = (&self.credential.secret, &self.credential.passphrase);
        one_stdin(&[
            ("secret", &secret.given),
            ("certificate-passphrase", &passphrase.given),
            ("password", &password.given),
        ])?;
        let is_needed = is_needed && !self.credential.replaces_secret();
        Ok(Secrets {
            passphrase: passphrase.source(whose, required)?,
            secret: match secret.source(whose, required)? {
                None | Some(Change::Unset) if is_needed => {
                    Some(Change::Set(secret.asked(whose, required)?))
                }
                source => source,
            },
            password: password.source(whose, required)?,
        })
    }
}

impl Secrets {
    /// Puts them into an entry.
    pub fn put(&self, slots: &mut CredentialsMut<'_>) {
        put(&self.secret, slots.secret);
        put(&self.passphrase, slots.certificate_passphrase);
    }

    pub fn put_password(&self, server: &mut OutgoingServer) {
        put(&self.password, &mut server.password);
    }

    /// An entry has one credential: takes the old one away where a new one is said.
    pub fn make_room(&self, said: &Credential, slots: &mut CredentialsMut<'_>) {
        if matches!(self.secret, Some(Change::Set(_))) || said.replaces_secret() {
            slots.clear();
        }
    }
}

impl OfIncoming {
    pub fn options(&self) -> Options {
        Options::default()
            .value("--address", &self.address)
            .change("--imap", &self.imap)
            .change("--token-endpoint", &self.token_endpoint)
            .change("--authorization-endpoint", &self.authorization_endpoint)
            .change(
                "--device-authorization-endpoint",
                &self.device_authorization_endpoint,
            )
    }

    /// Puts what is said into an entry, all but secrets.
    pub fn put(&self, of_both: &OfServer, server: &mut IncomingServer) -> Result<()> {
        set(&mut server.address, &self.address);
        set(&mut server.authentication, &of_both.authentication);
        if let Some(Change::Set(id)) = &of_both.client_id {
            server.client_id = id.clone();
        }
        of_both.credential.put(&mut server.credentials_mut())?;
        put(&self.token_endpoint, &mut server.token_endpoint);
        put(
            &self.authorization_endpoint,
            &mut server.authorization_endpoint,
        );
        put(
            &self.device_authorization_endpoint,
            &mut server.device_authorization_endpoint,
        );
        put(&self.imap, &mut server.imap);
        put(&of_both.graph, &mut server.graph);
        put(&of_both.scope, &mut server.scope);
        put_path(&of_both.ca_file, &mut server.ca_file)
    }
}

impl OfOutgoing {
    pub fn options(&self) -> Options {
        Options::default()
            .value("--tenant", &self.tenant)
            .change("--user", &self.user)
            .change("--app", &self.app)
            .secret(&self.password)
            .flag("--disabled", self.disabled)
            .change("--smtp", &self.smtp)
    }

    /// Puts what is said into an entry, all but secrets.
    pub fn put(&self, of_both: &OfServer, server: &mut OutgoingServer) -> Result<()> {
        set(&mut server.tenant, &self.tenant);
        set(&mut server.authentication, &of_both.authentication);
        put(&of_both.client_id, &mut server.client_id);
        put(&self.app, &mut server.app);
        put(&self.user, &mut server.user);
        of_both.credential.put(&mut server.credentials_mut())?;
        server.enabled &= !self.disabled;
        put(&self.smtp, &mut server.smtp);
        put(&of_both.graph, &mut server.graph);
        put(&of_both.scope, &mut server.scope);
        put_path(&of_both.ca_file, &mut server.ca_file)
    }
}

/// A value that cannot be taken away.
fn set<T: Clone>(slot: &mut T, value: &Option<T>) {
    if let Some(value) = value {
        *slot = value.clone();
    }
}

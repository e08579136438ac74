//! The two kinds of server: the options that each alone has, and what becomes of them.

use super::new_server::Kind;
use super::options::Options;
use super::secret::{Password, SourceArgs};
use super::server_options::{OfServer, Secrets};
use super::typed::{change, change_text, value};
use super::{Required, lacking, put_path};
use crate::model::{
    Authentication, Authority, Change, Config, IncomingServer, IncomingVia, OauthEndpoint,
    OutgoingServer, OutgoingVia, Server, ServerUser, Tenant, put,
};
use crate::net::Endpoint;
use anyhow::Result;
use clap::Args;

/// What an incoming server alone has.
#[derive(Args, Clone, Debug, Default)]
pub struct Incoming {
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
pub struct Outgoing {
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

impl Kind for Incoming {
    type Server = IncomingServer;
    type Via = IncomingVia;

    const VIA: &'static str = "Read through imap, graph or the first that works (auto)";
    const EXAMPLE: &'static str = "--address https://login.microsoftonline.com/TENANT --auth oauth-service --client-id ID --secret-file PATH";

    fn options(&self) -> Options {
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

    fn password(&self) -> &SourceArgs<Password> {
        &SourceArgs::NONE
    }

    fn is_complete(&self, of_both: &OfServer) -> bool {
        self.address.is_some() && of_both.client_id.is_some()
    }

    fn begin(
        &self,
        name: String,
        of_both: &OfServer,
        required: &Required<'_>,
    ) -> Result<IncomingServer> {
        let client_id = match &of_both.client_id {
            Some(Change::Set(id)) => Some(id.clone()),
            _ => None,
        };
        Ok(IncomingServer::new(
            name,
            required.value(&self.address, "--address")?,
            required.value(&of_both.authentication, "--auth")?,
            required.value(&client_id, "--client-id")?,
        ))
    }

    fn put(&self, of_both: &OfServer, server: &mut IncomingServer) -> Result<()> {
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

    fn put_secrets(secrets: &Secrets, server: &mut IncomingServer) {
        secrets.put(&mut server.credentials_mut());
    }

    fn via(server: &mut IncomingServer) -> &mut IncomingVia {
        &mut server.via
    }

    fn needs_credential(server: &IncomingServer) -> bool {
        server.authentication == Authentication::OauthService
    }

    fn lacking(_: &Config, _: &IncomingServer) -> Vec<String> {
        Vec::new()
    }
}

impl Kind for Outgoing {
    type Server = OutgoingServer;
    type Via = OutgoingVia;

    const VIA: &'static str = "Send through smtp, graph or the first that works (auto)";
    const EXAMPLE: &'static str =
        "--tenant contoso.onmicrosoft.com --auth oauth-service --app INCOMING --user GUID";

    fn options(&self) -> Options {
        Options::default()
            .value("--tenant", &self.tenant)
            .change("--user", &self.user)
            .change("--app", &self.app)
            .secret(&self.password)
            .flag("--disabled", self.disabled)
            .change("--smtp", &self.smtp)
    }

    fn password(&self) -> &SourceArgs<Password> {
        &self.password
    }

    fn is_complete(&self, _: &OfServer) -> bool {
        self.tenant.is_some()
    }

    fn begin(
        &self,
        name: String,
        of_both: &OfServer,
        required: &Required<'_>,
    ) -> Result<OutgoingServer> {
        Ok(OutgoingServer::new(
            name,
            required.value(&self.tenant, "--tenant")?,
            required.value(&of_both.authentication, "--auth")?,
        ))
    }

    fn put(&self, of_both: &OfServer, server: &mut OutgoingServer) -> Result<()> {
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

    fn put_secrets(secrets: &Secrets, server: &mut OutgoingServer) {
        secrets.put(&mut server.credentials_mut());
        put(&secrets.password, &mut server.password);
    }

    fn via(server: &mut OutgoingServer) -> &mut OutgoingVia {
        &mut server.via
    }

    fn needs_credential(server: &OutgoingServer) -> bool {
        server.client_id.is_some() && server.authentication == Authentication::OauthService
    }

    fn lacking(config: &Config, server: &OutgoingServer) -> Vec<String> {
        lacking::of_outgoing(config, server)
    }
}

/// A value that cannot be taken away.
fn set<T: Clone>(slot: &mut T, value: &Option<T>) {
    if let Some(value) = value {
        *slot = value.clone();
    }
}

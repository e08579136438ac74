//! `server`: app registrations to read through, and ways to send.

use super::secrets::{ClientSecret, CredentialArgs, Password, SourceArgs};
use super::typed::{change, change_path, change_text, guid, value};
use crate::model::{
    Authentication, Authority, Change, ClientId, HttpsUrl, IncomingVia, Name, OauthEndpoint,
    OutgoingVia, ServerUser, Span, Tenant,
};
use crate::net::Endpoint;
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub enum ServerCommand {
    /// Add a server; without options, on a terminal, asks for all values
    Add {
        #[command(subcommand)]
        kind: Option<ServerAdd>,
    },
    /// List the servers
    List,
    /// Show one server
    Show {
        /// The server's name
        #[arg(value_name = "SERVER")]
        name: String,
    },
    /// Change values of a server
    Set(Box<ServerSet>),
    /// Renew the secret or certificate of a server
    Rotate(RotateArgs),
    /// Remove a server that is not in use
    Remove {
        /// The server's name
        #[arg(value_name = "SERVER")]
        name: String,
        /// Show how the file would change, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum ServerAdd {
    /// Add an app registration for reading mailboxes
    Incoming(Box<IncomingArgs>),
    /// Add a server for sending mail
    Outgoing(Box<OutgoingArgs>),
}

#[derive(Args, Clone, Debug, Default)]
#[command(after_long_help = "\
Examples:
  queuemail server add incoming Contoso --auth oauth-service \\
      --address https://login.microsoftonline.com/contoso.onmicrosoft.com \\
      --client-id 1b7e1c4e-8a53-4bd5-9a1e-54d1b0a4c6f1 \\
      --secret-file /etc/queuemail/contoso.secret
  pass show contoso | queuemail server set Contoso --secret-stdin")]
pub struct IncomingArgs {
    /// A name of your choice; queues refer to the server by it
    #[arg(value_parser = value::<Name>())]
    pub name: Option<Name>,
    /// Login address: https://<login host>/<tenant>, the tenant a GUID or a domain name
    #[arg(long, value_name = "URL", value_parser = value::<Authority>())]
    pub address: Option<Authority>,
    /// Sign in as the app (oauth-service) or as a person (oauth-user)
    #[arg(long, value_name = "TYPE")]
    pub auth: Option<Authentication>,
    /// Application (client) ID of the app registration
    #[arg(long, value_name = "ID", value_parser = value::<ClientId>())]
    pub client_id: Option<ClientId>,
    #[command(flatten)]
    pub secret: SourceArgs<ClientSecret>,
    #[command(flatten)]
    pub credential: CredentialArgs,
    /// Read through imap, graph or the first that works (auto)
    #[arg(long, value_name = "WAY")]
    pub via: Option<IncomingVia>,
    #[command(flatten)]
    pub transport: IncomingTransportArgs,
    /// Replace a server of this name that has other values
    #[arg(long)]
    pub replace: bool,
    /// Show how the file would change, and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Args, Clone, Debug, Default)]
#[command(after_long_help = "\
Examples:
  queuemail server add outgoing 'Contoso out' \\
      --tenant contoso.onmicrosoft.com --auth oauth-service \\
      --app Contoso --user support@contoso.com")]
pub struct OutgoingArgs {
    /// A name of your choice; queues refer to the server by it
    #[arg(value_parser = value::<Name>())]
    pub name: Option<Name>,
    /// Tenant: a GUID or a domain name
    #[arg(long, value_name = "ID|DOMAIN", value_parser = value::<Tenant>())]
    pub tenant: Option<Tenant>,
    /// Sign in as the app (oauth-service) or as a person (oauth-user)
    #[arg(long, value_name = "TYPE")]
    pub auth: Option<Authentication>,
    /// The mailbox user that sends: its object ID (GUID) or address
    #[arg(long, value_name = "GUID|ADDRESS", value_parser = value::<ServerUser>())]
    pub user: Option<ServerUser>,
    /// Sign in with the app registration of this incoming server
    #[arg(long, value_name = "INCOMING")]
    pub app: Option<String>,
    /// Application (client) ID, instead of --app
    #[arg(long, value_name = "ID", conflicts_with = "app", value_parser = value::<ClientId>())]
    pub client_id: Option<ClientId>,
    #[command(flatten)]
    pub secret: SourceArgs<ClientSecret>,
    #[command(flatten)]
    pub credential: CredentialArgs,
    #[command(flatten)]
    pub password: SourceArgs<Password>,
    /// Keep the server in the file but send nothing through it
    #[arg(long)]
    pub disabled: bool,
    /// Send through smtp, graph or the first that works (auto)
    #[arg(long, value_name = "WAY")]
    pub via: Option<OutgoingVia>,
    #[command(flatten)]
    pub transport: OutgoingTransportArgs,
    /// Replace a server of this name that has other values
    #[arg(long)]
    pub replace: bool,
    /// Show how the file would change, and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  queuemail server set Contoso --secret-stdin < contoso.secret
  queuemail server set Contoso --via ''   the default transport

An empty value removes the key from the file, and the default applies again.")]
pub struct ServerSet {
    /// The server's name
    #[arg(value_name = "SERVER")]
    pub name: String,
    /// Rename the server, also where queues refer to it
    #[arg(long, value_name = "NAME", value_parser = value::<Name>())]
    pub rename: Option<Name>,
    /// Login address (incoming)
    #[arg(long, value_name = "URL", value_parser = value::<Authority>())]
    pub address: Option<Authority>,
    /// Tenant (outgoing)
    #[arg(long, value_name = "ID|DOMAIN", value_parser = value::<Tenant>())]
    pub tenant: Option<Tenant>,
    /// Sign in as oauth-service or oauth-user
    #[arg(long, value_name = "TYPE")]
    pub auth: Option<Authentication>,
    /// Application (client) ID
    #[arg(long, value_name = "ID", value_parser = change::<ClientId>())]
    pub client_id: Option<Change<ClientId>>,
    /// The incoming server whose app registration signs in (outgoing)
    #[arg(long, value_name = "INCOMING", value_parser = change_text())]
    pub app: Option<Change<String>>,
    /// The mailbox user that sends (outgoing)
    #[arg(long, value_name = "GUID|ADDRESS", value_parser = change::<ServerUser>())]
    pub user: Option<Change<ServerUser>>,
    #[command(flatten)]
    pub secret: SourceArgs<ClientSecret>,
    #[command(flatten)]
    pub credential: CredentialArgs,
    #[command(flatten)]
    pub password: SourceArgs<Password>,
    /// Send nothing through it (outgoing)
    #[arg(long, conflicts_with = "enabled")]
    pub disabled: bool,
    /// Send through it again (outgoing)
    #[arg(long)]
    pub enabled: bool,
    /// The transport: imap, smtp, graph or auto
    #[arg(long, value_name = "WAY")]
    pub via: Option<String>,
    /// IMAP host (incoming)
    #[arg(long, value_name = "URL", value_parser = change::<Endpoint>())]
    pub imap: Option<Change<Endpoint>>,
    /// Submission host (outgoing)
    #[arg(long, value_name = "URL", value_parser = change::<Endpoint>())]
    pub smtp: Option<Change<Endpoint>>,
    /// Graph service root
    #[arg(long, value_name = "URL", value_parser = change::<HttpsUrl>())]
    pub graph: Option<Change<HttpsUrl>>,
    /// OAuth scope
    #[arg(long, value_name = "SCOPE", value_parser = change_text())]
    pub scope: Option<Change<String>>,
    /// PEM file of authorities to trust in addition to the system's
    #[arg(long, value_name = "PEM", value_parser = change_path())]
    pub ca_file: Option<Change<PathBuf>>,
    #[command(flatten)]
    pub endpoints: EndpointArgs,
    /// Show how the file would change, and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  queuemail server rotate Contoso --dry-run    shows what would happen
  queuemail server rotate Contoso
  queuemail server rotate Contoso --finish     removes the old one now
  queuemail server rotate Contoso --if-expires-within 30d
                                               from cron: silent if not due

A new secret or certificate is registered in Entra ID by the app itself and tried. \
Then it replaces the old one in its file. The old one stays registered for the grace period; the \
first run after that removes it. If a run is interrupted, the next one continues.

A certificate needs no permission to renew itself, as long as it is valid. A secret needs \
the application permission Application.ReadWrite.OwnedBy of Microsoft Graph, and the app must own \
its registration: queuemail setup-script SERVER > setup.ps1; pwsh setup.ps1 -Renewal")]
pub struct RotateArgs {
    /// The server's name
    #[arg(value_name = "SERVER")]
    pub name: String,
    /// Do nothing unless it expires within this time
    #[arg(long, value_name = "TIME", value_parser = value::<Span>())]
    pub if_expires_within: Option<Span>,
    /// How long the old one stays registered
    #[arg(long, value_name = "TIME", default_value = "1d", value_parser = value::<Span>())]
    pub grace: Span,
    /// Remove the old one now, and renew nothing
    #[arg(long, conflicts_with_all = ["if_expires_within", "grace", "days", "wait", "object_id", "key_id"])]
    pub finish: bool,
    /// How many days the new one is valid
    #[arg(long, value_name = "N", default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=730))]
    pub days: u32,
    /// How long to wait until Entra ID accepts the new one
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = value::<Span>())]
    pub wait: Span,
    /// Object ID of the app registration, if the app cannot read it
    #[arg(long, value_name = "ID", value_parser = guid())]
    pub object_id: Option<String>,
    /// ID of the present secret or certificate in the app registration, if the app cannot read it
    #[arg(long, value_name = "ID", value_parser = guid())]
    pub key_id: Option<String>,
    /// Show what would happen, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
}

#[derive(Args, Clone, Debug, Default)]
pub struct IncomingTransportArgs {
    /// IMAP host, if not the default of the cloud: imaps://HOST[:PORT] or imap://HOST[:PORT]
    #[arg(long, hide_short_help = true, value_name = "URL", value_parser = value::<Endpoint>())]
    pub imap: Option<Endpoint>,
    /// Graph service root, if not the default of the cloud
    #[arg(long, hide_short_help = true, value_name = "URL", value_parser = value::<HttpsUrl>())]
    pub graph: Option<HttpsUrl>,
    /// OAuth scope, if not the default of the cloud
    #[arg(long, hide_short_help = true, value_name = "SCOPE")]
    pub scope: Option<String>,
    /// PEM file of authorities to trust in addition to the system's
    #[arg(long, hide_short_help = true, value_name = "PEM")]
    pub ca_file: Option<PathBuf>,
    #[command(flatten)]
    pub endpoints: EndpointArgs,
}

/// The endpoints of a provider other than Entra ID.
#[derive(Args, Clone, Debug, Default)]
pub struct EndpointArgs {
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

#[derive(Args, Clone, Debug, Default)]
pub struct OutgoingTransportArgs {
    /// Submission host, if not the default of the cloud: smtp://HOST[:PORT] or smtps://HOST[:PORT]
    #[arg(long, hide_short_help = true, value_name = "URL", value_parser = value::<Endpoint>())]
    pub smtp: Option<Endpoint>,
    /// Graph service root, if not the default of the cloud
    #[arg(long, hide_short_help = true, value_name = "URL", value_parser = value::<HttpsUrl>())]
    pub graph: Option<HttpsUrl>,
    /// OAuth scope, if not the default of the cloud
    #[arg(long, hide_short_help = true, value_name = "SCOPE")]
    pub scope: Option<String>,
    /// PEM file of authorities to trust in addition to the system's
    #[arg(long, hide_short_help = true, value_name = "PEM")]
    pub ca_file: Option<PathBuf>,
}

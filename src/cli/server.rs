//! `server`: app registrations to read through, and ways to send.

use crate::model::{Name, Span};
use crate::provision::{Incoming, NewServer, Outgoing, ServerChange, guid, value};
use clap::{Args, Subcommand};

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
    #[command(flatten)]
    pub said: NewServer<Incoming>,
    /// Show how the file would change, and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Args, Clone, Debug, Default)]
#[command(after_long_help = "\
Examples:
  queuemail server add outgoing 'Contoso out' \\
      --tenant contoso.onmicrosoft.com --auth oauth-service \\
      --app Contoso --user support@contoso.com",
    mut_arg("app", |app| app.conflicts_with("client_id")))]
pub struct OutgoingArgs {
    #[command(flatten)]
    pub said: NewServer<Outgoing>,
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
    /// Show how the file would change, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub said: ServerChange,
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

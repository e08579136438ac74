//! The command line: clap definitions and help texts, nothing else.
//!
//! Man pages are generated from here, and completions answer from here: the name of a value says
//! what may stand there (`QUEUE`, `ADDRESS`, `SERVER`, `INCOMING`, `OUTGOING`). First lines are
//! imperative and end without a period; in the long help the examples come first.

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  queuemail server add incoming Contoso      from the app registration to a server
  queuemail queue add support                from a mailbox to a queue
  queuemail check                            every step to the mailbox, each with its remedy
  queuemail fetch                            from cron: every queue, silent when all is well
  queuemail send -t < reply.eml              as sendmail does
  queuemail explain 535 5.7.139              what a refusal means, and who must act";

/// What a long help shows, in this order: the examples stand before the options.
const LONG_HELP: &str = "\
{about-with-newline}
{usage-heading} {usage}{after-help}

{all-args}";

/// The definition of the whole command line.
pub fn definition() -> clap::Command {
    fn furnish(command: clap::Command) -> clap::Command {
        command
            .help_template(LONG_HELP)
            .disable_help_subcommand(true)
            .mut_subcommands(furnish)
    }
    // `queuemail help fetch` is a habit of many; one such command is enough.
    furnish(Cli::command()).disable_help_subcommand(false)
}

/// Reads the arguments of a process, its name first.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let mut definition = definition();
    let matches = definition.try_get_matches_from_mut(args)?;
    Cli::from_arg_matches(&matches).map_err(|e| e.format(&mut definition))
}

/// Fetch and send the mail of Microsoft 365 queues with OAuth
#[derive(Debug, Parser)]
#[command(
    name = "queuemail",
    version,
    subcommand_required = true,
    arg_required_else_help = true,
    after_long_help = EXAMPLES
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Use this configuration file
    ///
    /// Without it: $QUEUEMAIL_CONFIG, then $XDG_CONFIG_HOME/queuemail/config.yaml
    /// (~/.config/queuemail/config.yaml), then /etc/queuemail/config.yaml.
    #[arg(short, long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Keep the state in this folder
    ///
    /// The state: what was delivered, tokens, waits, quarantine and outbox. Without the option:
    /// $QUEUEMAIL_STATE_DIR, then $XDG_STATE_HOME/queuemail (~/.local/state/queuemail).
    #[arg(long, global = true, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Say what is done; -vv shows the protocol, secrets masked
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Say nothing but errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Print results and errors as JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// Never ask; name the missing option instead
    #[arg(long, global = true)]
    pub no_input: bool,
    /// Colour the output: auto, always or never
    ///
    /// With auto, colours are for a terminal, unless NO_COLOR is set or TERM is `dumb`.
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_possible_values = true
    )]
    pub color: ColorWhen,
    /// Give up on a reply after so many seconds
    ///
    /// Holds for every read and write on a connection; a connection itself must stand within 30
    /// seconds, or within this time if it is shorter. From 1 to 86400.
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u32).range(1..=86400))]
    pub timeout: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ColorWhen {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Manage the servers: app registrations to read through, and ways to send
    #[command(subcommand)]
    Server(ServerCommand),
    /// Manage the queues and their addresses
    #[command(subcommand)]
    Queue(QueueCommand),
    /// Get OAuth tokens for this and other programs
    #[command(subcommand)]
    Token(TokenCommand),
    /// Fetch the new mail of every queue, the urgent ones first
    Fetch(FetchArgs),
    /// Send a message, as sendmail does
    Send(Box<SendArgs>),
    /// Walk every step to a working mailbox, and say what is wrong, who must act and how
    Check(CheckArgs),
    /// Print the PowerShell that an Exchange and Entra administrator must run, ids filled in
    SetupScript(SetupScriptArgs),
    /// Show how every mailbox fares, or check it for a monitor
    Status(StatusArgs),
    /// Look at the messages that could not be delivered, and decide about them
    #[command(subcommand)]
    Quarantine(QuarantineCommand),
    /// Send what is kept to be sent, look at it, and decide about it
    #[command(subcommand)]
    Outbox(OutboxCommand),
    /// Explain an error code or a server's text: what it means, who must act, what to do
    Explain(ExplainArgs),
    /// Look at the configuration file
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
}

// ---- server ----------------------------------------------------------------------------------

#[derive(Debug, Subcommand)]
pub enum ServerCommand {
    /// Add a server; without options, on a terminal, by questions
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
    /// Remove a server that nothing refers to
    Remove {
        /// The server's name
        #[arg(value_name = "SERVER")]
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum ServerAdd {
    /// Add an app registration through which mailboxes are read
    Incoming(Box<IncomingArgs>),
    /// Add a way for mail to leave
    Outgoing(Box<OutgoingArgs>),
}

#[derive(Args, Clone, Debug, Default)]
#[command(after_long_help = "\
Examples:
  queuemail server add incoming Contoso --auth oauth-service \\
      --address https://login.microsoftonline.com/contoso.onmicrosoft.com \\
      --client-id 1b7e1c4e-8a53-4bd5-9a1e-54d1b0a4c6f1 --secret-file /etc/queuemail/contoso.secret
  pass show contoso | queuemail server add incoming Contoso … --secret-stdin")]
pub struct IncomingArgs {
    /// A name of your choice, by which queues refer to the server
    pub name: Option<String>,
    /// Login address: https://<login host>/<tenant>, the tenant a GUID or a domain name
    #[arg(long, value_name = "URL")]
    pub address: Option<String>,
    /// Sign in as the program itself (oauth-service) or as a person's account (oauth-user)
    #[arg(long, value_name = "TYPE")]
    pub auth: Option<AuthArg>,
    /// Application (client) ID of the app registration
    #[arg(long, value_name = "ID")]
    pub client_id: Option<String>,
    #[command(flatten)]
    pub secret: SecretArgs,
    #[command(flatten)]
    pub credential: CredentialArgs,
    /// Read through imap or graph, or find out (auto)
    #[arg(long, value_name = "WAY")]
    pub via: Option<IncomingViaArg>,
    #[command(flatten)]
    pub transport: IncomingTransportArgs,
    /// Replace a server of this name that is defined differently
    #[arg(long)]
    pub replace: bool,
    /// Show how the file would change, and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Args, Clone, Debug, Default)]
#[command(after_long_help = "\
Examples:
  queuemail server add outgoing 'Contoso out' --tenant contoso.onmicrosoft.com \\
      --auth oauth-service --app Contoso --user support@contoso.com")]
pub struct OutgoingArgs {
    /// A name of your choice, by which queues refer to the server
    pub name: Option<String>,
    /// Tenant: a GUID or a domain name
    #[arg(long, value_name = "ID|DOMAIN")]
    pub tenant: Option<String>,
    /// Sign in as the program itself (oauth-service) or as a person's account (oauth-user)
    #[arg(long, value_name = "TYPE")]
    pub auth: Option<AuthArg>,
    /// The mailbox user that sends: its object ID (GUID) or address
    #[arg(long, value_name = "GUID|ADDRESS")]
    pub user: Option<String>,
    /// Sign in with the app registration of this incoming server
    #[arg(long, value_name = "INCOMING")]
    pub app: Option<String>,
    /// Application (client) ID of its own, instead of --app
    #[arg(long, value_name = "ID", conflicts_with = "app")]
    pub client_id: Option<String>,
    #[command(flatten)]
    pub secret: SecretArgs,
    #[command(flatten)]
    pub credential: CredentialArgs,
    #[command(flatten)]
    pub password: PasswordArgs,
    /// Keep the server in the file but send nothing through it
    #[arg(long)]
    pub disabled: bool,
    /// Send through smtp or graph, or find out (auto)
    #[arg(long, value_name = "WAY")]
    pub via: Option<OutgoingViaArg>,
    #[command(flatten)]
    pub transport: OutgoingTransportArgs,
    /// Replace a server of this name that is defined differently
    #[arg(long)]
    pub replace: bool,
    /// Show how the file would change, and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Args, Debug)]
pub struct ServerSet {
    /// The server's name
    #[arg(value_name = "SERVER")]
    pub name: String,
    /// Give the server another name, also where queues refer to it
    #[arg(long, value_name = "NAME")]
    pub rename: Option<String>,
    /// Login address (incoming)
    #[arg(long, value_name = "URL")]
    pub address: Option<String>,
    /// Tenant (outgoing)
    #[arg(long, value_name = "ID|DOMAIN")]
    pub tenant: Option<String>,
    /// Sign in as oauth-service or oauth-user
    #[arg(long, value_name = "TYPE")]
    pub auth: Option<AuthArg>,
    /// Application (client) ID
    #[arg(long, value_name = "ID")]
    pub client_id: Option<String>,
    /// The incoming server whose app registration signs in (outgoing)
    #[arg(long, value_name = "INCOMING")]
    pub app: Option<String>,
    /// The mailbox user that sends (outgoing)
    #[arg(long, value_name = "GUID|ADDRESS")]
    pub user: Option<String>,
    #[command(flatten)]
    pub secret: SecretArgs,
    #[command(flatten)]
    pub credential: CredentialArgs,
    #[command(flatten)]
    pub password: PasswordArgs,
    /// Send nothing through it (outgoing)
    #[arg(long, conflicts_with = "enabled")]
    pub disabled: bool,
    /// Send through it again (outgoing)
    #[arg(long)]
    pub enabled: bool,
    /// The way: imap, smtp, graph or auto
    #[arg(long, value_name = "WAY")]
    pub via: Option<String>,
    /// IMAP host (incoming)
    #[arg(long, value_name = "URL")]
    pub imap: Option<String>,
    /// Submission host (outgoing)
    #[arg(long, value_name = "URL")]
    pub smtp: Option<String>,
    /// Graph service root
    #[arg(long, value_name = "URL")]
    pub graph: Option<String>,
    /// OAuth scope
    #[arg(long, value_name = "SCOPE")]
    pub scope: Option<String>,
    /// PEM file of authorities to trust beside the system's
    #[arg(long, value_name = "PEM", value_parser = path_or_empty())]
    pub ca_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AuthArg {
    OauthService,
    OauthUser,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum IncomingViaArg {
    Imap,
    Graph,
    Auto,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutgoingViaArg {
    Smtp,
    Graph,
    Auto,
}

/// A path, or the empty string, by which `set` takes a key away.
fn path_or_empty() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

/// Where the client secret comes from; never the secret itself.
#[derive(Args, Clone, Debug, Default)]
#[group(multiple = false)]
pub struct SecretArgs {
    /// Read the client secret from standard input and keep it in the configuration
    #[arg(long)]
    pub secret_stdin: bool,
    /// Read the client secret from this file at each use
    #[arg(long, value_name = "FILE", value_parser = path_or_empty())]
    pub secret_file: Option<PathBuf>,
    /// Read the client secret from this environment variable at each use
    #[arg(long, value_name = "VARIABLE", hide_short_help = true)]
    pub secret_env: Option<String>,
    /// Run this command (words split as a shell does, no shell run) at each use
    #[arg(long, value_name = "COMMAND")]
    pub secret_command: Option<String>,
    /// Read the client secret from this entry of the system's keyring at each use
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    pub secret_keyring: Option<String>,
    /// Read the client secret from this systemd credential at each use
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    pub secret_credential: Option<String>,
}

/// Where a mailbox user's password comes from; never the password itself.
#[derive(Args, Clone, Debug, Default)]
#[group(multiple = false)]
pub struct PasswordArgs {
    /// Ask for the password and keep it in the configuration
    #[arg(long)]
    pub set_password: bool,
    /// Read the password from standard input and keep it in the configuration
    #[arg(long)]
    pub password_stdin: bool,
    /// Read the password from this file at each use
    #[arg(long, value_name = "FILE", value_parser = path_or_empty())]
    pub password_file: Option<PathBuf>,
    /// Read the password from this environment variable at each use
    #[arg(long, value_name = "VARIABLE", hide_short_help = true)]
    pub password_env: Option<String>,
    /// Run this command (words split as a shell does, no shell run) at each use
    #[arg(long, value_name = "COMMAND")]
    pub password_command: Option<String>,
    /// Read the password from this entry of the system's keyring at each use
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    pub password_keyring: Option<String>,
    /// Read the password from this systemd credential at each use
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    pub password_credential: Option<String>,
}

/// What an OAuth Service server uses in place of a client secret.
#[derive(Args, Clone, Debug, Default)]
pub struct CredentialArgs {
    /// The day on which the client secret expires (YYYY-MM-DD), to be warned 30 days before
    #[arg(long, value_name = "DATE")]
    pub secret_expires: Option<String>,
    /// Certificate registered with the app (PEM), instead of a secret
    #[arg(long, value_name = "PEM", requires = "private_key", value_parser = path_or_empty())]
    pub certificate: Option<PathBuf>,
    /// Private key of the certificate (PEM, PKCS #8)
    #[arg(long, value_name = "PEM", requires = "certificate", value_parser = path_or_empty())]
    pub private_key: Option<PathBuf>,
    /// File with a token of another identity provider (workload identity federation)
    #[arg(long, value_name = "FILE", value_parser = path_or_empty(), hide_short_help = true)]
    pub federated_token_file: Option<PathBuf>,
    /// Use the managed identity of the Azure host that we run on
    #[arg(long, hide_short_help = true)]
    pub managed_identity: bool,
}

#[derive(Args, Clone, Debug, Default)]
pub struct IncomingTransportArgs {
    /// IMAP host, where the cloud's own does not serve: imaps://HOST[:PORT] or imap://HOST[:PORT]
    #[arg(long, hide_short_help = true, value_name = "URL")]
    pub imap: Option<String>,
    /// Graph service root, where the cloud's own does not serve
    #[arg(long, hide_short_help = true, value_name = "URL")]
    pub graph: Option<String>,
    /// OAuth scope, where the cloud's own does not serve
    #[arg(long, hide_short_help = true, value_name = "SCOPE")]
    pub scope: Option<String>,
    /// PEM file of authorities to trust beside the system's
    #[arg(long, hide_short_help = true, value_name = "PEM")]
    pub ca_file: Option<PathBuf>,
}

#[derive(Args, Clone, Debug, Default)]
pub struct OutgoingTransportArgs {
    /// Submission host, where the cloud's own does not serve: smtp://HOST[:PORT] or smtps://HOST[:PORT]
    #[arg(long, hide_short_help = true, value_name = "URL")]
    pub smtp: Option<String>,
    /// Graph service root, where the cloud's own does not serve
    #[arg(long, hide_short_help = true, value_name = "URL")]
    pub graph: Option<String>,
    /// OAuth scope, where the cloud's own does not serve
    #[arg(long, hide_short_help = true, value_name = "SCOPE")]
    pub scope: Option<String>,
    /// PEM file of authorities to trust beside the system's
    #[arg(long, hide_short_help = true, value_name = "PEM")]
    pub ca_file: Option<PathBuf>,
}

// ---- queue -----------------------------------------------------------------------------------

#[derive(Debug, Subcommand)]
pub enum QueueCommand {
    /// Add a queue, or an address to a queue that exists
    Add(Box<QueueAdd>),
    /// List the queues and their addresses, the urgent ones first
    List,
    /// Show one queue
    Show {
        /// The queue's name
        #[arg(value_name = "QUEUE")]
        name: String,
    },
    /// Change values of a queue or of one of its addresses
    Set(Box<QueueSet>),
    /// Remove a queue, or one of its addresses
    Remove {
        /// The queue's name
        #[arg(value_name = "QUEUE")]
        name: String,
        /// Remove this address only
        #[arg(long, value_name = "ADDRESS")]
        address: Option<String>,
    },
}

#[derive(Args, Clone, Debug, Default)]
#[command(after_long_help = "\
Examples:
  queuemail queue add support --address support@contoso.com --server Contoso \\
      --priority 5 --deliver maildir:/var/mail/support
  queuemail queue add support --address hilfe@contoso.com --server Contoso --extension-language de")]
pub struct QueueAdd {
    /// The queue's name
    #[arg(value_name = "QUEUE")]
    pub name: Option<String>,
    /// Full e-mail address of the mailbox
    #[arg(long, value_name = "ADDR")]
    pub address: Option<String>,
    /// The incoming server that it is read through
    #[arg(long, value_name = "INCOMING")]
    pub server: Option<String>,
    #[command(flatten)]
    pub values: AddressValues,
    /// Priority of the queue, for addresses without their own
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub queue_priority: Option<String>,
    /// Language of the queue, for addresses without their own
    #[arg(long, value_name = "TAG")]
    pub queue_language: Option<String>,
    /// Replace an address that is defined differently
    #[arg(long)]
    pub replace: bool,
    /// Show how the file would change, and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Args, Debug)]
pub struct QueueSet {
    /// The queue's name
    #[arg(value_name = "QUEUE")]
    pub name: String,
    /// The address to change; may be left out when the queue has one
    #[arg(long, value_name = "ADDRESS")]
    pub address: Option<String>,
    /// The incoming server that it is read through
    #[arg(long, value_name = "INCOMING")]
    pub server: Option<String>,
    #[command(flatten)]
    pub values: AddressValues,
    /// The address may no longer be used as a sender
    #[arg(long, conflicts_with = "sender")]
    pub no_sender: bool,
    /// Priority of the queue, for addresses without their own
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub queue_priority: Option<String>,
    /// Language of the queue, for addresses without their own
    #[arg(long, value_name = "TAG")]
    pub queue_language: Option<String>,
}

/// What an address may hold beside its mailbox and server.
#[derive(Args, Clone, Debug, Default)]
pub struct AddressValues {
    /// Priority of the address: a number, the lowest is served first
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub priority: Option<String>,
    /// Language of the address (BCP 47), if it differs from the queue's
    #[arg(long, value_name = "TAG")]
    pub extension_language: Option<String>,
    /// Account that signs in to read the mailbox [default: the address]
    #[arg(long, value_name = "ACCOUNT")]
    pub account: Option<String>,
    #[command(flatten)]
    pub password: PasswordArgs,
    /// Allow the address as a sender
    #[arg(long)]
    pub sender: bool,
    /// The outgoing server that its mail leaves through
    #[arg(long, value_name = "OUTGOING")]
    pub outgoing: Option<String>,
    /// Folder to fetch; may be repeated [default: INBOX]
    #[arg(long = "folder", value_name = "FOLDER")]
    pub folders: Vec<String>,
    /// Where fetched mail goes: maildir:PATH, mbox:PATH, command:CMD, lmtp:HOST:PORT, eml:FOLDER, stdout
    #[arg(long, value_name = "TARGET")]
    pub deliver: Option<String>,
    /// What happens on the server afterwards: keep, seen, delete or move:FOLDER
    #[arg(long = "after", value_name = "ACTION")]
    pub after: Option<String>,
}

// ---- token -----------------------------------------------------------------------------------

#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Print an access token, from the cache while it is fresh
    Get(TokenGet),
    /// Sign a person in by hand, once; the runs after it need nobody
    Login(TokenLogin),
    /// List the tokens that are kept, without showing them
    List,
    /// Forget kept tokens
    Forget(TokenForget),
}

#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  queuemail token login support@contoso.com             in the browser if there is one
  queuemail token login support@contoso.com --device    with a code, on any other device

A host without a browser can also lend one over ssh: the page comes back to a port of localhost.")]
pub struct TokenLogin {
    /// A queue or an address whose server is of type oauth-user
    #[arg(value_name = "QUEUE|ADDRESS")]
    pub name: String,
    /// Show a code to enter at a page on any device
    #[arg(long, conflicts_with = "browser")]
    pub device: bool,
    /// Open a page in this host's browser, which comes back to a port of localhost
    #[arg(long)]
    pub browser: bool,
}

#[derive(Args, Debug)]
pub struct TokenForget {
    /// A queue, an address or a server
    #[arg(required_unless_present = "all", value_name = "QUEUE|ADDRESS|SERVER")]
    pub name: Option<String>,
    /// Forget every token
    #[arg(long, conflicts_with = "name")]
    pub all: bool,
}

#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  queuemail token get support --for imap                 the token alone, for password commands
  queuemail token get support --for smtp --format xoauth2
  curl -H \"$(queuemail token get Contoso --for graph --format header)\" https://graph.microsoft.com/v1.0/…")]
pub struct TokenGet {
    /// A queue, an address or a server
    #[arg(value_name = "QUEUE|ADDRESS|SERVER")]
    pub name: String,
    /// The protocol that the token is for [default: imap; of an outgoing server: smtp]
    #[arg(long = "for", value_name = "PROTOCOL")]
    pub protocol: Option<ProtocolArg>,
    /// What to print
    #[arg(long, value_name = "FORMAT", default_value = "token")]
    pub format: TokenFormat,
    /// Ask for a new token even if the cached one is fresh
    #[arg(long)]
    pub fresh: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProtocolArg {
    Imap,
    Smtp,
    Pop,
    Graph,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TokenFormat {
    /// The token and a newline
    Token,
    /// A JSON object with the token and its expiry
    Json,
    /// The base64 string of SASL XOAUTH2
    Xoauth2,
    /// An HTTP header field, `Authorization: Bearer …`
    Header,
    /// What the token says of itself, in plain words
    Claims,
}

// ---- fetch and send --------------------------------------------------------------------------

#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  queuemail fetch                       from cron: every queue, silent when all is well
  queuemail fetch support -v            one queue, telling what is done
  queuemail fetch --dry-run             what would be fetched, touching nothing")]
pub struct FetchArgs {
    /// Queues or addresses to fetch [default: all]
    #[arg(value_name = "QUEUE|ADDRESS")]
    pub names: Vec<String>,
    /// Deliver here instead of where the configuration says
    #[arg(long, value_name = "TARGET")]
    pub deliver: Option<String>,
    /// Do this on the server instead of what the configuration says
    #[arg(long, value_name = "ACTION")]
    pub after: Option<String>,
    /// Fetch so many addresses at a time
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=256))]
    pub jobs: usize,
    /// Fetch at most this many messages of each address
    #[arg(long, value_name = "N")]
    pub limit: Option<u32>,
    /// Fetch only what was received on or after this day (YYYY-MM-DD)
    #[arg(long, value_name = "DATE")]
    pub since: Option<String>,
    /// Say what would be fetched and change nothing, here or on the server
    #[arg(long)]
    pub dry_run: bool,
    /// Fetch nothing; account for every message that the server holds, and put back what was
    /// passed over
    #[arg(long, conflicts_with_all = ["dry_run", "deliver", "after", "limit", "since"])]
    pub audit: bool,
    /// Stop between two messages after this many seconds
    #[arg(long, value_name = "SECONDS")]
    pub budget: Option<u32>,
}

#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  queuemail send -t < reply.eml                            recipients from To, Cc and Bcc
  queuemail send -f support@contoso.com customer@example.com < reply.eml
  queuemail send -t --file reply-1.eml --file reply-2.eml  several on one connection
  queuemail send -t --maildir replies --outbox             what cannot leave now is kept
  queuemail send --to anna@example.com --subject 'Your order' --text reply.txt --attach bill.pdf

Called by the name sendmail, the program sends without the word `send`, and with --outbox.
Many messages leave on up to three connections, and their order is then not certain; --jobs 1
keeps it. With --outbox an exit code of 0 says that each message has left or is kept.")]
pub struct SendArgs {
    /// Recipients, also beside those that -t finds
    #[arg(value_name = "RECIPIENT")]
    pub recipients: Vec<String>,
    /// Keep what cannot be sent now, for `queuemail outbox flush` to send
    #[arg(long)]
    pub outbox: bool,
    /// Take the recipients from the message's To, Cc and Bcc
    #[arg(short = 't')]
    pub from_header: bool,
    /// Do not end a message on standard input at a line with a single dot
    #[arg(short = 'i')]
    pub ignore_dots: bool,
    /// Envelope sender [default: the From field]
    #[arg(short = 'f', short_alias = 'r', value_name = "FROM")]
    pub from: Option<String>,
    /// The sender's full name, for a message that has no From field
    #[arg(short = 'F', value_name = "NAME", hide_short_help = true)]
    pub full_name: Option<String>,
    /// Tell of the delivery: never, or some of success,failure,delay (where the server can)
    #[arg(short = 'N', value_name = "WHEN", hide_short_help = true)]
    pub notify: Option<String>,
    /// What comes back with a failure: full or hdrs (where the server can)
    #[arg(short = 'R', value_name = "WHAT", hide_short_help = true)]
    pub returned: Option<String>,
    /// An envelope id that comes back with such a message (where the server can)
    #[arg(short = 'V', value_name = "ID", hide_short_help = true)]
    pub envelope_id: Option<String>,
    /// Read the message from this file, `-` is standard input; may be repeated
    #[arg(long = "file", value_name = "MESSAGE")]
    pub files: Vec<PathBuf>,
    /// Send every message of this Maildir, and leave it as it is; may be repeated
    #[arg(long = "maildir", value_name = "FOLDER")]
    pub maildirs: Vec<PathBuf>,
    /// Send every message of this mbox file, and leave it as it is; may be repeated
    #[arg(long = "mbox", value_name = "FILE")]
    pub mboxes: Vec<PathBuf>,
    /// Use up to so many connections for many messages [default: 3]
    #[arg(long, value_name = "N", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=64))]
    pub jobs: Option<usize>,
    /// Say what would be sent and by whom, and send nothing
    #[arg(long)]
    pub dry_run: bool,
    /// With --dry-run: print the message's exact octets, and the rest on standard error
    #[arg(long, requires = "dry_run", hide_short_help = true)]
    pub raw: bool,
    #[command(flatten)]
    pub parts: ComposeArgs,
    /// Mark the message as sent by a program: replied or generated
    ///
    /// Other programs then do not answer it (RFC 3834; Exchange heeds X-Auto-Response-Suppress).
    /// Without a value it is an answer if it has In-Reply-To.
    #[arg(long, value_name = "KIND", num_args = 0..=1, require_equals = true, hide_possible_values = true, hide_short_help = true)]
    pub auto: Option<Option<AutoArg>>,
    /// sendmail's modes: -bm, the only one, sends a message
    #[arg(short = 'b', value_name = "MODE", hide = true)]
    pub mode: Option<String>,
    /// sendmail's options: -oi is -i; the others say nothing here
    #[arg(short = 'o', value_name = "OPTION", hide = true)]
    pub options: Vec<String>,
    /// sendmail's long options
    #[arg(short = 'O', value_name = "OPTION=VALUE", hide = true)]
    pub long_options: Vec<String>,
    /// sendmail's body type; we look at the message itself
    #[arg(short = 'B', value_name = "TYPE", hide = true)]
    pub body_type: Option<String>,
    /// sendmail's tag for a log that we don't keep
    #[arg(short = 'L', value_name = "TAG", hide = true)]
    pub log_tag: Option<String>,
    /// sendmail's choice between its two configurations
    #[arg(short = 'A', value_name = "c|m", hide = true)]
    pub configuration: Option<String>,
    /// sendmail's flags that say nothing here: initial submission, relaying, me too, verbatim
    #[arg(short = 'U', hide = true)]
    pub initial: bool,
    #[arg(short = 'G', hide = true)]
    pub relayed: bool,
    #[arg(short = 'm', hide = true)]
    pub me_too: bool,
    #[arg(short = 'n', hide = true)]
    pub no_aliases: bool,
}

/// The parts of a message that is written from the command line.
#[derive(Args, Debug)]
#[command(next_help_heading = "Write a message")]
#[group(multiple = true, conflicts_with_all = ["files", "maildirs", "mboxes", "from_header", "recipients"])]
pub struct ComposeArgs {
    /// Write a message to these people, a comma between two; may be repeated
    #[arg(long, value_name = "ADDRESSES")]
    pub to: Vec<String>,
    /// A copy to these people
    #[arg(long, value_name = "ADDRESSES")]
    pub cc: Vec<String>,
    /// A copy that the others do not see
    #[arg(long, value_name = "ADDRESSES")]
    pub bcc: Vec<String>,
    /// The subject
    #[arg(long, value_name = "TEXT")]
    pub subject: Option<String>,
    /// The text, in UTF-8, from this file, `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub text: Option<PathBuf>,
    /// The text as HTML; with --text the reader's program chooses
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Attach this file; may be repeated
    #[arg(long = "attach", value_name = "FILE")]
    pub attachments: Vec<PathBuf>,
    /// Where answers go
    #[arg(long, value_name = "ADDRESSES")]
    pub reply_to: Vec<String>,
    /// The Message-ID of the message that this one answers
    #[arg(long, value_name = "ID")]
    pub in_reply_to: Option<String>,
    /// A header field of your own; may be repeated
    #[arg(long = "header", value_name = "NAME: VALUE")]
    pub headers: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AutoArg {
    Replied,
    Generated,
}

impl SendArgs {
    /// How the message is to be marked, if at all; `answers` tells that it has In-Reply-To.
    pub fn auto(&self, answers: bool) -> Option<AutoArg> {
        let usual = if answers {
            AutoArg::Replied
        } else {
            AutoArg::Generated
        };
        self.auto.map(|kind| kind.unwrap_or(usual))
    }
}

/// Lets the program stand in for sendmail: called by that name, it sends, and keeps what cannot
/// leave now. `mailq` is sendmail's other name, for `-bp`.
pub fn as_sendmail(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut args: Vec<OsString> = args.into_iter().collect();
    let name = args.first().and_then(|a| Path::new(a).file_stem());
    let words: &[&str] = match name.and_then(OsStr::to_str) {
        Some("sendmail") => &["send", "--outbox"],
        Some("mailq") => &["outbox", "list"],
        _ => return args,
    };
    args.splice(1..1, words.iter().map(OsString::from));
    args
}

// ---- check -----------------------------------------------------------------------------------

#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  queuemail check                              every mailbox, several at a time
  queuemail check support@contoso.com          one of them; -v adds what else may help
  queuemail check Contoso                      all that is read or sent through a server
  queuemail check --boundary ceo@contoso.com   proves that no app of ours can read that mailbox

Nothing is changed and nothing is sent. The exit code is that of the worst step; 75 where something
works that will expire within 30 days. With --boundary, being refused is good, and a mailbox that
opens ends with 77; an address that does not exist is refused as well.")]
pub struct CheckArgs {
    /// Queues, addresses or servers [default: all addresses, and servers without one]
    #[arg(value_name = "QUEUE|ADDRESS|SERVER")]
    pub names: Vec<String>,
    /// Prove that these mailboxes are closed to the apps of the servers named, else of all
    #[arg(long, value_name = "ADDR", num_args = 1..)]
    pub boundary: Vec<String>,
}

// ---- setup-script ----------------------------------------------------------------------------

#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  queuemail setup-script > setup.ps1           then: pwsh setup.ps1
  queuemail setup-script Contoso > setup.ps1   for one server
  queuemail setup-script --undo > undo.ps1     takes it back

The script holds the app registrations, permissions and mailboxes of the configuration, and no
others; it may be run again at any time. It holds no secret.")]
pub struct SetupScriptArgs {
    /// Servers, incoming or outgoing [default: all]
    #[arg(value_name = "SERVER")]
    pub names: Vec<String>,
    /// Take back what the script sets up
    #[arg(long)]
    pub undo: bool,
}

// ---- explain ---------------------------------------------------------------------------------

#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  queuemail explain AADSTS7000222
  queuemail explain 535 5.7.139
  queuemail explain 'User is authenticated but not connected'

Works offline. What is not known ends with exit code 64.")]
pub struct ExplainArgs {
    /// An AADSTS code with or without its letters, a reply, or a part of a server's text
    /// [default: all that is known]
    #[arg(value_name = "CODE|TEXT", allow_hyphen_values = true)]
    pub words: Vec<String>,
}

// ---- status and quarantine -------------------------------------------------------------------

#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  queuemail status                      a table for people
  queuemail status --check              silent and 0 when all is well, for a monitor
  queuemail status --metrics /var/lib/prometheus/node-exporter/queuemail.prom

With --check the exit code is 69 when a mailbox was not fetched for longer than --max-age, and 75
when something waits for a person but mail flows (quarantine, a wait that the server asked for).")]
pub struct StatusArgs {
    /// Print problems only, and tell by the exit code
    #[arg(long)]
    pub check: bool,
    /// A mailbox must have been fetched within so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    pub max_age: u32,
    /// Write metrics for Prometheus' textfile collector to this file
    #[arg(long, value_name = "FILE")]
    pub metrics: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum QuarantineCommand {
    /// List the messages in quarantine
    List,
    /// Show one message and why it is there
    Show {
        /// Its number in the list
        id: i64,
    },
    /// Let the next run try again
    Retry {
        /// Their numbers in the list
        #[arg(required_unless_present = "all")]
        ids: Vec<i64>,
        /// All of them
        #[arg(long, conflicts_with = "ids")]
        all: bool,
    },
    /// Give messages up; they stay on the server and are not fetched again
    Drop {
        /// Their numbers in the list
        #[arg(required = true)]
        ids: Vec<i64>,
    },
}

#[derive(Debug, Subcommand)]
#[command(after_long_help = "\
Examples:
  * * * * *  queuemail outbox flush      in a crontab: silent when all is well
  queuemail outbox retry 12              after an unknown outcome: looks in Sent Items first")]
pub enum OutboxCommand {
    /// List what is kept
    List,
    /// Show one message and how it stands
    Show {
        /// Its number in the list
        id: i64,
        /// Print the message's exact octets
        #[arg(long)]
        raw: bool,
    },
    /// Send what is due
    Flush,
    /// Send now, whatever the time of the next attempt; one with an unknown outcome only if Sent
    /// Items does not hold it
    Retry {
        /// Their numbers in the list
        #[arg(required_unless_present = "all")]
        ids: Vec<i64>,
        /// All of them
        #[arg(long, conflicts_with = "ids")]
        all: bool,
        /// Send one with an unknown outcome without looking in Sent Items; it may arrive twice
        #[arg(long)]
        blindly: bool,
    },
    /// Give messages up; they are not sent and nobody is told
    Drop {
        /// Their numbers in the list
        #[arg(required = true)]
        ids: Vec<i64>,
    },
}

// ---- config ----------------------------------------------------------------------------------

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print the path of the configuration file in use
    Path,
    /// Print the configuration with every secret hidden
    Show,
    /// Print the JSON Schema of the configuration file, for editors
    Schema,
    /// Check a configuration file and point at mistakes
    Validate {
        /// The file to check; `-` reads standard input [default: the one in use]
        file: Option<PathBuf>,
    },
}

// ---- completions -----------------------------------------------------------------------------

#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  source <(queuemail completions bash)                                    this shell
  queuemail completions zsh > ~/.zfunc/_queuemail                         a folder of $fpath
  queuemail completions fish > ~/.config/fish/completions/queuemail.fish

The script asks queuemail at each Tab, so it knows the queues, addresses and servers of the
configuration.")]
pub struct CompletionsArgs {
    /// The shell
    pub shell: Shell,
    /// What is typed so far: print what may come next instead of the script
    ///
    /// For zsh and fish the words, the last one unfinished; for bash the line up to the cursor and
    /// the word that bash would replace.
    #[arg(last = true, value_name = "TYPED", hide_short_help = true)]
    pub typed: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
}

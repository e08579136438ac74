//! The command line: clap definitions and help texts, nothing else. What is said of a server or a
//! mailbox has its options in `provision`.
//!
//! Man pages are generated from here, and completions answer from here: the name of a value says
//! what may stand there (`QUEUE`, `ADDRESS`, `SERVER`, `INCOMING`, `OUTGOING`). First lines are
//! imperative and end without a period; in the long help the examples come first.
//!
//! clap reads the words and writes help and man pages. What is wrong with them is said by
//! [`crate::usage`], in the form of all errors; what may be completed by
//! `commands/completions`, for clap does not know the names in the configuration.

pub mod bash;
pub mod complete;
mod deferred;
mod fetch;
mod files;
mod look;
mod outbox;
mod queue;
mod send;
mod server;
mod state;
mod state_import;
mod token;

pub use crate::provision::Refused;
pub use fetch::*;
pub use files::*;
pub use look::*;
pub use outbox::*;
pub use queue::*;
pub use send::*;
pub use server::*;
pub use state::*;
pub use state_import::*;
pub use token::*;

use crate::output::LogFormat;
use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use deferred::Deferred;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  queuemail server add incoming Contoso   adds an app registration
  queuemail queue add support             adds a mailbox
  queuemail check                         tests each step to the mailbox
  queuemail fetch                         from cron: prints only problems
  queuemail send -t < reply.eml           as sendmail does
  queuemail explain 535 5.7.139           what a refusal means, how to fix it";

/// What a help shows, in this order: the examples stand before the options.
const HELP: &str = "\
{about-with-newline}
{usage-heading} {usage}{after-help}

{all-args}";

/// The same of a command: the options that all of them take are told of in one place.
const HELP_OF_COMMAND: &str = "\
{about-with-newline}
{usage-heading} {usage}{after-help}

{all-args}

Global options, such as --config and --json: queuemail --help";

/// The definition of the command line; what each command takes is there once it is built.
pub fn definition() -> clap::Command {
    // `queuemail help fetch` is a habit of many; one such command is enough.
    furnish(Cli::command())
        .help_template(HELP)
        .disable_help_subcommand(false)
}

/// The same, all of it there.
pub fn built() -> clap::Command {
    let mut definition = definition();
    definition.build();
    definition
}

/// Gives a command and those below it the one form of help.
fn furnish(command: clap::Command) -> clap::Command {
    command
        .help_template(HELP_OF_COMMAND)
        .disable_help_subcommand(true)
        .mut_subcommands(furnish)
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

/// Reads the path of what cannot be standard input or output.
fn own_path() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| match path == Path::new("-") {
        true => Err("it cannot be standard input or output; what has this name is ./-"),
        false => Ok(path),
    })
}

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Use this configuration file
    ///
    /// Default: $QUEUEMAIL_CONFIG, then $XDG_CONFIG_HOME/queuemail/config.yaml
    /// (~/.config/queuemail/config.yaml), then /etc/queuemail/config.yaml.
    #[arg(short, long, global = true, value_name = "FILE", value_parser = own_path())]
    pub config: Option<PathBuf>,
    /// Keep the state in this folder
    ///
    /// The state: what was delivered, tokens, waits, quarantine and outbox. Default:
    /// $QUEUEMAIL_STATE_DIR, then $XDG_STATE_HOME/queuemail (~/.local/state/queuemail).
    #[arg(long, global = true, value_name = "DIR", value_parser = own_path())]
    pub state_dir: Option<PathBuf>,
    /// Show what is done; -vv shows the protocol, with secrets masked
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Print only errors
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
    /// auto uses colours on a terminal, unless NO_COLOR is set or TERM is `dumb`.
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_possible_values = true
    )]
    pub color: ColorWhen,
    /// Write the log as text, json or journald
    ///
    /// The log: steps (-v), the protocol (-vv), warnings and errors. text: lines on standard
    /// error, with -v each with its time. json: JSON Lines on standard error. journald: records
    /// with fields in the systemd journal; nothing goes to standard error.
    #[arg(
        long,
        global = true,
        value_name = "FORMAT",
        default_value = "text",
        hide_possible_values = true,
        hide_short_help = true
    )]
    pub log_format: LogFormat,
    /// Wait at most this many seconds for a reply
    ///
    /// Applies to every read and write on a connection. Connecting may take 30 seconds, or this
    /// time if it is shorter. From 1 to 86400.
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
    /// Manage the servers: app registrations for reading, and servers for sending
    #[command(subcommand)]
    Server(Deferred<ServerCommand>),
    /// Manage the queues and their addresses
    #[command(subcommand)]
    Queue(Deferred<QueueCommand>),
    /// Get OAuth tokens for this and other programs
    #[command(subcommand)]
    Token(Deferred<TokenCommand>),
    /// Fetch the new mail of every queue, urgent queues first
    Fetch(Deferred<FetchArgs>),
    /// Send a message, as sendmail does
    Send(Deferred<SendArgs>),
    /// Test every step to a working mailbox; say what is wrong, who can fix it and how
    Check(Deferred<CheckArgs>),
    /// Print the PowerShell script that an Exchange and Entra ID administrator must run
    SetupScript(Deferred<SetupScriptArgs>),
    /// Show the state of every mailbox, or check it for a monitor
    Status(Deferred<StatusArgs>),
    /// Show what was received and sent
    History(Deferred<HistoryArgs>),
    /// Show, retry or drop the messages that could not be delivered
    #[command(subcommand)]
    Quarantine(Deferred<QuarantineCommand>),
    /// Show, send, retry or drop the messages that wait to be sent
    #[command(subcommand)]
    Outbox(Deferred<OutboxCommand>),
    /// Show where the state is kept, create its tables, or take a mailbox over from another program
    #[command(subcommand)]
    State(Deferred<StateCommand>),
    /// Explain an error code or a server's text: what it means, who can fix it and how
    Explain(Deferred<ExplainArgs>),
    /// Show or check the configuration file
    #[command(subcommand)]
    Config(Deferred<ConfigCommand>),
    /// Print a completion script for a shell
    Completions(Deferred<CompletionsArgs>),
}

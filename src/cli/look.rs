//! Commands that look and explain: `check`, `setup-script`, `explain`, `status`, `history`,
//! `quarantine`.

use crate::model::{Authentication, Authority, IncomingVia, Moment, Name};
use crate::provision::value;
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  queuemail check                              every mailbox
  queuemail check support@contoso.com          one mailbox; -v says more
  queuemail check Contoso                      all mailboxes of a server
  queuemail check -q                           from cron: only problems
  queuemail check --boundary ceo@contoso.com   proves that no app can read it
  queuemail check --report report.txt          an anonymised report

check changes nothing and sends nothing. The exit code is that of the worst step, and 75 if \
everything works but something expires within 30 days or the database of the state needs a \
change. With --boundary a refusal is the good result, and the exit code is 77 if the mailbox \
opens; Exchange also refuses an address that does not exist.")]
pub struct CheckArgs {
    /// Queues, addresses or servers [default: all addresses, and servers without one]
    #[arg(value_name = "QUEUE|ADDRESS|SERVER")]
    pub names: Vec<String>,
    /// Prove that the apps of these servers, or of all servers, cannot open these mailboxes
    #[arg(long, value_name = "ADDR", num_args = 1..)]
    pub boundary: Vec<String>,
    /// Write an anonymised report of every step to this file
    #[arg(long, value_name = "FILE", value_parser = super::own_path())]
    pub report: Option<PathBuf>,
}

#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  queuemail setup-script > setup.ps1           then: pwsh setup.ps1
  queuemail setup-script Contoso > setup.ps1   for one server
  queuemail setup-script --undo > undo.ps1     removes it again
  queuemail setup-script --create Contoso \\
      --address https://login.microsoftonline.com/contoso.com > new.ps1
                                               makes a new app registration

pwsh setup.ps1 -WhatIf shows what a script would change, and changes nothing. With -Renewal \
the apps may renew their own secrets (queuemail server rotate).

The script contains only the app registrations, permissions and mailboxes of the \
configuration, and no secret. It can run again at any time.")]
pub struct SetupScriptArgs {
    /// Servers, incoming or outgoing [default: all]
    #[arg(value_name = "SERVER")]
    pub names: Vec<String>,
    /// Print a script that removes what the script sets up
    #[arg(long)]
    pub undo: bool,
    /// Print a script that makes a new app registration, and then shows how to add this server
    #[arg(long, value_name = "NAME", conflicts_with_all = ["names", "undo"], requires = "address", value_parser = value::<Name>())]
    pub create: Option<Name>,
    /// Login address of the new server: https://<login host>/<tenant>
    #[arg(long, value_name = "URL", requires = "create", value_parser = value::<Authority>())]
    pub address: Option<Authority>,
    /// The new server signs in as the app (oauth-service, the default) or as a person (oauth-user)
    #[arg(long, value_name = "TYPE", requires = "create")]
    pub auth: Option<Authentication>,
    /// The new server reads through imap (the default), graph or auto
    #[arg(long, value_name = "WAY", requires = "create")]
    pub via: Option<IncomingVia>,
    /// Register this certificate (PEM) instead of making a client secret
    #[arg(long, value_name = "PEM", requires = "create")]
    pub certificate: Option<PathBuf>,
    /// Its private key, for the command that adds the server; the script does not contain it
    #[arg(long, value_name = "PEM", requires = "certificate")]
    pub private_key: Option<PathBuf>,
}

#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  queuemail explain AADSTS7000222
  queuemail explain 535 5.7.139
  queuemail explain 'User is authenticated but not connected'

Works offline. Unknown codes exit with 64.")]
pub struct ExplainArgs {
    /// An AADSTS code with or without its letters, a reply, or a part of a server's text
    /// [default: all codes]
    #[arg(value_name = "CODE|TEXT", allow_hyphen_values = true)]
    pub words: Vec<String>,
}

#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  queuemail status                      a table for people
  queuemail status --check              for a monitor: prints only problems
  queuemail status --check --format nagios
  queuemail status --metrics /var/lib/prometheus/node-exporter/queuemail.prom
  queuemail status --html /var/www/queuemail/index.html

The state of a mailbox is ok, new (never fetched), waiting (a server asked to wait), failing, or quarantined with the number of messages. The line below it gives the reason.

With --check the exit code is 69 if a mailbox was not fetched within --max-age, and 75 if \
mail flows but something waits (quarantine, the outbox, a wait that the server requested), \
expires within 30 days, or differs between the hosts that share the state (version, \
configuration). With --format nagios it is 2 or 1 instead, and 3 if the state cannot be \
determined.")]
pub struct StatusArgs {
    /// Print only problems; the exit code says how severe they are
    #[arg(long)]
    pub check: bool,
    /// Print the result of --check for people, or as a plug-in of Nagios
    #[arg(
        long,
        value_name = "FORMAT",
        default_value = "text",
        requires = "check",
        conflicts_with = "json"
    )]
    pub format: StatusFormat,
    /// Report a mailbox that was not fetched within this many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    pub max_age: u32,
    /// Write metrics for Prometheus' textfile collector to this file, `-` is standard output
    #[arg(long, value_name = "FILE")]
    pub metrics: Option<PathBuf>,
    /// Write a page for a browser to this file, `-` is standard output: states, problems, and the
    /// messages of the last 30 days
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  queuemail history --since 2h                    the last two hours
  queuemail history '<20261129.1@contoso.com>'    where a message went
  queuemail history anna@example.com --sent       what was sent to somebody
  queuemail history invoice --queue sales --json  for programs

A word with an @ is a Message-ID or an address (of a mailbox, a sender or a recipient), and must match \
completely. Any other text is searched in From and Subject of the newest 20,000 messages of the period. \
A message that waits in the outbox or in quarantine is not in the history yet.")]
pub struct HistoryArgs {
    /// A Message-ID, an address, or text in From or Subject [default: all messages]
    #[arg(value_name = "MESSAGE-ID|ADDRESS|TEXT")]
    pub word: Option<String>,
    /// From this time: a day (2026-11-29), a time (2026-11-29T08:00:00Z), or how long ago (7d, 12h,
    /// 30m)
    #[arg(long, value_name = "TIME", value_parser = value::<Moment>())]
    pub since: Option<Moment>,
    /// Until this time; a day is included
    #[arg(long, value_name = "TIME", value_parser = value::<Moment>())]
    pub until: Option<Moment>,
    /// Only messages of this queue
    #[arg(long, value_name = "QUEUE")]
    pub queue: Option<String>,
    /// Only sent messages
    #[arg(long, conflicts_with = "received")]
    pub sent: bool,
    /// Only received messages
    #[arg(long)]
    pub received: bool,
    /// Show at most this many messages, the newest
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub limit: u32,
}

/// How the result of a check is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StatusFormat {
    /// Each problem with its hints, on standard error
    Text,
    /// One line with performance data, as the Monitoring Plugins guidelines define it; the exit code is
    /// 0, 1, 2 or 3
    Nagios,
}

#[derive(Debug, Subcommand)]
pub enum QuarantineCommand {
    /// List the messages in quarantine
    List,
    /// Show one message and why it is there
    Show {
        /// Its number in the list
        id: i64,
        /// Print the message, if it was retrieved and the delivery refused it
        #[arg(long)]
        raw: bool,
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
    /// Drop messages; they stay on the server and are not fetched again
    ///
    /// On a terminal the command asks first, unless --yes is given.
    Drop {
        /// Their numbers in the list
        #[arg(required = true)]
        ids: Vec<i64>,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
}

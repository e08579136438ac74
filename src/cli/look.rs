//! Commands that look and explain: `check`, `setup-script`, `explain`, `status`, `quarantine`.

use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  queuemail check                              every mailbox, several at a time
  queuemail check support@contoso.com          one of them; -v adds what else may help
  queuemail check Contoso                      all that is read or sent through a server
  queuemail check -q                           from cron: only what is not well
  queuemail check --boundary ceo@contoso.com   proves that no app of ours can read that mailbox
  queuemail check --report report.txt          writes an anonymised report to give to the developers

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
    /// Write an anonymised report of every step to this file
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
}

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

#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  queuemail status                      a table for people
  queuemail status --check              silent and 0 when all is well, for a monitor
  queuemail status --metrics /var/lib/prometheus/node-exporter/queuemail.prom

With --check the exit code is 69 when a mailbox was not fetched for longer than --max-age, and 75
when mail flows but something waits (quarantine, the outbox, a wait that the server asked for) or
expires within 30 days.")]
pub struct StatusArgs {
    /// Print problems only, and tell by the exit code
    #[arg(long)]
    pub check: bool,
    /// A mailbox must have been fetched within this many seconds
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
        /// Print the message itself, where it was retrieved and the delivery refused it
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
    /// Give messages up; they stay on the server and are not fetched again
    Drop {
        /// Their numbers in the list
        #[arg(required = true)]
        ids: Vec<i64>,
    },
}

//! `queue`: the queues and their addresses.

use crate::model::EmailAddress;
use crate::provision::{Mailbox, MailboxChange, value};
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub enum QueueCommand {
    /// Add a queue, or an address to an existing queue
    Add(Box<QueueAdd>),
    /// List the queues and their addresses, urgent ones first
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
    ///
    /// On a terminal the command asks first, unless --yes or --dry-run is given.
    Remove {
        /// The queue's name
        #[arg(value_name = "QUEUE")]
        name: String,
        /// Remove this address only
        #[arg(long, value_name = "ADDRESS", value_parser = value::<EmailAddress>())]
        address: Option<EmailAddress>,
        /// Show how the file would change, and change nothing
        #[arg(long)]
        dry_run: bool,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
}

#[derive(Args, Clone, Debug, Default)]
#[command(after_long_help = "\
Examples:
  queuemail queue add support --address support@contoso.com \\
      --server Contoso --priority 5 --deliver maildir:/var/mail/support
  queuemail queue add support --address hilfe@contoso.com --server Contoso \\
      --extension-language de --deliver maildir:/var/mail/support
  queuemail queue add orders --address office@contoso.com --server Contoso \\
      --start now --select unread=true --select from=@fabrikam.com
  queuemail queue add --from-file list.csv --server Contoso  one for each line

The first line of a CSV file names the options of its columns, without dashes: \
queue,address,priority. A line of JSON Lines is an object with such names. What a line leaves \
empty is taken from the command line. If a line has an error, nothing is added.")]
pub struct QueueAdd {
    #[command(flatten)]
    pub said: Mailbox,
    /// Add the addresses in this CSV or JSON Lines file; - for stdin
    #[arg(long, value_name = "FILE", conflicts_with_all = ["address", "set-password", "password-stdin"])]
    pub from_file: Option<PathBuf>,
    /// Add the lines of the list that have no error
    #[arg(long, requires = "from_file", hide_short_help = true)]
    pub keep_going: bool,
    /// Show how the file would change, and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  queuemail queue set support --queue-priority 10
  queuemail queue set support --address support@contoso.com --priority ''
  queuemail queue set support --select unread=true --select max_size=25MB
  queuemail queue set support --select ''   every message

An empty value removes the key from the file, and the default applies again. \
The values of `--select` and `--folder` replace all values in the file.")]
pub struct QueueSet {
    /// The queue's name
    #[arg(value_name = "QUEUE")]
    pub name: String,
    #[command(flatten)]
    pub said: MailboxChange,
    /// Show how the file would change, and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

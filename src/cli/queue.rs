//! `queue`: the queues and their addresses.

use super::secrets::{Password, SourceArgs};
use super::typed::{change, value};
use crate::model::{
    AfterFetch, Change, Condition, EmailAddress, Language, Name, Priority, Start, Target,
};
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
    /// The queue's name
    #[arg(value_name = "QUEUE", value_parser = value::<Name>())]
    pub name: Option<Name>,
    /// Full e-mail address of the mailbox
    #[arg(long, value_name = "ADDR", value_parser = value::<EmailAddress>())]
    pub address: Option<EmailAddress>,
    /// The incoming server of the mailbox
    #[arg(long, value_name = "INCOMING", value_parser = value::<Name>())]
    pub server: Option<Name>,
    #[command(flatten)]
    pub values: AddressValues,
    /// Priority of the queue, for addresses without their own
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = change::<Priority>())]
    pub queue_priority: Option<Change<Priority>>,
    /// Language of the queue, for addresses without their own
    #[arg(long, value_name = "TAG", value_parser = change::<Language>())]
    pub queue_language: Option<Change<Language>>,
    /// Where fetching begins, for addresses without their own
    #[arg(long, value_name = "WHERE", value_parser = change::<Start>())]
    pub queue_start: Option<Change<Start>>,
    /// Add the addresses in this CSV or JSON Lines file; - for stdin
    #[arg(long, value_name = "FILE", conflicts_with_all = ["address", "set-password", "password-stdin"])]
    pub from_file: Option<PathBuf>,
    /// Add the lines of the list that have no error
    #[arg(long, requires = "from_file", hide_short_help = true)]
    pub keep_going: bool,
    /// Replace an address that has other values
    #[arg(long)]
    pub replace: bool,
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
    /// The address to change; optional if the queue has only one
    #[arg(long, value_name = "ADDRESS", value_parser = value::<EmailAddress>())]
    pub address: Option<EmailAddress>,
    /// The incoming server of the mailbox
    #[arg(long, value_name = "INCOMING", value_parser = value::<Name>())]
    pub server: Option<Name>,
    #[command(flatten)]
    pub values: AddressValues,
    /// Do not allow the address as a sender
    #[arg(long, conflicts_with = "sender")]
    pub no_sender: bool,
    /// Priority of the queue, for addresses without their own
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = change::<Priority>())]
    pub queue_priority: Option<Change<Priority>>,
    /// Language of the queue, for addresses without their own
    #[arg(long, value_name = "TAG", value_parser = change::<Language>())]
    pub queue_language: Option<Change<Language>>,
    /// Where fetching begins, for addresses without their own: all, now or a date
    #[arg(long, value_name = "WHERE", value_parser = change::<Start>())]
    pub queue_start: Option<Change<Start>>,
    /// Show how the file would change, and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// What an address may contain in addition to its mailbox and server.
#[derive(Args, Clone, Debug, Default)]
pub struct AddressValues {
    /// Priority of the address: a number, the lowest goes first
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = change::<Priority>())]
    pub priority: Option<Change<Priority>>,
    /// Language of the address (BCP 47), if it differs from the queue's
    #[arg(long, value_name = "TAG", value_parser = change::<Language>())]
    pub extension_language: Option<Change<Language>>,
    /// Account that signs in to read the mailbox [default: the address]
    #[arg(long, value_name = "ACCOUNT", value_parser = change::<Name>())]
    pub account: Option<Change<Name>>,
    #[command(flatten)]
    pub password: SourceArgs<Password>,
    /// Allow the address as a sender
    #[arg(long)]
    pub sender: bool,
    /// The outgoing server that its mail is sent through
    #[arg(long, value_name = "OUTGOING", value_parser = change::<Name>())]
    pub outgoing: Option<Change<Name>>,
    /// Folder to fetch; may be repeated [default: INBOX]
    #[arg(long = "folder", value_name = "FOLDER")]
    pub folders: Vec<String>,
    /// Where fetching begins: all, now (with what arrives after the first fetch) or a date
    /// (YYYY-MM-DD, as the server received it) [default: all]
    #[arg(long, value_name = "WHERE", value_parser = change::<Start>())]
    pub start: Option<Change<Start>>,
    /// Fetch only messages with this: unread=true, from=ADDRESS or @DOMAIN, subject=TEXT,
    /// max_size=25MB, larger=skip or quarantine; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = change::<Condition>())]
    pub select: Vec<Change<Condition>>,
    /// Where fetched mail goes: maildir:PATH, mbox:PATH, command:CMD, lmtp:HOST:PORT, lmtp-plain:HOST:PORT, https://URL, eml:FOLDER, stdout
    #[arg(long, value_name = "TARGET", value_parser = change::<Target>())]
    pub deliver: Option<Change<Target>>,
    /// What happens on the server afterwards: keep, seen, delete or move:FOLDER
    #[arg(long = "after", value_name = "ACTION", value_parser = change::<AfterFetch>())]
    pub after: Option<Change<AfterFetch>>,
}

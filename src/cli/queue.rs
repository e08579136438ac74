//! `queue`: the queues and their addresses.

use super::secrets::PasswordArgs;
use clap::{Args, Subcommand};

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
        /// Show how the file would change, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Args, Clone, Debug, Default)]
#[command(after_long_help = "\
Examples:
  queuemail queue add support --address support@contoso.com --server Contoso \\
      --priority 5 --deliver maildir:/var/mail/support
  queuemail queue add support --address hilfe@contoso.com --server Contoso \\
      --extension-language de --deliver maildir:/var/mail/support")]
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
#[command(after_long_help = "\
Examples:
  queuemail queue set support --queue-priority 10
  queuemail queue set support --address support@contoso.com --priority ''   the queue's again

An empty value takes the key out of the file, and the default holds again.")]
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
    /// Show how the file would change, and change nothing
    #[arg(long)]
    pub dry_run: bool,
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
    /// Where fetched mail goes: maildir:PATH, mbox:PATH, command:CMD, lmtp:HOST:PORT, lmtp-plain:HOST:PORT, https://URL, eml:FOLDER, stdout
    #[arg(long, value_name = "TARGET")]
    pub deliver: Option<String>,
    /// What happens on the server afterwards: keep, seen, delete or move:FOLDER
    #[arg(long = "after", value_name = "ACTION")]
    pub after: Option<String>,
}

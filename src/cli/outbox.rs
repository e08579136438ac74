//! `outbox`: messages that were promised to leave.

use clap::Subcommand;

#[derive(Debug, Subcommand)]
#[command(after_long_help = "\
Examples:
  * * * * *  queuemail outbox flush   in a crontab: prints only problems
  queuemail outbox retry 12           first looks into Sent Items")]
pub enum OutboxCommand {
    /// List the messages in the outbox
    List,
    /// Show one message and its state
    Show {
        /// Its number in the list
        id: i64,
        /// Print the message byte for byte
        #[arg(long)]
        raw: bool,
    },
    /// Send the messages that are due
    Flush,
    /// Send now, before the time of the next attempt; a message with an unknown outcome only if it
    /// is not in Sent Items
    Retry {
        /// Their numbers in the list
        #[arg(required_unless_present = "all")]
        ids: Vec<i64>,
        /// All of them
        #[arg(long, conflicts_with = "ids")]
        all: bool,
        /// Send a message with an unknown outcome without checking Sent Items; it may arrive twice
        #[arg(long)]
        blindly: bool,
    },
    /// Drop messages; they are not sent, and no report is made
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

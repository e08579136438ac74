//! `outbox`: messages that were promised to leave.

use clap::Subcommand;

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

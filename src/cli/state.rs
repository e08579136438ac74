//! `state`: where what is remembered between runs is kept.

use super::ImportArgs;
use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum StateCommand {
    /// Create the tables of the state in the configured database
    #[command(after_long_help = "\
Examples:
  queuemail state init
  queuemail state init --print | psql 'host=db.example dbname=queuemail'

Existing tables stay as they are. `fetch` never creates tables: an empty database may be the wrong one, \
and with it queuemail would fetch all mail again.")]
    Init {
        /// Print the SQL for the database administrator instead
        #[arg(long)]
        print: bool,
    },
    /// Show where the state is, its version, its size and what it contains
    #[command(after_long_help = "\
Examples:
  queuemail state show
  queuemail --json state show")]
    Show,
    /// Encrypt the tokens in the database again, with the first key of `state.key`
    #[command(after_long_help = "\
Examples:
  queuemail state rekey

To change the key without an interruption, set on all hosts, one step after the other:
  key: [{file: OLD}, {file: NEW}]    all hosts can read what the new key encrypts
  key: [{file: NEW}, {file: OLD}]    the new key encrypts; then run: queuemail state rekey
  key: {file: NEW}")]
    Rekey,
    /// Move the state to a database or a folder, with its mail and its tokens
    #[command(after_long_help = "\
Examples:
  queuemail state migrate --dry-run \\
      --to 'postgres://queuemail@db.example/queuemail'
  queuemail state migrate --from ~/.local/state/queuemail
  queuemail state migrate --to /var/lib/queuemail/state

First stop all scheduled runs, on all hosts. queuemail refuses to move a state that somebody works \
with, and a destination that is not empty. It compares what it wrote with what it read before the \
new state becomes valid. The old state stays where it is, and no queuemail uses it again, so that a \
forgotten cron job cannot fetch all mail again.

If the move is interrupted, neither state can be used: run the same command again. It completes the \
move. With --cancel it gives the move up, unless the new state is complete.

A database is named by a URL or by the words that psql takes, without a password: put that into \
~/.pgpass (PGPASSFILE) or PGPASSWORD. Or write the new state into the configuration, and name only \
the old one.

Tokens in a database are encrypted with `state.key`. Without that key, tokens stay behind: queuemail \
gets new ones, and people sign in again.")]
    Migrate(Migrate),
    /// Take a mailbox over from another program: skip the messages that it has fetched
    Import(ImportArgs),
}

#[derive(Debug, Args)]
pub struct Migrate {
    /// Where the state is: a folder or a database; the configured one if not given
    #[arg(long, value_name = "PLACE", required_unless_present = "to")]
    pub from: Option<String>,
    /// Where to move it: an empty database, or a folder that is empty or does not exist; the
    /// configured one if not given
    #[arg(long, value_name = "PLACE")]
    pub to: Option<String>,
    /// Read and check everything, but change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Give up a move that was interrupted: the old state is used again
    #[arg(long, conflicts_with = "dry_run")]
    pub cancel: bool,
}

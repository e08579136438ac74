//! `state`: where what is remembered between runs is kept.

use super::ImportArgs;
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub enum StateCommand {
    /// Create the tables of the state in the configured database
    #[command(after_long_help = "\
Examples:
  queuemail state init
  queuemail state init --print | psql 'host=db.example dbname=queuemail'

Existing tables stay as they are. `fetch` never creates tables: an empty database may be the wrong one,
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
    /// Take a mailbox over from another program: skip the messages that it has fetched
    Import(ImportArgs),
}

//! `state`: where what is remembered between runs is kept.

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub enum StateCommand {
    /// Make the tables of the state in the configured database
    #[command(after_long_help = "\
Examples:
  queuemail state init
  queuemail state init --print | psql 'host=db.example dbname=queuemail'

Existing tables stay as they are. `fetch` never makes tables: an empty database may be the wrong one,
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
}

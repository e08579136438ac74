//! `state`: where what is remembered between runs is kept.

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub enum StateCommand {
    /// Make the tables of the state in the database that `state` names
    #[command(after_long_help = "\
Examples:
  queuemail state init
  queuemail state init --print | psql 'host=db.example dbname=queuemail'

What is there stays. `fetch` never makes the tables by itself: for an empty database all mail would
be new, and an empty one may be the wrong one.")]
    Init {
        /// Print the SQL instead, for whoever runs the database
        #[arg(long)]
        print: bool,
    },
    /// Show where the state is, its version, its size and what it holds
    #[command(after_long_help = "\
Examples:
  queuemail state show
  queuemail --json state show")]
    Show,
}

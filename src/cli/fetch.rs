//! `fetch`.

use crate::model::{AfterFetch, Day, Target};
use crate::provision::value;
use clap::{Args, ValueEnum};

#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  queuemail fetch --report changes     from cron: prints what begins to fail,
                                       still fails, or works again
  queuemail fetch support -v           one queue; prints each step
  queuemail fetch --dry-run            shows what would be fetched
  queuemail fetch support --catch-up   skips what is there now
  queuemail fetch support --include-skipped --since 2026-11-01")]
pub struct FetchArgs {
    /// Queues or addresses to fetch [default: all]
    #[arg(value_name = "QUEUE|ADDRESS")]
    pub names: Vec<String>,
    /// Deliver here instead of to the configured target
    #[arg(long, value_name = "TARGET", value_parser = value::<Target>())]
    pub deliver: Option<Target>,
    /// Do this on the server instead of the configured action
    #[arg(long, value_name = "ACTION", value_parser = value::<AfterFetch>())]
    pub after: Option<AfterFetch>,
    /// Fetch this many addresses at the same time
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=256))]
    pub jobs: usize,
    /// Fetch at most this many messages of each address
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,
    /// Fetch only messages received on or after this day (YYYY-MM-DD); a run without this option
    /// fetches the rest
    #[arg(long, value_name = "DATE", value_parser = value::<Day>())]
    pub since: Option<Day>,
    /// Fetch nothing, and skip all messages that are there now; later runs deliver what arrives
    /// afterwards
    #[arg(long, conflicts_with_all = ["dry_run", "audit", "deliver", "after", "limit", "since"])]
    pub catch_up: bool,
    /// Also fetch the messages that were skipped, if they are selected; with `--since`, those received
    /// on or after that day
    #[arg(long, conflicts_with_all = ["dry_run", "audit", "catch_up"])]
    pub include_skipped: bool,
    /// Show what would be fetched, and change nothing here or on the server
    #[arg(long)]
    pub dry_run: bool,
    /// Fetch nothing; compare every message on the server with the records, and let the next run
    /// fetch missed messages
    #[arg(long, conflicts_with_all = ["dry_run", "deliver", "after", "limit", "since"])]
    pub audit: bool,
    /// Stop between two messages after this many seconds; the next run fetches the rest
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    pub budget: Option<u32>,
    /// Stop each address between two messages after this many seconds and continue with the next
    /// address, so that a large or slow mailbox does not delay the others
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    pub budget_each: Option<u32>,
    /// What to print: all problems of this run, or only changes
    ///
    /// With `changes`, a run prints an incident when it has lasted for `notify.after` (5 minutes),
    /// again each `notify.repeat` (24 hours), and when it is over. The exit code stays the same.
    #[arg(long, value_name = "WHAT", default_value = "all", conflicts_with_all = ["dry_run", "audit"])]
    pub report: Report,
}

/// What a run prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Report {
    /// All problems of this run
    All,
    /// What begins to fail, still fails after a while, or works again
    Changes,
}

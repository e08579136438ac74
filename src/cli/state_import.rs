//! `state import`.

use crate::peers::Program;
use clap::Args;
use std::path::PathBuf;

#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  queuemail state import getmail ~/.config/getmail/oldmail-… \\
      --address support@contoso.com
  queuemail state import mbsync ~/Mail/support/.mbsyncstate \\
      --address support@contoso.com --dry-run
  queuemail state import maildir ~/Mail/support --address support@contoso.com
  queuemail state import fetchmail --read --address support@contoso.com

Stop the other program first, and import before the first fetch of this address. A message \
that may or may not have been fetched is not skipped: the next fetch delivers it. To fetch \
skipped messages later: queuemail fetch --include-skipped. See docs/coming-from.md.")]
pub struct ImportArgs {
    /// The other program; maildir for the messages themselves, from whatever program
    #[arg(value_enum)]
    pub program: Program,
    /// What that program keeps: getmail's oldmail file, mbsync's .mbsyncstate, fetchmail's .fetchids,
    /// or the Maildir
    #[arg(conflicts_with = "read")]
    pub path: Option<PathBuf>,
    /// The address whose mail that program has fetched
    #[arg(long)]
    pub address: String,
    /// The folder that it has fetched [default: the only folder of the address]
    #[arg(long)]
    pub folder: Option<String>,
    /// Skip all messages that are marked as read now (fetchmail by IMAP, wsgetmail): also those that
    /// a person has read and the program has not fetched
    #[arg(long)]
    pub read: bool,
    /// Show what would be skipped, and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

//! `server rotate`: renews the secret or certificate of a server.

use super::Context;
use super::confirm::confirm;
use crate::cli::RotateArgs;
use crate::config;
use crate::model::{Config, Day};
use crate::office::Office;
use crate::provision;
use crate::rotate::{self, Caller, Order, Until};
use crate::secret::Secret;
use crate::tell;
use anyhow::Result;
use std::path::Path;
use std::time::Duration;

pub fn run(context: &Context, args: &RotateArgs) -> Result<()> {
    let config = config::load(&context.config_path)?;
    let office = Office::link(&config)?;
    let until = match (args.finish, args.if_expires_within) {
        (true, _) => Until::Finished,
        (false, Some(time)) => Until::RenewedIfWithin(time.seconds()),
        (false, None) => Until::Renewed,
    };
    let order = Order {
        server: &args.name,
        until,
        grace: args.grace.seconds(),
        days: args.days,
        wait: Duration::from_secs(args.wait.seconds().unsigned_abs()),
        object_id: args.object_id.as_deref(),
        key_id: args.key_id.as_deref(),
        dry_run: args.dry_run,
    };
    let store = context.store(&config)?;
    let caller = Runner {
        context,
        yes: args.yes,
    };
    let outcome = rotate::rotate(&context.means, &office, &store, &order, &caller)?;
    tell::rotate::tell(&context.output, &outcome, until)
}

/// The person and the configuration of this run.
struct Runner<'a> {
    context: &'a Context,
    yes: bool,
}

impl Runner<'_> {
    fn change(&self, change: impl FnOnce(&mut Config) -> Result<provision::Outcome>) -> Result<()> {
        config::update(&self.context.config_path, change).map(drop)
    }
}

impl Caller for Runner<'_> {
    fn confirm(&self, question: &str) -> Result<()> {
        confirm(self.context, self.yes, question)
    }

    fn configuration(&self) -> &Path {
        &self.context.config_path
    }

    fn write_secret(&self, server: &str, secret: &Secret) -> Result<()> {
        self.change(|config| provision::put_secret(config, server, secret))
    }

    fn write_end(&self, server: &str, end: Day) -> Result<()> {
        self.change(|config| provision::put_secret_end(config, server, end))
    }
}

//! `check`: every step to a working mailbox, with its result, its time and, at the first that
//! fails, one sentence: what is wrong, who must act, the exact command or page.
//!
//! Nothing is changed on any server and nothing is sent; a token that is got on the way is kept
//! as any other.

use super::Context;
use crate::check::{self, Checked, Walk};
use crate::cli::CheckArgs;
use crate::config;
use crate::fault::{Errors, Told};
use crate::office::Office;
use crate::tell;

pub fn run(context: &Context, args: &CheckArgs) -> Result<(), Errors> {
    let config = match config::load(&context.config_path) {
        Ok(config) => config,
        Err(err) => return unreadable(context, err),
    };
    let office = Office::link(&config)?;
    let subjects = check::subjects(&office, &args.names, &args.boundary)?;
    let store = context.store()?;
    let checked = check::walk_all(&context.means, &office, &store, &subjects)?;
    conclude(context, &checked)
}

/// A configuration that cannot be read is the first cross.
fn unreadable(context: &Context, err: anyhow::Error) -> Result<(), Errors> {
    let mut walk = Walk::default();
    let shown = config::shown(&context.config_path);
    walk.failed("configuration", err, std::time::Duration::ZERO);
    let checked = Checked {
        title: shown.clone(),
        queue: None,
        name: shown,
        walk,
    };
    conclude(context, &[checked])
}

fn conclude(context: &Context, checked: &[Checked]) -> Result<(), Errors> {
    let worst = checked.iter().filter_map(|c| c.walk.worst()).max();
    tell::check::all(&context.output, checked, worst)?;
    match worst {
        Some(kind) => Err(anyhow::Error::new(Told(kind)).into()),
        None => Ok(()),
    }
}

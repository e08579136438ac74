//! `state migrate`: moves what is remembered between runs to another place.

use super::Context;
use crate::cli::Migrate;
use crate::config;
use crate::fault::Fault;
use crate::files;
use crate::model::{DatabaseUrl, SharedState};
use crate::state::{Migration, Spot};
use crate::tell::migrate::{Progress, tell};
use anyhow::Result;
use serde_json::json;

pub fn run(context: &Context, args: &Migrate) -> Result<()> {
    let config = config::load_if_shared(&context.config_path)?;
    let state = config.as_ref().and_then(|config| config.state.as_ref());
    let from = spot(context, args.from.as_deref(), state)?;
    let to = spot(context, args.to.as_deref(), state)?;
    if matches!(to, Spot::Server(_)) && context.config_path.exists() {
        // What does not go with it is said before anything is moved.
        config::load(&context.config_path)?.check_shared()?;
    }
    let key = SharedState::key_of(state);
    let migration = Migration {
        from: &from,
        to: &to,
        key: key.as_ref(),
    };
    if args.cancel {
        migration.cancel()?;
        return match context.output.json {
            true => context.output.json(&json!({
                "event": "migrate_cancel",
                "from": from.to_string(),
                "to": to.to_string(),
            })),
            false => context.tell_done(&format!("the move was given up: the state is in `{from}`")),
        };
    }
    let moved = match args.dry_run {
        true => migration.look()?,
        false => {
            let progress = Progress::new(&context.output);
            let moved = migration.run(&progress);
            progress.end();
            moved?
        }
    };
    let configured = spot(context, None, state)?;
    tell(
        &context.output,
        &migration,
        &moved,
        args.dry_run,
        (&configured, &context.config_path),
    )
}

/// Where a state is: what a person calls a folder or a database, or what is configured.
///
/// # Errors
/// `Usage` for a password, which everybody on this machine could read.
fn spot(context: &Context, given: Option<&str>, state: Option<&SharedState>) -> Result<Spot> {
    let Some(text) = given else {
        return Ok(match context.place(state)? {
            Some(place) => Spot::Server(Box::new(place)),
            None => Spot::Folder(files::absolute(context.state_dir()?)?),
        });
    };
    let is_words = text
        .split_once('=')
        .is_some_and(|(key, _)| !key.contains('/'));
    if !text.contains("://") && !is_words {
        return Ok(Spot::Folder(files::absolute(text)?));
    }
    let url = DatabaseUrl::parse(text)
        .map_err(|why| Fault::usage(format!("the database of `--from` or `--to`: {why}")))?;
    if url.holds_password() {
        return Err(Fault::usage("a password on the command line can be read by other users")
            .hint("put it into ~/.pgpass (PGPASSFILE) or PGPASSWORD, or write the URL into the configuration (`state`) and leave the option out")
            .into());
    }
    Ok(Spot::Server(Box::new(context.place_of(&url, state)?)))
}

//! `state init`, `show`, `rekey`, `migrate` and `import`: where what is remembered between runs is kept.

mod import;

use super::{Context, state_migrate};
use crate::cli::StateCommand;
use crate::config;
use crate::fault::Fault;
use crate::state::{Facts, Store};
use anyhow::Result;
use serde_json::{Map, Value, json};

pub fn run(context: &Context, command: &StateCommand) -> Result<()> {
    match command {
        StateCommand::Init { print: true } => context.output.line(Store::script().trim_end()),
        StateCommand::Init { print: false } => init(context),
        StateCommand::Show => show(context),
        StateCommand::Rekey => rekey(context),
        StateCommand::Migrate(args) => state_migrate::run(context, args),
        StateCommand::Import(args) => import::run(context, args),
    }
}

fn init(context: &Context) -> Result<()> {
    let config = config::load_if_shared(&context.config_path)?;
    let state = config.as_ref().and_then(|config| config.state.as_ref());
    let Some(place) = context.place(state)? else {
        return Err(
            Fault::config("the state is in a folder, which queuemail creates at its first use")
                .hint("to use a database: set `state: {postgres: URL}` in the configuration, or QUEUEMAIL_STATE=URL")
                .into(),
        );
    };
    let words = place.to_string();
    let made = Store::init(place)?;
    let line = match made {
        true => format!("created the tables of the state in database `{words}`"),
        false => format!("the tables already exist in database `{words}`"),
    };
    let object = json!({ "event": "init", "made": made, "place": words });
    context.output.result(&object, &line)
}

fn rekey(context: &Context) -> Result<()> {
    let store = context.store_alone()?;
    if !store.is_shared() {
        return Err(Fault::config(
            "the state is in a folder, where tokens are not encrypted: no other user can read it",
        )
        .into());
    }
    let tokens = store.seal_anew()?;
    context.output.result(
        &json!({ "event": "rekey", "tokens": tokens }),
        &format!("tokens encrypted with the first key: {tokens}"),
    )
}

fn show(context: &Context) -> Result<()> {
    let facts = context.store_alone()?.facts()?;
    let Facts {
        database,
        place,
        version,
        id,
        size,
        counts,
    } = facts;
    if context.output.json {
        let counts: Map<String, Value> = counts
            .iter()
            .map(|(name, count)| (name.replace(' ', "_"), json!(count)))
            .collect();
        return context.output.json(&json!({
            "database": database,
            "place": place,
            "version": version,
            "id": id,
            "size": size,
            "counts": counts,
        }));
    }
    let mut lines = vec![
        ("database", database.to_owned()),
        ("place", place),
        ("version", version.to_string()),
    ];
    lines.extend(id.map(|id| ("id", id)));
    lines.push(("size", format!("{} KiB", size.div_ceil(1024))));
    lines.extend(counts.iter().map(|(name, n)| (*name, n.to_string())));
    for (name, value) in lines {
        context.output.line(&format!("{name:<12} {value}"))?;
    }
    Ok(())
}

//! `server add incoming` and `server add outgoing`.

use super::Context;
use super::apply::{Told, apply};
use super::person::Terminal;
use crate::cli::ServerAdd;
use crate::model::{Config, Server};
use crate::provision::{
    self, Kind, NewServer, Outcome, Person, Required, ask_incoming, ask_outgoing,
};
use anyhow::Result;

pub fn run(context: &Context, kind: Option<&ServerAdd>) -> Result<()> {
    let person = Terminal(context);
    match kind {
        Some(ServerAdd::Incoming(args)) => add(context, &args.said, args.dry_run, ask_incoming),
        Some(ServerAdd::Outgoing(args)) => add(context, &args.said, args.dry_run, ask_outgoing),
        None if !context.may_ask => {
            let required = Required {
                person: &person,
                example: "queuemail server add incoming --help".to_owned(),
            };
            Err(required.missing("incoming` or `outgoing").into())
        }
        None => match provision::ask_if_incoming(&person)? {
            true => add(context, &NewServer::default(), false, ask_incoming),
            false => add(context, &NewServer::default(), false, ask_outgoing),
        },
    }
}

/// Has `ask` ask for what is missing.
fn add<K: Kind>(
    context: &Context,
    said: &NewServer<K>,
    dry_run: bool,
    ask: impl FnOnce(&dyn Person, &Config, NewServer<K>) -> Result<NewServer<K>>,
) -> Result<()> {
    said.refuse_empty()?;
    if said.is_complete() || !context.may_ask {
        return add_complete(context, said, dry_run);
    }
    let person = Terminal(context);
    let config = provision::known(&context.config_path)?;
    let said = ask(&person, &config, said.clone())?;
    add_complete(context, &said, dry_run)?;
    person.tell(&said.line(context.config_option.as_deref()));
    Ok(())
}

fn add_complete<K: Kind>(context: &Context, said: &NewServer<K>, dry_run: bool) -> Result<()> {
    let server = said.server(&Terminal(context))?;
    let names = [("server", server.name()), ("kind", K::Server::KIND)];
    let mut lacking = Vec::new();
    apply(context, dry_run, |config| {
        let file = &context.config_path;
        let outcome = provision::add_server(config, file, &server, said.replace)?;
        if outcome != Outcome::Unchanged {
            lacking = K::lacking(config, &server);
        }
        Ok(Told::of(outcome, &names))
    })?;
    lacking.iter().for_each(|text| context.output.warn(text));
    Ok(())
}

//! `server add incoming` and `server add outgoing`.

use super::Context;
use super::apply::apply;
use super::person::Terminal;
use crate::cli::ServerAdd;
use crate::provision::{self, NewServer, Outcome, Person, Required, lacking};
use anyhow::Result;

pub fn run(context: &Context, kind: Option<&ServerAdd>) -> Result<()> {
    let person = Terminal(context);
    let (said, dry_run) = match kind {
        Some(ServerAdd::Incoming(args)) => (NewServer::Incoming(args.said.clone()), args.dry_run),
        Some(ServerAdd::Outgoing(args)) => (NewServer::Outgoing(args.said.clone()), args.dry_run),
        None if !context.may_ask => {
            let required = Required {
                person: &person,
                example: "queuemail server add incoming --help".to_owned(),
            };
            return Err(required.missing("incoming` or `outgoing").into());
        }
        None => (provision::ask_kind(&person)?, false),
    };
    said.refuse_empty()?;
    if said.is_complete() || !context.may_ask {
        return add(context, &said, dry_run);
    }
    let config = provision::known(&context.config_path)?;
    let said = provision::ask_server(&person, &config, said)?;
    add(context, &said, dry_run)?;
    person.tell(&said.line(context.config_option.as_deref()));
    Ok(())
}

fn add(context: &Context, said: &NewServer, dry_run: bool) -> Result<()> {
    let server = said.server(&Terminal(context))?;
    let names = [("server", server.name()), ("kind", server.kind())];
    let mut lacking = Vec::new();
    apply(context, dry_run, &names, |config| {
        let file = &context.config_path;
        let outcome = provision::add_server(config, file, &server, said.replaces())?;
        if outcome != Outcome::Unchanged {
            lacking = lacking::of_server(config, &server);
        }
        Ok(outcome)
    })?;
    lacking.iter().for_each(|text| context.output.warn(text));
    Ok(())
}

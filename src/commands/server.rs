//! `server list`, `show` and `remove`.

use super::Context;
use super::apply::{Told, apply};
use super::{server_add, server_rotate, server_set};
use crate::cli::ServerCommand;
use crate::config;
use crate::model::Tree;
use crate::provision;
use crate::tell::table::{self, Table};
use anyhow::Result;

pub fn run(context: &Context, command: &ServerCommand) -> Result<()> {
    match command {
        ServerCommand::Add { kind } => server_add::run(context, kind.as_ref()),
        ServerCommand::List => list(context),
        ServerCommand::Show { name } => show(context, name),
        ServerCommand::Set(args) => server_set::run(context, args),
        ServerCommand::Rotate(args) => server_rotate::run(context, args),
        ServerCommand::Remove { name, dry_run } => remove(context, name, *dry_run),
    }
}

fn list(context: &Context) -> Result<()> {
    let config = config::load(&context.config_path)?;
    let incoming: Vec<Tree> = config.incoming_servers.iter().map(|s| s.tree()).collect();
    let outgoing: Vec<Tree> = config.outgoing_servers.iter().map(|s| s.tree()).collect();
    if context.output.json {
        return context.output.json(&Tree::Map(vec![
            ("incoming_servers", Tree::List(incoming)),
            ("outgoing_servers", Tree::List(outgoing)),
        ]));
    }
    let mut table = Table::new(&[
        "NAME",
        "KIND",
        "AUTHENTICATION",
        "VIA",
        "ADDRESS",
        "SIGNS IN WITH",
    ]);
    for server in &incoming {
        table.row(vec![
            table::cell(server, "name"),
            "incoming".to_owned(),
            table::cell(server, "authentication"),
            via(server, "imap"),
            table::cell(server, "address"),
            credential(server),
        ]);
    }
    for server in &outgoing {
        let kind = match server.get("enabled") {
            Some(_) => "outgoing, disabled",
            None => "outgoing",
        };
        table.row(vec![
            table::cell(server, "name"),
            kind.to_owned(),
            table::cell(server, "authentication"),
            via(server, "smtp"),
            table::cell(server, "tenant"),
            credential(server),
        ]);
    }
    table.print(&context.output)
}

fn via(server: &Tree, usual: &str) -> String {
    server.get("via").map_or(usual.to_owned(), Tree::words)
}

/// What a server signs in with, never the secret itself.
fn credential(server: &Tree) -> String {
    let keys = [
        "secret",
        "certificate",
        "federated_token",
        "federated_token_file",
        "managed_identity",
        "app",
        "password",
    ];
    match keys
        .iter()
        .find_map(|key| server.get(key).map(|v| (*key, v)))
    {
        Some(("managed_identity", Tree::Text(kind))) => format!("managed identity, {kind}"),
        Some(("managed_identity", _)) => "managed identity".to_owned(),
        Some((key, value)) => format!("{} {}", key.replace('_', " "), value.words()),
        None => "-".to_owned(),
    }
}

fn show(context: &Context, name: &str) -> Result<()> {
    let config = config::load(&context.config_path)?;
    let tree = provision::tree_of_server(&config, name)?;
    table::show(&context.output, &tree)
}

fn remove(context: &Context, name: &str, dry_run: bool) -> Result<()> {
    apply(context, dry_run, |config| {
        let outcome = provision::remove_server(config, name)?;
        Ok(Told::of(outcome, &[("server", name)]))
    })
}

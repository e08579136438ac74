//! What the types cannot see: names that clash or lead nowhere, and combinations that cannot
//! sign in. Each problem carries the path of the value that it concerns.

use super::check_select::selection;
use super::check_servers::{incoming, outgoing};
use super::check_shared;
use super::problem::{Found, Kind, Problem, dangling};
use crate::model::*;
use std::collections::{HashMap, HashSet};

/// Everything wrong, in the order of the file.
pub fn problems(config: &Config) -> Vec<Problem> {
    let mut found = Found::default();
    if config.version != 1 {
        found.add(
            "version",
            format!("unknown version {}", config.version),
            "this program reads only `version: 1`",
        );
    }
    names(config, &mut found);
    for (i, server) in config.incoming_servers.iter().enumerate() {
        incoming(server, &format!("incoming_servers[{i}]"), &mut found);
    }
    let apps = Apps::of(config);
    for (i, server) in config.outgoing_servers.iter().enumerate() {
        outgoing(
            config,
            &apps,
            server,
            &format!("outgoing_servers[{i}]"),
            &mut found,
        );
    }
    webhooks(config, &mut found);
    notify(config, &mut found);
    check_shared::problems(config, &mut found);
    let known = Known {
        incoming: config.incoming_servers.iter().map(|s| &*s.name).collect(),
        outgoing: config.outgoing_servers.iter().map(|s| &*s.name).collect(),
    };
    for (i, queue) in config.queues.iter().enumerate() {
        for (j, address) in queue.addresses.iter().enumerate() {
            references(
                config,
                &known,
                address,
                &format!("queues[{i}].addresses[{j}]"),
                &mut found,
            );
        }
    }
    found.0
}

fn webhooks(config: &Config, found: &mut Found) {
    for (i, webhook) in config.webhooks.iter().enumerate() {
        let before = &config.webhooks[..i];
        if before.iter().any(|other| other.url == webhook.url) {
            found.add(
                &format!("webhooks[{i}].url"),
                format!("webhook `{}` is defined twice", webhook.url),
                "put all settings of a URL into one entry",
            );
        }
        let media_type = webhook.content_type.as_deref().unwrap_or("a/b");
        let visible = |c: char| c == ' ' || c.is_ascii_graphic();
        if !media_type.contains('/') || !media_type.chars().all(visible) {
            found.add(
                &format!("webhooks[{i}].content_type"),
                format!("invalid content type of webhook `{}`", webhook.url),
                "write it like message/rfc822",
            );
        }
    }
}

fn notify(config: &Config, found: &mut Found) {
    let command = config.notify.as_ref().and_then(|n| n.command.as_ref());
    if command.is_some_and(|words| words.first().is_none_or(String::is_empty)) {
        found.add(
            "notify.command",
            "the command of `notify` names no program".to_owned(),
            "write it like [/usr/local/bin/tell, oncall]",
        );
    }
}

// ---- names -----------------------------------------------------------------------------------

fn names(config: &Config, found: &mut Found) {
    let lists: [(&str, &str, Vec<&str>); 3] = [
        (
            "incoming_servers",
            "incoming server",
            config.incoming_servers.iter().map(|s| &*s.name).collect(),
        ),
        (
            "outgoing_servers",
            "outgoing server",
            config.outgoing_servers.iter().map(|s| &*s.name).collect(),
        ),
        (
            "queues",
            "queue",
            config.queues.iter().map(|q| &*q.name).collect(),
        ),
    ];
    let mut servers = HashMap::new();
    for (list, what, names) in &lists {
        let mut own = HashMap::new();
        // Commands name a server without saying which kind, so the two kinds share their names.
        let seen = if *list == "queues" {
            &mut own
        } else {
            &mut servers
        };
        for (i, name) in names.iter().enumerate() {
            let at = format!("{list}[{i}].name");
            if let Some(why) = bad_name(name) {
                found.add(&at, format!("invalid name of {what} `{name}`"), why);
            } else if let Some(first) = seen.insert(*name, *what) {
                let note = match *list {
                    "queues" => "put all addresses of the queue into one entry".to_owned(),
                    _ => format!("an {first} already has this name"),
                };
                found.add(&at, format!("{what} `{name}` is defined twice"), note);
            }
        }
    }
    let mut seen: HashMap<String, &str> = HashMap::new();
    for (i, queue) in config.queues.iter().enumerate() {
        for (j, entry) in queue.addresses.iter().enumerate() {
            let key = entry.address.as_str().to_lowercase();
            if let Some(other) = seen.insert(key, &queue.name) {
                found.add(
                    &format!("queues[{i}].addresses[{j}].address"),
                    format!("address `{}` is defined twice", entry.address),
                    format!("queue `{other}` already has it; a mailbox belongs to one queue"),
                );
            }
        }
    }
}

// ---- references ------------------------------------------------------------------------------

/// The names of all servers: there may be as many as addresses.
struct Known<'c> {
    incoming: HashSet<&'c str>,
    outgoing: HashSet<&'c str>,
}

fn references(config: &Config, known: &Known<'_>, address: &Address, at: &str, found: &mut Found) {
    let server = &address.server;
    if !known.incoming.contains(server.as_str()) {
        dangling(
            config,
            server,
            Kind::Incoming,
            &format!("{at}.server"),
            found,
        );
    }
    if let Some(name) = &address.outgoing_server
        && !known.outgoing.contains(name.as_str())
    {
        dangling(
            config,
            name,
            Kind::Outgoing,
            &format!("{at}.outgoing_server"),
            found,
        );
    }
    let folders = address.folders.as_deref().unwrap_or(&[]);
    if address.folders.as_ref().is_some_and(Vec::is_empty)
        || folders
            .iter()
            .any(|f| f.is_empty() || f.chars().any(char::is_control))
    {
        found.add(
            &format!("{at}.folders"),
            format!("invalid folders of address `{}`", address.address),
            "name at least one folder, or remove the key to use INBOX",
        );
    }
    if let Some(select) = &address.select {
        selection(select, &address.address, &format!("{at}.select"), found);
    }
    moves(config, address, at, found);
}

fn moves(config: &Config, address: &Address, at: &str, found: &mut Found) {
    let (key, action) = match &address.after_fetch {
        Some(own) => ("after_fetch", Some(own)),
        None => ("folders", config.defaults.after_fetch.as_ref()),
    };
    let folders = address.folders.as_deref().unwrap_or_default();
    if let Some(note) = action.and_then(|action| action.repeats(folders)) {
        found.add(
            &format!("{at}.{key}"),
            format!(
                "mail of address `{}` is moved to a fetched folder",
                address.address
            ),
            note,
        );
    }
}

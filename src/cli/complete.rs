//! What may come next on a command line.
//!
//! The shells' scripts hold no knowledge. They hand over what is typed and offer what comes back, so
//! commands, options and the configured names are never out of date. What an argument may hold
//! is read from the command line's definition: its possible values, or the name of its value
//! (`QUEUE`, `ADDRESS`, `SERVER`, `INCOMING`, `OUTGOING`). No answer leaves the word to the
//! shell's own completion of file names.

use super::built;
use crate::config::load;
use crate::model::{self, Config};
use clap::{Arg, Command};
use std::path::Path;

/// What may come next.
pub struct Candidate {
    pub value: String,
    pub help: String,
}

/// Walks the definition along the words, the program's name first; the last one is unfinished.
pub fn candidates(config_path: &Path, words: &[String]) -> Vec<Candidate> {
    let definition = built();
    let mut command = &definition;
    let mut position = 0;
    let mut only_positional = false;
    let mut pending: Option<&Arg> = None;
    let mut config_path = config_path;
    let Some((last, before)) = words.split_last() else {
        return Vec::new();
    };
    for word in before.iter().skip(1) {
        if let Some(option) = pending.take() {
            if option.get_long() == Some("config") {
                config_path = Path::new(word);
            }
        } else if only_positional {
            position += 1;
        } else if word == "--" {
            only_positional = true;
        } else if word.starts_with('-') && word.len() > 1 {
            pending = awaits_value(command, word);
        } else if let Some(next) = command.find_subcommand(word) {
            command = next;
            position = 0;
        } else {
            position += 1;
        }
    }
    let names = || load(config_path).ok();
    let mut found = Vec::new();
    if let Some(option) = pending {
        found = values(option, names);
    } else if !only_positional && let Some((option, _)) = last.split_once('=') {
        // The option's own part stays in front of each value.
        if let Some(arg) = awaits_value(command, option) {
            found = values(arg, names);
        }
        for candidate in &mut found {
            candidate.value.insert_str(0, &format!("{option}="));
        }
    } else if !only_positional && last.starts_with('-') {
        found = options(command);
    } else {
        found.extend(commands(command));
        let arguments: Vec<&Arg> = command.get_positionals().collect();
        let takes_more = |arg: &&&Arg| arg.get_num_args().is_some_and(|n| n.max_values() > 1);
        let next = arguments.get(position);
        if let Some(arg) = next.or(arguments.last().filter(takes_more)) {
            found.extend(values(arg, names));
        }
    }
    found.retain(|candidate| candidate.value.starts_with(last.as_str()));
    found
}

/// The option that a word ends with, if its value is the next word.
fn awaits_value<'a>(command: &'a Command, word: &str) -> Option<&'a Arg> {
    let is = |arg: &&Arg| match word.strip_prefix("--") {
        Some(long) => arg.get_long() == Some(long),
        None => word.chars().last() == arg.get_short(),
    };
    let arg = command.get_arguments().find(is)?;
    arg.get_action().takes_values().then_some(arg)
}

fn commands(command: &Command) -> impl Iterator<Item = Candidate> {
    let shown = command.get_subcommands().filter(|c| !c.is_hide_set());
    shown.map(|c| Candidate {
        value: c.get_name().to_owned(),
        help: first_line(c.get_about()),
    })
}

fn options(command: &Command) -> Vec<Candidate> {
    // The options of all commands are hidden from the help of each, and not from here.
    let is_shown = |arg: &&Arg| arg.is_global_set() || !arg.is_hide_set();
    let shown = command.get_arguments().filter(is_shown);
    let options = shown.filter_map(|arg| {
        let value = match (arg.get_long(), arg.get_short()) {
            (Some(long), _) => format!("--{long}"),
            (None, Some(short)) => format!("-{short}"),
            (None, None) => return None,
        };
        let help = first_line(arg.get_help());
        Some(Candidate { value, help })
    });
    options.collect()
}

/// What may stand for an argument: its possible values, else the names that its value's name
/// speaks of. The configuration is read only where it is needed, and may have mistakes.
fn values(arg: &Arg, config: impl Fn() -> Option<Config>) -> Vec<Candidate> {
    let possible = arg.get_possible_values();
    if !possible.is_empty() {
        let shown = possible.iter().filter(|value| !value.is_hide_set());
        return shown
            .map(|value| Candidate {
                value: value.get_name().to_owned(),
                help: first_line(value.get_help()),
            })
            .collect();
    }
    let kinds: Vec<&str> = arg
        .get_value_names()
        .unwrap_or_default()
        .iter()
        .flat_map(|name| name.split('|'))
        .filter(|kind| NAMED.contains(kind))
        .collect();
    if kinds.is_empty() {
        return Vec::new();
    }
    let Some(config) = config() else {
        return Vec::new();
    };
    let mut found: Vec<Candidate> = Vec::new();
    for kind in kinds {
        for (value, help) in names(&config, kind) {
            let is_new = found.iter().all(|other| other.value != value);
            if is_new && !value.contains(char::is_control) {
                found.push(Candidate { value, help });
            }
        }
    }
    found
}

/// The names of values that stand for something in the configuration.
const NAMED: [&str; 5] = ["QUEUE", "ADDRESS", "SERVER", "INCOMING", "OUTGOING"];

fn names(config: &Config, kind: &str) -> Vec<(String, String)> {
    let incoming = || {
        let servers = config.incoming_servers.iter();
        servers.map(|s| (s.name.clone(), "incoming server".to_owned()))
    };
    let outgoing = || {
        let servers = config.outgoing_servers.iter();
        servers.map(|s| (s.name.clone(), "outgoing server".to_owned()))
    };
    match kind {
        "QUEUE" => {
            let queues = config.queues.iter();
            queues
                .map(|q| (q.name.clone(), "queue".to_owned()))
                .collect()
        }
        "ADDRESS" => {
            let addresses = config.addresses();
            let name = |(queue, address): (&model::Queue, &model::Address)| {
                let help = format!("address of queue {}", queue.name);
                (address.address.to_string(), help)
            };
            addresses.map(name).collect()
        }
        "INCOMING" => incoming().collect(),
        "OUTGOING" => outgoing().collect(),
        _ => incoming().chain(outgoing()).collect(),
    }
}

fn first_line(text: Option<&clap::builder::StyledStr>) -> String {
    let text = text.map(ToString::to_string).unwrap_or_default();
    text.lines().next().unwrap_or_default().to_owned()
}

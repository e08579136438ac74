//! Completions: a script for each shell, and the answers that it asks for.
//!
//! The scripts hold no knowledge. They hand over what is typed and offer what comes back, so
//! commands, options and the configured names are never out of date. What an argument may hold
//! is read from the command line's definition: its possible values, or the name of its value
//! (`QUEUE`, `ADDRESS`, `SERVER`, `INCOMING`, `OUTGOING`). No answer leaves the word to the
//! shell's own completion of file names.

use super::Context;
use crate::cli::{self, CompletionsArgs, Shell};
use crate::config::{self, Config};
use crate::shell;
use anyhow::Result;
use clap::{Arg, Command};
use std::path::PathBuf;

/// What may come next.
struct Candidate {
    value: String,
    help: String,
}

pub fn run(context: &Context, args: &CompletionsArgs) -> Result<()> {
    if args.typed.is_empty() {
        let script = match args.shell {
            Shell::Bash => include_str!("../../completions/queuemail.bash"),
            Shell::Zsh => include_str!("../../completions/_queuemail"),
            Shell::Fish => include_str!("../../completions/queuemail.fish"),
        };
        return context.output.line(script.trim_end());
    }
    let (words, replaced) = match args.shell {
        Shell::Bash => bash_words(&args.typed),
        Shell::Zsh | Shell::Fish => (args.typed.clone(), Replaced::default()),
    };
    for candidate in candidates(context, &words) {
        let Candidate { value, help } = candidate;
        let line = match args.shell {
            Shell::Bash => replaced.by(&value),
            Shell::Zsh => format!("{}:{help}", value.replace('\\', r"\\").replace(':', r"\:")),
            Shell::Fish => format!("{value}\t{help}"),
        };
        context.output.line(&line)?;
    }
    Ok(())
}

/// Walks the definition along the words, the program's name first; the last one is unfinished.
fn candidates(context: &Context, words: &[String]) -> Vec<Candidate> {
    let definition = cli::built();
    let mut command = &definition;
    let mut position = 0;
    let mut only_positional = false;
    let mut pending: Option<&Arg> = None;
    let mut config_path = context.config_path.clone();
    let Some((last, before)) = words.split_last() else {
        return Vec::new();
    };
    for word in before.iter().skip(1) {
        if let Some(option) = pending.take() {
            if option.get_long() == Some("config") {
                config_path = PathBuf::from(word);
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
    let names = || config::load(&config_path).ok();
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
    let shown = command.get_arguments().filter(|a| !a.is_hide_set());
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
            let name = |(queue, address): (&config::Queue, &config::Address)| {
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

/// How bash replaces the unfinished word: it cuts words at `@`, `:` and `=` too, so that often
/// only the end of one is ours to give.
#[derive(Default)]
struct Replaced {
    /// What of the word stays as it was typed.
    kept: String,
    /// The quote that is open.
    open: Option<char>,
}

impl Replaced {
    fn by(&self, value: &str) -> String {
        let word = shell::typed(value, self.open);
        match word.strip_prefix(&self.kept) {
            Some(rest) => rest.to_owned(),
            None => word,
        }
    }
}

/// The words of bash's line up to the cursor, and how its last word is replaced. `typed` is the
/// line, and what bash holds to be the word.
fn bash_words(typed: &[String]) -> (Vec<String>, Replaced) {
    let line = typed.first().map_or("", String::as_str);
    let own = typed.get(1).map_or("", String::as_str);
    let mut words = Vec::new();
    let (mut word, mut raw, mut quote) = (String::new(), String::new(), None);
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            (' ' | '\t', None) => {
                if !raw.is_empty() {
                    words.push(std::mem::take(&mut word));
                    raw.clear();
                }
                continue;
            }
            ('\'' | '"', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            ('\\', None | Some('"')) => {
                raw.push(c);
                if let Some(next) = chars.next() {
                    raw.push(next);
                    word.push(next);
                }
                continue;
            }
            _ => word.push(c),
        }
        raw.push(c);
    }
    words.push(word);
    let kept = match quote {
        Some(_) => "",
        None => raw.strip_suffix(own).unwrap_or_default(),
    };
    let replaced = Replaced {
        kept: kept.to_owned(),
        open: quote,
    };
    (words, replaced)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, own: &str, value: &str, inserted: &str) {
        let (words, replaced) = bash_words(&[line.to_owned(), own.to_owned()]);
        assert!(
            value.starts_with(words.last().unwrap().as_str()),
            "{words:?}"
        );
        assert_eq!(replaced.by(value), inserted, "{line}");
    }

    #[test]
    fn bash_gets_what_replaces_its_own_word() {
        check("queuemail fetch ", "", "support", "support");
        check("queuemail fetch su", "su", "support", "support");
        check(
            "queuemail fetch a@con",
            "con",
            "a@contoso.com",
            "contoso.com",
        );
        check("queuemail fetch a@", "", "a@contoso.com", "contoso.com");
        check(
            "queuemail server show Con",
            "Con",
            "Contoso out",
            r"Contoso\ out",
        );
        check(
            r"queuemail server show Contoso\ o",
            r"Contoso\ o",
            "Contoso out",
            r"Contoso\ out",
        );
        check(
            "queuemail server show 'Contoso o",
            "Contoso o",
            "Contoso out",
            "Contoso out",
        );
        check("queuemail server show 'Bo", "Bo", "Bob's", r"Bob'\''s");
        check("queuemail server show \"a$", "a$", "a$b`", r"a\$b\`");
        check(
            "queuemail x --auth=oau",
            "oau",
            "--auth=oauth-user",
            "oauth-user",
        );
    }
}

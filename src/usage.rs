//! What is wrong with a command line, in the program's own words: clap finds it, this file says it.

use crate::cli::{self, Refused};
use crate::fault::Fault;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::ffi::OsString;

/// A usage error as a fault with hints. `None` where clap's own text is the answer: help that
/// was asked for, or that stands in for a missing command.
pub fn fault(err: &clap::Error, args: &[OsString]) -> Option<Fault> {
    let arg = one(err, ContextKind::InvalidArg);
    let command = command(args, &one(err, ContextKind::InvalidSubcommand));
    if let Some(refused) = std::error::Error::source(err).and_then(|e| e.downcast_ref::<Refused>())
    {
        let name = arg.split(' ').next().unwrap_or_default();
        let name = name.trim_matches(['[', ']', '<', '>']);
        return Some(Fault::usage(format!("`{name}`{refused}")));
    }
    let mut fault = Fault::usage(what(err, args, &command)?);
    fault.hints = hints(err, args, &command);
    let secret = match arg.as_str() {
        "--secret" | "--client-secret" => Some("--secret"),
        "--password" => Some("--password"),
        _ => None,
    };
    if let Some(option) = secret {
        fault.hints = vec![format!(
            "every user of this machine can read a command line; use `{option}-stdin`, `{option}-file FILE` or `{option}-command COMMAND`"
        )];
    }
    Some(fault.hint(format!("see `{command} --help`")))
}

/// What is wrong. `None` where help is the answer.
fn what(err: &clap::Error, args: &[OsString], command: &str) -> Option<String> {
    let arg = one(err, ContextKind::InvalidArg);
    let value = one(err, ContextKind::InvalidValue);
    let wrong = one(err, ContextKind::InvalidSubcommand);
    Some(match err.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => return None,
        // For a person all commands; for a program one object.
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
            if !args.iter().any(|word| word == "--json") =>
        {
            return None;
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            format!("`{command}` needs a subcommand")
        }
        ErrorKind::InvalidSubcommand => {
            format!("unknown command `{command} {wrong}`")
        }
        ErrorKind::UnknownArgument if arg.starts_with('-') => {
            format!("unknown option `{arg}` of `{command}`")
        }
        ErrorKind::UnknownArgument => format!("unexpected argument `{arg}` for `{command}`"),
        ErrorKind::InvalidValue if value.is_empty() => format!("`{arg}` needs a value"),
        ErrorKind::InvalidValue => format!("invalid value `{value}` for `{arg}`"),
        ErrorKind::ValueValidation => {
            let source = std::error::Error::source(err).map(ToString::to_string);
            let why = source.unwrap_or_default();
            let why = match why.split_once(" is not in ") {
                Some((_, range)) => format!("it must be from {}", range.replace("..=", " to ")),
                None if why.starts_with("invalid digit") => "it must be a number".to_owned(),
                None => why,
            };
            format!("invalid value `{value}` for `{arg}`: {why}")
        }
        ErrorKind::MissingRequiredArgument => {
            let missing = quoted(&text(err, ContextKind::InvalidArg), "and");
            format!("`{command}` needs {missing}")
        }
        ErrorKind::ArgumentConflict => {
            let others = text(err, ContextKind::PriorArg);
            match others.is_empty() || others == [arg.clone()] {
                true => format!("`{arg}` can be used only once"),
                false => format!("`{arg}` cannot be used with {}", quoted(&others, "and")),
            }
        }
        _ => {
            let rendered = err.render().to_string();
            let line = rendered.lines().next().unwrap_or_default();
            line.trim_start_matches("error: ").to_owned()
        }
    })
}

/// What was probably meant, and what may stand there.
fn hints(err: &clap::Error, args: &[OsString], command: &str) -> Vec<String> {
    let arg = one(err, ContextKind::InvalidArg);
    let wrong = one(err, ContextKind::InvalidSubcommand);
    let mut hints = Vec::new();
    let mut near = text(err, ContextKind::SuggestedArg);
    near.extend(text(err, ContextKind::SuggestedValue));
    let near_commands = text(err, ContextKind::SuggestedSubcommand);
    near.extend(near_commands.iter().map(|name| format!("{command} {name}")));
    near.extend(turned_round(args, &wrong));
    if !near.is_empty() {
        hints.push(format!("did you mean {}?", quoted(&near, "or")));
    }
    if let Some(joined) = dashed_value(args, &arg, &wrong) {
        hints.push(format!("a value that begins with a dash: `{joined}`"));
    }
    let values = text(err, ContextKind::ValidValue);
    if !values.is_empty() {
        hints.push(format!("use {}", quoted(&values, "or")));
    }
    hints
}

fn one(err: &clap::Error, kind: ContextKind) -> String {
    text(err, kind).into_iter().next().unwrap_or_default()
}

/// The words of one kind that clap found.
fn text(err: &clap::Error, kind: ContextKind) -> Vec<String> {
    match err.get(kind) {
        Some(ContextValue::String(one)) => vec![one.clone()],
        Some(ContextValue::Strings(many)) => many.clone(),
        _ => Vec::new(),
    }
}

/// The command that was meant where its words are in the other order: `add queue`.
fn turned_round(args: &[OsString], wrong: &str) -> Option<String> {
    let definition = cli::built();
    let mut after = args.iter().skip_while(|word| *word != wrong).skip(1);
    let noun = definition.find_subcommand(after.next()?)?;
    let verb = noun.find_subcommand(wrong)?;
    Some(format!("queuemail {} {}", noun.get_name(), verb.get_name()))
}

/// The command that was being read.
fn command(args: &[OsString], wrong: &str) -> String {
    path(&cli::built(), args, wrong).0
}

/// An option and what stands after it, joined, where that was taken for options of its own.
fn dashed_value(args: &[OsString], wrong: &str, wrong_command: &str) -> Option<String> {
    let definition = cli::built();
    let at = path(&definition, args, wrong_command).1;
    args.windows(2).find_map(|two| {
        let (option, value) = (two[0].to_str()?, two[1].to_str()?);
        let long = option.strip_prefix("--")?;
        let known = at.get_arguments().find(|a| a.get_long() == Some(long))?;
        (wrong.starts_with('-') && value.starts_with(wrong) && known.get_action().takes_values())
            .then(|| format!("{option}={value}"))
    })
}

/// The words that lead through the definition, up to the one that is wrong, and to where.
fn path<'a>(
    definition: &'a clap::Command,
    args: &[OsString],
    wrong: &str,
) -> (String, &'a clap::Command) {
    let mut at = definition;
    let mut words = vec!["queuemail"];
    for word in args.iter().skip(1) {
        if word == wrong {
            break;
        }
        // `help token get` is about `token get`.
        let next = at.find_subcommand(word);
        if let Some(next) = next.filter(|next| next.get_name() != "help") {
            words.push(next.get_name());
            at = next;
        }
    }
    (words.join(" "), at)
}

/// Names in backquotes, the last two joined by `word`.
fn quoted(names: &[String], word: &str) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} {word} {last}", rest.join(", ")),
        None => String::new(),
    }
}

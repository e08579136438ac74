//! Questions in place of options, on a terminal: `server add` and `queue add` without what they
//! need lead through it.
//!
//! An answer fills in the option that it stands for, and nothing else. So what is then done is
//! what the command line does that is shown at the end, which asks nothing.

mod line;
mod queue;
mod server;

pub use line::{incoming as incoming_line, outgoing as outgoing_line, queue as queue_line};
pub use queue::queue;
pub use server::{incoming, kind, outgoing};

use super::Context;
use super::provision::typed_path;
use crate::cli::{PasswordArgs, SecretArgs};
use crate::config::{self, Config};
use crate::output::eprintln_safe;
use crate::prompt;
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The configuration that answers are checked against; an empty one before the first server.
fn known(context: &Context) -> Result<Config> {
    let path = &context.config_path;
    match path.exists() && !config::is_blank(&config::read(path)?.0) {
        true => config::load(path),
        false => config::parse("version: 1\n", path),
    }
}

/// Asks for a value, with the check of the type that it will be, and one more.
fn ask<T: FromStr<Err = String>>(
    question: &str,
    proposal: Option<&str>,
    also: impl Fn(T) -> Result<(), String>,
) -> Result<String> {
    prompt::line(question, proposal, |text| text.parse().and_then(&also))
}

/// Asks to choose one of several, each with a line that explains it.
fn choose(question: &str, choices: &[(&str, &str)], first: usize) -> Result<usize> {
    let width = choices.iter().map(|(name, _)| name.chars().count()).max();
    let width = width.unwrap_or_default();
    let lines: Vec<String> = choices
        .iter()
        .map(|(name, words)| format!("{name:width$}  {words}").trim_end().to_owned())
        .collect();
    let chosen = prompt::choice(question, &lines, first)?;
    let name = choices.get(chosen).map_or("", |(name, _)| name);
    eprintln_safe(&format!("{question}: {name}"));
    Ok(chosen)
}

/// Asks for a file that is there.
fn file(question: &str) -> Result<PathBuf> {
    let text = prompt::line(question, None, |text| {
        let path = typed_path(Path::new(text)).map_err(|e| e.to_string())?;
        match path.is_file() || path.starts_with("~") {
            true => Ok(()),
            false => Err(format!("there is no file `{}`", path.display())),
        }
    })?;
    Ok(PathBuf::from(text))
}

/// True if an option tells where the client secret comes from.
fn secret_given(args: &SecretArgs) -> bool {
    args.secret_stdin
        || args.secret_file.is_some()
        || args.secret_env.is_some()
        || args.secret_command.is_some()
        || args.secret_keyring.is_some()
        || args.secret_credential.is_some()
}

/// Asks where the password of an account comes from, unless an option says so.
fn password(args: &mut PasswordArgs, account: &str) -> Result<()> {
    let given = args.set_password
        || args.password_stdin
        || args.password_file.is_some()
        || args.password_env.is_some()
        || args.password_command.is_some()
        || args.password_keyring.is_some()
        || args.password_credential.is_some();
    if given {
        return Ok(());
    }
    let choices = [
        (
            "by hand",
            "once, with `queuemail token login`; works with a second factor",
        ),
        (
            "password",
            "asked for at the end, and kept in the configuration, which becomes private",
        ),
        ("file", "a file that holds the password, read at each use"),
    ];
    match choose(&format!("How {account} signs in"), &choices, 0)? {
        0 => {}
        1 => args.set_password = true,
        _ => args.password_file = Some(file("File of the password")?),
    }
    Ok(())
}

/// Said before the first question.
fn introduce(what: &str) {
    eprintln_safe(&format!(
        "Adding {what}.\nThe arrow keys choose; Enter takes what is marked or in [brackets]; Ctrl-C changes nothing."
    ));
}

/// Shows the command that does the same without questions.
pub fn show(line: &str) {
    eprintln_safe(&format!("\nThe same without questions:\n  {line}\n"));
}

//! What `server` and `queue` commands share: values from options or questions, secrets from
//! their sources, and how a change is told.

use super::Context;
use super::words;
use crate::cli::{PasswordArgs, SecretArgs};
use crate::config::{self, Config, SecretSource, Tree, Written};
use crate::fault::Fault;
use crate::output::escape_lines;
use crate::prompt;
use crate::secret::Secret;
use anyhow::Result;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The longest secret taken from standard input, in bytes.
const MAX_SECRET: u64 = 64 << 10;

/// Reads an option's value; a mistake names the option.
pub fn value<T: FromStr<Err = String>>(flag: &str, text: &str) -> Result<T> {
    if text.trim().is_empty() {
        return Err(Fault::usage(format!("`{flag}` must not be empty")).into());
    }
    text.trim()
        .parse()
        .map_err(|e| Fault::usage(format!("`{flag}`: {e}")).into())
}

pub fn optional<T: FromStr<Err = String>>(flag: &str, text: &Option<String>) -> Result<Option<T>> {
    text.as_deref().map(|t| value(flag, t)).transpose()
}

/// An option of `set`: absent leaves `slot` as it is, empty unsets it.
pub fn change<T: FromStr<Err = String>>(
    slot: &mut Option<T>,
    flag: &str,
    text: &Option<String>,
) -> Result<()> {
    match text.as_deref() {
        None => {}
        Some("") => *slot = None,
        Some(text) => *slot = Some(value(flag, text)?),
    }
    Ok(())
}

pub fn change_path(slot: &mut Option<PathBuf>, path: &Option<PathBuf>) -> Result<()> {
    match path {
        None => {}
        Some(p) if p.as_os_str().is_empty() => *slot = None,
        Some(p) => *slot = Some(typed_path(p)?),
    }
    Ok(())
}

/// A path typed in a shell: relative to where the shell is, while one in the file is relative
/// to the file.
pub fn typed_path(path: &Path) -> Result<PathBuf> {
    if path.starts_with("~") {
        return Ok(path.to_owned());
    }
    if path.as_os_str().is_empty() {
        return Err(Fault::usage("the name of a file is empty").into());
    }
    if path.to_str().is_none() {
        return Err(Fault::usage(format!(
            "`{}` is not UTF-8, which the configuration file must be",
            path.display()
        ))
        .into());
    }
    Ok(std::path::absolute(path)?)
}

/// A delivery typed in a shell; its path becomes absolute.
pub fn typed_target(flag: &str, text: &str) -> Result<config::Target> {
    let target: config::Target = value(flag, text)?;
    if target.as_str().contains(":~") {
        return Ok(target);
    }
    config::absolute_target(&target, &std::env::current_dir()?)
}

/// A value that a command cannot do without: from its option, else asked for.
pub struct Required<'a> {
    pub context: &'a Context,
    /// A command that would work, for the hint.
    pub example: String,
}

impl Required<'_> {
    /// `flag` is the option's name, or `NAME` for a positional value.
    pub fn value<T: FromStr<Err = String>>(
        &self,
        given: &Option<String>,
        flag: &str,
        question: &str,
        proposal: Option<&str>,
    ) -> Result<T> {
        if let Some(text) = given {
            return value(flag, text);
        }
        self.may_ask(flag)?;
        let check = |text: &str| text.parse::<T>().map(|_| ());
        value(flag, &prompt::line(question, proposal, check)?)
    }

    /// Fails unless questions may be asked.
    pub fn may_ask(&self, flag: &str) -> Result<()> {
        if self.context.may_ask {
            return Ok(());
        }
        let why = match crate::output::can_ask() {
            true => "`--no-input` forbids to ask",
            false => "there is no terminal to ask on",
        };
        Err(Fault::usage(format!("`{flag}` is needed, and {why}"))
            .hint(&self.example)
            .into())
    }
}

/// A name of the user's choice.
pub struct Name(pub String);

impl FromStr for Name {
    type Err = String;
    fn from_str(text: &str) -> Result<Name, String> {
        match config::bad_name(text) {
            Some(why) => Err(why.to_owned()),
            None => Ok(Name(text.to_owned())),
        }
    }
}

// ---- secrets ---------------------------------------------------------------------------------

/// The options that name the source of a secret.
pub struct SourceFlags {
    /// `secret` or `password`.
    what: &'static str,
    ask: bool,
    stdin: bool,
    file: Option<PathBuf>,
    env: Option<String>,
    command: Option<String>,
    keyring: Option<String>,
    credential: Option<String>,
}

impl From<&SecretArgs> for SourceFlags {
    fn from(a: &SecretArgs) -> SourceFlags {
        SourceFlags {
            what: "secret",
            ask: false,
            stdin: a.secret_stdin,
            file: a.secret_file.clone(),
            env: a.secret_env.clone(),
            command: a.secret_command.clone(),
            keyring: a.secret_keyring.clone(),
            credential: a.secret_credential.clone(),
        }
    }
}

impl From<&PasswordArgs> for SourceFlags {
    fn from(a: &PasswordArgs) -> SourceFlags {
        SourceFlags {
            what: "password",
            ask: a.set_password,
            stdin: a.password_stdin,
            file: a.password_file.clone(),
            env: a.password_env.clone(),
            command: a.password_command.clone(),
            keyring: a.password_keyring.clone(),
            credential: a.password_credential.clone(),
        }
    }
}

/// What options say of a secret.
pub enum Source {
    Absent,
    /// Given as the empty string: `set` takes the secret away.
    Unset,
    Set(SecretSource),
}

impl SourceFlags {
    pub fn is_stdin(&self) -> bool {
        self.stdin
    }

    /// The source; reads standard input or asks where that is the source.
    pub fn source(&self, required: &Required, whose: &str) -> Result<Source> {
        let what = self.what;
        let text = [
            (&self.env, "env"),
            (&self.command, "command"),
            (&self.keyring, "keyring"),
            (&self.credential, "credential"),
        ]
        .into_iter()
        .find_map(|(value, kind)| value.as_deref().map(|v| (v, kind)));
        let source = if self.stdin {
            SecretSource::Plain(self.from_stdin()?)
        } else if self.ask {
            required.may_ask(&format!("--{what}-file"))?;
            self.asked(required.context, whose)?
        } else if let Some(path) = &self.file {
            if path.as_os_str().is_empty() {
                return Ok(Source::Unset);
            }
            let path = typed_path(path)?;
            if !path.starts_with("~") && !path.exists() {
                required.context.output.warn(&format!(
                    "`{}` is not there yet; it is read at each use",
                    path.display()
                ));
            }
            SecretSource::File(path)
        } else if let Some((text, kind)) = text {
            if text.is_empty() {
                return Ok(Source::Unset);
            }
            match kind {
                "env" if !variable_name(text) => {
                    return Err(Fault::usage(format!(
                        "`--{what}-env`: not the name of an environment variable"
                    ))
                    .hint(format!(
                        "give the variable's name, like CONTOSO_{}, not its value",
                        what.to_uppercase()
                    ))
                    .into());
                }
                "env" => SecretSource::Env(text.to_owned()),
                "command" => SecretSource::Command(
                    words::split(text)
                        .map_err(|e| Fault::usage(format!("`--{what}-command`: {e}")))?,
                ),
                "keyring" => SecretSource::Keyring(text.to_owned()),
                _ => SecretSource::Credential(text.to_owned()),
            }
        } else {
            return Ok(Source::Absent);
        };
        self.warn_of_secret_id(&source, required.context);
        Ok(Source::Set(source))
    }

    /// Asks for the secret, which the file will then hold.
    pub fn asked(&self, context: &Context, whose: &str) -> Result<SecretSource> {
        let label = match self.what {
            "secret" => "Client secret (the Value column)",
            _ => "Password",
        };
        let secret = prompt::secret(&format!("{label} of {whose}"))?;
        let source = SecretSource::Plain(secret);
        self.warn_of_secret_id(&source, context);
        Ok(source)
    }

    fn from_stdin(&self) -> Result<Secret> {
        let flag = format!("`--{}-stdin`", self.what);
        let stdin = std::io::stdin();
        if stdin.is_terminal() {
            return Err(Fault::usage(format!(
                "{flag} reads a pipe or a file, and standard input is a terminal"
            ))
            .hint("leave it out to be asked, with nothing shown on the screen")
            .into());
        }
        let mut text = zeroize::Zeroizing::new(Vec::new());
        stdin.lock().take(MAX_SECRET + 1).read_to_end(&mut text)?;
        let refuse = |why: &str| Fault::usage(format!("{flag}: {why}"));
        let text = std::str::from_utf8(&text).map_err(|_| refuse("standard input is not UTF-8"))?;
        let line = text.strip_suffix('\n').unwrap_or(text);
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() {
            return Err(refuse("standard input is empty").into());
        }
        if text.len() as u64 > MAX_SECRET || line.contains(['\n', '\r', '\0']) {
            return Err(refuse("standard input must hold one line").into());
        }
        Ok(Secret::new(line))
    }

    /// The portal shows two columns; the wrong one is a GUID.
    fn warn_of_secret_id(&self, source: &SecretSource, context: &Context) {
        if let ("secret", SecretSource::Plain(secret)) = (self.what, source)
            && config::is_guid(secret.expose())
        {
            context.output.warn(
                "this secret looks like the Secret ID; the portal shows the secret itself under Value",
            );
        }
    }
}

fn variable_name(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !text.starts_with(|c: char| c.is_ascii_digit())
}

// ---- telling ---------------------------------------------------------------------------------

/// What became of the thing that a command names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Created,
    Changed,
    Unchanged,
    Removed,
}

impl Outcome {
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Created => "created",
            Outcome::Changed => "changed",
            Outcome::Unchanged => "unchanged",
            Outcome::Removed => "removed",
        }
    }
}

/// Changes the file and tells the outcome; with `dry_run` only shows what would change.
pub fn apply(
    context: &Context,
    dry_run: bool,
    names: &[(&str, &str)],
    change: impl FnOnce(&mut Config) -> Result<Outcome>,
) -> Result<()> {
    if !dry_run {
        let (outcome, written) = config::update(&context.config_path, change)?;
        return tell(context, outcome, names, written);
    }
    let (outcome, diff) = config::preview(&context.config_path, change)?;
    if context.output.json {
        let mut object = described(context, outcome, names);
        object.insert("dry_run".into(), true.into());
        object.insert("diff".into(), diff.into());
        return context.output.json(&object);
    }
    match outcome {
        Outcome::Unchanged => context.output.line(outcome.word()),
        _ => context.output.line(escape_lines(&diff).trim_end()),
    }
}

/// The outcome as JSON.
fn described(
    context: &Context,
    outcome: Outcome,
    names: &[(&str, &str)],
) -> serde_json::Map<String, serde_json::Value> {
    let mut object = serde_json::Map::new();
    object.insert("result".into(), outcome.word().into());
    for (key, value) in names {
        object.insert((*key).into(), (*value).into());
    }
    object.insert(
        "file".into(),
        context.config_path.display().to_string().into(),
    );
    object
}

/// Prints the outcome: one word, or one JSON object with `names`.
pub fn tell(
    context: &Context,
    outcome: Outcome,
    names: &[(&str, &str)],
    written: Written,
) -> Result<()> {
    let file = config::shown(&context.config_path);
    if written.new_file {
        context.output.step(&format!("made {file}"));
    }
    if written.made_private {
        context.output.warn(&format!(
            "{file} holds a secret now, so it was made private (0600)"
        ));
    }
    if !context.output.json {
        return context.output.line(outcome.word());
    }
    context.output.json(&described(context, outcome, names))
}

/// Where two definitions differ, in words that show no secret.
pub fn differences(file: &Tree, asked: &Tree) -> Vec<String> {
    let mut keys: Vec<&str> = file.entries().iter().map(|(k, _)| *k).collect();
    keys.extend(asked.entries().iter().map(|(k, _)| *k));
    let mut seen = Vec::new();
    let mut found = Vec::new();
    for key in keys {
        if seen.contains(&key) || key == "addresses" {
            continue;
        }
        seen.push(key);
        let (old, new) = (file.get(key), asked.get(key));
        if old == new {
            continue;
        }
        let words = |tree: &Tree| format!("`{}`", tree.words());
        found.push(match (old, new) {
            (Some(Tree::Secret(_)), Some(Tree::Secret(_))) => format!("another {key}"),
            (Some(old), Some(new)) => format!("{key} is {}, not {}", words(old), words(new)),
            (Some(old), None) => format!("{key} is {}, but not given here", words(old)),
            (None, Some(new)) => format!("{key} is not set, not {}", words(new)),
            (None, None) => continue,
        });
    }
    found
}

/// The refusal to overwrite what is defined differently.
pub fn different(what: &str, differences: &[String], set: &str) -> anyhow::Error {
    Fault::usage(format!(
        "{what} is there already, defined differently: {}",
        differences.join("; ")
    ))
    .hint(format!(
        "add --replace to put the new definition in its place, or change single values: {set}"
    ))
    .into()
}

/// The configuration with its paths made absolute, for comparing.
pub fn resolved(config: &Config, context: &Context) -> Result<Config> {
    let mut config = config.clone();
    config::resolve_paths(&mut config, &context.config_path)?;
    Ok(config)
}

/// The fault for a name that is not in the file.
pub fn unknown(what: &str, name: &str, known: &[&str]) -> anyhow::Error {
    let fault = Fault::usage(format!("no {what} named `{name}`"));
    let in_file = config::named(&format!("{what}s"), known);
    match config::nearest(name, known.iter().copied()) {
        Some(near) => fault.hint(format!("did you mean `{near}`? {in_file}")),
        None => fault.hint(in_file),
    }
    .into()
}

//! Secrets: the options that say where one is read from, and how it is read there, from standard
//! input or by a question. A secret itself never stands on a command line.

use super::{Person, Required, typed_path};
use crate::fault::Fault;
use crate::model::{self, Change, Given, SecretSource};
use anyhow::Result;
use clap::builder::OsStringValueParser;
use clap::{Arg, ArgAction, ArgGroup, ArgMatches, Args, Command, Error, FromArgMatches};
use std::ffi::OsString;
use std::marker::PhantomData;
use std::path::Path;

/// A secret whose source is named by a group of options, at most one of which is given.
pub trait Which: Clone + std::fmt::Debug + Default {
    /// How its options begin.
    const NAME: &'static str;
    const FLAGS: &'static [Flag];
    /// The option that has the secret read from standard input.
    const STDIN: &'static str;
    /// What is read, in the words of the help.
    const WHAT: &'static str;
    /// The same, at more length where the option for a file is described.
    const IN_FULL: &'static str = Self::WHAT;
    /// The option that has the secret asked for, with its help.
    const ASKED: Option<(&'static str, &'static str)> = None;
    /// What it is called in a question for it.
    const LABEL: &'static str = "Password";
    /// All of them are rare, and stand in the long help alone.
    const IS_RARE: bool = false;
}

/// One option that names where a secret is read from at each use.
pub struct Flag {
    name: &'static str,
    /// The kind of the source, as the file has it.
    kind: &'static str,
    value: &'static str,
    from: &'static str,
    is_rare: bool,
}

/// The options of a secret, by how they begin; a new source is a line here.
macro_rules! options {
    ($what:literal) => {
        options!($what:
            "file" "FILE" "this file at each use" false,
            "env" "VARIABLE" "this environment variable at each use" true,
            "command" "COMMAND" "this command at each use (words split as a shell does, no shell run)" false,
            "keyring" "NAME" "this entry of the system's keyring at each use" true,
            "credential" "NAME" "this systemd credential at each use" true,
        );
    };
    ($what:literal: $($kind:literal $value:literal $from:literal $is_rare:literal,)*) => {
        const NAME: &'static str = $what;
        const STDIN: &'static str = concat!($what, "-stdin");
        const FLAGS: &'static [Flag] = &[$(Flag {
            name: concat!($what, "-", $kind),
            kind: $kind,
            value: $value,
            from: $from,
            is_rare: $is_rare,
        }),*];
    };
}

#[derive(Clone, Debug, Default)]
pub struct ClientSecret;

impl Which for ClientSecret {
    options!("secret");
    const WHAT: &'static str = "the client secret";
    const LABEL: &'static str = "Client secret (the Value column)";
}

/// Of a mailbox user.
#[derive(Clone, Debug, Default)]
pub struct Password;

impl Which for Password {
    options!("password");
    const WHAT: &'static str = "the password";
    const ASKED: Option<(&'static str, &'static str)> = Some((
        "set-password",
        "Ask for the password and write it to the configuration",
    ));
}

/// Of a PFX file or an encrypted key.
#[derive(Clone, Debug, Default)]
pub struct Passphrase;

impl Which for Passphrase {
    options!("certificate-passphrase");
    const WHAT: &'static str = "the passphrase of the certificate";
    const IN_FULL: &'static str = "the passphrase of the certificate (PFX, or encrypted key)";
    const IS_RARE: bool = true;
}

/// Where a secret comes from.
#[derive(Clone, Debug, Default)]
pub struct SourceArgs<W> {
    pub given: Option<Given>,
    of: PhantomData<W>,
}

impl<W: Which> Args for SourceArgs<W> {
    fn augment_args(command: Command) -> Command {
        let mut args = Vec::new();
        let flag = |name, help: String| {
            let arg = Arg::new(name).long(name).help(help);
            arg.action(ArgAction::SetTrue).hide_short_help(W::IS_RARE)
        };
        args.extend(W::ASKED.map(|(name, help)| flag(name, help.to_owned())));
        let what = W::WHAT;
        args.push(flag(
            W::STDIN,
            format!("Read {what} from standard input and write it to the configuration"),
        ));
        args.extend(W::FLAGS.iter().map(|flag| {
            let what = match flag.kind {
                "file" => W::IN_FULL,
                _ => W::WHAT,
            };
            Arg::new(flag.name)
                .long(flag.name)
                .value_name(flag.value)
                .value_parser(OsStringValueParser::new())
                .help(format!("Read {what} from {}", flag.from))
                .hide_short_help(W::IS_RARE || flag.is_rare)
        }));
        let names: Vec<_> = args.iter().map(|arg| arg.get_id().clone()).collect();
        let group = ArgGroup::new(W::NAME).multiple(false).args(names);
        command.args(args).group(group)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<W: Which> FromArgMatches for SourceArgs<W> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let is_set = |name: &str| matches.get_flag(name);
        let given = if W::ASKED.is_some_and(|(name, _)| is_set(name)) {
            Some(Given::Asked)
        } else if is_set(W::STDIN) {
            Some(Given::Stdin)
        } else {
            W::FLAGS.iter().find_map(|flag| {
                let text = matches.get_one::<OsString>(flag.name)?;
                Some(Given::source(flag.kind, text))
            })
        };
        Ok(SourceArgs {
            given,
            of: PhantomData,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl<W: Which> SourceArgs<W> {
    /// Where nothing is said.
    pub const NONE: SourceArgs<W> = SourceArgs {
        given: None,
        of: PhantomData,
    };

    /// The source, if the command says something of it; reads standard input or asks where that is
    /// the source. `whose` is told in a question.
    pub fn source(
        &self,
        whose: &str,
        required: &Required<'_>,
    ) -> Result<Option<Change<SecretSource>>> {
        let (what, person) = (W::NAME, required.person);
        let source = match &self.given {
            None => return Ok(None),
            Some(Given::Asked) => {
                return self.asked(whose, required).map(Change::Set).map(Some);
            }
            Some(Given::Stdin) => SecretSource::Plain(person.piped(&format!("--{what}-stdin"))?),
            Some(Given::Source { text, .. }) if text.is_empty() => return Ok(Some(Change::Unset)),
            Some(Given::Source { kind: "file", text }) => {
                let path = typed_path(Path::new(text))?;
                if !path.starts_with("~") && !path.exists() {
                    person.warn(&format!(
                        "`{}` does not exist yet; queuemail reads it at each use",
                        path.display()
                    ));
                }
                SecretSource::File(path)
            }
            Some(Given::Source { kind, text }) => {
                let text = text.to_str().ok_or_else(|| {
                    Fault::usage(format!("`--{what}-{kind}`: its value is not UTF-8"))
                })?;
                of_text(what, kind, text)?
            }
        };
        warn_of_secret_id(what, &source, person);
        Ok(Some(Change::Set(source)))
    }

    /// Asks for the secret, which the file will then hold.
    pub fn asked(&self, whose: &str, required: &Required<'_>) -> Result<SecretSource> {
        required.may_ask(&format!("--{}-file", W::NAME))?;
        let question = format!("{} of {whose}", W::LABEL);
        let source = SecretSource::Plain(required.person.secret(&question)?);
        warn_of_secret_id(W::NAME, &source, required.person);
        Ok(source)
    }
}

/// The portal shows two columns; the wrong one is a GUID.
fn warn_of_secret_id(what: &str, source: &SecretSource, person: &dyn Person) {
    if let ("secret", SecretSource::Plain(secret)) = (what, source)
        && model::is_guid(secret.expose())
    {
        person.warn(
            "this secret looks like the Secret ID; the portal shows the secret itself under Value",
        );
    }
}

fn of_text(what: &str, kind: &str, text: &str) -> Result<SecretSource> {
    if kind == "env" && !is_variable(text) {
        return Err(Fault::usage(format!(
            "`--{what}-env`: not the name of an environment variable"
        ))
        .hint(format!(
            "use the variable's name, like CONTOSO_{}, not its value",
            what.to_uppercase().replace('-', "_")
        ))
        .into());
    }
    SecretSource::of(kind, text)
        .map_err(|why| Fault::usage(format!("`--{what}-{kind}`: {why}")).into())
}

pub fn is_variable(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !text.starts_with(|c: char| c.is_ascii_digit())
}

/// Refuses two secrets to be read from the one standard input.
pub fn one_stdin(secrets: &[(&str, &Option<Given>)]) -> Result<()> {
    let read: Vec<&str> = secrets
        .iter()
        .filter_map(|(what, given)| (**given == Some(Given::Stdin)).then_some(*what))
        .collect();
    match read[..] {
        [first, second, ..] => Err(Fault::usage(format!(
            "standard input cannot be both `--{first}-stdin` and `--{second}-stdin`"
        ))
        .into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_of_a_secret_has_its_option() {
        for flags in [ClientSecret::FLAGS, Password::FLAGS, Passphrase::FLAGS] {
            let kinds: Vec<&str> = flags.iter().map(|flag| flag.kind).collect();
            assert_eq!(kinds, SecretSource::KINDS);
        }
        for kind in SecretSource::KINDS {
            assert!(SecretSource::of(kind, "word").is_ok(), "{kind}");
        }
    }
}

//! Where secrets come from; never the secrets themselves.

use super::typed::{change, change_path};
use crate::model::{Change, Day, Given, ManagedIdentity};
use clap::builder::{OsStringValueParser, PossibleValuesParser, TypedValueParser};
use clap::{Arg, ArgAction, ArgGroup, ArgMatches, Args, Command, Error, FromArgMatches};
use std::ffi::OsString;
use std::marker::PhantomData;
use std::path::PathBuf;

/// A secret whose source is named by a group of options, at most one of which is given.
pub trait Which: Clone + std::fmt::Debug + Default {
    const GROUP: &'static str;
    const FLAGS: &'static [Flag];
    /// What is read, in the words of the help.
    const WHAT: &'static str;
    /// The same, at more length where the option for a file is described.
    const IN_FULL: &'static str = Self::WHAT;
    /// The option that has the secret asked for, with its help.
    const ASKED: Option<(&'static str, &'static str)> = None;
    /// The option that has the secret read from standard input.
    const STDIN: &'static str;
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

/// The sources of a secret: a new one is a line here.
macro_rules! flags {
    ($what:literal) => {
        flags!($what:
            "file" "FILE" "this file at each use" false,
            "env" "VARIABLE" "this environment variable at each use" true,
            "command" "COMMAND" "this command at each use (words split as a shell does, no shell run)" false,
            "keyring" "NAME" "this entry of the system's keyring at each use" true,
            "credential" "NAME" "this systemd credential at each use" true,
        )
    };
    ($what:literal: $($kind:literal $value:literal $from:literal $is_rare:literal,)*) => {
        &[$(Flag {
            name: concat!($what, "-", $kind),
            kind: $kind,
            value: $value,
            from: $from,
            is_rare: $is_rare,
        }),*]
    };
}

#[derive(Clone, Debug, Default)]
pub struct ClientSecret;

impl Which for ClientSecret {
    const GROUP: &'static str = "SecretArgs";
    const FLAGS: &'static [Flag] = flags!("secret");
    const WHAT: &'static str = "the client secret";
    const STDIN: &'static str = "secret-stdin";
}

/// Of a mailbox user.
#[derive(Clone, Debug, Default)]
pub struct Password;

impl Which for Password {
    const GROUP: &'static str = "PasswordArgs";
    const FLAGS: &'static [Flag] = flags!("password");
    const WHAT: &'static str = "the password";
    const ASKED: Option<(&'static str, &'static str)> = Some((
        "set-password",
        "Ask for the password and write it to the configuration",
    ));
    const STDIN: &'static str = "password-stdin";
}

/// Of a PFX file or an encrypted key.
#[derive(Clone, Debug, Default)]
pub struct Passphrase;

impl Which for Passphrase {
    const GROUP: &'static str = "PassphraseArgs";
    const FLAGS: &'static [Flag] = flags!("certificate-passphrase");
    const WHAT: &'static str = "the passphrase of the certificate";
    const IN_FULL: &'static str = "the passphrase of the certificate (PFX, or encrypted key)";
    const STDIN: &'static str = "certificate-passphrase-stdin";
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
        let group = ArgGroup::new(W::GROUP).multiple(false).args(names);
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

/// What an oauth-service server uses instead of a client secret.
#[derive(Args, Clone, Debug, Default)]
pub struct CredentialArgs {
    /// The day on which the client secret expires (YYYY-MM-DD), to be warned 30 days before
    #[arg(long, value_name = "DATE", value_parser = change::<Day>())]
    pub secret_expires: Option<Change<Day>>,
    /// Certificate registered with the app, instead of a secret: PEM, or PFX with its key
    #[arg(long, value_name = "FILE", value_parser = change_path())]
    pub certificate: Option<Change<PathBuf>>,
    /// Private key of the certificate (PEM), if it is in a separate file
    #[arg(long, value_name = "PEM", value_parser = change_path())]
    pub private_key: Option<Change<PathBuf>>,
    #[command(flatten)]
    pub passphrase: SourceArgs<Passphrase>,
    /// File with a token of another identity provider (workload identity federation)
    #[arg(long, value_name = "FILE", value_parser = change_path(), hide_short_help = true)]
    pub federated_token_file: Option<Change<PathBuf>>,
    /// Environment variable with the name of such a file, like AZURE_FEDERATED_TOKEN_FILE
    #[arg(long, value_name = "VARIABLE", hide_short_help = true)]
    pub federated_token_env_file: Option<String>,
    /// Read such a token from this command at each use (words split as a shell does, no shell run)
    #[arg(
        long,
        value_name = "COMMAND",
        hide_short_help = true,
        conflicts_with = "federated_token_env_file"
    )]
    pub federated_token_command: Option<String>,
    /// Use a managed identity of this Azure host: the user-assigned one whose client
    /// ID is given, or (system) the host's own
    #[arg(long, value_name = "KIND", hide_short_help = true, num_args = 0..=1,
          require_equals = true, default_missing_value = "user",
          value_parser = identity())]
    pub managed_identity: Option<ManagedIdentity>,
}

/// Which of an Azure host's identities.
fn identity() -> impl TypedValueParser<Value = ManagedIdentity> {
    PossibleValuesParser::new(["user", "system"]).map(|word| match &*word {
        "system" => ManagedIdentity::System,
        _ => ManagedIdentity::User,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SecretSource;

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

//! Where secrets come from; never the secrets themselves.

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Where the client secret comes from; never the secret itself.
#[derive(Args, Clone, Debug, Default)]
#[group(multiple = false)]
pub struct SecretArgs {
    /// Read the client secret from standard input and keep it in the configuration
    #[arg(long)]
    pub secret_stdin: bool,
    /// Read the client secret from this file at each use
    #[arg(long, value_name = "FILE", value_parser = path_or_empty())]
    pub secret_file: Option<PathBuf>,
    /// Read the client secret from this environment variable at each use
    #[arg(long, value_name = "VARIABLE", hide_short_help = true)]
    pub secret_env: Option<String>,
    /// Read the client secret from this command at each use (words split as a shell does, no shell run)
    #[arg(long, value_name = "COMMAND")]
    pub secret_command: Option<String>,
    /// Read the client secret from this entry of the system's keyring at each use
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    pub secret_keyring: Option<String>,
    /// Read the client secret from this systemd credential at each use
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    pub secret_credential: Option<String>,
}

/// Where a mailbox user's password comes from; never the password itself.
#[derive(Args, Clone, Debug, Default)]
#[group(multiple = false)]
pub struct PasswordArgs {
    /// Ask for the password and keep it in the configuration
    #[arg(long)]
    pub set_password: bool,
    /// Read the password from standard input and keep it in the configuration
    #[arg(long)]
    pub password_stdin: bool,
    /// Read the password from this file at each use
    #[arg(long, value_name = "FILE", value_parser = path_or_empty())]
    pub password_file: Option<PathBuf>,
    /// Read the password from this environment variable at each use
    #[arg(long, value_name = "VARIABLE", hide_short_help = true)]
    pub password_env: Option<String>,
    /// Read the password from this command at each use (words split as a shell does, no shell run)
    #[arg(long, value_name = "COMMAND")]
    pub password_command: Option<String>,
    /// Read the password from this entry of the system's keyring at each use
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    pub password_keyring: Option<String>,
    /// Read the password from this systemd credential at each use
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    pub password_credential: Option<String>,
}

/// What an OAuth Service server uses in place of a client secret.
#[derive(Args, Clone, Debug, Default)]
pub struct CredentialArgs {
    /// The day on which the client secret expires (YYYY-MM-DD), to be warned 30 days before
    #[arg(long, value_name = "DATE")]
    pub secret_expires: Option<String>,
    /// Certificate registered with the app, instead of a secret: PEM, or PFX with its key
    #[arg(long, value_name = "FILE", value_parser = path_or_empty())]
    pub certificate: Option<PathBuf>,
    /// Private key of the certificate (PEM), where it is in a file of its own
    #[arg(long, value_name = "PEM", value_parser = path_or_empty())]
    pub private_key: Option<PathBuf>,
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
    /// File with a token of another identity provider (workload identity federation)
    #[arg(long, value_name = "FILE", value_parser = path_or_empty(), hide_short_help = true)]
    pub federated_token_file: Option<PathBuf>,
    /// Environment variable that holds the name of such a file, like AZURE_FEDERATED_TOKEN_FILE
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
    /// Use a managed identity of the Azure host that we run on: the user-assigned one whose client
    /// ID is given, or (system) the host's own
    #[arg(long, value_name = "KIND", hide_short_help = true, num_args = 0..=1,
          require_equals = true, default_missing_value = "user")]
    pub managed_identity: Option<IdentityArg>,
}

impl CredentialArgs {
    /// True if something here stands for the secret.
    pub fn replaces_secret(&self) -> bool {
        let path = |p: &Option<PathBuf>| p.as_ref().is_some_and(|p| !p.as_os_str().is_empty());
        let text = |t: &Option<String>| t.as_ref().is_some_and(|t| !t.is_empty());
        path(&self.certificate)
            || path(&self.federated_token_file)
            || text(&self.federated_token_env_file)
            || text(&self.federated_token_command)
            || self.managed_identity.is_some()
    }
}

/// Which of an Azure host's identities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum IdentityArg {
    User,
    System,
}

/// Where the passphrase of a PFX file or an encrypted key comes from; never the passphrase itself.
#[derive(Args, Clone, Debug, Default)]
#[group(multiple = false)]
pub struct PassphraseArgs {
    /// Read the passphrase of the certificate from standard input and keep it in the configuration
    #[arg(long, hide_short_help = true)]
    pub certificate_passphrase_stdin: bool,
    /// Read the passphrase of the certificate (PFX, or encrypted key) from this file at each use
    #[arg(long, value_name = "FILE", value_parser = path_or_empty(), hide_short_help = true)]
    pub certificate_passphrase_file: Option<PathBuf>,
    /// Read the passphrase of the certificate from this environment variable at each use
    #[arg(long, value_name = "VARIABLE", hide_short_help = true)]
    pub certificate_passphrase_env: Option<String>,
    /// Read the passphrase of the certificate from this command at each use (words split as a shell does, no shell run)
    #[arg(long, value_name = "COMMAND", hide_short_help = true)]
    pub certificate_passphrase_command: Option<String>,
    /// Read the passphrase of the certificate from this entry of the system's keyring at each use
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    pub certificate_passphrase_keyring: Option<String>,
    /// Read the passphrase of the certificate from this systemd credential at each use
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    pub certificate_passphrase_credential: Option<String>,
}

/// A path, or the empty string, by which `set` takes a key away.
pub(super) fn path_or_empty() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

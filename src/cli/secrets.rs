//! Where secrets come from; never the secrets themselves.

use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};
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
    /// Run this command (words split as a shell does, no shell run) at each use
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
    /// Run this command (words split as a shell does, no shell run) at each use
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
    /// Certificate registered with the app (PEM), instead of a secret
    #[arg(long, value_name = "PEM", requires = "private_key", value_parser = path_or_empty())]
    pub certificate: Option<PathBuf>,
    /// Private key of the certificate (PEM, PKCS #8)
    #[arg(long, value_name = "PEM", requires = "certificate", value_parser = path_or_empty())]
    pub private_key: Option<PathBuf>,
    /// File with a token of another identity provider (workload identity federation)
    #[arg(long, value_name = "FILE", value_parser = path_or_empty(), hide_short_help = true)]
    pub federated_token_file: Option<PathBuf>,
    /// Use the managed identity of the Azure host that we run on
    #[arg(long, hide_short_help = true)]
    pub managed_identity: bool,
}

/// A path, or the empty string, by which `set` takes a key away.
pub(super) fn path_or_empty() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

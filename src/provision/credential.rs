//! What an app proves itself with, as options say it.

use super::options::{Options, shown};
use super::put_path;
use super::secret::{ClientSecret, Passphrase, SourceArgs, is_variable};
use super::typed::{change, change_path};
use crate::fault::Fault;
use crate::model::{self, Change, CredentialsMut, Day, FederatedToken, ManagedIdentity};
use anyhow::Result;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use std::path::PathBuf;

/// What an oauth-service server proves its app with.
#[derive(Args, Clone, Debug, Default)]
pub struct Credential {
    #[command(flatten)]
    pub secret: SourceArgs<ClientSecret>,
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

impl Credential {
    /// True if something here stands for the secret.
    pub fn replaces_secret(&self) -> bool {
        let path = |change: &Option<Change<PathBuf>>| matches!(change, Some(Change::Set(_)));
        let text = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        path(&self.certificate)
            || path(&self.federated_token_file)
            || text(&self.federated_token_env_file)
            || text(&self.federated_token_command)
            || self.managed_identity.is_some()
    }

    /// Puts into a server's entry what is said. Secrets are not among it.
    pub fn put(&self, slots: &mut CredentialsMut<'_>) -> Result<()> {
        model::put(&self.secret_expires, slots.secret_expires);
        put_path(&self.certificate, slots.certificate)?;
        put_path(&self.private_key, slots.private_key)?;
        put_path(&self.federated_token_file, slots.federated_token_file)?;
        if let Some(name) = &self.federated_token_env_file {
            if !is_variable(name) {
                return Err(Fault::usage(
                    "`--federated-token-env-file`: not the name of an environment variable",
                )
                .into());
            }
            *slots.federated_token =
                (!name.is_empty()).then(|| FederatedToken::EnvFile(name.to_owned()));
        }
        if let Some(command) = &self.federated_token_command {
            *slots.federated_token = match command.as_str() {
                "" => None,
                text => Some(FederatedToken::Command(
                    model::command_words(text)
                        .map_err(|e| Fault::usage(format!("`--federated-token-command`: {e}")))?,
                )),
            };
        }
        if let Some(identity) = self.managed_identity {
            *slots.managed_identity = identity;
        }
        Ok(())
    }

    pub fn options(&self) -> Options {
        let identity = self.managed_identity;
        Options::default()
            .secret(&self.secret)
            .value("--secret-expires", &self.secret_expires)
            .value("--certificate", &shown(&self.certificate))
            .value("--private-key", &shown(&self.private_key))
            .secret(&self.passphrase)
            .value("--federated-token-file", &shown(&self.federated_token_file))
            .value("--federated-token-env-file", &self.federated_token_env_file)
            .value("--federated-token-command", &self.federated_token_command)
            .flag(
                "--managed-identity",
                identity == Some(ManagedIdentity::User),
            )
            .flag(
                "--managed-identity=system",
                identity == Some(ManagedIdentity::System),
            )
    }
}

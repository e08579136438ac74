//! What an app proves itself with, as a command gives it.

use super::secret::{Wanted, is_variable, wanted_secret};
use super::{Required, put_path};
use crate::fault::Fault;
use crate::model::{
    self, Change, CredentialsMut, Day, FederatedToken, Given, ManagedIdentity, SecretSource,
};
use anyhow::Result;
use std::path::PathBuf;

/// All but the secret itself.
#[derive(Clone, Debug, Default)]
pub struct Credential {
    pub secret_expires: Option<Change<Day>>,
    pub certificate: Option<Change<PathBuf>>,
    pub private_key: Option<Change<PathBuf>>,
    pub passphrase: Option<Given>,
    pub federated_token_file: Option<Change<PathBuf>>,
    /// An environment variable's name; empty to take it away.
    pub federated_token_env_file: Option<String>,
    /// A command in one text; empty to take it away.
    pub federated_token_command: Option<String>,
    pub managed_identity: Option<ManagedIdentity>,
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

    /// Puts into a server's entry what is given. The secret itself is not among it.
    pub fn put(
        &self,
        slots: &mut CredentialsMut<'_>,
        passphrase: &Option<Change<SecretSource>>,
    ) -> Result<()> {
        model::put(&self.secret_expires, slots.secret_expires);
        put_path(&self.certificate, slots.certificate)?;
        put_path(&self.private_key, slots.private_key)?;
        model::put(passphrase, slots.certificate_passphrase);
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

    /// Puts it and the secret into a new server's entry; the secret is asked for where one
    /// `is_needed` and nothing here stands for it. All else is checked before.
    pub fn put_with_secret(
        &self,
        slots: &mut CredentialsMut<'_>,
        secret: &Option<Given>,
        is_needed: bool,
        whose: &str,
        required: &Required<'_>,
    ) -> Result<()> {
        self.put(slots, &None)?;
        let wanted = |what, given| Wanted { what, given, whose };
        let passphrase = wanted("certificate-passphrase", &self.passphrase).source(required)?;
        model::put(&passphrase, slots.certificate_passphrase);
        let is_needed = is_needed && !self.replaces_secret();
        *slots.secret = wanted_secret(&wanted("secret", secret), is_needed, required)?;
        Ok(())
    }

    /// The same in a server that is there: it has one credential, so a new one takes the place of
    /// the old one.
    pub fn replace(
        &self,
        mut slots: CredentialsMut<'_>,
        secret: &Option<Change<SecretSource>>,
        passphrase: &Option<Change<SecretSource>>,
    ) -> Result<()> {
        if matches!(secret, Some(Change::Set(_))) || self.replaces_secret() {
            slots.clear();
        }
        model::put(secret, slots.secret);
        self.put(&mut slots, passphrase)
    }
}

/// Refuses two secrets, each with the name of its options, to be read from the one standard input.
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

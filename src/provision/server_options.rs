//! What is said of a server, by the options of `server add` and `server set`.

use super::options::{Options, shown};
use super::secret::{Password, SourceArgs, one_stdin};
use super::typed::{change, change_path, change_text};
use super::{Credential, Required};
use crate::model::{Authentication, Change, ClientId, CredentialsMut, HttpsUrl, SecretSource, put};
use anyhow::Result;
use clap::Args;
use std::path::PathBuf;

/// What both kinds of server have.
#[derive(Args, Clone, Debug, Default)]
pub struct OfServer {
    /// Sign in as the app (oauth-service) or as a person (oauth-user)
    #[arg(long = "auth", value_name = "TYPE")]
    pub authentication: Option<Authentication>,
    /// Application (client) ID of the app registration
    #[arg(long, value_name = "ID", value_parser = change::<ClientId>())]
    pub client_id: Option<Change<ClientId>>,
    #[command(flatten)]
    pub credential: Credential,
    /// Graph service root, if not the default of the cloud
    #[arg(long, hide_short_help = true, value_name = "URL", value_parser = change::<HttpsUrl>())]
    pub graph: Option<Change<HttpsUrl>>,
    /// OAuth scope, if not the default of the cloud
    #[arg(long, hide_short_help = true, value_name = "SCOPE", value_parser = change_text())]
    pub scope: Option<Change<String>>,
    /// PEM file of authorities to trust in addition to the system's
    #[arg(long, hide_short_help = true, value_name = "PEM", value_parser = change_path())]
    pub ca_file: Option<Change<PathBuf>>,
}

/// What is said of the secrets of a server, read from where it is said to be.
#[derive(Default)]
pub struct Secrets {
    secret: Option<Change<SecretSource>>,
    passphrase: Option<Change<SecretSource>>,
    pub password: Option<Change<SecretSource>>,
}

impl OfServer {
    pub fn options(&self) -> Options {
        Options::default()
            .value("--auth", &self.authentication)
            .change("--client-id", &self.client_id)
            .and(self.credential.options())
            .change("--graph", &self.graph)
            .change("--scope", &self.scope)
            .change("--ca-file", &shown(&self.ca_file))
    }

    /// The secrets; the client secret is asked for where one `is_needed` and nothing else is said.
    pub fn secrets(
        &self,
        password: &SourceArgs<Password>,
        is_needed: bool,
        whose: &str,
        required: &Required<'_>,
    ) -> Result<Secrets> {
        let (secret, passphrase) = (&self.credential.secret, &self.credential.passphrase);
        one_stdin(&[
            ("secret", &secret.given),
            ("certificate-passphrase", &passphrase.given),
            ("password", &password.given),
        ])?;
        let is_needed = is_needed && !self.credential.replaces_secret();
        Ok(Secrets {
            passphrase: passphrase.source(whose, required)?,
            secret: match secret.source(whose, required)? {
                None | Some(Change::Unset) if is_needed => {
                    Some(Change::Set(secret.asked(whose, required)?))
                }
                source => source,
            },
            password: password.source(whose, required)?,
        })
    }
}

impl Secrets {
    /// Puts them into an entry.
    pub fn put(&self, slots: &mut CredentialsMut<'_>) {
        put(&self.secret, slots.secret);
        put(&self.passphrase, slots.certificate_passphrase);
    }

    /// An entry has one credential: takes the old one away where a new one is said.
    pub fn make_room(&self, said: &Credential, slots: &mut CredentialsMut<'_>) {
        if matches!(self.secret, Some(Change::Set(_))) || said.replaces_secret() {
            slots.clear();
        }
    }
}

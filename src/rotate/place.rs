//! Where the credential of a server is, and how another one takes its place.

use super::caller::Caller;
use super::credential::Credential;
use crate::fault::Fault;
use crate::files;
use crate::model::SecretSource;
use crate::office::{CredentialSource, Registration};
use crate::secret::Secret;
use crate::shell;
use crate::x509::Files;
use anyhow::Result;
use std::path::Path;
use std::sync::Arc;
use zeroize::Zeroizing;

/// A place that another credential can be put in.
pub struct Place<'a> {
    /// The server whose entry names it.
    server: &'a str,
    form: Form<'a>,
}

enum Form<'a> {
    SecretFile(&'a Path),
    /// In the configuration itself.
    SecretThere(Secret),
    Certificate(Own<'a>),
}

/// The files of a certificate, with the passphrase that opens them.
struct Own<'a> {
    certificate: &'a Path,
    private_key: Option<&'a Path>,
    passphrase: Option<Secret>,
}

impl Own<'_> {
    fn files(&self) -> Files<'_> {
        Files {
            certificate: self.certificate,
            private_key: self.private_key,
            passphrase: self.passphrase.as_ref(),
        }
    }
}

impl<'a> Place<'a> {
    /// The place of the credential that a registration signs in with.
    ///
    /// # Errors
    /// `Config` where nothing can be put there, with the remedy; those of a passphrase.
    pub fn of(registration: &Registration<'a>) -> Result<Place<'a>> {
        let server = registration.app_server;
        let form = match &registration.credential {
            CredentialSource::Secret(source) => match *source {
                SecretSource::File(path) => Form::SecretFile(path),
                SecretSource::Plain(secret) => Form::SecretThere(secret.clone()),
                source => return Err(read_only(server, source).into()),
            },
            CredentialSource::Certificate {
                certificate,
                private_key,
                passphrase,
            } => Form::Certificate(Own {
                certificate,
                private_key: *private_key,
                passphrase: passphrase
                    .map(|source| {
                        source.resolve(&format!(
                            "the passphrase of the certificate of server `{server}`"
                        ))
                    })
                    .transpose()?,
            }),
            CredentialSource::FederatedToken(_) | CredentialSource::ManagedIdentity { .. } => {
                return Err(Fault::config(format!(
                    "server `{server}` has no secret or certificate: the host or another identity provider vouches for it, and renews that itself"
                ))
                .into());
            }
            CredentialSource::None => {
                return Err(Fault::config(format!(
                    "server `{server}` has no secret or certificate to renew"
                ))
                .into());
            }
        };
        Ok(Place { server, form })
    }

    /// `secret` or `certificate`.
    pub fn kind(&self) -> &'static str {
        match self.form {
            Form::Certificate(_) => "certificate",
            _ => "secret",
        }
    }

    /// What the state knows it by: absolute, for another run may start elsewhere.
    pub fn name(&self) -> String {
        let file = |path: &Path| {
            let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
            path.display().to_string()
        };
        match &self.form {
            Form::SecretFile(path) => file(path),
            Form::Certificate(own) => file(own.certificate),
            Form::SecretThere(_) => format!("config {}", self.server),
        }
    }

    /// For people.
    pub fn words(&self) -> String {
        match &self.form {
            Form::SecretThere(_) => "the configuration".to_owned(),
            _ => format!("`{}`", self.name()),
        }
    }

    /// The credential that is there.
    ///
    /// # Errors
    /// As when signing in with it.
    pub fn present(&self) -> Result<Credential> {
        match &self.form {
            Form::SecretFile(path) => {
                let source = SecretSource::File(path.to_path_buf());
                let whose = format!("the secret of server `{}`", self.server);
                source.resolve(&whose).map(Credential::Secret)
            }
            Form::SecretThere(secret) => Ok(Credential::Secret(secret.clone())),
            Form::Certificate(own) => Ok(Credential::Certificate(Arc::new(own.files().read()?))),
        }
    }

    /// Makes sure that another credential can be put there, as far as can be known before.
    ///
    /// # Errors
    /// `CannotWrite` or `Config`.
    pub fn check(&self, caller: &dyn Caller) -> Result<()> {
        match &self.form {
            Form::SecretFile(path) => files::check_replaceable(path),
            Form::SecretThere(_) => files::check_replaceable(caller.configuration()),
            Form::Certificate(own) => own.files().check(),
        }
    }

    /// Puts a credential there, durably and in one step. The same again does no harm.
    ///
    /// # Errors
    /// `CannotWrite` or `Config`.
    pub fn put(&mut self, new: &Credential, caller: &dyn Caller) -> Result<()> {
        match (&mut self.form, new) {
            (Form::SecretFile(path), Credential::Secret(secret)) => {
                let line = Zeroizing::new(format!("{}\n", secret.expose()).into_bytes());
                files::rewrite(path, &line)
            }
            (Form::SecretThere(there), Credential::Secret(secret)) => {
                caller.write_secret(self.server, secret)?;
                *there = secret.clone();
                Ok(())
            }
            (Form::Certificate(own), Credential::Certificate(identity)) => {
                own.files().put(identity)
            }
            _ => Err(Fault::config(format!(
                "server `{}` has another kind of credential than when the renewal began",
                self.server
            ))
            .into()),
        }
    }
}

/// A secret that comes from where queuemail only reads.
fn read_only(server: &str, source: &SecretSource) -> Fault {
    let from = source.words();
    let quoted = shell::quote(server);
    Fault::config(format!(
        "the secret of server `{server}` comes from {from}, which queuemail can read and not write"
    ))
    .hint(format!(
        "put the secret into a file of its own that only this user can read, then: queuemail server set {quoted} --secret-file FILE && queuemail server rotate {quoted}"
    ))
    .hint("or renew it where it is kept, by the program that keeps it")
}

//! What an app registration proves itself with, as the entries of both kinds of server have it.

use super::config::{IncomingServer, OutgoingServer};
use super::credential::{FederatedToken, ManagedIdentity};
use super::secret_source::SecretSource;
use super::values::Day;
use std::path::{Path, PathBuf};

/// All that a server's entry has to prove an app with.
#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    pub secret: Option<&'a SecretSource>,
    pub secret_expires: Option<Day>,
    pub certificate: Option<&'a Path>,
    pub private_key: Option<&'a Path>,
    pub certificate_passphrase: Option<&'a SecretSource>,
    pub federated_token: Option<&'a FederatedToken>,
    pub federated_token_file: Option<&'a Path>,
    pub managed_identity: ManagedIdentity,
}

/// The same of either kind of server, to change.
pub struct CredentialsMut<'a> {
    pub secret: &'a mut Option<SecretSource>,
    pub secret_expires: &'a mut Option<Day>,
    pub certificate: &'a mut Option<PathBuf>,
    pub private_key: &'a mut Option<PathBuf>,
    pub certificate_passphrase: &'a mut Option<SecretSource>,
    pub federated_token: &'a mut Option<FederatedToken>,
    pub federated_token_file: &'a mut Option<PathBuf>,
    pub managed_identity: &'a mut ManagedIdentity,
}

macro_rules! credentials_of {
    ($($server:ident)*) => {$(
        impl $server {
            pub fn credentials(&self) -> Credentials<'_> {
                Credentials {
                    secret: self.secret.as_ref(),
                    secret_expires: self.secret_expires,
                    certificate: self.certificate.as_deref(),
                    private_key: self.private_key.as_deref(),
                    certificate_passphrase: self.certificate_passphrase.as_ref(),
                    federated_token: self.federated_token.as_ref(),
                    federated_token_file: self.federated_token_file.as_deref(),
                    managed_identity: self.managed_identity,
                }
            }

            pub fn credentials_mut(&mut self) -> CredentialsMut<'_> {
                CredentialsMut {
                    secret: &mut self.secret,
                    secret_expires: &mut self.secret_expires,
                    certificate: &mut self.certificate,
                    private_key: &mut self.private_key,
                    certificate_passphrase: &mut self.certificate_passphrase,
                    federated_token: &mut self.federated_token,
                    federated_token_file: &mut self.federated_token_file,
                    managed_identity: &mut self.managed_identity,
                }
            }
        }
    )*};
}

credentials_of!(IncomingServer OutgoingServer);

impl CredentialsMut<'_> {
    /// Takes everything away, for another credential.
    pub fn clear(&mut self) {
        *self.secret = None;
        *self.secret_expires = None;
        *self.certificate = None;
        *self.private_key = None;
        *self.certificate_passphrase = None;
        *self.federated_token = None;
        *self.federated_token_file = None;
        *self.managed_identity = ManagedIdentity::No;
    }
}

//! What the entries of both kinds of server have in common.

use super::config::{Config, IncomingServer, OutgoingServer};
use super::credential::{FederatedToken, ManagedIdentity};
use super::secret_source::SecretSource;
use super::values::Day;
use std::path::PathBuf;

/// The entry of a server, of either kind.
pub trait Server: Clone {
    /// `incoming` or `outgoing`.
    const KIND: &'static str;

    /// Those of a configuration.
    fn all(config: &mut Config) -> &mut Vec<Self>;

    fn name(&self) -> &str;

    fn credentials_mut(&mut self) -> CredentialsMut<'_>;
}

macro_rules! credentials {
    ($($key:ident: $kind:ty,)*) => {
        /// All that a server's entry has to prove an app with.
        #[derive(Clone, Copy)]
        pub struct Credentials<'a> {
            $(pub $key: &'a $kind,)*
        }

        /// The same, to change.
        pub struct CredentialsMut<'a> {
            $(pub $key: &'a mut $kind,)*
        }

        impl CredentialsMut<'_> {
            /// Takes everything away, for another credential.
            pub fn clear(&mut self) {
                $(*self.$key = Default::default();)*
            }
        }

        credentials!(@of IncomingServer, "incoming", incoming_servers: $($key)*);
        credentials!(@of OutgoingServer, "outgoing", outgoing_servers: $($key)*);
    };
    (@of $server:ident, $kind:literal, $all:ident: $($key:ident)*) => {
        impl $server {
            pub fn credentials(&self) -> Credentials<'_> {
                Credentials { $($key: &self.$key,)* }
            }
        }

        impl Server for $server {
            const KIND: &'static str = $kind;

            fn all(config: &mut Config) -> &mut Vec<$server> {
                &mut config.$all
            }

            fn name(&self) -> &str {
                &self.name
            }

            fn credentials_mut(&mut self) -> CredentialsMut<'_> {
                CredentialsMut { $($key: &mut self.$key,)* }
            }
        }
    };
}

credentials! {
    secret: Option<SecretSource>,
    secret_expires: Option<Day>,
    certificate: Option<PathBuf>,
    private_key: Option<PathBuf>,
    certificate_passphrase: Option<SecretSource>,
    federated_token: Option<FederatedToken>,
    federated_token_file: Option<PathBuf>,
    managed_identity: ManagedIdentity,
}

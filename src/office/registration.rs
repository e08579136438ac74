//! Which app registration signs in, at which authority, with what.

use crate::fault::{Fault, Proof, Scene};
use crate::model::{
    App, Authentication, Authority, ClientId, Cloud, Credentials, FederatedToken, IncomingServer,
    ManagedIdentity, OauthEndpoint, OutgoingServer, SecretSource,
};
use crate::shell;
use std::path::Path;

/// What stands for a client, as the file has it.
#[derive(Clone, Debug, PartialEq)]
pub enum CredentialSource<'a> {
    /// A public client.
    None,
    Secret(&'a SecretSource),
    Certificate {
        certificate: &'a Path,
        /// Where it is not in the certificate's own file.
        private_key: Option<&'a Path>,
        passphrase: Option<&'a SecretSource>,
    },
    FederatedToken(FederatedToken),
    ManagedIdentity {
        /// The host's own, and not the one that the client ID names.
        system: bool,
    },
}

/// An app registration, seen from the server that signs in with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Registration<'a> {
    /// The configured server's name, for messages.
    pub server: &'a str,
    /// It is an outgoing server.
    pub is_outgoing: bool,
    /// The server whose entry holds the client ID and the credential: itself, or its `app`.
    pub app_server: &'a str,
    pub authority: Authority,
    pub authentication: Authentication,
    pub client_id: &'a ClientId,
    pub credential: CredentialSource<'a>,
    /// Replaces the cloud's own scope.
    pub scope: Option<&'a str>,
    pub ca_file: Option<&'a Path>,
    pub endpoints: Endpoints<'a>,
}

/// The endpoints of an authority whose paths are not Entra ID's.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Endpoints<'a> {
    token: Option<&'a OauthEndpoint>,
    authorization: Option<&'a OauthEndpoint>,
    device_authorization: Option<&'a OauthEndpoint>,
}

impl<'a> Registration<'a> {
    /// That of an incoming server.
    pub(super) fn of_incoming(server: &'a IncomingServer) -> Registration<'a> {
        Registration {
            server: &server.name,
            is_outgoing: false,
            app_server: &server.name,
            authority: server.address.clone(),
            authentication: server.authentication,
            client_id: &server.client_id,
            credential: credential(&server.credentials()),
            scope: server.scope.as_deref(),
            ca_file: server.ca_file.as_deref(),
            endpoints: Endpoints {
                token: server.token_endpoint.as_ref(),
                authorization: server.authorization_endpoint.as_ref(),
                device_authorization: server.device_authorization_endpoint.as_ref(),
            },
        }
    }

    /// That of an outgoing server: with its own app, or another server's.
    pub(super) fn of_outgoing(server: &'a OutgoingServer, app: App<'a>) -> Registration<'a> {
        let app = match app {
            App::Own { client_id, login } => {
                return Registration {
                    server: &server.name,
                    is_outgoing: true,
                    app_server: &server.name,
                    authority: Authority {
                        login,
                        tenant: server.tenant.clone(),
                    },
                    authentication: server.authentication,
                    client_id,
                    credential: credential(&server.credentials()),
                    scope: server.scope.as_deref(),
                    ca_file: server.ca_file.as_deref(),
                    endpoints: Endpoints::default(),
                };
            }
            App::Of(app) => Registration::of_incoming(app),
        };
        // A registration signs a person in as a public client unless it has a credential.
        Registration {
            server: &server.name,
            is_outgoing: true,
            authority: Authority {
                login: app.authority.login,
                tenant: server.tenant.clone(),
            },
            authentication: server.authentication,
            scope: server.scope.as_deref(),
            ca_file: server.ca_file.as_deref().or(app.ca_file),
            ..app
        }
    }

    /// Its names and ids, for an error.
    pub fn scene(&self) -> Scene {
        Scene {
            server: Some(self.server.to_owned()),
            is_outgoing: self.is_outgoing,
            app_server: Some(self.app_server.to_owned()),
            tenant: Some(self.authority.tenant.to_string()),
            client_id: Some(self.client_id.to_string()),
            proof: self.proof(),
            host: Some(self.authority.host().to_owned()),
            login_host: self.authority.microsofts_host(),
            ..Scene::default()
        }
    }

    fn proof(&self) -> Option<Proof> {
        match self.credential {
            CredentialSource::None => None,
            CredentialSource::Secret(_) => Some(Proof::Secret),
            CredentialSource::Certificate { .. } => Some(Proof::Certificate),
            CredentialSource::FederatedToken(_) | CredentialSource::ManagedIdentity { .. } => {
                Some(Proof::Federated)
            }
        }
    }

    /// Its cloud; that of an unknown login host is the worldwide one.
    pub fn cloud(&self) -> Cloud {
        self.authority.cloud().unwrap_or(Cloud::Worldwide)
    }

    /// Whether the authority has Entra ID's paths, and with them its ways.
    pub fn is_entra(&self) -> bool {
        self.endpoints.token.is_none()
    }

    /// RFC 6749 §3.2.
    pub fn token_endpoint(&self) -> String {
        match self.endpoints.token {
            Some(own) => own.as_str().to_owned(),
            None => self.authority.token_endpoint(),
        }
    }

    /// RFC 6749 §3.1.
    ///
    /// # Errors
    /// `Config` where the authority is not Entra ID and none is given.
    pub fn authorization_endpoint(&self) -> Result<String, Fault> {
        match self.endpoints.authorization {
            Some(own) => Ok(own.as_str().to_owned()),
            None if self.is_entra() => Ok(self.authority.authorization_endpoint()),
            None => Err(self.lacks("authorization_endpoint", "--authorization-endpoint")),
        }
    }

    /// RFC 8628 §3.1.
    ///
    /// # Errors
    /// As [`Registration::authorization_endpoint`].
    pub fn device_authorization_endpoint(&self) -> Result<String, Fault> {
        match self.endpoints.device_authorization {
            Some(own) => Ok(own.as_str().to_owned()),
            None if self.is_entra() => Ok(self.authority.device_authorization_endpoint()),
            None => Err(self.lacks(
                "device_authorization_endpoint",
                "--device-authorization-endpoint",
            )),
        }
    }

    fn lacks(&self, key: &str, flag: &str) -> Fault {
        let server = self.server;
        Fault::config(format!(
            "server `{server}` has its own `token_endpoint` but no `{key}`"
        ))
        .hint(format!(
            "set it, if the provider has one: queuemail server set {} {flag} URL",
            shell::quote(server)
        ))
    }
}

fn credential<'a>(c: &Credentials<'a>) -> CredentialSource<'a> {
    let federated = || {
        let file = c.federated_token_file.clone().map(FederatedToken::File);
        c.federated_token.clone().or(file)
    };
    if let Some(secret) = c.secret {
        CredentialSource::Secret(secret)
    } else if let Some(certificate) = c.certificate {
        CredentialSource::Certificate {
            certificate,
            private_key: c.private_key.as_deref(),
            passphrase: c.certificate_passphrase.as_ref(),
        }
    } else if let Some(token) = federated() {
        CredentialSource::FederatedToken(token)
    } else {
        match c.managed_identity {
            ManagedIdentity::No => CredentialSource::None,
            ManagedIdentity::User => CredentialSource::ManagedIdentity { system: false },
            ManagedIdentity::System => CredentialSource::ManagedIdentity { system: true },
        }
    }
}

//! An incoming server as a command gives it: from what is said of it to its definition.

use super::{Credential, Person, Required, put_path};
use crate::model::{
    Authentication, Authority, Change, ClientId, Given, HttpsUrl, IncomingServer, IncomingVia,
    Name, OauthEndpoint,
};
use crate::net::Endpoint;
use crate::shell;
use anyhow::Result;
use std::path::PathBuf;

/// What is said of an incoming server.
#[derive(Clone, Debug, Default)]
pub struct Incoming {
    pub name: Option<Name>,
    pub address: Option<Authority>,
    pub authentication: Option<Authentication>,
    pub client_id: Option<ClientId>,
    pub secret: Option<Given>,
    pub credential: Credential,
    pub via: Option<IncomingVia>,
    pub token_endpoint: Option<OauthEndpoint>,
    pub authorization_endpoint: Option<OauthEndpoint>,
    pub device_authorization_endpoint: Option<OauthEndpoint>,
    pub imap: Option<Endpoint>,
    pub graph: Option<HttpsUrl>,
    pub scope: Option<String>,
    pub ca_file: Option<PathBuf>,
    /// It may take the place of another of its name.
    pub replace: bool,
}

impl Incoming {
    /// All that nothing else could stand for is there.
    pub fn is_complete(&self) -> bool {
        self.name.is_some()
            && self.address.is_some()
            && self.authentication.is_some()
            && self.client_id.is_some()
    }

    /// The server. Everything but a secret is checked before one is read or asked for.
    pub fn server(&self, person: &dyn Person) -> Result<IncomingServer> {
        let name = self
            .name
            .as_ref()
            .map_or("NAME".to_owned(), |n| shell::quote(&n.0));
        let required = Required {
            person,
            example: format!(
                "queuemail server add incoming {name} --address https://login.microsoftonline.com/TENANT --auth oauth-service --client-id ID --secret-file PATH"
            ),
        };
        let mut server = IncomingServer::new(
            required.value(&self.name, "NAME")?.0,
            required.value(&self.address, "--address")?,
            required.value(&self.authentication, "--auth")?,
            required.value(&self.client_id, "--client-id")?,
        );
        server.via = self.via.unwrap_or_default();
        server.token_endpoint = self.token_endpoint.clone();
        server.authorization_endpoint = self.authorization_endpoint.clone();
        server.device_authorization_endpoint = self.device_authorization_endpoint.clone();
        server.imap = self.imap.clone();
        server.graph = self.graph.clone();
        server.scope = self.scope.clone();
        super::one_stdin(&[
            ("secret", &self.secret),
            ("certificate-passphrase", &self.credential.passphrase),
        ])?;
        put_path(&self.ca_file.clone().map(Change::Set), &mut server.ca_file)?;
        let whose = format!("server `{}`", server.name);
        let is_needed = server.authentication == Authentication::OauthService;
        self.credential.put_with_secret(
            &mut server.credentials_mut(),
            &self.secret,
            is_needed,
            &whose,
            &required,
        )?;
        Ok(server)
    }
}

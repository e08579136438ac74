//! An outgoing server as a command gives it: from what is said of it to its definition.

use super::{Credential, Person, Required, Wanted, put_path};
use crate::model::{
    self, Authentication, Change, ClientId, Given, HttpsUrl, Name, OutgoingServer, OutgoingVia,
    ServerUser, Tenant,
};
use crate::net::Endpoint;
use crate::shell;
use anyhow::Result;
use std::path::PathBuf;

/// What is said of an outgoing server.
#[derive(Clone, Debug, Default)]
pub struct Outgoing {
    pub name: Option<Name>,
    pub is_disabled: bool,
    pub tenant: Option<Tenant>,
    pub authentication: Option<Authentication>,
    pub user: Option<ServerUser>,
    pub app: Option<String>,
    pub client_id: Option<ClientId>,
    pub secret: Option<Given>,
    pub credential: Credential,
    pub password: Option<Given>,
    pub via: Option<OutgoingVia>,
    pub smtp: Option<Endpoint>,
    pub graph: Option<HttpsUrl>,
    pub scope: Option<String>,
    pub ca_file: Option<PathBuf>,
    /// It may take the place of another of its name.
    pub replace: bool,
}

impl Outgoing {
    /// All that nothing else could stand for is there.
    pub fn is_complete(&self) -> bool {
        self.name.is_some() && self.tenant.is_some() && self.authentication.is_some()
    }

    /// The server. Everything but a secret is checked before one is read or asked for.
    pub fn server(&self, person: &dyn Person) -> Result<OutgoingServer> {
        let name = self
            .name
            .as_ref()
            .map_or("NAME".to_owned(), |n| shell::quote(&n.0));
        let required = Required {
            person,
            example: format!(
                "queuemail server add outgoing {name} --tenant contoso.onmicrosoft.com --auth oauth-service --app INCOMING --user GUID"
            ),
        };
        let mut server = OutgoingServer::new(
            required.value(&self.name, "NAME")?.0,
            required.value(&self.tenant, "--tenant")?,
            required.value(&self.authentication, "--auth")?,
        );
        server.enabled = !self.is_disabled;
        server.app = self.app.clone();
        server.client_id = self.client_id.clone();
        server.user = self.user.clone();
        server.via = self.via.unwrap_or_default();
        server.smtp = self.smtp.clone();
        server.graph = self.graph.clone();
        server.scope = self.scope.clone();
        super::one_stdin(&[
            ("secret", &self.secret),
            ("certificate-passphrase", &self.credential.passphrase),
            ("password", &self.password),
        ])?;
        put_path(&self.ca_file.clone().map(Change::Set), &mut server.ca_file)?;
        let whose = format!("server `{}`", server.name);
        let is_needed =
            server.client_id.is_some() && server.authentication == Authentication::OauthService;
        self.credential.put_with_secret(
            &mut server.credentials_mut(),
            &self.secret,
            is_needed,
            &whose,
            &required,
        )?;
        let password = Wanted {
            what: "password",
            given: &self.password,
            whose: &whose,
        };
        model::put(&password.source(&required)?, &mut server.password);
        Ok(server)
    }
}

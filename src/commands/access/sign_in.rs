//! One sign-in: the credential is read now and not before, the grant made, what it yields kept.

use super::{Access, REFRESH_REFUSED, Wanted};
use crate::config::resolve::{self, Account, CredentialSource, Registration};
use crate::fault::{Fault, Kind};
use crate::http::Agent;
use crate::oauth::{self, AccessToken, Class, Client, Credential, GrantError, Granted};
use crate::state::StoredToken;
use anyhow::Result;
use std::path::Path;
use std::sync::PoisonError;
use std::time::SystemTime;

impl Access<'_> {
    /// Signs in anew and keeps what that yields.
    pub(super) fn sign_in(&self, wanted: &Wanted<'_>) -> Result<AccessToken> {
        let granted = match wanted.account {
            None if let CredentialSource::ManagedIdentity { system } =
                wanted.registration.credential =>
            {
                let client_id = wanted.registration.client_id.as_str();
                oauth::managed_identity(
                    &Agent::local(self.context.timeout),
                    (!system).then_some(client_id),
                    &wanted.key.scope,
                )?
            }
            None => {
                let client = self.client(wanted)?;
                client
                    .as_client(&wanted.registration)
                    .client_credentials(&wanted.key.scope)
                    .map_err(|e| e.fault)?
            }
            Some(account) => self.sign_in_person(wanted, account)?,
        };
        self.keep(wanted, granted)
    }

    /// Makes durable what a grant yields; only then is it used.
    pub(super) fn keep(&self, wanted: &Wanted<'_>, granted: Granted) -> Result<AccessToken> {
        let token = granted.access;
        let stored = StoredToken {
            secret: token.secret.clone(),
            obtained_at: token.obtained_at,
            expires_at: token.expires_at,
        };
        self.store
            .save_token(&wanted.key, &stored, granted.refresh.as_ref())?;
        let minutes = token.remaining(SystemTime::now()).as_secs() / 60;
        self.context
            .output
            .step(&format!("got a token, good for {minutes} minutes"));
        Ok(token)
    }

    /// With the refresh token of an earlier sign-in, else with the configured password.
    fn sign_in_person(&self, wanted: &Wanted<'_>, account: Account<'_>) -> Result<Granted> {
        let scope = &wanted.key.scope;
        let mut refused = None;
        if let Some(refresh) = self.store.refresh_token(&wanted.key)? {
            let client = self.client(wanted)?;
            match client
                .as_client(&wanted.registration)
                .refresh(&refresh, scope)
            {
                Ok(granted) => return Ok(granted),
                Err(GrantError {
                    class: Class::TryLater,
                    fault,
                }) => return Err(fault.into()),
                Err(GrantError { fault, .. }) => {
                    refused = Some(Fault {
                        what: REFRESH_REFUSED.to_owned(),
                        ..fault
                    });
                }
            }
        }
        let Some(source) = account.password else {
            let login = wanted.scene.address.as_deref().unwrap_or(account.name);
            return Err(refused
                .unwrap_or_else(|| {
                    Fault::new(
                        Kind::SignIn,
                        format!("nobody has signed in as `{}` yet", account.name),
                    )
                    .hint(format!("sign in: `queuemail token login {login}`"))
                })
                .into());
        };
        let password = source.resolve(&format!("the password of `{}`", account.name))?;
        if !self.fresh
            && let Some(earlier) = self.store.refused_password(&wanted.key, &password)?
        {
            return Err(earlier
                .fault
                .hint("this password was refused before and is not tried again, lest the account be locked; set the right one, or force one attempt: queuemail token get --fresh")
                .into());
        }
        let client = self.client(wanted)?;
        client
            .as_client(&wanted.registration)
            .password(account.name, &password, scope)
            .or_else(|e| {
                if e.class == Class::Never {
                    self.store.set_refused_password(
                        &wanted.key,
                        &password,
                        SystemTime::now(),
                        &e.fault,
                    )?;
                }
                Err(e.fault.into())
            })
    }

    pub(super) fn client(&self, wanted: &Wanted<'_>) -> Result<Signer> {
        let registration = &wanted.registration;
        let server = registration.server;
        let credential = match &registration.credential {
            CredentialSource::None => Credential::None,
            CredentialSource::Secret(source) => {
                Credential::Secret(source.resolve(&format!("the secret of server `{server}`"))?)
            }
            CredentialSource::Certificate {
                certificate,
                private_key,
                passphrase,
            } => Credential::Certificate {
                certificate: certificate.into(),
                private_key: private_key.map(Into::into),
                passphrase: match passphrase {
                    Some(source) => Some(source.resolve(&format!(
                        "the passphrase of the certificate of server `{server}`"
                    ))?),
                    None => None,
                },
            },
            CredentialSource::FederatedToken(source) => Credential::FederatedToken(source.read()?),
            // Only for the app itself; a person signs in without it.
            CredentialSource::ManagedIdentity { .. } => Credential::None,
        };
        if wanted.account.is_none() && matches!(credential, Credential::None) {
            return Err(Fault::config(format!("server `{server}` has no secret"))
                .hint(format!(
                    "give one: queuemail server set '{server}' --secret-file FILE"
                ))
                .into());
        }
        let resource = wanted
            .account
            .and_then(|account| resolve::v1_resource(registration, account, &wanted.key.scope));
        Ok(Signer {
            agent: self.agent(registration)?,
            token_endpoint: match resource {
                Some(_) => registration.authority.token_endpoint_v1(),
                None => registration.token_endpoint(),
            },
            credential,
            resource,
        })
    }

    fn agent(&self, registration: &Registration<'_>) -> Result<Agent> {
        self.http(registration.ca_file)
    }

    /// The HTTPS client that trusts `ca_file`; all who ask share its connections.
    pub fn http(&self, ca_file: Option<&Path>) -> Result<Agent> {
        let mut agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        let key = ca_file.map(ToOwned::to_owned);
        if let Some(agent) = agents.get(&key) {
            return Ok(agent.clone());
        }
        let agent = Agent::new(&self.context.net_settings(ca_file))?;
        agents.insert(key, agent.clone());
        Ok(agent)
    }
}

/// What a [`Client`] borrows.
pub(super) struct Signer {
    agent: Agent,
    token_endpoint: String,
    credential: Credential,
    resource: Option<&'static str>,
}

impl Signer {
    pub(super) fn as_client<'s>(&'s self, registration: &'s Registration<'_>) -> Client<'s> {
        Client {
            agent: &self.agent,
            token_endpoint: &self.token_endpoint,
            client_id: registration.client_id.as_str(),
            credential: self.credential.clone(),
            resource: self.resource,
        }
    }
}

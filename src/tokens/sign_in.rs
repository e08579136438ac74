//! One sign-in: the credential is read now and not before, the grant made, what it yields kept.

use super::{Access, Wanted};
use crate::fault::{Cause, Fault};
use crate::http::Agent;
use crate::net;
use crate::oauth::{self, AccessToken, Class, Client, Credential, Granted};
use crate::office::{Account, CredentialSource, v1_resource};
use crate::shell;
use crate::wording::counted;
use crate::workers::locked;
use anyhow::Result;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Until when a wrong password is not tried again: it does not become right.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 86_400);

impl Access<'_> {
    /// Signs in again and keeps what that yields.
    pub(super) fn sign_in(&self, wanted: &Wanted<'_>) -> Result<AccessToken> {
        let granted = match wanted.account {
            None if let CredentialSource::ManagedIdentity { system } =
                wanted.registration.credential =>
            {
                let client_id = wanted.registration.client_id.as_str();
                oauth::managed_identity(
                    &Agent::local(self.means.timeout).traced(self.means.trace()),
                    (!system).then_some(client_id),
                    &wanted.key.scope,
                    &shell::quote(wanted.registration.app_server),
                )?
            }
            None => self
                .client(wanted)?
                .client_credentials(&wanted.key.scope)
                .map_err(Fault::from)?,
            Some(account) => self.sign_in_person(wanted, account)?,
        };
        Ok(self.keep(wanted, granted))
    }

    /// Makes durable what a grant yields. If that fails, the tokens serve this run all the same.
    fn keep(&self, wanted: &Wanted<'_>, granted: Granted) -> AccessToken {
        let minutes = granted.access.remaining(SystemTime::now()).as_secs() / 60;
        let observer = &self.means.observer;
        match self.tokens.save(&wanted.key, &granted) {
            Ok(()) => {
                let long = counted(minutes, "minute", "minutes");
                observer.step(&format!("got a token, valid for {long}"));
            }
            Err(err) => observer.warn(&self.not_kept(wanted, &err)),
        }
        granted.access
    }

    /// What remains when tokens cannot be kept.
    fn not_kept(&self, wanted: &Wanted<'_>, err: &anyhow::Error) -> String {
        let whose = wanted.account.map_or("the app", |a| a.name);
        let words = format!("the token of {whose} is used in this run but not kept: {err:#}");
        match self.tokens.holds_refresh_token(&wanted.key) {
            false => words,
            true => format!(
                "{words}; nor is its new refresh token: the next run uses the previous one, and if that is refused, sign in: queuemail token login {}",
                login_name(wanted)
            ),
        }
    }

    /// With the refresh token of an earlier sign-in, else with the configured password.
    fn sign_in_person(&self, wanted: &Wanted<'_>, account: Account<'_>) -> Result<Granted> {
        let scope = &wanted.key.scope;
        let mut refused = None;
        if let Some(refresh) = self.tokens.refresh_token(&wanted.key)? {
            match self.client(wanted)?.refresh(&refresh, scope) {
                Ok(granted) => return Ok(granted),
                Err(err) => {
                    if let Some(renewed) = &err.refresh {
                        self.noted(self.tokens.renew(&wanted.key, renewed));
                    }
                    // Only the server's own word ends a refresh token, and nothing erases it: it
                    // may be the app's secret that is wrong.
                    if err.class == Class::TryLater || err.fault.server_said.is_none() {
                        return Err(err.fault.into());
                    }
                    refused = Some(Fault {
                        what: "the refresh token is refused".to_owned(),
                        cause: Some(Cause::RefreshRefused),
                        ..err.fault
                    });
                }
            }
        }
        let Some(source) = account.password else {
            let nobody = self.nobody(wanted, account)?;
            return Err(refused.unwrap_or(nobody).into());
        };
        let password = source.resolve(&format!("the password of `{}`", account.name))?;
        if !self.fresh
            && let Some((until, earlier)) = self.store.refused_password(&wanted.key, &password)?
        {
            return Err(left_alone(until, earlier).into());
        }
        self.client(wanted)?
            .password(account.name, &password, scope)
            .map_err(|e| {
                if e.class == Class::Never {
                    let wait = e.fault.retry_after.unwrap_or(FOR_EVER);
                    let until = SystemTime::now() + wait;
                    let refused =
                        self.store
                            .set_refused_password(&wanted.key, &password, until, &e.fault);
                    self.noted(refused);
                }
                e.fault.into()
            })
    }

    /// What a person must hear who has to sign in.
    fn nobody(&self, wanted: &Wanted<'_>, account: Account<'_>) -> Result<Fault> {
        self.tokens.check_place()?;
        let name = account.name;
        let fault = match self.tokens.lost(&wanted.key)? {
            None => Fault::no_access(format!("nobody has signed in as `{name}` yet"))
                .cause(Cause::NotSignedIn),
            Some(place) => Fault::no_access(format!(
                "the refresh token of `{name}` is no longer in {place}"
            )),
        };
        let login = login_name(wanted);
        Ok(fault.hint(format!("sign in: `queuemail token login {login}`")))
    }

    pub(super) fn client(&self, wanted: &Wanted<'_>) -> Result<Client> {
        let registration = wanted.registration;
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
                    "set one: queuemail server set {} --secret-file FILE",
                    shell::quote(server)
                ))
                .into());
        }
        let resource = wanted
            .account
            .and_then(|account| v1_resource(registration, account, &wanted.key.scope));
        Ok(Client {
            agent: self.http(registration.ca_file)?,
            token_endpoint: match resource {
                Some(_) => registration.authority.token_endpoint_v1(),
                None => registration.token_endpoint(),
            },
            client_id: registration.client_id.to_string(),
            credential,
            resource,
        })
    }

    /// The HTTPS client that trusts `ca_file`; all who ask share its connections.
    pub fn http(&self, ca_file: Option<&Path>) -> Result<Agent> {
        self.http_by(&self.means.net_settings(ca_file))
    }

    /// The HTTPS client with these settings: the shared one, and where it is watched, a new one that
    /// has to connect.
    pub fn http_by(&self, settings: &net::Settings) -> Result<Agent> {
        let make = || Ok(Agent::new(settings)?.traced(self.means.trace()));
        if settings.watch.is_on() {
            return make();
        }
        let mut agents = locked(&self.agents);
        if let Some(agent) = agents.get(&settings.ca_file) {
            return Ok(agent.clone());
        }
        let agent = make()?;
        agents.insert(settings.ca_file.clone(), agent.clone());
        Ok(agent)
    }
}

/// What stands for an attempt with a password that was refused before.
fn left_alone(until: SystemTime, earlier: Fault) -> Fault {
    let left = until.duration_since(SystemTime::now());
    let minutes = left.unwrap_or_default().as_secs() / 60 + 1;
    earlier.hint(match minutes {
        0..=60 => format!(
            "the account is locked; queuemail tries the password again after {}; to force one attempt: queuemail token get --fresh",
            counted(minutes, "minute", "minutes")
        ),
        _ => "this password was refused before; queuemail does not try it again, so that the account is not locked; set the right one, or force one attempt: queuemail token get --fresh".to_owned(),
    })
}

/// What `token login` is given to sign this account in.
pub(super) fn login_name(wanted: &Wanted<'_>) -> String {
    let address = wanted.scene.address.as_deref().unwrap_or_default();
    let login = wanted.scene.login.clone();
    login.unwrap_or_else(|| shell::quote(address))
}

//! Tokens for a credential that is at hand, and which no cache gives: each shows that the
//! credential is valid.

use super::credential::Credential;
use crate::fault::{Cause, Fault, Kind};
use crate::http::Agent;
use crate::means::Means;
use crate::oauth::{Class, Client};
use crate::office::{Registration, directory_scope};
use crate::output::escape;
use crate::secret::Secret;
use anyhow::Result;
use std::time::{Duration, Instant};

/// The first pause before a new credential is tried again, and the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// An app at its token endpoint.
pub struct SignIn<'a> {
    means: &'a Means,
    registration: &'a Registration<'a>,
    agent: Agent,
}

impl<'a> SignIn<'a> {
    pub fn new(means: &'a Means, registration: &'a Registration<'a>) -> Result<SignIn<'a>> {
        let agent = Agent::new(&means.net_settings(registration.ca_file))?.traced(means.trace());
        Ok(SignIn {
            means,
            registration,
            agent,
        })
    }

    pub fn agent(&self) -> Agent {
        self.agent.clone()
    }

    /// A token for Graph.
    ///
    /// # Errors
    /// Those of the token endpoint; `SignIn` where it refuses the credential.
    pub fn token(&self, credential: &Credential) -> Result<Secret, Fault> {
        let client = Client {
            agent: self.agent(),
            token_endpoint: self.registration.token_endpoint(),
            client_id: self.registration.client_id.to_string(),
            credential: credential.for_sign_in(),
            resource: None,
        };
        let granted = client.client_credentials(&directory_scope(self.registration));
        granted.map(|granted| granted.access.secret).map_err(|e| {
            let mut fault = e.fault;
            if fault.server_said.is_some() && e.class == Class::Act {
                fault.what = format!(
                    "cannot get a token for server `{}`",
                    self.registration.server
                );
            }
            fault
        })
    }

    /// The same for a credential that was registered a moment ago: Entra ID needs seconds, or
    /// minutes, until all of it knows a new credential. Tries for `wait`.
    ///
    /// # Errors
    /// `TryLater` once that time is over.
    pub fn token_in_time(&self, new: &Credential, wait: Duration) -> Result<Secret, Fault> {
        let end = Instant::now() + wait;
        let mut pause = FIRST_PAUSE;
        loop {
            let fault = match self.token(new) {
                Err(fault) if is_passing(&fault) => fault,
                done => return done,
            };
            let asked = fault.retry_after.unwrap_or_default();
            let next = pause.max(asked);
            if Instant::now() + next > end {
                return Err(not_yet(fault, self.registration.server));
            }
            self.means.observer.step(&format!(
                "Entra ID does not accept the new credential yet; trying again in {} s: {}",
                next.as_secs(),
                escape(fault.server_said.as_deref().unwrap_or(&fault.what))
            ));
            std::thread::sleep(next);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// A refusal of the credential, which may not be known everywhere yet, or a trouble of the host.
fn is_passing(fault: &Fault) -> bool {
    fault.kind == Kind::TryLater || fault.cause == Some(Cause::ClientRefused)
}

fn not_yet(fault: Fault, server: &str) -> Fault {
    let what = format!(
        "the new credential of server `{server}` is not accepted by Entra ID yet, so the old one is still in use"
    );
    let fault = match fault.kind {
        Kind::TryLater => Fault { what, ..fault },
        // What it says of a wrong credential is not true of one that is new.
        _ => Fault::try_later(what),
    };
    fault.hint("run the same command again in some minutes: it continues with the same credential")
}

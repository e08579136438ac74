//! A renewal at work: what it is given, what came of it, and what each of its steps needs.

use super::caller::Caller;
use super::credential::Credential;
use super::place::Place;
use super::registry::Registry;
use super::sign_in::SignIn;
use crate::fault::Fault;
use crate::mail::graph::Client;
use crate::oauth::proof_of_possession;
use crate::office::AppOf;
use crate::secret::Secret;
use crate::state::{Lock, Rotation, RotationKey, Store};
use anyhow::Result;
use std::time::{Duration, SystemTime};

/// What is to be done.
pub struct Order<'a> {
    pub server: &'a str,
    pub until: Until,
    /// How long the old credential stays registered, in seconds.
    pub grace: i64,
    /// How long the new credential is to be valid.
    pub days: u32,
    /// How long Entra ID may take to accept the new credential.
    pub wait: Duration,
    /// The Object ID of the app registration, where the app may not read it.
    pub object_id: Option<&'a str>,
    /// The key ID of the present credential, where the app may not read it.
    pub key_id: Option<&'a str>,
    /// Nothing is changed.
    pub dry_run: bool,
}

/// How far to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Renew.
    Renewed,
    /// Renew if the credential expires within so many seconds.
    RenewedIfWithin(i64),
    /// Remove what was replaced, also before its grace is over, and renew nothing.
    Finished,
}

/// What was done. Times are Unix seconds.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub server: String,
    /// `secret` or `certificate`.
    pub kind: &'static str,
    /// Where it is, in words.
    pub place: String,
    /// A new credential is in its place; with `dry_run`, it would be.
    pub renewed: bool,
    /// An old credential was removed; with `dry_run`, it would be.
    pub removed: bool,
    pub dry_run: bool,
    /// Of the credential that is in its place, as far as it is known.
    pub key_id: Option<String>,
    pub ends_at: Option<i64>,
    /// The replaced one that is still registered.
    pub old_key: Option<String>,
    pub remove_at: Option<i64>,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// A renewal at work.
pub struct Work<'a> {
    pub(super) order: &'a Order<'a>,
    pub(super) store: &'a Store,
    pub(super) caller: &'a dyn Caller,
    pub(super) app: AppOf<'a>,
    pub(super) place: Place<'a>,
    pub(super) key: RotationKey,
    pub(super) sign_in: SignIn<'a>,
    pub(super) lock: Lock,
    pub(super) outcome: Outcome,
}

impl Work<'_> {
    pub(super) fn registry(&self, present: &Credential) -> Result<Registry<'_>> {
        let token = self.sign_in.token(present)?;
        let client = Client::new(self.sign_in.agent(), self.app.graph, "", token)?;
        let client_id = self.app.registration.client_id.as_str();
        Ok(Registry::new(client, client_id, self.order.server))
    }

    pub(super) fn proof(&self, present: &Credential, rotation: &Rotation) -> Result<Secret, Fault> {
        match present {
            Credential::Certificate(identity) => {
                proof_of_possession(identity, object_of(rotation), SystemTime::now())
            }
            Credential::Secret(_) => Err(Fault::config("a secret proves no key")),
        }
    }

    pub(super) fn put_on_record(&self, rotation: &Rotation) -> Result<()> {
        self.lock.check()?;
        self.store.set_rotation(&self.key, rotation)
    }

    pub(super) fn remove(
        &self,
        registry: &Registry<'_>,
        present: &Credential,
        rotation: &Rotation,
        key_id: &str,
    ) -> Result<()> {
        let object_id = object_of(rotation);
        match present {
            Credential::Secret(_) => registry.remove_secret(object_id, key_id),
            Credential::Certificate(_) => {
                registry.remove_certificate(object_id, key_id, &self.proof(present, rotation)?)
            }
        }
    }
}

/// The Object ID, without which no renewal begins.
pub fn object_of(rotation: &Rotation) -> &str {
    rotation.object_id.as_deref().unwrap_or_default()
}

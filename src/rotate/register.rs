//! The new credential: made, registered and kept, or taken back where it was lost on the way.

use super::credential::{Credential, NewSecret};
use super::registry::Registry;
use super::work::{Work, object_of};
use crate::digest;
use crate::state::{Rotation, RotationStep};
use crate::x509::Identity;
use anyhow::Result;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Seconds of a day.
const DAY: i64 = 86_400;
/// What a certificate's subject says, and what secrets are called in the app registration.
const NAME: &str = "queuemail";

/// What is kept of a new credential until it is in its place.
pub type Kept = Option<Zeroizing<Vec<u8>>>;

/// Whether a certificate is registered, and its key ID as far as it is known.
enum Known {
    Yes(Option<String>),
    No,
}

impl Work<'_> {
    /// A new secret, registered and kept.
    pub(super) fn register_secret(
        &self,
        rotation: &mut Rotation,
        kept: Kept,
    ) -> Result<Credential> {
        let new = match kept {
            Some(kept) => NewSecret::of_kept(&kept)?,
            None => {
                let registry = self.registry(&self.place.present()?)?;
                self.lock.check()?;
                let ends_at = self.store.now() + i64::from(self.order.days) * DAY;
                let new = registry.add_secret(object_of(rotation), &name_of(rotation), ends_at)?;
                self.store.keep_new_credential(&rotation.id, &new.kept())?;
                new
            }
        };
        let credential = Credential::Secret(new.secret);
        rotation.new_key = Some(new.key_id);
        rotation.ends_at = new.ends_at;
        self.registered(rotation, &credential)?;
        Ok(credential)
    }

    /// A new certificate, kept and registered.
    pub(super) fn register_certificate(
        &self,
        rotation: &mut Rotation,
        kept: Kept,
    ) -> Result<Credential> {
        let may_be_registered = kept.is_some();
        let new = match kept {
            Some(kept) => Identity::from_pem(&kept)?,
            None => {
                let new = Identity::make(NAME, self.order.days)?;
                self.store.keep_new_credential(&rotation.id, &new.pem()?)?;
                new
            }
        };
        let new = Arc::new(new);
        let credential = Credential::Certificate(Arc::clone(&new));
        if rotation.step == RotationStep::Registered {
            return Ok(credential);
        }
        let present = self.place.present()?;
        let registry = self.registry(&present)?;
        rotation.new_key = match self.is_registered(&registry, &credential, may_be_registered)? {
            Known::Yes(key_id) => key_id,
            Known::No => {
                let proof = self.proof(&present, rotation)?;
                self.lock.check()?;
                registry.add_certificate(object_of(rotation), &name_of(rotation), &new, &proof)?
            }
        };
        rotation.ends_at = credential.ends_at();
        self.registered(rotation, &credential)?;
        Ok(credential)
    }

    /// Whether a certificate that an earlier run made arrived in the app registration.
    fn is_registered(
        &self,
        registry: &Registry<'_>,
        new: &Credential,
        may_be: bool,
    ) -> Result<Known> {
        if !may_be {
            return Ok(Known::No);
        }
        Ok(match registry.read()? {
            Some(all) => match all.find(new) {
                Some(found) => Known::Yes(Some(found.key_id)),
                None => Known::No,
            },
            None => match self.sign_in.token(new) {
                Ok(_) => Known::Yes(None),
                Err(_) => Known::No,
            },
        })
    }

    fn registered(&self, rotation: &mut Rotation, new: &Credential) -> Result<()> {
        rotation.step = RotationStep::Registered;
        rotation.print = Some(new.fingerprint()?);
        self.put_on_record(rotation)
    }

    /// Removes a new credential that is not at hand from the app registration, as far as it is
    /// known, and has the renewal begin again under another name.
    pub(super) fn withdraw(&self, rotation: &mut Rotation) -> Result<()> {
        let present = self.place.present()?;
        let registry = self.registry(&present)?;
        let name = name_of(rotation);
        let registered = registry.read()?;
        let named = registered.iter().flat_map(|all| all.named(&name));
        let mut lost: Vec<String> = named.map(str::to_owned).collect();
        lost.extend(rotation.new_key.take().filter(|id| !lost.contains(id)));
        if lost.is_empty() && rotation.step == RotationStep::Begun {
            return Ok(());
        }
        for key_id in lost {
            self.remove(&registry, &present, rotation, &key_id)?;
        }
        self.store.forget_new_credential(&rotation.id)?;
        rotation.step = RotationStep::Begun;
        rotation.print = None;
        rotation.id = digest::guid()?;
        self.put_on_record(rotation)
    }
}

/// What the new credential of a renewal is called in the app registration.
fn name_of(rotation: &Rotation) -> String {
    format!("{NAME} {}", rotation.id)
}

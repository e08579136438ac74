//! A client secret or a certificate with its key, in memory.

use crate::digest::{self, hex};
use crate::fault::Fault;
use crate::oauth;
use crate::secret::Secret;
use crate::state::Rotation;
use crate::x509::{self, Identity};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::sync::Arc;
use zeroize::Zeroizing;

/// What an app proves itself with.
#[derive(Clone)]
pub enum Credential {
    Secret(Secret),
    Certificate(Arc<Identity>),
}

/// A new secret as Graph gave it, and as it is kept until it is in its place.
pub struct NewSecret {
    pub secret: Secret,
    pub key_id: String,
    /// Unix seconds.
    pub ends_at: Option<i64>,
}

impl Credential {
    /// Tells it from another one; nothing of a secret that nobody can guess can be learnt from it.
    pub fn fingerprint(&self) -> Result<String, Fault> {
        match self {
            Credential::Secret(secret) => Ok(hex(&digest::sha256(secret.expose().as_bytes()))),
            Credential::Certificate(identity) => identity.fingerprint(),
        }
    }

    pub fn for_sign_in(&self) -> oauth::Credential {
        match self {
            Credential::Secret(secret) => oauth::Credential::Secret(secret.clone()),
            Credential::Certificate(identity) => oauth::Credential::Identity(identity.clone()),
        }
    }

    /// When it expires, where it tells that itself; Unix seconds.
    pub fn ends_at(&self) -> Option<i64> {
        match self {
            Credential::Secret(_) => None,
            Credential::Certificate(identity) => {
                let end = x509::not_after(&identity.der().ok()?)?;
                Some(end.as_second())
            }
        }
    }

    /// True where it is the one that a renewal made.
    pub fn is_of(&self, rotation: &Rotation) -> Result<bool, Fault> {
        Ok(rotation.print.is_some() && rotation.print == Some(self.fingerprint()?))
    }
}

impl NewSecret {
    /// The text that is kept.
    pub fn kept(&self) -> Zeroizing<Vec<u8>> {
        let text = json!({
            "secret": self.secret.expose(), "key_id": self.key_id, "ends_at": self.ends_at,
        });
        Zeroizing::new(text.to_string().into_bytes())
    }

    /// What [`NewSecret::kept`] gave.
    pub fn of_kept(octets: &[u8]) -> Result<NewSecret> {
        let about = "what is kept of a new secret cannot be read";
        let kept: Value = serde_json::from_slice(octets).context(about)?;
        let text = |key: &str| kept[key].as_str().context(about);
        Ok(NewSecret {
            secret: Secret::new(text("secret")?),
            key_id: text("key_id")?.to_owned(),
            ends_at: kept["ends_at"].as_i64(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_kept_is_found_again(secret in "\\PC{1,64}", ends_at: Option<i64>) {
            let new = NewSecret {
                secret: Secret::new(secret.as_str()),
                key_id: "k".into(),
                ends_at,
            };
            let kept = NewSecret::of_kept(&new.kept()).unwrap();
            prop_assert_eq!(kept.secret.expose(), secret);
            prop_assert_eq!((kept.key_id.as_str(), kept.ends_at), ("k", ends_at));
        }

        #[test]
        fn damage_is_an_error(octets in proptest::collection::vec(any::<u8>(), 0..40)) {
            prop_assert!(NewSecret::of_kept(&octets).is_err());
        }
    }
}

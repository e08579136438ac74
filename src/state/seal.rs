//! Seals secrets that are kept where others can read them: a database has administrators, and its
//! backups have readers.
//!
//! A sealed text is `v1:<key id>:<base64 of nonce, text and tag>` by AES-256-GCM (NIST SP 800-38D).
//! What it belongs to is authenticated with it, so that nobody can move it to another place or to
//! another database. The first key seals, and all open: so a key can be changed.

use crate::digest::{self, Sha256, hex};
use crate::fault::{Fault, Kind};
use crate::model::{SecretSource, Secrets};
use crate::secret::Secret;
use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use openssl::symm::{Cipher, decrypt_aead, encrypt_aead};
use std::sync::OnceLock;
use zeroize::Zeroizing;

const VERSION: &str = "v1";
/// Octets of a key, of a nonce and of a tag.
const KEY: usize = 32;
const NONCE: usize = 12;
const TAG: usize = 16;

/// The keys that the configuration names, which are read when they are first needed.
pub struct Seal {
    sources: Vec<SecretSource>,
    keys: OnceLock<Vec<Key>>,
}

struct Key {
    /// Tells which key has sealed a text; nothing of the key can be learnt from it.
    id: String,
    octets: Zeroizing<[u8; KEY]>,
}

impl Seal {
    /// One that uses these keys; without any, nothing can be sealed.
    pub fn new(keys: Option<&Secrets>) -> Seal {
        Seal {
            sources: keys.map(|keys| keys.0.clone()).unwrap_or_default(),
            keys: OnceLock::new(),
        }
    }

    /// True where a key is configured.
    pub fn has_key(&self) -> bool {
        !self.sources.is_empty()
    }

    /// Reads the keys, if that was not done before.
    ///
    /// # Errors
    /// `Config` where one is not a key; those of its source.
    pub fn check(&self) -> Result<()> {
        self.keys().map(drop)
    }

    /// The same where there must be one.
    ///
    /// # Errors
    /// Also `Config` without a key.
    pub fn check_first(&self) -> Result<()> {
        self.first().map(drop)
    }

    /// Seals a secret of `owner`, which must be named again to open it.
    ///
    /// # Errors
    /// As [`Seal::check`]; `Config` without a key.
    pub fn close(&self, owner: &str, secret: &Secret) -> Result<String> {
        let key = self.first()?;
        let nonce: [u8; NONCE] = digest::random()?;
        let mut tag = [0; TAG];
        let text = secret.expose().as_bytes();
        let sealed = encrypt_aead(
            Cipher::aes_256_gcm(),
            &*key.octets,
            Some(&nonce),
            owner.as_bytes(),
            text,
            &mut tag,
        );
        let sealed = sealed.map_err(|_| Fault::new(Kind::Bug, "AES-256-GCM is not available"))?;
        let octets = [&nonce[..], &sealed, &tag].concat();
        Ok(format!("{VERSION}:{}:{}", key.id, STANDARD.encode(octets)))
    }

    /// Opens what [`Seal::close`] made for `owner`.
    ///
    /// # Errors
    /// `Config` where no configured key has sealed it, or where it was changed.
    pub fn open(&self, owner: &str, sealed: &str) -> Result<Secret> {
        let keys = self.keys()?;
        if keys.is_empty() {
            return Err(no_key().into());
        }
        let (id, rest) = parts(sealed).ok_or_else(changed)?;
        let key = keys.iter().find(|key| key.id == id);
        let key = key.ok_or_else(|| another_key(id))?;
        let octets = STANDARD.decode(rest).map_err(|_| changed())?;
        let (nonce, octets) = octets.split_at_checked(NONCE).ok_or_else(changed)?;
        let end = octets.len().checked_sub(TAG).ok_or_else(changed)?;
        let (text, tag) = octets.split_at(end);
        let opened = decrypt_aead(
            Cipher::aes_256_gcm(),
            &*key.octets,
            Some(nonce),
            owner.as_bytes(),
            text,
            tag,
        );
        let opened = Zeroizing::new(opened.map_err(|_| changed())?);
        let text = std::str::from_utf8(&opened).map_err(|_| changed())?;
        Ok(Secret::new(text))
    }

    /// True for what the first key has sealed.
    ///
    /// # Errors
    /// As [`Seal::close`].
    pub fn is_first(&self, sealed: &str) -> Result<bool> {
        let key = self.first()?;
        Ok(parts(sealed).is_some_and(|(id, _)| id == key.id))
    }

    fn first(&self) -> Result<&Key> {
        let key = self.keys()?.first();
        Ok(key.ok_or_else(no_key)?)
    }

    fn keys(&self) -> Result<&[Key]> {
        if let Some(keys) = self.keys.get() {
            return Ok(keys);
        }
        let keys: Result<Vec<Key>> = self.sources.iter().map(read).collect();
        let keys = keys?;
        Ok(self.keys.get_or_init(|| keys))
    }
}

/// The key's id, and what was sealed.
fn parts(sealed: &str) -> Option<(&str, &str)> {
    let (version, rest) = sealed.split_once(':')?;
    (version == VERSION).then(|| rest.split_once(':')).flatten()
}

fn read(source: &SecretSource) -> Result<Key> {
    let text = source.resolve("the key of the state (`state.key`)")?;
    let refuse = || {
        Fault::config("`state.key` is not 32 bytes in base64")
            .hint("for a new key: openssl rand -base64 32")
    };
    let octets = STANDARD.decode(text.expose().trim());
    let octets = Zeroizing::new(octets.map_err(|_| refuse())?);
    let octets: [u8; KEY] = octets.as_slice().try_into().map_err(|_| refuse())?;
    let octets = Zeroizing::new(octets);
    let mut hash = Sha256::new();
    hash.update(b"queuemail state key\n");
    hash.update(&*octets);
    let id = hex(&hash.finish()[..4]);
    Ok(Key { id, octets })
}

const LOST: &str = "if no host has that key: queuemail token forget --all";

fn no_key() -> Fault {
    Fault::config("tokens in a database are encrypted, and the configuration has no `state.key`")
        .hint("set `state.key` to the same key as on the other hosts")
        .hint(LOST)
}

fn another_key(id: &str) -> Fault {
    // Whoever can write to the database can write anything there.
    let id: String = id.chars().filter(char::is_ascii_hexdigit).take(8).collect();
    Fault::config(format!(
        "a token in the database is encrypted with key {id}, which `state.key` does not contain"
    ))
    .hint("use the same `state.key` on all hosts; to change it, list the new key and the old one: `key: [NEW, OLD]`")
    .hint(LOST)
}

fn changed() -> Fault {
    Fault::config("a token in the database cannot be decrypted: another program changed it, or it was copied from another database")
        .hint("erase it, and sign in again where a person has to: queuemail token forget --all")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// With keys of 32 octets that are all of one value.
    fn seal(keys: &[u8]) -> Seal {
        let text = |octet: &u8| SecretSource::Plain(Secret::new(STANDARD.encode([*octet; KEY])));
        Seal::new(Some(&Secrets(keys.iter().map(text).collect())))
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_for_its_owner_alone(text in ".*", owner in ".*", other in ".*") {
            let secret = Secret::new(&*text);
            let sealed = seal(&[1]).close(&owner, &secret).unwrap();
            prop_assert_ne!(&sealed, &seal(&[1]).close(&owner, &secret).unwrap());
            prop_assert_eq!(&seal(&[1]).open(&owner, &sealed).unwrap(), &secret);
            prop_assert_eq!(seal(&[1]).open(&other, &sealed).is_ok(), owner == other);
        }

        #[test]
        fn no_text_that_was_not_sealed_opens(text in "(v1:)?[0-9a-f:]{0,12}:?[A-Za-z0-9+/=]{0,80}") {
            prop_assert!(seal(&[1]).open("", &text).is_err());
        }
    }

    #[test]
    fn one_octet_that_was_changed_is_found() {
        let sealed = seal(&[1]).close("owner", &Secret::new("token")).unwrap();
        let (head, body) = sealed.rsplit_once(':').unwrap();
        let octets = STANDARD.decode(body).unwrap();
        for index in 0..octets.len() {
            let mut octets = octets.clone();
            octets[index] ^= 1;
            let text = format!("{head}:{}", STANDARD.encode(octets));
            assert!(seal(&[1]).open("owner", &text).is_err(), "octet {index}");
        }
    }

    #[test]
    fn the_first_key_seals_and_all_open() {
        let secret = Secret::new("token");
        let old = seal(&[1]).close("owner", &secret).unwrap();
        let both = seal(&[2, 1]);
        assert_eq!(both.open("owner", &old).unwrap(), secret);
        assert!(!both.is_first(&old).unwrap());
        let new = both.close("owner", &secret).unwrap();
        assert!(both.is_first(&new).unwrap());
        assert!(!new.contains("token") && new.starts_with("v1:"), "{new}");
        let err = seal(&[1]).open("owner", &new).unwrap_err().to_string();
        assert!(err.contains("which `state.key` does not contain"), "{err}");
    }

    #[test]
    fn without_a_key_nothing_is_sealed_or_opened() {
        let none = Seal::new(None);
        none.check().unwrap();
        assert!(none.close("", &Secret::new("x")).is_err());
        let sealed = seal(&[1]).close("", &Secret::new("x")).unwrap();
        assert!(none.open("", &sealed).is_err());
    }

    #[test]
    fn what_is_no_key_is_refused_without_being_told() {
        for text in ["hunter2", "aHVudGVyMg==", "h\u{fc}"] {
            let source = SecretSource::Plain(Secret::new(text));
            let err = Seal::new(Some(&Secrets(vec![source]))).check().unwrap_err();
            let said = format!("{err:?}");
            assert!(said.contains("32 bytes") && !said.contains(text), "{said}");
        }
    }
}

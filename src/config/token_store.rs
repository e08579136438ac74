//! Where tokens are kept, if not in the state database.

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;

/// A store of tokens outside of the state database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenStore {
    /// `keyring`: the desktop's (Secret Service) where the session has a bus, else the kernel's.
    Keyring,
    /// `{command: [program, argument…]}`: a program that gets, stores and erases them.
    Command(Vec<String>),
}

impl<'de> Deserialize<'de> for TokenStore {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<TokenStore, D::Error> {
        de.deserialize_any(StoreVisitor)
    }
}

struct StoreVisitor;

impl<'de> Visitor<'de> for StoreVisitor {
    type Value = TokenStore;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("keyring or {command: [..]}; without the key it is the state database")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<TokenStore, E> {
        match text {
            "keyring" => Ok(TokenStore::Keyring),
            other => Err(E::unknown_variant(other, &["keyring"])),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<TokenStore, A::Error> {
        let words: Vec<String> = match map.next_key::<String>()?.as_deref() {
            Some("command") => map.next_value()?,
            Some(other) => return Err(A::Error::unknown_field(other, &["command"])),
            None => return Err(A::Error::custom("an empty mapping names no store")),
        };
        if words.first().is_none_or(String::is_empty) {
            return Err(A::Error::custom("the command names no program"));
        }
        match map.next_key::<String>()? {
            None => Ok(TokenStore::Command(words)),
            Some(_) => Err(A::Error::custom("more follows `command`")),
        }
    }
}

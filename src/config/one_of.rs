//! Deserializing what has several forms: a text, a truth value, or a mapping whose one key says what
//! it is.

use crate::child;
use crate::model::{
    DatabaseUrl, FederatedToken, ManagedIdentity, SecretSource, Secrets, TokenStore, nearest,
};
use crate::secret::Secret;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::fmt;

impl<'de> Deserialize<'de> for SecretSource {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<SecretSource, D::Error> {
        de.deserialize_any(SourceVisitor)
    }
}

impl<'de> Deserialize<'de> for Secrets {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Secrets, D::Error> {
        de.deserialize_any(SecretsVisitor)
    }
}

struct SecretsVisitor;

/// Whatever is not a list is one secret.
macro_rules! one_secret {
    ($($visit:ident($type:ty)),*) => {$(
        fn $visit<E: Error>(self, value: $type) -> Result<Secrets, E> {
            Ok(Secrets(vec![SourceVisitor.$visit(value)?]))
        }
    )*};
}

impl<'de> Visitor<'de> for SecretsVisitor {
    type Value = Secrets;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SourceVisitor.expecting(f)?;
        f.write_str(", or a list of two such")
    }

    one_secret!(
        visit_str(&str),
        visit_u64(u64),
        visit_i64(i64),
        visit_u128(u128),
        visit_i128(i128),
        visit_f64(f64),
        visit_bool(bool)
    );

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Secrets, A::Error> {
        Ok(Secrets(vec![SourceVisitor.visit_map(map)?]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Secrets, A::Error> {
        let mut all = Vec::new();
        while let Some(one) = list.next_element()? {
            all.push(one);
        }
        match all.len() {
            1 | 2 => Ok(Secrets(all)),
            n => Err(A::Error::custom(format!("use one secret or two, not {n}"))),
        }
    }
}

struct SourceVisitor;

macro_rules! no_secret {
    ($($visit:ident($type:ty)),*) => {$(
        fn $visit<E: Error>(self, _: $type) -> Result<SecretSource, E> {
            Err(E::custom(QUOTE))
        }
    )*};
}

const QUOTE: &str = "YAML reads it as a number or a boolean: quote it";

impl<'de> Visitor<'de> for SourceVisitor {
    type Value = SecretSource;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a string, or one of {}", SecretSource::FORMS)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<SecretSource, E> {
        Ok(SecretSource::Plain(Secret::new(text)))
    }

    // A number is not echoed, and not taken: YAML has lost its zeros and signs already.
    no_secret!(
        visit_u64(u64),
        visit_i64(i64),
        visit_u128(u128),
        visit_i128(i128),
        visit_f64(f64),
        visit_bool(bool)
    );

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SecretSource, A::Error> {
        let Some(kind) = map.next_key::<String>()? else {
            return Err(A::Error::custom("an empty mapping names no secret"));
        };
        let (source, is_empty) = match kind.as_str() {
            "command" => {
                let words: Vec<String> = map.next_value()?;
                let is_empty = words.first().is_none_or(String::is_empty);
                (SecretSource::Command(words), is_empty)
            }
            known if SecretSource::KINDS.contains(&known) => {
                let text: String = map.next_value()?;
                if known == "env" {
                    child::withhold(&text);
                }
                let source = SecretSource::of(known, &text).map_err(A::Error::custom)?;
                (source, text.is_empty())
            }
            // A key that resembles none may be the secret itself.
            other if nearest(other, SecretSource::KINDS.iter().copied()).is_some() => {
                return Err(A::Error::unknown_field(other, SecretSource::KINDS));
            }
            _ => {
                return Err(A::Error::custom(format!(
                    "no source of a secret; one of {}",
                    SecretSource::KINDS.join(", ")
                )));
            }
        };
        // What follows may be the secret itself: it is not told.
        if map.next_key::<String>()?.is_some() {
            return Err(A::Error::custom(format!(
                "a secret has one source, but more follows `{kind}`"
            )));
        }
        match is_empty {
            true => Err(A::Error::custom(format!(
                "an empty `{kind}` names no secret"
            ))),
            false => Ok(source),
        }
    }
}

impl<'de> Deserialize<'de> for FederatedToken {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<FederatedToken, D::Error> {
        de.deserialize_map(FederatedVisitor)
    }
}

struct FederatedVisitor;

impl<'de> Visitor<'de> for FederatedVisitor {
    type Value = FederatedToken;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one of {file: P}, {env_file: V}, {command: [..]}")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<FederatedToken, A::Error> {
        const KINDS: &[&str] = &["file", "env_file", "command"];
        let Some(kind) = map.next_key::<String>()? else {
            return Err(A::Error::custom("an empty mapping names no token"));
        };
        let source = match kind.as_str() {
            "file" => FederatedToken::File(map.next_value()?),
            "env_file" => FederatedToken::EnvFile(map.next_value()?),
            "command" => FederatedToken::Command(map.next_value()?),
            other => return Err(A::Error::unknown_field(other, KINDS)),
        };
        if map.next_key::<String>()?.is_some() {
            return Err(A::Error::custom(format!(
                "a token has one source, but more follows `{kind}`"
            )));
        }
        Ok(source)
    }
}

impl<'de> Deserialize<'de> for ManagedIdentity {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<ManagedIdentity, D::Error> {
        de.deserialize_any(IdentityVisitor)
    }
}

struct IdentityVisitor;

impl Visitor<'_> for IdentityVisitor {
    type Value = ManagedIdentity;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true (user-assigned, that of client_id), system or false")
    }

    fn visit_bool<E: Error>(self, on: bool) -> Result<ManagedIdentity, E> {
        Ok(match on {
            true => ManagedIdentity::User,
            false => ManagedIdentity::No,
        })
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<ManagedIdentity, E> {
        match text {
            "system" => Ok(ManagedIdentity::System),
            other => Err(E::unknown_variant(other, &["true", "system", "false"])),
        }
    }
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

impl<'de> Deserialize<'de> for DatabaseUrl {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<DatabaseUrl, D::Error> {
        let text = Secret::deserialize(de)?;
        DatabaseUrl::parse(text.expose()).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read_from_the_file_as_from_an_option() {
        for kind in SecretSource::KINDS {
            let value = if *kind == "command" { "[word]" } else { "word" };
            let read: SecretSource = serde_yaml::from_str(&format!("{kind}: {value}")).unwrap();
            assert_eq!(SecretSource::of(kind, "word"), Ok(read));
            let refusal = serde_yaml::from_str::<SecretSource>("[]").unwrap_err();
            assert!(refusal.to_string().contains(&format!("{{{kind}: ")));
        }
    }
}

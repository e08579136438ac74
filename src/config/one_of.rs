//! Deserializing what has several forms: a text, a truth value, or a mapping whose one key says what
//! it is.

use crate::child;
use crate::model::{
    DatabaseUrl, FederatedToken, ManagedIdentity, SecretSource, Secrets, TokenStore, nearest,
};
use crate::secret::Secret;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Unexpected, Visitor};
use std::fmt;

impl<'de> Deserialize<'de> for SecretSource {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<SecretSource, D::Error> {
        let Secrets(mut one) = de.deserialize_any(SecretsVisitor { several: false })?;
        one.pop().ok_or_else(|| D::Error::custom("no secret"))
    }
}

impl<'de> Deserialize<'de> for Secrets {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Secrets, D::Error> {
        de.deserialize_any(SecretsVisitor { several: true })
    }
}

/// Reads one secret, or `several`.
struct SecretsVisitor {
    several: bool,
}

// A number is not echoed, and not taken: YAML has lost its zeros and signs already.
macro_rules! no_secret {
    ($($visit:ident($type:ty)),*) => {$(
        fn $visit<E: Error>(self, _: $type) -> Result<Secrets, E> {
            Err(E::custom("YAML reads it as a number or a boolean: quote it"))
        }
    )*};
}

impl<'de> Visitor<'de> for SecretsVisitor {
    type Value = Secrets;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a string, or one of {}", SecretSource::FORMS)?;
        match self.several {
            true => f.write_str(", or a list of two such"),
            false => Ok(()),
        }
    }

    no_secret!(
        visit_u64(u64),
        visit_i64(i64),
        visit_u128(u128),
        visit_i128(i128),
        visit_f64(f64),
        visit_bool(bool)
    );

    fn visit_str<E: Error>(self, text: &str) -> Result<Secrets, E> {
        Ok(Secrets(vec![SecretSource::Plain(Secret::new(text))]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Secrets, A::Error> {
        if !self.several {
            return Err(A::Error::invalid_type(Unexpected::Seq, &self));
        }
        let mut all = Vec::new();
        while let Some(one) = list.next_element()? {
            all.push(one);
        }
        match all.len() {
            1 | 2 => Ok(Secrets(all)),
            n => Err(A::Error::custom(format!("use one secret or two, not {n}"))),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Secrets, A::Error> {
        let source = one_entry(map, "secret", "a secret has one source, but ", source)?;
        Ok(Secrets(vec![source]))
    }
}

/// What a mapping of one entry holds, read by its key. `alone` begins the sentence that refuses more;
/// what follows may be a secret in the wrong place, so it is not told.
fn one_entry<'de, A: MapAccess<'de>, T>(
    mut map: A,
    what: &str,
    alone: &str,
    read: impl FnOnce(&str, &mut A) -> Result<T, A::Error>,
) -> Result<T, A::Error> {
    let Some(key) = map.next_key::<String>()? else {
        let why = format!("an empty mapping names no {what}");
        return Err(A::Error::custom(why));
    };
    let value = read(&key, &mut map)?;
    match map.next_key::<String>()? {
        Some(_) => Err(A::Error::custom(format!("{alone}more follows `{key}`"))),
        None => Ok(value),
    }
}

fn source<'de, A: MapAccess<'de>>(kind: &str, map: &mut A) -> Result<SecretSource, A::Error> {
    let (source, is_empty) = match kind {
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
    match is_empty {
        true => Err(A::Error::custom(format!(
            "an empty `{kind}` names no secret"
        ))),
        false => Ok(source),
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

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<FederatedToken, A::Error> {
        const KINDS: &[&str] = &["file", "env_file", "command"];
        let alone = "a token has one source, but ";
        one_entry(map, "token", alone, |kind, map| match kind {
            "file" => map.next_value().map(FederatedToken::File),
            "env_file" => map.next_value().map(FederatedToken::EnvFile),
            "command" => map.next_value().map(FederatedToken::Command),
            other => Err(A::Error::unknown_field(other, KINDS)),
        })
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

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<TokenStore, A::Error> {
        one_entry(map, "store", "", |key, map| {
            if key != "command" {
                return Err(A::Error::unknown_field(key, &["command"]));
            }
            let words: Vec<String> = map.next_value()?;
            match words.first().is_none_or(String::is_empty) {
                true => Err(A::Error::custom("the command names no program")),
                false => Ok(TokenStore::Command(words)),
            }
        })
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

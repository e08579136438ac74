//! The values of the file, what each does with itself, and the mappings that hold them.
//!
//! A [`Tree`] is the keys in the order in which a person reads them: what `show` prints, what `add`
//! writes, what an edit compares. Keys that say what holds anyway are left out.

use super::paths::absolute;
use super::*;
use crate::secret::Secret;
use anyhow::Result;
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::path::{Path, PathBuf};

/// A value of the file.
#[derive(Clone, Debug, PartialEq)]
pub enum Tree {
    Text(String),
    Number(u32),
    Flag(bool),
    /// A plain secret or password; prints as `(set)`.
    Secret(Secret),
    List(Vec<Tree>),
    Map(Vec<(&'static str, Tree)>),
}

impl Tree {
    /// The entries of a mapping; of anything else none.
    pub fn entries(&self) -> &[(&'static str, Tree)] {
        match self {
            Tree::Map(entries) => entries,
            _ => &[],
        }
    }

    pub fn get(&self, key: &str) -> Option<&Tree> {
        self.entries()
            .iter()
            .find(|(k, _)| *k == key)
            .map(|(_, value)| value)
    }

    /// The value in one line, for tables and messages; secrets stay hidden.
    pub fn words(&self) -> String {
        match self {
            Tree::Text(text) => text.clone(),
            Tree::Number(n) => n.to_string(),
            Tree::Flag(flag) => if *flag { "true" } else { "false" }.to_owned(),
            Tree::Secret(_) => "(set)".to_owned(),
            Tree::List(items) => items.iter().map(Tree::words).collect::<Vec<_>>().join(" "),
            Tree::Map(entries) => entries
                .iter()
                .map(|(key, value)| format!("{key} {}", value.words()))
                .collect::<Vec<_>>()
                .join(", "),
        }
    }
}

impl Serialize for Tree {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Tree::Text(text) => to.serialize_str(text),
            Tree::Number(n) => to.serialize_u32(*n),
            Tree::Flag(flag) => to.serialize_bool(*flag),
            Tree::Secret(_) => to.serialize_str("(set)"),
            Tree::List(items) => items.serialize(to),
            Tree::Map(entries) => {
                let mut map = to.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
        }
    }
}

/// A value that a key may have.
pub trait Value {
    /// No secret can be in it: the file may be shown there although it has a mistake.
    const IS_OPEN: bool = false;

    /// Adds the keys of the mappings in it, each with whether its value is open.
    fn keys(_found: &mut Vec<(&'static str, bool)>) {}

    /// The value as the file states it.
    fn stated(&self) -> Tree;

    /// The same; `None` where it is what holds anyway.
    fn unusual(&self) -> Option<Tree> {
        Some(self.stated())
    }

    /// Makes its paths absolute; a relative one starts at `folder`.
    ///
    /// # Errors
    /// `Config`: `~/` without a home folder.
    fn resolve(&mut self, _folder: &Path) -> Result<()> {
        Ok(())
    }

    /// Adds its secrets that stand in the file itself.
    fn secrets<'a>(&'a self, _found: &mut Vec<&'a Secret>) {}
}

impl<T: Value> Value for Option<T> {
    const IS_OPEN: bool = T::IS_OPEN;

    fn keys(found: &mut Vec<(&'static str, bool)>) {
        T::keys(found);
    }

    fn stated(&self) -> Tree {
        self.unusual().unwrap_or(Tree::List(Vec::new()))
    }

    /// What is stated where nothing need be is never left out.
    fn unusual(&self) -> Option<Tree> {
        self.as_ref().map(T::stated)
    }

    fn resolve(&mut self, folder: &Path) -> Result<()> {
        self.iter_mut().try_for_each(|value| value.resolve(folder))
    }

    fn secrets<'a>(&'a self, found: &mut Vec<&'a Secret>) {
        self.iter().for_each(|value| value.secrets(found));
    }
}

impl<T: Value> Value for Vec<T> {
    const IS_OPEN: bool = T::IS_OPEN;

    fn keys(found: &mut Vec<(&'static str, bool)>) {
        T::keys(found);
    }

    fn stated(&self) -> Tree {
        Tree::List(self.iter().map(T::stated).collect())
    }

    fn unusual(&self) -> Option<Tree> {
        (!self.is_empty()).then(|| self.stated())
    }

    fn resolve(&mut self, folder: &Path) -> Result<()> {
        self.iter_mut().try_for_each(|value| value.resolve(folder))
    }

    fn secrets<'a>(&'a self, found: &mut Vec<&'a Secret>) {
        self.iter().for_each(|value| value.secrets(found));
    }
}

impl Value for bool {
    const IS_OPEN: bool = true;

    fn stated(&self) -> Tree {
        Tree::Flag(*self)
    }

    fn unusual(&self) -> Option<Tree> {
        self.then(|| self.stated())
    }
}

impl Value for u32 {
    const IS_OPEN: bool = true;

    fn stated(&self) -> Tree {
        Tree::Number(*self)
    }
}

impl Value for Priority {
    const IS_OPEN: bool = true;

    fn stated(&self) -> Tree {
        Tree::Number(self.0)
    }
}

impl Value for PathBuf {
    const IS_OPEN: bool = true;

    fn stated(&self) -> Tree {
        Tree::Text(self.display().to_string())
    }

    fn resolve(&mut self, folder: &Path) -> Result<()> {
        *self = absolute(self, folder)?;
        Ok(())
    }
}

impl Value for Target {
    const IS_OPEN: bool = true;

    fn stated(&self) -> Tree {
        Tree::Text(self.to_string())
    }

    fn resolve(&mut self, folder: &Path) -> Result<()> {
        *self = self.absolute(folder)?;
        Ok(())
    }
}

/// Whoever knows it can speak in the user's name.
impl Value for PingUrl {
    fn stated(&self) -> Tree {
        Tree::Secret(Secret::new(self.url().as_str()))
    }
}

/// Words of which one holds anyway.
macro_rules! choices {
    ($($kind:ty)*) => {$(
        impl Value for $kind {
            const IS_OPEN: bool = true;

            fn stated(&self) -> Tree {
                Tree::Text(self.to_string())
            }

            fn unusual(&self) -> Option<Tree> {
                (*self != Self::default()).then(|| self.stated())
            }
        }
    )*};
}

choices!(IncomingVia OutgoingVia Larger);

impl Value for ManagedIdentity {
    const IS_OPEN: bool = true;

    fn stated(&self) -> Tree {
        match self {
            ManagedIdentity::No => Tree::Flag(false),
            ManagedIdentity::User => Tree::Flag(true),
            ManagedIdentity::System => Tree::Text("system".to_owned()),
        }
    }

    fn unusual(&self) -> Option<Tree> {
        (*self != ManagedIdentity::No).then(|| self.stated())
    }
}

fn one(kind: &'static str, value: &impl Value) -> Tree {
    Tree::Map(vec![(kind, value.stated())])
}

impl Value for TokenStore {
    const IS_OPEN: bool = true;

    fn stated(&self) -> Tree {
        match self {
            TokenStore::Keyring => Tree::Text("keyring".to_owned()),
            TokenStore::Command(words) => one("command", words),
        }
    }
}

impl Value for FederatedToken {
    fn stated(&self) -> Tree {
        match self {
            FederatedToken::File(path) => one("file", path),
            FederatedToken::EnvFile(name) => one("env_file", name),
            FederatedToken::Command(words) => one("command", words),
        }
    }

    fn resolve(&mut self, folder: &Path) -> Result<()> {
        match self {
            FederatedToken::File(path) => path.resolve(folder),
            _ => Ok(()),
        }
    }
}

impl Value for SecretSource {
    fn stated(&self) -> Tree {
        match self {
            SecretSource::Plain(secret) => Tree::Secret(secret.clone()),
            SecretSource::File(path) => one("file", path),
            SecretSource::Env(name) => one("env", name),
            SecretSource::Keyring(name) => one("keyring", name),
            SecretSource::Credential(name) => one("credential", name),
            SecretSource::Command(words) => one("command", words),
        }
    }

    fn resolve(&mut self, folder: &Path) -> Result<()> {
        match self {
            SecretSource::File(path) => path.resolve(folder),
            _ => Ok(()),
        }
    }

    fn secrets<'a>(&'a self, found: &mut Vec<&'a Secret>) {
        if let SecretSource::Plain(secret) = self {
            found.push(secret);
        }
    }
}

impl Value for DatabaseUrl {
    fn stated(&self) -> Tree {
        match (self.shown(), self.given()) {
            (Some(text), _) => Tree::Text(text.to_owned()),
            (None, Some(secret)) => Tree::Secret(secret.clone()),
            (None, None) => Tree::Text(String::new()),
        }
    }

    fn secrets<'a>(&'a self, found: &mut Vec<&'a Secret>) {
        if self.holds_password() {
            found.extend(self.given().into_iter().chain(&self.password));
        }
    }
}

impl Value for Secrets {
    fn stated(&self) -> Tree {
        match &*self.0 {
            [one] => one.stated(),
            several => Tree::List(several.iter().map(SecretSource::stated).collect()),
        }
    }

    fn resolve(&mut self, folder: &Path) -> Result<()> {
        self.0.resolve(folder)
    }

    fn secrets<'a>(&'a self, found: &mut Vec<&'a Secret>) {
        self.0.secrets(found);
    }
}

/// A mapping of the file, said once: the struct with its types, how one begins of which no more is
/// said (`new`, of the keys that are `given`), and its keys as a tree, in the order in which they are
/// shown. What is `usual` need not be said; of other types it is the default.
macro_rules! mapping {
    (
        $(#[$about:meta])*
        pub struct $name:ident, new {$(
            $(#[$of_key:meta])*
            pub $key:ident: $kind:ty $([given $given:ident])? $([usual $usual:expr])?,
        )*}
    ) => {
        $crate::model::tree::mapping! {
            $(#[$about])*
            pub struct $name {$(
                $(#[$of_key])*
                pub $key: $kind $([given $given])? $([usual $usual])?,
            )*}
        }

        impl $name {
            /// One of which no more is said.
            pub fn new($($($given: $kind,)?)*) -> $name {
                $name {$(
                    $key: $crate::model::tree::mapping!(@begin $($given)? $([$usual])?),
                )*}
            }
        }
    };
    (
        $(#[$about:meta])*
        pub struct $name:ident {$(
            $(#[$of_key:meta])*
            pub $key:ident: $kind:ty $([given $given:ident])? $([usual $usual:expr])?,
        )*}
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug, serde::Deserialize, PartialEq)]
        #[cfg_attr(test, derive(schemars::JsonSchema))]
        #[serde(deny_unknown_fields)]
        pub struct $name {$(
            $(#[$of_key])*
            pub $key: $kind,
        )*}

        impl $name {
            pub fn tree(&self) -> $crate::model::Tree {
                let $name { $($key),* } = self;
                let mut keys = Vec::new();
                $(keys.extend(
                    $crate::model::tree::mapping!(@say $key $([$usual])?)
                        .map(|value| (stringify!($key), value)),
                );)*
                $crate::model::Tree::Map(keys)
            }
        }

        impl $crate::model::tree::Value for $name {
            const IS_OPEN: bool = true;

            fn keys(found: &mut Vec<(&'static str, bool)>) {
                $(
                    let is_open = <$kind as $crate::model::tree::Value>::IS_OPEN;
                    found.push((stringify!($key), is_open));
                    <$kind as $crate::model::tree::Value>::keys(found);
                )*
            }

            fn stated(&self) -> $crate::model::Tree {
                self.tree()
            }

            fn unusual(&self) -> Option<$crate::model::Tree> {
                let tree = self.tree();
                (!tree.entries().is_empty()).then_some(tree)
            }

            fn resolve(&mut self, folder: &std::path::Path) -> anyhow::Result<()> {
                $($crate::model::tree::Value::resolve(&mut self.$key, folder)?;)*
                Ok(())
            }

            fn secrets<'a>(&'a self, found: &mut Vec<&'a $crate::secret::Secret>) {
                $($crate::model::tree::Value::secrets(&self.$key, found);)*
            }
        }
    };
    (@begin $given:ident) => { $given };
    (@begin [$usual:expr]) => { $usual };
    (@begin) => { Default::default() };
    (@say $key:ident) => { $crate::model::tree::Value::unusual($key) };
    (@say $key:ident [$usual:expr]) => {
        (*$key != $usual).then(|| $crate::model::tree::Value::stated($key))
    };
}

pub(super) use mapping;

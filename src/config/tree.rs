//! The model as a tree of keys in the order in which a person reads them: what `show` prints,
//! what `add` writes, what an edit compares. Keys that say what holds anyway are left out.

use crate::model::*;
use crate::net::Endpoint;
use crate::secret::Secret;
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::path::PathBuf;

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

/// The tree as YAML, secrets hidden.
pub fn to_yaml(tree: &Tree) -> anyhow::Result<String> {
    Ok(serde_yaml::to_string(tree)?)
}

/// A value that a key may have.
trait Value {
    /// The value as the file states it.
    fn stated(&self) -> Tree;

    /// The same; `None` where it is what holds anyway.
    fn unusual(&self) -> Option<Tree> {
        Some(self.stated())
    }
}

impl<T: Value> Value for Option<T> {
    fn stated(&self) -> Tree {
        self.unusual().unwrap_or(Tree::List(Vec::new()))
    }

    /// What is stated where nothing need be is never left out.
    fn unusual(&self) -> Option<Tree> {
        self.as_ref().map(T::stated)
    }
}

impl<T: Value> Value for Vec<T> {
    fn stated(&self) -> Tree {
        Tree::List(self.iter().map(T::stated).collect())
    }

    fn unusual(&self) -> Option<Tree> {
        (!self.is_empty()).then(|| self.stated())
    }
}

impl Value for bool {
    fn stated(&self) -> Tree {
        Tree::Flag(*self)
    }

    fn unusual(&self) -> Option<Tree> {
        self.then(|| self.stated())
    }
}

impl Value for u32 {
    fn stated(&self) -> Tree {
        Tree::Number(*self)
    }
}

impl Value for Priority {
    fn stated(&self) -> Tree {
        Tree::Number(self.0)
    }
}

impl Value for PathBuf {
    fn stated(&self) -> Tree {
        Tree::Text(self.display().to_string())
    }
}

macro_rules! texts {
    ($($kind:ty)*) => {$(
        impl Value for $kind {
            fn stated(&self) -> Tree {
                Tree::Text(self.to_string())
            }
        }
    )*};
}

texts!(String Authority Authentication ClientId Tenant Day Days Endpoint HttpsUrl OauthEndpoint);
texts!(Lease);
texts!(ServerUser EmailAddress Language Target AfterFetch PostUrl Start Author Size Span);

/// Whoever knows it can speak in our name.
impl Value for PingUrl {
    fn stated(&self) -> Tree {
        Tree::Secret(Secret::new(self.url().as_str()))
    }
}

/// Words of which one holds anyway.
macro_rules! choices {
    ($($kind:ty)*) => {$(
        impl Value for $kind {
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
}

impl Value for DatabaseUrl {
    fn stated(&self) -> Tree {
        match (self.shown(), self.given()) {
            (Some(text), _) => Tree::Text(text.to_owned()),
            (None, Some(secret)) => Tree::Secret(secret.clone()),
            (None, None) => Tree::Text(String::new()),
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
}

/// A server sends unless the file says otherwise.
struct Enabled(bool);

impl Value for Enabled {
    fn stated(&self) -> Tree {
        Tree::Flag(self.0)
    }

    fn unusual(&self) -> Option<Tree> {
        (!self.0).then(|| self.stated())
    }
}

/// The keys of each mapping, in the order in which they are shown. That none is missing is seen by
/// the compiler: the struct is taken apart without a rest.
macro_rules! mappings {
    ($($kind:ident { $($key:ident $(as $as:path)?),* $(,)? })*) => {$(
        impl $kind {
            pub fn tree(&self) -> Tree {
                let $kind { $($key),* } = self;
                let mut keys = Vec::new();
                $(keys.extend(mappings!(@ $key $($as)?).map(|value| (stringify!($key), value)));)*
                Tree::Map(keys)
            }
        }

        impl Value for $kind {
            fn stated(&self) -> Tree {
                self.tree()
            }

            fn unusual(&self) -> Option<Tree> {
                let tree = self.tree();
                (!tree.entries().is_empty()).then_some(tree)
            }
        }
    )*};
    (@ $key:ident) => { $key.unusual() };
    (@ $key:ident $as:path) => { $as(*$key).unusual() };
}

mappings! {
    Config {
        version, defaults, token_store, state, history, keep_history, incoming_servers,
        outgoing_servers, webhooks, relay, notify, queues,
    }
    History {
        subject,
    }
    Defaults {
        language, priority, deliver, after_fetch, stamp, sender, recipient,
    }
    IncomingServer {
        name, address, authentication, client_id, secret, secret_expires, certificate,
        private_key, certificate_passphrase, federated_token, federated_token_file,
        managed_identity, via, token_endpoint, authorization_endpoint,
        device_authorization_endpoint, imap, graph, scope, ca_file,
    }
    OutgoingServer {
        name, enabled as Enabled, tenant, authentication, app, client_id, secret, secret_expires,
        certificate, private_key, certificate_passphrase, federated_token, federated_token_file,
        managed_identity, user, password, via, smtp, graph, scope, ca_file, limits,
    }
    SharedState {
        postgres, connections, lease, ca_file, certificate, private_key, key,
    }
    Limits {
        messages_per_minute, connections, recipients_per_message, recipients_per_day, message_size,
    }
    Relay {
        password_file, messages_per_user, megabytes_per_user,
    }
    Webhook {
        url, secret, authorization, ca_file, content_type, cloudevents, probe,
    }
    Notify {
        command, url, after, repeat, heartbeat,
    }
    Queue {
        name, language, priority, start, addresses,
    }
    Address {
        address, server, priority, extension_language, account, password, sender, any_from,
        outgoing_server, folders, start, select, deliver, after_fetch, stamp,
    }
    Select {
        unread, from, subject, max_size, larger,
    }
}

//! The model as a tree of keys in the order in which a person reads them: what `show` prints,
//! what `add` writes, what an edit compares. Keys that say what holds anyway are left out.

use super::credential::{Credentials, FederatedToken, ManagedIdentity};
use super::model::*;
use super::secret_source::SecretSource;
use super::token_store::TokenStore;
use super::webhook::Webhook;
use crate::secret::Secret;
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::fmt::Display;
use std::path::Path;

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

/// Collects the entries of a mapping.
#[derive(Default)]
struct Keys(Vec<(&'static str, Tree)>);

impl Keys {
    fn text(mut self, key: &'static str, value: &impl Display) -> Keys {
        self.0.push((key, Tree::Text(value.to_string())));
        self
    }

    fn opt(self, key: &'static str, value: &Option<impl Display>) -> Keys {
        match value {
            Some(value) => self.text(key, value),
            None => self,
        }
    }

    fn path(self, key: &'static str, value: &Option<impl AsRef<Path>>) -> Keys {
        self.opt(key, &value.as_ref().map(|p| p.as_ref().display()))
    }

    fn priority(mut self, value: Option<Priority>) -> Keys {
        self.0
            .extend(value.map(|p| ("priority", Tree::Number(p.0))));
        self
    }

    fn number(mut self, key: &'static str, value: Option<u32>) -> Keys {
        self.0.extend(value.map(|n| (key, Tree::Number(n))));
        self
    }

    /// A flag, if it differs from what holds anyway.
    fn flag(mut self, key: &'static str, value: Option<bool>) -> Keys {
        self.0.extend(value.map(|v| (key, Tree::Flag(v))));
        self
    }

    fn tree(mut self, key: &'static str, value: Option<Tree>) -> Keys {
        self.0.extend(value.map(|v| (key, v)));
        self
    }

    fn secret(self, key: &'static str, value: Option<&SecretSource>) -> Keys {
        self.tree(key, value.map(SecretSource::tree))
    }

    fn credentials(self, c: &Credentials<'_>) -> Keys {
        let managed = match c.managed_identity {
            ManagedIdentity::No => None,
            ManagedIdentity::User => Some(Tree::Flag(true)),
            ManagedIdentity::System => Some(Tree::Text("system".to_owned())),
        };
        self.secret("secret", c.secret)
            .opt("secret_expires", &c.secret_expires)
            .path("certificate", &c.certificate)
            .path("private_key", &c.private_key)
            .secret("certificate_passphrase", c.certificate_passphrase)
            .tree(
                "federated_token",
                c.federated_token.map(FederatedToken::tree),
            )
            .path("federated_token_file", &c.federated_token_file)
            .tree("managed_identity", managed)
    }

    fn done(self) -> Tree {
        Tree::Map(self.0)
    }
}

fn one(kind: &'static str, value: &str) -> Tree {
    Tree::Map(vec![(kind, Tree::Text(value.to_owned()))])
}

fn command(words: &[String]) -> Tree {
    let words = words.iter().cloned().map(Tree::Text).collect();
    Tree::Map(vec![("command", Tree::List(words))])
}

impl TokenStore {
    fn tree(&self) -> Tree {
        match self {
            TokenStore::Keyring => Tree::Text("keyring".to_owned()),
            TokenStore::Command(words) => command(words),
        }
    }
}

impl FederatedToken {
    fn tree(&self) -> Tree {
        match self {
            FederatedToken::File(path) => one("file", &path.to_string_lossy()),
            FederatedToken::EnvFile(name) => one("env_file", name),
            FederatedToken::Command(words) => command(words),
        }
    }
}

impl SecretSource {
    pub fn tree(&self) -> Tree {
        match self {
            SecretSource::Plain(secret) => Tree::Secret(secret.clone()),
            SecretSource::File(path) => one("file", &path.to_string_lossy()),
            SecretSource::Env(name) => one("env", name),
            SecretSource::Keyring(name) => one("keyring", name),
            SecretSource::Credential(name) => one("credential", name),
            SecretSource::Command(words) => command(words),
        }
    }
}

fn on(flag: bool) -> Option<bool> {
    flag.then_some(true)
}

impl Config {
    pub fn tree(&self) -> Tree {
        let list = |items: Vec<Tree>| (!items.is_empty()).then_some(Tree::List(items));
        let defaults = self.defaults.tree();
        let mut keys = Keys::default();
        keys.0.push(("version", Tree::Number(self.version)));
        keys.tree(
            "defaults",
            (!defaults.entries().is_empty()).then_some(defaults),
        )
        .tree(
            "token_store",
            self.token_store.as_ref().map(TokenStore::tree),
        )
        .tree(
            "incoming_servers",
            list(
                self.incoming_servers
                    .iter()
                    .map(IncomingServer::tree)
                    .collect(),
            ),
        )
        .tree(
            "outgoing_servers",
            list(
                self.outgoing_servers
                    .iter()
                    .map(OutgoingServer::tree)
                    .collect(),
            ),
        )
        .tree(
            "webhooks",
            list(self.webhooks.iter().map(Webhook::tree).collect()),
        )
        .tree(
            "queues",
            list(self.queues.iter().map(Queue::tree).collect()),
        )
        .done()
    }
}

impl Defaults {
    fn tree(&self) -> Tree {
        Keys::default()
            .opt("language", &self.language)
            .priority(self.priority)
            .opt("deliver", &self.deliver)
            .opt("after_fetch", &self.after_fetch)
            .flag("stamp", self.stamp)
            .opt("sender", &self.sender)
            .opt("recipient", &self.recipient)
            .done()
    }
}

impl Limits {
    fn tree(&self) -> Tree {
        Keys::default()
            .number("messages_per_minute", self.messages_per_minute)
            .number("connections", self.connections)
            .number("recipients_per_message", self.recipients_per_message)
            .number("recipients_per_day", self.recipients_per_day)
            .number("message_size", self.message_size)
            .done()
    }
}

impl Webhook {
    fn tree(&self) -> Tree {
        let secrets = self.secret.as_ref().map(|secrets| match &*secrets.0 {
            [one] => one.tree(),
            several => Tree::List(several.iter().map(SecretSource::tree).collect()),
        });
        Keys::default()
            .text("url", &self.url)
            .tree("secret", secrets)
            .secret("authorization", self.authorization.as_ref())
            .path("ca_file", &self.ca_file)
            .opt("content_type", &self.content_type)
            .flag("cloudevents", on(self.cloudevents))
            .flag("probe", on(self.probe))
            .done()
    }
}

impl IncomingServer {
    pub fn tree(&self) -> Tree {
        let via = match self.via {
            IncomingVia::Imap => None,
            IncomingVia::Graph => Some("graph"),
            IncomingVia::Auto => Some("auto"),
        };
        Keys::default()
            .text("name", &self.name)
            .text("address", &self.address)
            .text("authentication", &self.authentication)
            .text("client_id", &self.client_id)
            .credentials(&self.credentials())
            .opt("via", &via)
            .opt("token_endpoint", &self.token_endpoint)
            .opt("authorization_endpoint", &self.authorization_endpoint)
            .opt(
                "device_authorization_endpoint",
                &self.device_authorization_endpoint,
            )
            .opt("imap", &self.imap)
            .opt("graph", &self.graph)
            .opt("scope", &self.scope)
            .path("ca_file", &self.ca_file)
            .done()
    }
}

impl OutgoingServer {
    pub fn tree(&self) -> Tree {
        let via = match self.via {
            OutgoingVia::Smtp => None,
            OutgoingVia::Graph => Some("graph"),
            OutgoingVia::Auto => Some("auto"),
        };
        Keys::default()
            .text("name", &self.name)
            .flag("enabled", (!self.enabled).then_some(false))
            .text("tenant", &self.tenant)
            .text("authentication", &self.authentication)
            .opt("app", &self.app)
            .opt("client_id", &self.client_id)
            .credentials(&self.credentials())
            .opt("user", &self.user)
            .secret("password", self.password.as_ref())
            .opt("via", &via)
            .opt("smtp", &self.smtp)
            .opt("graph", &self.graph)
            .opt("scope", &self.scope)
            .path("ca_file", &self.ca_file)
            .tree("limits", self.limits.as_ref().map(Limits::tree))
            .done()
    }
}

impl Queue {
    pub fn tree(&self) -> Tree {
        let addresses: Vec<Tree> = self.addresses.iter().map(Address::tree).collect();
        Keys::default()
            .text("name", &self.name)
            .opt("language", &self.language)
            .priority(self.priority)
            .tree(
                "addresses",
                (!addresses.is_empty()).then_some(Tree::List(addresses)),
            )
            .done()
    }
}

impl Address {
    pub fn tree(&self) -> Tree {
        let folders = self
            .folders
            .as_ref()
            .map(|f| Tree::List(f.iter().cloned().map(Tree::Text).collect()));
        Keys::default()
            .text("address", &self.address)
            .text("server", &self.server)
            .priority(self.priority)
            .opt("extension_language", &self.extension_language)
            .opt("account", &self.account)
            .secret("password", self.password.as_ref())
            .flag("sender", on(self.sender))
            .flag("any_from", on(self.any_from))
            .opt("outgoing_server", &self.outgoing_server)
            .tree("folders", folders)
            .opt("deliver", &self.deliver)
            .opt("after_fetch", &self.after_fetch)
            .flag("stamp", self.stamp)
            .done()
    }
}

//! The configuration as plain data, every key typed, unknown keys refused.
//!
//! No `flatten`, `untagged` or internally tagged enums: serde_yaml loses the line number there.

use super::authentication::Authentication;
use super::cloud::Authority;
use super::credential::{FederatedToken, ManagedIdentity};
use super::notify::Notify;
use super::secret_source::SecretSource;
use super::select::Select;
use super::shared_state::SharedState;
use super::token_store::TokenStore;
use super::tree::{Value, mapping};
use super::values::*;
use super::webhook::Webhook;
use crate::net::Endpoint;
use crate::secret::Secret;
use crate::wording::words;
use serde::Deserialize;
use std::path::PathBuf;

mapping! {
/// The whole file.
pub struct Config {
    /// Always 1.
    #[cfg_attr(test, schemars(extend("const" = 1)))]
    pub version: u32,
    /// What holds where a queue or an address says nothing else.
    #[serde(default)]
    pub defaults: Defaults,
    /// Where tokens are kept: keyring, or a command; the state database where absent.
    pub token_store: Option<TokenStore>,
    /// Where the state is kept, if not in a folder of this machine: a PostgreSQL database.
    pub state: Option<SharedState>,
    /// What the history says of messages.
    #[serde(default)]
    pub history: History,
    /// How long the history keeps what it says of a message, as `400d`; 0d keeps no history. 400d
    /// where absent.
    pub keep_history: Option<Days>,
    /// App registrations through which mailboxes are read.
    #[serde(default)]
    pub incoming_servers: Vec<IncomingServer>,
    /// Ways for mail to leave.
    #[serde(default)]
    pub outgoing_servers: Vec<OutgoingServer>,
    /// What goes with mail that is posted to a URL.
    #[serde(default)]
    pub webhooks: Vec<Webhook>,
    /// Who may hand mail to the relay (`sendmail -bs`), and how much.
    #[serde(default)]
    pub relay: Relay,
    /// Who is told when something fails.
    pub notify: Option<Notify>,
    /// Named streams of contacts, each fed by one or more addresses.
    #[serde(default)]
    pub queues: Vec<Queue>,
}
}

impl Config {
    /// What is put on record of messages, and for how long.
    pub fn recording(&self) -> Recording {
        Recording {
            days: self.keep_history.unwrap_or(Days::OF_HISTORY),
            subject: self.history.subject.unwrap_or(true),
        }
    }
}

/// What is put on record of messages, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recording {
    pub days: Days,
    /// Subjects, too.
    pub subject: bool,
}

impl Recording {
    /// Whether there is a history at all.
    pub fn is_on(self) -> bool {
        self.days.0 > 0
    }

    /// What is older than this is forgotten; `now` and the answer are Unix seconds.
    pub fn start(self, now: i64) -> i64 {
        now - i64::from(self.days.0) * 86_400
    }
}

mapping! {
/// What the history says of messages.
#[derive(Default)]
pub struct History {
    /// False keeps no subject, neither in the history nor for the list of the quarantine; true
    /// where absent.
    pub subject: Option<bool>,
}
}

mapping! {
/// What holds where a queue or an address says nothing else.
#[derive(Default)]
pub struct Defaults {
    /// The language of contacts, a BCP 47 tag; `en` where absent.
    pub language: Option<Language>,
    /// A number; the lowest value is served first. 100 where absent.
    pub priority: Option<Priority>,
    /// Where fetched mail goes: maildir:PATH, mbox:PATH, command:CMD, lmtp:HOST:PORT, https://URL,
    /// eml:FOLDER or stdout; {queue}, {address}, {folder} and {language} expand.
    pub deliver: Option<Target>,
    /// What happens on the server after a delivery: keep, seen, delete or move:FOLDER.
    pub after_fetch: Option<AfterFetch>,
    /// Adds `X-Queuemail-*` header fields to delivered mail.
    pub stamp: Option<bool>,
    /// Sends what names no sender, or one without a full address, as cron's mail from `root`.
    pub sender: Option<EmailAddress>,
    /// Gets what is addressed without a full address, as cron's mail to `root`.
    pub recipient: Option<EmailAddress>,
}
}

mapping! {
/// An Entra ID app registration, seen from a login address, through which mailboxes are read.
pub struct IncomingServer, new {
    /// A name of your choice, by which others refer to the server.
    pub name: String [given name],
    /// `https://<login host>/<tenant>`.
    pub address: Authority [given address],
    /// Who signs in: oauth-service (the program itself) or oauth-user (a person's account).
    pub authentication: Authentication [given authentication],
    /// The Application (client) ID of the app registration.
    pub client_id: ClientId [given client_id],
    /// The client secret, or where it is read from.
    pub secret: Option<SecretSource>,
    /// The day on which the secret expires, as the app registration shows it.
    pub secret_expires: Option<Day>,
    /// A certificate registered with the app, instead of a secret: PEM, or PFX (PKCS #12).
    pub certificate: Option<PathBuf>,
    /// The private key of the certificate (PEM), where it is in a file of its own.
    pub private_key: Option<PathBuf>,
    /// The passphrase of a PFX file or of an encrypted key, or where it is read from.
    pub certificate_passphrase: Option<SecretSource>,
    /// Where a token of another identity provider comes from, instead of a secret.
    pub federated_token: Option<FederatedToken>,
    /// The same as `federated_token: {file: P}`.
    pub federated_token_file: Option<PathBuf>,
    /// Signs in as a managed identity of the Azure host: true for the user-assigned
    /// one of `client_id`, system for the host's own.
    #[serde(default)]
    pub managed_identity: ManagedIdentity,
    /// The way in which mailboxes are read: imap, graph or auto.
    #[serde(default)]
    pub via: IncomingVia,
    /// The token endpoint (RFC 6749 §3.2), where the authority's paths are not Entra ID's.
    pub token_endpoint: Option<OauthEndpoint>,
    /// The authorization endpoint (RFC 6749 §3.1), likewise.
    pub authorization_endpoint: Option<OauthEndpoint>,
    /// The device authorization endpoint (RFC 8628 §3.1), likewise.
    pub device_authorization_endpoint: Option<OauthEndpoint>,
    /// The IMAP host, where the cloud's own does not serve: imaps://HOST[:PORT] or imap://HOST[:PORT].
    pub imap: Option<Endpoint>,
    /// The Graph service root, where the cloud's own does not serve.
    pub graph: Option<HttpsUrl>,
    /// The OAuth scope, where the cloud's own does not serve.
    pub scope: Option<String>,
    /// A PEM file of authorities to trust in addition to the system's.
    pub ca_file: Option<PathBuf>,
}
}

mapping! {
/// Through which mail leaves.
pub struct OutgoingServer, new {
    /// A name of your choice, by which others refer to the server.
    pub name: String [given name],
    /// False keeps the server in the file and sends nothing through it.
    #[serde(default = "yes")]
    pub enabled: bool [usual true],
    /// The tenant: a GUID or a domain name.
    pub tenant: Tenant [given tenant],
    /// Who signs in: oauth-service (the program itself) or oauth-user (a person's account).
    pub authentication: Authentication [given authentication],
    /// The incoming server whose app registration signs in.
    pub app: Option<String>,
    /// The Application (client) ID of the app registration.
    pub client_id: Option<ClientId>,
    /// The client secret, or where it is read from.
    pub secret: Option<SecretSource>,
    /// The day on which the secret expires, as the app registration shows it.
    pub secret_expires: Option<Day>,
    /// A certificate registered with the app, instead of a secret: PEM, or PFX (PKCS #12).
    pub certificate: Option<PathBuf>,
    /// The private key of the certificate (PEM), where it is in a file of its own.
    pub private_key: Option<PathBuf>,
    /// The passphrase of a PFX file or of an encrypted key, or where it is read from.
    pub certificate_passphrase: Option<SecretSource>,
    /// Where a token of another identity provider comes from, instead of a secret.
    pub federated_token: Option<FederatedToken>,
    /// The same as `federated_token: {file: P}`.
    pub federated_token_file: Option<PathBuf>,
    /// Signs in as a managed identity of the Azure host: true for the user-assigned
    /// one of `client_id`, system for the host's own.
    #[serde(default)]
    pub managed_identity: ManagedIdentity,
    /// GUID or address of the mailbox user.
    pub user: Option<ServerUser>,
    /// The mailbox user's password, for OAuth User.
    pub password: Option<SecretSource>,
    /// The way in which mail is sent: smtp, graph or auto.
    #[serde(default)]
    pub via: OutgoingVia,
    /// The submission host, where the cloud's own does not serve: smtp://HOST[:PORT] or smtps://HOST[:PORT].
    pub smtp: Option<Endpoint>,
    /// The Graph service root, where the cloud's own does not serve.
    pub graph: Option<HttpsUrl>,
    /// The OAuth scope, where the cloud's own does not serve.
    pub scope: Option<String>,
    /// A PEM file of authorities to trust in addition to the system's.
    pub ca_file: Option<PathBuf>,
    /// How much the server takes of each mailbox that sends.
    pub limits: Option<Limits>,
}
}

mapping! {
/// How much an outgoing server takes of each mailbox that sends. Where a key is absent, and the
/// host is one of Microsoft's, Exchange Online's own limits hold; else none.
#[derive(Default)]
pub struct Limits {
    /// Messages in any minute.
    pub messages_per_minute: Option<u32>,
    /// At the same time.
    pub connections: Option<u32>,
    /// A message to more goes out in several transactions.
    pub recipients_per_message: Option<u32>,
    /// In any 24 hours.
    pub recipients_per_day: Option<u32>,
    /// Octets of a message.
    pub message_size: Option<u32>,
}
}

mapping! {
/// Who may hand mail to the relay, and how much.
#[derive(Default)]
pub struct Relay {
    /// A file with a line `USER:PASSWORD` for each client that signs in. Where it is set, clients
    /// that connect by TCP must sign in.
    pub password_file: Option<PathBuf>,
    /// Messages of one user that are in the outbox at the same time; 1000 where absent.
    pub messages_per_user: Option<u32>,
    /// The same in units of 1,048,576 bytes; 1024 where absent.
    pub megabytes_per_user: Option<u32>,
}
}

fn yes() -> bool {
    true
}

mapping! {
/// A named stream of contacts, fed by one or more addresses.
pub struct Queue, new {
    /// The queue's name.
    pub name: String [given name],
    /// The language of its contacts, a BCP 47 tag.
    pub language: Option<Language>,
    /// A number; the lowest value is served first.
    pub priority: Option<Priority>,
    /// Where fetching its mailboxes begins: all, now or a date; all where absent.
    pub start: Option<Start>,
    /// The mailboxes that feed it.
    #[serde(default)]
    pub addresses: Vec<Address>,
}
}

mapping! {
/// A mailbox that feeds a queue.
pub struct Address, new {
    /// The mailbox's full e-mail address.
    pub address: EmailAddress [given address],
    /// The incoming server's name.
    pub server: String [given server],
    /// Overrides the queue's.
    pub priority: Option<Priority>,
    /// Overrides the queue's language.
    pub extension_language: Option<Language>,
    /// The account that signs in; the address itself where absent.
    pub account: Option<String>,
    /// The account's password, or where it is read from, for oauth-user.
    pub password: Option<SecretSource>,
    /// The address may be used as a sender.
    #[serde(default)]
    pub sender: bool,
    /// Mail that it sends may name anybody in From, as a mailing list's does, and not only senders.
    #[serde(default)]
    pub any_from: bool,
    /// The outgoing server's name, for a sender.
    pub outgoing_server: Option<String>,
    /// `INBOX` where absent.
    pub folders: Option<Vec<String>>,
    /// Where fetching it begins: all, now or a date. Overrides the queue's.
    pub start: Option<Start>,
    /// Which of its messages are fetched; all where absent.
    pub select: Option<Select>,
    /// Where its mail goes: maildir:PATH, mbox:PATH, command:CMD, lmtp:HOST:PORT, https://URL,
    /// eml:FOLDER or stdout.
    pub deliver: Option<Target>,
    /// What happens on the server after a delivery: keep, seen, delete or move:FOLDER.
    pub after_fetch: Option<AfterFetch>,
    /// Adds `X-Queuemail-*` header fields to delivered mail.
    pub stamp: Option<bool>,
}
}

/// The way in which an incoming server's mailboxes are read.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum IncomingVia {
    #[default]
    Imap,
    Graph,
    Auto,
}

words!(IncomingVia { Imap = "imap", Graph = "graph", Auto = "auto" });

/// The way in which an outgoing server sends.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum OutgoingVia {
    #[default]
    Smtp,
    Graph,
    Auto,
}

words!(OutgoingVia { Smtp = "smtp", Graph = "graph", Auto = "auto" });

impl Config {
    /// Every secret that stands in the file itself.
    pub fn plain_secrets(&self) -> Vec<&Secret> {
        let mut found = Vec::new();
        self.secrets(&mut found);
        found
    }

    /// Every address of every queue, in the order of the file.
    pub fn addresses(&self) -> impl Iterator<Item = (&Queue, &Address)> {
        let queues = self.queues.iter();
        queues.flat_map(|queue| queue.addresses.iter().map(move |address| (queue, address)))
    }

    pub fn incoming_server(&self, name: &str) -> Option<&IncomingServer> {
        self.incoming_servers.iter().find(|s| s.name == name)
    }

    pub fn outgoing_server(&self, name: &str) -> Option<&OutgoingServer> {
        self.outgoing_servers.iter().find(|s| s.name == name)
    }

    /// The names of all servers, incoming ones first.
    pub fn server_names(&self) -> Vec<&str> {
        let incoming = self.incoming_servers.iter().map(|s| s.name.as_str());
        let outgoing = self.outgoing_servers.iter().map(|s| s.name.as_str());
        incoming.chain(outgoing).collect()
    }

    pub fn queue_names(&self) -> Vec<&str> {
        self.queues.iter().map(|q| q.name.as_str()).collect()
    }

    pub fn queue(&self, name: &str) -> Option<&Queue> {
        self.queues.iter().find(|q| q.name == name)
    }
}

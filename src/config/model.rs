//! The configuration as plain data, every key typed, unknown keys refused.
//!
//! No `flatten`, `untagged` or internally tagged enums: serde_yaml loses the line number there.

use super::cloud::Authority;
use super::credential::{FederatedToken, ManagedIdentity};
use super::secret_source::SecretSource;
use super::token_store::TokenStore;
use super::webhook::Webhook;
use crate::net::Endpoint;
use schemars::JsonSchema;
use serde::Deserialize;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// The whole file.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Always 1.
    #[schemars(extend("const" = 1))]
    pub version: u32,
    /// What holds where a queue or an address says nothing else.
    #[serde(default)]
    pub defaults: Defaults,
    /// Where tokens are kept: keyring, or a command; the state database where absent.
    pub token_store: Option<TokenStore>,
    /// App registrations through which mailboxes are read.
    #[serde(default)]
    pub incoming_servers: Vec<IncomingServer>,
    /// Ways for mail to leave.
    #[serde(default)]
    pub outgoing_servers: Vec<OutgoingServer>,
    /// What goes with mail that is posted to a URL.
    #[serde(default)]
    pub webhooks: Vec<Webhook>,
    /// Named streams of contacts, each fed by one or more addresses.
    #[serde(default)]
    pub queues: Vec<Queue>,
}

/// What holds where a queue or an address says nothing else.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
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

/// An Entra ID app registration, seen from a login address, through which mailboxes are read.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct IncomingServer {
    /// A name of your choice, by which others refer to the server.
    pub name: String,
    /// `https://<login host>/<tenant>`.
    pub address: Authority,
    /// Who signs in: oauth-service (the program itself) or oauth-user (a person's account).
    pub authentication: Authentication,
    /// The Application (client) ID of the app registration.
    pub client_id: ClientId,
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
    /// Signs in as a managed identity of the Azure host that we run on: true for the user-assigned
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
    /// A PEM file of authorities to trust beside the system's.
    pub ca_file: Option<PathBuf>,
}

/// Through which mail leaves.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct OutgoingServer {
    /// A name of your choice, by which others refer to the server.
    pub name: String,
    /// False keeps the server in the file and sends nothing through it.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// The tenant: a GUID or a domain name.
    pub tenant: Tenant,
    /// Who signs in: oauth-service (the program itself) or oauth-user (a person's account).
    pub authentication: Authentication,
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
    /// Signs in as a managed identity of the Azure host that we run on: true for the user-assigned
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
    /// A PEM file of authorities to trust beside the system's.
    pub ca_file: Option<PathBuf>,
    /// How much the server takes of each mailbox that sends.
    pub limits: Option<Limits>,
}

/// How much an outgoing server takes of each mailbox that sends. Where a key is absent, and the
/// host is one of Microsoft's, Exchange Online's own limits hold; else none.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
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

fn yes() -> bool {
    true
}

/// A named stream of contacts, fed by one or more addresses.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Queue {
    /// The queue's name.
    pub name: String,
    /// The language of its contacts, a BCP 47 tag.
    pub language: Option<Language>,
    /// A number; the lowest value is served first.
    pub priority: Option<Priority>,
    /// The mailboxes that feed it.
    #[serde(default)]
    pub addresses: Vec<Address>,
}

/// A mailbox that feeds a queue.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Address {
    /// The mailbox's full e-mail address.
    pub address: EmailAddress,
    /// The incoming server's name.
    pub server: String,
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
    /// Where its mail goes: maildir:PATH, mbox:PATH, command:CMD, lmtp:HOST:PORT, https://URL,
    /// eml:FOLDER or stdout.
    pub deliver: Option<Target>,
    /// What happens on the server after a delivery: keep, seen, delete or move:FOLDER.
    pub after_fetch: Option<AfterFetch>,
    /// Adds `X-Queuemail-*` header fields to delivered mail.
    pub stamp: Option<bool>,
}

/// Who signs in.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Authentication {
    /// The program itself: client credentials, application permissions (RFC 6749 §4.4).
    OauthService,
    /// A person's account: delegated permissions.
    OauthUser,
}

impl fmt::Display for Authentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Authentication::OauthService => "oauth-service",
            Authentication::OauthUser => "oauth-user",
        })
    }
}

/// The way in which an incoming server's mailboxes are read.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum IncomingVia {
    #[default]
    Imap,
    Graph,
    Auto,
}

/// The way in which an outgoing server sends.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum OutgoingVia {
    #[default]
    Smtp,
    Graph,
    Auto,
}

/// What happens to a message on the server once its delivery is on record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AfterFetch {
    /// Nothing.
    #[default]
    Keep,
    /// Marked as read.
    Seen,
    Delete,
    /// Moved to the folder of this name.
    Move(String),
}

impl AfterFetch {
    /// Why it would make each message of the folders (none: the INBOX) come again: moved into a
    /// folder that is fetched too, it has another UID there.
    pub fn repeats<F: AsRef<str>>(&self, folders: &[F]) -> Option<String> {
        let AfterFetch::Move(to) = self else {
            return None;
        };
        let is_inbox = |name: &str| name.eq_ignore_ascii_case("INBOX");
        let is_to = |name: &str| name == to || (is_inbox(name) && is_inbox(to));
        let repeats =
            folders.iter().any(|f| is_to(f.as_ref())) || (folders.is_empty() && is_inbox(to));
        repeats.then(|| format!("`{to}` is fetched too: each message would come again"))
    }
}

impl FromStr for AfterFetch {
    type Err = String;
    fn from_str(text: &str) -> Result<AfterFetch, String> {
        match text {
            "keep" => Ok(AfterFetch::Keep),
            "seen" => Ok(AfterFetch::Seen),
            "delete" => Ok(AfterFetch::Delete),
            _ => match text.strip_prefix("move:") {
                Some(folder) if !folder.is_empty() => Ok(AfterFetch::Move(folder.to_owned())),
                _ => Err(format!(
                    "`{text}` is no action after a fetch: use keep, seen, delete or move:FOLDER"
                )),
            },
        }
    }
}

impl fmt::Display for AfterFetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AfterFetch::Keep => f.write_str("keep"),
            AfterFetch::Seen => f.write_str("seen"),
            AfterFetch::Delete => f.write_str("delete"),
            AfterFetch::Move(folder) => write!(f, "move:{folder}"),
        }
    }
}

/// Declares a checked string: `FromStr` checks, `parsed` deserializes through it.
macro_rules! checked_string {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> Result<$name, String> {
                let check: fn(&str) -> Result<String, String> = $check;
                check(text).map($name)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

checked_string!(
    /// An application (client) ID: a GUID, or any other visible text for providers other than
    /// Entra ID.
    ClientId,
    |text| {
        if text.is_empty() || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(format!("`{text}` is no client ID: copy the Application (client) ID, a GUID"));
        }
        Ok(text.to_owned())
    }
);

checked_string!(
    /// A tenant: GUID or domain name, in lower case.
    Tenant,
    |text| {
        let domain = text.contains('.')
            && text.split('.').all(|l| {
                !l.is_empty()
                    && !l.starts_with('-')
                    && !l.ends_with('-')
                    && l.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            });
        let alias = matches!(text, "common" | "organizations" | "consumers");
        if is_guid(text) || domain || alias {
            Ok(text.to_ascii_lowercase())
        } else {
            Err(format!("`{text}` is no tenant: give its GUID or one of its domain names"))
        }
    }
);

checked_string!(
    /// A full e-mail address.
    EmailAddress,
    |text| {
        text.parse::<lettre::Address>()
            .map(|_| text.to_owned())
            .map_err(|_| format!("`{text}` is no e-mail address: give it in full, like support@contoso.com"))
    }
);

checked_string!(
    /// The mailbox user of an outgoing server: the GUID of the user, or its address.
    ServerUser,
    |text| {
        if is_guid(text) || text.parse::<lettre::Address>().is_ok() {
            Ok(text.to_owned())
        } else {
            Err(format!("`{text}` is no mailbox user: give the user's object ID (a GUID) or address"))
        }
    }
);

impl ServerUser {
    pub fn is_guid(&self) -> bool {
        is_guid(&self.0)
    }
}

checked_string!(
    /// A language: a BCP 47 tag such as `de` or `pt-BR`.
    Language,
    |text| {
        oxilangtag::LanguageTag::parse_and_normalize(text)
            .map(|_| text.to_owned())
            .map_err(|e| format!("`{text}` is no language tag (BCP 47, like `de` or `pt-BR`): {e}"))
    }
);

checked_string!(
    /// An `https://` URL without user name, query or fragment, and without a slash at its end.
    HttpsUrl,
    |text| {
        let url = url::Url::parse(text).map_err(|e| format!("`{text}` is not a URL: {e}"))?;
        if url.scheme() != "https" {
            return Err(format!("`{text}` must begin with https://: tokens never travel in clear"));
        }
        if url.host_str().is_none() || !url.username().is_empty() || url.password().is_some() {
            return Err("the URL must hold a host and no user name or password".to_owned());
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(format!("`{text}` must not hold `?` or `#`"));
        }
        Ok(url.as_str().trim_end_matches('/').to_owned())
    }
);

checked_string!(
    /// An `https://` URL of an authority's endpoint, without user name or fragment. A query is
    /// kept, as RFC 6749 §3.1 asks.
    OauthEndpoint,
    |text| {
        let url = url::Url::parse(text).map_err(|e| format!("`{text}` is not a URL: {e}"))?;
        if url.scheme() != "https" {
            return Err(format!("`{text}` must begin with https://: secrets never travel in clear"));
        }
        if url.host_str().is_none() || !url.username().is_empty() || url.password().is_some() {
            return Err("the URL must hold a host and no user name or password".to_owned());
        }
        if url.fragment().is_some() {
            return Err(format!("`{text}` must not hold `#`"));
        }
        Ok(url.into())
    }
);

checked_string!(
    /// Where fetched mail comes to rest: `maildir:PATH`, `mbox:PATH`, `command:CMD`,
    /// `lmtp:HOST:PORT`, `lmtp-plain:HOST:PORT`, `lmtp:/socket`, `https://URL`, `eml:FOLDER`, `stdout`
    /// or `stdout:json`.
    Target,
    |text| {
        let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
        match kind {
            _ if matches!(text, "stdout" | "stdout:json") => Ok(text.to_owned()),
            "http" | "https" => super::target::mistake(kind, rest).map_or(Ok(text.to_owned()), Err),
            "maildir" | "mbox" | "command" | "lmtp" | "lmtp-plain" | "eml" if !rest.is_empty() => {
                super::target::mistake(kind, rest).map_or(Ok(text.to_owned()), Err)
            }
            "maildir" | "mbox" | "command" | "lmtp" | "lmtp-plain" | "eml" => {
                Err(format!("`{text}` lacks what follows the colon, like `maildir:/var/mail/support`"))
            }
            _ => Err(format!(
                "`{text}` is no delivery: use maildir:PATH, mbox:PATH, command:CMD, lmtp:HOST:PORT, https://URL, eml:FOLDER or stdout"
            )),
        }
    }
);

impl Target {
    /// The same destination for a run whose results are JSON: standard output then holds nothing
    /// but JSON Lines.
    pub fn in_json(self) -> Target {
        match self.as_str() {
            "stdout" => Target("stdout:json".to_owned()),
            _ => self,
        }
    }
}

/// A day of the calendar, `YYYY-MM-DD`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day(jiff::civil::Date);

impl Day {
    pub fn date(self) -> jiff::civil::Date {
        self.0
    }

    /// Its first instant in UTC; whatever ends on that day ends then or later.
    pub fn begins(self) -> jiff::Timestamp {
        self.0
            .to_zoned_datetime(jiff::tz::TimeZone::UTC)
            .map_or(jiff::Timestamp::MAX, |zoned| zoned.timestamp())
    }
}

impl FromStr for Day {
    type Err = String;
    fn from_str(text: &str) -> Result<Day, String> {
        jiff::civil::Date::strptime("%Y-%m-%d", text)
            .map(Day)
            .map_err(|_| format!("`{text}` is no day: write it as YYYY-MM-DD"))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A number; the lowest value is served first. Range: 0 to 1,000,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Priority(pub u32);

impl Priority {
    /// What holds where nothing says otherwise.
    pub const DEFAULT: Priority = Priority(100);
}

impl FromStr for Priority {
    type Err = String;
    fn from_str(text: &str) -> Result<Priority, String> {
        match text.parse::<u32>() {
            Ok(n) if n <= 1_000_000 => Ok(Priority(n)),
            _ => Err(format!(
                "`{text}` is no priority: use a whole number from 0 to 1000000 (the lowest is served first)"
            )),
        }
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// True for a GUID in its usual form, 8-4-4-4-12 hexadecimal digits.
pub fn is_guid(text: &str) -> bool {
    let lengths = [8, 4, 4, 4, 12];
    let mut parts = text.split('-');
    lengths.iter().all(|&n| {
        parts
            .next()
            .is_some_and(|p| p.len() == n && p.chars().all(|c| c.is_ascii_hexdigit()))
    }) && parts.next().is_none()
}

/// One mailbox with everything that holds for it: the address's own value, else its queue's,
/// else the file's default, else ours.
#[derive(Clone, Copy, Debug)]
pub struct MailboxEntry<'a> {
    pub config: &'a Config,
    pub queue: &'a Queue,
    pub address: &'a Address,
}

impl Config {
    /// Every mailbox of every queue, in the order of the file.
    pub fn mailboxes(&self) -> impl Iterator<Item = MailboxEntry<'_>> {
        self.queues.iter().flat_map(move |queue| {
            queue.addresses.iter().map(move |address| MailboxEntry {
                config: self,
                queue,
                address,
            })
        })
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

impl<'a> MailboxEntry<'a> {
    pub fn priority(&self) -> Priority {
        self.address
            .priority
            .or(self.queue.priority)
            .or(self.config.defaults.priority)
            .unwrap_or(Priority::DEFAULT)
    }

    pub fn language(&self) -> &'a str {
        self.address
            .extension_language
            .as_ref()
            .or(self.queue.language.as_ref())
            .or(self.config.defaults.language.as_ref())
            .map_or("en", Language::as_str)
    }

    /// The account that signs in.
    pub fn account(&self) -> &'a str {
        self.address
            .account
            .as_deref()
            .unwrap_or(self.address.address.as_str())
    }

    pub fn folders(&self) -> Vec<&'a str> {
        match &self.address.folders {
            Some(folders) => folders.iter().map(String::as_str).collect(),
            None => vec!["INBOX"],
        }
    }

    /// Where its mail goes; `None` where neither the address nor the defaults say so.
    pub fn deliver(&self) -> Option<&'a Target> {
        self.address
            .deliver
            .as_ref()
            .or(self.config.defaults.deliver.as_ref())
    }

    pub fn after_fetch(&self) -> AfterFetch {
        self.address
            .after_fetch
            .clone()
            .or_else(|| self.config.defaults.after_fetch.clone())
            .unwrap_or_default()
    }

    pub fn stamp(&self) -> bool {
        self.address
            .stamp
            .or(self.config.defaults.stamp)
            .unwrap_or(false)
    }
}

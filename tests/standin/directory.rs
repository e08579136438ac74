//! The tenant's directory: app registrations, users, and the sign-ins under way.

use std::collections::HashMap;

use serde_json::{Map, Value};

/// An app registration together with its enterprise application.
#[derive(Clone, Debug)]
pub struct App {
    pub client_id: String,
    /// The secret's value; `None` when the app has none.
    pub secret: Option<String>,
    /// The secret's expiry date has passed (AADSTS7000222).
    pub secret_expired: bool,
    /// "Allow public client flows": no secret is asked for, and none is accepted.
    pub public: bool,
    /// Certificates registered for client assertions, PEM.
    pub certificates: Vec<String>,
    /// Federated credentials.
    pub federated: Vec<Federated>,
    /// Application permissions with admin consent; they become the `roles` claim.
    pub roles: Vec<&'static str>,
    /// Delegated permissions with consent; what else is asked for gives AADSTS65001.
    pub delegated: Vec<&'static str>,
    /// Registered redirect URIs (ports are ignored for loopback hosts).
    pub redirect_uris: Vec<String>,
    /// Registered in Exchange with `New-ServicePrincipal`, and with the right object ID.
    pub in_exchange: bool,
    /// Object ID of the enterprise application, the `oid` of app-only tokens.
    pub object_id: String,
    /// Added to the claims of every access token of this app (`email` for Dovecot, for example).
    pub extra_claims: Map<String, Value>,
    /// Object ID of the app registration, which the App registrations page shows.
    pub registration_id: String,
    /// The enterprise application is an owner of the registration.
    pub owns_itself: bool,
    /// Secrets beside `secret`; the newest last.
    pub more_secrets: Vec<String>,
    /// What a secret or certificate of this key ID is called, and when it ends.
    pub about_keys: HashMap<String, (Option<String>, String)>,
    /// Key IDs of what was registered while the app was in use.
    pub new_keys: Vec<String>,
}

impl Default for App {
    fn default() -> App {
        App {
            client_id: "22222222-3333-4444-5555-666666666666".into(),
            secret: None,
            secret_expired: false,
            public: false,
            certificates: Vec::new(),
            federated: Vec::new(),
            roles: Vec::new(),
            delegated: vec![
                "IMAP.AccessAsUser.All",
                "POP.AccessAsUser.All",
                "SMTP.Send",
                "Mail.ReadWrite",
                "Mail.ReadWrite.Shared",
                "Mail.Send",
                "Mail.Send.Shared",
                "User.Read",
            ],
            redirect_uris: vec!["http://localhost".into()],
            in_exchange: true,
            object_id: super::world::guid(),
            extra_claims: Map::new(),
            registration_id: super::world::guid(),
            owns_itself: false,
            more_secrets: Vec::new(),
            about_keys: HashMap::new(),
            new_keys: Vec::new(),
        }
    }
}

impl App {
    /// All secrets that are registered.
    pub fn secrets(&self) -> impl Iterator<Item = &String> {
        self.secret.iter().chain(&self.more_secrets)
    }
}

/// The key ID of a secret, or of a certificate in DER.
pub fn key_id(content: &[u8]) -> String {
    let hex: String = openssl::sha::sha256(content)[..16]
        .iter()
        .map(|octet| format!("{octet:02x}"))
        .collect();
    format!(
        "{}-{}-4{}-a{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[13..16],
        &hex[17..20],
        &hex[20..]
    )
}

/// A trust in tokens of another identity provider.
#[derive(Clone, Debug)]
pub struct Federated {
    pub issuer: String,
    pub subject: String,
    /// Usually `api://AzureADTokenExchange`.
    pub audience: String,
    /// The provider's public key, PEM.
    pub public_key_pem: String,
}

/// A person's account.
#[derive(Clone, Debug)]
pub struct User {
    /// User principal name and primary address.
    pub address: String,
    pub object_id: String,
    pub password: String,
    /// Multi-factor authentication is demanded (AADSTS50076 for the password grant).
    pub mfa: bool,
    /// Sign-in is blocked, as for a shared mailbox's account (AADSTS50057).
    pub disabled: bool,
    /// Conditional Access blocks every sign-in (AADSTS53003).
    pub blocked: bool,
    /// The password has expired (AADSTS50055).
    pub password_expired: bool,
}

impl Default for User {
    fn default() -> User {
        User {
            address: String::new(),
            object_id: super::world::guid(),
            password: "correct horse battery staple".into(),
            mfa: false,
            disabled: false,
            blocked: false,
            password_expired: false,
        }
    }
}

/// What a refresh token stands for.
#[derive(Clone, Debug)]
pub struct Refresh {
    pub client_id: String,
    pub user: String,
    pub issued: i64,
    /// What was consented at the sign-in, to answer a refresh without a scope.
    pub scope: String,
    /// Sessions revoked or password changed (AADSTS50173).
    pub revoked: bool,
    /// Not used for 90 days (AADSTS700082).
    pub idle: bool,
}

/// An authorization code waiting to be redeemed.
#[derive(Clone, Debug)]
pub struct Code {
    pub client_id: String,
    pub user: String,
    pub redirect_uri: String,
    pub challenge: Option<String>,
    pub nonce: Option<String>,
    pub scope: String,
    pub issued: i64,
    pub redeemed: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub enum DeviceState {
    Pending,
    Approved(String),
    Declined,
}

/// A device code being waited for.
#[derive(Clone, Debug)]
pub struct Device {
    pub client_id: String,
    pub user_code: String,
    pub scope: String,
    pub expires: i64,
    pub state: DeviceState,
    pub polls: u32,
}

#[derive(Default)]
pub struct Directory {
    pub apps: HashMap<String, App>,
    /// By address in lower case.
    pub users: HashMap<String, User>,
    pub wrong_passwords: HashMap<String, u32>,
    pub refresh: HashMap<String, Refresh>,
    pub codes: HashMap<String, Code>,
    pub devices: HashMap<String, Device>,
}

impl Directory {
    pub fn app(&self, client_id: &str) -> Option<&App> {
        self.apps.get(&client_id.to_ascii_lowercase())
    }

    pub fn user(&self, address: &str) -> Option<&User> {
        self.users.get(&address.to_ascii_lowercase())
    }
}

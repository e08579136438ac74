//! What can be configured, as plain types: servers, queues and addresses, and the values in them.
//!
//! `config` here is the whole of it, `values` has the checked texts; `cloud` knows which hosts and
//! scopes follow from a login host, `permission` which permission opens what. A secret is a source
//! (`secret_source`), read again at each use (`resolve_secret`). `tree` has what each value does with
//! itself, and the macro by which a mapping of the file is said once.
//!
//! Nothing here knows that there is a file. The derived `Deserialize` says which keys there are and
//! what they are called; how a text of YAML is read, or stated, and where a mistake stands in it, is `crate::config`'s.

mod app;
mod authentication;
mod cloud;
mod command_line;
mod config;
mod credential;
mod database_url;
mod given;
mod moment;
mod names;
mod notify;
mod paths;
mod permission;
mod ping_url;
mod post_url;
mod resolve_secret;
mod secret_command;
mod secret_source;
mod secret_text;
mod select;
mod server;
mod shared_state;
mod span;
mod target;
mod token_store;
mod tree;
mod values;
mod webhook;

pub use app::{App, Apps, swapped};
pub use authentication::Authentication;
pub use cloud::{Authority, Cloud, Resource};
pub use command_line::words as command_words;
pub use config::*;
pub use credential::{FederatedToken, ManagedIdentity};
pub use database_url::{DatabaseUrl, PORT as DATABASE_PORT};
pub use given::{Change, Given, put, put_with};
pub use moment::Moment;
pub use names::{Name, bad_name, named, nearest, no_server, unknown};
pub use notify::Notify;
pub use permission::Purpose;
pub use ping_url::PingUrl;
pub use post_url::PostUrl;
pub use secret_command::{NoSecret, run_with};
pub use secret_source::{SecretSource, Secrets};
pub use secret_text::{MAX_SECRET, without_line_end};
pub use select::{Author, Condition, Larger, Select, Size, Verdict};
pub use server::{Credentials, CredentialsMut, Server};
pub use shared_state::SharedState;
pub use span::Span;
pub use token_store::TokenStore;
pub use tree::{Tree, Value};
pub use values::*;
pub use webhook::{Webhook, webhook_of};

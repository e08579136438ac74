//! The YAML file: what it may hold, how it is read, checked and edited.
//!
//! `model` is plain data and `values` the checked texts in it; `load` reads and checks a file and
//! points at mistakes with file, line, column and a suggestion; `edit` changes one place and leaves
//! every other byte alone; `cloud` knows which hosts and scopes follow from a login host,
//! `permission` which permission opens what.
//!
//! serde_yaml (the package yaml_serde) reads the file, and its words for what it refuses are made ours
//! by `refusal`. It writes no file that exists: it would lose comments and order, so `edit` does that
//! with yaml-edit. Nor does it tell where a value stands that it has read: `locate` asks it again.

mod app;
mod by_hand;
#[cfg(test)]
mod canary_tests;
mod check;
mod check_select;
mod check_servers;
mod check_shared;
mod cloud;
mod command_line;
mod credential;
mod database_url;
mod depth;
mod edit;
#[cfg(test)]
mod edit_tests;
mod excerpt;
mod given;
mod hidden;
mod load;
mod locate;
mod mistake;
mod model;
mod moment;
mod names;
mod notify;
mod parsed;
mod paths;
mod permission;
mod ping_url;
mod post_url;
mod preview;
mod problem;
mod refusal;
mod resolve_secret;
mod schema;
mod secret_command;
mod secret_source;
mod secret_text;
mod select;
mod server_credentials;
mod shared_state;
mod span;
mod target;
mod token_store;
mod tree;
mod values;
mod webhook;
mod write;

pub use crate::files::owner_hint;
pub use app::{App, Apps, swapped};
pub use by_hand::edit_by_hand;
pub use cloud::{Authority, Cloud, Resource};
pub use command_line::words as command_words;
pub use credential::{FederatedToken, ManagedIdentity};
pub use database_url::{DatabaseUrl, PORT as DATABASE_PORT};
pub use given::{Change, Given, put};
pub use load::{
    MAX_SIZE, decode, is_blank, load, load_all, load_if_shared, parse, parse_all, read,
};
pub use mistake::shown;
pub use model::*;
pub use moment::Moment;
pub use names::{Name, named, nearest, no_server, unknown};
pub use notify::Notify;
pub use paths::{absolute_target, resolve_paths, resolve_queue};
pub use permission::Purpose;
pub use ping_url::PingUrl;
pub use post_url::PostUrl;
pub use resolve_secret::closed_to_others;
pub use schema::schema;
pub use secret_command::{NoSecret, run_with};
pub use secret_source::{SecretSource, Secrets};
pub use select::{Author, Condition, Larger, Select, Verdict};
pub use server_credentials::{Credentials, CredentialsMut};
pub use shared_state::SharedState;
pub use span::Span;
pub use token_store::TokenStore;
pub use tree::{Tree, to_yaml};
pub use values::*;
pub use webhook::{Webhook, webhook_of};
pub use write::{Written, check_wanted, preview, update};

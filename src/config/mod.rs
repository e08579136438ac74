//! The YAML file: what it may hold, how it is read, checked and edited.
//!
//! `model` is plain data; `load` reads and checks a file and points at mistakes with file, line,
//! column and a suggestion; `edit` changes one place and leaves every other byte alone; `cloud`
//! knows which hosts and scopes follow from a login host, `permission` which permission opens what.

#[cfg(test)]
mod canary_tests;
mod check;
mod check_servers;
mod cloud;
mod command_line;
mod credential;
mod depth;
mod edit;
#[cfg(test)]
mod edit_tests;
mod excerpt;
mod hidden;
mod load;
mod locate;
mod mistake;
mod model;
mod parsed;
mod paths;
mod permission;
#[cfg(test)]
mod permission_tests;
mod preview;
mod refusal;
pub mod resolve;
mod resolve_secret;
mod schema;
mod secret_command;
mod secret_source;
mod target;
mod token_store;
mod tree;
mod webhook;
mod write;

pub use check::{bad_name, named, nearest};
pub use cloud::{Authority, Cloud, Resource};
pub use command_line::words as command_words;
pub use credential::{Credentials, CredentialsMut, FederatedToken, ManagedIdentity};
pub use load::{MAX_SIZE, decode, is_blank, load, owner_hint, parse, read};
pub use mistake::shown;
pub use model::*;
pub use paths::{absolute_target, resolve_paths};
pub use permission::Purpose;
pub use resolve_secret::closed_to_others;
pub use schema::schema;
pub use secret_command::{Failure, run_with};
pub use secret_source::SecretSource;
pub use token_store::TokenStore;
pub use tree::{Tree, to_yaml};
pub use webhook::{PostUrl, Webhook, webhook_of};
pub use write::{Written, check_wanted, preview, update};

//! Black-box tests of everything that gets tokens: `token get` against the stand-in's Entra ID.

mod account;
mod answers;
mod cache;
mod campaigns;
mod explain;
mod formats;
pub mod login;
mod managed;
mod odd;
mod other_authorities;
mod service;
pub mod store;

pub use crate::world::Ran;
pub use crate::world::office::{ADDRESS, CLIENT, Home, PASSWORD};

/// The claims of a token of the stand-in.
#[track_caller]
pub fn claims(token: &str) -> serde_json::Value {
    crate::standin::jwt::take_apart(token.trim_end())
        .unwrap_or_else(|| panic!("no JWT: {token}"))
        .claims
}

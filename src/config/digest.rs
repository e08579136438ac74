//! A configuration as text, secrets hidden, and what tells it from every other, so that hosts can be
//! compared.

use crate::digest::{hex, sha256};
use crate::model::{Config, Tree};
use anyhow::Result;

/// Tells a configuration from every other; of its secrets it says nothing, and `state` may differ from
/// host to host.
///
/// # Errors
/// Why it cannot be written as text.
pub fn digest(config: &Config) -> Result<String> {
    let shared = Config {
        state: None,
        ..config.clone()
    };
    Ok(hex(&sha256(to_yaml(&shared.tree())?.as_bytes())[..8]))
}

/// The tree as YAML, secrets hidden.
pub fn to_yaml(tree: &Tree) -> Result<String> {
    Ok(serde_yaml::to_string(tree)?)
}

//! The JSON Schema (draft 2020-12) of the file, for editors: what `model` holds, described by
//! its doc comments. What a schema cannot see (names that lead nowhere, credentials that do not
//! go together) is left to `config validate`.
//!
//! It is made by a test, which holds it against the model (`model_tests`).

#[cfg(test)]
mod model_tests;

use anyhow::{Context, Result};
use serde_json::Value;

const MADE: &str = include_str!("schema.json");

/// The schema of the whole file.
///
/// # Errors
/// None, unless the program was built of a broken file.
pub fn schema() -> Result<Value> {
    serde_json::from_str(MADE).context("the schema of the configuration")
}

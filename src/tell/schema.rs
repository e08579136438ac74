//! The JSON Schema (draft 2020-12) of all JSON that the program prints: results, errors and the
//! log. Where a result shows a part of the configuration, the schema of the configuration holds.

use anyhow::{Context, Result};
use serde_json::Value;

const OWN: &str = include_str!("output.schema.json");

/// The schema of one line of `--json`, of `--log-format json`, or of `--deliver stdout:json`.
pub fn of_output() -> Result<Value> {
    let mut schema: Value = serde_json::from_str(OWN).context("the schema of the output")?;
    let mut configuration = crate::config::schema()?;
    let parts = configuration["$defs"].take();
    if let Some(all) = schema["$defs"].as_object_mut() {
        let Value::Object(parts) = parts else {
            return Ok(schema);
        };
        all.extend(parts);
        if let Some(whole) = configuration.as_object_mut() {
            whole.remove("$defs");
            whole.remove("$schema");
        }
        all.insert("configuration".into(), configuration);
    }
    Ok(schema)
}

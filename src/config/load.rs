//! Reading the file.

use super::Config;
use crate::fault::Fault;
use anyhow::Result;
use std::path::Path;

pub fn load(path: &Path) -> Result<Config> {
    let text = std::fs::read_to_string(path)
        .map_err(|e| Fault::config(format!("cannot read `{}`: {e}", path.display())))?;
    serde_yaml::from_str(&text)
        .map_err(|e| Fault::config(format!("{e} in {}", path.display())).into())
}

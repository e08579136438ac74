//! Relative paths and `~/` of the file made absolute.

use crate::files;
use crate::model::Value;
use anyhow::Result;
use std::path::Path;

/// Makes every path of the model, or of a queue of it, absolute.
///
/// # Errors
/// `Config`: `~/` without a home folder.
pub fn resolve_paths(of: &mut impl Value, file: &Path) -> Result<()> {
    of.resolve(files::folder_of(&files::absolute(file)?))
}

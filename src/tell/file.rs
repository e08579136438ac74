//! Files for other programs, which read them while they are written anew: the metrics, the page.

use crate::fault::Fault;
use std::path::Path;

/// Says that `what` could not be written to a file.
pub fn cannot_write(what: &str, path: &Path, err: &anyhow::Error) -> anyhow::Error {
    let why = format!("{err:#}");
    // The name of a temporary file says nothing to anybody.
    let why = why.split(" at path ").next().unwrap_or_default();
    let what = format!("cannot write {what} to `{}`: {why}", path.display());
    Fault::cannot_write(what)
        .hint("create the folder, and let the user who runs queuemail write there")
        .by_library()
        .into()
}

//! Programs that we start get our environment without the secrets in it.
//!
//! A delivery command or the helper that prints one secret has no business with another, and
//! everything that it starts would inherit that too.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// Names of variables that hold secrets, as the configuration has them (`{env: V}`).
static SECRET: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Keeps a variable from all programs started from now on.
pub fn withhold(variable: &str) {
    let mut names = SECRET.lock().unwrap_or_else(PoisonError::into_inner);
    names.insert(variable.to_owned());
}

/// A command that will not get the variables withheld.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for name in &*SECRET.lock().unwrap_or_else(PoisonError::into_inner) {
        // What no variable can be called is not in the environment either.
        if !name.is_empty() && !name.contains(['=', '\0']) {
            command.env_remove(name);
        }
    }
    command
}

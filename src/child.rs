//! Programs that we start get our environment without the secrets in it.
//!
//! A delivery command or the helper that prints one secret has no business with another, and
//! everything that it starts would inherit that too. What else we read from the environment holds no
//! secret of ours, and a program may need it as we do: where the proxy is, where systemd put
//! credentials, where the session's bus listens, where our own configuration is.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// Names of variables that hold secrets, as the configuration has them (`{env: V}`).
static SECRET: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// With these a program gets tokens of a managed identity, from App Service or a host like it; the
/// second is an older name of the same.
const OF_THE_HOST: [&str; 2] = ["IDENTITY_HEADER", "MSI_SECRET"];

/// Keeps a variable from all programs started from now on.
pub fn withhold(variable: &str) {
    let mut names = SECRET.lock().unwrap_or_else(PoisonError::into_inner);
    names.insert(variable.to_owned());
}

/// A command that will not get the variables withheld.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for name in OF_THE_HOST {
        command.env_remove(name);
    }
    for name in &*SECRET.lock().unwrap_or_else(PoisonError::into_inner) {
        // What no variable can be called is not in the environment either.
        if !name.is_empty() && !name.contains(['=', '\0']) {
            command.env_remove(name);
        }
    }
    command
}

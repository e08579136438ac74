//! Whether the state would rest on a disk of this machine.
//!
//! SQLite's write-ahead log needs memory that all its users share, and the program's locks must
//! hold for all of them: neither is so where another machine has the disk
//! (<https://sqlite.org/wal.html>, §2.2). A database that breaks there takes the knowledge with it
//! of what was delivered.

use crate::fault::{Fault, Kind};
use crate::files::folder_of;
use crate::shell;
use crate::system;
use std::path::Path;

/// Refuses a folder, which may not be there yet, on a filesystem of another machine.
///
/// # Errors
/// `CannotWrite` with the way out.
pub fn check(folder: &Path) -> Result<(), Fault> {
    match elsewhere(folder) {
        None => Ok(()),
        Some(kind) => Err(Fault::new(
            Kind::CannotWrite,
            format!(
                "the state folder `{}` is on a network filesystem ({kind}), where its database can break",
                folder.display()
            ),
        )
        .hint("keep it on a local disk: --state-dir, or QUEUEMAIL_STATE_DIR")
        .hint(format!(
            "to move a state, with no queuemail running: cp -a {} NEW",
            shell::quote(folder)
        ))),
    }
}

/// What kind of another machine's filesystem a folder is on, or will be.
fn elsewhere(folder: &Path) -> Option<String> {
    let there = |at: &&Path| at.exists();
    let at = folder.ancestors().find(there).unwrap_or(folder_of(folder));
    system::other_machine(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_here_is_taken_before_it_is_there() {
        let folder = tempfile::tempdir().unwrap();
        check(&folder.path().join("not/yet")).unwrap();
    }
}

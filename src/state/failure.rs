//! What an error of the database means for the caller: who must act, and how.

pub mod moves;
pub mod postgres;

use super::db::{self, At};
use crate::fault::{Fault, Kind};
use crate::shell;
use rusqlite::ErrorCode;
use std::fmt::Display;
use std::path::Path;

/// The fault of a database that cannot be opened, read or written (`verb`).
pub fn fault(verb: &str, at: At<'_>, err: &db::Error) -> Fault {
    match at {
        At::File(path) => of_file(verb, path, err),
        At::Server(place) => postgres::fault(verb, place, err),
    }
}

/// The fault of a value (`what`) that the program never writes.
pub fn spoilt(at: At<'_>, what: &str, err: &dyn Display) -> Fault {
    match at {
        At::File(path) => Fault::new(
            Kind::CannotWrite,
            format!(
                "cannot read the state database `{}`: {what} is damaged: {err}",
                path.display()
            ),
        )
        .hint(damaged(path)),
        At::Server(place) => postgres::spoilt(place, what, err),
    }
}

fn of_file(verb: &str, path: &Path, err: &db::Error) -> Fault {
    let (kind, hint) = remedy(err, path);
    let fault = Fault::new(
        kind,
        format!(
            "cannot {verb} the state database `{}`: {err}",
            path.display()
        ),
    );
    let fault = match hint.is_empty() {
        true => fault,
        false => fault.hint(hint),
    };
    match err {
        db::Error::Sqlite(err) if is_of_a_file(err) => fault.by_library(),
        _ => fault,
    }
}

/// True where SQLite could not open or use a file. It does not say why.
fn is_of_a_file(err: &rusqlite::Error) -> bool {
    matches!(
        err.sqlite_error_code(),
        Some(ErrorCode::CannotOpen | ErrorCode::SystemIoFailure)
    )
}

/// The fault of a database that a later version of this program has changed.
pub fn later(path: &Path) -> Fault {
    Fault::new(
        Kind::CannotWrite,
        format!("the state database `{}` belongs to a later version of queuemail", path.display()),
    )
    .hint("use that version: an older one could fetch delivered mail again; another state folder: --state-dir")
}

/// The fault of a database that another program has made.
pub fn of_another(path: &Path) -> Fault {
    Fault::new(
        Kind::CannotWrite,
        format!("`{}` is the database of another program", path.display()),
    )
    .hint("queuemail did not change it; use another state folder: --state-dir FOLDER")
}

/// The fault of a database that had been one, and is not any more; `what` became of it.
pub fn lost(path: &Path, what: &str) -> Fault {
    Fault::new(
        Kind::CannotWrite,
        format!("the state database `{}` is {what}", path.display()),
    )
    .hint(damaged(path))
}

/// The fault of a file that cannot be made.
pub fn not_opened(path: &Path, err: &std::io::Error) -> Fault {
    Fault::new(
        Kind::CannotWrite,
        format!("cannot open the state database `{}`: {err}", path.display()),
    )
    .hint(format!(
        "{}; another state folder: --state-dir",
        crate::files::remedy(err)
    ))
    .by_system(err)
}

const WRITABLE: &str =
    "the user who runs queuemail must be able to write to the folder; another folder: --state-dir";

fn full(path: &Path) -> String {
    format!(
        "free some space (df {}) and run the same command again; nothing is lost",
        shell::quote(crate::files::folder_of(path))
    )
}

fn damaged(path: &Path) -> String {
    format!(
        "the file is damaged: restore a backup, or move the file away; first move the files {}-* away, \
         because they would damage the restored file; without a backup, queuemail delivers every message that is still on a server again, and people must sign in again",
        path.display()
    )
}

fn remedy(err: &db::Error, path: &Path) -> (Kind, String) {
    let db::Error::Sqlite(rusqlite::Error::SqliteFailure(failure, _)) = err else {
        return match err {
            // Values that the program never writes.
            // Nor does the program name a table or a column that is not there.
            db::Error::Spoilt(_) | db::Error::Sqlite(rusqlite::Error::SqlInputError { .. }) => {
                (Kind::CannotWrite, damaged(path))
            }
            _ => mistake(path),
        };
    };
    match failure.code {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => (
            Kind::TryLater,
            format!(
                "another program keeps it locked: fuser -v {}; run the same command again when it has ended",
                shell::quote(path)
            ),
        ),
        ErrorCode::DiskFull => (Kind::CannotWrite, full(path)),
        ErrorCode::SystemIoFailure => (
            Kind::CannotWrite,
            format!(
                "check whether the disk is full (df {}) or failing (dmesg), or the size of files is limited (ulimit -f), and run the same command again",
                shell::quote(crate::files::folder_of(path))
            ),
        ),
        ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied => {
            (Kind::CannotWrite, WRITABLE.to_owned())
        }
        // The last two are of a schema that was damaged: the program's own statements fit it.
        ErrorCode::DatabaseCorrupt
        | ErrorCode::NotADatabase
        | ErrorCode::SchemaChanged
        | ErrorCode::Unknown => (Kind::CannotWrite, damaged(path)),
        _ => mistake(path),
    }
}

/// An error of the program itself, unless SQLite finds damage in the file, which may lead to any
/// error.
fn mistake(path: &Path) -> (Kind, String) {
    match db::has_damage(path) {
        Ok(true) => (Kind::CannotWrite, damaged(path)),
        _ => (Kind::Bug, String::new()),
    }
}

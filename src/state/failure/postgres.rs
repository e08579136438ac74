//! What an error of a PostgreSQL server, or of the way to it, means for the caller.

use crate::fault::{Cause, Fault, Kind};
use crate::shell;
use crate::state::db::Error;
use crate::state::db::postgres::{self, Place, Why};
use std::fmt::Display;

/// The program's: another holds the lease, or nobody.
const LEASE_LOST: &str = "QM001";
/// The program's: the state was moved while a program had it open.
const MOVED: &str = "QM002";

/// The fault of a database that cannot be opened, read or written (`verb`).
pub fn fault(verb: &str, place: &Place, err: &Error) -> Fault {
    let what = format!("cannot {verb} the state database `{place}`: {err}");
    match err {
        Error::Postgres(err) => {
            let (kind, hint) = remedy(place, err);
            match &err.why {
                // What the network says is told whole.
                Why::Network(about) => Fault {
                    what,
                    ..Fault::clone(about)
                },
                Why::Server { code } => {
                    let what =
                        format!("cannot {verb} the state database `{place}`: SQLSTATE {code}");
                    let fault = Fault::new(kind, what).said(err.to_string()).hint(hint);
                    match code.as_str() {
                        LEASE_LOST => fault.cause(Cause::LeaseLost),
                        _ => fault,
                    }
                }
                _ => Fault::new(kind, what).hint(hint),
            }
        }
        Error::Spoilt(_) => Fault::new(Kind::CannotWrite, what).hint(DAMAGED),
        Error::Sqlite(_) | Error::Stopped => Fault::new(Kind::Bug, what),
    }
}

/// The fault of a value (`what`) that the program never writes.
pub fn spoilt(place: &Place, what: &str, err: &dyn Display) -> Fault {
    Fault::new(
        Kind::CannotWrite,
        format!("cannot read the state database `{place}`: {what} is damaged: {err}"),
    )
    .hint(DAMAGED)
}

/// The fault of a database in which there is no state.
pub fn no_schema(place: &Place) -> Fault {
    Fault::config(format!("the database `{place}` contains no state"))
        .hint("for a new state: queuemail state init; if a state was lost, restore a backup first")
}

/// The fault of tables that cannot be made since others have their names.
pub fn taken(fault: Fault) -> Fault {
    Fault {
        kind: Kind::Config,
        hints: vec!["the database contains tables of another program: give queuemail its own database, or its own schema (ALTER ROLE … SET search_path)".to_owned()],
        ..fault
    }
}

/// The fault of a state that a later version of this program has changed.
pub fn later(place: &Place, version: i64) -> Fault {
    Fault::new(
        Kind::CannotWrite,
        format!(
            "the state in the database `{place}` is of a later version of queuemail ({version})"
        ),
    )
    .hint("use that version: an older one could fetch all mail again")
}

const DAMAGED: &str = "another program has changed the database: restore a backup; \
     without one, queuemail delivers every message that is still on a server again";

const AGAIN: &str =
    "run the same command again: what is recorded stays, and queuemail continues there";

fn remedy(place: &Place, err: &postgres::Error) -> (Kind, String) {
    let psql = || format!("psql {}", shell::quote(place.to_string()));
    let later = |hint: &str| (Kind::TryLater, hint.to_owned());
    match &err.why {
        Why::Server { code } => of_code(place, code),
        Why::Lost => later(AGAIN),
        Why::Silent => later("check that the server runs and what blocks it (pg_stat_activity), then run the same command again"),
        Why::Standby => later("no host accepts changes: promote one, or name another host in `state`"),
        Why::TooOld => (
            Kind::Config,
            "upgrade the server, or use another one".to_owned(),
        ),
        Why::Other => (
            Kind::Config,
            "use PostgreSQL 14 or later".to_owned(),
        ),
        Why::NoPassword => (
            Kind::SignIn,
            "set the password in PGPASSFILE or ~/.pgpass (host:port:database:user:password, chmod 600), in PGPASSWORD, or in the URL".to_owned(),
        ),
        Why::WeakMethod => (
            Kind::SignIn,
            "ask the database administrator to allow scram-sha-256, cert or peer for this role (pg_hba.conf), and to set its password again with password_encryption = scram-sha-256".to_owned(),
        ),
        Why::NotSignedIn => (
            Kind::SignIn,
            format!("check whether psql can sign in: {}", psql()),
        ),
        Why::Strange => (
            Kind::Config,
            "check that a PostgreSQL server listens there, with TLS if it is another machine".to_owned(),
        ),
        // Told by its own fault.
        Why::Network(about) => (about.kind, String::new()),
    }
}

/// By its class and code (PostgreSQL, appendix A).
fn of_code(place: &Place, code: &str) -> (Kind, String) {
    let hint = match code {
        "53300" => {
            "the server has no free connection: run fewer processes, set fewer `connections` in `state`, or raise max_connections"
        }
        "25006" => {
            "the server is a standby or read-only: name the primary in `state`, or promote this one"
        }
        "55P03" | "57014" => {
            "another process has a lock, or the server is very slow: check pg_stat_activity, then run the same command again"
        }
        "40001" | "40P01" => AGAIN,
        MOVED => {
            return (
                Kind::Config,
                "run the same command again: it says where the state is now".to_owned(),
            );
        }
        LEASE_LOST => {
            "this host did not renew its lease in time; the next run continues, here or on another host"
        }
        "53100" | "58030" => {
            return (Kind::CannotWrite, "the disk of the server is full or fails: free some space, then run the same command again; nothing is lost".to_owned());
        }
        "3D000" => {
            return (Kind::Config, "ask the database administrator to create the database (createdb), then: queuemail state init".to_owned());
        }
        "42P01" | "3F000" | "42703" | "42883" => {
            return (Kind::Config, "tables are missing; for a new state: queuemail state init; if a state was lost, restore a backup".to_owned());
        }
        "42501" => {
            return (
                Kind::Config,
                format!(
                    "the role needs to own the tables, or to be granted SELECT, INSERT, UPDATE, DELETE on them and USAGE on their sequences: psql {}",
                    shell::quote(place.to_string())
                ),
            );
        }
        _ if code.starts_with("08") || code.starts_with("57P") => AGAIN,
        _ if code.starts_with("28") => {
            return (Kind::SignIn, "check the role and its password (PGPASSFILE, PGPASSWORD or the URL), and pg_hba.conf on the server".to_owned());
        }
        _ if code.starts_with("53") => "the server ran out of a resource: see its log",
        _ => {
            return (
                Kind::Bug,
                "this is a bug in queuemail, or another program changed the tables".to_owned(),
            );
        }
    };
    (Kind::TryLater, hint.to_owned())
}

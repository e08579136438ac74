//! What an error of a PostgreSQL server, or of the way to it, means for the caller.

use crate::fault::{Cause, Fault, Kind};
use crate::shell;
use crate::state::db::Error;
use crate::state::db::postgres::{self, Place, Why};
use std::fmt::Display;

/// Ours: another holds the lease, or nobody.
const LEASE_LOST: &str = "QM001";

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
        Error::Sqlite(_) => Fault::new(Kind::Bug, what),
    }
}

/// The fault of a value (`what`) that we would not have written.
pub fn spoilt(place: &Place, what: &str, err: &dyn Display) -> Fault {
    Fault::new(
        Kind::CannotWrite,
        format!("cannot read the state database `{place}`: {what} is damaged: {err}"),
    )
    .hint(DAMAGED)
}

/// The fault of a database in which there is no state.
pub fn no_schema(place: &Place) -> Fault {
    Fault::config(format!("there is no state in the database `{place}`"))
        .hint("if it is to hold one, and none that had one is lost: queuemail state init")
}

/// The fault of tables that cannot be made since others have their names.
pub fn taken(fault: Fault) -> Fault {
    Fault {
        kind: Kind::Config,
        hints: vec!["the database holds tables of another program: give queuemail a database, or a schema, of its own (ALTER ROLE … SET search_path)".to_owned()],
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
    .hint("use that version: an older one could take its mail for new")
}

/// The fault of a state that was moved elsewhere.
pub fn moved(place: &Place, to: &str) -> Fault {
    Fault::config(format!(
        "the state in the database `{place}` was moved to `{to}`"
    ))
    .hint("name that one in the configuration (`state`), or nothing where it is a folder: with this one, mail would be fetched twice")
}

const DAMAGED: &str = "something else has changed the database: bring back a copy from a backup; \
     without one every message that is still on a server is delivered again";

fn remedy(place: &Place, err: &postgres::Error) -> (Kind, String) {
    let psql = || format!("psql {}", shell::quote(place.to_string()));
    let later = |hint: &str| (Kind::TryLater, hint.to_owned());
    match &err.why {
        Why::Server { code } => of_code(place, code),
        Why::Lost => later("run the same command again: what was recorded stays, and the rest is done then"),
        Why::Silent => later("see whether the server is up and what holds it up (pg_stat_activity), and run the same command again"),
        Why::Standby => later("none of the hosts takes changes: one must be promoted, or another be named in `state`"),
        Why::TooOld => (
            Kind::Config,
            "the state needs a newer server; nothing else that speaks its protocol will do".to_owned(),
        ),
        Why::NoPassword => (
            Kind::SignIn,
            "give it in PGPASSFILE or ~/.pgpass (host:port:database:user:password, chmod 600), in PGPASSWORD, or in the URL".to_owned(),
        ),
        Why::WeakMethod => (
            Kind::SignIn,
            "whoever runs the server must let this role sign in by scram-sha-256, cert or peer (pg_hba.conf), and set its password anew with password_encryption = scram-sha-256".to_owned(),
        ),
        Why::NotSignedIn => (
            Kind::SignIn,
            format!("see whether its own client can sign in: {}", psql()),
        ),
        Why::Strange => (
            Kind::Config,
            "is it a PostgreSQL server that listens there, with TLS if it is another machine?".to_owned(),
        ),
        // Told by its own fault.
        Why::Network(about) => (about.kind, String::new()),
    }
}

/// By its class and code (PostgreSQL, appendix A).
fn of_code(place: &Place, code: &str) -> (Kind, String) {
    let again = "run the same command again: what was recorded stays, and the rest is done then";
    let hint = match code {
        "53300" => {
            "the server has no connection left: fewer processes, fewer `connections` in `state`, or a larger max_connections"
        }
        "25006" => {
            "the server is a standby, or was told to take no changes: name the one that leads in `state`, or wait until it does"
        }
        "55P03" | "57014" => {
            "another process holds what is needed, or the server is very slow: see pg_stat_activity, and run the same command again"
        }
        "40001" | "40P01" => again,
        LEASE_LOST => "another process has taken over in the meantime, and goes on with it",
        "53100" | "58030" => {
            return (Kind::CannotWrite, "the server's disk is full or fails: whoever runs it must make room; nothing is lost, run the same command again then".to_owned());
        }
        "3D000" => {
            return (Kind::Config, "whoever runs the server must make the database (createdb), then: queuemail state init".to_owned());
        }
        "42P01" | "3F000" | "42703" | "42883" => {
            return (Kind::Config, "the tables are not there, or not all: queuemail state init makes them, where none that had them is lost".to_owned());
        }
        "42501" => {
            return (
                Kind::Config,
                format!(
                    "the role may not: it must own the tables, or be granted SELECT, INSERT, UPDATE, DELETE on them and USAGE on their sequences; psql {}",
                    shell::quote(place.to_string())
                ),
            );
        }
        _ if code.starts_with("08") || code.starts_with("57P") => again,
        _ if code.starts_with("28") => {
            return (Kind::SignIn, "check the role and its password (PGPASSFILE, PGPASSWORD or the URL), and what the server lets in (pg_hba.conf)".to_owned());
        }
        _ if code.starts_with("53") => {
            "the server has run short of something: whoever runs it finds it in its log"
        }
        _ => {
            return (
                Kind::Bug,
                "this is a mistake of queuemail, or the tables are not its own".to_owned(),
            );
        }
    };
    (Kind::TryLater, hint.to_owned())
}

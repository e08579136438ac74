//! A database as an end of a move. It is for the move alone for the time of a transaction: nobody
//! else writes to the tables then, and what was begun is undone where the transaction does not come
//! to its end.

use super::tables::TABLES;
use crate::fault::Fault;
use crate::state::Place;
use crate::state::db::postgres;
use crate::state::db::{At, Db, Error, Sql, Tx, values};
use crate::state::failure;
use crate::state::lease::Run;
use crate::state::moves::{self, Move};
use crate::state::schema::postgres::{Meta, VERSION, read_meta};
use anyhow::Result;

/// Connects. Who ends the sessions of hosts that vanished leaves this one alone.
pub fn open(place: &Place) -> Result<Db> {
    let mut alone = place.alone(place.wait);
    alone.program = format!("queuemail-migrate/{}", Run::new()?.id);
    let db = postgres::Db::open(alone);
    db.map(Db::Postgres)
        .map_err(|e| failure::fault("open", At::Server(place), &e).into())
}

/// Has the transaction act as the role that owns the tables.
///
/// # Errors
/// `Config` where the role is not, and does not belong to it.
pub fn be_owner(tx: &mut Tx<'_>, place: &Place) -> Result<()> {
    const OWNER: Sql<'_> = Sql::postgres(
        "SELECT pg_get_userbyid(relowner)::text, current_user::text,
                CASE WHEN pg_has_role(relowner, 'MEMBER')
                     THEN set_config('role', pg_get_userbyid(relowner)::text, true) END
         FROM pg_class WHERE oid = to_regclass('meta')",
    );
    let owner = tx
        .row(&OWNER, &[], |row| {
            Ok((
                row.get::<String>(0)?,
                row.get::<String>(1)?,
                row.get::<Option<String>>(2)?,
            ))
        })
        .map_err(|e| failure::fault("read", At::Server(place), &e))?;
    match owner {
        Some((owner, role, None)) => Err(Fault::config(format!(
            "to move the state in the database `{place}`, the role {role} must be a member of {owner}, which owns the tables"
        ))
        .hint(format!(
            "for the time of the move: GRANT {owner} TO {role}; afterwards: REVOKE {owner} FROM {role}"
        ))
        .into()),
        _ => Ok(()),
    }
}

/// What the tables say of themselves; `None`: there are none.
///
/// # Errors
/// `CannotWrite` where they are of a later version of this program.
pub fn meta(tx: &mut Tx<'_>, place: &Place) -> Result<Option<Meta>> {
    const HAS: Sql<'_> = Sql::postgres("SELECT 1 WHERE to_regclass('meta') IS NOT NULL");
    let cannot = |e: Error| failure::fault("read", At::Server(place), &e);
    if !tx.exists(&HAS, &[]).map_err(cannot)? {
        return Ok(None);
    }
    let meta = read_meta(tx).map_err(cannot)?;
    match meta {
        Some(meta) if meta.version != VERSION => {
            Err(failure::postgres::later(place, meta.version).into())
        }
        meta => Ok(meta),
    }
}

/// Locks all tables.
pub fn lock(tx: &mut Tx<'_>, mode: &str) -> Result<(), Error> {
    let names: Vec<&str> = TABLES.iter().map(|table| table.name).collect();
    let names = names.join(", ");
    tx.script(&format!(
        "LOCK TABLE {names}, body, lease, run, meta, migration IN {mode} MODE"
    ))
}

/// Finds out whether somebody works with the state.
///
/// # Errors
/// `TryLater` with who it is.
pub fn check_idle(tx: &mut Tx<'_>, place: &Place) -> Result<()> {
    const HELD: Sql<'_> = Sql::postgres(
        "SELECT lease.name, run.host, run.pid FROM lease LEFT JOIN run ON run.id = lease.holder
         WHERE lease.until > clock_timestamp() ORDER BY lease.name LIMIT 1",
    );
    const BUSY: Sql<'_> = Sql::postgres(
        "SELECT run.host, coalesce(run.pid, 0)
         FROM pg_stat_activity session
         LEFT JOIN run ON session.application_name = 'queuemail/' || run.id
         WHERE session.datname = current_database() AND session.pid <> pg_backend_pid()
           AND session.application_name LIKE 'queuemail/%' AND session.state <> 'idle' LIMIT 1",
    );
    let cannot = |e: Error| failure::fault("read", At::Server(place), &e);
    let here = place.to_string();
    let whose = |host: Option<String>, pid: Option<i64>| match (host, pid) {
        (Some(host), Some(pid)) => format!("process {pid} on {host}"),
        (Some(host), None) => format!("a process on {host}"),
        _ => "another process".to_owned(),
    };
    let held = tx.row(&HELD, &[], |row| {
        Ok((row.get::<String>(0)?, row.get(1)?, row.get(2)?))
    });
    if let Some((name, host, pid)) = held.map_err(cannot)? {
        let who = format!("{} (lease `{name}`)", whose(host, pid));
        return Err(failure::moves::at_work(&here, &who).into());
    }
    let busy = tx.row(&BUSY, &[], |row| Ok((row.get(0)?, row.get(1)?)));
    match busy.map_err(cannot)? {
        Some((host, pid)) => Err(failure::moves::at_work(&here, &whose(host, pid)).into()),
        None => Ok(()),
    }
}

/// Has nobody use the state, for this move: who opens it is told, and who had it open can claim
/// nothing any more.
pub fn close(tx: &mut Tx<'_>, the_move: &Move) -> Result<(), Error> {
    const SAY: Sql<'_> = Sql::postgres("UPDATE meta SET moved_to = ?1");
    moves::put(tx, the_move)?;
    tx.run(&SAY, &values![&the_move.place])?;
    tx.script(
        "DROP TRIGGER IF EXISTS queuemail_moved ON lease;
         CREATE TRIGGER queuemail_moved BEFORE INSERT OR UPDATE ON lease
         FOR EACH STATEMENT EXECUTE FUNCTION queuemail_moved()",
    )
}

/// The state may be used again.
pub fn reopen(tx: &mut Tx<'_>) -> Result<(), Error> {
    tx.script(
        "DROP TRIGGER IF EXISTS queuemail_moved ON lease;
         UPDATE meta SET moved_to = NULL",
    )
}

/// Empties the tables of a state that was moved elsewhere, with what is on record of moves.
pub fn empty(tx: &mut Tx<'_>) -> Result<(), Error> {
    let names: Vec<&str> = TABLES.iter().map(|table| table.name).collect();
    let names = names.join(", ");
    tx.script(&format!(
        "TRUNCATE {names}, body, lease, run, migration RESTART IDENTITY"
    ))
}

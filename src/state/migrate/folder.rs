//! A state folder as an end of a move: its database is for the move alone while it goes on.

use crate::fault::Fault;
use crate::files;
use crate::state::db::{self, At, Db, Tx};
use crate::state::lock::Files;
use crate::state::moves::{self, Move};
use crate::state::schema::sqlite::{self, Owner, VERSION};
use crate::state::{
    DATABASE, LOCKS, LOG, OUTBOX, QUARANTINE, check_folder, create_private, disk, failure,
    make_private, refuse_lost,
};
use anyhow::Result;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempPath;

/// How long a program that just ends is waited for.
const BUSY: Duration = Duration::from_secs(2);

/// How the name of a database begins that has not got its own.
const NEW: &str = "state.sqlite.new-";

/// Opens the database in a folder, for nobody else; `None` where there is none.
pub fn open(folder: &Path) -> Result<Option<Db>> {
    let path = folder.join(DATABASE);
    check_folder(folder)?;
    disk::check(folder)?;
    refuse_lost(folder, &path)?;
    if !path.exists() {
        return Ok(None);
    }
    make_private(folder).map_err(|e| failure::not_opened(&path, &e))?;
    open_file(folder, &path).map(Some)
}

fn open_file(folder: &Path, path: &Path) -> Result<Db> {
    let mut connection = sqlite::connect(path, BUSY).map_err(|e| cannot("open", path, e))?;
    let owner = match sqlite::owner(&mut connection) {
        // A move that goes on just now has it.
        Err(err) if sqlite::is_busy(&err) => return Err(at_work(folder).into()),
        owner => owner.map_err(|e| cannot("open", path, e))?,
    };
    match owner {
        Owner::We => sqlite::prepare(&mut connection, BUSY).map_err(|e| cannot("open", path, e))?,
        Owner::Away => sqlite::set_up(&connection).map_err(|e| cannot("open", path, e))?,
        Owner::Later => return Err(failure::later(path).into()),
        Owner::Damaged => return Err(failure::lost(path, "damaged").into()),
        Owner::Another => return Err(failure::of_another(path).into()),
    }
    match sqlite::seize(&connection).map_err(|e| cannot("open", path, e))? {
        true => Ok(Db::of_file(connection, path, &folder.join(LOG))),
        false => Err(at_work(folder).into()),
    }
}

fn cannot(verb: &str, path: &Path, err: impl Into<db::Error>) -> anyhow::Error {
    failure::fault(verb, At::File(path), &err.into()).into()
}

/// Who works with the state in this folder, as far as its locks say.
fn at_work(folder: &Path) -> Fault {
    let holder = Files::new(folder.join(LOCKS)).holder();
    let who = match holder.and_then(|holder| holder.pid) {
        Some(pid) => format!("process {pid}"),
        None => "another process".to_owned(),
    };
    failure::moves::at_work(&folder.display().to_string(), &who)
}

/// Makes the database of a new state that nobody may use before the move is complete.
pub fn make(folder: &Path, the_move: &Move) -> Result<Db> {
    files::create_private_folder(folder)?;
    for kind in [OUTBOX, QUARANTINE] {
        if fs::read_dir(folder.join(kind)).is_ok_and(|mut files| files.next().is_some()) {
            let what = format!("its folder `{kind}` contains messages, but there is no database");
            return Err(failure::moves::not_empty(&folder.display().to_string(), &what).into());
        }
    }
    let path = folder.join(DATABASE);
    let new = half_made(folder, the_move)?;
    // Another program may have made one meanwhile.
    new.persist_noclobber(&path)
        .map_err(|e| files::cannot("create", &path, &e.error))?;
    files::sync_folder(folder)?;
    open_file(folder, &path)
}

/// Puts such a database in the place of one that was moved elsewhere, which is kept aside. At no
/// moment is there none, which would be taken for a new state.
pub fn replace(folder: &Path, the_move: &Move) -> Result<Db> {
    let path = folder.join(DATABASE);
    let stamp = jiff::Timestamp::now()
        .strftime("%Y%m%dT%H%M%SZ")
        .to_string();
    let aside = |name: &str| folder.join(format!("{name}.moved-{stamp}"));
    let new = half_made(folder, the_move)?;
    let kept = aside(DATABASE);
    match fs::hard_link(&path, &kept) {
        // By a move that was interrupted just now.
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
        linked => linked
            // Not every filesystem has links.
            .or_else(|_| fs::copy(&path, &kept).map(drop))
            .map_err(|e| files::cannot("create", &kept, &e))?,
    }
    for kind in [OUTBOX, QUARANTINE] {
        match fs::rename(folder.join(kind), aside(kind)) {
            Err(e) if e.kind() != ErrorKind::NotFound => {
                return Err(files::cannot("rename", &folder.join(kind), &e));
            }
            _ => {}
        }
    }
    new.persist(&path)
        .map_err(|e| files::cannot("replace", &path, &e.error))?;
    files::sync_folder(folder)?;
    open_file(folder, &path)
}

/// Removes databases that were made for a move and have got no name. Nobody makes one just now: the
/// one that has is for the move alone.
pub fn tidy(folder: &Path) -> Result<()> {
    let entries = fs::read_dir(folder).map_err(|e| files::cannot("read", folder, &e))?;
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(NEW) {
            let path = entry.path();
            fs::remove_file(&path).map_err(|e| files::cannot("remove", &path, &e))?;
        }
    }
    Ok(())
}

/// A database with tables in which nothing is but this move. It is whole before it has its name.
fn half_made(folder: &Path, the_move: &Move) -> Result<TempPath> {
    let path = tempfile::Builder::new()
        .prefix(NEW)
        .tempfile_in(folder)
        .map_err(|e| files::cannot("create a file in", folder, &e))?
        .into_temp_path();
    create_private(&path).map_err(|e| failure::not_opened(&path, &e))?;
    let cannot_make = |e: db::Error| cannot("write", &path, e);
    let mut connection = sqlite::connect(&path, BUSY).map_err(|e| cannot_make(e.into()))?;
    sqlite::prepare(&mut connection, BUSY).map_err(|e| cannot_make(e.into()))?;
    if !sqlite::seize(&connection).map_err(|e| cannot_make(e.into()))? {
        return Err(at_work(folder).into());
    }
    let db = Db::of_file(connection, &path, &log_of(&path));
    db.write(db::Durable::Now, None, |tx| mark(tx, the_move))
        .map_err(cannot_make)?;
    drop(db);
    Ok(path)
}

fn log_of(path: &Path) -> PathBuf {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    log.into()
}

/// Has nobody use the database, for this move.
fn mark(tx: &mut Tx<'_>, the_move: &Move) -> Result<(), db::Error> {
    tx.script(sqlite::MOVES)?;
    // Of a move that was given up.
    moves::remove_coming(tx)?;
    moves::put(tx, the_move)?;
    tx.script(&sqlite::set_version(sqlite::AWAY))
}

/// The same of the state in this folder.
pub fn close(tx: &mut Tx<'_>, folder: &Path, the_move: &Move) -> Result<()> {
    let path = folder.join(DATABASE);
    mark(tx, the_move).map_err(|e| cannot("write", &path, e))
}

/// The state may be used again: of it, this move is over.
pub fn reopen(tx: &mut Tx<'_>) -> Result<(), db::Error> {
    tx.script(&sqlite::set_version(VERSION))
}

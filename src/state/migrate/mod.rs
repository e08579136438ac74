//! Moves a state from one place to another: a folder or a database, in either direction.
//!
//! At every moment one place counts, or none can be used until the move is complete:
//! 1. nobody works with either place, and the destination is empty;
//! 2. the source says, durably, that it is being moved, and is used by nobody from then on; so does
//!    a database that is made in a folder;
//! 3. one transaction fills the destination: rows and bodies are copied, read back and compared;
//! 4. the source says where it went.
//!
//! What is killed before the commit of 3 leaves a destination with nothing in it; behind it, a
//! complete one. Either way the same command goes on there, and `cancel` gives a move up whose
//! destination is not complete. Each move has an id, by which it is known at both places.

mod bodies;
mod end;
mod folder;
mod rows;
mod server;
mod tables;

use crate::digest::guid;
use crate::fault::{Fault, Kind};
use crate::model::Secrets;
use crate::shell;
use crate::state::db::{Sql, Tx, values};
use crate::state::failure;
use crate::state::moves::{self, Move, Stage};
use crate::state::schema;
use crate::state::{Place, Rotation, RotationStep};
use anyhow::Result;
use bodies::Bodies;
use end::{End, There};
use rows::Read;
use std::fmt;
use std::path::PathBuf;
use tables::{TABLES, Table};

/// Where a state is, or is to be.
#[derive(Clone, Debug)]
pub enum Spot {
    /// A folder, by its absolute path.
    Folder(PathBuf),
    Server(Box<Place>),
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Spot::Folder(folder) => folder.display().fmt(f),
            Spot::Server(place) => place.fmt(f),
        }
    }
}

/// What was moved, or is to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Each table and its rows.
    pub tables: Vec<(&'static str, u64)>,
    pub bodies: u64,
    /// Of the bodies.
    pub octets: u64,
    /// Tokens that stay behind, since there is no key to seal them with.
    pub without_key: u64,
    /// Messages of the outbox whose body was gone already.
    pub missing: u64,
    /// All of it had been moved before.
    pub was_there: bool,
}

impl Moved {
    /// Rows of all tables.
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|(_, rows)| rows).sum()
    }

    fn note(&mut self, table: &Table, read: Read) {
        self.tables.push((table.name, read.sum.rows));
        self.without_key += read.without_key;
    }

    fn note_bodies(&mut self, bodies: Bodies) {
        self.bodies = bodies.sum.rows;
        self.octets = bodies.octets;
        self.missing = bodies.missing;
    }
}

/// Hears how a move goes.
pub trait Watch {
    /// So many rows are copied of about so many.
    fn rows(&self, done: u64, of: u64);
    /// All is copied, and is read back.
    fn comparing(&self);
}

/// A move that is wished for.
pub struct Migration<'a> {
    pub from: &'a Spot,
    pub to: &'a Spot,
    /// What tokens in a database are sealed with.
    pub key: Option<&'a Secrets>,
}

impl Migration<'_> {
    /// Reads and checks all that would be moved, and changes nothing.
    ///
    /// # Errors
    /// As [`Migration::run`].
    pub fn look(&self) -> Result<Moved> {
        let (from, to) = self.open()?;
        if self.is_over(&from, &to)? {
            return Ok(already());
        }
        self.check(&from, &to)?;
        from.still(|tx| {
            from.there(tx)?;
            check_finished(&from, tx)?;
            let mut moved = Moved::default();
            for table in tables_between(&from, &to) {
                moved.note(table, rows::look(table, &from, tx, &to)?);
            }
            let names = bodies::names(&from, tx)?;
            moved.note_bodies(bodies::look(&from, tx, &names)?);
            Ok(moved)
        })
    }

    /// Moves the state, or completes a move that was interrupted.
    ///
    /// # Errors
    /// `TryLater` where somebody works with one of the places; `CannotWrite` where the destination
    /// is not empty. The source is then as it was. Where it is not certain whether the destination
    /// is complete, neither can be used until the same is done again.
    pub fn run(&self, watch: &dyn Watch) -> Result<Moved> {
        let (from, mut to) = self.open()?;
        if self.is_over(&from, &to)? {
            return Ok(already());
        }
        let (there, the_move) = self.check(&from, &to)?;
        if to.has(&the_move.id)? {
            self.leave(&from, &the_move)?;
            return Ok(already());
        }
        from.still(|tx| check_finished(&from, tx))?;
        self.close(&from, &the_move)?;
        let coming = Move {
            stage: Stage::Coming,
            place: self.from.to_string(),
            ..the_move.clone()
        };
        let filled = to
            .begin(&coming, &there)
            .and_then(|()| self.fill(&from, &to, &coming, watch));
        let moved = match filled {
            Ok(moved) => moved,
            Err(err) => return Err(self.give_back(&from, &to, &the_move, err)),
        };
        self.leave(&from, &the_move)?;
        Ok(moved)
    }

    /// Gives a move up whose destination is not complete: the source is used again.
    ///
    /// # Errors
    /// `Config` where there is none, or where it is complete.
    pub fn cancel(&self) -> Result<()> {
        let (from, to) = self.open()?;
        let the_move = match from.look()? {
            There::Away(the_move) if matches!(the_move.stage, Stage::Leaving | Stage::Left) => {
                the_move
            }
            _ => {
                let what = format!("the state in `{}` is not being moved", self.from);
                return Err(Fault::config(what)
                    .hint("see where it is: queuemail state show")
                    .into());
            }
        };
        self.is_the_same(&the_move)?;
        match self.reopen(&from, &to, &the_move)? {
            true => Ok(()),
            false => Err(Fault::config(format!(
                "the state in `{}` is complete: the move cannot be given up",
                self.to
            ))
            .hint("run the same command without --cancel; then, to go back, move it in the other direction")
            .into()),
        }
    }

    fn open(&self) -> Result<(End, End)> {
        let same = |what: &str| {
            Fault::usage(format!(
                "--from and --to name the same {what}: `{}`",
                self.from
            ))
        };
        if let (Spot::Folder(one), Spot::Folder(other)) = (self.from, self.to) {
            let real =
                |path: &PathBuf| std::fs::canonicalize(path).unwrap_or_else(|_| path.clone());
            if real(one) == real(other) {
                return Err(same("folder").into());
            }
        }
        let from = End::open(self.from, self.key)?;
        // What is not there has no lock.
        from.look()?;
        let to = End::open(self.to, self.key)?;
        to.look()?;
        if from.identity().is_some() && from.identity() == to.identity() {
            return Err(same("state").into());
        }
        Ok((from, to))
    }

    /// True where all of it was moved before.
    fn is_over(&self, from: &End, to: &End) -> Result<bool> {
        match from.look()? {
            There::Nothing => Err(
                Fault::config(format!("there is no state in `{}`", self.from))
                    .hint("name the state folder, which contains `state.sqlite`, or the database")
                    .into(),
            ),
            There::Away(the_move) if the_move.stage == Stage::Left => match to.has(&the_move.id)? {
                true => Ok(true),
                false => Err(failure::moves::away(&self.from.to_string(), &the_move).into()),
            },
            _ => Ok(false),
        }
    }

    /// What is at the destination, and the move that begins or goes on.
    fn check(&self, from: &End, to: &End) -> Result<(There, Move)> {
        let here = self.from.to_string();
        let the_move = match from.look()? {
            There::Away(the_move) if the_move.stage == Stage::Leaving => {
                self.is_the_same(&the_move)?;
                the_move
            }
            There::Away(the_move) => return Err(failure::moves::away(&here, &the_move).into()),
            _ => Move {
                id: guid()?,
                stage: Stage::Leaving,
                place: self.to.to_string(),
                version: schema::sqlite::VERSION.into(),
            },
        };
        check_idle(from)?;
        check_idle(to)?;
        let there = to.look()?;
        self.check_free(from, to, &the_move, &there)?;
        Ok((there, the_move))
    }

    /// Refuses a destination in which something is that would be lost.
    fn check_free(&self, from: &End, to: &End, the_move: &Move, there: &There) -> Result<()> {
        let name = self.to.to_string();
        let refused = |what: &str| Err(failure::moves::not_empty(&name, what).into());
        match there {
            There::Nothing | There::Empty => Ok(()),
            There::Away(former) if former.stage == Stage::Coming => check_version(&name, former),
            // Of what is there, all went elsewhere, and is now to come back.
            There::Away(former) if former.stage == Stage::Left => {
                let came = |one: &Move| one.stage == Stage::Came && one.id == former.id;
                match from.transaction(|tx| from.moves(tx))?.iter().any(came) {
                    true => Ok(()),
                    false => refused(&format!(
                        "it contains the state that was moved to `{}`, and this one did not come from there",
                        former.place
                    )),
                }
            }
            There::Away(former) => Err(failure::moves::away(&name, former).into()),
            There::State => {
                let (content, is_ours) =
                    to.transaction(|tx| Ok((to.content(tx)?, to.has_come(tx, &the_move.id)?)))?;
                match content {
                    Some(table) if !is_ours => {
                        refused(&format!("it is not empty (table `{table}`)"))
                    }
                    _ => Ok(()),
                }
            }
        }
    }

    /// Sees that a move on record is this one.
    fn is_the_same(&self, the_move: &Move) -> Result<()> {
        let here = self.from.to_string();
        if the_move.place != self.to.to_string() {
            return Err(failure::moves::away(&here, the_move).into());
        }
        check_version(&here, the_move)
    }

    /// Has nobody use the source from here on.
    fn close(&self, from: &End, the_move: &Move) -> Result<()> {
        from.transaction(|tx| match self.from {
            Spot::Folder(folder) => folder::close(tx, folder, the_move),
            Spot::Server(place) => {
                from.own(server::lock(tx, "EXCLUSIVE"))?;
                server::check_idle(tx, place)?;
                from.own(server::close(tx, the_move))
            }
        })
    }

    /// Fills the destination, unless it is complete already.
    fn fill(&self, from: &End, to: &End, coming: &Move, watch: &dyn Watch) -> Result<Moved> {
        from.still(|from_tx| {
            // Nobody has given this move up meanwhile.
            match from.there(from_tx)? {
                There::Away(now) if now.id == coming.id && now.stage == Stage::Leaving => {}
                _ => return Err(Fault::try_later("the move was given up meanwhile").into()),
            }
            to.transaction(|to_tx| {
                if to.has_come(to_tx, &coming.id)? {
                    return Ok(already());
                }
                self.make_room(to, to_tx)?;
                let moved = copy((from, &mut *from_tx), (to, &mut *to_tx), watch)?;
                for one in from.moves(from_tx)? {
                    if one.stage == Stage::Came {
                        to.own(moves::put(to_tx, &one))?;
                    }
                }
                let came = Move {
                    stage: Stage::Came,
                    ..coming.clone()
                };
                to.own(moves::put(to_tx, &came))?;
                if to.folder().is_some() {
                    to.own(folder::reopen(to_tx))?;
                }
                Ok(moved)
            })
        })
    }

    /// Has empty tables be there that nobody else writes to.
    fn make_room(&self, to: &End, tx: &mut Tx<'_>) -> Result<()> {
        let Spot::Server(place) = self.to else {
            return Ok(());
        };
        let there = to.there(tx)?;
        if matches!(there, There::Nothing) {
            to.own(tx.script(&schema::postgres::tables()))?;
            to.there(tx)?;
            return Ok(());
        }
        to.own(server::lock(tx, "EXCLUSIVE"))?;
        server::check_idle(tx, place)?;
        match to.there(tx)? {
            There::Empty => Ok(()),
            There::Away(former) if former.stage == Stage::Left => {
                to.own(server::empty(tx))?;
                to.own(server::reopen(tx))
            }
            // Somebody was faster.
            _ => Err(failure::moves::not_empty(&self.to.to_string(), "it is not empty").into()),
        }
    }

    /// The source says where it went.
    fn leave(&self, from: &End, the_move: &Move) -> Result<()> {
        let left = Move {
            stage: Stage::Left,
            ..the_move.clone()
        };
        from.transaction(|tx| from.own(moves::put(tx, &left)))
    }

    /// Has the source be used again after `err`, where it is certain that nothing came of the move.
    fn give_back(
        &self,
        from: &End,
        to: &End,
        the_move: &Move,
        err: anyhow::Error,
    ) -> anyhow::Error {
        match self.reopen(from, to, the_move) {
            Ok(true) => err,
            // It is complete, or nobody knows.
            _ => match err.downcast::<Fault>() {
                Ok(fault) => {
                    let uncertain = failure::moves::away(&self.from.to_string(), the_move);
                    Fault {
                        kind: Kind::TryLater,
                        hints: uncertain.hints,
                        ..fault
                    }
                    .into()
                }
                Err(err) => err,
            },
        }
    }

    /// Has the source be used again. False where the destination is complete.
    fn reopen(&self, from: &End, to: &End, the_move: &Move) -> Result<bool> {
        // What has left is elsewhere, wherever that is by now.
        if the_move.stage == Stage::Left || to.has(&the_move.id)? {
            return Ok(false);
        }
        from.transaction(|tx| {
            from.own(moves::remove(tx, &the_move.id))?;
            from.own(match from.folder() {
                Some(_) => folder::reopen(tx),
                None => server::reopen(tx),
            })
        })?;
        Ok(true)
    }
}

fn already() -> Moved {
    Moved {
        was_there: true,
        ..Moved::default()
    }
}

/// The tables that a state has.
fn tables_of(end: &End) -> impl Iterator<Item = &'static Table> {
    let is_shared = end.is_shared();
    TABLES
        .iter()
        .filter(move |table| is_shared || !table.is_shared)
}

/// The tables that both states have.
fn tables_between(from: &End, to: &End) -> impl Iterator<Item = &'static Table> {
    let is_shared = from.is_shared() && to.is_shared();
    TABLES
        .iter()
        .filter(move |table| is_shared || !table.is_shared)
}

/// Copies all of it, and compares what was written with what was read.
fn copy(
    (from, from_tx): (&End, &mut Tx<'_>),
    (to, to_tx): (&End, &mut Tx<'_>),
    watch: &dyn Watch,
) -> Result<Moved> {
    let mut all = 0;
    for table in tables_between(from, to) {
        all += from.count(from_tx, &table.count(from.is_shared()))?;
    }
    let mut done = 0;
    let mut moved = Moved::default();
    let mut sums = Vec::new();
    for table in tables_between(from, to) {
        let read = rows::copy(table, (from, from_tx), (to, to_tx), &mut |rows| {
            done += rows;
            watch.rows(done, all.max(done));
        })?;
        if table.is_numbered {
            let last = last_number(from, from_tx, table)?;
            go_on(to, to_tx, table, last)?;
        }
        sums.push((table, read.sum));
        moved.note(table, read);
    }
    let names = bodies::names(from, from_tx)?;
    let copied = bodies::copy(&names, (from, from_tx), (to, to_tx))?;
    moved.note_bodies(copied);
    watch.comparing();
    for (table, sum) in sums {
        if rows::look(table, to, to_tx, to)?.sum != sum {
            return Err(differs(table.name));
        }
    }
    let names = bodies::names(to, to_tx)?;
    if bodies::look(to, to_tx, &names)? != copied {
        return Err(differs("body"));
    }
    Ok(moved)
}

fn differs(table: &str) -> anyhow::Error {
    let what = format!("what was written to `{table}` is not what was read: nothing was moved");
    Fault::new(Kind::CannotWrite, what)
        .hint("does another program change the database? run the same command again")
        .into()
}

/// The last number that a table has given.
fn last_number(end: &End, tx: &mut Tx<'_>, table: &Table) -> Result<i64> {
    let name = table.name;
    let given = match (end.is_shared(), name) {
        (true, _) => format!(
            "SELECT coalesce(pg_sequence_last_value(pg_get_serial_sequence('{name}', 'id')), 0)"
        ),
        // The only one whose numbers are never given again.
        (false, "outbox") => {
            "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'outbox'), 0)".to_owned()
        }
        (false, _) => "SELECT 0".to_owned(),
    };
    let greatest = format!("SELECT coalesce(max(id), 0) FROM {name}");
    let mut last = 0;
    for sql in [given, greatest] {
        let number = tx.only_row(&Sql::both(&sql), &[], |row| row.get::<i64>(0));
        last = end.own(number)?.max(last);
    }
    Ok(last)
}

/// Has a table give its next numbers behind this one.
fn go_on(end: &End, tx: &mut Tx<'_>, table: &Table, last: i64) -> Result<()> {
    const SET: Sql<'_> =
        Sql::postgres("SELECT setval(pg_get_serial_sequence(?1, 'id'), ?2) WHERE ?2 > 0");
    const FORGET: Sql<'_> = Sql::sqlite("DELETE FROM sqlite_sequence WHERE name = ?1");
    const NOTE: Sql<'_> = Sql::sqlite("INSERT INTO sqlite_sequence (name, seq) VALUES (?1, ?2)");
    let done = match (end.is_shared(), table.name) {
        (true, name) => tx.exists(&SET, &values![name, last]).map(drop),
        (false, "outbox") => tx
            .run(&FORGET, &values![table.name])
            .and_then(|_| tx.run(&NOTE, &values![table.name, last]))
            .map(drop),
        (false, _) => Ok(()),
    };
    end.own(done)
}

/// Finds out whether somebody works with a state; of one in a folder that is known by now.
fn check_idle(end: &End) -> Result<()> {
    let Spot::Server(place) = &end.spot else {
        return Ok(());
    };
    end.transaction(|tx| match end.there(tx)? {
        There::Nothing => Ok(()),
        _ => server::check_idle(tx, place),
    })
}

/// Refuses a state in which a delivery, or the renewal of a secret or certificate, was interrupted:
/// only this machine, or its storage, has the file that was to be delivered or installed, and the run
/// that finds it finishes it.
fn check_finished(end: &End, tx: &mut Tx<'_>) -> Result<()> {
    const STAGED: Sql<'_> = Sql::both(
        "SELECT f.address, count(*) FROM message m JOIN folder f ON f.id = m.folder
         WHERE m.state = 'staged' GROUP BY f.address ORDER BY f.address LIMIT 1",
    );
    const REPORT: Sql<'_> = Sql::both("SELECT id FROM outbox WHERE report IS NOT NULL LIMIT 1");
    const ROTATIONS: Sql<'_> = Sql::both("SELECT record FROM rotation ORDER BY key");
    let staged = tx.row(&STAGED, &[], |row| {
        Ok((row.get::<String>(0)?, row.get::<i64>(1)?))
    });
    if let Some((address, count)) = end.own(staged)? {
        let what = format!(
            "cannot move the state: a run was interrupted while it delivered {} of {address}",
            crate::wording::messages(count.unsigned_abs())
        );
        return Err(Fault::try_later(what)
            .hint("have a run finish them, with the old state: queuemail fetch")
            .into());
    }
    let report = tx.row(&REPORT, &[], |row| row.get::<i64>(0));
    if let Some(id) = end.own(report)? {
        let what = format!(
            "cannot move the state: a run was interrupted while it reported message {id} of the outbox to its sender"
        );
        return Err(Fault::try_later(what)
            .hint("have a run finish it, with the old state: queuemail outbox flush")
            .into());
    }
    let rotations: Vec<Rotation> = end.own(tx.rows(&ROTATIONS, &[], |row| row.json(0)))?;
    // Until then the new credential is in the state folder of the machine that made it.
    let begun = |one: &&Rotation| one.step < RotationStep::Installed;
    if let Some(Rotation { server, .. }) = rotations.iter().find(begun) {
        let what = format!(
            "cannot move the state: a renewal of the secret or certificate of server `{server}` was interrupted"
        );
        return Err(Fault::try_later(what)
            .hint(format!(
                "complete it, with the old state: queuemail server rotate {}",
                shell::quote(server)
            ))
            .into());
    }
    Ok(())
}

fn check_version(here: &str, the_move: &Move) -> Result<()> {
    match the_move.version == i64::from(schema::sqlite::VERSION) {
        true => Ok(()),
        false => Err(Fault::new(
            Kind::CannotWrite,
            format!("another version of queuemail has begun to move the state in `{here}`"),
        )
        .hint("complete the move, or give it up (--cancel), with that version")
        .into()),
    }
}

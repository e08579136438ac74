//! One end of a move: a state folder or a database, open for nobody else, and what is the same of
//! both.

use super::{Spot, folder, server};
use crate::model::Secrets;
use crate::secret::Secret;
use crate::state::db::{At, Db, Durable, Error, Sql, Tx};
use crate::state::failure;
use crate::state::moves::{self, Move};
use crate::state::schema;
use crate::state::seal::Seal;
use crate::state::tokens::sealed_for;
use anyhow::Result;
use std::cell::RefCell;
use std::path::Path;

/// An end of a move.
pub struct End {
    pub spot: Spot,
    /// `None`: there is no database at this place yet.
    db: Option<Db>,
    /// What tells a state in PostgreSQL from every other; `None` where there are no tables yet.
    identity: RefCell<Option<String>>,
    seal: Seal,
}

/// What is at a place.
#[derive(Debug)]
pub enum There {
    /// No database, or no tables.
    Nothing,
    /// A state in which nothing is.
    Empty,
    /// One that must not be used, for this move.
    Away(Move),
    /// A state.
    State,
}

/// Has what is run in a database end with an error of another kind than the database's, which it
/// gives to `stop`.
pub fn through<T>(
    run: impl FnOnce(&mut dyn FnMut(anyhow::Error) -> Error) -> Result<T, Error>,
    fault: impl FnOnce(&Error) -> anyhow::Error,
) -> Result<T> {
    let mut stopped = None;
    let done = run(&mut |err| {
        stopped = Some(err);
        Error::Stopped
    });
    match (done, stopped) {
        (Ok(done), _) => Ok(done),
        (Err(_), Some(err)) => Err(err),
        (Err(err), None) => Err(fault(&err)),
    }
}

impl End {
    /// Opens what is at this place, so that nobody else can: of a database, not before a transaction
    /// asks for it.
    ///
    /// # Errors
    /// `TryLater` where somebody works with it.
    pub fn open(spot: &Spot, key: Option<&Secrets>) -> Result<End> {
        let db = match spot {
            Spot::Folder(folder) => folder::open(folder)?,
            Spot::Server(place) => Some(server::open(place)?),
        };
        Ok(End {
            spot: spot.clone(),
            db,
            identity: RefCell::default(),
            seal: Seal::new(key),
        })
    }

    /// True for a state that hosts may share.
    pub fn is_shared(&self) -> bool {
        matches!(self.spot, Spot::Server(_))
    }

    /// The folder of a state in a folder.
    pub(super) fn folder(&self) -> Option<&Path> {
        match &self.spot {
            Spot::Folder(folder) => Some(folder),
            Spot::Server(_) => None,
        }
    }

    /// True where a token is kept here.
    pub fn keeps_secrets(&self) -> bool {
        !self.is_shared() || self.seal.has_key()
    }

    /// Seals a token of this key as it is to be here.
    pub fn close(&self, key: &str, secret: &Secret) -> Result<Secret> {
        match &*self.identity.borrow() {
            Some(id) if self.is_shared() => {
                Ok(Secret::new(self.seal.close(&sealed_for(id, key), secret)?))
            }
            _ => Ok(secret.clone()),
        }
    }

    /// The token of this key, as it is here.
    pub fn open_secret(&self, key: &str, kept: &Secret) -> Result<Secret> {
        match &*self.identity.borrow() {
            Some(id) if self.is_shared() => self.seal.open(&sealed_for(id, key), kept.expose()),
            _ => Ok(kept.clone()),
        }
    }

    /// What tells this state from every other, where it is in PostgreSQL and its tables were seen.
    pub fn identity(&self) -> Option<String> {
        self.identity.borrow().clone()
    }

    pub fn fault(&self, verb: &str, err: &Error) -> anyhow::Error {
        match &self.spot {
            Spot::Folder(folder) => {
                failure::fault(verb, At::File(&folder.join(super::super::DATABASE)), err)
            }
            Spot::Server(place) => failure::fault(verb, At::Server(place), err),
        }
        .into()
    }

    /// Runs `work` in one durable transaction, in which nobody else moves this state.
    pub fn transaction<T>(&self, mut work: impl FnMut(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        self.write(&mut |tx| {
            if self.is_shared() {
                tx.script(&schema::postgres::alone())
                    .map_err(|err| self.fault("write", &err))?;
            }
            work(tx)
        })
    }

    /// Runs `work` in one transaction in which nobody else writes to the tables.
    pub fn still<T>(&self, mut work: impl FnMut(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        self.write(&mut |tx| {
            if self.is_shared() {
                self.own(server::lock(tx, "SHARE"))?;
            }
            work(tx)
        })
    }

    fn write<T>(&self, work: &mut dyn FnMut(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        let db = self.db()?;
        through(
            |stop| {
                db.write(Durable::Now, None, |tx| {
                    let ready = match &self.spot {
                        Spot::Server(place) => server::be_owner(tx, place),
                        Spot::Folder(_) => Ok(()),
                    };
                    ready.and_then(|()| work(tx)).map_err(&mut *stop)
                })
            },
            |err| self.fault("write", err),
        )
    }

    /// The answer of this end, its error in words.
    pub fn own<T>(&self, answer: Result<T, Error>) -> Result<T> {
        answer.map_err(|err| self.fault("write", &err))
    }

    fn db(&self) -> Result<&Db> {
        self.db.as_ref().ok_or_else(|| {
            let what = format!("there is no state in `{}`", self.spot);
            crate::fault::Fault::config(what)
                .hint("name the state folder, which contains `state.sqlite`, or the database")
                .into()
        })
    }

    /// What is here.
    pub fn there(&self, tx: &mut Tx<'_>) -> Result<There> {
        const VERSION: &str = "SELECT user_version FROM pragma_user_version";
        const UNCLEAR: &str = "it is not clear whether the state was moved";
        let is_closed;
        if let Spot::Server(place) = &self.spot {
            match server::meta(tx, place)? {
                None => return Ok(There::Nothing),
                Some(meta) => {
                    is_closed = meta.moved_to.is_some();
                    *self.identity.borrow_mut() = Some(meta.id);
                }
            }
        } else {
            is_closed = self.count(tx, VERSION)? == u64::from(schema::sqlite::AWAY);
        }
        let moves = self.moves(tx)?;
        match (is_closed, moves::away(&moves)) {
            (true, Some(the_move)) => return Ok(There::Away(the_move.clone())),
            (false, None) => {}
            _ => return Err(self.fault("read", &Error::Spoilt(UNCLEAR.to_owned()))),
        }
        Ok(match self.content(tx)? {
            None => There::Empty,
            Some(_) => There::State,
        })
    }

    /// The same, of what may not be there.
    pub fn look(&self) -> Result<There> {
        match &self.db {
            None => Ok(There::Nothing),
            Some(_) => self.transaction(|tx| self.there(tx)),
        }
    }

    /// The moves on record.
    pub fn moves(&self, tx: &mut Tx<'_>) -> Result<Vec<Move>> {
        const HAS: Sql<'_> = Sql::two(
            "SELECT 1 FROM sqlite_schema WHERE name = 'migration'",
            "SELECT 1 WHERE to_regclass('migration') IS NOT NULL",
        );
        match self.own(tx.exists(&HAS, &[]))? {
            true => self.own(moves::all(tx)),
            false => Ok(Vec::new()),
        }
    }

    /// True where the state is here that this move was to bring.
    pub fn has_come(&self, tx: &mut Tx<'_>, id: &str) -> Result<bool> {
        if matches!(self.there(tx)?, There::Nothing) {
            return Ok(false);
        }
        let came = |one: &Move| one.stage == moves::Stage::Came && one.id == id;
        Ok(self.moves(tx)?.iter().any(came))
    }

    /// The same, of what may not be there.
    pub fn has(&self, id: &str) -> Result<bool> {
        match self.look()? {
            There::Nothing => Ok(false),
            _ => self.transaction(|tx| self.has_come(tx, id)),
        }
    }

    /// A table in which something is.
    pub fn content(&self, tx: &mut Tx<'_>) -> Result<Option<&'static str>> {
        for table in super::tables_of(self) {
            if self.own(tx.exists(&Sql::both(&table.any()), &[]))? {
                return Ok(Some(table.name));
            }
        }
        Ok(None)
    }

    pub fn count(&self, tx: &mut Tx<'_>, sql: &str) -> Result<u64> {
        let count = tx.only_row(&Sql::both(sql), &[], |row| row.get::<i64>(0));
        Ok(self.own(count)?.unsigned_abs())
    }

    /// Has the database be made that is to be filled: none may use it before it is.
    pub fn begin(&mut self, the_move: &Move, there: &There) -> Result<()> {
        let Spot::Folder(folder) = &self.spot else {
            return Ok(());
        };
        match there {
            There::Nothing => {
                self.db = Some(folder::make(folder, the_move)?);
            }
            There::Away(former) if former.stage == moves::Stage::Left => {
                self.db = None;
                self.db = Some(folder::replace(folder, the_move)?);
            }
            There::Empty | There::Away(_) => {
                let folder = folder.clone();
                self.transaction(|tx| folder::close(tx, &folder, the_move))?;
            }
            There::State => {}
        }
        folder::tidy(folder)
    }
}

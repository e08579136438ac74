//! The database as the rest of `state` sees it: statements with values in, rows out.
//!
//! There are two drivers, SQLite and PostgreSQL. A statement is written in what they have in
//! common; where they part it has a second text. So has each that is run with many rows of values:
//! SQLite is as fast with one after the other, and PostgreSQL is not. What is SQLite's own (the file, the log beside it,
//! an index that is made when it is needed) and PostgreSQL's own (hosts, connections, time-outs,
//! tries that are repeated) is in the drivers, and the tables are in [`super::schema`].

mod cell;
pub mod postgres;
mod sqlite;

pub use cell::{Cell, Column, text_of_id};
pub use sqlite::has_damage;
#[cfg(test)]
pub use sqlite::{LONGEST_LOG, statements};

use crate::mail::RemoteId;
use serde::de::DeserializeOwned;
use std::fmt;
use std::ops::Deref;
use std::path::Path;

/// A statement. Its values are `?1`, `?2` …
#[derive(Clone, Copy, Debug)]
pub struct Sql<'t> {
    sqlite: &'t str,
    postgres: &'t str,
}

impl<'t> Sql<'t> {
    /// One that SQLite and PostgreSQL understand alike: `ON CONFLICT`, `RETURNING`, `FILTER` and
    /// `CASE` instead of what only one of them has.
    pub const fn both(text: &'t str) -> Sql<'t> {
        Sql::two(text, text)
    }

    /// One of PostgreSQL alone: about what SQLite has no need of.
    pub const fn postgres(text: &'t str) -> Sql<'t> {
        Sql::two("", text)
    }

    /// One of SQLite alone: about its own tables.
    pub const fn sqlite(text: &'t str) -> Sql<'t> {
        Sql::two(text, "")
    }

    /// One that does the same in both, in other words. With many rows of values ([`Tx::many`],
    /// [`Reader::row_of_each`]) the text of SQLite is about one of them, and that of PostgreSQL about
    /// all: each value is an array there, of which `unnest` makes rows.
    pub const fn two(sqlite: &'t str, postgres: &'t str) -> Sql<'t> {
        Sql { sqlite, postgres }
    }
}

/// When a commit is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durable {
    /// Once it survives a power cut.
    Now,
    /// At once: after a power cut it is whole or not there.
    InPassing,
}

/// What a write rests on: it is undone unless the lease of this name still has this number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    pub name: String,
    pub number: i64,
}

/// What a statement may end with.
#[derive(Debug)]
pub enum Error {
    Sqlite(rusqlite::Error),
    Postgres(postgres::Error),
    /// A value that the program never writes.
    Spoilt(String),
    /// Whoever asked stopped, for a reason of its own, which it keeps.
    Stopped,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Sqlite(err) => err.fmt(f),
            Error::Postgres(err) => err.fmt(f),
            Error::Spoilt(what) => f.write_str(what),
            Error::Stopped => f.write_str("stopped"),
        }
    }
}

impl From<rusqlite::Error> for Error {
    fn from(err: rusqlite::Error) -> Error {
        Error::Sqlite(err)
    }
}

impl From<postgres::Error> for Error {
    fn from(err: postgres::Error) -> Error {
        Error::Postgres(err)
    }
}

/// An open database, which the threads of a process share.
pub enum Db {
    Sqlite(sqlite::Db),
    Postgres(postgres::Db),
}

impl Db {
    /// The database in the file `path`, which `connection` has open, with its log.
    pub fn of_file(connection: rusqlite::Connection, path: &Path, log: &Path) -> Db {
        Db::Sqlite(sqlite::Db::new(connection, path, log))
    }

    /// Runs `work`, which changes nothing. It may be run again, from its beginning, where the
    /// connection was lost.
    pub fn read<T>(&self, work: impl FnMut(&Reader<'_>) -> Result<T, Error>) -> Result<T, Error> {
        match self {
            Db::Sqlite(db) => db.read(work),
            Db::Postgres(db) => db.read(work),
        }
    }

    /// Runs `work` in one transaction. It may be run again, from its beginning, where it met
    /// another one or the connection was lost: once more after a commit of which the answer was
    /// lost, too.
    pub fn write<T>(
        &self,
        durable: Durable,
        fence: Option<&Fence>,
        work: impl FnMut(&mut Tx<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        match self {
            Db::Sqlite(db) => db.write(durable, work),
            Db::Postgres(db) => db.write(durable, fence, work),
        }
    }

    /// Empties the log next to the database, in which deleted secrets would stand a while longer.
    pub fn empty_log(&self) -> Result<(), Error> {
        match self {
            Db::Sqlite(db) => db.empty_log(),
            // Its log is its server's, and no secret is in it.
            Db::Postgres(_) => Ok(()),
        }
    }

    /// Where it is.
    pub fn place(&self) -> At<'_> {
        match self {
            Db::Sqlite(db) => db.place(),
            Db::Postgres(db) => At::Server(db.place()),
        }
    }
}

/// Where a database is.
#[derive(Clone, Copy)]
pub enum At<'a> {
    File(&'a Path),
    Server(&'a postgres::Place),
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            At::File(path) => path.display().fmt(f),
            At::Server(place) => place.fmt(f),
        }
    }
}

/// What can be asked of the database.
pub enum Reader<'c> {
    Sqlite(sqlite::Reader<'c>),
    Postgres(&'c postgres::Session<'c>),
}

impl Reader<'_> {
    /// What `of` makes of each row.
    pub fn rows<T, All: FromIterator<T>>(
        &self,
        sql: &Sql,
        values: &[Value<'_>],
        of: impl FnMut(&Row<'_>) -> Result<T, Error>,
    ) -> Result<All, Error> {
        match self {
            Reader::Sqlite(reader) => reader.rows(sql, values, of),
            Reader::Postgres(session) => session.rows(sql, values, of),
        }
    }

    /// What `of` makes of the first row, if there is one.
    pub fn row<T>(
        &self,
        sql: &Sql,
        values: &[Value<'_>],
        of: impl FnOnce(&Row<'_>) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        match self {
            Reader::Sqlite(reader) => reader.row(sql, values, of),
            Reader::Postgres(session) => session.row(sql, values, of),
        }
    }

    /// The same of a statement that always has a row, as one that counts.
    pub fn only_row<T>(
        &self,
        sql: &Sql,
        values: &[Value<'_>],
        of: impl FnOnce(&Row<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.row(sql, values, of)?
            .ok_or_else(|| Error::Spoilt("a statement that counts gave no row".to_owned()))
    }

    /// True if there is a row.
    pub fn exists(&self, sql: &Sql, values: &[Value<'_>]) -> Result<bool, Error> {
        Ok(self.row(sql, values, |_| Ok(()))?.is_some())
    }

    /// Asks several statements in one way to a server and back. `of` gets each row with the place of
    /// its statement.
    pub fn all(
        &self,
        all: &[(&Sql<'_>, &[Value<'_>])],
        of: &mut dyn FnMut(usize, &Row<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        match self {
            Reader::Sqlite(reader) => {
                all.iter()
                    .enumerate()
                    .try_for_each(|(number, (sql, values))| {
                        reader.rows(sql, values, |row| of(number, row))
                    })
            }
            Reader::Postgres(session) => session.all(all, of),
        }
    }

    /// For each of many rows of values of one statement ([`Sql::two`]), what `of` makes of the row that
    /// it gives, if there is one. The last column that PostgreSQL gives is the number of the values,
    /// from 1 on (`WITH ORDINALITY`).
    pub fn row_of_each<'v, T, const N: usize>(
        &self,
        sql: &Sql,
        many: impl Iterator<Item = [Value<'v>; N]>,
        of: impl FnMut(&Row<'_>) -> Result<T, Error>,
    ) -> Result<Vec<Option<T>>, Error> {
        match self {
            Reader::Sqlite(reader) => reader.row_of_each(sql, many, of),
            Reader::Postgres(session) => session.row_of_each(sql, many, of),
        }
    }
}

/// A transaction: what can be asked, and done.
pub struct Tx<'c>(Reader<'c>);

impl<'c> Deref for Tx<'c> {
    type Target = Reader<'c>;

    fn deref(&self) -> &Reader<'c> {
        &self.0
    }
}

impl Tx<'_> {
    /// Runs a statement; gives the number of rows that it changed.
    pub fn run(&mut self, sql: &Sql, values: &[Value<'_>]) -> Result<u64, Error> {
        match &self.0 {
            Reader::Sqlite(reader) => reader.run(sql, values),
            Reader::Postgres(session) => session.run(sql, values),
        }
    }

    /// Runs a statement of which nobody needs to know how many rows it changed: PostgreSQL is sent
    /// it with what follows, at the latest with the commit.
    pub fn later(&mut self, sql: &Sql, values: &[Value<'_>]) -> Result<(), Error> {
        match &self.0 {
            Reader::Sqlite(reader) => reader.run(sql, values).map(drop),
            Reader::Postgres(session) => session.later(sql, values),
        }
    }

    /// Runs one statement with many rows of values ([`Sql::two`]); gives the number of rows that all
    /// changed.
    pub fn many<'v, const N: usize>(
        &mut self,
        sql: &Sql,
        many: impl Iterator<Item = [Value<'v>; N]>,
    ) -> Result<u64, Error> {
        match &self.0 {
            Reader::Sqlite(reader) => reader.many(sql, many),
            Reader::Postgres(session) => session.many(sql, many),
        }
    }

    /// As [`Tx::later`], of one statement with many rows of values ([`Sql::two`]).
    pub fn many_later<'v, const N: usize>(
        &mut self,
        sql: &Sql,
        many: impl Iterator<Item = [Value<'v>; N]>,
    ) -> Result<(), Error> {
        match &self.0 {
            Reader::Sqlite(reader) => reader.many(sql, many).map(drop),
            Reader::Postgres(session) => session.many_later(sql, many),
        }
    }

    /// As [`Reader::all`], of the last statements of the transaction, which is committed with them in
    /// PostgreSQL: nothing more can be asked, and what `of` fails for is not undone.
    pub fn last(
        &mut self,
        all: &[(&Sql<'_>, &[Value<'_>])],
        of: &mut dyn FnMut(usize, &Row<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        match &self.0 {
            Reader::Sqlite(_) => self.all(all, of),
            Reader::Postgres(session) => session.last(all, of),
        }
    }

    /// Gives each row to `of`, one after the other: they need not fit memory.
    pub fn each(
        &mut self,
        sql: &Sql<'_>,
        of: &mut dyn FnMut(&Row<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        match &self.0 {
            Reader::Sqlite(reader) => reader.rows(sql, &[], of),
            Reader::Postgres(session) => session.each(sql, of),
        }
    }

    /// Runs statements without values.
    pub fn script(&mut self, text: &str) -> Result<(), Error> {
        match &self.0 {
            Reader::Sqlite(reader) => reader.script(text),
            Reader::Postgres(session) => session.script(text),
        }
    }

    /// So many rows of so many columns are best written by one statement: each statement may be a
    /// way to a server and back, which takes so many values at most.
    pub fn rows_together(&self, columns: usize) -> usize {
        match &self.0 {
            Reader::Sqlite(_) => 1,
            Reader::Postgres(_) => (postgres::MOST_VALUES / columns.max(1)).clamp(1, 500),
        }
    }

    /// True where each answer is a way to a server and back.
    pub fn is_far(&self) -> bool {
        matches!(self.0, Reader::Postgres(_))
    }

    /// From here to its end, no other transaction is between these lines that names the same. In
    /// SQLite there is one writer anyway.
    pub fn alone(&mut self, name: &str) -> Result<(), Error> {
        match &self.0 {
            Reader::Sqlite(_) => Ok(()),
            Reader::Postgres(session) => session.alone(name),
        }
    }

    /// True where the same was done before and its answer was lost: it may have been committed.
    pub fn is_repeat(&self) -> bool {
        match &self.0 {
            Reader::Sqlite(_) => false,
            Reader::Postgres(session) => session.is_repeat(),
        }
    }

    /// Makes the index by which messages are recognised. Without it, each would be looked for
    /// among all; but most folders never need it, and it takes time with each new message. In
    /// PostgreSQL it is there from the start: to make it in a run would hold up the others.
    pub fn index_fingerprints(&mut self) -> Result<(), Error> {
        match &self.0 {
            Reader::Sqlite(reader) => reader.index_fingerprints(),
            Reader::Postgres(_) => Ok(()),
        }
    }
}

/// A row that a statement gave.
pub enum Row<'r> {
    Sqlite(&'r rusqlite::Row<'r>),
    Postgres(&'r postgres::Row),
}

impl Row<'_> {
    /// The value of a column; the first is 0.
    pub fn get<T: Column>(&self, column: usize) -> Result<T, Error> {
        let value = match self {
            Row::Sqlite(row) => T::of(sqlite::cell(row, column)?),
            Row::Postgres(row) => T::of_postgres(postgres::cell(row, column)?),
        };
        value.ok_or_else(|| self.spoilt(column, "a value of an unexpected type"))
    }

    /// What the text of a column says in JSON.
    pub fn json<T: DeserializeOwned>(&self, column: usize) -> Result<T, Error> {
        let text: String = self.get(column)?;
        serde_json::from_str(&text).map_err(|e| self.spoilt(column, e))
    }

    /// The error of a text in a column that the program never writes.
    pub fn spoilt(&self, column: usize, why: impl fmt::Display) -> Error {
        Error::Spoilt(format!("column {} of a row: {why}", column + 1))
    }
}

/// A value in a statement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    Null,
    /// Also a flag: 1 or 0.
    Int(i64),
    Text(&'a str),
    Blob(&'a [u8]),
    Id(&'a RemoteId),
}

/// An array of [`Value`]s.
macro_rules! values {
    ($($value:expr),* $(,)?) => { [$($crate::state::db::Value::from($value)),*] };
}
pub(super) use values;

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Value::Int(value)
    }
}

impl From<u32> for Value<'_> {
    fn from(value: u32) -> Self {
        Value::Int(value.into())
    }
}

impl From<u64> for Value<'_> {
    /// What is greater than the database can hold becomes the greatest that it can.
    fn from(value: u64) -> Self {
        Value::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Value::Int(value.into())
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(value: &'a str) -> Self {
        Value::Text(value)
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(value: &'a String) -> Self {
        Value::Text(value)
    }
}

impl<'a> From<&'a [u8; 16]> for Value<'a> {
    fn from(value: &'a [u8; 16]) -> Self {
        Value::Blob(value)
    }
}

impl<'a> From<&'a RemoteId> for Value<'a> {
    fn from(value: &'a RemoteId) -> Self {
        Value::Id(value)
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

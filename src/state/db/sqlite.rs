//! The driver of SQLite: one connection, which the threads of a process share.

use super::{Durable, Fence, Sql, Value};
use crate::mail::RemoteId;
use crate::state::failure;
use anyhow::Result;
use rusqlite::config::DbConfig;
use rusqlite::types::{FromSql, FromSqlResult, ToSqlOutput, Type, ValueRef};
use rusqlite::{
    CachedStatement, Connection, OpenFlags, OptionalExtension, ToSql, TransactionBehavior,
};
use serde::de::DeserializeOwned;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a statement may end with.
pub type Error = rusqlite::Error;

/// So many statements stay prepared: all that a run has.
const PREPARED: usize = 64;

/// The last process to leave copies the log into the database once it has this many octets:
/// that waits for the disk, which a run that found nothing need not, but every process that comes
/// reads the log first.
pub const LONGEST_LOG: u64 = 128 << 10;

/// An open database.
pub struct Db {
    path: PathBuf,
    log: PathBuf,
    connection: Mutex<Connection>,
}

impl Db {
    /// The database in the file `path`, which `connection` has open, with its log.
    pub fn new(connection: Connection, path: &Path, log: &Path) -> Db {
        connection.set_prepared_statement_cache_capacity(PREPARED);
        Db {
            path: path.to_owned(),
            log: log.to_owned(),
            connection: Mutex::new(connection),
        }
    }

    /// The connection. A thread that panicked while holding it left no open transaction behind:
    /// SQLite rolled it back.
    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work`, which changes nothing.
    pub fn read<T>(&self, work: impl FnOnce(&Reader<'_>) -> Result<T, Error>) -> Result<T> {
        let connection = self.connection();
        work(&Reader(&connection)).map_err(|e| failure::fault("read", &self.path, e).into())
    }

    /// Runs `work` in one transaction.
    pub fn write<T>(
        &self,
        durable: Durable,
        _fence: Option<&Fence>,
        mut work: impl FnMut(&mut Tx<'_>) -> Result<T, Error>,
    ) -> Result<T> {
        let mut connection = self.connection();
        let mut all = || {
            let synchronous = match durable {
                Durable::Now => "FULL",
                Durable::InPassing => "NORMAL",
            };
            connection.pragma_update(None, "synchronous", synchronous)?;
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = work(&mut Tx(Reader(&transaction)))?;
            transaction.commit()?;
            Ok(value)
        };
        all().map_err(|e| failure::fault("write", &self.path, e).into())
    }

    /// Empties the log beside the database, in which deleted secrets would stand a while longer.
    pub fn empty_log(&self) -> Result<()> {
        self.connection()
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .map_err(|e| failure::fault("read", &self.path, e).into())
    }
}

impl Drop for Db {
    fn drop(&mut self) {
        let log = std::fs::metadata(&self.log);
        let is_short = log.is_ok_and(|log| log.len() < LONGEST_LOG);
        // If this fails, the log is copied sooner than it need be.
        let _ = self
            .connection()
            .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, is_short);
    }
}

/// Whether SQLite finds damage in the database at `path`.
pub fn has_damage(path: &Path) -> Result<bool, Error> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    Ok(found != "ok")
}

/// What can be asked of the database.
pub struct Reader<'c>(&'c Connection);

impl Reader<'_> {
    fn prepared(&self, sql: &Sql) -> Result<CachedStatement<'_>, Error> {
        #[cfg(test)]
        statements::note(sql.both);
        self.0.prepare_cached(sql.both)
    }

    /// What `of` makes of each row.
    pub fn rows<T, All: FromIterator<T>>(
        &self,
        sql: &Sql,
        values: &[Value<'_>],
        mut of: impl FnMut(&Row<'_>) -> Result<T, Error>,
    ) -> Result<All, Error> {
        self.prepared(sql)?
            .query_map(rusqlite::params_from_iter(values), |row| of(&Row(row)))?
            .collect()
    }

    /// What `of` makes of the first row, if there is one.
    pub fn row<T>(
        &self,
        sql: &Sql,
        values: &[Value<'_>],
        of: impl FnOnce(&Row<'_>) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        self.only_row(sql, values, of).optional()
    }

    /// The same of a statement that always has a row, as one that counts.
    pub fn only_row<T>(
        &self,
        sql: &Sql,
        values: &[Value<'_>],
        of: impl FnOnce(&Row<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.prepared(sql)?
            .query_row(rusqlite::params_from_iter(values), |row| of(&Row(row)))
    }

    /// True if there is a row.
    pub fn exists(&self, sql: &Sql, values: &[Value<'_>]) -> Result<bool, Error> {
        self.prepared(sql)?
            .exists(rusqlite::params_from_iter(values))
    }

    /// For each of many values of one statement, what `of` makes of the first row, if there is one.
    pub fn row_of_each<'v, T, const N: usize>(
        &self,
        sql: &Sql,
        many: impl Iterator<Item = [Value<'v>; N]>,
        mut of: impl FnMut(&Row<'_>) -> Result<T, Error>,
    ) -> Result<Vec<Option<T>>, Error> {
        let mut statement = self.prepared(sql)?;
        many.map(|values| {
            statement
                .query_row(rusqlite::params_from_iter(values), |row| of(&Row(row)))
                .optional()
        })
        .collect()
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
        let changed = self
            .prepared(sql)?
            .execute(rusqlite::params_from_iter(values))?;
        Ok(changed as u64)
    }

    pub fn later(&mut self, sql: &Sql, values: &[Value<'_>]) -> Result<(), Error> {
        self.run(sql, values).map(drop)
    }

    pub fn is_repeat(&self) -> bool {
        false
    }

    /// Runs one statement with many values; gives the number of rows that all changed.
    pub fn many<'v, const N: usize>(
        &mut self,
        sql: &Sql,
        many: impl Iterator<Item = [Value<'v>; N]>,
    ) -> Result<u64, Error> {
        let mut statement = self.prepared(sql)?;
        let mut changed = 0;
        for values in many {
            changed += statement.execute(rusqlite::params_from_iter(values))? as u64;
        }
        Ok(changed)
    }

    /// Makes the index by which messages are recognised. Without it, each would be looked for
    /// among all; but most folders never need it, and it takes time with each new message.
    pub fn index_fingerprints(&mut self) -> Result<(), Error> {
        self.0.0.execute_batch(
            "CREATE INDEX IF NOT EXISTS message_fingerprint ON message (folder, fingerprint)",
        )
    }
}

/// A row that a statement gave.
pub struct Row<'r>(&'r rusqlite::Row<'r>);

impl Row<'_> {
    /// The value of a column; the first is 0.
    pub fn get<T: FromSql>(&self, column: usize) -> Result<T, Error> {
        self.0.get(column)
    }

    /// What the text of a column says in JSON.
    pub fn json<T: DeserializeOwned>(&self, column: usize) -> Result<T, Error> {
        let text: String = self.get(column)?;
        serde_json::from_str(&text).map_err(|e| self.spoilt(column, e))
    }

    /// The error of a text in a column that we would not have written.
    pub fn spoilt(
        &self,
        column: usize,
        why: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Error {
        Error::FromSqlConversionFailure(column, Type::Text, why.into())
    }
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>, Error> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Int(value) => ValueRef::Integer(*value),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Id(id) => match id.as_number() {
                Some(number) => ValueRef::Integer(number.into()),
                None => ValueRef::Text(id.as_text().unwrap_or_default().as_bytes()),
            },
            Value::Blob(octets) => ValueRef::Blob(octets),
        }))
    }
}

/// An id is in the database as its source gave it: a number or a text.
impl FromSql for RemoteId {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<RemoteId> {
        match value {
            ValueRef::Integer(_) => u32::column_result(value).map(RemoteId::from),
            _ => String::column_result(value).map(RemoteId::from),
        }
    }
}

#[cfg(test)]
pub mod statements {
    use std::cell::RefCell;

    thread_local! {
        static RUN: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
    }

    pub(super) fn note(sql: &'static str) {
        RUN.with_borrow_mut(|run| run.push(sql));
    }

    /// The statements that this thread has run since it last asked.
    pub fn taken() -> Vec<&'static str> {
        RUN.take()
    }
}

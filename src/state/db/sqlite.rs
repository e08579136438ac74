//! The driver of SQLite: one connection, which the threads of a process share.

use super::{At, Cell, Durable, Error, Row, Sql, Tx, Value};
use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, OpenFlags, ToSql, TransactionBehavior};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

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

    pub fn place(&self) -> At<'_> {
        At::File(&self.path)
    }

    pub fn read<T>(
        &self,
        mut work: impl FnMut(&super::Reader<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let connection = self.connection();
        work(&super::Reader::Sqlite(Reader(&connection)))
    }

    pub fn write<T>(
        &self,
        durable: Durable,
        mut work: impl FnMut(&mut Tx<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut connection = self.connection();
        let synchronous = match durable {
            Durable::Now => "FULL",
            Durable::InPassing => "NORMAL",
        };
        connection.pragma_update(None, "synchronous", synchronous)?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let value = work(&mut Tx(super::Reader::Sqlite(Reader(&transaction))))?;
        transaction.commit()?;
        Ok(value)
    }

    pub fn empty_log(&self) -> Result<(), Error> {
        Ok(self
            .connection()
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?)
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
pub fn has_damage(path: &Path) -> rusqlite::Result<bool> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    Ok(found != "ok")
}

/// What can be asked of the database.
pub struct Reader<'c>(&'c Connection);

impl Reader<'_> {
    fn prepared(&self, sql: &Sql) -> rusqlite::Result<CachedStatement<'_>> {
        #[cfg(test)]
        statements::note(sql.sqlite);
        self.0.prepare_cached(sql.sqlite)
    }

    pub fn rows<T, All: FromIterator<T>>(
        &self,
        sql: &Sql,
        values: &[Value<'_>],
        mut of: impl FnMut(&Row<'_>) -> Result<T, Error>,
    ) -> Result<All, Error> {
        let mut statement = self.prepared(sql)?;
        let mut rows = statement.query(rusqlite::params_from_iter(values))?;
        std::iter::from_fn(|| match rows.next() {
            Ok(row) => row.map(|row| of(&Row::Sqlite(row))),
            Err(err) => Some(Err(err.into())),
        })
        .collect()
    }

    pub fn row<T>(
        &self,
        sql: &Sql,
        values: &[Value<'_>],
        of: impl FnOnce(&Row<'_>) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        let mut statement = self.prepared(sql)?;
        first(&mut statement, values, of)
    }

    pub fn row_of_each<'v, T, const N: usize>(
        &self,
        sql: &Sql,
        many: impl Iterator<Item = [Value<'v>; N]>,
        mut of: impl FnMut(&Row<'_>) -> Result<T, Error>,
    ) -> Result<Vec<Option<T>>, Error> {
        let mut statement = self.prepared(sql)?;
        many.map(|values| first(&mut statement, &values, &mut of))
            .collect()
    }

    pub fn run(&self, sql: &Sql, values: &[Value<'_>]) -> Result<u64, Error> {
        let changed = self
            .prepared(sql)?
            .execute(rusqlite::params_from_iter(values))?;
        Ok(changed as u64)
    }

    pub fn many<'v, const N: usize>(
        &self,
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

    pub fn script(&self, text: &str) -> Result<(), Error> {
        Ok(self.0.execute_batch(text)?)
    }

    pub fn index_fingerprints(&self) -> Result<(), Error> {
        Ok(self.0.execute_batch(
            "CREATE INDEX IF NOT EXISTS message_fingerprint ON message (folder, fingerprint)",
        )?)
    }
}

/// What `of` makes of the first row, if there is one.
fn first<T>(
    statement: &mut CachedStatement<'_>,
    values: &[Value<'_>],
    of: impl FnOnce(&Row<'_>) -> Result<T, Error>,
) -> Result<Option<T>, Error> {
    let mut rows = statement.query(rusqlite::params_from_iter(values))?;
    rows.next()?.map(|row| of(&Row::Sqlite(row))).transpose()
}

/// What stands in a column.
pub fn cell<'r>(row: &'r rusqlite::Row<'_>, column: usize) -> Result<Cell<'r>, Error> {
    Ok(match row.get_ref(column)? {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(value) => Cell::Int(value),
        ValueRef::Text(octets) => Cell::Text(
            str::from_utf8(octets)
                .map_err(|e| Error::Spoilt(format!("a text is not UTF-8: {e}")))?,
        ),
        ValueRef::Blob(octets) => Cell::Blob(octets),
        ValueRef::Real(_) => return Err(Error::Spoilt("an unexpected fraction".to_owned())),
    })
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
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

#[cfg(test)]
pub mod statements {
    use std::cell::RefCell;

    thread_local! {
        static RUN: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    }

    pub(super) fn note(sql: &str) {
        RUN.with_borrow_mut(|run| run.push(sql.to_owned()));
    }

    /// The statements that this thread has run since it last asked.
    pub fn taken() -> Vec<String> {
        RUN.take()
    }
}

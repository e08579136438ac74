//! Both databases for the tests of the state: whatever holds, holds in both.

#[path = "../../tests/servers/postgres.rs"]
#[allow(dead_code)]
mod postgres;
#[path = "../../tests/servers/process.rs"]
#[allow(dead_code)]
mod process;

use super::db::{self, Db, Sql};
use super::{Place, Store, Wish};
use crate::model::DatabaseUrl;
use postgres::Postgres;
use std::cell::OnceCell;
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;
use tempfile::TempDir;

/// A new state in one of the databases.
pub struct Engine {
    folder: TempDir,
    /// In PostgreSQL.
    database: Option<String>,
    /// The same database, as it is without this connection.
    rows: OnceCell<Db>,
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.database {
            None => f.write_str("SQLite"),
            Some(database) => write!(f, "PostgreSQL, database {database}"),
        }
    }
}

/// Runs a test on each of the databases.
pub fn on_both(test: impl Fn(&Engine)) {
    for engine in [Engine::sqlite(), Engine::postgres()] {
        println!("on {engine}");
        test(&engine);
    }
}

impl Engine {
    pub fn sqlite() -> Engine {
        Engine {
            folder: tempfile::tempdir().unwrap(),
            database: None,
            rows: OnceCell::new(),
        }
    }

    pub fn postgres() -> Engine {
        Engine {
            folder: tempfile::tempdir().unwrap(),
            database: Some(new_database()),
            rows: OnceCell::new(),
        }
    }

    pub fn is_sqlite(&self) -> bool {
        self.database.is_none()
    }

    /// The folder of the state.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Opens it as another process does.
    pub fn open(&self) -> Store {
        match &self.database {
            None => Store::open(self.folder()).unwrap(),
            Some(database) => Store::open_shared(self.folder(), place(database), None).unwrap(),
        }
    }

    /// The same, in PostgreSQL, where a lease holds so long.
    pub fn open_with(&self, lease: Duration) -> Store {
        let database = self.database.as_deref().unwrap_or_default();
        let mut place = place(database);
        place.lease = lease;
        Store::open_shared(self.folder(), place, None).unwrap()
    }

    /// A command of psql that runs statements in PostgreSQL, in one session.
    pub fn psql(&self, sql: &str) -> std::process::Command {
        let database = self.database.as_deref().unwrap_or_default();
        server().psql_command(postgres::ADMIN, database, sql)
    }

    /// What a statement of a test gives, which has one row and column.
    pub fn number(&self, sql: &str) -> Option<i64> {
        let db = self.rows.get_or_init(|| match &self.database {
            None => {
                let path = self.folder().join("state.sqlite");
                let connection = rusqlite::Connection::open(&path).unwrap();
                Db::of_file(connection, &path, &path.with_extension("sqlite-wal"))
            }
            Some(database) => Db::Postgres(db::postgres::Db::open(place(database)).unwrap()),
        });
        let sql = Sql::both(Box::leak(sql.to_owned().into_boxed_str()));
        db.read(|reader| reader.only_row(&sql, &[], |row| row.get(0)))
            .unwrap_or_else(|e| panic!("{sql:?}: {e}"))
    }

    /// Runs statements of a test in PostgreSQL.
    pub fn script(&self, sql: &str) {
        server().psql(self.database.as_ref().unwrap(), sql);
    }

    /// A message's id, as it stands in a statement.
    pub fn id(&self, uid: u32) -> String {
        match self.is_sqlite() {
            true => uid.to_string(),
            false => format!("'{uid:010}'"),
        }
    }

    /// Octets, as they stand in a statement.
    pub fn octets(&self, octets: &[u8]) -> String {
        let octets = crate::digest::hex(octets);
        match self.is_sqlite() {
            true => format!("x'{octets}'"),
            false => format!(r"'\x{octets}'"),
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.rows.take();
        if let Some(database) = self.database.take() {
            free().push(database);
        }
    }
}

/// Where a database of the tests is.
pub fn place(database: &str) -> Place {
    let server = server();
    let url = format!(
        "host={} port={} user={} dbname={database}",
        server.socket().display(),
        server.port(),
        postgres::ADMIN
    );
    let wish = Wish {
        url: &DatabaseUrl::parse(&url).unwrap(),
        connections: None,
        ca_file: None,
        certificate: None,
        private_key: None,
        timeout: Duration::from_secs(60),
        program: "queuemail/test".into(),
    };
    Place::new(&wish).unwrap()
}

/// The server of this process; it ends with it.
fn server() -> &'static Postgres {
    static SERVER: OnceLock<Postgres> = OnceLock::new();
    SERVER.get_or_init(|| {
        let server = Postgres::start(None, None);
        server.psql("postgres", "CREATE DATABASE made TEMPLATE template0");
        server
    })
}

/// Databases that nobody uses any more.
fn free() -> std::sync::MutexGuard<'static, Vec<String>> {
    static FREE: Mutex<Vec<String>> = Mutex::new(Vec::new());
    FREE.lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A database with tables and nothing in them.
fn new_database() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    static MADE: OnceLock<bool> = OnceLock::new();
    MADE.get_or_init(|| {
        server();
        Store::init(place("made")).unwrap()
    });
    let used = free().pop();
    if let Some(database) = used {
        let empty =
            "DO $$ BEGIN EXECUTE (SELECT 'TRUNCATE ' || string_agg(quote_ident(tablename), ', ')
                         || ' RESTART IDENTITY CASCADE'
                     FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'meta'); END $$";
        server().psql(&database, empty);
        return database;
    }
    let name = format!("t{}", COUNT.fetch_add(1, Ordering::Relaxed));
    server().psql("postgres", &format!("CREATE DATABASE {name} TEMPLATE made"));
    name
}

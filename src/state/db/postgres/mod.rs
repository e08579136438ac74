//! The driver of PostgreSQL: a few connections, which the threads of a process share.
//!
//! Here alone is a library that is asynchronous. Each connection has a runtime of one thread, which
//! works while somebody waits for an answer and not else; what waits is bounded in time. Statements
//! have no names and nothing is set in a session, so that a pooler may give each transaction another
//! connection.

mod connection;
mod error;
mod place;
mod request;
mod session;
mod wire;

pub use connection::Door;
pub use error::{Error, Why};
pub use place::{Place, Wish};
pub use request::cell;
pub use session::{MOST_VALUES, Session};
pub use tokio_postgres::Row;

use super::{Durable, Error as AnyError, Fence, Reader, Tx};
use connection::Connection;
use request::Request;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A transaction that met another one, or whose connection was lost, is tried so often in all.
const TRIES: u32 = 4;

/// A database on a server.
pub struct Db {
    place: Place,
    pool: Mutex<Pool>,
    freed: Condvar,
}

#[derive(Default)]
struct Pool {
    free: Vec<Connection>,
    /// In use or free.
    open: usize,
}

impl Db {
    /// Connects.
    pub fn open(place: Place) -> Result<Db, AnyError> {
        let first = Connection::open(&place)?;
        Ok(Db {
            place,
            pool: Mutex::new(Pool {
                free: vec![first],
                open: 1,
            }),
            freed: Condvar::new(),
        })
    }

    pub fn place(&self) -> &Place {
        &self.place
    }

    pub fn read<T>(
        &self,
        mut work: impl FnMut(&Reader<'_>) -> Result<T, AnyError>,
    ) -> Result<T, AnyError> {
        self.tried(|connection, _| work(&Reader::Postgres(&Session::new(connection))))
    }

    pub fn write<T>(
        &self,
        durable: Durable,
        fence: Option<&Fence>,
        mut work: impl FnMut(&mut Tx<'_>) -> Result<T, AnyError>,
    ) -> Result<T, AnyError> {
        self.tried(|connection, is_repeat| {
            let session = Session::begin(connection, durable, fence, self.place.wait, is_repeat);
            let done = work(&mut Tx(Reader::Postgres(&session)))
                .and_then(|value| session.commit().map(|()| value));
            if done.is_err() {
                session.undo();
            }
            done
        })
    }

    /// Runs statements without values, once.
    pub fn script(&self, text: &str) -> Result<(), Error> {
        let run = |connection: &Connection| {
            let done = connection.ask(&[Request::Plain(text.to_owned())]);
            if done.is_err() && !connection.is_broken() {
                let _ = connection.ask(&[Request::Plain("ROLLBACK".to_owned())]);
            }
            Ok(done.map(drop))
        };
        match self.with(run) {
            Ok(done) => done,
            Err(AnyError::Postgres(err)) => Err(err),
            Err(err) => Err(Error::new(Why::Strange, err.to_string())),
        }
    }

    /// Does `work`, and does it again where that may help, within the time that an answer has.
    fn tried<T>(
        &self,
        mut work: impl FnMut(&Connection, bool) -> Result<T, AnyError>,
    ) -> Result<T, AnyError> {
        let begin = Instant::now();
        let mut is_repeat = false;
        for attempt in 1.. {
            let done = self.with(|connection| work(connection, is_repeat));
            let Err(AnyError::Postgres(err)) = &done else {
                return done;
            };
            if attempt == TRIES || !err.is_passing() || begin.elapsed() >= self.place.wait {
                return done;
            }
            is_repeat |= err.leaves_doubt();
            std::thread::sleep(pause(attempt));
        }
        Err(Error::new(Why::Lost, "nothing was tried").into())
    }

    /// Lends a connection to `work`.
    fn with<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, AnyError>,
    ) -> Result<T, AnyError> {
        let mut lent = Lent {
            db: self,
            connection: self.free(),
        };
        let connection = match lent.connection.take() {
            Some(connection) => connection,
            None => Connection::open(&self.place)?,
        };
        work(lent.connection.insert(connection))
    }

    /// A connection that nobody uses; `None`: one may be opened.
    fn free(&self) -> Option<Connection> {
        let mut pool = self.pool();
        loop {
            if let Some(connection) = pool.free.pop() {
                if !connection.is_broken() {
                    return Some(connection);
                }
                pool.open -= 1;
            } else if pool.open < self.place.connections {
                pool.open += 1;
                return None;
            } else {
                pool = self
                    .freed
                    .wait(pool)
                    .unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    fn pool(&self) -> std::sync::MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the pool, with its connection once it has one.
struct Lent<'d> {
    db: &'d Db,
    connection: Option<Connection>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let mut pool = self.db.pool();
        match self
            .connection
            .take()
            .filter(|connection| !connection.is_broken())
        {
            Some(connection) => pool.free.push(connection),
            None => pool.open -= 1,
        }
        drop(pool);
        self.db.freed.notify_one();
    }
}

/// How long to wait after this attempt: those that met go on at different times.
fn pause(attempt: u32) -> Duration {
    let random = crate::digest::random::<1>().map_or(128, |[octet]| u32::from(octet));
    Duration::from_millis(u64::from((50 << attempt) * (256 + random) / 512))
}

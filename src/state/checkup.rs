//! What can be asked of a database that hosts share before anything goes wrong, for `check`.

use super::db::postgres::Door;
use super::db::{Error, Reader, Sql};
use super::schema;
use super::{Locks, Store};
use anyhow::Result;
use jiff::Timestamp;

/// What is known of a database that hosts share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkup {
    /// The words by which psql finds it.
    pub place: String,
    pub door: Door,
    /// Something between gives each transaction another connection to the server.
    pub is_pooled: bool,
    /// As `15.4`.
    pub server_version: String,
    pub role: String,
    pub is_superuser: bool,
    /// Of the tables.
    pub version: i64,
    /// `off` and the like (PostgreSQL, "synchronous_commit").
    pub synchronous_commit: String,
    /// Which standbys a commit waits for (PostgreSQL, "synchronous_standby_names").
    pub synchronous_standbys: String,
    /// Standbys that are connected.
    pub standbys: u64,
    /// How many seconds this host's clock is ahead of the database's.
    pub ahead: i64,
}

impl Store {
    /// Asks a database that hosts share; `None`: the state is in a folder.
    pub fn checkup(&self) -> Result<Option<Checkup>> {
        const ABOUT: Sql = Sql::postgres(
            "SELECT split_part(current_setting('server_version'), ' ', 1), current_user::text,
                    coalesce((SELECT rolsuper FROM pg_roles WHERE rolname = current_user), false),
                    current_setting('synchronous_commit'),
                    current_setting('synchronous_standby_names'),
                    (SELECT count(*) FROM pg_stat_replication)",
        );
        const VERSION: Sql = Sql::postgres(schema::postgres::SELECT_VERSION);
        let Locks::Leases(leases) = &self.locks else {
            return Ok(None);
        };
        let place = self.db.place().to_string();
        let mut checkup = self.read(|reader| {
            let Reader::Postgres(session) = reader else {
                return Err(Error::Spoilt("not a database on a server".to_owned()));
            };
            let version = reader.only_row(&VERSION, &[], |row| row.get(0))?;
            reader.only_row(&ABOUT, &[], |row| {
                Ok(Checkup {
                    place: place.clone(),
                    door: session.door().clone(),
                    is_pooled: session.is_pooled()?,
                    server_version: row.get(0)?,
                    role: row.get(1)?,
                    is_superuser: row.get(2)?,
                    version,
                    synchronous_commit: row.get(3)?,
                    synchronous_standbys: row.get(4)?,
                    standbys: row.get::<i64>(5)?.unsigned_abs(),
                    ahead: 0,
                })
            })
        })?;
        if let Some(time) = leases.time() {
            checkup.ahead = Timestamp::now().as_second() - time.div_euclid(1000);
        }
        Ok(Some(checkup))
    }
}

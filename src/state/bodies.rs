//! Bodies in the database that hosts share, so that nothing of a host need survive: rows of 1 MiB, of
//! which neither side has to hold more than one in memory.
//!
//! A body is there once its first part is: of one that is written part by part, that is the last.

use super::db::{Db, Durable, Error, Reader, Sql, Tx, Value, values};
use super::failure;
use crate::fault::{Fault, Kind};
use crate::files;
use anyhow::Result;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Octets of each part but the last.
pub const PART: usize = 1 << 20;

/// The kinds of bodies.
pub const OUTBOX: &str = "outbox";
pub const QUARANTINE: &str = "quarantine";

/// What is known of a body without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    pub name: String,
    /// Octets.
    pub size: u64,
    /// When it was written.
    pub at: SystemTime,
}

/// The bodies of one kind.
pub struct Rows {
    db: Arc<Db>,
    kind: &'static str,
}

/// Writes a body in a transaction.
pub fn put(tx: &mut Tx<'_>, kind: &str, name: &str, octets: &[u8]) -> Result<(), Error> {
    let first = octets.get(..PART).unwrap_or(octets);
    // A large one is not collected in memory before it is sent.
    for (number, piece) in (1i64..).zip(octets.chunks(PART).skip(1)) {
        tx.run(&PUT, &values![kind, name, number, Value::Blob(piece)])?;
    }
    tx.later(&PUT, &values![kind, name, 0i64, Value::Blob(first)])
}

const PUT: Sql = Sql::postgres(
    "INSERT INTO body (kind, id, part, octets) VALUES (?1, ?2, ?3, ?4)
     ON CONFLICT (kind, id, part) DO UPDATE SET octets = ?4",
);

impl Rows {
    pub fn new(db: Arc<Db>, kind: &'static str) -> Rows {
        Rows { db, kind }
    }

    /// Takes in a staged file, durably, under this name. One that is gone is passed over.
    pub fn take_in(&self, name: &str, staged: &Path) -> Result<()> {
        let cannot = |e: io::Error| files::cannot("read", staged, &e);
        let mut file = match File::open(staged) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
            file => file.map_err(cannot)?,
        };
        let size = file.metadata().map_err(cannot)?.len();
        let last = size.saturating_sub(1) / PART as u64;
        let mut piece = Vec::new();
        for number in (0..=last).rev() {
            piece.clear();
            file.seek(SeekFrom::Start(number * PART as u64))
                .and_then(|_| (&mut file).take(PART as u64).read_to_end(&mut piece))
                .map_err(cannot)?;
            // What is durable makes durable what came before it.
            let durable = match number {
                0 => Durable::Now,
                _ => Durable::InPassing,
            };
            let row = values![self.kind, name, number, Value::Blob(&piece)];
            self.write(durable, &PUT, &row)?;
        }
        match fs::remove_file(staged) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(files::cannot("write", staged, &e)),
            _ => Ok(()),
        }
    }

    /// Gives a body to `take`, part by part.
    pub fn read(&self, name: &str, take: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        for number in 0.. {
            let piece = match self.part(name, number)? {
                None if number == 0 => return Err(self.lost(name).into()),
                None => return Ok(()),
                Some(piece) => piece,
            };
            take(&piece)?;
            if piece.len() < PART {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The first `most` octets of a body.
    pub fn octets(&self, name: &str, most: u64) -> Result<Vec<u8>> {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let mut octets = Vec::new();
        for number in 0.. {
            let Some(piece) = self.part(name, number)? else {
                break;
            };
            octets.extend_from_slice(&piece);
            if piece.len() < PART || octets.len() >= most {
                octets.truncate(most);
                return Ok(octets);
            }
        }
        match octets.is_empty() {
            true => Err(self.lost(name).into()),
            false => Ok(octets),
        }
    }

    fn part(&self, name: &str, number: i64) -> Result<Option<Vec<u8>>> {
        const PART_OF: Sql =
            Sql::postgres("SELECT octets FROM body WHERE kind = ?1 AND id = ?2 AND part = ?3");
        let which = values![self.kind, name, number];
        self.ask(|reader| reader.row(&PART_OF, &which, |row| row.get(0)))
    }

    /// Whether there is a body of this name.
    pub fn has(&self, name: &str) -> Result<bool> {
        const HAS: Sql =
            Sql::postgres("SELECT 1 FROM body WHERE kind = ?1 AND id = ?2 AND part = 0");
        self.ask(|reader| reader.exists(&HAS, &values![self.kind, name]))
    }

    /// Removes a body, if it is there.
    pub fn remove(&self, name: &str) -> Result<()> {
        const REMOVE: Sql = Sql::postgres("DELETE FROM body WHERE kind = ?1 AND id = ?2");
        self.write(Durable::Now, &REMOVE, &values![self.kind, name])
    }

    /// All bodies, in no order.
    pub fn all(&self) -> Result<Vec<Blob>> {
        const ALL: Sql = Sql::postgres(
            "SELECT id, sum(octet_length(octets)), max(made_at) FROM body
             WHERE kind = ?1 GROUP BY id",
        );
        self.ask(|reader| {
            reader.rows(&ALL, &values![self.kind], |row| {
                let seconds = row.get::<i64>(2)?.unsigned_abs();
                Ok(Blob {
                    name: row.get(0)?,
                    size: row.get::<i64>(1)?.unsigned_abs(),
                    at: UNIX_EPOCH + Duration::from_secs(seconds),
                })
            })
        })
    }

    /// Where a person finds the body of this name.
    pub fn place(&self, name: &str) -> String {
        format!("{name} in table body of {}", self.db.place())
    }

    fn ask<T>(&self, work: impl FnMut(&Reader<'_>) -> Result<T, Error>) -> Result<T> {
        let asked = self.db.read(work);
        asked.map_err(|e| failure::fault("read", self.db.place(), &e).into())
    }

    fn write(&self, durable: Durable, sql: &Sql, values: &[Value<'_>]) -> Result<()> {
        self.db
            .write(durable, None, |tx| tx.later(sql, values))
            .map_err(|e| failure::fault("write", self.db.place(), &e).into())
    }

    fn lost(&self, name: &str) -> Fault {
        let what = format!("{} does not exist", self.place(name));
        Fault::new(Kind::CannotWrite, what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Store;
    use crate::state::engines_tests::Engine;

    fn write(store: &Store, kind: &str, name: &str, octets: &[u8]) {
        let put = |tx: &mut Tx<'_>| put(tx, kind, name, octets);
        store.db.write(Durable::Now, None, put).unwrap();
    }

    fn read(store: &Store, name: &str) -> Vec<u8> {
        let mut read = Vec::new();
        let mut take = |piece: &[u8]| {
            read.extend_from_slice(piece);
            Ok(())
        };
        store.outbox_bodies().read(name, &mut take).unwrap();
        read
    }

    #[test]
    fn one_of_any_size_is_whole() {
        let engine = Engine::postgres();
        let store = engine.open();
        let bodies = store.outbox_bodies();
        for size in [0, 1, PART - 1, PART, PART + 1, 2 * PART, 2 * PART + 7] {
            let octets: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
            let by_put = format!("put{size}");
            write(&store, OUTBOX, &by_put, &octets);
            let staged = engine.folder().join("staged");
            std::fs::write(&staged, &octets).unwrap();
            let by_file = format!("file{size}");
            bodies.take_in(&by_file, &staged).unwrap();
            assert!(!staged.exists());
            bodies.take_in(&by_file, &staged).unwrap();
            for name in [&by_put, &by_file] {
                assert!(bodies.has(name) && read(&store, name) == octets, "{name}");
                assert!(bodies.octets(name, u64::MAX).unwrap() == octets, "{name}");
                let some = bodies.octets(name, 3).unwrap();
                assert_eq!(some, octets[..size.min(3)], "{name}");
                let all = bodies.all().unwrap();
                let found = all.iter().find(|blob| blob.name == *name).unwrap();
                assert_eq!(found.size, size as u64);
                let age = found.at.elapsed().unwrap();
                assert!(age < Duration::from_secs(600), "{age:?}");
                bodies.remove(name).unwrap();
                bodies.remove(name).unwrap();
                assert!(!bodies.has(name));
                assert!(bodies.octets(name, 3).is_err());
            }
        }
        assert_eq!(engine.number("SELECT count(*) FROM body"), Some(0));
    }

    #[test]
    fn one_of_another_kind_is_another() {
        let engine = Engine::postgres();
        let store = engine.open();
        write(&store, QUARANTINE, "a", b"refused");
        assert!(!store.outbox_bodies().has("a"));
        assert!(store.quarantine_bodies().has("a"));
        store.outbox_bodies().remove("a").unwrap();
        assert_eq!(
            store.quarantine_bodies().octets("a", 9).unwrap(),
            b"refused"
        );
    }

    #[test]
    fn one_that_is_written_in_part_is_not_there() {
        let engine = Engine::postgres();
        let store = engine.open();
        engine.script("INSERT INTO body (kind, id, part, octets) VALUES ('outbox', 'a', 1, 'x')");
        assert!(!store.outbox_bodies().has("a"));
        assert!(store.outbox_bodies().octets("a", 9).is_err());
        assert_eq!(
            store.outbox_bodies().all().unwrap().len(),
            1,
            "it can be tidied"
        );
    }
}

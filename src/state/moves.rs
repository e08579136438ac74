//! Moves of a state from one place to another, as the state itself has them on record: so a state
//! that went elsewhere is not used again, and one whose move was interrupted is used by nobody until
//! the move is complete or given up.
//!
//! In SQLite the table is there once there was a move; a state that must not be used has the version
//! [`schema::sqlite::AWAY`]. In PostgreSQL, such a one says in `meta` where it went.

use super::db::{At, Db, Error, Reader, Row, Sql, Tx, values};
use super::failure;
use anyhow::Result;

/// How far a move is, for the state that has it on record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It is being made here, and is not complete.
    Coming,
    /// It came here. Later moves do not change that.
    Came,
    /// It is being moved elsewhere: either place may be the one that counts.
    Leaving,
    /// It is elsewhere now, and what is here is outdated.
    Left,
}

/// A move on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// The same in both places.
    pub id: String,
    pub stage: Stage,
    /// The other place.
    pub place: String,
    /// Of the tables in SQLite, when it began.
    pub version: i64,
}

impl Stage {
    const ALL: [(Stage, &'static str); 4] = [
        (Stage::Coming, "coming"),
        (Stage::Came, "came"),
        (Stage::Leaving, "leaving"),
        (Stage::Left, "left"),
    ];

    fn word(self) -> &'static str {
        let found = Stage::ALL.iter().find(|(stage, _)| *stage == self);
        found.map_or("", |(_, word)| word)
    }
}

/// All moves on record.
pub fn all(reader: &Reader<'_>) -> Result<Vec<Move>, Error> {
    const ALL: Sql = Sql::both("SELECT id, stage, place, version FROM migration ORDER BY at, id");
    reader.rows(&ALL, &[], |row: &Row<'_>| {
        let word: String = row.get(1)?;
        let stage = Stage::ALL.iter().find(|(_, known)| *known == word);
        Ok(Move {
            id: row.get(0)?,
            stage: stage
                .map(|(stage, _)| *stage)
                .ok_or_else(|| row.spoilt(1, "no stage of a move"))?,
            place: row.get(2)?,
            version: row.get(3)?,
        })
    })
}

/// The move for which a state must not be used, if there is one.
pub fn away(moves: &[Move]) -> Option<&Move> {
    moves.iter().find(|one| one.stage != Stage::Came)
}

/// Puts a move on record, or what has become of it.
pub fn put(tx: &mut Tx<'_>, the_move: &Move) -> Result<(), Error> {
    const PUT: Sql = Sql::both(
        "INSERT INTO migration (id, stage, place, version, at) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (id) DO UPDATE SET stage = ?2, place = ?3, version = ?4, at = ?5",
    );
    let Move {
        id,
        stage,
        place,
        version,
    } = the_move;
    let now = jiff::Timestamp::now().as_second();
    tx.later(&PUT, &values![id, stage.word(), place, *version, now])
}

/// Takes a move off the record.
pub fn remove(tx: &mut Tx<'_>, id: &str) -> Result<(), Error> {
    const REMOVE: Sql = Sql::both("DELETE FROM migration WHERE id = ?1");
    tx.later(&REMOVE, &values![id])
}

/// The error of a state that says of itself that it must not be used.
pub fn refusal(db: &Db) -> anyhow::Error {
    let at = db.place();
    let here = words(at);
    match db.read(all) {
        Err(err) => failure::fault("read", at, &err).into(),
        Ok(moves) => match away(&moves) {
            Some(the_move) => failure::moves::away(&here, the_move).into(),
            None => failure::spoilt(at, "the table `migration`", &"the move is not there").into(),
        },
    }
}

/// A place in the words that `state migrate` takes.
pub fn words(at: At<'_>) -> String {
    match at {
        At::File(path) => crate::files::folder_of(path).display().to_string(),
        At::Server(place) => place.to_string(),
    }
}

/// Takes moves off the record that were to come here and were not completed.
pub fn remove_coming(tx: &mut Tx<'_>) -> Result<(), Error> {
    const REMOVE: Sql = Sql::both("DELETE FROM migration WHERE stage = 'coming'");
    tx.later(&REMOVE, &[])
}

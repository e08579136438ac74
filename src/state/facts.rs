//! Where the state is and what it holds, for people and monitors.

use super::Store;
use super::db::{At, Sql, Value};
use super::schema;
use anyhow::Result;

/// What is known of the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// SQLite or PostgreSQL.
    pub database: &'static str,
    /// The file, or the words by which psql finds the database.
    pub place: String,
    /// Of the tables.
    pub version: i64,
    /// Tells a state that hosts share from every other.
    pub id: Option<String>,
    /// Octets of the database.
    pub size: u64,
    pub counts: Vec<(&'static str, u64)>,
}

/// What is counted. None reads the whole ledger.
const COUNTS: &[(&str, Sql)] = &[
    (
        "mailboxes",
        Sql::both("SELECT count(*) FROM (SELECT DISTINCT address FROM folder) f"),
    ),
    ("folders", Sql::both("SELECT count(*) FROM folder")),
    (
        "delivered",
        Sql::both("SELECT CAST(coalesce(sum(delivered), 0) AS BIGINT) FROM folder"),
    ),
    (
        "to be tried",
        Sql::both("SELECT count(*) FROM message WHERE state = 'failed' OR state = 'staged'"),
    ),
    (
        "quarantined",
        Sql::both("SELECT count(*) FROM message WHERE state = 'quarantined'"),
    ),
    ("outbox", Sql::both("SELECT count(*) FROM outbox")),
    ("tokens", Sql::both("SELECT count(*) FROM token")),
];

impl Store {
    /// What is known of this state.
    pub fn facts(&self) -> Result<Facts> {
        const SIZE: Sql = Sql::two(
            "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
            "SELECT pg_database_size(current_database())",
        );
        const VERSION: Sql = Sql::two(
            "SELECT user_version FROM pragma_user_version",
            schema::postgres::SELECT_VERSION,
        );
        let (database, place) = match self.db.place() {
            At::File(path) => ("SQLite", path.display().to_string()),
            At::Server(place) => ("PostgreSQL", place.to_string()),
        };
        self.read(|reader| {
            let counts = COUNTS.iter().map(|(_, sql)| sql);
            let asked: Vec<(&Sql<'_>, &[Value<'_>])> = [&VERSION, &SIZE]
                .into_iter()
                .chain(counts)
                .map(|sql| (sql, &[][..]))
                .collect();
            let mut numbers = vec![0; asked.len()];
            reader.all(&asked, &mut |number, row| {
                numbers[number] = row.get::<i64>(0)?;
                Ok(())
            })?;
            let names = COUNTS.iter().map(|(name, _)| *name);
            let counts = names.zip(numbers[2..].iter().map(|number| number.unsigned_abs()));
            Ok(Facts {
                database,
                place: place.clone(),
                version: numbers[0],
                id: self.identity.clone(),
                size: numbers[1].unsigned_abs(),
                counts: counts.collect(),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::engines_tests::on_both;

    #[test]
    fn a_new_state_holds_nothing() {
        on_both(|engine| {
            let store = engine.open();
            store
                .open_folder(&crate::state::Lock::FREE, "a@x.example", "INBOX", 1, None)
                .unwrap();
            let facts = store.facts().unwrap();
            assert_eq!(facts.id.is_some(), store.is_shared());
            assert!(facts.version > 0 && facts.size > 0, "{facts:?}");
            let filled: Vec<_> = facts.counts.iter().filter(|(_, n)| *n > 0).collect();
            assert_eq!(filled, [&("mailboxes", 1), &("folders", 1)]);
        });
    }
}

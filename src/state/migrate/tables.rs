//! What is moved: the tables of a state and their columns, the same in SQLite and PostgreSQL. A test
//! compares them with both schemas, so that no table or column can be forgotten.

use Kind::{Id, Int, Secret, Text};

/// What is in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Also a flag and a time.
    Int,
    Text,
    Blob,
    /// Of a message at its source.
    Id,
    /// A token: as it is in SQLite, sealed in PostgreSQL.
    Secret,
}

/// A table that is moved, row by row.
#[derive(Debug)]
pub struct Table {
    pub name: &'static str,
    pub columns: &'static [(&'static str, Kind)],
    /// Its rows have an `id` that the database gives, and that goes on behind the last one.
    pub is_numbered: bool,
    /// It is in PostgreSQL alone.
    pub is_shared: bool,
}

/// The others: what a host works on just now, and what says whose the tables are; `body` is moved
/// with its messages. `sqlite_…` are SQLite's own.
#[cfg(test)]
const LEFT_OUT: &[&str] = &[
    "body",
    "lease",
    "meta",
    "migration",
    "run",
    "sqlite_sequence",
    "sqlite_stat1",
];

const fn table(name: &'static str, columns: &'static [(&'static str, Kind)]) -> Table {
    Table {
        name,
        columns,
        is_numbered: false,
        is_shared: false,
    }
}

const fn numbered(name: &'static str, columns: &'static [(&'static str, Kind)]) -> Table {
    Table {
        is_numbered: true,
        ..table(name, columns)
    }
}

/// In an order in which no row names one that is not there yet.
pub const TABLES: &[Table] = &[
    table(
        "token",
        &[
            ("key", Text),
            ("access_token", Secret),
            ("expires_at", Int),
            ("refresh_token", Secret),
            ("obtained_at", Int),
        ],
    ),
    numbered(
        "token_trace",
        &[("id", Int), ("key", Text), ("place", Text), ("name", Text)],
    ),
    numbered(
        "folder",
        &[
            ("id", Int),
            ("address", Text),
            ("name", Text),
            ("epoch", Int),
            ("mark", Text),
            ("delivered", Int),
            ("delivered_at", Int),
            ("former", Int),
            ("start", Text),
        ],
    ),
    numbered(
        "message",
        &[
            ("id", Int),
            ("folder", Int),
            ("epoch", Int),
            ("remote", Id),
            ("state", Text),
            ("settle", Text),
            ("present", Int),
            ("intent", Text),
            ("attempts", Int),
            ("next_attempt", Int),
            ("reason", Text),
            ("fingerprint", Kind::Blob),
            ("size", Int),
            ("delivered_to", Text),
            ("changed_at", Int),
            ("received", Int),
            ("about", Text),
        ],
    ),
    table("forgotten_id", &[("folder", Int), ("digest", Int)]),
    table(
        "mailbox",
        &[
            ("address", Text),
            ("last_success", Int),
            ("failed_at", Int),
            ("error", Text),
            ("took", Int),
        ],
    ),
    table("rotation", &[("key", Text), ("record", Text)]),
    table(
        "incident",
        &[
            ("kind", Text),
            ("subject", Text),
            ("opened_at", Int),
            ("told_at", Int),
            ("closed_at", Int),
            ("unsent", Text),
            ("tried_at", Int),
            ("reason", Text),
            ("mailboxes", Text),
        ],
    ),
    table(
        "counter",
        &[("name", Text), ("subject", Text), ("value", Int)],
    ),
    table(
        "wait",
        &[
            ("key", Text),
            ("until", Int),
            ("reason", Text),
            ("exit_code", Int),
            ("server_said", Text),
            ("hints", Text),
            ("fingerprint", Text),
            ("cause", Text),
            ("host", Text),
            ("port", Int),
        ],
    ),
    numbered(
        "outbox",
        &[
            ("id", Int),
            ("file", Text),
            ("envelope", Text),
            ("message_id", Text),
            ("shared_id", Int),
            ("size", Int),
            ("state", Text),
            ("attempts", Int),
            ("next_attempt", Int),
            ("reason", Text),
            ("refused", Text),
            ("report", Text),
            ("kept_at", Int),
            ("changed_at", Int),
            ("submitter", Text),
        ],
    ),
    table(
        "sent",
        &[("mailbox", Text), ("at", Int), ("recipients", Int)],
    ),
    table(
        "way",
        &[
            ("key", Text),
            ("way", Text),
            ("reason", Text),
            ("found_at", Int),
            ("ground", Text),
        ],
    ),
    numbered(
        "history",
        &[
            ("id", Int),
            ("sent", Int),
            ("at", Int),
            ("week", Int),
            ("author", Text),
            ("sender", Text),
            ("subject", Text),
            ("queue", Text),
            ("address", Text),
            ("folder", Text),
            ("message_id", Text),
            ("size", Int),
            ("sha256", Text),
            ("place", Text),
            ("delivery_id", Text),
            ("recipients", Text),
            ("outcome", Text),
            ("server_id", Text),
            ("server_said", Text),
        ],
    ),
    table(
        "history_recipient",
        &[("address", Text), ("at", Int), ("history", Int)],
    ),
    Table {
        is_shared: true,
        ..table("place", &[("path", Text), ("id", Text), ("host", Text)])
    },
];

impl Table {
    fn names(&self) -> String {
        let names: Vec<&str> = self.columns.iter().map(|(name, _)| *name).collect();
        names.join(", ")
    }

    /// Gives all rows.
    pub fn select(&self) -> String {
        format!("SELECT {} FROM {}", self.names(), self.name)
    }

    /// Adds so many rows, whose values follow each other.
    pub fn insert(&self, rows: usize) -> String {
        let width = self.columns.len();
        let row = |row: usize| {
            let values: Vec<String> = (1..=width)
                .map(|column| format!("?{}", row * width + column))
                .collect();
            format!("({})", values.join(", "))
        };
        let rows: Vec<String> = (0..rows).map(row).collect();
        format!(
            "INSERT INTO {} ({}) VALUES {}",
            self.name,
            self.names(),
            rows.join(", ")
        )
    }

    /// Gives a row if there is one.
    pub fn any(&self) -> String {
        format!("SELECT 1 FROM {} LIMIT 1", self.name)
    }

    /// Counts the rows: in PostgreSQL about, since it would read all of them, for longer than an
    /// answer is waited for.
    pub fn count(&self, is_shared: bool) -> String {
        match is_shared {
            true => format!(
                "SELECT CASE WHEN reltuples > 0 THEN reltuples::bigint ELSE 0 END
                 FROM pg_class WHERE oid = to_regclass('{}')",
                self.name
            ),
            false => format!("SELECT count(*) FROM {}", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::db::Sql;
    use crate::state::engines_tests::on_both;
    use std::collections::{BTreeMap, BTreeSet};

    #[test]
    fn no_table_and_no_column_is_forgotten() {
        const COLUMNS: Sql<'_> = Sql::two(
            "SELECT t.name, c.name FROM sqlite_schema t, pragma_table_info(t.name) c
             WHERE t.type = 'table'",
            "SELECT table_name::text, column_name::text FROM information_schema.columns
             WHERE table_schema = 'public'",
        );
        on_both(|engine| {
            let store = engine.open();
            let found: Vec<(String, String)> = store
                .read(|reader| reader.rows(&COLUMNS, &[], |row| Ok((row.get(0)?, row.get(1)?))))
                .unwrap();
            let mut there: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
            for (table, column) in found {
                if !LEFT_OUT.contains(&&*table) {
                    there.entry(table).or_default().insert(column);
                }
            }
            let moved = TABLES
                .iter()
                .filter(|table| !table.is_shared || store.is_shared())
                .map(|table| {
                    let columns = table.columns.iter().map(|(name, _)| (*name).to_owned());
                    (table.name.to_owned(), columns.collect())
                })
                .collect();
            assert_eq!(
                there, moved,
                "what is there, and what is moved, on {engine}"
            );
        });
    }

    #[test]
    fn the_values_of_rows_follow_each_other() {
        let table = table("t", &[("a", Int), ("b", Text)]);
        assert_eq!(
            table.insert(2),
            "INSERT INTO t (a, b) VALUES (?1, ?2), (?3, ?4)"
        );
    }
}

//! Every statement is understood by the database that it is for; and what a lease guards is
//! written while it is held alone.

use super::db::{Durable, Error, Fence, Sql, values};
use super::engines_tests::Engine;
use std::fs;
use std::path::{Path, PathBuf};

/// The files of this folder and those below, without their tests.
fn files() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut left = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/state")];
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(
                fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
            continue;
        }
        if path.to_string_lossy().ends_with("tests.rs") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let text = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        let text = text.to_owned();
        found.push((path, text));
    }
    found
}

/// The texts of all statements in the files of this folder and those below: for SQLite and for PostgreSQL.
fn statements() -> Vec<[String; 2]> {
    let mut found = Vec::new();
    for (_, text) in files() {
        for (at, start) in text.match_indices("Sql::both(") {
            found.extend(literal(&text[at + start.len()..]).map(|(sql, _)| [sql.clone(), sql]));
        }
        for (at, start) in text.match_indices("Sql::postgres(") {
            found.extend(literal(&text[at + start.len()..]).map(|(sql, _)| [String::new(), sql]));
        }
        for (at, start) in text.match_indices("Sql::sqlite(") {
            found.extend(literal(&text[at + start.len()..]).map(|(sql, _)| [sql, String::new()]));
        }
        for (at, start) in text.match_indices("Sql::two(") {
            let Some((sqlite, rest)) = literal(&text[at + start.len()..]) else {
                continue;
            };
            let postgres = literal(rest.trim_start().trim_start_matches(','));
            found.extend(postgres.map(|(postgres, _)| [sqlite, postgres]));
        }
        // `macro!("the rest")`, whose beginning is in the macro.
        for name in ["entries!", "given_up!", "newest!"] {
            let Some((_, made)) =
                text.split_once(&format!("macro_rules! {}", &name[..name.len() - 1]))
            else {
                continue;
            };
            let (_, made) = made.split_once("concat!(").unwrap();
            let (beginning, _) = literal(made).unwrap();
            for (at, start) in text.match_indices(&format!("{name}(")) {
                let rest = literal(&text[at + start.len()..]);
                found.extend(rest.map(|(rest, _)| [0, 1].map(|_| format!("{beginning}{rest}"))));
            }
        }
    }
    found
}

/// The literal that a text begins with, and what follows it.
fn literal(text: &str) -> Option<(String, &str)> {
    let (text, rest) = text.trim_start().strip_prefix('"')?.split_once('"')?;
    assert!(!text.contains('\\'), "{text}");
    Some((text.to_owned(), rest))
}

#[test]
fn every_statement_is_understood() {
    let statements = statements();
    assert!(statements.len() > 65, "{}", statements.len());
    let engine = Engine::sqlite();
    drop(engine.open());
    let sqlite = rusqlite::Connection::open(engine.folder().join("state.sqlite")).unwrap();
    sqlite.execute_batch(super::schema::sqlite::MOVES).unwrap();
    let mut all = String::new();
    for (index, [text, postgres]) in statements.iter().enumerate() {
        // One of PostgreSQL alone has none.
        if !text.is_empty()
            && let Err(err) = sqlite.prepare(text)
        {
            panic!("{err}\n{text}");
        }
        // One of SQLite alone has none; PREPARE takes none for a cursor, which the tests of moves run.
        if postgres.is_empty() || postgres.starts_with("FETCH") {
            continue;
        }
        all += &format!("PREPARE s{index} AS {};\n", postgres.replace('?', "$"));
    }
    let engine = Engine::postgres();
    engine.script(&all);
}

/// What is run with many rows of values has them as arrays in PostgreSQL.
#[test]
fn many_rows_of_values_are_arrays() {
    let mut checked = 0;
    for (path, text) in files() {
        for (at, call) in ["many(&", "many_later(&", "row_of_each(&"]
            .iter()
            .flat_map(|call| text.match_indices(call))
            .chain(text.match_indices("many(\n        &"))
        {
            let rest = &text[at + call.len()..];
            let name = rest.split(',').next().unwrap_or_default();
            let definition = format!("const {name}: Sql = Sql::");
            let Some(begin) = text.rfind(&definition) else {
                continue;
            };
            // The nearest one of this name before its use, or the only one.
            let begin = text[..at].rfind(&definition).unwrap_or(begin) + definition.len();
            let statement = text[begin..].split(");\n").next().unwrap_or_default();
            let is_sound = statement.starts_with("sqlite(") || statement.contains("unnest(");
            assert!(is_sound, "{}: {name}\n{statement}", path.display());
            checked += 1;
        }
    }
    assert!(checked > 14, "{checked}");
}

#[test]
fn what_a_lease_guards_is_written_while_it_is_held() {
    const NOTE: Sql = Sql::both("INSERT INTO way VALUES (?1, 'imap', '', 0)");
    let engine = Engine::postgres();
    let store = engine.open();
    let fence = Fence {
        name: "fetch a@x.example".to_owned(),
        number: 7,
    };
    let write = |key: &str| {
        store.db.write(Durable::Now, Some(&fence), |tx| {
            tx.later(&NOTE, &values![key])
        })
    };
    let count = || engine.number("SELECT count(*) FROM way").unwrap();
    let is_refused = |done: Result<(), Error>| match done {
        Err(Error::Postgres(err)) => err.code() == "QM001",
        _ => false,
    };
    assert!(is_refused(write("nobody holds it")));
    engine.script(
        "INSERT INTO lease (name, holder, fence, until)
         VALUES ('fetch a@x.example', 'us', 7, now() + interval '1 hour')",
    );
    write("held").unwrap();
    engine.script("UPDATE lease SET fence = 8");
    assert!(is_refused(write("another holds it")));
    engine.script("UPDATE lease SET fence = 7, until = now()");
    assert!(is_refused(write("its time is over")));
    assert_eq!(count(), 1, "what was refused is undone");
    let err = store.fault("write", &write("again").unwrap_err());
    assert!(format!("{err:#}").contains("QM001"), "{err:#}");
}

/// A connection that ends in the middle is made again, and what it was about is done once.
#[test]
fn what_a_lost_connection_was_about_is_done_once() {
    let engine = Engine::postgres();
    let store = engine.open();
    let folder = store
        .open_folder(&super::Lock::FREE, "a@x.example", "INBOX", 1, None)
        .unwrap();
    let mut is_first = true;
    let repeats = store.db.write(Durable::Now, None, |tx| {
        const COUNT: Sql = Sql::both("UPDATE folder SET delivered = delivered + 1 WHERE id = ?1");
        tx.run(&COUNT, &values![folder.id])?;
        if std::mem::take(&mut is_first) {
            engine.script(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE datname = current_database() AND pid <> pg_backend_pid()",
            );
        }
        Ok(tx.is_repeat())
    });
    assert!(repeats.unwrap(), "it was done again");
    assert_eq!(store.health("a@x.example").unwrap().delivered, 1);
}

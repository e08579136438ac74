//! Who makes the tables, and with which rights all of a host's work can be done.

use super::{MAIL, Office, ROLE, desk, tells};
use crate::cases::fetch::assert_same;
use crate::killed;
use crate::servers::postgres;
use std::fs;
use std::path::Path;

#[test]
fn the_tables_are_made_by_init_and_never_by_fetch() {
    let office = Office::new();
    office.desk.deliver(0..1);
    for args in [&["fetch"][..], &["state", "show"], &["status"]] {
        let ran = office.run(args).fails(78);
        tells(ran, &["contains no state", "queuemail state init"]);
    }
    assert!(office.desk.maildir(MAIL).is_empty());
    office
        .run(&["state", "init"])
        .succeeds()
        .shows("created the tables");
    office
        .run(&["state", "init"])
        .succeeds()
        .shows("already exist");
    let shown = office.run(&["--json", "state", "show"]).succeeds().json();
    assert_eq!(shown["database"], "PostgreSQL");
    assert_eq!(shown["counts"]["delivered"], 0, "{shown}");
    let id = shown["id"].clone();
    office.run(&["fetch"]).succeeds().says_nothing();
    let shown = office.run(&["--json", "state", "show"]).succeeds().json();
    assert_eq!(
        (&shown["counts"]["delivered"], &shown["id"]),
        (&1.into(), &id)
    );
    let here = office.desk.world.state_dir().join("state.sqlite");
    assert!(!here.exists(), "the state is in the database alone");
}

#[test]
fn the_sql_for_whoever_runs_the_server_makes_the_same() {
    let office = Office::new();
    let sql = office.run(&["state", "init", "--print"]).succeeds().stdout;
    office.psql(&format!("SET ROLE {ROLE}; {sql}"));
    office
        .run(&["state", "init"])
        .succeeds()
        .shows("already exist");
    office.fetches_once(&office.by_socket(), 0..3);
}

/// A role with the rights that docs/fleet.md grants it, and no other, can do all of a host's work.
#[test]
fn the_documented_rights_are_enough_and_no_more() {
    let server = postgres::Postgres::start(None, None);
    let documents = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/fleet.md");
    let text = fs::read_to_string(documents).unwrap();
    let blocks: Vec<&str> = text.split("```sql\n").skip(1).collect();
    let [roles, rights, for_a_move, after_it] = blocks[..] else {
        panic!("docs/fleet.md holds {} blocks of SQL", blocks.len());
    };
    // One by one: CREATE DATABASE does not go with others.
    let each = |database: &str, block: &str| {
        let sql = block.split("```").next().unwrap();
        for statement in sql
            .split_inclusive(';')
            .filter(|one| !one.trim().is_empty())
        {
            server.psql(database, statement);
        }
    };
    let desk = desk();
    let url = format!(
        "host={} port={} dbname=queuemail user=queuemail",
        server.socket().display(),
        server.port()
    );
    let run = |args: &[&str]| desk.world.run(args).env("QUEUEMAIL_STATE", &url);
    each("postgres", roles);
    let tables = run(&["state", "init", "--print"]).succeeds().stdout;
    server.psql("queuemail", &format!("SET ROLE queuemail_owner; {tables}"));
    run(&["state", "show"])
        .fails(78)
        .mentions("permission denied");
    each("queuemail", rights);
    let sent = desk.deliver(0..20);
    let killing = killed::killing("rename", 1);
    run(&["fetch"]).under(killing).fails(-10);
    let ended = "UPDATE lease SET until = clock_timestamp() - interval '1 s'";
    server.psql("queuemail", ended);
    run(&["fetch"]).succeeds();
    assert_same(&sent, &desk.maildir(MAIL), "by a role with few rights");
    for args in [
        &["state", "show"][..],
        &["status"],
        &["outbox", "list"],
        &["outbox", "flush"],
        &["quarantine", "list"],
        &["token", "list"],
    ] {
        run(args).succeeds();
    }
    // To move the state, it takes more, for that time.
    let folder = desk.path("moved").display().to_string();
    let moves = |from: &str, to: &str| run(&["state", "migrate", "--from", from, "--to", to]);
    moves(&url, &folder)
        .fails(78)
        .mentions("GRANT queuemail_owner TO queuemail");
    each("queuemail", for_a_move);
    moves(&url, &folder).succeeds();
    moves(&folder, &url).succeeds();
    each("queuemail", after_it);
    run(&["fetch"]).succeeds();
    assert_same(
        &sent,
        &desk.maildir(MAIL),
        "the tables have their owner still",
    );
    for sql in [
        "DROP TABLE message",
        "ALTER TABLE message ADD COLUMN more text",
        "CREATE TABLE other (id bigint)",
        "UPDATE meta SET version = 9",
        "TRUNCATE message",
    ] {
        let said = server.psql_as("queuemail", "queuemail", sql).unwrap_err();
        let is_refused = said.contains("permission denied") || said.contains("must be owner");
        assert!(is_refused, "{sql}: {said}");
    }
}

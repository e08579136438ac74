//! `state migrate`: the whole of a state goes to another place, or nothing does; at no moment can
//! both be used, and what a run did before the move, none does again after it.

use super::shared_state::{Office, PASSWORD, ROLE};
use crate::killed;
use crate::patience::until;
use crate::sending;
use crate::servers::proxy::Line;
use crate::standin::{SmtpAt, SmtpFault};
use crate::tokens::{self, Home, Ran};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use openssl::sha::sha256;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::Ordering::SeqCst;

const BILLING: &str = "billing@contoso.com";

/// What no run brings about in a test, but some run has: waits, incidents, odd ids, what is left of
/// messages and ways.
const MORE: &str = "
    INSERT INTO folder (id, address, name, epoch, mark, start) VALUES
        (70, 'graph@x.example', 'Postfach/Ümläute', 0, NULL, '{\"at\":1}');
    INSERT INTO message (folder, epoch, remote, state, present, attempts, reason, fingerprint,
                         size, changed_at, received) VALUES
        (70, 0, 'AAMkAGI2=', 'skipped', 1, 0, NULL, x'00010203040506070809', 10, 5, 4),
        (70, 0, '0000000001', 'delivered', 0, 0, NULL, NULL, NULL, 9223372036854775807, NULL),
        (70, 0, '=odd', 'failed', 1, 3, 'two' || char(10) || 'lines', NULL, 0, -5, NULL),
        (70, 7, 4294967295, 'dropped', 1, 0, '', x'', 1, 0, NULL);
    INSERT INTO forgotten_id VALUES (70, -9223372036854775808), (70, 12);
    INSERT INTO wait (key, until, reason, exit_code, hints, host, port) VALUES
        ('reading a@x', 9999999999999, 'busy', 75, 'one' || char(10) || 'two', 'h.example', 993);
    INSERT INTO incident VALUES
        ('mailbox', 'a@x.example', 1, NULL, NULL, 'opened', 2, 'why', '[\"a@x.example\"]');
    INSERT INTO counter VALUES ('throttled', 'sign-in', 4) ON CONFLICT DO NOTHING;
    INSERT INTO sent VALUES ('a@x', 5, 2), ('a@x', 5, 2);
    INSERT INTO way VALUES ('read b@x', 'graph', 'only this', 8, 'proven');
    INSERT INTO token_trace (id, key, place, name) VALUES (9, 'k', 'command', 'n');
    INSERT INTO token (key, obtained_at) VALUES ('k', 3);
    INSERT INTO token (key, refresh_token, obtained_at) VALUES ('r', 'refresh-me', 3);
    INSERT INTO outbox (id, file, envelope, message_id, shared_id, size, state, attempts,
                        next_attempt, reason, refused, kept_at, changed_at)
        VALUES (400, 'gone', '{}', '', 0, 0, 'waiting', 0, 0, '', '[]', 0, 0);
    DELETE FROM outbox WHERE id = 400;
";

/// An office with mail delivered, refused and kept, whose state is in the folder `state`.
fn filled() -> Home {
    let home = sending::office();
    home.standin.add_mailbox("closed@contoso.com");
    home.standin.grant(tokens::CLIENT, "closed@contoso.com");
    let refuses = "        deliver: command:sh -c 'cat >/dev/null; exit 65'";
    sending::configure(&home, "- address: billing@contoso.com", refuses);
    for n in 0..12 {
        deliver(&home, sending::SUPPORT, n);
    }
    deliver(&home, BILLING, 100);
    home.run(&["fetch"]).fails(65);
    let away = SmtpFault::Reply("421 4.3.2 Service not active".into());
    home.standin.faults().smtp_next(1, SmtpAt::Connect, away);
    let send = ["send", "-t", "--outbox"];
    let line = format!("{}\n", "x".repeat(70));
    let large = format!("{}{}", sending::MESSAGE, line.repeat(35_000));
    assert!(large.len() > 2 << 20);
    for text in [&*large, sending::MESSAGE] {
        sending::pipe(&home, &send, text.as_bytes()).succeeds();
    }
    sending::change_state(&home, MORE);
    assert_eq!(sending::outbox(&home).len(), 2);
    home
}

fn deliver(home: &Home, address: &str, n: usize) {
    let text = format!("From: a@example.com\r\nSubject: {n}\r\nMessage-ID: <{n}@x>\r\n\r\n{n}\r\n");
    home.standin.deliver(address, "INBOX", text.as_bytes());
}

/// Messages in all Maildirs of the home.
fn delivered(home: &Home) -> usize {
    let new = home.path("mail/support/new");
    fs::read_dir(new).map_or(0, Iterator::count)
}

/// A run with the state that is elsewhere.
fn run_at(home: &Home, state: &str, args: &[&str]) -> Ran {
    Ran::from(at(home, state, args).output().unwrap())
}

fn at(home: &Home, state: &str, args: &[&str]) -> Command {
    let mut command = home.command(args);
    command.env("QUEUEMAIL_STATE", state);
    command
}

fn key() -> String {
    BASE64.encode([7; 32])
}

/// `state migrate` with a key for tokens.
fn migrate(home: &Home, from: &str, to: &str, more: &[&str]) -> Command {
    let mut command = home.command(&["state", "migrate", "--from", from, "--to", to]);
    command.args(more).env("QUEUEMAIL_STATE_KEY", key());
    command
}

fn migrates(home: &Home, from: &str, to: &str, more: &[&str]) -> Ran {
    Ran::from(migrate(home, from, to, more).output().unwrap())
}

/// Tables, and of each the columns with their types in SQLite.
type Columns = BTreeMap<String, Vec<(String, String)>>;

fn columns() -> &'static Columns {
    static READ: OnceLock<Columns> = OnceLock::new();
    READ.get_or_init(read_columns)
}

fn read_columns() -> Columns {
    let folder = tempfile::tempdir().unwrap();
    let made = Command::new(env!("CARGO_BIN_EXE_queuemail"))
        .args(["state", "show", "--state-dir"])
        .arg(folder.path())
        .env("HOME", "/nonexistent")
        .output();
    assert!(made.unwrap().status.success());
    let state = rusqlite::Connection::open(folder.path().join("state.sqlite")).unwrap();
    let mut found = state
        .prepare(
            "SELECT t.name, c.name, c.type FROM sqlite_schema t, pragma_table_info(t.name) c
             WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%' ORDER BY t.name, c.name",
        )
        .unwrap();
    let rows = found.query_map([], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))));
    let mut columns = Columns::new();
    for row in rows.unwrap() {
        let (table, column): (String, _) = row.unwrap();
        columns.entry(table).or_default().push(column);
    }
    columns
}

/// All rows of a state in a folder, and the digests of its bodies.
fn dump_folder(folder: &Path) -> Vec<String> {
    let state = rusqlite::Connection::open(folder.join("state.sqlite")).unwrap();
    let mut lines = Vec::new();
    for (table, columns) in columns() {
        let text = |(name, kind): &(String, String)| match (&**name, &**kind) {
            // Sealed elsewhere; `tokens_…` looks at them.
            ("access_token" | "refresh_token", _) => format!("({name} IS NOT NULL)"),
            (_, "BLOB") => format!("lower(hex({name}))"),
            ("remote", _) => "CASE WHEN typeof(remote) = 'integer' THEN printf('%010d', remote)
                 WHEN remote LIKE '=%' OR remote GLOB replace(hex(zeroblob(5)), '0', '[0-9]')
                 THEN '=' || remote ELSE remote END"
                .to_owned(),
            (name, _) => format!("CAST(\"{name}\" AS TEXT)"),
        };
        let null = |column: &(String, String)| match column.1.as_str() {
            "BLOB" => format!(
                "CASE WHEN {} IS NULL THEN '~' ELSE {} END",
                column.0,
                text(column)
            ),
            _ => format!("coalesce({}, '~')", text(column)),
        };
        let row: Vec<String> = columns.iter().map(null).collect();
        let sql = format!(
            "SELECT replace({}, char(10), '\\n') FROM {table}",
            row.join(" || '|' || ")
        );
        let mut rows = state.prepare(&sql).unwrap();
        let rows = rows.query_map([], |row| row.get::<_, String>(0)).unwrap();
        lines.extend(rows.map(|row| format!("{table}: {}", row.unwrap())));
    }
    for kind in ["outbox", "quarantine"] {
        let files = fs::read_dir(folder.join(kind)).into_iter().flatten();
        lines.extend(files.flatten().map(|file| {
            let digest = hex(&sha256(&fs::read(file.path()).unwrap()));
            format!("{kind} {} {digest}", file.file_name().display())
        }));
    }
    lines.sort();
    lines
}

fn dump_database(office: &Office) -> Vec<String> {
    let mut lines = Vec::new();
    for (table, columns) in columns() {
        let text = |(name, kind): &(String, String)| match (&**name, &**kind) {
            ("access_token" | "refresh_token", _) => {
                format!("CASE WHEN {name} IS NULL THEN '0' ELSE '1' END")
            }
            (_, "BLOB") => format!("encode({name}, 'hex')"),
            (name, _) => format!("\"{name}\"::text"),
        };
        let row: Vec<String> = columns
            .iter()
            .map(|column| format!("coalesce({}, '~')", text(column)))
            .collect();
        let sql = format!(
            "SELECT replace({}, chr(10), '\\n') FROM {table}",
            row.join(" || '|' || ")
        );
        let rows = office.psql(&sql);
        lines.extend(
            rows.lines()
                .filter(|row| !row.is_empty())
                .map(|row| format!("{table}: {row}")),
        );
    }
    let bodies = "SELECT kind || ' ' || id || ' '
                         || encode(sha256(string_agg(octets, ''::bytea ORDER BY part)), 'hex')
                  FROM body GROUP BY kind, id";
    let bodies = office.psql(bodies);
    lines.extend(bodies.lines().map(str::to_owned));
    lines.sort();
    lines
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

#[track_caller]
fn assert_equal(expected: &[String], found: &[String]) {
    let only = |one: &[String], other: &[String]| -> Vec<String> {
        let lines = one.iter().filter(|line| !other.contains(line));
        lines.map(|line| line.chars().take(300).collect()).collect()
    };
    assert!(
        expected == found,
        "only before: {:#?}\nonly after: {:#?}",
        only(expected, found),
        only(found, expected)
    );
}

/// Copies a state folder, as `cp -a` does.
fn copy_folder(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    let copied = Command::new("cp").arg("-a").args([from, to]).status();
    assert!(copied.unwrap().success());
}

#[test]
fn a_state_goes_to_a_database_and_back_and_nothing_is_done_twice() {
    let home = filled();
    let office = Office::new();
    let (folder, database) = (home.path("state"), office.by_socket());
    let folder_text = folder.display().to_string();
    let before = dump_folder(&folder);
    assert!(before.iter().any(|line| line.starts_with("quarantine ")));
    // What would be moved is counted, and nothing is changed.
    let looked = migrates(&home, &folder_text, &database, &["--dry-run", "--json"]).succeeds();
    let looked: serde_json::Value = serde_json::from_str(&looked.stdout).unwrap();
    assert_eq!(looked["tables"]["message"], 17, "{looked}");
    assert_eq!(
        (&looked["messages"], &looked["dry_run"]),
        (&3.into(), &true.into())
    );
    assert_eq!(
        office.psql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"),
        "0"
    );
    home.run(&["state", "show"]).succeeds();
    assert_equal(&before, &dump_folder(&folder));
    // There.
    let moved = migrates(&home, &folder_text, &database, &[]).succeeds();
    assert!(
        moved.stdout.starts_with("moved the state from"),
        "{moved:?}"
    );
    assert!(
        moved.stdout.contains("state: { postgres: \"host="),
        "{moved:?}"
    );
    assert_equal(&before, &dump_database(&office));
    let again = migrates(&home, &folder_text, &database, &[]).succeeds();
    assert!(again.stdout.contains("was already moved"), "{again:?}");
    // A forgotten cron job changes nothing, and is told where the state is.
    for args in [&["fetch"][..], &["outbox", "flush"], &["status"]] {
        home.run(args)
            .fails(78)
            .mentions("was moved to `host=")
            .hides("later version");
    }
    let count = delivered(&home);
    let known = |args: &[&str]| {
        let mut command = at(&home, &database, args);
        Ran::from(command.env("QUEUEMAIL_STATE_KEY", key()).output().unwrap())
    };
    let asked = home.asked();
    known(&["fetch"]);
    assert_eq!(delivered(&home), count, "nothing comes twice");
    assert_eq!(home.asked(), asked, "the tokens are known there");
    deliver(&home, sending::SUPPORT, 20);
    // One that is named is due, though it was just fetched.
    known(&["fetch", sending::SUPPORT]);
    assert_eq!(delivered(&home), count + 1, "what is new comes");
    let listed = known(&["outbox", "list", "--json"]).succeeds();
    let listed: serde_json::Value = serde_json::from_str(&listed.stdout).unwrap();
    let id = listed["outbox"][0]["id"].to_string();
    let raw = known(&["outbox", "show", &id, "--raw"]).succeeds().stdout;
    assert!(raw.len() > 2 << 20);
    // Back to where it was; what was there is kept aside.
    let there = dump_database(&office);
    migrates(&home, &database, &folder_text, &[]).succeeds();
    assert_equal(&there, &dump_folder(&folder));
    known(&["fetch"]).fails(78).mentions(&folder_text);
    let names = fs::read_dir(&folder).unwrap().flatten();
    let aside = names.filter(|f| f.file_name().display().to_string().contains(".moved-"));
    assert_eq!(
        aside.count(),
        3,
        "the database, the outbox and the quarantine"
    );
    let state = rusqlite::Connection::open(folder.join("state.sqlite")).unwrap();
    let refresh = "SELECT refresh_token FROM token WHERE key = 'r'";
    let refresh: String = state.query_row(refresh, [], |row| row.get(0)).unwrap();
    assert_eq!(refresh, "refresh-me");
    drop(state);
    home.run(&["fetch"]);
    assert_eq!(delivered(&home), count + 1, "nothing comes twice");
    sending::later(&home);
    home.run(&["outbox", "flush"]).succeeds();
    assert_eq!(home.standin.submitted().len(), 2);
    home.run(&["outbox", "flush"]).succeeds();
    assert_eq!(home.standin.submitted().len(), 2, "each leaves once");
    sending::pipe(
        &home,
        &["send", "-t", "--outbox"],
        sending::MESSAGE.as_bytes(),
    )
    .succeeds();
    let last = "SELECT seq FROM sqlite_sequence WHERE name = 'outbox'";
    let state = rusqlite::Connection::open(folder.join("state.sqlite")).unwrap();
    let last: i64 = state.query_row(last, [], |row| row.get(0)).unwrap();
    assert_eq!(last, 401, "no number is given twice");
    drop(state);
    // And once more to the database, which contains the outdated state.
    let here = dump_folder(&folder);
    migrates(&home, &folder_text, &database, &[]).succeeds();
    assert_equal(&here, &dump_database(&office));
    known(&["fetch"]);
    assert_eq!(delivered(&home), count + 1);
    let kept = "INSERT INTO history (sent, at, week, queue, address, folder, size, place)
                VALUES (0, 0, 0, '', '', '', 0, '') RETURNING id > (SELECT max(id) FROM history)";
    assert_eq!(office.psql(kept), "t", "numbers go on behind the last");
}

#[test]
fn a_state_goes_from_folder_to_folder_and_from_database_to_database() {
    let home = filled();
    let before = dump_folder(&home.path("state"));
    let [one, other] = [Office::new(), Office::ready()];
    let second = home.path("second");
    let (first, second_text) = (
        home.path("state").display().to_string(),
        second.display().to_string(),
    );
    migrates(&home, &first, &second_text, &[]).succeeds();
    assert_equal(&before, &dump_folder(&second));
    migrates(&home, &second_text, &one.by_socket(), &[]).succeeds();
    one.psql("INSERT INTO place VALUES ('/srv/mail', 'mark', 'host-a')");
    migrates(&home, &one.by_socket(), &other.by_socket(), &[]).succeeds();
    assert_equal(&before, &dump_database(&other));
    assert_eq!(other.psql("SELECT id FROM place"), "mark");
    // Round the corner, to where it began.
    migrates(&home, &other.by_socket(), &first, &[]).succeeds();
    assert_equal(&before, &dump_folder(&home.path("state")));
    home.run(&["state", "show"]).succeeds();
    // The others are outdated, each by a move of its own.
    for place in [&second_text, &one.by_socket(), &other.by_socket()] {
        migrates(&home, place, &home.path("new").display().to_string(), &[])
            .fails(78)
            .mentions("was moved to");
    }
}

#[test]
fn what_must_not_be_moved_is_refused_and_stays_as_it_is() {
    let home = filled();
    let office = Office::ready();
    let (folder, database) = (home.path("state"), office.by_socket());
    let from = folder.display().to_string();
    let before = dump_folder(&folder);
    let refused = |from: &str, to: &str, code: i32, words: &[&str]| {
        for more in [&["--dry-run"][..], &[]] {
            let ran = migrates(&home, from, to, more).fails(code);
            words.iter().fold(ran, |ran, word| ran.mentions(word));
        }
    };
    // Another program has it open, as each run has.
    let other = rusqlite::Connection::open(folder.join("state.sqlite")).unwrap();
    other
        .query_row("SELECT count(*) FROM message", [], |_| Ok(()))
        .unwrap();
    refused(
        &from,
        &database,
        75,
        &["another process works with", "systemctl stop"],
    );
    drop(other);
    // A run that holds a lock is named.
    let silent = &home.standin.faults().silent_connections;
    silent.store(8, SeqCst);
    let mut run = home
        .command(&["fetch", sending::SUPPORT])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let pid = format!("process {}", run.id());
    let is_held = || {
        let ran = migrates(&home, &from, &database, &["--dry-run"]);
        ran.stderr.contains(&pid)
    };
    until("the run holds a lock", is_held);
    refused(&from, &database, 75, &[&pid, "works with"]);
    run.kill().unwrap();
    run.wait().unwrap();
    silent.store(0, SeqCst);
    // A host works with the database.
    office.psql(
        "INSERT INTO run (id, host, pid, version, began, seen)
         VALUES ('r', 'host-b', 4711, '1', now(), now());
         INSERT INTO lease (name, holder, fence, until)
         VALUES ('fetch a@x', 'r', 1, now() + interval '1 minute')",
    );
    refused(
        &from,
        &database,
        75,
        &["process 4711 on host-b", "fetch a@x"],
    );
    office.psql("DELETE FROM lease; DELETE FROM run");
    // What is there would be lost.
    office.psql("INSERT INTO way VALUES ('k', 'imap', 'r', 0)");
    refused(&from, &database, 73, &["is not empty (table `way`)"]);
    office.psql("DELETE FROM way");
    let full = home.path("full").display().to_string();
    copy_folder(&folder, Path::new(&full));
    refused(&from, &full, 73, &["is not empty"]);
    // Somebody else's words.
    refused(&from, &from, 64, &["the same folder"]);
    refused(
        "/nowhere",
        &database,
        78,
        &["there is no state in `/nowhere`"],
    );
    let with = office.by_tls(ROLE, PASSWORD, office.database.server.port());
    let ran = migrates(&home, &from, &with, &[]).fails(64);
    ran.mentions("PGPASSFILE").hides(PASSWORD);
    // A delivery that only this host can finish.
    sending::change_state(
        &home,
        "UPDATE message SET state = 'staged' WHERE folder = 70 AND remote = '=odd'",
    );
    refused(
        &from,
        &database,
        75,
        &["1 message of graph@x.example", "queuemail fetch"],
    );
    sending::change_state(
        &home,
        "UPDATE message SET state = 'failed' WHERE folder = 70 AND remote = '=odd'",
    );
    // A secret that only this host has.
    sending::change_state(
        &home,
        r#"INSERT INTO rotation VALUES ('a' || char(9) || '/s', '{"id":"x","client_id":"a","server":"Bob''s",
            "kind":"secret","step":"registered","begun_at":1}')"#,
    );
    refused(
        &from,
        &database,
        75,
        &[
            "server `Bob's` was interrupted",
            "queuemail server rotate 'Bob'\\''s'",
        ],
    );
    sending::change_state(&home, "DELETE FROM rotation WHERE key LIKE 'a%/s'");
    // What does not go with a database is said before.
    let config = fs::read_to_string(home.path("config.yaml")).unwrap();
    home.write("config.yaml", &config.replace("maildir:", "mbox:"));
    refused(&from, &database, 78, &["mbox"]);
    home.write("config.yaml", &config);
    // A role that does not own the tables.
    office.database.server.psql(
        "postgres",
        "DO $$ BEGIN CREATE ROLE few_rights LOGIN;
         EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$",
    );
    office.psql("GRANT ALL ON ALL TABLES IN SCHEMA public TO few_rights");
    let few = database.replace(&format!("user={ROLE}"), "user=few_rights");
    refused(&from, &few, 78, &["GRANT queue TO few_rights"]);
    assert_equal(&before, &dump_folder(&folder));
    assert_eq!(office.psql("SELECT count(*) FROM message"), "0");
    home.run(&["state", "show"]).succeeds();
    run_at(&home, &database, &["state", "show"]).succeeds();
    migrates(&home, &from, &database, &[]).succeeds();
    assert_equal(&before, &dump_database(&office));
}

#[test]
fn tokens_are_sealed_in_a_database_and_stay_behind_without_a_key() {
    let home = Home::new();
    let office = Office::new();
    let get = ["token", "get", "support@contoso.com"];
    home.person("", tokens::PASSWORD);
    let token = home.run(&get).succeeds().stdout;
    let asked = home.asked();
    let from = home.path("state").display().to_string();
    // Without a key.
    let mut without = home.command(&["state", "migrate", "--from", &from, "--to"]);
    let ran = Ran::from(without.arg(office.by_socket()).output().unwrap()).succeeds();
    assert!(ran.stdout.contains("no `state.key`: 2"), "{ran:?}");
    assert_eq!(office.psql("SELECT count(*) FROM token"), "0");
    // With one, from a copy that was made before.
    let home = Home::new();
    let office = Office::new();
    home.person("", tokens::PASSWORD);
    let token_here = home.run(&get).succeeds().stdout;
    assert_ne!(token, "");
    let from = home.path("state").display().to_string();
    migrates(&home, &from, &office.by_socket(), &[]).succeeds();
    let kept = office.psql("SELECT coalesce(access_token, refresh_token) FROM token");
    assert_eq!(
        kept.lines().filter(|line| line.starts_with("v1:")).count(),
        2,
        "{kept}"
    );
    assert!(!kept.contains(token_here.trim()));
    let mut there = at(&home, &office.by_socket(), &get);
    let there = Ran::from(there.env("QUEUEMAIL_STATE_KEY", key()).output().unwrap()).succeeds();
    assert_eq!(there.stdout, token_here);
    assert_eq!(home.asked(), asked, "nobody asks for a new one");
    // One that cannot be opened is not lost in silence.
    let mut wrong = migrate(
        &home,
        &office.by_socket(),
        &home.path("b").display().to_string(),
        &[],
    );
    wrong.env("QUEUEMAIL_STATE_KEY", BASE64.encode([8; 32]));
    Ran::from(wrong.output().unwrap())
        .fails(78)
        .mentions("which `state.key` does not contain");
    run_at(&home, &office.by_socket(), &["state", "show"]).succeeds();
}

/// Whatever becomes of a move that is killed: no place, or one, can be used; the same command goes
/// on, or gives the move up.
fn killed_anywhere(to_database: bool) {
    let home = filled();
    let original = home.path("original");
    copy_folder(&home.path("state"), &original);
    let before = dump_folder(&original);
    let source = Office::new();
    if !to_database {
        migrates(
            &home,
            &home.path("state").display().to_string(),
            &source.by_socket(),
            &[],
        )
        .succeeds();
    }
    // A new source and destination for each kill.
    let ready = || {
        let office = Office::new();
        let server = &office.database.server;
        let folder = home.path("state");
        let _ = fs::remove_dir_all(&folder);
        let text = folder.display().to_string();
        match to_database {
            true => {
                copy_folder(&original, &folder);
                (text, office.by_socket(), office)
            }
            false => {
                server.psql("postgres", &format!("DROP DATABASE {}", office.name));
                let copy = format!(
                    "CREATE DATABASE {} TEMPLATE {} OWNER {ROLE}",
                    office.name, source.name
                );
                server.psql("postgres", &copy);
                (office.by_socket(), text, office)
            }
        }
    };
    let (from, to, _) = ready();
    let log = home.path("trace");
    let under = |words: Vec<String>, from: &str, to: &str| {
        let plain = migrate(&home, from, to, &[]);
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).arg(plain.get_program());
        command.args(plain.get_args()).env_clear();
        command.envs(plain.get_envs().filter_map(|(k, v)| Some((k, v?))));
        command.stdin(Stdio::null());
        command.output().unwrap()
    };
    let traced = under(killed::tracing(&log), &from, &to);
    assert!(
        traced.status.success(),
        "{}",
        String::from_utf8_lossy(&traced.stderr)
    );
    let calls = killed::calls(&log, |line| {
        !line.contains("/proc/") && !line.contains("/etc/")
    });
    assert!(calls.len() > 100, "{}", calls.len());
    let usable = |place: &str| match place.starts_with('/') {
        true => {
            let there = Path::new(place).join("state.sqlite").exists();
            there && home.run(&["state", "show"]).code == 0
        }
        false => run_at(&home, place, &["state", "show"]).code == 0,
    };
    let mut ends = BTreeMap::new();
    // A sample, and the last calls of each name: one of them is the commit, after others the source
    // is marked.
    let step = match killed::stride() {
        1 => 1,
        _ => calls.len() / 8,
    };
    let is_last = |(index, (call, _)): (usize, &killed::Call)| {
        let after = calls.iter().skip(index + 1);
        after.take_while(|(name, _)| name == call).count() < 2
    };
    let chosen = calls.iter().enumerate();
    let chosen = chosen.filter(|(index, call)| index % step == 0 || is_last((*index, call)));
    for (round, (_, (call, n))) in chosen.enumerate() {
        let story = format!("killed at {call} {n}");
        let (from, to, office) = ready();
        let ended = under(killed::killing(call, *n), &from, &to);
        let both = [usable(&from), usable(&to)];
        assert_ne!(both, [true, true], "{story}");
        let dump = |at_to: bool| match at_to == to_database {
            true => dump_database(&office),
            false => dump_folder(&home.path("state")),
        };
        *ends.entry((ended.status.success(), both)).or_insert(0) += 1;
        let gives_up = round % 2 == 0 && !both[0];
        if gives_up {
            let ran = migrates(&home, &from, &to, &["--cancel"]);
            println!("{story}: {ran:?}");
            match ran.code {
                0 => {
                    assert!(usable(&from), "{story}");
                    assert_equal(&before, &dump(false));
                }
                _ => {
                    ran.fails(78).mentions("is complete");
                    assert!(both[1], "{story}");
                }
            }
        }
        let ran = migrates(&home, &from, &to, &[]);
        assert_eq!(ran.code, 0, "{story}: {ran:?}");
        assert_eq!([usable(&from), usable(&to)], [false, true], "{story}");
        assert_equal(&before, &dump(true));
        // It can be moved on from there.
        let next = home.path("next").display().to_string();
        migrates(&home, &to, &next, &["--dry-run"]).succeeds();
        drop_database(&office);
    }
    println!("{} calls, {ends:?}", calls.len());
    assert!(
        [[false, false], [true, false], [false, true]]
            .iter()
            .all(|wanted| ends.keys().any(|(_, both)| both == wanted)),
        "{ends:?}"
    );
}

fn drop_database(office: &Office) {
    let server = &office.database.server;
    server.psql(
        "postgres",
        &format!("DROP DATABASE {} WITH (FORCE)", office.name),
    );
}

#[test]
fn a_move_to_a_database_may_be_killed_anywhere() {
    killed_anywhere(true);
}

#[test]
fn a_move_to_a_folder_may_be_killed_anywhere() {
    killed_anywhere(false);
}

#[test]
fn a_line_that_breaks_in_the_middle_costs_nothing() {
    let home = filled();
    let folder = home.path("state");
    let original = home.path("original");
    copy_folder(&folder, &original);
    let before = dump_folder(&original);
    let from = folder.display().to_string();
    let file = home.write("passwords", &format!("*:*:*:{ROLE}:{PASSWORD}\n"));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let mut codes = Vec::new();
    for pieces in [20, 60, 90, 110, 130, 160] {
        let office = Office::new();
        copy_folder(&original, &folder);
        let line = Line::to(office.database.server.port());
        let to = office
            .by_tls(ROLE, PASSWORD, line.port)
            .replace(&format!(":{PASSWORD}@"), "@");
        let run = |timeout: &str| {
            let mut command = migrate(&home, &from, &to, &["--timeout", timeout]);
            Ran::from(command.env("PGPASSFILE", &file).output().unwrap())
        };
        line.freeze_at(pieces);
        let ran = run("2");
        assert!(
            [0, 75].contains(&ran.code),
            "after {pieces} pieces: {ran:?}"
        );
        codes.push(ran.code);
        let usable = home.run(&["state", "show"]).code == 0;
        let is_there = office.psql("SELECT to_regclass('message') IS NOT NULL") == "t";
        assert!(!(usable && is_there), "after {pieces} pieces");
        line.thaw();
        run("100").succeeds();
        assert_equal(&before, &dump_database(&office));
        home.run(&["fetch"]).fails(78);
        drop_database(&office);
    }
    assert!(codes.contains(&75), "{codes:?}");
}

#[test]
fn a_program_that_had_the_state_open_can_claim_nothing_after_the_move() {
    let home = filled();
    let [one, other] = [Office::new(), Office::new()];
    migrates(
        &home,
        &home.path("state").display().to_string(),
        &one.by_socket(),
        &[],
    )
    .succeeds();
    migrates(&home, &one.by_socket(), &other.by_socket(), &[]).succeeds();
    let claim = "INSERT INTO lease (name, fence) VALUES ('fetch a@x', 1)";
    let said = one
        .database
        .server
        .psql_as(ROLE, &one.name, claim)
        .unwrap_err();
    assert!(said.contains("the state was moved"), "{said}");
    other.psql(claim);
}

//! The state in PostgreSQL: what is promised of a state in a folder holds there as well, and what
//! may befall a server, or the way to it, costs no message and brings none twice.

use super::fetch::{Desk, SUPPORT, Via, assert_same};
use crate::killed;
use crate::sending;
use crate::servers::pgbouncer::PgBouncer;
use crate::servers::{Database, closed_port, database, postgres, proxy};
use crate::standin::{SmtpAt, SmtpFault, TokenFault};
use crate::tokens::{self, Home};
use crate::world::{Ran, Run};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::{Duration, Instant};

const MAILDIR: &str = "deliver: maildir:mail";
const MAIL: &str = ".config/queuemail/mail";
pub const ROLE: &str = "queue";
pub const PASSWORD: &str = "hunter2-of-the-queue";

/// What the configuration says of the state, where the environment says where it is: each run
/// fetches, however soon it comes after the last one.
const STATE: &str = "state:\n  postgres: host=/nowhere\n  every: 0s";

fn desk() -> Desk {
    let desk = Desk::new(Via::Imap, MAILDIR);
    let world = &desk.world;
    let key = format!("version: 1\n{STATE}");
    world.write_config(world.config().replacen("version: 1", &key, 1));
    desk
}

/// A new database of `ROLE`, and a desk whose state is to be there.
pub struct Office {
    pub desk: Desk,
    pub database: &'static Database,
    pub name: String,
}

fn with_a_short_lease() -> String {
    format!("{STATE}\n  lease: 3s")
}

impl Office {
    pub fn new() -> Office {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let database = database();
        let name = format!("office{}", COUNT.fetch_add(1, SeqCst));
        let server = &database.server;
        let role = format!(
            "DO $$ BEGIN CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}';
             EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
        );
        server.psql("postgres", &role);
        server.psql("postgres", &format!("CREATE DATABASE {name} OWNER {ROLE}"));
        Office {
            desk: desk(),
            database,
            name,
        }
    }

    /// The same, with the tables there.
    pub fn ready() -> Office {
        let office = Office::new();
        office.run(&["state", "init"]).succeeds();
        office
    }

    /// By the server's socket, as its administrator.
    pub fn by_socket(&self) -> String {
        format!(
            "host={} port={} dbname={} user={ROLE}",
            self.database.server.socket().display(),
            self.database.server.port(),
            self.name
        )
    }

    /// By TCP to this port of this machine, in TLS, with this role and password.
    pub fn by_tls(&self, role: &str, password: &str, port: u16) -> String {
        format!(
            "postgres://{role}:{password}@localhost:{port}/{}?sslmode=verify-full&sslrootcert={}",
            self.name,
            self.database.ca_file.display()
        )
    }

    fn run(&self, args: &[&str]) -> Run {
        self.run_at(&self.by_socket(), args)
    }

    fn run_at(&self, url: &str, args: &[&str]) -> Run {
        self.desk.world.run(args).env("QUEUEMAIL_STATE", url)
    }

    /// What could not be put on record is tried again for half a minute, and not for ten.
    fn with_short_leases(self) -> Office {
        self.replaces(STATE, &with_a_short_lease());
        self
    }

    /// They hold as long as usual again, so that no slow machine loses them.
    fn with_usual_leases(&self) {
        self.replaces(&with_a_short_lease(), STATE);
    }

    fn replaces(&self, from: &str, to: &str) {
        let world = &self.desk.world;
        world.write_config(world.config().replacen(from, to, 1));
    }

    /// As much time passes as a lease holds that nobody renews: who could not say that it is done
    /// is not waited for any longer.
    fn leases_end(&self) {
        self.psql("UPDATE lease SET until = clock_timestamp() - interval '1 s'");
    }

    pub fn psql(&self, sql: &str) -> String {
        self.database.server.psql(&self.name, sql)
    }

    /// Fetches what came in, and once more, in which nothing comes again.
    fn fetches_once(&self, url: &str, mail: std::ops::Range<usize>) {
        let sent = self.desk.deliver(mail);
        for _ in 0..2 {
            self.run_at(url, &["fetch"]).succeeds().says_nothing();
            assert_same(&sent, &self.desk.maildir(MAIL), "all of it, once");
        }
    }
}

/// The words of an error tell what, where, and what to do, and not the password.
#[track_caller]
fn tells(ran: Ran, words: &[&str]) {
    let ran = words.iter().fold(ran, |ran, word| ran.mentions(word));
    ran.hides(PASSWORD);
}

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

/// All of it is on record in one transaction, and another host knows it.
#[test]
fn what_another_program_has_fetched_is_known_to_every_host() {
    let office = Office::ready();
    office.desk.deliver(0..5);
    let valid = office.desk.m365.uidvalidity(SUPPORT, "INBOX");
    let line = |uid| format!("{valid}/{uid}\0{}\n", 1_790_000_000);
    let text: String = (1..=5).map(line).collect();
    let file = office.desk.world.write("oldmail", text);
    let import = || {
        let words = ["state", "import", "getmail", "--address", SUPPORT];
        office.run(&words).arg(&file)
    };
    import().succeeds().shows("5 messages skipped");
    import()
        .succeeds()
        .shows("0 messages skipped, 0 messages for the next fetch; 5 on record before");
    office.desk.deliver(5..8);
    let other_host = office.desk.path("other-host");
    office
        .run(&["fetch"])
        .env("QUEUEMAIL_STATE_DIR", other_host)
        .succeeds();
    assert_eq!(office.desk.maildir(MAIL).len(), 3);
}

#[test]
fn mail_comes_once_by_the_socket() {
    let office = Office::ready();
    office.fetches_once(&office.by_socket(), 0..30);
    let status = office.run(&["--json", "status"]).succeeds().json();
    assert_eq!(status["mailboxes"][0]["delivered"], 30, "{status}");
}

#[test]
fn mail_comes_once_by_tls_with_a_password_in_the_file() {
    let office = Office::ready();
    let world = &office.desk.world;
    let url = office.by_tls(ROLE, PASSWORD, office.database.server.port());
    let key = format!("state:\n  postgres: '{url}'\n  connections: 2\n  every: 0s");
    world.write_config(world.config().replacen(STATE, &key, 1));
    let sent = office.desk.deliver(0..5);
    for _ in 0..2 {
        let ran = world.run(["-vv", "fetch"]).succeeds();
        ran.hides(PASSWORD);
        assert_same(&sent, &office.desk.maildir(MAIL), "all of it, once");
    }
    assert_eq!(office.psql("SELECT count(*) FROM message"), "5");
    let shown = world.run(["config", "show"]).succeeds();
    shown.shows("(set)").hides(PASSWORD);
    // The file holds a secret now.
    world.chmod(&world.config_path(), 0o644);
    tells(
        world.run(["fetch"]).fails(78),
        &["contains a secret", "chmod"],
    );
    let mistake = world
        .config()
        .replacen("sslmode=verify-full", "sslmode=prefer", 1);
    world.write_config(mistake);
    tells(
        world.run(["fetch"]).fails(78),
        &["`sslmode` can be `verify-full`"],
    );
}

#[test]
fn mail_comes_once_through_a_pooler_that_gives_each_transaction_another_connection() {
    let office = Office::ready();
    let pooler = PgBouncer::start(&office.database.server, ROLE, PASSWORD);
    let url = format!(
        "postgres://{ROLE}:{PASSWORD}@127.0.0.1:{}/{}",
        pooler.port, office.name
    );
    office.fetches_once(&url, 0..40);
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                for _ in 0..5 {
                    office.run_at(&url, &["status"]).succeeds();
                }
            });
        }
    });
    office
        .run_at(&url, &["state", "init"])
        .succeeds()
        .shows("already exist");
}

#[test]
fn a_certificate_signs_in() {
    let office = Office::ready();
    let world = &office.desk.world;
    office.database.server.psql(
        "postgres",
        "DO $$ BEGIN CREATE ROLE of_certificate LOGIN;
         EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$",
    );
    office.psql("GRANT queue TO of_certificate");
    let (certificate, key) = &office.database.client;
    world.write("client.pem", certificate);
    let path = world.write("client.key", key);
    let url = format!(
        "postgres://of_certificate@localhost:{}/{}",
        office.database.server.port(),
        office.name
    );
    let key = format!(
        "state:\n  postgres: {url}\n  ca_file: {}\n  certificate: {}\n  private_key: {}",
        office.database.ca_file.display(),
        world.path("client.pem").display(),
        path.display()
    );
    world.write_config(world.config().replacen(STATE, &key, 1));
    world.chmod(&path, 0o600);
    world.run(["fetch"]).succeeds().says_nothing();
    world.chmod(&path, 0o644);
    tells(world.run(["fetch"]).fails(78), &["client.key", "chmod"]);
}

#[test]
fn who_does_not_get_in_is_told_why() {
    let office = Office::ready();
    let server = &office.database.server;
    let port = server.port();
    for (role, method) in [("weak_md5", "md5"), ("weak_clear", "scram-sha-256")] {
        let sql = format!(
            "SET password_encryption = '{method}';
             DO $$ BEGIN CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}';
             EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
        );
        server.psql("postgres", &sql);
    }
    server.psql(
        "postgres",
        "DO $$ BEGIN CREATE ROLE nobody_much LOGIN;
         EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$",
    );
    let socket = office.by_socket();
    let tls = |role: &str, password: &str| office.by_tls(role, password, port);
    let closed = closed_port();
    for (url, code, words) in [
        (
            tls(ROLE, "wrong"),
            77,
            &["SQLSTATE 28P01", "PGPASSFILE"][..],
        ),
        (tls("weak_md5", PASSWORD), 77, &["`md5`", "scram-sha-256"]),
        (
            tls("weak_clear", PASSWORD),
            77,
            &["`password`", "scram-sha-256"],
        ),
        (
            format!("postgres://{ROLE}@127.0.0.1:{port}/{}", office.name),
            77,
            &["asks for a password", "PGPASSFILE"],
        ),
        (
            tls(ROLE, PASSWORD)
                .replace("@localhost", "@127.0.0.1")
                .replace(
                    &*office.database.ca_file.to_string_lossy(),
                    &office.desk.m365.ca_file().to_string_lossy(),
                ),
            69,
            &["the certificate of `127.0.0.1` is not trusted"],
        ),
        (
            tls(ROLE, PASSWORD).replace(&office.name, "no_such"),
            78,
            &["3D000", "createdb"],
        ),
        (
            socket.replace("user=queue", "user=nobody_much"),
            78,
            &["42501", "granted SELECT"],
        ),
        (
            format!("postgres://{ROLE}@127.0.0.1:{closed}/x"),
            75,
            &["cannot connect"],
        ),
        (
            "host=/nowhere dbname=x".to_owned(),
            75,
            &["/nowhere/.s.PGSQL.5432"],
        ),
        (
            "mysql://localhost/x".to_owned(),
            78,
            &["QUEUEMAIL_STATE", "postgres://"],
        ),
    ] {
        let ran = office.run_at(&url, &["fetch"]).fails(code);
        println!("{url}");
        tells(ran, words);
    }
}

#[test]
fn what_does_not_go_with_a_state_in_a_database_is_refused() {
    let office = Office::ready();
    let world = &office.desk.world;
    let whole = world.config().replacen(&format!("{STATE}\n"), "", 1);
    let key = format!(
        "version: 1\nstate: {{ postgres: '{}' }}",
        office.by_socket()
    );
    for (from, to, words) in [
        (
            "maildir:mail",
            "mbox:mail",
            "an mbox together with a state in a database",
        ),
        (
            "version: 1",
            "version: 1\ntoken_store: keyring",
            "a keyring together with a state in a database",
        ),
    ] {
        let config = whole.replacen(from, to, 1);
        world.write_config(&config);
        tells(office.run(&["fetch"]).fails(78), &[words]);
        world.write_config(config.replacen("version: 1", &key, 1));
        tells(
            world.run(["config", "validate"]).fails(78),
            &[words, "config.yaml"],
        );
    }
}

#[test]
fn a_server_that_does_not_answer_is_not_waited_for_long() {
    let office = Office::ready();
    let (port, frozen) = proxy::freezing(office.database.server.port());
    let url = office.by_tls(ROLE, PASSWORD, port);
    office.fetches_once(&url, 0..3);
    frozen.store(true, SeqCst);
    let begin = Instant::now();
    let ran = office.run_at(&url, &["--timeout", "2", "fetch"]).fails(75);
    tells(ran, &["no answer within 2 seconds"]);
    // By itself it would wait for two minutes.
    assert!(
        begin.elapsed() < Duration::from_secs(60),
        "{:?}",
        begin.elapsed()
    );
    frozen.store(false, SeqCst);
    office.run_at(&url, &["fetch"]).succeeds().says_nothing();
}

#[test]
fn a_line_that_breaks_anywhere_costs_nothing() {
    let office = Office::ready().with_short_leases();
    let sent = office.desk.deliver(0..20);
    let port = office.database.server.port();
    // From the first octet of TLS to the last answer of a run.
    for cut in [
        1, 100, 800, 1_500, 2_500, 3_000, 3_500, 4_000, 5_000, 6_000, 9_000,
    ] {
        let proxy = proxy::start(port, Duration::ZERO, proxy::Cut::All(cut));
        let url = office.by_tls(ROLE, PASSWORD, proxy);
        let ran = office.run_at(&url, &["--timeout", "3", "fetch"]).ends();
        assert!([0, 75].contains(&ran.code), "cut at {cut}\n{ran}");
        office.leases_end();
    }
    office.with_usual_leases();
    office.run(&["fetch"]).succeeds();
    assert_same(&sent, &office.desk.maildir(MAIL), "all of it, once");
}

#[test]
fn a_line_that_breaks_each_time_but_holds_long_enough_is_taken_up_again() {
    let office = Office::ready();
    let sent = office.desk.deliver(0..20);
    // A whole connection takes some 3,000 octets of TLS and signing in.
    let port = office.database.server.port();
    let proxy = proxy::start(port, Duration::ZERO, proxy::Cut::Each(5_000));
    let url = office.by_tls(ROLE, PASSWORD, proxy);
    for _ in 0..2 {
        office.run_at(&url, &["fetch"]).succeeds();
        assert_same(&sent, &office.desk.maildir(MAIL), "all of it, once");
    }
}

#[test]
fn a_server_that_goes_down_in_the_middle_brings_nothing_twice() {
    let office = Office::ready_alone().with_short_leases();
    let server = &office.database.server;
    let faults = office.desk.m365.faults();
    let mut sent = Vec::new();
    let mut codes = Vec::new();
    for (round, folder) in ["tmp", "new", "new"].into_iter().enumerate() {
        sent.extend(office.desk.deliver(1000 * round..1000 * round + 300));
        let folder = office.desk.path(MAIL).join(folder);
        let count = || fs::read_dir(&folder).map_or(0, Iterator::count);
        let before = count();
        // So slowly that the end of the server is in the middle, on any machine.
        let slowly = Some((200, Duration::from_millis(20)));
        *faults.imap_drip.lock().unwrap() = slowly;
        let ran = std::thread::scope(|scope| {
            let run = scope.spawn(|| office.run(&["--timeout", "3", "fetch"]).ends());
            while count() <= before && !run.is_finished() {
                std::thread::sleep(Duration::from_millis(1));
            }
            server.stop();
            *faults.imap_drip.lock().unwrap() = None;
            run.join().unwrap()
        });
        assert!([0, 75].contains(&ran.code), "{ran}");
        codes.push(ran.code);
        server.launch();
        office.leases_end();
    }
    assert!(codes.contains(&75), "no run was met: {codes:?}");
    office.with_usual_leases();
    office.run(&["fetch"]).succeeds().says_nothing();
    assert_same(&sent, &office.desk.maildir(MAIL), "all of it, once");
}

#[test]
fn a_standby_is_passed_over_and_taken_once_it_leads() {
    let office = Office::ready_alone();
    let server = &office.database.server;
    let standby = server.standby();
    let sockets = |hosts: [&postgres::Postgres; 2]| {
        let [one, other] = hosts.map(|host| host.socket().display().to_string());
        format!("host={one},{other} port=5432 dbname=alone user={ROLE}")
    };
    office.fetches_once(&sockets([&standby, server]), 0..10);
    let alone = format!(
        "host={} dbname=alone user={ROLE}",
        standby.socket().display()
    );
    office.desk.deliver(10..11);
    let ran = office
        .run_at(&alone, &["--timeout", "5", "fetch"])
        .fails(75);
    tells(ran, &["25006", "standby"]);
    office.run(&["fetch"]).succeeds();
    // The one that leads goes, when the other has all that it had.
    // Also what was released without waiting for the disk.
    let position = server.psql("alone", "SELECT pg_current_wal_insert_lsn()");
    let has_all = format!("SELECT pg_last_wal_replay_lsn() >= '{position}'");
    while standby.psql("alone", &has_all) != "t" {
        std::thread::sleep(Duration::from_millis(20));
    }
    server.stop();
    let hosts = sockets([server, &standby]);
    let ran = office
        .run_at(&hosts, &["--timeout", "5", "fetch"])
        .fails(75);
    tells(ran, &["standby"]);
    standby.psql("alone", "SELECT pg_promote()");
    let before = office.desk.maildir(MAIL);
    office.run_at(&hosts, &["fetch"]).succeeds().says_nothing();
    assert_same(&before, &office.desk.maildir(MAIL), "nothing twice");
    office.desk.deliver(20..25);
    office.run_at(&hosts, &["fetch"]).succeeds().says_nothing();
    assert_eq!(office.desk.maildir(MAIL).len(), 16);
}

#[test]
fn of_several_hosts_the_first_that_answers_is_taken() {
    let office = Office::ready();
    let closed = closed_port();
    let port = office.database.server.port();
    let url = office.by_tls(ROLE, PASSWORD, port).replace(
        &format!("localhost:{port}"),
        &format!("localhost:{closed},localhost:{port}"),
    );
    office.fetches_once(&url, 0..3);
}

#[test]
fn what_is_kept_to_be_sent_leaves_once() {
    let office = Office::ready();
    let home = sending::office();
    let config = fs::read_to_string(home.path("config.yaml")).unwrap();
    let key = format!(
        "version: 1\nstate: {{ postgres: '{}' }}",
        office.by_socket()
    );
    home.write("config.yaml", &config.replacen("version: 1", &key, 1));
    let away = SmtpFault::Reply("421 4.3.2 Service not active".into());
    home.standin.faults().smtp_next(1, SmtpAt::Connect, away);
    let send = || {
        sending::pipe(
            &home,
            &["send", "-t", "--outbox"],
            sending::MESSAGE.as_bytes(),
        )
    };
    send().succeeds();
    assert_eq!(
        office.psql("SELECT state, attempts FROM outbox"),
        "waiting|1"
    );
    home.run(&["outbox", "flush"]).succeeds();
    assert_eq!(home.standin.submitted().len(), 0, "its time has not come");
    office.psql("UPDATE outbox SET next_attempt = 0; DELETE FROM wait");
    home.run(&["outbox", "flush"]).succeeds();
    home.run(&["outbox", "flush"]).succeeds();
    assert_eq!(home.standin.submitted().len(), 1);
    assert_eq!(office.psql("SELECT count(*) FROM outbox"), "0");
    send().succeeds();
    assert_eq!(home.standin.submitted().len(), 2);
}

#[test]
fn what_a_host_that_is_gone_has_kept_leaves_from_another() {
    let office = Office::ready();
    let home = sending::office();
    let state = format!("state: {{ postgres: '{}' }}", office.by_socket());
    sending::configure(&home, "version: 1", &state);
    let on_host = |host: &str, args: &[&str]| {
        let mut command = home.command(args);
        command.env("QUEUEMAIL_STATE_DIR", home.path(host));
        tokens::Ran::from(command.output().unwrap())
    };
    // More than one part.
    let line = format!("{}\n", "x".repeat(70));
    let message = format!("{}{}", sending::MESSAGE, line.repeat(20_000));
    let file = home.write("large.eml", &message).display().to_string();
    let send = ["send", "-t", "--outbox", "--file", &file];
    let away = SmtpFault::Reply("421 4.3.2 Service not active".into());
    home.standin.faults().smtp_next(1, SmtpAt::Connect, away);
    on_host("a", &send).succeeds();
    assert_eq!(office.psql("SELECT count(*), min(part) FROM body"), "2|0");
    fs::remove_dir_all(home.path("a")).unwrap();
    let raw = on_host("b", &["outbox", "show", "1", "--raw"])
        .succeeds()
        .out;
    assert!(raw.len() > 1 << 20 && raw.contains(line.trim_end()));
    office.psql("UPDATE outbox SET next_attempt = 0; DELETE FROM wait");
    let flushes = ["b", "c"].map(|host| {
        let mut command = home.command(&["outbox", "flush"]);
        command.env("QUEUEMAIL_STATE_DIR", home.path(host));
        command.stderr(std::process::Stdio::piped());
        command.stdout(std::process::Stdio::piped());
        command.spawn().unwrap()
    });
    for host in flushes {
        tokens::Ran::from(host.wait_with_output().unwrap()).succeeds();
    }
    let sent = home.standin.submitted();
    assert_eq!(sent.len(), 1);
    let plain = |text: &str| text.replace("\r\n", "\n").trim_end().to_owned();
    assert!(plain(&String::from_utf8_lossy(&sent[0].bytes)) == plain(&raw));
    assert_eq!(office.psql("SELECT count(*) FROM body"), "0");
    // Where there is no room left, nothing is promised.
    office.psql(
        "INSERT INTO outbox (file, envelope, message_id, shared_id, size, state, attempts,
             next_attempt, reason, refused, kept_at, changed_at)
         VALUES ('x', '{}', '<x@x>', 0, 2147483647, 'unknown', 0, 0, '', '[]', 0, 0)",
    );
    on_host("b", &send)
        .fails(75)
        .says("the outbox in the database is full");
    assert_eq!(office.psql("SELECT count(*) FROM body"), "0");
    assert_eq!(home.standin.submitted().len(), 1);
}

#[test]
fn what_a_delivery_refused_is_seen_on_every_host() {
    let office = Office::ready();
    let world = &office.desk.world;
    world.write_config(
        world
            .config()
            .replace(MAILDIR, "deliver: command:sh -c 'exit 65'"),
    );
    let sent = office.desk.deliver(0..1);
    office.run(&["fetch"]).fails(65);
    let listed = office
        .run(&["--json", "quarantine", "list"])
        .succeeds()
        .json();
    let id = listed["quarantine"][0]["id"].to_string();
    assert_eq!(
        office.psql("SELECT kind, part FROM body"),
        "quarantine|0",
        "{listed}"
    );
    fs::remove_dir_all(world.state_dir()).unwrap();
    let shown = office.run(&["quarantine", "show", &id, "--raw"]).succeeds();
    assert_eq!(shown.raw_stdout, sent[0]);
    office.run(&["quarantine", "drop", &id]).succeeds();
    assert_eq!(office.psql("SELECT count(*) FROM body"), "0");
}

#[test]
fn a_program_that_mail_goes_to_does_not_get_the_password() {
    let office = Office::ready();
    let world = &office.desk.world;
    let seen = world.path("seen");
    let to = format!("command: sh -c 'env >{}; cat >/dev/null'", seen.display());
    let config = world.config();
    world.write_config(config.replace("maildir:mail", &format!("\"{to}\"")));
    let port = office.database.server.port();
    let with = office.by_tls(ROLE, PASSWORD, port);
    let without = with.replace(&format!(":{PASSWORD}@"), "@");
    for (number, url) in [with, without].iter().enumerate() {
        office.desk.deliver(number..number + 1);
        let run = office.run_at(url, &["fetch"]).env("PGPASSWORD", PASSWORD);
        run.succeeds().says_nothing();
        let seen = fs::read_to_string(&seen).unwrap();
        assert!(seen.contains("PATH=") && !seen.contains(PASSWORD), "{seen}");
    }
}

#[test]
fn tokens_in_the_database_are_sealed_and_serve_every_host() {
    let office = Office::ready();
    let home = Home::new();
    let key = |octet: u8| BASE64.encode([octet; 32]);
    let (old, new) = (key(1), key(2));
    home.write("old", &old);
    home.write("new", &new);
    let state = |keys: &str| format!("state: {{ postgres: '{}', {keys} }}", office.by_socket());
    let get = ["token", "get", "support@contoso.com"];
    let on_host = |name: &str, args: &[&str]| {
        let mut command = home.command(args);
        command.env("HOME", home.path(name));
        command.env("QUEUEMAIL_STATE_DIR", home.path(name).join("state"));
        tokens::Ran::from(command.output().unwrap())
    };
    // Another host takes what the first one got, and what the database has is no token.
    home.person(&state("key: { file: old }"), tokens::PASSWORD);
    let token = on_host("a", &get).succeeds().out;
    assert_eq!(on_host("b", &get).succeeds().out, token);
    assert_eq!(home.asked(), 1, "one request for the fleet");
    let columns = "SELECT count(*), count(access_token), count(refresh_token) FROM token
                   WHERE coalesce(access_token, refresh_token) LIKE 'v1:%'";
    assert_eq!(office.psql(columns), "2|1|1");
    let all = office.psql("SELECT coalesce(access_token, refresh_token) FROM token");
    assert!(!all.contains(token.trim()), "{all}");
    // A refresh token that one host got serves another.
    home.person(&state("key: { file: old }"), "");
    office.psql("UPDATE token SET expires_at = 0 WHERE access_token IS NOT NULL");
    on_host("b", &get).succeeds();
    assert_eq!(home.asked(), 2);
    // The wrong key, no key, and what is no key.
    home.write("none", "hunter2");
    for (keys, why) in [
        ("key: { file: new }", "which `state.key` does not contain"),
        ("connections: 2", "the configuration has no `state.key`"),
        (
            "key: { file: none }",
            "`state.key` is not 32 bytes in base64",
        ),
    ] {
        home.person(&state(keys), tokens::PASSWORD);
        let ran = on_host("a", &get).fails(78).says(why);
        ran.never_says(&old).never_says(&new).never_says("hunter2");
    }
    assert_eq!(home.asked(), 2);
    // The key changes, and nobody notices.
    home.person(&state("key: [{ file: new }, { file: old }]"), "");
    on_host("a", &get).succeeds();
    for tokens in ["2", "0"] {
        let said = on_host("a", &["state", "rekey"]).succeeds().out;
        assert_eq!(
            said,
            format!("tokens encrypted with the first key: {tokens}\n")
        );
    }
    home.person(&state("key: { file: new }"), "");
    on_host("b", &get).succeeds();
    let mut by_variable = home.command(&get);
    by_variable.env("QUEUEMAIL_STATE_KEY", &old);
    let ran = tokens::Ran::from(by_variable.output().unwrap());
    ran.fails(78).says("which `state.key` does not contain");
    assert_eq!(home.asked(), 2);
    // One that stands in the place of another is found.
    office.psql(
        "UPDATE token SET access_token = (SELECT refresh_token FROM token
             WHERE refresh_token IS NOT NULL) WHERE access_token IS NOT NULL",
    );
    on_host("b", &get).fails(78).says("cannot be decrypted");
    // Who has lost the key starts again.
    home.person(&state("connections: 2"), tokens::PASSWORD);
    on_host("b", &["state", "rekey"])
        .fails(78)
        .says("no `state.key`");
    on_host("b", &["token", "forget", "--all"]).succeeds();
    on_host("b", &get).succeeds();
    assert_eq!(office.psql("SELECT count(*) FROM token"), "0");
}

#[test]
fn a_token_endpoint_that_asks_one_host_to_wait_is_left_alone_by_all() {
    let office = Office::ready();
    let home = Home::new();
    let state = format!("state: {{ postgres: '{}' }}", office.by_socket());
    home.person(&state, tokens::PASSWORD);
    home.standin
        .faults()
        .token_next(1, TokenFault::Status(429, Some(30)));
    let get = |host: &str| {
        let mut command = home.command(&["token", "get", "support@contoso.com"]);
        command.env("QUEUEMAIL_STATE_DIR", home.path(host));
        tokens::Ran::from(command.output().unwrap())
    };
    get("a").fails(75);
    let asked = home.asked();
    get("b").fails(75).says("requested a wait");
    assert_eq!(home.asked(), asked, "the other host does not ask");
}

#[test]
fn all_hosts_together_send_as_many_as_may_leave_in_a_minute() {
    let office = Office::ready();
    let home = sending::office();
    let limits = "    limits: { messages_per_minute: 3 }";
    sending::configure(&home, "user: 1b7e", limits);
    let state = format!("state: {{ postgres: '{}' }}", office.by_socket());
    sending::configure(&home, "version: 1", &state);
    let hosts = ["a", "b"].map(|host| {
        let files = (0..4).flat_map(|n| {
            let text = sending::MESSAGE.replace("<1@", &format!("<{host}{n}@"));
            let path = home.write(&format!("{host}{n}.eml"), &text);
            ["--file".to_owned(), path.display().to_string()]
        });
        let mut command = home.command(&["send", "-t", "--outbox"]);
        command.env("QUEUEMAIL_STATE_DIR", home.path(host));
        command.args(files).stderr(std::process::Stdio::piped());
        command.stdout(std::process::Stdio::piped());
        command.spawn().unwrap()
    });
    for host in hosts {
        tokens::Ran::from(host.wait_with_output().unwrap()).succeeds();
    }
    assert_eq!(home.standin.submitted().len(), 3);
    assert_eq!(office.psql("SELECT count(*) FROM outbox"), "5");
}

#[test]
fn no_token_is_kept_in_the_database_without_a_key() {
    let office = Office::ready();
    let home = Home::new();
    let state = format!("state: {{ postgres: '{}' }}", office.by_socket());
    home.person(&state, "");
    for args in [
        &["token", "login", "support@contoso.com", "--device"][..],
        &["token", "get", "support@contoso.com"],
    ] {
        home.run(args)
            .fails(78)
            .says("the state in the database keeps no tokens without a key");
    }
    home.person(&state, tokens::PASSWORD);
    for _ in 0..2 {
        home.run(&["token", "get", "support@contoso.com"])
            .succeeds();
    }
    assert_eq!(office.psql("SELECT count(*) FROM token"), "0");
    // A store that all hosts can ask keeps them.
    home.person(
        &format!("{state}\n{}", tokens::store::COMMAND),
        tokens::PASSWORD,
    );
    tokens::store::script(&home);
    home.run(&["token", "get", "support@contoso.com"])
        .succeeds();
    let kept = "SELECT count(*), count(access_token), count(refresh_token) FROM token";
    assert_eq!(office.psql(kept), "2|0|0");
}

#[test]
fn a_file_of_passwords_is_read_when_it_is_private() {
    let office = Office::ready();
    let world = &office.desk.world;
    let port = office.database.server.port();
    let line = format!("localhost:{port}:{}:{ROLE}:{PASSWORD}\n", office.name);
    let path = world.write("passwords", line);
    let mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    let run = |file: &Path| {
        office
            .run_at(
                &format!("postgres://{ROLE}@localhost:{port}/{}", office.name),
                &["fetch"],
            )
            .env("PGPASSFILE", file)
            .env("PGSSLROOTCERT", &office.database.ca_file)
    };
    mode(0o600);
    run(&path).succeeds().says_nothing();
    mode(0o644);
    tells(
        run(&path).fails(78),
        &["other users can read it", "chmod 600"],
    );
}

impl Office {
    /// As [`Office::ready`], on a server of its own, which may be stopped.
    pub fn ready_alone() -> Office {
        let own: &'static Database = Box::leak(Box::new(Database {
            server: postgres::Postgres::start(None, None),
            ca_file: database().ca_file.clone(),
            client: Default::default(),
        }));
        own.server
            .psql("postgres", &format!("CREATE ROLE {ROLE} LOGIN"));
        own.server
            .psql("postgres", &format!("CREATE DATABASE alone OWNER {ROLE}"));
        let office = Office {
            desk: desk(),
            database: own,
            name: "alone".to_owned(),
        };
        office.run(&["state", "init"]).succeeds();
        office
    }
}

//! The ways into the database: socket, TLS, pooler, certificate, passwords; who does not get in is
//! told why.

use super::{MAIL, Office, PASSWORD, ROLE, STATE, tells};
use crate::cases::fetch::assert_same;
use crate::servers::closed_port;
use crate::servers::pgbouncer::PgBouncer;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

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

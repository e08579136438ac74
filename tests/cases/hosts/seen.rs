//! What a person and a monitor see of several hosts: `status`, and what `check` says of the database.

use super::sharing::{Crowd, Manner, address};
use super::{At, Fleet, PASSWORD, ROLE, State};
use crate::cases::fetch::Via;
use crate::patience::until;
use crate::servers::closed_port;
use crate::servers::pgbouncer::PgBouncer;
use crate::servers::postgres::ADMIN;
use crate::world::Ran;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpListener;

/// As if another host had been at work, with another program and configuration.
fn another_works(crowd: &Crowd) {
    crowd.database.sql(
        "INSERT INTO run (id, host, pid, version, config, began, seen, mailboxes, messages)
         VALUES ('1', 'host-z', 1, '0.0.9', 'f00d', now() - interval '300 s', now() - interval '120 s', 3, 2),
                ('2', 'host-z', 1, '0.0.8', 'beef', now() - interval '400 s', now() - interval '200 s', 4, 0),
                ('3', 'host-y', 1, '0.0.9', 'f00d', now() - interval '1 h', now() - interval '20 min', 9, 9)",
    );
}

#[test]
fn status_tells_of_the_hosts_that_were_at_work() {
    let crowd = Crowd::new(&Manner {
        mailboxes: 3,
        hosts: 2,
        ..Manner::default()
    });
    crowd.mail_comes();
    for host in 0..2 {
        crowd.run(host, &["fetch"]).succeeds();
    }
    let status = |host| crowd.run(host, &["--json", "status"]).succeeds().json();
    let told = status(0);
    let hosts = told["hosts"].as_array().unwrap();
    let visits: u64 = hosts
        .iter()
        .map(|host| host["visits"].as_u64().unwrap())
        .sum();
    assert_eq!(visits, 3, "{told}");
    for host in hosts {
        assert_eq!(host["same_configuration"], true, "{told}");
        assert_eq!(host["version"], env!("CARGO_PKG_VERSION"));
    }
    assert!(told["mailboxes"][0]["last_visit"].is_string(), "{told}");
    crowd.run(0, &["status", "--check"]).succeeds();
    another_works(&crowd);
    let told = status(1);
    let hosts = told["hosts"].as_array().unwrap();
    let other = hosts.iter().find(|host| host["host"] == "host-z").unwrap();
    assert_eq!(
        (&other["version"], &other["visits"], &other["messages"]),
        (&"0.0.9".into(), &7.into(), &2.into()),
        "{told}"
    );
    assert_eq!(other["same_configuration"], false);
    assert!(!told.to_string().contains("host-y"), "too long ago: {told}");
    let ran = crowd.run(0, &["status"]).succeeds();
    ran.shows("HOST ").shows("host-z").shows("another");
    let page = crowd.hosts[0].path("status.html");
    crowd
        .run(0, &["status", "--html", page.to_str().unwrap()])
        .succeeds();
    let page = std::fs::read_to_string(page).unwrap();
    let (_, hosts) = page.split_once("id=\"hosts\"").expect("a table of hosts");
    assert!(hosts.contains("<bdi>host-z</bdi>"), "{hosts}");
    assert!(hosts.contains("</svg>another</span>"), "{hosts}");
    assert!(!page.contains("host-y"), "too long ago: {page}");
    crowd
        .run(0, &["status", "--check"])
        .fails(75)
        .mentions("host `host-z` runs queuemail 0.0.9, this one ")
        .mentions("host `host-z` has another configuration than this one");
    let file = crowd.hosts[0].path("metrics");
    crowd
        .run(0, &["status", "--metrics", file.to_str().unwrap()])
        .succeeds();
    let metrics = std::fs::read_to_string(&file).unwrap();
    for line in [
        "queuemail_host_seen_timestamp_seconds{host=\"host-z\",version=\"0.0.9\"} ",
        "queuemail_host_configuration_differs{host=\"host-z\"} 1\n",
        "queuemail_last_visit_timestamp_seconds{queue=\"q0\",",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
}

/// A secret, and where the state is, may differ from host to host; nothing else.
#[test]
fn a_configuration_that_differs_is_told() {
    let crowd = Crowd::new(&Manner {
        mailboxes: 2,
        hosts: 2,
        state: "lease: 60s\n  every: 0s",
        ..Manner::default()
    });
    let alike = |told: &Value| told["hosts"][0]["same_configuration"].clone();
    let configs = "SELECT count(DISTINCT config) FROM run";
    let change = |from: &str, to: &str| {
        let world = &crowd.hosts[1];
        assert!(world.config().contains(from));
        world.write_config(world.config().replacen(from, to, 1));
        crowd.run(1, &["fetch"]).ends();
        crowd.database.sql(configs)
    };
    let run = crowd.run(0, &["fetch"]);
    run.succeeds();
    assert_eq!(change("lease: 60s", "lease: 70s"), "1");
    assert_eq!(change("secret: s3cret", "secret: 0ther"), "1");
    assert_eq!(change("priority: 100", "priority: 5"), "2");
    // One host has one configuration: the last.
    crowd.database.sql("UPDATE run SET host = 'one'");
    let told = crowd.run(0, &["--json", "status"]).succeeds().json();
    assert_eq!(alike(&told), false, "{told}");
    let told = crowd.run(1, &["--json", "status"]).succeeds().json();
    assert_eq!(alike(&told), true, "{told}");
}

#[test]
fn a_mailbox_that_nobody_gets_to_is_told_of_although_hosts_work() {
    let crowd = Crowd::new(&Manner::default());
    crowd.run(0, &["fetch"]).succeeds();
    // A little more than two hours, whichever way fractions of a second are rounded.
    crowd.database.sql(&format!(
        "UPDATE lease SET claimed_at = clock_timestamp() - interval '125 min'
         WHERE name = 'fetch {0}';
         UPDATE mailbox SET last_success = extract(epoch FROM now()) - 125 * 60
         WHERE address = '{0}'",
        address(3)
    ));
    let what = format!(
        "no host has visited `{}` (queue `q3`) for 2 h, although 1 host fetches mail",
        address(3)
    );
    let check = || crowd.run(0, &["status", "--check"]);
    check().fails(69).mentions(&what).mentions("--jobs");
    check().args(["--max-age", "10000"]).succeeds();
    // Where no host works, that is the trouble.
    crowd
        .database
        .sql("UPDATE run SET seen = seen - interval '1 h'");
    check().fails(69).mentions("was last fetched 2 h ago");
    // The configuration may ask for it.
    let world = &crowd.hosts[0];
    world.write_config(
        world
            .config()
            .replacen("lease: 60s", "lease: 60s\n  every: 2h", 1),
    );
    check().succeeds();
}

/// The steps of the walk of the state, by name.
fn steps(ran: &Ran) -> Vec<(String, String, String)> {
    let told = ran.json();
    let walks = told["checked"].as_array().unwrap();
    let state = walks.iter().find(|walk| walk["name"] == "state");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    state.unwrap()["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| {
            let detail = format!("{} {}", step["detail"], step["verdict"]["sentence"]);
            (text(&step["step"]), text(&step["result"]), detail)
        })
        .collect()
}

/// A step ended so, and says so.
#[track_caller]
fn assert_step(ran: &Ran, name: &str, result: &str, says: &str) {
    let steps = steps(ran);
    let step = steps.iter().find(|(own, ..)| own == name);
    let (_, is, detail) = step.unwrap_or_else(|| panic!("no step {name}: {steps:?}"));
    assert!(is == result && detail.contains(says), "{steps:?}");
}

fn check(crowd: &Crowd) -> crate::world::Run {
    crowd.run(0, &["--json", "check", "q0"])
}

#[test]
fn check_says_in_one_line_each_what_is_good() {
    let crowd = Crowd::new(&Manner {
        mailboxes: 1,
        state: "lease: 60s\n  key: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        ..Manner::default()
    });
    let ran = check(&crowd).succeeds();
    assert_step(&ran, "database", "passed", "on this machine, without TLS");
    assert_step(&ran, "role", "passed", ROLE);
    assert_step(&ran, "clock", "passed", "as the clock of the database");
    assert_step(&ran, "pooler", "passed", "none");
    assert_step(&ran, "commits", "passed", "synchronous_commit = on");
    assert_step(&ran, "standbys", "passed", "none");
    assert_step(&ran, "tokens", "passed", "encrypted");
    let ran = crowd.run(0, &["check", "q0"]).succeeds();
    let lines = ran.stdout.lines().take_while(|line| !line.is_empty());
    assert_eq!(lines.count(), 8, "a title and a line for each: {ran}");
}

#[test]
fn check_says_what_is_wrong_with_the_database() {
    let crowd = Crowd::new(&Manner {
        mailboxes: 1,
        ..Manner::default()
    });
    assert_step(
        &check(&crowd).succeeds(),
        "tokens",
        "untested",
        "openssl rand",
    );
    let server = crowd.database.server();
    let url = crowd.database.url(server.port());
    let name = url.rsplit('/').next().unwrap();
    let socket = server.socket().display();
    let superuser = format!(
        "host={socket} port={} dbname={name} user={ADMIN}",
        server.port()
    );
    let ran = check(&crowd).env("QUEUEMAIL_STATE", superuser).fails(75);
    assert_step(&ran, "role", "warned", "superuser");
    assert_step(&ran, "role", "warned", "docs/fleet.md");
    let pooler = PgBouncer::start(server, ROLE, PASSWORD);
    let ran = check(&crowd).env("QUEUEMAIL_STATE", crowd.database.url(pooler.port));
    assert_step(&ran.succeeds(), "pooler", "passed", "transaction");
    let folder = format!("/usr/lib/{}-linux-gnu/faketime", std::env::consts::ARCH);
    for (offset, way) in [("+20s", "ahead of"), ("-20s", "behind")] {
        let ran = check(&crowd)
            .env("LD_PRELOAD", format!("{folder}/libfaketimeMT.so.1"))
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("FAKETIME", offset)
            .fails(75);
        assert_step(&ran, "clock", "warned", way);
        assert_step(&ran, "clock", "warned", "set-ntp");
    }
    crowd.database.sql(&format!(
        "ALTER DATABASE {name} SET synchronous_commit = off"
    ));
    assert_step(
        &check(&crowd).fails(75),
        "commits",
        "warned",
        "ALTER SYSTEM",
    );
    let nobody = crowd.database.url(closed_port());
    let away = check(&crowd).env("QUEUEMAIL_STATE", nobody);
    assert_step(&away.fails(75), "database", "failed", "cannot connect");
}

#[test]
fn check_tells_standbys_that_nobody_waits_for() {
    let crowd = Crowd::with(
        State::alone(),
        &Manner {
            mailboxes: 1,
            ..Manner::default()
        },
    );
    let server = crowd.database.server();
    let _standby = server.standby();
    let connected = || server.psql("postgres", "SELECT count(*) FROM pg_stat_replication");
    until("the standby connects", || connected() == "1");
    let ran = check(&crowd).succeeds();
    assert_step(&ran, "standbys", "untested", "1 standby, none synchronous");
    assert_step(&ran, "standbys", "untested", "synchronous_standby_names");
    server.psql(
        "postgres",
        "ALTER SYSTEM SET synchronous_standby_names = '*'",
    );
    server.psql("postgres", "SELECT pg_reload_conf()");
    let named = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
    until("the standby is synchronous", || {
        server.psql("postgres", named) == "1"
    });
    let ran = check(&crowd).succeeds();
    assert_step(&ran, "standbys", "passed", "1 standby, synchronous: *");
    let name = "ALTER ROLE hosts SET synchronous_commit = local";
    server.psql("postgres", name);
    assert_step(
        &check(&crowd).fails(75),
        "standbys",
        "warned",
        "does not wait",
    );
}

#[test]
fn check_tells_a_folder_that_is_not_the_others() {
    let fleet = Fleet::new(Via::Imap, "deliver: maildir:{shared}/mail/{queue}");
    fleet.desk.deliver(0..1);
    let ran = fleet.run(At::B, &["--json", "check"]).succeeds();
    assert_step(
        &ran,
        "shared folders",
        "passed",
        "1 without a delivery so far",
    );
    assert!(
        !fleet.shared("mail/.queuemail").exists(),
        "check makes nothing"
    );
    fleet.fetch(At::A).succeeds();
    let ran = fleet.run(At::B, &["--json", "check"]).succeeds();
    assert_step(
        &ran,
        "shared folders",
        "passed",
        "1, the same as on the other hosts",
    );
    std::fs::remove_file(fleet.shared("mail/.queuemail")).unwrap();
    let ran = fleet.run(At::B, &["--json", "check"]).fails(73);
    assert_step(&ran, "shared folders", "failed", "mount the shared storage");
}

/// What says that it is CockroachDB is not asked for anything.
#[test]
fn a_cockroach_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let mut startup = [0; 1024];
            let _ = client.read(&mut startup);
            let message = |letter: u8, text: &[u8]| {
                let size = (text.len() as u32 + 4).to_be_bytes();
                [&[letter][..], &size, text].concat()
            };
            let answer = [
                message(b'R', &0u32.to_be_bytes()),
                message(b'S', b"server_version\x0013.0.0\0"),
                message(b'S', b"crdb_version\0CockroachDB CCL v25.1.0\0"),
                message(b'K', &[0; 8]),
                message(b'Z', b"I"),
            ];
            let _ = client.write_all(&answer.concat());
            let _ = client.read(&mut startup);
        }
    });
    let world = crate::world::World::new();
    world
        .run(["state", "show"])
        .env(
            "QUEUEMAIL_STATE",
            format!("postgres://a@127.0.0.1:{port}/b"),
        )
        .fails(78)
        .mentions("the server is CockroachDB, which queuemail does not support")
        .mentions("use PostgreSQL 14 or later");
}

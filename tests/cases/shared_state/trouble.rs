//! What may befall a server, or the way to it, costs no message and brings none twice.

use super::{MAIL, Office, PASSWORD, ROLE, tells};
use crate::cases::fetch::assert_same;
use crate::servers::{closed_port, postgres, proxy};
use std::fs;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

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

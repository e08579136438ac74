//! What one host has done or kept is known to every other one.

use super::{MAIL, MAILDIR, Office};
use crate::cases::fetch::SUPPORT;
use crate::standin::{SmtpAt, SmtpFault};
use crate::{sending, tokens};
use std::fs;

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
        .stdout;
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
        .mentions("the outbox in the database is full");
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

//! What fails is told once when it has lasted, now and then, and once when it works again: by
//! `--report changes`, to a program and to a URL.

use super::campaigns::clock::at;
use super::receiver::{Post, Receiver, Reply};
use super::{Desk, SUPPORT, Via};
use crate::campaign;
use crate::standin::{App, ImapFault};
use crate::world::Ran;
use serde_json::Value;
use std::time::{Duration, Instant};

const OTHER: &str = "sales@contoso.example";
const KEY: &str = "whsec_bmV3IGtleSBvZiB0aGUgdGVzdHMsIDMyIG9jdGV0cyE=";

/// A desk of two mailboxes that notifies so.
fn desk(notify: &str) -> Desk {
    let desk = Desk::new(Via::Imap, "deliver: maildir:mail");
    desk.add_address(OTHER, "deliver: maildir:mail");
    let config = desk.world.config();
    desk.world.write_config(config + notify);
    desk
}

/// The desk's server is where nobody listens, or is there again.
fn cut(desk: &Desk, is_cut: bool) {
    let config = desk.world.config();
    let (there, away) = (desk.m365.imap_url(), "imaps://127.0.0.1:1".to_owned());
    let (from, to) = match is_cut {
        true => (&there, &away),
        false => (&away, &there),
    };
    assert!(config.contains(from.as_str()), "{config}");
    desk.world.write_config(config.replace(from.as_str(), to));
}

/// Exchange does not let the app into the other mailbox any more.
fn close(desk: &Desk) {
    desk.m365.revoke(&App::default().client_id, OTHER);
}

fn json(text: &[u8]) -> Value {
    serde_json::from_slice(text).unwrap_or_else(|e| panic!("{e}: {text:?}"))
}

fn events(all: &[Value]) -> Vec<&str> {
    all.iter().map(|n| n["event"].as_str().unwrap()).collect()
}

/// What the program of `notify` wrote down.
fn written(desk: &Desk) -> Vec<Value> {
    let text = std::fs::read_to_string(desk.path("told")).unwrap_or_default();
    text.lines().map(|line| json(line.as_bytes())).collect()
}

const WRITES: &str = "  command: [sh, -c, 'cat >> \"$HOME/told\"']\n";

/// The clock goes on by two minutes with each run in the whole campaign, and by half an hour in the
/// sample.
#[test]
fn a_day_without_a_host_is_three_notices() {
    let receiver = Receiver::plain(|_| Reply::ok());
    let desk = desk(&format!("notify:\n{WRITES}  url: {}\n", receiver.url()));
    at(desk.fetch(&["--report", "changes"]), "+0")
        .succeeds()
        .says_nothing();
    cut(&desk, true);
    let mut minutes: Vec<i64> = (2..10).step_by(2).collect();
    let step = if campaign::whole() { 2 } else { 30 };
    minutes.extend((10..1460).step_by(step));
    let mut printed = Vec::new();
    let mut errors = Vec::new();
    for minute in &minutes {
        let ran = at(desk.fetch(&["--report", "changes"]), &format!("+{minute}m")).fails(75);
        printed.extend(ran.stdout.lines().map(str::to_owned));
        errors.extend(ran.stderr.lines().map(str::to_owned));
    }
    cut(&desk, false);
    for minute in [1460, 1462] {
        let ran = at(desk.fetch(&["--report", "changes"]), &format!("+{minute}m")).succeeds();
        printed.extend(ran.stdout.lines().map(str::to_owned));
        errors.extend(ran.stderr.lines().map(str::to_owned));
    }
    let story = format!("{} failed runs\n{}", minutes.len(), printed.join("\n"));
    assert_eq!(printed.len(), 3, "{story}");
    assert!(
        printed[0].starts_with("host `127.0.0.1` has failed since "),
        "{story}"
    );
    assert!(
        printed[1].starts_with("host `127.0.0.1` still fails, since "),
        "{story}"
    );
    assert!(
        printed[2].starts_with("host `127.0.0.1` works again after 1 d"),
        "{story}"
    );
    for line in &printed {
        assert!(
            line.contains(&format!("mailboxes {OTHER}, {SUPPORT}")),
            "{story}"
        );
    }
    let whole = errors
        .iter()
        .filter(|line| line.starts_with("error: "))
        .count();
    assert_eq!(
        whole, 2,
        "an error with its hints at each failure: {errors:?}"
    );
    let told = written(&desk);
    let posted: Vec<Value> = receiver.bodies().iter().map(|body| json(body)).collect();
    assert_eq!(told, posted);
    assert_eq!(events(&told), ["opened", "repeated", "recovered"]);
    for notice in &told {
        assert_eq!(notice["incident"], "host 127.0.0.1");
        assert_eq!(notice["mailboxes"], serde_json::json!([OTHER, SUPPORT]));
    }
    let first = told[0]["seconds"].as_i64().unwrap();
    assert!(
        (360..480).contains(&first),
        "the fourth failed run, and not the third: {first} s"
    );
    assert!(told[2]["seconds"].as_i64() >= Some(86_400), "{}", told[2]);
}

/// An app that cannot sign in keeps all its mailboxes closed.
#[test]
fn a_sign_in_is_one_incident_of_all_its_mailboxes() {
    let desk = desk(&format!("notify:\n{WRITES}  after: 0s\n"));
    let config = desk.world.config();
    desk.world
        .write_config(config.replace("s3cret~+&=", "another"));
    let ran = desk.fetch(&["--report", "changes"]).fails(77);
    assert_eq!(ran.stdout.lines().count(), 1, "{ran}");
    ran.mentions("hint: ").mentions("AADSTS7000215");
    desk.fetch(&["--report", "changes"])
        .fails(77)
        .says_nothing();
    desk.fetch(&[]).fails(77).mentions("AADSTS7000215");
    desk.world.write_config(config);
    let ran = desk.fetch(&["--report", "changes"]).succeeds();
    assert!(ran.stdout.starts_with("the sign-in of app `"), "{ran}");
    let told = written(&desk);
    assert_eq!(events(&told), ["opened", "recovered"]);
    assert_eq!(told[0]["kind"], "sign-in");
    assert_eq!(told[0]["mailboxes"], serde_json::json!([OTHER, SUPPORT]));
    assert!(
        !std::fs::read_to_string(desk.path("told"))
            .unwrap()
            .contains("another\"")
    );
}

#[test]
fn a_mailbox_that_is_closed_is_an_incident_of_its_own() {
    let desk = desk(&format!("notify:\n{WRITES}  after: 0s\n"));
    close(&desk);
    let ran = desk.fetch(&["--json", "--report", "changes"]).fails(77);
    let first = ran
        .stdout
        .lines()
        .find(|line| !line.contains("summary"))
        .unwrap();
    assert_eq!(json(first.as_bytes())["event"], "opened");
    let told = written(&desk);
    assert_eq!(events(&told), ["opened"]);
    assert_eq!(told[0]["incident"], format!("mailbox {OTHER}"));
}

/// A message that is moved to quarantine needs a person until one has decided.
#[test]
fn messages_are_an_incident_until_a_person_has_decided() {
    let desk = desk(&format!("notify:\n{WRITES}  after: 0s\n"));
    let config = desk.world.config();
    let refuse = "deliver: 'command:sh -c \"exit 65\"'";
    desk.world
        .write_config(config.replacen("deliver: maildir:mail", refuse, 1));
    desk.deliver(0..2);
    let ran = desk.fetch(&["--report", "changes"]).fails(65);
    assert_eq!(ran.stdout.lines().count(), 1, "{ran}");
    assert!(ran.stderr.is_empty(), "{ran}");
    desk.fetch(&["--report", "changes"])
        .succeeds()
        .says_nothing();
    let ids: Vec<i64> = desk
        .state()
        .prepare("SELECT id FROM message WHERE state = 'quarantined'")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(ids.len(), 2);
    for id in ids {
        desk.world
            .run(["quarantine", "drop"])
            .arg(id.to_string())
            .succeeds();
    }
    desk.fetch(&["--report", "changes"]).succeeds();
    let told = written(&desk);
    assert_eq!(events(&told), ["opened", "recovered"]);
    assert_eq!(told[0]["incident"], format!("messages {SUPPORT}"));
    assert_eq!(told[0]["reason"], "2 in quarantine");
}

/// A notifier that fails keeps no mail back, is told, and is asked again.
#[test]
fn a_notice_that_is_not_taken_is_sent_again_under_its_id() {
    let receiver = Receiver::tls(&["localhost"], |_| {
        Reply::new("500 Internal Server Error", "", "no room")
    });
    let webhook = format!(
        "notify:\n  url: {url}\n  after: 0s\nwebhooks:\n  - url: {url}\n    secret: {KEY}\n    ca_file: receiver.pem\n",
        url = receiver.url()
    );
    let desk = desk(&webhook);
    desk.world.write(
        ".config/queuemail/receiver.pem",
        receiver.ca_pem.as_ref().unwrap(),
    );
    let sent = desk.deliver(0..3);
    close(&desk);
    desk.fetch(&[])
        .fails(77)
        .mentions("warning: cannot notify by `notify.url`: ")
        .mentions("no room");
    assert_eq!(desk.maildir(".config/queuemail/mail").len(), sent.len());
    let changes = at(desk.fetch(&["--report", "changes"]), "+2m").fails(77);
    assert!(changes.stdout.is_empty(), "{changes}");
    receiver.behaves(|_| Reply::ok());
    at(desk.fetch(&[]), "+4m").fails(77);
    at(desk.fetch(&[]), "+6m").fails(77);
    let posts = receiver.posts();
    assert_eq!(posts.len(), 3);
    let ids: Vec<&str> = posts.iter().map(|p| p.field("webhook-id")).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert!(
        posts
            .iter()
            .all(|p: &Post| p.field("webhook-signature").starts_with("v1,"))
    );
    assert_eq!(posts[0].field("content-type"), "application/json");
    assert_eq!(json(&posts[2].body)["event"], "opened");
}

#[test]
fn a_notifier_that_hangs_is_not_waited_for() {
    let hangs = |notify: String| {
        let desk = desk(&notify);
        close(&desk);
        let began = Instant::now();
        let ran = desk.fetch(&[]).fails(77);
        let took = began.elapsed();
        assert!(took < Duration::from_secs(100), "{took:?}\n{ran}");
        ran.mentions("warning: cannot notify by `notify.");
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            hangs("notify:\n  command: [sh, -c, 'sleep 300 & sleep 300']\n  after: 0s\n".into())
        });
        let receiver = Receiver::plain(|_| Reply::ok().after(Duration::from_secs(300)));
        scope.spawn(move || hangs(format!("notify:\n  url: {}\n  after: 0s\n", receiver.url())));
        // Nobody speaks TLS with it.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = silent.local_addr().unwrap().port();
        let of_tls = format!("notify:\n  url: https://127.0.0.1:{port}/\n  after: 0s\n");
        scope.spawn(move || {
            hangs(of_tls);
            drop(silent);
        });
    });
}

#[test]
fn a_run_that_is_well_and_no_other_says_so() {
    let receiver = Receiver::plain(|_| Reply::ok());
    let url = format!("{}?key=cAnArY", receiver.url());
    let desk = desk(&format!("notify: {{ heartbeat: '{url}' }}\n"));
    desk.fetch(&["--dry-run"]).succeeds();
    desk.fetch(&["--audit"]).succeeds();
    assert!(receiver.posts().is_empty());
    desk.fetch(&[]).succeeds().says_nothing();
    let posts = receiver.posts();
    assert_eq!(posts.len(), 1);
    assert_eq!(posts[0].line.trim_end(), "GET /in?key=cAnArY HTTP/1.1");
    desk.m365.faults().imap_next(
        1,
        ImapFault::Throttled {
            milliseconds: 1,
            bye: true,
        },
    );
    desk.fetch(&[SUPPORT]).fails(75);
    assert_eq!(receiver.posts().len(), 1);
    receiver.behaves(|_| Reply::new("404 Not Found", "", ""));
    let ran: Ran = desk.fetch(&[]).succeeds();
    ran.mentions("warning: cannot notify by `notify.heartbeat`: ")
        .hides("cAnArY");
    let show = desk.world.run(["config", "show"]).succeeds();
    show.hides("cAnArY");
}

/// Mail that nobody can say was sent is an incident of the outbox, in whichever run it is seen.
#[test]
fn the_outbox_is_an_incident() {
    let desk = desk(&format!("notify:\n{WRITES}  after: 0s\n"));
    desk.fetch(&[]).succeeds();
    desk.state()
        .execute_batch(
            "INSERT INTO outbox (file, envelope, message_id, shared_id, size, state, attempts,
                                 next_attempt, reason, refused, kept_at, changed_at)
             VALUES ('x', '{}', '<a@b>', 0, 1, 'unknown', 1, 0, '', '[]', 0, 0)",
        )
        .unwrap();
    desk.world.run(["outbox", "flush"]).succeeds();
    desk.fetch(&["--report", "changes"])
        .succeeds()
        .says_nothing();
    desk.state().execute_batch("DELETE FROM outbox").unwrap();
    desk.world.run(["outbox", "flush"]).succeeds();
    let told = written(&desk);
    assert_eq!(events(&told), ["opened", "recovered"]);
    assert_eq!(told[0]["incident"], "outbox");
}

/// A configuration that is wrong is told as others are, and names nothing secret.
#[test]
fn mistakes_are_told() {
    for (notify, told) in [
        (
            "{ after: soon }",
            "`soon` is not a length of time: write it like 90s, 5m, 2h or 1d",
        ),
        (
            "{ command: [] }",
            "the command of `notify` names no program",
        ),
        (
            "{ url: 'http://desk.example/' }",
            "it must begin with https://",
        ),
        (
            "{ heartbeat: 'http://hc.example/cAnArY' }",
            "it must begin with https://",
        ),
        (
            "{ heartbeat: 'https://hc.example/cAnArY#' }",
            "it must not contain `#`",
        ),
        ("{ heartbeats: 'https://hc.example/cAnArY' }", "heartbeats"),
    ] {
        let desk = desk(&format!("notify: {notify}\n"));
        desk.fetch(&[]).fails(78).mentions(told).hides("cAnArY");
    }
}

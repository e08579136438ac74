//! `history`: what was received and sent is found again, by IMAP and Graph.

use super::fetch::{Desk, SUPPORT, Via, both};
use serde_json::Value;
use sha2_of::sha256;

/// The digest by the system's own program, not by queuemail.
mod sha2_of {
    use std::io::Write;
    use std::process::{Command, Stdio};

    pub fn sha256(octets: &[u8]) -> String {
        let mut child = Command::new("sha256sum")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(octets).unwrap();
        let out = child.wait_with_output().unwrap().stdout;
        String::from_utf8(out).unwrap()[..64].to_owned()
    }
}

const ODD: &[u8] = b"From: =?utf-8?Q?M=C3=BCller=2C_Anna?= <Anna@customer.example>\r\n\
To: support@contoso.example, \"B, b\" <b@x.example>\r\n\
Subject: =?utf-8?B?R3LDvMOfZQ==?= =?utf-8?Q?_=E2=80=AEevil=1B[31m?=\r\n  again\r\n\
Date: Mon, 23 Nov 2026 11:00:00 +0100\r\n\
Message-ID: <odd@customer.example>\r\n\
In-Reply-To: <1@contoso.example>\r\n\
References: <0@contoso.example>\r\n <1@contoso.example>\r\n\r\nHello.\r\n";

const AUTHOR: &str = "\"Müller, Anna\" <Anna@customer.example>";

fn history(desk: &Desk, args: &[&str]) -> Vec<Value> {
    let run = desk.world.run(["history", "--json"]).args(args).succeeds();
    let json = run.json();
    assert_eq!(json["complete"], true);
    json["history"].as_array().unwrap().clone()
}

#[test]
fn what_was_received_is_found() {
    both(|via| {
        let desk = Desk::new(via, "deliver: maildir:mail\nstamp: true");
        let plain = desk.deliver(0..3);
        desk.m365.deliver(SUPPORT, "INBOX", ODD);
        desk.fetch(&[]).succeeds().says_nothing();
        // Once is enough.
        desk.fetch(&[]).succeeds().says_nothing();
        assert_eq!(history(&desk, &[]).len(), 4);
        for word in [
            "<odd@customer.example>",
            "ODD@customer.example",
            "anna@CUSTOMER.example",
        ] {
            let found = history(&desk, &[word]);
            let want = usize::from(!word.starts_with("ODD"));
            assert_eq!(found.len(), want, "{via:?} {word}: {found:#?}");
        }
        let found = &history(&desk, &["grüße"])[0];
        assert_eq!(found["direction"], "received");
        assert_eq!(found["queue"], "support");
        assert_eq!(found["address"], SUPPORT);
        assert_eq!(found["from"], AUTHOR);
        let subject = found["subject"].as_str().unwrap();
        assert!(
            subject.starts_with("Grüße ") && subject.ends_with(" again"),
            "{subject}"
        );
        assert!(!subject.contains('\x1b'), "{subject:?}");
        assert_eq!(found["size"], ODD.len());
        assert_eq!(
            found["sha256"],
            sha256(ODD),
            "as the server gave it, without the stamp"
        );
        assert_eq!(found["delivery_id"].as_str().unwrap().len(), 32);
        assert_eq!(found["delivered_to"], "HOME/.config/queuemail/mail/new");
        // Nothing in it moves a cursor or turns a line.
        let shown = desk.world.run(["history", "grüße"]).succeeds();
        assert!(
            !shown.stdout.contains(['\x1b', '\u{202e}']),
            "{}",
            shown.stdout
        );
        shown.shows("\\u{202e}evil");
        assert_eq!(history(&desk, &["--sent"]).len(), 0);
        assert_eq!(history(&desk, &["--until", "1h"]).len(), 0);
        desk.world
            .run(["history", "--since", "1h", "--until", "2h"])
            .fails(64)
            .mentions("--until is not after --since");
        assert_eq!(
            history(&desk, &["--since", "1h", "--queue", "support"]).len(),
            4
        );
        let case = history(&desk, &["case 2"]);
        assert_eq!(case[0]["sha256"], sha256(&plain[2]), "{via:?}");
        let run = desk
            .world
            .run(["history", "--limit", "3", "--json"])
            .succeeds();
        assert_eq!(run.json()["complete"], false);
        assert_eq!(run.json()["history"].as_array().unwrap().len(), 3);
    });
}

#[test]
fn no_subject_is_kept_where_none_is_wanted_and_no_history_either() {
    let desk = Desk::new(Via::Imap, "deliver: \"command:sh -c 'exit 65'\"");
    let config = desk.world.config();
    desk.world
        .write_config(format!("history: {{ subject: false }}\n{config}"));
    desk.m365.deliver(SUPPORT, "INBOX", ODD);
    desk.fetch(&[]).fails(65);
    let list = desk.world.run(["quarantine", "list", "--json"]).succeeds();
    assert_eq!(list.json()["quarantine"][0]["subject"], Value::Null);
    assert_eq!(list.json()["quarantine"][0]["from"], AUTHOR);
    desk.deliver(1..2);
    desk.fetch(&["--deliver", "maildir:mail"]).succeeds();
    assert_eq!(history(&desk, &[])[0]["subject"], Value::Null);
    let found: i64 = desk
        .state()
        .query_row(
            "SELECT (SELECT count(subject) FROM history)
                  + (SELECT count(*) FROM message WHERE about LIKE '%Gr%')",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(found, 0);
    desk.world
        .write_config(format!("keep_history: 0d\n{config}"));
    desk.deliver(2..3);
    std::thread::sleep(std::time::Duration::from_millis(1100));
    desk.fetch(&["--deliver", "maildir:mail"]).succeeds();
    assert_eq!(history(&desk, &[]).len(), 0);
}

#[test]
fn the_quarantine_shows_from_and_subject() {
    both(|via| {
        let desk = Desk::new(via, "deliver: \"command:sh -c 'exit 65'\"");
        desk.m365.deliver(SUPPORT, "INBOX", ODD);
        desk.fetch(&[]).fails(65);
        desk.world
            .run(["quarantine", "list"])
            .succeeds()
            .shows("Müller, Anna")
            .shows("Grüße \\u{202e}evil");
        desk.world
            .run(["quarantine", "show", "1"])
            .succeeds()
            .shows("\nmessage-id: <odd@customer.example>");
        assert_eq!(history(&desk, &[]).len(), 0, "it is not delivered");
        desk.world.run(["quarantine", "drop", "1"]).succeeds();
        let kept: i64 = desk
            .state()
            .query_row("SELECT count(about) FROM message", [], |row| row.get(0))
            .unwrap();
        assert_eq!(kept, 0);
    });
}

/// A run is killed when the message is visible and not yet on record: the next one finishes it.
#[test]
fn what_a_crash_interrupted_is_in_the_history_once() {
    let desk = Desk::new(Via::Imap, "deliver: maildir:mail");
    desk.m365.deliver(SUPPORT, "INBOX", ODD);
    desk.fetch(&[]).succeeds();
    let maildir = desk.path(".config/queuemail/mail");
    let file = std::fs::read_dir(maildir.join("new"))
        .unwrap()
        .next()
        .unwrap();
    let place = file.unwrap().path();
    let staged = maildir.join("tmp/gone");
    let state = desk.state();
    // As the record stood just before that transaction.
    let about = r#"{"message_id":"<odd@customer.example>","from":"Anna","subject":"Interrupted"}"#;
    let intent = serde_json::json!({ "rename": { "files": [[staged, place]] } });
    state
        .execute(
            "UPDATE message SET state = 'staged', intent = ?1, about = ?2",
            (intent.to_string(), about),
        )
        .unwrap();
    state.execute("DELETE FROM history", []).unwrap();
    drop(state);
    let run = desk.fetch(&["--json"]).succeeds();
    run.shows("<odd@customer.example>");
    let found = history(&desk, &["interrupted"]);
    assert_eq!(found.len(), 1, "{found:#?}");
    let name = place.file_name().unwrap().to_str().unwrap();
    assert!(found[0]["delivered_to"].as_str().unwrap().ends_with(name));
    assert_eq!(found[0]["delivery_id"].as_str().unwrap().len(), 32);
    assert_eq!(history(&desk, &[]).len(), 1);
}

/// Each delivery that tells what is known of a message tells what its header says.
#[test]
fn programs_get_the_header_decoded() {
    both(|via| {
        let desk = Desk::new(via, "deliver: eml:mail");
        desk.m365.deliver(SUPPORT, "INBOX", ODD);
        desk.fetch(&[]).succeeds();
        let folder = desk.path(".config/queuemail/mail");
        let sidecar = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| path.extension().is_some_and(|e| e == "json"))
            .unwrap();
        let json: Value = serde_json::from_slice(&std::fs::read(sidecar).unwrap()).unwrap();
        check(&json, via);
        desk.m365.deliver(SUPPORT, "INBOX", ODD);
        let run = desk.fetch(&["--deliver", "stdout:json"]).succeeds();
        check(&serde_json::from_str(&run.stdout).unwrap(), via);
        desk.m365.deliver(SUPPORT, "INBOX", ODD);
        desk.world.write("env.sh", "env -0 > \"$HOME/env\"\n");
        let command = format!("command:sh {}", desk.path("env.sh").display());
        desk.fetch(&["--deliver", &command]).succeeds();
        let env = std::fs::read(desk.path("env")).unwrap();
        let env = String::from_utf8(env).unwrap();
        let of = |name: &str| {
            let mut all = env.split('\0').filter_map(|pair| pair.split_once('='));
            all.find(|(own, _)| *own == name).unwrap().1.to_owned()
        };
        assert_eq!(of("QUEUEMAIL_FROM"), AUTHOR);
        assert_eq!(
            of("QUEUEMAIL_TO"),
            format!("{SUPPORT}, \"B, b\" <b@x.example>")
        );
        assert!(of("QUEUEMAIL_SUBJECT").starts_with("Grüße "));
        assert!(!of("QUEUEMAIL_SUBJECT").contains(char::is_control));
        assert_eq!(of("QUEUEMAIL_DATE"), "2026-11-23T11:00:00+01:00");
        assert_eq!(of("QUEUEMAIL_IN_REPLY_TO"), "<1@contoso.example>");
        assert_eq!(
            of("QUEUEMAIL_REFERENCES"),
            "<0@contoso.example> <1@contoso.example>"
        );
    });

    fn check(json: &Value, via: Via) {
        assert_eq!(json["from"], AUTHOR, "{via:?}");
        assert_eq!(json["to"][0], SUPPORT);
        assert_eq!(json["to"][1], "\"B, b\" <b@x.example>");
        assert!(json["subject"].as_str().unwrap().ends_with(" again"));
        assert_eq!(json["date"], "2026-11-23T11:00:00+01:00");
        assert_eq!(json["in_reply_to"], "<1@contoso.example>");
        assert_eq!(json["references"][1], "<1@contoso.example>");
    }
}

#[test]
fn a_queue_is_one_that_there_is_or_was() {
    let desk = Desk::new(Via::Imap, "deliver: maildir:mail");
    let ask = |queue: &str| desk.world.run(["history", "--queue", queue]);
    ask("support").succeeds().says_nothing();
    ask("suport")
        .fails(64)
        .mentions("no queue named `suport`")
        .mentions("did you mean `support`?");
    desk.deliver(0..1);
    desk.fetch(&[]).succeeds();
    let config = desk.world.config();
    desk.world
        .write_config(config.replace("name: support", "name: help"));
    // What is not there any more is found.
    ask("support").succeeds().shows("support");
    ask("support")
        .args(["--since", "2199-01-01"])
        .succeeds()
        .says_nothing();
    ask("help").succeeds().says_nothing();
    ask("sales").fails(64).mentions("queues in the file: help");
}

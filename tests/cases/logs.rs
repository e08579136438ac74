//! The log: what `-v` tells of each message, as text and as JSON Lines, and where an error of the
//! configuration is. Into systemd's journal: `cases::real::journal`.

use super::fetch::{Desk, SUPPORT, both};
use crate::shapes::validator;
use crate::world::World;
use serde_json::Value;

/// The lines of the log, each held against its schema.
pub fn lines(stderr: &str) -> Vec<Value> {
    let lines: Vec<Value> = stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect();
    for line in &lines {
        assert!(validator().is_valid(line), "{line}");
        assert!(line["time"].is_string(), "{line}");
    }
    lines
}

/// The lines that tell of messages.
fn of<'a>(lines: &'a [Value], event: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["event"] == event).collect()
}

/// True for `2026-11-23T14:02:00.123Z`.
fn is_stamp(word: &str) -> bool {
    let form = "0000-00-00T00:00:00.000Z";
    let fits = |(c, f): (char, char)| if f == '0' { c.is_ascii_digit() } else { c == f };
    word.len() == form.len() && word.chars().zip(form.chars()).all(fits)
}

#[test]
fn each_message_is_told_with_its_time_and_where_it_went() {
    both(|via| {
        let desk = Desk::new(via, "deliver: \"maildir:~/Mail\"");
        let sent = desk.deliver(0..3);
        let ran = desk.fetch(&["-v"]).succeeds().prints("");
        for line in ran.stderr.lines() {
            assert!(
                line.split(' ').next().is_some_and(is_stamp),
                "{line}\n{ran}"
            );
        }
        let told: Vec<&str> = ran
            .stderr
            .lines()
            .filter(|line| line.contains(" delivered queue=support "))
            .collect();
        assert_eq!(told.len(), sent.len(), "{ran}");
        for line in told {
            for part in [
                &*format!("address={SUPPORT} folder=INBOX uid="),
                " message_id=<",
                " size=",
                " delivered_to=HOME/Mail/new ",
                " delivery_id=",
            ] {
                assert!(line.contains(part), "no `{part}` in {line}");
            }
        }
        // Nothing without it.
        desk.deliver(3..4);
        desk.fetch(&[]).succeeds().says_nothing();
    });
}

#[test]
fn each_message_is_a_json_line_that_says_the_same_as_the_result() {
    both(|via| {
        let desk = Desk::new(via, "deliver: \"maildir:~/Mail\"");
        desk.deliver(0..3);
        let args = ["--log-format", "json", "--json", "-vv"];
        let ran = desk.fetch(&args).succeeds();
        let log = lines(&ran.stderr);
        let results: Vec<Value> = ran
            .stdout
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .filter(|result: &Value| result["event"] == "message")
            .collect();
        let told = of(&log, "delivered");
        assert_eq!((told.len(), results.len()), (3, 3), "{ran}");
        for (told, result) in told.into_iter().zip(&results) {
            assert_eq!(told["level"], "info");
            for key in [
                "queue",
                "address",
                "folder",
                "uid",
                "message_id",
                "size",
                "delivered_to",
                "delivery_id",
            ] {
                // The log names a message by text, whatever the server does.
                let as_text =
                    |value: &Value| value.as_str().map_or(value.to_string(), str::to_owned);
                assert_eq!(as_text(&told[key]), as_text(&result[key]), "{key}: {told}");
            }
        }
        assert!(!of(&log, "protocol").is_empty(), "{ran}");
        assert!(!of(&log, "step").is_empty(), "{ran}");
    });
}

#[test]
fn a_message_that_is_sent_is_told_with_who_and_through_what() {
    let home = crate::sending::office();
    let send = |args: &[&str]| {
        let words = [&["send", "-t"][..], args].concat();
        crate::sending::pipe(&home, &words, crate::sending::MESSAGE.as_bytes())
    };
    let ran = send(&["-v", "--log-format=json"]).succeeds();
    let log = lines(&ran.stderr);
    let told = of(&log, "accepted");
    assert_eq!(told.len(), 1, "{ran:?}");
    assert_eq!(told[0]["queue"], "support");
    assert_eq!(told[0]["address"], crate::sending::SUPPORT);
    assert_eq!(told[0]["outgoing_server"], "out");
    assert_eq!(told[0]["message_id"], "<1@contoso.com>");
    assert_eq!(told[0]["to"][0], "anna@example.com");
    assert!(told[0]["size"].as_u64().is_some_and(|size| size > 0));
    home.standin
        .faults()
        .smtp_recipient("b@example.com", "452 4.5.3 Too many");
    let ran = send(&["-v", "--log-format=json", "--outbox"]);
    let log = lines(&ran.stderr);
    let told = of(&log, "kept");
    assert_eq!(told.len(), 1, "{ran:?}");
    assert_eq!(told[0]["outbox_id"], 1);
    assert!(
        told[0]["reason"]
            .as_str()
            .is_some_and(|r| r.contains("452 4.5.3"))
    );
}

#[test]
fn an_error_is_one_line_of_the_log() {
    let world = World::new();
    let ran = world.run(["fetch", "--log-format", "json"]).fails(78);
    let log = lines(&ran.stderr);
    assert_eq!(log.len(), 1, "{ran}");
    assert_eq!(log[0]["level"], "error");
    assert_eq!(log[0]["exit_code"], 78);
    assert_eq!(log[0]["message"], log[0]["error"]);
    assert!(!log[0]["hints"].as_array().expect("hints").is_empty());
    // A command line that cannot be read, too.
    for words in [
        ["--log-format=json", "fetch", "--unheard-of"],
        ["fetch", "--unheard-of", "--log-format=json"],
    ] {
        let ran = world.run(words).fails(64);
        assert_eq!(lines(&ran.stderr).len(), 1, "{ran}");
    }
    world.run(["fetch", "--log-format", "xml"]).fails(64);
}

/// A program that edits the file finds the place without reading prose.
#[test]
fn an_error_of_the_configuration_has_its_line_and_column() {
    for (text, place) in [
        (
            "version: 1\nqueues:\n  - name: support\n    colour: red\n",
            Some((4, 5)),
        ),
        (
            "version: 1\nqueues:\n  - name: a\n    priority: -5\n",
            Some((4, 15)),
        ),
        ("version: 1\nqueues: [\n", Some((3, 1))),
        (
            "version: 1\nqueues:\n  - name: a\n    addresses:\n      - { address: a@b.c, server: nobody }\n",
            Some((5, 35)),
        ),
        ("", None),
    ] {
        let world = World::with_config(text);
        for args in [
            &["--json"][..],
            &["--log-format=json"],
            &["--json", "--log-format=json"],
        ] {
            let ran = world.run(["config", "validate"]).args(args).fails(78);
            let error: Value = serde_json::from_str(&ran.stderr).expect("one object");
            assert!(validator().is_valid(&error), "{error}");
            let file = error["file"].as_str().expect("a file");
            assert!(file.ends_with("/queuemail/config.yaml"), "{file}");
            let found = error["line"].as_u64().zip(error["column"].as_u64());
            assert_eq!(found, place, "{text}\n{ran}");
        }
    }
}

#[test]
fn the_schema_of_the_output_is_one_of_its_own_draft() {
    let schema = World::new()
        .run(["config", "schema", "--output"])
        .succeeds()
        .json();
    assert!(jsonschema::meta::is_valid(&schema));
}

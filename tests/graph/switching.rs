//! A mailbox that moves between IMAP and Graph: each mail is delivered once, and none is lost.

use super::{Office, SUPPORT, message};
use crate::standin::{GraphFault, UidFault};
use serde_json::Value;
use std::sync::atomic::Ordering::SeqCst;

/// An office read by the first way, with some messages fetched.
fn office(first: &str, count: usize) -> Office {
    let office = Office::new(first);
    // What the ways give differs in each octet that can.
    office.m365.faults().graph.anew.store(true, SeqCst);
    for n in 0..count {
        office.deliver("INBOX", n);
    }
    office.fetch().succeeds().says_nothing();
    assert_eq!(office.delivered().len(), count);
    office
}

/// The other way.
fn other(way: &str) -> &'static str {
    match way {
        "imap" => "graph",
        _ => "imap",
    }
}

fn make_due(office: &Office) {
    office.change_state("UPDATE message SET next_attempt = 0 WHERE state = 'failed'");
}

/// The n-th message of the inbox cannot be had, by either way.
fn spoil(office: &Office, n: usize) {
    let id = office.m365.graph_ids(SUPPORT, "INBOX").remove(n);
    let error = GraphFault::Error(500, "ErrorContentConversionFailed", "Words.", None);
    office
        .m365
        .faults()
        .graph
        .next(99, &format!("{id}/$value"), error);
    let uid = office.m365.messages(SUPPORT, "INBOX")[n].uid;
    office
        .m365
        .faults()
        .imap_uid(SUPPORT, uid, UidFault::NoData);
}

fn heal(office: &Office) {
    office.m365.faults().graph.heal();
    for message in office.m365.messages(SUPPORT, "INBOX") {
        office.m365.faults().imap_uid_heals(SUPPORT, message.uid);
    }
}

fn audit(office: &Office) -> Value {
    let ran = office.world.run(["fetch", "--audit", "--json"]).ends();
    let lines = ran
        .stdout
        .lines()
        .map(|l| serde_json::from_str::<Value>(l).unwrap());
    lines
        .into_iter()
        .find(|l| l["event"] == "audit")
        .unwrap_or_else(|| panic!("{ran}"))
}

#[test]
fn nothing_comes_twice_though_each_octet_differs() {
    for first in ["imap", "graph"] {
        let office = office(first, 5);
        for (way, total) in [(other(first), 6), (first, 7), (other(first), 8)] {
            office.configure(way, "");
            office.deliver("INBOX", total - 1);
            office.fetch().succeeds().says_nothing();
            assert_eq!(office.delivered().len(), total, "from {first}, by {way}");
        }
        assert_eq!(audit(&office)["delivered"], 8);
    }
}

#[test]
fn what_fails_at_first_is_recognised_later() {
    for first in ["imap", "graph"] {
        let office = office(first, 4);
        office.configure(other(first), "");
        spoil(&office, 1);
        office.fetch().fails(75);
        office.deliver("INBOX", 4);
        office.fetch().succeeds();
        heal(&office);
        make_due(&office);
        office.fetch().succeeds().says_nothing();
        assert_eq!(office.delivered().len(), 5, "from {first}");
        let audit = audit(&office);
        assert_eq!(audit["delivered"], 5, "{audit}");
    }
}

#[test]
fn different_mail_with_one_message_id_is_delivered_each() {
    let one = String::from_utf8(message(0)).unwrap();
    let later = one.replace("08:00:00", "08:00:01");
    let other_subject = one.replace("No. 0", "No. zero");
    let other_author = one.replace("customer@", "machine@");
    for first in ["imap", "graph"] {
        let office = office(first, 1);
        office.m365.deliver(SUPPORT, "INBOX", later.as_bytes());
        office.fetch().succeeds().says_nothing();
        office.configure(other(first), "");
        office
            .m365
            .deliver(SUPPORT, "INBOX", other_subject.as_bytes());
        office.fetch().succeeds().says_nothing();
        office
            .m365
            .deliver(SUPPORT, "INBOX", other_author.as_bytes());
        // The same once more, as when it came by a list and directly.
        office.m365.deliver(SUPPORT, "INBOX", one.as_bytes());
        office.fetch().succeeds().says_nothing();
        assert_eq!(office.delivered().len(), 5, "from {first}");
    }
}

#[test]
fn mail_without_a_message_id_is_told_by_its_text() {
    let mail = |text: &str| {
        format!(
            "From: scanner@contoso.example\r\nTo: {SUPPORT}\r\nSubject: Scan\r\n\
             Date: Mon, 23 Nov 2026 08:00:00 +0000\r\n\
             Content-Type: multipart/mixed; boundary=\"=_b\"\r\n\r\n\
             --=_b\r\n\r\n{text}\r\n--=_b--\r\n"
        )
    };
    for first in ["imap", "graph"] {
        let office = office(first, 0);
        for text in ["one", "two"] {
            office.m365.deliver(SUPPORT, "INBOX", mail(text).as_bytes());
        }
        office.fetch().succeeds().says_nothing();
        office.configure(other(first), "");
        office
            .m365
            .deliver(SUPPORT, "INBOX", mail("three").as_bytes());
        office.fetch().succeeds().says_nothing();
        assert_eq!(office.delivered().len(), 3, "from {first}");
    }
}

#[test]
fn what_was_delivered_is_deleted_after_all() {
    for first in ["imap", "graph"] {
        let office = Office::new(first);
        office.configure(first, "        after_fetch: delete\n");
        for n in 0..3 {
            office.deliver("INBOX", n);
        }
        office.fetch().succeeds();
        for n in 3..6 {
            office.deliver("INBOX", n);
        }
        office.fetch().succeeds();
        // As if the server could not be told of the last three.
        for n in 3..6 {
            office.deliver("INBOX", n);
        }
        office.change_state("UPDATE message SET present = 1, settle = 'delete' WHERE id > 3");
        office.configure(other(first), "        after_fetch: delete\n");
        office.fetch().succeeds().says_nothing();
        office.fetch().succeeds().says_nothing();
        assert_eq!(office.delivered().len(), 6, "from {first}");
        assert!(office.m365.messages(SUPPORT, "INBOX").is_empty());
    }
}

#[test]
fn what_was_rejected_or_dropped_stays_so() {
    let deliver = "        after_fetch: keep\n";
    for first in ["imap", "graph"] {
        let office = Office::new(first);
        let refuse = |way: &str| {
            office.configure(way, deliver);
            let maildir = format!("deliver: maildir:{}", office.world.path("mail").display());
            let config = office.world.config();
            office
                .world
                .write_config(config.replace(&maildir, "deliver: \"command:sh -c 'exit 65'\""));
        };
        for n in 0..2 {
            office.deliver("INBOX", n);
        }
        refuse(first);
        office.fetch().ends();
        let list = |office: &Office| {
            let ran = office
                .world
                .run(["quarantine", "list", "--json"])
                .succeeds();
            ran.json()["quarantine"].as_array().unwrap().clone()
        };
        let quarantined = list(&office);
        assert_eq!(quarantined.len(), 2);
        let dropped = quarantined[0]["id"].to_string();
        office
            .world
            .run(["quarantine", "drop", &dropped])
            .succeeds();

        office.configure(other(first), deliver);
        office.fetch().succeeds().says_nothing();
        assert!(office.delivered().is_empty(), "from {first}");
        let left = list(&office);
        assert_eq!(left.len(), 1, "{left:#?}");
        assert_eq!(left[0]["id"], quarantined[1]["id"]);
        let audit = audit(&office);
        assert_eq!(
            (&audit["quarantined"], &audit["dropped"]),
            (&1.into(), &1.into())
        );
        // The one that is left can be tried again under its new id.
        let left = left[0]["id"].to_string();
        office.world.run(["quarantine", "retry", &left]).succeeds();
        office.fetch().succeeds().says_nothing();
        assert_eq!(office.delivered().len(), 1);
    }
}

#[test]
fn what_one_way_cannot_give_the_other_may() {
    for first in ["imap", "graph"] {
        let office = office(first, 1);
        office.deliver("INBOX", 1);
        spoil(&office, 1);
        office.fetch().fails(75);
        office.change_state(
            "UPDATE message SET attempts = 7, next_attempt = 0 WHERE state = 'failed'",
        );
        office.fetch().ends().mentions("quarantine");
        heal(&office);
        office.configure(other(first), "");
        office.fetch().succeeds().says_nothing();
        assert_eq!(office.delivered().len(), 2, "from {first}");
        let ran = office
            .world
            .run(["quarantine", "list", "--json"])
            .succeeds();
        assert_eq!(
            ran.json()["quarantine"],
            serde_json::json!([]),
            "the old id says nothing"
        );
    }
}

#[test]
fn an_audit_right_after_the_switch_finds_all_ahead() {
    for first in ["imap", "graph"] {
        let office = office(first, 4);
        office.configure(other(first), "");
        let before = audit(&office);
        assert_eq!(before["unaccounted"], serde_json::json!([]), "{before}");
        assert_eq!(before["pending"], 4, "{before}");
        office.fetch().succeeds().says_nothing();
        let after = audit(&office);
        assert_eq!(
            (&after["delivered"], &after["pending"]),
            (&4.into(), &0.into()),
            "{after}"
        );
        assert_eq!(office.delivered().len(), 4);
    }
}

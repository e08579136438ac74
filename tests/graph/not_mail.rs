//! What is not a message, or not provably all of it, is not taken for one, and the real one stays.

use super::{Office, SUPPORT, message};
use crate::standin::{Framing, GraphFault, Trick, folder_id};

const PAGE: &str = "<!DOCTYPE html><html><body>Sign in to the gateway: blocked</body></html>";
const OBJECT: &str =
    r#"{"error":{"code":"ErrorItemCorrupt","message":"x","innerError":{"request-id":"r-7"}}}"#;

fn unframed(octets: usize, notify: bool) -> GraphFault {
    GraphFault::Odd(Trick::Cut {
        framing: Framing::Neither,
        octets,
        notify,
    })
}

/// Messages that are deleted once they are delivered, and the ids of these.
fn deleting(count: usize) -> (Office, Vec<String>) {
    let office = Office::new("graph");
    office.configure("graph", "        after_fetch: delete\n");
    for n in 0..count {
        office.deliver("INBOX", n);
    }
    let ids = office.m365.graph_ids(SUPPORT, "INBOX");
    (office, ids)
}

#[test]
fn an_answer_without_an_end_of_its_own_is_no_message() {
    let whole = message(0).len();
    for (octets, notify) in [(20, false), (20, true), (whole, false), (whole, true)] {
        let (office, ids) = deleting(3);
        let faults = &office.m365.faults().graph;
        faults.next(99, &ids[1], unframed(octets, notify));
        office.fetch().fails(75);
        office.holds([0, 2]);
        assert_eq!(office.m365.graph_ids(SUPPORT, "INBOX"), [ids[1].clone()]);
        let due = "UPDATE message SET next_attempt = 0";
        office.change_state(due);
        faults.heal();
        office.fetch().succeeds().says_nothing();
        office.holds(0..3);
    }
}

#[test]
fn a_proxy_that_removes_every_length_counts_against_no_message() {
    let (office, ids) = deleting(2);
    let faults = &office.m365.faults().graph;
    for _ in 0..2 {
        faults.next(99, "/users/", unframed(usize::MAX, true));
        office
            .fetch()
            .fails(75)
            .mentions("do not say where they end")
            .mentions("exclude `localhost` from the inspection");
        assert_eq!(office.m365.graph_ids(SUPPORT, "INBOX"), ids);
        faults.heal();
    }
    office.holds([]);
    office.fetch().succeeds().says_nothing();
    office.holds(0..2);
}

#[test]
fn a_listing_that_breaks_off_is_no_listing() {
    let (office, ids) = deleting(3);
    let faults = &office.m365.faults().graph;
    for (octets, notify) in [(150, false), (150, true)] {
        faults.next(99, "/delta", unframed(octets, notify));
        office.fetch().fails(75);
        faults.heal();
    }
    assert_eq!(office.m365.graph_ids(SUPPORT, "INBOX"), ids);
    office.fetch().succeeds().says_nothing();
    office.holds(0..3);
}

#[test]
fn a_page_or_an_object_in_a_messages_place_is_not_delivered() {
    for (kind, body, words) in [
        ("text/html; charset=utf-8", PAGE, "text/html"),
        (
            "application/json",
            OBJECT,
            "ErrorItemCorrupt: x (request-id r-7)",
        ),
        ("text/plain", PAGE, "other text"),
        ("text/plain", OBJECT, "other text"),
        ("text/plain", "Bad gateway: try later\r\n", "other text"),
    ] {
        let (office, ids) = deleting(3);
        let faults = &office.m365.faults().graph;
        faults.next(99, &ids[1], GraphFault::Instead(kind, body));
        office
            .fetch()
            .fails(75)
            .mentions("instead of the message")
            .mentions(words);
        office.holds([0, 2]);
        assert_eq!(office.m365.graph_ids(SUPPORT, "INBOX"), [ids[1].clone()]);
        for _ in 0..7 {
            office.change_state("UPDATE message SET next_attempt = 0");
            office.fetch().ends();
        }
        let list = office.world.run(["quarantine", "list", "--json"]);
        let list = list.succeeds().json()["quarantine"].clone();
        assert_eq!(list.as_array().unwrap().len(), 1, "{list}");
        assert_eq!(office.m365.graph_ids(SUPPORT, "INBOX"), [ids[1].clone()]);
    }
}

#[test]
fn a_page_in_every_place_counts_against_no_message() {
    for (kind, body) in [("text/html", PAGE), ("application/json", OBJECT)] {
        let (office, ids) = deleting(2);
        let faults = &office.m365.faults().graph;
        for _ in 0..9 {
            faults.next(99, "$value", GraphFault::Instead(kind, body));
            let folder = format!("={}", folder_id("INBOX"));
            faults.next(99, &folder, GraphFault::Instead(kind, body));
            office.fetch().ends();
            faults.heal();
        }
        assert_eq!(office.m365.graph_ids(SUPPORT, "INBOX"), ids);
        office.fetch().succeeds().says_nothing();
        office.holds(0..2);
    }
}

#[test]
fn an_object_without_what_was_asked_for_is_no_answer() {
    for path in ["/delta", "/mailFolders/inbox", "$batch"] {
        for body in [
            "{}",
            "null",
            "[]",
            "{\"value\":null}",
            "\"x\"",
            OBJECT,
            PAGE,
        ] {
            let (office, ids) = deleting(1);
            let faults = &office.m365.faults().graph;
            faults.next(99, path, GraphFault::Instead("application/json", body));
            let ran = office.fetch().ends();
            assert!(matches!(ran.code, 69 | 75), "{path} {body}: {ran}");
            assert_eq!(
                office.m365.graph_ids(SUPPORT, "INBOX"),
                ids,
                "{path} {body}"
            );
            faults.heal();
            office.change_state("UPDATE message SET next_attempt = 0");
            office.fetch().succeeds();
            office.holds([0]);
            assert!(office.m365.messages(SUPPORT, "INBOX").is_empty());
        }
    }
}

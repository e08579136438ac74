//! No loss, no duplicate, no blocked mailbox, whatever Graph does.

use super::{Office, SUPPORT};
use crate::standin::{GraphFault, folder_id};
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

fn error(status: u16, code: &'static str, wait: Option<u64>) -> GraphFault {
    GraphFault::Error(status, code, "Words of the server.", wait)
}

/// An office with messages, and the ids of these.
fn filled(count: usize) -> (Office, Vec<String>) {
    let office = Office::new("graph");
    for n in 0..count {
        office.deliver("INBOX", n);
    }
    let ids = office.m365.graph_ids(SUPPORT, "INBOX");
    (office, ids)
}

#[test]
fn a_broken_message_keeps_no_other_back() {
    let (office, ids) = filled(12);
    let faults = &office.m365.faults().graph;
    // Five in a row, and one more of each way to be broken.
    for id in &ids[2..7] {
        faults.next(99, id, error(500, "ErrorContentConversionFailed", None));
    }
    faults.next(99, &ids[8], error(500, "InternalServerError", None));
    faults.next(99, &ids[9], GraphFault::Cut(20));
    faults.next(99, &ids[10], GraphFault::Html(504));
    office
        .fetch()
        .fails(75)
        .mentions("ErrorContentConversionFailed: Words of the server. (request-id ")
        .mentions("8 messages could not be fetched now");
    office.holds([0, 1, 7, 11]);
    office.fetch().succeeds();
    office.holds([0, 1, 7, 11]);
}

#[test]
fn a_message_that_fails_once_is_had_at_once() {
    let (office, ids) = filled(3);
    let faults = &office.m365.faults().graph;
    faults.next(1, &ids[0], GraphFault::Html(504));
    faults.next(1, &ids[1], GraphFault::Cut(100));
    faults.next(1, &ids[2], GraphFault::Close);
    office.fetch().succeeds().says_nothing();
    office.holds(0..3);
}

#[test]
fn a_message_that_is_gone_is_no_failure() {
    let (office, ids) = filled(3);
    let faults = &office.m365.faults().graph;
    faults.next(99, &ids[1], error(404, "ErrorItemNotFound", None));
    office.fetch().succeeds().says_nothing();
    office.holds([0, 2]);
}

#[test]
fn a_message_moved_to_another_folder_meanwhile_is_not_deleted_there() {
    let (office, ids) = filled(1);
    office.configure("graph", "        after_fetch: delete\n");
    // It is delivered, but the server cannot be told.
    let faults = &office.m365.faults().graph;
    faults.next(9, "$batch", error(500, "InternalServerError", None));
    office.fetch().fails(75);
    faults.heal();
    // A person files it.
    let stored = office.m365.messages(SUPPORT, "INBOX").remove(0);
    assert_eq!(office.m365.graph_ids(SUPPORT, "INBOX"), ids);
    office
        .m365
        .move_message(SUPPORT, "INBOX", stored.uid, "Archive");
    office.fetch().succeeds().says_nothing();
    assert_eq!(office.m365.messages(SUPPORT, "Archive").len(), 1);
    office.holds([0]);
}

#[test]
fn mail_comes_though_the_server_cannot_be_told_what_is_delivered() {
    let (office, _) = filled(2);
    office.configure("graph", "        after_fetch: delete\n");
    let faults = &office.m365.faults().graph;
    faults.next(99, "$batch", error(500, "ErrorItemSave", None));
    office.fetch().fails(69);
    office.holds(0..2);
    office.deliver("INBOX", 2);
    office
        .fetch()
        .fails(69)
        .mentions("cannot check whether messages exist");
    office.holds(0..3);
    faults.heal();
    office.fetch().succeeds().says_nothing();
    assert!(office.m365.messages(SUPPORT, "INBOX").is_empty());
}

#[test]
fn a_short_wait_is_waited() {
    let (office, ids) = filled(6);
    let faults = &office.m365.faults().graph;
    faults.next(1, &ids[2], error(429, "ApplicationThrottled", Some(1)));
    faults.next(1, "/delta", error(503, "ServiceUnavailable", Some(1)));
    let start = std::time::Instant::now();
    office.fetch().succeeds().says_nothing();
    assert!(start.elapsed() >= Duration::from_secs(2));
    office.holds(0..6);
}

#[test]
fn a_long_wait_ends_the_run_and_holds_for_the_next() {
    let (office, ids) = filled(6);
    let faults = &office.m365.faults().graph;
    let throttled = || error(429, "ApplicationThrottled", Some(300));
    faults.next(1, &ids[2], throttled());
    faults.next(1, &format!("={}", folder_id("INBOX")), throttled());
    office
        .fetch()
        .fails(75)
        .mentions("requests a wait")
        .mentions("server said: ApplicationThrottled: Words of the server.")
        .mentions("request-id");
    let asked = office.requests("/v1.0/");
    office.fetch().succeeds().says_nothing();
    office.world.run(["fetch", "support"]).fails(75);
    assert_eq!(
        office.requests("/v1.0/"),
        asked,
        "the mailbox was left alone"
    );
}

#[test]
fn what_arrived_before_a_failure_is_kept_and_the_rest_comes_later() {
    let (office, ids) = filled(40);
    let faults = &office.m365.faults().graph;
    faults.next(1, &ids[25], error(429, "ApplicationThrottled", Some(2)));
    faults.next(9, "$value", error(403, "ErrorAccessDenied", None));
    let folder = format!("={}", folder_id("INBOX"));
    faults.next(9, &folder, error(403, "ErrorAccessDenied", None));
    office.fetch().fails(77).mentions("ErrorAccessDenied");
    faults.heal();
    office.fetch().succeeds().says_nothing();
    office.holds(0..40);
}

#[test]
fn a_mailbox_that_moves_between_the_ways_is_not_delivered_again() {
    let office = Office::new("imap");
    office.configure("imap", "        after_fetch: seen\n");
    for n in 0..7 {
        office.deliver("INBOX", n);
    }
    office.fetch().succeeds().says_nothing();
    office.holds(0..7);
    office.configure("graph", "        after_fetch: seen\n");
    office.deliver("INBOX", 7);
    office
        .world
        .run(["fetch", "-v"])
        .succeeds()
        .mentions("now have the IDs of Graph")
        .mentions("7 recognised");
    office.holds(0..8);
    office.fetch().succeeds().says_nothing();
    office.configure("imap", "        after_fetch: seen\n");
    office.deliver("INBOX", 8);
    office.fetch().succeeds().says_nothing();
    office.holds(0..9);
}

#[test]
fn every_refusal_of_the_mailbox_has_its_exit_code_and_its_words() {
    let office = Office::new("graph");
    let faults = &office.m365.faults().graph;
    faults.denied.lock().unwrap().insert(SUPPORT.into());
    office
        .fetch()
        .fails(77)
        .mentions("server said: ErrorAccessDenied: Access is denied.")
        .mentions("request-id");
    faults.denied.lock().unwrap().clear();
    faults.not_enabled.lock().unwrap().insert(SUPPORT.into());
    office
        .fetch()
        .fails(67)
        .mentions("finds no mailbox `support@contoso.example`")
        .mentions("MailboxNotEnabledForRESTAPI");
    faults.not_enabled.lock().unwrap().clear();
    let invalid = GraphFault::Error(
        401,
        "InvalidAuthenticationToken",
        "Access token validation failure. Invalid audience.",
        None,
    );
    faults.next(1, "/inbox", invalid);
    office.fetch().fails(77).mentions("refuses the token");
    faults.next(1, "/inbox", GraphFault::Html(502));
    office.fetch().fails(75).mentions("HTTP 502");
    office.m365.faults().drop_connections.store(9, SeqCst);
    office.fetch().fails(75);
}

/// Ids outlive a move: a person may put back what was delivered long ago.
#[test]
fn what_was_moved_and_comes_back_after_a_season_is_not_delivered_again() {
    let (office, _) = filled(3);
    office.configure("graph", "        after_fetch: move:Done\n");
    office.fetch().succeeds().says_nothing();
    office.change_state("UPDATE message SET changed_at = changed_at - 100 * 86400");
    office.fetch().succeeds().says_nothing();
    let done = office.m365.messages(SUPPORT, "Done");
    office
        .m365
        .move_message(SUPPORT, "Done", done[1].uid, "INBOX");
    // It is new to the delta, and to a full listing.
    let audited = || office.fetch().arg("--audit").succeeds();
    audited().shows("1 delivered").shows("0 pending");
    office.fetch().succeeds().says_nothing();
    audited().shows("1 delivered");
    office.m365.expire_deltas();
    office.fetch().succeeds().says_nothing();
    office.holds(0..3);
}

#[test]
fn one_message_that_cannot_be_moved_is_the_only_one_to_be_tried_again() {
    let (office, ids) = filled(5);
    office.configure("graph", "        after_fetch: move:Done\n");
    let faults = &office.m365.faults().graph;
    faults.next(
        99,
        &format!("{}/move", ids[2]),
        error(500, "ErrorItemSave", None),
    );
    office.fetch().fails(69);
    office.holds(0..5);
    assert_eq!(office.m365.messages(SUPPORT, "Done").len(), 4);
    let status = office.world.run(["status", "--json"]).succeeds().json();
    assert_eq!(status["mailboxes"][0]["unsettled"], 1);
    faults.heal();
    office.change_state("UPDATE message SET next_attempt = 0");
    office.fetch().succeeds().says_nothing();
    office.holds(0..5);
}

//! Delta queries that end, lead astray, or never end.

use super::Office;
use crate::standin::GraphFault;
use std::sync::atomic::Ordering::SeqCst;

#[test]
fn an_expired_delta_begins_anew_and_delivers_nothing_twice() {
    let office = Office::new("graph");
    for n in 0..5 {
        office.deliver("INBOX", n);
    }
    office.fetch().succeeds().says_nothing();
    office.m365.expire_deltas();
    office.deliver("INBOX", 5);
    office.fetch().succeeds().says_nothing();
    office.holds(0..6);
    assert_eq!(office.requests("$value"), 6);
    // The new state serves again.
    office.deliver("INBOX", 6);
    office.fetch().succeeds().says_nothing();
    office.holds(0..7);
}

/// Not every refusal of a link has the words of the documentation; a folder may have been replaced.
#[test]
fn a_link_that_is_not_taken_begins_anew_in_the_same_run() {
    let office = Office::new("graph");
    for n in 0..3 {
        office.deliver("INBOX", n);
    }
    office.fetch().succeeds().says_nothing();
    for (more, status, code) in [
        (3, 404, "ErrorItemNotFound"),
        (4, 400, "BadRequest"),
        (5, 400, "ErrorInvalidSyncStateData"),
    ] {
        office.deliver("INBOX", more);
        let refusal = GraphFault::Error(status, code, "Badly formed token.", None);
        office.m365.faults().graph.next(1, "/delta", refusal);
        office.fetch().succeeds().says_nothing();
        office.holds(0..more + 1);
    }
    // What is refused altogether is said.
    let refusal = GraphFault::Error(400, "BadRequest", "No.", None);
    office.m365.faults().graph.next(9, "/delta", refusal);
    office.fetch().fails(69).mentions("BadRequest: No.");
}

#[test]
fn what_others_do_to_messages_brings_none_of_them_again() {
    let office = Office::new("graph");
    office.configure("graph", "        after_fetch: seen\n");
    for n in 0..4 {
        office.deliver("INBOX", n);
    }
    office.fetch().succeeds().says_nothing();
    // Marking them read made them change; one of them goes away.
    office.m365.remove(super::SUPPORT, "INBOX", 1);
    office.fetch().succeeds().says_nothing();
    office.holds(0..4);
    assert_eq!(office.requests("$value"), 4);
}

#[test]
fn a_listing_without_end_ends() {
    let office = Office::new("graph");
    office.deliver("INBOX", 0);
    office.m365.faults().graph.endless.store(true, SeqCst);
    office
        .fetch()
        .fails(75)
        .mentions("lists messages without an end");
    assert!(office.requests("delta") < 10);
}

#[test]
fn a_listing_of_empty_pages_or_of_one_huge_page_ends() {
    let office = Office::new("graph");
    office.m365.faults().graph.always_more.store(true, SeqCst);
    office
        .fetch()
        .fails(75)
        .mentions("lists messages without an end");
    assert!(office.requests("delta") < 200);
    office.m365.faults().graph.always_more.store(false, SeqCst);

    let entry = |n: usize| format!("{{\"id\":\"A{n}\"}}");
    let entries: Vec<String> = (0..5001).map(entry).collect();
    let body = format!("{{\"value\":[{}]}}", entries.join(","));
    let page = GraphFault::Body(body.into_bytes());
    office.m365.faults().graph.next(1, "/delta", page);
    office
        .fetch()
        .fails(75)
        .mentions("lists messages without an end");
}

#[test]
fn the_token_is_not_taken_to_another_host() {
    let office = Office::new("graph");
    for n in 0..3 {
        office.deliver("INBOX", n);
    }
    let faults = &office.m365.faults().graph;
    faults.page.store(1, SeqCst);
    *faults.foreign_link.lock().unwrap() = Some("127.0.0.1".into());
    office.fetch().fails(69).mentions("a link to another host");
    assert_eq!(office.requests("delta"), 1);
}

#[test]
fn a_page_that_fails_is_asked_for_in_smaller_ones() {
    let office = Office::new("graph");
    for n in 0..60 {
        office.deliver("INBOX", n);
    }
    let error = GraphFault::Error(
        500,
        "ErrorInternalServerError",
        "An internal server error occurred.",
        None,
    );
    office.m365.faults().graph.next(1, "/delta", error);
    office.fetch().succeeds().says_nothing();
    office.holds(0..60);
    assert_eq!(office.requests("delta"), 3);
}

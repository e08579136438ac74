//! How much is asked of Graph at once, and what every failure can be found by at Microsoft.

use super::{Office, SUPPORT};
use crate::standin::GraphFault;
use crate::world::CLIENT_ID;
use std::sync::atomic::Ordering::SeqCst;

const MORE: [&str; 2] = ["sales@contoso.example", "info@contoso.example"];

/// An office of three mailboxes.
fn large_office(messages: usize) -> Office {
    let office = Office::new("graph");
    let mut more = String::new();
    for address in MORE {
        office.m365.add_user(crate::standin::User {
            address: address.into(),
            ..Default::default()
        });
        office.m365.add_mailbox(address);
        office.m365.grant(CLIENT_ID, address);
        more += &format!(
            "      - address: {address}\n        server: in\n        deliver: maildir:{}\n",
            office.world.path("mail").display()
        );
    }
    let config = office.world.config();
    office.world.write_config(format!("{config}{more}"));
    for n in 0..messages {
        let bytes = office.deliver("INBOX", n);
        for address in MORE {
            office.m365.deliver(address, "INBOX", &bytes);
        }
    }
    office
}

#[test]
fn no_mailbox_is_asked_for_more_than_four_things_at_once() {
    let office = large_office(40);
    office.m365.faults().graph.latency.store(5, SeqCst);
    office
        .world
        .run(["fetch", "--jobs", "3"])
        .succeeds()
        .says_nothing();
    assert_eq!(office.delivered().len(), 120);
    let most = office.m365.faults().graph.most_at_once.load(SeqCst);
    assert!((2..=4).contains(&most), "{most} at once");
    let log = office.m365.log();
    assert!(!log.iter().any(|line| line.starts_with("HTTP > 429")));
}

/// Somebody else uses the mailbox, too: the same app that sends, or another program.
#[test]
fn a_mailbox_that_serves_fewer_is_asked_for_fewer() {
    for serves in [1, 2] {
        let office = Office::new("graph");
        for n in 0..60 {
            office.deliver("INBOX", n);
        }
        let faults = &office.m365.faults().graph;
        faults.concurrency.store(serves, SeqCst);
        faults.latency.store(5, SeqCst);
        office.fetch().succeeds().says_nothing();
        office.holds(0..60);
        let refused = office.m365.log();
        let refused = refused
            .iter()
            .filter(|l| l.starts_with("HTTP > 429"))
            .count();
        assert!(
            (1..10).contains(&refused),
            "{refused} refusals where {serves} is served"
        );
    }
}

#[test]
fn sending_waits_while_others_use_the_mailbox() {
    let office = Office::new("graph");
    let words = "Application is over its MailboxConcurrency limit.";
    for code in ["ApplicationThrottled", "activityLimitReached"] {
        let fault = GraphFault::Error(429, code, words, Some(1));
        office.m365.faults().graph.next(2, "sendMail", fault);
        let message = format!("From: {SUPPORT}\nTo: a@fabrikam.example\n\nhello\n");
        office
            .world
            .run(["send", "-t"])
            .stdin(message)
            .succeeds()
            .says_nothing();
    }
    assert_eq!(office.m365.submitted().len(), 2);
    // Some answer so with the status of a refusal for good.
    let fault = GraphFault::Error(403, "activityLimitReached", words, Some(600));
    office.m365.faults().graph.next(1, "/inbox", fault);
    office.fetch().fails(75).mentions("requests a wait");
    let asked = office.requests("/v1.0/");
    office.world.run(["fetch", "support"]).fails(75);
    assert_eq!(office.requests("/v1.0/"), asked, "the wait is remembered");
}

#[test]
fn every_failure_can_be_found_by_its_id() {
    let error = |status, code| GraphFault::Error(status, code, "Words.", None);
    let message = format!("From: {SUPPORT}\nTo: a@fabrikam.example\n\nhello\n");
    for (path, fault) in [
        ("/inbox", error(403, "ErrorAccessDenied")),
        ("/inbox", error(500, "ErrorInternalServerError")),
        ("/inbox", GraphFault::Html(502)),
        ("/inbox", GraphFault::Cut(10)),
        ("/inbox", GraphFault::Close),
        ("/delta", error(400, "ErrorInvalidUrlQuery")),
        ("/delta", GraphFault::Cut(30)),
        ("$value", error(500, "ErrorContentConversionFailed")),
        ("$value", error(400, "Odd")),
        ("$value", GraphFault::Html(504)),
        ("$value", GraphFault::Cut(20)),
        ("$value", GraphFault::Close),
        ("$batch", error(500, "ErrorInternalServerError")),
        ("/messages/", error(403, "ErrorAccessDenied")),
        ("sendMail", error(403, "ErrorSendAsDenied")),
        ("sendMail", error(500, "ErrorInternalServerError")),
        ("sendMail", GraphFault::Html(504)),
        ("sendMail", GraphFault::ActThenClose),
    ] {
        let office = Office::new("graph");
        office.configure("graph", "        after_fetch: seen\n");
        office.deliver("INBOX", 0);
        office.m365.faults().graph.next(9, path, fault.clone());
        let ran = match path {
            "sendMail" => office.world.run(["send", "-t"]).stdin(&message).ends(),
            _ => office.fetch().ends(),
        };
        assert_ne!(ran.code, 0, "{path} {fault:?}: {ran}");
        assert!(
            ran.stderr.contains("request-id "),
            "{path} {fault:?}: {ran}"
        );
    }
}

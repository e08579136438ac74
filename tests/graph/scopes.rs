//! Whom a refusal is about: a message, the mailbox, or nobody. What it is not about goes on.

use super::{Office, SUPPORT};
use crate::standin::{GraphFault, folder_id};

const DUE: &str = "UPDATE message SET next_attempt = 0 WHERE state = 'failed'";

fn error(status: u16, code: &'static str, wait: Option<u64>) -> GraphFault {
    GraphFault::Error(status, code, "Words of the server.", wait)
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

fn quarantined(office: &Office) -> usize {
    let list = office.world.run(["quarantine", "list", "--json"]);
    let list = list.succeeds().json()["quarantine"].clone();
    list.as_array().unwrap().len()
}

#[test]
fn whatever_a_message_is_refused_with_the_others_come_and_it_is_quarantined() {
    for (status, code, wait) in [
        (401, "InvalidAuthenticationToken", None),
        (403, "ErrorAccessDenied", None),
        (404, "ErrorItemNotFound", None),
        (404, "ErrorInvalidUser", None),
        (404, "", None),
        (410, "SyncStateNotFound", None),
        (412, "ErrorIrresolvableConflict", None),
        (423, "", None),
        (429, "ApplicationThrottled", Some(300)),
        (503, "serviceNotAvailable", Some(60)),
        (500, "ErrorItemCorrupt", None),
        (507, "x", None),
    ] {
        let (office, ids) = deleting(3);
        let faults = &office.m365.faults().graph;
        let value = format!("{}/$value", ids[1]);
        faults.next(99, &value, error(status, code, wait));
        office.fetch().fails(75);
        office.holds([0, 2]);
        assert_eq!(office.m365.graph_ids(SUPPORT, "INBOX"), [ids[1].clone()]);
        // What comes later is not kept waiting either.
        office.deliver("INBOX", 3);
        office.fetch().succeeds();
        office.holds([0, 2, 3]);
        for _ in 0..7 {
            office.change_state(DUE);
            office.fetch().ends();
        }
        assert_eq!(quarantined(&office), 1, "{status} {code}");
        assert_eq!(office.m365.graph_ids(SUPPORT, "INBOX"), [ids[1].clone()]);
    }
}

#[test]
fn a_state_of_the_whole_mailbox_counts_against_no_message() {
    let folder = format!("={}", folder_id("INBOX"));
    for (status, code, code_tells) in [
        (500, "ErrorMailboxMoveInProgress", true),
        (503, "ErrorMailboxFailover", true),
        (500, "ErrorConnectionFailedTransientError", true),
        (500, "ErrorADUnavailable", true),
        (412, "", false),
        (421, "", false),
        (423, "", false),
        (425, "", false),
        (500, "ErrorInternalServerError", false),
    ] {
        let (office, ids) = deleting(2);
        let faults = &office.m365.faults().graph;
        for path in ["$value", "/delta", "/mailFolders/inbox"] {
            faults.next(99, path, error(status, code, None));
            if !code_tells {
                faults.next(99, &folder, error(status, code, None));
            }
            office.fetch().fails(75);
            faults.heal();
        }
        // What had failed would be tried again in a minute only.
        assert_eq!(office.m365.graph_ids(SUPPORT, "INBOX"), ids);
        office.fetch().succeeds().says_nothing();
        office.holds(0..2);
    }
}

#[test]
fn one_message_that_cannot_be_settled_keeps_no_other_back() {
    for (after, path, left) in [
        ("seen", "", 5),
        ("delete", "", 1),
        ("move:Done", "/move", 1),
    ] {
        for (status, code) in [
            (401, "InvalidAuthenticationToken"),
            (403, "ErrorAccessDenied"),
            (404, "ErrorInvalidUser"),
            (412, ""),
            (429, "ApplicationThrottled"),
            (500, "ErrorItemSave"),
        ] {
            let office = Office::new("graph");
            office.m365.add_folder(SUPPORT, "Later");
            for n in 0..5 {
                office.deliver("INBOX", n);
            }
            office.deliver("Later", 5);
            let ids = office.m365.graph_ids(SUPPORT, "INBOX");
            let keys = format!("        after_fetch: {after}\n        folders: [INBOX, Later]\n");
            office.configure("graph", &keys);
            let faults = &office.m365.faults().graph;
            let refused = format!("={}/messages/{}{path}", folder_id("INBOX"), ids[2]);
            faults.next(99, &refused, error(status, code, Some(60)));
            for again in [false, true] {
                if again {
                    // For a while the server is not told again.
                    office.fetch().succeeds().says_nothing();
                    office.change_state("UPDATE message SET next_attempt = 0");
                }
                let ran = office.fetch().ends();
                assert!(
                    matches!(ran.code, 67 | 69 | 75 | 77),
                    "{after} {status}: {ran}"
                );
                let status = office.world.run(["status", "--json"]).succeeds().json();
                assert_eq!(status["mailboxes"][0]["unsettled"], 1, "{after} {code}");
                assert_eq!(office.m365.messages(SUPPORT, "INBOX").len(), left);
            }
            let later = office.m365.messages(SUPPORT, "Later");
            let is_settled = match after {
                "seen" => later[0].flags == ["\\Seen"],
                _ => later.is_empty(),
            };
            assert!(is_settled, "{after} {status} {code}");
            office.holds(0..6);
            // Those that come later are settled though it is not.
            office.deliver("INBOX", 6);
            office.fetch().succeeds().says_nothing();
            assert_eq!(
                office.m365.messages(SUPPORT, "INBOX").len(),
                left + usize::from(after == "seen")
            );
            faults.heal();
            office.change_state("UPDATE message SET next_attempt = 0");
            office.fetch().succeeds().says_nothing();
            let status = office.world.run(["status", "--json"]).succeeds().json();
            assert_eq!(status["mailboxes"][0]["unsettled"], 0);
        }
    }
}

#[test]
fn a_part_of_a_batch_without_an_answer_or_with_an_error_in_it_is_not_done() {
    let (office, ids) = deleting(2);
    let faults = &office.m365.faults().graph;
    let path = format!("={}/messages/{}", folder_id("INBOX"), ids[0]);
    let body = r#"{"error":{"code":"ErrorItemSave","message":"x"}}"#;
    faults.next(99, &path, GraphFault::Instead("application/json", body));
    office.fetch().fails(69).mentions("ErrorItemSave: x");
    assert_eq!(office.m365.graph_ids(SUPPORT, "INBOX"), [ids[0].clone()]);
    office.holds(0..2);
}

#[test]
fn what_passes_is_sent_later_and_kept() {
    let text = format!("From: {SUPPORT}\nTo: a@fabrikam.example\nSubject: x\n\nx\n");
    for (status, code) in [
        (500, "ErrorMailboxMoveInProgress"),
        (500, "ErrorMailboxFailover"),
        (503, "ErrorConnectionFailedTransientError"),
        (500, "ErrorADUnavailable"),
        (403, "ErrorMessageSubmissionBlocked"),
        (412, ""),
        (421, ""),
        (423, "ErrorLocked"),
        (425, ""),
    ] {
        let office = Office::new("graph");
        let faults = &office.m365.faults().graph;
        faults.next(2, "/sendMail", error(status, code, None));
        let send = || office.world.run(["send", "-t"]).stdin(text.clone());
        let ran = send().fails(75);
        assert!(!ran.stderr.contains("no permission"), "{code}: {ran}");
        send().arg("--outbox").succeeds();
        assert!(office.m365.submitted().is_empty(), "{status} {code}");
        let kept = office.world.run(["outbox", "list", "--json"]).succeeds();
        assert_eq!(kept.stdout.matches("\"id\"").count(), 1, "{kept}");
        office.change_state("UPDATE outbox SET next_attempt = 0");
        office.world.run(["outbox", "flush"]).succeeds();
        assert_eq!(office.m365.submitted().len(), 1, "{status} {code}");
    }
}

#[test]
fn a_throttled_folder_ends_the_run_and_charges_nobody() {
    let (office, ids) = deleting(3);
    let faults = &office.m365.faults().graph;
    let throttled = || error(429, "ApplicationThrottled", Some(300));
    faults.next(9, &ids[1], throttled());
    faults.next(9, &format!("={}", folder_id("INBOX")), throttled());
    office.fetch().fails(75).mentions("requests a wait");
    faults.heal();
    office.change_state("DELETE FROM wait");
    office.fetch().succeeds().says_nothing();
    office.holds(0..3);
}

//! `check --boundary`: being refused is good, and proves something.

use super::{OBJECT_ID, SUPPORT, check, office, person, steps};
use crate::tokens::CLIENT;

const CEO: &str = "ceo@contoso.com";

#[test]
fn a_closed_mailbox_is_a_tick() {
    let home = office();
    home.standin.add_mailbox(CEO);
    let json = check(&home, &["--boundary", CEO], 0);
    assert_eq!(json["checked"].as_array().unwrap().len(), 1);
    let last = steps(&json).last().unwrap();
    assert_eq!(last["step"], "refused");
    assert_eq!(last["result"], "passed");
}

#[test]
fn an_open_mailbox_is_a_cross_with_the_remedy() {
    let home = office();
    home.standin.add_mailbox(CEO);
    home.standin.grant(CLIENT, CEO);
    let json = check(
        &home,
        &["support", "--boundary", "cfo@contoso.com", CEO],
        77,
    );
    let checked = json["checked"].as_array().unwrap();
    assert_eq!(checked.len(), 3);
    assert_eq!(checked[0]["name"], SUPPORT);
    assert_eq!(checked[1]["ok"], true);
    let open = checked[2]["steps"].as_array().unwrap().last().unwrap();
    assert_eq!(
        open["verdict"]["sentence"],
        format!(
            "app `{CLIENT}` of server `Contoso` can open mailbox `{CEO}`: Exchange should refuse the app there; fix, by an Exchange administrator: Remove-MailboxPermission -Identity {CEO} -User {OBJECT_ID} -AccessRights FullAccess"
        )
    );
}

/// An app that is refused everywhere proves nothing.
#[test]
fn a_refusal_of_a_broken_app_proves_nothing() {
    let home = office();
    home.standin.revoke(CLIENT, SUPPORT);
    let json = check(&home, &["--boundary", CEO], 77);
    let own = super::first_cross(&json);
    assert_eq!(own["step"], "own mailbox");
    let verdict = own["verdict"].to_string();
    assert!(
        verdict.contains(&format!("-Identity {SUPPORT}")),
        "{verdict}"
    );
    assert!(!verdict.contains(CEO), "no remedy opens it: {verdict}");
    assert_eq!(steps(&json).last().unwrap()["result"], "not-reached");
}

#[test]
fn a_person_has_a_boundary_too() {
    let home = person();
    home.standin.add_mailbox(CEO);
    check(&home, &["--boundary", CEO], 0);
    home.standin.grant_user("eva@contoso.com", CEO);
    let json = check(&home, &["--boundary", CEO], 77);
    let sentence = super::first_cross(&json)["verdict"]["sentence"]
        .as_str()
        .unwrap();
    assert!(
        sentence.ends_with("-User eva@contoso.com -AccessRights FullAccess"),
        "{sentence}"
    );
}

#[test]
fn a_network_fault_is_no_proof() {
    let home = office();
    super::rewrite(&home, &home.standin.imap_url(), "imaps://localhost:1");
    check(&home, &["--boundary", CEO], 75);
}

#[test]
fn our_own_mailbox_is_no_boundary() {
    office()
        .run(&["check", "--boundary", SUPPORT])
        .fails(64)
        .mentions("is an address of queue `support`, which queuemail must be able to read");
}

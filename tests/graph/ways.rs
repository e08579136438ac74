//! `via: auto`: the way that is open is found, remembered, and looked for again when it fails.

use super::{Office, SUPPORT};

#[test]
fn the_permission_decides() {
    let office = Office::with_roles("auto", vec!["Mail.ReadWrite"]);
    office.deliver("INBOX", 0);
    office
        .world
        .run(["fetch", "-v"])
        .succeeds()
        .mentions("is read by graph: the token has Mail.ReadWrite")
        .mentions("imap did not: the token has no permission for imap");
    office.holds([0]);
    assert!(!office.m365.log().iter().any(|l| l.starts_with("IMAP")));
    // It is remembered: no second token for the way that is closed.
    let asked = office.m365.token_requests().len();
    office.deliver("INBOX", 1);
    office.fetch().succeeds().says_nothing();
    office.holds([0, 1]);
    assert_eq!(office.m365.token_requests().len(), asked);

    let office = Office::with_roles("auto", vec!["IMAP.AccessAsApp"]);
    office.deliver("INBOX", 0);
    office
        .world
        .run(["fetch", "-v"])
        .succeeds()
        .mentions("is read by imap: the token has IMAP.AccessAsApp");
    office.holds([0]);
}

#[test]
fn a_way_that_is_closed_for_the_mailbox_is_passed_over() {
    let office = Office::new("auto");
    office.deliver("INBOX", 0);
    office.m365.set_imap_enabled(SUPPORT, false);
    office
        .world
        .run(["fetch", "-v"])
        .succeeds()
        .mentions("is read by graph")
        .mentions("imap did not: BAD User is authenticated but not connected.");
    office.holds([0]);
}

#[test]
fn a_way_that_fails_is_looked_for_again_and_nothing_comes_twice() {
    let office = Office::new("auto");
    office.deliver("INBOX", 0);
    office
        .world
        .run(["fetch", "-v"])
        .succeeds()
        .mentions("is read by imap");
    office.m365.set_imap_enabled(SUPPORT, false);
    office.deliver("INBOX", 1);
    office.fetch().succeeds().says_nothing();
    office.holds([0, 1]);
    office.m365.set_imap_enabled(SUPPORT, true);
    let denied = &office.m365.faults().graph.denied;
    denied.lock().unwrap().insert(SUPPORT.into());
    office.deliver("INBOX", 2);
    office.fetch().succeeds().says_nothing();
    office.holds([0, 1, 2]);
}

#[test]
fn a_closed_mailbox_is_told_with_both_reasons() {
    let office = Office::new("auto");
    office.m365.set_imap_enabled(SUPPORT, false);
    let denied = &office.m365.faults().graph.denied;
    denied.lock().unwrap().insert(SUPPORT.into());
    office
        .fetch()
        .fails(77)
        .mentions("neither by imap nor by graph (ErrorAccessDenied")
        .mentions("BAD User is authenticated but not connected.");
}

/// RBAC for Applications: the token of the app names no permission, Exchange gives one.
#[test]
fn a_role_in_exchange_opens_graph_though_no_token_names_it() {
    let office = Office::with_roles("auto", vec![]);
    let given = &office.m365.faults().graph.given_by_exchange;
    office.deliver("INBOX", 0);
    office
        .fetch()
        .fails(77)
        .mentions("neither by imap nor by graph")
        .mentions("the token has no permission for imap");
    given.lock().unwrap().insert(SUPPORT.into());
    office.world.run(["fetch", "-v"]).succeeds().mentions(
        "is read by graph: the token contains no permission, Exchange grants one (RBAC for Applications)",
    );
    office.holds([0]);
    // It is remembered, and looked for again when it is taken away.
    office.deliver("INBOX", 1);
    office.fetch().succeeds().says_nothing();
    given.lock().unwrap().clear();
    office.deliver("INBOX", 2);
    office.fetch().fails(77).mentions("ErrorAccessDenied");
    office.holds([0, 1]);
    assert!(!office.m365.log().iter().any(|l| l.starts_with("IMAP")));
}

#[test]
fn a_role_in_exchange_lets_send_what_no_token_names() {
    let office = Office::with_roles("auto", vec![]);
    let message = format!("From: {SUPPORT}\nTo: a@fabrikam.example\nSubject: x\n\nx\n");
    let send = || office.world.run(["send", "-t"]).stdin(message.clone());
    send().fails(77).mentions("ErrorAccessDenied");
    assert!(office.m365.submitted().is_empty());
    // What only a message would show is no success of `check`.
    let checked = office.world.run(["check"]).fails(77);
    let words = "unless Exchange grants it (RBAC for Applications), which shows only when a message is sent";
    assert!(checked.stdout.contains(words), "{}", checked.stdout);
    let given = &office.m365.faults().graph.given_by_exchange;
    given.lock().unwrap().insert(SUPPORT.into());
    send().succeeds().says_nothing();
    assert_eq!(office.m365.submitted().len(), 1);
    let checked = office.world.run(["check", "-v"]).succeeds();
    let shown = format!("{}{}", checked.stdout, checked.stderr);
    assert!(
        shown.contains("a message was accepted although the token contains no permission"),
        "{shown}"
    );
}

/// The database cannot take note of that. The message is accepted all the same, and must not be sent
/// again.
#[test]
fn a_message_that_was_accepted_is_whatever_cannot_be_put_on_record() {
    let office = Office::with_roles("auto", vec![]);
    office
        .m365
        .faults()
        .graph
        .given_by_exchange
        .lock()
        .unwrap()
        .insert(SUPPORT.into());
    let send = |args: &[&str]| {
        let message = format!("From: {SUPPORT}\nTo: a@fabrikam.example\nSubject: x\n\nx\n");
        let run = office.world.run(["send", "-t"]).args(args);
        run.stdin(message).succeeds()
    };
    office.world.run(["outbox", "list"]).succeeds();
    office.change_state(
        "CREATE TRIGGER full BEFORE INSERT ON way WHEN NEW.ground = 'proven'
         BEGIN SELECT RAISE(FAIL, 'the disk is full'); END",
    );
    for (n, args) in [&[][..], &["--outbox"]].into_iter().enumerate() {
        send(args).mentions("warning: cannot remember the way: ");
        assert_eq!(office.m365.submitted().len(), n + 1, "{args:?}");
    }
    let left = office.world.run(["outbox", "list", "--json"]).succeeds();
    assert_eq!(left.json()["outbox"], serde_json::json!([]), "{left}");
}

//! The main job by Graph: fetch, and what happens to the messages afterwards.

use super::{Office, SUPPORT};
use std::sync::atomic::Ordering::SeqCst;

#[test]
fn mail_is_delivered_octet_for_octet_and_once() {
    let office = Office::new("graph");
    for n in 0..25 {
        office.deliver("INBOX", n);
    }
    office.m365.faults().graph.page.store(7, SeqCst);
    office.fetch().succeeds().says_nothing();
    office.holds(0..25);
    let asked = office.requests("$value");
    assert_eq!(asked, 25);
    let most = office.m365.faults().graph.most_at_once.load(SeqCst);
    assert!((2..=4).contains(&most), "{most} at once");

    office.fetch().succeeds().says_nothing();
    office.deliver("INBOX", 25);
    office.fetch().succeeds().says_nothing();
    office.holds(0..26);
    assert_eq!(office.requests("$value"), 26);
    assert_eq!(office.m365.token_requests().len(), 1);
    assert_eq!(office.requests("IMAP"), 0);
}

#[test]
fn json_names_each_message_and_audit_accounts_for_all() {
    let office = Office::new("graph");
    for n in 0..3 {
        office.deliver("INBOX", n);
    }
    let ids = office.m365.graph_ids(SUPPORT, "INBOX");
    let ran = office.world.run(["fetch", "--json"]).succeeds();
    let lines: Vec<serde_json::Value> = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let mut told: Vec<&str> = lines[..3]
        .iter()
        .filter_map(|l| l["uid"].as_str())
        .collect();
    told.sort_unstable();
    let mut expected: Vec<&str> = ids.iter().map(String::as_str).collect();
    expected.sort_unstable();
    assert_eq!(told, expected);
    assert_eq!(lines[3]["fetched"], 3);
    office.deliver("INBOX", 3);
    office.world.run(["fetch", "--audit"]).succeeds();
}

#[test]
fn a_dry_run_lists_in_order_of_arrival_and_changes_nothing() {
    let office = Office::new("graph");
    for n in [2, 0, 1] {
        office.deliver("INBOX", n);
    }
    let arrived = office.m365.graph_ids(SUPPORT, "INBOX");
    let ran = office
        .world
        .run(["fetch", "--dry-run", "--json"])
        .succeeds();
    let in_order = [&arrived[1], &arrived[2], &arrived[0]];
    assert_eq!(ran.json()["uids"], serde_json::json!(in_order));
    office.holds([]);
}

#[test]
fn messages_are_marked_moved_or_deleted_when_that_is_asked_for() {
    let office = Office::new("graph");
    for n in 0..45 {
        office.deliver("INBOX", n);
    }
    office.configure("graph", "        after_fetch: seen\n");
    office.fetch().succeeds().says_nothing();
    let inbox = office.m365.messages(SUPPORT, "INBOX");
    assert!(inbox.iter().all(|m| m.flags == ["\\Seen"]));
    // Twenty in a batch.
    assert_eq!(office.requests("$batch"), 3);

    office.configure("graph", "        after_fetch: move:Done/2026\n");
    for n in 45..48 {
        office.deliver("INBOX", n);
    }
    office.fetch().succeeds().says_nothing();
    assert_eq!(office.m365.messages(SUPPORT, "INBOX").len(), 45);
    assert_eq!(office.m365.messages(SUPPORT, "Done/2026").len(), 3);

    office.configure("graph", "        after_fetch: delete\n");
    office.deliver("INBOX", 48);
    office.fetch().succeeds().says_nothing();
    assert_eq!(office.m365.messages(SUPPORT, "INBOX").len(), 45);
    assert_eq!(office.m365.messages(SUPPORT, "Deleted Items").len(), 0);
    office.holds(0..49);
}

#[test]
fn a_server_that_says_so_and_does_nothing_is_found_out() {
    let office = Office::new("graph");
    office.configure("graph", "        after_fetch: seen\n");
    office.deliver("INBOX", 0);
    office.m365.faults().graph.idle.store(true, SeqCst);
    office.fetch().fails(75).mentions("1 of 1 are unchanged");
    office.m365.faults().graph.idle.store(false, SeqCst);
    office.change_state("UPDATE message SET next_attempt = 0");
    office.fetch().succeeds().says_nothing();
    assert_eq!(office.m365.messages(SUPPORT, "INBOX")[0].flags, ["\\Seen"]);
    office.holds([0]);
}

#[test]
fn folders_are_found_by_well_known_name_and_by_path() {
    let office = Office::new("graph");
    office.m365.add_folder(SUPPORT, "Kunden");
    office.m365.add_folder(SUPPORT, "Kunden/O'Neil & Söhne");
    office.m365.add_folder(SUPPORT, "INBOX/Later");
    office.deliver("Junk Email", 1);
    office.deliver("Kunden/O'Neil & Söhne", 2);
    office.deliver("INBOX/Later", 3);
    office.configure(
        "graph",
        "        folders: [junk email, \"Kunden/O'Neil & Söhne\", inbox/later]\n",
    );
    office.fetch().succeeds().says_nothing();
    office.holds([1, 2, 3]);

    office.configure("graph", "        folders: [Kunde]\n");
    office
        .fetch()
        .fails(78)
        .mentions("no folder `Kunde` in mailbox")
        .mentions("did you mean `Kunden`");
}

#[test]
fn since_takes_only_what_came_on_or_after_that_day() {
    let office = Office::new("graph");
    let day = 1_790_000_000 - 1_790_000_000 % 86_400;
    for (n, received) in [(0, day - 1), (1, day), (2, day + 90_000)] {
        let bytes = super::message(n);
        office
            .m365
            .deliver_with(SUPPORT, "INBOX", &bytes, &[], received);
    }
    let date = jiff_date(day);
    office
        .world
        .run(["fetch", "--since", &date])
        .succeeds()
        .says_nothing();
    office.holds([1, 2]);
    office.fetch().succeeds();
    office.holds([0, 1, 2]);
}

fn jiff_date(seconds: i64) -> String {
    let time = jiff::Timestamp::from_second(seconds).unwrap();
    time.strftime("%Y-%m-%d").to_string()
}

#[test]
fn the_trace_shows_each_call_and_no_token() {
    let office = Office::new("graph");
    office.deliver("INBOX", 0);
    let ran = office.world.run(["fetch", "-vv"]).succeeds();
    let token = office
        .m365
        .issue_token(crate::world::CLIENT_ID, crate::standin::GRAPH);
    let header = token.split('.').next().unwrap().to_owned();
    ran.mentions("graph > GET /v1.0/users/support@contoso.example/mailFolders/inbox")
        .mentions("request-id")
        .hides(&header)
        .hides("Bearer e");
}

#[test]
fn a_person_reads_and_sends_by_graph_with_delegated_permissions() {
    let office = Office::new("graph");
    office.m365.add_app(crate::standin::App {
        client_id: crate::world::CLIENT_ID.into(),
        public: true,
        ..Default::default()
    });
    let password = "correct horse battery staple";
    let config = office.world.config();
    let config = config
        .replace(
            "authentication: oauth-service",
            "authentication: oauth-user",
        )
        .replace("    secret: s3cret~+&=\n", "")
        .replace(
            "        server: in\n",
            &format!("        server: in\n        password: {password}\n"),
        );
    office.world.write_config(config);
    office.deliver("INBOX", 0);
    office.fetch().succeeds().says_nothing();
    office.holds([0]);
    office
        .world
        .run(["send", "-t"])
        .stdin(format!(
            "From: {SUPPORT}\nTo: a@fabrikam.example\n\nhello\n"
        ))
        .succeeds()
        .says_nothing();
    assert_eq!(
        office.m365.submitted()[0].recipients,
        ["a@fabrikam.example"]
    );
    let scopes: Vec<String> = office
        .m365
        .token_requests()
        .into_iter()
        .map(|request| request.scope)
        .collect();
    assert_eq!(
        scopes,
        [
            "https://graph.microsoft.com/Mail.ReadWrite offline_access",
            "https://graph.microsoft.com/Mail.Send offline_access"
        ]
    );
}

//! IMAP by hand: sign-in in all its outcomes, reading, marking, moving, and the faults.

use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use super::client::{Client, Tls, tcp, tls, xoauth2};
use super::{APP, SALES, SUPPORT, furnished};
use crate::standin::{EXCHANGE, GRAPH, ImapFault, Standin, UidFault};

const MAIL: &str = "From: a@fabrikam.example\r\nSubject: One\r\n\r\nHello\r\n";

fn open(m365: &Standin) -> Client<Tls> {
    let mut client = tls(m365, tcp(m365.imap_port()));
    assert!(
        client
            .line()
            .starts_with("* OK The Microsoft Exchange IMAP4 service is ready. [")
    );
    client
}

fn sign_in(m365: &Standin, user: &str) -> Client<Tls> {
    let mut client = open(m365);
    let response = xoauth2(user, &m365.issue_token(APP, EXCHANGE));
    let reply = client.imap(&format!("AUTHENTICATE XOAUTH2 {response}"));
    assert_eq!(reply, "a OK AUTHENTICATE completed.\n");
    client
}

#[test]
fn sign_in_has_exchange_s_outcomes() {
    let m365 = furnished();
    let refused = "a NO AUTHENTICATE failed.\n";
    let wrong = [
        xoauth2(SUPPORT, &m365.issue_token(APP, GRAPH)),
        xoauth2("nobody@contoso.example", &m365.issue_token(APP, EXCHANGE)),
        xoauth2(SUPPORT, "nonsense"),
        "!!!".to_string(),
    ];
    for response in wrong {
        let mut client = open(&m365);
        let reply = client.imap(&format!("AUTHENTICATE XOAUTH2 {response}"));
        assert_eq!(reply, refused);
    }
    // Two steps.
    let mut client = open(&m365);
    client.send("a AUTHENTICATE XOAUTH2");
    assert_eq!(client.line(), "+");
    client.send(&xoauth2(SUPPORT, &m365.issue_token(APP, EXCHANGE)));
    assert_eq!(client.line(), "a OK AUTHENTICATE completed.");
    // Without a right on the mailbox.
    m365.revoke(APP, SUPPORT);
    let mut client = sign_in(&m365, SUPPORT);
    assert!(
        client
            .imap("SELECT INBOX")
            .starts_with("a BAD User is authenticated but not connected.")
    );
    assert_eq!(client.line(), "* BYE Connection closed. 14");
    assert!(client.is_over());
    assert_eq!(open(&m365).imap("LOGIN a b"), "a NO LOGIN failed.\n");
}

#[test]
fn a_mailbox_is_read_marked_and_emptied() {
    let m365 = furnished();
    let uid = m365.deliver(SUPPORT, "INBOX", MAIL.as_bytes());
    m365.deliver(SUPPORT, "INBOX", b"Subject: Two\r\n\r\n.\r\n");
    let mut client = sign_in(&m365, SUPPORT);
    let list = client.imap("LIST \"\" \"*\"");
    assert!(list.contains("\"/\" INBOX"), "{list}");
    assert!(list.contains("\\Sent) \"/\" \"Sent Items\""), "{list}");
    let status = client.imap("STATUS INBOX (MESSAGES UIDNEXT UNSEEN)");
    assert!(
        status.contains("(MESSAGES 2 UIDNEXT 3 UNSEEN 2)"),
        "{status}"
    );
    let select = client.imap("SELECT INBOX");
    assert!(
        select.contains("* 2 EXISTS") && select.contains("[READ-WRITE]"),
        "{select}"
    );
    assert!(client.imap("UID SEARCH ALL").starts_with("* SEARCH 1 2\n"));
    assert!(
        client
            .imap("UID SEARCH UID 2:* UNSEEN SINCE 1-Jan-2020")
            .starts_with("* SEARCH 2\n")
    );
    assert!(
        client
            .imap("UID SEARCH KEYWORD x")
            .contains("BAD Command Argument Error. 11")
    );
    let body = client.imap(&format!("UID FETCH {uid} (UID BODY.PEEK[])"));
    let expected = format!("* 1 FETCH (UID 1 BODY[] {{{}}}\n", MAIL.len());
    assert!(body.starts_with(&expected), "{body}");
    assert!(body.contains("Hello\n"));
    let part = client.imap("UID FETCH 1 BODY.PEEK[HEADER.FIELDS (Subject)]<0.9>");
    assert!(
        part.contains("BODY[HEADER.FIELDS (Subject)]<0> {9}\nSubject: )"),
        "{part}"
    );
    let size = client.imap("FETCH 1 RFC822.SIZE");
    assert!(!size.contains(&format!("SIZE {})", MAIL.len())), "{size}");
    assert!(m365.messages(SUPPORT, "INBOX")[0].flags.is_empty());
    client.imap("UID FETCH 1 BODY[]");
    assert_eq!(m365.messages(SUPPORT, "INBOX")[0].flags, ["\\Seen"]);
    let stored = client.imap("UID STORE 2 +FLAGS (\\Flagged custom)");
    assert!(stored.contains("FLAGS (\\Flagged) UID 2"), "{stored}");
    assert!(
        client
            .imap("UID COPY 1 Archive")
            .contains("OK [COPYUID 1001 1 1] COPY completed.")
    );
    let moved = client.imap("UID MOVE 1 \"Deleted Items\"");
    assert!(
        moved.contains("[COPYUID 1002 1 1]") && moved.contains("* 1 EXPUNGE"),
        "{moved}"
    );
    client.imap("UID STORE 2 +FLAGS.SILENT (\\Deleted)");
    assert!(client.imap("UID EXPUNGE 2").contains("* 1 EXPUNGE"));
    assert!(m365.messages(SUPPORT, "INBOX").is_empty());
    assert!(client.imap("LOGOUT").contains("* BYE"));
}

#[test]
fn folders_have_names_in_any_language() {
    let m365 = furnished();
    let mut client = sign_in(&m365, SUPPORT);
    client.imap("CREATE \"&AMk-l&AOk-ments &- envoy&AOk-s\"");
    assert!(
        m365.folders(SUPPORT)
            .contains(&"Éléments & envoyés".to_string())
    );
    assert!(
        client
            .imap("LIST \"\" \"&AMk-*\"")
            .contains("\"&AMk-l&AOk-ments &- envoy&AOk-s\"")
    );
    client.send_raw(b"a APPEND INBOX (\\Seen) {3+}\r\nabc\r\n");
    assert!(client.imap_reply().contains("[APPENDUID 1000 1]"));
    client.send_raw(b"a APPEND INBOX {3}\r\n");
    assert!(client.line().starts_with("+ "));
    client.send("def");
    assert!(client.imap_reply().contains("[APPENDUID 1000 2]"));
    assert_eq!(m365.messages(SUPPORT, "INBOX")[1].bytes, b"def");
}

#[test]
fn ten_thousand_messages_come_quickly() {
    let m365 = furnished();
    for _ in 0..10_000 {
        m365.deliver(SUPPORT, "INBOX", MAIL.as_bytes());
    }
    let mut client = sign_in(&m365, SUPPORT);
    client.imap("SELECT INBOX");
    let start = Instant::now();
    let all = client.imap("UID FETCH 1:* (UID FLAGS BODY.PEEK[])");
    assert_eq!(all.matches(" FETCH (UID ").count(), 10_000);
    assert!(
        start.elapsed() < Duration::from_secs(60),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn faults_come_when_ordered() {
    let m365 = furnished();
    for _ in 0..3 {
        m365.deliver(SUPPORT, "INBOX", MAIL.as_bytes());
    }
    let faults = m365.faults();
    let mut client = sign_in(&m365, SUPPORT);
    client.imap("SELECT INBOX");
    faults.imap_uid(SUPPORT, 1, UidFault::NoData);
    faults.imap_uid(SUPPORT, 2, UidFault::Placeholder);
    assert_eq!(
        client.imap("UID FETCH 1 BODY.PEEK[]"),
        "a OK FETCH completed.\n"
    );
    let made_up = client.imap("UID FETCH 2 BODY.PEEK[]");
    assert!(
        made_up.contains("Retrieval using the IMAP4 protocol failed for the following message: 2")
    );
    let fault = ImapFault::Throttled {
        milliseconds: 1500,
        bye: false,
    };
    faults.imap_next(1, fault);
    let throttled = client.imap("NOOP");
    assert!(
        throttled.contains("BAD Request is throttled. Suggested Backoff Time: 1500 milliseconds")
    );
    faults.imap_at(
        2,
        ImapFault::Bye("Session invalidated - AccessTokenExpired".into()),
    );
    assert!(client.imap("NOOP").contains("OK"));
    assert!(
        client
            .imap("NOOP")
            .contains("* BYE Session invalidated - AccessTokenExpired")
    );
    assert!(client.is_over());
    let mut client = sign_in(&m365, SUPPORT);
    client.imap("SELECT INBOX");
    faults.imap_next(1, ImapFault::Flood(100_000));
    assert!(client.imap("NOOP").lines().count() > 100_000);
    faults.imap_esearch.store(true, SeqCst);
    let found = client.imap("UID SEARCH ALL");
    assert!(
        found.contains("* ESEARCH (TAG \"a\") UID ALL 1,2,3"),
        "{found}"
    );
    m365.remove(SUPPORT, "INBOX", 2);
    assert!(client.imap("NOOP").contains("* 2 EXPUNGE"));
    m365.renumber(SUPPORT, "INBOX", 7777, 50);
    let select = client.imap("SELECT INBOX");
    assert!(
        select.contains("[UIDVALIDITY 7777]") && select.contains("[UIDNEXT 52]"),
        "{select}"
    );
    faults.imap_next(1, ImapFault::EndlessLine);
    client.send("a NOOP");
    let mut some = [0; 100_000];
    std::io::Read::read_exact(&mut client.stream, &mut some).unwrap();
    assert!(!some.contains(&b'\n'));
    drop(client);
    faults.imap_close_after.store(300, SeqCst);
    let mut client = sign_in(&m365, SALES);
    let cut = client.imap("SELECT INBOX");
    assert!(!cut.contains("completed"), "{cut}");
}

#[test]
fn a_token_ends_in_mid_session() {
    let m365 = furnished();
    m365.faults().expires_in.store(1, SeqCst);
    let mut client = sign_in(&m365, SUPPORT);
    std::thread::sleep(Duration::from_millis(1100));
    assert!(
        client
            .imap("NOOP")
            .contains("* BYE Session invalidated - AccessTokenExpired")
    );
}

#[test]
fn the_new_front_end_differs() {
    let m365 = furnished();
    let faults = m365.faults();
    let before = open(&m365).imap("CAPABILITY");
    assert!(
        before.contains("AUTH=PLAIN AUTH=XOAUTH2 SASL-IR"),
        "{before}"
    );
    faults.imap_new_front_end.store(true, SeqCst);
    let mut client = tls(&m365, tcp(m365.imap_port()));
    assert!(
        client
            .line()
            .contains("(tcpproxy/15.21.0406.000 BACKENDAUTHENTICATE)")
    );
    let before = client.imap("CAPABILITY");
    assert!(before.contains("AUTH=XOAUTH2 LOGINDISABLED"), "{before}");
    let response = xoauth2(SUPPORT, &m365.issue_token(APP, EXCHANGE));
    client.imap(&format!("AUTHENTICATE XOAUTH2 {response}"));
    assert!(client.imap("CAPABILITY").contains("ENABLE IMAP4rev2"));
    m365.deliver(SUPPORT, "INBOX", MAIL.as_bytes());
    client.imap("SELECT INBOX");
    assert!(
        client
            .imap("UID SEARCH ALL")
            .contains("* ESEARCH (TAG \"a\") UID ALL 1")
    );
}

#[test]
fn a_sign_in_can_fail_in_other_ways() {
    let m365 = furnished();
    let faults = m365.faults();
    faults.sasl_challenge.store(true, SeqCst);
    let mut client = open(&m365);
    client.send("a AUTHENTICATE XOAUTH2 eA==");
    assert!(client.line().starts_with("+ eyJzdGF0dXMiOiI0MDEi"));
    client.send("");
    assert_eq!(client.line(), "a NO AUTHENTICATE failed.");
    faults.imap_not_connected.store(1, SeqCst);
    let first = sign_in(&m365, SUPPORT).imap("NOOP");
    assert!(first.contains("BAD User is authenticated but not connected."));
    assert!(sign_in(&m365, SUPPORT).imap("NOOP").contains("OK"));
    faults.no_roles.store(true, SeqCst);
    let response = xoauth2(SUPPORT, &m365.issue_token(APP, EXCHANGE));
    faults.sasl_challenge.store(false, SeqCst);
    let reply = open(&m365).imap(&format!("AUTHENTICATE XOAUTH2 {response}"));
    assert_eq!(reply, "a NO AUTHENTICATE failed.\n");
    // A person opens the own mailbox, and another's only with a right on it.
    faults.no_roles.store(false, SeqCst);
    let token = m365.issue_user_token(APP, SUPPORT, EXCHANGE, &["IMAP.AccessAsUser.All"]);
    let as_person = |mailbox: &str| {
        let mut client = open(&m365);
        let response = xoauth2(mailbox, &token);
        client.imap(&format!("AUTHENTICATE XOAUTH2 {response}"));
        client.imap("NOOP").contains("OK")
    };
    assert!(as_person(SUPPORT));
    assert!(!as_person(SALES));
    m365.grant_user(SUPPORT, SALES);
    assert!(as_person(SALES));
}

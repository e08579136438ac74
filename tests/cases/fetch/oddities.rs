//! What Exchange gets wrong: nothing is lost, doubled or faked.

use super::{Desk, SUPPORT, Via, assert_same};
use crate::standin::{ImapFault, UidFault};
use std::sync::atomic::Ordering::SeqCst;

const MAILDIR: &str = "deliver: maildir:mail";
const MAIL: &str = ".config/queuemail/mail";

/// One message that cannot be had does not stop the others, is tried again later and arrives once
/// the server can give it.
fn one_bad_message(fault: UidFault, words: &str) {
    let desk = Desk::new(Via::Imap, MAILDIR);
    let sent = desk.deliver(0..6);
    desk.m365.faults().imap_uid(SUPPORT, 3, fault);
    let ran = desk.fetch(&[]).fails(75);
    ran.mentions("message 3 of `support@contoso.example`")
        .mentions(words);
    let others: Vec<_> = sent
        .iter()
        .enumerate()
        .filter(|(n, _)| *n != 2)
        .map(|(_, m)| m.clone())
        .collect();
    assert_same(&others, &desk.maildir(MAIL), words);
    // It is not asked for again before its time.
    desk.fetch(&[]).succeeds().says_nothing();
    let status = desk.world.run(["status", "--json"]).succeeds().json();
    assert_eq!(status["mailboxes"][0]["pending"], 1);
    // An audit sees it, and nothing is unaccounted for.
    desk.fetch(&["--audit"]).succeeds().prints(
        "support (support@contoso.example), INBOX: 6 messages on the server: 5 delivered, 0 in quarantine, 0 dropped, 1 pending, 0 unaccounted for\n",
    );
    desk.m365.faults().imap_uid_heals(SUPPORT, 3);
    make_due(&desk);
    desk.fetch(&[]).succeeds().says_nothing();
    assert_same(&sent, &desk.maildir(MAIL), "healed");
}

/// Lets the time of the next attempt come.
fn make_due(desk: &Desk) {
    let state = rusqlite::Connection::open(desk.world.state_dir().join("state.sqlite")).unwrap();
    let changed = state
        .execute(
            "UPDATE message SET next_attempt = 0 WHERE state = 'failed'",
            [],
        )
        .unwrap();
    assert!(changed > 0, "a message waits for its next attempt");
}

#[test]
fn ok_without_data() {
    one_bad_message(UidFault::NoData, "returns nothing for it");
}

#[test]
fn no_octets_of_a_message_that_has_some() {
    one_bad_message(UidFault::NoOctets, "returns nothing for it");
}

#[test]
fn a_placeholder_is_no_message() {
    one_bad_message(UidFault::Placeholder, "placeholder");
}

/// In whatever language, and from whomever: it was never sent, and names IMAP4 and the UID.
#[test]
fn a_placeholder_in_another_language_is_no_message() {
    let german = "To: Support <support@contoso.example>\r\n\
        Subject: =?utf-8?Q?Fehler_beim_Abrufen_der_Nachricht_=C3=BCber_IMAP4:_3?=\r\n\
        MIME-Version: 1.0\r\nContent-Type: text/plain; charset=\"utf-8\"\r\n\
        Content-Transfer-Encoding: quoted-printable\r\n\r\n\
        Der Server konnte die folgende Nachricht nicht abrufen:\r\n";
    one_bad_message(UidFault::Instead(german.into()), "placeholder");
}

/// Who quotes such a message, its subject and its text, is delivered.
#[test]
fn a_persons_mail_about_a_placeholder_is_delivered() {
    let desk = Desk::new(Via::Imap, MAILDIR);
    let text = "The server couldn't retrieve the following message:\r\n\r\nSubject: \"x\"\r\n";
    let subjects = [
        "Retrieval using the IMAP4 protocol failed for the following message: 1",
        "Fwd: Retrieval using the IMAP4 protocol failed for the following message: 2",
        "IMAP4: 3",
    ];
    let mut sent = Vec::new();
    for (n, subject) in subjects.iter().enumerate() {
        let message = format!(
            "Received: from mail.customer.example by contoso.example\r\n\
             From: Anna <anna@customer.example>\r\nMessage-ID: <{n}@customer.example>\r\n\
             Subject: {subject}\r\n\r\n{text}"
        );
        desk.m365.deliver(SUPPORT, "INBOX", message.as_bytes());
        sent.push(message.into_bytes());
    }
    desk.fetch(&[]).succeeds().says_nothing();
    assert_same(&sent, &desk.maildir(MAIL), "quoted");
}

#[test]
fn no_for_one_message() {
    one_bad_message(
        UidFault::No("NO Item not found.".into()),
        "the server refused this message",
    );
}

#[test]
fn bad_for_one_message() {
    one_bad_message(
        UidFault::Bad("BAD Command Error. 10".into()),
        "the server refused this message",
    );
}

#[test]
fn a_uid_that_is_gone_is_no_error() {
    let desk = Desk::new(Via::Imap, MAILDIR);
    let sent = desk.deliver(0..4);
    desk.m365.faults().imap_uid(SUPPORT, 2, UidFault::Gone);
    let ran = desk.fetch(&[]).ends();
    assert!(ran.code == 0 || ran.code == 75, "{ran}");
    let there: Vec<_> = [0, 2, 3].iter().map(|&n: &usize| sent[n].clone()).collect();
    assert_same(&there, &desk.maildir(MAIL), "gone");
}

#[test]
fn a_message_that_never_comes_is_quarantined_and_can_be_released() {
    let desk = Desk::new(Via::Imap, MAILDIR);
    let sent = desk.deliver(0..3);
    desk.m365.faults().imap_uid(SUPPORT, 2, UidFault::NoData);
    desk.fetch(&[]).fails(75);
    for _ in 2..8 {
        make_due(&desk);
        desk.fetch(&[]).fails(75);
    }
    make_due(&desk);
    desk.fetch(&[])
        .fails(65)
        .mentions("quarantined")
        .mentions("quarantine");
    desk.fetch(&[]).succeeds().says_nothing();
    let list = desk
        .world
        .run(["quarantine", "list", "--json"])
        .succeeds()
        .json();
    assert_eq!(list["quarantine"][0]["uid"], "2");
    let id = list["quarantine"][0]["id"].to_string();
    desk.world
        .run(["quarantine", "show", &id])
        .succeeds()
        .shows("attempts: 8");
    desk.world
        .run(["status", "--check"])
        .fails(75)
        .mentions("in quarantine");
    desk.m365.faults().imap_uid_heals(SUPPORT, 2);
    desk.world.run(["quarantine", "retry", &id]).succeeds();
    desk.fetch(&[]).succeeds().says_nothing();
    assert_same(&sent, &desk.maildir(MAIL), "released");
    desk.world
        .run(["quarantine", "show", &id])
        .fails(64)
        .mentions("the quarantine is empty");
}

#[test]
fn a_wait_that_the_server_asks_for_holds_for_the_next_run() {
    let desk = Desk::new(Via::Imap, MAILDIR);
    let sent = desk.deliver(0..3);
    desk.m365.faults().imap_next(
        1,
        ImapFault::Throttled {
            milliseconds: 600_000,
            bye: true,
        },
    );
    desk.fetch(&[]).fails(75).mentions("600000 milliseconds");
    let before = desk.m365.log().len();
    desk.fetch(&[]).succeeds().says_nothing();
    desk.fetch(&["support"]).fails(75).mentions("waits until");
    assert_eq!(desk.m365.log().len(), before, "nobody was asked anything");
    super::waits_end(&desk);
    desk.fetch(&[]).succeeds().says_nothing();
    assert_same(&sent, &desk.maildir(MAIL), "after the wait");
}

#[test]
fn noise_and_order_make_no_difference() {
    for set in [
        |desk: &Desk| {
            *desk.m365.faults().imap_noise.lock().unwrap() = vec![
                b"* 5 EXISTS".to_vec(),
                b"* OK [ALERT] The server is tired.".to_vec(),
                b"* NO Something is odd.".to_vec(),
                b"* 2 FETCH (FLAGS (\\Flagged))".to_vec(),
            ];
        },
        |desk: &Desk| desk.m365.faults().imap_reverse_items.store(true, SeqCst),
        |desk: &Desk| desk.m365.faults().imap_reverse_messages.store(true, SeqCst),
        |desk: &Desk| desk.m365.faults().imap_esearch.store(true, SeqCst),
        |desk: &Desk| desk.m365.faults().imap_eight_bit.store(true, SeqCst),
        |desk: &Desk| desk.m365.faults().imap_new_front_end.store(true, SeqCst),
    ] {
        let desk = Desk::new(Via::Imap, "deliver: maildir:mail\nafter_fetch: seen");
        set(&desk);
        let sent = desk.deliver(0..12);
        desk.fetch(&[]).succeeds();
        assert_same(&sent, &desk.maildir(MAIL), "noise");
        desk.fetch(&[]).succeeds().says_nothing();
    }
}

/// Those to be tried again come with those that are new, and none is passed over when the line
/// breaks between them.
#[test]
fn no_older_message_is_passed_over_for_one_that_is_tried_again() {
    let desk = Desk::new(Via::Imap, MAILDIR);
    let deliver = |n: usize, received| {
        let bytes = super::message(n);
        desk.m365
            .deliver_with(SUPPORT, "INBOX", &bytes, &[], received);
        bytes
    };
    let mut sent: Vec<_> = (0..10).map(|n| deliver(n, 1_500_000_000)).collect();
    sent.extend((10..70).map(|n| deliver(n, 1_790_000_000)));
    let faults = desk.m365.faults();
    for uid in 11..=70 {
        faults.imap_uid(SUPPORT, uid, UidFault::NoData);
    }
    desk.fetch(&["--since", "2026-01-01"]).fails(75);
    for uid in 11..=70 {
        faults.imap_uid_heals(SUPPORT, uid);
    }
    make_due(&desk);
    faults.imap_uid(SUPPORT, 1, UidFault::CutShort);
    desk.fetch(&["--budget", "600"]).fails(75);
    faults.imap_uid_heals(SUPPORT, 1);
    make_due(&desk);
    desk.fetch(&[]).succeeds().says_nothing();
    assert_same(&sent, &desk.maildir(MAIL), "all of them");
}

/// Without MOVE and UIDPLUS a message could only be copied, and the next run could not tell: the
/// action is refused before anything is fetched, and `check` tells of it.
#[test]
fn a_server_that_cannot_move_copies_nothing() {
    let desk = Desk::new(Via::Imap, &format!("{MAILDIR}\nafter_fetch: move:Archive"));
    desk.m365.faults().imap_old.store(true, SeqCst);
    desk.fetch(&[]).succeeds().says_nothing();
    let sent = desk.deliver(0..3);
    for _ in 0..2 {
        desk.fetch(&[])
            .fails(78)
            .mentions("offers neither MOVE nor UIDPLUS")
            .mentions("set `after_fetch` to keep, seen or delete");
    }
    assert_same(&[], &desk.maildir(MAIL), "nothing is fetched");
    assert!(desk.m365.messages(SUPPORT, "Archive").is_empty());
    desk.world
        .run(["check"])
        .fails(78)
        .shows("offers neither MOVE nor UIDPLUS");
    desk.world
        .write_config(desk.world.config().replace("move:Archive", "seen"));
    desk.fetch(&[]).succeeds().says_nothing();
    assert_same(&sent, &desk.maildir(MAIL), "another action");
}

/// What an earlier run could not move any more, because the server has changed, stays.
#[test]
fn what_could_not_be_moved_and_now_cannot_be_moved_stays() {
    let desk = Desk::new(Via::Imap, &format!("{MAILDIR}\nafter_fetch: move:Archive"));
    let mut sent = desk.deliver(0..3);
    // After SELECT, SEARCH and FETCH comes the move.
    let refusal = ImapFault::Reply("NO [NOPERM] not now.".into());
    desk.m365.faults().imap_at(4, refusal);
    desk.fetch(&[]).fails(77).mentions("cannot move messages");
    desk.m365.faults().imap_old.store(true, SeqCst);
    sent.extend(desk.deliver(3..5));
    desk.world
        .write_config(desk.world.config().replace("move:Archive", "keep"));
    desk.fetch(&[]).succeeds().says_nothing();
    desk.fetch(&[]).succeeds().says_nothing();
    assert_same(&sent, &desk.maildir(MAIL), "all of it");
    desk.fetch(&["--audit"]).succeeds().shows("5 delivered");
}

/// Without UIDPLUS (RFC 4315) a message that is deleted is flagged and stays.
#[test]
fn what_is_flagged_and_stays_is_remembered() {
    let desk = Desk::new(Via::Imap, &format!("{MAILDIR}\nafter_fetch: delete"));
    desk.m365.faults().imap_old.store(true, SeqCst);
    let sent = desk.deliver(0..5);
    desk.fetch(&[]).succeeds().says_nothing();
    let inbox = desk.m365.messages(SUPPORT, "INBOX");
    assert!(inbox.iter().all(|m| m.flags == ["\\Deleted"]), "{inbox:?}");
    assert_eq!(inbox.len(), 5);
    // A season later an audit does not take them for messages that were passed over.
    desk.state()
        .execute(
            "UPDATE message SET changed_at = changed_at - 100 * 86400",
            [],
        )
        .unwrap();
    desk.fetch(&[]).succeeds().says_nothing();
    desk.fetch(&["--audit"]).succeeds().shows("5 delivered");
    // Nor does a change of UIDVALIDITY make them new.
    desk.m365.renumber(SUPPORT, "INBOX", 77, 1);
    desk.fetch(&[]).succeeds().says_nothing();
    assert_same(&sent, &desk.maildir(MAIL), "once");
}

/// A UID that no message has moves the mark past no mail that is still to come.
#[test]
fn a_uid_out_of_nowhere_hides_no_mail() {
    let desk = Desk::new(Via::Imap, MAILDIR);
    let mut sent = desk.deliver(0..3);
    // The second command after the sign-in is the search.
    let nonsense = b"* SEARCH 4294967295 7\r\n".to_vec();
    desk.m365.faults().imap_at(2, ImapFault::Garbage(nonsense));
    desk.fetch(&[]).succeeds().says_nothing();
    sent.extend(desk.deliver(3..6));
    desk.fetch(&[]).succeeds().says_nothing();
    assert_same(&sent, &desk.maildir(MAIL), "those that came later");
    let mark: String = desk
        .state()
        .query_row("SELECT mark FROM folder", [], |row| row.get(0))
        .unwrap();
    assert_eq!(mark, "6");
}

/// A search has been seen to find nothing where there is something.
#[test]
fn a_message_is_gone_only_where_the_server_says_so_twice() {
    let desk = Desk::new(Via::Imap, MAILDIR);
    let sent = desk.deliver(0..5);
    desk.m365.faults().imap_uid(SUPPORT, 3, UidFault::NoData);
    // After EXAMINE, SEARCH and FETCH it is asked whether the message is there.
    desk.m365.faults().imap_at(4, ImapFault::NothingFound);
    desk.fetch(&[]).fails(75).mentions("message 3 of");
    desk.m365.faults().imap_uid_heals(SUPPORT, 3);
    make_due(&desk);
    desk.fetch(&[]).succeeds().says_nothing();
    assert_same(&sent, &desk.maildir(MAIL), "healed");
}

#[test]
fn a_wait_of_no_said_length_is_a_minute() {
    let desk = Desk::new(Via::Imap, MAILDIR);
    desk.deliver(0..3);
    let throttled = ImapFault::Reply("NO Request is throttled.".into());
    desk.m365.faults().imap_next(1, throttled);
    desk.fetch(&[]).fails(75).mentions("requests a wait");
    let before = desk.m365.log().len();
    desk.fetch(&[]).succeeds().says_nothing();
    desk.fetch(&["support"]).fails(75).mentions("waits until");
    assert_eq!(desk.m365.log().len(), before, "nobody was asked anything");
}

/// A server that breaks off over one message, or two side by side, keeps no other back.
#[test]
fn a_message_that_breaks_the_connection_keeps_no_other_back() {
    let desk = Desk::new(Via::Imap, MAILDIR);
    let mut sent = desk.deliver(0..8);
    let faults = desk.m365.faults();
    for uid in [3, 4, 8] {
        faults.imap_uid(SUPPORT, uid, UidFault::CutShort);
    }
    let broken = [sent.remove(7), sent.remove(3), sent.remove(2)];
    desk.fetch(&[])
        .fails(75)
        .mentions("message 3 of")
        .mentions("closed the connection during this message");
    assert_same(&sent, &desk.maildir(MAIL), "all but the three");
    desk.fetch(&[]).succeeds().says_nothing();
    desk.fetch(&["--audit"]).succeeds().shows("5 delivered");
    for uid in [3, 4, 8] {
        faults.imap_uid_heals(SUPPORT, uid);
    }
    make_due(&desk);
    sent.extend(broken);
    desk.fetch(&[]).succeeds().says_nothing();
    assert_same(&sent, &desk.maildir(MAIL), "healed");
}

/// Where it breaks off over each, it is none of them.
#[test]
fn a_server_that_breaks_off_over_each_message_puts_none_aside() {
    let desk = Desk::new(Via::Imap, MAILDIR);
    let sent = desk.deliver(0..8);
    let faults = desk.m365.faults();
    for uid in 1..=8 {
        faults.imap_uid(SUPPORT, uid, UidFault::CutShort);
    }
    for _ in 0..2 {
        desk.fetch(&[]).fails(75);
    }
    for uid in 1..=8 {
        faults.imap_uid_heals(SUPPORT, uid);
    }
    desk.fetch(&[]).succeeds().says_nothing();
    assert_same(&sent, &desk.maildir(MAIL), "all at once");
}

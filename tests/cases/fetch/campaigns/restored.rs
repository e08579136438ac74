//! A mailbox is restored from a backup under the same UIDVALIDITY: its UIDs go back, and those of
//! messages that are gone are given again to new ones.

use super::kill::{calls, killed_at};
use super::{Campaign, Desk, SUPPORT, Via, assert_same, maildir, makes_good};
use crate::killed::Call;
use crate::standin::Backup;
use std::sync::atomic::Ordering::SeqCst;

/// What is done with messages that were fetched.
const AFTER: [&str; 4] = ["keep", "seen", "delete", "move:Archive"];

/// A desk whose mailbox was backed up and then went on, all of it fetched.
fn backed_up(after: &str) -> (Desk, Vec<Vec<u8>>, Backup) {
    let desk = Desk::new(
        Via::Imap,
        &format!("deliver: maildir:mail\nafter_fetch: {after}"),
    );
    let mut sent = desk.deliver(0..6);
    // What a backup holds may have been fetched before it was made, or after.
    let early = desk.m365.back_up(SUPPORT, "INBOX");
    desk.fetch(&[]).succeeds();
    sent.extend(desk.deliver(6..16));
    desk.fetch(&[]).succeeds();
    (desk, sent, early)
}

#[test]
fn new_mail_under_old_uids_is_fetched_and_old_mail_is_recognised() {
    for after in AFTER {
        let (desk, mut sent, backup) = backed_up(after);
        desk.m365.restore(SUPPORT, "INBOX", &backup);
        sent.extend(desk.deliver(20..24)); // UIDs 7 to 10, of which the run before had others
        let would = desk.fetch(&["--dry-run"]).succeeds();
        would.shows("10 messages to fetch");
        desk.fetch(&["--audit"])
            .succeeds()
            .shows("0 delivered")
            .shows("10 pending");
        desk.fetch(&["-v"])
            .succeeds()
            .mentions("its UIDs are lower under the same UIDVALIDITY")
            .mentions("6 recognised as already fetched");
        makes_good(&desk, &sent, maildir, after);
        desk.fetch(&["--audit"]).succeeds().shows("0 pending");
        // And once more, by the same backup.
        desk.m365.restore(SUPPORT, "INBOX", &backup);
        sent.extend(desk.deliver(30..32));
        desk.fetch(&["-v"])
            .succeeds()
            .mentions("6 recognised as already fetched");
        makes_good(&desk, &sent, maildir, after);
    }
}

#[test]
fn a_program_that_is_handed_the_mail_gets_another_id_for_another_message() {
    let desk = Desk::new(Via::Imap, "deliver: eml:mail");
    desk.deliver(0..2);
    let backup = desk.m365.back_up(SUPPORT, "INBOX");
    desk.deliver(2..6);
    let id = |ran: &crate::world::Ran| {
        let lines = ran.stdout.lines();
        let events = lines.map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let mut third = events.filter(|event| event["uid"] == 3);
        third.next().expect(&ran.stdout)["delivery_id"].to_string()
    };
    let first = id(&desk.fetch(&["--json"]).succeeds());
    desk.m365.restore(SUPPORT, "INBOX", &backup);
    desk.deliver(6..7);
    let other = id(&desk.fetch(&["--json"]).succeeds());
    assert_ne!(first, other);
}

/// So much new mail comes before the next run that UIDNEXT is higher than before. Of messages that
/// had left the folder it is known all the same.
#[test]
fn more_new_mail_than_was_lost_is_fetched_where_mail_leaves_the_folder() {
    for after in ["delete", "move:Archive"] {
        let (desk, mut sent, backup) = backed_up(after);
        desk.m365.restore(SUPPORT, "INBOX", &backup);
        sent.extend(desk.deliver(20..40));
        desk.fetch(&["--dry-run"])
            .succeeds()
            .shows("26 messages to fetch");
        desk.fetch(&["-v"])
            .succeeds()
            .mentions("its UIDs are lower under the same UIDVALIDITY")
            .mentions("6 recognised as already fetched");
        makes_good(&desk, &sent, maildir, after);
    }
}

#[test]
fn part_by_part() {
    for after in AFTER {
        let (desk, mut sent, backup) = backed_up(after);
        desk.m365.restore(SUPPORT, "INBOX", &backup);
        sent.extend(desk.deliver(20..24));
        for _ in 0..3 {
            desk.fetch(&["--limit", "2"]).succeeds();
        }
        makes_good(&desk, &sent, maildir, after);
    }
}

#[test]
fn killed_while_it_looks_again() {
    for after in ["keep", "delete"] {
        let story = format!("restored and killed, {after}");
        let mut campaign = Campaign::new(&story);
        let ready = || {
            let (desk, mut sent, backup) = backed_up(after);
            desk.m365.restore(SUPPORT, "INBOX", &backup);
            sent.extend(desk.deliver(20..24));
            (desk, sent)
        };
        let places = calls(&ready().0, |_| true);
        for (call, n) in campaign.some_of(&places, 5) {
            let (desk, sent) = ready();
            let ran = killed_at(&desk, call, *n);
            let story = format!("{story}: the {n}. {call}");
            assert!(matches!(ran.code, 0 | -10), "{story}\n{ran}");
            if ran.code != 0 {
                campaign.fault();
            }
            // It may have told of the restored mailbox already, or not yet.
            desk.fetch(&["-q"]).succeeds();
            makes_good(&desk, &sent, maildir, &story);
        }
        campaign.end(2);
    }
}

#[test]
fn a_server_that_tells_a_wrong_uidnext_makes_nothing_new() {
    let desk = Desk::new(Via::Imap, "deliver: maildir:mail");
    let sent = desk.deliver(0..5);
    desk.fetch(&[]).succeeds();
    let mut backup = desk.m365.back_up(SUPPORT, "INBOX");
    backup.uidnext = 3;
    desk.m365.restore(SUPPORT, "INBOX", &backup);
    makes_good(&desk, &sent, maildir, "UIDNEXT is wrong");
}

/// A run delivers and is killed before the server is told of it. Then the mailbox is restored, and so
/// much new mail comes that UIDNEXT is higher than before: what is still to be deleted, moved or
/// marked goes by UIDs that new mail has now.
#[test]
fn killed_before_the_server_was_told_and_then_restored() {
    for after in ["seen", "delete", "move:Archive"] {
        let mut campaign = Campaign::new(format!("killed, then restored, {after}"));
        let ready = || {
            let desk = Desk::new(
                Via::Imap,
                &format!("deliver: maildir:mail\nafter_fetch: {after}"),
            );
            let mut sent = desk.deliver(0..6);
            desk.fetch(&[]).succeeds();
            let backup = desk.m365.back_up(SUPPORT, "INBOX");
            sent.extend(desk.deliver(6..16));
            (desk, sent, backup)
        };
        // Of what is said to the server, the end: until it was killed in between twice.
        let said = calls(&ready().0, |line| line.starts_with("sendto("));
        let last: Vec<&Call> = said.iter().rev().collect();
        let mut in_between = 0;
        for (call, n) in last {
            if in_between == 2 {
                break;
            }
            let story = format!("{after}: killed at the {n}. {call}");
            let (desk, mut sent, backup) = ready();
            if killed_at(&desk, call, *n).code != 0 {
                campaign.fault();
            }
            let state = desk.state();
            let count = "SELECT count(*) FROM message WHERE settle IS NOT NULL";
            let open: u32 = state.query_row(count, [], |row| row.get(0)).unwrap();
            if after == "seen" && open == 0 {
                // All was done; by nothing that it knows could the next run tell.
                continue;
            }
            in_between += u32::from(open > 0);
            // What it did not deliver by then is in no mailbox any more.
            sent.retain(|message| maildir(&desk).contains(message));
            desk.m365.restore(SUPPORT, "INBOX", &backup);
            sent.extend(desk.deliver(20..40));
            let on_server = desk.m365.messages(SUPPORT, "INBOX").len();
            if sent.len() == 36 {
                desk.fetch(&["--dry-run"])
                    .succeeds()
                    .shows(&format!("{on_server} messages to fetch"));
                desk.fetch(&["--audit"])
                    .succeeds()
                    .shows("0 delivered")
                    .shows(&format!("{on_server} pending"));
            }
            makes_good(&desk, &sent, maildir, &story);
            let left = desk.m365.messages(SUPPORT, "INBOX");
            match after {
                "seen" => assert!(left.iter().all(|m| m.flags == ["\\Seen"]), "{story}"),
                _ => assert!(left.is_empty(), "{story}: {} are left", left.len()),
            }
        }
        assert!(in_between > 0, "{after}: it was never killed in between");
        campaign.end(2);
    }
}

/// A run that is killed before it told the server, in a mailbox that nothing happened to: each
/// message is known again, though Exchange writes it a little differently each time.
#[test]
fn killed_before_the_server_was_told_and_not_restored() {
    for (after, rerender) in [("delete", false), ("move:Archive", true), ("seen", true)] {
        let desk = Desk::new(
            Via::Imap,
            &format!("deliver: maildir:mail\nafter_fetch: {after}"),
        );
        let sent = desk.deliver(0..4);
        desk.m365.faults().imap_rerender.store(rerender, SeqCst);
        desk.fetch(&["--after", "keep"]).succeeds();
        let state = desk.state();
        state
            .execute("UPDATE message SET settle = ?1", [after])
            .unwrap();
        // One has gone from the folder meanwhile.
        desk.m365.remove(SUPPORT, "INBOX", 2);
        desk.fetch(&["--dry-run"])
            .succeeds()
            .shows("0 messages to fetch");
        let before = desk.m365.log().len();
        desk.fetch(&["-v"])
            .succeeds()
            .hides("its UIDs are lower")
            .mentions("fetched 0 messages");
        let log = desk.m365.log()[before..].join("\n");
        assert!(log.contains("BODY.PEEK[HEADER]"), "{log}");
        let left = desk.m365.messages(SUPPORT, "INBOX");
        match after {
            "seen" => assert!(left.iter().all(|m| m.flags == ["\\Seen"])),
            _ => assert!(left.is_empty()),
        }
        assert_eq!(
            desk.maildir("mail").len() + maildir(&desk).len(),
            sent.len()
        );
        desk.fetch(&[]).succeeds().says_nothing();
    }
}

/// What the server does not show any more is not deleted unseen, and keeps no other back.
#[test]
fn what_cannot_be_compared_stays() {
    use crate::standin::UidFault;
    let desk = Desk::new(Via::Imap, "deliver: maildir:mail\nafter_fetch: delete");
    let mut sent = desk.deliver(0..3);
    desk.fetch(&["--after", "keep"]).succeeds();
    let state = desk.state();
    state
        .execute("UPDATE message SET settle = 'delete'", [])
        .unwrap();
    let faults = desk.m365.faults();
    faults.imap_uid(SUPPORT, 2, UidFault::No("NO cannot be converted".into()));
    sent.extend(desk.deliver(3..4));
    desk.fetch(&[])
        .fails(75)
        .mentions("cannot mark, move or delete the delivered message 2");
    assert_same(&sent, &maildir(&desk), "new mail comes all the same");
    assert_eq!(desk.m365.messages(SUPPORT, "INBOX").len(), 1);
    // It is not asked for again at once.
    desk.fetch(&[]).succeeds().says_nothing();
    faults.imap_uid_heals(SUPPORT, 2);
    state
        .execute(
            "UPDATE message SET next_attempt = 0 WHERE settle IS NOT NULL",
            [],
        )
        .unwrap();
    desk.fetch(&[]).succeeds().says_nothing();
    assert!(desk.m365.messages(SUPPORT, "INBOX").is_empty());
    assert_same(&sent, &maildir(&desk), "each came once");
}

#[test]
fn a_server_whose_uidnext_stands_still_holds_no_mail_back() {
    let desk = Desk::new(Via::Imap, "deliver: maildir:mail");
    desk.m365.faults().imap_uidnext.store(3, SeqCst);
    let mut sent = desk.deliver(0..4);
    desk.fetch(&[]).succeeds();
    for n in 4..7 {
        sent.extend(desk.deliver(n..n + 1));
        makes_good(&desk, &sent, maildir, "UIDNEXT stands still");
    }
}

/// A server that refuses to delete one message is told again later each time, and the others are
/// deleted.
#[test]
fn a_message_that_the_server_refuses_to_delete_is_not_asked_for_in_each_run() {
    use crate::standin::ImapFault;
    let desk = Desk::new(Via::Imap, "deliver: maildir:mail\nafter_fetch: delete");
    let faults = desk.m365.faults();
    let refuse = |at| faults.imap_at(at, ImapFault::Reply("NO [CANNOT] it is on hold".into()));
    let asked = || {
        let log = desk.m365.log();
        log.iter().filter(|line| line.contains("UID STORE")).count()
    };
    desk.deliver(0..1);
    refuse(4);
    desk.fetch(&[])
        .fails(69)
        .mentions("cannot delete messages (UID 1)")
        .mentions("it is on hold")
        .mentions("it retries after 1 minute, then less often");
    let state = desk.state();
    let row = || {
        state
            .query_row(
                "SELECT attempts, next_attempt - changed_at FROM message WHERE settle IS NOT NULL",
                [],
                |row| Ok((row.get::<_, u32>(0)?, row.get::<_, i64>(1)?)),
            )
            .unwrap()
    };
    let (attempts, wait) = row();
    assert!(
        attempts == 1 && (60..70).contains(&wait),
        "{attempts} {wait}"
    );
    let before = asked();
    assert_eq!(before, 1);
    desk.fetch(&[]).succeeds().says_nothing();
    assert_eq!(asked(), before, "it is not asked for in between");
    desk.world
        .run(["status", "--check"])
        .fails(75)
        .mentions("the server refuses to mark, move or delete 1 message of `support@contoso.example` (queue `support`)")
        .mentions("it is on hold");
    let metrics = desk.path("metrics");
    desk.world
        .run(["status", "--metrics", metrics.to_str().unwrap()])
        .succeeds();
    let metrics = std::fs::read_to_string(metrics).unwrap();
    let sample =
        "queuemail_refused_messages{queue=\"support\",address=\"support@contoso.example\"} 1\n";
    assert!(metrics.contains(sample), "{metrics}");
    for attempts in 2..12 {
        state
            .execute("UPDATE message SET next_attempt = 0", [])
            .unwrap();
        refuse(3);
        desk.fetch(&[]).fails(69);
        let (is, wait) = row();
        assert_eq!(is, attempts);
        assert!(wait <= 12 * 3600 + 60, "{wait} s at most");
    }
    assert!(row().1 >= 12 * 3600, "twice a day in the end: {:?}", row());
    state
        .execute("UPDATE message SET next_attempt = 0", [])
        .unwrap();
    desk.fetch(&[]).succeeds().says_nothing();
    assert!(desk.m365.messages(SUPPORT, "INBOX").is_empty());
    desk.world.run(["status", "--check"]).succeeds();
}

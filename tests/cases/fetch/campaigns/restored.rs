//! A mailbox is restored from a backup under the same UIDVALIDITY: its UIDs go back, and those of
//! messages that are gone are given again to new ones.

use super::kill::{calls, killed_at};
use super::{Campaign, Desk, SUPPORT, Via, maildir, makes_good};
use crate::standin::Backup;

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
            .mentions("its UIDs went back under the same UIDVALIDITY")
            .mentions("6 recognised as fetched before");
        makes_good(&desk, &sent, maildir, after);
        desk.fetch(&["--audit"]).succeeds().shows("0 pending");
        // And once more, by the same backup.
        desk.m365.restore(SUPPORT, "INBOX", &backup);
        sent.extend(desk.deliver(30..32));
        desk.fetch(&["-v"])
            .succeeds()
            .mentions("6 recognised as fetched before");
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
            .mentions("its UIDs went back under the same UIDVALIDITY")
            .mentions("6 recognised as fetched before");
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

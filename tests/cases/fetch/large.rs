//! A mailbox of a million messages, by IMAP: it is listed, and nothing new in it costs next to
//! nothing.

use super::{Desk, SUPPORT, Via, assert_same};
use crate::memory::peak;
use crate::standin::ImapFault;

/// A million UIDs of eight digits.
const UIDS: std::ops::RangeInclusive<u32> = 98_000_001..=99_000_000;
/// KiB.
const MOST: u64 = 64 << 10;

#[test]
fn a_million_messages_are_listed_in_little_memory() {
    let desk = Desk::new(Via::Imap, "deliver: maildir:mail");
    for story in ["nothing is known", "some was fetched"] {
        desk.deliver(0..1);
        // The second command after the sign-in is the search.
        desk.m365.faults().imap_at(2, ImapFault::Finds(UIDS));
        let (ran, peak) = peak(&desk.world, desk.fetch(&["--dry-run"]));
        assert_eq!(ran.code, 0, "{ran}");
        ran.shows("1000000 messages to fetch");
        assert!(peak <= MOST, "{story}: {peak} KiB");
        desk.fetch(&[]).succeeds();
        println!("{story}: {peak} KiB");
    }
}

#[test]
fn nothing_new_behind_a_million_messages_costs_little_memory() {
    let desk = Desk::new(Via::Imap, "deliver: maildir:mail");
    let mut sent = desk.deliver(0..1);
    desk.fetch(&[]).succeeds().says_nothing();
    let (first, last) = (UIDS.start(), UIDS.end());
    desk.state()
        .execute_batch(&format!(
            "INSERT INTO message (folder, epoch, remote, state, fingerprint, size, delivered_to, changed_at)
             WITH RECURSIVE uid(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM uid WHERE n < {last})
             SELECT f.id, f.epoch, n, 'delivered', randomblob(16), 5000, '/var/mail/new/' || n, 1790000000
             FROM uid, folder f;
             UPDATE folder SET mark = {last};"
        ))
        .unwrap();
    desk.m365.set_uidnext(SUPPORT, "INBOX", last + 1);
    let (ran, idle) = peak(&desk.world, desk.fetch(&[]));
    assert_eq!(ran.code, 0, "{ran}");
    assert!(idle <= MOST, "{idle} KiB");
    sent.extend(desk.deliver(1..2));
    let (ran, one) = peak(&desk.world, desk.fetch(&[]));
    assert_eq!(ran.code, 0, "{ran}");
    assert!(one <= MOST, "{one} KiB");
    assert_same(
        &sent,
        &desk.maildir(".config/queuemail/mail"),
        "the new one",
    );
}

//! Where fetching begins: `start`, `--catch-up` and `--include-skipped`.

use super::{Desk, SUPPORT, Via, assert_same, both, message, waits_end};
use crate::killed;
use crate::standin::GraphFault;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const NOW: &str = "deliver: maildir:mail\nstart: now";
const MAIL: &str = ".config/queuemail/mail";

/// How many messages were retrieved.
fn retrieved(desk: &Desk) -> usize {
    let log = desk.m365.log();
    let is_one = |line: &&String| line.contains("BODY.PEEK[])") || line.contains("/$value");
    log.iter().filter(is_one).count()
}

#[test]
fn what_was_there_before_the_first_fetch_is_skipped_and_can_be_had_later() {
    both(|via| {
        let desk = Desk::new(via, NOW);
        let old = desk.deliver(0..20);
        desk.world
            .run(["check", "support"])
            .succeeds()
            .shows("INBOX (20 messages, which the first fetch skips: start is now)");
        desk.fetch(&["--dry-run"])
            .succeeds()
            .shows("0 messages to fetch")
            .shows("20 messages to be skipped");
        desk.fetch(&["-v"])
            .succeeds()
            .mentions("20 messages skipped")
            .mentions("--include-skipped");
        assert_same(&[], &desk.maildir(MAIL), "the first run");
        assert_eq!(retrieved(&desk), 0, "{via:?}");
        desk.fetch(&["--audit"])
            .succeeds()
            .shows("20 messages on the server: 0 delivered")
            .shows("20 skipped, 0 pending");
        let mut sent = desk.deliver(20..25);
        desk.fetch(&[]).succeeds().says_nothing();
        assert_same(&sent, &desk.maildir(MAIL), "what is new");
        desk.fetch(&["--audit"]).succeeds().shows("5 delivered");
        // Some of it, then the rest.
        desk.fetch(&["--include-skipped", "--limit", "4"])
            .succeeds();
        assert_eq!(desk.maildir(MAIL).len(), 9, "{via:?}");
        desk.fetch(&[]).succeeds().says_nothing();
        desk.fetch(&["--audit"]).succeeds().shows("16 skipped");
        desk.fetch(&["--include-skipped", "-v"])
            .succeeds()
            .mentions("16 of the skipped messages are fetched now");
        sent.extend(old);
        assert_same(&sent, &desk.maildir(MAIL), "all of it");
        desk.fetch(&["--include-skipped"]).succeeds().says_nothing();
        assert_same(&sent, &desk.maildir(MAIL), "once");
    });
}

/// The limit is that of the address: what is not fetched in this run stays skipped in each folder.
#[test]
fn a_limit_holds_for_what_was_skipped_in_all_folders_together() {
    both(|via| {
        let address = format!("{NOW}\nfolders: [INBOX, Cases]");
        let desk = Desk::new(via, &address);
        desk.m365.add_folder(SUPPORT, "Cases");
        for n in 0..3 {
            desk.m365.deliver(SUPPORT, "INBOX", &message(n));
            desk.m365.deliver(SUPPORT, "Cases", &message(n + 10));
        }
        desk.fetch(&[]).succeeds();
        desk.fetch(&["--include-skipped", "--limit", "2"])
            .succeeds();
        desk.fetch(&[]).succeeds().says_nothing();
        assert_eq!(desk.maildir(MAIL).len(), 2, "{via:?}");
        desk.fetch(&["--include-skipped"]).succeeds();
        assert_eq!(desk.maildir(MAIL).len(), 6, "{via:?}");
    });
}

#[test]
fn the_first_fetch_says_how_many_messages_wait() {
    both(|via| {
        let desk = Desk::new(via, "deliver: maildir:mail");
        desk.deliver(0..3);
        desk.world
            .run(["check", "support"])
            .succeeds()
            .shows("INBOX (3 messages, which the first fetch delivers)");
        desk.fetch(&["-v"])
            .succeeds()
            .mentions("contains 3 messages from before the first fetch");
        let again = desk.fetch(&["-v"]).succeeds();
        assert!(
            !again.stderr.contains("before the first fetch"),
            "{via:?}\n{again}"
        );
        desk.world
            .run(["check", "support"])
            .succeeds()
            .shows("INBOX (3 messages)");
    });
}

#[test]
fn a_date_is_compared_with_the_servers_own() {
    let day = 1_790_000_000 - 1_790_000_000 % 86_400;
    let date = jiff::Timestamp::from_second(day)
        .unwrap()
        .strftime("%Y-%m-%d");
    both(|via| {
        let desk = Desk::new(via, &format!("deliver: maildir:mail\nstart: {date}"));
        let put = |n: usize, received| {
            desk.m365
                .deliver_with(SUPPORT, "INBOX", &message(n), &[], received);
        };
        // They need not be there in the order of their time.
        for (n, received) in [(0, day), (1, day - 1), (2, day + 90_000), (3, day - 90_000)] {
            put(n, received);
        }
        desk.fetch(&[]).succeeds().says_nothing();
        let mut sent = vec![message(0), message(2)];
        assert_same(&sent, &desk.maildir(MAIL), "since that day");
        desk.fetch(&["--audit"]).succeeds().shows("2 skipped");
        // Where fetching has begun, whatever arrives is new.
        put(4, day - 1);
        sent.push(message(4));
        desk.fetch(&[]).succeeds().says_nothing();
        assert_same(&sent, &desk.maildir(MAIL), "moved there later");
        let since = jiff::Timestamp::from_second(day - 86_400)
            .unwrap()
            .strftime("%Y-%m-%d");
        desk.fetch(&["--include-skipped", "--since", &since.to_string()])
            .succeeds();
        sent.push(message(1));
        assert_same(&sent, &desk.maildir(MAIL), "skipped, and not too old");
    });
}

#[test]
fn the_queue_says_it_for_addresses_without_their_own() {
    let desk = Desk::new(Via::Imap, "deliver: maildir:mail\nstart: all");
    desk.add_address("other@contoso.example", "deliver: maildir:other");
    desk.world
        .run(["queue", "set", "support", "--queue-start", "now"])
        .succeeds()
        .prints("changed\n");
    let old = desk.deliver(0..3);
    desk.deliver_to("other@contoso.example", 3..6);
    desk.fetch(&[]).succeeds();
    assert_same(&old, &desk.maildir(MAIL), "its own");
    assert_same(&[], &desk.maildir(".config/queuemail/other"), "the queue's");
}

#[test]
fn what_is_skipped_stays_so_under_other_ids_and_by_the_other_way() {
    let desk = Desk::new(Via::Imap, NOW);
    desk.deliver(0..40);
    desk.fetch(&[]).succeeds().says_nothing();
    let backup = desk.m365.back_up(SUPPORT, "INBOX");
    let mut sent = desk.deliver(40..45);
    desk.fetch(&[]).succeeds().says_nothing();
    let before = retrieved(&desk);
    let well = |sent: &[Vec<u8>], story: &str| {
        desk.fetch(&[]).succeeds();
        assert_same(sent, &desk.maildir(MAIL), story);
        desk.fetch(&[]).succeeds().says_nothing();
        let skipped = "40 skipped, 0 pending, 0 unaccounted";
        desk.fetch(&["--audit"]).succeeds().shows(skipped);
    };
    desk.m365.renumber(SUPPORT, "INBOX", 4711, 100);
    well(&sent, "another UIDVALIDITY");
    desk.m365.restore(SUPPORT, "INBOX", &backup);
    sent.extend(desk.deliver(50..52));
    well(&sent, "restored");
    desk.read_by(Via::Graph);
    sent.extend(desk.deliver(60..62));
    well(&sent, "by Graph");
    desk.read_by(Via::Imap);
    sent.extend(desk.deliver(70..72));
    well(&sent, "by IMAP again");
    let more = retrieved(&desk) - before;
    assert!(more < 40, "{more} messages were retrieved to know 40 again");
    desk.fetch(&["--include-skipped"]).succeeds();
    sent.extend((0..40).map(message));
    assert_same(&sent, &desk.maildir(MAIL), "all of it");
}

#[test]
fn of_what_is_skipped_the_selected_is_had_later() {
    both(|via| {
        let select =
            "select: {from: [customer-3@customer.example], max_size: 5kB, larger: quarantine}";
        let desk = Desk::new(via, &format!("{NOW}\n{select}"));
        let old = desk.deliver(0..6);
        let large = [&old[3][..], &b"A long line of the text.\r\n".repeat(400)].concat();
        desk.m365.deliver(SUPPORT, "INBOX", &large);
        desk.fetch(&[]).succeeds().says_nothing();
        desk.fetch(&["--include-skipped"])
            .fails(65)
            .mentions("more than max_size (5kB)");
        let mut sent = vec![message(3)];
        assert_same(&sent, &desk.maildir(MAIL), "the selected one");
        let skipped = "1 delivered, 1 in quarantine, 0 dropped, 5 skipped, 0 pending";
        desk.fetch(&["--audit"]).succeeds().shows(skipped);
        desk.fetch(&["--include-skipped"]).succeeds().says_nothing();
        desk.world
            .run([
                "queue",
                "set",
                "support",
                "--select",
                "from=@customer.example",
            ])
            .succeeds();
        desk.fetch(&["--include-skipped", "--limit", "2", "-v"])
            .succeeds()
            .mentions("2 of the skipped messages are fetched now");
        assert_eq!(desk.maildir(MAIL).len(), 3, "two of the others");
        desk.fetch(&["--include-skipped"]).succeeds();
        sent.extend([0, 1, 2, 4, 5].map(message));
        assert_same(&sent, &desk.maildir(MAIL), "all of them");
    });
}

#[test]
fn what_is_skipped_is_had_in_the_run_that_finds_it_under_other_ids() {
    for change in [
        "renumbered",
        "restored",
        "by the other way",
        "not listed yet",
    ] {
        let desk = Desk::new(Via::Imap, NOW);
        let mut sent = desk.deliver(0..10);
        let backup = desk.m365.back_up(SUPPORT, "INBOX");
        match change {
            // Such a run has not come by all that is skipped.
            "not listed yet" => desk.fetch(&["--since", "2100-01-01"]),
            _ => desk.fetch(&[]),
        }
        .succeeds()
        .says_nothing();
        sent.extend(desk.deliver(10..12));
        desk.fetch(&["--since", "2020-01-01"]).succeeds();
        match change {
            "renumbered" => desk.m365.renumber(SUPPORT, "INBOX", 4711, 100),
            "restored" => desk.m365.restore(SUPPORT, "INBOX", &backup),
            "by the other way" => desk.read_by(Via::Graph),
            _ => {}
        }
        desk.fetch(&["--include-skipped"]).succeeds();
        assert_same(&sent, &desk.maildir(MAIL), change);
        desk.fetch(&["--include-skipped"]).succeeds().says_nothing();
        assert_same(&sent, &desk.maildir(MAIL), change);
    }
}

#[test]
fn a_server_that_asks_for_a_wait_is_not_asked_for_what_was_skipped() {
    let desk = Desk::new(Via::Graph, &format!("{NOW}\nafter_fetch: seen"));
    let mut sent = desk.deliver(0..2);
    // Such a run has not come by all that is skipped.
    desk.fetch(&["--since", "2100-01-01"]).succeeds();
    sent.extend(desk.deliver(2..3));
    let throttled = GraphFault::Error(429, "ApplicationThrottled", "Wait.", Some(300));
    desk.m365.faults().graph.next(1, "$batch", throttled);
    desk.fetch(&["--include-skipped"])
        .fails(75)
        .mentions("requests a wait");
    assert_same(&sent[2..], &desk.maildir(MAIL), "what is new");
    assert_eq!(retrieved(&desk), 1, "nothing more was asked for");
    waits_end(&desk);
    desk.fetch(&["--include-skipped"]).succeeds();
    assert_same(&sent, &desk.maildir(MAIL), "after the wait");
}

#[test]
fn a_folder_of_many_old_messages_takes_few_requests() {
    both(|via| {
        let desk = Desk::new(via, NOW);
        desk.deliver(0..1800);
        desk.m365.keep_graph_calls();
        desk.fetch(&[]).succeeds().says_nothing();
        let requests = match via {
            Via::Imap => {
                let log = desk.m365.log();
                log.iter().filter(|line| line.contains("UID FETCH")).count()
            }
            Via::Graph => desk.m365.graph_calls().len(),
        };
        assert!((1..12).contains(&requests), "{via:?}: {requests} requests");
        assert_eq!(retrieved(&desk), 0);
    });
}

#[test]
fn to_catch_up_skips_what_is_there() {
    both(|via| {
        let desk = Desk::new(via, "deliver: maildir:mail");
        let mut sent = desk.deliver(0..3);
        desk.fetch(&[]).succeeds().says_nothing();
        desk.deliver(3..10);
        desk.fetch(&["--catch-up", "support"])
            .succeeds()
            .shows("INBOX: 7 messages skipped");
        sent.extend(desk.deliver(10..12));
        desk.fetch(&[]).succeeds().says_nothing();
        assert_same(&sent, &desk.maildir(MAIL), "what came then");
        desk.fetch(&["--audit"])
            .succeeds()
            .shows("5 delivered")
            .shows("7 skipped, 0 pending, 0 unaccounted");
        // Also of a mailbox that was never fetched, and what could not be fetched.
        let other = "other@contoso.example";
        desk.add_address(other, "deliver: maildir:other");
        desk.deliver_to(other, 0..4);
        let ran = desk.fetch(&["--catch-up", other, "--json"]).succeeds();
        let event: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(
            (&event["event"], &event["skipped"]),
            (&"skipped".into(), &4.into())
        );
        desk.fetch(&[other]).succeeds().says_nothing();
        assert_same(&[], &desk.maildir(".config/queuemail/other"), "nothing");
    });
}

#[test]
fn to_catch_up_skips_also_what_failed() {
    both(|via| {
        let desk = Desk::new(via, "deliver: \"command:sh -c 'exit 75'\"");
        desk.deliver(0..2);
        desk.fetch(&[]).fails(75);
        desk.fetch(&["--catch-up"])
            .succeeds()
            .shows("INBOX: 2 messages skipped");
        desk.fetch(&[]).succeeds().says_nothing();
        desk.fetch(&["--audit"])
            .succeeds()
            .shows("2 skipped, 0 pending");
    });
}

/// Mail arrives while the first run is under way: it is new.
#[test]
fn what_arrives_during_the_first_run_is_delivered() {
    both(|via| {
        let desk = Desk::new(via, NOW);
        desk.deliver(0..700);
        // Graph gives page by page.
        desk.m365.faults().graph.page.store(50, Ordering::SeqCst);
        let (begun, arrives) = match via {
            Via::Imap => ("UID FETCH", 700..720),
            Via::Graph => ("skiptoken", 700..720),
        };
        let over = AtomicBool::new(false);
        let sent = std::thread::scope(|scope| {
            let arriving = scope.spawn(|| {
                let mut sent = Vec::new();
                for n in arrives {
                    while sent.is_empty()
                        && !over.load(Ordering::SeqCst)
                        && !desk.m365.log().iter().any(|line| line.contains(begun))
                    {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                    sent.extend(desk.deliver(n..n + 1));
                }
                sent
            });
            desk.fetch(&[]).succeeds();
            over.store(true, Ordering::SeqCst);
            arriving.join().unwrap()
        });
        desk.fetch(&[]).succeeds();
        assert_same(&sent, &desk.maildir(MAIL), &format!("{via:?}"));
        desk.fetch(&["--audit"]).succeeds().shows("700 skipped");
    });
}

/// The first run is killed, mail arriving all the while: what was there when it began is never
/// delivered, what came after the folder was on record always is, and the cut is at one moment.
#[test]
fn a_first_run_that_is_killed_skips_nothing_new_and_delivers_nothing_old() {
    both(|via| {
        let mut struck = 0;
        for (call, n) in [
            ("fdatasync", 1),
            ("fdatasync", 2),
            ("fdatasync", 3),
            ("fdatasync", 4),
            ("fdatasync", 5),
            ("pwrite64", 20),
            ("pwrite64", 40),
            ("pwrite64", 60),
            ("pwrite64", 80),
            ("sendto", 6),
            ("sendto", 8),
            ("sendto", 9),
            ("write", 12),
            ("write", 20),
        ] {
            let story = format!("{via:?}, killed at the {n}. {call}");
            let desk = Desk::new(via, NOW);
            desk.deliver(0..60);
            desk.m365.faults().graph.page.store(10, Ordering::SeqCst);
            let over = AtomicBool::new(false);
            let killed = std::thread::scope(|scope| {
                scope.spawn(|| {
                    for n in 1000.. {
                        if over.load(Ordering::SeqCst) {
                            return;
                        }
                        desk.deliver(n..n + 1);
                        std::thread::sleep(Duration::from_millis(5));
                    }
                });
                let command = desk.fetch(&[]).command();
                let killed = killed::killed_at(&command, killed::Hit::All, call, n);
                over.store(true, Ordering::SeqCst);
                killed
            });
            struck += usize::from(killed);
            let is_on_record = desk.world.state_dir().join("state.sqlite").exists()
                && desk
                    .state()
                    .query_row("SELECT count(*) FROM folder", [], |row| {
                        row.get::<_, i64>(0)
                    })
                    .is_ok_and(|count| count > 0);
            let later = desk.deliver(9000..9003);
            for _ in 0..2 {
                desk.fetch(&[]).succeeds();
            }
            let delivered = desk.maildir(MAIL);
            let all = desk.m365.messages(SUPPORT, "INBOX");
            let is_delivered: Vec<bool> = all
                .iter()
                .map(|message| delivered.contains(&message.bytes))
                .collect();
            let first = is_delivered.iter().position(|is| *is).unwrap_or(all.len());
            assert!(first >= 60, "{story}: old mail was delivered");
            assert!(
                is_delivered[first..].iter().all(|is| *is),
                "{story}: new mail was missed"
            );
            assert_eq!(delivered.len(), all.len() - first, "{story}: twice");
            if is_on_record {
                assert!(
                    later.iter().all(|one| delivered.contains(one)),
                    "{story}: not at first"
                );
            }
            let skipped = format!("{first} skipped, 0 pending, 0 unaccounted");
            desk.fetch(&["--audit"]).succeeds().shows(&skipped);
        }
        assert!(struck > 5, "{via:?}: only {struck} runs were killed");
    });
}

/// The day that fetching begins on may be still to come: what arrives until then is skipped.
#[test]
fn a_day_to_come_is_waited_for_and_can_be_changed() {
    both(|via| {
        let desk = Desk::new(via, "deliver: maildir:mail\nstart: 2199-01-01");
        desk.deliver(0..1);
        let first = desk.fetch(&["-v"]).succeeds();
        first
            .mentions("start is 2199-01-01, so mail that arrives before that day (UTC) is skipped");
        desk.deliver(1..2);
        desk.fetch(&["--dry-run"])
            .succeeds()
            .shows("1 message to be skipped");
        desk.fetch(&[]).succeeds().says_nothing();
        desk.fetch(&["--catch-up"]).succeeds();
        desk.deliver(2..3);
        desk.fetch(&[]).succeeds().says_nothing();
        assert_same(&[], &desk.maildir(MAIL), "before that day");
        desk.fetch(&["--audit"]).succeeds().shows("3 skipped");
        // A check says so; it was probably another year that was meant.
        let check = desk.world.run(["check", "support"]).fails(75);
        check.shows("start").shows("2199-01-01 is in the future");
        let set = desk
            .world
            .run(["queue", "set", "support", "--start", "2199-02-01"]);
        set.succeeds()
            .mentions("start (2199-02-01) is in the future");
        let set = desk
            .world
            .run(["queue", "set", "support", "--start", "2025-01-01"]);
        let set = set.succeeds();
        assert_eq!(set.stderr, "", "{set}");
        let new = desk.deliver(3..4);
        desk.fetch(&[]).succeeds().says_nothing();
        assert_same(&new, &desk.maildir(MAIL), "from the new day on");
        desk.fetch(&["--audit"]).succeeds().shows("3 skipped");
    });
}

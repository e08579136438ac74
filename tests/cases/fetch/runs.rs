//! Runs of `fetch`: what is chosen, in which order, what is said, and runs that meet.

use super::{Desk, SUPPORT, Via, assert_same, both, desk_that_waits, message};
use crate::patience::until;
use std::time::{Duration, Instant};

const MAILDIR: &str = "deliver: maildir:mail";
const MAIL: &str = ".config/queuemail/mail";

#[test]
fn new_mail_is_delivered_once_and_nothing_is_said() {
    both(|via| {
        let desk = Desk::new(via, MAILDIR);
        let mut sent = desk.deliver(0..5);
        desk.fetch(&[]).succeeds().says_nothing();
        assert_same(&sent, &desk.maildir(MAIL), "first run");
        desk.fetch(&[]).succeeds().says_nothing();
        sent.extend(desk.deliver(5..7));
        desk.fetch(&[]).succeeds().says_nothing();
        assert_same(&sent, &desk.maildir(MAIL), "third run");
        assert!(
            desk.m365
                .messages(SUPPORT, "INBOX")
                .iter()
                .all(|m| m.flags.is_empty()),
            "keep leaves every message as it was"
        );
        assert_eq!(
            desk.m365.token_requests().len(),
            1,
            "one token for all runs"
        );
    });
}

#[test]
fn messages_are_marked_deleted_or_moved_once_they_are_delivered() {
    both(|via| {
        for action in ["seen", "delete", "move:Archive", "move:Done"] {
            let desk = Desk::new(via, &format!("{MAILDIR}\nafter_fetch: {action}"));
            let sent = desk.deliver(0..5);
            desk.fetch(&[]).succeeds().says_nothing();
            assert_same(&sent, &desk.maildir(MAIL), action);
            let inbox = desk.m365.messages(SUPPORT, "INBOX");
            let story = format!("{via:?}, {action}");
            match action.strip_prefix("move:") {
                Some(folder) => {
                    assert!(inbox.is_empty(), "{story}");
                    let moved: Vec<_> = desk
                        .m365
                        .messages(SUPPORT, folder)
                        .into_iter()
                        .map(|m| m.bytes)
                        .collect();
                    assert_same(&sent, &moved, &story);
                }
                None if action == "delete" => assert!(inbox.is_empty(), "{story}"),
                None => assert!(
                    inbox.iter().all(|m| m.flags.iter().any(|f| f == "\\Seen")),
                    "{story}"
                ),
            }
            desk.fetch(&[]).succeeds().says_nothing();
            assert_same(&sent, &desk.maildir(MAIL), &story);
        }
    });
}

#[test]
fn what_left_the_folder_is_forgotten_after_a_season_but_for_its_count() {
    const DAY: i64 = 86_400;
    both(|via| {
        let desk = Desk::new(via, &format!("{MAILDIR}\nafter_fetch: delete"));
        desk.add_address("kept@contoso.example", "deliver: maildir:kept");
        desk.deliver(0..5);
        desk.deliver_to("kept@contoso.example", 5..7);
        desk.fetch(&[]).succeeds().says_nothing();
        let state = desk.state();
        let age = |days: i64| {
            let older = "UPDATE message SET changed_at = changed_at - ?1";
            state.execute(older, [days * DAY]).unwrap();
        };
        let rows = || {
            let rows: i64 = state
                .query_row("SELECT count(*) FROM message", [], |row| row.get(0))
                .unwrap();
            rows
        };
        let status = || {
            let ran = desk.world.run(["status", "--json"]).succeeds();
            let text = ran.stdout.lines().next().unwrap();
            let all: serde_json::Value = serde_json::from_str(text).unwrap();
            let of = |address: &str| {
                let mailboxes = all["mailboxes"].as_array().unwrap();
                mailboxes.iter().find(|m| m["address"] == address).cloned()
            };
            let support = of(SUPPORT).unwrap();
            (
                support["delivered"].clone(),
                support["last_message"].clone(),
            )
        };
        age(89);
        let before = status();
        desk.fetch(&[]).succeeds().says_nothing();
        assert_eq!(rows(), 7, "{via:?}: 89 days are no season");
        age(2);
        desk.fetch(&["--dry-run"]).succeeds();
        assert_eq!(rows(), 7, "{via:?}: a dry run forgets nothing");
        desk.fetch(&[]).succeeds().says_nothing();
        // By IMAP, that the last one has left tells a mailbox that was restored.
        let last = usize::from(via == Via::Imap) as i64;
        let story = "what is kept on the server stays, and the row at the mark";
        assert_eq!(rows(), 2 + last, "{via:?}: {story}");
        let after = status();
        assert_eq!(before.0, after.0, "{via:?}");
        assert_ne!(serde_json::Value::Null, after.1, "{via:?}");
        // Nothing comes again, and nothing is missed.
        let sent = desk.deliver(7..9);
        desk.fetch(&[]).succeeds().says_nothing();
        desk.fetch(&["--audit"]).succeeds();
        let delivered = desk.maildir(MAIL);
        assert_eq!(delivered.len(), 7, "{via:?}");
        assert!(sent.iter().all(|message| delivered.contains(message)));
        assert_eq!(status().0, 7, "{via:?}");
    });
}

#[test]
fn json_tells_of_each_message_and_sums_up() {
    let desk = Desk::new(
        Via::Imap,
        "deliver: maildir:mail\npriority: 5\nextension_language: fi",
    );
    desk.deliver(0..2);
    let ran = desk.fetch(&["--json"]).succeeds();
    let lines: Vec<serde_json::Value> = ran
        .stdout
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(lines.len(), 3, "{ran}");
    let first = &lines[0];
    for (key, value) in [
        ("event", "message".into()),
        ("queue", "support".into()),
        ("address", SUPPORT.into()),
        ("folder", "INBOX".into()),
        ("uid", 1.into()),
        (
            "uidvalidity",
            desk.m365.uidvalidity(SUPPORT, "INBOX").into(),
        ),
        ("size", message(0).len().into()),
        ("priority", 5.into()),
        ("language", "fi".into()),
        (
            "message_id",
            serde_json::Value::from("<0@customer.example>"),
        ),
    ] {
        assert_eq!(first[key], value, "{key}\n{ran}");
    }
    assert!(
        first["delivered_to"]
            .as_str()
            .unwrap()
            .ends_with("mail/new"),
        "{ran}"
    );
    assert_eq!(lines[2]["event"], "summary");
    assert_eq!(lines[2]["fetched"], 2);
    assert_eq!(lines[2]["failed"], 0);
    assert_eq!(lines[2]["quarantined"], 0);
    let octets = message(0).len() + message(1).len();
    assert_eq!(lines[2]["bytes"], octets);
}

/// An address whose mail has no place to go to is told, and those of the others go on.
#[test]
fn one_without_a_delivery_stops_nobody_else() {
    let desk = Desk::new(Via::Imap, MAILDIR);
    desk.add_address("sales@contoso.example", "");
    let sent = desk.deliver(0..2);
    desk.fetch(&[])
        .fails(78)
        .mentions("the mail of `sales@contoso.example`")
        .mentions("queuemail queue set support --address sales@contoso.example --deliver");
    assert_same(&sent, &desk.maildir(MAIL), "of the other address");
    let status = desk.world.run(["status", "--check"]).fails(69);
    status
        .mentions("`sales@contoso.example`")
        .mentions("has no delivery");
}

/// What cannot be reached is told with the command that looks why, its host and port filled in.
#[test]
fn a_host_out_of_reach_is_named_in_the_hint() {
    let desk = Desk::new(Via::Imap, MAILDIR);
    desk.deliver(0..1);
    let config = desk.world.config();
    desk.world
        .write_config(config.replace(&desk.m365.imap_url(), "imaps://localhost:1"));
    desk.fetch(&[])
        .fails(75)
        .mentions("hint: nc -vz localhost 1\n");
    let authority = desk.m365.authority();
    let closed = authority.replace(authority.rsplit_once('/').unwrap().0, "https://localhost:1");
    desk.world.write_config(config.replace(&authority, &closed));
    desk.world.run(["token", "forget", "--all"]).succeeds();
    desk.fetch(&[])
        .fails(75)
        .mentions("hint: curl -v https://localhost:1/\n");
}

#[test]
fn limits_dry_runs_and_dates() {
    both(|via| {
        let desk = Desk::new(via, MAILDIR);
        let sent = desk.deliver(0..6);
        let would = desk.fetch(&["--dry-run"]).succeeds();
        would.shows("INBOX: 6 messages to fetch");
        let would = desk.fetch(&["--dry-run", "--json"]).succeeds().json();
        assert_eq!(would["uids"].as_array().unwrap().len(), 6);
        assert!(would["deliver"].as_str().unwrap().starts_with("maildir:"));
        assert_eq!(would["after_fetch"], "keep");
        assert!(desk.maildir(MAIL).is_empty(), "a dry run delivers nothing");
        desk.fetch(&["--since", "2100-01-01"])
            .succeeds()
            .says_nothing();
        assert!(desk.maildir(MAIL).is_empty(), "nothing is that new");
        desk.fetch(&["--limit", "2"]).succeeds();
        // Graph lists in no particular order.
        if via == Via::Imap {
            assert_same(&sent[..2], &desk.maildir(MAIL), "the first two");
        }
        assert_eq!(desk.maildir(MAIL).len(), 2, "{via:?}");
        desk.fetch(&["--limit", "3"]).succeeds();
        assert_eq!(desk.maildir(MAIL).len(), 5, "{via:?}");
        desk.fetch(&["--since", "2020-01-01"]).succeeds();
        assert_same(&sent, &desk.maildir(MAIL), "the rest");
        desk.fetch(&["--since", "tomorrow"])
            .fails(64)
            .mentions("`--since`: `tomorrow` is not a date: write it as YYYY-MM-DD");
        desk.fetch(&["suport"])
            .fails(64)
            .mentions("did you mean `support`?");
    });
}

/// A line that takes about two hundredths of a second for each message, so many times; 0: a quick
/// one.
fn slow(desk: &Desk, times: u64) {
    let faults = desk.m365.faults();
    faults
        .graph
        .latency
        .store(80 * times, std::sync::atomic::Ordering::SeqCst);
    let drip = (times > 0).then(|| (50, Duration::from_millis(4 * times)));
    *faults.imap_drip.lock().unwrap() = drip;
}

#[test]
fn a_budget_ends_a_run_between_two_messages() {
    both(|via| {
        let desk = Desk::new(via, &format!("{MAILDIR}\nafter_fetch: seen"));
        let sent = desk.deliver(0..200);
        // The line alone takes twice the budget. Where the machine needs all of it to begin, both are more.
        for times in [1, 4, 16] {
            slow(&desk, times);
            let budget = 2 * times;
            let began = Instant::now();
            desk.fetch(&["--budget", &budget.to_string()])
                .succeeds()
                .says_nothing();
            let time = began.elapsed().as_secs();
            assert!((budget..budget + 60).contains(&time), "{via:?}: {time} s");
            if !desk.maildir(MAIL).is_empty() {
                break;
            }
        }
        let got = desk.maildir(MAIL).len();
        assert!((1..200).contains(&got), "{via:?}: {got} messages");
        slow(&desk, 0);
        desk.fetch(&[]).succeeds().says_nothing();
        assert_same(&sent, &desk.maildir(MAIL), "the next run takes the rest");
        let inbox = desk.m365.messages(SUPPORT, "INBOX");
        assert!(inbox.iter().all(|m| m.flags.iter().any(|f| f == "\\Seen")));
    });
}

#[test]
fn a_budget_for_each_address_keeps_no_other_waiting() {
    both(|via| {
        let desk = Desk::new(via, MAILDIR);
        let mut sent = desk.deliver(0..400);
        desk.add_address("sales@contoso.example", "deliver: maildir:sales");
        sent.truncate(400);
        let other = desk.deliver_to("sales@contoso.example", 900..903);
        let sales = || desk.maildir(".config/queuemail/sales");
        // The line alone takes eight times the budget for the first.
        for budget in [1, 4, 16] {
            slow(&desk, budget);
            let each = budget.to_string();
            desk.fetch(&["--jobs", "1", "--budget-each", &each])
                .succeeds()
                .says_nothing();
            if !desk.maildir(MAIL).is_empty() && sales().len() == other.len() {
                break;
            }
        }
        let got = desk.maildir(MAIL).len();
        assert!((1..400).contains(&got), "{via:?}: {got} messages");
        assert_same(&other, &sales(), "the other address");
        slow(&desk, 0);
        desk.fetch(&[]).succeeds();
        assert_same(&sent, &desk.maildir(MAIL), "the rest");
    });
}

#[test]
fn a_mailbox_that_is_being_fetched_is_an_error_only_for_who_names_it() {
    let (desk, closed) = desk_that_waits();
    desk.deliver(0..1);
    let mut busy = desk.fetch(&[]).command().spawn().unwrap();
    until("the first run fetches", || {
        desk.m365.log().iter().any(|line| line.contains("FETCH"))
    });
    desk.fetch(&[]).succeeds().says_nothing();
    let process = format!("process {}", busy.id());
    desk.fetch(&["support"])
        .fails(75)
        .mentions("is being fetched by another queuemail")
        .mentions(&process);
    std::fs::remove_file(closed).unwrap();
    assert!(busy.wait().unwrap().success());
}

#[test]
fn an_audit_finds_what_was_passed_over_and_puts_it_back() {
    let desk = Desk::new(Via::Imap, MAILDIR);
    let sent = desk.deliver(0..5);
    desk.fetch(&[]).succeeds();
    // Somebody's tool damaged the ledger, and the Maildir too.
    let state = rusqlite::Connection::open(desk.world.state_dir().join("state.sqlite")).unwrap();
    state
        .execute("DELETE FROM message WHERE remote = 3", [])
        .unwrap();
    drop(state);
    desk.fetch(&["--audit"])
        .fails(75)
        .shows("1 unaccounted for")
        .mentions("missed");
    desk.fetch(&[]).succeeds();
    desk.fetch(&["--audit"]).succeeds().shows("5 delivered");
    let mut twice = sent.clone();
    twice.push(sent[2].clone());
    assert_same(&twice, &desk.maildir(MAIL), "put back");
}

#[test]
fn a_folder_that_is_not_there_is_named_with_those_that_are() {
    let desk = Desk::new(Via::Imap, "deliver: maildir:mail\nfolders: [INBOX, Archiv]");
    let sent = desk.deliver(0..1);
    desk.fetch(&[])
        .fails(78)
        .mentions("Archiv")
        .mentions("Archive");
    assert_same(&sent, &desk.maildir(MAIL), "the folder before it");
}

#[test]
fn a_folder_that_is_gone_keeps_no_other_back() {
    both(|via| {
        let folders = "deliver: maildir:mail\nfolders: [Gone, INBOX, Archive]";
        let desk = Desk::new(via, folders);
        let sent = desk.deliver(0..2);
        let archived = message(2);
        desk.m365.deliver(SUPPORT, "Archive", &archived);
        for looking in ["--dry-run", "--audit"] {
            let ran = desk.fetch(&[looking]).fails(78);
            ran.mentions("no folder `Gone`")
                .shows("INBOX")
                .shows("Archive");
        }
        desk.fetch(&[]).fails(78).mentions("no folder `Gone`");
        let all = [sent, vec![archived]].concat();
        assert_same(&all, &desk.maildir(MAIL), &format!("{via:?}"));
    });
}

#[test]
fn a_destination_that_cannot_be_written_loses_nothing() {
    let desk = Desk::new(
        Via::Imap,
        "deliver: maildir:/proc/nowhere\nafter_fetch: delete",
    );
    desk.deliver(0..3);
    desk.fetch(&[])
        .fails(73)
        .mentions("nothing was removed from the server");
    assert_eq!(desk.m365.messages(SUPPORT, "INBOX").len(), 3);
}

/// INBOX is the same in every case (RFC 3501 §5.1).
#[test]
fn the_inbox_is_one_folder_however_it_is_written() {
    both(|via| {
        let desk = Desk::new(via, "deliver: maildir:mail\nfolders: [Inbox]");
        let mut sent = desk.deliver(0..3);
        desk.fetch(&[]).succeeds().says_nothing();
        let config = desk.world.config();
        for folders in ["[INBOX]", "[inbox]"] {
            let config = config.replace("[Inbox]", folders);
            desk.world.write_config(config);
            let next = sent.len();
            sent.extend(desk.deliver(next..next + 1));
            desk.fetch(&[]).succeeds().says_nothing();
            assert_same(&sent, &desk.maildir(MAIL), &format!("{via:?}, {folders}"));
        }
    });
}

#[test]
fn a_database_of_an_earlier_version_goes_on() {
    both(|via| {
        let desk = Desk::new(via, &format!("{MAILDIR}\nfolders: [Inbox]"));
        let mut sent = desk.deliver(0..3);
        desk.fetch(&[]).succeeds().says_nothing();
        let state = desk.state();
        state
            .execute_batch(
                "DROP TABLE rotation;
                 DROP TABLE incident;
                 DROP TABLE counter;
                 ALTER TABLE mailbox DROP COLUMN took;
                 DROP TABLE forgotten_id;
                 UPDATE folder SET name = 'Inbox';
                 DROP INDEX message_left;
                 DROP INDEX message_open;
                 CREATE INDEX message_unfinished ON message (folder, state)
                     WHERE state <> 'delivered';
                 ALTER TABLE folder DROP COLUMN delivered;
                 ALTER TABLE folder DROP COLUMN delivered_at;
                 ALTER TABLE folder DROP COLUMN former;
                 DROP INDEX sent_before;
                 ALTER TABLE wait DROP COLUMN exit_code;
                 ALTER TABLE wait DROP COLUMN server_said;
                 ALTER TABLE wait DROP COLUMN hints;
                 ALTER TABLE wait DROP COLUMN fingerprint;
                 ALTER TABLE wait DROP COLUMN cause;
                 ALTER TABLE wait DROP COLUMN host;
                 ALTER TABLE wait DROP COLUMN port;
                 ALTER TABLE way DROP COLUMN ground;
                 ALTER TABLE message DROP COLUMN received;
                 ALTER TABLE folder DROP COLUMN start;
                 ALTER TABLE outbox DROP COLUMN submitter;
                 ALTER TABLE message DROP COLUMN about;
                 DROP TABLE history_recipient;
                 DROP TABLE history;
                 PRAGMA application_id = 0;
                 PRAGMA user_version = 2;",
            )
            .unwrap();
        drop(state);
        sent.extend(desk.deliver(3..5));
        desk.fetch(&[]).succeeds().says_nothing();
        assert_same(&sent, &desk.maildir(MAIL), &format!("{via:?}"));
        let counted = "SELECT sum(delivered) FROM folder";
        let counted: i64 = desk
            .state()
            .query_row(counted, [], |row| row.get(0))
            .unwrap();
        assert_eq!(counted, 5, "{via:?}");
        let id = desk
            .state()
            .pragma_query_value(None, "application_id", |row| row.get::<_, i32>(0));
        assert_ne!(id.unwrap(), 0, "it is known as ours from now on");
    });
}

/// Exchange finds a folder by its name in any case.
#[test]
fn a_folder_by_two_names_is_fetched_once() {
    both(|via| {
        let folders = "deliver: maildir:mail\nfolders: [Archive, ARCHIVE]";
        let desk = Desk::new(via, folders);
        let mut sent: Vec<Vec<u8>> = (0..3).map(message).collect();
        for message in &sent {
            desk.m365.deliver(SUPPORT, "Archive", message);
        }
        let listed = desk.fetch(&["--dry-run"]).succeeds().stdout;
        assert_eq!(listed.matches("3 messages to fetch").count(), 1, "{listed}");
        desk.fetch(&[]).succeeds().says_nothing();
        assert_same(&sent, &desk.maildir(MAIL), &format!("{via:?}"));
        let config = desk.world.config();
        desk.world
            .write_config(config.replace("[Archive, ARCHIVE]", "[archive]"));
        sent.push(message(3));
        desk.m365.deliver(SUPPORT, "Archive", &sent[3]);
        desk.fetch(&[]).succeeds().says_nothing();
        assert_same(
            &sent,
            &desk.maildir(MAIL),
            &format!("{via:?}, by a new name"),
        );
        desk.fetch(&["--audit"]).succeeds().shows("4 delivered");
    });
}

/// Graph knows the folders that every mailbox has by two names.
#[test]
fn a_folder_by_its_name_in_another_language_is_the_same() {
    let desk = Desk::new(Via::Graph, "deliver: maildir:mail\nfolders: [Archive]");
    desk.m365.rename_folder(SUPPORT, "Archive", "Archiv");
    desk.m365.deliver(SUPPORT, "Archiv", &message(0));
    let folders = ["[Archive]", "[Archiv]", "[Archiv, Archive]", "[Archive]"];
    for pair in folders.windows(2) {
        desk.fetch(&[]).succeeds().says_nothing();
        let config = desk.world.config();
        desk.world.write_config(config.replace(pair[0], pair[1]));
        desk.fetch(&[]).succeeds().says_nothing();
        assert_same(&[message(0)], &desk.maildir(MAIL), pair[1]);
    }
}

#[test]
fn a_dry_run_keeps_to_the_limit_as_a_run_does() {
    let desk = Desk::new(
        Via::Imap,
        "deliver: maildir:mail\nfolders: [INBOX, Archive]",
    );
    desk.deliver(0..3);
    for n in 3..6 {
        desk.m365.deliver(SUPPORT, "Archive", &message(n));
    }
    desk.fetch(&["--dry-run", "--limit", "4"])
        .succeeds()
        .shows("INBOX: 3 messages to fetch")
        .shows("Archive: 1 message to fetch");
    desk.fetch(&["--limit", "4"]).succeeds();
    assert_eq!(desk.maildir(MAIL).len(), 4);
}

/// There they would be fetched again.
#[test]
fn mail_is_not_moved_into_a_folder_that_is_fetched() {
    both(|via| {
        for (folders, target) in [("INBOX, Archive", "archive"), ("Archive", "archive")] {
            let desk = Desk::new(via, &format!("deliver: maildir:mail\nfolders: [{folders}]"));
            desk.m365.deliver(SUPPORT, "Archive", &message(0));
            let args = ["--after", &format!("move:{target}")];
            desk.fetch(&args).fails(78).mentions("fetched again");
            assert_same(&[], &desk.maildir(MAIL), &format!("{via:?}"));
        }
    });
}

/// `check` says before the first run what a run would refuse.
#[test]
fn a_move_into_a_folder_that_is_fetched_is_found_by_check() {
    both(|via| {
        let desk = Desk::new(
            via,
            "deliver: maildir:mail\nfolders: [INBOX, Archive]\nafter_fetch: move:archive",
        );
        let ran = desk.world.run(["check"]).fails(78);
        ran.shows("would be fetched again from there");
    });
}

/// A host that takes nobody in, as behind a firewall, is not waited for when the run should be over.
#[test]
fn a_host_that_does_not_answer_ends_with_the_budget() {
    use rustix::net::{AddressFamily, SocketType, bind, listen, socket};
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&socket, &std::net::SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    listen(&socket, 0).unwrap();
    let silent = std::net::TcpListener::from(socket);
    let address = silent.local_addr().unwrap();
    // They fill its queue.
    let short = Duration::from_millis(50);
    let _waiting: Vec<_> = (0..4)
        .filter_map(|_| std::net::TcpStream::connect_timeout(&address, short).ok())
        .collect();
    let desk = Desk::new(Via::Imap, "deliver: maildir:mail");
    let config = desk.world.config();
    let config = config.replace(&desk.m365.imap_url(), &format!("imaps://{address}"));
    desk.world.write_config(config);
    for within in [["--budget", "2"], ["--timeout", "2"]] {
        let began = Instant::now();
        desk.fetch(&within)
            .fails(75)
            .mentions("connection timed out");
        let took = began.elapsed();
        // By itself it would wait for half a minute.
        assert!(took < Duration::from_secs(25), "{within:?}: {took:?}");
    }
}

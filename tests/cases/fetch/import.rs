//! `state import`: what another program has fetched is not delivered again, and nothing else is
//! missed.

use super::{Desk, SUPPORT, Via, assert_same, both, desk_that_waits, message};
use crate::killed;
use crate::memory::peak;
use crate::patience::until;
use crate::world::{Ran, Run};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

const MAILDIR: &str = "deliver: maildir:mail";
const MAIL: &str = ".config/queuemail/mail";

/// The message of a number, with a Message-ID.
fn letter(n: usize) -> Vec<u8> {
    let minute = n % 60;
    format!(
        "From: customer-{n}@customer.example\r\nTo: {SUPPORT}\r\nSubject: Case {n}\r\n\
         Date: Mon, 23 Nov 2026 10:{minute:02}:00 +0100\r\nMessage-ID: <{n}@customer.example>\r\n\r\n\
         Case {n}.\r\n"
    )
    .into_bytes()
}

impl Desk {
    fn put(&self, numbers: std::ops::Range<usize>) -> Vec<Vec<u8>> {
        let all: Vec<_> = numbers.map(letter).collect();
        for message in &all {
            self.m365.deliver(SUPPORT, "INBOX", message);
        }
        all
    }

    fn import(&self, program: &str, path: &Path) -> Run {
        self.world
            .run(["state", "import", program])
            .arg(path)
            .args(["--address", SUPPORT])
    }

    /// getmail's file, with the UIDs of these numbers.
    fn oldmail(&self, uids: impl Iterator<Item = u32>) -> PathBuf {
        let valid = self.m365.uidvalidity(SUPPORT, "INBOX");
        let line = |uid| format!("{valid}/{uid}\0{}\n", 1_790_000_000);
        self.world
            .write("oldmail", uids.map(line).collect::<String>())
    }

    /// A Maildir with these messages, as a program delivers them that adds fields and has line ends of
    /// its own.
    fn copies(&self, messages: &[Vec<u8>]) -> PathBuf {
        let maildir = self.world.path("old");
        for place in ["new", "cur", "tmp"] {
            fs::create_dir_all(maildir.join(place)).unwrap();
        }
        for (n, message) in messages.iter().enumerate() {
            let place = if n % 2 == 0 { "new" } else { "cur" };
            let text = String::from_utf8(message.clone())
                .unwrap()
                .replace("\r\n", "\n");
            let text = format!("Delivered-To: us\nReceived: by getmail\n{text}");
            fs::write(maildir.join(place).join(format!("{n}.x:2,S")), text).unwrap();
        }
        maildir
    }

    fn audits(&self, words: &str) {
        self.fetch(&["--audit"]).succeeds().shows(words);
    }
}

fn counts(ran: &Ran, expected: &[(&str, u64)]) {
    let found = ran.json();
    for (name, count) in expected {
        assert_eq!(found[name], *count, "{name}: {found}");
    }
}

#[test]
fn what_is_known_by_its_uid_is_not_delivered_again() {
    let desk = Desk::new(Via::Imap, MAILDIR);
    let old = desk.put(0..5);
    let new = desk.put(5..8);
    // One that is gone from the server, and one that never was a UID.
    desk.m365.set_uidnext(SUPPORT, "INBOX", 100);
    let file = desk.oldmail([1, 2, 3, 4, 5, 90].into_iter());
    let mut text = fs::read(&file).unwrap();
    text.extend(b"AAMkPop\x005\n");
    fs::write(&file, text).unwrap();
    let import = |more: &[&str]| desk.import("getmail", &file).args(more);
    let what = "support (support@contoso.example), INBOX: 5 messages to be skipped, \
                3 messages for the next fetch; 1 not on the server any more; 1 not recognisable";
    import(&["--dry-run"])
        .succeeds()
        .prints(&format!("{what}\n"));
    desk.fetch(&["--dry-run"])
        .succeeds()
        .shows("8 messages to fetch");
    import(&[])
        .succeeds()
        .shows("5 messages skipped, 3 messages for the next fetch");
    // Again, and it changes nothing.
    let again = import(&["--json"]).succeeds();
    counts(
        &again,
        &[
            ("imported", 0),
            ("on_record", 5),
            ("new", 3),
            ("absent", 1),
            ("unclear", 1),
        ],
    );
    desk.fetch(&["-v"]).succeeds();
    assert_same(&new, &desk.maildir(MAIL), "what is new");
    desk.audits("8 messages on the server: 3 delivered, 0 in quarantine, 0 dropped, 5 skipped");
    counts(
        &import(&["--json"]).succeeds(),
        &[("imported", 0), ("on_record", 8), ("new", 0)],
    );
    desk.world.run(["history"]).succeeds().shows("Case 5");
    // Under other UIDs, and by Graph, they are known by their Message-IDs.
    desk.m365.renumber(SUPPORT, "INBOX", 4711, 100);
    desk.fetch(&[]).succeeds();
    desk.read_by(Via::Graph);
    desk.fetch(&[]).succeeds();
    assert_same(&new, &desk.maildir(MAIL), "under other ids");
    desk.fetch(&["--include-skipped"]).succeeds();
    let all = [old, new].concat();
    assert_same(&all, &desk.maildir(MAIL), "all of it");
}

#[test]
fn mbsyncs_pairs_are_known_and_its_placeholders_come() {
    let desk = Desk::new(Via::Imap, MAILDIR);
    let all = desk.put(0..8);
    let valid = desk.m365.uidvalidity(SUPPORT, "INBOX");
    let state = format!(
        "FarUidValidity {valid}\nNearUidValidity 1\nMaxPulledUid 5\nMaxPushedUid 5\n\n\
         1 1 S\n2 2 \n3 3 >\n4 4 FS\n5 5 RS\n"
    );
    let file = desk.world.write("old/.mbsyncstate", state);
    let json = desk
        .import("mbsync", file.parent().unwrap())
        .arg("--json")
        .succeeds();
    counts(&json, &[("imported", 4), ("new", 4), ("unclear", 1)]);
    desk.fetch(&[]).succeeds();
    let expected = [&all[2..3], &all[5..]].concat();
    assert_same(&expected, &desk.maildir(MAIL), "the rest");
}

/// The INBOX of many a mailbox of Exchange has the same UIDVALIDITY.
#[test]
fn mbsyncs_state_of_another_mailbox_is_known_by_its_maildir() {
    let desk = Desk::new(Via::Imap, MAILDIR);
    desk.put(0..8);
    let valid = desk.m365.uidvalidity(SUPPORT, "INBOX");
    let state = format!("FarUidValidity {valid}\nNearUidValidity 1\n\n1 1 S\n2 2 \n3 3 \n");
    let of = |messages: &[Vec<u8>]| {
        let maildir = desk.copies(messages);
        fs::write(maildir.join(".mbsyncstate"), &state).unwrap();
        maildir
    };
    let other = of(&[letter(90), letter(91), letter(92)]);
    desk.import("mbsync", &other)
        .fails(64)
        .mentions("none of the 3 messages in folder `INBOX` that mbsync has fetched")
        .mentions("it is the state of another mailbox");
    desk.fetch(&["--dry-run"])
        .succeeds()
        .shows("8 messages to fetch");
    // Most of its own was removed since.
    let own = of(&[letter(90), letter(1), letter(92)]);
    desk.import("mbsync", &own)
        .succeeds()
        .shows("3 messages skipped, 5 messages for the next fetch");
}

#[test]
fn what_has_a_copy_in_a_maildir_is_not_delivered_again() {
    both(|via| {
        let desk = Desk::new(via, MAILDIR);
        let old = desk.put(0..5);
        let new = desk.put(5..8);
        let maildir = desk.copies(&old);
        desk.import("maildir", &maildir)
            .succeeds()
            .shows("INBOX: 5 messages skipped, 3 messages for the next fetch");
        counts(
            &desk.import("maildir", &maildir).arg("--json").succeeds(),
            &[("imported", 0), ("on_record", 5), ("new", 3), ("absent", 0)],
        );
        desk.fetch(&[]).succeeds().says_nothing();
        assert_same(&new, &desk.maildir(MAIL), "what is new");
        desk.audits("5 skipped");
    });
}

#[test]
fn what_is_in_doubt_is_delivered() {
    both(|via| {
        let desk = Desk::new(via, MAILDIR);
        let of = |id: &str, day: u32, text: &str| {
            format!("From: a@x.example\r\nSubject: {text}\r\nDate: {day} Nov 2026 10:00:00 +0000\r\n{id}\r\n{text}\r\n").into_bytes()
        };
        let twin = |text: &str| of("Message-ID: <twin@x>\r\n", 3, text);
        let copies = [
            of("Message-ID: <same@x>\r\n", 1, "same"),
            of("Message-ID: <other-date@x>\r\n", 1, "the other one"),
            of("", 2, "nameless"),
            twin("the first"),
        ];
        let there = [
            of("Message-ID: <same@x>\r\n", 1, "same"),
            of("Message-ID: <other-date@x>\r\n", 2, "this one"),
            of("", 2, "nameless"),
            twin("the first"),
            twin("the second"),
            of("Message-ID: <new@x>\r\n", 1, "new"),
        ];
        for message in &there {
            desk.m365.deliver(SUPPORT, "INBOX", message);
        }
        let maildir = desk.copies(&copies);
        let expected = [
            ("imported", 2),
            ("in_doubt", 3),
            ("new", 1),
            ("absent", 1),
            ("unclear", 1),
        ];
        counts(
            &desk
                .import("maildir", &maildir)
                .args(["--json", "--dry-run"])
                .succeeds(),
            &expected,
        );
        desk.import("maildir", &maildir)
            .succeeds()
            .shows("2 messages skipped, 4 messages for the next fetch (3 in doubt)");
        // The one copy stays that of one message, however often it is imported.
        let again = desk.import("maildir", &maildir).arg("--json").succeeds();
        counts(
            &again,
            &[
                ("imported", 0),
                ("on_record", 2),
                ("in_doubt", 3),
                ("new", 1),
            ],
        );
        desk.fetch(&[]).succeeds();
        assert_eq!(desk.maildir(MAIL).len(), 4, "{via:?}");
        for doubtful in [&there[1], &there[2], &there[5]] {
            assert!(desk.maildir(MAIL).contains(doubtful), "{via:?}");
        }
        // One of the twins is skipped, the other one is there.
        let twins = there[3..5]
            .iter()
            .filter(|twin| desk.maildir(MAIL).contains(twin));
        assert_eq!(twins.count(), 1, "{via:?}");
    });
}

#[test]
fn all_that_is_read_is_skipped_where_that_is_asked_for() {
    both(|via| {
        let desk = Desk::new(via, MAILDIR);
        let all = desk.put(0..8);
        for uid in 1..=5 {
            desk.m365.mark_read(SUPPORT, "INBOX", uid, true);
        }
        for program in ["fetchmail", "wsgetmail"] {
            desk.world
                .run(["state", "import", program, "--address", SUPPORT])
                .fails(64)
                .mentions("marks the messages that it has fetched as read")
                .mentions("--read");
        }
        let read = |program: &str| {
            desk.world.run([
                "state",
                "import",
                program,
                "--read",
                "--address",
                SUPPORT,
                "--json",
            ])
        };
        read("getmail")
            .fails(64)
            .mentions("keeps a record of its own");
        read("maildir").fails(64);
        counts(
            &read("wsgetmail").succeeds(),
            &[("imported", 5), ("new", 3)],
        );
        counts(
            &read("fetchmail").succeeds(),
            &[("imported", 0), ("on_record", 5)],
        );
        desk.fetch(&[]).succeeds();
        assert_same(&all[5..], &desk.maildir(MAIL), "what was not read");
    });
}

#[test]
fn where_fetching_begins_goes_with_what_is_imported() {
    let now = Desk::new(Via::Imap, "deliver: maildir:mail\nstart: now");
    now.put(0..5);
    let new = now.put(5..8);
    // Nothing is recognised, so that fetching has not begun.
    counts(
        &now.import("maildir", &now.copies(&[letter(99)]))
            .arg("--json")
            .succeeds(),
        &[("imported", 0), ("new", 8), ("before_start", 8)],
    );
    now.fetch(&["--dry-run"])
        .succeeds()
        .shows("8 messages to be skipped");
    let file = now.oldmail(1..=5);
    now.import("getmail", &file)
        .succeeds()
        .shows("5 messages skipped, 3 messages for the next fetch");
    now.fetch(&[]).succeeds();
    assert_same(
        &new,
        &now.maildir(MAIL),
        "what came before the import, and was not fetched",
    );

    let day = Desk::new(Via::Imap, "deliver: maildir:mail\nstart: 2026-11-10");
    let begins = 1_794_268_800;
    for (n, received) in [
        (0, begins - 5),
        (1, begins - 5),
        (2, begins + 5),
        (3, begins + 5),
    ] {
        day.m365
            .deliver_with(SUPPORT, "INBOX", &letter(n), &[], received);
    }
    let file = day.oldmail([1, 3].into_iter());
    day.import("getmail", &file)
        .succeeds()
        .shows("2 messages skipped, 1 message for the next fetch; 1 from before the start");
    day.fetch(&[]).succeeds();
    assert_same(&[letter(3)], &day.maildir(MAIL), "of that day or later");
    day.audits("3 skipped");
}

#[test]
fn what_says_nothing_of_the_folder_is_refused_with_another_road() {
    let desk = Desk::new(Via::Imap, "deliver: maildir:mail\nfolders: [INBOX, Sales]");
    desk.m365.add_folder(SUPPORT, "Sales");
    desk.put(0..3);
    let file = desk.oldmail(1..=2);
    let import = |more: &[&str]| desk.import("getmail", &file).args(more);
    import(&[])
        .fails(64)
        .mentions("has several folders (`INBOX`, `Sales`): name one with --folder");
    import(&["--folder", "Archive"])
        .fails(64)
        .mentions("`Archive` is not a folder that queuemail fetches");
    import(&["--folder", "inbox"])
        .succeeds()
        .shows("INBOX: 2 messages skipped, 1 message");
    // By another UIDVALIDITY.
    desk.m365.set_uidvalidity(SUPPORT, "INBOX", 77);
    import(&["--folder", "INBOX"])
        .fails(64)
        .mentions("folder `INBOX` has UIDVALIDITY 77")
        .mentions("queuemail state import maildir MAILDIR --address support@contoso.example");
    let pop3 = desk.world.write("pop3", "AAMk1\x005\nAAMk2\x005\n");
    desk.import("getmail", &pop3)
        .args(["--folder", "INBOX"])
        .fails(64)
        .mentions("none of the 2 messages that getmail remembers can be told by its UID")
        .mentions("queuemail queue set support --address support@contoso.example --start");
    // Who has fetched nothing has left all of it to queuemail.
    let nothing = desk.world.write("nothing", "");
    let of_sales = desk
        .import("getmail", &nothing)
        .args(["--folder", "Sales", "--json"]);
    counts(&of_sales.succeeds(), &[("imported", 0), ("new", 0)]);
    // Of another mailbox, which has the same UIDVALIDITY as many have on Exchange.
    desk.m365.set_uidvalidity(SUPPORT, "INBOX", 14);
    let other = desk.oldmail([1, 4].into_iter());
    desk.import("getmail", &other)
        .args(["--folder", "INBOX"])
        .fails(64)
        .mentions(
            "getmail remembers UID 4, but folder `INBOX` has not given it yet (UIDNEXT is 4)",
        );
    for (name, words) in [
        (
            "oldmail-outlook.office365.com-993-sales@contoso.example-INBOX",
            "of another user",
        ),
        (
            "oldmail-outlook.office365.com-993-support@contoso.example-Sales",
            "the file is of folder `Sales`, not of `INBOX`",
        ),
    ] {
        let named = desk.world.write(name, "14/1\x005\n");
        desk.import("getmail", &named)
            .args(["--folder", "INBOX"])
            .fails(64)
            .mentions(words);
    }
    desk.world
        .run(["state", "import", "getmail", "x", "--address", "support"])
        .fails(64)
        .mentions("`support` is the name of a queue, not an address");
    desk.world
        .run([
            "state",
            "import",
            "getmail",
            "x",
            "--address",
            "nobody@contoso.example",
        ])
        .fails(64);
    desk.import("wsgetmail", &file)
        .fails(64)
        .mentions("keeps no file");
    desk.import("mbsync", &file).fails(65).mentions("line 1 of");
    desk.import("getmail", Path::new("/dev/zero"))
        .fails(64)
        .mentions("not a regular file");
    let graph = Desk::new(Via::Graph, MAILDIR);
    graph.put(0..3);
    let file = graph.oldmail(1..=2);
    graph
        .import("getmail", &file)
        .fails(64)
        .mentions("by Graph, where messages have no UIDs");
    graph.fetch(&[]).succeeds();
    assert_eq!(graph.maildir(MAIL).len(), 3);
}

#[test]
fn a_restored_mailbox_is_fetched_before_anything_is_imported() {
    let desk = Desk::new(Via::Imap, MAILDIR);
    desk.put(0..3);
    let backup = desk.m365.back_up(SUPPORT, "INBOX");
    desk.put(3..6);
    desk.fetch(&[]).succeeds();
    desk.m365.restore(SUPPORT, "INBOX", &backup);
    desk.put(6..8);
    let file = desk.oldmail(1..=5);
    desk.import("getmail", &file)
        .fails(75)
        .mentions("the UIDs of folder `INBOX` went back");
    desk.fetch(&[]).succeeds();
    assert_eq!(desk.maildir(MAIL).len(), 8);
}

#[test]
fn a_mailbox_that_is_being_fetched_is_not_imported_into() {
    let (desk, closed) = desk_that_waits();
    desk.put(0..1);
    let file = desk.oldmail(1..=1);
    let mut busy = desk.fetch(&[]).command().spawn().unwrap();
    until("the run fetches", || {
        desk.m365.log().iter().any(|line| line.contains("FETCH"))
    });
    desk.import("getmail", &file)
        .fails(75)
        .mentions("is being fetched by another queuemail");
    std::fs::remove_file(closed).unwrap();
    assert!(busy.wait().unwrap().success());
}

/// Killed anywhere, an import is whole or was never there.
#[test]
fn an_import_that_is_killed_is_whole_or_not_there() {
    let trace = |desk: &Desk, file: &Path| {
        let log = desk.world.path("calls");
        desk.import("getmail", file)
            .under(killed::tracing(&log))
            .succeeds();
        killed::calls(&log, |_| true)
    };
    let ready = || {
        let desk = Desk::new(Via::Imap, "deliver: maildir:mail\nstart: now");
        desk.put(0..8);
        let file = desk.oldmail(1..=5);
        (desk, file)
    };
    let (desk, file) = ready();
    let calls = trace(&desk, &file);
    let (mut whole, mut none) = (0, 0);
    for (call, n) in calls.iter().step_by(killed::stride()) {
        let (desk, file) = ready();
        let command = desk.import("getmail", &file).command();
        killed::killed_at(&command, killed::Hit::All, call, *n);
        let audit = desk.fetch(&["--dry-run"]).succeeds();
        // With `start: now`, a folder on record without its messages would be fetched whole.
        let is_whole = audit.stdout.contains("3 messages to fetch");
        let is_none = audit.stdout.contains("0 messages to fetch")
            && audit.stdout.contains("8 messages to be skipped");
        assert!(is_whole || is_none, "killed at the {n}. {call}\n{audit}");
        whole += usize::from(is_whole);
        none += usize::from(is_none);
        desk.import("getmail", &file).succeeds();
        desk.fetch(&[]).succeeds();
        assert_eq!(desk.maildir(MAIL).len(), 3, "killed at the {n}. {call}");
    }
    assert!(none > 0, "{whole} whole, {none} not there");
}

#[test]
fn a_folder_of_many_messages_takes_few_requests() {
    both(|via| {
        let desk = Desk::new(via, MAILDIR);
        let all: Vec<_> = (0..1800).map(letter).collect();
        for message in &all {
            desk.m365.deliver(SUPPORT, "INBOX", message);
        }
        desk.m365.keep_graph_calls();
        let maildir = desk.copies(&all[..1700]);
        let json = desk.import("maildir", &maildir).arg("--json").succeeds();
        counts(&json, &[("imported", 1700), ("new", 100), ("in_doubt", 0)]);
        let requests = match via {
            Via::Imap => {
                let log = desk.m365.log();
                log.iter().filter(|line| line.contains("UID FETCH")).count()
            }
            Via::Graph => desk.m365.graph_calls().len(),
        };
        assert!((1..12).contains(&requests), "{via:?}: {requests} requests");
        desk.fetch(&[]).succeeds();
        assert_same(&all[1700..], &desk.maildir(MAIL), "the rest");
    });
}

#[test]
fn messages_of_all_sorts_that_are_twice_there_come_once_more_at_most() {
    // The numbered messages of the other tests: some have no Message-ID.
    both(|via| {
        let desk = Desk::new(via, MAILDIR);
        let old = desk.deliver(0..10);
        let maildir = desk.copies(&old);
        let json = desk.import("maildir", &maildir).arg("--json").succeeds();
        counts(&json, &[("imported", 8), ("in_doubt", 2), ("unclear", 2)]);
        desk.fetch(&[]).succeeds();
        assert_same(
            &[message(4), message(9)],
            &desk.maildir(MAIL),
            "without a Message-ID",
        );
    });
}

/// Of a file of a million lines, and of as many messages as there are in the folder.
#[test]
fn a_million_lines_and_many_messages_take_little_memory() {
    // `QUEUEMAIL_MANY=1000000` measures a folder of that size.
    let many = std::env::var("QUEUEMAIL_MANY").map_or(20_000, |text| text.parse().unwrap());
    let desk = Desk::new(Via::Imap, MAILDIR);
    for n in 0..many {
        desk.m365.deliver(SUPPORT, "INBOX", &letter(n));
    }
    desk.m365.set_uidnext(SUPPORT, "INBOX", 3_000_000);
    let file = desk.oldmail((2_000_000..3_000_000).chain(1..=u32::try_from(many).unwrap() - 3));
    let began = Instant::now();
    let (ran, most) = peak(&desk.world, desk.import("getmail", &file).arg("--json"));
    assert_eq!(ran.code, 0, "{ran}");
    counts(
        &ran,
        &[
            ("imported", many as u64 - 3),
            ("new", 3),
            ("absent", 1_000_000),
        ],
    );
    println!("{many} messages: {most} KiB, {:?}", began.elapsed());
    assert!(most < 64 << 10, "{most} KiB");
    let (ran, most) = peak(&desk.world, desk.fetch(&[]));
    assert_eq!(ran.code, 0, "{ran}");
    println!("fetched: {most} KiB");
    assert_eq!(desk.maildir(MAIL).len(), 3);
}

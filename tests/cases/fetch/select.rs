//! Which messages are fetched: `select`, with one meaning by IMAP and by Graph.

use super::{Desk, SUPPORT, Via, both};

const MAIL: &str = ".config/queuemail/mail";

fn mail(n: usize, from: &str, subject: &str, octets: usize) -> Vec<u8> {
    format!(
        "From: {from}\r\nTo: {SUPPORT}\r\nSubject: {subject}\r\nX-Number: {n}\r\n\
         Message-ID: <{n}@customer.example>\r\n\r\n{}\r\n",
        "x".repeat(octets)
    )
    .into_bytes()
}

/// A desk with this selection, and mail of every kind.
fn desk(via: Via, select: &str) -> Desk {
    let desk = Desk::new(via, &format!("deliver: maildir:mail\nselect: {select}"));
    for (n, from, subject, octets, flags) in [
        (0, "anna@fabrikam.example", "Invoice 7", 10, &["\\Seen"][..]),
        (1, "Anna <ANNA@Fabrikam.Example>", "your INVOICE", 10, &[]),
        (2, "anna@sub.fabrikam.example", "invoice", 10, &[]),
        (
            3,
            "\"anna@fabrikam.example\" <x@evil.example>",
            "Invoice",
            10,
            &[],
        ),
        (
            4,
            "bob@fabrikam.example",
            "=?utf-8?B?SW52b2ljZSBmw7xyIEFubmE=?=",
            10,
            &[],
        ),
        (
            5,
            "bob@fabrikam.example",
            "=?utf-8?Q?RECHNUNG_f=C3=BCr_=C3=84rzte?=",
            10,
            &[],
        ),
        (6, "bob@fabrikam.example", "Invoice, large", 9000, &[]),
        (7, "carl@contoso.example", "Hello", 10, &["\\Flagged"]),
    ] {
        let bytes = mail(n, from, subject, octets);
        desk.m365
            .deliver_with(SUPPORT, "INBOX", &bytes, flags, 1_790_000_000 + n as i64);
    }
    desk
}

/// The numbers of the messages that were delivered.
fn delivered(desk: &Desk) -> Vec<usize> {
    let number = |bytes: Vec<u8>| {
        let text = String::from_utf8(bytes).unwrap();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("X-Number: "));
        line.unwrap().parse().unwrap()
    };
    let mut numbers: Vec<usize> = desk.maildir(MAIL).into_iter().map(number).collect();
    numbers.sort();
    numbers
}

#[test]
fn each_condition_has_one_meaning_by_both_ways() {
    for (select, expected) in [
        ("{unread: true}", &[1, 2, 3, 4, 5, 6, 7][..]),
        ("{from: [anna@fabrikam.example]}", &[0, 1]),
        ("{from: [\"@fabrikam.example\"]}", &[0, 1, 4, 5, 6]),
        (
            "{from: [\"@sub.fabrikam.example\", carl@contoso.example]}",
            &[2, 7],
        ),
        ("{subject: [invoice]}", &[0, 1, 2, 3, 4, 6]),
        ("{subject: [\"f\u{fc}r \u{e4}rzte\", hello]}", &[5, 7]),
        (
            "{subject: [\"rechnung  f\u{fc}r\", \"invoice f\"]}",
            &[4, 5],
        ),
        ("{max_size: 5kB}", &[0, 1, 2, 3, 4, 5, 7]),
        (
            "{unread: true, from: [\"@fabrikam.example\"], subject: [invoice], max_size: 5kB}",
            &[1, 4],
        ),
    ] {
        both(|via| {
            let desk = desk(via, select);
            desk.fetch(&[]).succeeds().says_nothing();
            assert_eq!(delivered(&desk), expected, "{via:?}: {select}");
            desk.fetch(&[]).succeeds().says_nothing();
            assert_eq!(delivered(&desk), expected, "{via:?}: {select}, once");
            let rest = 8 - expected.len();
            desk.fetch(&["--audit"])
                .succeeds()
                .shows(&format!("{rest} not selected, 0 pending, 0 unaccounted"));
        });
    }
}

#[test]
fn another_selection_takes_effect_at_once() {
    both(|via| {
        let desk = desk(via, "{from: [carl@contoso.example]}");
        desk.fetch(&[]).succeeds().says_nothing();
        assert_eq!(delivered(&desk), [7], "{via:?}");
        let set = |args: &[&str]| {
            let set = desk.world.run(["queue", "set", "support"]);
            set.args(args).succeeds().prints("changed\n");
        };
        set(&[
            "--select",
            "from=bob@fabrikam.example",
            "--select",
            "max_size=5kB",
        ]);
        desk.fetch(&["--dry-run"])
            .succeeds()
            .shows("2 messages to fetch");
        desk.fetch(&[]).succeeds().says_nothing();
        assert_eq!(delivered(&desk), [4, 5, 7], "{via:?}");
        set(&["--select", ""]);
        assert!(!desk.world.config().contains("select"), "{via:?}");
        desk.fetch(&[]).succeeds().says_nothing();
        assert_eq!(delivered(&desk), [0, 1, 2, 3, 4, 5, 6, 7], "{via:?}");
        // A folder with a mark, in which mail is left out for a while.
        set(&["--select", "subject=hello"]);
        let late = mail(8, "dora@x.example", "late", 10);
        desk.m365.deliver(SUPPORT, "INBOX", &late);
        let hello = mail(9, "dora@x.example", "Hello", 10);
        desk.m365.deliver(SUPPORT, "INBOX", &hello);
        desk.fetch(&[]).succeeds().says_nothing();
        assert_eq!(delivered(&desk), [0, 1, 2, 3, 4, 5, 6, 7, 9], "{via:?}");
        set(&["--select", ""]);
        desk.fetch(&[]).succeeds().says_nothing();
        assert_eq!(delivered(&desk), (0..10).collect::<Vec<_>>(), "{via:?}");
        desk.fetch(&["--audit"]).succeeds().shows("10 delivered");
    });
}

#[test]
fn what_is_unread_again_is_fetched() {
    both(|via| {
        let desk = desk(via, "{unread: true}");
        desk.fetch(&[]).succeeds().says_nothing();
        desk.m365.mark_read(SUPPORT, "INBOX", 1, false);
        // What was delivered does not come again.
        desk.m365.mark_read(SUPPORT, "INBOX", 5, true);
        desk.fetch(&[]).succeeds().says_nothing();
        desk.m365.mark_read(SUPPORT, "INBOX", 5, false);
        desk.fetch(&[]).succeeds().says_nothing();
        assert_eq!(delivered(&desk), [0, 1, 2, 3, 4, 5, 6, 7], "{via:?}");
    });
}

#[test]
fn what_is_larger_may_go_to_quarantine() {
    both(|via| {
        let select = "{from: [\"@fabrikam.example\"], max_size: 5kB, larger: quarantine}";
        let desk = desk(via, select);
        desk.fetch(&[])
            .fails(65)
            .mentions("more than max_size (5kB)")
            .mentions("1 message moved to quarantine");
        assert_eq!(delivered(&desk), [0, 1, 4, 5], "{via:?}");
        desk.fetch(&[]).succeeds().says_nothing();
        desk.world
            .run(["quarantine", "list"])
            .succeeds()
            .shows("more than max_size")
            .shows("bob@fabrikam.example  Invoice, large");
        desk.fetch(&["--audit"])
            .succeeds()
            .shows("1 in quarantine")
            .shows("3 not selected, 0 pending");
        // Whoever decides for it gets it.
        desk.world.run(["quarantine", "retry", "--all"]).succeeds();
        desk.fetch(&[]).succeeds().says_nothing();
        assert_eq!(delivered(&desk), [0, 1, 4, 5, 6], "{via:?}");
    });
}

/// More than memory holds of them.
#[test]
fn many_that_are_larger_go_to_quarantine_with_what_is_known_of_them() {
    both(|via| {
        let desk = Desk::new(
            via,
            "deliver: maildir:mail\nselect: {max_size: 1kB, larger: quarantine}",
        );
        for n in 0..600 {
            let subject = format!("number {n} {}", "x".repeat(100));
            let large = mail(n, "bob@fabrikam.example", &subject, 2000);
            desk.m365.deliver(SUPPORT, "INBOX", &large);
        }
        let audit = || desk.fetch(&["--audit"]);
        desk.fetch(&[])
            .fails(65)
            .mentions("600 messages moved to quarantine");
        audit().succeeds().shows("600 in quarantine");
        let listed = desk.world.run(["quarantine", "list", "--json"]).succeeds();
        let listed = listed.json()["quarantine"].as_array().unwrap().clone();
        let mut numbers: Vec<usize> = listed
            .iter()
            .map(|one| {
                assert_eq!(one["from"], "bob@fabrikam.example");
                let subject = one["subject"].as_str().unwrap();
                subject.split(' ').nth(1).unwrap().parse().unwrap()
            })
            .collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..600).collect::<Vec<_>>(), "{via:?}");
    });
}

#[test]
fn what_was_there_before_is_skipped_selected_or_not() {
    both(|via| {
        let desk = desk(via, "{unread: true}\nstart: now");
        desk.fetch(&[]).succeeds().says_nothing();
        assert_eq!(delivered(&desk), [0; 0], "{via:?}");
        desk.fetch(&["--audit"]).succeeds().shows("8 skipped");
        let new = mail(8, "dora@x.example", "new", 10);
        desk.m365.deliver(SUPPORT, "INBOX", &new);
        let read = mail(9, "dora@x.example", "read", 10);
        let time = 1_790_000_100;
        desk.m365
            .deliver_with(SUPPORT, "INBOX", &read, &["\\Seen"], time);
        desk.fetch(&[]).succeeds().says_nothing();
        assert_eq!(delivered(&desk), [8], "{via:?}");
        desk.m365.mark_read(SUPPORT, "INBOX", 10, false);
        desk.m365.renumber(SUPPORT, "INBOX", 4711, 50);
        desk.fetch(&[]).succeeds();
        assert_eq!(delivered(&desk), [8, 9], "{via:?}");
        desk.fetch(&["--audit"]).succeeds().shows("8 skipped");
    });
}

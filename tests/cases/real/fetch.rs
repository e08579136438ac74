//! Fetching from Dovecot: octets, what happens on the server afterwards, and what a second run
//! or a second process does.

use super::{Office, assert_same};
use crate::mail::odd;
use crate::servers::RealServers;
use crate::servers::proxy::{self, Cut};
use std::fs;
use std::time::Duration;

#[test]
fn every_odd_message_arrives_octet_for_octet() {
    let office = Office::new();
    let mailbox = "odd@contoso.com";
    office.add_queue("odd", mailbox, &[]);
    let mut messages: Vec<_> = odd::all().into_iter().map(|odd| odd.bytes).collect();
    messages.push(odd::large().bytes);
    messages.extend((0..200).map(odd::random));
    office.servers.append(mailbox, "INBOX", &messages);
    office.fetch(&[]).succeeds().says_nothing();
    let stored = office.stored(mailbox, "INBOX");
    assert_eq!(stored.len(), messages.len());
    assert_same(&stored, &office.delivered("odd"));
    // Nothing was marked on the server, and nothing comes twice.
    office.fetch(&[]).succeeds().says_nothing();
    assert_same(&stored, &office.delivered("odd"));
    for message in office.servers.read(mailbox, "INBOX") {
        assert!(!message.has("\\Seen"), "uid {}", message.uid);
    }
}

#[test]
fn starttls_serves_as_well() {
    let servers = RealServers::shared();
    let office = Office::with(servers, &servers.imap_starttls_url());
    office.add_queue("starttls", "starttls@contoso.com", &[]);
    servers.append("starttls@contoso.com", "INBOX", &[odd::sized(1, 5000)]);
    office.fetch(&[]).succeeds().says_nothing();
    assert_same(&[odd::sized(1, 5000)], &office.delivered("starttls"));
}

#[test]
fn an_unknown_authority_is_refused() {
    let office = Office::new();
    office.add_queue("trust", "trust@contoso.com", &[]);
    office
        .servers
        .append("trust@contoso.com", "INBOX", &[odd::sized(1, 500)]);
    // Entra's certificate is trusted still, Dovecot's no longer.
    fs::copy(office.standin.ca_file(), &office.ca_file).unwrap();
    office.fetch(&[]).fails(69).mentions("not trusted");
    assert_same(&[], &office.delivered("trust"));
}

/// Whether any of the system's authorities knows the host is then not known, but what was seen is
/// said.
#[test]
fn an_unknown_authority_is_told_of_where_the_second_look_at_it_failed() {
    let servers = RealServers::shared();
    let url = url::Url::parse(&servers.imap_url()).unwrap();
    let port = proxy::start(url.port().unwrap(), Duration::ZERO, Cut::Later);
    let host = url.host_str().unwrap();
    let office = Office::with(servers, &format!("imaps://{host}:{port}"));
    office.add_queue("trust-cut", "trust-cut@contoso.com", &[]);
    fs::copy(office.standin.ca_file(), &office.ca_file).unwrap();
    office.fetch(&[]).fails(75).mentions("is not trusted");
}

#[test]
fn messages_are_marked_moved_or_deleted_afterwards() {
    let office = Office::new();
    let messages: Vec<_> = (0..20).map(|seed| odd::sized(seed, 2000)).collect();
    let mut sorted = messages.clone();
    sorted.sort();
    for action in ["keep", "seen", "delete", "move:Done"] {
        let queue = action.split(':').next().unwrap();
        let mailbox = format!("after-{queue}@contoso.com");
        office.add_queue(queue, &mailbox, &["--after", action]);
        office.servers.client(&mailbox).create("Done");
        office.servers.append(&mailbox, "INBOX", &messages);
    }
    office.fetch(&[]).succeeds().says_nothing();
    for queue in ["keep", "seen", "delete", "move"] {
        assert_same(&sorted, &office.delivered(queue));
    }
    let inbox = |queue| {
        office
            .servers
            .read(&format!("after-{queue}@contoso.com"), "INBOX")
    };
    let seen = |queue| inbox(queue).iter().filter(|m| m.has("\\Seen")).count();
    assert_eq!((inbox("keep").len(), seen("keep")), (20, 0));
    assert_eq!((inbox("seen").len(), seen("seen")), (20, 20));
    assert_eq!((inbox("delete").len(), inbox("move").len()), (0, 0));
    assert_same(&sorted, &office.stored("after-move@contoso.com", "Done"));
    office.fetch(&[]).succeeds().says_nothing();
    for queue in ["keep", "seen", "delete", "move"] {
        assert_same(&sorted, &office.delivered(queue));
    }
}

#[test]
fn a_new_uidvalidity_neither_loses_nor_repeats() {
    let office = Office::new();
    let mailbox = "epoch@contoso.com";
    office.add_queue("epoch", mailbox, &["--folder", "Support"]);
    let old: Vec<_> = (0..30).map(|seed| odd::sized(seed, 1500)).collect();
    office.servers.append(mailbox, "Support", &old);
    office.fetch(&[]).succeeds().says_nothing();
    // A restored folder: the same mail under other UIDs, one message fewer, one more.
    let mut restored = vec![odd::sized(100, 1500)];
    restored.extend_from_slice(&old[1..]);
    office.servers.recreate(mailbox, "Support");
    office.servers.append(mailbox, "Support", &restored);
    office.fetch(&[]).succeeds();
    let mut expected = old.clone();
    expected.push(odd::sized(100, 1500));
    expected.sort();
    assert_same(&expected, &office.delivered("epoch"));
}

/// Mail arrives while the first run is under way; then the folder gets other UIDs, and the mailbox is
/// restored under its UIDVALIDITY.
#[test]
fn what_was_there_before_the_first_fetch_is_skipped_for_good() {
    let office = Office::new();
    let mailbox = "start@contoso.com";
    office.add_queue("start", mailbox, &["--folder", "Work", "--start", "now"]);
    let old: Vec<_> = (0..300).map(|seed| odd::sized(seed, 1500)).collect();
    office.servers.append(mailbox, "Work", &old);
    let mut new: Vec<_> = (1000..1040).map(|seed| odd::sized(seed, 1500)).collect();
    std::thread::scope(|scope| {
        scope.spawn(|| office.fetch(&["start"]).succeeds());
        for message in &new {
            office.servers.append(mailbox, "Work", &[message]);
        }
    });
    office.fetch(&["start"]).succeeds();
    // The cut is at one moment: what arrived after a message that was delivered was delivered, too.
    let delivered = office.delivered("start");
    let first = new.len() - delivered.len();
    new.drain(..first);
    new.sort();
    assert_same(&new, &delivered);
    let audited = |skipped: usize| {
        let skipped = format!("{skipped} skipped, 0 pending, 0 unaccounted");
        office
            .fetch(&["start", "--audit"])
            .succeeds()
            .shows(&skipped);
    };
    audited(300 + first);
    let stored = office.servers.read(mailbox, "Work");
    let stored: Vec<_> = stored.into_iter().map(|message| message.bytes).collect();
    office.servers.recreate(mailbox, "Work");
    office.servers.append(mailbox, "Work", &stored);
    office
        .servers
        .append(mailbox, "Work", &[odd::sized(2000, 1500)]);
    office.fetch(&["start"]).succeeds();
    new.push(odd::sized(2000, 1500));
    new.sort();
    assert_same(&new, &office.delivered("start"));
    office.fetch(&["start"]).succeeds().says_nothing();
    audited(300 + first);
    office.servers.back_up(mailbox);
    let lost = [odd::sized(2001, 1500), odd::sized(2002, 1500)];
    office.servers.append(mailbox, "Work", &lost);
    office.fetch(&["start"]).succeeds();
    office.servers.restore(mailbox);
    office
        .servers
        .append(mailbox, "Work", &[odd::sized(2003, 1500)]);
    office.fetch(&["start"]).succeeds();
    new.extend(lost);
    new.push(odd::sized(2003, 1500));
    new.sort();
    assert_same(&new, &office.delivered("start"));
    audited(300 + first);
    office.fetch(&["start", "--include-skipped"]).succeeds();
    assert_eq!(office.delivered("start").len(), new.len() + 300 + first);
}

#[test]
fn dovecot_selects_as_exchange_does() {
    let office = Office::new();
    let mailbox = "select@contoso.com";
    let mail = |n: usize, from: &str, subject: &str, size: usize| {
        let text = "x".repeat(size);
        format!("From: {from}\r\nSubject: {subject}\r\nMessage-ID: <s{n}@x>\r\n\r\n{text}\r\n")
            .into_bytes()
    };
    let messages = [
        mail(
            0,
            "Anna <ANNA@fabrikam.com>",
            "=?utf-8?B?SW52b2ljZSBmw7xyIEFubmE=?=",
            10,
        ),
        mail(1, "\"anna@fabrikam.com\" <x@evil.com>", "Invoice", 10),
        mail(2, "bob@fabrikam.com", "Re: the\r\n  INVOICE", 10),
        mail(3, "bob@fabrikam.com", "Invoice, large", 9000),
        mail(4, "bob@fabrikam.com", "Hello", 10),
    ];
    let select = [
        "from=@fabrikam.com",
        "subject=invoice",
        "unread=true",
        "max_size=5kB",
    ];
    let mut args = vec!["--folder", "Work"];
    args.extend(select.iter().flat_map(|one| ["--select", one]));
    office.add_queue("select", mailbox, &args);
    office.servers.append(mailbox, "Work", &messages);
    let expect = |chosen: &[usize]| {
        office.fetch(&["select"]).succeeds().says_nothing();
        let mut chosen: Vec<_> = chosen.iter().map(|n| messages[*n].clone()).collect();
        chosen.sort();
        assert_same(&chosen, &office.delivered("select"));
    };
    expect(&[0, 2]);
    let set = |args: &[&str]| {
        let set = office.world.run(["queue", "set", "select"]);
        set.args(args).succeeds();
    };
    set(&[
        "--select",
        "max_size=1MB",
        "--select",
        "from=bob@fabrikam.com",
    ]);
    expect(&[0, 2, 3, 4]);
    set(&["--select", ""]);
    expect(&[0, 1, 2, 3, 4]);
}

#[test]
fn runs_at_the_same_time_deliver_each_message_once() {
    let office = Office::new();
    let mailbox = "overlap@contoso.com";
    office.add_queue("overlap", mailbox, &[]);
    office.servers.fill(
        mailbox,
        "INBOX",
        (0..500).map(|seed| odd::sized(seed, 1000)),
    );
    std::thread::scope(|scope| {
        for _ in 0..4 {
            // One does the work, the others find the lock held: cron's runs may overlap.
            scope.spawn(|| office.fetch(&[]).succeeds());
        }
    });
    assert_same(
        &office.stored(mailbox, "INBOX"),
        &office.delivered("overlap"),
    );
}

/// To Dovecot the case of a folder's name matters, as it does not to Exchange.
#[test]
fn two_folders_whose_names_differ_by_case_are_two() {
    let office = Office::new();
    let mailbox = "case@contoso.com";
    office.add_queue("case", mailbox, &["--folder", "Work", "--folder", "work"]);
    let mut messages: Vec<_> = (0..4).map(|seed| odd::sized(seed, 900)).collect();
    office.servers.append(mailbox, "Work", &messages[..2]);
    office.servers.append(mailbox, "work", &messages[2..]);
    office.fetch(&[]).succeeds().says_nothing();
    office.fetch(&[]).succeeds().says_nothing();
    messages.sort();
    assert_same(&messages, &office.delivered("case"));
}

/// Dovecot gives UIDs again where a mailbox is put back with its index: the same UIDVALIDITY, and
/// a lower UIDNEXT.
#[test]
fn a_mailbox_that_is_restored_loses_and_doubles_nothing() {
    let office = Office::new();
    for action in ["keep", "delete"] {
        let queue = format!("restored-{action}");
        let mailbox = format!("{queue}@contoso.com");
        office.add_queue(&queue, &mailbox, &["--after", action]);
        let messages: Vec<_> = (0..16).map(|seed| odd::sized(seed, 2000)).collect();
        office.servers.append(&mailbox, "INBOX", &messages[..5]);
        office.servers.back_up(&mailbox);
        office.servers.append(&mailbox, "INBOX", &messages[5..12]);
        office.fetch(&[]).succeeds().says_nothing();
        office.servers.restore(&mailbox);
        let uids = office.servers.append(&mailbox, "INBOX", &messages[12..]);
        assert_eq!(uids, [6, 7, 8, 9], "{action}: they are given again");
        office
            .fetch(&["-v"])
            .succeeds()
            .mentions("its UIDs are lower under the same UIDVALIDITY")
            .mentions("5 recognised as already fetched");
        let mut messages = messages;
        messages.sort();
        assert_same(&messages, &office.delivered(&queue));
        office.fetch(&[]).succeeds().says_nothing();
        assert_same(&messages, &office.delivered(&queue));
    }
}

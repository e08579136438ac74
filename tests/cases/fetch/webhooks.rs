//! Mail that is posted to a URL: what a post holds, and what becomes of each answer.

use super::receiver::{Post, Receiver, Reply};
use super::{Desk, Sorted, Via, assert_same, both, message};
use crate::memory::peak;
use crate::world::Ran;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

const KEY: &str = "whsec_bmV3IGtleSBvZiB0aGUgdGVzdHMsIDMyIG9jdGV0cyE=";
const OLD_KEY: &str = "whsec_b2xkIGtleSBvZiB0aGUgdGVzdHMsIDMyIG9jdGV0cyE=";

/// A desk that posts to a receiver; `webhook`: more keys of its webhook, one a line.
fn desk(via: Via, receiver: &Receiver, webhook: &str) -> Desk {
    let desk = Desk::new(via, &format!("deliver: {}", receiver.url()));
    set_webhook(&desk, receiver, webhook);
    desk
}

fn set_webhook(desk: &Desk, receiver: &Receiver, webhook: &str) {
    let config = desk.world.config();
    let mut config = config.split("webhooks:\n").next().unwrap().to_owned();
    config.push_str(&format!("webhooks:\n  - url: {}\n", receiver.url()));
    if let Some(pem) = &receiver.ca_pem {
        let file = desk.world.write("receiver.pem", pem);
        config.push_str(&format!("    ca_file: {}\n", file.display()));
    }
    for line in webhook.lines() {
        config.push_str(&format!("    {}\n", line.trim()));
    }
    desk.world.write_config(config);
}

fn keys(posts: &[Post]) -> BTreeSet<&str> {
    posts.iter().map(Post::key).collect()
}

#[test]
fn each_message_is_posted_as_it_is_under_its_delivery_id() {
    both(|via| {
        let receiver = Receiver::tls(&["localhost"], |_| Reply::new("204 No Content", "", ""));
        let desk = desk(via, &receiver, "cloudevents: true");
        let sent = desk.deliver(0..6);
        let ran = desk.fetch(&["--json"]).succeeds();
        let posts = receiver.posts();
        assert_same(&sent, &receiver.bodies().sorted(), "posts");
        assert_eq!(keys(&posts).len(), 6);
        for post in &posts {
            assert_eq!(post.line.trim_end(), "POST /in HTTP/1.1");
            assert_eq!(post.field("content-type"), "message/rfc822");
            let id = post.field("webhook-id");
            assert!(ran.stdout.contains(id), "{id} in\n{ran}");
            assert_eq!(post.key(), format!("\"{id}\""));
            assert_eq!(post.field("ce-id"), id);
            assert_eq!(post.field("ce-specversion"), "1.0");
            assert_eq!(post.field("queuemail-queue"), "support");
            assert_eq!(post.field("queuemail-address"), super::SUPPORT);
            assert_eq!(post.field("queuemail-folder"), "INBOX");
            assert_eq!(post.field("queuemail-priority"), "10");
            assert_eq!(post.field("queuemail-language"), "de");
            assert_eq!(post.field("queuemail-kind"), "ordinary");
            assert!(post.field("queuemail-from").ends_with("@customer.example"));
            assert!(post.field("queuemail-subject").starts_with("Case%20"));
            assert_eq!(post.field("queuemail-date"), "2026-11-23T10:00:00Z");
            assert!(!post.has("queuemail-in-reply-to"));
            assert!(!post.has("webhook-signature"), "there is no key");
            assert!(!post.has("authorization"));
        }
        let with_id = posts.iter().filter(|p| p.has("queuemail-message-id"));
        assert_eq!(with_id.count(), 5);
        desk.fetch(&[]).succeeds().says_nothing();
        assert_eq!(receiver.posts().len(), 6, "nothing comes twice");
        desk.fetch(&["--audit"]).succeeds();
    });
}

/// Names in other scripts, and those that would lead elsewhere.
#[test]
fn names_are_percent_encoded_in_the_url_and_in_the_header() {
    let receiver = Receiver::plain(|_| Reply::ok());
    let target = format!(
        "deliver: '{}/{{folder}}'\nfolders: [\"Fälle 1\"]",
        receiver.url()
    );
    let desk = Desk::new(Via::Imap, &target);
    desk.m365.add_folder(super::SUPPORT, "Fälle 1");
    desk.m365.deliver(super::SUPPORT, "Fälle 1", &message(0));
    desk.fetch(&[]).succeeds();
    let post = &receiver.posts()[0];
    assert_eq!(post.line.trim_end(), "POST /in/F%C3%A4lle%201 HTTP/1.1");
    assert_eq!(post.field("queuemail-folder"), "F%C3%A4lle%201");
    assert_eq!(
        post.field("content-type"),
        "message/rfc822",
        "without a webhook too"
    );
    for wrong in [
        "http://desk.example/in",
        "https://eva:geheim@desk.example/in",
        "https://desk.example/in?key=geheim",
        "https://{queue}.example/in",
        "https://desk.example/in/../{queue}",
    ] {
        let ran = desk.fetch(&["--deliver", wrong]).fails(64);
        ran.hides("geheim");
    }
}

/// Whoever answers must be whom the configuration means.
#[test]
fn nothing_is_posted_to_a_stranger() {
    let receiver = Receiver::tls(&["another.example"], |_| Reply::ok());
    let desk = desk(Via::Imap, &receiver, "");
    desk.deliver(0..1);
    let looks = receiver.url().replace("https://", "-connect ");
    let looks = looks.replace("/in", "");
    desk.fetch(&[]).fails(69).mentions("localhost");
    let ran = desk.world.run(["check", super::SUPPORT]).fails(69);
    assert!(ran.stdout.contains("cannot be used"), "{ran}");
    assert!(ran.stdout.contains(&looks), "{looks} in\n{ran}");
    assert!(receiver.posts().is_empty());
    // Nobody vouches for it.
    let config = desk.world.config();
    desk.world
        .write_config(config.split("webhooks:\n").next().unwrap());
    desk.fetch(&[]).fails(69);
    assert!(receiver.posts().is_empty());
    assert_eq!(attempts(&desk), [0]);
}

/// How often each message was tried, by the ledger.
fn attempts(desk: &Desk) -> Vec<i64> {
    let state = desk.state();
    let mut all = state
        .prepare("SELECT attempts FROM message ORDER BY remote")
        .unwrap();
    let rows = all.query_map([], |row| row.get(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

fn quarantined(desk: &Desk) -> i64 {
    let count = "SELECT count(*) FROM message WHERE state = 'quarantined'";
    desk.state().query_row(count, [], |row| row.get(0)).unwrap()
}

#[test]
fn a_message_that_is_refused_goes_into_quarantine_and_the_others_on() {
    both(|via| {
        for status in [400, 406, 413, 415, 422] {
            let receiver = Receiver::plain(move |post| {
                match String::from_utf8_lossy(&post.body).contains("Subject: Case 1\r\n") {
                    true => Reply::new(&format!("{status} No"), "", "no such form of mail"),
                    false => Reply::ok(),
                }
            });
            let desk = desk(via, &receiver, "");
            let sent = desk.deliver(0..3);
            desk.fetch(&[]).fails(65).mentions("no such form of mail");
            assert_eq!(receiver.posts().len(), 3, "{status}");
            assert_eq!(quarantined(&desk), 1, "{status}");
            desk.fetch(&[]).succeeds();
            assert_eq!(receiver.posts().len(), 3, "{status}");
            // Retried, it comes under the same key.
            receiver.behaves(|_| Reply::ok());
            desk.world.run(["quarantine", "retry", "--all"]).succeeds();
            desk.fetch(&[]).succeeds();
            let posts = receiver.posts();
            assert_eq!((posts.len(), keys(&posts).len()), (4, 3), "{status}");
            assert_eq!(posts[3].body, sent[1], "{status}");
            assert_eq!(quarantined(&desk), 0);
        }
    });
}

#[test]
fn a_message_that_is_not_taken_now_comes_later_under_the_same_key() {
    both(|via| {
        for status in [408, 409, 425, 429, 500, 502, 503, 504] {
            let receiver = Receiver::plain(move |_| Reply::new(&format!("{status} No"), "", ""));
            let desk = desk(via, &receiver, "");
            let sent = desk.deliver(0..1);
            desk.fetch(&[])
                .fails(75)
                .mentions(&format!("answered {status}"));
            assert_eq!(quarantined(&desk), 0, "{status}");
            receiver.behaves(|_| Reply::ok());
            make_due(&desk);
            desk.fetch(&[]).succeeds();
            let posts = receiver.posts();
            assert_eq!((posts.len(), keys(&posts).len()), (2, 1), "{status}");
            assert_eq!(posts[1].body, sent[0]);
            desk.fetch(&[]).succeeds();
            assert_eq!(receiver.posts().len(), 2, "{status}");
        }
    });
}

/// What failed may be tried again now.
fn make_due(desk: &Desk) {
    desk.state()
        .execute(
            "UPDATE message SET next_attempt = 0 WHERE next_attempt > 0",
            [],
        )
        .unwrap();
}

/// The others wait too, and nobody is asked meanwhile.
#[test]
fn a_pause_that_is_asked_for_is_one_of_the_url() {
    let receiver = Receiver::plain(|_| Reply::new("429 No", "Retry-After: 3600\r\n", ""));
    let desk = desk(Via::Imap, &receiver, "");
    let other = "other@contoso.example";
    let config = desk.world.config();
    let (before, after) = config.split_once("webhooks:\n").unwrap();
    desk.world.write_config(before);
    desk.add_address(other, &format!("deliver: {}", receiver.url()));
    let config = format!("{}webhooks:\n{after}", desk.world.config());
    desk.world.write_config(config);
    desk.deliver(0..5);
    desk.deliver_to(other, 5..7);
    desk.fetch(&[super::SUPPORT])
        .fails(75)
        .mentions("answered 429");
    assert_eq!(receiver.posts().len(), 1, "the pause begins at once");
    desk.fetch(&[other]).fails(75).mentions("a wait until");
    desk.fetch(&[]).succeeds().says_nothing();
    assert_eq!(receiver.posts().len(), 1);
    // It is no wait of a mailbox: to another place its mail is delivered.
    let status = desk.world.run(["status", "--json"]).succeeds().json();
    for mailbox in status["mailboxes"].as_array().unwrap() {
        assert!(mailbox["waits_until"].is_null(), "{mailbox}");
    }
    desk.fetch(&[other, "--deliver", "maildir:elsewhere"])
        .succeeds();
    assert_eq!(desk.maildir("elsewhere").len(), 2);
    desk.deliver_to(other, 5..7);
    let state = desk.state();
    state.execute("UPDATE wait SET until = 1", []).unwrap();
    receiver.behaves(|_| Reply::ok());
    make_due(&desk);
    desk.fetch(&[]).succeeds();
    let posts = receiver.posts();
    assert_eq!((posts.len(), keys(&posts).len()), (8, 7));
}

/// The folders of a mailbox may be delivered to several URLs, of which one waits.
#[test]
fn a_url_that_waits_keeps_no_other_folder_back() {
    both(|via| {
        let receiver = Receiver::plain(|post| match post.line.contains("/in/INBOX ") {
            true => Reply::new("429 No", "Retry-After: 3600\r\n", ""),
            false => Reply::ok(),
        });
        let target = format!(
            "deliver: '{}/{{folder}}'\nfolders: [INBOX, Cases]",
            receiver.url()
        );
        let desk = Desk::new(via, &target);
        set_webhook(&desk, &receiver, "");
        desk.m365.add_folder(super::SUPPORT, "Cases");
        let put = |numbers: std::ops::Range<usize>| {
            for n in numbers {
                desk.m365.deliver(super::SUPPORT, "Cases", &message(n));
            }
        };
        let posted = || {
            let posts = receiver.posts();
            let cases = posts.iter().filter(|post| post.line.contains("/Cases "));
            (cases.count(), posts.len())
        };
        desk.deliver(0..2);
        put(2..4);
        desk.fetch(&[]).fails(75).mentions("answered 429");
        desk.fetch(&[]).succeeds().says_nothing();
        assert_eq!(posted(), (2, 3), "{via:?}");
        // What is wrong with another folder is told all the same.
        let config = desk.world.config();
        desk.world
            .write_config(config.replace("[INBOX, Cases]", "[INBOX, Cases, Gone]"));
        desk.fetch(&[]).fails(78).mentions("Gone");
        desk.world.write_config(config);
        put(4..5);
        desk.fetch(&["support"]).fails(75).mentions("a wait until");
        assert_eq!(posted(), (3, 4), "{via:?}");
    });
}

/// Nothing is the messages' fault: none is charged with an attempt, and the first is posted alone.
#[test]
fn where_nobody_takes_mail_the_run_ends_and_no_message_is_charged() {
    both(|via| {
        for (status, code) in [
            (401, 77),
            (403, 77),
            (404, 69),
            (405, 69),
            (410, 69),
            (411, 69),
            (301, 78),
            (307, 78),
        ] {
            let receiver = Receiver::plain(move |_| {
                let location = "Location: http://localhost:1/elsewhere?key=geheim\r\n";
                Reply::new(&format!("{status} No"), location, "")
            });
            let desk = desk(via, &receiver, "");
            desk.deliver(0..4);
            let ran = desk.fetch(&[]).fails(code);
            ran.mentions(&format!("answered {status}")).hides("geheim");
            assert_eq!(receiver.posts().len(), 1, "{status}");
            assert_eq!(quarantined(&desk), 0, "{status}");
            assert!(attempts(&desk).iter().all(|n| *n == 0), "{status}");
            receiver.behaves(|_| Reply::ok());
            desk.fetch(&[]).succeeds();
            let posts = receiver.posts();
            assert_eq!((posts.len(), keys(&posts).len()), (5, 4), "{status}");
        }
    });
}

#[test]
fn where_nobody_listens_the_run_ends_and_no_message_is_charged() {
    let desk = Desk::new(Via::Imap, "deliver: http://127.0.0.1:1/in");
    desk.deliver(0..4);
    desk.fetch(&[]).fails(75).mentions("cannot be used");
    assert!(attempts(&desk).iter().all(|n| *n == 0));
    desk.world.run(["check", super::SUPPORT]).fails(75);
}

/// The first goes alone; then eight are answered only when all eight are there.
#[test]
fn eight_posts_are_in_flight_at_most() {
    both(|via| {
        for in_tls in [false, true] {
            let all = Arc::new(Barrier::new(8));
            let mut first = true;
            let manner = move |_: &Post| match std::mem::replace(&mut first, false) {
                true => Reply::ok().after(Duration::from_millis(200)),
                false => Reply::ok().together(&all),
            };
            let receiver = match in_tls {
                false => Receiver::plain(manner),
                true => Receiver::tls(&["localhost"], manner),
            };
            let desk = desk(via, &receiver, "");
            let sent = desk.deliver(0..1 + 8 + 8);
            desk.fetch(&[]).succeeds().says_nothing();
            assert_same(&sent, &receiver.bodies().sorted(), "posts");
            assert_eq!(receiver.most_at_once(), 8, "{via:?}");
            desk.fetch(&["--audit"]).succeeds();
        }
    });
}

/// Of the eight in flight the third fails, in each of the ways that a receiver can. What became of
/// the other seven is on record all the same: none of them comes again. `goes_on`: the messages
/// after them are delivered by the same run; else at most those that go out before the failure is
/// seen, one for each of the seven.
#[test]
fn what_one_of_eight_fails_with_is_not_charged_to_the_others() {
    let cases: [(&str, Reply, i32, bool); 9] = [
        ("refused", Reply::new("422 No", "", ""), 65, true),
        ("later", Reply::new("503 No", "", ""), 75, true),
        ("cut off", Reply::cut("HTTP/1.1 200 OK\r\n"), 75, true),
        (
            "asked to wait",
            Reply::new("429 No", "Retry-After: 3600\r\n", ""),
            75,
            false,
        ),
        ("a wrong secret", Reply::new("401 No", "", ""), 77, false),
        ("forbidden", Reply::new("403 No", "", ""), 77, false),
        ("a wrong URL", Reply::new("404 No", "", ""), 69, false),
        ("no POST", Reply::new("405 No", "", ""), 69, false),
        ("elsewhere", Reply::new("301 No", "", ""), 78, false),
    ];
    const ALL: usize = 1 + 8 + 8;
    both(|via| {
        for (kind, failure, code, goes_on) in &cases {
            let (failure, goes_on) = (failure.clone(), *goes_on);
            let (mut count, mut failing) = (0, None);
            let eight = Arc::new(Barrier::new(8));
            let receiver = Receiver::plain(move |post| {
                count += 1;
                if count == 4 {
                    failing = Some(post.key().to_owned());
                }
                if failing.as_deref() == Some(post.key()) {
                    let failure = failure.clone();
                    return match count {
                        ..=9 => failure.together(&eight),
                        _ => failure,
                    };
                }
                match count {
                    1 => Reply::ok(),
                    // None is answered before all eight are there, and then the failure is the first.
                    ..=9 => Reply::ok()
                        .after(Duration::from_millis(50))
                        .together(&eight),
                    // Whoever was quicker than the failure makes way for it.
                    _ if !goes_on => Reply::ok().after(Duration::from_secs(1)),
                    _ => Reply::ok(),
                }
            });
            let desk = desk(via, &receiver, "");
            let sent = desk.deliver(0..ALL);
            let story = format!("{kind}, {via:?}");
            let ran = desk.fetch(&["--json"]).fails(*code);
            let delivered = ran.stdout.matches("\"delivered_to\"").count();
            let posted = keys(&receiver.posts()).len();
            assert_eq!(delivered, posted - 1, "{story}\n{ran}");
            assert_eq!(posted == ALL, goes_on, "{story}: {posted} were posted");
            assert!(posted > 8, "{story}: {posted} were posted");
            let charged: i64 = attempts(&desk).iter().sum();
            let is_its_own = matches!(code, 65 | 75);
            assert_eq!(charged, i64::from(is_its_own), "{story}");
            assert_eq!(quarantined(&desk), i64::from(*code == 65), "{story}");
            let before = receiver.posts().len();
            receiver.behaves(|_| Reply::ok());
            make_due(&desk);
            super::waits_end(&desk);
            desk.world.run(["quarantine", "retry", "--all"]).ends();
            desk.fetch(&[]).succeeds();
            let posts = receiver.posts();
            assert_eq!(posts.len(), before + ALL - delivered, "{story}");
            assert_eq!(keys(&posts).len(), ALL, "{story}: the same key");
            let unique: BTreeSet<_> = receiver.bodies().into_iter().collect();
            let unique: Vec<_> = unique.into_iter().collect();
            assert_same(&sent, &unique, &story);
            desk.fetch(&[]).succeeds().says_nothing();
        }
    });
}

/// A receiver that breaks down in the middle of a run: those in flight when three in a row were sent
/// away are charged an attempt, and no other. Where it is down from the start, three find out, one
/// after another.
#[test]
fn a_receiver_that_is_down_is_left_alone() {
    both(|via| {
        for taken in [0, 1, 2] {
            let mut count = 0;
            let receiver = Receiver::plain(move |_| {
                count += 1;
                match count <= taken {
                    // While the first is waited for, the others gather.
                    true => Reply::ok().after(Duration::from_millis(400)),
                    false => Reply::new("503 No", "", ""),
                }
            });
            let desk = desk(via, &receiver, "");
            desk.deliver(0..30);
            desk.fetch(&[]).fails(75).mentions("times in a row");
            let charged = receiver.posts().len() - taken;
            // How many go out together depends on how many have come in by then: two that were sent
            // away before may not be three yet, and eight are in flight at most.
            let most = if taken == 0 { 3 } else { 2 + 8 };
            assert!((3..=most).contains(&charged), "{charged}: {taken}, {via:?}");
            let tried = attempts(&desk).iter().filter(|n| **n == 1).count();
            assert_eq!(tried, charged, "{taken}, {via:?}");
            if taken == 0 {
                assert_eq!(receiver.most_at_once(), 1, "each goes alone");
            }
            receiver.behaves(|_| Reply::ok());
            make_due(&desk);
            desk.fetch(&[]).succeeds();
            let posts = receiver.posts();
            assert_eq!((posts.len(), keys(&posts).len()), (30 + charged, 30));
        }
    });
}

/// An answer is one once its head is whole.
#[test]
fn an_answer_that_is_cut_off_is_none() {
    let whole = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    for end in 0..whole.len() {
        // Each place takes a run: a sample, with those around the end of the head.
        if end % 9 != 0 && end < whole.len() - 3 {
            continue;
        }
        let part = &whole[..end];
        let receiver = Receiver::plain(move |_| Reply::cut(part));
        let desk = desk(Via::Imap, &receiver, "");
        desk.deliver(0..1);
        desk.fetch(&[]).fails(75).mentions("no complete answer");
        assert_eq!(quarantined(&desk), 0);
        receiver.behaves(|_| Reply::ok());
        make_due(&desk);
        desk.fetch(&[]).succeeds();
        let posts = receiver.posts();
        assert_eq!(keys(&posts).len(), 1, "{part:?}");
    }
    for receiver in [
        Receiver::plain(move |_| Reply::cut(whole)),
        Receiver::tls(&["localhost"], move |_| Reply::cut(whole)),
    ] {
        let desk = desk(Via::Imap, &receiver, "");
        desk.deliver(0..3);
        desk.fetch(&[]).succeeds();
        assert_eq!(receiver.posts().len(), 3, "the head was whole");
    }
}

/// A receiver ends connections as it likes: that is no failure of a message.
#[test]
fn a_connection_that_ended_after_an_answer_is_opened_again() {
    let receiver = Receiver::tls(&["localhost"], |_| Reply::ok().and_ends());
    let desk = desk(Via::Imap, &receiver, "");
    let sent = desk.deliver(0..8);
    desk.fetch(&[]).succeeds().says_nothing();
    assert_same(&sent, &receiver.bodies().sorted(), "posts");
}

/// With the head the message is taken: the body may drip, or never end.
#[test]
fn a_body_that_drips_is_not_waited_for() {
    let slow = || {
        let long = "x".repeat(1000);
        Reply::new("200 OK", "", &long).dripping(Duration::from_millis(100))
    };
    for receiver in [
        Receiver::plain(move |_| slow()),
        Receiver::tls(&["localhost"], move |_| slow()),
    ] {
        let desk = desk(Via::Imap, &receiver, "");
        desk.deliver(0..2);
        let began = Instant::now();
        desk.fetch(&[]).succeeds().says_nothing();
        let took = began.elapsed().as_secs();
        assert!(took < 40, "{took} s");
        assert_eq!(receiver.posts().len(), 2);
        desk.fetch(&["--audit"]).succeeds();
    }
}

/// It takes the minute that it may take, and no more.
#[test]
fn a_receiver_that_does_not_answer_is_left_after_a_minute() {
    let receiver = Receiver::plain(|_| Reply::ok().after(Duration::from_secs(100)));
    let desk = desk(Via::Imap, &receiver, "");
    desk.deliver(0..1);
    let began = Instant::now();
    desk.fetch(&[]).fails(75).mentions("no complete answer");
    let took = began.elapsed().as_secs();
    assert!((55..95).contains(&took), "{took} s");
    assert_eq!(receiver.posts().len(), 1);
    assert_eq!(quarantined(&desk), 0);
}

/// A large message is not held in memory.
#[test]
fn a_large_message_streams_from_its_file() {
    let receiver = Receiver::plain(|_| Reply::ok());
    let desk = desk(Via::Imap, &receiver, &format!("secret: {KEY}"));
    desk.deliver(0..1);
    let (_, small) = peak(&desk.world, desk.fetch(&[]));
    let mut large = message(1);
    large.extend(b"A line of the text.\r\n".repeat(30 << 20 >> 4));
    desk.m365.deliver(super::SUPPORT, "INBOX", &large);
    let (ran, peak) = peak(&desk.world, desk.fetch(&[]));
    assert_eq!(ran.code, 0, "{ran}");
    assert_eq!(receiver.posts()[1].body.len(), large.len());
    assert!(receiver.posts()[1].body == large, "as it is");
    assert!(
        peak < small + 12_000,
        "{peak} KiB, and {small} KiB for a small one"
    );
}

/// Rails' Action Mailbox, ingress `relay`: Basic authentication, `message/rfc822`, 204; 401 for a
/// wrong password, 415 for another type (its documented form).
#[test]
fn the_relay_ingress_of_rails_takes_it() {
    let receiver = Receiver::plain(|post| {
        // actionmailbox:geheim-0815
        let is_known = post.has("authorization")
            && post.field("authorization") == "Basic YWN0aW9ubWFpbGJveDpnZWhlaW0tMDgxNQ==";
        match (is_known, post.field("content-type")) {
            (false, _) => Reply::new("401 Unauthorized", "", "HTTP Basic: Access denied.\n"),
            (true, "message/rfc822") => Reply::new("204 No Content", "", ""),
            (true, _) => Reply::new("415 Unsupported Media Type", "", ""),
        }
    });
    let desk = desk(Via::Imap, &receiver, "authorization: { file: ingress }");
    let wrong = "Basic YWN0aW9ubWFpbGJveDpmYWxzY2gtMDgxNQ==";
    let file = desk.world.write(".config/queuemail/ingress", wrong);
    desk.world.chmod(&file, 0o600);
    let sent = desk.deliver(0..3);
    desk.fetch(&[]).fails(77).mentions("Access denied");
    desk.world.write(
        ".config/queuemail/ingress",
        "Basic YWN0aW9ubWFpbGJveDpnZWhlaW0tMDgxNQ==\n",
    );
    desk.fetch(&[]).succeeds();
    let unique: BTreeSet<_> = receiver.bodies().into_iter().collect();
    let unique: Vec<_> = unique.into_iter().collect();
    assert_same(&sent, &unique, "posts");
}

/// A receiver may repeat what it got, in whatever form.
#[test]
fn secrets_are_in_no_output() {
    let secrets = [
        "Z2VoZWltLTA4MTUtdW5kLW5vY2gtbGFuZw==",
        "whsec_bmV3IGtleSBvZiB0aGUgdGVzdHMsIDMyIG9jdGV0cyE=",
        "bmV3IGtleSBvZiB0aGUgdGVzdHMsIDMyIG9jdGV0cyE=",
    ];
    for status in ["422 No", "500 No", "401 No", "404 No", "307 No"] {
        let receiver = Receiver::plain(move |post| {
            let fields = format!("Location: http://localhost/{KEY}\r\n");
            Reply::new(status, &fields, &format!("{:?} {KEY}", post.fields))
        });
        let webhook = format!(
            "secret: [{KEY}, {OLD_KEY}]\nauthorization: Bearer {}\nprobe: true",
            secrets[0]
        );
        let desk = desk(Via::Imap, &receiver, &webhook);
        desk.deliver(0..1);
        let hides = |ran: Ran| {
            for secret in secrets {
                assert!(!ran.stdout.contains(secret), "{ran}");
                assert!(!ran.stderr.contains(secret), "{ran}");
            }
        };
        hides(desk.fetch(&["-vv"]).ends());
        for words in [
            &["check", super::SUPPORT][..],
            &["quarantine", "list"],
            &["status"],
            &["config", "show"],
            &["--json", "config", "show"],
        ] {
            hides(desk.world.run(words).ends());
        }
        let state = std::fs::read(desk.world.state_dir().join("state.sqlite")).unwrap();
        let state = String::from_utf8_lossy(&state);
        assert!(secrets.iter().all(|secret| !state.contains(secret)));
    }
}

#[test]
fn a_secret_that_cannot_sign_is_told_of_before_anything_is_posted() {
    let receiver = Receiver::plain(|_| Reply::ok());
    for wrong in ["whsec_c2hvcnQ=", "not base64 of anything, geheim"] {
        let desk = desk(Via::Imap, &receiver, &format!("secret: {wrong}"));
        desk.deliver(0..1);
        let ran = desk.fetch(&[]).fails(78).mentions("openssl rand");
        ran.hides("geheim");
        desk.world.run(["check", super::SUPPORT]).fails(78);
        assert!(attempts(&desk).iter().all(|n| *n == 0));
    }
    assert!(receiver.posts().is_empty());
    let desk = desk(Via::Imap, &receiver, "content_type: rfc822");
    desk.fetch(&[]).fails(78).mentions("content type");
}

#[test]
fn check_connects_and_asks_where_it_may() {
    let receiver = Receiver::tls(&["localhost"], |_| Reply::new("204 No Content", "", ""));
    let desk = desk(Via::Imap, &receiver, "");
    let ran = desk.world.run(["check", super::SUPPORT]).ends();
    assert!(ran.stdout.contains("connects with TLS"), "{ran}");
    assert!(receiver.posts().is_empty(), "nothing is asked");
    set_webhook(
        &desk,
        &receiver,
        "probe: true\nauthorization: Bearer x-0815-x",
    );
    let ran = desk.world.run(["check", super::SUPPORT]).ends();
    assert!(ran.stdout.contains("/in: 204"), "{ran}");
    let posts = receiver.posts();
    assert_eq!(posts.len(), 1);
    assert_eq!(posts[0].line.trim_end(), "HEAD /in HTTP/1.1");
    assert_eq!(posts[0].field("authorization"), "Bearer x-0815-x");
    for (status, code) in [
        ("401 No", 77),
        ("404 No", 69),
        ("302 No", 78),
        ("503 No", 75),
    ] {
        receiver.behaves(move |_| Reply::new(status, "", ""));
        desk.world.run(["check", super::SUPPORT]).fails(code);
    }
    receiver.behaves(|_| Reply::new("405 No", "", ""));
    let ran = desk.world.run(["check", super::SUPPORT]).ends();
    assert!(ran.stdout.contains("/in: 405"), "{ran}");
}

/// Standard Webhooks' own library for Python, as `scripts/need test` installs it.
#[test]
fn official_verification_of_signatures() {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/webhooks/bin/python");
    assert!(
        python.exists(),
        "Standard Webhooks' library is not installed: run `scripts/need test`"
    );
    let receiver = Receiver::plain(|_| Reply::ok());
    let verify = |desk: &Desk, post: &Post, key: &str| {
        let file = desk.world.write("post", &post.body);
        let script = "import sys, standardwebhooks\n\
                      key, body, *values = sys.argv[1:]\n\
                      names = ['webhook-id', 'webhook-timestamp', 'webhook-signature']\n\
                      body = open(body, newline='').read()\n\
                      hook = standardwebhooks.Webhook(key)\n\
                      try:\n    hook.verify(body, dict(zip(names, values)))\n\
                      except standardwebhooks.WebhookVerificationError as e:\n    sys.exit(str(e))\n\
                      except ValueError:\n    pass # it reads JSON once the signature is verified\n";
        let fields = ["webhook-id", "webhook-timestamp", "webhook-signature"];
        let status = Command::new(&python)
            .args(["-I", "-c", script, key, file.to_str().unwrap()])
            .args(fields.map(|name| post.field(name)))
            .status();
        status.unwrap().success()
    };
    let desk = desk(Via::Imap, &receiver, &format!("secret: {OLD_KEY}"));
    desk.deliver(0..1);
    desk.fetch(&[]).succeeds();
    set_webhook(&desk, &receiver, &format!("secret: [{KEY}, {OLD_KEY}]"));
    desk.deliver(1..2);
    desk.fetch(&[]).succeeds();
    set_webhook(&desk, &receiver, &format!("secret: {KEY}"));
    desk.deliver(2..3);
    desk.fetch(&[]).succeeds();
    let mut posts = receiver.posts();
    for (post, [new, old]) in posts
        .iter()
        .zip([[false, true], [true, true], [true, false]])
    {
        assert_eq!(verify(&desk, post, KEY), new, "{post:?}");
        assert_eq!(verify(&desk, post, OLD_KEY), old, "{post:?}");
    }
    // The library can tell.
    posts[1].body.push(b'x');
    assert!(!verify(&desk, &posts[1], KEY));
}

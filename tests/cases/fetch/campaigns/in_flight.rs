//! Deliveries whose effect cannot be looked at: a command, a mail store (LMTP), and a URL. Killed at
//! any call, what is in flight may come again, and nothing else: one message, and to a URL eight,
//! under the same keys.

use super::kill::{MESSAGES, calls, killed_at};
use super::{Campaign, Desk, Via, assert_same, both, files};
use crate::cases::fetch::mail_store::{MailStore, Manner};
use crate::cases::fetch::receiver::{Receiver, Reply};
use std::collections::BTreeSet;
use std::time::Duration;

/// One that goes alone, eight together, and some more.
const POSTS: usize = 1 + 8 + 4;

const KEY: &str = "whsec_a2V5IG9mIHRoZSBjYW1wYWlnbiwgMzIgb2N0ZXRzIQ==";

/// Kills fetches at desks of a kind, where so many messages are in flight; `taken` says what a
/// desk's delivery got.
fn at_calls<T>(
    via: Via,
    kind: &str,
    (messages, in_flight): (usize, usize),
    new: impl Fn(Via) -> (Desk, T),
    taken: impl Fn(&Desk, &T) -> Vec<Vec<u8>>,
) {
    let mut campaign = Campaign::new(format!("killed while {kind} delivers, {via:?}"));
    let (first, _kept) = new(via);
    first.deliver(0..messages);
    let places = calls(&first, |line| !line.starts_with("openat"));
    for (call, n) in campaign.some_of(&places, 5) {
        let (desk, there) = new(via);
        let sent = desk.deliver(0..messages);
        let killed = killed_at(&desk, call, *n);
        if killed.code != 0 {
            campaign.fault();
        }
        // What the killed run handed over last may still be at work.
        std::thread::sleep(Duration::from_millis(50));
        let story = format!("{kind}, killed at the {n}. {call}, {via:?}\n{killed}");
        let ran = desk.fetch(&[]).ends();
        assert_eq!(ran.code, 0, "{story}\n{ran}");
        let got = taken(&desk, &there);
        let count = got.len();
        assert!(
            count <= messages + in_flight,
            "{story}: {count}, and only what was in flight may come again"
        );
        let unique: BTreeSet<Vec<u8>> = got.into_iter().collect();
        assert_same(&sent, &unique.into_iter().collect::<Vec<_>>(), &story);
    }
    campaign.end(3);
}

#[test]
fn command() {
    let new = |via| {
        let desk = Desk::new(via, "deliver: 'command:/bin/sh take.sh taken'");
        // strace may kill the command as well: what it took by then does not count.
        let take = "cat > part.$$ && mv part.$$ \"$1/$QUEUEMAIL_DELIVERY_ID.$$\"\n";
        desk.world.write("take.sh", take);
        std::fs::create_dir(desk.path("taken")).unwrap();
        (desk, ())
    };
    both(|via| {
        at_calls(via, "a command", (MESSAGES, 1), new, |desk, ()| {
            let taken = files(&desk.path("taken"));
            let ids: BTreeSet<&str> = taken.keys().filter_map(|k| k.split('.').next()).collect();
            assert_eq!(ids.len(), MESSAGES, "the same id for the same message");
            taken.into_values().collect()
        });
    });
}

#[test]
fn mail_store() {
    let new = |via| {
        let store = MailStore::start(Manner::default());
        (Desk::new(via, &store.target()), store)
    };
    both(|via| {
        at_calls(via, "a mail store", (MESSAGES, 1), new, |_, store| {
            store.taken()
        });
    });
}

#[test]
fn url() {
    let new = |via| {
        let receiver = Receiver::tls(&["localhost"], |_| Reply::new("204 No Content", "", ""));
        let desk = Desk::new(via, &format!("deliver: {}", receiver.url()));
        let authority = receiver.ca_pem.clone().unwrap_or_default();
        let authority = desk.world.write("receiver.pem", authority);
        let (url, file) = (receiver.url(), authority.display());
        let webhook =
            format!("webhooks:\n  - url: {url}\n    ca_file: {file}\n    secret: {KEY}\n");
        desk.world.write_config(desk.world.config() + &webhook);
        (desk, receiver)
    };
    both(|via| {
        at_calls(via, "a URL", (POSTS, 8), new, |_, receiver| {
            let posts = receiver.posts();
            let of_keys: BTreeSet<_> = posts.iter().map(|p| (p.key(), &p.body)).collect();
            assert_eq!(of_keys.len(), POSTS, "one key for one message");
            let keys: BTreeSet<_> = posts.iter().map(|p| p.key()).collect();
            assert_eq!(keys.len(), POSTS, "the same key for the same message");
            receiver.bodies()
        });
    });
}

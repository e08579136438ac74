//! What a server says ends too soon, wherever it has a body: messages and pages by Graph in each
//! framing, the token endpoint's answer, a webhook's, a mail store's replies. Of a part nothing is
//! ever taken for the whole.

use super::super::mail_store::{MailStore, Manner};
use super::super::receiver::{Receiver, Reply};
use super::{Campaign, Desk, SUPPORT, Via, maildir, make_due, makes_good};
use crate::standin::{Framing, GraphFault, TokenFault, Trick};

/// Every way in which a body of so many octets ends before its end. One without a length or chunks
/// is never whole.
fn cuts(length: usize) -> Vec<Trick> {
    let mut all = Vec::new();
    for framing in [Framing::Length, Framing::Chunks, Framing::Neither] {
        for notify in [true, false] {
            let last = match framing {
                Framing::Length => length - 1,
                _ => length,
            };
            all.extend((0..=last).map(|octets| Trick::Cut {
                framing,
                octets,
                notify,
            }));
        }
    }
    all
}

#[test]
fn messages_and_pages_of_graph() {
    for path in ["$value", "/delta", "/inbox"] {
        let mut campaign = Campaign::new(format!("a body that is cut, Graph, {path}"));
        let length = super::super::message(1).len();
        for trick in campaign.some_of(&cuts(length), 5) {
            let story = format!("{trick:?} for {path}");
            let desk = Desk::new(Via::Graph, "deliver: maildir:mail\nafter_fetch: delete");
            let sent = desk.deliver(1..2);
            let fault = GraphFault::Odd(trick.clone());
            desk.m365.faults().graph.next(99, path, fault);
            let ran = desk.fetch(&["--timeout", "2"]).ends();
            assert!(matches!(ran.code, 0 | 69 | 75), "{story}\n{ran}");
            if path == "$value" {
                assert!(maildir(&desk).is_empty(), "{story}: a part\n{ran}");
                let left = desk.m365.messages(SUPPORT, "INBOX").len();
                assert_eq!(left, 1, "{story}: deleted\n{ran}");
            }
            campaign.fault();
            desk.m365.faults().graph.heal();
            make_due(&desk);
            makes_good(&desk, &sent, maildir, &story);
        }
        campaign.end(5);
    }
}

#[test]
fn answers_of_the_token_endpoint() {
    let mut campaign = Campaign::new("a body that is cut, token endpoint");
    let probe = Desk::new(Via::Imap, "deliver: maildir:mail");
    probe.fetch(&[]).succeeds();
    // The answer is JSON around the token, and longer than it.
    let mut places = cuts(probe.m365.tokens()[0].len());
    // All of it came, but not the last chunk.
    places.push(Trick::Cut {
        framing: Framing::Chunks,
        octets: usize::MAX,
        notify: true,
    });
    for trick in campaign.some_of(&places, 10) {
        let story = format!("{trick:?}");
        let desk = Desk::new(Via::Imap, "deliver: maildir:mail");
        let sent = desk.deliver(0..1);
        desk.m365
            .faults()
            .token_next(99, TokenFault::Odd(trick.clone()));
        let ran = desk.fetch(&["--timeout", "2"]).ends();
        assert!(matches!(ran.code, 69 | 75), "{story}\n{ran}");
        ran.hides(&desk.m365.tokens()[0][..40]);
        campaign.fault();
        while desk.m365.faults().take_token().is_some() {}
        desk.state().execute("DELETE FROM wait", []).unwrap();
        makes_good(&desk, &sent, maildir, &story);
    }
    campaign.end(5);
}

#[test]
fn answers_of_a_webhook() {
    let mut campaign = Campaign::new("an answer that is cut, webhook");
    let mut places: Vec<&'static str> = Vec::new();
    for whole in [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 503 No\r\nRetry-After: 9\r\n\r\n",
    ] {
        places.extend((0..whole.len()).map(|end| &whole[..end]));
    }
    for part in campaign.some_of(&places, 6) {
        let part = *part;
        let receiver = Receiver::plain(move |_| Reply::cut(part));
        let desk = Desk::new(
            Via::Imap,
            &format!("deliver: {}\nafter_fetch: delete", receiver.url()),
        );
        let sent = desk.deliver(0..1);
        let ran = desk.fetch(&[]).ends();
        assert_eq!(ran.code, 75, "{part:?}\n{ran}");
        let left = desk.m365.messages(SUPPORT, "INBOX").len();
        assert_eq!(left, 1, "{part:?}: deleted\n{ran}");
        campaign.fault();
        receiver.behaves(|_| Reply::ok());
        make_due(&desk);
        desk.fetch(&[]).succeeds();
        let posts = receiver.posts();
        let mut keys: Vec<_> = posts.iter().map(|post| post.key()).collect();
        keys.dedup();
        assert_eq!(keys.len(), 1, "{part:?}: it comes again under its key");
        assert_eq!(posts.last().unwrap().body, sent[0], "{part:?}");
    }
    campaign.end(5);
}

#[test]
fn replies_of_a_mail_store() {
    let mut campaign = Campaign::new("replies that are cut, LMTP");
    // All that the store says to one message.
    let places: Vec<usize> = (0..90).collect();
    for octets in campaign.some_of(&places, 8) {
        let store = MailStore::start(Manner {
            cut: Some(*octets),
            ..Manner::default()
        });
        let address = format!("{}\nafter_fetch: delete", store.target());
        let desk = Desk::new(Via::Imap, &address);
        let sent = desk.deliver(0..3);
        let ran = desk.fetch(&[]).ends();
        let story = format!("cut after {octets} octets of the replies");
        assert!(matches!(ran.code, 0 | 75), "{story}\n{ran}");
        // What is on the server no more has been taken.
        let left = desk.m365.messages(SUPPORT, "INBOX").len();
        assert!(store.taken().len() + left >= 3, "{story}\n{ran}");
        campaign.fault();
        make_due(&desk);
        desk.fetch(&[]).succeeds();
        let mut taken = store.taken();
        // One, whose reply was cut, may be taken twice.
        assert!(taken.len() <= 4, "{story}: {} taken", taken.len());
        taken.sort();
        taken.dedup();
        super::assert_same(&super::Sorted::sorted(sent), &taken, &story);
        assert!(desk.m365.messages(SUPPORT, "INBOX").is_empty(), "{story}");
    }
    campaign.end(5);
}

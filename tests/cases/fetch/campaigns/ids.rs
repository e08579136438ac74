//! The ids by which the server told its messages apart are worth nothing any more: UIDVALIDITY
//! has changed, or the state of Graph's delta query is lost. What was delivered is recognised.

use super::{Campaign, Desk, SUPPORT, Via, both, campaign, maildir, makes_good};

/// The server forgets; `n` makes each time different.
fn forget(desk: &Desk, via: Via, n: u32) {
    match via {
        Via::Imap => desk
            .m365
            .renumber(SUPPORT, "INBOX", 7000 + n, 1 + n * 37 % 500),
        Via::Graph => desk.m365.expire_deltas(),
    }
}

#[test]
fn what_was_delivered_is_recognised() {
    both(|via| {
        let mut campaign = Campaign::new(format!("ids lost, {via:?}"));
        let desk = Desk::new(via, "deliver: maildir:mail\nafter_fetch: seen");
        let mut sent = desk.deliver(0..10);
        makes_good(&desk, &sent, maildir, "at first");
        // Two that are the same to the letter are two messages all the same.
        sent.extend(desk.deliver(3..4));
        makes_good(&desk, &sent, maildir, "the same again");
        let times = if campaign::whole() { 50 } else { 3 };
        for n in 0..times {
            sent.extend(desk.deliver(20 + n * 2..22 + n * 2));
            forget(&desk, via, n as u32);
            campaign.fault();
            if n == 0 && via == Via::Imap {
                desk.fetch(&["-v"])
                    .succeeds()
                    .mentions("11 recognised as already fetched");
            }
            // Sometimes the run that recognises is itself interrupted.
            if n % 2 == 1 {
                desk.fetch(&["--limit", "1"]).succeeds();
            }
            makes_good(&desk, &sent, maildir, &format!("ids lost, {via:?}, {n}"));
        }
        let all = sent.len();
        desk.fetch(&["--audit"])
            .succeeds()
            .shows(&format!("{all} delivered"))
            .shows("0 unaccounted for");
        campaign.end(3);
    });
}

//! One of two hosts is killed, frozen or cut off from the database, in the middle of a run, and the
//! other takes over: nothing is lost; nothing comes twice where mail is delivered to a folder; of what
//! is handed over, at most the message that was in flight, under the same id.

mod kill;
mod many;
mod partition;
mod sending;
mod server;
mod storm;

use super::{At, Fleet, SUPPORT};
use crate::campaign::Campaign;
use crate::cases::fetch::mail_store::{MailStore, Manner};
use crate::cases::fetch::{Sorted, Via, assert_same, files};
use crate::world::Ran;
use std::collections::BTreeSet;

pub const MESSAGES: usize = 6;

/// Where mail goes to, and what came there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Maildir,
    Eml,
    Command,
    Lmtp,
}

/// Two hosts that deliver to one place, which keeps a ledger of its own.
struct Desks {
    fleet: Fleet,
    kind: Kind,
    store: Option<MailStore>,
    sent: Vec<Vec<u8>>,
}

/// A command that keeps what it takes, under its delivery id.
const TAKE: &str = "cat > \"$1/part.$$\" && mv \"$1/part.$$\" \"$1/$QUEUEMAIL_DELIVERY_ID.$$\"\n";

impl Desks {
    fn new(kind: Kind, via: Via) -> Desks {
        Desks::with(kind, |address| Fleet::new(via, address))
    }

    /// The same with a database server of their own.
    fn alone(kind: Kind) -> Desks {
        Desks::with(kind, |address| Fleet::alone(Via::Imap, address))
    }

    fn with(kind: Kind, fleet: impl FnOnce(&str) -> Fleet) -> Desks {
        let store = (kind == Kind::Lmtp).then(|| MailStore::start(Manner::default()));
        let target = match &store {
            Some(store) => store.target(),
            None => match kind {
                Kind::Maildir => "deliver: maildir:{shared}/mail".to_owned(),
                Kind::Eml => "deliver: eml:{shared}/mail".to_owned(),
                _ => "deliver: 'command:/bin/sh {shared}/take.sh {shared}/taken'".to_owned(),
            },
        };
        let fleet = fleet(&format!("{target}\nafter_fetch: seen"));
        std::fs::create_dir(fleet.shared("taken")).unwrap();
        std::fs::write(fleet.shared("take.sh"), TAKE).unwrap();
        let sent = fleet.desk.deliver(0..MESSAGES);
        Desks {
            fleet,
            kind,
            store,
            sent,
        }
    }

    /// Whether it can be seen what became of a delivery.
    fn is_seen(&self) -> bool {
        matches!(self.kind, Kind::Maildir | Kind::Eml)
    }

    /// All messages that came, sorted.
    fn came(&self) -> Vec<Vec<u8>> {
        let mail = self.fleet.shared("mail");
        match (self.kind, &self.store) {
            (_, Some(store)) => store.taken().sorted(),
            (Kind::Maildir, _) => {
                let all = files(&mail.join("new"));
                all.into_values().collect::<Vec<_>>().sorted()
            }
            (Kind::Eml, _) => {
                let all = files(&mail).into_iter();
                let eml = all.filter(|(name, _)| name.ends_with(".eml"));
                eml.map(|(_, bytes)| bytes).collect::<Vec<_>>().sorted()
            }
            _ => {
                let taken = files(&self.fleet.shared("taken"));
                let whole = taken
                    .into_iter()
                    .filter(|(name, _)| !name.starts_with("part."));
                let whole: Vec<_> = whole.collect();
                let ids: BTreeSet<&str> = whole
                    .iter()
                    .filter_map(|(name, _)| name.split('.').next())
                    .collect();
                let different: BTreeSet<&Vec<u8>> = whole.iter().map(|(_, bytes)| bytes).collect();
                assert_eq!(
                    ids.len(),
                    different.len(),
                    "the same id for the same message"
                );
                whole
                    .into_iter()
                    .map(|(_, bytes)| bytes)
                    .collect::<Vec<_>>()
                    .sorted()
            }
        }
    }

    /// Nothing happens to host A any more. Host B, which finds its leases over, does what is left,
    /// and what may still have been in flight once that is over.
    fn taken_over(&self, story: &str) {
        let ran = self.fleet.fetch(At::B).ends();
        assert_eq!(ran.code, 0, "{story}\n{ran}");
        if self.is_seen() {
            assert_same(&self.sent, &self.came(), story);
        }
        self.fleet.hand_overs_end();
        let ran = self.fleet.fetch(At::B).ends();
        assert_eq!(ran.code, 0, "{story}\n{ran}");
    }

    /// All is over: what was sent is there, and nothing is left to be done.
    fn is_good(&self, faults: usize, story: &str) {
        let came = self.came();
        let unique: BTreeSet<Vec<u8>> = came.iter().cloned().collect();
        let unique: Vec<Vec<u8>> = unique.into_iter().collect();
        match self.is_seen() {
            true => assert_same(&self.sent, &came, story),
            false => assert_same(&self.sent, &unique, story),
        }
        let most = self.sent.len() + faults;
        assert!(came.len() <= most, "{story}: {} came", came.len());
        for at in [At::A, At::B] {
            let ran = self.fleet.fetch(at).ends();
            let is_silent = ran.stdout.is_empty() && ran.stderr.is_empty();
            assert!(
                ran.code == 0 && is_silent,
                "{story}: there is something left to do for {at:?}\n{ran}"
            );
        }
        let open = self
            .fleet
            .database
            .sql("SELECT count(*) FROM message WHERE state <> 'delivered'");
        assert_eq!(open, "0", "{story}");
        let all = self.fleet.desk.m365.messages(SUPPORT, "INBOX");
        let seen = all.iter().filter(|m| m.flags.iter().any(|f| f == "\\Seen"));
        assert_eq!(
            seen.count(),
            self.sent.len(),
            "{story}: the server was told"
        );
        assert_eq!(came.len(), self.came().len(), "{story}: nothing more came");
    }
}

/// What host A may end with that was frozen or cut off: it did all, or another host goes on.
#[track_caller]
fn ended_well(ran: &Ran, story: &str) {
    assert!(matches!(ran.code, 0 | 75), "{story}\n{ran}");
}

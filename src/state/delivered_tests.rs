//! Many messages go on record at once, on both databases alike.

use super::*;
use crate::model::{Days, Recording};
use crate::state::engines_tests::{Engine, on_both};
use crate::state::{About, FolderRecord, Lock, StagedRecord, Standing, uidvalidity};
use std::collections::HashSet;

/// More than one statement takes.
const MANY: usize = 2_300;

const ORIGIN: Origin<'_> = Origin {
    queue: "support",
    address: "support@contoso.com",
    folder: "INBOX",
    recording: Recording {
        days: Days(400),
        subject: true,
    },
};

struct Desk<'e> {
    engine: &'e Engine,
    store: Store,
    folder: FolderRecord,
}

impl<'e> Desk<'e> {
    fn new(engine: &'e Engine) -> Desk<'e> {
        let store = engine.open();
        let folder = store
            .open_folder(&Lock::FREE, ORIGIN.address, ORIGIN.folder, 0, None)
            .unwrap();
        Desk {
            engine,
            store,
            folder,
        }
    }

    fn stage(&self, messages: &[(RemoteId, About)]) {
        let staged: Vec<_> = messages
            .iter()
            .enumerate()
            .map(|(n, (remote, about))| StagedRecord {
                remote: remote.clone(),
                intent: format!("\"{n}\""),
                fingerprint: [n as u8; 16],
                size: n as u64,
                about: about.clone(),
            })
            .collect();
        let FolderRecord { id, epoch, .. } = self.folder;
        self.store
            .stage(&Lock::FREE, id, epoch, &staged, 5)
            .unwrap();
    }

    fn deliver(&self, messages: &[(RemoteId, About)], origin: &Origin<'_>, now: i64) {
        let arrived = |about| Arrived {
            about,
            size: 7,
            place: "maildir:x",
            delivery_id: "d",
        };
        let all: Vec<_> = messages
            .iter()
            .map(|(remote, about)| (remote, arrived(about)))
            .collect();
        let FolderRecord { id, epoch, .. } = self.folder;
        self.store
            .delivered(id, epoch, &all, &Next::of(&AfterFetch::Seen), origin, now)
            .unwrap();
    }

    fn standing(&self, ids: &[RemoteId]) -> Vec<Option<Standing>> {
        let FolderRecord { id, epoch, .. } = self.folder;
        let known = self.store.accounted(id, epoch, ids).unwrap();
        ids.iter().map(|id| known.get(id).copied()).collect()
    }

    fn number(&self, sql: &str) -> i64 {
        self.engine.number(sql).unwrap()
    }
}

/// Of every third nothing is known, not even the first.
fn message(n: usize) -> (RemoteId, About) {
    let about = About {
        subject: (!n.is_multiple_of(3)).then(|| format!("Größe {n}")),
        ..About::default()
    };
    (RemoteId::from(format!("AAMk{n}")), about)
}

#[test]
fn many_messages_are_on_record_once() {
    on_both(|engine| {
        let desk = Desk::new(engine);
        let all: Vec<_> = (0..MANY).map(message).collect();
        let (ids, unknown): (Vec<_>, RemoteId) = (
            all.iter().map(|(id, _)| id.clone()).collect(),
            RemoteId::from("nobody".to_owned()),
        );
        desk.stage(&all);
        assert_eq!(desk.standing(&ids), vec![Some(Standing::Pending); MANY]);
        let interrupted = desk.store.interrupted(ORIGIN.address).unwrap();
        let of = |n: usize| interrupted.iter().find(|one| one.remote == ids[n]).unwrap();
        for n in [0, 1, 999, 1000, MANY - 1] {
            assert_eq!(of(n).intent, format!("\"{n}\""), "{engine}");
            assert_eq!(of(n).about, all[n].1, "{engine}");
        }
        // All but the last one; then all, and those before a second time.
        desk.deliver(&all[..MANY - 1], &ORIGIN, 10);
        desk.deliver(&all, &ORIGIN, 9);
        let mut asked = ids.clone();
        asked.insert(1, unknown);
        let mut expected = vec![Some(Standing::Delivered); MANY + 1];
        expected[1] = None;
        assert_eq!(desk.standing(&asked), expected, "{engine}");
        let health = desk.store.health(ORIGIN.address).unwrap();
        assert_eq!(health.delivered, MANY as u64, "{engine}");
        assert_eq!(health.unsettled, MANY as u64, "{engine}");
        assert_eq!(health.last_message, Some(10), "{engine}");
        assert_eq!(desk.number("SELECT count(*) FROM history"), MANY as i64);
        let subjects = "SELECT count(DISTINCT subject) FROM history";
        let known = all.iter().filter(|(_, about)| about.subject.is_some());
        assert_eq!(desk.number(subjects), known.count() as i64, "{engine}");
        // As they were delivered.
        let order = "SELECT count(*) FROM history a JOIN history b ON b.id = a.id + 1
                     WHERE a.subject = 'Größe 1' AND b.subject = 'Größe 2'";
        assert_eq!(desk.number(order), 1, "{engine}");
        let FolderRecord { id, epoch, .. } = desk.folder;
        desk.store.settled(id, epoch, &ids, true).unwrap();
        let health = desk.store.health(ORIGIN.address).unwrap();
        assert_eq!(health.unsettled, 0, "{engine}");
        let left = "SELECT count(*) FROM message WHERE present = 0 AND settle IS NULL";
        assert_eq!(desk.number(left), MANY as i64, "{engine}");
    });
}

#[test]
fn one_that_comes_twice_in_a_batch_is_one() {
    on_both(|engine| {
        let desk = Desk::new(engine);
        let (one, other) = (message(1), message(2));
        let twice = [one.clone(), other.clone(), one.clone()];
        desk.stage(&twice);
        let interrupted = desk.store.interrupted(ORIGIN.address).unwrap();
        let intents: HashSet<_> = interrupted.iter().map(|one| one.intent.as_str()).collect();
        assert_eq!(intents, HashSet::from(["\"1\"", "\"2\""]), "{engine}");
        desk.deliver(&twice, &ORIGIN, 10);
        assert_eq!(desk.number("SELECT count(*) FROM history"), 2, "{engine}");
        assert_eq!(desk.store.health(ORIGIN.address).unwrap().delivered, 2);
        // What is delivered is not staged again, and what is not staged is not delivered.
        desk.stage(&[one, message(3)]);
        desk.deliver(&[message(4)], &ORIGIN, 11);
        let ids = [1, 3, 4].map(|n| message(n).0);
        let standing = [Some(Standing::Delivered), Some(Standing::Pending), None];
        assert_eq!(desk.standing(&ids), standing, "{engine}");
        assert_eq!(desk.number("SELECT count(*) FROM history"), 2, "{engine}");
    });
}

/// What is accounted for stays so: it is never taken back, and holds in its epoch alone.
#[test]
fn the_mark_goes_with_them() {
    on_both(|engine| {
        let store = engine.open();
        let open = |uidvalidity| {
            let opened = store.open_folder(&Lock::FREE, "u@x.example", "INBOX", uidvalidity, None);
            opened.unwrap()
        };
        let folder = open(7);
        let moved = |mark| {
            let next = Next {
                mark: Some(mark),
                ..Next::of(&AfterFetch::Keep)
            };
            let done = store.delivered(folder.id, folder.epoch, &[], &next, &ORIGIN, 1);
            done.unwrap();
            open(uidvalidity(folder.epoch)).mark
        };
        for (mark, expected) in [("9", "9"), ("10", "10"), ("9", "10"), ("100", "100")] {
            assert_eq!(moved(mark).as_deref(), Some(expected), "{engine}: {mark}");
        }
        let renumbered = open(8);
        let done = Next {
            mark: Some("101"),
            ..Next::of(&AfterFetch::Keep)
        };
        store
            .delivered(folder.id, folder.epoch, &[], &done, &ORIGIN, 1)
            .unwrap();
        assert_eq!((renumbered.mark, open(8).mark), (None, None), "{engine}");
    });
}

#[test]
fn without_a_history_there_is_the_count_alone() {
    on_both(|engine| {
        let desk = Desk::new(engine);
        let origin = Origin {
            recording: Recording {
                days: Days(0),
                subject: false,
            },
            ..ORIGIN
        };
        desk.stage(&[message(1)]);
        desk.deliver(&[message(1)], &origin, 10);
        assert_eq!(desk.number("SELECT count(*) FROM history"), 0, "{engine}");
        assert_eq!(desk.store.health(ORIGIN.address).unwrap().delivered, 1);
        desk.deliver(&[], &origin, 11);
        assert_eq!(desk.store.health(ORIGIN.address).unwrap().delivered, 1);
    });
}

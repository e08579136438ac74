//! The ledger's counts, held against its rows.

use super::*;
use crate::model::{Days, Recording};
use crate::state::db::statements;
use crate::state::engines_tests::{Engine, on_both};
use crate::state::former::RECEIVED_ALIKE;
use crate::state::{Arrived, Next, Origin};
use crate::state::{Health, Ran};
use proptest::prelude::*;
use std::collections::{BTreeMap, HashMap};
use std::iter;

const ADDRESS: &str = "support@contoso.com";
const DAY: i64 = 86_400;

/// What may befall a message, or the folder that it is in.
#[derive(Clone, Debug)]
enum Event {
    Staged(u32),
    /// The first of these is delivered twice: a crash lets nobody know that it was recorded.
    Delivered(Vec<u32>, AfterFetch),
    Failed(u32, bool),
    Restarted,
    Gone(u32),
    PutBack(u32),
    /// These were there before fetching began.
    Skipped(Vec<u32>),
    /// At most so many of them are to be fetched after all.
    Included(u32),
    Settled(bool),
    Released,
    Dropped,
    /// The server gives all messages other ids; so many of them are recognised.
    Renumbered(u32),
    /// The mailbox is restored under the same UIDVALIDITY: so many messages are recognised, under
    /// UIDs that are greater by so much.
    WentBack(u32, u32),
    Closed,
    /// So many days pass.
    Later(i64),
    Forgotten,
    /// The process dies, and another one opens the database.
    Killed,
}

fn event() -> impl Strategy<Value = Event> {
    let id = || 1..12u32;
    let after = prop_oneof![
        Just(AfterFetch::Keep),
        Just(AfterFetch::Seen),
        Just(AfterFetch::Delete)
    ];
    prop_oneof![
        4 => id().prop_map(Event::Staged),
        4 => (proptest::collection::vec(id(), 1..5), after)
            .prop_map(|(ids, after)| Event::Delivered(ids, after)),
        2 => (id(), any::<bool>()).prop_map(|(id, for_good)| Event::Failed(id, for_good)),
        1 => Just(Event::Restarted),
        1 => id().prop_map(Event::Gone),
        1 => id().prop_map(Event::PutBack),
        2 => proptest::collection::vec(id(), 1..5).prop_map(Event::Skipped),
        1 => (0..4u32).prop_map(Event::Included),
        2 => any::<bool>().prop_map(Event::Settled),
        1 => Just(Event::Released),
        1 => Just(Event::Dropped),
        1 => (0..4u32).prop_map(Event::Renumbered),
        1 => (0..4u32, 0..2u32).prop_map(|(number, by)| Event::WentBack(number, by)),
        1 => Just(Event::Closed),
        1 => (1..100i64).prop_map(Event::Later),
        1 => Just(Event::Forgotten),
        1 => Just(Event::Killed),
    ]
}

/// A mailbox with one folder, and what should be known of it.
struct Desk<'e> {
    engine: &'e Engine,
    store: Store,
    folder: FolderId,
    uidvalidity: u32,
    epoch: Epoch,
    now: i64,
    /// Deliveries of which the rows were forgotten.
    forgotten: u64,
    last: Option<i64>,
}

impl Desk<'_> {
    fn new(engine: &Engine) -> Desk<'_> {
        let store = engine.open();
        let folder = store
            .open_folder(&Lock::FREE, ADDRESS, "INBOX", 1, None)
            .unwrap()
            .id;
        Desk {
            engine,
            store,
            folder,
            uidvalidity: 1,
            epoch: 1,
            now: 1_800_000_000,
            forgotten: 0,
            last: None,
        }
    }

    fn fingerprint(&self, id: u32) -> [u8; 16] {
        [id as u8; 16]
    }

    fn stage(&self, id: u32) {
        let record = StagedRecord {
            remote: RemoteId::from(id),
            intent: "{}".into(),
            fingerprint: self.fingerprint(id),
            size: 1,
            about: About::default(),
        };
        self.store
            .stage(&Lock::FREE, self.folder, self.epoch, &[record], self.now)
            .unwrap();
    }

    fn count(&self, condition: &str) -> u64 {
        let sql = format!("SELECT count(*) FROM message WHERE {condition}");
        self.engine.number(&sql).unwrap().unsigned_abs()
    }

    fn deliver(&mut self, ids: &[u32], after: &AfterFetch) {
        let before = self.count("state = 'delivered'");
        let ids: Vec<RemoteId> = ids.iter().copied().map(RemoteId::from).collect();
        for ids in [&ids[..], &ids[..1]] {
            let about = About::default();
            let ids: Vec<_> = ids.iter().map(|id| (id, arrived(&about))).collect();
            self.store
                .delivered(
                    self.folder,
                    self.epoch,
                    &ids,
                    &Next::of(after),
                    &ORIGIN,
                    self.now,
                )
                .unwrap();
        }
        if self.count("state = 'delivered'") > before {
            self.last = Some(self.now);
        }
    }

    fn skipped(&self, id: u32) -> SkippedRecord {
        SkippedRecord {
            remote: RemoteId::from(id),
            fingerprint: [100 + id as u8; 16],
            received: Some(i64::from(id) * 1000),
        }
    }

    /// Finds one that was skipped under a UID that is greater by so much.
    fn recognise_skipped(&self, id: u32, by: u32) {
        let row = SkippedRecord {
            remote: RemoteId::from(id + by),
            ..self.skipped(id)
        };
        let were = format!(
            "epoch <> {} AND state = 'skipped' AND fingerprint = {}
             AND (present = 1 OR (present = 2 AND remote = {}))",
            self.epoch,
            self.engine.octets(&row.fingerprint),
            self.engine.id(id + by)
        );
        let is_known = self.count(&were) > 0;
        // At another time it is another message.
        let later = SkippedRecord {
            received: row.received.map(|time| time + 2 * RECEIVED_ALIKE),
            ..row.clone()
        };
        let known = |row: SkippedRecord| {
            let known = self.store.recognise_skipped(
                &Lock::FREE,
                self.folder,
                self.epoch,
                &[row],
                self.now,
            );
            !known.unwrap().is_empty()
        };
        assert!(!known(later), "{id} by {by}, later");
        assert_eq!(known(row), is_known, "{id} by {by}");
    }

    /// Finds so many messages under UIDs that are greater by so much than they were.
    fn recognise(&self, number: u32, by: u32) {
        for id in 1..=number {
            let (uid, print) = (id + by, self.fingerprint(id));
            let were = format!(
                "epoch <> {} AND state IN ('delivered', 'quarantined', 'dropped')
                 AND fingerprint = {}
                 AND (present = 1 OR (present = 2 AND remote = {}))",
                self.epoch,
                self.engine.octets(&print),
                self.engine.id(uid)
            );
            let is_known = self.count(&were) > 0;
            let remote = RemoteId::from(uid);
            let recognised = self.store.recognise(
                &Lock::FREE,
                self.folder,
                self.epoch,
                &remote,
                &print,
                self.now,
            );
            assert_eq!(recognised.unwrap(), is_known, "{id} by {by}");
            if !is_known {
                self.recognise_skipped(id, by);
            }
        }
    }

    fn happens(&mut self, event: &Event) {
        let (folder, epoch, now) = (self.folder, self.epoch, self.now);
        let store = &self.store;
        match event {
            Event::Staged(id) => self.stage(*id),
            Event::Delivered(ids, after) => self.deliver(ids, after),
            Event::Failed(id, for_good) => {
                let failure = Failure {
                    reason: "no",
                    for_good: *for_good,
                    about: None,
                };
                let id = RemoteId::from(*id);
                store
                    .failed(&Lock::FREE, folder, epoch, &id, &failure, now)
                    .unwrap();
            }
            Event::Restarted => {
                for message in store.interrupted(ADDRESS).unwrap() {
                    let (folder, epoch) = (message.folder, message.epoch);
                    store
                        .restart(&Lock::FREE, folder, epoch, &message.remote)
                        .unwrap();
                }
            }
            Event::Gone(id) => store
                .gone(&Lock::FREE, folder, epoch, &RemoteId::from(*id))
                .unwrap(),
            Event::PutBack(id) => store
                .put_back(&Lock::FREE, folder, epoch, &[RemoteId::from(*id)], now)
                .unwrap(),
            Event::Skipped(ids) => {
                let open = format!("epoch = {epoch} AND state <> 'failed'");
                let (before, dealt_with) = (self.count("state = 'skipped'"), self.count(&open));
                let rows: Vec<_> = ids.iter().map(|id| self.skipped(*id)).collect();
                let skipped = store.skip(&Lock::FREE, folder, epoch, &rows, now).unwrap();
                assert_eq!(self.count("state = 'skipped'"), before + skipped);
                assert_eq!(self.count(&open), dealt_with + skipped);
            }
            Event::Included(most) => {
                let of = format!("epoch = {epoch} AND state = 'skipped'");
                let before = self.count(&of);
                let included =
                    store.include_skipped(&Lock::FREE, folder, epoch, None, Some(u64::from(*most)));
                assert_eq!(included.unwrap(), before.min((*most).into()));
                let left = before.saturating_sub((*most).into());
                assert_eq!(self.count(&of), left);
                // And one by its id; what is not skipped stays as it is.
                let mut ids = Vec::new();
                let each = &mut |id| {
                    ids.push(id);
                    Ok(())
                };
                store.skipped(folder, epoch, None, each).unwrap();
                assert_eq!(ids.len() as u64, left);
                ids.truncate(1);
                ids.push(RemoteId::from(1));
                store.include(&Lock::FREE, folder, epoch, &ids).unwrap();
                assert!(self.count(&of) + 2 >= left, "no more than two");
                assert!(left == 0 || self.count(&of) < left);
            }
            Event::Settled(left) => {
                let unsettled = store.unsettled(folder, epoch, 0, usize::MAX, now);
                let unsettled = unsettled.unwrap().1.into_iter();
                let ids: Vec<_> = unsettled.map(|message| message.remote).collect();
                store.settled(folder, epoch, &ids, *left).unwrap();
            }
            Event::Released => {
                for message in store.quarantine().unwrap() {
                    assert!(store.release(message.id).unwrap());
                }
            }
            Event::Dropped => {
                for message in store.quarantine().unwrap() {
                    assert!(store.drop_quarantined(message.id, now).unwrap());
                }
            }
            Event::Renumbered(recognised) => {
                self.uidvalidity += 1;
                let was = self.count("present > 0") > 0;
                let record = store
                    .open_folder(&Lock::FREE, ADDRESS, "INBOX", self.uidvalidity, None)
                    .unwrap();
                assert_eq!((record.renumbered, record.mark), (was, None));
                self.epoch = record.epoch;
                self.recognise(*recognised, 0);
            }
            Event::WentBack(recognised, by) => {
                let record = store.folder_record(ADDRESS, "INBOX", self.uidvalidity);
                let record = store
                    .uids_went_back(&Lock::FREE, &record.unwrap().unwrap())
                    .unwrap();
                assert_eq!(uidvalidity(record.epoch), self.uidvalidity);
                assert!(record.epoch > epoch);
                self.epoch = record.epoch;
                self.recognise(*recognised, *by);
            }
            Event::Closed => store
                .close_former_epochs(&Lock::FREE, folder, epoch)
                .unwrap(),
            Event::Later(days) => self.now += days * DAY,
            Event::Forgotten => {
                let before = self.count("state = 'delivered'");
                store.tidy(ORIGIN.recording, now).unwrap();
                self.forgotten += before - self.count("state = 'delivered'");
            }
            Event::Killed => self.store = self.engine.open(),
        }
    }

    /// All that is counted or remembered, held against the rows.
    fn check(&self) {
        let store = &self.store;
        let is = store.health(ADDRESS).unwrap();
        let should = Health {
            last_message: self.last,
            backlog: self.count("state IN ('failed', 'staged')"),
            quarantined: self.count("state = 'quarantined'"),
            delivered: self.count("state = 'delivered'") + self.forgotten,
            unsettled: self.count("settle IS NOT NULL"),
            ..Health::default()
        };
        assert_eq!(is, should);
        let former = format!("epoch <> {} AND present > 0", self.epoch);
        let record = store.folder_record(ADDRESS, "INBOX", self.uidvalidity);
        let record = record.unwrap().unwrap();
        assert_eq!(record.epoch, self.epoch);
        assert_eq!(record.renumbered, self.count(&former) > 0);
        let skipped = format!("{former} AND state = 'skipped'");
        assert_eq!(record.skipped_before, self.count(&skipped) > 0);
        let highest = format!(
            "SELECT max(CAST(remote AS BIGINT)) FROM message WHERE epoch = {}",
            self.epoch
        );
        let highest = self.engine.number(&highest);
        let highest = highest.map(|uid| RemoteId::from(u32::try_from(uid).unwrap()));
        assert_eq!(store.highest(&record).unwrap(), highest);
        for id in 1..12 {
            let left = format!(
                "epoch = {} AND remote = {} AND present = 0",
                self.epoch,
                self.engine.id(id)
            );
            let has_left = store.has_left(&record, &RemoteId::from(id)).unwrap();
            assert_eq!(has_left, self.count(&left) > 0);
        }
        let opened = store.open_folder(&Lock::FREE, ADDRESS, "INBOX", self.uidvalidity, None);
        assert_eq!(opened.unwrap(), record);
    }
}

impl Desk<'_> {
    /// All that the store answers, but for the numbers of rows.
    fn told(&self) -> String {
        let store = &self.store;
        let (folder, epoch) = (self.folder, self.epoch);
        let mut due = Vec::new();
        let mut push = |id| {
            due.push(id);
            Ok(())
        };
        store.due(folder, epoch, self.now, &mut push).unwrap();
        let (_, unsettled) = store.unsettled(folder, epoch, 0, 100, self.now).unwrap();
        let mut unsettled: Vec<_> = unsettled
            .into_iter()
            .map(|u| (u.remote, u.action, u.fingerprint))
            .collect();
        due.sort_unstable();
        unsettled.sort_by(|one, other| one.0.cmp(&other.0));
        let ids: Vec<RemoteId> = (1..12).map(RemoteId::from).collect();
        let known = store.accounted(folder, epoch, &ids).unwrap();
        let known: BTreeMap<_, _> = known.into_iter().collect();
        let mut interrupted: Vec<_> = store.interrupted(ADDRESS).unwrap();
        interrupted
            .sort_by(|one, other| (one.epoch, &one.remote).cmp(&(other.epoch, &other.remote)));
        let interrupted: Vec<_> = interrupted
            .iter()
            .map(|i| (i.epoch, &i.remote, i.size, i.since, &i.intent))
            .collect();
        let mut unfinished = store.unfinished().unwrap();
        unfinished
            .sort_by(|one, other| (one.epoch, &one.remote).cmp(&(other.epoch, &other.remote)));
        let unfinished: Vec<_> = unfinished
            .iter()
            .map(|u| (u.epoch, &u.remote, u.attempts, &u.reason, u.since))
            .collect();
        let record = store.folder_record(ADDRESS, "INBOX", self.uidvalidity);
        let record = record.unwrap().map(|r| (r.epoch, r.mark, r.renumbered));
        let health = store.health(ADDRESS).unwrap();
        format!(
            "{due:?} {unsettled:?} {known:?} {interrupted:?} {unfinished:?} {record:?} {health:?}"
        )
    }
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    proptest::collection::vec(event(), 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(32) })]
    #[test]
    fn what_is_counted_is_what_is_there(events in events()) {
        let engine = Engine::sqlite();
        let mut desk = Desk::new(&engine);
        for event in &events {
            desk.happens(event);
            desk.check();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(8) })]
    #[test]
    fn both_databases_say_the_same(events in events()) {
        let engines = [Engine::sqlite(), Engine::postgres()];
        let mut desks = engines.each_ref().map(Desk::new);
        for event in &events {
            for desk in &mut desks {
                desk.happens(event);
                desk.check();
            }
            let [sqlite, postgres] = desks.each_ref().map(Desk::told);
            assert_eq!(sqlite, postgres, "after {event:?}");
        }
    }
}

#[test]
fn a_delivered_message_is_not_undone() {
    on_both(|engine| {
        let mut desk = Desk::new(engine);
        desk.stage(1);
        desk.deliver(&[1], &AfterFetch::Keep);
        for event in [
            Event::Staged(1),
            Event::Failed(1, true),
            Event::Restarted,
            Event::PutBack(1),
            Event::Gone(1),
        ] {
            desk.happens(&event);
            desk.check();
            let ids = [RemoteId::from(1)];
            let known = desk.store.accounted(desk.folder, desk.epoch, &ids).unwrap();
            let delivered = HashMap::from([(RemoteId::from(1), Standing::Delivered)]);
            assert_eq!(known, delivered, "{event:?}");
        }
    });
}

/// Every statement of a run, of `status` and of the outbox, as SQLite would go about it: none reads
/// all rows of the ledger. An index of open messages alone may be read whole by whoever lists them.
#[test]
fn nothing_reads_the_whole_ledger() {
    let engine = Engine::sqlite();
    let mut desk = Desk::new(&engine);
    let (folder, listed) = (desk.folder, [RemoteId::from("AAMk".to_owned())]);
    desk.stage(1);
    statements::taken();
    for (event, is_list) in [
        (Event::Staged(1), false),
        (Event::Delivered(vec![1], AfterFetch::Seen), false),
        (Event::Settled(true), false),
        (Event::Failed(2, true), false),
        (Event::Staged(3), false),
        (Event::Restarted, false),
        (Event::Gone(3), false),
        (Event::PutBack(4), false),
        (Event::Skipped(vec![5, 6]), false),
        (Event::Included(1), false),
        (Event::Released, true),
        (Event::Failed(2, true), false),
        (Event::Dropped, true),
        (Event::Later(91), false),
        (Event::Forgotten, false),
        (Event::Renumbered(1), false),
        (Event::WentBack(1, 0), false),
        (Event::Closed, false),
    ] {
        desk.happens(&event);
        let checked = check_plans(&desk, is_list);
        assert!(checked > 0 || matches!(event, Event::Later(_)), "{event:?}");
    }
    let (store, epoch, now) = (&desk.store, desk.epoch, desk.now);
    let record = store
        .open_folder(&Lock::FREE, ADDRESS, "INBOX", desk.uidvalidity, None)
        .unwrap();
    store
        .folder_record(ADDRESS, "INBOX", desk.uidvalidity)
        .unwrap();
    store.highest(&record).unwrap();
    store.has_left(&record, &listed[0]).unwrap();
    store.folder_names(ADDRESS).unwrap();
    store.interrupted(ADDRESS).unwrap();
    store.due(folder, epoch, now, &mut |_| Ok(())).unwrap();
    store.unsettled(folder, epoch, 0, 10, now).unwrap();
    let refused = [(RemoteId::from(1), "no".to_owned())];
    store.refused(folder, epoch, &refused, now).unwrap();
    store.accounted(folder, epoch, &listed).unwrap();
    let uids = [RemoteId::from(8), RemoteId::from(9)];
    store.accounted(folder, epoch, &uids).unwrap();
    store.set_mark(&Lock::FREE, folder, "8").unwrap();
    store.set_start(&Lock::FREE, folder, "{}").unwrap();
    store.started(&Lock::FREE, folder, Some("9")).unwrap();
    let runs = [
        Ran::new(ADDRESS.to_owned(), None),
        Ran::new(ADDRESS.to_owned(), Some("no".to_owned())),
    ];
    store.record_runs(&runs, now).unwrap();
    store.health(ADDRESS).unwrap();
    assert!(check_plans(&desk, false) > 12);
    store.unfinished().unwrap();
    store.quarantine().unwrap();
    assert_eq!(check_plans(&desk, true), 2);
}

/// Holds the plans of the statements that ran against the rule; gives their number.
fn check_plans(desk: &Desk<'_>, is_list: bool) -> usize {
    let rows = rusqlite::Connection::open(desk.engine.folder().join("state.sqlite")).unwrap();
    let run = statements::taken();
    let run: Vec<_> = run
        .into_iter()
        .filter(|sql| {
            !sql.starts_with("SELECT count(*) FROM message WHERE")
                && !sql.starts_with("SELECT max(")
        })
        .collect();
    for sql in &run {
        let mut plan = rows.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let nothing = iter::repeat_n(rusqlite::types::Null, plan.parameter_count());
        let steps = plan
            .query_map(rusqlite::params_from_iter(nothing), |row| row.get(3))
            .unwrap();
        for step in steps {
            let step: String = step.unwrap();
            let is_open = is_list && step.ends_with("INDEX message_open");
            let is_scan = step.starts_with("SCAN message") || step.starts_with("SCAN m ");
            assert!(!is_scan && step != "SCAN m" || is_open, "{step}\n{sql}");
            // A folder's whole part is read where the server renumbered its messages; of the
            // highest UID but the end of the index is.
            let is_end = sql.contains("ORDER BY remote DESC LIMIT 1");
            let is_in_order = is_end || sql.contains("ORDER BY id");
            let is_sorted = sql.contains("FROM message") && step.contains("TEMP B-TREE");
            assert!(!(is_in_order && is_sorted), "{step}\n{sql}");
            let is_part = step.ends_with("(folder=?)") || step.ends_with("(folder=? AND epoch=?)");
            let is_ledger = step.contains("INDEX sqlite_autoindex_message_1");
            let may = sql.contains("state = 'skipped'")
                || sql.contains("epoch <> ?2")
                || sql.contains("epoch % ?3 = ?2 % ?3")
                || is_end;
            assert!(!(is_part && is_ledger) || may, "{step}\n{sql}");
        }
    }
    run.len()
}

const ORIGIN: Origin<'_> = Origin {
    queue: "q",
    address: ADDRESS,
    folder: "INBOX",
    recording: Recording {
        days: Days::OF_HISTORY,
        subject: true,
    },
};

fn arrived(about: &About) -> Arrived<'_> {
    Arrived {
        about,
        size: 1,
        place: "place",
        delivery_id: "id",
    }
}

fn deliver(desk: &Desk<'_>, ids: &[RemoteId]) {
    let staged: Vec<_> = ids
        .iter()
        .map(|remote| StagedRecord {
            remote: remote.clone(),
            intent: String::new(),
            fingerprint: [0; 16],
            size: 1,
            about: About::default(),
        })
        .collect();
    desk.store
        .stage(&Lock::FREE, desk.folder, 1, &staged, 0)
        .unwrap();
    let about = About::default();
    let arrived: Vec<_> = ids.iter().map(|id| (id, arrived(&about))).collect();
    desk.store
        .delivered(
            desk.folder,
            1,
            &arrived,
            &Next::of(&AfterFetch::Seen),
            &ORIGIN,
            0,
        )
        .unwrap();
}

#[test]
fn what_is_unsettled_is_read_part_by_part() {
    on_both(|engine| {
        let desk = Desk::new(engine);
        let (store, folder) = (&desk.store, desk.folder);
        let ids: Vec<_> = [5, 3, 9, 1, 7].map(RemoteId::from).into();
        deliver(&desk, &ids);
        store.settled(folder, 1, &ids[1..2], false).unwrap();
        let (mut row, mut found) = (0, Vec::new());
        loop {
            let (last, part) = store.unsettled(folder, 1, row, 2, 0).unwrap();
            if part.is_empty() {
                break;
            }
            assert!(part.len() <= 2);
            found.extend(part.into_iter().map(|message| message.remote));
            row = last;
        }
        assert_eq!(found, [5, 9, 1, 7].map(RemoteId::from));
    });
}

/// What failed in a run, and what of it failed to the run's end.
#[test]
fn what_failed_and_was_delivered_since_is_not_counted() {
    on_both(|engine| {
        let desk = Desk::new(engine);
        let (store, folder) = (&desk.store, desk.folder);
        let ids: Vec<_> = [1, 2, 3, 4].map(RemoteId::from).into();
        let fail = |id: &RemoteId, for_good, now| {
            let failure = Failure {
                reason: "a wall",
                for_good,
                about: None,
            };
            let failed = store.failed(&Lock::FREE, folder, 1, id, &failure, now);
            failed.unwrap();
        };
        let count = |since| {
            let counts = store.failed_since(&["x@contoso.com", ADDRESS], since);
            counts.unwrap()
        };
        fail(&ids[0], false, 900);
        ids[1..].iter().for_each(|id| fail(id, false, 1000));
        assert_eq!(
            (count(1000), count(900), count(1001)),
            (vec![0, 3], vec![0, 4], vec![0, 0])
        );
        deliver(&desk, &ids[1..2]);
        fail(&ids[2], true, 1010);
        assert_eq!(
            count(1000),
            [0, 1],
            "one is delivered, and one is in quarantine"
        );
        store.gone(&Lock::FREE, folder, 1, &ids[3]).unwrap();
        assert_eq!(count(1000), [0, 0]);
        assert!(store.failed_since(&[], 0).unwrap().is_empty());
    });
}

/// Where the message at the mark is seen again, UIDs went back: that it left is never forgotten.
#[test]
fn the_row_at_the_mark_is_not_forgotten() {
    on_both(|engine| {
        let desk = Desk::new(engine);
        let (store, folder) = (&desk.store, desk.folder);
        let ids: Vec<_> = [7, 8, 9].map(RemoteId::from).into();
        deliver(&desk, &ids);
        store.settled(folder, 1, &ids, true).unwrap();
        store.set_mark(&Lock::FREE, folder, "9").unwrap();
        for _ in 0..2 {
            store.tidy(ORIGIN.recording, 100 * DAY).unwrap();
            let record = store.folder_record(ADDRESS, "INBOX", 1).unwrap().unwrap();
            assert!(store.has_left(&record, &ids[2]).unwrap());
            assert_eq!(desk.count("present = 0"), 1);
        }
        // The mark has moved on.
        store.set_mark(&Lock::FREE, folder, "10").unwrap();
        store.tidy(ORIGIN.recording, 100 * DAY).unwrap();
        assert_eq!(desk.count("present = 0"), 0);
    });
}

/// What the server refuses is not to be told in each run.
#[test]
fn what_the_server_refused_is_told_again_later_each_time() {
    on_both(|engine| {
        let desk = Desk::new(engine);
        let (store, folder) = (&desk.store, desk.folder);
        let ids: Vec<_> = [7, 8].map(RemoteId::from).into();
        deliver(&desk, &ids);
        let due = |now| store.unsettled(folder, 1, 0, 10, now).unwrap().1.len();
        let mut now = 1000;
        for wait in [
            60, 300, 1500, 7500, 37_500, 43_200, 43_200, 43_200, 43_200, 43_200,
        ] {
            assert_eq!(due(now), 2);
            let refused = [(ids[1].clone(), "it is on hold".to_owned())];
            store.refused(folder, 1, &refused, now).unwrap();
            assert_eq!((due(now + wait - 1), due(now + wait)), (1, 2), "{wait} s");
            let refused = store.health(ADDRESS).unwrap().refused;
            assert_eq!(refused, Some((1, "it is on hold".to_owned())));
            // A clock that was set back holds nothing up.
            assert_eq!(due(now - 10 * DAY), 2);
            now += wait;
        }
        store.settled(folder, 1, &ids, true).unwrap();
        assert_eq!(store.health(ADDRESS).unwrap().refused, None);
        // What is settled is not refused any more.
        store
            .refused(folder, 1, &[(ids[0].clone(), "x".to_owned())], now)
            .unwrap();
        assert_eq!(store.health(ADDRESS).unwrap().refused, None);
    });
}

#[test]
fn an_error_ends_what_is_due() {
    on_both(|engine| {
        let desk = Desk::new(engine);
        let ids: Vec<_> = [4, 2, 8].map(RemoteId::from).into();
        desk.store
            .put_back(&Lock::FREE, desk.folder, 1, &ids, 0)
            .unwrap();
        let mut found = Vec::new();
        let mut due = |room: usize| {
            found.clear();
            desk.store
                .due(desk.folder, 1, 10, &mut |id| {
                    anyhow::ensure!(found.len() < room, "full");
                    found.push(id);
                    Ok(())
                })
                .map(|()| found.clone())
        };
        assert_eq!(due(3).unwrap(), ids);
        assert_eq!(due(1).unwrap_err().to_string(), "full");
    });
}

#[test]
fn a_page_is_told_what_became_of_each() {
    on_both(|engine| {
        for ids in [
            [3, 9, 5, 7].map(RemoteId::from),
            ["c", "d", "a", "b"].map(|id| RemoteId::from(id.to_owned())),
        ] {
            let desk = Desk::new(engine);
            let (store, folder) = (&desk.store, desk.folder);
            deliver(&desk, &ids[..2]);
            store
                .put_back(&Lock::FREE, folder, 1, &ids[2..3], 0)
                .unwrap();
            let known = store.accounted(folder, 1, &ids[1..]).unwrap();
            let expected = [
                (ids[1].clone(), Standing::Delivered),
                (ids[2].clone(), Standing::Pending),
            ];
            assert_eq!(known, HashMap::from(expected));
            assert!(store.accounted(folder, 2, &ids).unwrap().is_empty());
            assert!(store.accounted(folder, 1, &[]).unwrap().is_empty());
        }
    });
}

/// What only SQLite understands is in its driver.
#[test]
fn statements_are_of_both_dialects() {
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/state")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() || name.ends_with("tests.rs") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.split("#[cfg(test)]").next().unwrap();
        for word in [
            "OR REPLACE",
            "OR IGNORE",
            "rowid",
            "PRAGMA",
            "CROSS JOIN",
            "sum(m.",
            "sum(state",
            " max(coalesce",
            "json_",
            "->>",
            "ifnull",
            "IS NOT ?",
            "INDEXED BY",
            "GLOB",
        ] {
            assert!(!text.contains(word), "{name}: {word}");
        }
    }
}

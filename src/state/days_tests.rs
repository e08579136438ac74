//! Counts of each day: what counts, where a day ends, and that no row is read for it.

use super::*;
use crate::model::{Days, Recording};
use crate::state::db::statements;
use crate::state::engines_tests::{Engine, on_both};
use crate::state::history::{About, Arrived, Origin, Sent, receive_one};

const RECORDING: Recording = Recording {
    days: Days(400),
    subject: true,
};

fn receive(store: &Store, at: i64) {
    let arrived = Arrived {
        about: &About::default(),
        size: 7,
        place: "maildir:x",
        delivery_id: "d",
    };
    let origin = Origin {
        queue: "support",
        address: "support@contoso.com",
        folder: "INBOX",
        recording: RECORDING,
    };
    receive_one(store, arrived, &origin, at);
}

fn send(store: &Store, outcome: &'static str, at: i64) {
    let sent = Sent {
        queue: "support".to_owned(),
        address: "support@contoso.com".to_owned(),
        server: "Out".to_owned(),
        about: About::default(),
        size: 9,
        recipients: Vec::new(),
        outcome,
        server_id: None,
        server_said: None,
        recording: RECORDING,
    };
    store.record_sent(&sent, at).unwrap();
}

#[test]
fn each_day_has_what_came_and_went_in_it() {
    on_both(|engine| {
        let store = engine.open();
        assert_eq!(
            store.count_days(&[0..10, 10..20]).unwrap(),
            [DayCounts::default(); 2],
            "{engine}"
        );
        for at in [-1, 0, 9, 10, 10, 29, 30] {
            receive(&store, at);
        }
        for (outcome, at) in [
            ("accepted", 0),
            ("accepted", 9),
            ("refused", 9),
            ("unknown", 10),
            ("accepted", 29),
        ] {
            send(&store, outcome, at);
        }
        let counts = |fetched, sent, unsent| DayCounts {
            fetched,
            sent,
            unsent,
        };
        // Days need not have one length.
        assert_eq!(
            store.count_days(&[0..10, 10..20, 20..30, 40..50]).unwrap(),
            [
                counts(2, 2, 1),
                counts(2, 0, 1),
                counts(1, 1, 0),
                counts(0, 0, 0)
            ],
            "{engine}"
        );
        assert_eq!(store.count_days(&[]).unwrap(), []);
        let many: Vec<_> = (0..31).map(|day| day..day + 1).collect();
        let many = store.count_days(&many).unwrap();
        assert_eq!(many.len(), MOST_DAYS);
        assert_eq!((many[0], many[29]), (counts(1, 1, 0), counts(1, 1, 0)));
    });
}

/// A million rows are counted in indexes, of which each gives no more than its range.
#[test]
fn no_row_is_read_to_count_days() {
    let engine = Engine::sqlite();
    let store = engine.open();
    statements::taken();
    store.count_days(&[0..10, 10..20]).unwrap();
    let run = statements::taken();
    assert_eq!(run.len(), 1, "one statement for all days: {run:#?}");
    let rows = rusqlite::Connection::open(engine.folder().join("state.sqlite")).unwrap();
    let mut plan = rows
        .prepare(&format!("EXPLAIN QUERY PLAN {}", run[0]))
        .unwrap();
    let nothing = std::iter::repeat_n(rusqlite::types::Null, plan.parameter_count());
    let steps: Vec<String> = plan
        .query_map(rusqlite::params_from_iter(nothing), |row| row.get(3))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let searches: Vec<&String> = steps.iter().filter(|s| s.contains("history")).collect();
    assert_eq!(searches.len(), 3, "{steps:#?}");
    for (search, index) in searches
        .iter()
        .zip(["history_time", "history_sent", "history_unsent"])
    {
        let range = format!("INDEX {index} (at>? AND at<?)");
        assert!(
            search.starts_with("SEARCH") && search.ends_with(&range),
            "{steps:#?}"
        );
    }
}

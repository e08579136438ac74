//! The history: what is found, in what order, how much is read for it.

use super::*;
use crate::mail::RemoteId;
use crate::model::{AfterFetch, Days};
use crate::state::db::statements;
use crate::state::engines_tests::{Engine, on_both};
use crate::state::{Lock, Next, StagedRecord};
use rusqlite::Connection;
use std::sync::atomic::{AtomicU32, Ordering};

const RECORDING: Recording = Recording {
    days: Days(400),
    subject: true,
};

struct Desk {
    store: Store,
}

/// Has a message come, which no other one is.
pub(in crate::state) fn receive_one(
    store: &Store,
    arrived: Arrived<'_>,
    origin: &Origin<'_>,
    at: i64,
) {
    static COUNT: AtomicU32 = AtomicU32::new(1);
    let (lock, remote) = (
        Lock::FREE,
        RemoteId::from(COUNT.fetch_add(1, Ordering::Relaxed)),
    );
    let folder = store
        .open_folder(&lock, origin.address, origin.folder, 1, None)
        .unwrap();
    let staged = StagedRecord {
        remote: remote.clone(),
        intent: String::new(),
        fingerprint: [0; 16],
        size: arrived.size,
        about: arrived.about.clone(),
    };
    store
        .stage(&lock, folder.id, folder.epoch, &[staged], at)
        .unwrap();
    store
        .delivered(
            folder.id,
            folder.epoch,
            &[(&remote, arrived)],
            &Next::of(&AfterFetch::Keep),
            origin,
            at,
        )
        .unwrap();
}

impl Desk {
    fn new(engine: &Engine) -> Desk {
        let store = engine.open();
        Desk { store }
    }

    fn receive(&self, queue: &str, sender: &str, n: i64, at: i64) {
        let about = About {
            message_id: Some(format!("<{n}@x.example>")),
            from: Some(format!("Anna Müller <{sender}>")),
            sender: Some(sender.to_owned()),
            subject: Some(format!("Größe {n}")),
            sha256: Some("00".repeat(32)),
        };
        let arrived = Arrived {
            about: &about,
            size: 7,
            place: "maildir:x",
            delivery_id: "d",
        };
        let origin = Origin {
            queue,
            address: "support@contoso.com",
            folder: "INBOX",
            recording: RECORDING,
        };
        receive_one(&self.store, arrived, &origin, at);
    }

    fn send(&self, to: &[&str], at: i64) {
        let recipient = |address: &&str| Recipient {
            address: (*address).to_owned(),
            outcome: "accepted".to_owned(),
        };
        let sent = Sent {
            queue: "support".to_owned(),
            address: "support@contoso.com".to_owned(),
            server: "Out".to_owned(),
            about: About {
                message_id: Some(format!("<sent{at}@contoso.com>")),
                sender: Some("support@contoso.com".to_owned()),
                ..About::default()
            },
            size: 9,
            recipients: to.iter().map(recipient).collect(),
            outcome: "accepted",
            server_id: Some(format!("<server{at}@prod.outlook.com>")),
            server_said: None,
            recording: RECORDING,
        };
        self.store.record_sent(&sent, at).unwrap();
    }

    fn ask(&self, question: &Question<'_>) -> Answer {
        self.store.history(question).unwrap()
    }

    fn found(&self, question: &Question<'_>) -> Vec<i64> {
        self.ask(question)
            .found
            .iter()
            .map(|past| past.at)
            .collect()
    }
}

fn about(what: What<'_>) -> Question<'_> {
    Question {
        what,
        queue: None,
        since: i64::MIN,
        until: i64::MAX,
        received: true,
        sent: true,
        most: 100,
    }
}

#[test]
fn what_was_received_and_sent_is_found() {
    on_both(|engine| {
        let desk = Desk::new(engine);
        let weeks = [1, 2, WEEK, 5 * WEEK];
        for (n, at) in weeks.iter().enumerate() {
            let queue = ["support", "sales"][n % 2];
            desk.receive(queue, "anna@x.example", n as i64, *at);
        }
        desk.send(&["Bert@x.example", "anna@x.example"], 3 * WEEK);
        let all = [5 * WEEK, 3 * WEEK, WEEK, 2, 1];
        assert_eq!(desk.found(&about(What::All)), all);
        for (word, want) in [
            ("anna@x.example", &all[..]),
            ("Anna@X.example", &all),
            ("support@contoso.com", &all),
            ("bert@x.example", &[3 * WEEK]),
            ("<2@x.example>", &[WEEK]),
            ("2@x.example", &[WEEK]),
            ("<2@X.example>", &[]),
            ("<server1814400@prod.outlook.com>", &[3 * WEEK]),
            ("nobody@x.example", &[]),
        ] {
            assert_eq!(desk.found(&about(What::Exactly(word))), want, "{word}");
        }
        assert_eq!(desk.found(&about(What::Text("GRÖSSE"))), [0; 0]);
        assert_eq!(desk.found(&about(What::Text("GRÖßE 3"))), [5 * WEEK]);
        assert_eq!(desk.found(&about(What::Text("müller"))).len(), 4);
        for what in [What::All, What::Exactly("anna@x.example"), What::Text("m")] {
            let narrow = Question {
                queue: Some("support"),
                since: 1,
                until: 4 * WEEK,
                sent: false,
                ..about(what)
            };
            assert_eq!(desk.found(&narrow), [WEEK, 1], "{what:?}");
            let newest = Question {
                most: 1,
                ..narrow.clone()
            };
            let answer = desk.ask(&newest);
            assert_eq!((answer.found.len(), answer.has_more), (1, true), "{what:?}");
            assert_eq!(answer.found[0].at, WEEK);
        }
    });
}

#[test]
fn a_search_for_text_is_bounded_and_says_so() {
    on_both(|engine| {
        let desk = Desk::new(engine);
        for n in 0..10 {
            desk.receive("support", "anna@x.example", n, n);
        }
        let question = about(What::Text("größe 1"));
        let read = |budget| {
            let mut reading = Reading {
                question: &question,
                text: "größe 1".to_owned(),
                budget,
                answer: Answer::default(),
                seen: HashSet::new(),
            };
            desk.store.read(|reader| reading.in_time(reader)).unwrap();
            (reading.answer.found.len(), reading.answer.is_partial)
        };
        assert_eq!(read(5), (0, true));
        assert_eq!(read(11), (1, false));
    });
}

#[test]
fn what_is_old_is_forgotten_step_by_step() {
    on_both(|engine| {
        let desk = Desk::new(engine);
        let now = 1_800_000_000;
        for age in [1, 399, 400, 401, 500] {
            let at = now - age * 86_400;
            desk.receive("support", "anna@x.example", age, at);
        }
        desk.send(&["a@x.example"], now - 500 * 86_400);
        desk.store.tidy(RECORDING, now).unwrap();
        let days: Vec<i64> = desk
            .found(&about(What::All))
            .iter()
            .map(|at| (now - at) / 86_400)
            .collect();
        assert_eq!(days, [1, 399, 400]);
        let recipients = engine.number("SELECT count(*) FROM history_recipient");
        assert_eq!(recipients, Some(0));
        // Without a history nothing is written, and what is there goes.
        let none = Recording {
            days: Days(0),
            ..RECORDING
        };
        desk.store.tidy(none, now).unwrap();
        assert_eq!(desk.found(&about(What::All)), [0; 0]);
    });
}

#[test]
fn subjects_are_cut_or_not_kept() {
    let long = About {
        subject: Some("é".repeat(1000)),
        message_id: Some("x".repeat(100_000)),
        ..About::default()
    };
    let kept = long.clone().within(RECORDING);
    assert_eq!(kept.subject.unwrap().chars().count(), SUBJECT);
    assert_eq!(kept.message_id.unwrap().len(), ID);
    let kept = long.within(Recording {
        subject: false,
        ..RECORDING
    });
    assert_eq!(kept.subject, None);
}

/// A million rows are no slower than a few: each statement reads one end of an index, in its order.
#[test]
fn no_question_reads_the_whole_history() {
    let engine = Engine::sqlite();
    let desk = Desk::new(&engine);
    desk.receive("support", "anna@x.example", 1, 1);
    desk.send(&["a@x.example"], 2);
    desk.store.tidy(RECORDING, 1_800_000_000).unwrap();
    desk.receive("support", "anna@x.example", 1, 1);
    for what in [What::All, What::Exactly("a@x.example"), What::Text("x")] {
        desk.ask(&about(what));
        desk.ask(&Question {
            queue: Some("support"),
            ..about(what)
        });
    }
    let rows = Connection::open(engine.folder().join("state.sqlite")).unwrap();
    desk.ask(&Question {
        received: false,
        ..about(What::All)
    });
    let mut run = statements::taken();
    run.retain(|sql| sql.contains("history") && !sql.contains("INSERT"));
    run.sort_unstable();
    run.dedup();
    assert_eq!(run.len(), 11, "{run:#?}");
    for sql in run {
        let mut plan = rows.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let nothing = std::iter::repeat_n(rusqlite::types::Null, plan.parameter_count());
        let steps = plan
            .query_map(rusqlite::params_from_iter(nothing), |row| row.get(3))
            .unwrap();
        for step in steps {
            let step: String = step.unwrap();
            assert!(!step.starts_with("SCAN"), "{step}\n{sql}");
            // Those of one message are few.
            let is_few = sql.contains("h.message_id = ") || sql.contains("h.server_id = ");
            assert!(is_few || !step.contains("TEMP B-TREE"), "{step}\n{sql}");
            let index = [
                ("h.queue = ", "history_queue"),
                ("h.address = ", "history_address"),
                ("h.sender = ", "history_sender"),
                ("h.message_id = ", "history_message"),
                ("h.server_id = ", "history_server_id"),
            ];
            for (_, index) in index.iter().filter(|(key, _)| sql.contains(key)) {
                assert!(
                    step.contains(index) || step.contains("TEMP"),
                    "{step}\n{sql}"
                );
            }
        }
    }
}

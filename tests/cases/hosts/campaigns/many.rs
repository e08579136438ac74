//! Three hosts divide ten thousand mailboxes among themselves, of which few have new mail: each is
//! visited once in a round, and the database has little to do for it.

use super::super::State;
use super::super::sharing::{Crowd, Manner, address};
use crate::campaign::{longest, whole};
use crate::cases::fetch::files;
use std::time::Instant;

const HOSTS: usize = 3;

/// One of so many mailboxes has a new message in a round.
const WITH_MAIL: usize = 100;

/// What a round of so many may cost the database, in seconds of a processor.
const MAILBOXES: usize = 10_000;
const MOST: f64 = 5.0;

struct Many {
    crowd: Crowd,
    rounds: usize,
}

impl Many {
    fn new(mailboxes: usize) -> Many {
        let target = ["deliver: maildir:{shared}/mail/{queue}".to_owned()];
        let manner = Manner {
            mailboxes,
            hosts: HOSTS,
            state: "lease: 600s\n  every: 2h\n  key: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
            addresses: &target,
            ..Manner::default()
        };
        Many {
            crowd: Crowd::with(State::alone(), &manner),
            rounds: 0,
        }
    }

    /// Lets all hosts fetch what is due, which is all; gives what that cost the database, in seconds
    /// of a processor.
    fn round(&mut self) -> f64 {
        let crowd = &self.crowd;
        let due = "UPDATE lease SET claimed_at = NULL";
        crowd.database.sql(due);
        for number in (0..crowd.mailboxes).step_by(WITH_MAIL) {
            let text = format!("From: a@b.example\r\nSubject: {}\r\n\r\nx\r\n", self.rounds);
            crowd
                .m365
                .deliver(&address(number), "INBOX", text.as_bytes());
        }
        let server = crowd.database.server();
        let (visits, began, before) = (crowd.visits(), Instant::now(), server.processor());
        std::thread::scope(|scope| {
            for host in 0..HOSTS {
                scope.spawn(move || {
                    let ran = crowd.run(host, &["fetch", "--jobs", "8"]).starts().ends();
                    assert_eq!(ran.code, 0, "{ran}");
                    ran.says_nothing();
                });
            }
        });
        let cost = (server.processor() - before).as_secs_f64();
        self.rounds += 1;
        let visits = crowd.visits() - visits;
        println!(
            "campaign: {HOSTS} hosts, {} mailboxes, round {}: {visits} visits in {:.0} s, {cost:.2} s \
             of the database's processor",
            crowd.mailboxes,
            self.rounds,
            began.elapsed().as_secs_f64(),
        );
        assert_eq!(visits, crowd.mailboxes, "each is visited once");
        let visited =
            "SELECT count(*) FROM lease WHERE name LIKE 'fetch %' AND claimed_at IS NOT NULL";
        assert_eq!(crowd.database.sql(visited), crowd.mailboxes.to_string());
        for number in (0..crowd.mailboxes).step_by(WITH_MAIL) {
            let new = files(&crowd.shared(&format!("mail/q{number}/new"))).len();
            assert_eq!(new, self.rounds, "{}", address(number));
        }
        cost
    }
}

#[test]
fn a_round_of_many_mailboxes_costs_the_database_little() {
    let mailboxes = match whole() {
        true => (20 * longest().as_secs() as usize).clamp(1000, MAILBOXES),
        false => 200,
    };
    let mut many = Many::new(mailboxes);
    // All of them are new in the first round.
    many.round();
    let cost = many.round();
    // The time of a processor differs between machines: it is not for the sample to decide by it.
    if mailboxes == MAILBOXES {
        assert!(
            cost <= MOST,
            "{cost:.2} s of the database's processor, at most {MOST:.2}"
        );
    }
}

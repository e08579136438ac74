//! Mail that was kept to be sent: host A is killed, or cut off from the database, while it works on
//! the outbox, and host B goes on. What was kept leaves once, or nobody knows and it is said so; it
//! never leaves twice by itself.

use super::Campaign;
use crate::cases::hosts::{At, LONG, SHORT, State, name};
use crate::killed;
use crate::patience::until;
use crate::sending::{MESSAGE, office};
use crate::servers::proxy::Line;
use crate::standin::{SmtpAt, SmtpFault};
use crate::tokens::{Home, Ran};
use std::collections::HashMap;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Two hosts that send from one outbox.
struct Offices {
    home: Home,
    database: State,
    line: Line,
}

impl Offices {
    fn new() -> Offices {
        let home = office();
        let database = State::new();
        let port = database.server().port();
        let line = Line::to(port);
        let offices = Offices {
            home,
            database,
            line,
        };
        for at in [At::A, At::B] {
            offices.configure(at, LONG);
            std::fs::create_dir(offices.home.path(name(at))).unwrap();
        }
        offices
    }

    /// The leases that a host takes hold so long, in seconds.
    fn configure(&self, at: At, lease: u64) {
        let config = std::fs::read_to_string(self.home.path("config.yaml")).unwrap();
        let port = match at {
            At::A => self.line.port,
            At::B => self.database.server().port(),
        };
        let url = self.database.url(port);
        let state = format!("state:\n  postgres: {url}\n  lease: {lease}s\n");
        self.home
            .write(&format!("{}.yaml", name(at)), &(config + &state));
    }

    fn command(&self, at: At, args: &[&str], wrapper: Vec<String>) -> Command {
        let own = self.home.command(args);
        let program = own.get_program().to_str().unwrap().to_owned();
        let mut words = wrapper.into_iter().chain([program]);
        let mut command = Command::new(words.next().unwrap());
        command
            .args(words)
            .args(args)
            .env_clear()
            .envs(own.get_envs().filter_map(|(k, v)| Some((k, v?))))
            .env("HOME", self.home.path(name(at)))
            .env(
                "QUEUEMAIL_CONFIG",
                self.home.path(&format!("{}.yaml", name(at))),
            )
            .env("QUEUEMAIL_STATE_DIR", self.home.path(name(at)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn run(&self, at: At, args: &[&str]) -> Ran {
        Ran::from(self.command(at, args, Vec::new()).output().unwrap())
    }

    /// Keeps messages of these numbers, while the server takes nothing.
    fn keep(&self, numbers: std::ops::Range<usize>) {
        let faults = self.home.standin.faults();
        let away = SmtpFault::Reply("421 4.3.2 x".into());
        faults.smtp_next(99, SmtpAt::Connect, away);
        for n in numbers {
            let message = MESSAGE.replace("<1@contoso.com>", &id(n));
            let file = self.home.write("message", &message);
            let mut command = self.command(At::A, &["send", "-t", "--outbox"], Vec::new());
            let sent = command.stdin(std::fs::File::open(file).unwrap()).output();
            Ran::from(sent.unwrap()).succeeds();
        }
        faults.smtp_clear();
        self.later();
    }

    /// Lets every wait and backoff be over.
    fn later(&self) {
        self.database
            .sql("DELETE FROM wait; UPDATE outbox SET next_attempt = 0");
    }

    fn leases_end(&self) {
        self.database.sql(
            "UPDATE lease SET until = clock_timestamp() - interval '1 s'
             WHERE until > clock_timestamp();
             UPDATE outbox SET changed_at = changed_at - 1000 WHERE state = 'sending'",
        );
    }

    /// Host B sends what is left; then each message was accepted once, or it is unknown.
    fn is_good(&self, count: usize, story: &str) {
        for _ in 0..4 {
            self.leases_end();
            self.later();
            self.run(At::B, &["outbox", "flush"]);
            let waiting = "SELECT count(*) FROM outbox WHERE state <> 'unknown'";
            if self.database.sql(waiting) == "0" {
                break;
            }
        }
        let mut accepted: HashMap<String, usize> = HashMap::new();
        for sent in self.home.standin.submitted() {
            *accepted.entry(sent.message_id_used).or_default() += 1;
        }
        let left = self.database.sql("SELECT message_id, state FROM outbox");
        let left: HashMap<&str, &str> = left
            .lines()
            .filter_map(|line| line.split_once('|'))
            .collect();
        for n in 0..count {
            let times = accepted.get(&id(n)).copied().unwrap_or(0);
            let state = left.get(id(n).as_str()).copied();
            assert!(times <= 1, "{story}: message {n} was sent {times} times");
            assert!(
                times == 1 || state == Some("unknown"),
                "{story}: message {n} is lost: {state:?}"
            );
            assert!(
                matches!(state, None | Some("unknown")),
                "{story}: {state:?}"
            );
        }
    }
}

fn id(n: usize) -> String {
    format!("<{n}@contoso.com>")
}

#[test]
fn killed_while_it_works_on_the_outbox() {
    let mut campaign = Campaign::new("host killed while it sends, another goes on");
    let offices = Offices::new();
    offices.keep(0..3);
    let log = offices.home.path("strace.log");
    let flush = ["outbox", "flush"];
    let traced = offices
        .command(At::A, &flush, killed::tracing(&log))
        .output();
    Ran::from(traced.unwrap()).succeeds();
    let places = killed::calls(&log, |line| !line.starts_with("openat"));
    let mut count = 3;
    for (call, n) in campaign.some_of(&places, 4) {
        offices.keep(count..count + 3);
        count += 3;
        let killing = killed::killing(call, *n);
        let output = offices.command(At::A, &flush, killing).output().unwrap();
        if output.status.signal() == Some(9) || output.status.code() == Some(137) {
            campaign.fault();
        }
        let story = format!("killed at the {n}. {call}\n{:?}", Ran::from(output));
        offices.is_good(count, &story);
    }
    campaign.end(2);
}

#[test]
fn cut_off_while_it_works_on_the_outbox() {
    let mut campaign = Campaign::new("host cut off while it sends, another goes on");
    let offices = Offices::new();
    offices.keep(0..3);
    let before = offices.line.pieces();
    let flush = ["outbox", "flush"];
    offices.run(At::A, &flush).succeeds();
    let pieces = offices.line.pieces() - before;
    let places: Vec<(u64, bool)> = (1..=pieces).flat_map(|n| [(n, false), (n, true)]).collect();
    let mut count = 3;
    for (n, soon) in campaign.some_of(&places, 4) {
        offices.keep(count..count + 3);
        count += 3;
        let story = format!("cut off at piece {n}, back soon: {soon}");
        offices.configure(At::A, if *soon { LONG } else { SHORT });
        offices.line.freeze_at(*n);
        let mut child: Child = offices.command(At::A, &flush, Vec::new()).spawn().unwrap();
        until(&format!("{story}: it ends, or speaks"), || {
            offices.line.is_frozen() || child.try_wait().unwrap().is_some()
        });
        if child.try_wait().unwrap().is_none() {
            campaign.fault();
        }
        if *soon {
            std::thread::sleep(Duration::from_millis(300));
        } else {
            std::thread::sleep(Duration::from_millis(SHORT * 1000 + 300));
            offices.database.wait_for_leases();
            offices.run(At::B, &flush);
            offices.leases_end();
            offices.run(At::B, &flush);
        }
        offices.line.thaw();
        let ran = Ran::from(child.wait_with_output().unwrap());
        let story = format!("{story}\nhost A: {ran:?}");
        assert!(matches!(ran.code, 0 | 75 | 76), "{story}");
        offices.configure(At::A, LONG);
        offices.is_good(count, &story);
    }
    campaign.end(2);
}

/// Who died may have handed it over a moment ago, and the server may still be about to answer.
#[test]
fn what_was_in_flight_is_left_alone_and_unknown_after_that() {
    let offices = Offices::new();
    offices.keep(0..1);
    let flush = ["outbox", "flush"];
    let state = || offices.database.sql("SELECT state FROM outbox");
    offices.database.sql(
        "UPDATE outbox SET state = 'sending',
                changed_at = extract(epoch FROM clock_timestamp())::bigint",
    );
    for at in [At::B, At::A] {
        assert_eq!(offices.run(at, &flush).code, 0);
        assert_eq!(state(), "sending");
    }
    offices.leases_end();
    let ran = offices.run(At::B, &flush);
    assert_eq!((ran.code, state().as_str()), (76, "unknown"), "{ran:?}");
    assert!(offices.home.standin.submitted().is_empty());
    assert_eq!(
        offices
            .database
            .sql("SELECT count(*) FROM lease WHERE name LIKE 'outbox %'"),
        "0"
    );
    // A person decides, on whichever host.
    offices.run(At::B, &["outbox", "retry", "--all"]).succeeds();
    assert_eq!(offices.home.standin.submitted().len(), 1);
    assert_eq!(state(), "");
}

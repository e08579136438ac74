//! Several hosts divide the mailboxes among themselves: each is fetched by one host, the urgent ones
//! first, and no sooner again than the configuration says.

use super::State;
use crate::patience::{PATIENCE, until};
use crate::servers::proxy::Far;
use crate::standin::{App, Standin};
use crate::world::{Ran, Run, World};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Hosts with a state in one database and one configuration, whose mailboxes are alike.
pub struct Crowd {
    pub m365: Standin,
    pub database: State,
    pub hosts: Vec<World>,
    shared: TempDir,
    pub mailboxes: usize,
}

/// How a crowd is.
pub struct Manner<'m> {
    pub mailboxes: usize,
    pub hosts: usize,
    /// More keys of `state`, with `lease`.
    pub state: &'m str,
    /// What a command that takes mail does; `$1` is a folder of all hosts.
    pub take: &'m str,
    /// Those of these numbers are more urgent than the others.
    pub urgent: &'m [usize],
    /// More keys of the addresses, one a line, which take turns; `{shared}` is a folder of all hosts.
    /// Without any, mail is delivered by the command.
    pub addresses: &'m [String],
}

impl Default for Manner<'_> {
    fn default() -> Self {
        Manner {
            mailboxes: 12,
            hosts: 1,
            state: "lease: 60s",
            take: "cat >/dev/null",
            urgent: &[],
            addresses: &[],
        }
    }
}

pub fn address(number: usize) -> String {
    format!("m{number:04}@contoso.example")
}

impl Crowd {
    pub fn new(manner: &Manner<'_>) -> Crowd {
        Crowd::with(State::new(), manner)
    }

    pub fn with(database: State, manner: &Manner<'_>) -> Crowd {
        let m365 = Standin::start();
        m365.add_app(App {
            secret: Some("s3cret".into()),
            roles: vec!["IMAP.AccessAsApp"],
            ..App::default()
        });
        let client = App::default().client_id;
        let shared = TempDir::with_prefix("queuemail-shared-").unwrap();
        let script = shared.path().join("take.sh");
        std::fs::write(&script, manner.take).unwrap();
        let mut config = format!(
            "version: 1\nstate:\n  postgres: {}\n  {}\nincoming_servers:\n  - name: Contoso\n    \
             address: {}\n    authentication: oauth-service\n    client_id: {client}\n    \
             secret: s3cret\n    imap: {}\n    ca_file: {}\nqueues:\n",
            database.url(database.server().port()),
            manner.state,
            m365.authority(),
            m365.imap_url(),
            m365.ca_file().display(),
        );
        let folder = shared.path().display().to_string();
        let by_command = [format!(
            "deliver: 'command:/bin/sh {folder}/take.sh {folder}'"
        )];
        let keys = match manner.addresses {
            [] => &by_command[..],
            addresses => addresses,
        };
        for number in 0..manner.mailboxes {
            let address = address(number);
            m365.add_mailbox(&address);
            m365.grant(&client, &address);
            let priority = match manner.urgent.contains(&number) {
                true => 1,
                false => 100,
            };
            config += &format!(
                "  - name: q{number}\n    priority: {priority}\n    addresses:\n      - address: {address}\n        \
                 server: Contoso\n"
            );
            for line in keys[number % keys.len()].lines() {
                config += &format!("        {}\n", line.trim().replace("{shared}", &folder));
            }
        }
        Crowd {
            m365,
            database,
            hosts: (0..manner.hosts)
                .map(|_| World::with_config(&config))
                .collect(),
            shared,
            mailboxes: manner.mailboxes,
        }
    }

    /// A message for each mailbox.
    pub fn mail_comes(&self) {
        for number in 0..self.mailboxes {
            let text = b"From: a@b.example\r\nSubject: x\r\n\r\nx\r\n";
            self.m365.deliver(&address(number), "INBOX", text);
        }
    }

    /// Runs on a host, with its name where the test may give it one.
    pub fn run(&self, host: usize, args: &[&str]) -> Run {
        let named = ["unshare", "--uts", "--", "sh", "-c"].map(str::to_owned);
        let set = "hostname \"$0\" && exec \"$@\"".to_owned();
        let named = named.into_iter().chain([set, format!("host-{host}")]);
        let named = named.filter(|_| rustix::process::geteuid().is_root());
        self.hosts[host].run(args).under(named)
    }

    /// The mailboxes whose mail came, in the order in which it did.
    pub fn fetch(&self, host: usize, more: &[&str]) -> Vec<String> {
        came(&self.run(host, &["--json", "fetch"]).args(more).succeeds())
    }

    /// As if so much time had passed, in seconds.
    pub fn passes(&self, seconds: u32) {
        self.database.sql(&format!(
            "UPDATE lease SET claimed_at = claimed_at - interval '{seconds} s',
                    until = until - interval '{seconds} s'"
        ));
    }

    /// So many visits are on record.
    pub fn visits(&self) -> usize {
        let sum = "SELECT coalesce(sum(mailboxes), 0) FROM run";
        self.database.sql(sum).parse().unwrap()
    }

    pub fn shared(&self, below: &str) -> PathBuf {
        self.shared.path().join(below)
    }

    pub fn wait_for(&self, below: &str) {
        until(below, || self.shared(below).exists());
    }
}

/// The mailboxes of the messages that a run has told of.
fn came(ran: &Ran) -> Vec<String> {
    let lines = ran.stdout.lines();
    let objects = lines.map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let messages = objects.filter(|object| object["event"] == "message");
    messages
        .map(|object| object["address"].as_str().unwrap().to_owned())
        .collect()
}

fn all(numbers: impl IntoIterator<Item = usize>) -> BTreeSet<String> {
    numbers.into_iter().map(address).collect()
}

fn set(mailboxes: &[String]) -> BTreeSet<String> {
    mailboxes.iter().cloned().collect()
}

/// None is delivered before all may be.
const TOGETHER: &str = "cat >/dev/null
while [ -d \"$1\" ] && [ ! -e \"$1/go\" ]; do sleep 0.05; done
";

#[test]
fn three_hosts_at_once_fetch_each_mailbox_once() {
    let crowd = Crowd::new(&Manner {
        mailboxes: 36,
        hosts: 3,
        take: TOGETHER,
        // None is due again however long it takes.
        state: "lease: 600s\n  every: 600s",
        ..Manner::default()
    });
    let at_once = || -> Vec<Vec<String>> {
        std::thread::scope(|scope| {
            let runs: Vec<_> = (0..3)
                .map(|host| {
                    scope.spawn({
                        let crowd = &crowd;
                        move || crowd.fetch(host, &["--jobs", "2"])
                    })
                })
                .collect();
            runs.into_iter().map(|run| run.join().unwrap()).collect()
        })
    };
    crowd.mail_comes();
    let shares = std::thread::scope(|scope| {
        let shares = scope.spawn(at_once);
        // No host is so late that the others have done all.
        let holders = "SELECT count(DISTINCT holder) FROM lease
                       WHERE name LIKE 'fetch %' AND until > clock_timestamp()";
        until("all hosts are at work", || {
            crowd.database.sql(holders) == "3" || shares.is_finished()
        });
        std::fs::write(crowd.shared("go"), "").unwrap();
        shares.join().unwrap()
    });
    let counts: Vec<usize> = shares.iter().map(Vec::len).collect();
    assert_eq!(counts.iter().sum::<usize>(), 36, "{counts:?}");
    assert_eq!(set(&shares.concat()), all(0..36), "{counts:?}");
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
    assert_eq!(crowd.visits(), 36, "none was visited for nothing");
    // None is due again.
    crowd.mail_comes();
    assert_eq!(at_once().concat(), Vec::<String>::new());
    assert_eq!(crowd.visits(), 36);
    // One that is named is.
    assert_eq!(crowd.fetch(1, &["q7"]), [address(7)]);
    crowd.passes(601);
    let shares = at_once();
    assert_eq!(shares.concat().len(), 35, "{shares:?}");
    assert_eq!(
        crowd.visits(),
        36 + 36,
        "the named one is not counted, and is visited again"
    );
}

#[test]
fn the_urgent_ones_come_first_and_then_the_longest_unvisited() {
    let crowd = Crowd::new(&Manner {
        urgent: &[4, 9],
        state: "lease: 600s\n  every: 600s",
        ..Manner::default()
    });
    assert_eq!(crowd.fetch(0, &[]), Vec::<String>::new());
    let ages: Vec<usize> = (0..12).map(|n| 640 + 5 * ((n * 7) % 12)).collect();
    // In one transaction, which has one time.
    let aged = ages.iter().enumerate().map(|(number, age)| {
        format!(
            "UPDATE lease SET claimed_at = now() - interval '{age} s' WHERE name = 'fetch {}';",
            address(number)
        )
    });
    let aged = aged.collect::<String>();
    let mut expected: Vec<usize> = (0..12).collect();
    expected.sort_by_key(|n| (![4, 9].contains(n), std::cmp::Reverse(ages[*n])));
    let expected: Vec<String> = expected.into_iter().map(address).collect();
    // Where a machine is so slow that what was claimed is given back, it has another turn.
    let mut came = Vec::new();
    for _ in 0..5 {
        crowd.mail_comes();
        crowd.database.sql(&aged);
        came = crowd.fetch(0, &["--jobs", "1"]);
        if came == expected {
            break;
        }
    }
    assert_eq!(came, expected);
    // What was skipped is meant of each mailbox.
    crowd.mail_comes();
    assert_eq!(crowd.fetch(0, &[]), Vec::<String>::new());
    let came = crowd.fetch(0, &["--include-skipped"]);
    assert_eq!(set(&came), all(0..12));
}

/// The first that is delivered hangs.
const HANGS: &str = "cat >/dev/null
if mkdir \"$1/first\" 2>/dev/null; then
    while [ -d \"$1\" ] && [ ! -e \"$1/go\" ]; do sleep 0.05; done
fi
";

/// A host has claimed several, and hangs in the first of them: the others are not kept waiting.
#[test]
fn what_a_busy_host_cannot_begin_it_gives_back() {
    let crowd = Crowd::new(&Manner {
        hosts: 2,
        take: HANGS,
        // Longer than the test.
        state: "lease: 600s",
        ..Manner::default()
    });
    crowd.mail_comes();
    let busy = crowd.run(0, &["--json", "fetch", "--jobs", "1"]).starts();
    crowd.wait_for("first");
    let mut came_there = Vec::new();
    let end = Instant::now() + PATIENCE;
    while came_there.len() < 11 && Instant::now() < end {
        came_there.extend(crowd.fetch(1, &[]));
        std::thread::sleep(Duration::from_millis(200));
    }
    std::fs::write(crowd.shared("go"), "").unwrap();
    let came_here = came(&busy.ends());
    assert_eq!(came_here.len(), 1, "{came_here:?}, there {came_there:?}");
    assert_eq!(came_there.len(), 11, "{came_there:?}");
    assert_eq!(set(&[came_here, came_there].concat()), all(0..12));
}

/// Of what it gives back, the urgent ones still come before the others.
#[test]
fn what_is_given_back_keeps_its_place() {
    let crowd = Crowd::new(&Manner {
        take: HANGS,
        urgent: &[2, 5, 7, 11],
        state: "lease: 600s",
        ..Manner::default()
    });
    crowd.mail_comes();
    let busy = crowd.run(0, &["--json", "fetch", "--jobs", "1"]).starts();
    crowd.wait_for("first");
    let held = "SELECT count(*) FROM lease WHERE name LIKE 'fetch %' AND until > clock_timestamp()";
    until("the others are given back", || {
        crowd.database.sql(held) == "1"
    });
    std::fs::write(crowd.shared("go"), "").unwrap();
    let came = came(&busy.ends());
    assert_eq!(set(&came[..4]), all([2, 5, 7, 11]), "{came:?}");
    assert_eq!(set(&came), all(0..12));
}

#[test]
fn the_share_of_a_host_that_is_killed_is_taken_over() {
    let crowd = Crowd::new(&Manner {
        hosts: 2,
        take: HANGS,
        state: "lease: 60s\n  every: 0s",
        ..Manner::default()
    });
    crowd.mail_comes();
    let running = crowd.run(0, &["fetch", "--jobs", "1"]).starts();
    crowd.wait_for("first");
    running.signal("-KILL");
    running.ends();
    std::fs::write(crowd.shared("go"), "").unwrap();
    let before = crowd.fetch(1, &[]);
    assert!((1..12).contains(&before.len()), "{before:?}");
    // As soon as its leases are over; what it was handing over is waited for.
    crowd.passes(61);
    let after = crowd.fetch(1, &[]);
    assert_eq!(before.len() + after.len(), 11, "{before:?}, then {after:?}");
    assert_eq!(set(&[before, after].concat()).len(), 11);
}

/// A run that takes longer than `every` looks again, and ends in time.
#[test]
fn a_long_run_visits_mailboxes_again_within_its_budget() {
    let crowd = Crowd::new(&Manner {
        mailboxes: 3,
        state: "lease: 60s\n  every: 1s",
        take: "cat >/dev/null; sleep 0.5",
        ..Manner::default()
    });
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    // A slow machine needs longer for the first visits.
    for budget in [5, 20, 80] {
        times.clear();
        crowd.mail_comes();
        let began = Instant::now();
        let within = budget.to_string();
        let run = crowd.run(0, &["--json", "fetch", "--jobs", "1", "--budget", &within]);
        let running = run.starts();
        std::thread::sleep(Duration::from_secs(budget / 5));
        crowd.mail_comes();
        let ran = running.ends();
        assert_eq!(ran.code, 0, "{ran}");
        assert!(
            began.elapsed() < Duration::from_secs(budget + 60),
            "it ends"
        );
        for mailbox in came(&ran) {
            *times.entry(mailbox).or_default() += 1;
        }
        if times.values().any(|n| *n == 2) {
            break;
        }
    }
    assert!(times.values().any(|n| *n == 2), "{times:?}");
    let held = "SELECT count(*) FROM lease WHERE until > clock_timestamp()";
    assert_eq!(crowd.database.sql(held), "0", "nothing is held any more");
}

/// The first message of the first mailbox is put off; or it is each time, or refused at last.
fn put_off(manner: &str) -> String {
    format!(
        "cat >/dev/null
         if [ \"$QUEUEMAIL_QUEUE\" = q0 ]; then
             if mkdir \"$1/first\" 2>/dev/null; then exit 75; fi
             {manner}
         fi
         sleep 1"
    )
}

/// What a run could not deliver at first, and could at a later visit, is no failure of the run.
#[test]
fn what_is_mended_within_a_run_is_not_a_failure_of_it() {
    for (manner, code, says, counts, attempts) in [
        ("exit 0", 0, "", [3, 0, 0], "0"),
        (
            "exit 75",
            75,
            "1 message could not be fetched now",
            [2, 1, 0],
            "2",
        ),
        (
            "exit 65",
            65,
            "1 message moved to quarantine",
            [2, 0, 1],
            "2",
        ),
    ] {
        let crowd = Crowd::new(&Manner {
            mailboxes: 3,
            state: "lease: 60s\n  every: 1s",
            take: &put_off(manner),
            urgent: &[0],
            ..Manner::default()
        });
        crowd.mail_comes();
        let args = ["--json", "fetch", "--jobs", "1", "--budget", "20"];
        let mut running = crowd.run(0, &args).starts();
        while !running.is_over() {
            // As if the first pause were over.
            let due = "UPDATE message SET next_attempt = 0 WHERE state = 'failed' AND attempts = 1";
            crowd.database.sql(due);
            std::thread::sleep(Duration::from_millis(50));
        }
        let ran = running.ends();
        assert_eq!(ran.code, code, "{manner}: {ran}");
        let errors = ran.stderr.matches("\"event\":\"error\"").count();
        assert_eq!(errors, usize::from(code != 0), "{manner}: {ran}");
        let ran = ran.mentions(says);
        let last = ran.stdout.lines().last().unwrap();
        let summary: serde_json::Value = serde_json::from_str(last).unwrap();
        let told = ["fetched", "failed", "quarantined"].map(|name| summary[name].as_i64().unwrap());
        assert_eq!(told, counts, "{manner}: {ran}");
        let tried = crowd.database.sql("SELECT max(attempts) FROM message");
        assert_eq!(tried, attempts, "{manner}: {ran}");
    }
}

/// Between a host and the database is a line that counts.
#[test]
fn a_mailbox_without_mail_costs_few_round_trips() {
    let crowd = Crowd::new(&Manner {
        mailboxes: 64,
        state: "lease: 60s\n  key: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        ..Manner::default()
    });
    // It stays in its mailbox.
    crowd.mail_comes();
    let port = crowd.database.server().port();
    let line = Far::to(port, Duration::from_micros(500));
    let world = &crowd.hosts[0];
    let config = world.config();
    world.write_config(config.replace(&format!(":{port}/"), &format!(":{}/", line.port)));
    crowd.fetch(0, &[]);
    let trips = |mailboxes: usize| {
        crowd.passes(60);
        crowd.database.sql(&format!(
            "UPDATE lease SET claimed_at = clock_timestamp() WHERE name >= 'fetch {}'",
            address(mailboxes)
        ));
        let before = line.trips();
        crowd.run(0, &["fetch", "--jobs", "1"]).succeeds();
        (line.trips() - before) as f64
    };
    let (few, many) = (trips(16), trips(64));
    let each = (many - few) / 48.0;
    println!("{few} trips for 16 mailboxes, {many} for 64: {each:.2} for each");
    // One for a claim of eight. On a slow machine ends do not wait for the next claim, and a lease is
    // renewed in the meantime; two for each mailbox are promised.
    assert!(each <= 2.0, "{each} round trips for each mailbox");
    assert!(few <= 60.0, "{few} round trips for 16 mailboxes");
}

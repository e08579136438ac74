//! Three hosts share many mailboxes while mail comes in, and every few seconds something befalls one
//! of them or the database: no message is lost, and none comes twice but one that was being handed
//! over just then, under the same delivery id.

use super::super::State;
use super::super::sharing::{Crowd, Manner, address};
use crate::campaign::{longest, whole};
use crate::cases::fetch::files;
use crate::cases::fetch::mail_store::{self, MailStore};
use crate::servers::proxy::Line;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

const HOSTS: usize = 3;

/// Mailboxes that a host fetches at the same time.
const JOBS: usize = 4;

/// Where the mail of a mailbox goes to; they take turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Maildir,
    Eml,
    Command,
    Lmtp,
}

const KINDS: [Kind; 4] = [Kind::Maildir, Kind::Eml, Kind::Command, Kind::Lmtp];

/// A command that keeps what it takes.
const TAKE: &str = "mkdir -p \"$1/taken\" && cat > \"$1/taken/part.$$\" &&
mv \"$1/taken/part.$$\" \"$1/taken/$QUEUEMAIL_DELIVERY_ID.$$\"\n";

/// How bad the weather is.
struct Weather {
    mailboxes: usize,
    /// A lease holds so long.
    lease: Duration,
    /// A mailbox is due again after so long.
    every: Duration,
    /// Between two faults.
    pause: Duration,
    /// Between two messages.
    mail: Duration,
    lasts: Duration,
    /// A run is over after so long, in seconds.
    budget: u32,
}

impl Weather {
    fn new() -> Weather {
        let seconds = Duration::from_secs;
        match whole() {
            true => Weather {
                mailboxes: 200,
                lease: seconds(10),
                every: seconds(10),
                pause: seconds(5),
                mail: Duration::from_millis(200),
                lasts: longest(),
                budget: 60,
            },
            false => Weather {
                mailboxes: 16,
                lease: seconds(3),
                every: seconds(1),
                pause: Duration::from_millis(800),
                mail: Duration::from_millis(40),
                lasts: seconds(6),
                budget: 2,
            },
        }
    }
}

/// What befalls a host or all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    Killed,
    /// Stopped for a moment, and for longer than a lease holds.
    Frozen,
    FrozenLong,
    /// Nothing passes between it and the database, for a moment or longer than a lease holds.
    CutOff,
    CutOffLong,
    /// Its connections to the database break, and no new one is made for a while.
    Refused,
    /// The database ends as in a power cut, and starts again.
    Database,
}

const FAULTS: [Fault; 7] = [
    Fault::Killed,
    Fault::Frozen,
    Fault::FrozenLong,
    Fault::CutOff,
    Fault::CutOffLong,
    Fault::Refused,
    Fault::Database,
];

/// A small generator of numbers (xorshift): no fault of two storms comes at the same place.
struct Dice(u64);

impl Dice {
    fn new() -> Dice {
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
        Dice(now.as_nanos() as u64 | 1)
    }

    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

/// A host of the storm.
struct Host {
    line: Line,
    /// The process of its present run.
    pid: Mutex<Option<u32>>,
    /// Something befalls it just now.
    suffers: AtomicBool,
}

impl Host {
    /// Sends its run a signal, if there is one.
    fn signal(&self, signal: &str) -> bool {
        let pid = *self.pid.lock().unwrap();
        pid.is_some_and(|pid| {
            let kill = Command::new("kill")
                .args([signal, &pid.to_string()])
                .stderr(Stdio::null())
                .status();
            kill.is_ok_and(|status| status.success())
        })
    }
}

/// Counts by name, for people.
struct Counts<K>(BTreeMap<K, usize>);

impl<K> Default for Counts<K> {
    fn default() -> Self {
        Counts(BTreeMap::new())
    }
}

impl<K: Ord> Counts<K> {
    fn add(&mut self, key: K) {
        *self.0.entry(key).or_default() += 1;
    }

    fn all(&self) -> usize {
        self.0.values().sum()
    }
}

impl<K: fmt::Debug> Display for Counts<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each: Vec<String> = self.0.iter().map(|(k, n)| format!("{n} {k:?}")).collect();
        f.write_str(&each.join(", "))
    }
}

/// Ends what others do when it is dropped, also in a panic.
struct Ending<'o>(&'o AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

struct Storm {
    weather: Weather,
    crowd: Crowd,
    store: MailStore,
    hosts: Vec<Host>,
    over: AtomicBool,
    /// The mailbox of each message.
    sent: Mutex<Vec<usize>>,
    faults: Mutex<Counts<Fault>>,
    /// How the runs ended.
    codes: Mutex<Counts<i32>>,
    /// What they said, without numbers.
    said: Mutex<Counts<String>>,
    /// What a run said that ended as none may.
    wrong: Mutex<Option<String>>,
}

impl Storm {
    fn new(weather: Weather) -> Storm {
        let store = MailStore::start(mail_store::Manner::default());
        let targets = KINDS.map(|kind| {
            let target = match kind {
                Kind::Maildir => "deliver: maildir:{shared}/maildir/{queue}".to_owned(),
                Kind::Eml => "deliver: eml:{shared}/eml/{queue}".to_owned(),
                Kind::Command => {
                    "deliver: 'command:/bin/sh {shared}/take.sh {shared}'\nstamp: true".to_owned()
                }
                Kind::Lmtp => format!("{}\nstamp: true", store.target()),
            };
            format!("{target}\nafter_fetch: seen")
        });
        let state = format!(
            "lease: {}s\n  every: {}s",
            weather.lease.as_secs(),
            weather.every.as_secs()
        );
        let manner = Manner {
            mailboxes: weather.mailboxes,
            hosts: HOSTS,
            state: &state,
            take: TAKE,
            addresses: &targets,
            ..Manner::default()
        };
        let crowd = Crowd::with(State::alone(), &manner);
        let port = crowd.database.server().port();
        let hosts = crowd.hosts.iter().map(|world| {
            let line = Line::to(port);
            let config = world.config();
            world.write_config(config.replace(&format!(":{port}/"), &format!(":{}/", line.port)));
            Host {
                line,
                pid: Mutex::new(None),
                suffers: AtomicBool::new(false),
            }
        });
        let hosts = hosts.collect();
        Storm {
            weather,
            crowd,
            store,
            hosts,
            over: AtomicBool::new(false),
            sent: Mutex::default(),
            faults: Mutex::default(),
            codes: Mutex::default(),
            said: Mutex::default(),
            wrong: Mutex::default(),
        }
    }

    fn is_over(&self) -> bool {
        self.over.load(SeqCst)
    }

    /// As a timer does it: a run after the other.
    fn work(&self, host: usize) {
        while !self.is_over() {
            let (jobs, budget) = (JOBS.to_string(), self.weather.budget.to_string());
            let args = ["fetch", "--jobs", &jobs, "--budget", &budget];
            let running = self.crowd.run(host, &args).starts();
            let own = &self.hosts[host];
            *own.pid.lock().unwrap() = Some(running.pid());
            let ran = running.ends();
            *own.pid.lock().unwrap() = None;
            self.codes.lock().unwrap().add(ran.code);
            let errors = ran.stderr.lines().filter(|line| !line.starts_with(' '));
            for error in errors.map(|line| line.replace(|c: char| c.is_ascii_digit(), "")) {
                self.said.lock().unwrap().add(error);
            }
            if !matches!(ran.code, 0 | 75 | -10) {
                *self.wrong.lock().unwrap() = Some(ran.to_string());
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn mail_comes(&self) {
        let mut dice = Dice::new();
        while !self.is_over() {
            let mailbox = dice.below(self.crowd.mailboxes);
            let mut sent = self.sent.lock().unwrap();
            let text = message(sent.len());
            self.crowd.m365.deliver(&address(mailbox), "INBOX", &text);
            sent.push(mailbox);
            drop(sent);
            std::thread::sleep(self.weather.mail);
        }
    }

    /// A fault after the other, and several at the same time where one lasts long.
    fn rages(&self) {
        let _ending = Ending(&self.over);
        let mut dice = Dice::new();
        let end = Instant::now() + self.weather.lasts;
        std::thread::scope(|scope| {
            while Instant::now() < end {
                std::thread::sleep(self.weather.pause);
                let fault = FAULTS[dice.below(FAULTS.len())];
                let first = dice.below(HOSTS);
                // Within a pause, so that it falls anywhere.
                std::thread::sleep(self.weather.pause * dice.below(100) as u32 / 1000);
                if fault == Fault::Database {
                    self.database_restarts();
                    continue;
                }
                let of_all = (0..HOSTS).map(|n| &self.hosts[(first + n) % HOSTS]);
                let mut well = of_all.filter(|host| !host.suffers.swap(true, SeqCst));
                let Some(host) = well.next() else {
                    continue;
                };
                scope.spawn(move || {
                    if self.befalls(host, fault) {
                        self.faults.lock().unwrap().add(fault);
                    }
                    host.suffers.store(false, SeqCst);
                });
            }
        });
    }

    fn database_restarts(&self) {
        let server = self.crowd.database.server();
        server.stop();
        std::thread::sleep(Duration::from_millis(300));
        server.launch();
        self.faults.lock().unwrap().add(Fault::Database);
    }

    /// True where the fault took place.
    fn befalls(&self, host: &Host, fault: Fault) -> bool {
        let lease = self.weather.lease;
        let time = match fault {
            Fault::FrozenLong | Fault::CutOffLong => lease * 14 / 10,
            _ => lease / 5,
        };
        match fault {
            Fault::Killed => return host.signal("-KILL"),
            Fault::Frozen | Fault::FrozenLong => {
                let took_place = host.signal("-STOP");
                std::thread::sleep(time);
                host.signal("-CONT");
                return took_place;
            }
            Fault::CutOff | Fault::CutOffLong => {
                host.line.freeze();
                std::thread::sleep(time);
                host.line.thaw();
            }
            Fault::Refused => {
                host.line.cut();
                std::thread::sleep(time);
                host.line.mend();
            }
            Fault::Database => {}
        }
        true
    }

    /// It is calm: what is left is done, by whichever host.
    fn calms_down(&self) {
        // What a killed run handed over last may still be at work.
        std::thread::sleep(Duration::from_secs(1));
        let open = "SELECT count(*) FROM message WHERE state <> 'delivered'";
        let mut said = String::new();
        for n in 0..20 {
            self.crowd.database.sql(
                "UPDATE message SET changed_at = changed_at - 1000 WHERE state = 'staged';
                 UPDATE message SET next_attempt = 0 WHERE state = 'failed';
                 UPDATE lease SET until = '-infinity', claimed_at = NULL",
            );
            let ran = self.crowd.run(n % HOSTS, &["fetch"]).ends();
            let is_done = ran.code == 0 && self.crowd.database.sql(open) == "0";
            if is_done && self.unseen() == 0 {
                return;
            }
            said = ran.to_string();
        }
        let left = self.crowd.database.sql(
            "SELECT folder, remote, state, attempts, reason FROM message WHERE state <> 'delivered'",
        );
        panic!("it does not come to an end:\n{left}\n{said}");
    }

    /// Messages of which the server was not told.
    fn unseen(&self) -> usize {
        let all = (0..self.crowd.mailboxes).map(|n| {
            let all = self.crowd.m365.messages(&address(n), "INBOX");
            let is_seen = |flags: &[String]| flags.iter().any(|flag| flag == "\\Seen");
            all.iter().filter(|m| !is_seen(&m.flags)).count()
        });
        all.sum()
    }

    /// What came of each kind.
    fn came(&self, kind: Kind) -> Vec<Vec<u8>> {
        let below = |folder: &str, last: &str| -> Vec<Vec<u8>> {
            let mailboxes = 0..self.crowd.mailboxes;
            let folders =
                mailboxes.map(|n| self.crowd.shared(&format!("{folder}/q{n}")).join(last));
            let all = folders.flat_map(|folder| files(&folder));
            all.filter(|(name, _)| kind != Kind::Eml || name.ends_with(".eml"))
                .map(|(_, bytes)| bytes)
                .collect()
        };
        match kind {
            Kind::Maildir => below("maildir", "new"),
            Kind::Eml => below("eml", ""),
            Kind::Lmtp => self.store.taken(),
            Kind::Command => taken(&self.crowd.shared("taken")),
        }
    }

    /// Nothing is lost and nothing came twice; says what took place.
    fn is_good(&self) {
        let sent = self.sent.lock().unwrap().clone();
        let (mut lost, mut twice) = (Vec::new(), Counts::default());
        for (place, kind) in KINDS.into_iter().enumerate() {
            let mut copies: BTreeMap<usize, Vec<Option<String>>> = BTreeMap::new();
            for came in self.came(kind) {
                let (number, id) = read(&came);
                copies.entry(number).or_default().push(id);
            }
            for (number, mailbox) in sent.iter().enumerate() {
                if mailbox % KINDS.len() != place {
                    continue;
                }
                let own = copies.remove(&number).unwrap_or_default();
                if own.is_empty() {
                    lost.push((kind, number, address(*mailbox)));
                }
                (1..own.len()).for_each(|_| twice.add(kind));
                let ids: BTreeSet<_> = own.iter().collect();
                assert!(ids.len() <= 1, "message {number} has several ids: {ids:?}");
            }
            let strange: Vec<_> = copies.keys().collect();
            assert!(
                strange.is_empty(),
                "{kind:?} took others' mail: {strange:?}"
            );
        }
        let (faults, codes) = (self.faults.lock().unwrap(), self.codes.lock().unwrap());
        println!(
            "campaign: {HOSTS} hosts, {} mailboxes, {} s: {} messages, {} faults ({faults}), \
             {} lost, {} twice ({twice}); {} runs by exit code ({codes})",
            self.crowd.mailboxes,
            self.weather.lasts.as_secs(),
            sent.len(),
            faults.all(),
            lost.len(),
            twice.all(),
            codes.all(),
        );
        for (text, n) in &self.said.lock().unwrap().0 {
            println!("    {n} times: {text}");
        }
        assert!(lost.is_empty(), "lost: {lost:?}");
        let seen = |kind: &Kind| matches!(kind, Kind::Maildir | Kind::Eml);
        assert!(!twice.0.keys().any(seen), "twice: {twice}");
        // One of each mailbox that was being fetched.
        let in_flight = |(fault, n): (&Fault, &usize)| match fault {
            Fault::Database => n * JOBS * HOSTS,
            _ => n * JOBS,
        };
        let most: usize = faults.0.iter().map(in_flight).sum();
        assert!(twice.all() <= most, "twice: {twice}, at most {most}");
        assert!(faults.all() > 1, "there was no storm");
        let wrong = self.wrong.lock().unwrap();
        assert!(wrong.is_none(), "{}", wrong.as_deref().unwrap_or_default());
    }
}

/// What the command took.
fn taken(folder: &Path) -> Vec<Vec<u8>> {
    let all = files(folder).into_iter();
    let whole = all.filter(|(name, _)| !name.starts_with("part."));
    whole.map(|(_, bytes)| bytes).collect()
}

fn message(number: usize) -> Vec<u8> {
    format!(
        "From: customer@customer.example\r\nSubject: Case {number}\r\n\
         Message-ID: <{number}@customer.example>\r\n\r\n{}",
        "A line of the text.\r\n".repeat(1 + number % 50)
    )
    .into_bytes()
}

/// The number of a message, which must be whole, and the delivery id that it is stamped with.
fn read(came: &[u8]) -> (usize, Option<String>) {
    let text = String::from_utf8(came.to_vec()).unwrap();
    let stamp = "X-Queuemail-";
    let own: String = text
        .split_inclusive("\r\n")
        .filter(|line| !line.starts_with(stamp))
        .collect();
    let field = |name: &str| {
        let mut lines = text.lines();
        lines.find_map(|line| Some(line.strip_prefix(name)?.to_owned()))
    };
    let number: usize = field("Subject: Case ").unwrap().parse().unwrap();
    assert_eq!(
        own.as_bytes(),
        message(number),
        "message {number} is spoilt"
    );
    (number, field(&format!("{stamp}Delivery-ID: ")))
}

#[test]
fn three_hosts_in_a_storm_lose_nothing() {
    let storm = Storm::new(Weather::new());
    std::thread::scope(|scope| {
        for host in 0..HOSTS {
            let storm = &storm;
            scope.spawn(move || storm.work(host));
        }
        scope.spawn(|| storm.mail_comes());
        storm.rages();
    });
    storm.calms_down();
    storm.is_good();
}

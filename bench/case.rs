//! The cases: what is done, by whom, how often.

use crate::graph;
use crate::mail::odd;
use crate::measure::{self, Run};
use crate::office::{A, A300, B, B50, Corpus, HUGE, ODD, Office, SENDER};
use crate::peers::{After, FETCHERS, Fetcher, Ports, SENDERS};
use crate::relay;
use crate::servers::proxy::{self, Cut};
use crate::table::{Row, print};
use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

pub const NAMES: &[&str] = &[
    "fetch-a",
    "fetch-b",
    "idle-a",
    "settle-a",
    "fetch-odd",
    "memory",
    "token",
    "send",
    "relay",
    "fetch-a-40ms",
    "fetch-b-40ms",
    "chatty-40ms",
    "settle-a-40ms",
    "idle-a-40ms",
    "fleet-40ms",
    "send-40ms",
    "graph-40ms",
    "graph-memory",
];

/// A run that took longer than this is not repeated.
const SLOW: f64 = 20.0;

pub fn run(name: &str, office: &Office) {
    let near = ports(office, Duration::ZERO);
    let far = || ports(office, Duration::from_millis(20));
    match name {
        "fetch-a" => fetch(office, "fetch 10,000 messages of 4 KiB", A, near),
        "fetch-b" => fetch(office, "fetch 300 messages of 1 MiB", B, near),
        "fetch-odd" => fetch(office, "fetch 2,000 odd messages", ODD, near),
        "memory" => fetch(office, "fetch one message of 150 MiB", HUGE, near),
        "fetch-a-40ms" => fetch(
            office,
            "fetch 10,000 messages of 4 KiB, round trip 40 ms",
            A,
            far(),
        ),
        "fetch-b-40ms" => fetch(
            office,
            "fetch 50 messages of 1 MiB, round trip 40 ms",
            B50,
            far(),
        ),
        "idle-a" => idle(office, "nothing new among 10,000 messages", A, near),
        "chatty-40ms" => chatty(office, far()),
        "settle-a" => settle(office, "fetch 10,000 of 4 KiB, and then", A, near),
        "settle-a-40ms" => settle(
            office,
            "fetch 10,000 of 4 KiB, round trip 40 ms, and then",
            A,
            far(),
        ),
        "fleet-40ms" => fleet(office, 1000, far()),
        "idle-a-40ms" => idle(
            office,
            "nothing new among 10,000, round trip 40 ms",
            A,
            far(),
        ),
        "send" => send(office, "send 200 messages of 4 KiB", 200, near),
        "relay" => relay::keep(office, &office.servers),
        "send-40ms" => send(
            office,
            "send 50 messages of 4 KiB, round trip 40 ms",
            50,
            far(),
        ),
        "token" => token(office, near),
        "graph-40ms" => graph::fetch(
            office,
            "fetch 1,000 messages of 20 kB by Graph, round trip 40 ms",
            1000,
            20_000,
        ),
        "graph-memory" => graph::fetch(
            office,
            "fetch one message of 150 MiB by Graph",
            1,
            150 << 20,
        ),
        _ => unreachable!("checked by main"),
    }
}

fn ports(office: &Office, delay: Duration) -> Ports {
    let servers = &office.servers;
    let via = |port| match delay {
        Duration::ZERO => port,
        _ => proxy::start(port, delay, Cut::Never),
    };
    Ports {
        imaps: via(servers.imaps_port()),
        pop3s: via(servers.pop3s_port()),
        submission: via(servers.submission_port()),
    }
}

/// How often a program runs: `RUNS`, else three times.
fn runs() -> usize {
    let wish = std::env::var("RUNS")
        .ok()
        .and_then(|text| text.parse().ok());
    wish.unwrap_or(3).clamp(1, 50)
}

/// Measures every program in turn, again and again, so that what else the machine does meets all
/// of them; a slow one not again.
pub fn rounds<P: Copy>(
    programs: &[P],
    name: impl Fn(P) -> String,
    mut once: impl FnMut(P) -> Run,
) -> Vec<Row> {
    let row = |program: &P| Row {
        name: name(*program),
        runs: Vec::new(),
    };
    let mut rows: Vec<Row> = programs.iter().map(row).collect();
    for _ in 0..runs() {
        for (program, row) in programs.iter().zip(&mut rows) {
            if row.runs.first().is_none_or(|run| run.wall < SLOW) {
                row.runs.push(once(*program));
            }
        }
    }
    rows
}

/// Everyone fetches the whole mailbox anew.
fn fetch(office: &Office, title: &str, corpus: Corpus, ports: Ports) {
    let mailbox = office.mailbox(corpus);
    let sent = Sent::of(office, &mailbox);
    let far = ports.imaps != office.servers.imaps_port();
    let mut programs = FETCHERS.to_vec();
    if far {
        // A round trip and more for each message: half an hour for those who have the time.
        let has_time = measure::limit() >= Duration::from_secs(1800);
        programs.retain(|program| !program.is_chatty() || corpus.count < 1000 || has_time);
    }
    let rows = rounds(&programs, Fetcher::name, |program| {
        fetch_once(office, program, &mailbox, &sent, ports)
    });
    print(title, "mbsync", &rows);
}

fn fetch_once(office: &Office, program: Fetcher, mailbox: &str, sent: &Sent, ports: Ports) -> Run {
    let home = office.home();
    let command = program.set_up(office, &home, mailbox, ports);
    let mut run = measure::run(&command, &home);
    if program != Fetcher::Floor("read") {
        run.stored = Some(sent.compare(&home.join("Mail")));
    }
    run
}

/// Those that ask for one message at a time, on a slow line: a few hundred messages tell what one
/// of them costs. The bench fetches as many, and ten thousand, in the same run.
fn chatty(office: &Office, ports: Ports) {
    let few = (office.mailbox(A300), A300);
    let many = (office.mailbox(A), A);
    let few_sent = Sent::of(office, &few.0);
    let many_sent = Sent::of(office, &many.0);
    let programs = [
        (Fetcher::Queuemail, &many, &many_sent),
        (Fetcher::Queuemail, &few, &few_sent),
        (Fetcher::Mbsync { fsync: true }, &few, &few_sent),
        (Fetcher::Fetchmail, &few, &few_sent),
        (Fetcher::Getmail, &few, &few_sent),
    ];
    let rows = rounds(
        &programs,
        |(program, (_, corpus), _)| format!("{}, {} messages", program.name(), corpus.count),
        |(program, (mailbox, _), sent)| fetch_once(office, program, mailbox, sent, ports),
    );
    let base = "mbsync, 300 messages";
    print(
        "messages of 4 KiB, round trip 40 ms, by the message",
        base,
        &rows,
    );
}

/// What it costs to tell the server: each run has a mailbox of its own, which it changes.
fn settle(office: &Office, title: &str, corpus: Corpus, ports: Ports) {
    let sent = Sent::from((0..corpus.count).map(|seed| corpus.message(seed)));
    let far = ports.imaps != office.servers.imaps_port();
    let ours = [After::Keep, After::Seen, After::Delete, After::Move];
    let mut programs: Vec<_> = ours.map(|after| (Fetcher::Queuemail, after)).to_vec();
    programs.extend([After::Keep, After::Delete].map(|after| (Fetcher::Mpop, after)));
    if !far {
        programs.push((Fetcher::Fetchmail, After::Delete));
        programs.push((Fetcher::Getmail, After::Delete));
    }
    // Both cases may be measured in one go.
    let mut number = if far { 1000 } else { 0 };
    let rows = rounds(
        &programs,
        |(program, after)| format!("{}, {}", program.name(), after.name()),
        |(program, after)| {
            number += 1;
            let mailbox = office.fresh_mailbox(corpus, number);
            let home = office.home();
            let command = program.set_up_for(after, office, &home, &mailbox, ports);
            let mut run = measure::run(&command, &home);
            run.stored = Some(sent.compare(&home.join("Mail")));
            let left = u64::from(office.servers.client(&mailbox).select("INBOX").exists);
            let expected = match after {
                After::Keep | After::Seen => corpus.count,
                After::Delete | After::Move => 0,
            };
            if left != expected {
                eprintln!("{}, {}: {left} are left", program.name(), after.name());
            }
            run
        },
    );
    print(title, "**queuemail**, keep", &rows);
}

/// Everyone has fetched all, and looks again, in turn.
fn idle(office: &Office, title: &str, corpus: Corpus, ports: Ports) {
    let mailbox = office.mailbox(corpus);
    // Neither floor nor the slowest: fetchmail relies on \Seen, getmail takes minutes to begin.
    let looks = |fetcher: &Fetcher| !matches!(fetcher, Fetcher::Floor(_)) && !fetcher.is_chatty();
    let fetchers: Vec<Fetcher> = FETCHERS.into_iter().filter(looks).collect();
    let commands: Vec<_> = fetchers
        .iter()
        .enumerate()
        .map(|(place, fetcher)| {
            let home = office.home_named(&format!("home-{place}"));
            let command = fetcher.set_up(office, &home, &mailbox, ports);
            measure::run(&command, &home);
            (command, home)
        })
        .collect();
    let places: Vec<usize> = (0..fetchers.len()).collect();
    // These are short: three times as many.
    let mut rows = Vec::new();
    for _ in 0..3 {
        let more = rounds(
            &places,
            |place| fetchers[place].name(),
            |place| measure::run(&commands[place].0, &commands[place].1),
        );
        if rows.is_empty() {
            rows = more;
        } else {
            for (row, more) in rows.iter_mut().zip(more) {
                row.runs.extend(more.runs);
            }
        }
    }
    print(title, "mbsync", &rows);
}

/// A cron minute of a thousand addresses with nothing new, 64 at a time.
fn fleet(office: &Office, count: u32, ports: Ports) {
    let home = office.home();
    office.provision(&home, "fleet-0@contoso.com", ports.imaps, ports.submission);
    let config = home.join("config.yaml");
    let mut text = fs::read_to_string(&config).unwrap();
    for n in 1..count {
        text.push_str(&format!(
            "  - name: q{n}\n    addresses:\n      - address: fleet-{n}@contoso.com\n        server: Contoso\n        deliver: maildir:{}\n",
            home.join("Mail").display()
        ));
    }
    fs::write(&config, text).unwrap();
    let mut command = office.queuemail(&home);
    command.extend(["fetch", "--jobs", "64"].map(str::to_owned));
    // The first run makes the mailboxes.
    measure::run(&command, &home);
    let runs = (0..runs()).map(|_| measure::run(&command, &home)).collect();
    let name = "**queuemail**, --jobs 64".to_owned();
    let rows = [Row { name, runs }];
    let title = format!("nothing new at {count} addresses, 40 ms round trip");
    print(&title, "**queuemail**, --jobs 64", &rows);
}

fn send(office: &Office, title: &str, count: u64, ports: Ports) {
    let messages = || (0..count).map(|seed| odd::sized(seed, 4 << 10));
    let sent = Sent::from(messages());
    let mut number = 0;
    let rows = rounds(
        &SENDERS,
        |program| program.name().into(),
        |program| {
            number += 1;
            let recipient = format!("bench-{count}-{number}@example.com");
            let home = office.home();
            fs::create_dir(home.join("out")).unwrap();
            for (place, message) in messages().enumerate() {
                fs::write(home.join(format!("out/{place:04}.eml")), message).unwrap();
            }
            let command = program.set_up(office, &home, &recipient, ports);
            let mut run = measure::run(&command, &home);
            if run.exit == 0 {
                // Also waits until Postfix is done, and idle for the next one.
                let came = office.servers.read_sent(&recipient, count as usize);
                run.stored = Some(sent.count(came.iter().map(|message| &message.bytes)));
            }
            run
        },
    );
    print(title, "msmtp, a run each", &rows);
}

/// What a mail program waits for before each sign-in.
fn token(office: &Office, ports: Ports) {
    const TIMES: usize = 200;
    let home = office.home();
    office.provision(&home, SENDER, ports.imaps, ports.submission);
    let queuemail = [
        office.queuemail(&home),
        ["token", "get", "bench"].map(String::from).to_vec(),
    ];
    // What mutt_oauth2.py, the helper that most people have, does with a fresh token: its imports,
    // its command line, its file (not the decryption by GnuPG that it adds).
    let helper = "import sys, json, argparse, urllib.parse, urllib.request, imaplib, poplib, smtplib\n\
                  import base64, secrets, hashlib, time, socket, http.server, subprocess, readline\n\
                  from datetime import timedelta, datetime\nfrom pathlib import Path\n\
                  ap = argparse.ArgumentParser()\nap.add_argument('tokenfile')\nargs = ap.parse_args()\n\
                  token = json.loads(Path(args.tokenfile).read_bytes())\n\
                  assert datetime.now() < datetime.fromisoformat(token['expiration'])\n\
                  print(token['access_token'])\n";
    fs::write(home.join("helper.py"), helper).unwrap();
    fs::write(
        home.join("token.json"),
        format!(
            "{{\"access_token\": \"{}\", \"expiration\": \"2999-01-01T00:00:00\"}}",
            "x".repeat(1500)
        ),
    )
    .unwrap();
    let python = |program: &[&str]| {
        // The system's own: a version manager's starts later.
        let mut command = vec!["/usr/bin/python3".to_owned()];
        command.extend(program.iter().map(|word| word.to_string()));
        command
    };
    let bare = "import json; print(json.load(open('token.json'))['access_token'])";
    let programs = [
        (
            "**queuemail** token get, from the cache",
            queuemail.concat(),
        ),
        (
            "python helper as mutt_oauth2.py",
            python(&["helper.py", "token.json"]),
        ),
        ("python that reads JSON (floor)", python(&["-c", bare])),
        ("a process that does nothing", vec!["/bin/true".into()]),
    ];
    let mut rows: Vec<Row> = programs
        .iter()
        .map(|(name, _)| Row {
            name: (*name).into(),
            runs: Vec::new(),
        })
        .collect();
    // In turn, so that what else the machine does meets all of them.
    for _ in 0..TIMES {
        for (row, (_, command)) in rows.iter_mut().zip(&programs) {
            row.runs.push(measure::alone(command, &home));
        }
    }
    print(
        "a token for another program",
        "python helper as mutt_oauth2.py",
        &rows,
    );
}

/// What was sent, to compare what was stored with: line ends and trace fields do not count.
pub struct Sent {
    digests: HashMap<u64, usize>,
}

impl Sent {
    fn of(office: &Office, mailbox: &str) -> Sent {
        let mut client = office.servers.client(mailbox);
        client.select("INBOX");
        let mut digests = HashMap::new();
        client.read_each(|message| *digests.entry(digest(&message.bytes)).or_default() += 1);
        Sent { digests }
    }

    pub fn from(messages: impl Iterator<Item = Vec<u8>>) -> Sent {
        let mut digests = HashMap::new();
        for message in messages {
            *digests.entry(digest(&message)).or_default() += 1;
        }
        Sent { digests }
    }

    pub fn compare(&self, maildir: &Path) -> (usize, usize) {
        let files = ["new", "cur"].into_iter().flat_map(|place| {
            let entries = fs::read_dir(maildir.join(place));
            entries.into_iter().flatten().flatten()
        });
        self.count(files.map(|file| fs::read(file.path()).unwrap_or_default()))
    }

    /// How many there are, and how many of those were sent; a second copy counts as altered.
    fn count<M: AsRef<[u8]>>(&self, messages: impl Iterator<Item = M>) -> (usize, usize) {
        let mut left = self.digests.clone();
        let (mut all, mut same) = (0, 0);
        for message in messages {
            all += 1;
            if let Some(count @ 1..) = left.get_mut(&digest(message.as_ref())) {
                *count -= 1;
                same += 1;
            }
        }
        (all, same)
    }
}

/// A number for a message, with LF for CRLF and without the fields that programs on its way add.
fn digest(message: &[u8]) -> u64 {
    use std::hash::{DefaultHasher, Hasher};
    const ADDED: [&[u8]; 6] = [
        b"Return-Path:",
        b"Delivered-To:",
        b"Received:",
        b"Envelope-To:",
        b"X-TUID:",
        b"X-getmail-",
    ];
    let mut hasher = DefaultHasher::new();
    let mut in_header = true;
    let mut is_added = false;
    for line in message.split_inclusive(|octet| *octet == b'\n') {
        let line = line.strip_suffix(b"\n").map_or(line, |start| {
            // A line's end is LF in the sum, however it was written.
            start.strip_suffix(b"\r").unwrap_or(start)
        });
        in_header &= !line.is_empty();
        if in_header {
            let continues = line.starts_with(b" ") || line.starts_with(b"\t");
            is_added = match continues {
                true => is_added,
                false => ADDED.iter().any(|name| line.starts_with(name)),
            };
            if is_added {
                continue;
            }
        }
        hasher.write(line);
        hasher.write(b"\n");
    }
    hasher.finish()
}

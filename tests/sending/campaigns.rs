//! Killed at every step: after SIGKILL at each system call that changes something, each message
//! is accepted, refused, or unknown; what was promised is there; nothing is sent twice that is
//! not unknown. `QUEUEMAIL_SOAK` takes every call, not some of them.

use super::{MESSAGE, later, office, outbox};
use crate::campaign::{self, Campaign};
use crate::standin::{SmtpAt, SmtpFault};
use crate::tokens::Home;
use std::collections::HashMap;
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Output};

/// What changes files, the database, or what the server sees.
const CALLS: &str =
    "write,pwrite64,fsync,fdatasync,ftruncate,unlink,unlinkat,rename,openat,flock,sendto,fcntl";

/// A call, by its name and how many of that name its thread had made with it: so strace counts.
type Call = (String, usize);

/// Runs the program under strace; killed at a call, or to its end. Gives the calls it made.
fn run(home: &Home, args: &[&str], stdin: &str, at: Option<&Call>) -> (ExitStatus, Vec<Call>) {
    let (output, calls) = run_and_hear(home, args, stdin, at);
    (output.status, calls)
}

/// The same, with what it said.
fn run_and_hear(home: &Home, args: &[&str], stdin: &str, at: Option<&Call>) -> (Output, Vec<Call>) {
    let own = home.command(args);
    let log = home.path("strace.log");
    let mut command = Command::new("strace");
    command
        .args(["-f", "-qq", "-o"])
        .arg(&log)
        .args(["-e", &format!("trace={CALLS}")]);
    if let Some((name, nth)) = at {
        command.args(["-e", &format!("inject={name}:signal=SIGKILL:when={nth}")]);
    }
    command
        .arg("--")
        .arg(own.get_program())
        .args(own.get_args())
        .env_clear();
    command.envs(own.get_envs().filter_map(|(k, v)| Some((k, v?))));
    let message = home.write("stdin", stdin);
    let output = command
        .stdin(File::open(message).unwrap())
        .output()
        .expect("strace is installed");
    let calls = std::fs::read_to_string(&log).unwrap();
    let mut counts: HashMap<(String, String), usize> = HashMap::new();
    let calls = calls.lines().filter_map(|line| {
        let (before, _) = line.split_once('(')?;
        let (thread, name) = before.split_once(char::is_whitespace)?;
        let name = name.trim();
        // `<... NAME resumed>` ends a call that began above.
        if name.starts_with('<') {
            return None;
        }
        let thread = (thread.to_owned(), name.to_owned());
        let count = counts.entry(thread).or_default();
        *count += 1;
        Some((name.to_owned(), *count))
    });
    (output, calls.collect())
}

/// The calls at which to kill: some of them, spread evenly, or all.
fn chosen(calls: &[Call]) -> Vec<&Call> {
    let step = match std::env::var_os("QUEUEMAIL_SOAK") {
        Some(_) => 1,
        None => (calls.len() / 20).max(1),
    };
    let first = campaign::seed() % step;
    calls.iter().skip(first).step_by(step).collect()
}

fn killed(status: ExitStatus) -> bool {
    status.signal() == Some(9)
}

/// How often the server accepted each message.
fn accepted(home: &Home) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for sent in home.standin.submitted() {
        *counts.entry(sent.message_id_used).or_default() += 1;
    }
    counts
}

fn id(n: usize) -> String {
    format!("<{n}@contoso.com>")
}

fn message(n: usize) -> String {
    MESSAGE.replace("<1@contoso.com>", &id(n))
}

/// Flushes until nothing waits; then what is left is unknown, each message once at most.
fn settle(home: &Home) -> HashMap<String, usize> {
    for _ in 0..4 {
        later(home);
        home.run(&["outbox", "flush"]);
        if outbox(home).iter().all(|kept| kept["state"] == "unknown") {
            break;
        }
    }
    let mut unknown = HashMap::new();
    for kept in outbox(home) {
        assert_eq!(kept["state"], "unknown", "{kept}");
        *unknown
            .entry(kept["message_id"].as_str().unwrap().to_owned())
            .or_default() += 1;
    }
    unknown
}

#[test]
fn sendmail_killed_at_every_step_keeps_its_promise() {
    let home = office();
    let args = ["send", "-t", "--outbox"];
    // The first run makes the database, the second is as most are.
    run(&home, &args, &message(0), None);
    let (status, calls) = run(&home, &args, &message(1), None);
    assert!(status.success() && calls.len() > 50, "{status}: {calls:?}");
    let mut promised = vec![0, 1];
    let mut kills = 0;
    let mut n = 2;
    let chosen = chosen(&calls);
    for call in &chosen {
        let (status, _) = run(&home, &args, &message(n), Some(call));
        if killed(status) {
            kills += 1;
        } else if status.success() {
            promised.push(n);
        }
        n += 1;
    }
    assert!(
        kills * 10 >= chosen.len() * 8,
        "{kills} of {} were killed",
        chosen.len()
    );
    let unknown = settle(&home);
    let accepted = accepted(&home);
    let mut counts = [0; 3];
    for n in 0..n {
        let times = accepted.get(&id(n)).copied().unwrap_or(0);
        let unknowns = unknown.get(&id(n)).copied().unwrap_or(0);
        assert!(
            times <= 1 && unknowns <= 1,
            "message {n}: accepted {times} times"
        );
        if promised.contains(&n) {
            assert_eq!((times, unknowns), (1, 0), "message {n} was promised");
        }
        // Neither accepted nor kept: it was not promised, and its caller saw it killed.
        counts[if unknowns == 1 {
            1
        } else if times == 1 {
            0
        } else {
            2
        }] += 1;
    }
    println!(
        "campaign: sendmail killed at {kills} calls, {n} messages: {} accepted, {} unknown, {} never kept, 0 lost, 0 twice",
        counts[0], counts[1], counts[2]
    );
    // A person's word ends the doubt: what Sent Items holds is not sent again.
    home.run(&["outbox", "retry", "--all"]).succeeds();
    assert!(outbox(&home).is_empty());
    for (id, times) in self::accepted(&home) {
        assert_eq!(times, 1, "{id}");
    }
    let every = home.standin.submitted().len();
    assert_eq!(every, counts[0] + counts[1]);
}

/// What a session answered with 250 is kept, though it was killed right after that.
#[test]
fn a_session_killed_at_every_step_keeps_its_promise() {
    let home = office();
    let args = ["send", "--smtp-session"];
    let script = |n: usize| {
        let text = message(n).replace('\n', "\r\n");
        format!(
            "EHLO x\r\nMAIL FROM:<support@contoso.com>\r\nRCPT TO:<anna@example.com>\r\nDATA\r\n{text}.\r\nQUIT\r\n"
        )
    };
    run(&home, &args, &script(0), None);
    let (status, calls) = run(&home, &args, &script(1), None);
    assert!(status.success() && calls.len() > 20, "{status}: {calls:?}");
    let mut promised = vec![0, 1];
    let mut kills = 0;
    let mut n = 2;
    let chosen = chosen(&calls);
    for call in &chosen {
        let (output, _) = run_and_hear(&home, &args, &script(n), Some(call));
        kills += usize::from(killed(output.status));
        if String::from_utf8_lossy(&output.stdout).contains("250 2.0.0 ok: queued as ") {
            promised.push(n);
        }
        n += 1;
    }
    assert!(
        kills * 10 >= chosen.len() * 8,
        "{kills} of {}",
        chosen.len()
    );
    let kept: Vec<String> = outbox(&home)
        .iter()
        .map(|kept| kept["message_id"].as_str().unwrap().to_owned())
        .collect();
    for n in 0..n {
        let times = kept.iter().filter(|kept| **kept == id(n)).count();
        let least = usize::from(promised.contains(&n));
        assert!(
            (least..=1).contains(&times),
            "message {n} is kept {times} times"
        );
    }
    assert!(settle(&home).is_empty());
    assert_eq!(accepted(&home).len(), kept.len());
    println!(
        "campaign: SMTP session killed at {kills} calls: {} promised, {} kept, 0 lost",
        promised.len(),
        kept.len()
    );
}

#[test]
fn flush_killed_at_every_step_loses_and_repeats_nothing() {
    let home = office();
    let faults = home.standin.faults();
    let keep = |from: usize, count: usize| {
        faults.smtp_next(
            99,
            crate::standin::SmtpAt::Connect,
            crate::standin::SmtpFault::Reply("421 4.3.2 x".into()),
        );
        for n in from..from + count {
            super::pipe(&home, &["send", "-t", "--outbox"], message(n).as_bytes()).succeeds();
        }
        faults.smtp_clear();
        later(&home);
    };
    keep(0, 3);
    let (status, calls) = run(&home, &["outbox", "flush"], "", None);
    assert!(status.success());
    let mut n = 3;
    let mut kills = 0;
    for call in chosen(&calls) {
        keep(n, 3);
        n += 3;
        let (status, _) = run(&home, &["outbox", "flush"], "", Some(call));
        kills += usize::from(killed(status));
    }
    assert!(kills > 5, "{kills} were killed");
    let unknown = settle(&home);
    let accepted = accepted(&home);
    for n in 0..n {
        let times = accepted.get(&id(n)).copied().unwrap_or(0);
        let unknowns = unknown.get(&id(n)).copied().unwrap_or(0);
        assert!(times <= 1 && unknowns <= 1, "message {n}");
        assert!(times + unknowns >= 1, "message {n} is lost");
    }
    println!(
        "campaign: outbox flush killed at {kills} calls, {n} messages: {} unknown, 0 lost, 0 twice",
        unknown.len()
    );
    home.run(&["outbox", "retry", "--all"]).succeeds();
    assert!(outbox(&home).is_empty());
    assert_eq!(home.standin.submitted().len(), n, "each exactly once");
}

#[test]
fn a_report_is_delivered_once_however_often_its_delivery_is_killed() {
    let home = office();
    let faults = home.standin.faults();
    let away = || {
        faults.smtp_clear();
        let reply = crate::standin::SmtpFault::Reply("421 4.3.2 x".into());
        faults.smtp_next(99, crate::standin::SmtpAt::Connect, reply);
    };
    let keep = |n: usize| {
        away();
        super::pipe(&home, &["send", "-t", "--outbox"], message(n).as_bytes()).succeeds();
        super::change_state(&home, "UPDATE outbox SET kept_at = 0, attempts = 20");
        later(&home);
    };
    keep(0);
    let (_, calls) = run(&home, &["outbox", "flush"], "", None);
    let mut n = 1;
    let mut kills = 0;
    for call in chosen(&calls) {
        keep(n);
        n += 1;
        let (status, _) = run(&home, &["outbox", "flush"], "", Some(call));
        kills += usize::from(killed(status));
    }
    assert!(kills > 5, "{kills} were killed");
    away();
    settle(&home);
    assert!(outbox(&home).is_empty());
    let mut reports = HashMap::new();
    for file in std::fs::read_dir(home.path("mail/support/new")).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let line = text
            .lines()
            .find(|l| l.starts_with("References: "))
            .unwrap();
        *reports
            .entry(line["References: ".len()..].to_owned())
            .or_insert(0) += 1;
    }
    for n in 0..n {
        assert_eq!(reports.get(&id(n)), Some(&1), "reports on message {n}");
    }
    assert!(home.standin.submitted().is_empty());
    println!("campaign: report killed at {kills} calls, {n} reports: 0 lost, 0 twice");
}

/// A reply that ends too soon is none: what became of a message is known by a whole reply alone.
#[test]
fn replies_that_are_cut() {
    let mut campaign = Campaign::new("replies that are cut, SMTP");
    let places: Vec<(SmtpAt, String)> = [
        (SmtpAt::Connect, "220 mail.example ESMTP\r\n"),
        (
            SmtpAt::Ehlo,
            "250-mail.example\r\n250-STARTTLS\r\n250 SIZE\r\n",
        ),
        (SmtpAt::StartTls, "220 go ahead\r\n"),
        (SmtpAt::Auth, "235 2.7.0 in\r\n"),
        (SmtpAt::Mail, "250 2.1.0 ok\r\n"),
        (SmtpAt::Rcpt, "250 2.1.5 ok\r\n"),
        (SmtpAt::Data, "354 go ahead\r\n"),
        (
            SmtpAt::Dot,
            "250-2.0.0 taken\r\n250 2.0.0 <9@mail.example>\r\n",
        ),
    ]
    .into_iter()
    .flat_map(|(at, whole)| (0..whole.len()).map(move |end| (at, whole[..end].to_owned())))
    .collect();
    let home = office();
    for (n, (at, part)) in campaign.some_of(&places, 12).enumerate() {
        let faults = home.standin.faults();
        // Where messages go in chunks, there is no DATA.
        let without = (*at == SmtpAt::Data).then(|| "CHUNKING".to_owned());
        *faults.smtp_without.lock().unwrap() = without.into_iter().collect();
        faults.smtp_next(9, *at, SmtpFault::Cut(part.clone()));
        let ran = super::pipe(
            &home,
            &["send", "-t", "--timeout", "2"],
            message(n).as_bytes(),
        );
        let story = format!("{at:?} {part:?}: {ran:?}");
        let is_accepted = accepted(&home).get(&id(n)).copied().unwrap_or(0);
        match at {
            SmtpAt::Dot => assert_eq!((ran.code, is_accepted), (76, 1), "{story}"),
            // Where the message goes with the envelope, nobody knows what became of it.
            SmtpAt::Mail | SmtpAt::Rcpt | SmtpAt::Data => {
                assert!(matches!(ran.code, 75 | 76) && is_accepted == 0, "{story}");
            }
            _ => assert_eq!((ran.code, is_accepted), (75, 0), "{story}"),
        }
        campaign.fault();
        faults.smtp_clear();
        super::change_state(&home, "DELETE FROM wait");
    }
    campaign.end(8);
}

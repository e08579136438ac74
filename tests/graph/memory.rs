//! Messages of any size, and of any number, pass through a process of a small one.

use super::{Office, SUPPORT, message};
use crate::world::Run;
use std::process::Stdio;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

#[test]
fn a_message_of_150_mib_takes_less_than_12_mib() {
    let office = Office::new("graph");
    let mut large = message(0);
    let line = [&[b'x'; 76][..], b"\r\n"].concat();
    while large.len() < 150 << 20 {
        large.extend_from_slice(&line);
    }
    office.m365.deliver(SUPPORT, "INBOX", &large);
    for n in 1..40 {
        office.deliver("INBOX", n);
    }
    let peak = peak(office.fetch());
    assert!(peak < 12 << 10, "{peak} KiB");
    let delivered = office.delivered();
    assert_eq!(delivered.len(), 40);
    assert!(delivered.contains(&large));
}

/// A first run on a large mailbox, and an audit of it.
#[test]
fn a_folder_of_a_hundred_thousand_messages_takes_less_than_24_mib() {
    const ALL: usize = 100_000;
    let office = Office::new("graph");
    office.m365.faults().graph.crowd.store(ALL, SeqCst);
    for args in [&["fetch", "--dry-run"][..], &["fetch", "--audit"]] {
        let peak = peak(office.world.run(args));
        assert!(peak < 24 << 10, "{args:?}: {peak} KiB");
    }
    let ran = office
        .world
        .run(["fetch", "--dry-run", "--json"])
        .succeeds();
    let told = ran.json();
    let ids = told["uids"].as_array().unwrap();
    assert_eq!(ids.len(), ALL);
    // By the time at which they were received, which is not how they are listed.
    let number = |id: &serde_json::Value| id.as_str().unwrap()[4..].parse::<usize>().unwrap();
    let time = |n: usize| (n * 7 % 28, n % 60);
    assert!(
        ids.windows(2)
            .all(|two| time(number(&two[0])) <= time(number(&two[1])))
    );
}

/// Runs to a good end; gives what the process itself wrote into memory at most, in KiB, and not the
/// pages of its program, which are large in a debug build and nobody's cost while others use the
/// same file.
fn peak(run: Run) -> u64 {
    let mut command = run.command();
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let mut child = command.spawn().unwrap();
    let (mut peak, mut looks) = (0, 0);
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if let Some(kib) = anonymous(child.id()) {
            (peak, looks) = (peak.max(kib), looks + 1);
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    assert!(status.success());
    assert!(looks > 100, "only {looks} looks");
    peak
}

/// Octets of anonymous memory of a process, in KiB.
fn anonymous(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("RssAnon:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

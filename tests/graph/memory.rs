//! A message of any size passes through a process of a small one.

use super::{Office, SUPPORT, message};
use std::process::Stdio;
use std::time::Duration;

/// What the process itself writes into memory, and not the pages of its program, which are large
/// in a debug build and nobody's cost while others use the same file.
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
    let mut command = office.fetch().command();
    let mut child = command.stdin(Stdio::null()).spawn().unwrap();
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
    assert!(peak < 12 << 10, "{peak} KiB");
    let delivered = office.delivered();
    assert_eq!(delivered.len(), 40);
    assert!(delivered.contains(&large));
}

/// Octets of anonymous memory of a process, in KiB.
fn anonymous(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("RssAnon:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

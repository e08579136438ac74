//! Messages in an mbox.

use super::mboxrd;
use jiff::Timestamp;
use std::io::BufReader;

/// A reader of mboxrd finds one message, and what it reads is what was written.
pub fn mbox(data: &[u8]) {
    let mut out = Vec::new();
    let message = BufReader::with_capacity(16, data);
    if mboxrd::write(&mut out, message, "a@b.c", Timestamp::UNIX_EPOCH).is_err() {
        return;
    }
    let starts = out
        .split_inclusive(|&b| b == b'\n')
        .filter(|line| line.starts_with(b"From "));
    assert_eq!(starts.count(), 1);
    let lines = out.split_inclusive(|&b| b == b'\n').skip(1);
    let read: Vec<u8> = lines.flat_map(unquoted).copied().collect();
    let mut expected = data.to_vec();
    if !data.is_empty() && !data.ends_with(b"\n") {
        expected.push(b'\n');
    }
    expected.push(b'\n');
    assert_eq!(read, expected);
}

fn unquoted(line: &[u8]) -> &[u8] {
    let plain = line.iter().position(|&b| b != b'>').unwrap_or(line.len());
    match plain {
        0 => line,
        n if line[n..].starts_with(b"From ") => &line[1..],
        _ => line,
    }
}

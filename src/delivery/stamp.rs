//! `stamp: true`: header fields that say from where a message came, put before its first octet.

use super::{Letter, cannot_write};
use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Puts the fields before a staged message. A crash in between leaves a file that is swept away.
pub fn stamp(staged: &Path, letter: &Letter) -> Result<()> {
    let stamped = staged.with_extension("stamped");
    write(staged, &stamped, letter)
        .and_then(|()| std::fs::rename(&stamped, staged))
        .map_err(|e| cannot_write(staged, &e))
}

fn write(staged: &Path, stamped: &Path, letter: &Letter) -> io::Result<()> {
    let mut message = File::open(staged)?;
    let mut start = vec![0; 64 << 10];
    let length = message.read(&mut start)?;
    let mut out = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(stamped)?;
    out.write_all(fields(letter, line_end(&start[..length])).as_bytes())?;
    out.write_all(&start[..length])?;
    io::copy(&mut message, &mut out)?;
    Ok(())
}

/// The message's own line end, so that its header stays of one kind.
fn line_end(start: &[u8]) -> &'static str {
    match start.iter().position(|&b| b == b'\n') {
        Some(at) if at == 0 || start[at - 1] != b'\r' => "\n",
        _ => "\r\n",
    }
}

fn fields(letter: &Letter, end: &str) -> String {
    let uid = letter.uid.to_string();
    let uidvalidity = letter.uidvalidity.to_string();
    let priority = letter.priority.to_string();
    [
        ("Queue", letter.queue.as_str()),
        ("Address", &letter.address),
        ("Folder", &letter.folder),
        ("UID", &uid),
        ("UIDVALIDITY", &uidvalidity),
        ("Priority", &priority),
        ("Language", &letter.language),
        ("Kind", letter.kind),
        ("Delivery-ID", &letter.delivery_id),
    ]
    .iter()
    .map(|(name, value)| format!("X-Queuemail-{name}: {}{end}", harmless(value)))
    .collect()
}

/// A value that cannot end its line: printable ASCII as it is, anything else as encoded words
/// (RFC 2047) of at most 45 octets each, cut between characters.
fn harmless(value: &str) -> String {
    if value.chars().all(|c| c == ' ' || c.is_ascii_graphic()) {
        return value.to_owned();
    }
    let mut words = Vec::new();
    let mut word = String::new();
    for c in value.chars() {
        if word.len() + c.len_utf8() > 45 {
            words.push(std::mem::take(&mut word));
        }
        word.push(c);
    }
    words.push(word);
    let words: Vec<String> = words
        .iter()
        .map(|word| format!("=?UTF-8?B?{}?=", STANDARD.encode(word)))
        .collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn plain_values_stay_readable() {
        assert_eq!(harmless("support@contoso.com"), "support@contoso.com");
        assert_eq!(harmless("Büro"), "=?UTF-8?B?QsO8cm8=?=");
    }

    proptest! {
        #[test]
        fn no_value_ends_its_line(value in "\\PC*|(\r|\n|a|é|\0){0,60}") {
            let safe = harmless(&value);
            prop_assert!(safe.bytes().all(|b| b == b' ' || b.is_ascii_graphic()), "{}", safe);
        }
    }
}

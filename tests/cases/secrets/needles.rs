//! How a secret is known again, however it is written.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use std::collections::{BTreeSet, HashSet};

/// Parts that give a secret away: any twelve octets in a row of each usual encoding, in letters of
/// either case and without white space.
pub struct Needles(pub HashSet<Vec<u8>>);

const PART: usize = 12;

impl Needles {
    pub fn of(secrets: &[String]) -> Needles {
        let mut all = HashSet::new();
        let mut keep = |form: &str| {
            let form = flat(form);
            match form.len() {
                0..PART => all.extend([form]),
                _ => all.extend(form.windows(PART).map(<[u8]>::to_vec)),
            }
        };
        for secret in secrets {
            keep(secret);
            let form: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
            keep(&form.replace('+', "%20"));
            keep(&form.replace('%', "%25"));
            keep(&form);
            keep(
                serde_json::Value::from(secret.as_str())
                    .to_string()
                    .trim_matches('"'),
            );
            for (open, close) in [("&#", ";"), ("\\u", "")] {
                let escape = |c: char| match c {
                    c if c.is_ascii_alphanumeric() => c.to_string(),
                    c if close.is_empty() => format!("{open}{:04x}", c as u32),
                    c => format!("{open}{}{close}", c as u32),
                };
                keep(&secret.chars().map(escape).collect::<String>());
            }
            // Within a longer text base64 depends on what stands before.
            for before in 0..3 {
                let padded = [&b"   "[..before], secret.as_bytes()].concat();
                let whole = padded.len() / 3 * 3;
                let from = if before == 0 { 0 } else { 4 };
                keep(&STANDARD_NO_PAD.encode(&padded[..whole])[from..]);
                keep(&URL_SAFE_NO_PAD.encode(&padded[..whole])[from..]);
            }
        }
        Needles(all)
    }

    pub fn found(&self, place: &str, text: &[u8]) -> Vec<String> {
        let text = flat(&String::from_utf8_lossy(text));
        let short = self.0.iter().filter(|part| part.len() < PART);
        let lengths: BTreeSet<usize> = short.map(Vec::len).chain([PART]).collect();
        for length in lengths {
            let found = text.windows(length).position(|part| self.0.contains(part));
            if let Some(at) = found {
                let around = &text[at.saturating_sub(120)..(at + 160).min(text.len())];
                let needle = String::from_utf8_lossy(&text[at..at + length]);
                let around = String::from_utf8_lossy(around);
                return vec![format!("{place}: `{needle}` in …{around}…")];
            }
        }
        Vec::new()
    }
}

/// A text in small letters and without white space, be it written as an escape.
fn flat(text: &str) -> Vec<u8> {
    let text = text
        .replace("\\r", "")
        .replace("\\n", "")
        .replace("\\t", "");
    let octets = text.bytes().filter(|octet| !octet.is_ascii_whitespace());
    octets.map(|octet| octet.to_ascii_lowercase()).collect()
}

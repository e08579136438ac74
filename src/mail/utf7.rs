//! Folder names in modified UTF-7 (RFC 3501 §5.1.3), both ways.
//!
//! Printable ASCII stands for itself, `&` is `&-`, and everything else is UTF-16 in a base64
//! that has `,` for `/` and no padding, between `&` and `-`.

use base64::Engine;
use base64::alphabet::IMAP_MUTF7;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &IMAP_MUTF7,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

/// The name for the wire: printable ASCII.
pub fn encode(name: &str) -> String {
    fn flush(run: &mut Vec<u8>, out: &mut String) {
        if !run.is_empty() {
            out.push('&');
            BASE64.encode_string(&run, out);
            out.push('-');
            run.clear();
        }
    }
    let mut out = String::with_capacity(name.len());
    let mut run = Vec::new();
    for c in name.chars() {
        if matches!(c, ' '..='~') {
            flush(&mut run, &mut out);
            out.push(c);
            if c == '&' {
                out.push('-');
            }
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                run.extend(unit.to_be_bytes());
            }
        }
    }
    flush(&mut run, &mut out);
    out
}

/// The name as a person reads it; `None` for what is not modified UTF-7.
pub fn decode(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        let (run, after) = rest[at + 1..].split_once('-')?;
        if run.is_empty() {
            out.push('&');
        } else {
            let octets = BASE64.decode(run).ok()?;
            if octets.is_empty() || octets.len() % 2 != 0 {
                return None;
            }
            let units: Vec<u16> = octets
                .chunks_exact(2)
                .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
                .collect();
            out.push_str(&String::from_utf16(&units).ok()?);
        }
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_as_in_rfc_3501_and_on_real_servers() {
        for (name, wire) in [
            ("INBOX", "INBOX"),
            ("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
            ("Éléments envoyés", "&AMk-l&AOk-ments envoy&AOk-s"),
            ("R&D", "R&-D"),
            ("😀", "&2D3eAA-"),
            ("a\tb", "a&AAk-b"),
            ("", ""),
        ] {
            assert_eq!(encode(name), wire);
            assert_eq!(decode(wire).as_deref(), Some(name));
        }
    }

    #[test]
    fn what_is_not_modified_utf7_is_refused() {
        for wire in ["&", "&AMk", "&AM-", "&2D0-", "&A-", "&AMk=-", "&é-"] {
            assert_eq!(decode(wire), None, "{wire}");
        }
    }

    proptest! {
        #[test]
        fn every_name_survives_the_wire(name in any::<String>()) {
            let wire = encode(&name);
            prop_assert!(wire.bytes().all(|b| matches!(b, b' '..=b'~')));
            prop_assert_eq!(decode(&wire), Some(name));
        }

        #[test]
        fn decoding_never_panics(text in "[&\\-A-Za-z0-9+,é]{0,40}") {
            decode(&text);
        }
    }
}

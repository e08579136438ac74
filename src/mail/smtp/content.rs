//! The octets of a message as SMTP sees them: what they need, and how they go out.

use crate::dialogue::Offer;
use crate::fault::Fault;
use crate::mail::Envelope;
use crate::mail::header;

/// How a message travels so that it arrives as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// BDAT (RFC 3030) instead of DATA.
    pub chunked: bool,
    /// The parameter BODY of MAIL.
    pub body: Option<&'static str>,
    /// SMTPUTF8 (RFC 6531).
    pub utf8: bool,
}

/// Chooses the way, or says why the server cannot carry this message as it is: `Malformed` where
/// its octets are none that mail has, `Refused` where another server would take it.
pub fn plan(envelope: &Envelope, octets: &[u8], offer: &Offer) -> Result<Plan, Fault> {
    if let Some(max) = offer.max_size
        && octets.len() as u64 > max
    {
        return Err(Fault::refused(format!(
            "the message has {} bytes, the server accepts {max}",
            octets.len()
        )));
    }
    let utf8 = !envelope
        .from
        .iter()
        .chain(&envelope.to)
        .all(|a| a.is_ascii())
        || has_utf8_header(octets);
    if utf8 && !offer.utf8 {
        return Err(Fault::refused(
            "an address or header field is not ASCII, and the server does not offer SMTPUTF8",
        ));
    }
    let eight_bit = !octets.is_ascii();
    if eight_bit && !offer.eight_bit {
        return Err(Fault::refused(
            "the message contains 8-bit text, and the server does not offer 8BITMIME",
        ));
    }
    let text = if eight_bit { "8BITMIME" } else { "7BIT" };
    let plan = |chunked, body| Plan {
        chunked,
        body: offer.eight_bit.then_some(body),
        utf8,
    };
    if let Some(what) = not_lines(octets) {
        // RFC 3030 §3: only BINARYMIME lifts the rule that text is made of lines.
        if offer.chunking && offer.binary {
            return Ok(Plan {
                body: Some("BINARYMIME"),
                ..plan(true, text)
            });
        }
        return Err(Fault::malformed(format!(
            "the message contains {what}, which needs BINARYMIME, and the server does not offer it"
        )));
    }
    if !octets.ends_with(b"\r\n") {
        if offer.chunking {
            return Ok(plan(true, text));
        }
        return Err(Fault::malformed(
            "the last line of the message has no line end, which needs CHUNKING, and the server does not offer it",
        ));
    }
    Ok(plan(false, text))
}

/// Header fields in UTF-8 (RFC 6532). Other 8-bit text there is nobody's standard; it goes out
/// as it is.
fn has_utf8_header(octets: &[u8]) -> bool {
    let header = &octets[..header::header_end(octets)];
    !header.is_ascii() && std::str::from_utf8(header).is_ok()
}

/// What keeps the octets from being lines of text: a NUL, or a CR or LF without the other.
fn not_lines(octets: &[u8]) -> Option<&'static str> {
    let mut before = 0;
    for &octet in octets {
        match octet {
            0 => return Some("a NUL"),
            b'\n' if before != b'\r' => return Some("a bare LF"),
            b'\n' => {}
            _ if before == b'\r' => return Some("a bare CR"),
            _ => {}
        }
        before = octet;
    }
    (before == b'\r').then_some("a bare CR")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn data_never_carries_what_is_not_lines(octets in proptest::collection::vec(proptest::sample::select(b"\r\n\0.a".to_vec()), 0..12)) {
            let everything = Offer { eight_bit: true, utf8: true, chunking: true, binary: true, ..Offer::default() };
            let plan = plan(&Envelope::default(), &octets, &everything).unwrap();
            let text = String::from_utf8(octets).unwrap();
            let lines = text.replace("\r\n", "");
            let exact = text.ends_with("\r\n") && !lines.contains(['\r', '\n', '\0']);
            prop_assert_eq!(plan.chunked, !exact);
        }
    }

    #[test]
    fn what_a_server_cannot_carry_is_refused_with_the_reason() {
        let refusal = |octets: &[u8]| {
            plan(
                &Envelope::default(),
                octets,
                &Offer {
                    max_size: Some(40),
                    ..Offer::default()
                },
            )
            .unwrap_err()
            .what
        };
        assert!(refusal(b"a\nb\r\n").contains("a bare LF"));
        assert!(refusal(b"a\rb\r\n").contains("a bare CR"));
        assert!(refusal(b"a\0b\r\n").contains("a NUL"));
        assert!(refusal(b"a\r\nb").contains("last line"));
        assert!(refusal(b"a: b\r\n\r\n\xe4\r\n").contains("8BITMIME"));
        assert!(refusal("a: \u{e4}\r\n\r\nb\r\n".as_bytes()).contains("SMTPUTF8"));
        assert!(refusal(&[b'x'; 41]).contains("41 bytes"));
    }
}

//! The envelope put into the header, since Graph has none: it sends to whom To, Cc and Bcc name.

use crate::fault::{Fault, Kind};
use crate::mail::Envelope;
use crate::mail::message::Draft;
use anyhow::Result;
use std::collections::HashSet;

/// Longest line of a Bcc field that is written, in octets (RFC 5322 §2.1.1 allows 998).
const LINE: usize = 900;

/// The copy whose header names the envelope's recipients; else why there is none.
pub fn addressed(envelope: &Envelope, message: &[u8]) -> Result<Result<Vec<u8>, String>> {
    let draft = Draft::read(message.to_vec())?;
    let (authors, named) = (draft.authors()?, draft.named()?);
    let folded = |list: &[String]| -> HashSet<String> {
        list.iter().map(|a| a.to_ascii_lowercase()).collect()
    };
    let is_in = |list: &HashSet<String>, a: &str| list.contains(&a.to_ascii_lowercase());
    let (wanted, known) = (folded(&envelope.to), folded(&named));
    let shown = |list: &[&String]| {
        let list: Vec<String> = list.iter().map(|a| crate::output::escape(a)).collect();
        list.join(", ")
    };
    match &envelope.from {
        Some(from) if authors.iter().any(|a| a.eq_ignore_ascii_case(from)) => {}
        Some(from) => {
            return Ok(Err(format!(
                "Graph sends from the address in the header, {}, and not from {}; send it through SMTP",
                shown(&authors.iter().collect::<Vec<_>>()),
                crate::output::escape(from)
            )));
        }
        None => {
            return Ok(Err(
                "Graph cannot send without a return address; send it through SMTP".to_owned(),
            ));
        }
    }
    let more: Vec<&String> = named.iter().filter(|n| !is_in(&wanted, n)).collect();
    if !more.is_empty() {
        return Ok(Err(format!(
            "Graph sends to all recipients in the header, but {} must not get this message; send it through SMTP",
            shown(&more)
        )));
    }
    let missing: Vec<&String> = envelope.to.iter().filter(|to| !is_in(&known, to)).collect();
    if let Some(bad) = missing.iter().find(|a| a.contains(['\r', '\n'])) {
        return Err(Fault::new(
            Kind::UnknownRecipient,
            format!("`{}` is not an address", crate::output::escape(bad)),
        )
        .into());
    }
    let mut copy = Vec::with_capacity(message.len() + 64 * missing.len());
    copy.extend_from_slice(bcc(&missing).as_bytes());
    copy.extend_from_slice(message);
    Ok(Ok(copy))
}

/// A folded Bcc field; nothing for nobody.
fn bcc(addresses: &[&String]) -> String {
    let mut field = String::new();
    let mut width = 0;
    for address in addresses {
        if field.is_empty() {
            field.push_str("Bcc: ");
            width = 5;
        } else if width + address.len() > LINE {
            field.push_str(",\r\n ");
            width = 1;
        } else {
            field.push_str(", ");
            width += 2;
        }
        field.push_str(address);
        width += address.len();
    }
    if !field.is_empty() {
        field.push_str("\r\n");
    }
    field
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(from: Option<&str>, to: &[&str]) -> Envelope {
        Envelope {
            from: from.map(str::to_owned),
            to: to.iter().map(|a| (*a).to_owned()).collect(),
            ..Envelope::default()
        }
    }

    const MESSAGE: &[u8] =
        b"From: A <a@x.example>\r\nTo: b@x.example, C <c@x.example>\r\n\r\nBcc: z@x.example\r\n";

    #[test]
    fn the_header_names_whom_the_envelope_names() {
        let exact = envelope(Some("A@x.example"), &["c@X.example", "b@x.example"]);
        assert_eq!(addressed(&exact, MESSAGE).unwrap().unwrap(), MESSAGE);
        let more = envelope(
            Some("a@x.example"),
            &["b@x.example", "c@x.example", "d@x.example", "e@x.example"],
        );
        let copy = addressed(&more, MESSAGE).unwrap().unwrap();
        assert_eq!(
            copy,
            [b"Bcc: d@x.example, e@x.example\r\n", MESSAGE].concat()
        );
    }

    #[test]
    fn what_graph_cannot_say_is_refused() {
        for (from, to) in [
            (Some("a@x.example"), &["b@x.example"][..]),
            (Some("d@x.example"), &["b@x.example", "c@x.example"]),
            (None, &["b@x.example", "c@x.example"]),
        ] {
            let refused = addressed(&envelope(from, to), MESSAGE).unwrap();
            assert!(refused.unwrap_err().contains("SMTP"), "{from:?} {to:?}");
        }
    }

    #[test]
    fn a_long_list_is_folded() {
        let many: Vec<String> = (0..200).map(|n| format!("address{n}@x.example")).collect();
        let field = bcc(&many.iter().collect::<Vec<_>>());
        assert!(field.lines().count() > 3);
        assert!(field.lines().all(|line| line.len() < 998));
        let draft = Draft::read([field.as_bytes(), b"\r\n"].concat()).unwrap();
        assert_eq!(draft.named().unwrap(), many);
    }
}

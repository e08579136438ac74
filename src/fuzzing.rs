//! Doors for the fuzzers in `fuzz/`, one for each kind of hostile input: built with `--cfg
//! fuzzing`, which `cargo fuzz` sets, and for tests. Each takes any bytes and must come back: no panic, no
//! hang, no memory beyond the bounds that its reader promises. Where a property holds for all
//! inputs, the door asserts it.

pub use crate::mail::graph::fuzz as graph;
pub use crate::mail::imap::fuzz as imap;
pub use crate::mail::smtp::fuzz as smtp;
pub use crate::peers::fuzz as peers;
pub use crate::relay::fuzz as relay;

use crate::delivery;
use crate::mail::{addresses, message::Draft};
use crate::oauth::fuzz as oauth;
use std::path::Path;

/// A message that is to be sent: its header fields, its recipients, and what is made of them.
pub fn message(data: &[u8]) {
    let Ok(draft) = Draft::read(data.to_vec()) else {
        return;
    };
    let _ = (draft.sender(), draft.recipients(), draft.named());
    let _ = (draft.authors(), draft.author_addresses(), draft.answers());
    let _ = crate::mail::read_head(&crate::mail::header::Fields::of(data));
}

/// A fetched message: what it is recognised by.
pub fn identity(data: &[u8]) {
    crate::fetch::fuzz::identity(data);
}

/// A list of addresses (RFC 5322 §3.4): a mailbox that comes out reads as itself again.
pub fn addresses(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let _ = addresses::is_mailbox(text);
    if let Ok(list) = addresses::parse(text) {
        for one in list.into_iter().filter(|one| addresses::is_mailbox(one)) {
            assert_eq!(addresses::parse(&one), Ok(vec![one.clone()]), "{one:?}");
        }
    }
}

/// The configuration file: read, checked, every mistake pointed at.
pub fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Err(err) = crate::config::parse(text, Path::new("config.yaml")) {
        let _ = format!("{err:#}");
    }
}

/// The answers of a token endpoint and the tokens themselves.
pub fn token_answers(data: &[u8]) {
    oauth::answers(data);
}

/// A message in an mbox: a reader finds exactly one message, with its bytes.
pub fn mbox(data: &[u8]) {
    delivery::fuzz::mbox(data);
}

#[cfg(test)]
mod doubling;

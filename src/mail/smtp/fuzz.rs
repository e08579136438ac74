//! Replies of a submission server that says anything.

use crate::dialogue::{Offer, Reply};

/// Each line of `data` is a line of a reply.
pub fn replies(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut reply = None;
    for line in text.lines() {
        match Reply::add(reply, line) {
            Some((whole, true)) => {
                let _ = (whole.said(), whole.message_id(), Offer::read(&whole));
                assert!(whole.fault("no").server_said.is_some());
                reply = None;
            }
            Some((begun, false)) => reply = Some(begun),
            None => return,
        }
    }
}

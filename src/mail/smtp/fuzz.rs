//! Replies of a submission server that says anything.

use super::reply::{Offer, Reply};

/// Each line of `data` is a line of a reply.
pub fn replies(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut reply: Option<Reply> = None;
    for line in text.lines() {
        let Some((code, last, words)) = Reply::split(line) else {
            return;
        };
        let known = reply.get_or_insert(Reply {
            code,
            lines: Vec::new(),
        });
        known.lines.push(words.to_owned());
        if last {
            let whole = reply.take().unwrap_or(Reply {
                code,
                lines: Vec::new(),
            });
            let _ = (whole.said(), whole.message_id(), Offer::read(&whole));
            assert!(whole.fault("no").server_said.is_some());
        }
    }
}

//! The knobs of Graph.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize};
use std::time::Duration;

use super::http::Trick;

/// What a request gets instead of its answer.
#[derive(Clone, Debug)]
pub enum GraphFault {
    /// An error of Graph with this status, code and message, and `Retry-After` in seconds.
    Error(u16, &'static str, &'static str, Option<u64>),
    /// A gateway's HTML page with this status.
    Html(u16),
    /// A redirect with this status to this URL.
    Redirect(u16, String),
    /// An error of Graph with this status that repeats the request's token.
    Echo(u16),
    /// The connection closes without an answer, and the request has no effect.
    Close,
    /// The request has its effect, but the connection closes without an answer.
    ActThenClose,
    /// The connection closes after so many octets of the body.
    Cut(usize),
    /// The request has its effect, but the answer is this status with an empty body.
    ActThenStatus(u16),
    /// The answer comes after this time.
    Delay(Duration),
    /// The body is sent in this odd way.
    Odd(Trick),
    /// This body, whatever was asked for.
    Body(Vec<u8>),
    /// A body of this type, with a status of success, whatever was asked for.
    Instead(&'static str, &'static str),
}

/// Get them with `Standin::faults().graph`.
#[derive(Default)]
pub struct GraphFaults {
    /// What is left of each: how often, in which paths, what.
    script: Mutex<Vec<(u32, String, GraphFault)>>,
    /// Milliseconds before every answer, as of a long line.
    pub latency: AtomicU64,
    /// Entries on a page at most; 0 leaves it to the client.
    pub page: AtomicU32,
    /// `nextLink` leads back to the same page.
    pub endless: AtomicBool,
    /// `nextLink` leads to another empty page, each time.
    pub always_more: AtomicBool,
    /// A delta query lists so many messages that are not there.
    pub crowd: AtomicUsize,
    /// A connection closes after it has sent so many octets; 0 means never.
    pub close_after: AtomicU64,
    /// `nextLink` leads to this host.
    pub foreign_link: Mutex<Option<String>>,
    /// Mailboxes that an application access policy keeps the app out of: 403.
    pub denied: Mutex<HashSet<String>>,
    /// Mailboxes for which a role in Exchange gives apps every permission, whatever their tokens
    /// say (RBAC for Applications).
    pub given_by_exchange: Mutex<HashSet<String>>,
    /// Mailboxes that are on-premises or have no licence: 404 `MailboxNotEnabledForRESTAPI`.
    pub not_enabled: Mutex<HashSet<String>>,
    /// PATCH, move and DELETE say that they did it, and do nothing.
    pub idle: AtomicBool,
    /// The MIME is made anew, as Exchange does of what it did not keep: other octets, same mail.
    pub anew: AtomicBool,
    /// Requests of a mailbox are served so many at once, before `429 MailboxConcurrency`; 0 leaves the usual 4.
    pub concurrency: AtomicU32,
    /// The most that were asked for at once.
    pub most_at_once: AtomicU32,
}

impl GraphFaults {
    /// Spoils the next `n` requests in whose path this text occurs (in a batch: of its parts); after
    /// a `=`, that it ends with.
    pub fn next(&self, n: u32, path: &str, fault: GraphFault) {
        self.script
            .lock()
            .unwrap()
            .push((n, path.to_string(), fault));
    }

    pub fn take(&self, path: &str) -> Option<GraphFault> {
        let mut script = self.script.lock().unwrap();
        let entry = script.iter_mut().find(|(left, part, _)| {
            *left > 0
                && match part.strip_prefix('=') {
                    Some(end) => path.ends_with(end),
                    None => path.contains(part.as_str()),
                }
        })?;
        entry.0 -= 1;
        Some(entry.2.clone())
    }

    /// All is well again.
    pub fn heal(&self) {
        self.script.lock().unwrap().clear();
    }
}

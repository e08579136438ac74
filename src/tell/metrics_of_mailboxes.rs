//! The metrics of each mailbox, as a table: a name, a help text, and where the value comes from.

use crate::health::Line;
use crate::state::Counter;

/// A metric of each mailbox.
pub struct Metric {
    pub name: &'static str,
    pub help: &'static str,
    pub value: Value,
}

/// Where its value comes from.
pub enum Value {
    /// A gauge; `None` leaves the sample out.
    Now(fn(&Line<'_>) -> Option<f64>),
    Counted(Counter),
}

use Value::{Counted, Now};

pub const METRICS: &[Metric] = &[
    Metric {
        name: "queuemail_last_success_timestamp_seconds",
        help: "End of the last run that fetched the mailbox without an error.",
        value: Now(|l| l.health.last_success.map(|at| at as f64)),
    },
    Metric {
        name: "queuemail_last_visit_timestamp_seconds",
        help: "When one of the hosts that share the state began to fetch the mailbox last.",
        value: Now(|l| l.visited.map(|at| at as f64)),
    },
    Metric {
        name: "queuemail_last_message_timestamp_seconds",
        help: "When the last message was delivered.",
        value: Now(|l| l.health.last_message.map(|at| at as f64)),
    },
    Metric {
        name: "queuemail_last_run_failed",
        help: "1 if the last run of the mailbox ended with an error.",
        value: Now(|l| Some(f64::from(u8::from(l.health.last_error.is_some())))),
    },
    Metric {
        name: "queuemail_last_run_duration_seconds",
        help: "How long the last run of the mailbox took.",
        value: Now(|l| l.health.took.map(|ms| ms as f64 / 1000.0)),
    },
    Metric {
        name: "queuemail_delivered_messages",
        help: "Messages on record as delivered.",
        value: Now(|l| Some(l.health.delivered as f64)),
    },
    Metric {
        name: "queuemail_pending_messages",
        help: "Messages known and not yet delivered.",
        value: Now(|l| Some(l.health.backlog as f64)),
    },
    Metric {
        name: "queuemail_quarantined_messages",
        help: "Messages in quarantine.",
        value: Now(|l| Some(l.health.quarantined as f64)),
    },
    Metric {
        name: "queuemail_refused_messages",
        help: "Delivered messages that the server refuses to mark, move or delete.",
        value: Now(|l| Some(l.health.refused.as_ref().map_or(0.0, |(n, _)| *n as f64))),
    },
    Metric {
        name: "queuemail_wait_until_timestamp_seconds",
        help: "Until when the server requested a wait.",
        value: Now(|l| l.wait.as_ref().map(|w| w.until.as_second() as f64)),
    },
    Metric {
        name: "queuemail_fetched_messages_total",
        help: "Messages that were fetched and delivered.",
        value: Counted(Counter::Fetched),
    },
    Metric {
        name: "queuemail_failed_attempts_total",
        help: "Failed attempts to fetch and deliver a message.",
        value: Counted(Counter::Failed),
    },
    Metric {
        name: "queuemail_quarantined_messages_total",
        help: "Messages that were moved to quarantine.",
        value: Counted(Counter::Quarantined),
    },
    Metric {
        name: "queuemail_sent_messages_total",
        help: "Messages from the address that a server accepted.",
        value: Counted(Counter::Sent),
    },
];

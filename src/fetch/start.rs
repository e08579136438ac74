//! What was there before fetching began: told once, put on record, and skipped.
//!
//! A folder that is not to be fetched from its first message on goes on record together with its
//! horizon: what it held at that moment, as its source tells it ([`mail::Horizon`]), or a day. Each
//! run then skips what is behind the horizon until one has listed all of it. A crash in between
//! changes nothing: the horizon stays where it was, and mail that arrives meanwhile is beyond it.
//!
//! A day may be still to come. Until it has, mail arrives behind the horizon, which stays, and the
//! configuration may name another day.

use super::Job;
use crate::mail::{self, Mailbox, RemoteId};
use crate::model::Start;
use crate::state::{Epoch, Store};
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// A horizon as it is on record.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Horizon {
    /// What holds in one epoch of the folder alone: its ids.
    within: Option<Within>,
    /// What was received at this time or earlier (Unix seconds) is behind it. In the epoch of
    /// `within`, by which it is exact, this is not looked at.
    received: i64,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
struct Within {
    epoch: Epoch,
    /// The highest id, where ids ascend.
    highest: Option<String>,
    /// The newest messages …
    newest: HashSet<String>,
    /// … and when older ones were received.
    received: Option<i64>,
}

impl Horizon {
    /// The horizon of the open folder; `None` where everything in it is to be fetched.
    pub fn of_start(
        start: Start,
        mailbox: &mut dyn Mailbox,
        epoch: Epoch,
    ) -> Result<Option<Horizon>> {
        Ok(match start {
            Start::All => None,
            Start::Now => Some(Horizon::now(mailbox, epoch)?),
            Start::On(day) => Some(Horizon {
                within: None,
                received: day.begins().as_second() - 1,
            }),
        })
    }

    /// All that the open folder holds now is behind it.
    pub fn now(mailbox: &mut dyn Mailbox, epoch: Epoch) -> Result<Horizon> {
        let mail::Horizon {
            highest,
            newest,
            received,
        } = mailbox.horizon()?;
        Ok(Horizon {
            within: Some(Within {
                epoch,
                highest: highest.map(|id| id.to_string()),
                newest: newest.iter().map(ToString::to_string).collect(),
                received,
            }),
            received: jiff::Timestamp::now().as_second(),
        })
    }

    pub fn read(store: &Store, text: &str) -> Result<Horizon> {
        serde_json::from_str(text).map_err(|e| {
            store
                .spoilt("the record of where fetching begins", &e)
                .into()
        })
    }

    pub fn written(&self) -> Result<String> {
        Ok(serde_json::to_string(self)?)
    }

    /// Whether it is a day that is still to come.
    pub fn is_ahead(&self) -> bool {
        self.within.is_none() && self.received >= jiff::Timestamp::now().as_second()
    }

    /// Whether a message is behind it. One of which the time is needed and not known is not: to
    /// deliver an old message is better than to miss a new one.
    pub fn is_behind(&self, epoch: Epoch, id: &RemoteId, received: Option<i64>) -> bool {
        match &self.within {
            Some(within) if within.epoch == epoch => within.holds(id, received),
            _ => received.is_some_and(|received| received <= self.received),
        }
    }
}

impl Within {
    fn holds(&self, id: &RemoteId, received: Option<i64>) -> bool {
        let highest = self.highest.as_deref().and_then(RemoteId::of_mark);
        highest.is_some_and(|highest| id.ascends() && *id <= highest)
            || self.newest.contains(&id.to_string())
            || received
                .zip(self.received)
                .is_some_and(|(received, last)| received <= last)
    }
}

/// The horizon that a folder goes on record with, which was not there before.
pub fn at_first(
    job: &Job,
    store: &Store,
    mailbox: &mut dyn Mailbox,
    address: &str,
    key: &str,
    uidvalidity: u32,
) -> Result<Option<String>> {
    if job.start == Start::All || store.folder_record(address, key, uidvalidity)?.is_some() {
        return Ok(None);
    }
    let horizon = Horizon::of_start(job.start, mailbox, uidvalidity.into())?;
    horizon.map(|horizon| horizon.written()).transpose()
}

/// The horizon of a folder that is on record, from which it is read as `written`.
pub fn of_record(
    written: Option<&str>,
    job: &Job,
    store: &Store,
    mailbox: &mut dyn Mailbox,
    epoch: Epoch,
) -> Result<Option<Horizon>> {
    match written.map(|text| Horizon::read(store, text)).transpose()? {
        Some(horizon) if horizon.is_ahead() => Horizon::of_start(job.start, mailbox, epoch),
        known => Ok(known),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(id: &str) -> RemoteId {
        RemoteId::from(id.to_owned())
    }

    #[test]
    fn ids_decide_within_their_epoch_and_time_in_another() {
        let by_uid = Horizon {
            within: Some(Within {
                epoch: 7,
                highest: Some("10".into()),
                newest: HashSet::new(),
                received: None,
            }),
            received: 1000,
        };
        assert!(by_uid.is_behind(7, &RemoteId::from(10), Some(5000)));
        assert!(!by_uid.is_behind(7, &RemoteId::from(11), Some(1)));
        assert!(by_uid.is_behind(8, &RemoteId::from(11), Some(1000)));
        assert!(!by_uid.is_behind(8, &RemoteId::from(1), Some(1001)));
        assert!(!by_uid.is_behind(0, &text("a"), None));
        let by_page = Horizon {
            within: Some(Within {
                epoch: 0,
                highest: None,
                newest: HashSet::from(["a".into()]),
                received: Some(500),
            }),
            received: 1000,
        };
        assert!(by_page.is_behind(0, &text("a"), Some(900)));
        assert!(by_page.is_behind(0, &text("b"), Some(500)));
        assert!(!by_page.is_behind(0, &text("b"), Some(501)));
        let written = by_page.written().unwrap();
        assert_eq!(serde_json::from_str::<Horizon>(&written).unwrap(), by_page);
    }
}

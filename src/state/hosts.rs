//! The hosts that share a state: who was at work lately, and which mailbox was visited when.

use super::db::{Sql, values};
use super::{LockName, Locks, Store};
use anyhow::Result;
use std::collections::HashMap;

/// A host was at work within so many seconds.
pub const LATELY: i64 = 600;

/// A host that was at work lately.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharingHost {
    pub name: String,
    /// Of its program, in its last run.
    pub version: String,
    /// What tells the configuration of its last run from every other.
    pub config: Option<String>,
    /// When it was heard of last (Unix seconds).
    pub seen: i64,
    /// Visits of mailboxes lately, and messages that were delivered in them.
    pub visits: u64,
    pub messages: u64,
}

impl Store {
    /// Lets the hosts that share the state know by which configuration this one works.
    /// `digest` tells it from every other.
    pub fn works_by(&self, digest: String) {
        if let Locks::Leases(leases) = &self.locks {
            leases.works_by(digest);
        }
    }

    /// By which configuration this process works, where others want to know.
    pub fn config(&self) -> Option<&str> {
        match &self.locks {
            Locks::Leases(leases) => leases.config(),
            Locks::Files(_) => None,
        }
    }

    /// The hosts that were at work lately; none where the state is not shared.
    pub fn hosts(&self) -> Result<Vec<SharingHost>> {
        const HOSTS: Sql = Sql::postgres(
            "SELECT host, (array_agg(version ORDER BY seen DESC))[1],
                    (array_agg(config ORDER BY seen DESC) FILTER (WHERE config IS NOT NULL))[1],
                    floor(extract(epoch FROM max(seen)))::bigint,
                    sum(mailboxes)::bigint, sum(messages)::bigint
             FROM run WHERE seen > clock_timestamp() - ?1 * interval '1 second'
             GROUP BY host ORDER BY host",
        );
        if !self.is_shared() {
            return Ok(Vec::new());
        }
        self.read(|reader| {
            reader.rows(&HOSTS, &values![LATELY], |row| {
                Ok(SharingHost {
                    name: row.get(0)?,
                    version: row.get(1)?,
                    config: row.get(2)?,
                    seen: row.get(3)?,
                    visits: row.get::<i64>(4)?.unsigned_abs(),
                    messages: row.get::<i64>(5)?.unsigned_abs(),
                })
            })
        })
    }

    /// When a host began to fetch each mailbox last (Unix seconds), by the address in lower case; empty
    /// where the state is not shared.
    pub fn visits(&self) -> Result<HashMap<String, i64>> {
        const VISITS: Sql = Sql::postgres(
            "SELECT substr(name, length(?1) + 1), floor(extract(epoch FROM claimed_at))::bigint
             FROM lease WHERE starts_with(name, ?1) AND claimed_at IS NOT NULL",
        );
        if !self.is_shared() {
            return Ok(HashMap::new());
        }
        self.read(|reader| {
            reader.rows(&VISITS, &values![LockName::OF_A_MAILBOX], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
        })
    }
}

//! Where the state is, if not in a folder of this machine.

use super::database_url::DatabaseUrl;
use super::secret_source::{SecretSource, Secrets};
use super::span::Span;
use super::tree::mapping;
use super::values::Lease;
use crate::child;
use std::path::PathBuf;
use std::time::Duration;

mapping! {
/// A state in a database.
#[derive(Eq)]
pub struct SharedState {
    /// The database: postgres://[ROLE[:PASSWORD]@]HOST[:PORT][,…]/DATABASE, or `key=value` words as
    /// psql takes them. A password in it makes the file private (0600).
    pub postgres: DatabaseUrl,
    /// So many connections of one process at most, 1 to 100; 4 where absent.
    pub connections: Option<u32>,
    /// How long another host waits for one that was not heard of before it takes over its work, 3s to
    /// 600s; 60s where absent.
    pub lease: Option<Lease>,
    /// How long after one host has begun to fetch a mailbox the next `fetch` without names does so
    /// again, 0s to 1d; 30s where absent. With 0s each run fetches each mailbox.
    pub every: Option<Span>,
    /// A PEM file of authorities to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// A certificate that signs in to the database (PEM).
    pub certificate: Option<PathBuf>,
    /// The private key of the certificate (PEM), where it is in a file of its own.
    pub private_key: Option<PathBuf>,
    /// Encrypts the tokens in the database: 32 random bytes in base64, or where they are read from;
    /// the same on all hosts. Of two, the first encrypts and both decrypt. Without it, tokens are not
    /// kept.
    pub key: Option<Secrets>,
}
}

/// The environment variable that holds a key.
const KEY: &str = "QUEUEMAIL_STATE_KEY";

/// How soon a mailbox is due again: timers and cron start a run each minute.
const EVERY: Span = Span::from_seconds(30);

impl SharedState {
    /// No mailbox may be left alone for longer.
    pub const LONGEST_EVERY: Span = Span::from_seconds(86_400);

    /// How soon after one host has begun to fetch a mailbox it is due again.
    pub fn every_of(state: Option<&SharedState>) -> Duration {
        let every = state.and_then(|state| state.every).unwrap_or(EVERY);
        Duration::from_secs(every.seconds().unsigned_abs())
    }

    /// What tokens in a database are encrypted with: the environment comes before the configuration,
    /// as with the database's URL.
    pub fn key_of(state: Option<&SharedState>) -> Option<Secrets> {
        if std::env::var_os(KEY).is_none_or(|text| text.is_empty()) {
            return state.and_then(|state| state.key.clone());
        }
        // No program that is started has a business with it.
        child::withhold(KEY);
        Some(Secrets(vec![SecretSource::Env(KEY.to_owned())]))
    }
}

//! How long a host may take in all.

use std::time::Duration;

/// How long a host may take in all: a fixed time, and what a very slow line needs for
/// the octets that came. A time-out of each read alone lets a host send an octet now and then for
/// ever.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    fixed: Duration,
    waited: Duration,
    received: u64,
}

impl Patience {
    /// The slowest line that is waited for, in octets per second.
    const SLOWEST: u64 = 4 << 10;

    pub fn new(fixed: Duration) -> Patience {
        Patience {
            fixed,
            waited: Duration::ZERO,
            received: 0,
        }
    }

    /// It is whole again: something new is asked for.
    pub fn renew(&mut self) {
        *self = Patience::new(self.fixed);
    }

    /// So long was waited for so many octets.
    pub fn spend(&mut self, waited: Duration, received: usize) {
        self.waited = self.waited.saturating_add(waited);
        self.received = self.received.saturating_add(received as u64);
    }

    /// How long may still be waited; zero at its end.
    pub fn left(&self) -> Duration {
        let allowed = self.fixed + Duration::from_secs(self.received / Self::SLOWEST);
        allowed.saturating_sub(self.waited)
    }
}

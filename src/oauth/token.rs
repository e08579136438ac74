//! What a grant yields: an access token, when that counts as used up, and a refresh token.

use crate::secret::Secret;
use std::time::{Duration, SystemTime};

/// How long before its expiry a token is not given out any more: a fetch or a long submission
/// must not outlive it.
const MARGIN: Duration = Duration::from_secs(5 * 60);

/// An access token (RFC 6749 §1.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessToken {
    pub secret: Secret,
    pub obtained_at: SystemTime,
    pub expires_at: SystemTime,
}

impl AccessToken {
    /// True while the token can begin a piece of work: more than five minutes remain, or more
    /// than half of a life that is shorter than ten minutes (a tenant may set it so).
    pub fn is_fresh(&self, now: SystemTime) -> bool {
        let lifetime = self
            .expires_at
            .duration_since(self.obtained_at)
            .unwrap_or_default();
        // A clock that was set back would make an old token look fresh for too long.
        let plausible = self.obtained_at <= now + MARGIN;
        plausible && self.remaining(now) > MARGIN.min(lifetime / 2)
    }

    /// The time until it expires; zero afterwards.
    pub fn remaining(&self, now: SystemTime) -> Duration {
        self.expires_at.duration_since(now).unwrap_or_default()
    }
}

/// What a grant yields.
#[derive(Debug)]
pub struct Granted {
    pub access: AccessToken,
    /// Replaces the one that was used, if any.
    pub refresh: Option<Secret>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(lifetime: u64) -> AccessToken {
        let obtained_at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        AccessToken {
            secret: Secret::new("t"),
            obtained_at,
            expires_at: obtained_at + Duration::from_secs(lifetime),
        }
    }

    #[test]
    fn fresh_until_five_minutes_before_expiry() {
        let token = token(3599);
        let at = |seconds| token.obtained_at + Duration::from_secs(seconds);
        assert!(token.is_fresh(at(0)));
        assert!(token.is_fresh(at(3298)));
        assert!(!token.is_fresh(at(3299)));
        assert!(!token.is_fresh(at(10_000)));
    }

    #[test]
    fn short_lived_tokens_are_used_for_half_of_their_life() {
        let token = token(60);
        assert!(token.is_fresh(token.obtained_at + Duration::from_secs(29)));
        assert!(!token.is_fresh(token.obtained_at + Duration::from_secs(30)));
    }

    #[test]
    fn a_token_from_the_future_is_not_trusted() {
        let token = token(3599);
        assert!(!token.is_fresh(token.obtained_at - Duration::from_secs(3600)));
    }
}

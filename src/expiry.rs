//! What will stop working by itself: client secrets, whose end the configuration records, and
//! certificates, which tell theirs.

use crate::config::{Config, quoted};
use crate::fault::Fault;
use crate::x509;
use jiff::Timestamp;
use std::io::Read;
use std::path::Path;

/// How long ahead an end is told of, in seconds: 30 days.
pub const NOTICE: i64 = 30 * 86_400;

/// The size up to which a PEM file is read, in octets.
const MAX_PEM: u64 = 1 << 20;

/// Something that ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// `secret` or `certificate`.
    pub kind: &'static str,
    /// The configured server's name.
    pub server: String,
    pub at: Timestamp,
}

/// The ends of all servers' secrets and certificates, as far as they are known.
pub fn of_servers(config: &Config) -> Vec<Expiry> {
    let incoming = config
        .incoming_servers
        .iter()
        .map(|s| (&s.name, s.secret_expires, s.certificate.as_deref()));
    let outgoing = config
        .outgoing_servers
        .iter()
        .map(|s| (&s.name, s.secret_expires, s.certificate.as_deref()));
    incoming
        .chain(outgoing)
        .flat_map(|(name, secret, certificate)| {
            let expiry = |kind, at| Expiry {
                kind,
                server: name.clone(),
                at,
            };
            let secret = secret.map(|day| expiry("secret", day.begins()));
            let certificate = certificate
                .and_then(of_pem)
                .map(|at| expiry("certificate", at));
            secret.into_iter().chain(certificate)
        })
        .collect()
}

/// The end of a PEM file's certificate; `None` where it cannot be read, which signing in tells.
fn of_pem(path: &Path) -> Option<Timestamp> {
    let mut text = String::new();
    let file = std::fs::File::open(path).ok()?;
    file.take(MAX_PEM).read_to_string(&mut text).ok()?;
    x509::pem_not_after(&text)
}

impl Expiry {
    /// What to tell of it, if its end is near or past.
    pub fn warning(&self, now: Timestamp) -> Option<Fault> {
        let Expiry { kind, server, at } = self;
        let when = near(*at, now)?;
        let name = quoted(Path::new(server));
        let remedy = match *kind {
            "secret" => format!(
                "make a new one in the app registration, then: queuemail server set {name} --secret-stdin --secret-expires DATE"
            ),
            _ => format!(
                "upload a new one to the app registration, then: queuemail server set {name} --certificate PEM --private-key PEM"
            ),
        };
        let what = format!("the {kind} of server `{server}` {when}");
        Some(Fault::try_later(what).hint(remedy))
    }
}

/// `expires on DATE, in N days`, or that it is past; `None` while it is further away than
/// [`NOTICE`].
pub fn near(at: Timestamp, now: Timestamp) -> Option<String> {
    let left = at.as_second() - now.as_second();
    (left < NOTICE).then(|| ends(at, now))
}

/// The same, however far away.
pub fn ends(at: Timestamp, now: Timestamp) -> String {
    let day = at.to_zoned_datetime(jiff::tz::TimeZone::UTC).date();
    match at.as_second() - now.as_second() {
        left if left <= 0 => format!("expired on {day}"),
        left => match left / 86_400 {
            0 => format!("expires on {day}, within a day"),
            1 => format!("expires on {day}, in 1 day"),
            days => format!("expires on {day}, in {days} days"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_told_thirty_days_ahead() {
        let at: Timestamp = "2027-03-04T00:00:00Z".parse().unwrap();
        let before = |seconds: i64| Timestamp::from_second(at.as_second() - seconds).unwrap();
        assert_eq!(near(at, before(NOTICE)), None);
        for (seconds, expected) in [
            (NOTICE - 1, "expires on 2027-03-04, in 29 days"),
            (86_400, "expires on 2027-03-04, in 1 day"),
            (1, "expires on 2027-03-04, within a day"),
            (0, "expired on 2027-03-04"),
            (-86_400, "expired on 2027-03-04"),
        ] {
            assert_eq!(near(at, before(seconds)).as_deref(), Some(expected));
        }
    }
}

//! What will stop working by itself: client secrets, whose end the configuration records, and
//! certificates, which tell theirs.

use crate::fault::{Cause, Fault};
use crate::model::Credentials;
use crate::office::Office;
use crate::shell;
use crate::x509;
use jiff::Timestamp;

/// How long ahead an end is told of, in seconds: 30 days.
pub const NOTICE: i64 = 30 * 86_400;

/// Something that ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// `secret` or `certificate`.
    pub kind: &'static str,
    /// The configured server's name.
    pub server: String,
    /// The options with which another one is given.
    options: &'static str,
    pub at: Timestamp,
}

/// The ends of secrets and certificates of all servers, as far as they are known.
pub fn of_servers(office: &Office<'_>) -> Vec<Expiry> {
    let incoming = office.incoming.iter();
    let outgoing = office.outgoing.iter();
    incoming
        .map(|s| (s.name.as_str(), s.credentials()))
        .chain(outgoing.map(|s| (s.name.as_str(), s.credentials())))
        .flat_map(|(name, credentials)| of_server(name, &credentials))
        .collect()
}

/// The same of one server.
pub fn of_server(name: &str, c: &Credentials<'_>) -> Vec<Expiry> {
    let expiry = |kind, options, at| Expiry {
        kind,
        server: name.to_owned(),
        options,
        at,
    };
    let secret = c.secret_expires.map(|day| {
        let options = "--secret-stdin --secret-expires DATE";
        expiry("secret", options, day.begins())
    });
    let certificate = of_certificate(c).map(|at| {
        let options = match c.private_key {
            Some(_) => "--certificate PEM --private-key PEM",
            None => "--certificate FILE",
        };
        expiry("certificate", options, at)
    });
    secret.into_iter().chain(certificate).collect()
}

/// The end of a certificate; `None` where it cannot be read, which signing in tells.
fn of_certificate(c: &Credentials<'_>) -> Option<Timestamp> {
    x509::end_of(c.certificate.as_deref()?, || {
        let source = c.certificate_passphrase.as_ref()?;
        source.resolve("the passphrase of a certificate").ok()
    })
}

impl Expiry {
    /// What to tell of it, if its end is near or past.
    pub fn warning(&self, now: Timestamp) -> Option<Fault> {
        let Expiry {
            kind,
            server,
            options,
            at,
        } = self;
        let when = near(*at, now)?;
        let name = shell::quote(server);
        let (cause, first) = match *kind {
            "secret" => (
                Cause::SecretEnds,
                "create a new one in the app registration",
            ),
            _ => (
                Cause::CertificateEnds,
                "upload a new one to the app registration",
            ),
        };
        let remedy = format!("{first}, then: queuemail server set {name} {options}");
        let what = format!("the {kind} of server `{server}` {when}");
        let fault = Fault::try_later(what).cause(cause).hint(remedy);
        // What has ended proves nothing any more.
        Some(match at.as_second() > now.as_second() {
            true => fault.hint(format!(
                "or let the app renew it: queuemail server rotate {name}"
            )),
            false => fault,
        })
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

//! SASL strings that carry an OAuth access token; pure.
//!
//! XOAUTH2 is the vendor's mechanism and the only one that Exchange Online offers; OAUTHBEARER
//! is its standard successor (RFC 7628). After a refusal both may send a challenge with a JSON
//! text, which the client answers with an empty line (XOAUTH2) or one 0x01 (RFC 7628 §3.2.3).

use crate::fault::Fault;
use crate::secret::Secret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// How a client signs in.
pub struct Mechanism {
    pub name: &'static str,
    /// The token and what belongs to it, in base64: the initial response.
    pub response: Secret,
    /// What answers the challenge by which a server tells of a refusal: nothing, or 0x01 in base64.
    pub last: &'static str,
}

impl Mechanism {
    /// Chooses from those that the server `offers`, XOAUTH2 first; `None` where it offers neither.
    ///
    /// # Errors
    /// Those of `offers`, and as [`xoauth2`].
    pub fn choose<E: From<Fault>>(
        mut offers: impl FnMut(&str) -> Result<bool, E>,
        user: &str,
        host: &str,
        port: u16,
        token: &Secret,
    ) -> Result<Option<Mechanism>, E> {
        let (name, response, last) = if offers("XOAUTH2")? {
            ("XOAUTH2", xoauth2(user, token)?, "")
        } else if offers("OAUTHBEARER")? {
            let response = oauthbearer(user, host, port, token)?;
            ("OAUTHBEARER", response, "AQ==")
        } else {
            return Ok(None);
        };
        Ok(Some(Mechanism {
            name,
            response,
            last,
        }))
    }
}

/// The initial response of XOAUTH2 for `user`, in base64.
///
/// # Errors
/// A control character in the name or the token, which would end its field early.
pub fn xoauth2(user: &str, token: &Secret) -> Result<Secret, Fault> {
    check(user, token)?;
    Ok(base64(format!(
        "user={user}\x01auth=Bearer {}\x01\x01",
        token.expose()
    )))
}

/// The initial response of OAUTHBEARER (RFC 7628 §3.1), in base64.
///
/// # Errors
/// As [`xoauth2`].
fn oauthbearer(user: &str, host: &str, port: u16, token: &Secret) -> Result<Secret, Fault> {
    check(user, token)?;
    // RFC 5801 §4: a saslname writes `=` as =3D and `,` as =2C.
    let name = user.replace('=', "=3D").replace(',', "=2C");
    Ok(base64(format!(
        "n,a={name},\x01host={host}\x01port={port}\x01auth=Bearer {}\x01\x01",
        token.expose()
    )))
}

/// The form for the wire: one line, padding kept.
fn base64(response: String) -> Secret {
    Secret::new(STANDARD.encode(Secret::new(response).expose()))
}

/// A challenge as text, if it is base64 of anything; at most 4 KiB of it.
pub fn challenge(text: &str) -> Option<String> {
    let mut octets = STANDARD.decode(text.trim()).ok()?;
    octets.truncate(4 << 10);
    (!octets.is_empty()).then(|| String::from_utf8_lossy(&octets).into_owned())
}

fn check(user: &str, token: &Secret) -> Result<(), Fault> {
    if user.is_empty() || user.chars().any(char::is_control) {
        return Err(Fault::config(format!(
            "the account `{}` cannot be used to sign in: it is empty or contains a control character",
            user.escape_debug()
        )));
    }
    // RFC 6750 §2.1: a bearer token is printable ASCII without spaces.
    if token.is_empty() || !token.expose().bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Fault::config(
            "the access token is empty or contains a character that is not allowed in tokens",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check vector of Microsoft's page on OAuth for IMAP, POP and SMTP.
    #[test]
    fn xoauth2_is_as_the_vendor_shows() {
        let token = Secret::new("EwBAAl3BAAUFFpUAo7J3Ve0bjLBWZWCclRC3EoAA");
        let response = xoauth2("test@contoso.onmicrosoft.com", &token).unwrap();
        assert_eq!(
            response.expose(),
            "dXNlcj10ZXN0QGNvbnRvc28ub25taWNyb3NvZnQuY29tAWF1dGg9QmVhcmVyIEV3QkFBbDNCQUFVRkZwVUFvN0ozVmUwYmpMQldaV0NjbFJDM0VvQUEBAQ=="
        );
    }

    /// The example of RFC 7628 §4.1, with its own user, host and token.
    #[test]
    fn oauthbearer_is_as_rfc_7628_shows() {
        let token = Secret::new("vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==");
        let response = oauthbearer("user@example.com", "server.example.com", 143, &token).unwrap();
        assert_eq!(
            response.expose(),
            "bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dGg9QmVhcmVyIHZGOWRmdDRxbVRjMk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB"
        );
    }

    #[test]
    fn a_comma_in_the_name_stays_in_the_name() {
        let response = oauthbearer("a,b=c", "h", 1, &Secret::new("t")).unwrap();
        let response = challenge(response.expose()).unwrap();
        assert!(response.starts_with("n,a=a=2Cb=3Dc,\x01"));
    }

    #[test]
    fn nothing_can_end_a_field_early() {
        let token = Secret::new("t");
        assert!(xoauth2("a\x01auth=Bearer x", &token).is_err());
        assert!(xoauth2("", &token).is_err());
        assert!(xoauth2("a@contoso.com", &Secret::new("t\r\nA1 LOGOUT")).is_err());
        assert!(xoauth2("a@contoso.com", &Secret::new("")).is_err());
    }

    #[test]
    fn a_challenge_is_read_or_ignored() {
        assert_eq!(
            challenge("eyJzdGF0dXMiOiI0MDAifQ==").as_deref(),
            Some("{\"status\":\"400\"}")
        );
        assert_eq!(challenge(""), None);
        assert_eq!(challenge("not base64!"), None);
    }
}

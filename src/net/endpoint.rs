//! Where a mail protocol is spoken: a transport URL and what it says of TLS.

use crate::fault::Scene;
use std::fmt;
use std::str::FromStr;

/// When TLS starts on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// From the first octet (`imaps://`, `smtps://`).
    Implicit,
    /// After STARTTLS, without which nothing more is said (`imap://`, `smtp://`).
    StartTls,
}

/// Where a mail protocol is spoken, and how TLS starts there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub scheme: String,
    pub tls: TlsMode,
    pub host: String,
    pub port: u16,
}

impl Endpoint {
    /// Names it in the scene of an error.
    pub fn name_in(&self, scene: &mut Scene) {
        scene.host = Some(self.host.clone());
        scene.port = Some(self.port.to_string());
        scene.endpoint = Some(self.to_string());
    }
}

impl FromStr for Endpoint {
    type Err = String;

    /// Reads `imaps://host[:993]`, `imap://host[:143]`, `smtps://host[:465]` or
    /// `smtp://host[:587]`; the error is a phrase for the person who wrote it.
    fn from_str(text: &str) -> Result<Endpoint, String> {
        if !text.contains("://") {
            return Err(format!(
                "`{text}` does not say how to connect: use imaps://HOST or smtps://HOST (TLS from the start), imap://HOST or smtp://HOST (STARTTLS)"
            ));
        }
        let url = url::Url::parse(text).map_err(|e| format!("`{text}` is not a URL: {e}"))?;
        let (tls, port) = match url.scheme() {
            "imaps" => (TlsMode::Implicit, 993),
            "imap" => (TlsMode::StartTls, 143),
            "smtps" => (TlsMode::Implicit, 465),
            "smtp" => (TlsMode::StartTls, 587),
            other => {
                return Err(format!(
                    "`{other}://` is not a mail protocol: use imaps:// or smtps:// (TLS from the start), imap:// or smtp:// (STARTTLS)"
                ));
            }
        };
        let host = url
            .host_str()
            .filter(|h| !h.is_empty())
            .ok_or_else(|| format!("`{text}` has no host"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(format!(
                "`{}://…` must not contain a user name or password",
                url.scheme()
            ));
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(format!("`{text}` must end after the host and port"));
        }
        Ok(Endpoint {
            scheme: url.scheme().to_owned(),
            tls,
            host: host.trim_matches(['[', ']']).to_owned(),
            port: url.port().unwrap_or(port),
        })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Endpoint {
            scheme, host, port, ..
        } = self;
        match host.contains(':') {
            true => write!(f, "{scheme}://[{host}]:{port}"),
            false => write!(f, "{scheme}://{host}:{port}"),
        }
    }
}

//! URLs that fetched mail is posted to.

use std::fmt;
use std::str::FromStr;
use url::{Host, Url};

/// A URL that mail may be posted to: `https://`, and `http://` on this very host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostUrl(Url);

impl PostUrl {
    pub fn url(&self) -> &Url {
        &self.0
    }
}

impl fmt::Display for PostUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl FromStr for PostUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<PostUrl, String> {
        checked(text, Part::Path).map(PostUrl)
    }
}

/// How much of a URL may be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Host,
    /// Such a URL has no query: that is where keys are given, and it is shown and on record.
    Path,
}

/// A URL of HTTPS, or of HTTP on this very host.
///
/// # Errors
/// A phrase that holds no more of the URL than may be told.
pub(super) fn checked(text: &str, told: Part) -> Result<Url, String> {
    // A password or query may be a secret: it is not repeated.
    let (scheme, rest) = text.split_once("://").unwrap_or_default();
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let host = rest.split(['/', '\\']).next().unwrap_or_default();
    let open = host.rfind('@').map_or(rest, |at| &rest[at + 1..]);
    let open = match told {
        Part::Host => open.split(['/', '\\']).next().unwrap_or_default(),
        Part::Path => open,
    };
    let shown = format!("{scheme}://{open}");
    let wrong = |why: &str| Err(format!("invalid URL `{shown}`: {why}"));
    if text
        .chars()
        .any(|c| c.is_whitespace() || c.is_control() || c == '\\')
    {
        return wrong("it must not contain spaces or backslashes");
    }
    if rest.is_empty() || rest.starts_with('/') {
        return wrong("it must begin with https:// and a host");
    }
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(e) => return wrong(&e.to_string()),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return wrong(match told {
            Part::Host => "it must not contain a user name or password",
            Part::Path => "put the user name and password into `authorization` of `webhooks`",
        });
    }
    match told {
        Part::Host if url.fragment().is_some() => return wrong("it must not contain `#`"),
        Part::Path if url.query().is_some() || url.fragment().is_some() => {
            return wrong("it must not contain `?` or `#`");
        }
        _ => {}
    }
    let is_here = match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => return wrong("it has no host"),
    };
    if url.scheme() != "https" && !(url.scheme() == "http" && is_here) {
        return wrong(
            "it must begin with https:// (http:// is only for this host, like http://127.0.0.1:8080/)",
        );
    }
    // `..`, however it is written, would lead elsewhere than the text seems to say.
    let parts = rest.matches('/').count().max(1);
    if url.path().matches('/').count() != parts {
        return wrong("its path must not contain the parts `.` and `..`");
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_goes_out_in_tls_to_the_path_that_is_written() {
        for text in [
            "https://a.example",
            "http://127.0.0.1:8080/in",
            "http://[::1]/in",
            "http://localhost/",
        ] {
            assert!(text.parse::<PostUrl>().is_ok(), "{text}");
        }
        for text in [
            "http://a.example/",
            "http://localhost.a.example/",
            "ftp://a.example/",
            "https:///in",
            "https://a.example/in/../out",
            "https://a.example/in/%2e%2E/out",
            "https://a.example/in#x",
            "https://a.example/in?key=cAnArY",
            "https://a.example/in\\x",
            "https://a.example/a b",
            "https://eva:cAnArY@a.example/",
        ] {
            let refused = text.parse::<PostUrl>().unwrap_err();
            assert!(!refused.contains("cAnArY"), "{refused}");
        }
    }
}

//! URLs that fetched mail is posted to, and what goes with a post.

use super::check::Found;
use super::model::Config;
use super::secret_source::{SecretSource, Secrets};
use schemars::JsonSchema;
use serde::Deserialize;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use url::{Host, Url};

/// What goes with the mail that is posted to the URLs that begin so.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// How the URLs begin, up to the end of a part of their path: https://HOST[:PORT][/PATH].
    pub url: PostUrl,
    /// Signs each post as Standard Webhooks 1.0 has it: whsec_ and base64, or where it is read from;
    /// a list of two while the receiver changes from one to the other.
    pub secret: Option<Secrets>,
    /// The value of the header field Authorization, like `Basic …` or `Bearer …`, or where it is
    /// read from.
    pub authorization: Option<SecretSource>,
    /// A PEM file of authorities to trust in addition to the system's.
    pub ca_file: Option<PathBuf>,
    /// The value of the header field Content-Type; `message/rfc822` where absent.
    pub content_type: Option<String>,
    /// Adds the header fields of CloudEvents 1.0 (`ce-id` and others).
    #[serde(default)]
    pub cloudevents: bool,
    /// `check` sends a HEAD request, and does not just connect.
    #[serde(default)]
    pub probe: bool,
}

impl Webhook {
    /// True if what goes with this webhook goes to this URL: the same scheme, host and port, and
    /// the same path or one below it.
    pub fn covers(&self, url: &Url) -> bool {
        let own = &self.url.0;
        let below = url.path().strip_prefix(own.path());
        own.origin() == url.origin()
            && below.is_some_and(|rest| {
                rest.is_empty() || rest.starts_with('/') || own.path().ends_with('/')
            })
    }
}

/// The webhook of a URL: of several the one with the longest URL.
pub fn webhook_of<'a>(webhooks: &'a [Webhook], url: &Url) -> Option<&'a Webhook> {
    let all = webhooks.iter().filter(|webhook| webhook.covers(url));
    all.max_by_key(|webhook| webhook.url.0.path().len())
}

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
        // A password or query may be a secret: it is not repeated.
        let (scheme, rest) = text.split_once("://").unwrap_or_default();
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        let host = rest.split(['/', '\\']).next().unwrap_or_default();
        let open = host.rfind('@').map_or(rest, |at| &rest[at + 1..]);
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
            return wrong("a user name and password belong into `authorization` of `webhooks`");
        }
        // A query is where keys are given, and a target is shown and on record.
        if url.query().is_some() || url.fragment().is_some() {
            return wrong("it must not contain `?` or `#`");
        }
        let is_here = match url.host() {
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => return wrong("it has no host"),
        };
        if url.scheme() != "https" && !(url.scheme() == "http" && is_here) {
            return wrong(
                "it must begin with https:// (http:// is for this host alone, like http://127.0.0.1:8080/)",
            );
        }
        // `..`, however it is written, would lead elsewhere than the text seems to say.
        let parts = rest.matches('/').count().max(1);
        if url.path().matches('/').count() != parts {
            return wrong("its path must not contain the parts `.` and `..`");
        }
        Ok(PostUrl(url))
    }
}

/// What the types cannot see.
pub fn problems(config: &Config, found: &mut Found) {
    for (i, webhook) in config.webhooks.iter().enumerate() {
        let before = &config.webhooks[..i];
        if before.iter().any(|other| other.url == webhook.url) {
            found.add(
                &format!("webhooks[{i}].url"),
                format!("webhook `{}` twice", webhook.url),
                "give everything about a URL under one entry",
            );
        }
        let media_type = webhook.content_type.as_deref().unwrap_or("a/b");
        let visible = |c: char| c == ' ' || c.is_ascii_graphic();
        if !media_type.contains('/') || !media_type.chars().all(visible) {
            found.add(
                &format!("webhooks[{i}].content_type"),
                format!("a bad content type of webhook `{}`", webhook.url),
                "write it like message/rfc822",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn webhook(url: &str) -> Webhook {
        serde_yaml::from_str(&format!("url: '{url}'")).unwrap()
    }

    #[test]
    fn a_webhook_is_of_its_own_host_and_path_alone() {
        for (own, url, covers) in [
            ("https://a.example", "https://a.example/x", true),
            ("https://a.example/in", "https://a.example/in", true),
            ("https://a.example/in", "https://a.example:443/in/x", true),
            ("https://a.example/in/", "https://a.example/in/x", true),
            ("https://a.example/in", "https://a.example/inner", false),
            (
                "https://a.example",
                "https://a.example.evil.example/",
                false,
            ),
            ("https://a.example", "https://a.example:8443/", false),
            ("http://localhost", "https://localhost/", false),
        ] {
            let url = Url::parse(url).unwrap();
            assert_eq!(webhook(own).covers(&url), covers, "{own} {url}");
        }
        let all = [
            webhook("https://a.example"),
            webhook("https://a.example/in"),
        ];
        let url = Url::parse("https://a.example/in/x").unwrap();
        assert_eq!(webhook_of(&all, &url), Some(&all[1]));
    }

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

//! What goes with fetched mail that is posted to a URL.

use super::post_url::PostUrl;
use super::secret_source::{SecretSource, Secrets};
use super::tree::mapping;
use std::path::PathBuf;
use url::Url;

mapping! {
/// What goes with the mail that is posted to the URLs that begin so.
#[derive(Eq)]
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
}

impl Webhook {
    /// True if what goes with this webhook goes to this URL: the same scheme, host and port, and
    /// the same path or one below it.
    pub fn covers(&self, url: &Url) -> bool {
        let own = self.url.url();
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
    all.max_by_key(|webhook| webhook.url.url().path().len())
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
}

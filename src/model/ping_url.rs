//! URLs that are asked for to say that all is well.

use super::post_url::{Part, checked};
use std::fmt;
use std::str::FromStr;
use url::Url;

/// A URL that may be asked for: `https://`, and `http://` on this very host. Whoever knows it can
/// speak in the user's name, so its host alone is shown.
#[derive(Clone, PartialEq, Eq)]
pub struct PingUrl(Url);

impl PingUrl {
    pub fn url(&self) -> &Url {
        &self.0
    }
}

impl fmt::Display for PingUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.origin().ascii_serialization())
    }
}

impl fmt::Debug for PingUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PingUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<PingUrl, String> {
        checked(text, Part::Host).map(PingUrl)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_host_alone_is_shown() {
        let url: PingUrl = "https://hc.example:8443/cAnArY?status=up&k=cAnArY"
            .parse()
            .unwrap();
        assert_eq!(
            format!("{url} {url:?}"),
            "https://hc.example:8443 https://hc.example:8443"
        );
        for text in [
            "http://hc.example/cAnArY",
            "https://cAnArY:cAnArY@hc.example/",
            "https://hc.example/cAnArY#x",
            "ftp://hc.example/cAnArY",
            "https://hc.example:99999/cAnArY",
            "https://hc.example/a/../cAnArY?x=cAnArY",
            "cAnArY",
        ] {
            let refused = text.parse::<PingUrl>().unwrap_err();
            assert!(!refused.contains("cAnArY"), "{refused}");
        }
    }
}

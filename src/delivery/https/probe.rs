//! Looks whether mail could be posted to a URL, without posting any.

use super::answer::{Meaning, meaning, not_answered, wrong};
use super::destination::{Credentials, Destination};
use crate::fault::Fault;
use crate::http::Lost;
use crate::net;
use anyhow::Result;
use http::{Request, StatusCode};

/// Whether the URL's host can be connected to, in TLS where the URL asks for it; and, where the
/// configuration wants that, what it answers to HEAD.
///
/// # Errors
/// As those of a post.
pub fn probe(to: &Destination) -> Result<String> {
    let Credentials { fields, mask, .. } = to.credentials()?;
    let agent = to.agent()?;
    if to.webhook.as_ref().is_some_and(|webhook| webhook.probe) {
        let mut request = Request::head(to.url.url().as_str()).body(Vec::new())?;
        *request.headers_mut() = fields;
        let answer = agent.open(request).map_err(|lost| {
            not_answered(
                to,
                Lost {
                    begun: false,
                    handed_over: false,
                    ..lost
                },
            )
        })?;
        let status = answer.status();
        let said = format!("`{to}` answered {status} to HEAD");
        return match meaning(status) {
            Meaning::Taken => Ok(format!("{to}: {status}")),
            // It is there, and takes other methods.
            _ if status == StatusCode::METHOD_NOT_ALLOWED => Ok(format!("{to}: {status}")),
            Meaning::Wrong(kind) => Err(wrong(to, kind, said, &mask, answer.headers()).into()),
            Meaning::Never | Meaning::Later => Err(Fault::try_later(said).into()),
        };
    }
    let (host, port) = to.host();
    if !to.is_plain() && agent.is_proxied(host) {
        return Ok(format!("{to}: through the proxy, not tried"));
    }
    let settings = to.settings();
    let reached = match to.is_plain() {
        true => net::connect(host, port, &settings).map(drop),
        false => net::try_tls(host, port, &settings),
    };
    let cannot = |err: anyhow::Error| match err.downcast::<Fault>() {
        Ok(fault) => to.unusable(fault).into(),
        Err(err) => err,
    };
    reached.map_err(cannot)?;
    Ok(match to.is_plain() {
        true => format!("{to}: connects"),
        false => format!("{to}: connects with TLS"),
    })
}

//! Watches a connection, from a host's name to a signed-in session: each of its stages becomes a step.
//! It is the connection that `reach` opens for whoever fetches or sends.

use super::Walk;
use crate::expiry;
use crate::fault::{Cause, Fault, kind_of};
use crate::http;
use crate::net::{Settings, Stage, Watch};
use crate::workers::locked;
use crate::x509;
use anyhow::Result;
use jiff::Timestamp;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use url::Url;

/// What the steps of one way to a host are called, in their order.
#[derive(Clone, Copy, Debug)]
pub struct Names {
    pub token: &'static str,
    pub claims: &'static str,
    pub name: &'static str,
    pub connection: &'static str,
    pub tls: &'static str,
    /// Empty where nobody signs in by a step of its own.
    pub sign_in: &'static str,
}

impl Names {
    pub fn all(self) -> impl Iterator<Item = &'static str> {
        let all = [
            self.token,
            self.claims,
            self.name,
            self.connection,
            self.tls,
            self.sign_in,
        ];
        all.into_iter().filter(|name| !name.is_empty())
    }
}

/// Connects and signs in by `open`, whose settings are watched; each stage is a step. Gives the
/// session, or the error of the sign-in, which the caller turns into a step.
pub fn watch<T>(
    walk: &mut Walk,
    names: Names,
    host: &str,
    mut settings: Settings,
    open: impl FnOnce(&Settings) -> Result<T>,
) -> Option<(Result<T>, Duration)> {
    let seen: Arc<Mutex<Vec<(Stage, Instant)>>> = Arc::default();
    let told = Arc::clone(&seen);
    settings.watch = Watch::new(move |stage| {
        let mut seen = locked(&told);
        seen.push((stage, Instant::now()));
    });
    let start = Instant::now();
    let opened = open(&settings);
    let took = start.elapsed();
    let stages = locked(&seen).clone();
    let mut last = start;
    let mut passed = 0;
    // A second connection is a second attempt; the steps are those of the first.
    for (stage, at) in &stages {
        let took = at.duration_since(last);
        match (stage, passed) {
            (Stage::Named(addresses), 0) => {
                let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
                walk.passed(
                    names.name,
                    format!("{host}: {}", addresses.join(", ")),
                    took,
                );
            }
            (Stage::Connected(address), 1) => {
                walk.passed(names.connection, address.to_string(), took);
            }
            (Stage::Secured(certificate), 2) => secured(walk, names.tls, host, certificate, took),
            _ => continue,
        }
        last = *at;
        passed += 1;
    }
    let left = took.saturating_sub(last.duration_since(start));
    match (opened, passed) {
        (opened, 3) => Some((opened, left)),
        (Err(err), passed) => {
            walk.failed([names.name, names.connection, names.tls][passed], err, left);
            None
        }
        // It works, though nobody said how: nothing to say of the stages.
        (opened, _) => Some((opened, left)),
    }
}

/// The same for an HTTPS host, where nobody signs in. Through a proxy the stages are the proxy's
/// affair.
pub fn watch_by_https<T>(
    walk: &mut Walk,
    names: Names,
    root: &str,
    settings: Settings,
    open: impl FnOnce(&Settings) -> Result<T>,
) -> Option<(Result<T>, Duration)> {
    let url = Url::parse(root).ok();
    let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
    let port = url.as_ref().and_then(Url::port).unwrap_or(443);
    walk.scene.host = Some(host.to_owned());
    walk.scene.port = Some(port.to_string());
    walk.scene.endpoint = None;
    match http::is_proxied(host) {
        Ok(false) => watch(walk, names, host, settings, open),
        Ok(true) => {
            let opened = walk.step(names.connection, || {
                Ok((open(&settings)?, "through the proxy".to_owned()))
            })?;
            Some((Ok(opened), Duration::ZERO))
        }
        Err(fault) => {
            walk.failed(names.name, fault.into(), Duration::ZERO);
            None
        }
    }
}

fn secured(
    walk: &mut Walk,
    name: &'static str,
    host: &str,
    certificate: &Option<Vec<u8>>,
    took: Duration,
) {
    let now = Timestamp::now();
    match certificate.as_deref().and_then(x509::not_after) {
        Some(end) if expiry::near(end, now).is_some() => {
            let when = expiry::ends(end, now);
            let fault = Fault::try_later(format!("the certificate of host `{host}` {when}"))
                .cause(Cause::HostCertificateEnds)
                .at(host, None);
            walk.warned(name, fault, took);
        }
        Some(end) => walk.passed(
            name,
            format!("certificate {}", expiry::ends(end, now)),
            took,
        ),
        None => walk.passed(name, "", took),
    }
}

/// True for a refusal that another token could turn.
pub fn is_refusal(err: &anyhow::Error) -> bool {
    kind_of(err) == crate::fault::Kind::SignIn
}

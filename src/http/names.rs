//! Names of hosts for HTTPS, beneath ureq: looked up as every host is. ureq's own look-up panics where
//! the system gives no thread for it.

use crate::net;
use std::io::ErrorKind;
use std::time::{Duration, Instant};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// Where ureq says no time.
const LONGEST: Duration = Duration::from_secs(3600);
/// More addresses of a host are not tried; as many as ureq takes.
const MOST: usize = 16;

/// Looks names up.
#[derive(Debug)]
pub struct Names;

impl Resolver for Names {
    fn resolve(
        &self,
        uri: &Uri,
        _: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let usual = match uri.scheme_str() {
            Some("http") => 80,
            _ => 443,
        };
        let port = uri.port_u16().unwrap_or(usual);
        let time = timeout.not_zero().map_or(LONGEST, |time| *time);
        let found =
            net::resolve(host, port, Instant::now() + time).map_err(|e| match e.kind() {
                ErrorKind::TimedOut => ureq::Error::Timeout(timeout.reason),
                _ => ureq::Error::Io(e),
            })?;
        let mut addresses = self.empty();
        found
            .into_iter()
            .take(MOST)
            .for_each(|one| addresses.push(one));
        match addresses.is_empty() {
            true => Err(ureq::Error::HostNotFound),
            false => Ok(addresses),
        }
    }
}

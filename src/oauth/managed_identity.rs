//! Managed identities: the Azure host that we run on vouches for us, and there is no secret.
//!
//! A virtual machine has the instance metadata service at a link-local address; App Service and
//! its kin name a service on the loopback in `IDENTITY_ENDPOINT`. Both speak plain HTTP that never
//! leaves the host, and only with those do we.

use super::answer::{GrantError, TokenAnswer};
use super::exchange::ask;
use super::grant::Granted;
use crate::fault::{Fault, Kind};
use crate::http::Agent;
use std::time::SystemTime;

/// The instance metadata service.
const METADATA: &str = "http://169.254.169.254/metadata/identity/oauth2/token";

/// A token for `scope` (a resource followed by `/.default`) of the identity `client_id`.
pub fn managed_identity(
    agent: &Agent,
    client_id: &str,
    scope: &str,
) -> Result<Granted, GrantError> {
    let variable = |name| std::env::var(name).ok().filter(|v: &String| !v.is_empty());
    let resource = scope.trim_end_matches("/.default");
    let (endpoint, version, header) =
        match (variable("IDENTITY_ENDPOINT"), variable("IDENTITY_HEADER")) {
            (Some(endpoint), Some(header)) => {
                (endpoint, "2019-08-01", ("X-IDENTITY-HEADER", header))
            }
            _ => (
                METADATA.to_owned(),
                "2018-02-01",
                ("Metadata", "true".to_owned()),
            ),
        };
    let mut url = url::Url::parse(&endpoint)
        .ok()
        .filter(is_local)
        .ok_or_else(|| {
            Fault::config(format!(
                "IDENTITY_ENDPOINT `{endpoint}` is no http:// address of this host"
            ))
        })?;
    url.query_pairs_mut()
        .append_pair("api-version", version)
        .append_pair("resource", resource)
        .append_pair("client_id", client_id);
    let request = http::Request::get(url.as_str())
        .header(header.0, header.1)
        .body(Vec::new())
        .map_err(|e| Fault::config(format!("`{endpoint}` cannot be asked: {e}")))?;
    let asked_at = SystemTime::now();
    let answer: TokenAnswer = ask(agent, request).map_err(|mut e| {
        if e.fault.kind == Kind::TryLater && e.fault.server_said.is_none() {
            e.fault = e.fault.hint("a managed identity exists on Azure hosts only; elsewhere use a certificate, a federated token or a secret");
        }
        e
    })?;
    let (access, _) = answer.checked(asked_at)?;
    Ok(Granted {
        access,
        refresh: None,
    })
}

fn is_local(url: &url::Url) -> bool {
    url.scheme() == "http"
        && match url.host() {
            Some(url::Host::Ipv4(ip)) => ip.is_loopback() || ip.is_link_local(),
            Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
            Some(url::Host::Domain(name)) => name == "localhost",
            None => false,
        }
}

//! Managed identities: the Azure host vouches for the program that runs on it, and there is no
//! secret.
//!
//! - A virtual machine has the instance metadata service at a link-local address. As Microsoft's
//!   SDKs do, `AZURE_POD_IDENTITY_AUTHORITY_HOST` may name another one.
//! - App Service and its kin name a service on the loopback, or at the other end of a container's
//!   bridge, in `IDENTITY_ENDPOINT`, and the proof that this is the app in `IDENTITY_HEADER`.
//! - A machine elsewhere that Azure Arc manages names one in `IDENTITY_ENDPOINT` and has
//!   `IMDS_ENDPOINT`, too. It asks for a proof that the program may read a file.
//!
//! All speak plain HTTP that never leaves the host, and the program speaks it with those alone.

use super::answer::{TokenAnswer, truncate};
use super::token::Granted;
use super::trace;
use crate::fault::Fault;
use crate::http::{Agent, retry_after};
use crate::secret::{Mask, Secret};
use http::{Request, Response};
use serde_json::Value;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// The instance metadata service.
const METADATA: &str = "http://169.254.169.254";
/// Its variable in Microsoft's SDKs.
const AUTHORITY_HOST: &str = "AZURE_POD_IDENTITY_AUTHORITY_HOST";
/// The largest answer that is read, in octets.
const LARGEST_ANSWER: u64 = 1 << 20;
/// Where Azure Arc's agent puts its challenges on Linux, and how large one may be, in octets.
const ARC_TOKENS: &str = "/var/opt/azcmagent/tokens";
const LARGEST_CHALLENGE: u64 = 4096;
/// Pauses before the service is asked again, which Microsoft wants to grow.
const PAUSES: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];
/// An instance metadata service that answers 410 is being updated, for up to 70 seconds.
const UPDATE: Duration = Duration::from_secs(70);

const ELSEWHERE: &str = "a managed identity exists on Azure hosts only; elsewhere use a certificate, a federated token or a secret";

/// Who vouches for the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Host {
    Machine,
    AppService,
    Arc,
}

/// A service and how it is asked.
struct Service {
    host: Host,
    url: url::Url,
    /// What App Service knows the program by.
    proof: Option<Secret>,
}

/// A token for `scope` (a resource followed by `/.default`) of the identity `client_id`, or, with
/// none, of the host's own; `server` is whose configuration says so, as a shell takes it.
///
/// # Errors
/// `TryLater` where nobody answers or the service is not ready, `SignIn` where it has no such
/// identity, `Config` where a variable does not name a service of this host.
pub fn managed_identity(
    agent: &Agent,
    client_id: Option<&str>,
    scope: &str,
    server: &str,
) -> Result<Granted, Fault> {
    let mut service = Service::find(|name| std::env::var(name).ok().filter(|v| !v.is_empty()))?;
    let resource = scope.trim_end_matches("/.default");
    let mut query = service.url.query_pairs_mut();
    query.append_pair("api-version", service.host.api_version());
    query.append_pair("resource", resource);
    if let Some(client_id) = client_id {
        query.append_pair("client_id", client_id);
    }
    drop(query);
    let mut pauses = PAUSES.iter();
    loop {
        let asked_at = SystemTime::now();
        let (response, mask) = service.ask(agent)?;
        let status = response.status().as_u16();
        if status == 200 {
            return granted(&response, asked_at);
        }
        if !service.host.is_passing(status) {
            return Err(service.refused(&response, &mask, client_id, server));
        }
        match pauses.next() {
            Some(pause) => std::thread::sleep(*pause),
            None => return Err(service.not_ready(&response, &mask)),
        }
    }
}

fn granted(response: &Response<Vec<u8>>, asked_at: SystemTime) -> Result<Granted, Fault> {
    // The place is not told, for the value may be the token.
    let answer: TokenAnswer = serde_json::from_slice(response.body()).map_err(|e| {
        let what = "the answer of the managed identity's service cannot be used";
        match e.is_eof() {
            true => Fault::try_later(format!("{what}: it is incomplete")),
            false => Fault::refused(format!("{what}: it is not a token")),
        }
    })?;
    Ok(Granted {
        refresh: None,
        ..answer.checked(asked_at)?
    })
}

impl Host {
    fn api_version(self) -> &'static str {
        match self {
            Host::Machine => "2018-02-01",
            Host::AppService => "2019-08-01",
            Host::Arc => "2020-06-01",
        }
    }

    /// A state that passes by itself: Microsoft says so of 404 and 410 for virtual machines alone.
    fn is_passing(self, status: u16) -> bool {
        status == 429 || status >= 500 || self == Host::Machine && matches!(status, 404 | 410)
    }

    fn name(self) -> &'static str {
        match self {
            Host::Machine => "the instance metadata service",
            Host::AppService => "the identity service of App Service",
            Host::Arc => "the agent of Azure Arc",
        }
    }
}

impl Service {
    fn find(variable: impl Fn(&str) -> Option<String>) -> Result<Service, Fault> {
        let endpoint = variable("IDENTITY_ENDPOINT");
        let proof = variable("IDENTITY_HEADER").map(Secret::new);
        let (host, name, text) = match (endpoint, &proof) {
            (Some(endpoint), Some(_)) => (Host::AppService, "IDENTITY_ENDPOINT", endpoint),
            (Some(endpoint), None) if variable("IMDS_ENDPOINT").is_some() => {
                (Host::Arc, "IDENTITY_ENDPOINT", endpoint)
            }
            _ => {
                let host = variable(AUTHORITY_HOST).unwrap_or_else(|| METADATA.to_owned());
                let host = host.trim_end_matches('/');
                let url = format!("{host}/metadata/identity/oauth2/token");
                (Host::Machine, AUTHORITY_HOST, url)
            }
        };
        let url = url::Url::parse(&text)
            .ok()
            .filter(|url| is_local(url, host == Host::AppService))
            .ok_or_else(|| {
                Fault::config(format!(
                    "{name} `{text}` is not an http:// address of this host"
                ))
            })?;
        Ok(Service {
            host,
            url,
            proof: proof.filter(|_| host == Host::AppService),
        })
    }

    /// The answer, and what it may repeat and must not be shown.
    fn ask(&self, agent: &Agent) -> Result<(Response<Vec<u8>>, Mask), Fault> {
        let proof = self.proof.as_ref().map(|p| ("X-IDENTITY-HEADER", p));
        let (response, mask) = self.call(agent, proof)?;
        if self.host != Host::Arc || response.status() != 401 {
            return Ok((response, mask));
        }
        let challenge = Secret::new(format!("Basic {}", challenge(&response)?.expose()));
        self.call(agent, Some(("Authorization", &challenge)))
    }

    fn call(
        &self,
        agent: &Agent,
        proof: Option<(&str, &Secret)>,
    ) -> Result<(Response<Vec<u8>>, Mask), Fault> {
        let mut request = Request::get(self.url.as_str()).header("Metadata", "true");
        if let Some((name, value)) = proof {
            request = request.header(name, value.expose());
        }
        let request = request.body(Vec::new()).map_err(|e| {
            Fault::config(format!(
                "cannot build a request to {}: {e}",
                self.host.name()
            ))
        })?;
        let mask = Mask::new(trace::secrets_of(&request));
        let response = trace::call(agent, request, LARGEST_ANSWER, &mask)
            .map_err(|fault| fault.hint(ELSEWHERE))?;
        Ok((response, mask))
    }

    /// The service's words: OAuth's, App Service's, or whatever came; `mask` is what they repeat.
    fn words(response: &Response<Vec<u8>>, mask: &Mask) -> String {
        let body = response.body();
        let json = serde_json::from_slice::<Value>(body).unwrap_or_default();
        let text = |name: &str| json[name].as_str().filter(|text| !text.is_empty());
        let mut words = match (text("error"), text("error_description"), text("message")) {
            (Some(error), Some(description), _) => format!("{error}: {description}"),
            (Some(words), None, _) | (None, _, Some(words)) => words.to_owned(),
            _ => String::from_utf8_lossy(body).trim().to_owned(),
        };
        truncate(&mut words, 4000);
        let mut words = mask.hide(&words);
        truncate(&mut words, 500);
        format!("HTTP status {}: {words}", response.status().as_u16())
    }

    fn not_ready(&self, response: &Response<Vec<u8>>, mask: &Mask) -> Fault {
        let wait = match response.status().as_u16() {
            410 => Some(UPDATE),
            _ => retry_after(response.headers(), SystemTime::now()),
        };
        Fault::try_later(format!("{} is not ready", self.host.name()))
            .said(Self::words(response, mask))
            .retry_after(wait)
    }

    fn refused(
        &self,
        response: &Response<Vec<u8>>,
        mask: &Mask,
        client_id: Option<&str>,
        server: &str,
    ) -> Fault {
        let words = Self::words(response, mask);
        // A proxy, or a container's host, in its place.
        if serde_json::from_slice::<Value>(response.body()).is_err() {
            return Fault::try_later(format!("{} does not answer", self.host.name()))
                .said(words)
                .hint(ELSEWHERE);
        }
        let fault = Fault::no_access(format!("{} returned no token", self.host.name()));
        // It passes on what Entra ID says, which is explained as everywhere else.
        if words.contains("AADSTS") {
            return fault.said(words);
        }
        let set = format!("queuemail server set {server}");
        let several = ["Multiple user assigned", "proper Managed Identity"]
            .iter()
            .any(|text| words.contains(text));
        let az = match self.host {
            Host::AppService => "az webapp identity assign --name APP --resource-group GROUP",
            _ => "az vm identity assign --name VM --resource-group GROUP",
        };
        let fault = fault.said(words);
        match (client_id, self.host) {
            (Some(_), Host::Arc) => fault.hint(format!(
                "usually Azure Arc has only the identity of the machine: `{set} --managed-identity=system --client-id ID`"
            )),
            (Some(id), _) => fault
                .hint(format!(
                    "usually the host has no identity with the client ID {id}: {az} --identities RESOURCE-ID"
                ))
                .hint(format!(
                    "for the identity of the host: `{set} --managed-identity=system --client-id ID`, with its Application ID"
                )),
            (None, _) if several => fault.hint(format!(
                "usually the host has several user-assigned identities and no system-assigned identity; name one by its client ID: `{set} --managed-identity --client-id ID`"
            )),
            (None, Host::Arc) => fault.hint("show the state of the agent: azcmagent show"),
            (None, _) => fault.hint(format!("usually the host has no system-assigned identity: {az}")),
        }
    }
}

/// The content of the file that Azure Arc's agent names: only who may read it gets a token.
fn challenge(response: &Response<Vec<u8>>) -> Result<Secret, Fault> {
    let odd = |why: &str| {
        Fault::no_access(format!(
            "queuemail cannot give the proof that the agent of Azure Arc requests: {why}"
        ))
    };
    let header = response.headers().get("www-authenticate");
    let realm = header
        .and_then(|value| value.to_str().ok()?.strip_prefix("Basic realm="))
        .ok_or_else(|| odd("it names no file"))?;
    let path = Path::new(realm.trim_matches('"'));
    // Whoever listens there must not make the program send another file.
    let is_its_own = path.parent() == Some(Path::new(ARC_TOKENS))
        && path.extension().is_some_and(|extension| extension == "key");
    if !is_its_own {
        return Err(odd(&format!("its file is not below {ARC_TOKENS}")));
    }
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(LARGEST_CHALLENGE).read_to_string(&mut text))
        .map_err(|e| {
            odd(&format!("`{}`: {e}", path.display())).hint(
                "the user who runs queuemail must be in the group himds: usermod -aG himds USER",
            )
            .by_system(&e)
        })?;
    Ok(Secret::new(text.trim()))
}

fn is_local(url: &url::Url, may_be_bridged: bool) -> bool {
    url.scheme() == "http"
        && match url.host() {
            Some(url::Host::Ipv4(ip)) => {
                ip.is_loopback() || ip.is_link_local() || may_be_bridged && ip.is_private()
            }
            Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
            Some(url::Host::Domain(name)) => name == "localhost",
            None => false,
        }
}

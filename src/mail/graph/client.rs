//! Calls to Graph: addresses, header fields, and the patience that Graph asks for.
//!
//! Each call carries the token, `Prefer: IdType="ImmutableId"` and an id of its own that
//! Microsoft's support can find. A link that Graph gives is followed only on the configured host,
//! so that no token leaves for another. Short waits are waited here, for all threads; a longer
//! one ends the run and is the caller's to remember.

use super::faults::{Failure, Meaning, Refusal};
use crate::digest;
use crate::fault::{Fault, Kind, Scope};
use crate::http::{Agent, Incoming, Lost};
use crate::mail::TokenExpired;
use crate::output::escape;
use crate::secret::{Mask, Secret};
use crate::workers::locked;
use ::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use ::http::{HeaderValue, Method, Request, Response};
use anyhow::Result;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use url::Url;

/// Every id in requests and answers outlives a move (facts: ids change with the folder otherwise).
pub const IMMUTABLE: &str = r#"IdType="ImmutableId""#;
/// Largest JSON answer, in octets.
const JSON_LIMIT: u64 = 8 << 20;
/// Largest body of an error that is read, in octets.
const ERROR_LIMIT: u64 = 64 << 10;
/// Waits up to this long are waited within the run.
const SHORT: Duration = Duration::from_secs(10);
/// So often in a row a call may be asked to wait.
const PATIENCE: u32 = 5;

/// Graph, for one mailbox with one token.
pub struct Client {
    agent: Agent,
    /// The service root with its version, no slash at its end.
    pub(super) root: Url,
    /// The mailbox: an address or GUID.
    pub user: String,
    token: Secret,
    /// What a server may repeat and nobody may see: the token, and the one before it.
    mask: Mask,
    /// No call before this time.
    not_before: Mutex<Option<Instant>>,
    /// The token has been accepted.
    known_good: AtomicBool,
}

/// A page of a list.
#[derive(Deserialize)]
pub struct Page<T> {
    pub value: Vec<T>,
    #[serde(rename = "@odata.nextLink")]
    pub next: Option<String>,
    #[serde(rename = "@odata.deltaLink")]
    pub delta: Option<String>,
}

/// The body of a call and its content type.
pub type Body<'a> = Option<(&'static str, &'a [u8])>;

impl Client {
    /// `root` is the service root: without a path, v1.0 is added. `agent` is told each call and
    /// answer; no secret is in that.
    ///
    /// # Errors
    /// `Config` where it is not a URL.
    pub fn new(agent: Agent, root: &str, user: &str, token: Secret) -> Result<Client> {
        let bad = |e: &dyn std::fmt::Display| {
            Fault::config(format!("`{root}` is not an address of Graph: {e}"))
        };
        let mut url = Url::parse(root.trim_end_matches('/')).map_err(|e| bad(&e))?;
        if url.cannot_be_a_base() || url.scheme() != "https" {
            return Err(bad(&"it must begin with https://").into());
        }
        if matches!(url.path(), "" | "/") {
            url.set_path("/v1.0");
        }
        Ok(Client {
            agent,
            root: url,
            user: user.to_owned(),
            mask: Mask::new([token.clone()]),
            token,
            not_before: Mutex::new(None),
            known_good: AtomicBool::new(false),
        })
    }

    pub fn host(&self) -> &str {
        self.root.host_str().unwrap_or_default()
    }

    pub fn set_token(&mut self, token: Secret) {
        let before = std::mem::replace(&mut self.token, token.clone());
        self.mask = Mask::new([before, token]);
    }

    /// An address below the mailbox. Each segment is encoded as a whole, for ids are a server's
    /// words and folder names a person's.
    pub fn url(&self, segments: &[&str]) -> Url {
        self.service_url(&[&["users", self.user.as_str()], segments].concat())
    }

    /// An address below the service root.
    pub fn service_url(&self, segments: &[&str]) -> Url {
        let mut url = self.root.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.extend(segments);
        }
        url
    }

    /// A link that Graph gave.
    ///
    /// # Errors
    /// `Refused` where it leads to another host: the token must not go there.
    pub fn link(&self, text: &str) -> Result<Url, Fault> {
        Url::parse(text)
            .ok()
            .filter(|url| url.origin() == self.root.origin() && url.username().is_empty())
            .ok_or_else(|| {
                Fault::refused(format!("`{}` returned a link to another host", self.host()))
                    .said(self.hidden(&text.chars().take(200).collect::<String>()))
            })
    }

    fn request(
        &self,
        method: &Method,
        url: &Url,
        prefer: &str,
        body: Body<'_>,
        id: &str,
    ) -> Result<Request<Vec<u8>>, Fault> {
        let bearer = format!("Bearer {}", self.token.expose());
        let mut bearer = HeaderValue::from_str(&bearer).map_err(|_| {
            let what = "the access token contains characters that no token has";
            Fault::no_access(what)
        })?;
        bearer.set_sensitive(true);
        let mut request = Request::builder()
            .method(method)
            .uri(url.as_str())
            .header(AUTHORIZATION, bearer)
            .header(ACCEPT, "application/json")
            .header("client-request-id", id)
            .header("return-client-request-id", "true");
        if !prefer.is_empty() {
            request = request.header("prefer", prefer);
        }
        if let Some((kind, _)) = body {
            request = request.header(CONTENT_TYPE, kind);
        }
        let octets = body.map(|(_, octets)| octets.to_vec()).unwrap_or_default();
        request
            .body(octets)
            .map_err(|e| Fault::bug(format!("a request to Graph cannot be built: {e}")))
    }

    /// Calls once and opens the answer.
    pub fn open(
        &self,
        method: &Method,
        url: &Url,
        prefer: &str,
        body: Body<'_>,
    ) -> Result<Response<Incoming>, Lost> {
        self.wait_for_leave();
        // Without random numbers the id names nothing; no call depends on it.
        let id = digest::guid().unwrap_or_default();
        let request = self.request(method, url, prefer, body, &id);
        let request = request.map_err(|fault| Lost {
            fault,
            handed_over: false,
            begun: false,
        })?;
        self.agent
            .tell(|| format!("graph > {method} {} [{id}]", self.hidden(&shown(url))));
        let response = self.agent.open(request).map_err(|mut lost| {
            // The service may have seen it, and then knows it by this alone.
            if lost.handed_over {
                lost.fault.what = format!("{} (client-request-id {id})", lost.fault.what);
            }
            lost
        });
        self.agent.tell(|| match &response {
            Ok(response) => format!(
                "graph < {} [{id}] request-id {}",
                response.status(),
                match self.request_id(response) {
                    Some(id) => escape(&id),
                    None => "-".to_owned(),
                }
            ),
            Err(lost) => format!("graph ! [{id}] {}", escape(&lost.fault.what)),
        });
        if response.as_ref().is_ok_and(|r| r.status().is_success()) {
            self.known_good.store(true, Ordering::Relaxed);
        }
        response
    }

    /// Calls once, and opens an answer that says success.
    pub fn call(
        &self,
        method: &Method,
        url: &Url,
        prefer: &str,
        body: Body<'_>,
    ) -> Result<Response<Incoming>, Failure> {
        let response = self.open(method, url, prefer, body)?;
        match response.status().is_success() {
            true => Ok(response),
            false => Err(self.refusal(response).into()),
        }
    }

    /// Calls, with patience, and reads the answer's JSON; `null` where there is no body.
    pub fn json<T: DeserializeOwned>(
        &self,
        method: &Method,
        url: &Url,
        prefer: &str,
        body: Option<&Value>,
    ) -> Result<T, Failure> {
        let body = body.map(ToString::to_string);
        let body = body
            .as_ref()
            .map(|text| ("application/json", text.as_bytes()));
        self.patiently(|| self.read_json(self.call(method, url, prefer, body)?))
    }

    /// Reads the JSON of an answer that says success; `null` where there is no body. An object
    /// that holds an error is a refusal, whatever the status says: gateways have been seen to
    /// answer 200 to all.
    pub fn read_json<T: DeserializeOwned>(
        &self,
        response: Response<Incoming>,
    ) -> Result<T, Failure> {
        let id = self.in_brackets(&response);
        let (parts, body) = response.into_parts();
        let octets = body.read_all(JSON_LIMIT).map_err(|mut fault| {
            fault.what.push_str(&id);
            fault
        })?;
        if Refusal::is_in(&octets) {
            let refusal = Refusal::read(parts.status.as_u16(), &parts.headers, &octets);
            return Err(self.masked(refusal).into());
        }
        let octets = if octets.is_empty() {
            b"null"
        } else {
            &octets[..]
        };
        serde_json::from_slice(octets).map_err(|e| {
            Fault::try_later(format!(
                "`{}` sent an answer that cannot be read: {}{id}",
                self.host(),
                self.hidden(&e.to_string())
            ))
            .into()
        })
    }

    /// Asks for the folder itself: whether the mailbox and this folder answer, when a call on
    /// one of its messages was refused. Gives whether the answer was framed (see
    /// [`Incoming::is_framed`]).
    pub fn ask_folder(&self, folder: &str) -> Result<bool, Failure> {
        let mut url = self.url(&["mailFolders", folder]);
        url.set_query(Some("$select=id"));
        self.patiently(|| {
            let response = self.call(&Method::GET, &url, IMMUTABLE, None)?;
            let is_framed = response.body().is_framed();
            let found: Value = self.read_json(response)?;
            match found["id"].is_string() {
                true => Ok(is_framed),
                false => {
                    Err(Fault::try_later(format!("`{}` returned no folder", self.host())).into())
                }
            }
        })
    }

    /// Repeats a call that is asked to wait a little.
    pub fn patiently<T>(&self, mut call: impl FnMut() -> Result<T, Failure>) -> Result<T, Failure> {
        let mut asked = 0;
        loop {
            let failure = match call() {
                Err(failure) => failure,
                done => return done,
            };
            let Failure::Refused(refusal) = &failure else {
                return Err(failure);
            };
            asked += 1;
            if !self.may_wait(refusal, asked) {
                return Err(failure);
            }
        }
    }

    /// Takes note of a wait that is short enough to be waited; `asked` counts the calls so far.
    pub fn may_wait(&self, refusal: &Refusal, asked: u32) -> bool {
        if refusal.meaning() != Meaning::Throttled || asked >= PATIENCE {
            return false;
        }
        let wait = refusal
            .retry_after
            .unwrap_or(Duration::from_secs(1 << asked.min(3)));
        if wait > SHORT {
            return false;
        }
        self.agent
            .tell(|| format!("graph: waiting {} s, as requested", wait.as_secs_f32()));
        let until = Instant::now() + wait;
        let mut not_before = locked(&self.not_before);
        *not_before = Some(not_before.map_or(until, |earlier| earlier.max(until)));
        true
    }

    /// How long no call may be made yet.
    fn left_to_wait(&self) -> Option<Duration> {
        let until = *locked(&self.not_before);
        let left = until?.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    pub fn is_waiting(&self) -> bool {
        self.left_to_wait().is_some()
    }

    fn wait_for_leave(&self) {
        while let Some(left) = self.left_to_wait() {
            std::thread::sleep(left);
        }
    }

    /// Puts octets to the address of an upload session, which needs no token and gets none; the
    /// address is a secret in itself. `content_range` as RFC 9110 §14.4 has it.
    pub fn put(&self, address: &str, content_range: &str, octets: &[u8]) -> Result<u16, Failure> {
        // Without encryption anybody on the way could read the attachment, or keep it.
        if !Url::parse(address).is_ok_and(|url| url.scheme() == "https") {
            return Err(Fault::refused(format!(
                "`{}` returned an address for an upload that does not begin with https://",
                self.host()
            ))
            .into());
        }
        let request = Request::builder()
            .method(Method::PUT)
            .uri(address)
            .header("content-range", content_range)
            .header(CONTENT_TYPE, "application/octet-stream")
            .body(octets.to_vec())
            .map_err(|_| Fault::try_later("the address of an upload session cannot be read"))?;
        self.agent
            .tell(|| format!("graph > PUT (an upload session) {content_range}"));
        let response = self.agent.open(request)?;
        if !response.status().is_success() {
            let own = Mask::new([Secret::new(address)]);
            return Err(self.refusal(response).without(&own).into());
        }
        let status = response.status().as_u16();
        self.agent.tell(|| format!("graph < {status}"));
        response.into_body().read_all(ERROR_LIMIT)?;
        Ok(status)
    }

    /// A list that does not come to its end.
    pub fn endless(&self, of: &str) -> Failure {
        Fault::try_later(format!("`{}` lists {of} without an end", self.host())).into()
    }

    /// The error of a call that failed: `what` could not be done.
    pub fn fault(&self, what: &str, failure: Failure) -> anyhow::Error {
        match failure {
            Failure::Refused(refusal) => {
                let known_good = self.known_good.load(Ordering::Relaxed);
                let fault = refusal.fault(self.host(), &self.user, what, known_good);
                match refusal.token_expired(known_good) {
                    true => anyhow::Error::new(fault).context(TokenExpired),
                    false => fault.into(),
                }
            }
            Failure::Lost(fault) => anyhow::Error::new(fault).context(what.to_owned()),
        }
    }

    /// The same of a message that was refused for itself. A wait that is asked for its sake makes
    /// no other wait.
    pub fn refused(&self, what: &str, refusal: Refusal) -> Fault {
        let fault = refusal.fault(self.host(), &self.user, what, false);
        Fault {
            // The token, the mailbox and the rest are well, for the folder answers.
            kind: match fault.kind {
                kind @ (Kind::TryLater | Kind::SignIn) => kind,
                _ => Kind::Refused,
            },
            what: what.to_owned(),
            retry_after: None,
            ..fault
        }
        .of(Scope::Message)
    }

    /// What an answer refuses.
    pub fn refusal(&self, response: Response<Incoming>) -> Refusal {
        let (parts, body) = response.into_parts();
        let body = body.read_all(ERROR_LIMIT).unwrap_or_default();
        self.masked(Refusal::read(parts.status.as_u16(), &parts.headers, &body))
    }

    /// A refusal that does not repeat the token.
    pub fn masked(&self, refusal: Refusal) -> Refusal {
        refusal.without(&self.mask)
    }

    /// A server's words without the token.
    pub fn hidden(&self, words: &str) -> String {
        self.mask.hide(words)
    }

    /// What Microsoft's support finds a call by.
    pub fn request_id(&self, response: &Response<Incoming>) -> Option<String> {
        let id = response.headers().get("request-id")?.to_str().ok()?;
        (id.len() < 100).then(|| self.hidden(id))
    }

    /// The same in brackets; nothing where the answer has none.
    pub fn in_brackets(&self, response: &Response<Incoming>) -> String {
        self.request_id(response)
            .map_or_else(String::new, |id| format!(" (request-id {id})"))
    }
}

/// An address for the trace: without the long tokens of paging.
fn shown(url: &Url) -> String {
    let query = url.query().unwrap_or_default();
    let cut: String = query.chars().take(80).collect();
    match query.is_empty() {
        true => url.path().to_owned(),
        false => format!("{}?{cut}", url.path()),
    }
}

/// A text within an OData query: in quotes, and encoded so that none of it is read as more query.
pub fn odata_text(text: &str) -> String {
    let mut out = String::from("'");
    for octet in text.replace('\'', "''").bytes() {
        match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'\'' => {
                out.push(octet as char);
            }
            _ => out.push_str(&format!("%{octet:02X}")),
        }
    }
    out.push('\'');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Settings;

    fn client(root: &str) -> Client {
        let settings = Settings {
            connect_timeout: SHORT,
            io_timeout: SHORT,
            ca_file: None,
            watch: Default::default(),
        };
        let agent = Agent::new(&settings).unwrap();
        Client::new(agent, root, "Ä b@contoso.example", Secret::new("t")).unwrap()
    }

    #[test]
    fn addresses_are_encoded_segment_by_segment() {
        let graph = client("https://graph.example/");
        assert_eq!(
            graph.url(&["messages", "A/../B?C="]).as_str(),
            "https://graph.example/v1.0/users/%C3%84%20b@contoso.example/messages/A%2F..%2FB%3FC="
        );
        let own = client("https://localhost:8443/beta");
        assert!(
            own.url(&[])
                .as_str()
                .starts_with("https://localhost:8443/beta/users/")
        );
        assert_eq!(
            own.relative(&own.url(&["x"])),
            "/users/%C3%84%20b@contoso.example/x"
        );
    }

    #[test]
    fn no_link_leads_to_another_host() {
        let graph = client("https://graph.example");
        assert!(
            graph
                .link("https://graph.example/v1.0/users/x?$skiptoken=1")
                .is_ok()
        );
        for bad in [
            "https://graph.example.evil.example/v1.0",
            "http://graph.example/v1.0",
            "https://graph.example:444/v1.0",
            "https://user@graph.example/v1.0",
            "//graph.example/v1.0",
            "",
        ] {
            assert!(graph.link(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_name_cannot_leave_its_quotes() {
        assert_eq!(odata_text("O'Neil & #1"), "'O''Neil%20%26%20%231'");
    }
}

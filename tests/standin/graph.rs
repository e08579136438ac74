//! Microsoft Graph v1.0 for mail: who may, batches, errors, and the way to each resource.

use super::echo::spelled;
use std::collections::HashMap;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use serde_json::{Value, json};

use super::graph_faults::GraphFault;
use super::graph_send::Attached;
use super::http::{Request, Response};
use super::records::GraphCall;
use super::tokens::{self, GRAPH};
use super::world::{World, guid};
use super::{graph_apps, graph_mail, graph_send};

/// What Graph remembers beside the mailboxes.
#[derive(Default)]
pub struct State {
    /// Of each delta token, what the client knows: id and whether read.
    pub deltas: HashMap<String, HashMap<String, bool>>,
    /// Of each skip token, the entries still to come, and the delta token at the end.
    pub pages: HashMap<String, (Vec<Value>, Option<String>)>,
    /// Attachments of drafts.
    pub attachments: HashMap<String, Vec<Attached>>,
    /// Upload sessions: draft, size, and the attachment with the octets so far.
    pub uploads: HashMap<String, (String, u64, Attached)>,
    /// Requests under way, by mailbox.
    pub under_way: HashMap<String, i32>,
    /// All that was asked and answered, once that is wanted.
    pub calls: Option<Vec<GraphCall>>,
}

impl State {
    pub fn expire_deltas(&mut self) {
        self.deltas.clear();
        self.pages.clear();
    }
}

/// A request with its bearer's claims, its mailbox, and the path below the mailbox.
pub struct Call<'a> {
    pub world: &'a World,
    pub request: &'a Request,
    pub claims: &'a Value,
    pub mailbox: String,
    pub path: Vec<String>,
}

impl Call<'_> {
    pub fn query(&self, name: &str) -> Option<&str> {
        let mut found = self.request.query.iter().filter(|(own, _)| own == name);
        found.next().map(|(_, value)| value.as_str())
    }

    pub fn immutable(&self) -> bool {
        self.prefers("IdType=\"ImmutableId\"").is_some()
    }

    /// What follows this text in `Prefer`.
    pub fn prefers(&self, text: &str) -> Option<String> {
        let prefer = self.request.header("prefer")?;
        let rest = prefer.split_once(text)?.1;
        Some(
            rest.split([',', ';'])
                .next()
                .unwrap_or_default()
                .to_string(),
        )
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.request.body).unwrap_or(Value::Null)
    }

    /// A parameter of an action: `destinationId` in the documentation, `DestinationId` in the
    /// metadata and from the official clients.
    pub fn parameter(&self, name: &str) -> Value {
        let body = self.json();
        let mut found = body.as_object().into_iter().flatten();
        let found = found.find(|(own, _)| own.eq_ignore_ascii_case(name));
        found.map_or(Value::Null, |(_, value)| value.clone())
    }

    pub fn root(&self) -> String {
        format!("{}/v1.0", self.world.login_url.get().unwrap())
    }

    /// Has the bearer one of these permissions for this mailbox?
    pub fn may(&self, names: &[&str]) -> Result<(), Response> {
        let roles = self.claims["roles"].as_array();
        let has_role = roles.is_some_and(|roles| {
            let mut roles = roles.iter().filter_map(Value::as_str);
            roles.any(|role| names.contains(&role))
        });
        let upn = self.claims["upn"].as_str().unwrap_or_default();
        let is_own = upn.eq_ignore_ascii_case(&self.mailbox);
        let scopes = self.claims["scp"].as_str().unwrap_or_default();
        let has_scope = scopes.split(' ').any(|scope| match is_own {
            true => names.contains(&scope.trim_end_matches(".Shared")),
            false => scope
                .strip_suffix(".Shared")
                .is_some_and(|name| names.contains(&name)),
        });
        let may_share =
            || is_own || tokens::may_open(self.claims, self.world.store().existing(&self.mailbox));
        let denied = self
            .world
            .faults
            .graph
            .denied
            .lock()
            .unwrap()
            .contains(&self.mailbox);
        let given = self.world.faults.graph.given_by_exchange.lock().unwrap();
        let has_role = has_role || upn.is_empty() && given.contains(&self.mailbox);
        if !denied && (has_role || has_scope && may_share()) {
            return Ok(());
        }
        let text = "Access is denied. Check credentials and try again.";
        Err(error(403, "ErrorAccessDenied", text))
    }
}

pub fn error(status: u16, code: &str, message: &str) -> Response {
    let date = jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%S")
        .to_string();
    Response::json(
        status,
        &json!({"error": {"code": code, "message": message, "innerError": {
            "date": date, "request-id": guid(), "client-request-id": guid()}}}),
    )
}

/// Answers one request of HTTP.
pub fn answer(world: &World, request: &Request) -> Response {
    let latency = world.faults.graph.latency.load(SeqCst);
    if latency > 0 {
        world.pause(Duration::from_millis(latency));
    }
    let path = request
        .path
        .split_once("/v1.0")
        .map_or("", |(_, path)| path);
    if let Some(token) = path.strip_prefix("/upload/") {
        let response = graph_send::upload(world, request, token);
        record(world, request, path, &response);
        return response;
    }
    let claims = match bearer(world, request) {
        Ok(claims) => claims,
        Err(refusal) => return refusal,
    };
    let response = match path {
        "/$batch" => {
            let response = spoiled(world, request, path, || batch(world, request, &claims));
            record(world, request, path, &response);
            response
        }
        _ => one(world, request, &claims, path),
    };
    let id = request
        .header("client-request-id")
        .map_or_else(guid, str::to_string);
    response
        .with("request-id", guid())
        .with("client-request-id", id)
}

fn bearer(world: &World, request: &Request) -> Result<Value, Response> {
    let refuse = |text: &str| error(401, "InvalidAuthenticationToken", text);
    let token = request
        .header("authorization")
        .and_then(|value| value.strip_prefix("Bearer "))
        .ok_or_else(|| refuse("Access token is empty."))?;
    let claims = tokens::check(world, token).map_err(|why| {
        refuse(match why.as_str() {
            "expired" => "Lifetime validation failed, the token is expired.",
            _ => "CompactToken validation failed.",
        })
    })?;
    match claims["aud"].as_str() == Some(GRAPH) {
        true => Ok(claims),
        false => Err(refuse("Access token validation failure. Invalid audience.")),
    }
}

/// JSON batching: each part as a request of its own, answers in another order.
fn batch(world: &World, request: &Request, claims: &Value) -> Response {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
    let parts = body["requests"].as_array().cloned().unwrap_or_default();
    if parts.is_empty() || parts.len() > 20 {
        return error(
            400,
            "BadRequest",
            "Number of batch request steps exceeds the maximum value of 20.",
        );
    }
    let mut responses = Vec::new();
    for part in parts.iter().rev() {
        let url = part["url"].as_str().unwrap_or_default();
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        let headers = part["headers"].as_object().into_iter().flatten();
        let inner = Request {
            method: part["method"].as_str().unwrap_or_default().to_string(),
            path: path.to_string(),
            query: url::form_urlencoded::parse(query.as_bytes())
                .into_owned()
                .collect(),
            headers: headers
                .map(|(name, value)| {
                    (
                        name.to_ascii_lowercase(),
                        value.as_str().unwrap_or_default().to_string(),
                    )
                })
                .collect(),
            body: match &part["body"] {
                Value::Null => Vec::new(),
                body => body.to_string().into_bytes(),
            },
        };
        let answer = one(world, &inner, claims, path);
        let mut headers = serde_json::Map::new();
        for (name, value) in &answer.headers {
            headers.insert(name.clone(), json!(value));
        }
        let mut response = json!({"id": part["id"], "status": answer.status, "headers": headers});
        if !answer.body.is_empty() {
            response["body"] = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
        }
        responses.push(response);
    }
    Response::json(200, &json!({"responses": responses}))
}

fn one(world: &World, request: &Request, claims: &Value, path: &str) -> Response {
    let response = spoiled(world, request, path, || route(world, request, claims, path));
    record(world, request, path, &response);
    response
}

/// Keeps a request and its answer, if anybody wants to see them.
fn record(world: &World, request: &Request, path: &str, response: &Response) {
    if let Some(calls) = &mut world.graph.lock().unwrap().calls {
        calls.push(GraphCall {
            method: request.method.clone(),
            path: path.to_string(),
            query: request.query.clone(),
            headers: request.headers.clone(),
            body: request.body.clone(),
            status: response.status,
            answer: (response.content_type, response.body.clone()),
        });
    }
}

/// What `act` answers, unless the script has something else.
fn spoiled(
    world: &World,
    request: &Request,
    path: &str,
    act: impl FnOnce() -> Response,
) -> Response {
    match world.faults.graph.take(path) {
        None => act(),
        Some(GraphFault::Error(status, code, message, wait)) => {
            let response = error(status, code, message);
            match wait {
                Some(seconds) => response.with("Retry-After", seconds),
                None => response,
            }
        }
        Some(GraphFault::Echo(status)) => {
            let token = request.header("authorization").unwrap_or_default();
            error(
                status,
                "Odd",
                &format!("Cannot read authorization: {token} {}", spelled(token)),
            )
            .with("request-id", token.get(7..90).unwrap_or_default())
            .with("date", token.get(40..80).unwrap_or_default())
        }
        Some(GraphFault::Html(status)) => {
            Response::html(status, "Our services aren't available right now")
        }
        Some(GraphFault::Redirect(status, target)) => {
            Response::html(status, "Moved").with("Location", target)
        }
        Some(GraphFault::Close) => silent(),
        Some(GraphFault::ActThenClose) => {
            act();
            silent()
        }
        Some(GraphFault::Cut(octets)) => {
            let mut response = act();
            response.cut = Some(octets);
            response
        }
        Some(GraphFault::ActThenStatus(status)) => {
            act();
            Response::new(status, "text/plain", "")
        }
        Some(GraphFault::Delay(time)) => {
            world.pause(time);
            act()
        }
        Some(GraphFault::Odd(trick)) => {
            let mut response = act();
            response.trick = Some(Box::new(trick));
            response
        }
        Some(GraphFault::Body(body)) => Response::new(200, "application/json", body),
        Some(GraphFault::Instead(kind, body)) => Response::new(200, kind, body),
    }
}

fn silent() -> Response {
    let mut response = Response::new(200, "text/plain", "");
    response.silent = true;
    response
}

fn route(world: &World, request: &Request, claims: &Value, path: &str) -> Response {
    if let Some(rest) = path.strip_prefix("/applications") {
        return graph_apps::answer(world, request, claims, &decoded(rest));
    }
    let mut segments: Vec<String> = path.split('/').skip(1).map(decoded).collect();
    let user = match segments.first().map(String::as_str) {
        Some("me") => claims["upn"].as_str().unwrap_or_default().to_string(),
        Some("users") if segments.len() > 1 => segments.remove(1),
        _ => {
            let text = format!("Resource not found for the segment '{path}'.");
            return error(404, "ResourceNotFound", &text);
        }
    };
    segments.remove(0);
    let mailbox = match find_user(world, &user) {
        Ok(mailbox) => mailbox,
        Err(refusal) => return refusal,
    };
    let call = Call {
        world,
        request,
        claims,
        mailbox,
        path: segments,
    };
    at_once(&call, || act(&call))
}

/// More requests at once than Graph serves for a mailbox get 429.
fn at_once(call: &Call, act: impl FnOnce() -> Response) -> Response {
    let faults = &call.world.faults.graph;
    let most = match faults.concurrency.load(SeqCst) {
        0 => 4,
        most => most,
    };
    let count = |by: i32| {
        let mut state = call.world.graph.lock().unwrap();
        let under_way = state.under_way.entry(call.mailbox.clone()).or_default();
        *under_way += by;
        *under_way as u32
    };
    let under_way = count(1);
    faults.most_at_once.fetch_max(under_way, SeqCst);
    // While one is being served, others may come.
    std::thread::sleep(Duration::from_millis(1));
    let response = match under_way > most {
        true => error(
            429,
            "ApplicationThrottled",
            "Application is over its MailboxConcurrency limit.",
        )
        .with("Retry-After", 1),
        false => act(),
    };
    count(-1);
    response
}

fn act(call: &Call) -> Response {
    let request = call.request;
    let path: Vec<&str> = call.path.iter().map(String::as_str).collect();
    let sends = matches!(path[..], ["sendMail"] | ["messages", _, "send"]);
    let reads = request.method == "GET";
    let allowed = match (sends, reads) {
        (true, _) => call.may(&["Mail.Send"]),
        (_, true) => call.may(&["Mail.Read", "Mail.ReadWrite"]),
        _ => call.may(&["Mail.ReadWrite"]),
    };
    if let Err(refusal) = allowed {
        return refusal;
    }
    match (request.method.as_str(), &path[..]) {
        ("POST", ["sendMail"]) => graph_send::send_mail(call),
        ("POST", ["messages"]) => graph_send::draft(call),
        ("POST", ["messages", id, "send"]) => graph_send::send_draft(call, id),
        ("POST", ["messages", id, "attachments"]) => graph_send::attach(call, id),
        ("POST", ["messages", id, "attachments", "createUploadSession"]) => {
            graph_send::open_session(call, id)
        }
        _ => graph_mail::answer(call, &path),
    }
}

/// The mailbox of a user named by address or object ID.
fn find_user(world: &World, user: &str) -> Result<String, Response> {
    let directory = world.directory();
    let of_id = directory.users.values().find(|own| own.object_id == user);
    let address = of_id
        .map_or(user, |user| user.address.as_str())
        .to_ascii_lowercase();
    let is_known = directory.user(&address).is_some();
    drop(directory);
    let has_mailbox = world.store().get(&address).is_some();
    if !is_known && !has_mailbox {
        let text = format!("The requested user '{user}' is invalid.");
        return Err(error(404, "ErrorInvalidUser", &text));
    }
    if !has_mailbox
        || world
            .faults
            .graph
            .not_enabled
            .lock()
            .unwrap()
            .contains(&address)
    {
        let text = "The mailbox is either inactive, soft-deleted, or is hosted on-premise.";
        return Err(error(404, "MailboxNotEnabledForRESTAPI", text));
    }
    Ok(address)
}

fn decoded(segment: &str) -> String {
    let mut octets = Vec::new();
    let mut rest = segment.bytes();
    while let Some(octet) = rest.next() {
        match octet {
            b'%' => {
                let hex: Vec<u8> = rest.by_ref().take(2).collect();
                let hex = String::from_utf8_lossy(&hex).into_owned();
                octets.push(u8::from_str_radix(&hex, 16).unwrap_or(b'?'));
            }
            octet => octets.push(octet),
        }
    }
    String::from_utf8_lossy(&octets).into_owned()
}

//! What the program asks of Graph, and what the stand-in answers, is what Microsoft describes.
//!
//! The description is the one that Microsoft's SDK is generated from (`description.py`). Each call
//! of a run through all that the program does by Graph is held against it: the path, the method,
//! the query with the properties that it names, the body; and the answer, so that the stand-in's
//! shapes are Microsoft's, too.

use super::{Office, SUPPORT, sending};
use crate::official::python;
use crate::standin::GraphCall;
use crate::world::CLIENT_ID;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashSet};
use std::process::Command;

/// The operations that the program uses; those of a batch are marked.
const USED: &[&str] = &[
    "DELETE /users/{}/messages/{}",
    "GET /applications(appId='{appId}')",
    "GET /users/{}/mailFolders",
    "GET /users/{}/mailFolders/{}",
    "GET /users/{}/mailFolders/{}/childFolders",
    "GET /users/{}/mailFolders/{}/messages",
    "GET /users/{}/mailFolders/{}/messages/delta()",
    "GET /users/{}/mailFolders/{}/messages/{}/$value",
    "POST /applications/{}/addKey",
    "POST /applications/{}/addPassword",
    "POST /applications/{}/removeKey",
    "POST /applications/{}/removePassword",
    "POST /users/{}/mailFolders",
    "POST /users/{}/mailFolders/{}/childFolders",
    "POST /users/{}/messages",
    "POST /users/{}/messages/{}/attachments",
    "POST /users/{}/messages/{}/attachments/createUploadSession",
    "POST /users/{}/messages/{}/send",
    "POST /users/{}/sendMail",
    "batch: DELETE /users/{}/mailFolders/{}/messages/{}",
    "batch: GET /users/{}/mailFolders/{}/messages/{}",
    "batch: GET /users/{}/messages/{}",
    "batch: PATCH /users/{}/mailFolders/{}/messages/{}",
    "batch: POST /users/{}/mailFolders/{}/messages/{}/move",
];

/// The header fields that the program sends, beside those of every HTTP request.
const HEADERS: &[&str] = &[
    "authorization",
    "client-request-id",
    "content-range",
    "prefer",
    "return-client-request-id",
];

/// The operations whose body may be a message in MIME, in base64 as text/plain; the description
/// knows bodies of JSON alone. <https://learn.microsoft.com/graph/outlook-send-mime-message>
const MIME: [&str; 2] = ["/users/{}/sendMail", "/users/{}/messages"];

/// What a query is made of: a path below the service root, and parameters.
type Link = (String, Vec<(String, String)>);

struct Description(Value);

impl Description {
    fn read() -> Description {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/graph/description.py");
        let output = Command::new(python()).args(["-I", script]).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{output:?}");
        Description(serde_json::from_slice(&output.stdout).unwrap())
    }

    /// The operations that were called, and what in the calls is not as described.
    fn examine(&self, calls: &[GraphCall]) -> (BTreeSet<String>, Vec<String>) {
        let mut used = BTreeSet::new();
        let mut objections = Vec::new();
        let mut links: HashSet<Link> = HashSet::new();
        for call in calls {
            let mut found = Vec::new();
            if let Some(operation) = self.call(call, &links, &mut found) {
                used.insert(operation);
            }
            let told = |what| format!("{} {}: {what}", call.method, call.path);
            objections.extend(found.into_iter().map(told));
            links.extend(links_of(call));
        }
        (used, objections)
    }

    fn call(
        &self,
        call: &GraphCall,
        links: &HashSet<Link>,
        no: &mut Vec<String>,
    ) -> Option<String> {
        for (name, value) in &call.headers {
            let names = match name.as_str() {
                "prefer" => value.split(',').all(|wish| {
                    let wish = wish.trim();
                    wish == "IdType=\"ImmutableId\"" || wish.starts_with("odata.maxpagesize=")
                }),
                "accept" | "accept-encoding" | "connection" | "content-length" | "content-type"
                | "host" | "user-agent" | "expect" => true,
                other => HEADERS.contains(&other),
            };
            if !names {
                no.push(format!("the header field `{name}: {value}` is not known"));
            }
        }
        let link = (call.path.clone(), call.query.clone());
        if call.path.starts_with("/upload/") {
            if call.method != "PUT" || !links.contains(&link) {
                no.push("is no upload session that was opened".into());
            }
            return None;
        }
        if call.path == "/$batch" {
            batch(call, no);
            return None;
        }
        let Some((path, operation, query)) = self.operation(&call.method, &call.path) else {
            no.push("is not described".into());
            return None;
        };
        let answer = operation["answer"].as_str();
        let is_link = call
            .query
            .iter()
            .any(|(name, _)| matches!(name.as_str(), "$skiptoken" | "$deltatoken"));
        match is_link {
            true if !links.contains(&link) => no.push("is no link that was given".into()),
            true => {}
            false => self.query(call, query, answer, no),
        }
        self.body(call, path, operation["body"].as_str(), no);
        self.answer(call, answer, no);
        let part = !call.headers.iter().any(|(name, _)| name == "host");
        let part = if part { "batch: " } else { "" };
        Some(format!("{part}{} {path}", call.method))
    }

    /// The described path with its parameters as `{}`, what is said of the method, and the names
    /// of the query's parameters. Where several paths match, the one with fewer parameters.
    fn operation(&self, method: &str, path: &str) -> Option<(&'static str, &Value, &Value)> {
        let mut found: Vec<(String, &Value, &Value)> = Vec::new();
        for one in self.0["operations"].as_array().unwrap() {
            let template: Vec<&str> = one["path"].as_str().unwrap().split('/').collect();
            let segments: Vec<&str> = path.split('/').collect();
            let matches = template.len() == segments.len()
                && template.iter().zip(&segments).all(|(own, given)| {
                    // A function without parameters may be called without brackets.
                    own.starts_with('{')
                        || own.strip_suffix("()").unwrap_or(own) == *given
                        || own
                            .strip_suffix("{appId}')")
                            .is_some_and(|head| given.starts_with(head) && given.ends_with("')"))
                });
            if matches && one["methods"].get(method).is_some() {
                let named = template.iter().map(|own| match own.starts_with('{') {
                    true => "{}",
                    false => own,
                });
                let named: Vec<&str> = named.collect();
                found.push((named.join("/"), &one["methods"][method], &one["query"]));
            }
        }
        found.sort_by_key(|(path, ..)| path.matches("{}").count());
        let (path, operation, query) = found.into_iter().next()?;
        Some((path.leak(), operation, query))
    }

    fn query(&self, call: &GraphCall, known: &Value, answer: Option<&str>, no: &mut Vec<String>) {
        let entity = answer.map(|answer| {
            let list = self.property(answer, "value").unwrap_or(answer);
            list.trim_matches(['[', ']'])
        });
        for (name, value) in &call.query {
            if !known.as_array().unwrap().contains(&json!(name)) {
                no.push(format!("the parameter `{name}` is not described"));
            }
            let words: Vec<&str> = value.split_whitespace().collect();
            let properties: Vec<&str> = match name.as_str() {
                "$select" => value.split(',').collect(),
                "$orderby" => words.iter().take(1).copied().collect(),
                "$filter" => {
                    let compared = words
                        .windows(2)
                        .filter(|pair| ["eq", "ne", "gt", "ge", "lt", "le"].contains(&pair[1]))
                        .map(|pair| pair[0].trim_start_matches('('));
                    let searched = value.split("contains(").skip(1);
                    let searched = searched.filter_map(|rest| Some(rest.split_once(',')?.0));
                    compared.chain(searched).collect()
                }
                "$expand" => value.split('(').take(1).collect(),
                "$top" if value.parse::<u32>().is_ok() => continue,
                _ => Vec::new(),
            };
            if properties.is_empty() {
                no.push(format!(
                    "`{name}={value}` says nothing that can be examined"
                ));
            }
            for property in properties {
                // A path leads through the types of several properties.
                let mut names = property.split('/');
                let kind = names.try_fold(entity.unwrap_or_default(), |of, name| {
                    self.property(of.trim_matches(['[', ']']), name)
                });
                if entity.is_none() || kind.is_none() {
                    no.push(format!("`{name}` names `{property}`, which is no property"));
                }
            }
        }
    }

    fn body(&self, call: &GraphCall, path: &str, described: Option<&str>, no: &mut Vec<String>) {
        let kind = call.headers.iter().find(|(name, _)| name == "content-type");
        let kind = kind.map_or("", |(_, kind)| kind.as_str());
        match (described, kind) {
            (None, _) if call.body.is_empty() => {}
            (Some(_), "text/plain") if MIME.contains(&path) => {
                if STANDARD.decode(&call.body).is_err() {
                    no.push("the body is not in base64".into());
                }
            }
            (Some(described), "application/json") => match serde_json::from_slice(&call.body) {
                Ok(body) => self.value(described, &body, "body", no),
                Err(e) => no.push(format!("the body is no JSON: {e}")),
            },
            _ => no.push(format!(
                "a body of `{kind}`, where {described:?} is described"
            )),
        }
    }

    fn answer(&self, call: &GraphCall, described: Option<&str>, no: &mut Vec<String>) {
        let (kind, octets) = &call.answer;
        let json = kind.starts_with("application/json").then_some(octets);
        let json = json.map(|octets| serde_json::from_slice::<Value>(octets).unwrap());
        let error = self.0["error"].as_str();
        match (call.status, described, json) {
            (200..=299, None, None) if octets.is_empty() => {}
            (200..=299, Some("bytes"), None) => {}
            (200..=299, Some(described), Some(json)) => {
                self.value(described, &json, "answer", no);
            }
            (400.., _, Some(json)) => self.value(error.unwrap(), &json, "error", no),
            (status, described, _) => no.push(format!(
                "{status} with {} octets of `{kind}`, where {described:?} is described",
                octets.len()
            )),
        }
    }

    /// The type of a property, its own or inherited. Parameters of actions go by any case: the
    /// description writes `DestinationId` and the documentation `destinationId`.
    fn property(&self, owner: &str, name: &str) -> Option<&str> {
        let described = &self.0["types"][owner];
        let of_action = owner.ends_with("_post_request_body");
        let mut properties = described["properties"].as_object()?.iter();
        let found = properties
            .find(|(own, _)| *own == name || of_action && own.eq_ignore_ascii_case(name))
            .and_then(|(_, kind)| kind.as_str());
        found.or_else(|| self.property(described["base"].as_str()?, name))
    }

    /// Objects to a value that is not of this type; `at` is where it stands.
    fn value(&self, kind: &str, value: &Value, at: &str, no: &mut Vec<String>) {
        let text = value.as_str().unwrap_or_default();
        let fits = match kind {
            _ if value.is_null() => true,
            "str" => value.is_string(),
            "bool" => value.is_boolean(),
            "int" => value.is_i64(),
            "float" => value.is_number(),
            "uuid" => crate::standin::is_guid(text),
            "bytes" => value.is_string() && STANDARD.decode(text).is_ok(),
            // The dates of errors have no zone.
            "datetime" => {
                text.parse::<jiff::Timestamp>().is_ok()
                    || at.starts_with("error") && text.parse::<jiff::civil::DateTime>().is_ok()
            }
            list if list.starts_with('[') => {
                for (n, item) in value.as_array().into_iter().flatten().enumerate() {
                    self.value(
                        list.trim_matches(['[', ']']),
                        item,
                        &format!("{at}[{n}]"),
                        no,
                    );
                }
                value.is_array()
            }
            other => match self.0["types"][other]["values"].as_array() {
                Some(values) => values.contains(value),
                None => {
                    self.members(other, value, at, no);
                    value.is_object()
                }
            },
        };
        if !fits {
            no.push(format!("{at} is {value}, and no {kind}"));
        }
    }

    fn members(&self, kind: &str, value: &Value, at: &str, no: &mut Vec<String>) {
        let mut actual = kind;
        if let Some(derived) = value["@odata.type"].as_str() {
            match self.0["types"][kind]["derived"][derived].as_str() {
                Some(derived) => actual = derived,
                None => no.push(format!("{at} is a {derived}, which is no {kind}")),
            }
        }
        for (name, inner) in value.as_object().into_iter().flatten() {
            match self.property(actual, name) {
                Some(kind) => self.value(kind, inner, &format!("{at}.{name}"), no),
                // An annotation of OData.
                None if name.starts_with('@') => {}
                None => no.push(format!(
                    "{at} has `{name}`, which is no property of {actual}"
                )),
            }
        }
    }
}

/// The links that an answer gives, and the addresses of upload sessions.
fn links_of(call: &GraphCall) -> Vec<Link> {
    let answer: Value = serde_json::from_slice(&call.answer.1).unwrap_or_default();
    ["@odata.nextLink", "@odata.deltaLink", "uploadUrl"]
        .iter()
        .filter_map(|name| {
            let url = url::Url::parse(answer[name].as_str()?).unwrap();
            let path = url.path().strip_prefix("/v1.0")?.to_owned();
            Some((path, url.query_pairs().into_owned().collect()))
        })
        .collect()
}

/// A batch is in no description; its form stands in
/// <https://learn.microsoft.com/graph/json-batching>. Its parts are examined each.
fn batch(call: &GraphCall, no: &mut Vec<String>) {
    let read = |octets: &[u8]| serde_json::from_slice::<Value>(octets).unwrap_or_default();
    let (body, answer) = (read(&call.body), read(&call.answer.1));
    for (list, known, form) in [
        (
            &body["requests"],
            &["id", "method", "url", "headers", "body"][..],
            "requests",
        ),
        (
            &answer["responses"],
            &["id", "status", "headers", "body"],
            "responses",
        ),
    ] {
        match list.as_array() {
            Some(parts) if (1..=20).contains(&parts.len()) => {
                for name in parts
                    .iter()
                    .filter_map(Value::as_object)
                    .flat_map(|p| p.keys())
                {
                    if !known.contains(&name.as_str()) {
                        no.push(format!("{form} of a batch have no `{name}`"));
                    }
                }
            }
            _ => no.push(format!("a batch has 1 to 20 {form}")),
        }
    }
}

/// Lets the program do all that it does by Graph.
fn everything(office: &Office) {
    for n in 0..30 {
        office.deliver("INBOX", n);
    }
    office
        .m365
        .faults()
        .graph
        .page
        .store(7, std::sync::atomic::Ordering::SeqCst);
    for after in [
        "keep",
        "seen",
        "move:Done/2026",
        "move:INBOX/Done",
        "delete",
    ] {
        office.configure("graph", &format!("        after_fetch: {after}\n"));
        office.deliver("INBOX", 100 + after.len());
        office.fetch().succeeds();
    }
    office.m365.expire_deltas();
    for args in [
        &["fetch"][..],
        &["fetch", "--since", "2020-01-01"],
        &["fetch", "--dry-run"],
        &["fetch", "--audit"],
        &["check"],
    ] {
        office.world.run(args.iter().copied()).succeeds();
    }
    let select = "select: {unread: true, from: [\"@x.example\", a@x.example], subject: [case], max_size: 5MB}";
    for more in [select, "folders: [Archive]\n        start: now"] {
        office.configure("graph", &format!("        {more}\n"));
        office.deliver("INBOX", 200);
        office.deliver("Archive", 201);
        office.fetch().succeeds();
    }
    office.configure("graph", "");
    let refuses = ["fetch", "--deliver", "command:sh -c 'exit 75'"];
    office.world.run(refuses).fails(75);
    office.world.run(["fetch", "--catch-up"]).succeeds();
    office.configure("graph", "        folders: [Nowhere/At all]\n");
    office.fetch().fails(78);
    office.configure("graph", "");
    office
        .world
        .run(["check", "--boundary", "ceo@contoso.example"])
        .ends();
    sending::everything(office);
    renewals(office);
}

/// A secret is renewed, and a certificate.
fn renewals(office: &Office) {
    let world = &office.world;
    let identity = crate::standin::jwt::make_certificate("t");
    world.write("app.pem", format!("{}{}", identity.0, identity.1));
    office.m365.change_app(CLIENT_ID, |app| {
        app.roles.push("Application.ReadWrite.OwnedBy");
        app.owns_itself = true;
        app.certificates.push(identity.0.clone());
    });
    let rotate = ["server", "rotate", "in", "--grace", "0s"];
    world.run(rotate).succeeds();
    let set = ["server", "set", "in", "--secret-env", "", "--certificate"];
    world.run(set).arg(world.path("app.pem")).succeeds();
    world.run(rotate).succeeds();
}

#[test]
fn calls_and_answers_are_as_microsoft_describes_them() {
    let office = Office::new("graph");
    office.m365.keep_graph_calls();
    everything(&office);
    let (used, objections) = Description::read().examine(&office.m365.graph_calls());
    assert!(objections.is_empty(), "{objections:#?}");
    let used: Vec<&str> = used.iter().map(String::as_str).collect();
    assert_eq!(used, USED);
}

#[test]
fn what_is_not_described_is_found() {
    let description = Description::read();
    let good = GraphCall {
        method: "GET".into(),
        path: format!("/users/{SUPPORT}/mailFolders/inbox/messages"),
        query: vec![("$select".into(), "id,receivedDateTime".into())],
        headers: vec![("content-type".into(), "application/json".into())],
        body: Vec::new(),
        status: 200,
        answer: (
            "application/json",
            br#"{"value":[{"id":"A","isRead":true}]}"#.to_vec(),
        ),
    };
    let says = |change: &dyn Fn(&mut GraphCall)| {
        let mut call = good.clone();
        change(&mut call);
        description.examine(&[call]).1.join("; ")
    };
    let with_query = |name: &str, value: &str| {
        let query = vec![(name.to_owned(), value.to_owned())];
        says(&|call| call.query = query.clone())
    };
    let with_answer = |answer: Value| says(&|call| call.answer.1 = answer.to_string().into_bytes());
    let with_body = |path: &str, body: Value| {
        says(&|call| {
            call.method = "POST".into();
            call.path = format!("/users/x/{path}");
            call.query.clear();
            call.body = body.to_string().into_bytes();
            call.answer = ("text/plain", Vec::new());
        })
    };
    assert_eq!(says(&|_| ()), "");
    for (found, expected) in [
        (says(&|c| c.path.push_str("/x/mime")), "is not described"),
        (says(&|c| c.method = "PUT".into()), "is not described"),
        (
            says(&|c| c.headers.push(("x-odd".into(), "1".into()))),
            "`x-odd: 1` is not known",
        ),
        (says(&|c| c.answer.0 = "text/html"), "where Some"),
        (with_query("$pagesize", "5"), "`$pagesize` is not described"),
        (
            with_query("$select", "id,recieved"),
            "`recieved`, which is no property",
        ),
        (
            with_query("$filter", "read eq true"),
            "`read`, which is no property",
        ),
        (
            with_query("$orderby", "received desc"),
            "`received`, which is no property",
        ),
        (
            with_query("$skiptoken", "made-up"),
            "is no link that was given",
        ),
        (
            with_answer(json!({"value": [{"id": 7}]})),
            "answer.value[0].id is 7, and no str",
        ),
        (
            with_answer(json!({"value": [{"read": true}]})),
            "has `read`, which is no property",
        ),
        (
            with_answer(json!({"value": [{"isRead": "yes"}]})),
            "is \"yes\", and no bool",
        ),
        (
            with_answer(json!({"value": [{"importance": "vital"}]})),
            "is \"vital\", and no ",
        ),
        (
            with_answer(json!({"value": [{"receivedDateTime": "today"}]})),
            "and no datetime",
        ),
        (
            with_answer(json!({"value": {}})),
            "answer.value is {}, and no [models/message]",
        ),
        (
            with_body("sendMail", json!({"mail": {}})),
            "has `mail`, which is no property",
        ),
        (
            with_body("messages/1/move", json!({"destinationid": 1})),
            "is 1, and no str",
        ),
        (
            with_body("messages/1/send", json!({})),
            "a body of `application/json`, where None",
        ),
        (
            with_body(
                "messages/1/attachments",
                json!({"@odata.type": "#microsoft.graph.message"}),
            ),
            "which is no models/attachment",
        ),
    ] {
        assert!(found.contains(expected), "{expected:?}: {found}");
    }
    let fails = says(&|call| {
        call.status = 404;
        call.answer.1 = br#"{"error":{"code":404}}"#.to_vec();
    });
    assert!(
        fails.contains("error.error.code is 404, and no str"),
        "{fails}"
    );
}

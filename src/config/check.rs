//! What the types cannot see: names that clash or lead nowhere, and combinations that cannot
//! sign in. Each problem carries the path of the value that it concerns.

use super::cloud::Cloud;
use super::locate::{Step, steps};
use super::model::*;
use super::secret_source::SecretSource;
use std::collections::HashMap;

/// Something wrong with a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub at: Vec<Step>,
    /// A phrase that ends where " in FILE" fits.
    pub problem: String,
    /// What to know or to do about it.
    pub note: String,
    pub hint: Option<String>,
}

/// Everything wrong, in the order of the file.
pub fn problems(config: &Config) -> Vec<Problem> {
    let mut found = Found(Vec::new());
    if config.version != 1 {
        found.add(
            "version",
            format!("unknown version {}", config.version),
            "this queuemail reads `version: 1`",
        );
    }
    names(config, &mut found);
    for (i, server) in config.incoming_servers.iter().enumerate() {
        incoming(server, &format!("incoming_servers[{i}]"), &mut found);
    }
    for (i, server) in config.outgoing_servers.iter().enumerate() {
        outgoing(
            config,
            server,
            &format!("outgoing_servers[{i}]"),
            &mut found,
        );
    }
    for (i, queue) in config.queues.iter().enumerate() {
        for (j, address) in queue.addresses.iter().enumerate() {
            references(
                config,
                address,
                &format!("queues[{i}].addresses[{j}]"),
                &mut found,
            );
        }
    }
    found.0
}

struct Found(Vec<Problem>);

impl Found {
    fn add(&mut self, at: &str, problem: impl Into<String>, note: impl Into<String>) {
        self.0.push(Problem {
            at: steps(at),
            problem: problem.into(),
            note: note.into(),
            hint: None,
        });
    }

    fn hint(&mut self, hint: impl Into<String>) {
        if let Some(last) = self.0.last_mut() {
            last.hint = Some(hint.into());
        }
    }
}

// ---- names -----------------------------------------------------------------------------------

fn names(config: &Config, found: &mut Found) {
    let lists: [(&str, &str, Vec<&str>); 3] = [
        (
            "incoming_servers",
            "incoming server",
            config.incoming_servers.iter().map(|s| &*s.name).collect(),
        ),
        (
            "outgoing_servers",
            "outgoing server",
            config.outgoing_servers.iter().map(|s| &*s.name).collect(),
        ),
        (
            "queues",
            "queue",
            config.queues.iter().map(|q| &*q.name).collect(),
        ),
    ];
    let mut servers = HashMap::new();
    for (list, what, names) in &lists {
        let mut own = HashMap::new();
        // Commands name a server without saying which kind, so the two kinds share their names.
        let seen = if *list == "queues" {
            &mut own
        } else {
            &mut servers
        };
        for (i, name) in names.iter().enumerate() {
            let at = format!("{list}[{i}].name");
            if let Some(why) = bad_name(name) {
                found.add(&at, format!("a bad name of {what} `{name}`"), why);
            } else if let Some(first) = seen.insert(*name, *what) {
                let note = match *list {
                    "queues" => "give each address of the queue under one entry".to_owned(),
                    _ => format!("an {first} has this name already"),
                };
                found.add(&at, format!("{what} `{name}` twice"), note);
            }
        }
    }
    let mut seen: HashMap<String, &str> = HashMap::new();
    for (i, queue) in config.queues.iter().enumerate() {
        for (j, entry) in queue.addresses.iter().enumerate() {
            let key = entry.address.as_str().to_lowercase();
            if let Some(other) = seen.insert(key, &queue.name) {
                found.add(
                    &format!("queues[{i}].addresses[{j}].address"),
                    format!("address `{}` twice", entry.address),
                    format!("queue `{other}` has it already; a mailbox feeds one queue"),
                );
            }
        }
    }
}

/// Why a name cannot be used; there are few restrictions.
pub fn bad_name(name: &str) -> Option<&'static str> {
    if name.trim().is_empty() {
        Some("a name must not be empty")
    } else if name.trim() != name {
        Some("a name must not begin or end with a space")
    } else if name.chars().any(char::is_control) {
        Some("a name must not hold control characters")
    } else if name.chars().count() > 200 {
        Some("a name has at most 200 characters")
    } else {
        None
    }
}

// ---- servers ---------------------------------------------------------------------------------

/// What an app registration may prove itself with.
struct Credentials<'a> {
    secret: &'a Option<SecretSource>,
    expires: bool,
    certificate: bool,
    private_key: bool,
    federated: bool,
    managed: bool,
}

impl Credentials<'_> {
    /// The keys given, a certificate with its key counting once.
    fn given(&self) -> Vec<&'static str> {
        [
            (self.secret.is_some(), "secret"),
            (self.certificate || self.private_key, "certificate"),
            (self.federated, "federated_token_file"),
            (self.managed, "managed_identity"),
        ]
        .into_iter()
        .filter_map(|(there, name)| there.then_some(name))
        .collect()
    }
}

const WAYS: &str =
    "`secret`, `certificate` with `private_key`, `federated_token_file` or `managed_identity`";

fn credentials(name: &str, c: &Credentials, needed: bool, at: &str, found: &mut Found) {
    if c.certificate != c.private_key {
        let (there, missing) = match c.certificate {
            true => ("certificate", "private_key"),
            false => ("private_key", "certificate"),
        };
        found.add(
            &format!("{at}.{there}"),
            format!("`{there}` without `{missing}`"),
            format!("add `{missing}`, the PEM file that belongs to it"),
        );
        return;
    }
    match c.given()[..] {
        [] if needed => found.add(
            at,
            format!("no credential of server `{name}`"),
            format!("oauth-service needs one of {WAYS}"),
        ),
        [_, second, ..] => found.add(
            &format!("{at}.{second}"),
            format!("two credentials of server `{name}`"),
            format!("keep one of {}", list(&c.given())),
        ),
        _ => {}
    }
    if c.expires && c.secret.is_none() {
        found.add(
            &format!("{at}.secret_expires"),
            "`secret_expires` without `secret`",
            "a certificate tells its own end",
        );
    }
    if let Some(SecretSource::Plain(text)) = c.secret
        && text.is_empty()
    {
        found.add(
            &format!("{at}.secret"),
            format!("an empty secret of server `{name}`"),
            "copy it from the Value column of the app registration",
        );
    }
}

fn incoming(server: &IncomingServer, at: &str, found: &mut Found) {
    let service = server.authentication == Authentication::OauthService;
    let c = Credentials {
        secret: &server.secret,
        expires: server.secret_expires.is_some(),
        certificate: server.certificate.is_some(),
        private_key: server.private_key.is_some(),
        federated: server.federated_token_file.is_some(),
        managed: server.managed_identity,
    };
    credentials(&server.name, &c, service, at, found);
    let alias = matches!(
        server.address.tenant.as_str(),
        "common" | "organizations" | "consumers"
    );
    if service && alias {
        found.add(
            &format!("{at}.address"),
            format!("tenant `{}` with oauth-service", server.address.tenant),
            "an app signs in to one tenant: give its GUID or domain name",
        );
    }
    if server.managed_identity && !service {
        found.add(
            &format!("{at}.managed_identity"),
            "`managed_identity` with oauth-user",
            "a managed identity signs in as itself: use oauth-service",
        );
    }
    let cloud = server.address.cloud();
    if cloud.is_some() {
        guid(&server.client_id, at, found);
    } else {
        let host = server.address.host();
        let needed = match server.via {
            IncomingVia::Imap => vec![("imap", server.imap.is_some())],
            IncomingVia::Graph => vec![("graph", server.graph.is_some())],
            IncomingVia::Auto => vec![
                ("imap", server.imap.is_some()),
                ("graph", server.graph.is_some()),
            ],
        };
        unknown_host(host, at, &needed, found);
    }
    if let Some(e) = &server.imap {
        scheme(
            &e.scheme,
            "imap",
            "imaps://outlook.office365.com",
            at,
            found,
        );
        same_cloud(cloud, &e.host, &format!("{at}.imap"), found);
    }
    if let Some(url) = &server.graph {
        same_cloud(cloud, host_of(url), &format!("{at}.graph"), found);
    }
    if server.via == IncomingVia::Auto {
        one_scope(&server.scope, at, found);
    }
}

fn outgoing(config: &Config, server: &OutgoingServer, at: &str, found: &mut Found) {
    let c = Credentials {
        secret: &server.secret,
        expires: server.secret_expires.is_some(),
        certificate: server.certificate.is_some(),
        private_key: server.private_key.is_some(),
        federated: server.federated_token_file.is_some(),
        managed: server.managed_identity,
    };
    let service = server.authentication == Authentication::OauthService;
    let own = server.client_id.is_some();
    credentials(&server.name, &c, own && service, at, found);
    if let (false, [first, ..]) = (own, &c.given()[..]) {
        found.add(
            &format!("{at}.{first}"),
            format!("`{first}` without `client_id`"),
            "add the `client_id` that it belongs to, or take it out and name the `app`",
        );
    }
    if own && server.app.is_some() {
        found.add(
            &format!("{at}.app"),
            "both `app` and `client_id`",
            "sign in as an incoming server's app, or with a client of its own",
        );
    }
    let app = server
        .app
        .as_deref()
        .and_then(|app| config.incoming_server(app));
    if let Some(name) = &server.app {
        match app {
            None => dangling(config, name, Kind::Incoming, &format!("{at}.app"), found),
            Some(app) if app.authentication != server.authentication => {
                found.add(
                    &format!("{at}.app"),
                    format!("app `{name}` signs in as {}", app.authentication),
                    format!("server `{}` is {}", server.name, server.authentication),
                );
            }
            Some(_) => {}
        }
    }
    // Without an app of another login host, the client is one of the worldwide cloud.
    let cloud = match app {
        Some(app) => app.address.cloud(),
        None => Some(Cloud::Worldwide),
    };
    if let (Some(id), Some(_)) = (&server.client_id, cloud) {
        guid(id, at, found);
    }
    if let (Some(app), None) = (app, cloud) {
        let needed = match server.via {
            OutgoingVia::Smtp => vec![("smtp", server.smtp.is_some())],
            OutgoingVia::Graph => vec![("graph", server.graph.is_some())],
            OutgoingVia::Auto => vec![
                ("smtp", server.smtp.is_some()),
                ("graph", server.graph.is_some()),
            ],
        };
        unknown_host(app.address.host(), at, &needed, found);
    }
    if let Some(e) = &server.smtp {
        scheme(
            &e.scheme,
            "smtp",
            "smtp://smtp.office365.com:587",
            at,
            found,
        );
        if app.is_some() {
            same_cloud(cloud, &e.host, &format!("{at}.smtp"), found);
        }
    }
    if let (Some(url), Some(_)) = (&server.graph, app) {
        same_cloud(cloud, host_of(url), &format!("{at}.graph"), found);
    }
    if server.via == OutgoingVia::Auto {
        one_scope(&server.scope, at, found);
    }
}

fn guid(id: &ClientId, at: &str, found: &mut Found) {
    if !is_guid(id.as_str()) {
        found.add(
            &format!("{at}.client_id"),
            format!("a bad client ID `{id}`"),
            "Microsoft's are GUIDs: copy the Application (client) ID of the app registration",
        );
    }
}

fn unknown_host(host: &str, at: &str, needed: &[(&str, bool)], found: &mut Found) {
    for (key, there) in needed {
        if !there {
            found.add(
                at,
                format!("no `{key}` for login host `{host}`"),
                format!("it is none of Microsoft's that we know, so give `{key}: URL` here"),
            );
        }
    }
}

fn scheme(scheme: &str, protocol: &str, example: &str, at: &str, found: &mut Found) {
    if !scheme.starts_with(protocol) {
        found.add(
            &format!("{at}.{protocol}"),
            format!("`{scheme}://` under `{protocol}`"),
            format!("give a URL like {example}"),
        );
    }
}

fn one_scope(scope: &Option<String>, at: &str, found: &mut Found) {
    if scope.is_some() {
        found.add(
            &format!("{at}.scope"),
            "`scope` with `via: auto`",
            "each way has a scope of its own: choose one with `via`",
        );
    }
}

/// Tokens of one cloud are worth nothing in another.
fn same_cloud(cloud: Option<Cloud>, host: &str, at: &str, found: &mut Found) {
    if let (Some(own), Some(other)) = (cloud, cloud_of_host(host))
        && own != other
    {
        found.add(
            at,
            format!("host `{host}` of another cloud"),
            format!(
                "it belongs to {}, the login address to {}",
                cloud_name(other),
                cloud_name(own)
            ),
        );
    }
}

fn cloud_name(cloud: Cloud) -> &'static str {
    match cloud {
        Cloud::Worldwide => "the worldwide cloud",
        Cloud::UsGovernment => "the US Government's cloud",
        Cloud::China => "the cloud in China",
    }
}

fn cloud_of_host(host: &str) -> Option<Cloud> {
    let ends = |tail: &str| host == tail || host.ends_with(&format!(".{tail}"));
    if ends("office365.com") || ends("office.com") || host == "graph.microsoft.com" {
        Some(Cloud::Worldwide)
    } else if ends("office365.us") || ends("apps.mil") || ends("microsoft.us") {
        Some(Cloud::UsGovernment)
    } else if ends("partner.outlook.cn") || host == "microsoftgraph.chinacloudapi.cn" {
        Some(Cloud::China)
    } else {
        None
    }
}

fn host_of(url: &HttpsUrl) -> &str {
    let rest = url.as_str().trim_start_matches("https://");
    rest.split(['/', ':']).next().unwrap_or(rest)
}

// ---- references ------------------------------------------------------------------------------

fn references(config: &Config, address: &Address, at: &str, found: &mut Found) {
    let server = &address.server;
    if config.incoming_server(server).is_none() {
        dangling(
            config,
            server,
            Kind::Incoming,
            &format!("{at}.server"),
            found,
        );
    }
    if let Some(name) = &address.outgoing_server
        && config.outgoing_server(name).is_none()
    {
        dangling(
            config,
            name,
            Kind::Outgoing,
            &format!("{at}.outgoing_server"),
            found,
        );
    }
    let folders = address.folders.as_deref().unwrap_or(&[]);
    if address.folders.as_ref().is_some_and(Vec::is_empty)
        || folders
            .iter()
            .any(|f| f.is_empty() || f.chars().any(char::is_control))
    {
        found.add(
            &format!("{at}.folders"),
            format!("bad folders of address `{}`", address.address),
            "name at least one folder, or leave the key out for INBOX",
        );
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Incoming,
    Outgoing,
}

fn dangling(config: &Config, name: &str, kind: Kind, at: &str, found: &mut Found) {
    let incoming: Vec<&str> = config.incoming_servers.iter().map(|s| &*s.name).collect();
    let outgoing: Vec<&str> = config.outgoing_servers.iter().map(|s| &*s.name).collect();
    let (what, names, others) = match kind {
        Kind::Incoming => ("incoming", incoming, outgoing),
        Kind::Outgoing => ("outgoing", outgoing, incoming),
    };
    let note = if others.contains(&name) {
        format!("`{name}` is not an {what} server, but the other kind")
    } else {
        match nearest(name, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => String::new(),
        }
    };
    found.add(at, format!("no {what} server `{name}`"), note);
    found.hint(match names.is_empty() {
        true => format!("there is no {what} server yet: queuemail server add {what} …"),
        false => named(&format!("{what} servers"), &names),
    });
}

/// "queues in the file: a, b", or that there are none.
pub fn named(what: &str, names: &[&str]) -> String {
    const MANY: usize = 12;
    match names.len() {
        0 => format!("{what} in the file: none"),
        n if n > MANY => format!(
            "{what} in the file: {}, and {} more",
            names[..MANY].join(", "),
            n - MANY
        ),
        _ => format!("{what} in the file: {}", names.join(", ")),
    }
}

/// The known name that was probably meant.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    known
        .into_iter()
        .map(|k| (strsim::jaro_winkler(&lower, &k.to_lowercase()), k))
        .filter(|(score, _)| *score > 0.85)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, k)| k)
}

fn list(names: &[&str]) -> String {
    names
        .iter()
        .map(|n| format!("`{n}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

impl Config {
    /// Every secret and password with the path of its key.
    pub fn secret_sources(&self) -> impl Iterator<Item = (String, &SecretSource)> {
        let incoming = self
            .incoming_servers
            .iter()
            .enumerate()
            .map(|(i, s)| (format!("incoming_servers[{i}].secret"), &s.secret));
        let outgoing = self.outgoing_servers.iter().enumerate().flat_map(|(i, s)| {
            [
                (format!("outgoing_servers[{i}].secret"), &s.secret),
                (format!("outgoing_servers[{i}].password"), &s.password),
            ]
        });
        let queues = self.queues.iter().enumerate().flat_map(|(i, q)| {
            q.addresses
                .iter()
                .enumerate()
                .map(move |(j, a)| (format!("queues[{i}].addresses[{j}].password"), &a.password))
        });
        incoming
            .chain(outgoing)
            .chain(queues)
            .filter_map(|(at, source)| source.as_ref().map(|s| (at, s)))
    }
}

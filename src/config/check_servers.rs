//! Whether a server can sign in and reach its hosts, as far as the file can tell.

use super::problem::{Found, Kind, dangling};
use crate::model::*;
use crate::net::Endpoint;

/// The credentials given, a certificate with its key counting once.
fn given(c: &Credentials) -> Vec<&'static str> {
    [
        (c.secret.is_some(), "secret"),
        (c.certificate.is_some(), "certificate"),
        (c.federated_token.is_some(), "federated_token"),
        (c.federated_token_file.is_some(), "federated_token_file"),
        (
            *c.managed_identity != ManagedIdentity::No,
            "managed_identity",
        ),
    ]
    .into_iter()
    .filter_map(|(there, name)| there.then_some(name))
    .collect()
}

const WAYS: &str =
    "`secret`, `certificate`, `federated_token`, `federated_token_file` or `managed_identity`";

fn credentials(name: &str, c: &Credentials, needed: bool, at: &str, found: &mut Found) {
    for (key, there) in [
        ("private_key", c.private_key.is_some()),
        ("certificate_passphrase", c.certificate_passphrase.is_some()),
    ] {
        if there && c.certificate.is_none() {
            found.add(
                &format!("{at}.{key}"),
                format!("`{key}` without `certificate`"),
                "add `certificate`, the PEM or PFX file that it belongs to",
            );
            return;
        }
    }
    let given = given(c);
    match given[..] {
        [] if needed => found.add(
            at,
            format!("server `{name}` has no credential"),
            format!("oauth-service needs one of {WAYS}"),
        ),
        [_, second, ..] => found.add(
            &format!("{at}.{second}"),
            format!("server `{name}` has two credentials"),
            format!("keep one of {}", list(&given)),
        ),
        _ => {}
    }
    if c.secret_expires.is_some() && c.secret.is_none() {
        found.add(
            &format!("{at}.secret_expires"),
            "`secret_expires` without `secret`",
            "queuemail reads the date from the certificate",
        );
    }
    if let Some(SecretSource::Plain(text)) = c.secret
        && text.is_empty()
    {
        found.add(
            &format!("{at}.secret"),
            format!("the secret of server `{name}` is empty"),
            "copy it from the Value column of the app registration",
        );
    }
}

/// Problems of an incoming server at `at`.
pub fn incoming(server: &IncomingServer, at: &str, found: &mut Found) {
    let service = server.authentication == Authentication::OauthService;
    let c = server.credentials();
    credentials(&server.name, &c, service, at, found);
    of_service(
        server.authentication,
        &server.address.tenant,
        "address",
        server.managed_identity != ManagedIdentity::No,
        at,
        found,
    );
    if server.address.cloud().is_some() {
        guid(&server.client_id, at, found);
    }
    let hosts = Hosts {
        protocol: "imap",
        example: "imaps://outlook.office365.com",
        mail: server.imap.as_ref(),
        graph: server.graph.as_ref(),
        scope: server.scope.as_deref(),
        ways: match server.via {
            IncomingVia::Imap => Ways::Mail,
            IncomingVia::Graph => Ways::Graph,
            IncomingVia::Auto => Ways::Both,
        },
    };
    hosts.check(Some(&server.address), service, at, found);
}

/// Problems of an outgoing server at `at`.
pub fn outgoing(
    config: &Config,
    apps: &Apps<'_>,
    server: &OutgoingServer,
    at: &str,
    found: &mut Found,
) {
    let c = server.credentials();
    let service = server.authentication == Authentication::OauthService;
    of_service(
        server.authentication,
        &server.tenant,
        "tenant",
        server.managed_identity != ManagedIdentity::No,
        at,
        found,
    );
    let own = server.client_id.is_some();
    credentials(&server.name, &c, own && service, at, found);
    if let (false, [first, ..]) = (own, &given(&c)[..]) {
        found.add(
            &format!("{at}.{first}"),
            format!("`{first}` without `client_id`"),
            "add its `client_id`, or remove it and set `app`",
        );
    }
    if let Some(name) = &server.app {
        app(config, server, name, &format!("{at}.app"), found);
    }
    // What cannot be found out is told where it is needed.
    let authority = apps.authority(server);
    let cloud = authority.as_ref().and_then(Authority::cloud);
    if let (Some(id), Some(_)) = (&server.client_id, cloud) {
        guid(id, at, found);
    }
    let hosts = Hosts {
        protocol: "smtp",
        example: "smtp://smtp.office365.com:587",
        mail: server.smtp.as_ref(),
        graph: server.graph.as_ref(),
        scope: server.scope.as_deref(),
        ways: match server.via {
            OutgoingVia::Smtp => Ways::Mail,
            OutgoingVia::Graph => Ways::Graph,
            OutgoingVia::Auto => Ways::Both,
        },
    };
    hosts.check(authority.as_ref(), service, at, found);
}

/// What is said of the hosts of a server.
struct Hosts<'a> {
    /// Also the key of the mail host.
    protocol: &'static str,
    /// Of a mail host.
    example: &'static str,
    mail: Option<&'a Endpoint>,
    graph: Option<&'a HttpsUrl>,
    scope: Option<&'a str>,
    ways: Ways,
}

impl Hosts<'_> {
    /// Problems of the hosts and the scope; `service`: the program signs in as itself.
    fn check(self, authority: Option<&Authority>, service: bool, at: &str, found: &mut Found) {
        let cloud = authority.and_then(Authority::cloud);
        if let (Some(authority), None) = (authority, cloud) {
            let needed = [
                (self.protocol, self.mail.is_none(), Ways::Graph),
                ("graph", self.graph.is_none(), Ways::Mail),
            ];
            for (key, missing, unless) in needed {
                if missing && self.ways != unless {
                    unknown_host(authority.host(), key, at, found);
                }
            }
        }
        if let Some(e) = self.mail {
            scheme(&e.scheme, self.protocol, self.example, at, found);
            same_cloud(cloud, &e.host, &format!("{at}.{}", self.protocol), found);
        }
        if let Some(url) = self.graph {
            same_cloud(cloud, host_of(url), &format!("{at}.graph"), found);
        }
        if let Some(text) = self.scope {
            scope(text, self.ways, cloud.filter(|_| service), at, found);
        }
    }
}

/// Problems of the app, at `at`, that an outgoing server signs in as.
fn app(config: &Config, server: &OutgoingServer, name: &str, at: &str, found: &mut Found) {
    if server.client_id.is_some() {
        found.add(
            at,
            "both `app` and `client_id`",
            "sign in as the app of an incoming server, or with a separate client",
        );
    }
    let service = server.authentication == Authentication::OauthService;
    match config.incoming_server(name) {
        None => dangling(config, name, Kind::Incoming, at, found),
        Some(app) if service && app.authentication == Authentication::OauthUser => {
            found.add(
                at,
                format!("app `{name}` is oauth-user"),
                format!(
                    "server `{}` signs in as oauth-service, which needs an app with a credential",
                    server.name
                ),
            );
        }
        Some(_) => {}
    }
}

/// What goes with the program signing in as itself only, and what does not.
fn of_service(
    authentication: Authentication,
    tenant: &Tenant,
    key: &str,
    managed_identity: bool,
    at: &str,
    found: &mut Found,
) {
    let service = authentication == Authentication::OauthService;
    let alias = matches!(tenant.as_str(), "common" | "organizations" | "consumers");
    if service && alias {
        found.add(
            &format!("{at}.{key}"),
            format!("tenant `{tenant}` with oauth-service"),
            "an app signs in to one tenant: use its GUID or domain name",
        );
    }
    if managed_identity && !service {
        found.add(
            &format!("{at}.managed_identity"),
            "`managed_identity` with oauth-user",
            "a managed identity is not a person: use oauth-service",
        );
    }
}

fn guid(id: &ClientId, at: &str, found: &mut Found) {
    if !is_guid(id.as_str()) {
        found.add(
            &format!("{at}.client_id"),
            format!("invalid client ID `{id}`"),
            "Microsoft's are GUIDs: copy the Application (client) ID of the app registration",
        );
    }
}

fn unknown_host(host: &str, key: &str, at: &str, found: &mut Found) {
    found.add(
        at,
        format!("no `{key}` for login host `{host}`"),
        format!("it is not a known Microsoft host, so set `{key}: URL` here"),
    );
}

fn scheme(scheme: &str, protocol: &str, example: &str, at: &str, found: &mut Found) {
    if !scheme.starts_with(protocol) {
        found.add(
            &format!("{at}.{protocol}"),
            format!("`{scheme}://` under `{protocol}`"),
            format!("use a URL like {example}"),
        );
    }
}

/// What a server speaks: IMAP or SMTP, whose tokens are Exchange's, or Graph, or either.
#[derive(Clone, Copy, PartialEq)]
enum Ways {
    Mail,
    Graph,
    Both,
}

/// A token is for one resource; the wrong one is refused by the host in few words. `cloud` is
/// that of an app that signs in as itself, whose scopes are all of the form RESOURCE/.default.
fn scope(text: &str, ways: Ways, cloud: Option<Cloud>, at: &str, found: &mut Found) {
    let at = format!("{at}.scope");
    let graph = text.contains("://graph.") || text.contains("graph.microsoft.");
    let exchange = text.contains("://outlook.") || text.contains("://ps.outlook.");
    if ways == Ways::Both {
        found.add(
            &at,
            "`scope` with `via: auto`",
            "each transport needs another scope: choose one with `via`",
        );
    } else if ways == Ways::Mail && graph {
        found.add(
            &at,
            "a scope of Graph for IMAP or SMTP",
            "their hosts accept only tokens for Exchange: remove `scope`",
        );
    } else if ways == Ways::Graph && exchange {
        found.add(
            &at,
            "a scope of Exchange for Graph",
            "Graph accepts only its own tokens: remove `scope`",
        );
    } else if cloud.is_some() && !text.ends_with("/.default") {
        found.add(
            &at,
            format!("scope `{text}` with oauth-service"),
            "an app always requests all its permissions: use a scope that ends in /.default",
        );
    }
}

/// Tokens of one cloud are worth nothing in another.
fn same_cloud(cloud: Option<Cloud>, host: &str, at: &str, found: &mut Found) {
    if let (Some(own), Some(other)) = (cloud, Cloud::of_mail_host(host))
        && own != other
    {
        found.add(
            at,
            format!("host `{host}` belongs to another cloud"),
            format!(
                "the host belongs to {}, the login address to {}",
                other.name(),
                own.name()
            ),
        );
    }
}

fn host_of(url: &HttpsUrl) -> &str {
    let rest = url.as_str().trim_start_matches("https://");
    rest.split(['/', ':']).next().unwrap_or(rest)
}

fn list(names: &[&str]) -> String {
    names
        .iter()
        .map(|n| format!("`{n}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

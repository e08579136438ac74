//! Whether a server can sign in and reach its hosts, as far as the file can tell.

use super::app::Apps;
use super::cloud::{Authority, Cloud};
use super::credential::ManagedIdentity;
use super::model::*;
use super::problem::{Found, Kind, dangling};
use super::secret_source::SecretSource;
use super::server_credentials::Credentials;
use super::values::*;

/// The credentials given, a certificate with its key counting once.
fn given(c: &Credentials) -> Vec<&'static str> {
    [
        (c.secret.is_some(), "secret"),
        (c.certificate.is_some(), "certificate"),
        (c.federated_token.is_some(), "federated_token"),
        (c.federated_token_file.is_some(), "federated_token_file"),
        (
            c.managed_identity != ManagedIdentity::No,
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
    let ways = match server.via {
        IncomingVia::Imap => Ways::Mail,
        IncomingVia::Graph => Ways::Graph,
        IncomingVia::Auto => Ways::Both,
    };
    scope(&server.scope, ways, cloud.filter(|_| service), at, found);
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
    if own && server.app.is_some() {
        found.add(
            &format!("{at}.app"),
            "both `app` and `client_id`",
            "sign in as the app of an incoming server, or with a separate client",
        );
    }
    if let Some(name) = &server.app {
        match config.incoming_server(name) {
            None => dangling(config, name, Kind::Incoming, &format!("{at}.app"), found),
            Some(app) if service && app.authentication == Authentication::OauthUser => {
                found.add(
                    &format!("{at}.app"),
                    format!("app `{name}` is oauth-user"),
                    format!("server `{}` signs in as oauth-service, which needs an app with a credential", server.name),
                );
            }
            Some(_) => {}
        }
    }
    // What cannot be found out is told where it is needed.
    let authority = apps.authority(server);
    let cloud = authority.as_ref().and_then(Authority::cloud);
    if let (Some(id), Some(_)) = (&server.client_id, cloud) {
        guid(id, at, found);
    }
    if let (Some(authority), None) = (&authority, cloud) {
        let needed = match server.via {
            OutgoingVia::Smtp => vec![("smtp", server.smtp.is_some())],
            OutgoingVia::Graph => vec![("graph", server.graph.is_some())],
            OutgoingVia::Auto => vec![
                ("smtp", server.smtp.is_some()),
                ("graph", server.graph.is_some()),
            ],
        };
        unknown_host(authority.host(), at, &needed, found);
    }
    if let Some(e) = &server.smtp {
        scheme(
            &e.scheme,
            "smtp",
            "smtp://smtp.office365.com:587",
            at,
            found,
        );
        same_cloud(cloud, &e.host, &format!("{at}.smtp"), found);
    }
    if let Some(url) = &server.graph {
        same_cloud(cloud, host_of(url), &format!("{at}.graph"), found);
    }
    let ways = match server.via {
        OutgoingVia::Smtp => Ways::Mail,
        OutgoingVia::Graph => Ways::Graph,
        OutgoingVia::Auto => Ways::Both,
    };
    scope(&server.scope, ways, cloud.filter(|_| service), at, found);
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

fn unknown_host(host: &str, at: &str, needed: &[(&str, bool)], found: &mut Found) {
    for (key, there) in needed {
        if !there {
            found.add(
                at,
                format!("no `{key}` for login host `{host}`"),
                format!("it is not a known Microsoft host, so set `{key}: URL` here"),
            );
        }
    }
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
fn scope(scope: &Option<String>, ways: Ways, cloud: Option<Cloud>, at: &str, found: &mut Found) {
    let Some(text) = scope else { return };
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
    if let (Some(own), Some(other)) = (cloud, cloud_of_host(host))
        && own != other
    {
        found.add(
            at,
            format!("host `{host}` belongs to another cloud"),
            format!(
                "the host belongs to {}, the login address to {}",
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

fn list(names: &[&str]) -> String {
    names
        .iter()
        .map(|n| format!("`{n}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

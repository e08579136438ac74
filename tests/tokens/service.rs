//! OAuth Service: secret, certificate, federated token.

use super::{CLIENT, Home, claims};
use crate::standin::{App, Federated};
use std::process::Command;

#[test]
fn a_secret_gets_a_token_for_exchange_or_graph() {
    let home = Home::new();
    home.service("secret: 's3cret~+&='");
    let imap = home.run(&["token", "get", "support"]).succeeds();
    assert_eq!(imap.err, "");
    assert!(imap.out.ends_with('\n') && imap.out.lines().count() == 1);
    assert_eq!(claims(&imap.out)["aud"], "https://outlook.office365.com");
    let graph = home
        .run(&["token", "get", "contoso", "--for", "graph"])
        .succeeds();
    assert_eq!(claims(&graph.out)["aud"], "https://graph.microsoft.com");

    let requests = home.standin.token_requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0].grant_type, "client_credentials");
    assert_eq!(requests[0].authentication, "client_secret_post");
    assert_eq!(requests[0].scope, "https://outlook.office365.com/.default");
    assert_eq!(
        requests[0].user_agent,
        concat!("queuemail/", env!("CARGO_PKG_VERSION"))
    );
}

fn openssl(args: &[&str]) {
    let out = Command::new("openssl").args(args).output().unwrap();
    assert!(out.status.success(), "{out:?}");
}

/// A key and a self-signed certificate; gives the certificate.
fn make_certificate(home: &Home, key: &str, certificate: &str) -> String {
    let key = home.path(key).display().to_string();
    let certificate = home.path(certificate).display().to_string();
    openssl(&[
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=queuemail",
        "-keyout",
        &key,
        "-out",
        &certificate,
    ]);
    std::fs::read_to_string(certificate).unwrap()
}

#[test]
fn a_certificate_signs_in_and_is_read_anew_each_time() {
    let home = Home::new();
    let first = make_certificate(&home, "key.pem", "cert.pem");
    let app = |certificates| App {
        certificates,
        roles: vec!["IMAP.AccessAsApp"],
        ..App::default()
    };
    home.standin.add_app(app(vec![first]));
    home.service("certificate: {home}/cert.pem\n    private_key: {home}/key.pem");
    home.run(&["token", "get", "support"]).succeeds();
    assert_eq!(
        home.standin.token_requests()[0].authentication,
        "private_key_jwt"
    );

    // Renewed in place: the new one is taken up, the old one would be refused.
    let second = make_certificate(&home, "key.pem", "cert.pem");
    home.standin.add_app(app(vec![second]));
    home.run(&["token", "get", "support", "--fresh"]).succeeds();

    let other = make_certificate(&home, "other.key", "other.pem");
    home.standin.add_app(app(vec![other]));
    home.run(&["token", "get", "support", "--fresh"])
        .fails(77)
        .says("server said: invalid_client: AADSTS700027");
}

#[test]
fn a_key_in_an_older_form_is_told_how_to_convert() {
    let home = Home::new();
    make_certificate(&home, "key.pem", "cert.pem");
    let path = |name| home.path(name).display().to_string();
    openssl(&[
        "rsa",
        "-traditional",
        "-in",
        &path("key.pem"),
        "-out",
        &path("old.pem"),
    ]);
    home.service("certificate: {home}/cert.pem\n    private_key: {home}/old.pem");
    home.run(&["token", "get", "support"])
        .fails(78)
        .says("PKCS #1")
        .says("hint: convert it: openssl pkcs8 -topk8 -nocrypt -in");
    assert_eq!(home.asked(), 0);
    // And the hint is right.
    openssl(&[
        "pkcs8",
        "-topk8",
        "-nocrypt",
        "-in",
        &path("old.pem"),
        "-out",
        &path("new.pem"),
    ]);
    let certificate = std::fs::read_to_string(home.path("cert.pem")).unwrap();
    home.standin.add_app(App {
        certificates: vec![certificate],
        ..App::default()
    });
    home.service("certificate: {home}/cert.pem\n    private_key: {home}/new.pem");
    home.run(&["token", "get", "support"]).succeeds();
}

#[test]
fn a_federated_token_signs_in() {
    let home = Home::new();
    home.standin.add_app(App {
        federated: vec![Federated {
            issuer: "https://idp.contoso.example".into(),
            subject: "system:serviceaccount:mail:queuemail".into(),
            audience: "api://AzureADTokenExchange".into(),
            public_key_pem: home.standin.public_key_pem().to_owned(),
        }],
        roles: vec!["IMAP.AccessAsApp"],
        ..App::default()
    });
    let token = |subject: &str| {
        home.standin.sign(&serde_json::json!({
            "iss": "https://idp.contoso.example", "sub": subject,
            "aud": "api://AzureADTokenExchange", "exp": 4_000_000_000_i64,
        }))
    };
    home.write("token", &token("system:serviceaccount:mail:queuemail"));
    home.service("federated_token_file: {home}/token");
    home.run(&["token", "get", "support"]).succeeds();
    home.write(
        "token",
        &format!("{}\n", token("system:serviceaccount:mail:Queuemail")),
    );
    home.run(&["token", "get", "support", "--fresh"])
        .fails(77)
        .says("AADSTS700213");
    home.write("token", "not a token");
    home.run(&["token", "get", "support", "--fresh"])
        .fails(78)
        .says("federated_token_file");
}

#[test]
fn an_outgoing_server_signs_in_as_the_registration_that_it_names() {
    let home = Home::new();
    let file = |outgoing: &str| {
        format!(
            "version: 1
incoming_servers:
  - {{{{name: one, address: {{authority}}, authentication: oauth-service, client_id: {{client}}, secret: 's3cret~+&=', ca_file: {{ca}}, imap: '{{imap}}'}}}}
  - {{{{name: two, address: {{authority}}, authentication: oauth-service, client_id: other, secret: x, ca_file: {{ca}}, imap: '{{imap}}'}}}}
outgoing_servers:
  - {{{{name: out, tenant: {{tenant}}, authentication: oauth-service, smtp: '{{smtp}}'{outgoing}}}}}
"
        )
        .replace("{{", "{")
        .replace("}}", "}")
    };
    home.config(&file(""));
    home.run(&["token", "get", "out"])
        .fails(78)
        .says("could sign in as several incoming servers")
        .says("--app 'one'");
    home.config(&file(", app: one"));
    home.run(&["token", "get", "out"]).succeeds();
    home.config(&file(&format!(
        ", client_id: {CLIENT}, secret: 's3cret~+&=', ca_file: {{ca}}"
    )));
    home.run(&["token", "get", "out", "--fresh"]).succeeds();
    home.config(&file(", app: three"));
    home.run(&["token", "get", "out"])
        .fails(78)
        .says("no incoming server `three`");
}

//! OAuth Service: secret, certificate, federated token.

use super::{CLIENT, Home, claims};
use crate::standin::{App, Federated, TokenFault};
use std::process::Command;

#[test]
fn a_secret_gets_a_token_for_exchange_or_graph() {
    let home = Home::new();
    home.service("secret: 's3cret~+&='");
    let imap = home.run(&["token", "get", "support"]).succeeds();
    assert_eq!(imap.stderr, "");
    assert!(imap.stdout.ends_with('\n') && imap.stdout.lines().count() == 1);
    assert_eq!(claims(&imap.stdout)["aud"], "https://outlook.office365.com");
    let graph = home
        .run(&["token", "get", "contoso", "--for", "graph"])
        .succeeds();
    assert_eq!(claims(&graph.stdout)["aud"], "https://graph.microsoft.com");

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
pub fn make_certificate(home: &Home, key: &str, certificate: &str) -> String {
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

    let mode = |mode| {
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(home.path("key.pem"), permissions).unwrap();
    };
    mode(0o644);
    home.run(&["token", "get", "support", "--fresh"])
        .fails(78)
        .mentions("other users can reach file");
    // A group is others, too; root alone may let one read its own.
    let _ = std::os::unix::fs::chown(home.path("key.pem"), Some(65534), None);
    mode(0o640);
    home.run(&["token", "get", "support", "--fresh"])
        .fails(78)
        .mentions("other users can reach file");
    mode(0o600);
    let _ = std::os::unix::fs::chown(home.path("key.pem"), Some(0), None);

    // Renewed in place: the new one is taken up, the old one would be refused.
    let second = make_certificate(&home, "key.pem", "cert.pem");
    home.standin.add_app(app(vec![second]));
    home.run(&["token", "get", "support", "--fresh"]).succeeds();

    let other = make_certificate(&home, "other.key", "other.pem");
    home.standin.add_app(app(vec![other]));
    home.run(&["token", "get", "support", "--fresh"])
        .fails(77)
        .mentions("server said: invalid_client: AADSTS700027");
}

#[test]
fn a_certificate_and_its_key_in_one_file() {
    let home = Home::new();
    let pem = make_certificate(&home, "key.pem", "cert.pem");
    home.standin.add_app(App {
        certificates: vec![pem.clone()],
        roles: vec!["IMAP.AccessAsApp"],
        ..App::default()
    });
    let key = std::fs::read_to_string(home.path("key.pem")).unwrap();
    home.write("both.pem", &(key + &pem));
    home.service("certificate: {home}/both.pem");
    home.run(&["token", "get", "support"]).succeeds();
    // As Windows and the portal give it: PFX, with a passphrase.
    let path = |name: &str| home.path(name).display().to_string();
    let export = |name: &str, more: &[&str]| {
        let (key, cert, out) = (path("key.pem"), path("cert.pem"), path(name));
        let args = [
            "pkcs12", "-export", "-inkey", &key, "-in", &cert, "-out", &out,
        ];
        openssl(&[&args, more].concat());
    };
    export("app.pfx", &["-passout", "pass:hunter2 \u{fc}"]);
    export("old.pfx", &["-passout", "pass:hunter2", "-legacy"]);
    home.write("passphrase", "hunter2 \u{fc}\n");
    home.service(
        "certificate: {home}/app.pfx\n    certificate_passphrase: {file: '{home}/passphrase'}",
    );
    home.run(&["token", "get", "support", "--fresh"]).succeeds();
    assert_eq!(home.asked(), 2);
    assert!(
        home.standin
            .token_requests()
            .iter()
            .all(|request| request.authentication == "private_key_jwt")
    );
    let shown = home.run(&["server", "show", "contoso"]).succeeds();
    assert!(shown.stdout.contains("app.pfx") && !shown.stdout.contains("hunter2"));

    home.write("passphrase", "wrong-hunter");
    home.run(&["token", "get", "support", "--fresh"])
        .fails(78)
        .mentions("app.pfx`: the passphrase does not open it")
        .hides("wrong-hunter");
    home.service("certificate: {home}/app.pfx");
    home.run(&["token", "get", "support", "--fresh"])
        .fails(78)
        .mentions("it needs a passphrase, and no passphrase is set")
        .mentions("`queuemail server set contoso --certificate-passphrase-file FILE`");
    home.service("certificate: {home}/old.pfx\n    certificate_passphrase: hunter2");
    let ran = home
        .run(&["token", "get", "support", "--fresh"])
        .fails(78)
        .mentions("old method that OpenSSL 3 refuses")
        .hides("hunter2");
    assert_eq!(home.asked(), 2, "nothing is asked without a key");

    // And the hint is right.
    let hint = ran.stderr.split("convert it: ").nth(1).unwrap();
    let (convert, _) = hint.split_once(", then use").unwrap();
    let convert = convert.replace("-noenc", "-noenc -passin pass:hunter2");
    let done = Command::new("sh")
        .args(["-ec", &convert])
        .current_dir(home.folder.path())
        .output()
        .unwrap();
    assert!(done.status.success(), "{convert}: {done:?}");
    home.service("certificate: {home}/queuemail.pem");
    home.run(&["token", "get", "support", "--fresh"]).succeeds();
}

#[test]
fn a_renewed_pfx_is_taken_up_and_its_end_is_known() {
    let home = Home::new();
    let path = |name: &str| home.path(name).display().to_string();
    let export = || {
        let pem = make_certificate(&home, "key.pem", "cert.pem");
        let (key, cert, out) = (path("key.pem"), path("cert.pem"), path("app.pfx"));
        openssl(&[
            "pkcs12", "-export", "-inkey", &key, "-in", &cert, "-out", &out, "-passout", "pass:a",
        ]);
        home.standin.add_app(App {
            certificates: vec![pem],
            roles: vec!["IMAP.AccessAsApp"],
            ..App::default()
        });
    };
    export();
    home.service("certificate: {home}/app.pfx\n    certificate_passphrase: {env: PFX}");
    let run = |args: &[&str]| {
        let mut command = home.command(args);
        super::Ran::from(command.env("PFX", "a").output().unwrap())
    };
    run(&["token", "get", "support"]).succeeds();
    export();
    run(&["token", "get", "support", "--fresh"]).succeeds();
    let ran = run(&["status", "--check"]);
    assert!(
        ran.stderr
            .contains("the certificate of server `contoso` expires on"),
        "{ran:?}"
    );
    let checked = run(&["check", "contoso"]);
    assert!(
        checked.stdout.contains("certificate") && checked.stdout.contains("expires on"),
        "{checked:?}"
    );
}

fn federated_home() -> (Home, impl Fn(&Home, serde_json::Value) -> String) {
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
    let token = |home: &Home, other: serde_json::Value| {
        let mut claims = serde_json::json!({
            "iss": "https://idp.contoso.example",
            "sub": "system:serviceaccount:mail:queuemail",
            "aud": ["api://AzureADTokenExchange"], "exp": 4_000_000_000_i64,
        });
        for (name, value) in other.as_object().unwrap() {
            claims[name] = value.clone();
        }
        home.standin.sign(&claims)
    };
    (home, token)
}

#[test]
fn a_federated_token_signs_in_wherever_it_comes_from() {
    use serde_json::json;
    let (home, token) = federated_home();
    home.write("token", &format!("{}\n", token(&home, json!({}))));
    home.write("print", "#!/bin/sh\ncat \"$HOME/token\"\n");
    for source in [
        "federated_token_file: {home}/token",
        "federated_token: {file: token}",
        "federated_token: {env_file: AZURE_FEDERATED_TOKEN_FILE}",
        "federated_token: {command: [sh, '{home}/print']}",
    ] {
        home.service(source);
        let mut command = home.command(&["token", "get", "support", "--fresh"]);
        command.env("AZURE_FEDERATED_TOKEN_FILE", home.path("token"));
        super::Ran::from(command.output().unwrap()).succeeds();
        let last = home.standin.token_requests().pop().unwrap();
        assert_eq!(last.authentication, "private_key_jwt", "{source}");
    }
    assert_eq!(home.asked(), 4);
    home.service("federated_token: {env_file: AZURE_FEDERATED_TOKEN_FILE}");
    home.run(&["token", "get", "support", "--fresh"])
        .fails(78)
        .mentions("`AZURE_FEDERATED_TOKEN_FILE`, which names its file, is not set")
        .mentions("azure.workload.identity/use");
    home.service("federated_token: {command: [sh, -c, 'exit 1']}");
    home.run(&["token", "get", "support", "--fresh"])
        .fails(78)
        .mentions("command `sh` ended with exit code 1");
    assert_eq!(home.asked(), 4);
}

#[test]
fn a_federated_token_that_is_refused_tells_what_does_not_fit() {
    use serde_json::json;
    let (home, token) = federated_home();
    home.service("federated_token_file: {home}/token");
    let refused = |other: serde_json::Value, hints: &[&str]| {
        let jwt = token(&home, other);
        home.write("token", &jwt);
        let mut ran = home.run(&["token", "get", "support", "--fresh"]).fails(77);
        for hint in hints {
            ran = ran.mentions(hint);
        }
        let signature = jwt.rsplit('.').next().unwrap();
        ran.hides(&signature[..40]).hides(&jwt[..60]);
    };
    refused(
        json!({"sub": "system:serviceaccount:mail:Queuemail"}),
        &[
            "AADSTS700213",
            "subject `system:serviceaccount:mail:Queuemail`",
            "letter case",
        ],
    );
    refused(
        json!({"aud": "https://contoso.example"}),
        &[
            "audience is `https://contoso.example`, and Entra ID expects `api://AzureADTokenExchange`",
        ],
    );
    refused(
        json!({"iss": "https://other.example"}),
        &["issuer `https://other.example`"],
    );
    refused(
        json!({"exp": 1_700_000_000}),
        &[
            "AADSTS700024",
            "the federated token expired at 2023-11-14T22:13:20Z",
        ],
    );
    for text in ["", "not a token", "a.b"] {
        home.write("token", text);
        home.run(&["token", "get", "support", "--fresh"])
            .fails(78)
            .mentions("does not contain a JWT (three parts joined by dots)");
    }
    std::fs::remove_file(home.path("token")).unwrap();
    home.run(&["token", "get", "support", "--fresh"])
        .fails(78)
        .mentions("cannot use the federated token: file `");
}

/// A new secret does not help a federated token, and an app cannot become one.
#[test]
fn what_cannot_help_is_not_advised() {
    let refusal = |body: &'static str| TokenFault::Says(401, body);
    let signature = r#"{"error":"invalid_client","error_description":"AADSTS50012: Client assertion contains an invalid signature."}"#;
    let unknown =
        r#"{"error":"invalid_client","error_description":"AADSTS99999999: Something new."}"#;
    let policy = r#"{"error":"invalid_grant","error_description":"AADSTS53003: Access has been blocked by Conditional Access policies."}"#;
    let (home, token) = federated_home();
    home.service("federated_token_file: {home}/token");
    home.write("token", &token(&home, serde_json::json!({})));
    let get = |home: &Home, body| {
        home.standin.faults().token_next(1, refusal(body));
        home.run(&["token", "get", "support", "--fresh"]).fails(77)
    };
    for body in [signature, unknown] {
        get(&home, body)
            .mentions("with the federated credential of app")
            .hides("--secret-stdin")
            .hides("certificate of server");
    }
    get(&home, policy)
        .mentions("the policy in the sign-in logs")
        .hides("sign in as itself");
    let home = Home::new();
    home.service("secret: 's3cret~+&='");
    get(&home, unknown)
        .mentions("queuemail server set contoso --secret-stdin")
        .hides("federated");
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
        .mentions("could sign in as several incoming servers")
        .mentions("--app one");
    home.config(&file(", app: one"));
    home.run(&["token", "get", "out"]).succeeds();
    home.config(&file(&format!(
        ", client_id: {CLIENT}, secret: 's3cret~+&=', ca_file: {{ca}}"
    )));
    home.run(&["token", "get", "out", "--fresh"]).succeeds();
    home.config(&file(", app: three"));
    home.run(&["token", "get", "out"])
        .fails(78)
        .mentions("no incoming server `three`");
}

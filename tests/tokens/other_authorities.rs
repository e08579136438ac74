//! Authorities other than the worldwide cloud's: China, and providers that are not Entra ID.

use super::login::{browse, finish, location, start};
use super::{CLIENT, Home, claims};
use crate::servers::proxy;
use crate::standin::{App, TokenFault, User, provider};
use std::sync::atomic::Ordering::SeqCst;

const ADDRESS: &str = "support@contoso.com";

/// In China the password grant names a resource to the endpoint of version 1.
#[test]
fn a_password_in_china() {
    let home = Home::new();
    home.standin.add_app(App {
        public: true,
        ..App::default()
    });
    home.standin.add_user(User {
        address: ADDRESS.into(),
        ..User::default()
    });
    let file = |more: &str, password: &str| {
        home.config(&format!(
            "version: 1
incoming_servers:
  - name: china
    address: https://login.partner.microsoftonline.cn/{{tenant}}
    authentication: oauth-user
    client_id: {{client}}
    ca_file: {{ca}}
    {more}
queues:
  - name: support
    addresses:
      - address: {ADDRESS}
        server: china
        {password}
"
        ));
    };
    let (proxy, _) = proxy::connect(Some(home.standin.login_port()));
    let get = |more: &[&str]| {
        let args = [&["token", "get", "support", "--fresh"], more].concat();
        let mut command = home.command(&args);
        super::Ran::from(command.env("HTTPS_PROXY", &proxy).output().unwrap())
    };
    let asked = || {
        let mut log = home.standin.log();
        log.retain(|line| line.starts_with("HTTP < POST"));
        log.pop().unwrap()
    };
    file("via: imap", "password: correct horse battery staple");
    let token = get(&[]).succeeds().stdout;
    assert_eq!(claims(&token)["aud"], "https://partner.outlook.cn");
    assert!(asked().ends_with("/oauth2/token"), "{}", asked());
    // The refresh token is redeemed at the same place.
    get(&[]).succeeds();
    let last = home.standin.token_requests().pop().unwrap();
    assert_eq!(last.grant_type, "refresh_token");
    assert!(asked().ends_with("/oauth2/token"), "{}", asked());
    // A scope in the file is the version 2 endpoint's.
    file(
        "scope: https://partner.outlook.cn/IMAP.AccessAsUser.All",
        "password: correct horse battery staple",
    );
    get(&[]).succeeds();
    assert!(asked().ends_with("/oauth2/v2.0/token"), "{}", asked());
    get(&["--for", "smtp"]).succeeds();
    assert!(asked().ends_with("/oauth2/v2.0/token"), "{}", asked());
    // Nor has the older one to do with a sign-in by hand, whether there is a password or not.
    file("via: imap", "password: correct horse battery staple");
    let faults = home.standin.faults();
    faults.device_interval.store(1, SeqCst);
    *faults.device_approves_after.lock().unwrap() = Some((1, ADDRESS.into()));
    let mut login = home.command(&["token", "login", "support", "--device"]);
    let ran = login.env("HTTPS_PROXY", &proxy).output().unwrap();
    super::Ran::from(ran).succeeds();
    assert!(asked().ends_with("/oauth2/v2.0/token"), "{}", asked());
    get(&[]).succeeds();
    // Consent is given, and the tenant is, where the app is registered.
    let host = "https://login.partner.microsoftonline.cn";
    file("via: imap", "");
    faults.token_next(1, TokenFault::Aadsts(65001));
    get(&[]).fails(77).mentions(&format!(
        "hint: ask an Entra ID administrator to grant consent: {host}/{}/adminconsent?client_id={CLIENT}",
        home.standin.tenant()
    ));
    faults.token_next(1, TokenFault::Aadsts(50059));
    get(&[]).fails(77).mentions(&format!(
        "`queuemail server set china --address {host}/DOMAIN`"
    ));
}

/// Endpoints of its own, one scope, a client secret, and nothing that it does not know.
#[test]
fn a_provider_that_is_not_entra() {
    let home = Home::new();
    home.standin.add_app(App {
        secret: Some("s3cret~+&=".into()),
        ..App::default()
    });
    home.standin.add_user(User {
        address: ADDRESS.into(),
        ..User::default()
    });
    home.standin.add_mailbox(ADDRESS);
    home.standin
        .deliver(ADDRESS, "INBOX", b"Subject: hello\r\n\r\n");
    let login = home.standin.login_url();
    let scope = provider::SCOPE;
    home.config(&format!(
        "version: 1
incoming_servers:
  - name: provider
    address: {login}/contoso.com
    authentication: oauth-user
    client_id: {{client}}
    secret: 's3cret~+&='
    token_endpoint: {login}/provider/token
    authorization_endpoint: {login}/provider/auth?access_type=offline&prompt=consent
    scope: {scope}
    ca_file: {{ca}}
    imap: {{imap}}
outgoing_servers:
  - name: provider out
    tenant: contoso.com
    authentication: oauth-user
    app: provider
    scope: {scope}
    smtp: {{smtp}}
queues:
  - name: support
    addresses:
      - address: {ADDRESS}
        server: provider
        sender: true
        outgoing_server: provider out
        deliver: maildir:{{home}}/mail
"
    ));
    home.run(&["setup-script"])
        .fails(78)
        .mentions("no configured server uses Entra ID");
    home.run(&["token", "login", "support", "--device"])
        .fails(78)
        .mentions("no `device_authorization_endpoint`")
        .mentions("--device-authorization-endpoint URL");
    let (child, page) = start(
        &home,
        &["token", "login", "support", "--browser"],
        "https://",
    );
    let answer = browse(&home, &page);
    browse(&home, &location(&answer));
    finish(child).succeeds();
    home.run(&["token", "get", "support"]).succeeds();
    // Refreshed, and without a scope that it does not know.
    home.run(&["token", "get", "support", "--fresh"]).succeeds();
    let last = home.standin.token_requests().pop().unwrap();
    assert_eq!(last.grant_type, "refresh_token");
    assert_eq!(last.authentication, "client_secret_post");
    home.run(&["fetch"]).succeeds();
    assert_eq!(std::fs::read_dir(home.path("mail/new")).unwrap().count(), 1);
    let mut send = home.command(&["send", "-t"]);
    let text = format!("From: {ADDRESS}\nTo: a@fabrikam.example\nSubject: x\n\nx\n");
    std::fs::write(home.path("message"), text).unwrap();
    let file = std::fs::File::open(home.path("message")).unwrap();
    super::Ran::from(send.stdin(file).output().unwrap()).succeeds();
    assert_eq!(home.standin.submitted().len(), 1);
    let asked: Vec<String> = home.standin.log();
    assert!(
        !asked.iter().any(|line| line.contains("oauth2/v2.0")),
        "{asked:#?}"
    );
}

/// The cloud of an outgoing server follows from whom it signs in as, named or found by its tenant.
#[test]
fn mixtures_of_clouds_are_refused_however_an_outgoing_server_finds_its_app() {
    let home = Home::new();
    let validate = |login: &str, id: &str, more: &str| {
        home.config(&format!(
            "version: 1
incoming_servers:
  - name: in
    address: https://{login}/contoso.com
    authentication: oauth-service
    client_id: {id}
    secret: s
    imap: {{imap}}
outgoing_servers:
  - name: out
    tenant: contoso.com
    authentication: oauth-service
    {more}
"
        ));
        home.run(&["config", "validate"])
    };
    let us = "login.microsoftonline.us";
    let own = "client_id: 22222222-3333-4444-5555-666666666666\n    secret: s\n    ";
    for app in ["app: in\n    ", "", own] {
        for host in [
            "smtp: smtp://smtp.office365.com:587",
            "graph: https://graph.microsoft.com",
        ] {
            validate(us, CLIENT, &format!("{app}{host}"))
                .fails(78)
                .mentions(
                    "the host belongs to the worldwide cloud, the login address to the US Government's",
                );
        }
        validate(
            us,
            CLIENT,
            &format!("{app}smtp: smtp://outlook-dod.office365.us:587"),
        )
        .succeeds();
    }
    // Where the login host is none of Microsoft's, an app's ID need not be a GUID.
    let own = "client_id: a.b.c\n    secret: s\n    smtp: smtp://mail.example:587";
    validate("login.example", "d.e.f", own).succeeds();
    validate("login.example", "d.e.f", "via: smtp")
        .fails(78)
        .mentions("no `smtp` for login host `login.example`");
}

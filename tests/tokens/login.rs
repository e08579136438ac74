//! A person signs in by hand: device code and browser; list and forget.

use super::{Home, Ran, claims};
use crate::standin::{App, User};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::sync::atomic::Ordering::SeqCst;

const ADDRESS: &str = "support@contoso.com";

fn home() -> Home {
    let home = Home::new();
    home.standin.add_app(App {
        public: true,
        ..App::default()
    });
    home.standin.add_user(User {
        address: ADDRESS.into(),
        mfa: true,
        ..User::default()
    });
    home.config(&format!(
        "version: 1
incoming_servers:
  - name: people
    address: {{authority}}
    authentication: oauth-user
    client_id: {{client}}
    ca_file: {{ca}}
    imap: {{imap}}
queues:
  - name: support
    addresses:
      - address: {ADDRESS}
        server: people
"
    ));
    home.standin.faults().device_interval.store(1, SeqCst);
    home
}

/// Starts a sign-in and reads its stderr up to a line that holds `text`.
#[allow(clippy::zombie_processes)] // waited for in `finish`
pub fn start(home: &Home, args: &[&str], text: &str) -> (Child, String) {
    let mut child = home
        .command(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Octet by octet: what follows the line stays in the pipe for `finish`.
    let mut line = Vec::new();
    let mut octet = [0];
    let stderr = child.stderr.as_mut().unwrap();
    loop {
        assert_eq!(stderr.read(&mut octet).unwrap(), 1, "no {text:?}");
        line.push(octet[0]);
        if octet[0] == b'\n' {
            let said = String::from_utf8(std::mem::take(&mut line)).unwrap();
            if said.contains(text) {
                return (child, said);
            }
        }
    }
}

pub fn finish(child: Child) -> Ran {
    Ran::from(child.wait_with_output().unwrap())
}

#[test]
fn a_device_code_signs_in_once_for_all() {
    let home = home();
    home.standin.faults().device_slow_down.store(1, SeqCst);
    let (child, said) = start(
        &home,
        &["token", "login", "support", "--device"],
        "enter the code",
    );
    assert!(said.contains("devicelogin"), "{said}");
    home.standin.approve_devices(ADDRESS);
    let ran = finish(child).succeeds();
    assert_eq!(ran.out, format!("signed in as {ADDRESS}\n"));
    let token = home.run(&["token", "get", "support"]).succeeds();
    assert_eq!(claims(&token.out)["upn"], ADDRESS);
    home.run(&["token", "get", "support", "--for", "smtp"])
        .succeeds();
    assert_eq!(
        home.standin.token_requests().last().unwrap().grant_type,
        "refresh_token"
    );

    let list = home.run(&["token", "list"]).succeeds();
    assert_eq!(list.out.lines().count(), 3, "{}", list.out);
    assert!(list.out.contains("refresh token of support@contoso.com"));
    assert!(!list.out.contains("eyJ"), "no token is shown");
    let json = home.run(&["--json", "token", "list"]).succeeds();
    let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json["tokens"].as_array().unwrap().len(), 3);
    let gone = home.run(&["token", "forget", "support"]).succeeds();
    assert_eq!(gone.out, "forgot 3 tokens\n");
    home.run(&["token", "get", "support"])
        .fails(77)
        .says("nobody has signed in");
}

#[test]
fn a_device_code_that_is_declined_or_expires() {
    let home = home();
    let (child, _) = start(
        &home,
        &["token", "login", "support", "--device"],
        "enter the code",
    );
    home.standin.decline_devices();
    finish(child)
        .fails(77)
        .says("error: cannot sign `support@contoso.com` in")
        .says("authorization_declined");
    home.standin.faults().device_lifetime.store(1, SeqCst);
    let (child, _) = start(
        &home,
        &["token", "login", "support", "--device"],
        "enter the code",
    );
    finish(child).fails(77);
}

#[test]
fn another_person_at_the_browser_is_noticed() {
    let home = home();
    home.standin.add_user(User {
        address: "admin@contoso.com".into(),
        ..User::default()
    });
    let (child, _) = start(
        &home,
        &["token", "login", "support", "--device"],
        "enter the code",
    );
    home.standin.approve_devices("admin@contoso.com");
    finish(child).succeeds().says(
        "warning: `admin@contoso.com` has signed in, but the account of `support@contoso.com` is",
    );
}

/// Fetches a page as a browser does; gives its head.
pub fn browse(home: &Home, url: &str) -> String {
    let url = url::Url::parse(url.trim()).unwrap();
    let address = ("127.0.0.1", url.port().unwrap());
    let stream = TcpStream::connect(address).unwrap();
    let request = format!(
        "GET {}?{} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        url.path(),
        url.query().unwrap_or_default()
    );
    let mut answer = String::new();
    if url.scheme() == "https" {
        let ca = std::fs::read(home.standin.ca_file()).unwrap();
        let tls = native_tls::TlsConnector::builder()
            .add_root_certificate(native_tls::Certificate::from_pem(&ca).unwrap())
            .build()
            .unwrap();
        let mut stream = tls.connect("localhost", stream).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let _ = stream.read_to_string(&mut answer);
    } else {
        let mut stream = stream;
        stream.write_all(request.as_bytes()).unwrap();
        stream.read_to_string(&mut answer).unwrap();
    }
    answer
}

pub fn location(answer: &str) -> String {
    let line = answer
        .lines()
        .find(|line| line.to_lowercase().starts_with("location:"))
        .unwrap_or_else(|| panic!("{answer}"));
    line.split_once(':').unwrap().1.trim().to_owned()
}

#[test]
fn a_browser_signs_in_with_pkce() {
    let home = home();
    let (child, page) = start(
        &home,
        &["token", "login", "support", "--browser"],
        "https://",
    );
    let target = location(&browse(&home, &page));
    assert!(target.starts_with("http://localhost:"), "{target}");
    // A browser asks for more than it is sent to; that must not end the wait.
    let port = url::Url::parse(&target).unwrap().port().unwrap();
    let other = browse(&home, &format!("http://localhost:{port}/favicon.ico?"));
    assert!(other.starts_with("HTTP/1.1 404"), "{other}");
    let done = browse(&home, &target);
    assert!(done.starts_with("HTTP/1.1 200"), "{done}");
    finish(child).succeeds();
    home.run(&["token", "get", "support"]).succeeds();
    assert_eq!(
        home.standin.token_requests()[0].grant_type,
        "authorization_code"
    );
}

#[test]
fn a_browser_that_brings_something_else() {
    let home = home();
    home.standin.faults().wrong_state.store(true, SeqCst);
    let (child, page) = start(
        &home,
        &["token", "login", "support", "--browser"],
        "https://",
    );
    browse(&home, &location(&browse(&home, &page)));
    finish(child).fails(77).says("its state differs");
    home.standin.faults().wrong_state.store(false, SeqCst);

    *home.standin.faults().authorize_error.lock().unwrap() = Some((
        "access_denied".into(),
        "AADSTS65004: User declined to consent to access the app.".into(),
    ));
    let (child, page) = start(
        &home,
        &["token", "login", "support", "--browser"],
        "https://",
    );
    browse(&home, &location(&browse(&home, &page)));
    finish(child)
        .fails(77)
        .says("server said: access_denied: AADSTS65004")
        .says("adminconsent?client_id=");
    assert_eq!(home.asked(), 0);
}

#[test]
fn a_server_that_signs_in_as_itself_needs_nobody() {
    let home = Home::new();
    home.service("secret: 's3cret~+&='");
    home.run(&["token", "login", "support"])
        .fails(64)
        .says("nobody needs to sign in");
    home.run(&["token", "login", "contoso"]).fails(64);
}

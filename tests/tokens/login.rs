//! A person signs in by hand: device code and browser; list and forget.

use super::{ADDRESS, Home, Ran, claims};
use crate::cases::page::is_well_formed;
use crate::patience::{PATIENCE, until};
use crate::standin::{App, User};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Stdio};
use std::sync::atomic::Ordering::SeqCst;

pub fn home() -> Home {
    let home = Home::new();
    home.person("", "");
    home.standin.add_user(User {
        address: ADDRESS.into(),
        mfa: true,
        ..User::default()
    });
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
    assert_eq!(ran.stdout, format!("signed in as {ADDRESS}\n"));
    let token = home.run(&["token", "get", "support"]).succeeds();
    assert_eq!(claims(&token.stdout)["upn"], ADDRESS);
    home.run(&["token", "get", "support", "--for", "smtp"])
        .succeeds();
    assert_eq!(
        home.standin.token_requests().last().unwrap().grant_type,
        "refresh_token"
    );

    let list = home.run(&["token", "list"]).succeeds();
    // A heading, and two lines for each of three tokens.
    assert_eq!(list.stdout.lines().count(), 7, "{}", list.stdout);
    assert!(list.stdout.starts_with("ACCOUNT "), "{}", list.stdout);
    let refresh = |line: &str| line.starts_with("support@contoso.com  refresh  ");
    assert!(list.stdout.lines().any(refresh), "{}", list.stdout);
    assert!(!list.stdout.contains("eyJ"), "no token is shown");
    let json = home.run(&["--json", "token", "list"]).succeeds();
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["tokens"].as_array().unwrap().len(), 3);
    let gone = home.run(&["token", "forget", "support"]).succeeds();
    assert_eq!(gone.stdout, "erased 3 tokens\n");
    home.run(&["token", "get", "support"])
        .fails(77)
        .mentions("nobody has signed in");
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
        .mentions("error: cannot sign in `support@contoso.com`")
        .mentions("authorization_declined");
    home.standin.faults().device_lifetime.store(1, SeqCst);
    let (child, _) = start(
        &home,
        &["token", "login", "support", "--device"],
        "enter the code",
    );
    finish(child).fails(77);
}

/// A device code may live longer than an assertion, which is good for nine minutes.
#[test]
fn every_question_for_a_device_code_is_signed_anew() {
    let home = home();
    let certificate = super::service::make_certificate(&home, "key.pem", "cert.pem");
    home.standin.add_app(App {
        certificates: vec![certificate],
        ..App::default()
    });
    let file = std::fs::read_to_string(home.path("config.yaml")).unwrap();
    let files = "certificate: {home}/cert.pem\n    private_key: {home}/key.pem\n    imap:";
    home.config(&file.replace("imap:", files));
    let login = ["token", "login", "support", "--device"];
    let (child, _) = start(&home, &login, "enter the code");
    until("it asks again", || home.asked() >= 2);
    home.standin.approve_devices(ADDRESS);
    finish(child).succeeds();
    let requests = home.standin.token_requests();
    let signed: Vec<&String> = requests.iter().flat_map(|r| &r.assertion).collect();
    assert_eq!(signed.len(), requests.len());
    let different: std::collections::HashSet<_> = signed.iter().collect();
    assert_eq!(different.len(), signed.len(), "{signed:?}");
}

#[test]
fn a_page_that_could_play_with_the_terminal_is_not_shown() {
    let home = home();
    home.standin.faults().device_lifetime.store(1, SeqCst);
    *home.standin.faults().device_page.lock().unwrap() =
        Some("https://login.example/\u{1b}]0;gotcha\u{7}\u{1b}[2J".into());
    home.run(&["token", "login", "support", "--device"])
        .fails(69)
        .hides("gotcha")
        .hides("\u{1b}");
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
    finish(child).succeeds().mentions(
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

/// What the browser shows in the end is what came, and nothing of the words that came with it.
#[test]
fn the_last_page_says_what_the_browser_brought() {
    let home = home();
    let login = ["token", "login", "support", "--browser"];
    let shows = |url: &str, headline: &str| {
        let answer = browse(&home, url);
        let (head, page) = answer.split_once("\r\n\r\n").unwrap();
        assert!(page.contains(&format!("<h1>{headline}</h1>")), "{answer}");
        for line in [
            "Content-Security-Policy: frame-ancestors 'none'",
            "Cache-Control: no-store",
        ] {
            assert!(head.contains(line), "no {line} in {head}");
        }
        let length = format!("Content-Length: {}\r\n", page.len());
        assert!(head.contains(&length), "{length}: {head}");
        assert!(!page.contains("evil"), "{page}");
        is_well_formed(page);
    };
    let refusal = ("evil".to_owned(), "<script>evil()</script>".to_owned());
    *home.standin.faults().authorize_error.lock().unwrap() = Some(refusal);
    let (child, page) = start(&home, &login, "https://");
    let refused = location(&browse(&home, &page));
    let (place, _) = refused.split_once('?').unwrap();
    shows(&format!("{place}evil?"), "Nothing is here");
    let foreign = format!("{place}?error=x&error_description=evil&state=y");
    shows(&foreign, "This answer belongs to another sign-in");
    shows(&refused, "You are not signed in");
    finish(child).fails(77).mentions("evil");
    *home.standin.faults().authorize_error.lock().unwrap() = None;
    let (child, page) = start(&home, &login, "https://");
    let target = location(&browse(&home, &page)) + "&iss=https%3A%2F%2Fevil.example%2Fcontoso";
    shows(&target, "You are not signed in");
    finish(child).fails(77).mentions("its issuer differs");
    let (child, page) = start(&home, &login, "https://");
    shows(
        &location(&browse(&home, &page)),
        "queuemail received your sign-in",
    );
    finish(child).succeeds();
}

/// Browsers open connections ahead of their use, and say nothing on them; and `localhost` has the
/// cookies of other programs, in whatever encoding.
#[test]
fn silent_connections_and_odd_cookies_hold_nobody_up() {
    let home = home();
    let login = ["token", "login", "support", "--browser"];
    let (child, page) = start(&home, &login, "https://");
    let target = url::Url::parse(&location(&browse(&home, &page))).unwrap();
    let connect = || TcpStream::connect(("127.0.0.1", target.port().unwrap())).unwrap();
    let began = std::time::Instant::now();
    // Five seconds for each would be too many.
    let _ahead = [(); 40].map(|()| connect());
    let mut stream = connect();
    let request = format!(
        "GET /?{} HTTP/1.1\r\nHost: localhost\r\nCookie: {}",
        target.query().unwrap(),
        "a=b; ".repeat(4000)
    );
    stream.write_all(request.as_bytes()).unwrap();
    stream.write_all(b"c=caf\xe9\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    finish(child).succeeds();
    assert!(began.elapsed() < PATIENCE);
}

/// The browser is on another host: the person pastes the address at which it ends.
#[test]
fn an_address_that_is_pasted_signs_in() {
    let home = home();
    let login = |paste: &dyn Fn(String) -> String| {
        let mut command = home.command(&["token", "login", "support", "--no-browser"]);
        command.env("TERM", "xterm").stdin(Stdio::inherit());
        let mut t = rexpect::session::spawn_command(command, Some(30_000)).unwrap();
        t.exp_string("at this page:\r\n").unwrap();
        let page = t.read_line().unwrap();
        let target = location(&browse(&home, &page));
        assert!(target.starts_with("http://localhost/?"), "{target}");
        t.exp_string("address from the browser's address bar")
            .unwrap();
        t.send_line(&paste(target)).unwrap();
        t.exp_eof().unwrap()
    };
    let said = login(&|_| "http://localhost/".into());
    assert!(said.contains("this address contains no code"), "{said}");
    let said = login(&|target| target.replace("state=", "state=x"));
    assert!(said.contains("its state differs"), "{said}");
    // RFC 9207: an authority that says who it is.
    let said = login(&|target| target + "&iss=https%3A%2F%2Flogin.example%2Fcontoso");
    assert!(said.contains("its issuer differs"), "{said}");
    assert_eq!(home.asked(), 0);
    let issuer = home.standin.login_url();
    let said = login(&|target| format!("{target}&iss={issuer}%2Fcontoso"));
    assert!(said.contains(&format!("signed in as {ADDRESS}")), "{said}");
    assert!(!said.contains("code="), "{said}");
    home.run(&["token", "get", "support"]).succeeds();
    home.run(&["token", "login", "support", "--no-browser"])
        .fails(64)
        .mentions("needs a terminal");
}

/// Any page and program of this host can send a browser, or itself, to the port that the program
/// waits at.
#[test]
fn what_has_not_our_state_is_turned_away_and_ends_nothing() {
    let home = home();
    home.standin.faults().wrong_state.store(true, SeqCst);
    let login = ["token", "login", "support", "--browser"];
    let (child, page) = start(&home, &login, "https://");
    let of_another = location(&browse(&home, &page));
    home.standin.faults().wrong_state.store(false, SeqCst);
    let target = location(&browse(&home, &page));
    let (place, _) = target.split_once('?').unwrap();
    for foreign in [
        of_another,
        format!("{place}?code=evil"),
        format!("{place}?error=access_denied&error_description=x"),
        format!("{place}?error=x&state=y"),
    ] {
        let answer = browse(&home, &foreign);
        assert!(answer.starts_with("HTTP/1.1 400"), "{foreign}: {answer}");
    }
    assert_eq!(home.asked(), 0, "no code of theirs went out");
    let done = browse(&home, &target);
    assert!(done.starts_with("HTTP/1.1 200"), "{done}");
    finish(child).succeeds();
}

/// Whoever opens connections and says nothing costs neither threads nor the sign-in.
#[test]
fn many_silent_connections_cost_nothing() {
    let home = home();
    let login = ["token", "login", "support", "--browser"];
    let (child, page) = start(&home, &login, "https://");
    let target = location(&browse(&home, &page));
    let port = url::Url::parse(&target).unwrap().port().unwrap();
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(TcpStream::connect(("127.0.0.1", port)).unwrap());
    }
    std::thread::sleep(std::time::Duration::from_millis(300));
    let threads = std::fs::read_dir(format!("/proc/{}/task", child.id())).unwrap();
    assert_eq!(threads.count(), 1);
    let began = std::time::Instant::now();
    let done = browse(&home, &target);
    assert!(done.starts_with("HTTP/1.1 200"), "{done}");
    finish(child).succeeds();
    assert!(began.elapsed() < PATIENCE);
}

#[test]
fn a_browser_that_brings_something_else() {
    let home = home();
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
        .mentions("server said: access_denied: AADSTS65004")
        .mentions("adminconsent?client_id=");
    assert_eq!(home.asked(), 0);
}

/// A program of this host opens the page that the terminal shows. What the browser brings is shown
/// without what is secret of the sign-in, be it repeated.
#[test]
fn a_browser_is_given_the_page_and_a_refusal_repeats_no_state() {
    let home = home();
    let opened = home.path("opened");
    let script = format!("#!/bin/sh\nprintf '%s' \"$1\" >'{}'\n", opened.display());
    let program = home.write("xdg-open", &script);
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
    let mut command = home.command(&["token", "login", "support", "--browser", "-vv"]);
    let path = std::env::var("PATH").unwrap();
    command.env("DISPLAY", ":9").env(
        "PATH",
        format!("{}:{path}", program.parent().unwrap().display()),
    );
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let end = std::time::Instant::now() + PATIENCE;
    let page = loop {
        let page = std::fs::read_to_string(&opened).unwrap_or_default();
        if page.contains("state=") || std::time::Instant::now() > end {
            break url::Url::parse(&page).expect("nothing was opened");
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    let field = |name: &str| {
        let mut pairs = page.query_pairs();
        let (_, value) = pairs.find(|(own, _)| own == name).unwrap();
        value.into_owned()
    };
    let mut back = url::Url::parse(&field("redirect_uri")).unwrap();
    back.query_pairs_mut()
        .append_pair("error", "access_denied")
        .append_pair("error_description", &format!("of {}", field("state")))
        .append_pair("state", &field("state"));
    let answer = browse(&home, back.as_str());
    assert!(!answer.contains(&field("state")), "{answer}");
    let ran = finish(child)
        .fails(77)
        .mentions("server said: access_denied: of ");
    let (_, after) = ran.stderr.split_once("in the browser was refused").unwrap();
    assert!(!after.contains(&field("state")), "{after}");
}

#[test]
fn a_server_that_signs_in_as_itself_needs_nobody() {
    let home = Home::new();
    home.service("secret: 's3cret~+&='");
    home.run(&["token", "login", "support"])
        .fails(64)
        .mentions("no person needs to sign in");
    home.run(&["token", "login", "contoso"]).fails(64);
}

/// An outgoing server with an app of its own is another sign-in than the mailbox's.
#[test]
fn what_a_mailbox_sends_through_may_need_a_sign_in_of_its_own() {
    let home = home();
    home.standin.faults().device_interval.store(1, SeqCst);
    let file = std::fs::read_to_string(home.path("config.yaml")).unwrap();
    let sending = "33333333-4444-5555-6666-777777777777";
    home.standin.add_app(App {
        client_id: sending.into(),
        public: true,
        ..App::default()
    });
    let (servers, queues) = file.split_once("queues:").unwrap();
    let with = |servers: &str, user: &str| {
        home.config(&format!(
            "{servers}outgoing_servers:
  - name: people out
    tenant: {{tenant}}
    authentication: oauth-user
    client_id: {sending}
    ca_file: {{ca}}
    smtp: {{smtp}}
    {user}
queues:{}        sender: true
        outgoing_server: people out
",
            queues.trim_start_matches(' ')
        ));
    };
    with(servers, "");
    let sign_in = |args: &[&str], who: &str| {
        let (child, said) = start(
            &home,
            &[&["token", "login"], args, &["--device"]].concat(),
            "enter",
        );
        assert!(said.contains(&format!("sign in as {who}")), "{said}");
        home.standin.approve_devices(who);
        finish(child).succeeds()
    };
    let login = format!("queuemail token login {ADDRESS} --for smtp");
    // Who signs in to read is told at once that this is not all.
    sign_in(&["support"], ADDRESS).mentions(&format!(
        "warning: `people out`, through which `{ADDRESS}` sends, needs a separate sign-in: {login}\n"
    ));
    home.run(&["token", "get", "support"]).succeeds();
    let get = ["token", "get", "support", "--for", "smtp"];
    home.run(&get)
        .fails(77)
        .mentions(&format!("hint: sign in: `{login}`"));
    let checked = home.run(&["check", "support"]);
    assert!(checked.stdout.contains(&login), "{checked:?}");
    let message = home.write("m.eml", &format!("From: {ADDRESS}\r\n\r\nhello\r\n"));
    let message = message.to_str().unwrap();
    let send = ["send", "b@contoso.com", "--file", message];
    home.run(&send).fails(77).mentions(&login);
    sign_in(&["support", "--for", "smtp"], ADDRESS).hides("warning");
    let last = home.standin.token_requests().pop().unwrap();
    assert_eq!(last.client_id, sending);
    assert_eq!(
        claims(&home.run(&get).succeeds().stdout)["scp"],
        "SMTP.Send"
    );
    sign_in(&["support"], ADDRESS).hides("warning");

    let gone = home.run(&["token", "forget", "support"]).succeeds();
    assert_eq!(gone.stdout, "erased 4 tokens\n", "both sign-ins");
    home.run(&get).fails(77).mentions(&login);

    // Another person sends, whom the server names.
    let bob = "bob@contoso.com";
    home.standin.add_user(User {
        address: bob.into(),
        ..User::default()
    });
    with(servers, &format!("user: {bob}"));
    home.run(&get).fails(77).mentions(&login);
    let out = home.run(&["token", "get", "people out"]).fails(77);
    let hint = "queuemail token login 'people out' --for smtp";
    out.mentions(&format!("hint: sign in: `{hint}`"));
    let checked = home.run(&["check", "support"]);
    assert!(checked.stdout.contains(&login), "{checked:?}");
    // As long as no address uses it.
    let file = std::fs::read_to_string(home.path("config.yaml")).unwrap();
    home.config(&file.replace("        outgoing_server: people out\n", ""));
    let checked = home.run(&["check", "people out"]);
    assert!(checked.stdout.contains(hint), "{checked:?}");
    home.config(&file);
    sign_in(&["people out", "--for", "smtp"], bob);
    assert_eq!(claims(&home.run(&get).succeeds().stdout)["upn"], bob);
    home.standin.expire_refresh_tokens();
    home.run(&[&get[..], &["--fresh"]].concat())
        .fails(77)
        .mentions(&format!("hint: sign in again: `{login}`"));

    // Where the program itself reads, there is but one sign-in.
    let service = "oauth-service\n    secret: 's3cret~+&='";
    with(&servers.replace("oauth-user", service), "");
    home.run(&["token", "forget", "--all"]).succeeds();
    sign_in(&["support"], ADDRESS).hides("warning");
    assert_eq!(claims(&home.run(&get).succeeds().stdout)["upn"], ADDRESS);
    home.run(&["token", "login", "support", "--for", "imap"])
        .fails(64)
        .mentions("no person needs to sign in");
}

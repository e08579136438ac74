//! What the token endpoint and the network between may answer.

use super::Home;
use crate::servers::proxy;
use crate::standin::{App, TokenFault};
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

fn home() -> Home {
    let home = Home::new();
    home.service("secret: 's3cret~+&='");
    home
}

#[test]
fn an_expired_secret_is_explained() {
    let home = home();
    home.standin.add_app(App {
        secret: Some("s3cret~+&=".into()),
        secret_expired: true,
        ..App::default()
    });
    let ran = home.run(&["token", "get", "support"]).fails(77);
    let lines: Vec<&str> = ran.stderr.lines().collect();
    assert_eq!(lines[0], "error: cannot get a token for server `contoso`");
    assert!(
        lines[1].starts_with("server said: invalid_client: AADSTS7000222: The provided client secret keys for app '22222222-"),
        "{}", lines[1]
    );
    assert!(!lines[1].contains("Trace ID"));
    assert_eq!(
        lines[2],
        "hint: create a client secret in the app registration, then `queuemail server set contoso --secret-stdin`"
    );
    assert!(
        lines[3].starts_with(
            "hint: more at https://login.microsoftonline.com/error?code=7000222 (correlation id "
        ),
        "{}",
        lines[3]
    );
    assert_eq!(lines.len(), 4, "{ran:?}");
}

#[test]
fn errors_as_json() {
    let home = home();
    home.service("secret: wrong");
    let ran = home.run(&["--json", "token", "get", "support"]).fails(77);
    let object: serde_json::Value = serde_json::from_str(&ran.stderr).unwrap();
    assert_eq!(object["exit_code"], 77);
    assert!(
        object["server_said"]
            .as_str()
            .unwrap()
            .contains("AADSTS7000215")
    );
    assert!(object["hints"][0].as_str().unwrap().contains("Value"));
}

#[test]
fn what_is_no_answer_of_a_token_endpoint_is_the_networks_fault() {
    let home = home();
    for (fault, says) in [
        (TokenFault::Html(200), "HTTP status 200, text/html"),
        (TokenFault::Html(403), "HTTP status 403, text/html"),
        (TokenFault::Html(502), "HTTP status 502, text/html"),
        (TokenFault::WrongContentType, "text/html"),
        (TokenFault::Close, "cannot reach `localhost`"),
        (
            TokenFault::Redirect("https://localhost:9/elsewhere".into()),
            "HTTP status 307",
        ),
    ] {
        home.standin.faults().token_next(1, fault);
        home.run(&["token", "get", "support"])
            .fails(75)
            .mentions(says)
            .hides("s3cret");
    }
    for fault in [TokenFault::NoToken, TokenFault::HugeBody(3 << 20)] {
        home.standin.faults().token_next(1, fault);
        home.run(&["token", "get", "support"]).fails(69);
    }
    home.standin.faults().token_next(1, TokenFault::BrokenJson);
    home.run(&["token", "get", "support"])
        .fails(75)
        .mentions("it is incomplete");
    home.standin.faults().hide_expires_in.store(true, SeqCst);
    home.run(&["token", "get", "support"])
        .fails(69)
        .mentions("expires_in");
    // An error that names none says nothing; and a page has a host, which a proxy may be told.
    home.standin
        .faults()
        .token_next(1, TokenFault::Says(400, r#"{"error":""}"#));
    home.run(&["token", "get", "support"])
        .fails(75)
        .mentions("HTTP status 400, application/json");
    home.standin.faults().token_next(1, TokenFault::Html(502));
    home.run(&["token", "get", "support"])
        .fails(75)
        .mentions("hint: NO_PROXY=localhost queuemail check support@contoso.com");
}

#[test]
fn a_slow_answer_is_given_up() {
    let home = home();
    home.standin
        .faults()
        .token_next(1, TokenFault::Delay(Duration::from_secs(300)));
    let began = std::time::Instant::now();
    home.run(&["--timeout", "1", "token", "get", "support"])
        .fails(75)
        .mentions("`localhost` did not answer in time");
    assert!(began.elapsed() < Duration::from_secs(100));
}

#[test]
fn a_wait_that_the_server_asks_for_is_kept_by_the_next_process() {
    let home = home();
    home.standin
        .faults()
        .token_next(1, TokenFault::Status(429, Some(600)));
    home.run(&["token", "get", "support"])
        .fails(75)
        .mentions("AADSTS90033");
    home.run(&["token", "get", "support", "--fresh"])
        .fails(75)
        .mentions("requested a wait");
    assert_eq!(home.asked(), 1);
    let state = rusqlite::Connection::open(home.path("state/state.sqlite")).unwrap();
    state.execute("UPDATE wait SET until = 1", []).unwrap();
    home.run(&["token", "get", "support"]).succeeds();
    // Without such a wish, the next process asks at once.
    home.standin
        .faults()
        .token_next(1, TokenFault::Status(503, None));
    home.run(&["token", "get", "support", "--fresh"]).fails(75);
    home.run(&["token", "get", "support", "--fresh"]).succeeds();
}

/// A proxy's page is not the login host's wish, and must not silence the program for a day.
#[test]
fn a_wait_that_something_in_between_asks_for_is_kept_for_minutes_at_most() {
    let home = home();
    let state = || rusqlite::Connection::open(home.path("state/state.sqlite")).unwrap();
    let left = |fault: TokenFault| {
        home.standin.faults().token_next(1, fault);
        home.run(&["token", "get", "support", "--fresh"]).fails(75);
        let until: Option<i64> = state()
            .query_row(
                "SELECT max(until) FROM wait WHERE key LIKE 'token http%'",
                [],
                |row| row.get(0),
            )
            .unwrap();
        state().execute("DELETE FROM wait", []).unwrap();
        let now = std::time::SystemTime::UNIX_EPOCH
            .elapsed()
            .unwrap()
            .as_secs();
        until.map_or(0, |until| until as u64 / 1000 - now)
    };
    for status in [429, 503] {
        let page = left(TokenFault::HtmlWithWait(status, 86_400));
        assert!((290..=300).contains(&page), "{status}: {page}");
        let own = left(TokenFault::Status(status, Some(7200)));
        assert!((7190..=7200).contains(&own), "{status}: {own}");
    }
    // RFC 9110 §10.2.3 gives it no meaning there.
    for status in [200, 403, 307] {
        assert_eq!(
            left(TokenFault::HtmlWithWait(status, 86_400)),
            0,
            "{status}"
        );
    }
}

#[test]
fn an_authority_that_is_not_trusted_gets_no_secret() {
    let home = home();
    let file = std::fs::read_to_string(home.path("config.yaml")).unwrap();
    let without = file
        .lines()
        .filter(|line| !line.contains("ca_file"))
        .collect::<Vec<_>>()
        .join("\n");
    home.config(&without);
    home.run(&["token", "get", "support"])
        .fails(69)
        .mentions("certificate of `localhost` is not trusted")
        .mentions("ca_file");
    assert_eq!(home.asked(), 0);
    let ran = home
        .command(&["token", "get", "support"])
        .env("SSL_CERT_FILE", home.standin.ca_file())
        .output()
        .unwrap();
    super::Ran::from(ran).succeeds();
    let ran = home
        .command(&["token", "get", "support", "--fresh"])
        .env("SSL_CERT_FILE", "/nowhere/ca.pem")
        .output()
        .unwrap();
    super::Ran::from(ran)
        .fails(69)
        .mentions("hint: SSL_CERT_FILE names a file that cannot be read or contains no certificate: ls -l /nowhere/ca.pem");
}

#[test]
fn the_proxy_variables_are_honoured() {
    let home = home();
    let through = |proxy: &str, no_proxy: &str| {
        let ran = home
            .command(&["token", "get", "support", "--fresh"])
            .env("HTTPS_PROXY", proxy)
            .env("NO_PROXY", no_proxy)
            .output()
            .unwrap();
        super::Ran::from(ran)
    };
    // A proxy that is not there is not the login host's fault.
    through("http://user:pr0xy-w0rd@127.0.0.1:9", "")
        .fails(75)
        .mentions("cannot reach `localhost` through the proxy `127.0.0.1:9`: Connection refused")
        .mentions("hint: the proxy comes from HTTPS_PROXY or ALL_PROXY")
        .hides("pr0xy-w0rd");
    through("http://proxy.invalid:8080", "")
        .fails(75)
        .mentions(
            "cannot reach `localhost` through the proxy `proxy.invalid:8080`: its host is unknown",
        )
        .hides("getent hosts localhost");
    through("http://127.0.0.1:9", "login.contoso.example, localhost").succeeds();
    through("socks5://127.0.0.1:9", "")
        .fails(78)
        .mentions("HTTPS_PROXY");

    let (url, targets) = proxy::connect(None);
    through(&url, "").succeeds();
    let expected = format!("localhost:{}", home.standin.login_port());
    assert_eq!(*targets.lock().unwrap(), [expected]);
}

#[test]
fn a_redirect_gets_no_secret() {
    let home = home();
    let other = Home::new();
    for status in ["a", "b"] {
        let target = format!("{}/{status}", other.standin.login_url());
        home.standin
            .faults()
            .token_next(1, TokenFault::Redirect(target));
        home.run(&["token", "get", "support"])
            .fails(75)
            .mentions("queuemail does not send secrets to another place");
    }
    assert!(other.standin.log().is_empty(), "{:#?}", other.standin.log());
}

#[test]
fn an_error_that_comes_with_status_200_is_one() {
    let home = home();
    let body = r#"{"error":"invalid_client","error_description":"AADSTS7000222: The provided client secret keys are expired.","error_codes":[7000222]}"#;
    home.standin
        .faults()
        .token_next(1, TokenFault::Says(200, body));
    home.run(&["token", "get", "support"])
        .fails(77)
        .mentions("server said: invalid_client: AADSTS7000222")
        .mentions("create a client secret");
    let body = r#"{"error":"temporarily_unavailable"}"#;
    home.standin
        .faults()
        .token_next(1, TokenFault::Says(200, body));
    home.run(&["token", "get", "support"]).fails(75);
}

#[test]
fn a_tenant_is_set_where_the_server_has_it() {
    let home = home();
    let file = std::fs::read_to_string(home.path("config.yaml")).unwrap();
    let out = "outgoing_servers:
  - name: out
    tenant: fabrikam.example
    authentication: oauth-service
    client_id: {client}
    secret: 's3cret~+&='
    ca_file: {ca}
    smtp: {smtp}
queues:";
    home.config(&file.replace("queues:", out));
    let ran = home.run(&["check", "out"]);
    assert!(ran.stdout.contains("AADSTS90002"), "{ran:?}");
    let remedy = "queuemail server set out --tenant TENANT";
    assert!(ran.stdout.contains(remedy), "{}", ran.stdout);
    assert!(!ran.stdout.contains("--address"), "{}", ran.stdout);
    // And the incoming one has it in its address.
    home.config(&file.replace(home.standin.tenant(), "fabrikam.example"));
    let ran = home.run(&["check", "contoso"]);
    let remedy = "queuemail server set contoso --address https://login.microsoftonline.com/TENANT";
    assert!(ran.stdout.contains(remedy), "{}", ran.stdout);
}

#[test]
fn the_exchange_is_shown_to_whoever_looks_without_a_secret() {
    let home = Home::new();
    home.service("secret: 's3cret~+&='");
    let ran = home
        .run(&["token", "get", "support", "-vv"])
        .succeeds()
        .mentions("oauth > POST https://localhost:")
        .mentions("grant_type=client_credentials")
        .mentions("client_secret=(secret)")
        .mentions("oauth < 200 ")
        .mentions("access_token=(secret)")
        .mentions("expires_in=");
    assert!(!ran.stderr.contains("s3cret"), "{}", ran.stderr);
    assert!(!ran.stderr.contains(ran.stdout.trim()), "{}", ran.stderr);
    home.run(&["token", "get", "support", "-v", "--fresh"])
        .succeeds()
        .hides("oauth >");
    home.service("secret: 'wr0ng~+&='");
    home.run(&["token", "get", "support", "-vv", "--fresh"])
        .fails(77)
        .mentions("oauth < 401 ")
        .mentions("error_codes=[7000215]")
        .hides("wr0ng");
}

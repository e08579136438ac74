//! Microsoft's own clients understand the stand-in, so what is proved against it holds for them
//! too: here MSAL for Python gets tokens by every grant; `graph::official_client` reads and sends.

use crate::standin::jwt::{make_certificate, take_apart};
use crate::standin::{App, EXCHANGE, EXCHANGE_DELEGATED, Standin, User};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::{Duration, Instant};

const ADDRESS: &str = "support@contoso.example";
const PASSWORD: &str = "correct horse battery staple";
const SECRET: &str = "s3cret~+&=";

/// A Python with Microsoft's clients, as `scripts/need test` installs it.
pub fn python() -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/official/bin/python");
    assert!(
        path.exists(),
        "Microsoft's clients are not installed: run `scripts/need test`"
    );
    path
}

fn tenant(app: App) -> Standin {
    let m365 = Standin::start();
    m365.add_app(App {
        roles: vec!["IMAP.AccessAsApp"],
        ..app
    });
    m365.add_user(User {
        address: ADDRESS.into(),
        ..User::default()
    });
    m365
}

fn public() -> Standin {
    tenant(App {
        public: true,
        ..App::default()
    })
}

/// MSAL at work: what it answers comes line by line.
struct Msal {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Msal {
    /// Lets MSAL ask for a token of Exchange; `more` are settings beyond the usual ones.
    fn asks(m365: &Standin, grant: &str, more: Value) -> Msal {
        let mut settings = json!({
            "authority": m365.authority(), "ca_file": m365.ca_file(),
            "client_id": App::default().client_id, "user": ADDRESS, "password": PASSWORD,
            "scopes": [format!("{EXCHANGE_DELEGATED}/IMAP.AccessAsUser.All")],
        });
        for (name, value) in more.as_object().unwrap() {
            settings[name] = value.clone();
        }
        let mut child = Command::new(python())
            .args(["-I", "-Wignore::UserWarning"]) // it would have us take form_post
            .arg(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/tests/official/msal_client.py"
            ))
            .args([grant, &settings.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Msal { child, lines }
    }

    #[track_caller]
    fn says(&mut self) -> Value {
        let line = self.lines.next().expect("MSAL ended early").unwrap();
        serde_json::from_str(&line).unwrap()
    }

    fn go_on(&mut self) {
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(b"\n").unwrap();
    }

    #[track_caller]
    fn ends(mut self) {
        assert!(self.child.wait().unwrap().success());
        assert!(self.lines.next().is_none());
    }
}

/// The claims of the access token in an answer.
#[track_caller]
fn claims(answer: &Value) -> Value {
    let token = answer["access_token"].as_str();
    let token = token.unwrap_or_else(|| panic!("{answer:#}"));
    assert_eq!(answer["token_type"], "Bearer");
    take_apart(token).unwrap().claims
}

/// Demands a token of the user for Exchange, and that MSAL took the ID token.
#[track_caller]
fn is_for_the_user(answer: &Value) {
    let claims = claims(answer);
    assert_eq!(claims["aud"], EXCHANGE_DELEGATED);
    assert_eq!(claims["upn"], ADDRESS);
    assert_eq!(claims["scp"], "IMAP.AccessAsUser.All");
    let id = &answer["id_token_claims"];
    assert_eq!(id["preferred_username"], ADDRESS, "{answer:#}");
}

fn app_only(credential: Value) -> Value {
    json!({"credential": credential, "scopes": [format!("{EXCHANGE}/.default")]})
}

/// Demands a token of the app for Exchange, asked for once.
#[track_caller]
fn is_for_the_app(m365: &Standin, credential: Value) {
    let before = m365.token_requests().len();
    let mut msal = Msal::asks(m365, "service", app_only(credential));
    let first = msal.says();
    let claims = claims(&first);
    assert_eq!(claims["aud"], EXCHANGE);
    assert_eq!(claims["roles"], json!(["IMAP.AccessAsApp"]));
    assert_eq!(first["token_source"], "identity_provider");
    let second = msal.says();
    assert_eq!(second["access_token"], first["access_token"]);
    assert_eq!(second["token_source"], "cache");
    msal.ends();
    assert_eq!(m365.token_requests().len(), before + 1);
}

/// Demands that the app is refused as `invalid_client` with this code of Entra's.
#[track_caller]
fn is_refused(m365: &Standin, credential: Value, code: u32) {
    let mut msal = Msal::asks(m365, "service", app_only(credential));
    let answers = [msal.says(), msal.says()];
    msal.ends();
    for answer in answers {
        assert_eq!(answer["error"], "invalid_client");
        assert_eq!(answer["error_codes"], json!([code]));
        let text = answer["error_description"].as_str().unwrap();
        assert!(text.starts_with(&format!("AADSTS{code}: ")), "{text}");
    }
}

#[test]
fn msal_signs_in_with_a_secret() {
    let m365 = tenant(App {
        secret: Some(SECRET.into()),
        ..App::default()
    });
    is_for_the_app(&m365, json!(SECRET));
    is_refused(&m365, json!("wrong"), 7000215);
}

#[test]
fn msal_signs_in_with_a_certificate() {
    let (certificate, key) = make_certificate("queuemail");
    let m365 = tenant(App {
        certificates: vec![certificate.clone()],
        ..App::default()
    });
    // Without a thumbprint MSAL makes its own of SHA-256, and signs by PS256.
    let credential = json!({"private_key": key, "public_certificate": certificate});
    is_for_the_app(&m365, credential);
    assert_eq!(m365.token_requests()[0].authentication, "private_key_jwt");

    let (other, other_key) = make_certificate("queuemail");
    let credential = json!({"private_key": other_key, "public_certificate": other});
    is_refused(&m365, credential, 700027);
}

#[test]
fn msal_signs_in_with_a_password() {
    let m365 = public();
    let mut msal = Msal::asks(&m365, "password", json!({}));
    is_for_the_user(&msal.says());
    msal.ends();

    let mut msal = Msal::asks(&m365, "password", json!({"password": "wrong"}));
    let answer = msal.says();
    assert_eq!(answer["error"], "invalid_grant");
    assert_eq!(answer["error_codes"], json!([50126]));
    msal.ends();
}

#[test]
fn msal_waits_for_a_device_code() {
    let m365 = public();
    m365.faults().device_interval.store(1, SeqCst);
    let ask = |decide: &dyn Fn()| {
        let mut msal = Msal::asks(&m365, "device", json!({}));
        let flow = msal.says();
        let code = flow["user_code"].as_str().unwrap();
        assert!(flow["message"].as_str().unwrap().contains(code));
        decide();
        let answer = msal.says();
        msal.ends();
        answer
    };
    is_for_the_user(&ask(&|| {
        // Not before MSAL was told to wait.
        let start = Instant::now();
        while m365.token_requests().is_empty() && start.elapsed().as_secs() < 30 {
            thread::sleep(Duration::from_millis(10));
        }
        m365.approve_devices(ADDRESS);
    }));
    assert!(m365.token_requests().len() >= 2, "{:#?}", m365.log());
    let answer = ask(&|| m365.decline_devices());
    assert_eq!(answer["error"], "authorization_declined");
}

#[test]
fn msal_redeems_an_authorization_code() {
    let m365 = public();
    let mut msal = Msal::asks(&m365, "code", json!({}));
    let answer = msal.says();
    is_for_the_user(&answer);
    assert!(answer["refresh_token"].is_string());
    let answer = msal.says();
    assert_eq!(answer["error"], "invalid_grant");
    assert_eq!(answer["error_codes"], json!([501481]));
    msal.ends();
}

#[test]
fn msal_refreshes_until_the_session_is_revoked() {
    let m365 = public();
    let mut msal = Msal::asks(&m365, "refresh", json!({}));
    let first = msal.says();
    is_for_the_user(&first);
    let account = msal.says();
    assert_eq!(account["username"], ADDRESS);
    let id = &first["id_token_claims"];
    let expected = format!("{}.{}", id["oid"].as_str().unwrap(), m365.tenant());
    assert_eq!(account["home_account_id"], expected);

    msal.go_on();
    let second = msal.says();
    assert_eq!(claims(&second)["upn"], ADDRESS);
    assert_ne!(second["access_token"], first["access_token"]);

    m365.revoke_refresh_tokens(ADDRESS);
    msal.go_on();
    let third = msal.says();
    assert_eq!(third["error"], "invalid_grant");
    assert_eq!(third["error_codes"], json!([50173]));
    assert_eq!(third["suberror"], "bad_token");
    msal.ends();
    let last = m365.token_requests().pop().unwrap();
    assert_eq!(last.grant_type, "refresh_token");
}

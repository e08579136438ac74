//! Entra's endpoints: every grant, and the errors with their codes.

use serde_json::{Value, json};

use super::client::{http, http_with};
use super::{APP, SECRET, SUPPORT, furnished};
use crate::standin::{App, EXCHANGE, Federated, Standin, TokenFault, User, jwt};

const PUBLIC: &str = "99999999-3333-4444-5555-666666666666";
const IMAP: &str = "https://outlook.office.com/IMAP.AccessAsUser.All offline_access";

fn ask_in(m365: &Standin, tenant: &str, form: &[(&str, &str)]) -> (u16, Value) {
    let path = format!("/{tenant}/oauth2/v2.0/token");
    let (status, body) = http(m365, "POST", &path, form);
    (status, serde_json::from_str(&body).unwrap_or(Value::Null))
}

fn ask(m365: &Standin, form: &[(&str, &str)]) -> (u16, Value) {
    ask_in(m365, m365.domain(), form)
}

/// The `error` and the AADSTS code of a refused request.
fn refusal(m365: &Standin, form: &[(&str, &str)]) -> (String, u64) {
    let (status, body) = ask(m365, form);
    assert!(status >= 400, "{body}");
    let code = body["error_codes"][0].as_u64().unwrap();
    let description = body["error_description"].as_str().unwrap();
    assert!(
        description.starts_with(&format!("AADSTS{code}: ")),
        "{body}"
    );
    assert!(body["trace_id"].is_string() && body["correlation_id"].is_string());
    (body["error"].as_str().unwrap().to_string(), code)
}

fn client_credentials<'a>(secret: &'a str, scope: &'a str) -> [(&'static str, &'a str); 4] {
    [
        ("grant_type", "client_credentials"),
        ("client_id", APP),
        ("client_secret", secret),
        ("scope", scope),
    ]
}

fn public(m365: &Standin) {
    m365.add_app(App {
        client_id: PUBLIC.into(),
        public: true,
        ..App::default()
    });
}

#[test]
fn client_credentials_give_a_token_with_roles() {
    let m365 = furnished();
    let scope = "https://outlook.office365.com/.default";
    for tenant in [m365.tenant(), m365.domain()] {
        let (status, body) = ask_in(&m365, tenant, &client_credentials(SECRET, scope));
        assert_eq!(status, 200, "{body}");
        assert_eq!(body["expires_in"], 3599);
        assert!(body["refresh_token"].is_null());
        let parts = jwt::take_apart(body["access_token"].as_str().unwrap()).unwrap();
        assert_eq!(parts.claims["aud"], EXCHANGE);
        assert_eq!(
            parts.claims["roles"],
            json!(["IMAP.AccessAsApp", "SMTP.SendAsApp"])
        );
        assert_eq!(parts.header["alg"], "RS256");
    }
    assert_eq!(m365.token_requests().len(), 2);
    assert!(!format!("{:?}{:?}", m365.token_requests(), m365.log()).contains(SECRET));
}

#[test]
fn errors_have_their_codes() {
    let m365 = furnished();
    let good = "https://outlook.office365.com/.default";
    let cases = [
        (client_credentials("wrong", good), "invalid_client", 7000215),
        (
            client_credentials(SECRET, "https://outlook.office365.com/IMAP.AccessAsApp"),
            "invalid_scope",
            1002012,
        ),
        (
            client_credentials(SECRET, "https://outlook.example/.default"),
            "invalid_resource",
            500011,
        ),
        (
            client_credentials(SECRET, "a/.default b/.default"),
            "invalid_scope",
            70011,
        ),
        (client_credentials(SECRET, ""), "invalid_request", 900144),
    ];
    for (form, error, code) in cases {
        assert_eq!(refusal(&m365, &form), (error.to_string(), code));
    }
    let mut form = client_credentials(SECRET, good);
    form[1].1 = PUBLIC;
    assert_eq!(
        refusal(&m365, &form),
        ("unauthorized_client".into(), 700016)
    );
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", APP),
        ("scope", good),
    ];
    assert_eq!(refusal(&m365, &form).1, 7000218);
    assert_eq!(refusal(&m365, &[]).1, 900144);
    let (_, body) = ask_in(&m365, "fabrikam.example", &client_credentials(SECRET, good));
    assert_eq!(body["error_codes"][0], 90002);
    public(&m365);
    let mut form = client_credentials(SECRET, good);
    form[1].1 = PUBLIC;
    assert_eq!(refusal(&m365, &form).1, 700025);
    m365.add_app(App {
        secret: Some(SECRET.into()),
        secret_expired: true,
        ..App::default()
    });
    assert_eq!(refusal(&m365, &client_credentials(SECRET, good)).1, 7000222);
}

#[test]
fn passwords_lock_an_account_and_mfa_stops_them() {
    let m365 = furnished();
    public(&m365);
    let form = |password| {
        [
            ("grant_type", "password"),
            ("client_id", PUBLIC),
            ("username", SUPPORT),
            ("password", password),
            ("scope", IMAP),
        ]
    };
    let (status, body) = ask(&m365, &form("pass word&1"));
    assert_eq!(status, 200, "{body}");
    let claims = jwt::take_apart(body["access_token"].as_str().unwrap())
        .unwrap()
        .claims;
    assert_eq!(claims["upn"], SUPPORT);
    assert_eq!(claims["scp"], "IMAP.AccessAsUser.All");
    assert!(body["refresh_token"].is_string());
    for _ in 0..10 {
        assert_eq!(refusal(&m365, &form("no")).1, 50126);
    }
    assert_eq!(refusal(&m365, &form("pass word&1")).1, 50053);
    m365.unlock(SUPPORT);
    let (_, body) = ask_in(&m365, "common", &form("pass word&1"));
    assert_eq!(body["error_codes"][0], 9001023);
    let user = |mfa, disabled, blocked| {
        m365.add_user(User {
            address: SUPPORT.into(),
            password: "p".into(),
            mfa,
            disabled,
            blocked,
            ..User::default()
        });
        refusal(&m365, &form("p")).1
    };
    assert_eq!(user(true, false, false), 50076);
    assert_eq!(user(false, true, false), 50057);
    assert_eq!(user(false, false, true), 53003);
    let mut stranger = form("p");
    stranger[2].1 = "nobody@contoso.example";
    assert_eq!(refusal(&m365, &stranger).1, 50034);
}

#[test]
fn refresh_tokens_rotate_and_expire() {
    let m365 = furnished();
    public(&m365);
    let (_, body) = ask(
        &m365,
        &[
            ("grant_type", "password"),
            ("client_id", PUBLIC),
            ("username", SUPPORT),
            ("password", "pass word&1"),
            ("scope", IMAP),
        ],
    );
    let first = body["refresh_token"].as_str().unwrap().to_string();
    let form = |token, scope| {
        [
            ("grant_type", "refresh_token"),
            ("client_id", PUBLIC),
            ("refresh_token", token),
            ("scope", scope),
        ]
    };
    let (status, body) = ask(&m365, &form(&first, IMAP));
    assert_eq!(status, 200, "{body}");
    let second = body["refresh_token"].as_str().unwrap().to_string();
    assert_ne!(first, second);
    // The old one still works, and one refresh token serves another resource, too.
    let graph = "https://graph.microsoft.com/Mail.ReadWrite";
    let (status, body) = ask(&m365, &form(&first, graph));
    assert_eq!(status, 200, "{body}");
    let two = "https://graph.microsoft.com/Mail.Send https://outlook.office.com/SMTP.Send";
    assert_eq!(refusal(&m365, &form(&first, two)).1, 700022);
    let unknown = "https://graph.microsoft.com/Files.Read.All";
    assert_eq!(refusal(&m365, &form(&first, unknown)).1, 65001);
    m365.expire_refresh_tokens();
    assert_eq!(refusal(&m365, &form(&second, IMAP)).1, 700082);
    m365.revoke_refresh_tokens(SUPPORT);
    assert_eq!(refusal(&m365, &form(&second, IMAP)).1, 50173);
}

#[test]
fn device_codes_wait_for_a_person() {
    let m365 = furnished();
    public(&m365);
    let path = format!("/{}/oauth2/v2.0/devicecode", m365.tenant());
    let begin = || {
        let form = [("client_id", PUBLIC), ("scope", IMAP)];
        let (status, body) = http(&m365, "POST", &path, &form);
        assert_eq!(status, 200, "{body}");
        serde_json::from_str::<Value>(&body).unwrap()
    };
    let poll = |body: &Value| {
        ask(
            &m365,
            &[
                ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
                ("client_id", PUBLIC),
                ("device_code", body["device_code"].as_str().unwrap()),
            ],
        )
    };
    let first = begin();
    assert_eq!(first["interval"], 5);
    assert_eq!(poll(&first).1["error"], "authorization_pending");
    m365.approve_devices(SUPPORT);
    let (status, body) = poll(&first);
    assert_eq!(status, 200, "{body}");
    assert!(body["refresh_token"].is_string());
    assert_eq!(poll(&first).1["error_codes"][0], 70018);
    let second = begin();
    m365.decline_devices();
    assert_eq!(poll(&second).1["error"], "authorization_declined");
}

#[test]
fn the_browser_comes_back_with_a_code() {
    let m365 = furnished();
    public(&m365);
    let verifier = "0123456789012345678901234567890123456789abc";
    let challenge = {
        use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
        URL_SAFE_NO_PAD.encode(openssl::sha::sha256(verifier.as_bytes()))
    };
    let visit = |redirect: &str| {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([
                ("client_id", PUBLIC),
                ("response_type", "code"),
                ("redirect_uri", redirect),
                ("scope", IMAP),
                ("state", "xyz"),
                ("code_challenge", &challenge),
                ("code_challenge_method", "S256"),
                ("login_hint", SUPPORT),
            ])
            .finish();
        let path = format!("/{}/oauth2/v2.0/authorize?{query}", m365.tenant());
        http_with(&m365, "GET", &path, &[])
    };
    let redirect = "http://localhost:43210";
    let (status, head, _) = visit(redirect);
    assert_eq!(status, 302, "{head}");
    let target = head
        .lines()
        .find_map(|line| line.strip_prefix("Location: "));
    let target = url::Url::parse(target.unwrap()).unwrap();
    let code = target
        .query_pairs()
        .find(|(name, _)| name == "code")
        .unwrap()
        .1;
    assert!(target.query().unwrap().contains("state=xyz"));
    let form = |verifier| {
        [
            ("grant_type", "authorization_code"),
            ("client_id", PUBLIC),
            ("code", &code),
            ("redirect_uri", redirect),
            ("code_verifier", verifier),
        ]
    };
    assert_eq!(refusal(&m365, &form("something else")).1, 501481);
    let (status, body) = ask(&m365, &form(verifier));
    assert_eq!(status, 200, "{body}");
    assert_eq!(refusal(&m365, &form(verifier)).1, 54005);
    let (status, _, page) = visit("http://localhost:1/elsewhere");
    assert_eq!(status, 400);
    assert!(page.contains("AADSTS50011"));
}

#[test]
fn assertions_are_really_checked() {
    let m365 = furnished();
    let (certificate, key) = jwt::make_certificate("queuemail");
    let provider = jwt::SigningKey::generate();
    m365.add_app(App {
        certificates: vec![certificate.clone()],
        federated: vec![Federated {
            issuer: "https://issuer.example".into(),
            subject: "job:Main".into(),
            audience: "api://AzureADTokenExchange".into(),
            public_key_pem: provider.public_pem.clone(),
        }],
        ..App::default()
    });
    let assert = |assertion: &str| {
        ask(
            &m365,
            &[
                ("grant_type", "client_credentials"),
                ("client_id", APP),
                (
                    "client_assertion_type",
                    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                ),
                ("client_assertion", assertion),
                ("scope", "https://outlook.office365.com/.default"),
            ],
        )
    };
    let claims = |subject: &str| {
        json!({"iss": "https://issuer.example", "sub": subject, "exp": 4102444800u64,
            "aud": "api://AzureADTokenExchange"})
    };
    for alg in ["RS256", "PS256"] {
        let header = json!({"alg": alg, "typ": "JWT"});
        let (status, body) = assert(&provider.sign_with(&header, &claims("job:Main")));
        assert_eq!(status, 200, "{body}");
    }
    let wrong_case = assert(&provider.sign(&claims("job:main"))).1;
    assert_eq!(wrong_case["error_codes"][0], 700213);
    let other_key = jwt::shared_key().sign(&claims("job:Main"));
    assert_eq!(assert(&other_key).1["error_codes"][0], 700027);
    let audience = format!("{}/{}/oauth2/v2.0/token", m365.login_url(), m365.domain());
    let by_app = json!({"iss": APP, "sub": APP, "aud": audience, "exp": 4102444800u64});
    let own = jwt::SigningKey::from_private_pem(&key);
    for alg in ["PS256", "RS256"] {
        let header = json!({"alg": alg, "typ": "JWT", "x5t#S256": jwt::thumbprint(&certificate)});
        let (status, body) = assert(&own.sign_with(&header, &by_app));
        assert_eq!(status, 200, "{body}");
        // The thumbprint alone proves nothing.
        let (_, body) = assert(&provider.sign_with(&header, &by_app));
        assert_eq!(body["error_codes"][0], 700027);
        let late = json!({"iss": APP, "sub": APP, "aud": audience, "exp": 1});
        let (_, body) = assert(&own.sign_with(&header, &late));
        assert_eq!(body["error_codes"][0], 700024);
    }
    let unknown = json!({"alg": "PS256", "x5t#S256": "AAAA"});
    let (_, body) = assert(&own.sign_with(&unknown, &by_app));
    assert_eq!(body["error_codes"][0], 700027);
}

#[test]
fn faults_are_used_up() {
    let m365 = furnished();
    let form = client_credentials(SECRET, "https://outlook.office365.com/.default");
    let path = format!("/{}/oauth2/v2.0/token", m365.tenant());
    m365.faults()
        .token_next(1, TokenFault::Status(429, Some(7)));
    let (status, head, _) = http_with(&m365, "POST", &path, &form);
    assert_eq!(status, 429);
    assert!(head.contains("Retry-After: 7"), "{head}");
    m365.faults().token_next(1, TokenFault::Close);
    assert_eq!(http(&m365, "POST", &path, &form).0, 0);
    m365.faults().token_next(1, TokenFault::Html(200));
    assert!(http(&m365, "POST", &path, &form).1.contains("<html>"));
    m365.faults().token_next(1, TokenFault::HugeBody(3_000_000));
    assert_eq!(http(&m365, "POST", &path, &form).1.len(), 3_000_000);
    assert_eq!(http(&m365, "POST", &path, &form).0, 200);
}

#[test]
fn a_token_can_be_asked_about() {
    let m365 = furnished();
    let token = m365.issue_token(APP, EXCHANGE);
    let (_, body) = http(&m365, "POST", "/introspect", &[("token", &token)]);
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["active"], true);
    assert_eq!(body["client_id"], APP);
    let forged = format!("{token}x");
    let (_, body) = http(&m365, "POST", "/introspect", &[("token", &forged)]);
    assert_eq!(body, "{\"active\":false}");
    let (status, body) = http(
        &m365,
        "GET",
        "/contoso.example/v2.0/.well-known/openid-configuration",
        &[],
    );
    assert_eq!(status, 200);
    assert!(body.contains("jwks_uri"));
}

//! Sign-in by a person: the authorization endpoint with its browser, and device codes.

use std::sync::atomic::Ordering::SeqCst;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::json;
use url::Url;

use super::aadsts::Refusal;
use super::directory::{App, Code, Device, DeviceState};
use super::entra::{Form, field, needed};
use super::faults::or_usual;
use super::grants::may_sign_in;
use super::http::Response;
use super::scopes;
use super::world::{World, guid, now, random_word};

/// `POST …/devicecode`.
pub fn device_code(world: &World, form: &Form) -> Result<Response, Refusal> {
    let id = needed(form, "client_id")?;
    let scope = needed(form, "scope")?;
    let mut directory = world.directory();
    let app = directory.app(id).cloned();
    let app = app.ok_or_else(|| {
        Refusal::new(
            700016,
            format!("Application with identifier '{id}' was not found in the directory 'Contoso'."),
        )
    })?;
    scopes::for_user(world, &app, scope)?;
    let letters = random_word(12).to_ascii_uppercase();
    let user_code: String = letters
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(9)
        .collect();
    let device_code = random_word(60);
    let lifetime = or_usual(&world.faults.device_lifetime, 900);
    let device = Device {
        client_id: app.client_id.clone(),
        user_code: user_code.clone(),
        scope: scope.to_string(),
        expires: now() + lifetime as i64,
        state: DeviceState::Pending,
        polls: 0,
    };
    directory.devices.insert(device_code.clone(), device);
    let usual = || format!("{}/common/devicelogin", world.login_url.get().unwrap());
    let page = world.faults.device_page.lock().unwrap().clone();
    let page = page.unwrap_or_else(usual);
    let message = format!(
        "To sign in, use a web browser to open the page {page} and enter the code {user_code} to authenticate."
    );
    Ok(Response::json(
        200,
        &json!({"device_code": device_code, "user_code": user_code, "verification_uri": page,
            "expires_in": lifetime, "interval": or_usual(&world.faults.device_interval, 5),
            "message": message}),
    ))
}

/// `GET …/authorize`: a browser comes, and is sent back as signed in.
pub fn authorize(world: &World, query: &Form) -> Response {
    let page = |code: u32, text: &str| Response::html(400, &format!("AADSTS{code}: {text}"));
    let id = field(query, "client_id").unwrap_or_default();
    let Some(app) = world.directory().app(id).cloned() else {
        return page(700016, "Application was not found in the directory.");
    };
    let redirect = field(query, "redirect_uri").unwrap_or_default();
    let Some(mut target) = registered(&app, redirect) else {
        // Shown in the browser; the program that waits at its port never hears of it.
        return page(
            50011,
            &format!(
                "The redirect URI '{redirect}' specified in the request does not match the redirect URIs configured for the application '{id}'."
            ),
        );
    };
    let state = match world.faults.wrong_state.load(SeqCst) {
        true => "not-yours",
        false => field(query, "state").unwrap_or_default(),
    };
    match sign_in(world, &app, query, redirect) {
        Ok(code) => {
            target.query_pairs_mut().append_pair("code", &code);
        }
        Err((error, description)) => {
            target
                .query_pairs_mut()
                .append_pair("error", &error)
                .append_pair("error_description", &description);
        }
    }
    target
        .query_pairs_mut()
        .append_pair("state", state)
        .append_pair("session_state", &guid());
    Response::html(302, "Signed in.").with("Location", target)
}

/// The redirect URI if it is registered: the path counts, a loopback port does not.
fn registered(app: &App, redirect: &str) -> Option<Url> {
    let asked = Url::parse(redirect).ok()?;
    let is_same = |own: &String| {
        let Ok(own) = Url::parse(own) else {
            return false;
        };
        let is_loopback = matches!(own.host_str(), Some("localhost" | "127.0.0.1"));
        own.scheme() == asked.scheme()
            && own.host_str() == asked.host_str()
            && own.path() == asked.path()
            && (is_loopback || own.port() == asked.port())
    };
    app.redirect_uris.iter().any(is_same).then_some(asked)
}

fn sign_in(
    world: &World,
    app: &App,
    query: &Form,
    redirect: &str,
) -> Result<String, (String, String)> {
    if let Some(error) = world.faults.authorize_error.lock().unwrap().clone() {
        return Err(error);
    }
    let invalid = |text: &str| ("invalid_request".to_string(), text.to_string());
    if field(query, "response_type") != Some("code") {
        return Err(invalid("AADSTS900144: response_type"));
    }
    let challenge = field(query, "code_challenge");
    if challenge.is_some() && field(query, "code_challenge_method") != Some("S256") {
        return Err(invalid("AADSTS501491: code_challenge_method"));
    }
    let hint = field(query, "login_hint").map(str::to_string);
    let chosen = world.faults.browser_user.lock().unwrap().clone().or(hint);
    let mut directory = world.directory();
    let user = match chosen {
        Some(name) => directory.user(&name).cloned(),
        None => directory.users.values().next().cloned(),
    };
    let user = user.ok_or_else(|| ("access_denied".into(), "AADSTS50034: no such user".into()))?;
    may_sign_in(&user).map_err(|refusal| {
        (
            "access_denied".into(),
            format!("AADSTS{}: {}", refusal.code, refusal.text),
        )
    })?;
    let scope = field(query, "scope").unwrap_or_default().to_string();
    let code = format!("0.{}", random_word(40));
    let entry = Code {
        client_id: app.client_id.clone(),
        user: user.address.clone(),
        redirect_uri: redirect.to_string(),
        challenge: challenge.map(str::to_string),
        nonce: field(query, "nonce").map(str::to_string),
        scope,
        issued: now(),
        redeemed: false,
    };
    directory.codes.insert(code.clone(), entry);
    Ok(code)
}

/// The S256 code challenge of a verifier (RFC 7636 §4.2).
pub fn challenge_of(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(openssl::sha::sha256(verifier.as_bytes()))
}

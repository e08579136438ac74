//! The grants of the token endpoint, one function each, and the answer they share.

use std::sync::atomic::Ordering::SeqCst;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::aadsts::Refusal;
use super::client_auth;
use super::directory::{App, DeviceState, Refresh, User};
use super::entra::{Form, field, needed};
use super::faults::use_up;
use super::http::{Request, Response};
use super::scopes;
use super::signin;
use super::tokens::{self, Subject};
use super::world::{World, now, random_word};

/// Checks the client, then does what its grant says.
pub fn grant(
    world: &World,
    request: &Request,
    form: &Form,
    tenant: &str,
) -> Result<Response, Refusal> {
    let kind = needed(form, "grant_type")?;
    let app = client_auth::client(world, request, form)?;
    // A device code is asked for, and polled for, without a secret in most set-ups; so it is
    // allowed for public clients only, as the registration's switch says.
    client_auth::check(world, &app, request, form, tenant)?;
    let device = "urn:ietf:params:oauth:grant-type:device_code";
    match kind {
        "client_credentials" => client_credentials(world, &app, form, tenant),
        "password" => password(world, &app, form, tenant),
        "refresh_token" => refresh(world, &app, form),
        "authorization_code" => authorization_code(world, &app, form),
        kind if kind == device => device_code(world, &app, form),
        other => Err(Refusal::new(
            70003,
            format!("The app requested an unsupported grant type '{other}'."),
        )),
    }
}

fn client_credentials(
    world: &World,
    app: &App,
    form: &Form,
    tenant: &str,
) -> Result<Response, Refusal> {
    if ["common", "organizations", "consumers"].contains(&tenant) {
        return Err(Refusal::new(
            50059,
            "No tenant-identifying information found in either the request or implied by any provided credentials.",
        ));
    }
    let resource = scopes::for_app(world, needed(form, "scope")?)?;
    let (token, lifetime) = tokens::mint(world, app, &resource, &Subject::App);
    Ok(granted(world, token, lifetime, json!({})))
}

fn password(world: &World, app: &App, form: &Form, tenant: &str) -> Result<Response, Refusal> {
    if ["common", "consumers"].contains(&tenant) {
        return Err(Refusal::plain(9001023));
    }
    let scope = needed(form, "scope")?;
    let name = needed(form, "username")?.to_ascii_lowercase();
    let given = needed(form, "password")?;
    let user = {
        let mut directory = world.directory();
        let user = directory.users.get(&name).cloned();
        let user = user.ok_or_else(|| Refusal::plain(50034))?;
        let wrong = directory.wrong_passwords.entry(name).or_default();
        // Smart lockout: the right password does not help any more either.
        if *wrong >= 10 {
            return Err(Refusal::plain(50053));
        }
        if given != user.password {
            *wrong += 1;
            return Err(Refusal::plain(50126));
        }
        *wrong = 0;
        user
    };
    may_sign_in(&user)?;
    if user.password_expired {
        return Err(Refusal::plain(50055));
    }
    if user.mfa {
        return Err(Refusal::plain(50076));
    }
    for_user(world, app, form, &user, scope)
}

/// What stops every kind of sign-in.
pub fn may_sign_in(user: &User) -> Result<(), Refusal> {
    match user {
        User { disabled: true, .. } => Err(Refusal::plain(50057)),
        User { blocked: true, .. } => Err(Refusal::plain(53003)),
        _ => Ok(()),
    }
}

fn refresh(world: &World, app: &App, form: &Form) -> Result<Response, Refusal> {
    let given = needed(form, "refresh_token")?;
    let (known, user) = {
        let directory = world.directory();
        let known = directory.refresh.get(given).cloned();
        let known = known.ok_or_else(|| Refusal::plain(70000))?;
        let user = directory.user(&known.user).cloned();
        (known, user.ok_or_else(|| Refusal::plain(50034))?)
    };
    if known.client_id != app.client_id {
        return Err(Refusal::plain(70000));
    }
    if known.revoked {
        return Err(Refusal::plain(50173));
    }
    if known.idle {
        return Err(Refusal::plain(700082));
    }
    may_sign_in(&user)?;
    let scope = field(form, "scope").unwrap_or(&known.scope);
    for_user(world, app, form, &user, scope)
}

fn authorization_code(world: &World, app: &App, form: &Form) -> Result<Response, Refusal> {
    let given = needed(form, "code")?;
    let redirect_uri = needed(form, "redirect_uri")?;
    let (code, user) = {
        let mut directory = world.directory();
        let code = directory.codes.get_mut(given);
        let code = code.ok_or_else(|| Refusal::plain(70000))?;
        if code.redeemed {
            return Err(Refusal::plain(54005));
        }
        let copy = code.clone();
        if copy.client_id != app.client_id || copy.redirect_uri != redirect_uri {
            return Err(Refusal::plain(70000));
        }
        if now() > copy.issued + 600 {
            return Err(Refusal::plain(70008));
        }
        if let Some(challenge) = &copy.challenge {
            let verifier = field(form, "code_verifier").unwrap_or_default();
            if signin::challenge_of(verifier) != *challenge {
                return Err(Refusal::plain(501481));
            }
        }
        code.redeemed = true;
        let user = directory.user(&copy.user).cloned();
        (copy, user.ok_or_else(|| Refusal::plain(50034))?)
    };
    let scope = field(form, "scope").unwrap_or(&code.scope);
    for_user_with(world, app, form, &user, scope, code.nonce.as_deref())
}

fn device_code(world: &World, app: &App, form: &Form) -> Result<Response, Refusal> {
    let given = needed(form, "device_code")?;
    if use_up(&world.faults.device_slow_down) {
        return Ok(Response::json(
            400,
            &json!({"error": "slow_down",
            "error_description": "Polling too often."}),
        ));
    }
    let (scope, user) = {
        let mut directory = world.directory();
        let device = directory.devices.get_mut(given);
        let device = device.ok_or_else(|| Refusal::plain(70018))?;
        if device.client_id != app.client_id {
            return Err(Refusal::plain(70018));
        }
        if now() >= device.expires {
            return Err(Refusal::plain(70019));
        }
        device.polls += 1;
        if let Some((polls, user)) = &*world.faults.device_approves_after.lock().unwrap()
            && device.polls > *polls
            && device.state == DeviceState::Pending
        {
            device.state = DeviceState::Approved(user.clone());
        }
        match device.state.clone() {
            DeviceState::Pending => return Err(Refusal::plain(70016)),
            DeviceState::Declined => return Err(Refusal::plain(65004)),
            DeviceState::Approved(user) => {
                let scope = device.scope.clone();
                directory.devices.remove(given);
                let user = directory.user(&user).cloned();
                (scope, user.ok_or_else(|| Refusal::plain(50034))?)
            }
        }
    };
    may_sign_in(&user)?;
    for_user(world, app, form, &user, &scope)
}

/// Answers with tokens of a user.
fn for_user(
    world: &World,
    app: &App,
    form: &Form,
    user: &User,
    scope: &str,
) -> Result<Response, Refusal> {
    for_user_with(world, app, form, user, scope, None)
}

/// Likewise, with the `nonce` of the authorization request, which the ID token repeats.
fn for_user_with(
    world: &World,
    app: &App,
    form: &Form,
    user: &User,
    scope: &str,
    nonce: Option<&str>,
) -> Result<Response, Refusal> {
    let redeemed = field(form, "refresh_token");
    let wanted = scopes::for_user(world, app, scope)?;
    let subject = Subject::User(user, &wanted.names);
    let (token, lifetime) = tokens::mint(world, app, &wanted.resource, &subject);
    let full: Vec<String> = wanted
        .names
        .iter()
        .map(|name| format!("{}/{name}", wanted.resource))
        .collect();
    let mut extra = json!({"scope": full.join(" ")});
    if wanted.offline || redeemed.is_some() {
        let mut directory = world.directory();
        if !(redeemed.is_some() && world.faults.no_rotation.load(SeqCst)) {
            let fresh = format!("1.{}", random_word(48));
            let entry = Refresh {
                client_id: app.client_id.clone(),
                user: user.address.clone(),
                issued: now(),
                scope: scope.to_string(),
                revoked: false,
                idle: false,
            };
            directory.refresh.insert(fresh.clone(), entry);
            extra["refresh_token"] = json!(fresh);
        }
        if let Some(old) = redeemed
            && world.faults.strict_rotation.load(SeqCst)
        {
            directory.refresh.remove(old);
        }
    }
    if wanted.openid {
        let mut claims = json!({"aud": app.client_id, "tid": world.tenant, "oid": user.object_id,
            "iss": format!("https://login.microsoftonline.com/{}/v2.0", world.tenant),
            "sub": user.object_id, "preferred_username": user.address, "ver": "2.0",
            "iat": now(), "nbf": now(), "exp": now() + 3600});
        if let Some(nonce) = nonce {
            claims["nonce"] = json!(nonce);
        }
        extra["id_token"] = json!(world.key.sign(&claims));
    }
    // Not OAuth: Microsoft's clients ask for it, to know the account.
    if field(form, "client_info") == Some("1") {
        let account = json!({"uid": user.object_id, "utid": world.tenant});
        extra["client_info"] = json!(URL_SAFE_NO_PAD.encode(account.to_string()));
    }
    Ok(granted(world, token, lifetime, extra))
}

fn granted(world: &World, token: String, lifetime: u64, extra: Value) -> Response {
    let mut body = json!({"token_type": "Bearer", "expires_in": lifetime,
        "ext_expires_in": lifetime, "access_token": token});
    if world.faults.hide_expires_in.load(SeqCst) {
        body.as_object_mut().unwrap().remove("expires_in");
    }
    for (name, value) in extra.as_object().unwrap() {
        body[name] = value.clone();
    }
    Response::json(200, &body)
}

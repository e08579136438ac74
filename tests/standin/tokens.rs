//! Access tokens: minted with Entra's v1 claims, and checked as Exchange checks them.

use std::sync::atomic::Ordering::SeqCst;

use serde_json::{Value, json};

use super::directory::{App, User};
use super::faults::or_usual;
use super::jwt;
use super::world::{World, now, random_word};

/// The resource that app-only requests name, and the one of delegated scopes.
pub const EXCHANGE: &str = "https://outlook.office365.com";
pub const EXCHANGE_DELEGATED: &str = "https://outlook.office.com";
/// The resource of both in the cloud in China.
pub const EXCHANGE_CHINA: &str = "https://partner.outlook.cn";
pub const GRAPH: &str = "https://graph.microsoft.com";

/// For whom a token speaks: the app itself, or a user who gave it these scopes.
pub enum Subject<'a> {
    App,
    User(&'a User, &'a [String]),
}

/// Mints an access token; gives it with its lifetime in seconds.
pub fn mint(world: &World, app: &App, resource: &str, subject: &Subject) -> (String, u64) {
    let faults = &world.faults;
    let lifetime = or_usual(&faults.expires_in, 3599);
    let now = now() + faults.clock_skew.load(SeqCst);
    let audience = faults.audience.lock().unwrap().clone();
    let tenant = &world.tenant;
    let mut claims = json!({
        "aud": audience.unwrap_or_else(|| resource.to_string()),
        "iss": format!("https://sts.windows.net/{tenant}/"),
        "iat": now, "nbf": now, "exp": now + lifetime as i64,
        "appid": app.client_id, "azp": app.client_id, "app_displayname": "queuemail",
        "appidacr": if app.public { "0" } else { "1" },
        "idp": format!("https://sts.windows.net/{tenant}/"),
        "tid": tenant, "uti": random_word(12), "ver": "1.0",
    });
    let bare = faults.no_roles.load(SeqCst);
    match subject {
        Subject::App => {
            claims["idtyp"] = json!("app");
            claims["oid"] = json!(app.object_id);
            claims["sub"] = json!(app.object_id);
            let roles = roles_for(app, resource);
            // Entra leaves the claim out rather than empty, and still hands out the token.
            if !bare && !roles.is_empty() {
                claims["roles"] = json!(roles);
            }
        }
        Subject::User(user, scopes) => {
            claims["idtyp"] = json!("user");
            claims["oid"] = json!(user.object_id);
            claims["sub"] = json!(user.object_id);
            for name in ["upn", "unique_name", "email"] {
                claims[name] = json!(user.address);
            }
            if !bare {
                claims["scp"] = json!(scopes.join(" "));
            }
        }
    }
    for (name, value) in &app.extra_claims {
        claims[name] = value.clone();
    }
    let token = world.key.sign(&claims);
    world.tokens.lock().unwrap().push(token.clone());
    (token, lifetime)
}

/// The app's permissions that belong to this resource.
fn roles_for<'a>(app: &'a App, resource: &str) -> Vec<&'a str> {
    let is_graph = resource.contains("graph");
    let belongs = |role: &&str| {
        let is_exchange = role.ends_with("AsApp") || *role == "full_access_as_app";
        is_exchange != is_graph
    };
    app.roles.iter().copied().filter(belongs).collect()
}

/// The claims of a token of this server that is valid now, whatever its audience; else what is
/// wrong.
pub fn check(world: &World, token: &str) -> Result<Value, String> {
    let parts = jwt::take_apart(token).ok_or("not a JWT")?;
    if !parts.is_signed_by(&world.key.public) {
        return Err("signature".into());
    }
    if parts.claims["tid"].as_str() != Some(&world.tenant) {
        return Err("tenant".into());
    }
    if parts.claims["exp"].as_i64().unwrap_or(0) <= now() {
        return Err("expired".into());
    }
    Ok(parts.claims)
}

/// Checks a token as Exchange does for IMAP or SMTP: audience and permission included.
pub fn check_for_exchange(
    world: &World,
    token: &str,
    role: &str,
    scope: &str,
) -> Result<Value, String> {
    let claims = check(world, token)?;
    let audience = claims["aud"].as_str().unwrap_or_default();
    if ![EXCHANGE, EXCHANGE_DELEGATED, EXCHANGE_CHINA].contains(&audience.trim_end_matches('/')) {
        return Err(format!("audience {audience}"));
    }
    let has_role = claims["roles"]
        .as_array()
        .is_some_and(|roles| roles.iter().any(|own| own == role));
    let has_scope = claims["scp"]
        .as_str()
        .is_some_and(|scopes| scopes.split(' ').any(|own| own == scope));
    if !has_role && !has_scope {
        return Err(format!("neither role {role} nor scope {scope}"));
    }
    if has_role && !has_scope {
        let directory = world.directory();
        let app = directory.app(claims["appid"].as_str().unwrap_or_default());
        if !app.is_some_and(|app| app.in_exchange) {
            return Err("no service principal in Exchange".into());
        }
    }
    Ok(claims)
}

/// Whether the bearer of these claims has FullAccess to a mailbox.
pub fn may_open(claims: &Value, mailbox: &super::mailbox::Mailbox) -> bool {
    let who = match claims["upn"].as_str() {
        Some(upn) if upn.eq_ignore_ascii_case(&mailbox.address) => return true,
        Some(upn) => upn,
        None => claims["appid"].as_str().unwrap_or_default(),
    };
    mailbox.full_access.contains(&who.to_ascii_lowercase())
}

/// The two halves of an XOAUTH2 response, from its base64.
pub fn read_xoauth2(base64: &[u8]) -> Option<(String, String)> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let text = String::from_utf8(STANDARD.decode(base64).ok()?).ok()?;
    let text = text.strip_suffix("\x01\x01")?;
    let (user, token) = text.split_once('\x01')?;
    Some((
        user.strip_prefix("user=")?.to_string(),
        token.strip_prefix("auth=Bearer ")?.to_string(),
    ))
}

/// The challenge that other servers send before they refuse an XOAUTH2 sign-in.
pub fn challenge() -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    STANDARD.encode(r#"{"status":"401","schemes":"bearer","scope":"https://outlook.office.com/"}"#)
}

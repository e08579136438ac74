//! App registrations in Graph: what an app may read and change of them, and the proof that it has
//! the key of a certificate.
//!
//! - <https://learn.microsoft.com/graph/api/application-get>
//! - <https://learn.microsoft.com/graph/api/application-addkey>, `application-removekey`
//! - <https://learn.microsoft.com/graph/api/application-addpassword>, `application-removepassword`
//! - <https://learn.microsoft.com/graph/application-rollkey-prooftoken>

use base64::{Engine, engine::general_purpose::STANDARD};
use openssl::hash::MessageDigest;
use openssl::x509::X509;
use serde_json::{Map, Value, json};

use super::directory::{App, key_id};
use super::graph::error;
use super::http::{Request, Response};
use super::jwt;
use super::world::{World, now, random_word};

/// Who a proof is for.
const DIRECTORY: &str = "00000002-0000-0000-c000-000000000000";
/// No proof may be valid for longer, in seconds.
const LONGEST_PROOF: i64 = 600;

/// `rest` follows `/applications`: `(appId='…')` or `/{id}`, and an action.
pub fn answer(world: &World, request: &Request, claims: &Value, rest: &str) -> Response {
    let (place, action) = match rest.strip_prefix('/') {
        Some(rest) => rest.split_once('/').unwrap_or((rest, "")),
        None => rest.split_once('/').unwrap_or((rest, "")),
    };
    let by_app_id = place
        .strip_prefix("(appId='")
        .and_then(|rest| rest.strip_suffix("')"));
    let mut directory = world.directory();
    let found = directory.apps.values_mut().find(|app| match by_app_id {
        Some(id) => app.client_id.eq_ignore_ascii_case(id),
        None => app.registration_id.eq_ignore_ascii_case(place),
    });
    let Some(app) = found else {
        let text = format!(
            "Resource '{place}' does not exist or one of its queried reference-property objects are not present."
        );
        return error(404, "Request_ResourceNotFound", &text);
    };
    let rights = Rights::of(claims, app);
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let done = match (request.method.as_str(), action) {
        ("GET", "") if rights.read => Ok(Response::json(200, &read(app, request))),
        ("POST", "addKey") if rights.own || rights.write => add_key(app, &body),
        ("POST", "removeKey") if rights.own || rights.write => remove_key(app, &body),
        ("POST", "addPassword") if rights.write => add_password(world, app, &body),
        ("POST", "removePassword") if rights.write => remove_password(app, &body),
        ("GET", "") | ("POST", "addKey" | "removeKey" | "addPassword" | "removePassword") => {
            Err(error(
                403,
                "Authorization_RequestDenied",
                "Insufficient privileges to complete the operation.",
            ))
        }
        _ => Err(bad("Resource not found for the segment.")),
    };
    done.unwrap_or_else(|refusal| refusal)
}

struct Rights {
    /// The caller is the app itself.
    own: bool,
    read: bool,
    write: bool,
}

impl Rights {
    fn of(claims: &Value, app: &App) -> Rights {
        let roles = claims["roles"].as_array().cloned().unwrap_or_default();
        let has = |name: &str| roles.iter().any(|role| role == name);
        let own = claims["appid"].as_str() == Some(&app.client_id);
        let owned = own && app.owns_itself && has("Application.ReadWrite.OwnedBy");
        let write = owned || has("Application.ReadWrite.All");
        Rights {
            own,
            read: write || has("Application.Read.All"),
            write,
        }
    }
}

fn bad(text: &str) -> Response {
    error(400, "Request_BadRequest", text)
}

fn read(app: &App, request: &Request) -> Value {
    let select = request.query.iter().find(|(name, _)| name == "$select");
    let wanted: Option<Vec<&str>> = select.map(|(_, list)| list.split(',').collect());
    let keys: Vec<Value> = app
        .certificates
        .iter()
        // Without a `$select` that names it, the certificate itself is not given.
        .map(|pem| key_credential(app, pem, wanted.is_some()))
        .collect();
    let passwords: Vec<Value> = app.secrets().map(|secret| password(app, secret)).collect();
    let all = json!({
        "id": app.registration_id,
        "appId": app.client_id,
        "displayName": "queuemail",
        "keyCredentials": keys,
        "passwordCredentials": passwords,
    });
    let mut object: Map<String, Value> = all.as_object().unwrap().clone();
    if let Some(wanted) = wanted {
        object.retain(|name, _| wanted.contains(&name.as_str()));
    }
    object.insert(
        "@odata.context".into(),
        json!("https://graph.microsoft.com/v1.0/$metadata#applications/$entity"),
    );
    Value::Object(object)
}

fn key_credential(app: &App, pem: &str, whole: bool) -> Value {
    let certificate = X509::from_pem(pem.as_bytes()).unwrap();
    let der = certificate.to_der().unwrap();
    let id = key_id(&der);
    let (name, end) = about(app, &id);
    json!({
        "keyId": id,
        "displayName": name,
        "customKeyIdentifier": STANDARD.encode(certificate.digest(MessageDigest::sha1()).unwrap()),
        "type": "AsymmetricX509Cert",
        "usage": "Verify",
        "startDateTime": "2026-01-01T00:00:00Z",
        "endDateTime": end,
        "key": whole.then(|| STANDARD.encode(&der)),
    })
}

fn password(app: &App, secret: &str) -> Value {
    let id = key_id(secret.as_bytes());
    let (name, end) = about(app, &id);
    json!({
        "keyId": id,
        "displayName": name,
        "customKeyIdentifier": null,
        "hint": secret.chars().take(3).collect::<String>(),
        "secretText": null,
        "startDateTime": "2026-01-01T00:00:00Z",
        "endDateTime": end,
    })
}

fn about(app: &App, id: &str) -> (Option<String>, String) {
    let known = app.about_keys.get(id).cloned();
    known.unwrap_or((None, "2027-06-30T00:00:00Z".into()))
}

/// Whether a proof is one of a registered certificate, made for this registration a moment ago.
fn check_proof(app: &App, body: &Value) -> Result<(), Response> {
    let refuse = || {
        error(
            401,
            "Authentication_MissingOrMalformed",
            "Access Token missing or malformed.",
        )
    };
    let proof = body["proof"].as_str().ok_or_else(refuse)?;
    if proof.contains('=') {
        return Err(refuse());
    }
    let parts = jwt::take_apart(proof).ok_or_else(refuse)?;
    let mut certificates = app.certificates.iter();
    let key = certificates.find_map(|pem| jwt::certificate_key(pem, &parts.header));
    let time = |name: &str| parts.claims[name].as_i64().unwrap_or_default();
    let is_good = key.is_some_and(|key| parts.is_signed_by(&key))
        && parts.claims["aud"] == DIRECTORY
        && parts.claims["iss"] == app.registration_id.as_str()
        && time("nbf") <= now()
        && time("exp") > now()
        && time("exp") - time("nbf") <= LONGEST_PROOF;
    is_good.then_some(()).ok_or_else(refuse)
}

fn add_key(app: &mut App, body: &Value) -> Result<Response, Response> {
    check_proof(app, body)?;
    let new = &body["keyCredential"];
    if new["type"] != "AsymmetricX509Cert" || new["usage"] != "Verify" {
        return Err(bad("Invalid value specified for property 'keyCredential'."));
    }
    let der = STANDARD.decode(new["key"].as_str().unwrap_or_default());
    let certificate = der.ok().and_then(|der| X509::from_der(&der).ok());
    let certificate = certificate.ok_or_else(|| bad("Key credential is not a certificate."))?;
    let der = certificate.to_der().unwrap();
    let id = key_id(&der);
    if app.certificates.iter().any(|pem| jwt::der(pem) == der) {
        return Err(bad("A key credential with this key exists."));
    }
    let epoch = openssl::asn1::Asn1Time::from_unix(0).unwrap();
    let since = epoch.diff(certificate.not_after()).unwrap();
    let end = i64::from(since.days) * 86_400 + i64::from(since.secs);
    let end = jiff::Timestamp::from_second(end).unwrap().to_string();
    let name = new["displayName"].as_str().map(str::to_owned);
    app.about_keys.insert(id.clone(), (name, end));
    app.new_keys.push(id);
    let pem = String::from_utf8(certificate.to_pem().unwrap()).unwrap();
    app.certificates.push(pem.clone());
    let mut added = key_credential(app, &pem, false);
    added["@odata.context"] =
        json!("https://graph.microsoft.com/v1.0/$metadata#microsoft.graph.keyCredential");
    Ok(Response::json(200, &added))
}

fn remove_key(app: &mut App, body: &Value) -> Result<Response, Response> {
    check_proof(app, body)?;
    let before = app.certificates.len();
    let is_it = |pem: &String| body["keyId"] == key_id(&jwt::der(pem)).as_str();
    app.certificates.retain(|pem| !is_it(pem));
    match app.certificates.len() < before {
        true => Ok(Response::new(204, "text/plain", "")),
        false => Err(bad("No key credential found with this keyId.")),
    }
}

fn add_password(world: &World, app: &mut App, body: &Value) -> Result<Response, Response> {
    let wanted = &body["passwordCredential"];
    let secret = format!("{}~{}", random_word(2), random_word(26));
    let id = key_id(secret.as_bytes());
    let end = wanted["endDateTime"]
        .as_str()
        .unwrap_or("2028-11-29T00:00:00Z");
    if end.parse::<jiff::Timestamp>().is_err() {
        return Err(bad("Invalid value specified for property 'endDateTime'."));
    }
    let name = wanted["displayName"].as_str().map(str::to_owned);
    app.about_keys.insert(id.clone(), (name, end.to_owned()));
    app.new_keys.push(id);
    app.more_secrets.push(secret.clone());
    world.secrets.lock().unwrap().push(secret.clone());
    let mut added = password(app, &secret);
    added["secretText"] = json!(secret);
    added["@odata.context"] =
        json!("https://graph.microsoft.com/v1.0/$metadata#microsoft.graph.passwordCredential");
    Ok(Response::json(200, &added))
}

fn remove_password(app: &mut App, body: &Value) -> Result<Response, Response> {
    let before = app.secrets().count();
    let is_it = |secret: &String| body["keyId"] == key_id(secret.as_bytes()).as_str();
    app.secret = app.secret.take().filter(|secret| !is_it(secret));
    app.more_secrets.retain(|secret| !is_it(secret));
    match app.secrets().count() < before {
        true => Ok(Response::new(204, "text/plain", "")),
        false => Err(bad("No password credential found with this keyId.")),
    }
}

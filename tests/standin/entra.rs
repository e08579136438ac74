//! Entra ID: its paths, and the token endpoint with the faults ordered for it.

use super::echo::spelled;
use serde_json::json;

use super::aadsts::Refusal;
use super::faults::TokenFault;
use super::grants;
use super::http::{Request, Response};
use super::jwt;
use super::records::TokenRequest;
use super::signin;
use super::world::World;

/// Fields of a token request that nobody else may see.
const SECRETS: [&str; 7] = [
    "client_secret",
    "client_assertion",
    "password",
    "refresh_token",
    "device_code",
    "code",
    "code_verifier",
];

pub type Form = [(String, String)];

/// A field of the form.
pub fn field<'a>(form: &'a Form, name: &str) -> Option<&'a str> {
    let mut found = form.iter().filter(|(own, _)| own == name);
    found.next().map(|(_, value)| value.as_str())
}

/// A field that must be there.
pub fn needed<'a>(form: &'a Form, name: &str) -> Result<&'a str, Refusal> {
    field(form, name)
        .filter(|value| !value.is_empty())
        .ok_or_else(|| {
            Refusal::new(
                900144,
                format!("The request body must contain the following parameter: '{name}'."),
            )
        })
}

pub fn answer(world: &World, request: &Request) -> Response {
    let path = request.path.trim_start_matches('/');
    let (tenant, rest) = path.split_once('/').unwrap_or((path, ""));
    if let Err(refusal) = known_tenant(world, tenant) {
        return refusal.response();
    }
    match (request.method.as_str(), rest) {
        ("POST", "oauth2/v2.0/token") => spoiled(world, request, tenant),
        ("POST", "oauth2/token") => version_1(world, request, tenant),
        ("POST", "oauth2/v2.0/devicecode") => {
            let outcome = signin::device_code(world, &request.form());
            outcome.unwrap_or_else(|refusal| refusal.response())
        }
        (_, "oauth2/v2.0/token" | "oauth2/v2.0/devicecode") => {
            let text = format!(
                "The endpoint only accepts POST requests. Received a {} request.",
                request.method
            );
            Refusal::new(900561, text).response()
        }
        ("GET", "oauth2/v2.0/authorize") => signin::authorize(world, &request.query),
        ("GET", "v2.0/.well-known/openid-configuration") => metadata(world, tenant),
        ("GET", realm) if realm.starts_with("userrealm/") => user_realm(world, realm),
        ("GET", "discovery/v2.0/keys") => Response::json(200, &world.key.jwks()),
        _ => Response::html(404, "Not Found"),
    }
}

fn known_tenant(world: &World, tenant: &str) -> Result<(), Refusal> {
    let own = [world.tenant.as_str(), &world.domain];
    let aliases = ["common", "organizations", "consumers"];
    if own.iter().any(|name| tenant.eq_ignore_ascii_case(name)) || aliases.contains(&tenant) {
        return Ok(());
    }
    Err(Refusal::new(
        90002,
        format!(
            "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud. Check with your subscription administrator, this may happen if there are no active subscriptions for the tenant."
        ),
    ))
}

/// The document names the tenant by its GUID, however it was asked for.
fn metadata(world: &World, tenant: &str) -> Response {
    let (tenant, issuer) = match tenant {
        "common" | "organizations" | "consumers" => (tenant, "{tenantid}"),
        _ => (world.tenant.as_str(), world.tenant.as_str()),
    };
    let base = format!("{}/{tenant}", world.login_url.get().unwrap());
    Response::json(
        200,
        &json!({
            "issuer": format!("https://login.microsoftonline.com/{issuer}/v2.0"),
            "token_endpoint": format!("{base}/oauth2/v2.0/token"),
            "authorization_endpoint": format!("{base}/oauth2/v2.0/authorize"),
            "device_authorization_endpoint": format!("{base}/oauth2/v2.0/devicecode"),
            "jwks_uri": format!("{base}/discovery/v2.0/keys"),
            "token_endpoint_auth_methods_supported":
                ["client_secret_post", "private_key_jwt", "client_secret_basic"],
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "cloud_instance_name": "microsoftonline.com",
            "msgraph_host": "graph.microsoft.com",
        }),
    )
}

/// `GET /common/userrealm/NAME`: whether the tenant itself checks the passwords of a domain.
/// Microsoft's clients ask before they send one.
fn user_realm(world: &World, path: &str) -> Response {
    let (_, domain) = path.rsplit_once('@').unwrap_or_default();
    let body = if domain.eq_ignore_ascii_case(&world.domain) {
        json!({"ver": "1.0", "account_type": "Managed", "domain_name": world.domain,
            "cloud_instance_name": "microsoftonline.com",
            "cloud_audience_urn": "urn:federation:MicrosoftOnline"})
    } else {
        json!({"ver": "1.0", "account_type": "Unknown",
            "cloud_instance_name": "microsoftonline.com"})
    };
    Response::json(200, &body)
}

/// The endpoint of version 1, whose requests name a resource and no scopes: the answer has all
/// that was consented for it, and a refresh token unasked.
fn version_1(world: &World, request: &Request, tenant: &str) -> Response {
    let mut form = request.form();
    let Some(resource) = field(&form, "resource").map(str::to_owned) else {
        return Refusal::new(
            900144,
            "The request body must contain the following parameter: 'resource'.",
        )
        .response();
    };
    if field(&form, "scope").is_some() {
        return Refusal::plain(9002313).response();
    }
    let resource = resource.trim_end_matches('/');
    form.push((
        "scope".into(),
        format!("{resource}/.default offline_access"),
    ));
    answer_form(world, request, &form, tenant)
}

/// A grant with a form other than the request's own.
pub fn answer_form(world: &World, request: &Request, form: &Form, tenant: &str) -> Response {
    remember(world, request, form, tenant);
    keep_secrets(world, form);
    token(world, request, form, tenant)
}

fn keep_secrets(world: &World, form: &Form) {
    let secrets = form
        .iter()
        .filter(|(name, _)| SECRETS.contains(&name.as_str()));
    let values = secrets.map(|(_, value)| value.clone());
    world.secrets.lock().unwrap().extend(values);
}

/// The token endpoint behind the faults that were asked for.
fn spoiled(world: &World, request: &Request, tenant: &str) -> Response {
    let form = request.form();
    remember(world, request, &form, tenant);
    keep_secrets(world, &form);
    let Some(fault) = world.faults.take_token() else {
        return token(world, request, &form, tenant);
    };
    world.log("HTTP", &format!("! fault: {fault:?}"));
    match fault {
        TokenFault::Status(status, retry_after) => {
            let mut refusal = Refusal::plain(90033).response();
            refusal.status = status;
            match retry_after {
                Some(seconds) => refusal.with("Retry-After", seconds),
                None => refusal,
            }
        }
        TokenFault::Html(status) => {
            Response::html(status, "<h1>Access to this site is filtered</h1>")
        }
        TokenFault::HtmlWithWait(status, seconds) => {
            Response::html(status, "<h1>Down for maintenance</h1>").with("Retry-After", seconds)
        }
        TokenFault::Echo { status, json } => {
            let raw = String::from_utf8_lossy(&request.body);
            let fields: Vec<_> = form.iter().map(|(k, v)| format!("{k}={v}")).collect();
            let secret = [
                "secret",
                "password",
                "assertion",
                "token",
                "code",
                "verifier",
            ];
            let is_secret = |name: &str| secret.iter().any(|part| name.ends_with(part));
            let secrets = form.iter().filter(|(name, _)| is_secret(name));
            let spelled: Vec<_> = secrets.map(|(_, value)| spelled(value)).collect();
            let text = format!(
                "{}. Cannot read {raw} with {}",
                spelled.join(", "),
                fields.join(" ")
            );
            match json {
                true => Response::json(
                    status,
                    &json!({"error": "invalid_request", "error_description": text, "trace_id": raw}),
                ),
                false => Response::html(status, &text),
            }
        }
        TokenFault::WrongContentType => {
            let mut response = token(world, request, &form, tenant);
            response.content_type = "text/html";
            response
        }
        TokenFault::BrokenJson => {
            let mut response = token(world, request, &form, tenant);
            response.body.truncate(response.body.len() / 2);
            response
        }
        TokenFault::NoToken => Response::json(200, &json!({"token_type": "Bearer"})),
        TokenFault::Says(status, json) => {
            Response::new(status, "application/json; charset=utf-8", json)
        }
        TokenFault::Close => {
            let mut response = Response::json(200, &json!({}));
            response.silent = true;
            response
        }
        TokenFault::Delay(time) => {
            world.pause(time);
            token(world, request, &form, tenant)
        }
        TokenFault::Hold(gate) => {
            world.wait_at(&gate);
            token(world, request, &form, tenant)
        }
        TokenFault::HugeBody(size) => {
            let mut response = Response::json(200, &json!({}));
            response.padding = size.saturating_sub(response.body.len() as u64);
            response
        }
        TokenFault::Redirect(target) => Response::html(307, "Moved").with("Location", target),
        TokenFault::Aadsts(code) => Refusal::plain(code).response(),
        TokenFault::Odd(trick) => {
            let mut response = token(world, request, &form, tenant);
            response.trick = Some(Box::new(trick));
            response
        }
    }
}

/// Records the request for the test that asks, without anything secret.
fn remember(world: &World, request: &Request, form: &Form, tenant: &str) {
    let text = |name| field(form, name).unwrap_or_default().to_string();
    let authentication = if field(form, "client_secret").is_some() {
        "client_secret_post"
    } else if field(form, "client_assertion").is_some() {
        "private_key_jwt"
    } else if request.header("authorization").is_some() {
        "client_secret_basic"
    } else {
        "none"
    };
    world.token_requests.lock().unwrap().push(TokenRequest {
        tenant: tenant.to_string(),
        grant_type: text("grant_type"),
        client_id: text("client_id"),
        scope: text("scope"),
        username: text("username"),
        authentication,
        assertion: jwt::take_apart(&text("client_assertion"))
            .and_then(|parts| Some(parts.claims["jti"].as_str()?.to_owned())),
        user_agent: request.header("user-agent").unwrap_or_default().to_string(),
    });
}

fn token(world: &World, request: &Request, form: &Form, tenant: &str) -> Response {
    grants::grant(world, request, form, tenant).unwrap_or_else(|refusal| refusal.response())
}

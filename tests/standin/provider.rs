//! A provider that is not Entra ID: endpoints of its own, and manners like Google's. It knows one
//! scope, gives a refresh token for `access_type=offline` and not for a scope, always wants the
//! client's secret, and refuses what it does not know.

use super::aadsts::Refusal;
use super::entra::{self, field};
use super::http::{Request, Response};
use super::signin;
use super::tokens::EXCHANGE_DELEGATED;
use super::world::World;

pub const SCOPE: &str = "https://mail.provider.example/";

pub fn answer(world: &World, request: &Request, path: &str) -> Response {
    match (request.method.as_str(), path) {
        ("GET", "auth") => authorize(world, &request.query),
        ("POST", "token") => token(world, request),
        _ => Response::html(404, "Not Found"),
    }
}

fn authorize(world: &World, query: &entra::Form) -> Response {
    const KNOWN: [&str; 10] = [
        "access_type",
        "client_id",
        "code_challenge",
        "code_challenge_method",
        "login_hint",
        "prompt",
        "redirect_uri",
        "response_type",
        "scope",
        "state",
    ];
    if let Some((name, _)) = query.iter().find(|(name, _)| !KNOWN.contains(&&**name)) {
        let text = format!("Parameter not allowed for this message type: {name}");
        return Response::html(400, &text);
    }
    if field(query, "scope") != Some(SCOPE) {
        return Response::html(400, "Error 400: invalid_scope");
    }
    let offline = field(query, "access_type") == Some("offline");
    signin::authorize(world, &with_scope(query, offline))
}

/// The same for the grants of the stand-in, which know Exchange's scopes.
fn with_scope(form: &entra::Form, offline: bool) -> Vec<(String, String)> {
    let scope = format!(
        "{EXCHANGE_DELEGATED}/IMAP.AccessAsUser.All {EXCHANGE_DELEGATED}/SMTP.Send{}",
        if offline { " offline_access" } else { "" }
    );
    let others = form.iter().filter(|(name, _)| name != "scope").cloned();
    others.chain([("scope".to_owned(), scope)]).collect()
}

fn token(world: &World, request: &Request) -> Response {
    let form = request.form();
    if field(&form, "scope").is_some_and(|scope| scope != SCOPE) {
        return Refusal::new(70011, "Some requested scopes were invalid.").response();
    }
    // A code has its scopes from the sign-in.
    let form = match field(&form, "grant_type") {
        Some("authorization_code") => form
            .into_iter()
            .filter(|(name, _)| name != "scope")
            .collect(),
        _ => with_scope(&form, false),
    };
    entra::answer_form(world, request, &form, &world.tenant)
}

//! Token introspection (RFC 7662), for servers that ask rather than read JWTs (Dovecot's oauth2).

use serde_json::json;

use super::http::{Request, Response};
use super::tokens;
use super::world::World;

/// Takes the token from the form, the query (`?token=`) or the Authorization header.
pub fn answer(world: &World, request: &Request) -> Response {
    let bearer = request
        .header("authorization")
        .and_then(|value| value.strip_prefix("Bearer "));
    let form = request.form();
    let token = form
        .iter()
        .chain(&request.query)
        .find(|(name, _)| name == "token" || name == "access_token")
        .map(|(_, value)| value.as_str())
        .or(bearer);
    let Some(claims) = token.and_then(|token| tokens::check(world, token).ok()) else {
        return Response::json(200, &json!({"active": false}));
    };
    let mut body = claims.clone();
    let wanted = request.query.iter().find(|(name, _)| name == "username");
    let name = ["email", "upn", "appid"]
        .iter()
        .find_map(|claim| claims[*claim].as_str())
        .unwrap_or_default();
    // An app's token opens many mailboxes: whoever asks may name the one it is about.
    let name = wanted.map_or(name, |(_, value)| value.as_str()).to_string();
    for field in ["username", "email", "user_name", "preferred_username"] {
        body[field] = json!(name);
    }
    body["active"] = json!(true);
    body["token_type"] = json!("Bearer");
    body["client_id"] = claims["appid"].clone();
    body["scope"] = match claims["scp"].as_str() {
        Some(scopes) => json!(scopes),
        None => json!(
            claims["roles"]
                .as_array()
                .map(|roles| {
                    let roles: Vec<_> = roles.iter().filter_map(|role| role.as_str()).collect();
                    roles.join(" ")
                })
                .unwrap_or_default()
        ),
    };
    Response::json(200, &body)
}

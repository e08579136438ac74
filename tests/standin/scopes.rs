//! Which scopes Entra accepts, for an app of its own and for a user's sign-in.

use super::aadsts::Refusal;
use super::directory::App;
use super::tokens::{EXCHANGE, EXCHANGE_CHINA, EXCHANGE_DELEGATED, GRAPH};
use super::world::World;

/// A user's request, taken apart.
pub struct Wanted {
    pub resource: String,
    pub names: Vec<String>,
    pub offline: bool,
    pub openid: bool,
}

fn unknown_resource(world: &World, resource: &str) -> Refusal {
    Refusal::new(
        500011,
        format!(
            "The resource principal named {resource} was not found in the tenant named {}. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You might have sent your authentication request to the wrong tenant.",
            world.tenant
        ),
    )
}

fn invalid(scope: &str) -> Refusal {
    Refusal::new(
        70011,
        format!(
            "The provided request must include a 'scope' input parameter. The provided value for the input parameter 'scope' is not valid. The scope {scope} is not valid."
        ),
    )
}

/// The resource of `<resource>/.default`, the only form that client credentials may name.
pub fn for_app(world: &World, scope: &str) -> Result<String, Refusal> {
    let mut words = scope.split_ascii_whitespace();
    let (Some(word), None) = (words.next(), words.next()) else {
        return Err(invalid(scope));
    };
    let Some(resource) = word.strip_suffix("/.default") else {
        return Err(Refusal::new(
            1002012,
            format!(
                "The provided value for scope {scope} is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier (application ID URI)."
            ),
        ));
    };
    known(world, resource)
}

fn known(world: &World, resource: &str) -> Result<String, Refusal> {
    [EXCHANGE, EXCHANGE_DELEGATED, EXCHANGE_CHINA, GRAPH]
        .contains(&resource)
        .then(|| resource.to_string())
        .ok_or_else(|| unknown_resource(world, resource))
}

/// The scopes of a user's sign-in: one resource, and only what has consent.
pub fn for_user(world: &World, app: &App, scope: &str) -> Result<Wanted, Refusal> {
    let mut wanted = Wanted {
        resource: String::new(),
        names: Vec::new(),
        offline: false,
        openid: false,
    };
    for word in scope.split_ascii_whitespace() {
        match word {
            "offline_access" => wanted.offline = true,
            "openid" | "profile" | "email" => wanted.openid = true,
            _ => {
                // A bare name means Graph: the trap that many fall into.
                let (resource, name) = match word.rsplit_once('/') {
                    Some((resource, name)) => (known(world, resource)?, name),
                    None if word.contains('.') => (GRAPH.to_string(), word),
                    None => return Err(invalid(word)),
                };
                if !wanted.resource.is_empty() && wanted.resource != resource {
                    return Err(Refusal::plain(700022));
                }
                wanted.resource = resource;
                if name == ".default" {
                    let is_graph = wanted.resource == GRAPH;
                    let own = app.delegated.iter().copied();
                    wanted.names.extend(
                        own.filter(|own| is_graph != is_exchange(own))
                            .map(str::to_string),
                    );
                } else if app
                    .delegated
                    .iter()
                    .any(|own| own.eq_ignore_ascii_case(name))
                {
                    wanted.names.push(name.to_string());
                } else {
                    return Err(Refusal::new(
                        65001,
                        format!(
                            "The user or administrator has not consented to use the application with ID '{}' named 'queuemail'. Send an interactive authorization request for this user and resource.",
                            app.client_id
                        ),
                    ));
                }
            }
        }
    }
    if wanted.resource.is_empty() {
        wanted.resource = GRAPH.to_string();
        wanted.names.push("User.Read".to_string());
    }
    Ok(wanted)
}

fn is_exchange(name: &str) -> bool {
    ["IMAP.", "POP.", "SMTP."]
        .iter()
        .any(|start| name.starts_with(start))
}

//! Whether a token serves its purpose, by what it says of itself.

use crate::fault::{Cause, Fault};
use crate::model::{Authentication, Cloud, Purpose, Resource, is_guid};
use crate::oauth::Claims;
use crate::office::{CredentialSource, Registration};
use crate::shell;
use std::time::{SystemTime, UNIX_EPOCH};

/// The service behind an audience; the GUIDs are well known application IDs of Microsoft's.
pub fn service(audience: &str) -> Option<&'static str> {
    let audience = audience.trim_end_matches('/');
    if audience == "00000003-0000-0000-c000-000000000000"
        || Cloud::ALL.iter().any(|c| c.graph() == audience)
    {
        return Some("Microsoft Graph");
    }
    let is_exchange = |cloud: &Cloud| {
        let of = |who| cloud.resource(who, Resource::Imap) == audience;
        of(Authentication::OauthService) || of(Authentication::OauthUser)
    };
    (audience == "00000002-0000-0ff1-ce00-000000000000" || Cloud::ALL.iter().any(is_exchange))
        .then_some("Exchange Online: IMAP, POP and SMTP")
}

/// What in the claims keeps the token from serving its purpose; empty when all is well.
pub fn misfits(claims: &Claims, registration: &Registration<'_>, purpose: Purpose) -> Vec<Fault> {
    let mut found = Vec::new();
    found.extend(audience(claims, registration, purpose.resource()));
    found.extend(permission(claims, registration, purpose));
    found.extend(identity(claims, registration));
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    if let (Some(end), Ok(now)) = (claims.expires_at, now)
        && end <= now.as_secs().try_into().unwrap_or(i64::MAX)
    {
        found.push(misfit(
            Cause::TokenEnded,
            "the token has already expired, by the clock of this machine",
        ));
    }
    found
}

fn misfit(cause: Cause, what: impl Into<String>) -> Fault {
    Fault::no_access(what).cause(cause)
}

fn audience(claims: &Claims, registration: &Registration<'_>, resource: Resource) -> Option<Fault> {
    let name = spoken(resource);
    let audience = claims.audience.as_deref().unwrap_or("none");
    let own_scope = registration
        .scope
        .and_then(|s| s.split_whitespace().next())
        .and_then(|s| s.rsplit_once('/'))
        .map(|(resource, _)| resource);
    let fits = match (service(audience), resource) {
        (Some(service), Resource::Graph) => service.contains("Graph"),
        (Some(service), _) => service.contains("Exchange"),
        (None, _) => own_scope == Some(audience.trim_end_matches('/')),
    };
    if fits {
        return None;
    }
    let wanted = registration
        .cloud()
        .resource(registration.authentication, resource);
    Some(misfit(
        Cause::WrongAudience,
        format!(
            "the audience is `{audience}`, but {name} needs `{wanted}` and will refuse this token"
        ),
    ))
}

fn permission(claims: &Claims, registration: &Registration<'_>, purpose: Purpose) -> Option<Fault> {
    let resource = purpose.resource();
    let name = spoken(resource);
    let authentication = registration.authentication;
    if purpose
        .held(authentication, &claims.roles, &claims.scopes)
        .is_some()
    {
        return None;
    }
    let kind = match authentication {
        Authentication::OauthService => "role",
        Authentication::OauthUser => "scope",
    };
    let permission = purpose.main_permission(authentication);
    let api = match resource {
        Resource::Graph => "Microsoft Graph",
        _ => "Office 365 Exchange Online",
    };
    let lacks = format!("token lacks the {kind} `{permission}`, so {name} will refuse it");
    let of_identity = matches!(
        registration.credential,
        CredentialSource::ManagedIdentity { .. }
    );
    let service = authentication == Authentication::OauthService;
    let cause = match (service, of_identity) {
        (true, true) => Cause::IdentityRoleMissing,
        (true, false) => Cause::RoleMissing,
        (false, _) => Cause::ScopeMissing,
    };
    let fault = match of_identity {
        true => misfit(cause, format!("the identity's {lacks}")).hint(format!(
            "ask an administrator to run the script that this prints: queuemail setup-script {}",
            shell::quote(registration.server)
        )),
        false => misfit(cause, format!("the {lacks}")).hint(format!(
            "ask an administrator to add the permission to app {} (API \"{api}\") and to grant consent, then: queuemail token get … --fresh",
            registration.client_id,
        )),
    };
    Some(match service && resource == Resource::Graph {
        true => fault
            .hint("a role in Exchange (RBAC for Applications) also works, and is not in the token"),
        false => fault,
    })
}

/// How people call it.
fn spoken(resource: Resource) -> String {
    match resource {
        Resource::Graph => "Graph".to_owned(),
        other => other.name().to_uppercase(),
    }
}

/// The app and the tenant must be those of the configuration, as far as it has their ids.
fn identity(claims: &Claims, registration: &Registration<'_>) -> Option<Fault> {
    let tenant = registration.authority.tenant.as_str();
    let app = registration.client_id.as_str();
    match (&claims.tenant, &claims.client_id) {
        (Some(of), _) if is_guid(tenant) && !of.eq_ignore_ascii_case(tenant) => Some(misfit(
            Cause::WrongTenant,
            format!("the token is of tenant `{of}`, not `{tenant}`"),
        )),
        (_, Some(of)) if is_guid(app) && !of.eq_ignore_ascii_case(app) => Some(misfit(
            Cause::WrongApp,
            format!("the token is of app `{of}`, not `{app}`"),
        )),
        _ => None,
    }
}

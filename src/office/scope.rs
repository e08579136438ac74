//! What a token is asked for: the scope, or the resource in its place.

use super::registration::Registration;
use super::servers::Account;
use crate::model::{Authentication, Cloud, Purpose, Resource};

/// The scope to ask for. `other_mailbox`: a person reads or sends for a mailbox that is not
/// theirs, for which Graph has permissions of their own.
///
/// An unknown login host gets the worldwide scopes, unless the server has a `scope`.
pub fn scope(
    registration: &Registration<'_>,
    resource: Resource,
    sending: bool,
    other_mailbox: bool,
) -> String {
    let uri = registration
        .cloud()
        .resource(registration.authentication, resource);
    match registration.authentication {
        Authentication::OauthService => match registration.scope {
            Some(scope) => scope.to_owned(),
            None => format!("{uri}/.default"),
        },
        Authentication::OauthUser => {
            let mut scope = match registration.scope {
                Some(scope) => scope.to_owned(),
                None => {
                    let purpose = match (resource, sending) {
                        (Resource::Graph, true) => Purpose::GraphSend,
                        _ => Purpose::of(resource),
                    };
                    format!("{uri}/{}", purpose.scope(other_mailbox))
                }
            };
            // Without it no refresh token comes back, and each run would need the password. It is
            // OpenID Connect's word, which not every provider knows.
            if registration.is_entra() && !scope.split_whitespace().any(|s| s == "offline_access") {
                scope.push_str(" offline_access");
            }
            scope
        }
    }
}

/// The scope with which the app itself gets a token for Graph, whatever the server is for.
pub fn directory_scope(registration: &Registration<'_>) -> String {
    format!("{}/.default", registration.cloud().graph())
}

/// The resource to name to Entra's version 1 endpoint, where that is the one to ask: in China the
/// password grant is known to give a token for mail there, with a resource in the place of scopes.
pub fn v1_resource(
    registration: &Registration<'_>,
    account: Account<'_>,
    scope: &str,
) -> Option<&'static str> {
    let resource = Cloud::China.resource(Authentication::OauthUser, Resource::Imap);
    let mail = scope
        .strip_prefix(resource)
        .is_some_and(|rest| rest.starts_with('/'));
    let is_it = registration.authority.cloud() == Some(Cloud::China)
        && registration.scope.is_none()
        && account.password.is_some()
        && mail;
    is_it.then_some(resource)
}

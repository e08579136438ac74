//! Steps that reading and sending have in common.

use super::{Walk, claims, files};
use crate::expiry;
use crate::fault::{Cause, Fault};
use crate::model::{Authentication, Credentials, Purpose};
use crate::oauth::{AccessToken, Claims};
use crate::office::{Account, CredentialSource, MailboxEntry, Registration};
use anyhow::Result;
use jiff::Timestamp;
use std::time::{Duration, SystemTime};

/// The files that the entries name; false where one cannot be used.
pub fn files(
    walk: &mut Walk,
    registration: &Registration<'_>,
    entry: Option<&MailboxEntry<'_>>,
) -> bool {
    walk.step("files", || {
        let mut count = files::of_registration(registration)?;
        if let Some((entry, source)) =
            entry.and_then(|entry| Some((entry, entry.address.password.as_ref()?)))
        {
            count += files::secret(source, &format!("the password of `{}`", entry.account()))?;
        }
        let what = match registration.credential {
            CredentialSource::None => "no credential",
            CredentialSource::Secret(_) => "a secret",
            CredentialSource::Certificate { .. } => "a certificate",
            CredentialSource::FederatedToken(_) => "a federated token",
            CredentialSource::ManagedIdentity { .. } => "a managed identity",
        };
        let files = match count {
            0 => "in the configuration".to_owned(),
            1 => "1 file can be read".to_owned(),
            n => format!("{n} files can be read"),
        };
        Ok(((), format!("{what}, {files}")))
    })
    .is_some()
}

/// Tells of a secret or certificate that will end, where it is known when.
pub fn credential(walk: &mut Walk, server: &str, credentials: &Credentials<'_>) {
    let now = Timestamp::now();
    for end in expiry::of_server(server, credentials) {
        match end.warning(now) {
            Some(fault) => walk.warned(end.kind, fault, Duration::ZERO),
            None => walk.passed(end.kind, expiry::ends(end.at, now), Duration::ZERO),
        }
    }
}

/// Gets a token; `account` is the person who signs in.
pub fn token(
    walk: &mut Walk,
    name: &'static str,
    account: Option<Account<'_>>,
    get: impl FnOnce() -> Result<AccessToken>,
) -> Option<AccessToken> {
    walk.step(name, || {
        let token = get()?;
        let detail = match account {
            None => "as the app".to_owned(),
            Some(account) if account.password.is_none() => format!("as {}", account.name),
            Some(account) => format!(
                "as {}, with a password, which works only without multi-factor authentication",
                account.name
            ),
        };
        Ok((token, detail))
    })
}

/// What the claims promise.
pub enum Promise {
    /// The service will take the token.
    Good,
    /// It lacks a permission that the service may know of all the same: a scope of RBAC for
    /// Applications is in no token.
    Lacks(Fault),
    /// The service will refuse it.
    Bad,
}

/// Shows the claims.
pub fn look_at_claims(
    walk: &mut Walk,
    name: &'static str,
    registration: &Registration<'_>,
    purpose: Purpose,
    token: &AccessToken,
) -> Promise {
    let Some(found) = Claims::of(token.secret.expose()) else {
        let detail = "the token is not a JWT, so its contents are unknown";
        walk.passed(name, detail, Duration::ZERO);
        return Promise::Good;
    };
    let service = registration.authentication == Authentication::OauthService;
    if service {
        walk.scene.object_id.clone_from(&found.object_id);
    }
    let misfits = claims::misfits(&found, registration, purpose);
    if let [only] = &misfits[..]
        && service
        && purpose.is_graph()
        && matches!(
            only.cause,
            Some(Cause::RoleMissing | Cause::IdentityRoleMissing)
        )
    {
        let detail = format!(
            "{}, unless Exchange grants it (RBAC for Applications)",
            only.what
        );
        walk.passed(name, detail, Duration::ZERO);
        return Promise::Lacks(only.clone());
    }
    let good = walk.step(name, || match misfits.into_iter().next() {
        Some(misfit) => Err(misfit.into()),
        None => Ok(((), in_short(&found, token))),
    });
    match good {
        Some(()) => Promise::Good,
        None => Promise::Bad,
    }
}

/// Says of a sign-in that was refused that it does not come from the token.
pub fn blame_no_token(
    walk: &mut Walk,
    sign_in: &'static str,
    authentication: Authentication,
    cause: Cause,
) {
    let though = match authentication {
        Authentication::OauthService => "though the app's token is right",
        Authentication::OauthUser => "though the person's token is right",
    };
    walk.blame(sign_in, cause, though);
}

fn in_short(claims: &Claims, token: &AccessToken) -> String {
    let known = |value: &Option<String>| value.clone().unwrap_or_else(|| "unknown".to_owned());
    let audience = known(&claims.audience);
    let (kind, held) = match &claims.user {
        Some(_) => ("scopes", &claims.scopes),
        None => ("roles", &claims.roles),
    };
    let left = token
        .expires_at
        .duration_since(SystemTime::now())
        .unwrap_or_default();
    format!(
        "for {}; {kind} {}; tenant {}; app {}; valid for {} min",
        claims::service(&audience).unwrap_or(&audience),
        held.join(", "),
        known(&claims.tenant),
        known(&claims.client_id),
        left.as_secs() / 60
    )
}

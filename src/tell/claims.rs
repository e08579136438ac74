//! `token get --format claims`: what a token says of itself, in plain words, and at once whether
//! it fits the protocol that it was asked for.

use crate::check::claims::{misfits, service};
use crate::model::{Purpose, Resource};
use crate::oauth::{AccessToken, Claims};
use crate::office::Registration;
use crate::output::{Output, escape};
use crate::wording::rfc3339;
use anyhow::Result;
use std::time::{SystemTime, UNIX_EPOCH};

/// Prints the claims on stdout and what does not fit as warnings.
pub fn print(
    output: &Output,
    registration: &Registration<'_>,
    resource: Resource,
    token: &AccessToken,
) -> Result<()> {
    let found = Claims::of(token.secret.expose());
    let is_readable = found.is_some();
    let claims = found.unwrap_or_default();
    let warnings: Vec<String> = match is_readable {
        false => vec!["the token is not a JWT, so its contents are unknown".to_owned()],
        true => misfits(&claims, registration, Purpose::of(resource))
            .into_iter()
            .map(|fault| match &fault.hints[..] {
                [] => fault.what,
                hints => format!("{}: {}", fault.what, hints.join("; ")),
            })
            .collect(),
    };
    if output.json {
        output.json(&serde_json::json!({
            "audience": claims.audience,
            "tenant": claims.tenant,
            "client_id": claims.client_id,
            "app_name": claims.app_name,
            "user": claims.user,
            "object_id": claims.object_id,
            "roles": claims.roles,
            "scopes": claims.scopes,
            "expires_at": rfc3339(token.expires_at),
            "warnings": warnings,
        }))?;
    } else if !is_readable {
        output.line(&format!("expires: {}", expiry(token.expires_at)))?;
    } else {
        for (name, value) in lines(&claims, token) {
            output.line(&format!("{name:<10}{}", escape(&value)))?;
        }
    }
    for warning in warnings {
        output.warn(&escape(&warning));
    }
    Ok(())
}

fn lines(claims: &Claims, token: &AccessToken) -> Vec<(&'static str, String)> {
    let none = || "none".to_owned();
    let audience = claims.audience.clone().unwrap_or_else(none);
    let mut lines = vec![
        (
            "audience:",
            match service(&audience) {
                Some(service) => format!("{audience} ({service})"),
                None => audience,
            },
        ),
        ("tenant:", claims.tenant.clone().unwrap_or_else(none)),
    ];
    let id = claims.client_id.clone().unwrap_or_else(none);
    lines.push((
        "app:",
        match &claims.app_name {
            Some(name) => format!("{id} ({name})"),
            None => id,
        },
    ));
    let object = match &claims.object_id {
        Some(id) => format!(" (object ID {id})"),
        None => String::new(),
    };
    match &claims.user {
        Some(user) => {
            lines.push(("user:", format!("{user}{object}")));
            lines.push(("scopes:", list(&claims.scopes)));
        }
        None => {
            lines.push(("user:", format!("none, the app signs in{object}")));
            lines.push(("roles:", list(&claims.roles)));
        }
    }
    lines.push(("expires:", expiry(token.expires_at)));
    lines
}

fn list(names: &[String]) -> String {
    match names {
        [] => "none".to_owned(),
        names => names.join(", "),
    }
}

/// An instant in local time and from now.
fn expiry(at: SystemTime) -> String {
    let left = at.duration_since(SystemTime::now()).unwrap_or_default();
    let seconds = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let local = i64::try_from(seconds)
        .ok()
        .and_then(|s| jiff::Timestamp::from_second(s).ok())
        .map(|t| t.to_zoned_datetime(jiff::tz::TimeZone::system()))
        .map(|t| t.strftime("%Y-%m-%d %H:%M:%S %:z").to_string())
        .unwrap_or_default();
    match left.as_secs() / 60 {
        0 => format!("{local}, in less than a minute"),
        1 => format!("{local}, in 1 minute"),
        minutes => format!("{local}, in {minutes} minutes"),
    }
}

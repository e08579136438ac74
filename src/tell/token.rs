//! `token`: a token that was obtained, and those that are kept.

use super::table::Table;
use crate::model::Resource;
use crate::oauth::AccessToken;
use crate::office::Subject;
use crate::output::Output;
use crate::state::{KeptToken, TokenKey};
use crate::vault::Vault;
use crate::wording::{rfc3339, span};
use anyhow::Result;
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};

/// A token as an object; a form of it stands there under its name.
pub fn object(
    subject: &Subject<'_>,
    resource: Resource,
    token: &AccessToken,
    form: Option<(&str, &str)>,
) -> Value {
    let mut object = json!({
        "access_token": token.secret.expose(),
        "token_type": "Bearer",
        "for": resource.name(),
        "expires_at": rfc3339(token.expires_at),
        "expires_in": token.remaining(SystemTime::now()).as_secs(),
    });
    match subject {
        Subject::Mailbox(entry) => {
            object["queue"] = entry.queue.name.as_str().into();
            object["address"] = entry.address.address.as_str().into();
        }
        server => object["server"] = server.name().into(),
    }
    if let Some((name, text)) = form {
        object[name] = text.into();
    }
    object
}

/// The tokens that are kept, and where, without their secrets.
pub fn list(output: &Output, kept: &[(KeptToken, Option<Vault>)]) -> Result<()> {
    if output.json {
        let tokens: Vec<Value> = kept.iter().map(as_json).collect();
        return output.json(&json!({ "tokens": tokens }));
    }
    let now = SystemTime::now();
    let mut table = Table::new(&["ACCOUNT", "KIND", "STORED", "EXPIRES", "FOR"]);
    for (token, vault) in kept {
        table.row(row(token, now));
        table.note(&origin(token, vault.as_ref()));
    }
    table.print(output)
}

fn kind(kept: &KeptToken) -> &'static str {
    match kept.key.is_refresh() {
        true => "refresh",
        false => "access",
    }
}

fn as_json((kept, vault): &(KeptToken, Option<Vault>)) -> Value {
    json!({
        "kind": kind(kept),
        "authority": kept.key.authority,
        "client_id": kept.key.client_id,
        "account": kept.key.account,
        "scope": kept.key.scope,
        "obtained_at": rfc3339(kept.obtained_at),
        "expires_at": kept.expires_at.map(rfc3339),
        "store": vault.as_ref().map_or("database", Vault::kind),
    })
}

fn row(kept: &KeptToken, now: SystemTime) -> Vec<String> {
    let TokenKey { account, scope, .. } = &kept.key;
    let seconds = |span: Duration| i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
    let age = now.duration_since(kept.obtained_at).unwrap_or_default();
    let expires = match kept.expires_at.map(|at| at.duration_since(now)) {
        Some(Ok(left)) => format!("in {}", span(seconds(left))),
        Some(Err(_)) => "expired".to_owned(),
        // The authorization server does not say when a refresh token ends.
        None => "-".to_owned(),
    };
    let account = match account.as_str() {
        "" => "the app",
        account => account,
    };
    let scope = match scope.as_str() {
        "" => "-",
        scope => scope.strip_prefix("https://").unwrap_or(scope),
    };
    vec![
        account.to_owned(),
        kind(kept).to_owned(),
        format!("{} ago", span(seconds(age))),
        expires,
        scope.to_owned(),
    ]
}

/// Who gave the token to which app, and where it is unless in the database.
fn origin(kept: &KeptToken, vault: Option<&Vault>) -> String {
    let place = vault.map_or_else(String::new, |vault| format!(", in {}", vault.words()));
    let TokenKey {
        authority,
        client_id,
        ..
    } = &kept.key;
    format!("app {client_id} at {authority}{place}")
}

//! Tokens, for people and for programs.

use crate::model::Resource;
use crate::oauth::AccessToken;
use crate::office::Subject;
use crate::output::{Output, escape};
use crate::state::{KeptToken, TokenKey};
use crate::vault::Vault;
use crate::wording::rfc3339;
use anyhow::Result;
use serde_json::{Value, json};
use std::time::SystemTime;

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
    for (token, vault) in kept {
        output.line(&escape(&line(token, vault.as_ref(), now)))?;
    }
    Ok(())
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

fn line(kept: &KeptToken, vault: Option<&Vault>, now: SystemTime) -> String {
    let TokenKey {
        authority,
        client_id,
        account,
        scope,
    } = &kept.key;
    let who = match account.as_str() {
        "" => "the app",
        account => account,
    };
    let state = match kept.expires_at {
        Some(at) => match at.duration_since(now) {
            Ok(left) => format!("for {scope}, expires in {} minutes", left.as_secs() / 60),
            Err(_) => format!("for {scope}, expired"),
        },
        None => {
            let age = now.duration_since(kept.obtained_at).unwrap_or_default();
            format!("renewed {} days ago", age.as_secs() / 86400)
        }
    };
    let place = match vault {
        None => String::new(),
        Some(vault) => format!(", in {}", vault.words()),
    };
    let kind = kind(kept);
    format!("{kind} token of {who}, app {client_id} at {authority}: {state}{place}")
}

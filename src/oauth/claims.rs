//! What an access token says of itself: for diagnosis only.
//!
//! Clients are not to rely on the inside of an access token (it is for the resource, and need not
//! be a JWT at all), so decoding is best effort and nothing but advice follows from it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

/// The claims that explain a refused login.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// `aud`: whom the token is for.
    pub audience: Option<String>,
    /// `tid`.
    pub tenant: Option<String>,
    /// `appid` (v1 tokens) or `azp` (v2): the client ID.
    pub client_id: Option<String>,
    /// `app_displayname`.
    pub app_name: Option<String>,
    /// `upn`, `preferred_username` or `unique_name`: who signed in; absent for an application.
    pub user: Option<String>,
    /// `oid`: the object ID of the user, or of the service principal (the one that Exchange's
    /// New-ServicePrincipal wants).
    pub object_id: Option<String>,
    /// `roles`: application permissions.
    pub roles: Vec<String>,
    /// `scp`: delegated permissions.
    pub scopes: Vec<String>,
    /// `exp`, Unix seconds.
    pub expires_at: Option<i64>,
}

/// What is in the second part of a JWT.
pub fn payload(token: &str) -> Option<Map<String, Value>> {
    let part = token.split('.').nth(1)?;
    let json = URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).ok()?;
    serde_json::from_slice(&json).ok()
}

impl Claims {
    /// Reads the claims of a JWT (RFC 7519) without checking its signature; `None` for a token
    /// of another form.
    pub fn of(token: &str) -> Option<Claims> {
        let claims = payload(token).filter(|_| token.split('.').nth(2).is_some())?;
        let text = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
        let first_of_list = |name: &str| match claims.get(name) {
            Some(Value::Array(list)) => list.first().and_then(Value::as_str).map(str::to_owned),
            _ => None,
        };
        Some(Claims {
            audience: text("aud").or_else(|| first_of_list("aud")),
            tenant: text("tid"),
            client_id: text("appid").or_else(|| text("azp")),
            app_name: text("app_displayname"),
            user: text("upn")
                .or_else(|| text("preferred_username"))
                .or_else(|| text("unique_name")),
            object_id: text("oid"),
            roles: match claims.get("roles") {
                Some(Value::Array(list)) => list
                    .iter()
                    .filter_map(Value::as_str)
                    .map(str::to_owned)
                    .collect(),
                _ => Vec::new(),
            },
            scopes: text("scp")
                .map(|s| s.split_whitespace().map(str::to_owned).collect())
                .unwrap_or_default(),
            expires_at: claims.get("exp").and_then(Value::as_i64),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn jwt(payload: &str) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(payload))
    }

    #[test]
    fn application_token() {
        let claims = Claims::of(&jwt(
            r#"{"aud":"https://outlook.office365.com","tid":"t","appid":"c","roles":["IMAP.AccessAsApp"],"exp":1800000000,"oid":"o"}"#,
        ))
        .unwrap();
        assert_eq!(
            claims.audience.as_deref(),
            Some("https://outlook.office365.com")
        );
        assert_eq!(claims.roles, ["IMAP.AccessAsApp"]);
        assert_eq!(claims.client_id.as_deref(), Some("c"));
        assert_eq!(claims.expires_at, Some(1_800_000_000));
        assert_eq!(claims.user, None);
    }

    #[test]
    fn delegated_token() {
        let claims = Claims::of(&jwt(
            r#"{"aud":["https://outlook.office.com"],"azp":"c","upn":"eva@contoso.com","scp":"IMAP.AccessAsUser.All SMTP.Send"}"#,
        ))
        .unwrap();
        assert_eq!(claims.user.as_deref(), Some("eva@contoso.com"));
        assert_eq!(claims.scopes, ["IMAP.AccessAsUser.All", "SMTP.Send"]);
        assert_eq!(
            claims.audience.as_deref(),
            Some("https://outlook.office.com")
        );
    }

    #[test]
    fn other_forms_are_not_claims() {
        for token in [
            "",
            "opaque",
            "a.b",
            "a.b.c",
            "..",
            "e30.bnVsbA.x",
            "e30.W10.x",
        ] {
            assert_eq!(Claims::of(token), None, "{token}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(token in "\\PC*", payload in "\\PC*") {
            let _ = Claims::of(&token);
            let _ = Claims::of(&jwt(&payload));
        }
    }
}

//! What a token endpoint answers: a token that is checked before anybody uses it, or an error
//! that is sorted by what the caller does next.
//!
//! Microsoft says that codes and texts may change, so decisions follow RFC 6749's `error` and
//! the HTTP status. The one exception are AADSTS codes of faults that pass by themselves: Entra
//! sends them with an `error` that elsewhere means "for good".

use super::token::{AccessToken, Granted};
use crate::fault::{Cause, Fault, Kind};
use crate::secret::{Mask, Secret};
use oauth2::basic::BasicTokenType;
use oauth2::helpers::deserialize_untagged_enum_case_insensitive;
use oauth2::{RefreshToken, Scope};
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The longest token that is passed on, in octets; Entra's have 1.5 to 4 KiB.
const LONGEST_TOKEN: usize = 16 * 1024;
/// No token counts as valid for longer, whatever `expires_in` says (continuous access evaluation:
/// 28 h).
const LONGEST_LIFE: u64 = 48 * 3600;

/// A successful answer (RFC 6749 §5.1), not checked yet.
#[derive(Debug, Deserialize, Serialize)]
pub struct TokenAnswer {
    access_token: oauth2::AccessToken,
    #[serde(deserialize_with = "deserialize_untagged_enum_case_insensitive")]
    token_type: BasicTokenType,
    #[serde(default, deserialize_with = "seconds")]
    expires_in: Option<u64>,
    /// Unix seconds; what a managed identity says where it leaves `expires_in` out.
    #[serde(default, deserialize_with = "seconds")]
    expires_on: Option<u64>,
    #[serde(default)]
    refresh_token: Option<RefreshToken>,
}

impl oauth2::TokenResponse for TokenAnswer {
    type TokenType = BasicTokenType;
    fn access_token(&self) -> &oauth2::AccessToken {
        &self.access_token
    }
    fn token_type(&self) -> &BasicTokenType {
        &self.token_type
    }
    fn expires_in(&self) -> Option<Duration> {
        self.expires_in.map(Duration::from_secs)
    }
    fn refresh_token(&self) -> Option<&RefreshToken> {
        self.refresh_token.as_ref()
    }
    fn scopes(&self) -> Option<&Vec<Scope>> {
        None
    }
}

/// A number of seconds; also as a string, in which form managed identities and the v1
/// endpoints send it. Anything else is an error that does not repeat the value.
fn seconds<'de, D: Deserializer<'de>>(de: D) -> Result<Option<u64>, D::Error> {
    let value = serde_json::Value::deserialize(de)?;
    let number = match &value {
        serde_json::Value::Null => return Ok(None),
        serde_json::Value::String(text) => text.parse().ok(),
        // Some count in fractions.
        other => other.as_u64().or_else(|| {
            let seconds = other.as_f64()?;
            (0.0..1e15).contains(&seconds).then_some(seconds as u64)
        }),
    };
    match number {
        Some(seconds) => Ok(Some(seconds)),
        None => Err(serde::de::Error::custom("not a whole number of seconds")),
    }
}

impl TokenAnswer {
    /// The tokens, if they can be used without harm: of type Bearer, of known life, of sane
    /// length and characters (RFC 6750 §2.1), since they end in header fields and SASL strings.
    pub fn checked(&self, asked_at: SystemTime) -> Result<Granted, Fault> {
        if self.token_type != BasicTokenType::Bearer {
            return Err(odd("its token_type is not Bearer"));
        }
        let until = self
            .expires_on
            .and_then(|at| UNIX_EPOCH.checked_add(Duration::from_secs(at)))
            .map(|at| at.duration_since(asked_at).unwrap_or_default().as_secs());
        let life = match self.expires_in.or(until) {
            None => return Err(odd("it lacks expires_in")),
            Some(0) => return Err(odd("the token has expired already (expires_in is 0)")),
            Some(seconds) => Duration::from_secs(seconds.min(LONGEST_LIFE)),
        };
        let access = usable("access_token", self.access_token.secret())?;
        // An empty one is how some say that there is none.
        let refresh = match &self.refresh_token {
            Some(token) if !token.secret().is_empty() => {
                Some(usable("refresh_token", token.secret())?)
            }
            _ => None,
        };
        let access = AccessToken {
            secret: access,
            obtained_at: SystemTime::now(),
            // Counted from the question: the network's time is not part of its life.
            expires_at: asked_at + life,
        };
        Ok(Granted { access, refresh })
    }

    /// The refresh token, if it is usable.
    pub fn renewed(&self) -> Option<Secret> {
        let token = self.refresh_token.as_ref()?;
        usable("refresh_token", token.secret()).ok()
    }
}

fn usable(field: &str, text: &str) -> Result<Secret, Fault> {
    if text.is_empty() {
        return Err(odd(&format!("its {field} is empty")));
    }
    if text.len() > LONGEST_TOKEN {
        return Err(odd(&format!(
            "its {field} has more than {LONGEST_TOKEN} bytes"
        )));
    }
    if !text.bytes().all(|b| matches!(b, 0x21..=0x7e)) {
        return Err(odd(&format!(
            "its {field} contains characters that are not allowed in tokens"
        )));
    }
    Ok(Secret::new(text))
}

/// An answer that says 200 and cannot be used.
pub fn odd(why: &str) -> Fault {
    Fault::refused(format!("the token endpoint's answer cannot be used: {why}"))
        .cause(Cause::AnswerUnusable)
        .hint("check that the server's `address` is a login host: https://<login host>/<tenant>")
}

/// An error answer (RFC 6749 §5.2) with Entra's additions. Fields of an unexpected type count as
/// absent.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct ErrorAnswer {
    pub error: String,
    #[serde(default, deserialize_with = "lenient")]
    pub error_description: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub error_codes: Vec<u64>,
    #[serde(default, deserialize_with = "lenient")]
    pub suberror: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub trace_id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub correlation_id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub timestamp: Option<String>,
    /// A Conditional Access challenge, to be sent back in an interactive request.
    #[serde(default, deserialize_with = "lenient")]
    pub claims: Option<String>,
}

fn lenient<'de, D, T>(de: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + serde::de::DeserializeOwned,
{
    let value = serde_json::Value::deserialize(de)?;
    Ok(serde_json::from_value(value).unwrap_or_default())
}

// Boxed, since it travels inside of results.
impl oauth2::ErrorResponse for Box<ErrorAnswer> {}

impl fmt::Display for ErrorAnswer {
    /// The server's words: `error: description`, and the ids to find it in the sign-in logs by
    /// where the description itself does not hold them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.error)?;
        let description = self.error_description.as_deref().unwrap_or_default().trim();
        if !description.is_empty() {
            write!(f, ": {description}")?;
        }
        for code in &self.error_codes {
            if !description.contains(&format!("AADSTS{code}")) {
                write!(f, " (AADSTS{code})")?;
            }
        }
        for (name, value) in [
            ("Trace ID", &self.trace_id),
            ("Correlation ID", &self.correlation_id),
            ("Timestamp", &self.timestamp),
        ] {
            match value {
                Some(value) if !description.contains(name) => write!(f, "\r\n{name}: {value}")?,
                _ => {}
            }
        }
        Ok(())
    }
}

/// What the caller does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The same request may succeed later.
    TryLater,
    /// A person must act; the same request does no harm.
    Act,
    /// The person at the device has not finished (RFC 8628 §3.5); `slow_down`: ask less often.
    Pending { slow_down: bool },
    /// The same request must not be repeated: another wrong password locks the account. Where
    /// that has happened, not before the fault's `retry_after`.
    Never,
}

/// A grant that failed.
#[derive(Debug)]
pub struct GrantError {
    pub class: Class,
    pub fault: Fault,
    /// Of an answer that cannot be used otherwise: it may be the only one that still works.
    /// (Boxed, since errors travel inside of results.)
    pub refresh: Option<Box<Secret>>,
}

impl From<GrantError> for Fault {
    fn from(err: GrantError) -> Fault {
        err.fault
    }
}

impl From<Fault> for GrantError {
    fn from(fault: Fault) -> GrantError {
        let class = match fault.kind {
            Kind::TryLater => Class::TryLater,
            _ => Class::Act,
        };
        GrantError {
            class,
            fault,
            refresh: None,
        }
    }
}

/// Faults of Entra itself, of its directory or of an on-premises agent that pass by themselves,
/// and its answer to clients that ask too often.
const PASSING: &[u64] = &[
    50000, 50033, 50196, 80001, 80002, 80005, 80007, 80010, 80014, 90006, 90012, 90024, 90033,
    90055,
];

/// The account is locked: by wrong passwords, which may be somebody else's, or since its network
/// address is. Smart lock-out opens it again, as a rule within minutes; who keeps trying keeps it shut.
const LOCKED: u64 = 50053;
const LOCKED_FOR: Duration = Duration::from_secs(3600);

impl ErrorAnswer {
    /// The same, and its words repeat no secret.
    pub fn without(self, mask: &Mask) -> ErrorAnswer {
        let hidden = |text: Option<String>| text.map(|text| mask.hide(&text));
        ErrorAnswer {
            error: mask.hide(&self.error),
            error_description: hidden(self.error_description),
            suberror: hidden(self.suberror),
            trace_id: hidden(self.trace_id),
            correlation_id: hidden(self.correlation_id),
            timestamp: hidden(self.timestamp),
            ..self
        }
    }

    /// The error sorted; `tried_password`: it answers the password grant.
    pub fn sorted(
        &self,
        status: u16,
        retry_after: Option<Duration>,
        tried_password: bool,
    ) -> GrantError {
        let passing = status == 429
            || status >= 500
            || matches!(
                self.error.as_str(),
                "temporarily_unavailable" | "server_error"
            )
            || self.error_codes.iter().any(|code| PASSING.contains(code));
        let class = if self.error == "authorization_pending" || self.error == "slow_down" {
            Class::Pending {
                slow_down: self.error == "slow_down",
            }
        } else if passing {
            Class::TryLater
        } else if tried_password
            && self.error == "invalid_grant"
            && !self.wants_more_than_password()
        {
            Class::Never
        } else {
            Class::Act
        };
        let kind = match class {
            Class::TryLater => Kind::TryLater,
            _ => Kind::SignIn,
        };
        let what = match class {
            Class::TryLater => "the login host is temporarily unavailable",
            _ => "the login host refuses",
        };
        let wait = match class {
            Class::TryLater => retry_after,
            Class::Never if self.error_codes.contains(&LOCKED) => Some(LOCKED_FOR),
            _ => None,
        };
        let mut said = self.to_string();
        truncate(&mut said, 4000);
        let mut fault = Fault::new(kind, what).said(said).retry_after(wait);
        let of_client = matches!(
            self.error.as_str(),
            "invalid_client" | "invalid_request" | "unauthorized_client"
        );
        if kind == Kind::SignIn && of_client {
            fault = fault.cause(Cause::ClientRefused);
        }
        GrantError {
            class,
            fault,
            refresh: None,
        }
    }

    /// The password may be right: Entra asks for another factor, consent, a policy's demand or an
    /// account that is there, enabled, has a password and one that has not expired, and says so in
    /// `suberror` (`basic_action`, `consent_required` and others). What an administrator does about
    /// it changes nothing here, and no attempt before locks the account.
    fn wants_more_than_password(&self) -> bool {
        const NOT_THE_PASSWORD: &[u64] = &[
            50005, 50034, 50055, 50056, 50057, 50072, 50074, 50076, 50079, 50097, 50105, 50144,
            50158, 53000, 53001, 53002, 53003, 53004, 65001, 530032, 530035,
        ];
        self.suberror
            .as_deref()
            .is_some_and(|s| !s.is_empty() && s != "bad_token")
            || self
                .error_codes
                .iter()
                .any(|code| NOT_THE_PASSWORD.contains(code))
    }
}

/// Cuts a text at a character boundary.
pub fn truncate(text: &mut String, most: usize) {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most));
        text.push('…');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn token(json: &str) -> Result<Granted, String> {
        let answer: TokenAnswer = serde_json::from_str(json).map_err(|e| e.to_string())?;
        answer.checked(UNIX_EPOCH).map_err(|f| f.what)
    }

    fn error(json: &str) -> ErrorAnswer {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn entras_answer() {
        let Granted {
            access: token,
            refresh,
        } = token(
            r#"{"token_type":"Bearer","expires_in":3599,"ext_expires_in":3599,"access_token":"eyJ0","refresh_token":"1.A"}"#,
        )
        .unwrap();
        assert_eq!(token.secret.expose(), "eyJ0");
        assert_eq!(token.expires_at, UNIX_EPOCH + Duration::from_secs(3599));
        assert_eq!(refresh.unwrap().expose(), "1.A");
    }

    #[test]
    fn seconds_as_a_string_and_the_time_of_expiry() {
        for json in [
            r#"{"token_type":"bearer","expires_in":"3600","access_token":"t"}"#,
            r#"{"token_type":"Bearer","expires_on":"3600","access_token":"t"}"#,
            r#"{"token_type":"Bearer","expires_in":3600.9,"access_token":"t","refresh_token":""}"#,
        ] {
            let Granted {
                access: token,
                refresh,
            } = token(json).unwrap();
            assert_eq!(refresh, None);
            assert_eq!(token.expires_at, UNIX_EPOCH + Duration::from_secs(3600));
        }
    }

    #[test]
    fn what_cannot_be_used() {
        let long = "t".repeat(LONGEST_TOKEN + 1);
        for (fields, why) in [
            (
                r#""token_type":"Bearer","access_token":"t""#.to_owned(),
                "lacks expires_in",
            ),
            (
                r#""token_type":"Bearer","access_token":"t","expires_in":null"#.to_owned(),
                "lacks expires_in",
            ),
            (
                r#""token_type":"Bearer","access_token":"t","expires_in":0"#.to_owned(),
                "expired already",
            ),
            (
                r#""token_type":"Bearer","access_token":"t","expires_in":-5"#.to_owned(),
                "whole number",
            ),
            (
                r#""token_type":"Bearer","access_token":"t","expires_in":"soon""#.to_owned(),
                "whole number",
            ),
            (
                r#""token_type":"Bearer","access_token":"t","expires_in":[1]"#.to_owned(),
                "whole number",
            ),
            (
                r#""token_type":"mac","access_token":"t","expires_in":9"#.to_owned(),
                "not Bearer",
            ),
            (
                r#""access_token":"t","expires_in":9"#.to_owned(),
                "token_type",
            ),
            (
                r#""token_type":"Bearer","access_token":"","expires_in":9"#.to_owned(),
                "is empty",
            ),
            (
                r#""token_type":"Bearer","access_token":"a\r\nA1 LOGOUT","expires_in":9"#
                    .to_owned(),
                "characters",
            ),
            (
                r#""token_type":"Bearer","access_token":"a\u0001b","expires_in":9"#.to_owned(),
                "characters",
            ),
            (
                r#""token_type":"Bearer","access_token":"a b","expires_in":9"#.to_owned(),
                "characters",
            ),
            (
                format!(r#""token_type":"Bearer","access_token":"{long}","expires_in":9"#),
                "more than",
            ),
            (
                r#""token_type":"Bearer","access_token":"t","refresh_token":"\n","expires_in":9"#
                    .to_owned(),
                "refresh_token",
            ),
        ] {
            let err = token(&format!("{{{fields}}}")).unwrap_err();
            assert!(err.contains(why), "{fields:.80}: {err}");
        }
    }

    #[test]
    fn a_life_of_years_is_cut() {
        let json = format!(
            r#"{{"token_type":"Bearer","access_token":"t","expires_in":{}}}"#,
            u64::MAX
        );
        let token = token(&json).unwrap().access;
        assert_eq!(
            token.expires_at,
            UNIX_EPOCH + Duration::from_secs(LONGEST_LIFE)
        );
    }

    const WRONG_PASSWORD: &str = r#"{"error":"invalid_grant","error_description":"AADSTS50126: Error validating credentials due to invalid username or password.\r\nTrace ID: 1\r\nCorrelation ID: 2\r\nTimestamp: 2026-11-23 23:00:00Z","error_codes":[50126],"timestamp":"2026-11-23 23:00:00Z","trace_id":"1","correlation_id":"2","error_uri":"https://login.microsoftonline.com/error?code=50126"}"#;

    #[test]
    fn sorted_by_what_the_caller_does() {
        let wait = Some(Duration::from_secs(7));
        for (json, status, password, class) in [
            (WRONG_PASSWORD, 400, true, Class::Never),
            (WRONG_PASSWORD, 400, false, Class::Act),
            (WRONG_PASSWORD, 503, true, Class::TryLater),
            (r#"{"error":"invalid_grant"}"#, 400, true, Class::Never),
            (
                r#"{"error":"invalid_grant","suberror":"basic_action","error_codes":[50076]}"#,
                400,
                true,
                Class::Act,
            ),
            (
                r#"{"error":"invalid_client","error_codes":[7000222]}"#,
                401,
                true,
                Class::Act,
            ),
            (
                r#"{"error":"temporarily_unavailable"}"#,
                400,
                true,
                Class::TryLater,
            ),
            (
                r#"{"error":"invalid_request","error_codes":[90033]}"#,
                400,
                false,
                Class::TryLater,
            ),
            (r#"{"error":"too_many"}"#, 429, false, Class::TryLater),
            (
                r#"{"error":"authorization_pending"}"#,
                400,
                false,
                Class::Pending { slow_down: false },
            ),
            (
                r#"{"error":"slow_down"}"#,
                400,
                false,
                Class::Pending { slow_down: true },
            ),
        ] {
            let sorted = error(json).sorted(status, wait, password);
            assert_eq!(sorted.class, class, "{json}");
            let later = class == Class::TryLater;
            assert_eq!(sorted.fault.kind == Kind::TryLater, later, "{json}");
            assert_eq!(sorted.fault.retry_after, wait.filter(|_| later), "{json}");
        }
    }

    #[test]
    fn the_servers_words_are_kept_and_completed() {
        let said = error(WRONG_PASSWORD).to_string();
        assert!(said.starts_with("invalid_grant: AADSTS50126: Error validating"));
        assert_eq!(said.matches("Correlation ID").count(), 1);
        let bare = error(
            r#"{"error":"invalid_grant","error_codes":[50126],"correlation_id":"2","timestamp":7,"trace_id":null}"#,
        );
        assert_eq!(
            bare.to_string(),
            "invalid_grant (AADSTS50126)\r\nCorrelation ID: 2"
        );
    }

    proptest! {
        #[test]
        fn hostile_bodies_never_panic(body in "\\PC*", description in "\\PC{0,9000}") {
            let _ = serde_json::from_str::<TokenAnswer>(&body).map(|a| a.checked(UNIX_EPOCH).is_ok());
            let answer = ErrorAnswer {
                error: body,
                error_description: Some(description),
                ..ErrorAnswer::default()
            };
            let sorted = answer.sorted(400, None, true);
            prop_assert!(sorted.fault.server_said.unwrap().len() <= 4004);
        }

        #[test]
        fn any_shape_of_fields_is_an_error_or_a_sane_token(
            kind in prop_oneof![Just("\"Bearer\""), Just("null"), Just("7"), Just("\"\"")],
            token_text in "[ -~\\r\\n\\x00]{0,40}",
            life in prop_oneof![Just("9".to_owned()), Just("1e3".to_owned()), Just("-1".to_owned()), Just("{}".to_owned()), "[0-9]{1,30}"],
        ) {
            let json = format!(
                r#"{{"token_type":{kind},"access_token":{},"expires_in":{life}}}"#,
                serde_json::Value::from(token_text)
            );
            if let Ok(Granted { access: token, .. }) = token(&json) {
                prop_assert!(token.secret.expose().bytes().all(|b| b.is_ascii_graphic()));
                prop_assert!(token.expires_at > UNIX_EPOCH);
            }
        }
    }
}

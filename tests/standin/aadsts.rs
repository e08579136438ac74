//! Entra's errors: each AADSTS code with its HTTP status, RFC 6749 `error` and text.

use serde_json::json;

use super::http::Response;
use super::world::{guid, now};

/// An error answer of Entra.
#[derive(Debug)]
pub struct Refusal {
    pub code: u32,
    pub text: String,
}

impl Refusal {
    pub fn new(code: u32, text: impl Into<String>) -> Refusal {
        Refusal {
            code,
            text: text.into(),
        }
    }

    /// A code on its own, with a text that fits it.
    pub fn plain(code: u32) -> Refusal {
        Refusal::new(code, usual_text(code))
    }

    /// The body as Entra shapes it.
    pub fn response(&self) -> Response {
        let (status, error) = kind(self.code);
        let (trace, correlation) = (guid(), guid());
        let timestamp = jiff::Timestamp::from_second(now())
            .unwrap()
            .strftime("%Y-%m-%d %H:%M:%SZ")
            .to_string();
        let mut body = json!({
            "error": error,
            "error_description": format!(
                "AADSTS{}: {}\r\nTrace ID: {trace}\r\nCorrelation ID: {correlation}\r\nTimestamp: {timestamp}",
                self.code, self.text
            ),
            "error_codes": [self.code],
            "timestamp": timestamp, "trace_id": trace, "correlation_id": correlation,
            "error_uri": format!("https://login.microsoftonline.com/error?code={}", self.code),
        });
        match self.code {
            50076 | 50079 | 50074 => {
                body["suberror"] = json!("basic_action");
                body["claims"] = json!(
                    r#"{"access_token":{"capolids":{"essential":true,"values":["00000000-0000-0000-0000-000000000001"]}}}"#
                );
            }
            53003 => body["suberror"] = json!("message_only"),
            65001 => body["suberror"] = json!("consent_required"),
            50173 => body["suberror"] = json!("bad_token"),
            700082 => body["suberror"] = json!("token_expired"),
            _ => {}
        }
        Response::json(status, &body)
    }
}

fn kind(code: u32) -> (u16, &'static str) {
    match code {
        7000215 | 7000222 | 7000218 | 700025 | 700027 | 700024 | 70002 | 50012 | 700213
        | 700211 | 700212 | 7000112 => (401, "invalid_client"),
        700016 | 700011 | 7000229 | 70001 => (400, "unauthorized_client"),
        90002 | 900144 | 9002313 | 9001023 | 900561 | 90014 | 50059 | 1002016 | 50011 | 90019
        | 90038 => (400, "invalid_request"),
        70011 | 1002012 | 28002 | 700022 => (400, "invalid_scope"),
        500011 | 650057 => (400, "invalid_resource"),
        70003 => (400, "unsupported_grant_type"),
        70016 => (400, "authorization_pending"),
        70018 => (400, "bad_verification_code"),
        70019 | 70020 => (400, "expired_token"),
        65004 => (400, "authorization_declined"),
        90006 | 90012 | 90024 | 90033 | 50033 | 90055 => (503, "temporarily_unavailable"),
        _ => (400, "invalid_grant"),
    }
}

/// The text of codes that need no details from the request.
fn usual_text(code: u32) -> &'static str {
    match code {
        50034 => {
            "The user account does not exist in the contoso.example directory. To sign into this application, the account must be added to the directory."
        }
        50053 => {
            "The account is locked, you've tried to sign in too many times with an incorrect user ID or password."
        }
        50055 => "The password is expired. Please change your password and then sign in again.",
        50057 => "The user account is disabled.",
        50076 => {
            "Due to a configuration change made by your administrator, or because you moved to a new location, you must use multi-factor authentication to access '00000002-0000-0ff1-ce00-000000000000'."
        }
        50079 => {
            "Due to a configuration change made by your administrator, or because you moved to a new location, you must enroll in multi-factor authentication to access '00000002-0000-0ff1-ce00-000000000000'."
        }
        50126 => "Error validating credentials due to invalid username or password.",
        50173 => {
            "The provided grant has expired due to it being revoked, a fresh auth token is needed. The user might have changed or reset their password."
        }
        50196 => {
            "The server terminated an operation because it encountered a client request loop. Please contact your app vendor."
        }
        53003 => {
            "Access has been blocked by Conditional Access policies. The access policy does not allow token issuance."
        }
        54005 => {
            "OAuth2 Authorization code was already redeemed, please retry with a new valid code or use an existing refresh token."
        }
        501481 => {
            "The Code_Verifier does not match the code_challenge supplied in the authorization request."
        }
        65004 => "User declined to consent to access the app.",
        7000218 => {
            "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."
        }
        700025 => {
            "Client is public so neither 'client_assertion' nor 'client_secret' should be presented."
        }
        700024 => "Client assertion is not within its valid time range.",
        70008 => {
            "The provided authorization code or refresh token has expired due to inactivity. Send a new interactive authorization request for this user and resource."
        }
        700082 => {
            "The refresh token has expired due to inactivity. The token was issued on 2026-05-01T08:00:00.0000000Z and was inactive for 90.00:00:00."
        }
        70000 => "Provided grant is invalid or malformed.",
        70016 => "OAuth 2.0 device flow error. Authorization is pending. Continue polling.",
        70018 => {
            "Invalid verification code due to the user typing in the wrong code or the device code being malformed."
        }
        70019 => "Verification code expired. Have the user retry the sign-in.",
        700022 => {
            "The provided value for the input parameter scope is not valid because it contains more than one resource."
        }
        9001023 => {
            "The grant type is not supported over the /common or /consumers endpoints. Please use the /organizations or tenant-specific endpoint."
        }
        9002313 => "Invalid request. Request is malformed or invalid.",
        90033 => "A transient error has occurred. Please try again.",
        _ => "An error of the directory.",
    }
}

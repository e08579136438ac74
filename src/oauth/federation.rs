//! A token of another identity provider in the place of a client secret (workload identity
//! federation): what it says of itself, where Entra ID refuses it.
//!
//! Entra compares issuer, subject and audience with the app's federated credential, letter case
//! included. The token itself is never shown: until it expires, it is as good as a secret.

use super::claims::payload;
use crate::fault::{Cause, Fault};
use crate::output::escape;
use jiff::Timestamp;
use serde_json::Value;

/// What Microsoft's clouds expect as the audience: worldwide, US Government, China.
const AUDIENCES: [&str; 3] = [
    "api://AzureADTokenExchange",
    "api://AzureADTokenExchangeUSGov",
    "api://AzureADTokenExchangeChina",
];

/// Adds to a refusal of the client what in its token does not fit, and what to compare.
pub fn explained(fault: Fault, jwt: &str, now: Timestamp) -> Fault {
    // A refusal of something else is not the token's.
    if fault.cause != Some(Cause::ClientRefused) {
        return fault;
    }
    hints(jwt, now).into_iter().fold(fault, Fault::hint)
}

fn hints(jwt: &str, now: Timestamp) -> Vec<String> {
    let Some(claims) = payload(jwt).map(Value::Object) else {
        return vec![
            "the federated token has no readable claims: it is not a JWT of an identity provider"
                .to_owned(),
        ];
    };
    let mut found = Vec::new();
    let time = |name: &str| {
        let seconds = claims[name].as_f64()?;
        Timestamp::from_second(seconds as i64).ok()
    };
    match time("exp") {
        Some(end) if end <= now => found.push(format!(
            "the federated token expired at {end}, {} ago: it is no longer renewed, or the clock of this machine is wrong",
            ago(now.as_second() - end.as_second())
        )),
        None => found.push("the federated token has no `exp`: Entra ID requires one".to_owned()),
        _ => {}
    }
    if let Some(start) = time("nbf").filter(|start| *start > now) {
        found.push(format!(
            "the federated token is valid from {start}: one of the two clocks is wrong"
        ));
    }
    let audiences: Vec<&str> = match &claims["aud"] {
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    };
    if !audiences.iter().any(|own| AUDIENCES.contains(own)) {
        found.push(format!(
            "its audience is {}, and Entra ID expects `{}` unless the federated credential names another: have it issued for that audience",
            named(&audiences.join(", ")),
            AUDIENCES[0]
        ));
    }
    found.push(format!(
        "the federated token has: issuer {}, subject {}, audience {}; a federated credential of the app must have the same values, letter case included",
        named(claims["iss"].as_str().unwrap_or_default()),
        named(claims["sub"].as_str().unwrap_or_default()),
        named(&audiences.join(", "))
    ));
    found
}

fn named(text: &str) -> String {
    match text {
        "" => "none".to_owned(),
        text => format!("`{}`", escape(&text.chars().take(300).collect::<String>())),
    }
}

fn ago(seconds: i64) -> String {
    match seconds {
        0..120 => format!("{seconds} seconds"),
        120..7_200 => format!("{} minutes", seconds / 60),
        7_200..172_800 => format!("{} hours", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    fn of(claims: &str) -> String {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let jwt = format!("e30.{}.c2lnbmF0dXJl", URL_SAFE_NO_PAD.encode(claims));
        let refusal = Fault::no_access("refused").cause(Cause::ClientRefused);
        let text = explained(refusal, &jwt, now).hints.join("\n");
        assert!(!text.contains("c2lnbmF0dXJl"));
        text
    }

    #[test]
    fn what_does_not_fit_is_told() {
        let good = r#""iss":"https://idp","sub":"Job","aud":"api://AzureADTokenExchange""#;
        let text = of(&format!(r#"{{{good},"exp":1799996400}}"#));
        assert!(
            text.contains("expired at 2027-01-15T07:00:00Z, 60 minutes ago"),
            "{text}"
        );
        assert!(
            text.contains("issuer `https://idp`, subject `Job`, audience `api://"),
            "{text}"
        );
        let text = of(&format!(r#"{{{good},"exp":1800003600,"nbf":1800000100}}"#));
        assert!(
            text.contains("valid from") && !text.contains("expired"),
            "{text}"
        );
        let text = of(r#"{"sub":"a\u001bb","aud":["x","y"],"exp":1800003600}"#);
        assert!(text.contains("its audience is `x, y`"), "{text}");
        assert!(
            text.contains("issuer none") && !text.contains('\u{1b}'),
            "{text}"
        );
        assert!(of("nonsense").contains("no readable claims"));
        let text = of(&format!(r#"{{{good},"exp":1800003600}}"#));
        assert_eq!(text.lines().count(), 1, "{text}");
    }

    #[test]
    fn another_refusal_is_left_alone() {
        let now = Timestamp::from_second(0).unwrap();
        let scope = Fault::no_access("refused");
        assert!(explained(scope, "a.b.c", now).hints.is_empty());
        assert!(
            explained(Fault::try_later("down"), "a.b.c", now)
                .hints
                .is_empty()
        );
    }
}

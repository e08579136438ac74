//! A string that never prints itself and is wiped when it is dropped.

use serde::{Deserialize, Deserializer};
use std::fmt;
use zeroize::Zeroizing;

/// A password, client secret, token, assertion or code.
///
/// There is no `Display`, and `Debug` hides the text, so that a secret reaches an output only
/// through a visible call of [`Secret::expose`].
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(Zeroizing::new(text.into()))
    }

    /// The text itself: only for the wire, the config file and `token get`.
    pub fn expose(&self) -> &str {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Secret, D::Error> {
        String::deserialize(de).map(Secret::new)
    }
}

/// A server's words without what they repeat of our secrets, whole or in part, as they are or
/// encoded for a form or a URL.
///
/// Of a part that is cut off at both ends, twelve characters betray it.
pub fn hide(text: &str, secrets: &[Secret]) -> String {
    const PART: usize = 12;
    let mut forms = Vec::new();
    for secret in secrets.iter().filter(|s| s.0.len() >= 4) {
        let form: String = url::form_urlencoded::byte_serialize(secret.0.as_bytes()).collect();
        // RFC 3986 has it otherwise in two places, and .NET writes small digits.
        let strict = form.replace('+', "%20").replace("%7E", "~");
        for encoded in [form, strict] {
            forms.push(Zeroizing::new(small_digits(&encoded)));
            forms.push(Zeroizing::new(encoded));
        }
        forms.push(secret.0.clone());
    }
    let mut text = text.to_owned();
    for form in &forms {
        text = text.replace(form.as_str(), HIDDEN);
    }
    let of_token = |c: char| c.is_ascii_alphanumeric() || "+/-._~%".contains(c);
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let word = &rest[..rest.find(|c| !of_token(c)).unwrap_or(rest.len())];
        let bare = word.trim_end_matches('.');
        match bare.len() >= PART && forms.iter().any(|form| form.contains(bare)) {
            true => out.push_str(HIDDEN),
            false => out.push_str(word),
        }
        rest = &rest[word.len()..];
        let gap = rest.find(of_token).unwrap_or(rest.len());
        out.push_str(&rest[..gap]);
        rest = &rest[gap..];
    }
    out
}

const HIDDEN: &str = "(secret)";

/// A percent-encoded text with the digits `a` to `f` in place of `A` to `F`.
fn small_digits(encoded: &str) -> String {
    let mut digits = 0_u8;
    let small = |c: char| {
        let is_digit = digits > 0;
        digits = match c {
            '%' => 2,
            _ => digits.saturating_sub(1),
        };
        match is_digit {
            true => c.to_ascii_lowercase(),
            false => c,
        }
    };
    encoded.chars().map(small).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echoed_secret_is_hidden_whole_or_cut() {
        let token = "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9";
        let hidden = |text: &str| hide(text, &[Secret::new(token), Secret::new("a b&c=d")]);
        assert_eq!(
            hidden(&format!("500 unknown: AUTH XOAUTH2 {token}.")),
            "500 unknown: AUTH XOAUTH2 (secret)."
        );
        assert_eq!(
            hidden(&format!("too long: {}", &token[..20])),
            "too long: (secret)"
        );
        assert_eq!(
            hidden("password=a+b%26c%3Dd or a b&c=d"),
            "password=(secret) or (secret)"
        );
        for encoded in ["a%20b%26c%3Dd", "a%20b%26c%3dd", "a+b%26c%3dd"] {
            assert_eq!(hidden(&format!("you sent {encoded}")), "you sent (secret)");
        }
        assert_eq!(hidden("535 5.7.3 n\u{f6}"), "535 5.7.3 n\u{f6}");
    }
}

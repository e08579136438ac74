//! The form of Entra's error texts: `error: AADSTSn: text`, then ids and a time for the
//! administrator who looks the sign-in up.

/// The words that begin the tail which is of no use to a reader.
const TAIL: [&str; 3] = ["Trace ID:", "Correlation ID:", "Timestamp:"];

/// The AADSTS codes in a text, in order.
pub fn codes(text: &str) -> Vec<u64> {
    text.match_indices("AADSTS")
        .filter_map(|(at, word)| {
            let rest = &text[at + word.len()..];
            let end = rest
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(rest.len());
            rest[..end].parse().ok()
        })
        .collect()
}

/// The codes in what a person typed: a number that is long enough for one, or `AADSTS…`.
pub fn typed(text: &str) -> impl Iterator<Item = u64> {
    let text = text.trim();
    let number = text.parse().ok().filter(|_| text.len() > 3);
    number.into_iter().chain(codes(&text.to_uppercase()))
}

/// The text without its tail, on one line.
pub fn short(text: &str) -> String {
    let end = match codes(text)[..] {
        [] => text.len(),
        _ => TAIL
            .iter()
            .filter_map(|word| text.find(word))
            .min()
            .unwrap_or(text.len()),
    };
    text[..end].split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Where more is to be read of the first code, and what the administrator finds the sign-in by.
pub fn more_at(text: &str) -> Option<String> {
    let code = *codes(text).first()?;
    let mut hint = format!("more at {}", page(code));
    let found: Vec<String> = [
        correlation_id(text).map(|id| format!("correlation id {id}")),
        after(text, "Timestamp:"),
    ]
    .into_iter()
    .flatten()
    .collect();
    if !found.is_empty() {
        hint.push_str(&format!(" ({})", found.join(", ")));
    }
    Some(hint)
}

/// By which an administrator finds the sign-in.
pub fn correlation_id(text: &str) -> Option<String> {
    after(text, "Correlation ID:")
}

/// Microsoft's page on a code.
pub fn page(code: u64) -> String {
    format!("https://login.microsoftonline.com/error?code={code}")
}

/// The value after a word of the tail: what an id or a time may hold, and nothing else.
fn after(text: &str, word: &str) -> Option<String> {
    let rest = text[text.find(word)? + word.len()..].trim_start_matches([' ', '\t']);
    let end = TAIL
        .iter()
        .filter_map(|word| rest.find(word))
        .min()
        .unwrap_or(rest.len());
    let value: String = rest[..end]
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || "-:. +".contains(*c))
        .take(40)
        .collect();
    let value = value.trim().to_owned();
    (!value.is_empty()).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SAID: &str = "invalid_client: AADSTS7000222: The provided client secret keys for app '1b7e' are expired.\r\nTrace ID: 11-22\r\nCorrelation ID: 83ddadd9-4d95-4f0e-8f6e-0a5a3f5f2f3b\r\nTimestamp: 2026-11-23 23:00:00Z";

    #[test]
    fn the_tail_becomes_a_hint() {
        assert_eq!(
            short(SAID),
            "invalid_client: AADSTS7000222: The provided client secret keys for app '1b7e' are expired."
        );
        assert_eq!(
            more_at(SAID).unwrap(),
            "more at https://login.microsoftonline.com/error?code=7000222 (correlation id 83ddadd9-4d95-4f0e-8f6e-0a5a3f5f2f3b, 2026-11-23 23:00:00Z)"
        );
    }

    #[test]
    fn the_newer_form_on_one_line() {
        let said = SAID.replace("\r\n", " ");
        assert_eq!(short(&said), short(SAID));
        assert_eq!(more_at(&said), more_at(SAID));
    }

    #[test]
    fn other_servers_words_stay_whole() {
        assert_eq!(
            short("535 5.7.3 no\r\n535 Timestamp: 7"),
            "535 5.7.3 no 535 Timestamp: 7"
        );
        assert_eq!(more_at("NO AUTHENTICATE failed."), None);
    }

    proptest! {
        #[test]
        fn never_panics(text in "(AADSTS|[0-9]|Trace ID:|Correlation ID:|é|\\PC)*") {
            let _ = (codes(&text), short(&text), more_at(&text));
        }
    }
}

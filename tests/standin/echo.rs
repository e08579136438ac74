//! The spellings in which servers, proxies and libraries repeat what they were sent.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// A secret in one line, in parts and encodings; short, since clients cut what they are told.
pub fn spelled(secret: &str) -> String {
    let chars: Vec<char> = secret.chars().collect();
    let part = |from: usize, to: usize| -> String {
        let to = to.min(chars.len());
        chars[from.min(to)..to].iter().collect()
    };
    let half = chars.len() / 2;
    let (middle, end) = (
        part(half, half + 16),
        part(chars.len().saturating_sub(16), chars.len()),
    );
    let html = |text: &str| -> String {
        let entity = |c: char| match c {
            c if c.is_ascii_alphanumeric() => c.to_string(),
            c => format!("&#{};", c as u32),
        };
        text.chars().map(entity).collect()
    };
    let json = |text: &str| -> String {
        let escape = |c: char| match c {
            c if c.is_ascii_alphanumeric() => c.to_string(),
            c => format!("\\u{:04x}", c as u32),
        };
        text.chars().map(escape).collect()
    };
    let wrapped = |text: &str, width: usize| -> String {
        let text = STANDARD.encode(text);
        let lines = text.as_bytes().chunks(width);
        let lines: Vec<_> = lines.map(String::from_utf8_lossy).collect();
        lines.join(" ")
    };
    let url: String = url::form_urlencoded::byte_serialize(middle.as_bytes()).collect();
    [
        format!("x{middle}y"),
        format!("_{end}_"),
        html(&middle),
        json(&middle),
        url.replace('%', "%25"),
        middle.to_uppercase(),
        wrapped(&format!("ab{middle}"), 10),
        URL_SAFE_NO_PAD.encode(format!("a{end}")),
    ]
    .join(" / ")
}

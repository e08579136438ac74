//! Percent-encoding (RFC 3986 §2.1), for URLs and header fields.

/// A text in which every octet that is not kept is written as `%XX`.
pub fn percent(text: &str, keeps: fn(u8) -> bool) -> String {
    text.bytes()
        .map(|octet| match keeps(octet) {
            true => char::from(octet).to_string(),
            false => format!("%{octet:02X}"),
        })
        .collect()
}

/// What means nothing in a URL (RFC 3986 §2.3), and `@`, which means nothing in a path.
pub fn is_unreserved(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"-._~@".contains(&octet)
}

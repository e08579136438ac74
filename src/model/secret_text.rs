//! From bytes to the text of a secret, bounded.

/// The longest secret, in bytes.
pub const MAX_SECRET: u64 = 64 << 10;

/// The text of a secret's bytes.
pub fn text_of(bytes: &[u8]) -> Result<&str, &'static str> {
    if bytes.len() as u64 > MAX_SECRET {
        return Err("is too long for a secret");
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "is not UTF-8")?;
    if text.contains('\0') {
        return Err("contains a zero byte");
    }
    // Some editors put an invisible mark at the head.
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// The text without the line end that most tools put after it.
pub fn without_line_end(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}

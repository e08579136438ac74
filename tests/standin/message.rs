//! The little that servers must know of a message: where its header ends, and its fields.

use std::ops::Range;

/// The header with the empty line that ends it.
pub fn header(bytes: &[u8]) -> &[u8] {
    let mut at = 0;
    while at < bytes.len() {
        let end = bytes[at..]
            .iter()
            .position(|byte| *byte == b'\n')
            .map_or(bytes.len(), |found| at + found + 1);
        if matches!(&bytes[at..end], b"\r\n" | b"\n") {
            return &bytes[..end];
        }
        at = end;
    }
    bytes
}

/// Each field of the header as it stands, folded lines included.
pub fn raw_fields(bytes: &[u8]) -> Vec<(String, Range<usize>)> {
    let header = header(bytes);
    let mut fields: Vec<(String, Range<usize>)> = Vec::new();
    let mut at = 0;
    for line in header.split_inclusive(|byte| *byte == b'\n') {
        let range = at..at + line.len();
        at = range.end;
        if line.trim_ascii().is_empty() {
            continue;
        }
        if line[0] == b' ' || line[0] == b'\t' {
            if let Some((_, last)) = fields.last_mut() {
                last.end = range.end;
            }
            continue;
        }
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
        fields.push((
            String::from_utf8_lossy(name.trim_ascii_end()).into_owned(),
            range,
        ));
    }
    fields
}

/// Names and unfolded values.
pub fn fields(bytes: &[u8]) -> Vec<(String, String)> {
    raw_fields(bytes)
        .into_iter()
        .map(|(name, range)| {
            let text = String::from_utf8_lossy(&bytes[range]).replace(['\r', '\n'], "");
            let value = text.split_once(':').map_or("", |(_, value)| value);
            (name, value.trim().to_string())
        })
        .collect()
}

/// The first field of that name.
pub fn field(bytes: &[u8], name: &str) -> Option<String> {
    fields(bytes)
        .into_iter()
        .find(|(own, _)| own.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

/// The bare address of a mailbox such as `"Support" <support@contoso.example>`.
pub fn bare_address(text: &str) -> &str {
    match text.rsplit_once('<') {
        Some((_, rest)) => rest.split('>').next().unwrap_or(rest),
        None => text,
    }
    .trim()
}

/// Replaces a field's value, or puts the field first when there is none.
pub fn with_field(bytes: &[u8], name: &str, value: &str) -> Vec<u8> {
    let line = format!("{name}: {value}\r\n");
    let found = raw_fields(bytes)
        .into_iter()
        .find(|(own, _)| own.eq_ignore_ascii_case(name));
    let range = found.map_or(0..0, |(_, range)| range);
    [&bytes[..range.start], line.as_bytes(), &bytes[range.end..]].concat()
}

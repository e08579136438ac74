//! The header fields of a message's head, read as they pass by: no field is too odd to be passed
//! over, none is changed.

/// The header fields of a head.
pub struct Fields<'a>(Vec<(&'a [u8], &'a [u8])>);

impl<'a> Fields<'a> {
    pub fn of(head: &'a [u8]) -> Fields<'a> {
        let mut fields = Vec::new();
        let mut start = 0;
        while start < head.len() {
            // A field ends at a line end that no white space follows (RFC 5322 §2.2.3).
            let mut end = start;
            loop {
                match head[end..].iter().position(|&b| b == b'\n') {
                    Some(p) => end += p + 1,
                    None => end = head.len(),
                }
                if end >= head.len() || !matches!(head[end], b' ' | b'\t') {
                    break;
                }
            }
            let field = &head[start..end];
            if let Some(colon) = field.iter().position(|&b| b == b':') {
                fields.push((&field[..colon], &field[colon + 1..]));
            }
            start = end;
        }
        Fields(fields)
    }

    /// The first field of this name, unfolded, with white space made single.
    pub fn get(&self, name: &str) -> Option<String> {
        let (_, value) = self
            .0
            .iter()
            .find(|(n, _)| n.trim_ascii().eq_ignore_ascii_case(name.as_bytes()))?;
        let text = String::from_utf8_lossy(value);
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        (!words.is_empty()).then(|| words.join(" "))
    }
}

//! A command line of the client, to its end: one that could be two lines to somebody else is refused.

use super::command::Refusal;

/// Octets of a command line; RFC 5321 §4.5.3.1.4 has 512, and extensions more.
const MAX_LINE: usize = 4096;

/// A line without its CRLF, and what follows it.
pub type Line<'i> = (&'i [u8], &'i [u8]);

/// The first line, if it is whole.
///
/// # Errors
/// The line is too long, or it could be two lines to somebody else.
pub fn line_of(input: &[u8]) -> Result<Option<Line<'_>>, Refusal> {
    let end = input.iter().position(|&o| matches!(o, b'\n' | 0));
    let line = &input[..end.unwrap_or(input.len())];
    // The last octet may be a CR to which an LF belongs, that has come or will come. What is found
    // first does not depend on how much has come.
    let known = &line[..line.len().min(MAX_LINE + 1)];
    if known.strip_suffix(b"\r").unwrap_or(known).contains(&b'\r') {
        return Err(foul("a bare CR"));
    }
    if line.len() > MAX_LINE {
        return Err(Refusal::new(500, "5.5.2", "the line is too long"));
    }
    match end {
        None => Ok(None),
        Some(at) if input[at] == 0 => Err(foul("a NUL")),
        Some(at) => match line.strip_suffix(b"\r") {
            Some(line) => Ok(Some((line, &input[at + 1..]))),
            None => Err(foul("a bare LF")),
        },
    }
}

fn foul(what: &str) -> Refusal {
    let text = format!("the line contains {what}; lines end in CRLF");
    Refusal::new(500, "5.5.2", text)
}

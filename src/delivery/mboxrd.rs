//! The mboxrd form of a message: a `From ` line before it, every line within that begins with
//! any number of `>` and `From ` quoted by one more `>`, an empty line after.

use jiff::Timestamp;
use std::io::{BufRead, Result, Write};

const FROM: &[u8] = b"From ";

/// Writes one message. Its lines may be as long as it is: they go through in pieces.
///
/// The `From ` line has the time of delivery in UTC, in the form of C's asctime (RFC 4155,
/// appendix A): mail programs sort by it.
pub fn write(
    out: &mut impl Write,
    mut message: impl BufRead,
    address: &str,
    at: Timestamp,
) -> Result<()> {
    writeln!(
        out,
        "From {address} {}",
        at.strftime("%a %b %e %H:%M:%S %Y")
    )?;
    // At the start of a line, after any `>`: how many octets of FROM were matched and held back.
    let mut held = Some(0);
    let mut last = b'\n';
    loop {
        let piece = message.fill_buf()?;
        let Some(&end) = piece.last() else { break };
        last = end;
        let length = piece.len();
        let mut rest = piece;
        while let Some((&octet, tail)) = rest.split_first() {
            match held {
                Some(0) if octet == b'>' => out.write_all(b">")?,
                Some(n) if octet == FROM[n] => {
                    held = Some(n + 1);
                    if n + 1 == FROM.len() {
                        out.write_all(b">From ")?;
                        held = None;
                    }
                }
                Some(n) => {
                    out.write_all(&FROM[..n])?;
                    held = None;
                    continue;
                }
                None => {
                    let line = rest.iter().position(|&b| b == b'\n').map(|p| p + 1);
                    let (now, later) = rest.split_at(line.unwrap_or(rest.len()));
                    out.write_all(now)?;
                    held = line.map(|_| 0);
                    rest = later;
                    continue;
                }
            }
            rest = tail;
        }
        message.consume(length);
    }
    out.write_all(&FROM[..held.unwrap_or(0)])?;
    out.write_all(if last == b'\n' { b"\n" } else { b"\n\n" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::BufReader;

    fn written(message: &[u8], buffer: usize) -> String {
        let mut out = Vec::new();
        let message = BufReader::with_capacity(buffer, message);
        write(&mut out, message, "a@b.c", Timestamp::UNIX_EPOCH).unwrap();
        let text = String::from_utf8(out).unwrap();
        let (head, body) = text.split_once('\n').unwrap();
        assert_eq!(head, "From a@b.c Thu Jan  1 00:00:00 1970");
        body.to_owned()
    }

    /// The rule, said plainly: line by line.
    fn expected(message: &str) -> String {
        let mut out = String::new();
        for line in message.split_inclusive('\n') {
            if line.trim_start_matches('>').starts_with("From ") {
                out.push('>');
            }
            out.push_str(line);
        }
        if !message.is_empty() && !message.ends_with('\n') {
            out.push('\n');
        }
        out + "\n"
    }

    #[test]
    fn from_lines_are_quoted_once_more() {
        let text = "From here\n>From there\n>>From \nFrom\n From x\nFrom";
        assert_eq!(
            written(text.as_bytes(), 8192),
            ">From here\n>>From there\n>>>From \nFrom\n From x\nFrom\n\n"
        );
    }

    proptest! {
        #[test]
        fn any_text_at_any_buffer_size(text in "(>|From |From|F|x|\n){0,40}", buffer in 1usize..20) {
            prop_assert_eq!(written(text.as_bytes(), buffer), expected(&text));
        }
    }
}

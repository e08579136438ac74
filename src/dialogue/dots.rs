//! A message as DATA has it (RFC 5321 §4.5.2): each dot at the start of a line is doubled, and a
//! lone dot ends it.

/// What was written so far of one message.
pub struct Dots {
    /// Its last two octets; a line's end before it begins.
    last: [u8; 2],
}

impl Dots {
    pub fn new() -> Dots {
        Dots { last: *b"\r\n" }
    }

    /// Adds the next piece of the message to `out`. Some servers take a bare line feed for a line's
    /// end, so a dot after one is doubled too: no message may end itself and go on as commands.
    pub fn write(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        for line in piece.split_inclusive(|&octet| octet == b'\n') {
            if self.last[1] == b'\n' && line.starts_with(b".") {
                out.push(b'.');
            }
            out.extend_from_slice(line);
            self.last = match *line {
                [.., before, last] => [before, last],
                [last] => [self.last[1], last],
                [] => self.last,
            };
        }
    }

    /// The end of the message: that of its last line, where it is missing, and the lone dot.
    pub fn end(self) -> &'static [u8] {
        match &self.last {
            b"\r\n" => b".\r\n",
            _ => b"\r\n.\r\n",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stuffed(message: &[u8], piece: usize) -> Vec<u8> {
        let mut out = Vec::new();
        let mut dots = Dots::new();
        for piece in message.chunks(piece) {
            dots.write(piece, &mut out);
        }
        out.extend_from_slice(dots.end());
        out
    }

    #[test]
    fn dots_at_line_starts_are_doubled() {
        assert_eq!(stuffed(b"", 3), b".\r\n");
        assert_eq!(stuffed(b".a\r\n..\r\n", 3), b"..a\r\n...\r\n.\r\n");
        assert_eq!(stuffed(b"a", 3), b"a\r\n.\r\n");
        assert_eq!(stuffed(b"a\n.\r\nQUIT\r\n", 64), b"a\n..\r\nQUIT\r\n.\r\n");
    }

    /// What a receiver does (RFC 5321 §4.5.2), written the other way round: line by line.
    fn received(data: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut start = 0;
        while start < data.len() {
            let end = data[start..]
                .windows(2)
                .position(|w| w == b"\r\n")
                .map_or(data.len(), |at| start + at + 2);
            let line = &data[start..end];
            if line == b".\r\n" {
                assert_eq!(end, data.len(), "the message ended early");
                return out;
            }
            out.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
            start = end;
        }
        panic!("the message did not end");
    }

    proptest! {
        #[test]
        fn a_message_of_lines_survives_the_receiver(
            lines in proptest::collection::vec("[.a]{0,4}", 0..9), piece in 1usize..30
        ) {
            let message: String = lines.iter().map(|l| format!("{l}\r\n")).collect();
            let data = stuffed(message.as_bytes(), piece);
            prop_assert_eq!(received(&data), message.as_bytes());
        }

        #[test]
        fn no_message_ends_itself(message in "(\\.|\r|\n|\r\n|a){0,40}", piece in 1usize..30) {
            let out = stuffed(message.as_bytes(), piece);
            let body = &out[..out.len() - 3];
            prop_assert!(!body.windows(3).any(|w| w == b"\n.\r" || w == b"\n.\n"), "{:?}", out);
            prop_assert!(!body.starts_with(b".\r") && !body.starts_with(b".\n"));
        }
    }
}

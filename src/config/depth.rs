//! How deep lists and mappings in one line (`[`, `{`) are nested: the YAML parser's time grows with
//! the square of that, so it is looked at before.

use super::locate::place_after;

/// As deep as nobody writes; the keys of the format need four.
const DEEPEST: usize = 64;

/// The line and column (from 1) of the first bracket that is too deep.
pub fn too_deep(text: &str) -> Option<(usize, usize)> {
    let mut scan = Scan {
        rest: text,
        depth: 0,
        starts: true,
    };
    while scan.depth <= DEEPEST {
        scan.step()?;
    }
    Some(place_after(&text[..text.len() - scan.rest.len() - 1]))
}

struct Scan<'t> {
    rest: &'t str,
    depth: usize,
    /// A value may begin here; within a word a quote or bracket is a character as any other.
    starts: bool,
}

impl Scan<'_> {
    /// Takes a sign, a quoted text or a comment; `None` at the end.
    fn step(&mut self) -> Option<()> {
        let sign = self.rest.chars().next()?;
        let after = &self.rest[sign.len_utf8()..];
        let ends = after.chars().next().is_none_or(char::is_whitespace);
        let in_flow = self.depth > 0;
        let mut length = sign.len_utf8();
        match sign {
            '\n' => self.starts = true,
            _ if sign.is_whitespace() => {
                if after.starts_with('#') {
                    length += line_end(after);
                }
            }
            '#' if self.starts => length = line_end(self.rest),
            '"' | '\'' if self.starts => {
                length += quoted(after, sign);
                self.starts = false;
            }
            '[' | '{' if self.starts || in_flow => {
                self.depth += 1;
                self.starts = true;
            }
            ']' | '}' if in_flow => {
                self.depth -= 1;
                self.starts = false;
            }
            ',' if in_flow => self.starts = true,
            ':' if ends || in_flow => self.starts = true,
            '-' | '?' if self.starts && ends => {}
            '&' | '!' | '*' if self.starts => {
                let of_name = |c: char| !c.is_whitespace() && !",[]{}".contains(c);
                length += after.find(|c| !of_name(c)).unwrap_or(after.len());
            }
            _ => self.starts = false,
        }
        self.rest = &self.rest[length..];
        Some(())
    }
}

fn line_end(text: &str) -> usize {
    text.find('\n').unwrap_or(text.len())
}

/// How long a text is that ends with this quote, the quote included.
pub fn quoted(text: &str, quote: char) -> usize {
    let mut signs = text.char_indices();
    while let Some((at, sign)) = signs.next() {
        let end = at + sign.len_utf8();
        let is_pair = match quote {
            '"' => sign == '\\',
            // Two single quotes are one.
            _ => sign == quote && text[end..].starts_with(quote),
        };
        match sign {
            _ if is_pair => drop(signs.next()),
            _ if sign == quote => return end,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_what_nests_is_counted() {
        let deep = |text: &str| too_deep(text).is_some();
        for open in ["[", "{a: ", "[&a ", "[{x: ", "[\n", "[ # [\n", "[!t "] {
            assert!(deep(&format!("a: {}", open.repeat(65))), "{open}");
            assert!(deep(&format!("- {}", open.repeat(65))), "{open}");
        }
        for text in [
            format!("a: {}1{}", "[".repeat(64), "]".repeat(64)),
            "- { name: x, folders: [A, B] }\n".repeat(1000),
            format!("secret: x{}", "[".repeat(100)),
            format!("secret: '{}'", "[".repeat(100)),
            format!("secret: \"\\\"{}\"", "{".repeat(100)),
            format!("a: [b, c] # {}", "[".repeat(100)),
            format!("a: ['it''s {}']", "[".repeat(100)),
            "a: [x']\n".repeat(100),
            "- name: it's [\n".repeat(100),
        ] {
            assert!(!deep(&text), "{text}");
        }
        assert_eq!(
            too_deep(&format!("a: 1\nb: {}", "[".repeat(99))),
            Some((2, 68))
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(\\PC|[\\[{\"' :\n#&-]){0,200}") {
            too_deep(&text);
        }
    }
}

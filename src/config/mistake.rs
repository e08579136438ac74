//! A mistake in the file, shown as a person needs it: what, where, the line with a caret, and
//! what was probably meant. What may be a secret is hidden.

use super::hidden::{lines, told, visible};
use crate::fault::Fault;
use crate::files::shown;
use crate::output::escape;
use std::path::Path;

/// How much of a long line is shown, in characters.
const WIDTH: usize = 96;

/// What is wrong at one place of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// A phrase that ends where " in FILE" fits.
    pub problem: String,
    /// Line and column from 1; `None` for the file as a whole.
    pub place: Option<(usize, usize)>,
    /// Stands beside the caret.
    pub note: String,
    pub hint: Option<String>,
    /// How many more mistakes were found.
    pub more: usize,
}

impl Mistake {
    /// The fault to print, with the excerpt of `text`.
    pub fn fault(&self, text: &str, path: &Path) -> Fault {
        let told = |words: &str| escape(&told(words, text));
        let mut what = format!("{} in {}", told(&self.problem), shown(path));
        match self.place {
            Some((line, column)) => {
                what.push_str(&format!(", line {line}, column {column}"));
                what.push_str(&excerpt(text, line, column, &told(&self.note)));
            }
            None if !self.note.is_empty() => what.push_str(&format!(": {}", told(&self.note))),
            None => {}
        }
        let mut fault = Fault::config(what).in_file(path, self.place);
        if let Some(hint) = &self.hint {
            fault = fault.hint(told(hint));
        }
        match self.more {
            0 => fault,
            1 => fault.hint("the file has 1 more problem"),
            n => fault.hint(format!("the file has {n} more problems")),
        }
    }
}

/// The line with its number, and a caret line below it.
fn excerpt(text: &str, line: usize, column: usize, note: &str) -> String {
    let lines = lines(text);
    let Some(&raw) = lines.get(line.wrapping_sub(1)) else {
        return if note.is_empty() {
            String::new()
        } else {
            format!("\n       | {note}")
        };
    };
    let shown = visible(text).get(line - 1).copied().unwrap_or_default();
    let masked = match raw[shown..].trim().is_empty() {
        true => raw.to_owned(),
        false if shown == 0 || raw[..shown].ends_with([' ', '\t', '-']) => {
            format!("{}{HIDDEN}", &raw[..shown])
        }
        false => format!("{} {HIDDEN}", &raw[..shown]),
    };
    let visible: Vec<char> = masked
        .chars()
        .map(|c| match c {
            '\t' => ' ',
            c if escape(c.encode_utf8(&mut [0; 4])).chars().count() > 1 => '\u{fffd}',
            c => c,
        })
        .collect();
    let mut width = token_width(raw, column);
    let mut column = column;
    // The caret does not tell the length of what is hidden.
    if masked != raw {
        let open = raw[..shown].chars().count();
        column = column.min(open + 2);
        width = width.min((open + 1).saturating_sub(column)).max(1);
    }
    let start = (column + width).saturating_sub(WIDTH).min(column - 1);
    let from = start.min(visible.len());
    let shown: String = visible[from..].iter().take(WIDTH).collect();
    let dots = if from > 0 { "…" } else { "" };
    let tail = if visible.len() > from + WIDTH {
        "…"
    } else {
        ""
    };
    let indent = " ".repeat(column - 1 - start + dots.chars().count());
    let caret = "^".repeat(width.min(WIDTH));
    let below = format!("{indent}{caret} {note}");
    format!(
        "\n{line:>6} | {dots}{}{tail}\n       | {}",
        shown.trim_end(),
        below.trim_end()
    )
}

/// How many characters the key or scalar at `column` has; at least one.
fn token_width(line: &str, column: usize) -> usize {
    let rest: Vec<char> = line.chars().skip(column - 1).collect();
    let end = match rest.first() {
        Some(&quote @ ('"' | '\'')) => rest[1..]
            .iter()
            .position(|&c| c == quote)
            .map_or(rest.len(), |n| n + 2),
        _ => (0..rest.len())
            .find(|&i| {
                let next = rest.get(i + 1).copied();
                match rest[i] {
                    ':' => next.is_none_or(char::is_whitespace),
                    ',' | '}' | ']' => true,
                    c => c.is_whitespace() && next.is_none_or(|n| n == '#' || n.is_whitespace()),
                }
            })
            .unwrap_or(rest.len()),
    };
    end.max(1)
}

const HIDDEN: &str = "(hidden)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_below_its_token() {
        let text = "user: 1\r\n    tenat: contoso\r\n";
        assert_eq!(
            excerpt(text, 2, 5, "did you mean `tenant`?"),
            "\n     2 |     tenat: (hidden)\n       |     ^^^^^ did you mean `tenant`?"
        );
    }

    #[test]
    fn a_long_line_is_cut_around_the_caret() {
        let text = format!(
            "{}via: 1, {}",
            "app: 1, ".repeat(75),
            "name: 2, ".repeat(100)
        );
        let shown = excerpt(&text, 1, 601, "");
        let mut lines = shown.lines().skip(1);
        let (line, caret) = (lines.next().unwrap(), lines.next().unwrap());
        let at = caret.chars().position(|c| c == '^').unwrap();
        let token: String = line.chars().skip(at).take(3).collect();
        assert_eq!(token, "via");
        assert!(line.chars().count() < 120, "{line}");
    }

    #[test]
    fn no_line_of_a_secret_is_shown() {
        for (text, line) in [
            ("secret: hunter2", 1),
            ("- { name: x, \"secret\" : hunter2, tenat: y }", 1),
            ("secret: |\n  hunter2\n", 2),
            ("  password:\n    hunter2\n", 2),
            ("secret: \"abc\n\n  hunter2: x\n", 3),
            ("secret: >-\n  a\n  b: 1\n  hunter2", 4),
            ("secret: 'a\nhunter2", 2),
            ("  secrt: hunter2", 1),
            ("{ Pasword : hunter2 }", 1),
            ("client_secret: hunter2", 1),
            ("  - secret 'hunter2'", 1),
        ] {
            let shown = excerpt(text, line, 1, "");
            assert!(!shown.contains("hunter2"), "{text}: {shown}");
            assert!(shown.contains(HIDDEN), "{text}: {shown}");
        }
        // What follows a secret on its own line is shown.
        assert!(excerpt("secret: x\nvia: grph", 2, 6, "").contains("grph"));
        // So is what only sounds like one.
        for line in ["server: grph", "sender: grph", "name: secret grph"] {
            assert!(excerpt(line, 1, 1, "").contains("grph"), "{line}");
        }
    }

    #[test]
    fn a_place_outside_the_text_harms_nothing() {
        assert_eq!(excerpt("a", 9, 1, ""), "");
        excerpt("", 1, 1, "");
        excerpt("a", 1, 500, "note");
    }
}

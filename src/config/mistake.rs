//! A mistake in the file, shown as a person needs it: what, where, the line with a caret, and
//! what was probably meant. A line that may hold a secret is masked.

use crate::fault::Fault;
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
        let mut what = format!("{} in {}", escape(&self.problem), shown(path));
        match self.place {
            Some((line, column)) => {
                what.push_str(&format!(", line {line}, column {column}"));
                what.push_str(&excerpt(text, line, column, &escape(&self.note)));
            }
            None if !self.note.is_empty() => what.push_str(&format!(": {}", escape(&self.note))),
            None => {}
        }
        let mut fault = Fault::config(what);
        if let Some(hint) = &self.hint {
            fault = fault.hint(hint);
        }
        match self.more {
            0 => fault,
            1 => fault.hint("the file holds 1 more mistake"),
            n => fault.hint(format!("the file holds {n} more mistakes")),
        }
    }
}

/// A path as people write it: below their home folder with `~`.
pub fn shown(path: &Path) -> String {
    let home = std::env::var_os("HOME").filter(|h| h.len() > 1);
    let text = match home.and_then(|h| path.strip_prefix(h).ok().map(Path::to_owned)) {
        Some(below) => format!("~/{}", below.display()),
        None => path.display().to_string(),
    };
    escape(&text)
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
    let masked = masked(&lines, line - 1);
    let visible: Vec<char> = masked
        .chars()
        .map(|c| match c {
            '\t' => ' ',
            c if escape(c.encode_utf8(&mut [0; 4])).chars().count() > 1 => '\u{fffd}',
            c => c,
        })
        .collect();
    // The caret does not tell the length of what is hidden.
    let hidden = masked.contains(HIDDEN) && !masked.starts_with(&before(raw, column + 1));
    let width = if hidden { 1 } else { token_width(raw, column) };
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

/// What stands before a column.
fn before(line: &str, column: usize) -> String {
    line.chars().take(column - 1).collect()
}

/// The lines as YAML breaks them: LF, CR LF and CR.
fn lines(text: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some(end) = rest.find(['\n', '\r']) {
        lines.push(&rest[..end]);
        let step = if rest[end..].starts_with("\r\n") {
            2
        } else {
            1
        };
        rest = &rest[end + step..];
    }
    lines.push(rest);
    lines
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

/// The line, without what may be a secret: everything behind a `secret:` or `password:` on it,
/// and the whole line where it may continue such a value from above.
fn masked(lines: &[&str], index: usize) -> String {
    let line = lines[index];
    if let Some(end) = secret_key_end(line) {
        return format!("{} {HIDDEN}", &line[..end]);
    }
    let indent = |l: &str| l.len() - l.trim_start().len();
    let mut depth = indent(line);
    let mut own = !has_key(line);
    for above in lines[..index].iter().rev() {
        if above.trim().is_empty() {
            continue;
        }
        // The nearest key above a line that has none, and every key that encloses the line.
        if indent(above) < depth || (own && has_key(above)) {
            if secret_key_end(above).is_some() {
                return format!("{}{HIDDEN}", &line[..indent(line)]);
            }
            depth = depth.min(indent(above));
            own &= !has_key(above);
        }
    }
    line.to_owned()
}

/// True if the line holds `key:`.
fn has_key(line: &str) -> bool {
    line.ends_with(':') || line.contains(": ") || line.contains(":\t")
}

/// The byte behind the first key of a secret and its colon. A misspelt key counts, and one that
/// lacks its colon where it begins the line: the value behind it is as secret.
fn secret_key_end(line: &str) -> Option<usize> {
    let of_key = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    let mut at = 0;
    while let Some(start) = line[at..].find(of_key).map(|n| at + n) {
        let length = line[start..].find(|c| !of_key(c));
        let end = length.map_or(line.len(), |n| start + n);
        if is_secret_key(&line[start..end]) {
            let rest = line[end..].trim_start_matches(['"', '\'']).trim_start();
            let behind = line.len() - rest.len();
            if rest.starts_with(':') {
                return Some(behind + 1);
            }
            let begins = line[..start].chars().all(|c| !c.is_alphanumeric());
            if begins && !rest.is_empty() && behind > end {
                return Some(end);
            }
        }
        at = end;
    }
    None
}

fn is_secret_key(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    let is_known = ["server", "servers", "sender", "secret_expires"].contains(&&*lower);
    let is_like = |key| strsim::jaro_winkler(&lower, key) > 0.85;
    !is_known
        && (["secr", "passw", "passphrase", "pwd"]
            .iter()
            .any(|part| lower.contains(part))
            || is_like("secret")
            || is_like("password"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_below_its_token() {
        let text = "a: 1\r\n    tenat: contoso\r\n";
        assert_eq!(
            excerpt(text, 2, 5, "did you mean `tenant`?"),
            "\n     2 |     tenat: contoso\n       |     ^^^^^ did you mean `tenant`?"
        );
    }

    #[test]
    fn a_long_line_is_cut_around_the_caret() {
        let text = format!("{}bad: 1, {}", "x: 1, ".repeat(100), "y: 2, ".repeat(100));
        let shown = excerpt(&text, 1, 601, "");
        let mut lines = shown.lines().skip(1);
        let (line, caret) = (lines.next().unwrap(), lines.next().unwrap());
        let at = caret.chars().position(|c| c == '^').unwrap();
        let token: String = line.chars().skip(at).take(3).collect();
        assert_eq!(token, "bad");
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
        for line in [
            "server: grph",
            "sender: grph",
            "secret_expires: grph",
            "name: secret grph",
        ] {
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

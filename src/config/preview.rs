//! What a change would do to the file, as a diff in which no secret shows.

use super::depth::quoted;
use crate::model::Config;
use crate::secret::{Mask, Secret};
use imara_diff::{Algorithm, BasicLineDiffPrinter, Diff, InternedInput, UnifiedDiffConfig};
use std::collections::HashSet;

/// Lines shown around a change.
const AROUND: u32 = 3;

/// The unified diff of two texts of the file and their models, under the file's name. The two
/// look alike where only a secret's value differs, but for the words `(set)` and `(new)`.
pub fn diff(name: &str, before: (&str, &Config), after: (&str, &Config)) -> String {
    let known: HashSet<String> = plain(before.1).collect();
    let hide = |(text, config): (&str, &Config)| {
        // Whatever the form in which it is written: what is a secret does not pass.
        Mask::new(plain(config).map(Secret::new)).hide(&masked(text, &known))
    };
    let (before, after) = (hide(before), hide(after));
    let input = InternedInput::new(before.as_str(), after.as_str());
    let mut diff = Diff::compute(Algorithm::Histogram, &input);
    diff.postprocess_lines(&input);
    let mut around = UnifiedDiffConfig::default();
    around.context_len(AROUND);
    let printer = BasicLineDiffPrinter(&input.interner);
    let changes = diff.unified_diff(&printer, around, &input).to_string();
    match changes.is_empty() {
        true => changes,
        false => format!("--- {name}\n+++ {name}\n{changes}"),
    }
}

fn plain(config: &Config) -> impl Iterator<Item = String> + '_ {
    config
        .plain_secrets()
        .into_iter()
        .map(|secret| secret.expose().to_owned())
}

/// The text with the value after each key of [`next_secret`] hidden, unless it is a mapping,
/// which says only where the secret is.
fn masked(text: &str, known: &HashSet<String>) -> String {
    let mut out = String::with_capacity(text.len());
    // The indentation of a key whose value goes on below it.
    let mut below: Option<usize> = None;
    for line in text.split_inclusive('\n') {
        let body = line.trim_end_matches(['\r', '\n']);
        let indent = body.len() - body.trim_start_matches([' ', '-']).len();
        if let Some(key) = below {
            if indent > key && !body.trim().is_empty() {
                out.push_str(&" ".repeat(indent));
                out.push_str("(set)");
                out.push_str(&line[body.len()..]);
                continue;
            }
            if !body.trim().is_empty() {
                below = None;
            }
        }
        let (shown, goes_on) = masked_line(body, known);
        if goes_on {
            below = Some(indent);
        }
        out.push_str(&shown);
        out.push_str(&line[body.len()..]);
    }
    out
}

/// One line masked, and true where the value goes on in the next ones.
fn masked_line(line: &str, known: &HashSet<String>) -> (String, bool) {
    let mut out = String::new();
    let mut rest = line;
    while let Some((head, value)) = next_secret(rest) {
        out.push_str(head);
        let value_start = value.trim_start();
        out.push_str(&value[..value.len() - value_start.len()]);
        let in_flow = out.contains('{');
        let end = scalar_end(value_start, in_flow);
        let scalar = &value_start[..end];
        rest = &value_start[end..];
        match scalar.chars().next() {
            None => return (out, true),
            // A mapping, or a comment, after which the value may follow below.
            Some('{') => out.push('{'),
            Some('#') => {
                out.push_str(scalar);
                return (out, true);
            }
            Some('|' | '>' | '&' | '*' | '!' | '[') => {
                out.push_str("(set)");
                return (out, true);
            }
            Some(_) => {
                let value: Option<String> = serde_yaml::from_str(scalar).ok();
                let old = value.is_some_and(|v| known.contains(&v));
                out.push_str(if old { "(set)" } else { "(new)" });
                // A quote that is closed in a later line.
                if end == value_start.len() && unclosed(scalar) {
                    return (out, true);
                }
            }
        }
    }
    out.push_str(rest);
    (out, false)
}

/// The text up to and with the colon of the next key that holds a secret, and what follows it.
fn next_secret(text: &str) -> Option<(&str, &str)> {
    [
        "secret",
        "certificate_passphrase",
        "password",
        "authorization",
    ]
    .iter()
    .filter_map(|key| {
        text.match_indices(key).find_map(|(at, _)| {
            let before = text[..at].chars().next_back();
            let after = text[at + key.len()..]
                .trim_start_matches(['"', '\''])
                .trim_start_matches([' ', '\t']);
            let begins = before.is_none_or(|c| " \t{,-\"'?".contains(c));
            let colon = text.len() - after.len() + 1;
            (begins && after.starts_with(':')).then_some(colon)
        })
    })
    .min()
    .map(|colon| text.split_at(colon))
}

/// Where a scalar at the start of the text ends.
fn scalar_end(text: &str, in_flow: bool) -> usize {
    match text.chars().next() {
        Some(quote @ ('"' | '\'')) => 1 + quoted(&text[1..], quote),
        Some('{') => 1,
        _ if in_flow => text.find([',', '}']).unwrap_or(text.len()),
        _ => text.len(),
    }
}

fn unclosed(scalar: &str) -> bool {
    let quote = scalar.chars().next();
    matches!(quote, Some('"' | '\'')) && (scalar.len() < 2 || scalar.chars().next_back() != quote)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mask(text: &str) -> String {
        masked(text, &HashSet::from(["old".to_owned()]))
    }

    #[test]
    fn secrets_are_hidden_in_every_form() {
        for (text, expected) in [
            ("secret: old", "secret: (set)"),
            ("  secret: hunter2\n", "  secret: (new)\n"),
            ("secret: \"hun\\\"ter2\" # x", "secret: (new) # x"),
            ("secret: 'hun''ter2'", "secret: (new)"),
            (
                "secret: |\n  hunter2\nscope: x",
                "secret: (set)\n  (set)\nscope: x",
            ),
            ("secret:\n  hunter2\nscope: x", "secret:\n  (set)\nscope: x"),
            (
                "secret: \"hun\n  ter2\"\nscope: x",
                "secret: (new)\n  (set)\nscope: x",
            ),
            (
                "{ name: x, secret: hunter2, scope: y }",
                "{ name: x, secret: (new), scope: y }",
            ),
            ("\"secret\": hunter2", "\"secret\": (new)"),
            ("secret: { file: a.secret }", "secret: { file: a.secret }"),
            ("secret: &x hunter2", "secret: (set)"),
            ("secret\t: hunter2", "secret\t: (new)"),
            ("- password: hunter2", "- password: (new)"),
            ("secret_expires: 2027-01-01", "secret_expires: 2027-01-01"),
        ] {
            assert_eq!(mask(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "([ -]{0,4}(secret|password)\"?:? ?[\"'{}|&#,a-zé\\\\\n]{0,12}){0,4}") {
            mask(&text);
        }
    }
}

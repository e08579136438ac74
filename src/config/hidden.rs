//! Which part of each line of the file may be shown where the file has a mistake.
//!
//! A file with a mistake cannot be trusted to mean what it seems to: the key of a secret may be
//! misspelt, its colon may be missing, a quote may be open since far above. So a value is shown
//! only where the keys before it on its line, and those that enclose the line, are known and of
//! no secret.

use crate::model::{Config, SecretSource, Value, nearest};
use crate::secret::{Mask, Secret};
use std::collections::HashSet;
use std::iter;
use std::sync::LazyLock;

/// Keys whose values are no secrets, in whose place one is easily put by mistake.
const BESIDE_SECRETS: [&str; 2] = ["private_key", "secret_expires"];

/// What else may stand before a colon, or alone.
const SIGNS: [&str; 3] = ["<<", "---", "..."];

/// True for a key whose value may be shown: wherever the model has it, no secret can be there.
fn is_plain(word: &str) -> bool {
    static PLAIN: LazyLock<HashSet<&str>> = LazyLock::new(|| {
        let mut keys = Vec::new();
        Config::keys(&mut keys);
        let hidden = keys.iter().filter(|(_, is_open)| !is_open);
        let hidden = hidden.map(|(key, _)| *key).chain(BESIDE_SECRETS);
        let hidden: HashSet<&str> = hidden.chain(sources()).collect();
        let all = keys.iter().map(|(key, _)| *key).chain(SIGNS);
        all.filter(|key| !hidden.contains(key)).collect()
    });
    PLAIN.contains(word)
}

/// The keys of a mapping that says where a secret is.
fn sources() -> impl Iterator<Item = &'static str> {
    SecretSource::KINDS.iter().copied().chain(["env_file"])
}

/// The longest word that is taken for a key, in characters.
const LONGEST_KEY: usize = 40;
/// A text of letters that is longer is not a word of the program, in octets.
const LONGEST_WORD: usize = 12;

/// What the key of a line says about the value.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Key {
    /// It may not be shown.
    Hides,
    /// It is a list of texts that may be shown.
    Lists,
    Plain,
}

/// The lines as YAML breaks them: LF, CR LF and CR.
pub fn lines(text: &str) -> Vec<&str> {
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

/// How many octets of each line may be shown.
pub fn visible(text: &str) -> Vec<usize> {
    // The keys that enclose a line, with the column in which each stands.
    let mut above: Vec<(usize, Key)> = Vec::new();
    let of_line = |line: &str| {
        let content = line.trim_start_matches([' ', '\t', '-', '?']);
        let column = line.len() - content.len();
        if content.is_empty() {
            return line.len();
        }
        above.retain(|(of_key, _)| *of_key < column);
        if above.iter().any(|(_, key)| *key == Key::Hides) {
            return column;
        }
        let (shown, key) = of_content(content);
        match (key, above.last()) {
            (Some(key), _) => above.push((column, key)),
            (None, Some((_, Key::Lists))) if is_item(line) => return line.len(),
            (None, _) => {}
        }
        column + shown
    };
    lines(text).into_iter().map(of_line).collect()
}

/// The words of an error without what the file hides: a text that was swallowed by an open quote
/// may be told in them. What is told stands in backquotes; a short hidden word may by chance be one
/// of the program.
pub fn told(words: &str, text: &str) -> String {
    let of_words = Mask::new([Secret::new(words)]);
    let lines = lines(text).into_iter().zip(visible(text));
    let hidden = lines.map(|(line, shown)| line[shown..].trim_matches(is_frame));
    let parts = hidden.flat_map(|hidden| iter::once(hidden).chain(hidden.split(is_frame)));
    let is_known = |part: &str| is_plain(part) || nearest(part, sources()).is_some();
    let repeated = parts.filter(|part| {
        !part.is_empty() && (words.contains(part) || of_words.finds(part)) && !is_known(part)
    });
    let (words_too, others): (Vec<&str>, Vec<&str>) = repeated
        .partition(|part| part.len() < LONGEST_WORD && part.chars().all(char::is_alphabetic));
    let mask = |parts: &[&str]| Mask::new(parts.iter().copied().map(Secret::new));
    let (mask_told, mask_all) = (mask(&words_too), mask(&others));
    let pieces = mask_all.hide(words);
    let pieces = pieces.split('`').enumerate().map(|(n, piece)| match n % 2 {
        0 => piece.to_owned(),
        _ => mask_told.hide(piece),
    });
    pieces.collect::<Vec<_>>().join("`")
}

/// True for what stands around a value.
fn is_frame(c: char) -> bool {
    c.is_whitespace() || "\"'{}[],:=\u{201c}\u{201d}\u{2018}\u{2019}".contains(c)
}

fn is_item(line: &str) -> bool {
    line.trim_start().starts_with("- ")
}

/// How many octets of a line's content may be shown, and its key, if it has one.
fn of_content(content: &str) -> (usize, Option<Key>) {
    let Some((at, separator)) = content.char_indices().find(|(_, c)| is_separator(*c)) else {
        let word = content.split_whitespace().next().unwrap_or_default();
        let only = content.trim_matches(is_frame);
        return match () {
            () if only.is_empty() || is_plain(only) => (content.len(), None),
            // Without its colon.
            () if is_secret(word) => (word.len(), Some(Key::Hides)),
            () => (0, None),
        };
    };
    let key = content[..at].trim_matches(|c| is_frame(c) || c == '&' || c == '!');
    let end = at + separator.len_utf8();
    if is_plain(key) {
        let shown = of_value(&content[end..]);
        let of_value = match key {
            "folders" | "from" | "subject" => Key::Lists,
            _ => Key::Plain,
        };
        return (end + shown, Some(of_value));
    }
    let word = content.split_whitespace().next().unwrap_or_default();
    // In `ab=cd` and `ab:cd` both may be of a secret; what YAML takes for a key ends in a space.
    let ends = content[end..]
        .chars()
        .next()
        .is_none_or(char::is_whitespace);
    let is_meant = separator != '=' && ends || is_secret(key);
    let shown = match () {
        () if is_key(key) && is_meant => end,
        () if is_secret(word) && is_key(word) => word.len(),
        () => 0,
    };
    (shown, Some(Key::Hides))
}

/// How many octets of the value of a known key may be shown: it may be a mapping in one line.
fn of_value(value: &str) -> usize {
    for (at, separator) in value.char_indices().filter(|(_, c)| is_separator(*c)) {
        let before = value[..at].trim_end_matches([' ', '\t']);
        let word = before.trim_end_matches(['"', '\'']);
        let is_quoted = word.len() < before.len();
        let word = word.rsplit(is_frame).next().unwrap_or_default();
        let next = value[at + separator.len_utf8()..].chars().next();
        let is_value = separator == ':' && !is_quoted && next.is_some_and(|c| !c.is_whitespace());
        let is_plain = is_plain(word) || word.is_empty();
        if is_secret(word) || !is_value && !is_plain {
            return at + separator.len_utf8();
        }
    }
    value.len()
}

fn is_separator(c: char) -> bool {
    matches!(c, ':' | '=' | '\u{ff1a}' | '\u{ff1d}')
}

/// True for a word that somebody may have meant as a key.
pub fn is_key(word: &str) -> bool {
    let of_key = |c: char| c.is_alphanumeric() || "_-.\u{201c}\u{201d}\u{2018}\u{2019}".contains(c);
    word.chars().count() <= LONGEST_KEY && word.chars().all(of_key)
}

/// True for a word that is like the key of a secret.
fn is_secret(word: &str) -> bool {
    let lower = word.to_lowercase();
    let is_like = |key| strsim::jaro_winkler(&lower, key) > 0.85;
    !is_plain(&lower)
        && (["secr", "passw", "passphrase", "pwd", "token", "authoriz"]
            .iter()
            .any(|part| lower.contains(part))
            || is_like("secret")
            || is_like("password"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load::tests::all_keys;
    use proptest::prelude::*;

    fn shown(text: &str) -> Vec<&str> {
        let lines = lines(text).into_iter().zip(visible(text));
        lines.map(|(line, shown)| &line[..shown]).collect()
    }

    #[test]
    fn a_curly_quote_within_a_value_is_read() {
        for line in ["name: a \u{2019}b: c", "name: 4\u{2019}*:@"] {
            assert!(line.starts_with(shown(line)[0]), "{line}");
        }
    }

    #[test]
    fn every_key_is_plain_or_of_a_secret() {
        let all = all_keys().into_iter().flat_map(|(_, keys)| keys);
        let all: Vec<String> = all.collect();
        let hidden = |key: &&String| !is_plain(key);
        let hidden: std::collections::BTreeSet<&String> = all.iter().filter(hidden).collect();
        let expected = [
            "authorization",
            "certificate_passphrase",
            "command",
            "federated_token",
            "heartbeat",
            "key",
            "password",
            "postgres",
            "private_key",
            "secret",
            "secret_expires",
        ];
        assert!(
            hidden.iter().map(|key| key.as_str()).eq(expected),
            "{hidden:?}"
        );
    }

    #[test]
    fn a_value_is_shown_where_every_key_is_known() {
        for line in [
            "version: 1",
            "  - name: secret of nobody",
            "    address: https://login.example:8443/tenant",
            "  deliver: maildir:/var/mail/a",
            "{ name: x, \"via\": imap }",
            "incoming_servers",
            "---",
            "queues: []",
        ] {
            assert_eq!(shown(line), [line]);
        }
        assert_eq!(shown("folders:\n  - INBOX")[1], "  - INBOX");
        assert_eq!(shown("folders: [A, B]"), ["folders: [A, B]"]);
    }

    #[test]
    fn no_slip_of_form_shows_a_secret() {
        for text in [
            "secret=VALUE",
            "secret:VALUE",
            "secret VALUE",
            "secret  \"VALUE=x: y\"",
            "s\u{e9}cret: VALUE",
            "s\u{e9}cret VALUE",
            "\u{201c}secret\u{201d}: VALUE",
            "secret: \u{201c}VALUE\u{201d}",
            "secret\u{ff1a} VALUE",
            "token: VALUE",
            "key: VALUE",
            "api_key=VALUE",
            "secret: {command: VALUE}",
            "secret:\n  command: VALUE",
            "secret:\n- VALUE",
            "secret:\n  - x: VALUE",
            "secret: |\n  name: VALUE",
            "name: \"x\n  secret: VALUE\n  via: \"imap\"",
            "{ name: x, secret:VALUE }",
            "{ name: x, secret=VALUE }",
            "name: x, token = VALUE",
            "tenant: contoso secret:VALUE",
            "VALUE",
            "  VALUE=",
            "'VALUE VALUE': x",
            "? secret\n: VALUE",
            "# old: VALUE",
            "secret_expires: VALUE",
            "{ url: https://x.example, authorization: VALUE }",
            "secret: [VALUE, VALUE]",
            "federated_token: VALUE",
            "private_key: VALUE",
        ] {
            let shown = shown(text).join("\n");
            assert!(!shown.contains("VALUE"), "{text}\n{shown}");
            let told = told("this is `x VALUE y`", text);
            assert!(!told.contains("VALUE"), "{text}\n{told}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "([ \\-?]{0,4}(secret|name|passwort|\\PC{0,9})[:=： ]{0,2}[\"'\u{2019}{}\\[\\],é\\\\a \n\r]{0,9}){0,5}") {
            for (line, shown) in lines(&text).into_iter().zip(visible(&text)) {
                prop_assert!(line.is_char_boundary(shown));
            }
            told(&text, &text);
        }
    }
}

//! A shell's quotes: what a name must look like so that it stays one word of a command.

use crate::output::escape;
use std::path::Path;

/// A name or path as a shell takes it for one word: as it is where nothing in it means anything,
/// else in single quotes. Control characters, which could fake a line of the program, become
/// escapes.
pub fn quote(value: impl AsRef<Path>) -> String {
    let text = escape(&value.as_ref().display().to_string());
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@%,:=".contains(c);
    // An equals sign that begins a word means something to zsh.
    if !text.is_empty() && !text.starts_with('=') && text.chars().all(plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A value as a shell completes a word with it, which may be typed on: behind an open quote, or
/// with backslashes.
pub fn typed(value: &str, open: Option<char>) -> String {
    if open == Some('\'') {
        return value.replace('\'', r"'\''");
    }
    let means_something = |c: char| match open {
        Some(_) => "\"\\$`!".contains(c),
        None => c.is_ascii() && !c.is_ascii_alphanumeric() && !"@._-+/:,=%".contains(c),
    };
    let mut word = String::new();
    for c in value.chars() {
        if means_something(c) {
            word.push('\\');
        }
        word.push(c);
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::process::Command;

    /// What a shell makes of a word.
    fn read(word: &str) -> String {
        let script = format!("printf %s {word}");
        let out = Command::new("sh").args(["-c", &script]).output().unwrap();
        assert!(out.status.success(), "{word}: {out:?}");
        String::from_utf8(out.stdout).unwrap()
    }

    #[test]
    fn names_stay_names() {
        for (value, expected) in [
            ("support@contoso.com", "support@contoso.com"),
            ("/var/lib/queuemail", "/var/lib/queuemail"),
            ("Bob's", r"'Bob'\''s'"),
            ("Contoso out", "'Contoso out'"),
            ("=ls", "'=ls'"),
            ("~", "'~'"),
            ("a\nhint: b", r"'a\nhint: b'"),
            ("", "''"),
        ] {
            assert_eq!(quote(value), expected);
        }
    }

    #[test]
    fn a_shell_reads_the_value_again() {
        for value in [
            "Bob's", "$(id)", "a`b", "\"x\\y\"", "*?[", "a;b&c|d", "#x", "é ü",
        ] {
            assert_eq!(read(&quote(value)), value);
            assert_eq!(read(&typed(value, None)), value);
            assert_eq!(read(&format!("'{}'", typed(value, Some('\'')))), value);
            assert_eq!(read(&format!("\"{}\"", typed(value, Some('"')))), value);
        }
    }

    proptest! {
        #[test]
        fn quotes_are_closed_only_at_the_end(value in "[a'\"$`;@ \\\\-]*") {
            let words = shell_words::split(&quote(&value)).unwrap();
            prop_assert_eq!(words, vec![value]);
        }
    }
}

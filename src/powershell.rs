//! PowerShell's quotes: what a name must look like so that it stays a name in a command.

/// A value as PowerShell takes it for one word: as it is where nothing in it means anything,
/// else in single quotes, in which only a single quote means something, and is doubled. The
/// typographic quotes are quotes to PowerShell too. Control characters are left out: no name
/// that they occur in is one that a configuration could hold.
pub fn quoted(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let begins = |c: char| c.is_ascii_alphanumeric();
    // An `@` begins nothing in the middle of a word.
    if value.starts_with(begins) && value.chars().all(|c| plain(c) || c == '@') {
        return value.to_owned();
    }
    always_quoted(value)
}

/// A value in single quotes.
pub fn always_quoted(value: &str) -> String {
    let mut text = String::from("'");
    for c in value.chars().filter(|c| !c.is_control()) {
        text.push(c);
        if matches!(c, '\'' | '\u{2018}' | '\u{2019}' | '\u{201a}' | '\u{201b}') {
            text.push(c);
        }
    }
    text.push('\'');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_stay_names() {
        for (value, expected) in [
            ("support@contoso.com", "support@contoso.com"),
            ("1b7e1c4e-8a53", "1b7e1c4e-8a53"),
            ("o'brien@contoso.com", "'o''brien@contoso.com'"),
            ("$env:X", "'$env:X'"),
            ("@x", "'@x'"),
            ("-WhatIf", "'-WhatIf'"),
            ("a\u{2019}; rm", "'a\u{2019}\u{2019}; rm'"),
            ("a\nb", "'ab'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(value), expected);
        }
    }

    proptest! {
        /// What PowerShell reads between the quotes is the value again.
        #[test]
        fn quotes_are_closed_only_at_the_end(value in "[a'\u{2018}\u{2019}\u{201b}\"$`;@ -]*") {
            let text = always_quoted(&value);
            let inner: Vec<char> = text[1..text.len() - 1].chars().collect();
            let mut read = String::new();
            let mut at = 0;
            while at < inner.len() {
                let c = inner[at];
                if matches!(c, '\'' | '\u{2018}' | '\u{2019}' | '\u{201a}' | '\u{201b}') {
                    prop_assert_eq!(inner.get(at + 1), Some(&c));
                    at += 1;
                }
                read.push(c);
                at += 1;
            }
            prop_assert_eq!(read, value);
        }
    }
}

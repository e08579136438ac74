//! A command that is written as one text: split into words as a shell does, and run without one.
//!
//! Whoever writes `tee log | handler` means a shell. Without one, `|` and all that follows would be
//! arguments of `tee`: it would end well, and the handler would never have run. So whatever a shell
//! would do more than split is refused.

/// The words of a command, the program first.
///
/// # Errors
/// A phrase: a quote is not closed, no program is named, or it needs a shell. It holds nothing of
/// the text, which may be a secret in the wrong place.
pub fn words(text: &str) -> Result<Vec<String>, String> {
    let words = shell_words::split(text).map_err(|_| "a quote is not closed")?;
    if words.first().is_none_or(String::is_empty) {
        return Err("it names no program".to_owned());
    }
    match for_a_shell(text.trim()) {
        Some(found) => Err(format!(
            "{found} needs a shell, and queuemail runs none: put the command into sh -c '…', or quote the argument with single quotes"
        )),
        None => Ok(words),
    }
}

/// The first thing outside of quotes that a shell would act on.
fn for_a_shell(text: &str) -> Option<String> {
    let mut rest = text.chars().peekable();
    let mut quote = None;
    while let Some(c) = rest.next() {
        match (quote, c) {
            (Some('"') | None, '\\') => drop(rest.next()),
            (Some(open), _) if c == open => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '\n') => return Some("a second line".to_owned()),
            (None, '|' | '&' | ';' | '<' | '>' | '`') => {
                let twice = rest.next_if_eq(&c).map(String::from).unwrap_or_default();
                return Some(match c {
                    '`' => "a backquote".to_owned(),
                    _ => format!("`{c}{twice}`"),
                });
            }
            (None, '$')
                if rest
                    .next_if(|&c| c.is_alphabetic() || "_({".contains(c))
                    .is_some() =>
            {
                return Some("`$`".to_owned());
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_a_shell_is_refused_and_what_is_quoted_is_not() {
        for (text, found) in [
            ("tee log | handler", "`|`"),
            ("true&&handler", "`&&`"),
            ("a || b", "`||`"),
            ("a; b", "`;`"),
            ("a >> log 2>&1", "`>>`"),
            ("a < log", "`<`"),
            ("a &", "`&`"),
            ("a `b`", "a backquote"),
            ("a $(b)", "`$`"),
            ("a $QUEUEMAIL_QUEUE", "`$`"),
            ("a \"it's\" > b", "`>`"),
            ("tee log\nhandler", "a second line"),
        ] {
            let refusal = words(text).unwrap_err();
            assert!(
                refusal.starts_with(&format!("{found} needs a shell")),
                "{refusal}"
            );
        }
        for text in [
            "sh -c 'a | b && c > \"$d\" `e` $(f)'",
            "sh -c \"a | b > $HOME/x\"",
            "find {} -exec a \\; ",
            "a costs 5$ \\| '$x'\n",
            "a \\\n b",
        ] {
            words(text).unwrap();
        }
    }

    #[test]
    fn words_are_those_of_a_shell() {
        for (text, expected) in [
            ("pass show contoso", &["pass", "show", "contoso"][..]),
            (
                r#"a 'b c' "d \" e" f\ g ''"#,
                &["a", "b c", "d \" e", "f g", ""],
            ),
            (r#"  x"y"'z'  "#, &["xyz"]),
            (r"a '$HOME' \` \;", &["a", "$HOME", "`", ";"]),
        ] {
            assert_eq!(words(text).unwrap(), expected, "{text}");
        }
        for text in ["", "  ", "'a", "\"a", "'' a"] {
            assert!(words(text).is_err(), "{text}");
        }
    }
}

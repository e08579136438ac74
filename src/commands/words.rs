//! A command line split into words as a shell splits it; nothing is expanded and no shell runs.

/// The words of `text`, at least one. Error: a phrase for the person who wrote it.
pub fn split(text: &str) -> Result<Vec<String>, String> {
    match shell_words::split(text) {
        Ok(words) if words.is_empty() => Err("it names no program".to_owned()),
        Ok(words) => Ok(words),
        Err(_) => Err("a quote in it is never closed".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn words_are_those_of_a_shell() {
        for (text, words) in [
            ("pass show contoso", &["pass", "show", "contoso"][..]),
            (
                r#"a 'b c' "d \" e" f\ g ''"#,
                &["a", "b c", "d \" e", "f g", ""],
            ),
            (r#"  x"y"'z'  "#, &["xyz"]),
            ("$HOME `id` ; |", &["$HOME", "`id`", ";", "|"]),
        ] {
            assert_eq!(split(text).unwrap(), words, "{text}");
        }
        for text in ["", "  ", "'a", "\"a"] {
            assert!(split(text).is_err(), "{text}");
        }
    }
}

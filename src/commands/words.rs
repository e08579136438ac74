//! A command line split into words as a shell splits it; nothing is expanded and no shell runs.

/// The words of `text`. Error: a phrase for the person who wrote it.
pub fn split(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\n' => words.extend(word.take()),
            '\'' => {
                let open = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        Some('\'') => break,
                        Some(c) => open.push(c),
                        None => return Err("a `'` is never closed".to_owned()),
                    }
                }
            }
            '"' => {
                let open = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        Some('"') => break,
                        Some('\\') => match chars.next() {
                            Some(c @ ('"' | '\\' | '$' | '`')) => open.push(c),
                            Some(c) => open.extend(['\\', c]),
                            None => return Err("a `\"` is never closed".to_owned()),
                        },
                        Some(c) => open.push(c),
                        None => return Err("a `\"` is never closed".to_owned()),
                    }
                }
            }
            '\\' => match chars.next() {
                Some(c) => word.get_or_insert_default().push(c),
                None => return Err("nothing follows the last `\\`".to_owned()),
            },
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    if words.is_empty() {
        return Err("it names no program".to_owned());
    }
    Ok(words)
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
        for text in ["", "  ", "'a", "\"a", "a\\", "\"a\\"] {
            assert!(split(text).is_err(), "{text}");
        }
    }
}

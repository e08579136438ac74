//! Bash's command line: its words, and how the last of them is replaced.

use crate::shell;

/// How bash replaces the unfinished word: it cuts words at `@`, `:` and `=` too, so that often
/// only the end of one can be completed.
#[derive(Default)]
pub struct Replaced {
    /// What of the word stays as it was typed.
    kept: String,
    /// The quote that is open.
    open: Option<char>,
}

impl Replaced {
    pub fn by(&self, value: &str) -> String {
        let word = shell::typed(value, self.open);
        match word.strip_prefix(&self.kept) {
            Some(rest) => rest.to_owned(),
            None => word,
        }
    }
}

/// The words of bash's line up to the cursor, and how its last word is replaced. `typed` is the
/// line, and what bash holds to be the word.
pub fn words(typed: &[String]) -> (Vec<String>, Replaced) {
    let line = typed.first().map_or("", String::as_str);
    let own = typed.get(1).map_or("", String::as_str);
    let mut words = Vec::new();
    let (mut word, mut raw, mut quote) = (String::new(), String::new(), None);
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            (' ' | '\t', None) => {
                if !raw.is_empty() {
                    words.push(std::mem::take(&mut word));
                    raw.clear();
                }
                continue;
            }
            ('\'' | '"', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            ('\\', None | Some('"')) => {
                raw.push(c);
                if let Some(next) = chars.next() {
                    raw.push(next);
                    word.push(next);
                }
                continue;
            }
            _ => word.push(c),
        }
        raw.push(c);
    }
    words.push(word);
    let kept = match quote {
        Some(_) => "",
        None => raw.strip_suffix(own).unwrap_or_default(),
    };
    let replaced = Replaced {
        kept: kept.to_owned(),
        open: quote,
    };
    (words, replaced)
}

#[cfg(test)]
mod tests {
    use super::words;

    fn check(line: &str, own: &str, value: &str, inserted: &str) {
        let (words, replaced) = words(&[line.to_owned(), own.to_owned()]);
        assert!(
            value.starts_with(words.last().unwrap().as_str()),
            "{words:?}"
        );
        assert_eq!(replaced.by(value), inserted, "{line}");
    }

    #[test]
    fn bash_gets_what_replaces_its_own_word() {
        check("queuemail fetch ", "", "support", "support");
        check("queuemail fetch su", "su", "support", "support");
        check(
            "queuemail fetch a@con",
            "con",
            "a@contoso.com",
            "contoso.com",
        );
        check("queuemail fetch a@", "", "a@contoso.com", "contoso.com");
        check(
            "queuemail server show Con",
            "Con",
            "Contoso out",
            r"Contoso\ out",
        );
        check(
            r"queuemail server show Contoso\ o",
            r"Contoso\ o",
            "Contoso out",
            r"Contoso\ out",
        );
        check(
            "queuemail server show 'Contoso o",
            "Contoso o",
            "Contoso out",
            "Contoso out",
        );
        check("queuemail server show 'Bo", "Bo", "Bob's", r"Bob'\''s");
        check("queuemail server show \"a$", "a$", "a$b`", r"a\$b\`");
        check(
            "queuemail x --auth=oau",
            "oau",
            "--auth=oauth-user",
            "oauth-user",
        );
    }
}

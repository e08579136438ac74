//! Address lists (RFC 5322 §3.4, with the obsolete forms of §4.4) down to the bare addresses.
//!
//! Strict where a lenient reader would lose a recipient in silence: what is not understood is
//! an error that shows it. Display names are not decoded, for nobody needs them here.
//!
//! lettre checks and writes single addresses. Its reader of lists knows no groups, which messages
//! have, so lists are read here.

use lettre::Address;
use std::iter::Peekable;
use std::str::Chars;

/// True for a full address that is safe within a command or a header field: no control
/// character, and outside quotes no blank, no angle bracket and nothing that separates addresses.
pub fn is_mailbox(text: &str) -> bool {
    let mut quoted = false;
    let mut in_literal = false;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' if quoted && chars.next().is_some_and(|c| !c.is_control()) => {}
            '\\' if quoted => return false,
            '"' => quoted = !quoted,
            ' ' if quoted => {}
            '<' | '>' if quoted => {}
            '<' | '>' => return false,
            '[' if !quoted => in_literal = true,
            // An IPv6 address is a domain only in brackets; elsewhere `:` begins a group.
            ',' | ':' | ';' if !quoted && !in_literal => return false,
            c if c.is_control() || c.is_whitespace() => return false,
            _ => {}
        }
    }
    // Only a local part may be quoted, so quotes are closed before the last @.
    !quoted && text.parse::<Address>().is_ok()
}

/// The domain of an address.
pub fn domain(address: &str) -> &str {
    address.rsplit_once('@').map_or("", |(_, domain)| domain)
}

/// The addresses of a list, groups opened, in their order. An address without `@` comes out as
/// it is; the error is a phrase that shows what was not understood.
pub fn parse(list: &str) -> Result<Vec<String>, String> {
    let mut parser = Parser {
        chars: list.chars().peekable(),
        found: Vec::new(),
        entry: Entry::default(),
        in_group: false,
    };
    parser.list()?;
    Ok(parser.found)
}

struct Parser<'a> {
    chars: Peekable<Chars<'a>>,
    found: Vec<String>,
    entry: Entry,
    in_group: bool,
}

/// What was read since the last separator, without comments and with single blanks.
#[derive(Default)]
struct Entry {
    before: String,
    angle: Option<String>,
    after: String,
}

impl Parser<'_> {
    fn list(&mut self) -> Result<(), String> {
        while let Some(c) = self.chars.next() {
            match c {
                ',' => self.end_entry()?,
                ':' if !self.in_group && self.entry.angle.is_none() => {
                    if self.entry.before.trim().is_empty() {
                        return Err("a group has no name before its `:`".into());
                    }
                    self.entry = Entry::default();
                    self.in_group = true;
                }
                ':' if self.entry.angle.is_none() => return Err("a group within a group".into()),
                ';' if self.in_group => {
                    self.end_entry()?;
                    self.in_group = false;
                    self.after_group()?;
                }
                ';' => {
                    return Err(
                        "`;` ends a group, but no group began: separate addresses with `,`".into(),
                    );
                }
                '<' if self.entry.angle.is_none() => self.entry.angle = Some(self.angle()?),
                '<' | '>' => return Err(format!("`{c}` is in the wrong place")),
                _ => {
                    let piece = self.piece(c)?;
                    match self.entry.angle {
                        None => self.entry.before.push_str(&piece),
                        Some(_) => self.entry.after.push_str(&piece),
                    }
                }
            }
        }
        if self.in_group {
            return Err("a group has no `;` at its end".into());
        }
        self.end_entry()
    }

    /// The address between angle brackets, the first of which is read; an old source route
    /// before it (`@a,@b:`) is dropped, as RFC 5321 §4.1.1.3 says.
    fn angle(&mut self) -> Result<String, String> {
        let mut text = String::new();
        while let Some(c) = self.chars.next() {
            match c {
                '>' => return Ok(text),
                '<' => return Err("`<` within angle brackets".into()),
                ':' if text.starts_with('@') => text.clear(),
                _ => {
                    let piece = self.piece(c)?;
                    if !(text.is_empty() && piece == " ") {
                        text.push_str(&piece);
                    }
                }
            }
        }
        Err("`<` without `>`".into())
    }

    /// One character, or a whole quoted string, domain literal or comment (a blank).
    fn piece(&mut self, first: char) -> Result<String, String> {
        match first {
            '(' => {
                self.comment()?;
                Ok(" ".into())
            }
            '"' => self.until(first, '"', "a quoted string has no end"),
            '[' => self.until(first, ']', "a domain literal has no end"),
            c if c.is_whitespace() => Ok(" ".into()),
            c if c.is_control() => Err("a control character".into()),
            c => Ok(c.into()),
        }
    }

    fn until(&mut self, first: char, last: char, without: &str) -> Result<String, String> {
        let mut text = String::from(first);
        while let Some(c) = self.chars.next() {
            text.push(c);
            if c == last {
                return Ok(text);
            }
            if c == '\\' {
                text.extend(self.chars.next());
            }
        }
        Err(without.into())
    }

    /// A comment, which may hold others; its `(` is read.
    fn comment(&mut self) -> Result<(), String> {
        let mut depth = 1;
        while let Some(c) = self.chars.next() {
            match c {
                '(' => depth += 1,
                ')' => depth -= 1,
                '\\' => drop(self.chars.next()),
                _ => {}
            }
            if depth == 0 {
                return Ok(());
            }
        }
        Err("a comment has no `)` at its end".into())
    }

    fn end_entry(&mut self) -> Result<(), String> {
        let entry = std::mem::take(&mut self.entry);
        let after = entry.after.trim();
        if !after.is_empty() {
            return Err(format!("`{after}` follows an address in angle brackets"));
        }
        let text = entry.angle.as_deref().unwrap_or(&entry.before);
        let address =
            squeeze(text).ok_or_else(|| format!("`{}` is not an e-mail address", text.trim()))?;
        match (address.is_empty(), entry.angle) {
            (false, _) => self.found.push(address),
            // RFC 5322 §4.4: a list may have empty places.
            (true, None) => {}
            (true, Some(_)) => return Err("`<>` contains no address".into()),
        }
        Ok(())
    }

    /// After a group comes a separator or nothing.
    fn after_group(&mut self) -> Result<(), String> {
        while let Some(&c) = self.chars.peek() {
            match c {
                ',' => return Ok(()),
                '(' => {
                    self.chars.next();
                    self.comment()?;
                }
                c if c.is_whitespace() => drop(self.chars.next()),
                c => return Err(format!("`{c}` follows a group")),
            }
        }
        Ok(())
    }
}

/// Takes out the blanks that the obsolete syntax allows around dots and the `@`; `None` where
/// words are left.
fn squeeze(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut chars = text.trim().chars().peekable();
    let mut quoted = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' if quoted => {
                out.push(c);
                out.extend(chars.next());
                continue;
            }
            '"' => quoted = !quoted,
            ' ' if !quoted => {
                while chars.next_if_eq(&' ').is_some() {}
                let joined = out.ends_with(['.', '@']) || matches!(chars.peek(), Some('.' | '@'));
                if !joined {
                    return None;
                }
                continue;
            }
            _ => {}
        }
        out.push(c);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_form_of_rfc_5322_gives_its_address() {
        for (list, want) in [
            ("a@x.example", &["a@x.example"][..]),
            (
                "a@x.example (Anna (A.)), b@x.example",
                &["a@x.example", "b@x.example"],
            ),
            (
                r#""Last, First" <a@x.example>, =?utf-8?q?J=C3=B6rg?= <j@x.example>"#,
                &["a@x.example", "j@x.example"],
            ),
            (
                r#""quoted \" <x>"@x.example"#,
                &[r#""quoted \" <x>"@x.example"#],
            ),
            (
                "Team: a@x.example, B <b@x.example>;, c@x.example",
                &["a@x.example", "b@x.example", "c@x.example"],
            ),
            ("undisclosed-recipients:;", &[]),
            ("undisclosed-recipients: ; (nobody)", &[]),
            (" , a@x.example,, ", &["a@x.example"]),
            (
                "A. B. C <@r.example,@s.example:a@x.example>",
                &["a@x.example"],
            ),
            ("a . b @ x . example", &["a.b@x.example"]),
            ("a@[192.0.2.1]", &["a@[192.0.2.1]"]),
            (
                "j\u{f6}rg@b\u{fc}cher.example",
                &["j\u{f6}rg@b\u{fc}cher.example"],
            ),
            ("root (Cron Daemon)", &["root"]),
            ("", &[]),
        ] {
            assert_eq!(
                parse(list).as_deref(),
                Ok(&want.iter().map(|&w| w.to_owned()).collect::<Vec<_>>()[..]),
                "{list}"
            );
        }
    }

    #[test]
    fn what_is_not_understood_is_an_error_and_never_a_lost_recipient() {
        for list in [
            "a@x.example b@x.example",
            "Anna a@x.example",
            "a@x.example; b@x.example",
            "<a@x.example",
            "a@x.example>",
            "<a@x.example> <b@x.example>",
            "<a@x.example> b",
            "Anna <>",
            "\"open",
            "(open",
            "Team: a@x.example",
            "Team: a@x.example; b@x.example",
            ": a@x.example;",
            "Team: Other: a@x.example;",
            "Team: a@::1;",
            "<a@x.example<b@x.example>>",
        ] {
            assert!(parse(list).is_err(), "{list}: {:?}", parse(list));
        }
    }

    #[test]
    fn a_mailbox_cannot_end_a_command() {
        for bad in [
            "a@x.example\r\nRCPT TO:<b@x.example>",
            "a@x.example> SIZE=1",
            "a b@x.example",
            "a",
            "@x.example",
            "a@",
            "<a@x.example>",
            "a@x.example\0",
            "\"a\r\"@x.example",
            "\"a@x.example",
            "a@::1",
            "a@x.example,b@x.example",
        ] {
            assert!(!is_mailbox(bad), "{bad:?}");
        }
        for good in [r#""a b"@x.example"#, r#""a:b,c"@x.example"#, "a@[IPv6:::1]"] {
            assert!(is_mailbox(good), "{good:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC{0,60}|[a@.<>(),:;\"\\\\ \\[\\]]{0,24}") {
            if let Ok(found) = parse(&text) {
                for address in found {
                    prop_assert!(!address.is_empty());
                    // What comes out means itself.
                    if is_mailbox(&address) {
                        prop_assert_eq!(parse(&address), Ok(vec![address.clone()]));
                    }
                }
            }
        }

        #[test]
        fn a_list_of_addresses_keeps_every_one(
            names in proptest::collection::vec(("[a-z]{1,8}(\\.[a-z]{1,8})?", "[a-z]{1,8}\\.example", 0..4u8), 0..6)
        ) {
            let want: Vec<String> = names.iter().map(|(l, d, _)| format!("{l}@{d}")).collect();
            let list: Vec<String> = want.iter().zip(&names).map(|(address, (.., form))| match form {
                0 => address.clone(),
                1 => format!("\"N, (n);\" <{address}>"),
                2 => format!("group: N <{address}> (c,;);"),
                _ => format!("(x@y.example) {address}"),
            }).collect();
            prop_assert_eq!(parse(&list.join(",\r\n ")), Ok(want));
        }
    }
}

//! A text without what tells whose it is: words of a public list and codes are kept, and
//! everything else becomes `…`.
//!
//! What is kept is listed, not what is taken out: a name, a key or an ID that nobody thought of is
//! on no list. The words are those of RFC 3501, RFC 5321 and their extensions, of Microsoft's
//! published replies, and of this program's own sentences; and Microsoft's own hosts, which every
//! tenant of a cloud shares.

use std::collections::HashSet;
use std::sync::LazyLock;

static WORDS: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| include_str!("words.txt").split_whitespace().collect());

/// The number that follows is a limit or a time, however long.
const MEASURED: [&str; 4] = ["size", "expires_in", "retry-after", "milliseconds"];

/// What stands for everything that is not public.
const HIDDEN: &str = "…";

/// The text with nothing in it but public words, codes, numbers below 1000 and punctuation.
pub fn public(text: &str) -> String {
    let mut out = String::new();
    let mut token = String::new();
    let mut measured = false;
    // A space more ends the last token.
    for c in text.chars().chain([' ']) {
        if is_of_a_token(c) {
            token.push(c);
            continue;
        }
        if !token.is_empty() {
            let shown = shown(&token, measured);
            measured =
                is_measure(token.rsplit('-').next().unwrap_or_default()) || is_measure(&token);
            // One stands for a row of them.
            let before = out.trim_end().len();
            match shown == HIDDEN && out[..before].ends_with(HIDDEN) {
                true => out.truncate(before),
                false => out.push_str(&shown),
            }
            token.clear();
        }
        let c = if c.is_ascii_graphic() { c } else { ' ' };
        if !(c == ' ' && out.ends_with(' ')) {
            out.push(c);
        }
    }
    out.trim().to_owned()
}

/// Everything that names and keys are made of, so that none is read in pieces which happen to be
/// public words.
fn is_of_a_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || !c.is_ascii() || "-_.+=@%~#$&!:^".contains(c)
}

fn is_trim(c: char) -> bool {
    c.is_ascii_punctuation()
}

fn is_measure(word: &str) -> bool {
    MEASURED.contains(&word.to_lowercase().trim_matches(is_trim))
}

fn shown(token: &str, measured: bool) -> String {
    let core = token.trim_matches(is_trim);
    let is_kept = |word| is_public(word) || (measured && is_number(word, 12));
    if core.is_empty() || is_kept(token) || is_kept(core) {
        return token.to_owned();
    }
    // `250-SIZE`, `expires_in=3599`: two words in one.
    let pair = token.split_once('=').or_else(|| {
        token
            .split_once('-')
            .filter(|(code, _)| code.len() == 3 && is_number(code, 3))
    });
    let Some((name, value)) = pair.filter(|(name, _)| is_public(name)) else {
        return HIDDEN.to_owned();
    };
    let between = &token[name.len()..name.len() + 1];
    format!("{name}{between}{}", shown(value, is_measure(name)))
}

fn is_public(word: &str) -> bool {
    let lower = word.to_lowercase();
    WORDS.contains(lower.as_str()) || is_number(word, 3) || is_code(&lower)
}

/// `aadsts50126`; an enhanced status code of RFC 3463, `5.7.139`; a version, `1.1`.
fn is_code(lower: &str) -> bool {
    if let Some(number) = lower.strip_prefix("aadsts") {
        return is_number(number, 8);
    }
    let parts: Vec<&str> = lower.split('.').collect();
    match parts[..] {
        [class, subject, detail] => {
            ["2", "4", "5"].contains(&class) && is_number(subject, 3) && is_number(detail, 3)
        }
        [major, minor] => is_number(major, 1) && is_number(minor, 1),
        _ => false,
    }
}

fn is_number(word: &str, longest: usize) -> bool {
    (1..=longest).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::public;
    use proptest::prelude::*;

    #[test]
    fn replies_keep_what_everybody_gets() {
        for (text, expected) in [
            (
                "S: * OK The Microsoft Exchange IMAP4 service is ready. [TABPADIAUAAxADIAMwA=]",
                "S: * OK The Microsoft Exchange IMAP4 service is ready. […]",
            ),
            (
                "S: * CAPABILITY IMAP4 IMAP4rev1 AUTH=XOAUTH2 SASL-IR LITERAL+ AUTH=ACME X-ACME",
                "S: * CAPABILITY IMAP4 IMAP4rev1 AUTH=XOAUTH2 SASL-IR LITERAL+ AUTH=…",
            ),
            (
                "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. [AM0PR01CA0123.eurprd01.prod.exchangelabs.com 2026-11-23T08:00:00.000Z 08DC1234]",
                "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. […]",
            ),
            ("S: 250-SIZE 157286400", "S: 250-SIZE 157286400"),
            (
                "S: 250-AM0PR01.outlook.com Hello [203.0.113.7]",
                "S: 250-… Hello […]",
            ),
            (
                "AADSTS700016: Application with identifier '1b7e1c4e-8a53-4bd5-9a1e-54d1b0a4c6f1' was not found in the directory 'Contoso Ltd'.",
                "AADSTS700016: Application with identifier '…' was not found in the directory '…'.",
            ),
            (
                "oauth < 400 error=invalid_client client_id=1b7e1c4e expires_in=3599",
                "oauth < 400 error=invalid_client client_id=… expires_in=3599",
            ),
            (
                "graph > GET https://graph.microsoft.com/v1.0/users/support@contoso.com/mailFolders",
                "graph > GET https://graph.microsoft.com/v1.0/users/…/mailFolders",
            ),
            ("C: SELECT \"Kunden/Müller\"", "C: SELECT \"…/…\""),
            ("2603:10a6:203:f1::155 and 10.0.0.1", "… and …"),
        ] {
            assert_eq!(public(text), expected);
        }
    }

    proptest! {
        /// Whatever stands around it, no word of a name survives.
        #[test]
        fn no_name_is_kept(before in "[ -~]{0,20}", name in "zq[a-z0-9]{2,12}", after in "[ -~]{0,20}") {
            let text = format!("{before}{name}{after}");
            prop_assert!(!public(&text).contains(&name), "{}", public(&text));
        }
    }
}

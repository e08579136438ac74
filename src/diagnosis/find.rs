//! Which explanation fits: a server's words, the program's own cause, or what a person typed.

use super::entra;
use super::entry::Entry;
use super::table::all;
use crate::fault::Cause;

/// The explanation that fits a server's words best.
pub fn for_server_words(said: &str) -> Option<&'static Entry> {
    let by_code = entra::codes(said).into_iter().find_map(for_code);
    let texts = all().filter(|entry| entry.cause.is_none());
    by_code.or_else(|| best(said, texts)).or_else(|| {
        let error = said.split(':').next().unwrap_or_default().trim();
        all().find(|entry| entry.error == Some(error))
    })
}

/// The explanation of a failure that the program itself found.
pub fn for_cause(cause: Cause) -> Option<&'static Entry> {
    all().find(|entry| entry.cause == Some(cause))
}

fn for_code(code: u64) -> Option<&'static Entry> {
    all().find(|entry| entry.codes.contains(&code))
}

/// The entry of which the longest text fits: it is the most telling one.
fn best(words: &str, entries: impl Iterator<Item = &'static Entry>) -> Option<&'static Entry> {
    let lower = words.to_lowercase();
    let mut best: Option<(usize, &Entry)> = None;
    for entry in entries {
        for text in &entry.texts {
            if best.is_none_or(|(length, _)| text.len() > length) && contains(&lower, text) {
                best = Some((text.len(), entry));
            }
        }
    }
    best.map(|(_, entry)| entry)
}

/// The explanations of what a person typed: a number, `AADSTS…`, a reply or a part of one.
pub fn find(typed: &str) -> Vec<&'static Entry> {
    let typed = typed.trim();
    let by_code: Vec<&Entry> = entra::typed(typed).filter_map(for_code).collect();
    if !by_code.is_empty() {
        return by_code;
    }
    let by_words = best(typed, all()).or_else(|| for_server_words(typed));
    let lower = typed.to_lowercase();
    let is_bare = lower
        .chars()
        .all(|c| c.is_ascii_digit() || ".- ".contains(c));
    let wanted = lower.rsplit([' ', '-']).next().unwrap_or_default();
    if by_words.is_some() && !is_bare || wanted.len() < 3 {
        return by_words.into_iter().collect();
    }
    let is_word = |text: &&str| {
        text.split(|c: char| !c.is_ascii_digit() && c != '.')
            .any(|word| word == wanted)
    };
    let fits = |text: &&str| match is_bare {
        true => is_word(text),
        false => text.to_lowercase().contains(&lower),
    };
    all().filter(|e| e.texts.iter().any(fits)).collect()
}

/// True if all pieces of `pattern` occur in `text`, which is in lower case, in their order. A piece
/// that begins or ends with a digit is not found in the middle of a number: 5.7.60 is not 5.7.606.
fn contains(text: &str, pattern: &str) -> bool {
    let pattern = pattern.to_lowercase();
    let mut from = 0;
    pattern.split('…').all(|piece| {
        let goes_on = |at: usize| {
            let before = text[..at].chars().next_back();
            let after = text[at + piece.len()..].chars().next();
            let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
            digit(piece.chars().next()) && (digit(before) || before == Some('.'))
                || digit(piece.chars().next_back()) && digit(after)
        };
        let mut found = text[from..].match_indices(piece).map(|(at, _)| from + at);
        match found.find(|at| !goes_on(*at)) {
            Some(at) => {
                from = at + piece.len();
                true
            }
            None => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::hints::{fill, with_words};
    use super::*;
    use crate::fault::{Proof, Scene};

    fn check_words(words: &str) {
        assert!(!words.is_empty());
        assert!(!words.ends_with('.'), "no period: {words}");
        assert!(
            !words.to_lowercase().contains("please") || words.contains("report it"),
            "{words}"
        );
    }

    #[test]
    fn hints_are_whole() {
        for entry in all() {
            check_words(entry.means);
            assert!(!entry.hints.is_empty(), "{}", entry.means);
            for hint in &entry.hints {
                check_words(hint);
                let filled = fill(hint, &Scene::default()).expect("nothing is known, all is shown");
                let braces = filled.contains('{') || filled.contains('}');
                assert!(!braces, "unfilled: {filled}");
                assert_eq!(filled.matches('`').count() % 2, 0, "{filled}");
            }
        }
    }

    #[test]
    fn everything_in_the_tables_is_found() {
        for entry in all() {
            for code in &entry.codes {
                for typed in [
                    code.to_string(),
                    format!("AADSTS{code}"),
                    format!("aadsts{code}"),
                ] {
                    let found = find(&typed);
                    assert_eq!(found.len(), 1, "{typed}");
                    assert!(std::ptr::eq(found[0], entry), "{typed} is in two entries");
                }
            }
            for text in &entry.texts {
                let reply = text.replace('…', " something ").to_uppercase();
                assert!(
                    find(&reply).iter().any(|e| std::ptr::eq(*e, entry)),
                    "{reply}"
                );
            }
            if let Some(error) = entry.error {
                assert_eq!(find(error).len(), 1, "{error}");
            }
        }
    }

    #[test]
    fn a_cause_has_one_explanation_or_only_decides() {
        const ONLY_DECIDES: &[Cause] = &[
            Cause::LeaseLost,
            Cause::ClientRefused,
            Cause::RefreshRefused,
            Cause::ServerBusy,
            Cause::ServerLeaves,
            Cause::WaitHolds,
            Cause::SendAsDenied,
            Cause::RecipientsRefused,
            Cause::SmtpRefuses,
            Cause::StoreFull,
            Cause::ConfigNotOurs,
            Cause::KeyOfAnother,
        ];
        for cause in Cause::ALL {
            let count = all().filter(|e| e.cause == Some(*cause)).count();
            let expected = usize::from(!ONLY_DECIDES.contains(cause));
            assert_eq!(count, expected, "{cause:?}");
        }
    }

    #[test]
    fn captured_replies_meet_their_explanation() {
        for (said, means) in [
            ("NO AUTHENTICATE failed.", "token is refused"),
            (
                "BAD User is authenticated but not connected.",
                "mailbox cannot be opened",
            ),
            (
                "* BYE Session invalidated - AccessTokenExpired",
                "expired during",
            ),
            (
                "BAD Request is throttled. Suggested Backoff Time: 299910 milliseconds",
                "limit of operations",
            ),
            ("NO Server Unavailable. 15", "cannot reach"),
            (
                "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. Visit https://aka.ms/smtp_auth_disabled for more information.",
                "for the whole tenant",
            ),
            (
                "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox.",
                "for this mailbox",
            ),
            (
                "535 5.7.139 Authentication unsuccessful, the request did not meet the criteria to be authenticated successfully. Contact your administrator.",
                "a policy",
            ),
            (
                "535 5.7.139 Authentication unsuccessful, basic authentication is disabled.",
                "used a password",
            ),
            (
                "535 5.7.3 Authentication unsuccessful [AM0PR01CA0123.eurprd01.prod.exchangelabs.com]",
                "the token is refused",
            ),
            (
                "430 4.2.0 STOREDRV; mailbox logon failure; STOREDRV.Submission.Exception:MapiExceptionLogonFailed",
                "may not open the sending mailbox",
            ),
            (
                "554 5.2.252 SendAsDenied; a@contoso.com not allowed to send as b@contoso.com",
                "may not send as",
            ),
            (
                "550 5.7.60 SMTP; Client does not have permissions to send as this sender",
                "may not send as",
            ),
            (
                "432 4.3.2 Concurrent connections limit exceeded.",
                "three connections",
            ),
            (
                "554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException",
                "usually 10,000",
            ),
            (
                "554 5.2.2 mailbox full; STOREDRV.Submission.Exception:QuotaExceededException",
                "full",
            ),
            (
                "403 ErrorAccessDenied: Access is denied.",
                "permission is missing",
            ),
            (
                "404 MailboxNotEnabledForRESTAPI",
                "no Exchange Online mailbox",
            ),
            ("invalid_grant: AADSTS999999999: new", "not accepted"),
            (
                "550 5.7.504 [a@contoso.com]: Recipient address rejected: Access denied",
                "recipient's address",
            ),
            ("550 5.7.506 Access Denied, Bad HELO", "in its greeting"),
            (
                "550 5.7.508 Access denied, [2001:db8::1] has exceeded permitted limits within /64 range",
                "too many messages",
            ),
            (
                "550 5.7.509 Access denied, sending domain contoso.com does not pass DMARC verification and has a DMARC policy of reject.",
                "DMARC",
            ),
            (
                "550 5.7.606 Access denied, banned sending IP [192.0.2.1]",
                "banned",
            ),
            (
                "550 5.1.90 Your message can't be sent because you've reached your daily limit for message recipients",
                "daily limit",
            ),
            (
                "550 5.7.705 Access denied, tenant has exceeded threshold",
                "whole tenant",
            ),
            (
                "554 5.2.0 STOREDRV.Submission.Exception:OutboundSpamException; Failed to process message due to a permanent exception with message [BeginDiagnosticData]WASCL UserAction verdict is not None. Actual verdict is RefuseQuota.",
                "daily limit",
            ),
            (
                "554 5.2.0 STOREDRV.Submission.Exception:OutboundSpamException; WASCL UserAction verdict is not None. Actual verdict is Suspend",
                "blocked for sending",
            ),
            (
                "554 5.6.211 Invalid MIME Content: Single text value size (33061) exceeded allowed maximum (32768) for the 'To' header.",
                "header field",
            ),
            (
                "451 4.7.500 Server busy. Please try again later from [192.0.2.1]. (AS77712104)",
                "limits mail",
            ),
            (
                "invalid_client: AADSTS50012: Client assertion contains an invalid signature.",
                "signature",
            ),
        ] {
            let entry = for_server_words(said).unwrap_or_else(|| panic!("{said}"));
            assert!(entry.means.contains(means), "{said}: {}", entry.means);
        }
        assert!(for_server_words("250 OK").is_none());
    }

    /// A code of the one is not in the other: 5.1.1 is not part of 5.1.11, nor 5.7.3 of 5.7.321.
    #[test]
    fn codes_are_not_parts_of_longer_ones() {
        assert!(contains("550 5.7.60 smtp", "5.7.60"));
        assert!(!contains("550 5.7.606 smtp", "5.7.60"));
        assert!(!contains("host 15.7.60", "5.7.60"));
        assert!(contains("host 15.7.60 says 5.7.60", "5.7.60"));
        assert!(contains("535-5.7.3 no", "535-5.7.3"));
    }

    fn app() -> Scene {
        Scene {
            address: Some("support@contoso.com".into()),
            client_id: Some("1b7e".into()),
            ..Scene::default()
        }
    }

    #[test]
    fn nobody_is_told_to_grant_a_mailbox_rights_on_itself() {
        const RIGHT: &str = "-Identity {mailbox} -User {principal}";
        const SEND_AS: &str = "{from} -Trustee {submitter}";
        let own = "(Get-ServicePrincipal | Where-Object AppId -eq 1b7e).Identity";
        assert_eq!(
            fill(RIGHT, &app()),
            Some(format!("-Identity support@contoso.com -User {own}"))
        );
        assert_eq!(
            fill(SEND_AS, &app()),
            Some(format!("support@contoso.com -Trustee {own}"))
        );
        let person = |name: &str| Scene {
            account: Some(name.into()),
            ..app()
        };
        assert_eq!(fill(RIGHT, &person("Support@contoso.com")), None);
        assert_eq!(fill(SEND_AS, &person("support@contoso.com")), None);
        assert_eq!(
            fill(SEND_AS, &person("ann@contoso.com")).unwrap(),
            "support@contoso.com -Trustee ann@contoso.com"
        );
        let boss = Scene {
            from: Some("boss@contoso.com".into()),
            ..app()
        };
        assert_eq!(
            fill(SEND_AS, &boss).unwrap(),
            "boss@contoso.com -Trustee support@contoso.com"
        );
    }

    #[test]
    fn whoever_reads_their_own_mailbox_is_told_what_they_can_do() {
        let entry = for_cause(Cause::ReadOnly).unwrap();
        let ann = Scene {
            address: Some("ann@contoso.com".into()),
            account: Some("ann@contoso.com".into()),
            queue: Some("sales".into()),
            ..app()
        };
        let keep = "queuemail queue set sales --address ann@contoso.com --after keep";
        assert!(entry.remedy(&ann, "").ends_with(keep));
        assert_eq!(entry.hints_for(&ann, "").len(), 1);
        assert!(
            entry
                .remedy(&app(), "")
                .starts_with("Add-MailboxPermission")
        );
    }

    #[test]
    fn the_servers_words_name_who_may_not_send_as_whom() {
        let said = "554 5.2.252 SendAsDenied; a@contoso.com not allowed to send as b@contoso.com; STOREDRV";
        let named = with_words(&app(), said);
        assert_eq!(named.mailbox(), Some("a@contoso.com"));
        assert_eq!(named.from.as_deref(), Some("b@contoso.com"));
        let evil = "a';x@y not allowed to send as $(b@c)";
        assert_eq!(with_words(&app(), evil), app());
    }

    #[test]
    fn a_hint_holds_for_who_signs_in_and_how() {
        let is_shown = |hint: &str, scene: &Scene| fill(hint, scene).is_some();
        let person = Scene {
            account: Some("ann@contoso.com".into()),
            ..app()
        };
        assert!(is_shown("{if_person}x", &person) && !is_shown("{if_app}x", &person));
        assert!(is_shown("{if_app}x", &app()) && !is_shown("{if_person}x", &app()));
        let federated = Scene {
            proof: Some(Proof::Federated),
            ..app()
        };
        assert!(is_shown("{if_federated}x", &federated));
        assert!(!is_shown("{if_secret}x", &federated));
        for hint in ["{if_person}x", "{if_app}x", "{if_secret}x"] {
            assert_eq!(fill(hint, &Scene::default()).as_deref(), Some("x"));
        }
    }

    #[test]
    fn ports_are_those_that_are_configured() {
        let at = |endpoint: &str, protocol: &str| Scene {
            host: Some("mail.contoso.com".into()),
            endpoint: Some(endpoint.into()),
            protocol: Some(protocol.into()),
            ..Scene::default()
        };
        let other = |scene| fill("{other_tls}", &scene).unwrap();
        assert_eq!(
            other(at("imaps://mail.contoso.com:1143", "imap")),
            "--imap imap://mail.contoso.com:1143"
        );
        assert_eq!(
            other(at("smtp://mail.contoso.com:2587", "smtp")),
            "--smtp smtps://mail.contoso.com:2587"
        );
        assert_eq!(
            other(at("imap://mail.contoso.com:993", "imap")),
            "--imap imaps://mail.contoso.com:993"
        );
        assert_eq!(
            other(at("imaps://mail.contoso.com:993", "imap")),
            "--imap imap://mail.contoso.com:143"
        );
        assert_eq!(
            other(at("imaps://mail.contoso.com:587", "imap")),
            "--imap imaps://mail.contoso.com:993"
        );
        let usual = |scene| fill("{usual_imap}", &scene);
        assert_eq!(usual(at("imaps://mail.contoso.com:993", "imap")), None);
        assert_eq!(
            usual(at("imaps://mail.contoso.com:995", "imap")).unwrap(),
            "--imap imaps://mail.contoso.com:993"
        );
    }

    #[test]
    fn names_are_quoted_for_a_shell() {
        let scene = Scene {
            server: Some("Contoso's out".into()),
            address: Some("support@contoso.com".into()),
            ..Scene::default()
        };
        assert_eq!(
            fill("set {server} for {address} as {account}", &scene).unwrap(),
            r"set 'Contoso'\''s out' for support@contoso.com as ACCOUNT"
        );
    }
}

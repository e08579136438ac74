//! What an explanation is, and how one is found for a server's words.

use super::{aadsts, entra, graph, mail, own};
use crate::fault::Scene;
use crate::output::escape;
use crate::powershell;

/// Who can put it right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Whoever configures queuemail.
    You,
    /// The administrator of the Entra ID tenant: app registration, consent, policies.
    Entra,
    /// The administrator of Exchange Online: service principal, mailbox rights, protocols.
    Exchange,
    /// The person whose account signs in.
    Person,
    /// Whoever runs the network: proxies, clocks, name servers.
    Network,
    /// Nobody: it passes, or Microsoft repairs it.
    Nobody,
}

impl Who {
    pub fn describe(self) -> &'static str {
        match self {
            Who::You => "whoever configures queuemail",
            Who::Entra => "an administrator of the Entra ID tenant",
            Who::Exchange => "an Exchange administrator",
            Who::Person => "the person whose account signs in",
            Who::Network => "whoever runs the network",
            Who::Nobody => "nobody; it passes by itself or Microsoft repairs it",
        }
    }
}

/// How a server says it.
#[derive(Clone, Copy, Debug)]
pub enum Says {
    /// One of these AADSTS codes.
    Aadsts(&'static [u64]),
    /// One of these texts, in whatever case; `…` stands for anything between.
    Text(&'static [&'static str]),
    /// RFC 6749's `error`, where the code is unknown or absent.
    OauthError(&'static str),
}

/// One explanation. The words follow the house style: lower-case phrases, no period at the end.
#[derive(Debug)]
pub struct Entry {
    pub says: Says,
    pub means: &'static str,
    pub who: Who,
    /// What to do, pasteable; `{address}`, `{account}`, `{set_password}`, `{set_account}` (the
    /// commands that change them), `{set_tenant}` (likewise, up to the tenant's name), `{set_cloud}`, `{set_service}`
    /// (to sign in as itself),
    /// `{login}` (what `token login` is given),
    /// `{queue}`, `{server}`, `{app_server}` (whose entry holds the
    /// app's ID and credential), `{tenant}`, `{login_host}`, `{client_id}`, `{object_id}`, `{host}`, `{port}`,
    /// `{endpoint}` (the option that names the host's usual port) and `{principal}` (whom Exchange
    /// gives rights to: the account, else the app) are filled in.
    pub hints: &'static [&'static str],
    /// The one command or page to begin with, where it is not the first hint.
    pub act: Option<&'static str>,
}

impl Entry {
    /// Names the one command or page to begin with.
    pub const fn act(mut self, act: &'static str) -> Entry {
        self.act = Some(act);
        self
    }

    /// What to do first, with the names of `scene`.
    pub fn remedy(&self, scene: &Scene, said: &str) -> String {
        let first = self.act.or(self.hints.first().copied());
        let id = entra::correlation_id(said);
        fill(first.unwrap_or_default(), scene)
            .replace("{correlation}", id.as_deref().unwrap_or("CORRELATION-ID"))
    }

    /// What it is called where a person asked with `typed`.
    pub fn title(&self, typed: &str) -> String {
        match self.says {
            Says::Aadsts(codes) => {
                let asked = typed
                    .trim()
                    .parse()
                    .ok()
                    .into_iter()
                    .chain(entra::codes(&typed.to_uppercase()));
                let code = asked.into_iter().find(|code| codes.contains(code));
                format!("AADSTS{}", code.unwrap_or(codes[0]))
            }
            Says::Text(texts) => shown(texts[0]),
            Says::OauthError(error) => error.to_owned(),
        }
    }

    /// Every code or text that it explains.
    pub fn symptoms(&self) -> Vec<String> {
        match self.says {
            Says::Aadsts(codes) => codes.iter().map(|code| format!("AADSTS{code}")).collect(),
            Says::Text(texts) => texts.iter().map(|text| shown(text)).collect(),
            Says::OauthError(error) => vec![error.to_owned()],
        }
    }

    /// What to do, with the names of `scene` and, for Entra's words, where to read on.
    pub fn hints_for(&self, scene: &Scene, said: &str) -> Vec<String> {
        let mut hints: Vec<String> = self.hints.iter().map(|hint| fill(hint, scene)).collect();
        hints.extend(entra::more_at(said));
        hints
    }
}

/// Every explanation: codes, then texts, then errors.
pub fn all() -> impl Iterator<Item = &'static Entry> {
    aadsts::CODES
        .iter()
        .chain(mail::TEXTS)
        .chain(graph::TEXTS)
        .chain(own::TEXTS)
        .chain(aadsts::ERRORS)
}

/// The explanation that fits a server's words best.
pub fn for_server_words(said: &str) -> Option<&'static Entry> {
    for code in entra::codes(said) {
        let found = aadsts::CODES
            .iter()
            .find(|e| matches!(e.says, Says::Aadsts(codes) if codes.contains(&code)));
        if found.is_some() {
            return found;
        }
    }
    let text = best(said, mail::TEXTS.iter().chain(graph::TEXTS));
    text.or_else(|| {
        let error = said.split(':').next().unwrap_or_default().trim();
        aadsts::ERRORS
            .iter()
            .find(|e| matches!(e.says, Says::OauthError(own) if own == error))
    })
}

/// The explanation of a failure in our own words.
pub fn for_own_words(what: &str) -> Option<&'static Entry> {
    best(what, own::TEXTS.iter())
}

/// The entry of which the longest text fits: it is the most telling one.
fn best(words: &str, entries: impl Iterator<Item = &'static Entry>) -> Option<&'static Entry> {
    let lower = words.to_lowercase();
    let mut best: Option<(usize, &Entry)> = None;
    for entry in entries {
        let Says::Text(texts) = entry.says else {
            continue;
        };
        for text in texts {
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
    let as_code = typed
        .parse()
        .ok()
        .filter(|_| typed.len() > 3)
        .into_iter()
        .chain(entra::codes(&typed.to_uppercase()));
    let by_code: Vec<&Entry> = as_code
        .filter_map(|code: u64| {
            aadsts::CODES
                .iter()
                .find(|e| matches!(e.says, Says::Aadsts(codes) if codes.contains(&code)))
        })
        .collect();
    if !by_code.is_empty() {
        return by_code;
    }
    let texts = mail::TEXTS.iter().chain(graph::TEXTS).chain(own::TEXTS);
    let by_words = best(typed, texts).or_else(|| for_server_words(typed));
    let lower = typed.to_lowercase();
    // A bare reply code stands for every reply that bears it; the most telling part is its last.
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
    all()
        .filter(|e| match e.says {
            Says::Text(texts) if is_bare => texts.iter().any(is_word),
            Says::Text(texts) => texts
                .iter()
                .any(|text| text.to_lowercase().contains(&lower)),
            _ => false,
        })
        .collect()
}

/// A text as people read it.
fn shown(text: &str) -> String {
    text.replace('…', " … ")
}

/// True if all pieces of `pattern` occur in `text`, which is in lower case, in their order.
fn contains(text: &str, pattern: &str) -> bool {
    let mut rest = text;
    let pattern = pattern.to_lowercase();
    pattern.split('…').all(|piece| match rest.find(piece) {
        Some(at) => {
            rest = &rest[at + piece.len()..];
            true
        }
        None => false,
    })
}

/// Fills the real names in, quoted for a shell where they need it; what is not known becomes a
/// word in capitals.
pub fn fill(hint: &str, scene: &Scene) -> String {
    let mut text = hint.to_owned();
    let quoted = match is_powershell(hint) {
        true => powershell::quoted,
        false => quoted,
    };
    // Who signs in, and with which password, is said where the account is.
    let (password, account) = match scene.is_server_account {
        true => (
            "queuemail server set {server} --set-password",
            "queuemail server set {server} --user",
        ),
        false => (
            "queuemail queue set {queue} --address {address} --set-password",
            "queuemail queue set {queue} --address {address} --account",
        ),
    };
    let tenant = match scene.is_outgoing {
        true => "queuemail server set {server} --tenant ",
        false => "queuemail server set {server} --address https://{login_host}/",
    };
    let cloud = match scene.is_outgoing {
        true => {
            "queuemail server set {server} --app INCOMING, a server with the login host of the tenant's own cloud"
        }
        false => {
            "queuemail server set {server} --address https://LOGIN-HOST/{tenant}, with the login host of the tenant's own cloud"
        }
    };
    // A server that signs in as another one's app takes no secret of its own.
    let service = match &scene.app_server {
        Some(app) if scene.server.as_ref() != Some(app) => {
            "queuemail server set {server} --auth oauth-service --app INCOMING"
        }
        _ => "queuemail server set {server} --auth oauth-service --secret-stdin",
    };
    text = text
        .replace("{login}", scene.login.as_deref().unwrap_or("{address}"))
        .replace("{set_service}", service)
        .replace("{set_tenant}", tenant)
        .replace("{set_cloud}", cloud)
        .replace("{set_password}", password)
        .replace("{set_account}", account);
    if text.contains("{principal}") {
        let principal = match (&scene.account, &scene.object_id) {
            (Some(account), _) => quoted(account),
            (None, Some(id)) => quoted(id),
            (None, None) => {
                "(Get-ServicePrincipal | Where-Object AppId -eq {client_id}).Identity".to_owned()
            }
        };
        text = text.replace("{principal}", &principal);
    }
    let endpoint = match scene.protocol.as_deref() {
        Some("smtp") => "--smtp smtp://{host}:587",
        Some("graph") => "--graph URL",
        _ => "--imap imaps://{host}:993",
    };
    text = text.replace("{endpoint}", endpoint);
    let app_server = match &scene.app_server {
        Some(_) => &scene.app_server,
        None => &scene.server,
    };
    for (placeholder, value, unknown) in [
        ("{address}", &scene.address, "ADDRESS"),
        ("{account}", &scene.account, "ACCOUNT"),
        ("{queue}", &scene.queue, "QUEUE"),
        ("{server}", &scene.server, "SERVER"),
        ("{app_server}", app_server, "SERVER"),
        ("{tenant}", &scene.tenant, "TENANT"),
        ("{client_id}", &scene.client_id, "CLIENT-ID"),
        ("{object_id}", &scene.object_id, "OBJECT-ID"),
        (
            "{login_host}",
            &scene.login_host,
            "login.microsoftonline.com",
        ),
        ("{host}", &scene.host, "HOST"),
        ("{port}", &scene.port, "PORT"),
    ] {
        if text.contains(placeholder) {
            let value = value.as_deref().map_or_else(|| unknown.to_owned(), &quoted);
            text = text.replace(placeholder, &value);
        }
    }
    text
}

/// True for a hint that holds a PowerShell command, where quotes are other than a shell's.
fn is_powershell(hint: &str) -> bool {
    ["Get-", "Set-", "Add-", "New-", "Remove-", "Test-"]
        .iter()
        .any(|verb| hint.contains(verb))
}

/// A value as a shell takes it for one word.
fn quoted(value: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "@._-+".contains(c);
    if !value.is_empty() && value.chars().all(is_plain) {
        value.to_owned()
    } else {
        format!("'{}'", escape(value).replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            for hint in entry.hints {
                check_words(hint);
                let filled = fill(hint, &Scene::default());
                let braces = filled.contains('{') || filled.contains('}');
                assert!(!braces, "unfilled: {filled}");
                assert_eq!(filled.matches('`').count() % 2, 0, "{filled}");
            }
        }
    }

    #[test]
    fn everything_in_the_tables_is_found() {
        for entry in all() {
            match entry.says {
                Says::Aadsts(codes) => {
                    for code in codes {
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
                }
                Says::Text(texts) => {
                    for text in texts {
                        let reply = text.replace('…', " something ").to_uppercase();
                        assert!(
                            find(&reply).iter().any(|e| std::ptr::eq(*e, entry)),
                            "{reply}"
                        );
                    }
                }
                Says::OauthError(error) => assert_eq!(find(error).len(), 1, "{error}"),
            }
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
            ("* BYE Session invalidated - AccessTokenExpired", "ran out"),
            (
                "BAD Request is throttled. Suggested Backoff Time: 299910 milliseconds",
                "budget",
            ),
            ("NO Server Unavailable. 15", "cannot be reached"),
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
                "a password was offered",
            ),
            (
                "535 5.7.3 Authentication unsuccessful [AM0PR01CA0123.eurprd01.prod.exchangelabs.com]",
                "the token is refused",
            ),
            (
                "430 4.2.0 STOREDRV; mailbox logon failure; STOREDRV.Submission.Exception:MapiExceptionLogonFailed",
                "may not open the mailbox",
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
                "10,000 recipients",
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
        ] {
            let entry = for_server_words(said).unwrap_or_else(|| panic!("{said}"));
            assert!(entry.means.contains(means), "{said}: {}", entry.means);
        }
        assert!(for_server_words("250 OK").is_none());
    }

    #[test]
    fn names_are_quoted_for_a_shell() {
        let scene = Scene {
            server: Some("Contoso's out".into()),
            address: Some("support@contoso.com".into()),
            ..Scene::default()
        };
        assert_eq!(
            fill("set {server} for {address} as {account}", &scene),
            r"set 'Contoso'\''s out' for support@contoso.com as ACCOUNT"
        );
    }
}

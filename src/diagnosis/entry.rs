//! What an explanation is.

use super::entra;
use super::hints::{fill, with_words};
use crate::fault::{Cause, Scene};

/// Who can put it right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The reader, who configures queuemail.
    You,
    /// The administrator of the Entra ID tenant: app registration, consent, policies.
    Entra,
    /// The administrator of Exchange Online: service principal, mailbox rights, protocols.
    Exchange,
    /// The person who signs in.
    Person,
    /// The administrator of the network: proxies, clocks, name servers.
    Network,
    /// Nobody: it is temporary, or Microsoft repairs it.
    Nobody,
}

impl Who {
    pub fn describe(self) -> &'static str {
        match self {
            Who::You => "you",
            Who::Entra => "an Entra ID administrator",
            Who::Exchange => "an Exchange administrator",
            Who::Person => "the person who signs in",
            Who::Network => "a network administrator",
            Who::Nobody => "nobody: it is temporary, or Microsoft repairs it",
        }
    }
}

/// How a server says it, or we do.
#[derive(Clone, Copy, Debug)]
pub enum Says {
    /// One of these AADSTS codes.
    Aadsts(&'static [u64]),
    /// One of these texts, in whatever case; `…` stands for anything between.
    Text(&'static [&'static str]),
    /// Our fault of this cause, and texts of it as of [`Says::Text`].
    Own(Cause, &'static [&'static str]),
    /// RFC 6749's `error`, where the code is unknown or absent.
    OauthError(&'static str),
}

/// One explanation. The words follow the house style: lower-case phrases, no period at the end.
#[derive(Debug)]
pub struct Entry {
    pub says: Says,
    pub means: &'static str,
    pub who: Who,
    /// What to do, pasteable, the best first. Names are filled in:
    ///
    /// - `{queue}`, `{address}`, `{server}`, `{app_server}` (whose entry holds the app's ID and
    ///   credential), `{tenant}`, `{login_host}`, `{client_id}`, `{object_id}`
    /// - `{mailbox}`: that is opened or submits; `{from}`: the address in From; `{submitter}`: who
    ///   needs a right to send as that; `{account}`: the person who signs in
    /// - `{principal}`: whom Exchange gives rights to, the account, else the app
    /// - `{protocol}`, `{host}`, `{port}`; `{other_tls}`: the option that names the same host and
    ///   port in the other TLS mode; `{usual_imap}`, `{usual_smtp}`: those that name the usual port
    /// - `{set_password}`, `{set_account}`, `{set_tenant}` (up to the tenant's name), `{set_cloud}`,
    ///   `{set_service}` (to sign in as itself): commands; `{login}`: what `token login` is given
    ///
    /// A hint that changes nothing where it is read is left out: a right of a mailbox to itself, a
    /// port that is configured already, and one that begins with a condition which does not hold:
    /// `{if_person}`, `{if_app}`, `{if_secret}`, `{if_certificate}`, `{if_federated}`.
    pub hints: &'static [&'static str],
    /// The one command or page to begin with, where it is not the first hint.
    pub act: Option<&'static str>,
}

/// Of one of these AADSTS codes.
pub const fn code(
    codes: &'static [u64],
    means: &'static str,
    who: Who,
    hints: &'static [&'static str],
) -> Entry {
    Entry::new(Says::Aadsts(codes), means, who, hints)
}

/// Of one of these texts.
pub const fn text(
    texts: &'static [&'static str],
    means: &'static str,
    who: Who,
    hints: &'static [&'static str],
) -> Entry {
    Entry::new(Says::Text(texts), means, who, hints)
}

/// Of our fault of this cause.
pub const fn own(
    cause: Cause,
    texts: &'static [&'static str],
    means: &'static str,
    who: Who,
    hints: &'static [&'static str],
) -> Entry {
    Entry::new(Says::Own(cause, texts), means, who, hints)
}

/// Of RFC 6749's `error`.
pub const fn error(
    name: &'static str,
    means: &'static str,
    who: Who,
    hints: &'static [&'static str],
) -> Entry {
    Entry::new(Says::OauthError(name), means, who, hints)
}

impl Entry {
    const fn new(
        says: Says,
        means: &'static str,
        who: Who,
        hints: &'static [&'static str],
    ) -> Entry {
        Entry {
            says,
            means,
            who,
            hints,
            act: None,
        }
    }

    /// Names the one command or page to begin with.
    pub const fn act(mut self, act: &'static str) -> Entry {
        self.act = Some(act);
        self
    }

    /// What to do first, with the names of `scene` and of a server's words.
    pub fn remedy(&self, scene: &Scene, said: &str) -> String {
        let scene = with_words(scene, said);
        let id = entra::correlation_id(said);
        let mut hints = self.act.iter().chain(self.hints);
        hints
            .find_map(|hint| fill(hint, &scene))
            .unwrap_or_else(|| "see what `-vv` shows".to_owned())
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
            Says::Text(texts) | Says::Own(_, texts) => shown(texts[0]),
            Says::OauthError(error) => error.to_owned(),
        }
    }

    /// Every code or text that it explains.
    pub fn symptoms(&self) -> Vec<String> {
        match self.says {
            Says::Aadsts(codes) => codes.iter().map(|code| format!("AADSTS{code}")).collect(),
            Says::Text(texts) | Says::Own(_, texts) => {
                texts.iter().map(|text| shown(text)).collect()
            }
            Says::OauthError(error) => vec![error.to_owned()],
        }
    }

    /// What to do, with the names of `scene` and of a server's words and, for Entra's words, where
    /// to read on.
    pub fn hints_for(&self, scene: &Scene, said: &str) -> Vec<String> {
        let scene = with_words(scene, said);
        let hints = self.hints.iter();
        let mut hints: Vec<String> = hints.filter_map(|hint| fill(hint, &scene)).collect();
        hints.extend(entra::more_at(said));
        hints
    }
}

/// A text as people read it.
fn shown(text: &str) -> String {
    text.replace('…', " … ")
}

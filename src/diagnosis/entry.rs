//! What an explanation is: what is wrong, who must act, what to do.

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
    /// By the word that the tables have.
    pub fn named(word: &str) -> Option<Who> {
        Some(match word {
            "you" => Who::You,
            "entra" => Who::Entra,
            "exchange" => Who::Exchange,
            "person" => Who::Person,
            "network" => Who::Network,
            "nobody" => Who::Nobody,
            _ => return None,
        })
    }

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

/// One explanation. The words follow the house style: lower-case phrases, no period at the end.
#[derive(Debug)]
pub struct Entry {
    /// The AADSTS codes by which Entra ID says it.
    pub codes: Vec<u64>,
    /// Texts by which a server says it, or the program, in whatever case; `…` stands for anything between.
    pub texts: Vec<&'static str>,
    /// Of the program's own faults: why they arose.
    pub cause: Option<Cause>,
    /// RFC 6749's `error`, where the code is unknown or absent.
    pub error: Option<&'static str>,
    pub means: &'static str,
    pub who: Who,
    /// What to do, pasteable, the best first. Names are filled in:
    ///
    /// - `{queue}`, `{address}`, `{server}`, `{app_server}` (whose entry holds the app's ID and
    ///   credential), `{tenant}`, `{login_host}`, `{client_id}`, `{object_id}`
    /// - `{mailbox}`: that is opened or submits; `{from}`: the address in From; `{submitter}`: who
    ///   needs a right to send as that; `{account}`: the person who signs in
    /// - `{principal}`: whom Exchange gives rights to, the account, else the app
    /// - `{protocol}`, `{host}`, `{port}`, `{origin}` (the host of an `https://`, and its port where
    ///   that is not 443); `{other_tls}`: the option that names the same host and
    ///   port in the other TLS mode; `{usual_imap}`, `{usual_smtp}`: those that name the usual port
    /// - `{set_password}`, `{set_account}`, `{set_tenant}` (up to the tenant's name), `{set_cloud}`,
    ///   `{set_service}` (to sign in as itself): commands; `{login}`: what `token login` is given
    ///
    /// A hint that changes nothing where it is read is left out: a right of a mailbox to itself, a
    /// port that is configured already, and one that begins with a condition which does not hold:
    /// `{if_person}`, `{if_app}`, `{if_secret}`, `{if_certificate}`, `{if_federated}`.
    pub hints: Vec<&'static str>,
    /// The one command or page to begin with, where it is not the first hint.
    pub first: Option<&'static str>,
}

impl Entry {
    /// What to do first, with the names of `scene` and of a server's words.
    pub fn remedy(&self, scene: &Scene, said: &str) -> String {
        let scene = with_words(scene, said);
        let id = entra::correlation_id(said);
        let mut hints = self.first.iter().chain(&self.hints);
        hints
            .find_map(|hint| fill(hint, &scene))
            .unwrap_or_else(|| "see what `-vv` shows".to_owned())
            .replace("{correlation}", id.as_deref().unwrap_or("CORRELATION-ID"))
    }

    /// What it is called where a person asked with `typed`.
    pub fn title(&self, typed: &str) -> String {
        let asked = entra::typed(typed).find(|code| self.codes.contains(code));
        let asked = asked.map(|code| format!("AADSTS{code}"));
        asked
            .or_else(|| self.symptoms().into_iter().next())
            .unwrap_or_default()
    }

    /// Every code or text that it explains.
    pub fn symptoms(&self) -> Vec<String> {
        let codes = self.codes.iter().map(|code| format!("AADSTS{code}"));
        let texts = self.texts.iter().map(|text| text.replace('…', " … "));
        let error = self.error.map(str::to_owned);
        codes.chain(texts).chain(error).collect()
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

//! What a server's refusal, or the end of a connection, means for the caller.
//!
//! Exchange gives no response codes: its texts have to be read. Only the few that change what the
//! program does next are; `diagnosis` reads the rest for people.

use super::wire::{Cut, Failure};
use crate::fault::{Cause, Fault, Scope, cause_of};
use crate::mail::TokenExpired;
use crate::net;
use std::time::Duration;

/// How long to wait where the server does not say.
const A_WHILE: Duration = Duration::from_secs(60);

/// Whom the session is with.
#[derive(Clone, Debug)]
pub struct Place {
    pub host: String,
    pub port: u16,
    /// The mailbox that was signed in to.
    pub user: String,
}

/// What the server's words say about the next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Wait, if it says so for that long.
    Throttled(Option<Duration>),
    /// The command ran into a limit (RFC 5530, LIMIT): of a rate, or of what can be done with one
    /// message.
    Limit,
    /// The token was good, the mailbox could not be opened.
    NotConnected,
    /// The token ran out in the middle of the session.
    TokenExpired,
    /// The server is in no state to answer.
    Unavailable,
    /// It failed by its own fault, maybe over one message (RFC 5530, SERVERBUG).
    ServerBug,
    /// No permission (RFC 5530, NOPERM).
    Forbidden,
    /// The folder is not there.
    NoFolder,
    /// The message is not there any more.
    Gone,
    Other,
}

impl Meaning {
    /// How long to wait, where the server asks for a wait.
    fn wait(self) -> Option<Duration> {
        match self {
            Meaning::Throttled(wait) => Some(wait.unwrap_or(A_WHILE)),
            Meaning::Limit => Some(A_WHILE),
            _ => None,
        }
    }
}

/// The one place that reads a server's words. Response codes (RFC 5530) tell where there are some;
/// Exchange's text alone tells a throttled session, a mailbox that does not open behind a good
/// sign-in, a token that ran out, and a server that is not ready.
pub fn meaning(words: &str) -> Meaning {
    let words = words.to_ascii_lowercase();
    let has = |text: &str| words.contains(text);
    if has("throttled") || has("suggested backoff time") {
        Meaning::Throttled(backoff(&words))
    } else if has("[limit]") {
        Meaning::Limit
    } else if has("authenticated but not connected") {
        Meaning::NotConnected
    } else if has("accesstokenexpired") {
        Meaning::TokenExpired
    } else if [
        "server unavailable",
        "[unavailable]",
        "[inuse]",
        "received in invalid state",
        "try again later",
    ]
    .iter()
    .any(|text| has(text))
    {
        Meaning::Unavailable
    } else if has("[serverbug]") {
        Meaning::ServerBug
    } else if has("[noperm]") {
        Meaning::Forbidden
    } else if has("[trycreate]") || has("[nonexistent]") || has("doesn't exist") {
        Meaning::NoFolder
    } else if has("[expungeissued]") {
        Meaning::Gone
    } else {
        Meaning::Other
    }
}

/// How far a refusal of a command on some messages reaches, where its words tell. Else it may be
/// one message's, and the others are asked for without it.
pub fn scope(words: &str) -> Option<Scope> {
    match meaning(words) {
        Meaning::Throttled(_)
        | Meaning::NotConnected
        | Meaning::TokenExpired
        | Meaning::Unavailable => Some(Scope::Mailbox),
        Meaning::Forbidden | Meaning::NoFolder => Some(Scope::Folder),
        Meaning::Gone => Some(Scope::Message),
        Meaning::Limit | Meaning::ServerBug | Meaning::Other => None,
    }
}

/// The N of `Suggested Backoff Time: N milliseconds`; a day at most is believed.
fn backoff(words: &str) -> Option<Duration> {
    let (_, after) = words.split_once("suggested backoff time:")?;
    let after = after.trim_start();
    let end = after
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(after.len());
    let milliseconds: u64 = after[..end].parse().ok()?;
    Some(Duration::from_millis(milliseconds.min(86_400_000)))
}

/// True where the token was good and the mailbox could not be opened all the same.
pub fn is_not_connected(err: &anyhow::Error) -> bool {
    cause_of(err) == Some(Cause::MailboxClosed)
}

/// A command's failure: `what` could not be done, a phrase in the user's names.
pub fn failed(place: &Place, what: &str, failure: Failure) -> anyhow::Error {
    match failure {
        Failure::Refused(words) => refused(place, what, words),
        Failure::Cut(cut) => cut_off(place, cut).context(what.to_owned()),
    }
}

fn refused(place: &Place, what: &str, words: String) -> anyhow::Error {
    let host = &place.host;
    let meaning = meaning(&words);
    match meaning {
        Meaning::Throttled(_) | Meaning::Limit => {
            Fault::try_later(format!("{what}: `{host}` requests a wait"))
                .retry_after(meaning.wait())
        }
        Meaning::NotConnected => not_connected(place),
        Meaning::TokenExpired => return expired(place, words),
        Meaning::Unavailable | Meaning::ServerBug => {
            Fault::try_later(format!("{what}: `{host}` is not ready"))
        }
        Meaning::Forbidden => Fault::no_access(format!("{what}: no permission")),
        Meaning::NoFolder => Fault::config(what),
        Meaning::Gone | Meaning::Other => Fault::refused(what),
    }
    .said(words)
    .into()
}

fn not_connected(place: &Place) -> Fault {
    let (host, user) = (&place.host, &place.user);
    Fault::no_access(format!(
        "signed in to `{host}`, but cannot open mailbox `{user}`"
    ))
    .cause(Cause::MailboxClosed)
    .of(Scope::Mailbox)
}

fn expired(place: &Place, words: String) -> anyhow::Error {
    let fault = Fault::try_later(format!("`{}` ended the session", place.host)).said(words);
    anyhow::Error::new(fault).context(TokenExpired)
}

/// The end of a connection.
pub fn cut_off(place: &Place, cut: Cut) -> anyhow::Error {
    let host = &place.host;
    let lost = |cause, what| {
        Fault::try_later(what)
            .cause(cause)
            .at(host, Some(place.port))
    };
    match cut {
        // The sink's own error is the root.
        Cut::Sink(e) => return e.into(),
        Cut::Io(e) if net::is_late(&e) => {
            lost(Cause::NoAnswer, format!("`{host}` did not answer in time"))
        }
        Cut::Io(e) => lost(
            Cause::ConnectionBroke,
            format!("the connection to `{host}` broke: {e}"),
        ),
        Cut::Closed => lost(
            Cause::ConnectionBroke,
            format!("`{host}` closed the connection"),
        ),
        Cut::Bye(words) => match meaning(&words) {
            Meaning::TokenExpired => return expired(place, words),
            asked @ (Meaning::Throttled(_) | Meaning::Limit) => {
                Fault::try_later(format!("`{host}` requests a wait"))
                    .retry_after(asked.wait())
                    .said(words)
            }
            Meaning::NotConnected => not_connected(place).said(words),
            _ => Fault::try_later(format!("`{host}` ended the session")).said(words),
        },
        Cut::TooMuch(what) => {
            Fault::refused(format!("`{host}` sent more than queuemail accepts: {what}"))
        }
        Cut::Disorder(what) => Fault::try_later(format!("`{host}` sent {what}")),
    }
    .into()
}

/// A sign-in that was refused; `challenge` is the JSON that some servers add.
pub fn not_signed_in(place: &Place, words: String, challenge: Option<String>) -> anyhow::Error {
    let (host, user) = (&place.host, &place.user);
    if let Meaning::Throttled(_) | Meaning::Limit | Meaning::Unavailable | Meaning::ServerBug =
        meaning(&words)
    {
        return refused(place, &format!("cannot sign in to mailbox `{user}`"), words);
    }
    let said = match challenge {
        Some(json) => format!("{words} {json}"),
        None => words,
    };
    Fault::no_access(format!("`{host}` refuses the sign-in to mailbox `{user}`"))
        .said(said)
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_words_are_understood() {
        for (words, expected) in [
            (
                "BAD Request is throttled. Suggested Backoff Time: 299910 milliseconds",
                Meaning::Throttled(Some(Duration::from_millis(299_910))),
            ),
            (
                "NO Request is throttled. Suggested Backoff Time: soon",
                Meaning::Throttled(None),
            ),
            (
                "BAD User is authenticated but not connected.",
                Meaning::NotConnected,
            ),
            (
                "BYE Session invalidated - AccessTokenExpired",
                Meaning::TokenExpired,
            ),
            ("NO Server Unavailable. 15", Meaning::Unavailable),
            (
                "BAD Command received in Invalid state.",
                Meaning::Unavailable,
            ),
            ("NO [TRYCREATE] no", Meaning::NoFolder),
            ("NO [EXPUNGEISSUED] gone", Meaning::Gone),
            ("NO AUTHENTICATE failed.", Meaning::Other),
        ] {
            assert_eq!(meaning(words), expected, "{words}");
        }
    }
}

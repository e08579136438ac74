//! What tokens, locks, waits and ways are known by. On disk each is a line of words, which released
//! versions wrote too.

use std::fmt;

/// What tokens are kept by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TokenKey {
    /// `https://<login host>/<tenant>`.
    pub authority: String,
    pub client_id: String,
    /// The person's account in lower case; empty for the client itself.
    pub account: String,
    /// Empty for a refresh token, which serves every scope.
    pub scope: String,
}

impl TokenKey {
    /// One line that holds all of it.
    pub fn text(&self) -> String {
        format!("{}\t{}", self.subject(), self.scope)
    }

    /// The key that [`TokenKey::text`] gave.
    pub fn parse(text: &str) -> TokenKey {
        let mut parts = text.splitn(4, '\t').map(str::to_owned);
        let mut next = || parts.next().unwrap_or_default();
        TokenKey {
            authority: next(),
            client_id: next(),
            account: next(),
            scope: next(),
        }
    }

    /// Who signs in, whatever for: a refresh token, a lock and a wait are kept by it.
    pub fn subject(&self) -> String {
        format!("{}\t{}\t{}", self.authority, self.client_id, self.account)
    }

    /// The key of the subject's refresh token.
    pub fn of_refresh(&self) -> TokenKey {
        TokenKey {
            scope: String::new(),
            ..self.clone()
        }
    }

    pub fn is_refresh(&self) -> bool {
        self.scope.is_empty()
    }
}

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender<'a> {
    /// The name of the outgoing server.
    pub server: &'a str,
    /// Who signs in there.
    pub user: &'a str,
}

impl fmt::Display for Sender<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.server, self.user)
    }
}

/// What one process at a time does.
#[derive(Clone, Copy, Debug)]
pub enum LockName<'a> {
    /// Fetches this mailbox (in lower case).
    Fetch { mailbox: &'a str },
    /// Uses one of the connections that a sender may have, of this number.
    Connection { sender: Sender<'a>, number: u32 },
    /// Asks for tokens of a subject.
    SignIn(&'a TokenKey),
    /// Works on a message of the outbox, which has this body.
    Message { body: &'a str },
    /// Serves one of the sessions that a submitter may have, of this number.
    Session { who: &'a str, number: u32 },
    /// Renews credentials of this app (its client ID in lower case).
    Rotation { client_id: &'a str },
}

impl LockName<'_> {
    /// The first word of [`LockName::Message`]. The name of a body follows.
    pub const OF_A_MESSAGE: &'static str = "outbox ";
    /// The first word of [`LockName::Fetch`]. The mailbox follows.
    pub const OF_A_MAILBOX: &'static str = "fetch ";
}

impl fmt::Display for LockName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LockName::Fetch { mailbox } => write!(f, "{}{mailbox}", LockName::OF_A_MAILBOX),
            LockName::Connection { sender, number } => write!(f, "smtp {sender} {number}"),
            LockName::SignIn(key) => write!(f, "token {}", key.subject()),
            LockName::Message { body } => write!(f, "{}{body}", LockName::OF_A_MESSAGE),
            LockName::Session { who, number } => write!(f, "session {who} {number}"),
            LockName::Rotation { client_id } => write!(f, "rotation {client_id}"),
        }
    }
}

/// What is left alone until a time.
#[derive(Clone, Copy, Debug)]
pub enum WaitName<'a> {
    /// To read this mailbox (in lower case).
    Mailbox(&'a str),
    /// To send.
    Sending(Sender<'a>),
    /// To deliver there.
    Destination(&'a str),
    /// To ask for tokens of a subject.
    SignIn(&'a TokenKey),
    /// A sign-in that failed; its time is when it did.
    SignInFailed(&'a TokenKey),
    /// To try a password that was refused.
    PasswordRefused(&'a TokenKey),
}

impl WaitName<'_> {
    /// The first words of each that is about tokens. A subject follows.
    pub const OF_TOKENS: [&'static str; 3] = ["token ", "token failed ", "password refused "];
    /// The first word of [`WaitName::Mailbox`]. The mailbox follows.
    pub const OF_A_MAILBOX: &'static str = "mailbox ";
    /// The first word of [`WaitName::Sending`]. A sender follows.
    pub const OF_SENDING: &'static str = "sending ";

    /// The service that asks for the wait; `None` where the program itself waits.
    pub fn service(&self) -> Option<&'static str> {
        match self {
            WaitName::Mailbox(_) => Some("reading"),
            WaitName::Sending(_) => Some("sending"),
            WaitName::Destination(_) => Some("delivery"),
            WaitName::SignIn(_) => Some("sign-in"),
            WaitName::SignInFailed(_) | WaitName::PasswordRefused(_) => None,
        }
    }
}

impl fmt::Display for WaitName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [sign_in, failed, refused] = WaitName::OF_TOKENS;
        match self {
            WaitName::Mailbox(mailbox) => write!(f, "{}{mailbox}", WaitName::OF_A_MAILBOX),
            WaitName::Sending(sender) => write!(f, "{}{sender}", WaitName::OF_SENDING),
            WaitName::Destination(place) => write!(f, "delivery {place}"),
            WaitName::SignIn(key) => write!(f, "{sign_in}{}", key.subject()),
            WaitName::SignInFailed(key) => write!(f, "{failed}{}", key.text()),
            WaitName::PasswordRefused(key) => write!(f, "{refused}{}", key.subject()),
        }
    }
}

/// What a way was found for: another server may have another app.
#[derive(Clone, Copy, Debug)]
pub enum WayName<'a> {
    /// To read a mailbox.
    Reading { mailbox: &'a str, server: &'a str },
    /// To send from a mailbox.
    Sending { mailbox: &'a str, server: &'a str },
}

impl fmt::Display for WayName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (verb, mailbox, server) = match self {
            WayName::Reading { mailbox, server } => ("read", mailbox, server),
            WayName::Sending { mailbox, server } => ("send", mailbox, server),
        };
        write!(f, "{verb} {} {server}", mailbox.to_lowercase())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a released version wrote is found again.
    #[test]
    fn names_stay_as_they_are_on_disk() {
        let key = TokenKey {
            authority: "https://login.example/t".into(),
            client_id: "c".into(),
            account: "eva@x".into(),
            scope: "imap".into(),
        };
        let sender = Sender {
            server: "my server",
            user: "Eva@x",
        };
        let mailbox = "eva@x";
        for (name, on_disk) in [
            (LockName::Fetch { mailbox }.to_string(), "fetch eva@x"),
            (
                LockName::Connection { sender, number: 3 }.to_string(),
                "smtp my server Eva@x 3",
            ),
            (
                LockName::SignIn(&key).to_string(),
                "token https://login.example/t\tc\teva@x",
            ),
            (WaitName::Mailbox(mailbox).to_string(), "mailbox eva@x"),
            (
                WaitName::Sending(sender).to_string(),
                "sending my server Eva@x",
            ),
            (
                WaitName::SignIn(&key).to_string(),
                "token https://login.example/t\tc\teva@x",
            ),
            (
                WaitName::SignInFailed(&key).to_string(),
                "token failed https://login.example/t\tc\teva@x\timap",
            ),
            (
                WaitName::PasswordRefused(&key).to_string(),
                "password refused https://login.example/t\tc\teva@x",
            ),
            (
                WayName::Reading {
                    mailbox: "Eva@x",
                    server: "s",
                }
                .to_string(),
                "read eva@x s",
            ),
            (
                WayName::Sending {
                    mailbox: "Eva@x",
                    server: "s",
                }
                .to_string(),
                "send eva@x s",
            ),
        ] {
            assert_eq!(name, on_disk);
        }
    }
}

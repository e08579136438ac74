//! What a server of PostgreSQL, or the way to it, may answer with.

use crate::fault::Fault;
use std::fmt;
use std::time::Duration;

/// Why a statement, or a connection, did not come about.
#[derive(Debug)]
pub struct Error {
    pub why: Why,
    /// In words.
    text: String,
}

#[derive(Debug)]
pub enum Why {
    /// The server says so, with this SQLSTATE (PostgreSQL, appendix A).
    Server { code: String },
    /// The connection ended, or did not come about, after it had.
    Lost,
    /// Nothing came in time.
    Silent,
    /// No host was reached, or none that is trusted.
    Network(Box<Fault>),
    /// All hosts that were reached are standbys, which change nothing.
    Standby,
    /// The server is older than what is needed.
    TooOld,
    /// The server asks for a password, and none is known.
    NoPassword,
    /// The server asks for the password in a form that gives it away: its name.
    WeakMethod,
    /// The server, or its certificate, is not the one that knows the password; or it wants to be
    /// signed in to in a way that is not known.
    NotSignedIn,
    /// The server speaks something else.
    Strange,
}

impl Error {
    pub fn new(why: Why, text: impl Into<String>) -> Error {
        Error {
            why,
            text: text.into(),
        }
    }

    pub fn silent(after: Duration) -> Error {
        let seconds = after.as_secs_f32();
        Error::new(Why::Silent, format!("no answer within {seconds} seconds"))
    }

    /// The SQLSTATE that the server gave.
    pub fn code(&self) -> &str {
        match &self.why {
            Why::Server { code } => code,
            _ => "",
        }
    }

    /// The connection is of no use any more.
    pub fn ends_connection(&self) -> bool {
        match &self.why {
            // The server took the part of a standby: another host may lead now.
            Why::Server { code } => {
                code.starts_with("08") || code.starts_with("57P") || code == "25006"
            }
            _ => true,
        }
    }

    /// Nobody knows whether what was sent last was done.
    pub fn leaves_doubt(&self) -> bool {
        self.ends_connection()
    }

    /// The same may succeed when it is done again at once.
    pub fn is_passing(&self) -> bool {
        match &self.why {
            Why::Server { code } => {
                self.ends_connection()
                    || matches!(code.as_str(), "40001" | "40P01" | "55P03" | "53300")
            }
            Why::Lost | Why::Standby => true,
            Why::Network(fault) => fault.kind == crate::fault::Kind::TryLater,
            _ => false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<tokio_postgres::Error> for Error {
    fn from(err: tokio_postgres::Error) -> Error {
        if let Some(said) = err.as_db_error() {
            let detail = said.detail().map(|detail| format!(" ({detail})"));
            let text = format!("{}{}", said.message(), detail.unwrap_or_default());
            let why = Why::Server {
                code: said.code().code().to_owned(),
            };
            return Error::new(why, text);
        }
        if err.is_closed() {
            return Error::new(Why::Lost, "the server closed the connection");
        }
        let Some(source) = std::error::Error::source(&err) else {
            return Error::new(Why::Strange, err.to_string());
        };
        match source.downcast_ref::<std::io::Error>() {
            Some(io) => match io.get_ref().and_then(|e| e.downcast_ref::<Refusal>()) {
                Some(refusal) => refusal.error(),
                None => Error::new(Why::Lost, format!("the connection broke: {io}")),
            },
            None => Error::new(Why::NotSignedIn, format!("{err}: {source}")),
        }
    }
}

/// What is not done, whatever the server says.
#[derive(Debug)]
pub enum Refusal {
    TooLarge(usize),
    WeakMethod(&'static str),
    UnknownMethod(u32),
    NoPassword,
}

impl Refusal {
    fn error(&self) -> Error {
        let why = match self {
            Refusal::TooLarge(_) => Why::Strange,
            Refusal::WeakMethod(_) => Why::WeakMethod,
            Refusal::UnknownMethod(_) => Why::NotSignedIn,
            Refusal::NoPassword => Why::NoPassword,
        };
        Error::new(why, self.to_string())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::TooLarge(size) => write!(f, "the server sent a message of {size} bytes"),
            Refusal::WeakMethod(name) => {
                write!(
                    f,
                    "the server asks for the password by `{name}`, which exposes it"
                )
            }
            Refusal::UnknownMethod(number) => {
                write!(
                    f,
                    "the server asks for an unknown authentication method ({number})"
                )
            }
            Refusal::NoPassword => f.write_str("the server asks for a password"),
        }
    }
}

impl std::error::Error for Refusal {}

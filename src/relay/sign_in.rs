//! The dialogue of AUTH (RFC 4954): PLAIN (RFC 4616) and LOGIN, up to a user and a password. Whether
//! they are right, others know.

use super::command::Refusal;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// What the client is asked for.
#[derive(Debug)]
pub enum Asked {
    /// The answer to PLAIN.
    Both,
    /// The answers to LOGIN: a user, then the password.
    User,
    Password {
        user: String,
    },
}

/// What follows from what the client said.
pub enum Step {
    Ask(Asked),
    /// The client says that this is its user and the password.
    Claim {
        user: String,
        password: Zeroizing<String>,
    },
}

impl Asked {
    /// What the server asks with, in base64 as it goes out.
    pub fn challenge(&self) -> &'static str {
        match self {
            Asked::Both => "",
            Asked::User => "VXNlcm5hbWU6",
            Asked::Password { .. } => "UGFzc3dvcmQ6",
        }
    }

    /// What follows from a line of the client.
    ///
    /// # Errors
    /// The client gave up, or cannot be understood.
    pub fn answered(self, line: &str) -> Result<Step, Refusal> {
        if line == "*" {
            return Err(Refusal::new(501, "5.7.0", "sign-in cancelled"));
        }
        self.read(line)
    }

    fn read(self, line: &str) -> Result<Step, Refusal> {
        let text = decoded(line)?;
        match self {
            Asked::User => Ok(Step::Ask(Asked::Password {
                user: text.to_string(),
            })),
            Asked::Password { user } => Ok(Step::Claim {
                user,
                password: text,
            }),
            Asked::Both => plain(&text),
        }
    }
}

/// What follows from AUTH; `initial` is the answer to what would be asked first.
///
/// # Errors
/// The mechanism is not offered, or the answer cannot be understood.
pub fn begin(mechanism: &str, initial: Option<&str>) -> Result<Step, Refusal> {
    let first = match mechanism {
        "PLAIN" => Asked::Both,
        "LOGIN" => Asked::User,
        _ => {
            let text = "the mechanisms are PLAIN and LOGIN";
            return Err(Refusal::new(504, "5.5.4", text));
        }
    };
    match initial {
        Some(initial) => first.read(initial),
        None => Ok(Step::Ask(first)),
    }
}

/// RFC 4616: whom to act for, who signs in and a password, a NUL between two.
fn plain(text: &str) -> Result<Step, Refusal> {
    match text.split('\0').collect::<Vec<_>>()[..] {
        [whom, user, password] if whom.is_empty() || whom == user => Ok(Step::Claim {
            user: user.to_owned(),
            password: Zeroizing::new(password.to_owned()),
        }),
        _ => Err(not_base64()),
    }
}

fn decoded(text: &str) -> Result<Zeroizing<String>, Refusal> {
    // RFC 4954 §4: an initial response that is empty is written so.
    let text = if text == "=" { "" } else { text };
    let octets = STANDARD.decode(text).map_err(|_| not_base64())?;
    String::from_utf8(octets)
        .map(Zeroizing::new)
        .map_err(|_| not_base64())
}

fn not_base64() -> Refusal {
    Refusal::new(501, "5.5.2", "this is not base64")
}

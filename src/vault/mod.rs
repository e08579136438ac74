//! Stores of secrets outside of the state: the system's keyrings and programs of the
//! administrator, each reached by its own client.
//!
//! A store keeps one secret by each name and need know nothing else. What is put there is read
//! back and compared, because clients exist that cut a secret off and report success.
//!
//! - `command`: a program that speaks a small protocol
//! - `desktop`: the Secret Service (GNOME Keyring, KWallet, KeePassXC), by `secret-tool`
//! - `kernel`: the kernel's keyring of the user, by `keyctl`

mod command;
mod desktop;
mod kernel;

use crate::fault::{Cause, Fault, Kind};
use crate::model::{self, NoSecret, TokenStore};
use crate::output::escape;
use crate::secret::{Mask, Secret};

/// A store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Vault {
    /// The desktop's keyring.
    Desktop,
    /// The kernel's keyring.
    Kernel,
    /// A program and its arguments.
    Command(Vec<String>),
}

impl Vault {
    /// Where the configuration wants tokens to be kept from now on.
    pub fn wanted(store: &TokenStore) -> Vault {
        match store {
            TokenStore::Keyring if desktop::is_there() => Vault::Desktop,
            TokenStore::Keyring => Vault::Kernel,
            TokenStore::Command(words) => Vault::Command(words.clone()),
        }
    }

    /// True if the configuration lets tokens stay here: in either keyring, since cron, which
    /// knows no desktop, is not a reason to move them.
    pub fn suits(&self, store: Option<&TokenStore>) -> bool {
        match (self, store) {
            (_, None) => false,
            (Vault::Desktop | Vault::Kernel, Some(TokenStore::Keyring)) => true,
            (Vault::Command(own), Some(TokenStore::Command(words))) => own == words,
            _ => false,
        }
    }

    /// One word for machines.
    pub fn kind(&self) -> &'static str {
        match self {
            Vault::Desktop => "desktop",
            Vault::Kernel => "kernel",
            Vault::Command(_) => "command",
        }
    }

    /// The store in a form that [`Vault::decode`] reads.
    pub fn encode(&self) -> String {
        match self {
            Vault::Command(words) => serde_json::json!({ "command": words }).to_string(),
            other => other.kind().to_owned(),
        }
    }

    pub fn decode(text: &str) -> Option<Vault> {
        match text {
            "desktop" => Some(Vault::Desktop),
            "kernel" => Some(Vault::Kernel),
            _ => {
                let mut value: serde_json::Value = serde_json::from_str(text).ok()?;
                let words = serde_json::from_value(value["command"].take()).ok()?;
                Some(Vault::Command(words))
            }
        }
    }

    /// The store in words.
    pub fn words(&self) -> String {
        match self {
            Vault::Desktop => "the desktop's keyring".to_owned(),
            Vault::Kernel => "the kernel's keyring".to_owned(),
            Vault::Command(words) => {
                let program = words.first().map(String::as_str).unwrap_or_default();
                format!("the store of command `{}`", escape(program))
            }
        }
    }

    /// The secret of this name; `None` where there is none.
    ///
    /// # Errors
    /// `TryLater` where the store says so (75) or does not answer in a minute, else `Config`.
    pub fn get(&self, name: &str) -> Result<Option<Secret>, Fault> {
        match self {
            Vault::Desktop => desktop::get(name),
            Vault::Kernel => kernel::get(name),
            Vault::Command(words) => command::get(words, name),
        }
        .map_err(|fault| self.cannot("read", fault))
    }

    /// Keeps a secret under a name and compares what is there then.
    ///
    /// # Errors
    /// `TryLater` as above, else `CannotWrite`. Something may be there nevertheless.
    pub fn put(&self, name: &str, secret: &Secret) -> Result<(), Fault> {
        let cannot = |fault: Fault| {
            let kind = match fault.kind {
                Kind::TryLater => Kind::TryLater,
                _ => Kind::CannotWrite,
            };
            // A program may repeat what it could not take.
            let what = Mask::new([secret.clone()]).hide(&fault.what);
            self.cannot(
                "write to",
                Fault {
                    kind,
                    what,
                    ..fault
                },
            )
        };
        match self {
            Vault::Desktop => desktop::put(name, secret),
            Vault::Kernel => kernel::put(name, secret),
            Vault::Command(words) => command::put(words, name, secret),
        }
        .map_err(cannot)?;
        let differs = match self.get(name)? {
            Some(kept) if kept == *secret => return Ok(()),
            Some(kept) => format!(
                "wrote {} bytes, but read {} other bytes back",
                secret.expose().len(),
                kept.expose().len()
            ),
            None => "the written value is missing".to_owned(),
        };
        Err(cannot(Fault::config(differs)))
    }

    /// Makes sure that there is nothing of this name.
    pub fn erase(&self, name: &str) -> Result<(), Fault> {
        match self {
            Vault::Desktop => desktop::erase(name),
            Vault::Kernel => kernel::erase(name),
            Vault::Command(words) => command::erase(words, name),
        }
        .map_err(|fault| self.cannot("erase in", fault))
    }

    /// Writes, reads and erases an entry.
    pub fn probe(&self) -> Result<(), Fault> {
        let name = format!("check-{}", std::process::id());
        // Of the length of a token.
        let text = "queuemail ".repeat(400);
        self.put(&name, &Secret::new(text.trim_end()))?;
        self.erase(&name)?;
        match self.get(&name)? {
            None => Ok(()),
            Some(_) => {
                let fault = Fault::config("the erased value still exists");
                Err(self.cannot("erase in", fault))
            }
        }
    }

    fn cannot(&self, what: &str, fault: Fault) -> Fault {
        Fault {
            what: format!("cannot {what} {}: {}", self.words(), fault.what),
            ..fault
        }
    }
}

/// The output of a client, or `None` where `is_missing` says of its exit code and words that
/// there is no such entry. `package` is Debian's name of where the client comes from.
fn ask(
    words: &[&str],
    input: Option<&Secret>,
    is_missing: impl Fn(i32, &str) -> bool,
    package: Option<&str>,
) -> Result<Option<Secret>, Fault> {
    let program = escape(words.first().copied().unwrap_or_default());
    // The clients that come with the system are to speak the language that is read here.
    let environment: &[_] = match package {
        Some(_) => &[("LC_ALL", "C")],
        None => &[],
    };
    let (code, said) = match model::run_with(words, input, environment) {
        Ok(output) => return Ok(Some(output)),
        Err(NoSecret::Other(fault)) => return Err(fault),
        Err(NoSecret::NotThere) => {
            let fault = Fault::config(format!("command `{program}` does not exist"));
            return Err(match package {
                Some(package) => fault.hint(format!(
                    "install it (on Debian: apt-get install {package}), or keep tokens elsewhere: `token_store` in the configuration"
                )),
                None => fault.hint("use its full path: cron has a short PATH"),
            });
        }
        Err(NoSecret::Ended(code, said)) => (code, said),
    };
    if code.is_some_and(|code| is_missing(code, &said)) {
        return Ok(None);
    }
    let kind = match code {
        Some(75) => Kind::TryLater,
        _ => Kind::Config,
    };
    let how = match code {
        Some(code) => format!("`{program}` ended with exit code {code}"),
        None => format!("`{program}` was killed"),
    };
    let words = match said.is_empty() {
        true => String::new(),
        false => format!("; it said: {}", escape(&said)),
    };
    let fault = Fault::new(kind, format!("{how}{words}"));
    // strerror(3) of EDQUOT: no client gives its number.
    Err(match said.contains("quota exceeded") {
        true => fault.cause(Cause::StoreFull),
        false => fault,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_known_again() {
        for vault in [
            Vault::Desktop,
            Vault::Kernel,
            Vault::Command(vec!["a b".into(), "\"".into()]),
        ] {
            assert_eq!(Vault::decode(&vault.encode()), Some(vault));
        }
        assert_eq!(Vault::decode("elsewhere"), None);
    }
}

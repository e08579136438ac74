//! The kernel's keyring of the user, through keyutils' `keyctl`.
//!
//! Which keyring: the session's ends with the session, and the user's when the last process of
//! the user ends, which is between any two runs of cron. The persistent one (persistent-keyring(7))
//! stays for three days after its last use, in memory alone. It is linked into the session's and
//! the user's, by which the process possesses it: cron has no session keyring, and a systemd
//! service has one that knows nothing of the user's. A kernel without it has the user's.

use super::ask;
use crate::fault::{Cause, Fault};
use crate::secret::Secret;

const PACKAGE: Option<&str> = Some("keyutils");

pub fn get(name: &str) -> Result<Option<Secret>, Fault> {
    let key = key(name);
    let words = ["keyctl", "pipe", &key];
    // At the first use in a session the keyring must be linked; that it is not looks the same
    // as a key that is not there.
    let first = |code, said: &str| is_missing(code, said) || said.contains("Permission denied");
    match ask(&words, None, first, PACKAGE)? {
        Some(secret) => Ok(Some(secret)),
        None => {
            keyring()?;
            ask(&words, None, is_missing, PACKAGE)
        }
    }
}

pub fn put(name: &str, secret: &Secret) -> Result<(), Fault> {
    let keyring = keyring()?;
    let name = format!("queuemail-token:{name}");
    let words = ["keyctl", "padd", "user", &name, &keyring];
    ask(&words, Some(secret), |_, _| false, PACKAGE)
        .map(drop)
        .map_err(|fault| match fault.cause {
            Some(Cause::StoreFull) => fault.hint(
                "the kernel limits the bytes for keys of each user, and a token needs up to 4000; raise the limit: sysctl kernel.keys.maxbytes=200000",
            ),
            _ => fault,
        })
}

pub fn erase(name: &str) -> Result<(), Fault> {
    keyring()?;
    let words = ["keyctl", "invalidate", &key(name)];
    ask(&words, None, is_missing, PACKAGE).map(drop)
}

fn key(name: &str) -> String {
    format!("%user:queuemail-token:{name}")
}

/// Links the persistent keyring, which also begins its three days again; gives its number.
fn keyring() -> Result<String, Fault> {
    let mut found = None;
    for place in ["@s", "@u"] {
        found = ask(
            &["keyctl", "get_persistent", place],
            None,
            |_, _| true,
            PACKAGE,
        )?;
    }
    Ok(match found {
        Some(number) => number.expose().trim().to_owned(),
        None => "@u".to_owned(),
    })
}

/// What `keyctl` says of a key that is not there, or not any more.
fn is_missing(code: i32, said: &str) -> bool {
    const WORDS: [&str; 4] = [
        "Can't find",
        "Required key not available",
        "Key has expired",
        "Key has been revoked",
    ];
    code == 1 && WORDS.iter().any(|words| said.contains(words))
}

//! The Secret Service of the desktop, through libsecret's `secret-tool`.
//!
//! It needs the session's bus. cron has none unless it is given one:
//! `DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/UID/bus`, while the person is signed in.

use super::ask;
use crate::fault::Fault;
use crate::secret::Secret;

const PACKAGE: Option<&str> = Some("libsecret-tools");

/// True if there is a bus to ask for it.
pub fn is_there() -> bool {
    std::env::var_os("DBUS_SESSION_BUS_ADDRESS").is_some_and(|address| !address.is_empty())
}

pub fn get(name: &str) -> Result<Option<Secret>, Fault> {
    let [service, queuemail, key] = ATTRIBUTES;
    reachable()?;
    let words = ["secret-tool", "lookup", service, queuemail, key, name];
    ask(&words, None, is_missing, PACKAGE)
}

pub fn put(name: &str, secret: &Secret) -> Result<(), Fault> {
    let [service, queuemail, key] = ATTRIBUTES;
    reachable()?;
    let label = format!("--label=queuemail: {name}");
    let words = [
        "secret-tool",
        "store",
        &label,
        service,
        queuemail,
        key,
        name,
    ];
    ask(&words, Some(secret), |_, _| false, PACKAGE).map(drop)
}

pub fn erase(name: &str) -> Result<(), Fault> {
    let [service, queuemail, key] = ATTRIBUTES;
    reachable()?;
    let words = ["secret-tool", "clear", service, queuemail, key, name];
    ask(&words, None, is_missing, PACKAGE).map(drop)
}

/// What entries are found by; those of secrets that a person put there have another service.
const ATTRIBUTES: [&str; 3] = ["service", "queuemail-token", "name"];

/// Where there is none of that name, `secret-tool` says nothing.
fn is_missing(code: i32, said: &str) -> bool {
    code == 1 && said.is_empty()
}

/// Without a bus, `secret-tool` would start one for itself, with an empty keyring.
fn reachable() -> Result<(), Fault> {
    match is_there() {
        true => Ok(()),
        false => Err(Fault::config("DBUS_SESSION_BUS_ADDRESS is not set")
            .hint("in a crontab, while the user is signed in: DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/UID/bus")
            .hint("a server has no desktop: without that variable, `token_store: keyring` uses the kernel's keyring")),
    }
}

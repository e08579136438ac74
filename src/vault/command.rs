//! A program of the administrator. One word and a name follow its own arguments:
//!
//! - `get NAME` prints the secret,
//! - `store NAME` reads it on standard input, all of it, and keeps it instead of any other,
//! - `erase NAME` erases it.
//!
//! Exit code 0: done; 66: nothing of this name is there; 75: try later; any other: it failed. It
//! has a minute. A secret is printable ASCII on one line of up to 20 KiB; a line end that the
//! program adds is taken off.

use super::ask;
use crate::fault::Fault;
use crate::secret::Secret;

/// `EX_NOINPUT` of sysexits.h.
const NOTHING_THERE: i32 = 66;

pub fn get(words: &[String], name: &str) -> Result<Option<Secret>, Fault> {
    let found = run(words, "get", name, None)?;
    Ok(found.map(|text| Secret::new(text.expose().trim_end_matches(['\r', '\n']))))
}

pub fn put(words: &[String], name: &str, secret: &Secret) -> Result<(), Fault> {
    match run(words, "store", name, Some(secret))? {
        Some(_) => Ok(()),
        None => Err(Fault::config(format!(
            "it ended with exit code {NOTHING_THERE} for `store`"
        ))),
    }
}

pub fn erase(words: &[String], name: &str) -> Result<(), Fault> {
    run(words, "erase", name, None).map(drop)
}

fn run(
    words: &[String],
    verb: &str,
    name: &str,
    input: Option<&Secret>,
) -> Result<Option<Secret>, Fault> {
    let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
    words.extend([verb, name]);
    ask(&words, input, |code, _| code == NOTHING_THERE, None)
}

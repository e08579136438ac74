//! Who may sign in: a file with a line `USER:PASSWORD` for each, as private as a secret's.

use crate::digest::sha256;
use crate::fault::Fault;
use crate::files::{self, owner_hint};
use crate::shell;
use anyhow::Result;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// Octets of the file at most.
const MAX_FILE: u64 = 1 << 20;

/// Users and digests of their passwords, which are compared: how long that takes says nothing of
/// a password.
#[derive(Debug, Default)]
pub struct Passwords(Vec<(String, [u8; 32])>);

impl Passwords {
    /// Reads the file.
    ///
    /// # Errors
    /// `Config`: it cannot be read, others can read it, or a line is wrong. No content is shown.
    pub fn load(path: &Path) -> Result<Passwords> {
        let name = path.display();
        let cannot = |e: std::io::Error| {
            Fault::config(format!(
                "cannot read the passwords of the relay in `{name}`: {e}"
            ))
            .by_system(&e)
        };
        let about = path.metadata().map_err(cannot)?;
        let me = rustix::process::geteuid().as_raw();
        let of_root = about.uid() == 0;
        if about.uid() != me && !of_root {
            let what = format!("`{name}` belongs to another user (uid {})", about.uid());
            return Err(Fault::config(what)
                .hint(owner_hint(me, about.uid(), path))
                .into());
        }
        if about.permissions().mode() & files::forbidden(of_root, files::is_mounted(path)) != 0 {
            let what = format!("`{name}` contains passwords, and other users can read it");
            let hint = format!("chmod 600 {}", shell::quote(path));
            return Err(Fault::config(what).hint(hint).into());
        }
        let octets = files::read_plain(path, MAX_FILE).map_err(cannot)?;
        let text = std::str::from_utf8(&octets)
            .map_err(|_| Fault::config(format!("`{name}` is not UTF-8")))?;
        Passwords::parse(text).map_err(|line| {
            Fault::config(format!("line {line} of `{name}` is not USER:PASSWORD"))
                .hint("a user has no blank and no colon; `#` begins a comment line")
                .into()
        })
    }

    /// Reads the lines; the error is the number of the first that is wrong.
    fn parse(text: &str) -> Result<Passwords, usize> {
        let mut all = Vec::new();
        for (index, line) in text.lines().enumerate() {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let (user, password) = line.split_once(':').ok_or(index + 1)?;
            let is_plain = |c: char| !c.is_whitespace() && !c.is_control();
            if user.is_empty() || password.is_empty() || !user.chars().all(is_plain) {
                return Err(index + 1);
            }
            all.push((user.to_owned(), sha256(password.as_bytes())));
        }
        Ok(Passwords(all))
    }

    /// Whether this is one of the users, with their password.
    pub fn knows(&self, user: &str, password: &str) -> bool {
        let given = sha256(password.as_bytes());
        let mut known = false;
        for (name, digest) in &self.0 {
            known |= name == user && *digest == given;
        }
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_users_and_passwords() {
        let all = Passwords::parse("# who\n\nprinter:a:b c\nweb:x\r\n").unwrap();
        assert!(all.knows("printer", "a:b c") && all.knows("web", "x"));
        assert!(!all.knows("printer", "x") && !all.knows("", "") && !all.knows("# who", ""));
        for wrong in ["a", "a:", ":b", "a b:c"] {
            assert_eq!(
                Passwords::parse(&format!("x:y\n{wrong}\n")).unwrap_err(),
                2,
                "{wrong}"
            );
        }
    }
}

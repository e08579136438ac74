//! Root's mail, where the configuration is another user's: root becomes that user for good, as
//! `sudo -u` does, and so has their configuration, state and secrets, and their rights alone.

use crate::fault::Fault;
use crate::files;
use crate::shell;
use anyhow::Result;
use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// What is kept of root's environment: where things are, and how to write and connect.
const KEPT: &[&str] = &[
    "LANG",
    "PATH",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TZ",
    "HTTPS_PROXY",
    "NO_PROXY",
    "https_proxy",
    "no_proxy",
];
/// And what begins so.
const KEPT_BEGINNINGS: &[&str] = &["LC_", "QUEUEMAIL_"];

/// Runs the program again, with the same arguments, as the owner of the configuration file. Returns
/// where that cannot be.
///
/// # Errors
/// Why not.
pub fn run_as_owner(config: &Path, args: impl IntoIterator<Item = OsString>) -> Result<Infallible> {
    let cannot = |why: String| {
        Fault::config(format!(
            "cannot send as the owner of {}: {why}",
            shell::quote(config)
        ))
        .hint("to send the mail of every user of this machine: systemctl enable --now queuemail-relay.socket")
    };
    // A link would lead root to any user's file.
    let about = fs::symlink_metadata(config).map_err(|e| cannot(e.to_string()))?;
    if !about.is_file() || about.uid() == 0 {
        return Err(cannot("it is not a regular file of another user".to_owned()).into());
    }
    let known = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let owner = Owner::of(&known, about.uid());
    let program = std::env::current_exe().map_err(|e| cannot(e.to_string()))?;
    let mut args = args.into_iter();
    let mut command = Command::new(program);
    if let Some(name) = args.next() {
        command.arg0(name);
    }
    command
        .args(args)
        .env_clear()
        .envs(std::env::vars_os().filter(|(name, _)| is_kept(name)))
        .env("QUEUEMAIL_CONFIG", files::absolute(config)?)
        .uid(about.uid())
        .gid(owner.as_ref().map_or(about.gid(), |owner| owner.gid));
    if let Some(owner) = owner {
        command
            .env("HOME", owner.home)
            .env("USER", &owner.name)
            .env("LOGNAME", &owner.name);
    }
    Err(cannot(command.exec().to_string()).into())
}

fn is_kept(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    KEPT.contains(&&*name) || KEPT_BEGINNINGS.iter().any(|begin| name.starts_with(begin))
}

/// A user as passwd(5) has them.
#[derive(Debug, PartialEq, Eq)]
struct Owner {
    name: String,
    gid: u32,
    home: String,
}

impl Owner {
    fn of(passwd: &str, uid: u32) -> Option<Owner> {
        passwd
            .lines()
            .find_map(|line| match line.split(':').collect::<Vec<_>>()[..] {
                [name, _, id, gid, _, home, ..] if id.parse() == Ok(uid) => Some(Owner {
                    name: name.to_owned(),
                    gid: gid.parse().ok()?,
                    home: home.to_owned(),
                }),
                _ => None,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_their_number() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\n+::::::\nqueuemail:x:997:995::/var/lib/queuemail:/usr/sbin/nologin\n";
        let owner = Owner::of(passwd, 997).unwrap();
        assert_eq!(
            (&*owner.name, owner.gid, &*owner.home),
            ("queuemail", 995, "/var/lib/queuemail")
        );
        assert_eq!(Owner::of(passwd, 99), None);
        assert!(is_kept(OsStr::new("LC_ALL")) && !is_kept(OsStr::new("AWS_SECRET_ACCESS_KEY")));
    }
}

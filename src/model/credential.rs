//! What an app registration proves itself with, as both kinds of server have it.

use super::secret_source::SecretSource;
use crate::fault::Fault;
use crate::files;
use crate::output::escape;
use crate::secret::Secret;
use crate::shell;
use anyhow::Result;
use std::path::{Path, PathBuf};

/// No token of another identity provider is longer, in octets.
const LONGEST_TOKEN: u64 = 64 * 1024;

/// Where the token of another identity provider comes from (workload identity federation).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FederatedToken {
    /// `{file: P}`: a file that somebody else renews.
    File(PathBuf),
    /// `{env_file: V}`: an environment variable that holds the file's name.
    EnvFile(String),
    /// `{command: [program, argument…]}`: the first line of its standard output.
    Command(Vec<String>),
}

impl FederatedToken {
    /// The token, read now: those who issue it renew it every hour or less.
    ///
    /// # Errors
    /// `Config` where there is none; as of [`SecretSource::resolve`] for a command. Never with
    /// any of its content.
    pub fn read(&self) -> Result<Secret> {
        let (token, from) = match self {
            FederatedToken::Command(words) => {
                let source = SecretSource::Command(words.clone());
                let token = source.resolve("the federated token")?;
                (token, format!("the output of {}", source.words()))
            }
            FederatedToken::File(path) => (from_file(path)?, shown(path)),
            FederatedToken::EnvFile(name) => {
                let path = named_by(name)?;
                let from = format!("{} (named by {})", shown(&path), escape(name));
                (from_file(&path)?, from)
            }
        };
        let text = token.expose().trim();
        let is_jwt = text.split('.').count() == 3 && text.bytes().all(|b| b.is_ascii_graphic());
        if !is_jwt {
            return Err(Fault::config(format!(
                "cannot use the federated token: {from} does not contain a JWT (three parts joined by dots)"
            ))
            .hint("it must contain only the token, as the other identity provider issued it")
            .into());
        }
        Ok(Secret::new(text))
    }

    /// The file, if one is named and can be found out.
    pub fn file(&self) -> Result<Option<PathBuf>, Fault> {
        match self {
            FederatedToken::File(path) => Ok(Some(path.clone())),
            FederatedToken::EnvFile(name) => named_by(name).map(Some),
            FederatedToken::Command(_) => Ok(None),
        }
    }
}

fn shown(path: &Path) -> String {
    format!("file `{}`", path.display())
}

fn named_by(variable: &str) -> Result<PathBuf, Fault> {
    match std::env::var_os(variable).filter(|path| !path.is_empty()) {
        Some(path) => Ok(path.into()),
        None => Err(Fault::config(format!(
            "cannot use the federated token: environment variable `{}`, which names its file, is not set",
            escape(variable)
        ))
        .hint("Azure Kubernetes sets it in a pod with the label azure.workload.identity/use: \"true\"; cron and systemd do not pass variables on")),
    }
}

fn from_file(path: &Path) -> Result<Secret, Fault> {
    let cannot = |why: &str| {
        let file = shown(path);
        Fault::config(format!("cannot use the federated token: {file}: {why}"))
    };
    let octets = files::read_plain(path, LONGEST_TOKEN).map_err(|e| {
        let hint = format!("ls -l {}", shell::quote(path));
        cannot(&e.to_string()).hint(hint).by_system(&e)
    })?;
    let text = std::str::from_utf8(&octets).map_err(|_| cannot("it is not UTF-8"))?;
    Ok(Secret::new(text))
}

/// Whether the Azure host vouches for the program, and as which identity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ManagedIdentity {
    #[default]
    No,
    /// `true`: the user-assigned identity whose client ID is the server's `client_id`.
    User,
    /// `system`: the host's own; its client ID is not sent.
    System,
}

//! The command line that a definition came from, or could have come from. Secrets are no part of
//! it, so none can be shown: one that was typed appears as `--secret-stdin`.

use super::{Credential, Incoming, Mailbox, Outgoing};
use crate::model::{Authentication, Change, Given, ManagedIdentity, Name};
use crate::shell;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// A command line as it grows.
struct Line {
    text: String,
    /// The name, where it would be read as an option if it stood first.
    last: Option<String>,
}

impl Line {
    fn new(config: Option<&Path>, words: &str, name: &Option<Name>) -> Line {
        let mut line = Line {
            text: "queuemail".to_owned(),
            last: None,
        };
        line.option("--config", &config.map(Path::display));
        line.text += words;
        match name {
            Some(Name(name)) if name.starts_with('-') => line.last = Some(shell::quote(name)),
            Some(Name(name)) => line.text += &format!(" {}", shell::quote(name)),
            None => {}
        }
        line
    }

    /// The line, as it is told.
    fn end(&mut self) -> String {
        let line = match self.last.take() {
            Some(name) => format!("{} -- {name}", self.text),
            None => std::mem::take(&mut self.text),
        };
        format!("\nThe same without questions:\n  {line}\n")
    }

    fn option(&mut self, flag: &str, value: &Option<impl ToString>) -> &mut Line {
        if let Some(value) = value {
            let value = value.to_string();
            // What begins with a dash would be read as an option.
            let joint = if value.starts_with('-') { '=' } else { ' ' };
            self.text += &format!(" {flag}{joint}{}", shell::quote(&value));
        }
        self
    }

    fn file(&mut self, flag: &str, path: &Option<PathBuf>) -> &mut Line {
        self.option(flag, &path.as_ref().map(|path| path.display()))
    }

    fn changed_file(&mut self, flag: &str, path: &Option<Change<PathBuf>>) -> &mut Line {
        match path {
            Some(Change::Set(path)) => self.option(flag, &Some(path.display())),
            Some(Change::Unset) => self.option(flag, &Some("")),
            None => self,
        }
    }

    fn flag(&mut self, flag: &str, set: bool) -> &mut Line {
        if set {
            self.text += &format!(" {flag}");
        }
        self
    }

    /// Where a secret comes from; what was asked for is on standard input now.
    fn secret(&mut self, what: &str, given: &Option<Given>) -> &mut Line {
        match given {
            None => self,
            Some(Given::Asked | Given::Stdin) => self.flag(&format!("--{what}-stdin"), true),
            Some(Given::Source { kind, text }) => {
                let text: &OsStr = text;
                self.option(&format!("--{what}-{kind}"), &Some(text.display()))
            }
        }
    }

    fn credential(&mut self, of: &Credential) -> &mut Line {
        let expires = match &of.secret_expires {
            Some(Change::Set(day)) => Some(day.to_string()),
            Some(Change::Unset) => Some(String::new()),
            None => None,
        };
        self.option("--secret-expires", &expires)
            .changed_file("--certificate", &of.certificate)
            .changed_file("--private-key", &of.private_key)
            .secret("certificate-passphrase", &of.passphrase)
            .changed_file("--federated-token-file", &of.federated_token_file)
            .option("--federated-token-env-file", &of.federated_token_env_file)
            .option("--federated-token-command", &of.federated_token_command)
            .flag(
                "--managed-identity",
                of.managed_identity == Some(ManagedIdentity::User),
            )
            .flag(
                "--managed-identity=system",
                of.managed_identity == Some(ManagedIdentity::System),
            )
    }
}

/// The secret's source; where none is given and the app signs in as itself, it was asked for.
fn secret(
    given: &Option<Given>,
    authentication: Option<Authentication>,
    other: &Credential,
) -> Option<Given> {
    let is_asked = authentication == Some(Authentication::OauthService) && !other.replaces_secret();
    given.clone().or(is_asked.then_some(Given::Asked))
}

/// The command that adds this incoming server to the configuration named by `--config`.
pub fn incoming_line(config: Option<&Path>, of: &Incoming) -> String {
    Line::new(config, " server add incoming", &of.name)
        .option("--address", &of.address)
        .option("--auth", &of.authentication)
        .option("--client-id", &of.client_id)
        .secret(
            "secret",
            &secret(&of.secret, of.authentication, &of.credential),
        )
        .credential(&of.credential)
        .option("--via", &of.via)
        .option("--token-endpoint", &of.token_endpoint)
        .option("--authorization-endpoint", &of.authorization_endpoint)
        .option(
            "--device-authorization-endpoint",
            &of.device_authorization_endpoint,
        )
        .option("--imap", &of.imap)
        .option("--graph", &of.graph)
        .option("--scope", &of.scope)
        .file("--ca-file", &of.ca_file)
        .flag("--replace", of.replace)
        .end()
}

/// The same for an outgoing server.
pub fn outgoing_line(config: Option<&Path>, of: &Outgoing) -> String {
    let secret = match of.client_id {
        Some(_) => secret(&of.secret, of.authentication, &of.credential),
        None => of.secret.clone(),
    };
    Line::new(config, " server add outgoing", &of.name)
        .option("--tenant", &of.tenant)
        .option("--auth", &of.authentication)
        .option("--user", &of.user)
        .option("--app", &of.app)
        .option("--client-id", &of.client_id)
        .secret("secret", &secret)
        .credential(&of.credential)
        .secret("password", &of.password)
        .flag("--disabled", of.is_disabled)
        .option("--via", &of.via)
        .option("--smtp", &of.smtp)
        .option("--graph", &of.graph)
        .option("--scope", &of.scope)
        .file("--ca-file", &of.ca_file)
        .flag("--replace", of.replace)
        .end()
}

/// The same for a mailbox and its queue.
pub fn queue_line(config: Option<&Path>, of: &Mailbox) -> String {
    let mut line = Line::new(config, " queue add", &of.queue);
    line.option("--address", &of.address)
        .option("--server", &of.server)
        .option("--priority", &of.priority)
        .option("--extension-language", &of.extension_language)
        .option("--account", &of.account)
        .secret("password", &of.password)
        .flag("--sender", of.sender)
        .option("--outgoing", &of.outgoing);
    for folder in &of.folders {
        line.option("--folder", &Some(folder));
    }
    line.option("--start", &of.start);
    for condition in &of.select {
        line.option("--select", &Some(condition));
    }
    line.option("--deliver", &of.deliver)
        .option("--after", &of.after)
        .option("--queue-priority", &of.queue_priority)
        .option("--queue-language", &of.queue_language)
        .option("--queue-start", &of.queue_start)
        .flag("--replace", of.replace)
        .end()
}

//! Secrets from the options that name their source, from standard input or from a question;
//! never from the command line itself.

use super::Context;
use super::provision::{Required, typed_path};
use crate::cli::{PassphraseArgs, PasswordArgs, SecretArgs};
use crate::config::{self, SecretSource};
use crate::fault::Fault;
use crate::prompt;
use crate::secret::Secret;
use anyhow::Result;
use std::io::{IsTerminal, Read};
use std::path::PathBuf;

/// The longest secret taken from standard input, in bytes.
const MAX_SECRET: u64 = 64 << 10;

/// The options that name the source of a secret.
pub struct SourceFlags {
    /// `secret`, `certificate-passphrase` or `password`.
    what: &'static str,
    ask: bool,
    stdin: bool,
    file: Option<PathBuf>,
    env: Option<String>,
    command: Option<String>,
    keyring: Option<String>,
    credential: Option<String>,
}

impl From<&SecretArgs> for SourceFlags {
    fn from(a: &SecretArgs) -> SourceFlags {
        SourceFlags {
            what: "secret",
            ask: false,
            stdin: a.secret_stdin,
            file: a.secret_file.clone(),
            env: a.secret_env.clone(),
            command: a.secret_command.clone(),
            keyring: a.secret_keyring.clone(),
            credential: a.secret_credential.clone(),
        }
    }
}

impl From<&PassphraseArgs> for SourceFlags {
    fn from(a: &PassphraseArgs) -> SourceFlags {
        SourceFlags {
            what: "certificate-passphrase",
            ask: false,
            stdin: a.certificate_passphrase_stdin,
            file: a.certificate_passphrase_file.clone(),
            env: a.certificate_passphrase_env.clone(),
            command: a.certificate_passphrase_command.clone(),
            keyring: a.certificate_passphrase_keyring.clone(),
            credential: a.certificate_passphrase_credential.clone(),
        }
    }
}

impl From<&PasswordArgs> for SourceFlags {
    fn from(a: &PasswordArgs) -> SourceFlags {
        SourceFlags {
            what: "password",
            ask: a.set_password,
            stdin: a.password_stdin,
            file: a.password_file.clone(),
            env: a.password_env.clone(),
            command: a.password_command.clone(),
            keyring: a.password_keyring.clone(),
            credential: a.password_credential.clone(),
        }
    }
}

/// What options say of a secret.
pub enum Source {
    Absent,
    /// Given as the empty string: `set` takes the secret away.
    Unset,
    Set(SecretSource),
}

impl Source {
    pub fn put(&self, slot: &mut Option<SecretSource>) {
        match self {
            Source::Absent => {}
            Source::Unset => *slot = None,
            Source::Set(source) => *slot = Some(source.clone()),
        }
    }
}

impl SourceFlags {
    pub fn is_stdin(&self) -> bool {
        self.stdin
    }

    /// The source; reads standard input or asks where that is the source.
    pub fn source(&self, required: &Required, whose: &str) -> Result<Source> {
        let what = self.what;
        let text = [
            (&self.env, "env"),
            (&self.command, "command"),
            (&self.keyring, "keyring"),
            (&self.credential, "credential"),
        ]
        .into_iter()
        .find_map(|(value, kind)| value.as_deref().map(|v| (v, kind)));
        let source = if self.stdin {
            SecretSource::Plain(self.read_stdin()?)
        } else if self.ask {
            required.may_ask(&format!("--{what}-file"))?;
            self.asked(required.context, whose)?
        } else if let Some(path) = &self.file {
            if path.as_os_str().is_empty() {
                return Ok(Source::Unset);
            }
            let path = typed_path(path)?;
            if !path.starts_with("~") && !path.exists() {
                required.context.output.warn(&format!(
                    "`{}` is not there yet; it is read at each use",
                    path.display()
                ));
            }
            SecretSource::File(path)
        } else if let Some((text, kind)) = text {
            if text.is_empty() {
                return Ok(Source::Unset);
            }
            match kind {
                "env" if !variable_name(text) => {
                    return Err(Fault::usage(format!(
                        "`--{what}-env`: not the name of an environment variable"
                    ))
                    .hint(format!(
                        "give the variable's name, like CONTOSO_{}, not its value",
                        what.to_uppercase().replace('-', "_")
                    ))
                    .into());
                }
                "env" => SecretSource::Env(text.to_owned()),
                "command" => SecretSource::Command(
                    config::command_words(text)
                        .map_err(|e| Fault::usage(format!("`--{what}-command`: {e}")))?,
                ),
                "keyring" => SecretSource::Keyring(text.to_owned()),
                _ => SecretSource::Credential(text.to_owned()),
            }
        } else {
            return Ok(Source::Absent);
        };
        self.warn_of_secret_id(&source, required.context);
        Ok(Source::Set(source))
    }

    /// Asks for the secret, which the file will then hold.
    pub fn asked(&self, context: &Context, whose: &str) -> Result<SecretSource> {
        let label = match self.what {
            "secret" => "Client secret (the Value column)",
            _ => "Password",
        };
        let secret = prompt::secret(&format!("{label} of {whose}"))?;
        let source = SecretSource::Plain(secret);
        self.warn_of_secret_id(&source, context);
        Ok(source)
    }

    fn read_stdin(&self) -> Result<Secret> {
        let flag = format!("`--{}-stdin`", self.what);
        let stdin = std::io::stdin();
        if stdin.is_terminal() {
            return Err(Fault::usage(format!(
                "{flag} reads a pipe or a file, and standard input is a terminal"
            ))
            .hint("leave it out to be asked, with nothing shown on the screen")
            .into());
        }
        let mut text = zeroize::Zeroizing::new(Vec::new());
        stdin.lock().take(MAX_SECRET + 1).read_to_end(&mut text)?;
        let refuse = |why: &str| Fault::usage(format!("{flag}: {why}"));
        let text = std::str::from_utf8(&text).map_err(|_| refuse("standard input is not UTF-8"))?;
        let line = text.strip_suffix('\n').unwrap_or(text);
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() {
            return Err(refuse("standard input is empty").into());
        }
        if text.len() as u64 > MAX_SECRET || line.contains(['\n', '\r', '\0']) {
            return Err(refuse("standard input must hold one line").into());
        }
        Ok(Secret::new(line))
    }

    /// The portal shows two columns; the wrong one is a GUID.
    fn warn_of_secret_id(&self, source: &SecretSource, context: &Context) {
        if let ("secret", SecretSource::Plain(secret)) = (self.what, source)
            && config::is_guid(secret.expose())
        {
            context.output.warn(
                "this secret looks like the Secret ID; the portal shows the secret itself under Value",
            );
        }
    }
}

pub fn variable_name(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !text.starts_with(|c: char| c.is_ascii_digit())
}

//! Where a secret comes from: the text itself, or a file, variable, command, keyring entry or
//! systemd credential that holds it.

use crate::secret::Secret;
use std::path::PathBuf;

/// The source of a secret, as the YAML has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// The string itself; the file must then be private.
    Plain(Secret),
    /// `{file: P}`: the file's content without the line ending at its end.
    File(PathBuf),
    /// `{env: V}`.
    Env(String),
    /// `{command: [program, argument…]}`: the first line of its standard output.
    Command(Vec<String>),
    /// `{keyring: NAME}`.
    Keyring(String),
    /// `{credential: NAME}`: a file in systemd's `$CREDENTIALS_DIRECTORY`.
    Credential(String),
}

impl SecretSource {
    /// The keys of a mapping that says where a secret is.
    pub const KINDS: &[&str] = &["file", "env", "command", "keyring", "credential"];

    /// The same as they are written.
    pub const FORMS: &str =
        "{file: P}, {env: V}, {command: [..]}, {keyring: NAME}, {credential: NAME}";

    /// The source of a kind, one of [`Self::KINDS`], from one text.
    ///
    /// # Errors
    /// A phrase, which holds nothing of the text.
    pub fn of(kind: &str, text: &str) -> Result<SecretSource, String> {
        match kind {
            "file" => Ok(SecretSource::File(text.into())),
            "env" => Ok(SecretSource::Env(text.to_owned())),
            "command" => super::command_line::words(text).map(SecretSource::Command),
            "keyring" => Ok(SecretSource::Keyring(text.to_owned())),
            "credential" => Ok(SecretSource::Credential(text.to_owned())),
            _ => Err(format!(
                "one of {} is needed",
                SecretSource::KINDS.join(", ")
            )),
        }
    }
}

/// One secret, or a list of them: the first is in use, the others are also valid while it changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secrets(pub Vec<SecretSource>);

//! What the options of `server add` and `server set` say of an app's credential.

use super::provision::{change, change_path};
use super::secret_flags::{Source, variable_name};
use crate::cli::{CredentialArgs, IdentityArg};
use crate::config::{self, CredentialsMut, FederatedToken, ManagedIdentity};
use crate::fault::Fault;
use anyhow::Result;

/// Puts into a server's entry what the options give; an empty value takes a key away. The secret
/// itself is not among them.
pub fn set(
    slots: &mut CredentialsMut<'_>,
    args: &CredentialArgs,
    passphrase: &Source,
) -> Result<()> {
    change(
        slots.secret_expires,
        "--secret-expires",
        &args.secret_expires,
    )?;
    change_path(slots.certificate, &args.certificate)?;
    change_path(slots.private_key, &args.private_key)?;
    passphrase.put(slots.certificate_passphrase);
    change_path(slots.federated_token_file, &args.federated_token_file)?;
    if let Some(name) = &args.federated_token_env_file {
        if !variable_name(name) {
            return Err(Fault::usage(
                "`--federated-token-env-file`: not the name of an environment variable",
            )
            .into());
        }
        *slots.federated_token =
            (!name.is_empty()).then(|| FederatedToken::EnvFile(name.to_owned()));
    }
    if let Some(command) = &args.federated_token_command {
        *slots.federated_token = match command.as_str() {
            "" => None,
            text => Some(FederatedToken::Command(
                config::command_words(text)
                    .map_err(|e| Fault::usage(format!("`--federated-token-command`: {e}")))?,
            )),
        };
    }
    if let Some(identity) = args.managed_identity {
        *slots.managed_identity = match identity {
            IdentityArg::User => ManagedIdentity::User,
            IdentityArg::System => ManagedIdentity::System,
        };
    }
    Ok(())
}

/// Refuses two things to be read from the one standard input.
pub fn one_stdin(flags: &[(&str, bool)]) -> Result<()> {
    let given: Vec<&str> = flags
        .iter()
        .filter_map(|(flag, given)| given.then_some(*flag))
        .collect();
    match given[..] {
        [first, second, ..] => Err(Fault::usage(format!(
            "standard input cannot hold both `{first}` and `{second}`"
        ))
        .into()),
        _ => Ok(()),
    }
}

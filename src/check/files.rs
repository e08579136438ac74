//! Files that a server's entry names: readable for this user, and what is secret for nobody else.

use crate::fault::Fault;
use crate::files;
use crate::model::SecretSource;
use crate::office::{CredentialSource, Registration};
use crate::shell;
use crate::{net, x509};
use anyhow::Result;
use std::path::Path;

/// No file of a certificate, key or token is larger, in octets.
const LARGEST_FILE: u64 = 1 << 20;

/// Looks at all files of a registration; tells how many there are.
pub fn of_registration(registration: &Registration<'_>) -> Result<usize> {
    let mut files = 0;
    if let Some(path) = registration.ca_file {
        net::certificates(path)?;
        files += 1;
    }
    match &registration.credential {
        CredentialSource::Secret(source) => {
            files += secret(
                source,
                &format!("the secret of server `{}`", registration.server),
            )?;
        }
        CredentialSource::Certificate {
            certificate,
            private_key,
            passphrase,
        } => {
            readable(certificate, "certificate")?;
            files += 1;
            if let Some(key) = private_key {
                readable(key, "private_key")?;
                files += 1;
            }
            x509::check_closed(private_key.unwrap_or(certificate))?;
            if let Some(source) = passphrase {
                files += secret(
                    source,
                    &format!(
                        "the passphrase of the certificate of server `{}`",
                        registration.server
                    ),
                )?;
            }
        }
        CredentialSource::FederatedToken(source) => {
            if let Some(path) = source.file()? {
                readable(&path, "the federated token")?;
                files += 1;
            }
        }
        CredentialSource::None | CredentialSource::ManagedIdentity { .. } => {}
    }
    Ok(files)
}

/// A secret that a file holds; other sources are asked when the token is.
pub fn secret(source: &SecretSource, whose: &str) -> Result<usize> {
    match source {
        SecretSource::File(_) => source.resolve(whose).map(|_| 1),
        _ => Ok(0),
    }
}

fn readable(path: &Path, setting: &str) -> Result<()> {
    files::read_plain(path, LARGEST_FILE).map_err(|e| {
        Fault::config(format!("cannot read {setting} `{}`: {e}", path.display()))
            .hint(format!("ls -l {}", shell::quote(path)))
            .by_system(&e)
    })?;
    Ok(())
}

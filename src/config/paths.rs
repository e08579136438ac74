//! The one place where relative paths and `~/` of the file become absolute: a relative path
//! starts at the file's folder, so that cron and a shell mean the same file.

use crate::fault::Fault;
use crate::files;
use crate::model::{Config, FederatedToken, Queue, SecretSource, Secrets, Target};
use anyhow::Result;
use std::path::{Path, PathBuf};

/// Makes every path of the model absolute. Error: `~/` without a home folder.
pub fn resolve_paths(config: &mut Config, file: &Path) -> Result<()> {
    let file = files::absolute(file)?;
    let folder = files::folder_of(&file);
    let path = |p: &mut Option<PathBuf>| -> Result<()> {
        if let Some(p) = p {
            *p = absolute(p, folder)?;
        }
        Ok(())
    };
    let secret = |s: &mut Option<SecretSource>| secret(s, folder);
    let secrets = |s: &mut Option<Secrets>| -> Result<()> {
        for source in s.iter_mut().flat_map(|secrets| &mut secrets.0) {
            if let SecretSource::File(p) = source {
                *p = absolute(p, folder)?;
            }
        }
        Ok(())
    };
    target(&mut config.defaults.deliver, folder)?;
    let incoming = config.incoming_servers.iter_mut();
    let outgoing = config.outgoing_servers.iter_mut();
    let credentials = incoming
        .map(|s| s.credentials_mut())
        .chain(outgoing.map(|s| s.credentials_mut()));
    for c in credentials {
        secret(c.secret)?;
        path(c.certificate)?;
        path(c.private_key)?;
        secret(c.certificate_passphrase)?;
        path(c.federated_token_file)?;
        if let Some(FederatedToken::File(p)) = c.federated_token {
            *p = absolute(p, folder)?;
        }
    }
    if let Some(state) = &mut config.state {
        path(&mut state.ca_file)?;
        path(&mut state.certificate)?;
        path(&mut state.private_key)?;
        secrets(&mut state.key)?;
    }
    for s in &mut config.incoming_servers {
        path(&mut s.ca_file)?;
    }
    for s in &mut config.outgoing_servers {
        secret(&mut s.password)?;
        path(&mut s.ca_file)?;
    }
    path(&mut config.relay.password_file)?;
    for w in &mut config.webhooks {
        path(&mut w.ca_file)?;
        secret(&mut w.authorization)?;
        secrets(&mut w.secret)?;
    }
    for queue in &mut config.queues {
        of_queue(queue, folder)?;
    }
    Ok(())
}

/// Makes every path of a queue of the file absolute, likewise.
pub fn resolve_queue(queue: &mut Queue, file: &Path) -> Result<()> {
    let file = files::absolute(file)?;
    of_queue(queue, files::folder_of(&file))
}

fn of_queue(queue: &mut Queue, folder: &Path) -> Result<()> {
    for address in &mut queue.addresses {
        secret(&mut address.password, folder)?;
        target(&mut address.deliver, folder)?;
    }
    Ok(())
}

fn secret(source: &mut Option<SecretSource>, folder: &Path) -> Result<()> {
    if let Some(SecretSource::File(path)) = source {
        *path = absolute(path, folder)?;
    }
    Ok(())
}

fn target(target: &mut Option<Target>, folder: &Path) -> Result<()> {
    if let Some(target) = target {
        *target = absolute_target(target, folder)?;
    }
    Ok(())
}

/// A path as seen from `folder`, `~/` being the home folder.
pub fn absolute(path: &Path, folder: &Path) -> Result<PathBuf> {
    let Ok(below) = path.strip_prefix("~") else {
        return Ok(folder.join(path));
    };
    match std::env::var_os("HOME").filter(|h| !h.is_empty()) {
        Some(home) => Ok(Path::new(&home).join(below)),
        None => Err(Fault::config(format!(
            "`{}` needs a home folder, and HOME is not set",
            path.display()
        ))
        .hint("write the path in full")
        .into()),
    }
}

/// A delivery whose path, if it has one, is absolute.
pub fn absolute_target(target: &Target, folder: &Path) -> Result<Target> {
    let text = target.as_str();
    let resolved = match text.split_once(':') {
        Some((kind, path)) if Target::KINDS.contains(&(kind, true)) => {
            format!("{kind}:{}", absolute(Path::new(path), folder)?.display())
        }
        // HOST:PORT is not a path.
        Some(("lmtp", path)) if path.starts_with(['/', '.', '~']) => {
            format!("lmtp:{}", absolute(Path::new(path), folder)?.display())
        }
        _ => return Ok(target.clone()),
    };
    resolved
        .parse()
        .map_err(|e: String| Fault::config(e).into())
}

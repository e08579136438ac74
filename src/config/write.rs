//! Changing the file: under a lock, in one step, or not at all.

use super::check;
use super::edit::{HEAD, edit};
use super::load::{self, MAX_SIZE};
use super::paths::resolve_paths;
use super::preview::diff;
use crate::fault::{Fault, Kind};
use crate::files::{self, shown};
use crate::model::Config;
use crate::shell;
use anyhow::Result;
use rustix::fs::OFlags;
use std::fs::{File, Metadata};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

/// How long a change waits for others that change the file.
const LOCK_TIMEOUT: Duration = Duration::from_secs(60);

/// What a change did to the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// The file was not there before.
    pub new_file: bool,
    /// It was made private (0600), since it holds a secret now.
    pub made_private: bool,
}

/// Changes the configuration: `change` gets the model as the file has it (paths as written) and
/// turns it into the wanted one. The file is written only if they differ; a missing one is made.
///
/// Errors: those of `change`; 64 if the wanted model has a problem; 78 if the file has a
/// mistake or cannot be edited; 73 if it cannot be written; 75 if others hold the lock.
pub fn update<T>(
    path: &Path,
    change: impl FnOnce(&mut Config) -> Result<T>,
) -> Result<(T, Written)> {
    // A link stays a link; what it leads to is replaced.
    let target = target_of(path)?;
    let _lock = lock(&target)?;
    let (value, change) = prepare(&target, path, change)?;
    let Some(edited) = change.after else {
        return Ok((value, Written::default()));
    };
    let metadata = change.metadata;
    let plain = !change.new.plain_secrets().is_empty();
    // An existing file keeps its permissions, unless it holds a plain secret from now on.
    let mode = if plain || metadata.is_none() {
        0o600
    } else {
        0o777
    };
    put(&target, path, &edited, mode)?;
    let made_private = plain
        && metadata.as_ref().is_some_and(|m| {
            use std::os::unix::fs::PermissionsExt;
            m.permissions().mode() & 0o077 != 0
        });
    let written = Written {
        new_file: metadata.is_none(),
        made_private,
    };
    Ok((value, written))
}

/// Replaces the file at `target`, which a person calls `path`.
pub fn put(target: &Path, path: &Path, text: &str, mode: u32) -> Result<()> {
    files::replace(target, text.as_bytes(), mode).map_err(|err| {
        let why = err.root_cause().to_string();
        let what = format!("cannot write {}: {why}", shown(path));
        Fault::new(Kind::CannotWrite, what).into()
    })
}

/// The text of the file, and what else is known of it; `None` where there is none yet.
pub fn read_if_there(target: &Path) -> Result<Option<(String, Metadata)>> {
    match load::read(target) {
        Ok(read) => Ok(Some(read)),
        Err(_) if !target.exists() => Ok(None),
        Err(err) => Err(err),
    }
}

/// What [`update`] would do, as a diff in which no secret shows; nothing is written.
pub fn preview<T>(
    path: &Path,
    change: impl FnOnce(&mut Config) -> Result<T>,
) -> Result<(T, String)> {
    let target = target_of(path)?;
    let (value, change) = prepare(&target, path, change)?;
    let Some(after) = &change.after else {
        return Ok((value, String::new()));
    };
    let before = match &change.metadata {
        Some(_) => change.before.as_str(),
        None => "",
    };
    let name = path.display().to_string();
    let diff = diff(&name, (before, &change.old), (after, &change.new));
    Ok((value, diff))
}

/// A change that is ready to be written.
struct Change {
    before: String,
    old: Config,
    new: Config,
    /// `None` where nothing is to be written.
    after: Option<String>,
    /// Of the file as it is; `None` where there is none.
    metadata: Option<Metadata>,
}

fn prepare<T>(
    target: &Path,
    path: &Path,
    change: impl FnOnce(&mut Config) -> Result<T>,
) -> Result<(T, Change)> {
    let (text, metadata) = read_if_there(target)?.unzip();
    let text = text.unwrap_or_default();
    let text = match load::is_blank(&text) {
        true if text.is_empty() => HEAD.to_owned(),
        true => format!("{}\nversion: 1\n", text.trim_end()),
        false => text,
    };
    let old = load::parse(&text, path)?;
    if let Some(metadata) = &metadata {
        load::check_private(&old, metadata, path)?;
    }
    let mut new = old.clone();
    let value = change(&mut new)?;
    check_wanted(&new)?;
    resolve_paths(&mut new.clone(), path)?;
    let after = match new == old {
        true => None,
        false => Some(edited(&text, &old, &new, path)?),
    };
    let change = Change {
        before: text,
        old,
        new,
        after,
        metadata,
    };
    Ok((value, change))
}

/// The text with the change worked in.
fn edited(text: &str, old: &Config, new: &Config, path: &Path) -> Result<String> {
    let edited = edit(text, old, new).and_then(|edited| match edited.len() as u64 > MAX_SIZE {
        true => Err("the file would become too large".to_owned()),
        false => Ok(edited),
    });
    edited.map_err(|why| {
        Fault::config(format!("cannot change {}: {why}", shown(path)))
            .hint("change it by hand, then check it: queuemail config validate")
            .into()
    })
}

/// Refuses (64) a wanted model that has a problem.
pub fn check_wanted(config: &Config) -> Result<()> {
    let Some(problem) = check::problems(config).into_iter().next() else {
        return Ok(());
    };
    let mut fault = Fault::usage(match problem.note.as_str() {
        "" => problem.problem,
        note => format!("{}: {note}", problem.problem),
    });
    fault.hints.extend(problem.hint);
    Err(fault.into())
}

/// Where the links of a path lead, also when nothing is there yet.
pub fn target_of(path: &Path) -> Result<PathBuf> {
    const LINKS: usize = 40;
    let mut target = path.to_owned();
    for _ in 0..LINKS {
        match std::fs::read_link(&target) {
            Ok(next) => target = files::folder_of(&target).join(next),
            Err(_) => {
                // What is written lands where the links lead: none may be another user's.
                files::real_path(path, files::End::OwnFolder)?;
                return Ok(target);
            }
        }
    }
    Err(Fault::config(format!(
        "{} is a link to itself, through other links",
        shown(path)
    ))
    .into())
}

/// Takes the lock of a file, `.NAME.lock` next to it; the kernel releases it when the process ends.
/// The lock file stays, since removing it would let two hold it. The folder is made if need be.
pub fn lock(target: &Path) -> Result<File> {
    let folder = files::folder_of(target);
    if !folder.exists() {
        files::create_private_folder(folder)?;
    }
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let path = folder.join(format!(".{name}.lock"));
    let cannot = |e: std::io::Error| {
        let fault = Fault::new(
            Kind::CannotWrite,
            format!(
                "cannot write in the folder of {}: {}",
                shown(target),
                files::why(&e)
            ),
        )
        .by_system(&e);
        match e.kind() {
            std::io::ErrorKind::PermissionDenied => fault.hint(load::run_as_owner(target)),
            _ => fault,
        }
    };
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let flags = flags.bits().cast_signed();
    // Another user, root for one, may have made it; to lock it, reading is enough.
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o644)
        .custom_flags(flags)
        .open(&path)
        .or_else(|e| {
            let mut reading = File::options();
            let reading = reading.read(true).custom_flags(flags).open(&path);
            reading.map_err(|_| cannot(e))
        })?;
    // A blocked wait is fair and quick; the thread bounds it.
    let (done, wait) = mpsc::channel();
    std::thread::Builder::new()
        .spawn(move || {
            let _ = done.send(file.lock().map(|()| file));
        })
        .map_err(cannot)?;
    match wait.recv_timeout(LOCK_TIMEOUT) {
        Ok(Ok(file)) => Ok(file),
        Ok(Err(e)) => Err(Fault::new(
            Kind::CannotWrite,
            format!("cannot lock {}: {}", shown(&path), files::why(&e)),
        )
        .into()),
        Err(_) => Err(
            Fault::try_later(format!("another queuemail is changing {}", shown(target)))
                .hint(format!("see which: fuser -v {}", shell::quote(&path)))
                .into(),
        ),
    }
}

//! Files that must survive a crash: atomic replacement, private permissions, synced folders; and
//! the way to them, on which no stranger's link may be followed.

mod others;
mod way;

pub use crate::fault::remedy;
pub use others::{forbidden, is_mounted, narrow_hint, owner_hint, who_else_can_change};
pub use way::{End, real_path};

use crate::fault::Fault;
use crate::output::escape;
use crate::system;
use anyhow::{Context, Result};
use std::fs::{File, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Replaces `path` with `bytes` so that a reader or a crash sees the old or the new content,
/// never a mixture: temporary file next to it, fsync, rename, fsync of the folder.
///
/// An existing file keeps its owner and its permissions unless `mode` narrows them; a new one gets `mode`.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    put(path, bytes, mode, false)
}

/// The same for what others may read where this process lets them: a new file gets `mode` without
/// the bits of the umask.
pub fn replace_by_umask(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    put(path, bytes, mode, true)
}

fn put(path: &Path, bytes: &[u8], mode: u32, by_umask: bool) -> Result<()> {
    let folder = folder_of(path);
    let old = std::fs::metadata(path).ok();
    let mut builder = tempfile::Builder::new();
    if by_umask && old.is_none() {
        builder.permissions(Permissions::from_mode(mode));
    }
    let mut temp = builder
        .tempfile_in(folder)
        .with_context(|| format!("cannot create a file in `{}`", folder.display()))?;
    temp.write_all(bytes)
        .with_context(|| format!("cannot write in `{}`", folder.display()))?;
    let mode = match old {
        Some(old) => {
            // Root may change a service's file; the service must still be able to read it.
            // Where it may not be given away, the group at least.
            let owner = Some(rustix::fs::Uid::from_raw(old.uid()));
            let group = Some(rustix::fs::Gid::from_raw(old.gid()));
            let _ = rustix::fs::fchown(temp.as_file(), owner, group)
                .or_else(|_| rustix::fs::fchown(temp.as_file(), None, group));
            old.permissions().mode() & mode & 0o777
        }
        None if by_umask => temp.as_file().metadata()?.permissions().mode() & 0o777,
        None => mode,
    };
    temp.as_file()
        .set_permissions(Permissions::from_mode(mode))?;
    temp.as_file().sync_all()?;
    temp.persist(path)
        .map_err(|e| e.error)
        .with_context(|| format!("cannot replace `{}`", path.display()))?;
    sync_folder(folder)
}

/// Replaces the content of a file that is there, or that a link leads to, and keeps its owner and
/// permissions.
///
/// # Errors
/// `CannotWrite`.
pub fn rewrite(path: &Path, bytes: &[u8]) -> Result<()> {
    let path = real_path(path, End::File)?;
    let mode = match path.exists() {
        true => 0o777,
        false => 0o600,
    };
    replace(&path, bytes, mode).map_err(|e| {
        let why = e.root_cause().to_string();
        let what = format!("cannot replace `{}`: {why}", path.display());
        Fault::cannot_write(what).into()
    })
}

/// Makes sure that [`rewrite`] will find the file, a way to it, and a folder that can be written.
///
/// # Errors
/// `CannotWrite`, with what to do.
pub fn check_replaceable(path: &Path) -> Result<()> {
    let path = real_path(path, End::File)?;
    let folder = folder_of(&path);
    let about = path.metadata().map_err(|e| cannot("read", &path, &e))?;
    let above = folder.metadata().map_err(|e| cannot("read", folder, &e))?;
    if !about.is_file() || about.dev() != above.dev() {
        let what = format!(
            "cannot replace `{}`: it is mounted there, or is not a plain file",
            path.display()
        );
        return Err(Fault::cannot_write(what).into());
    }
    let probe = tempfile::Builder::new()
        .prefix(".probe")
        .tempfile_in(folder);
    probe.map(drop).map_err(|e| cannot("write in", folder, &e))
}

/// A file without a name in `folder`, for what memory is not to hold: it ends with the process.
pub fn nameless(folder: &Path) -> io::Result<File> {
    tempfile::tempfile_in(folder)
}

/// The path from the root of the filesystem on; no link is followed.
///
/// # Errors
/// `Usage`: it is empty, or the folder that it begins in is gone.
pub fn absolute(path: impl AsRef<Path>) -> Result<PathBuf> {
    let path = path.as_ref();
    if path.as_os_str().is_empty() {
        return Err(Fault::usage("a path is empty").into());
    }
    std::path::absolute(path).map_err(|err| no_folder(&err))
}

/// The folder that relative paths begin in.
///
/// # Errors
/// `Usage`: it is gone.
pub fn current_folder() -> Result<PathBuf> {
    std::env::current_dir().map_err(|err| no_folder(&err))
}

fn no_folder(err: &io::Error) -> anyhow::Error {
    Fault::usage(format!("cannot use the current folder: {err}"))
        .hint("it was probably removed: change to another one, or give absolute paths")
        .by_system(err)
        .into()
}

/// Opens a file to read it and waits for nobody: of a FIFO, that would be a writer.
pub fn open_at_once(path: &Path) -> io::Result<File> {
    File::options()
        .read(true)
        .custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed())
        .open(path)
}

/// Reads a plain file that may hold a secret, of at most `limit` octets.
///
/// # Errors
/// Those of the system; for a folder, FIFO or device, and for more octets, one that says so.
pub fn read_plain(path: &Path, limit: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    let file = open_at_once(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut octets = Zeroizing::new(Vec::new());
    file.take(limit + 1).read_to_end(&mut octets)?;
    if octets.len() as u64 > limit {
        return Err(io::Error::other(format!("it has more than {limit} bytes")));
    }
    Ok(octets)
}

/// Makes the entries of a folder durable.
pub fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder)
        .and_then(|f| f.sync_all())
        .map_err(|e| cannot("sync folder", folder, &e))
}

/// The fault of what cannot be done (`verb`) to a file or folder.
pub fn cannot(verb: &str, path: &Path, err: &std::io::Error) -> anyhow::Error {
    Fault::cannot_write(format!("cannot {verb} `{}`: {err}", path.display()))
        .hint(remedy(err))
        .by_system(err)
        .into()
}

/// Creates a folder and its parents, each private to this user (0700) and durable.
pub fn create_private_folder(path: &Path) -> Result<()> {
    make_folder(path)
        .map(drop)
        .map_err(|e| cannot("create folder", path, &e))
}

/// Creates a folder and its parents, each private to this user (0700); what was created is durable.
/// False where it was there already.
pub fn make_folder(path: &Path) -> io::Result<bool> {
    let mut folder = std::fs::DirBuilder::new();
    folder.mode(0o700);
    let made = match folder.create(path) {
        Err(e) if e.kind() == ErrorKind::NotFound && folder_of(path) != path => {
            make_folder(folder_of(path))?;
            folder.create(path)
        }
        made => made,
    };
    match made {
        Err(e) if e.kind() == ErrorKind::AlreadyExists && path.is_dir() => return Ok(false),
        made => made?,
    }
    match File::open(folder_of(path)) {
        // One that may be written in and not read cannot be synced.
        Err(e) if e.kind() == ErrorKind::PermissionDenied => {}
        above => above?.sync_all()?,
    }
    Ok(true)
}

/// A path as people write it: below their home folder with `~`.
pub fn shown(path: &Path) -> String {
    let home = std::env::var_os("HOME").filter(|h| h.len() > 1);
    let text = match home.and_then(|h| path.strip_prefix(h).ok().map(Path::to_owned)) {
        Some(below) => format!("~/{}", below.display()),
        None => path.display().to_string(),
    };
    escape(&text)
}

/// An I/O error in words, without Rust's "(os error n)".
pub fn why(e: &std::io::Error) -> String {
    let text = e.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_lowercase(),
        None => text,
    }
}

/// The folder that holds `path`; `.` for a bare name.
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p,
        _ => Path::new("."),
    }
}

/// Up to so many files are synced one by one; more are synced with everything else that their
/// filesystem has to write, which costs one wait instead of one for each.
const FEW: usize = 8;

/// Makes files in `folder` durable, with their names.
pub fn sync_files(folder: &Path, files: &[&Path]) -> std::io::Result<()> {
    let directory = File::open(folder)?;
    if files.len() > FEW
        && let Some(synced) = system::sync_filesystem(&directory)
    {
        return synced;
    }
    for path in files {
        File::open(path)?.sync_all()?;
    }
    directory.sync_all()
}

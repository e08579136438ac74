//! Bodies on their way: of the outbox and the quarantine, file by file or part by part, of which no
//! more than one part is in memory.

use super::end::End;
use super::rows::Sum;
use crate::digest::Sha256;
use crate::fault::{Fault, Kind};
use crate::files;
use crate::state::bodies::{OUTBOX, PART, QUARANTINE};
use crate::state::db::{Sql, Tx, Value, values};
use anyhow::Result;
use rustix::fs::OFlags;
use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A name of a body is no longer.
const LONGEST_NAME: usize = 200;

/// The name of a body, and its kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    kind: &'static str,
    name: String,
}

/// What was read of bodies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bodies {
    pub sum: Sum,
    pub octets: u64,
    /// Messages of the outbox whose body is not there.
    pub missing: u64,
}

/// A body that is read, or written.
#[derive(Clone, Copy)]
struct Part<'p> {
    number: i64,
    octets: &'p [u8],
    made_at: i64,
}

/// The bodies of a state: of the outbox those that a row names.
pub fn names(end: &End, tx: &mut Tx<'_>) -> Result<Vec<Name>> {
    const FILES: Sql<'_> = Sql::both("SELECT file FROM outbox ORDER BY id");
    const KEPT: Sql<'_> =
        Sql::postgres("SELECT DISTINCT id FROM body WHERE kind = 'quarantine' ORDER BY id");
    let promised: Vec<String> = end.own(tx.rows(&FILES, &[], |row| row.get(0)))?;
    let refused: Vec<String> = match end.folder() {
        Some(folder) => entries(&folder.join(QUARANTINE))?,
        None => end.own(tx.rows(&KEPT, &[], |row| row.get(0)))?,
    };
    let of = |kind, names: Vec<String>| {
        names.into_iter().map(move |name| match is_plain(&name) {
            true => Ok(Name { kind, name }),
            // It is to become a file's.
            false => Err(Fault::new(
                Kind::CannotWrite,
                format!(
                    "cannot move the body {name:?} of the {kind}: queuemail gives no such names"
                ),
            )
            .into()),
        })
    };
    of(OUTBOX, promised)
        .chain(of(QUARANTINE, refused))
        .collect()
}

/// The names of the files in a folder, if there is one.
fn entries(folder: &Path) -> Result<Vec<String>> {
    let cannot = |e| files::cannot("read", folder, &e);
    let entries = match fs::read_dir(folder) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(cannot)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        // The program's own names are plain.
        if let Ok(name) = entry.map_err(cannot)?.file_name().into_string()
            && is_plain(&name)
        {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Removes what a move that was given up has left.
fn remove_others(folder: &Path, kind: &str, names: &[Name]) -> Result<()> {
    let known: HashSet<&str> = names
        .iter()
        .filter(|name| name.kind == kind)
        .map(|name| &*name.name)
        .collect();
    for name in entries(folder)? {
        let path = folder.join(&name);
        if !known.contains(&*name) {
            fs::remove_file(&path).map_err(|e| files::cannot("remove", &path, &e))?;
        }
    }
    Ok(())
}

fn is_plain(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    !name.is_empty()
        && name.len() <= LONGEST_NAME
        && !name.starts_with('.')
        && name.chars().all(plain)
}

/// Reads bodies and changes nothing.
pub fn look(end: &End, tx: &mut Tx<'_>, names: &[Name]) -> Result<Bodies> {
    all(end, tx, names, |_, _| Ok(()))
}

/// Copies bodies.
pub fn copy(
    names: &[Name],
    (from, from_tx): (&End, &mut Tx<'_>),
    (to, to_tx): (&End, &mut Tx<'_>),
) -> Result<Bodies> {
    if let Some(folder) = to.folder() {
        for kind in [OUTBOX, QUARANTINE] {
            let folder = folder.join(kind);
            files::create_private_folder(&folder)?;
            remove_others(&folder, kind, names)?;
        }
    }
    let mut file = None;
    let copied = all(from, from_tx, names, |name, part| match to.folder() {
        Some(folder) => write_file(&folder.join(name.kind).join(&name.name), part, &mut file),
        None => put(to, to_tx, name, part),
    })?;
    finish(file.take())?;
    if let Some(folder) = to.folder() {
        for kind in [OUTBOX, QUARANTINE] {
            files::sync_folder(&folder.join(kind))?;
        }
    }
    Ok(copied)
}

/// Reads bodies, and gives each of their parts to `take`.
fn all(
    end: &End,
    tx: &mut Tx<'_>,
    names: &[Name],
    mut take: impl FnMut(&Name, Part<'_>) -> Result<()>,
) -> Result<Bodies> {
    let mut all = Bodies::default();
    for name in names {
        let mut digest = Sha256::new();
        digest.update(format!("{} {}\n", name.kind, name.name).as_bytes());
        let mut octets = 0;
        let mut each = |part: Part<'_>| {
            digest.update(part.octets);
            octets += part.octets.len() as u64;
            take(name, part)
        };
        let is_there = match end.folder() {
            Some(folder) => read_file(&folder.join(name.kind).join(&name.name), &mut each)?,
            None => read_rows(end, tx, name, &mut each)?,
        };
        match is_there {
            true => {
                all.sum.add(digest);
                all.octets += octets;
            }
            false => all.missing += 1,
        }
    }
    Ok(all)
}

/// False where there is none.
fn read_file(path: &Path, take: &mut dyn FnMut(Part<'_>) -> Result<()>) -> Result<bool> {
    let cannot = |e| files::cannot("read", path, &e);
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
        .open(path);
    let mut file = match file {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(false),
        file => file.map_err(cannot)?,
    };
    let modified = file.metadata().and_then(|about| about.modified());
    let age = modified.map_err(cannot)?.duration_since(UNIX_EPOCH);
    let made_at = age.map_or(0, |age| i64::try_from(age.as_secs()).unwrap_or(0));
    let mut octets = Vec::new();
    for number in 0.. {
        octets.clear();
        (&mut file)
            .take(PART as u64)
            .read_to_end(&mut octets)
            .map_err(cannot)?;
        if octets.is_empty() && number > 0 {
            break;
        }
        take(Part {
            number,
            octets: &octets,
            made_at,
        })?;
        if octets.len() < PART {
            break;
        }
    }
    Ok(true)
}

fn read_rows(
    end: &End,
    tx: &mut Tx<'_>,
    name: &Name,
    take: &mut dyn FnMut(Part<'_>) -> Result<()>,
) -> Result<bool> {
    const PART_OF: Sql<'_> =
        Sql::postgres("SELECT octets, made_at FROM body WHERE kind = ?1 AND id = ?2 AND part = ?3");
    for number in 0i64.. {
        let which = values![name.kind, &name.name, number];
        let part = tx.row(&PART_OF, &which, |row| {
            Ok((row.get::<Vec<u8>>(0)?, row.get(1)?))
        });
        let Some((octets, made_at)) = end.own(part)? else {
            return Ok(number > 0);
        };
        take(Part {
            number,
            octets: &octets,
            made_at,
        })?;
        if octets.len() < PART {
            break;
        }
    }
    Ok(true)
}

fn put(end: &End, tx: &mut Tx<'_>, name: &Name, part: Part<'_>) -> Result<()> {
    const PUT: Sql<'_> = Sql::postgres(
        "INSERT INTO body (kind, id, part, octets, made_at) VALUES (?1, ?2, ?3, ?4, ?5)",
    );
    let row = values![
        name.kind,
        &name.name,
        part.number,
        Value::Blob(part.octets),
        part.made_at
    ];
    end.own(tx.run(&PUT, &row)).map(drop)
}

/// A file that is being written, and when its content was made.
type Writing = Option<(PathBuf, File, i64)>;

fn write_file(path: &Path, part: Part<'_>, writing: &mut Writing) -> Result<()> {
    if part.number == 0 {
        finish(writing.take())?;
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
            .open(path)
            .map_err(|e| files::cannot("write", path, &e))?;
        *writing = Some((path.to_owned(), file, part.made_at));
    }
    match writing {
        Some((path, file, _)) => file
            .write_all(part.octets)
            .map_err(|e| files::cannot("write", path, &e)),
        None => Ok(()),
    }
}

/// Makes a file durable.
fn finish(writing: Writing) -> Result<()> {
    let Some((path, file, made_at)) = writing else {
        return Ok(());
    };
    let time: SystemTime = UNIX_EPOCH + Duration::from_secs(made_at.unsigned_abs());
    file.set_modified(time)
        .and_then(|()| file.sync_all())
        .map_err(|e| files::cannot("write", &path, &e))
}

//! mbox: one file that messages are appended to, in mboxrd form.
//!
//! The file is locked as Debian's policy has it, with a dot-lock next to it and fcntl. The lock is
//! held from the plan to the flush, so that the offset that an intent names stays true. After a
//! crash the octets at that offset tell whether the message was appended, in part or not at all.
//! One thing cannot be told: a reader that rewrites the file between the crash and the next run
//! may have taken the message out; it is then delivered again.

use super::{Delivery, Intent, Letter, cannot_write, mboxrd};

use crate::fault::Fault;
use crate::files::{self, End};
use crate::shell;
use anyhow::Result;
use jiff::Timestamp;
use rustix::fs::{FlockOperation, OFlags};
use rustix::process::geteuid;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{BufReader, BufWriter, Error, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// How long to wait for others who write the file.
const LOCK_WAIT: Duration = Duration::from_secs(60);
/// A dot-lock of another host's process is stale after this time (as liblockfile has it).
const LOCK_STALE: Duration = Duration::from_secs(300);
/// Octets of a lock that are read for the process that it names.
const LONGEST_PID: u64 = 32;

pub struct Mbox {
    path: PathBuf,
    spool: PathBuf,
    locked: Option<LockedFile>,
    /// Where the next planned message begins.
    end: u64,
    /// What must be written before it, for what stands there not to swallow it.
    gap: &'static str,
    /// Rendered messages that were appended, and are needed until that is on record.
    done: Vec<PathBuf>,
}

impl Mbox {
    pub fn open(path: &Path, spool: &Path) -> Mbox {
        Mbox {
            path: path.to_owned(),
            spool: spool.to_owned(),
            locked: None,
            end: 0,
            gap: "",
            done: Vec::new(),
        }
    }

    fn lock(&mut self) -> Result<()> {
        if self.locked.is_none() {
            let locked = LockedFile::open(&self.path)?;
            self.end = locked.length()?;
            self.gap = locked.gap(self.end)?;
            self.locked = Some(locked);
        }
        Ok(())
    }
}

impl Delivery for Mbox {
    fn staging(&self) -> &Path {
        &self.spool
    }

    fn plan(&mut self, staged: &Path, letter: &Letter) -> Result<Intent> {
        self.lock()?;
        let rendered = staged.with_extension("mbox");
        let gap = std::mem::take(&mut self.gap);
        let length = render(staged, &rendered, gap, &letter.address)
            .map_err(|e| cannot_write(&rendered, &e))?;
        let offset = self.end;
        self.end += length;
        Ok(Intent::Append {
            rendered,
            file: self.path.clone(),
            offset,
            length,
        })
    }

    fn deliver(&mut self, intent: &Intent, _: &Letter) -> Result<String> {
        let (
            Intent::Append {
                rendered, offset, ..
            },
            Some(locked),
        ) = (intent, &self.locked)
        else {
            return Err(super::not_ours(intent));
        };
        locked.append(rendered, *offset)?;
        self.done.push(rendered.clone());
        Ok(format!("mbox:{}", self.path.display()))
    }

    fn flush(&mut self) -> Result<()> {
        if let Some(locked) = self.locked.take() {
            locked.sync()?;
        }
        Ok(())
    }

    fn recorded(&mut self) {
        for path in self.done.drain(..) {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Finishes an append that a crash interrupted. False when the message must be fetched again. The
/// rendered message stays: until it is on record as delivered, this may have to be told once more.
pub fn recover(rendered: &Path, file: &Path, offset: u64, length: u64) -> Result<bool> {
    let locked = LockedFile::open(file)?;
    let Ok(wanted) = File::open(rendered) else {
        return Ok(false);
    };
    let end = locked.length()?;
    let present = end.saturating_sub(offset).min(length);
    let whole = present == length;
    let ours = is_at(&wanted, &locked.file, offset, present).map_err(|e| cannot_write(file, &e))?;
    if !ours || end < offset {
        // Somebody rewrote the file.
        return Ok(false);
    }
    if !whole {
        locked
            .file
            .set_len(offset)
            .map_err(|e| cannot_write(file, &e))?;
        locked.append(rendered, offset)?;
    }
    locked.sync()?;
    Ok(true)
}

/// Whether the first `length` octets of a file stand in another at `offset`.
fn is_at(wanted: &File, file: &File, offset: u64, length: u64) -> std::io::Result<bool> {
    let (mut theirs, mut ours) = ([0; 8192], [0; 8192]);
    let mut at = 0;
    while at < length {
        let piece = usize::try_from(length - at).map_or(ours.len(), |rest| rest.min(ours.len()));
        match wanted.read_exact_at(&mut ours[..piece], at) {
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(false),
            read => read?,
        }
        file.read_exact_at(&mut theirs[..piece], offset + at)?;
        if ours[..piece] != theirs[..piece] {
            return Ok(false);
        }
        at += piece as u64;
    }
    Ok(true)
}

/// Writes the mboxrd form of a staged message in its place, after `gap`, and returns the length.
fn render(staged: &Path, rendered: &Path, gap: &str, address: &str) -> std::io::Result<u64> {
    let mut out = BufWriter::new(
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(rendered)?,
    );
    let message = BufReader::new(File::open(staged)?);
    out.write_all(gap.as_bytes())?;
    mboxrd::write(&mut out, message, address, Timestamp::now())?;
    out.flush()?;
    let length = out.get_ref().metadata()?.len();
    std::fs::remove_file(staged)?;
    Ok(length)
}

/// No link is followed, and nobody is waited for: of a FIFO, that would be a reader.
const AT_ONCE: i32 = OFlags::NOFOLLOW
    .union(OFlags::NONBLOCK)
    .bits()
    .cast_signed();

/// Refuses what is no file, such as a pipe, which has no end to append at; a file that has another
/// name too, under which it may be anything; and root a file of another user.
pub(super) fn check(about: &Metadata, path: &Path) -> Result<()> {
    let why = if !about.is_file() {
        "it is not a regular file"
    } else if about.nlink() > 1 {
        "it has a second name (a hard link), so it could be a file that must not change"
    } else if geteuid().is_root() && about.uid() != 0 {
        let owner = about.uid();
        return Err(Fault::cannot_write(format!(
            "root does not write to `{}`, which belongs to another user (uid {owner})",
            path.display()
        ))
        .hint(files::owner_hint(0, owner, path))
        .into());
    } else {
        return Ok(());
    };
    Err(cannot_write(path, &Error::other(why)))
}

/// The mbox file, opened and locked in both ways.
struct LockedFile {
    file: File,
    path: PathBuf,
    _dot_lock: DotLock,
}

impl LockedFile {
    fn open(path: &Path) -> Result<LockedFile> {
        let end = Instant::now() + LOCK_WAIT;
        let path = &files::real_path(path, End::File)?;
        let dot_lock = DotLock::take(path, end)?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(AT_ONCE)
            .open(path)
            .map_err(|e| cannot_write(path, &e))?;
        let about = file.metadata().map_err(|e| cannot_write(path, &e))?;
        check(&about, path)?;
        while let Err(e) = rustix::fs::fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
            if !matches!(e, rustix::io::Errno::AGAIN | rustix::io::Errno::ACCESS) {
                return Err(cannot_write(path, &e.into()));
            }
            if Instant::now() >= end {
                return Err(busy(path).into());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(LockedFile {
            file,
            path: path.to_owned(),
            _dot_lock: dot_lock,
        })
    }

    fn length(&self) -> Result<u64> {
        Ok(self
            .file
            .metadata()
            .map_err(|e| cannot_write(&self.path, &e))?
            .len())
    }

    /// What must stand between the file's end and a `From ` line, which readers look for after an
    /// empty line (RFC 4155): another program may have left a line or a message unfinished there.
    fn gap(&self, end: u64) -> Result<&'static str> {
        let mut last = [0; 3];
        let last = &mut last[..usize::try_from(end).map_or(3, |end| end.min(3))];
        self.file
            .read_exact_at(last, end - last.len() as u64)
            .map_err(|e| cannot_write(&self.path, &e))?;
        Ok(match last {
            [] | [.., b'\n', b'\n'] | [b'\n', b'\r', b'\n'] => "",
            [.., b'\n'] => "\n",
            _ => "\n\n",
        })
    }

    /// Appends a rendered message at `offset`, the file's end. What was written in part is cut
    /// off again.
    fn append(&self, rendered: &Path, offset: u64) -> Result<()> {
        let copy = || -> std::io::Result<()> {
            let mut from = File::open(rendered)?;
            let mut to = &self.file;
            to.seek(SeekFrom::Start(offset))?;
            let mut buffer = vec![0; 64 << 10];
            loop {
                let n = from.read(&mut buffer)?;
                if n == 0 {
                    return Ok(());
                }
                to.write_all(&buffer[..n])?;
            }
        };
        copy().map_err(|e| {
            let _ = self.file.set_len(offset);
            cannot_write(&self.path, &e)
        })
    }

    fn sync(&self) -> Result<()> {
        self.file
            .sync_all()
            .map_err(|e| cannot_write(&self.path, &e))?;
        files::sync_folder(files::folder_of(&self.path))
    }
}

fn busy(path: &Path) -> Fault {
    Fault::try_later(format!(
        "`{}` has been locked by another program for {} s",
        path.display(),
        LOCK_WAIT.as_secs()
    ))
    .hint(
        "nothing was removed from the server; run the same command again when that program has ended",
    )
}

/// A lock file next to the mbox, which excludes others and the program's own threads.
struct DotLock(PathBuf);

impl DotLock {
    fn take(path: &Path, end: Instant) -> Result<DotLock> {
        let mut name = path.as_os_str().to_owned();
        name.push(".lock");
        let lock = PathBuf::from(name);
        loop {
            match OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o444)
                .open(&lock)
            {
                Ok(mut file) => {
                    let _ = write!(file, "{}", std::process::id());
                    return Ok(DotLock(lock));
                }
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
                    if remove_stale(&lock)? {
                        continue;
                    }
                }
                Err(e) => return Err(cannot_write(&lock, &e)),
            }
            if Instant::now() >= end {
                return Err(busy(path).into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for DotLock {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Removes a lock that is stale. Of several who find it so, one does: the next would remove the
/// lock that the first has made since.
///
/// # Errors
/// `CannotWrite` for what nobody makes to lock a file: a link, a FIFO, a device.
fn remove_stale(lock: &Path) -> Result<bool> {
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(AT_ONCE)
        .open(lock);
    let file = match opened {
        Ok(file) => file,
        Err(e) if rustix::io::Errno::from_io_error(&e) == Some(rustix::io::Errno::LOOP) => {
            return Err(no_lock(lock));
        }
        // It is gone by now, or may not be read.
        Err(_) => return Ok(false),
    };
    let Ok(ours) = file.metadata() else {
        return Ok(false);
    };
    if !ours.is_file() {
        return Err(no_lock(lock));
    }
    if !is_stale(&file, &ours) || file.try_lock().is_err() {
        return Ok(false);
    }
    let is_this = lock
        .symlink_metadata()
        .is_ok_and(|there| (ours.dev(), ours.ino()) == (there.dev(), there.ino()));
    Ok(is_this && std::fs::remove_file(lock).is_ok())
}

fn no_lock(lock: &Path) -> anyhow::Error {
    Fault::cannot_write(format!(
        "`{}` exists, but is not a lock file",
        lock.display()
    ))
    .hint(format!(
        "nothing was removed from the server; see who made it, and remove it: ls -l {}",
        shell::quote(lock)
    ))
    .into()
}

/// A lock is stale when the process that it names is gone, or, if it names none, when it is old.
fn is_stale(lock: &File, about: &Metadata) -> bool {
    let mut text = String::new();
    if lock.take(LONGEST_PID).read_to_string(&mut text).is_err() {
        return false;
    }
    if let Some(pid) = text
        .trim()
        .parse()
        .ok()
        .and_then(rustix::process::Pid::from_raw)
    {
        return rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH);
    }
    about
        .modified()
        .ok()
        .and_then(|t| SystemTime::now().duration_since(t).ok())
        .is_some_and(|age| age > LOCK_STALE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::RemoteId;

    fn letter() -> Letter {
        Letter {
            queue: "support".into(),
            address: "a@contoso.example".into(),
            folder: "INBOX".into(),
            uidvalidity: 1,
            uid: RemoteId::from(1),
            size: 1,
            priority: 1,
            language: "en".into(),
            message_id: None,
            kind: "ordinary",
            summary: Default::default(),
            original_message_id: None,
            delivery_id: String::new(),
        }
    }

    #[test]
    fn what_is_not_on_record_is_recovered_and_not_appended_again() {
        let folder = tempfile::tempdir().unwrap();
        let staged = folder.path().join("staged");
        std::fs::write(&staged, "Subject: x\n\ntext\n").unwrap();
        let path = folder.path().join("mbox");
        let mut mbox = Mbox::open(&path, folder.path());
        let intent = mbox.plan(&staged, &letter()).unwrap();
        mbox.deliver(&intent, &letter()).unwrap();
        mbox.flush().unwrap();
        let before = std::fs::read(&path).unwrap();
        // The database was full, and the run ended.
        drop(mbox);
        // It is full still, so that this does not go on record either.
        for _ in 0..2 {
            assert!(super::super::recover(&intent, 0).unwrap().is_some());
            assert_eq!(std::fs::read(&path).unwrap(), before);
        }
        super::super::recovered(&intent);
        let left = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 1, "only the mbox itself");
    }

    /// Whatever another program left at the end, or this program at a power cut.
    #[test]
    fn what_stands_at_the_end_swallows_no_message() {
        let whole = "From a Thu Jan  1 00:00:00 1970\nSubject: a\n\nold\n";
        for (tail, gap) in [
            ("", "\n"),
            ("\n", ""),
            ("\r\n", ""),
            ("unfinished", "\n\n"),
            ("\nFrom b Thu Jan  1 00:00:00 1970\nSubj", "\n\n"),
            ("\0\0\0\0", "\n\n"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("mbox");
            let old = format!("{whole}{tail}");
            std::fs::write(&path, &old).unwrap();
            let mut mbox = Mbox::open(&path, folder.path());
            for name in ["first", "second"] {
                let staged = folder.path().join(name);
                std::fs::write(&staged, "Subject: x\n\ntext\n").unwrap();
                let intent = mbox.plan(&staged, &letter()).unwrap();
                mbox.deliver(&intent, &letter()).unwrap();
            }
            mbox.flush().unwrap();
            let now = std::fs::read_to_string(&path).unwrap();
            let new = now.strip_prefix(&format!("{old}{gap}From a@")).unwrap();
            assert_eq!(new.matches("\n\nFrom a@").count(), 1, "{tail:?}: {now:?}");
        }
    }

    /// Addresses that share a file find the lock of a run that was killed at the same time.
    #[test]
    fn a_stale_lock_makes_way_for_one() {
        use std::sync::Barrier;
        use std::sync::atomic::{AtomicU32, Ordering};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mbox");
        let (holders, together) = (AtomicU32::new(0), AtomicU32::new(0));
        let barrier = Barrier::new(8);
        let end = Instant::now() + LOCK_WAIT * 10;
        let work = || {
            for _ in 0..30 {
                if barrier.wait().is_leader() {
                    std::fs::write(folder.path().join("mbox.lock"), "999999999").unwrap();
                }
                barrier.wait();
                let lock = DotLock::take(&path, end).unwrap();
                together.fetch_add(holders.fetch_add(1, Ordering::SeqCst), Ordering::SeqCst);
                std::thread::yield_now();
                holders.fetch_sub(1, Ordering::SeqCst);
                drop(lock);
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(work);
            }
        });
        assert_eq!(together.into_inner(), 0, "two held it");
    }

    #[test]
    fn what_is_on_record_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let staged = folder.path().join("staged");
        std::fs::write(&staged, "Subject: x\n\ntext\n").unwrap();
        let path = folder.path().join("mbox");
        let mut mbox = Mbox::open(&path, folder.path());
        let intent = mbox.plan(&staged, &letter()).unwrap();
        mbox.deliver(&intent, &letter()).unwrap();
        mbox.flush().unwrap();
        mbox.recorded();
        let left = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 1, "only the mbox itself");
    }
}

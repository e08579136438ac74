//! Takes messages off the wire into files, and hands them on.
//!
//! The octets are written as they come, so memory stays the same whatever their number. Of each
//! message the head is kept for a moment: it tells which mail this is ([`super::identity::Identity`]).

use super::batches::{Entry, Staged};
use super::identity::HeadReader;
use crate::delivery::cannot_write;
use crate::digest::{self, Sha256};
use crate::mail::{RemoteId, Sink};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The sink of one folder's retrieval.
pub struct Intake<'a> {
    staging: &'a Path,
    names: &'a mut Names,
    /// Where whole messages go on to.
    next: Entry<'a>,
    open: Option<Arriving>,
    /// Why the disk refused, for the error that the mailbox reports.
    pub failure: Option<anyhow::Error>,
    /// When to stop between two messages.
    deadline: Option<Instant>,
    /// Messages still to come.
    left: usize,
    /// The deadline was reached with messages still to come.
    pub time_up: bool,
}

struct Arriving {
    file: File,
    path: PathBuf,
    size: u64,
    sha256: Sha256,
    head: HeadReader,
}

impl<'a> Intake<'a> {
    pub fn new(staging: &'a Path, names: &'a mut Names, next: Entry<'a>) -> Intake<'a> {
        Intake {
            staging,
            names,
            next,
            open: None,
            failure: None,
            deadline: None,
            left: 0,
            time_up: false,
        }
    }

    /// Refuses to go on between two messages at this time; `messages` are to come.
    pub fn until(mut self, deadline: Option<Instant>, messages: usize) -> Intake<'a> {
        self.deadline = deadline;
        self.left = messages;
        self
    }

    /// Keeps what went wrong on the disk and gives the mailbox an error to stop with.
    fn fail(&mut self, path: &Path, err: io::Error) -> io::Error {
        let kind = err.kind();
        self.failure = Some(cannot_write(path, &err));
        io::Error::new(kind, "the message could not be stored")
    }
}

impl Sink for Intake<'_> {
    fn begin(&mut self, _announced: Option<u64>) -> io::Result<()> {
        let path = self.staging.join(self.names.next());
        match OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
        {
            Ok(file) => {
                self.open = Some(Arriving {
                    file,
                    path,
                    size: 0,
                    sha256: Sha256::new(),
                    head: HeadReader::default(),
                });
                Ok(())
            }
            Err(e) => Err(self.fail(&path, e)),
        }
    }

    fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        let Some(open) = &mut self.open else {
            return Err(io::Error::other("bytes outside any message"));
        };
        open.head.take(octets);
        open.sha256.update(octets);
        open.size += octets.len() as u64;
        if let Err(e) = open.file.write_all(octets) {
            let path = open.path.clone();
            return Err(self.fail(&path, e));
        }
        Ok(())
    }

    fn end(&mut self, id: &RemoteId) -> io::Result<()> {
        let Some(open) = self.open.take() else {
            return Err(io::Error::other("an end outside any message"));
        };
        let staged = Staged {
            id: id.clone(),
            path: open.path,
            size: open.size,
            sha256: open.sha256.finish(),
            identity: open.head.finish(),
        };
        if let Some(refused) = self.next.put(staged) {
            // The other end stopped because it failed; its own error is reported.
            let _ = std::fs::remove_file(refused.path);
            return Err(io::Error::other("the delivery stopped"));
        }
        self.left = self.left.saturating_sub(1);
        if self.left > 0 && self.deadline.is_some_and(|end| Instant::now() >= end) {
            self.time_up = true;
            return Err(io::Error::other("the time is up"));
        }
        Ok(())
    }

    fn discard(&mut self) {
        if let Some(open) = self.open.take() {
            let _ = std::fs::remove_file(open.path);
        }
    }
}

impl Drop for Intake<'_> {
    fn drop(&mut self) {
        self.discard();
    }
}

/// Unique file names as the Maildir convention has them: time, then what makes it unique on
/// this host, then the host. A random number is in it, for a clock may be set back and a
/// container gives the same process number again. These also name the mailbox, so that what a crash
/// left of it in a staging folder can be told from others' files, and, where hosts share a state, the
/// claim of the mailbox: a host that stood still and no longer has the mailbox must not take away what
/// its successor has staged.
pub struct Names {
    prefix: String,
    /// See [`Lock::number`](crate::state::Lock::number).
    claim: Option<i64>,
    /// Names the mailbox.
    mark: String,
    host: String,
    count: u64,
}

impl Names {
    /// `tag` names the mailbox: letters and digits. `claim`: which claim of it this is.
    pub fn new(tag: &str, claim: Option<i64>) -> Names {
        let now = jiff::Timestamp::now();
        let host = rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .replace('/', "\\057")
            .replace(':', "\\072");
        Names {
            prefix: format!(
                "{}.R{:08x}M{:06}P{}Q",
                now.as_second(),
                random(),
                now.subsec_microsecond(),
                std::process::id()
            ),
            claim,
            mark: format!("_{tag}."),
            host,
            count: 0,
        }
    }

    fn next(&mut self) -> String {
        self.count += 1;
        let claim = self.claim.map(|claim| format!("F{claim}"));
        let claim = claim.unwrap_or_default();
        format!(
            "{}{}{claim}{}{}",
            self.prefix, self.count, self.mark, self.host
        )
    }

    /// Removes what runs that died left in a staging folder, under whatever extension. Interrupted
    /// deliveries are finished, and whoever has the mailbox has it alone. Who only believes to have
    /// it leaves alone what a later claim staged: on record already, a file that is gone would count
    /// as delivered.
    pub fn sweep(&self, staging: &Path) -> io::Result<()> {
        for entry in std::fs::read_dir(staging)? {
            let name = entry?.file_name();
            if self.may_sweep(&name.to_string_lossy()) {
                match std::fs::remove_file(staging.join(&name)) {
                    Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn may_sweep(&self, name: &str) -> bool {
        let Some((before, _)) = name.split_once(&self.mark) else {
            return false;
        };
        let claim = before
            .rsplit_once('F')
            .map(|(_, claim)| claim.parse::<i64>());
        let is_later = match (self.claim, claim) {
            (Some(own), Some(Ok(claim))) => claim > own,
            _ => false,
        };
        !is_later && !name.starts_with(&self.prefix)
    }
}

/// Without random numbers the time and the process number must do.
fn random() -> u32 {
    digest::random().map_or(0, u32::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_run_left_is_swept_away_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let mut names = Names::new("0123456789", None);
        let path = |name: &str| folder.path().join(name);
        let staged = path(&Names::new("0123456789", None).next());
        let ours = [
            staged.clone(),
            staged.with_extension("mbox"),
            staged.with_extension("stamped"),
        ];
        let others = [
            path(&names.next()),
            path(&Names::new("9876543210", None).next()),
            path("1.M2P3.host"),
        ];
        for path in ours.iter().chain(&others) {
            File::create(path).unwrap();
        }
        names.sweep(folder.path()).unwrap();
        assert!(ours.iter().all(|path| !path.exists()));
        assert!(others.iter().all(|path| path.exists()));
    }

    #[test]
    fn who_lost_the_mailbox_takes_nothing_of_its_successor_away() {
        let staged = |claim| Names::new("tag", claim).next();
        let (earlier, own, later) = (staged(Some(9)), staged(Some(10)), staged(Some(11)));
        let names = Names::new("tag", Some(10));
        assert!(names.may_sweep(&earlier) && names.may_sweep(&format!("{earlier}.json")));
        assert!(
            names.may_sweep(&own),
            "staged by the same claim, in another pass"
        );
        assert!(!names.may_sweep(&later) && !names.may_sweep(&format!("{later}.json")));
        assert!(
            names.may_sweep(&staged(None)),
            "from before hosts shared it"
        );
        assert!(
            Names::new("tag", None).may_sweep(&later),
            "nobody shares it now"
        );
    }

    #[test]
    fn names_differ_though_time_and_process_are_the_same() {
        let one = |_| Names::new("tag", None).next();
        let names: std::collections::HashSet<String> = (0..1000).map(one).collect();
        assert_eq!(names.len(), 1000);
        let times: std::collections::HashSet<&str> = names
            .iter()
            .map(|name| &name[name.find('R').unwrap()..name.find('M').unwrap()])
            .collect();
        assert!(times.len() > 990, "{} random numbers", times.len());
    }
}

//! A command that takes the message on its standard input.
//!
//! No shell is run: the command line is split into words as a shell would split it, and what the
//! message's queue or folder is called can never become part of another command. The exit code
//! decides (sysexits.h): 0 delivered, 65 and 77 never, anything else later.

use super::handover::Taker;
use super::{Letter, Rejected, cannot_write};
use anyhow::Result;
use std::fs::File;
use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A command that takes longer is ended, and the message delivered later.
const TIME_LIMIT: Duration = Duration::from_secs(300);
/// So much of what it writes on standard error is kept for the message about a failure.
const WORDS: usize = 2000;
/// So long we wait for what a command that has ended wrote last.
const LAST_WORDS: Duration = Duration::from_secs(1);

pub struct Program {
    /// The program and its arguments.
    pub words: Vec<String>,
}

impl Program {
    fn start(&self, message: File, letter: &Letter) -> std::io::Result<Child> {
        let (program, arguments) = self
            .words
            .split_first()
            .ok_or(std::io::ErrorKind::InvalidInput)?;
        crate::child::command(program)
            .args(arguments)
            .env("QUEUEMAIL_QUEUE", &letter.queue)
            .env("QUEUEMAIL_ADDRESS", &letter.address)
            .env("QUEUEMAIL_PRIORITY", letter.priority.to_string())
            .env("QUEUEMAIL_LANGUAGE", &letter.language)
            .env("QUEUEMAIL_FOLDER", &letter.folder)
            .env("QUEUEMAIL_UID", letter.uid.to_string())
            .env("QUEUEMAIL_UIDVALIDITY", letter.uidvalidity.to_string())
            .env("QUEUEMAIL_SIZE", letter.size.to_string())
            .env("QUEUEMAIL_KIND", letter.kind)
            .env("QUEUEMAIL_DELIVERY_ID", &letter.delivery_id)
            .stdin(message)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // A group of its own, so that a time-out also ends what it started.
            .process_group(0)
            .spawn()
    }
}

impl Taker for Program {
    /// [`TIME_LIMIT`], and a minute.
    fn longest(&self) -> Duration {
        Duration::from_secs(360)
    }

    fn take(&mut self, message: File, letter: &Letter) -> Result<String> {
        let name = &self.words[0];
        let mut child = self.start(message, letter).map_err(|e| {
            crate::fault::Fault::config(format!("cannot run the delivery command `{name}`: {e}"))
                .hint("nothing was removed from the server; mend `deliver` and run the same command again")
                .by_system(&e)
        })?;
        let words = Words::of(&mut child);
        let status = wait(&mut child, TIME_LIMIT).map_err(|e| cannot_write(Path::new(name), &e))?;
        verdict(name, status, &words)
    }
}

/// What a command writes on standard error. It is read to its end, so that nobody blocks on it.
struct Words {
    beginning: Arc<Mutex<Vec<u8>>>,
    end: Receiver<()>,
}

impl Words {
    fn of(child: &mut Child) -> Words {
        let beginning = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&beginning);
        let (ended, end) = channel();
        let stderr = child.stderr.take();
        std::thread::spawn(move || {
            // Dropped at the end, which is how that is told.
            let _ended: Sender<()> = ended;
            let Some(mut stderr) = stderr else { return };
            let mut piece = [0; 4096];
            while let Ok(read @ 1..) = stderr.read(&mut piece) {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                let room = WORDS - kept.len();
                kept.extend_from_slice(&piece[..read.min(room)]);
            }
        });
        Words { beginning, end }
    }

    /// What it has written. Whatever a command left running may keep its standard error open for
    /// ever: that is not waited for.
    fn written(&self) -> String {
        let _ = self.end.recv_timeout(LAST_WORDS);
        let beginning = self.beginning.lock();
        let beginning = beginning.unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&beginning).trim().to_owned()
    }
}

/// Waits for the end; `None` when the time was up and the command was ended.
fn wait(child: &mut Child, limit: Duration) -> std::io::Result<Option<ExitStatus>> {
    let end = Instant::now() + limit;
    let mut pause = Duration::from_micros(200);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= end {
            if let Some(group) = rustix::process::Pid::from_raw(child.id() as i32) {
                let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            }
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

fn verdict(name: &str, status: Option<ExitStatus>, words: &Words) -> Result<String> {
    let how = match status {
        None => format!("did not end within {} s", TIME_LIMIT.as_secs()),
        Some(status) => match (status.code(), status.signal()) {
            (Some(0), _) => return Ok(format!("command:{name}")),
            (Some(code), _) => format!("exited with {code}"),
            (None, signal) => format!("was killed by signal {}", signal.unwrap_or(0)),
        },
    };
    let for_good = matches!(status.and_then(|s| s.code()), Some(65 | 77));
    let mut reason = format!("the command `{name}` {how}");
    let said = words.written();
    if !said.is_empty() {
        reason.push_str(&format!(" and wrote: {said}"));
    }
    let wait = None;
    Err(Rejected {
        for_good,
        reason,
        wait,
    }
    .into())
}

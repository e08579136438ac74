//! Programs that print a secret or take one, run without a shell, bounded in time and output.

use super::load::why;
use super::secret_text::{MAX_SECRET, text_of};
use crate::fault::Fault;
use crate::output::escape;
use crate::secret::Secret;
use std::io::{ErrorKind, Read, Write};
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// How much of a command's standard error is kept for its error, in bytes.
const MAX_STDERR: u64 = 4 << 10;
/// How long a command may take: a person may have to type a passphrase elsewhere.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(60);
/// How long after its end a command's output is waited for, where something that it started
/// (an agent, say) holds the pipe open.
const GRACE: Duration = Duration::from_secs(1);

/// Why a program gave no secret.
pub enum Failure {
    /// There is no such program.
    NotThere,
    /// It ended with this exit code (`None`: by a signal) and said this on standard error.
    Ended(Option<i32>, String),
    Other(Fault),
}

/// Runs a program without a shell; the first line of its standard output.
pub fn run(words: &[&str]) -> Result<Secret, Failure> {
    let output = run_with(words, None, &[])?;
    Ok(Secret::new(
        output.expose().lines().next().unwrap_or_default(),
    ))
}

/// Runs a program without a shell, with `input` on its standard input and these variables added
/// to its environment; its whole standard output.
pub fn run_with(
    words: &[&str],
    input: Option<&Secret>,
    environment: &[(&str, &str)],
) -> Result<Secret, Failure> {
    let other = |what: String| Failure::Other(Fault::config(what));
    let Some((program, arguments)) = words.split_first() else {
        return Err(other("the command names no program".to_owned()));
    };
    let name = escape(program);
    let mut child = crate::child::command(program)
        .args(arguments)
        .envs(environment.iter().copied())
        .stdin(match input {
            Some(_) => Stdio::piped(),
            None => Stdio::null(),
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| match e.kind() {
            ErrorKind::NotFound => Failure::NotThere,
            _ => Failure::Other(
                Fault::config(format!("cannot run command `{name}`: {}", why(&e))).by_system(&e),
            ),
        })?;
    if let (Some(input), Some(mut pipe)) = (input.cloned(), child.stdin.take()) {
        // A program that does not read all of it says by its exit code whether that is well.
        std::thread::spawn(move || pipe.write_all(input.expose().as_bytes()));
    }
    let deadline = Instant::now() + COMMAND_TIMEOUT;
    let stdout = Pipe::read(child.stdout.take(), MAX_SECRET + 1);
    let stderr = Pipe::read(child.stderr.take(), MAX_STDERR);
    let late = || {
        Failure::Other(Fault::try_later(format!(
            "command `{name}` did not end within {} seconds",
            COMMAND_TIMEOUT.as_secs()
        )))
    };
    // It may close its output and go on.
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < deadline => stdout.pass(Duration::from_millis(5)),
            Ok(None) => {
                end(&mut child);
                return Err(late());
            }
            Err(e) => return Err(other(format!("command `{name}`: {}", why(&e)))),
        }
    };
    if !status.success() {
        let text = String::from_utf8_lossy(&stderr.octets()).trim().to_owned();
        return Err(Failure::Ended(status.code(), text));
    }
    let output = stdout.octets();
    let text =
        text_of(&output).map_err(|why| other(format!("the output of command `{name}` {why}")))?;
    Ok(Secret::new(text))
}

fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// A pipe that a thread reads to its end or a limit. Nobody waits for the thread: a child of the
/// child may hold the pipe open for ever.
struct Pipe {
    octets: Arc<Mutex<Zeroizing<Vec<u8>>>>,
    /// Is disconnected when the thread is through.
    end: Receiver<()>,
}

impl Pipe {
    fn read(pipe: Option<impl Read + Send + 'static>, limit: u64) -> Pipe {
        let (through, end) = mpsc::channel();
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let octets = Arc::new(Mutex::new(Zeroizing::new(Vec::new())));
        let kept = Arc::clone(&octets);
        std::thread::spawn(move || {
            let _through = through;
            let mut piece = Zeroizing::new([0; 4096]);
            let mut pipe = pipe;
            // What is beyond the limit is read and dropped, or the program would block.
            while let Some(read) = pipe.as_mut().map(|pipe| pipe.read(&mut *piece)) {
                let count = match read {
                    Ok(count @ 1..) => count,
                    // A signal is no end.
                    Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                    _ => break,
                };
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                let room = limit.saturating_sub(kept.len());
                kept.extend_from_slice(&piece[..count.min(room)]);
            }
        });
        Pipe { octets, end }
    }

    /// Lets a little time pass, or less if the pipe ends meanwhile.
    fn pass(&self, time: Duration) {
        if self.end.recv_timeout(time) == Err(RecvTimeoutError::Disconnected) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// What came from a program that has ended.
    fn octets(&self) -> Zeroizing<Vec<u8>> {
        let _ = self.end.recv_timeout(GRACE);
        let mut octets = self.octets.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *octets)
    }
}

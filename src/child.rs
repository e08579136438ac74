//! Programs that are started: fed, bounded in time and in what is kept of what they write, and
//! reaped.
//!
//! They get the environment without the secrets in it.
//! A delivery command or the helper that prints one secret has no business with another, and
//! everything that it starts would inherit that too. What else is read from the environment holds
//! no secret, and a program may need it, too: where the proxy is, where systemd put credentials,
//! where the session's bus listens, where the configuration is.

use crate::secret::Secret;
use crate::workers::locked;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::thread::Builder;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// How long after its end what a program wrote is waited for, where something that it started (an
/// agent, say) holds the pipe open.
const GRACE: Duration = Duration::from_secs(1);
/// How long to wait between two looks at whether a program has ended: at first, and at most.
const SHORTEST_PAUSE: Duration = Duration::from_micros(200);
const LONGEST_PAUSE: Duration = Duration::from_millis(5);

/// Names of variables that hold secrets, as the configuration has them (`{env: V}`).
static SECRET: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// With these a program gets tokens of a managed identity, from App Service or a host like it; the
/// second is an older name of the same.
const OF_THE_HOST: [&str; 2] = ["IDENTITY_HEADER", "MSI_SECRET"];

/// Keeps a variable from all programs started from now on.
pub fn withhold(variable: &str) {
    let mut names = locked(&SECRET);
    names.insert(variable.to_owned());
}

/// A command that will not get the variables withheld.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for name in OF_THE_HOST {
        command.env_remove(name);
    }
    for name in &*locked(&SECRET) {
        // What no variable can be called is not in the environment either.
        if !name.is_empty() && !name.contains(['=', '\0']) {
            command.env_remove(name);
        }
    }
    command
}

/// What a program reads on its standard input.
pub enum Input {
    Nothing,
    File(File),
    Secret(Secret),
}

/// How a program is run.
pub struct Bounds {
    /// A program that takes longer is killed.
    pub time: Duration,
    /// The octets kept of its standard output; without them that is thrown away.
    pub output: Option<usize>,
    /// The octets kept of its standard error.
    pub words: usize,
    /// It has a process group of its own, which is killed with all that it started. Such a program
    /// cannot ask a person on the terminal.
    pub own_group: bool,
}

/// A program that has been started.
pub struct Running {
    child: Child,
    output: Pipe,
    words: Pipe,
    bounds: Bounds,
}

/// How a program ended.
pub struct Ended {
    /// `None` where the time was up and it was killed.
    pub status: Option<ExitStatus>,
    words: Pipe,
    output: Pipe,
}

/// Starts a program.
///
/// # Errors
/// Why the system cannot.
pub fn start(mut command: Command, input: Input, bounds: Bounds) -> io::Result<Running> {
    let (stdin, secret) = match input {
        Input::Nothing => (Stdio::null(), None),
        Input::File(file) => (file.into(), None),
        Input::Secret(secret) => (Stdio::piped(), Some(secret)),
    };
    let stdout = match bounds.output {
        Some(_) => Stdio::piped(),
        None => Stdio::null(),
    };
    if bounds.own_group {
        command.process_group(0);
    }
    let mut child = command
        .stdin(stdin)
        .stdout(stdout)
        .stderr(Stdio::piped())
        .spawn()?;
    match attend(&mut child, secret, &bounds) {
        Ok((output, words)) => Ok(Running {
            child,
            output,
            words,
            bounds,
        }),
        Err(err) => {
            let _ = child.kill();
            child.wait()?;
            Err(err)
        }
    }
}

/// Starts what feeds a program, and what reads its output and its words.
fn attend(child: &mut Child, secret: Option<Secret>, bounds: &Bounds) -> io::Result<(Pipe, Pipe)> {
    let output = Pipe::read(child.stdout.take(), bounds.output.unwrap_or(0))?;
    let words = Pipe::read(child.stderr.take(), bounds.words)?;
    if let (Some(secret), Some(mut pipe)) = (secret, child.stdin.take()) {
        // A program that does not read all of it says by its exit code whether that is well.
        Builder::new().spawn(move || pipe.write_all(secret.expose().as_bytes()))?;
    }
    Ok((output, words))
}

impl Running {
    /// Waits for the end.
    ///
    /// # Errors
    /// Why the system cannot tell of it.
    pub fn end(mut self) -> io::Result<Ended> {
        let deadline = Instant::now() + self.bounds.time;
        let mut pause = SHORTEST_PAUSE;
        let mut is_writing = true;
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break Some(status);
            }
            if Instant::now() >= deadline {
                self.kill()?;
                break None;
            }
            if !is_writing {
                std::thread::sleep(pause);
            } else if self.words.ends_within(pause) {
                // It is about to end; or it has closed its standard error and goes on.
                (is_writing, pause) = (false, SHORTEST_PAUSE);
                continue;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        };
        Ok(Ended {
            status,
            words: self.words,
            output: self.output,
        })
    }

    fn kill(&mut self) -> io::Result<()> {
        let group = rustix::process::Pid::from_raw(self.child.id() as i32);
        if let Some(group) = group.filter(|_| self.bounds.own_group) {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        } else {
            let _ = self.child.kill();
        }
        self.child.wait().map(drop)
    }
}

impl Ended {
    /// What it wrote on standard output.
    pub fn output(&self) -> Zeroizing<Vec<u8>> {
        self.output.octets()
    }

    /// What it wrote on standard error, without spaces around it.
    pub fn words(&self) -> String {
        let words = self.words.octets();
        String::from_utf8_lossy(&words).trim().to_owned()
    }
}

/// A pipe that a thread reads to its end, so that nobody blocks on it. Nobody waits for the thread: a
/// child of the child may hold the pipe open for ever.
struct Pipe {
    octets: Arc<Mutex<Zeroizing<Vec<u8>>>>,
    /// Is disconnected when the thread is through.
    end: Receiver<()>,
}

impl Pipe {
    fn read(pipe: Option<impl Read + Send + 'static>, limit: usize) -> io::Result<Pipe> {
        let (through, end) = mpsc::channel();
        let octets = Arc::new(Mutex::new(Zeroizing::new(Vec::new())));
        let Some(mut pipe) = pipe else {
            return Ok(Pipe { octets, end });
        };
        let kept = Arc::clone(&octets);
        Builder::new().spawn(move || {
            let _through = through;
            let mut piece = Zeroizing::new([0; 4096]);
            loop {
                let count = match pipe.read(&mut *piece) {
                    Ok(count @ 1..) => count,
                    // A signal is not an end.
                    Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                    _ => break,
                };
                // What is beyond the limit is read and dropped, or the program would block.
                let mut kept = locked(&kept);
                let room = limit.saturating_sub(kept.len());
                kept.extend_from_slice(&piece[..count.min(room)]);
            }
        })?;
        Ok(Pipe { octets, end })
    }

    fn ends_within(&self, time: Duration) -> bool {
        self.end.recv_timeout(time) == Err(RecvTimeoutError::Disconnected)
    }

    /// What came from a program that has ended.
    fn octets(&self) -> Zeroizing<Vec<u8>> {
        self.ends_within(GRACE);
        let mut octets = locked(&self.octets);
        std::mem::take(&mut *octets)
    }
}

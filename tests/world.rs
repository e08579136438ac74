//! A world of its own for each test: a temporary home with own configuration and state, and the
//! real binary run in a clean environment.
//!
//! ```text
//! let world = World::new();
//! world.run(["queue", "list"]).fails(78).says("no_config");
//! world.run(["server", "add", …]).stdin("secret\n").succeeds().prints("created\n");
//! ```

pub mod office;

use crate::shapes;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// After this long a run is killed and its test fails.
const TIMEOUT: Duration = Duration::from_secs(300);

/// A GUID for app registrations in tests.
pub const CLIENT_ID: &str = "1b7e1c4e-8a53-4bd5-9a1e-54d1b0a4c6f1";

/// The folder of a test and everything the binary may touch.
pub struct World {
    home: Arc<tempfile::TempDir>,
}

impl World {
    pub fn new() -> World {
        World {
            home: tempfile::Builder::new()
                .prefix("queuemail-test-")
                .tempdir()
                .expect("a temporary folder")
                .into(),
        }
    }

    /// A world with this configuration file.
    pub fn with_config(text: &str) -> World {
        let world = World::new();
        world.write_config(text);
        world
    }

    /// The home folder, which is all that a run can see of this machine's users.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// A path below the home folder.
    pub fn path(&self, below: impl AsRef<Path>) -> PathBuf {
        self.home.path().join(below)
    }

    pub fn config_path(&self) -> PathBuf {
        self.path(".config/queuemail/config.yaml")
    }

    pub fn state_dir(&self) -> PathBuf {
        self.path(".local/state/queuemail")
    }

    /// The text of the configuration file.
    pub fn config(&self) -> String {
        fs::read_to_string(self.config_path()).expect("the configuration file")
    }

    pub fn write_config(&self, text: impl AsRef<[u8]>) {
        self.write(".config/queuemail/config.yaml", text);
    }

    /// Writes a private file (0600) below the home folder, its folders included.
    pub fn write(&self, below: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(below);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::File::options()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| file.write_all(bytes.as_ref()))
            .expect("a file");
        path
    }

    pub fn chmod(&self, path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("chmod");
    }

    /// The permission bits of a file.
    pub fn mode(&self, path: &Path) -> u32 {
        fs::metadata(path).expect("a file").permissions().mode() & 0o777
    }

    /// A run of the binary with these arguments, started by `.succeeds()` or `.fails(code)`.
    pub fn run<I, A>(&self, args: I) -> Run
    where
        I: IntoIterator<Item = A>,
        A: AsRef<OsStr>,
    {
        Run {
            home: self.home().to_owned(),
            args: args.into_iter().map(|a| a.as_ref().to_owned()).collect(),
            environment: Vec::new(),
            stdin: Vec::new(),
            wrapper: Vec::new(),
        }
    }

    /// `server add incoming` with a secret in a file, as most tests need it.
    pub fn add_contoso(&self) {
        self.write("contoso.secret", "s3cret-value\n");
        let secret = self.path("contoso.secret");
        self.contoso().arg("--secret-file").arg(secret).succeeds();
    }

    /// The server `People`, to which each mailbox's person signs in.
    pub fn add_people(&self) {
        self.run(["server", "add", "incoming", "People"])
            .args(["--auth", "oauth-user"])
            .args(["--address", "https://login.microsoftonline.com/contoso.com"])
            .args(["--client-id", CLIENT_ID])
            .succeeds();
    }

    /// `server add incoming` without the credential.
    pub fn contoso(&self) -> Run {
        self.run([
            "server",
            "add",
            "incoming",
            "Contoso",
            "--address",
            "https://login.microsoftonline.com/contoso.onmicrosoft.com",
            "--auth",
            "oauth-service",
            "--client-id",
            CLIENT_ID,
        ])
    }
}

/// A run that has not begun.
pub struct Run {
    home: PathBuf,
    args: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    stdin: Vec<u8>,
    /// A program and its arguments that run the binary.
    wrapper: Vec<OsString>,
}

impl Run {
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Run {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    pub fn args<I, A>(mut self, args: I) -> Run
    where
        I: IntoIterator<Item = A>,
        A: AsRef<OsStr>,
    {
        self.args
            .extend(args.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Run {
        self.environment
            .push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Has this program, with these arguments before the binary's own, run the binary.
    pub fn under<A: AsRef<OsStr>>(mut self, wrapper: impl IntoIterator<Item = A>) -> Run {
        self.wrapper = wrapper.into_iter().map(|w| w.as_ref().to_owned()).collect();
        self
    }

    /// What the run reads on standard input; nothing without it.
    pub fn stdin(mut self, bytes: impl AsRef<[u8]>) -> Run {
        self.stdin = bytes.as_ref().to_owned();
        self
    }

    /// The command in a clean environment, for tests that drive the process themselves.
    pub fn command(&self) -> Command {
        let binary = OsStr::new(env!("CARGO_BIN_EXE_queuemail"));
        let mut words = self.wrapper.iter().map(OsString::as_os_str).chain([binary]);
        let mut command = Command::new(words.next().unwrap_or(binary));
        command
            .args(words)
            .env_clear()
            .env("HOME", &self.home)
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("LANG", "C.UTF-8")
            .envs(self.environment.iter().map(|(k, v)| (k, v)))
            .current_dir(&self.home)
            .args(&self.args);
        command
    }

    /// Runs and demands exit code 0.
    pub fn succeeds(self) -> Ran {
        self.fails(0)
    }

    /// Runs and demands this exit code.
    #[track_caller]
    pub fn fails(self, code: i32) -> Ran {
        let ran = self.ends();
        assert_eq!(ran.code, code, "the exit code is not {code}\n{ran}");
        ran
    }

    /// Runs to the end, whatever the exit code; a signal is -1 minus its number.
    pub fn ends(self) -> Ran {
        let output = self.output();
        Ran::of(self.args, &self.home, output)
    }

    /// Runs to the end.
    pub fn output(&self) -> Output {
        let mut child = self
            .command()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let pid = child.id();
        let input = child.stdin.take();
        let bytes = self.stdin.clone();
        std::thread::spawn(move || {
            // A program that reads nothing closes the pipe; that is its right.
            let _ = input.map(|mut pipe| pipe.write_all(&bytes));
        });
        let (done, wait) = mpsc::channel();
        std::thread::spawn(move || done.send(child.wait_with_output()));
        match wait.recv_timeout(TIMEOUT) {
            Ok(output) => output.expect("the output"),
            Err(_) => {
                let _ = Command::new("kill").args(["-9", &pid.to_string()]).status();
                panic!("still running after {TIMEOUT:?}: {:?}", self.args);
            }
        }
    }

    /// Starts it, for tests to which something happens meanwhile.
    pub fn starts(self) -> Running {
        let child = self
            .command()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        Running { run: self, child }
    }
}

/// A run that goes on.
pub struct Running {
    run: Run,
    child: Child,
}

impl Running {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn is_over(&mut self) -> bool {
        self.child.try_wait().expect("a process of ours").is_some()
    }

    /// Sends it a signal, as `-STOP`.
    pub fn signal(&self, signal: &str) {
        let pid = self.pid().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status();
        assert!(sent.is_ok_and(|status| status.success()), "kill {signal}");
    }

    /// Waits for its end.
    pub fn ends(self) -> Ran {
        let output = self.child.wait_with_output().expect("the output");
        Ran::of(self.run.args, &self.run.home, output)
    }
}

/// What a run did. In the texts of a [`Run`] the temporary home folder reads `HOME`; those of a
/// process that a test drives itself are as they are.
#[derive(Debug)]
pub struct Ran {
    command: Vec<OsString>,
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    pub raw_stdout: Vec<u8>,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Ran {
        shapes::check(&output.stdout, &output.stderr);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ran {
            command: Vec::new(),
            code: output
                .status
                .code()
                .unwrap_or_else(|| -1 - output.status.signal().unwrap_or(0)),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
            raw_stdout: output.stdout,
        }
    }
}

impl Ran {
    fn of(command: Vec<OsString>, home: &Path, output: Output) -> Ran {
        let home = home.to_str().expect("a UTF-8 path");
        let ran = Ran::from(output);
        Ran {
            command,
            stdout: ran.stdout.replace(home, "HOME"),
            stderr: ran.stderr.replace(home, "HOME"),
            ..ran
        }
    }

    /// Demands exit code 0.
    #[track_caller]
    pub fn succeeds(self) -> Ran {
        assert_eq!(self.code, 0, "the exit code is not 0\n{self}");
        self
    }

    /// Demands this exit code of a failure, and no result.
    #[track_caller]
    pub fn fails(self, code: i32) -> Ran {
        assert_eq!(self.code, code, "the exit code is not {code}\n{self}");
        assert_eq!(self.stdout, "", "nothing but results on stdout\n{self}");
        self
    }

    /// Demands this text on standard output, byte for byte.
    #[track_caller]
    pub fn prints(self, text: &str) -> Ran {
        assert_eq!(self.stdout, text, "standard output differs\n{self}");
        self
    }

    /// Demands that nothing was said: no output, no error.
    #[track_caller]
    pub fn says_nothing(self) -> Ran {
        assert!(self.stdout.is_empty() && self.stderr.is_empty(), "{self}");
        self
    }

    /// Demands that standard error is `tests/messages/NAME.txt`, byte for byte; with `UPDATE=1`
    /// in the environment the file is written instead.
    #[track_caller]
    pub fn says(self, name: &str) -> Ran {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/messages")
            .join(format!("{name}.txt"));
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&path, &self.stderr).expect("the message file");
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(
            self.stderr, expected,
            "the message is not that of {name}.txt (UPDATE=1 rewrites it)\n{self}"
        );
        self
    }

    /// Demands that standard error holds this text.
    #[track_caller]
    pub fn mentions(self, text: &str) -> Ran {
        assert!(self.stderr.contains(text), "no `{text}` in:\n{self}");
        self
    }

    /// Demands that standard output holds this text.
    #[track_caller]
    pub fn shows(self, text: &str) -> Ran {
        assert!(self.stdout.contains(text), "no `{text}` in:\n{self}");
        self
    }

    /// Demands that neither output holds this text.
    #[track_caller]
    pub fn hides(self, secret: &str) -> Ran {
        let shown = self
            .raw_stdout
            .windows(secret.len())
            .any(|w| w == secret.as_bytes());
        assert!(
            !shown && !self.stderr.contains(secret),
            "`{secret}` is shown\n{self}"
        );
        self
    }

    /// Standard output as one JSON value.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("no JSON ({e})\n{self}"))
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words: Vec<_> = self.command.iter().map(|w| w.to_string_lossy()).collect();
        writeln!(f, "command: queuemail {}", words.join(" "))?;
        writeln!(f, "exit code: {}", self.code)?;
        writeln!(f, "stdout:\n{}", self.stdout)?;
        writeln!(f, "stderr:\n{}", self.stderr)
    }
}

//! A throw-away copy of a machine, mostly this one, with a systemd of its own, for what a package
//! installs.
//!
//! The copy is what `boot.sh` makes: the same files, whose changes are kept in memory, other
//! processes, the same network. It ends, and is forgotten, with the value.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a state may take to come about.
const PATIENCE: Duration = Duration::from_secs(120);

pub struct Machine {
    /// `unshare`, with which everything else ends.
    process: Child,
    first: String,
    folder: tempfile::TempDir,
    control_group: PathBuf,
}

/// What a command in the copy did.
pub struct Done {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Machine {
    /// Starts a copy of this machine and waits until its systemd answers.
    pub fn boot() -> Machine {
        Machine::boot_from(Path::new("/"))
    }

    /// The same of a system in a folder, which has a systemd.
    pub fn boot_from(system: &Path) -> Machine {
        let folder = tempfile::Builder::new()
            .prefix("queuemail-machine-")
            .tempdir()
            .unwrap();
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let root = folder.path().join("copy");
        fs::create_dir(&root).unwrap();
        let control_group = new_control_group(folder.path());
        let boot = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/machine/boot.sh");
        // The shell enters the control group, which is then the root of the copy's own.
        let process = Command::new("sh")
            .args([
                "-euc",
                "echo $$ >\"$1/cgroup.procs\"; shift; exec \"$@\"",
                "sh",
            ])
            .arg(&control_group)
            .args([
                "unshare",
                "--pid",
                "--fork",
                "--kill-child",
                "--mount",
                "--cgroup",
            ])
            .args(["--uts", "--ipc", "sh"])
            .args([&boot, &root])
            .arg(system)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut machine = Machine {
            process,
            first: String::new(),
            folder,
            control_group,
        };
        machine.wait("systemd answers", |machine| {
            let id = machine.process.id();
            let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
            machine.first = children.unwrap_or_default().trim().to_owned();
            !machine.first.is_empty()
                && machine
                    .try_run("test -S /run/systemd/private && systemctl is-system-running")
                    .stdout
                    .contains("running")
        });
        machine
    }

    /// Runs a shell command in the copy, as root, and demands success; gives what it printed.
    #[track_caller]
    pub fn run(&self, command: &str) -> String {
        self.fails(0, command).stdout
    }

    /// A path in the copy, as the machine outside sees it.
    pub fn path(&self, inside: &str) -> PathBuf {
        Path::new("/proc")
            .join(&self.first)
            .join("root")
            .join(inside.trim_start_matches('/'))
    }

    /// Runs a shell command and demands this exit code.
    #[track_caller]
    pub fn fails(&self, code: i32, command: &str) -> Done {
        let done = self.try_run(command);
        assert_eq!(
            done.code,
            Some(code),
            "{command}\nstdout:\n{}\nstderr:\n{}\n{}",
            done.stdout,
            done.stderr,
            self.log()
        );
        done
    }

    pub fn try_run(&self, command: &str) -> Done {
        self.feed(command, b"")
    }

    /// Writes a file of root's own (0600) in the copy.
    pub fn write(&self, path: &str, bytes: &[u8]) {
        let done = self.feed(&format!("umask 077; cat >'{path}'"), bytes);
        assert_eq!(done.code, Some(0), "{path}: {}", done.stderr);
    }

    fn feed(&self, command: &str, stdin: &[u8]) -> Done {
        let mut child = Command::new("nsenter")
            .args([
                "--target",
                &self.first,
                "--mount",
                "--pid",
                "--ipc",
                "--uts",
            ])
            .args(["--cgroup", "sh", "-c", &format!("cd /; {command}")])
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", "/root")
            .env("LANG", "C.UTF-8")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let bytes = stdin.to_owned();
        let writer = std::thread::spawn(move || input.write_all(&bytes));
        let output = child.wait_with_output().unwrap();
        let _ = writer.join();
        Done {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Waits until something holds.
    #[track_caller]
    pub fn wait(&mut self, what: &str, mut holds: impl FnMut(&mut Machine) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !holds(self) {
            assert!(Instant::now() < end, "never: {what}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// What systemd and the services said.
    pub fn log(&self) -> String {
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let journal = match self.first.is_empty() {
            true => String::new(),
            false => {
                self.try_run("journalctl --no-pager -n 50 2>/dev/null")
                    .stdout
            }
        };
        format!("--- systemd\n{log}\n--- journal\n{journal}")
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        // The kernel ends what is left in the copy; until then its control groups are busy.
        for _ in 0..50 {
            remove_tree(&self.control_group);
            if !self.control_group.exists() {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// A control group of version 2 for the copy, named after its folder.
fn new_control_group(folder: &Path) -> PathBuf {
    let mounts = fs::read_to_string("/proc/mounts").unwrap();
    let root = mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>())
        .find(|fields| fields.get(2) == Some(&"cgroup2"))
        .map(|fields| PathBuf::from(fields[1]))
        .expect("a hierarchy of control groups, version 2");
    let group = root.join(folder.file_name().unwrap());
    fs::create_dir(&group).unwrap();
    group
}

/// Removes a control group and those below it, which must be empty.
fn remove_tree(group: &Path) {
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree(&entry.path());
        }
    }
    let _ = fs::remove_dir(group);
}

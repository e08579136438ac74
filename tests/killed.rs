//! SIGKILL at a chosen system call of a run.
//!
//! `cargo test` kills at a sample of the calls; `QUEUEMAIL_SOAK=1` at each.

use std::process::{Command, Stdio};

/// Every call that changes a file, a folder or what a server knows.
pub const CALLS: &[&str] = &[
    "openat",
    "write",
    "pwrite64",
    "ftruncate",
    "rename",
    "unlink",
    "mkdir",
    "fsync",
    "fdatasync",
    "syncfs",
    "sendto",
];

/// Each how many-th call is taken.
pub fn stride() -> usize {
    match std::env::var_os("QUEUEMAIL_SOAK") {
        Some(_) => 1,
        None => 17,
    }
}

/// Whom the signal may hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hit {
    /// The run's threads and whatever it starts; calls are counted for each.
    All,
    /// The run's main thread.
    Main,
}

/// Runs a command under strace and kills it at its n-th `call`. False when it ended before.
pub fn killed_at(command: &Command, hit: Hit, call: &str, n: usize) -> bool {
    let mut strace = Command::new("strace");
    if hit == Hit::All {
        strace.arg("-f");
    }
    if let Some(folder) = command.get_current_dir() {
        strace.current_dir(folder);
    }
    let status = strace
        .args(["-qq", "-o", "/dev/null"])
        .arg(format!("--trace={call}"))
        .arg(format!("--inject={call}:signal=SIGKILL:when={n}"))
        .arg(command.get_program())
        .args(command.get_args())
        .env_clear()
        .envs(command.get_envs().filter_map(|(k, v)| Some((k, v?))))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("strace (scripts/need test installs it)");
    !status.success()
}

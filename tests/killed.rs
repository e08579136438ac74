//! SIGKILL at a chosen system call of a run.
//!
//! `cargo test` kills at a sample of the calls; `QUEUEMAIL_SOAK=1` at each.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
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

/// The n-th call of this name in a thread.
pub type Call = (String, usize);

/// Has strace write a run's calls into a file; the run's own words follow.
pub fn tracing(log: &Path) -> Vec<String> {
    let words = ["strace", "-f", "-y", "-qq", "-e"].map(str::to_owned);
    let trace = format!("trace={}", CALLS.join(","));
    let more = [trace, "-o".to_owned(), log.display().to_string()];
    words.into_iter().chain(more).collect()
}

/// The calls in such a file, those of all threads together; of a line, `takes` decides whether it
/// counts as a place.
pub fn calls(log: &Path, takes: impl Fn(&str) -> bool) -> Vec<Call> {
    let text = String::from_utf8_lossy(&std::fs::read(log).unwrap()).into_owned();
    // strace counts the calls of each thread by themselves.
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut found = BTreeSet::new();
    for line in text.lines() {
        let Some((thread, rest)) = line.split_once(' ') else {
            continue;
        };
        // Numbers of less than five digits are filled up with spaces.
        let rest = rest.trim_start();
        let Some((name, _)) = rest.split_once('(') else {
            continue;
        };
        // The end of a call that another thread's line came between: it began above.
        if name.starts_with('<') {
            continue;
        }
        let count = counts.entry((thread, name)).or_default();
        *count += 1;
        if takes(rest) {
            found.insert((name.to_owned(), *count));
        }
    }
    found.into_iter().collect()
}

/// Has strace kill a run at its n-th such call, if it gets so far; the run's own words follow.
pub fn killing(call: &str, n: usize) -> Vec<String> {
    let trace = format!("--trace={call}");
    let kill = format!("--inject={call}:signal=SIGKILL:when={n}");
    ["strace", "-f", "-qq", "-o", "/dev/null", &trace, &kill]
        .map(str::to_owned)
        .to_vec()
}

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

/// strace fills up a process's number to five places: what a call is does not depend on it.
#[test]
fn calls_are_told_apart_whatever_the_number_of_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    std::fs::write(
        &log,
        "7     openat(AT_FDCWD, \"/a\", O_RDONLY) = 3\n31234 sendto(5, \"a\", 1) = 1\n\
         7     sendto(5, \"b\", 1) = 1\n7     sendto(5, \"c\", 1) = 1\n",
    )
    .unwrap();
    let said = calls(&log, |line| line.starts_with("sendto("));
    assert_eq!(said, [("sendto".into(), 1), ("sendto".into(), 2)]);
}

/// Where threads call at the same time, the line of a call is in two pieces.
#[test]
fn a_call_that_is_resumed_is_the_one_that_began() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    std::fs::write(
        &log,
        "31234 mkdir(\"/a/b\", 0700 <unfinished ...>\n31235 sendto(5, \"a\", 1) = 1\n\
         31234 <... mkdir resumed>)              = -1 ENOENT (No such file or directory)\n\
         31234 mkdir(\"/a\", 0700) = 0\n",
    )
    .unwrap();
    let said = calls(&log, |line| line.contains("mkdir"));
    assert_eq!(said, [("mkdir".into(), 1), ("mkdir".into(), 2)]);
}

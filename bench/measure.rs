//! One run of a program: wall clock, processor time and peak memory, its children included.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Longer than this no run may take: `LIMIT` seconds, else two minutes.
pub fn limit() -> Duration {
    let wish = std::env::var("LIMIT")
        .ok()
        .and_then(|text| text.parse().ok());
    Duration::from_secs(wish.unwrap_or(120))
}

#[derive(Clone, Debug, Default)]
pub struct Run {
    pub wall: f64,
    /// Seconds of processor time, user's and system's.
    pub cpu: f64,
    /// Peak resident size of the largest process, MiB.
    pub peak: f64,
    /// -1: stopped at the limit.
    pub exit: i32,
    /// Messages found at the destination, and how many of them are as sent.
    pub stored: Option<(usize, usize)>,
}

/// Runs a command in `home` and waits for its end, or for the limit. It runs as a user without
/// rights, since some programs refuse to be root's.
pub fn run(command: &[String], home: &Path) -> Run {
    let owner = Command::new("chown")
        .args(["-R", "nobody:nogroup"])
        .arg(home)
        .status();
    assert!(owner.unwrap().success());
    // What earlier runs left to be written is not this one's burden.
    Command::new("sync").status().ok();
    let figures = home.join(".figures");
    let errors = fs::File::create(home.join(".errors")).unwrap();
    let limit = limit();
    let start = Instant::now();
    let mut child = Command::new("setpriv")
        .args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"])
        .arg("/usr/bin/time")
        .args(["-q", "-f", "%U %S %M", "-o"])
        .arg(&figures)
        .args(command)
        .env("HOME", home)
        .env("USER", "bench")
        .current_dir(home)
        .stdin(Stdio::null())
        .stdout(errors.try_clone().unwrap())
        .stderr(errors)
        .process_group(0)
        .spawn()
        .unwrap();
    let mut exit = -1;
    while start.elapsed() < limit {
        if let Some(status) = child.try_wait().unwrap() {
            exit = status.code().unwrap_or(-2);
            break;
        }
        // Fine for short runs, and no load during long ones.
        std::thread::sleep(
            (start.elapsed() / 200).clamp(Duration::from_micros(200), Duration::from_millis(20)),
        );
    }
    let wall = start.elapsed().as_secs_f64();
    if exit == -1 {
        let group = format!("-{}", child.id());
        Command::new("kill")
            .args(["-9", "--", &group])
            .status()
            .ok();
    }
    child.wait().ok();
    if exit != 0 && std::env::var_os("VERBOSE").is_some() {
        let said = fs::read(home.join(".errors")).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        eprintln!("{command:?}: exit {exit}\n{:.2000}", said);
    }
    let figures = fs::read_to_string(figures).unwrap_or_default();
    let numbers: Vec<f64> = figures
        .split_whitespace()
        .filter_map(|n| n.parse().ok())
        .collect();
    let mut run = Run {
        wall,
        exit,
        ..Run::default()
    };
    if let [user, system, peak] = numbers[..] {
        run.cpu = user + system;
        run.peak = peak / 1024.0;
    }
    run
}

/// Runs a command that takes some milliseconds, with nothing between it and the clock: its wall
/// clock alone.
pub fn alone(command: &[String], home: &Path) -> Run {
    let start = Instant::now();
    let status = Command::new(&command[0])
        .args(&command[1..])
        .current_dir(home)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .unwrap();
    Run {
        wall: start.elapsed().as_secs_f64(),
        exit: status.code().unwrap_or(-2),
        ..Run::default()
    }
}

//! A server process that cannot outlive the test process.
//!
//! Between the tests and the server stands a small shell that waits on a pipe whose other end the
//! tests hold. When the tests end, even by `kill -9`, the kernel closes the pipe; the shell then
//! ends the server and removes its folder. (A death signal of the parent, `PR_SET_PDEATHSIG`, would
//! not do: it follows the *thread* that started the child, and a test's thread ends with its test.)

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const WATCHER: &str = r#"
folder=$1; shift
"$@" >>"$folder/output" 2>&1 </dev/null &
server=$!
read -r word
kill -TERM $server
(sleep 10; kill -KILL $server) &
timer=$!
wait $server
kill $timer
[ "$word" = keep ] && exit
rm -rf "$folder"
# The folder around it goes with the last of the servers.
cd "$folder/.." && rm -f ca.pem server.pem server.key && rmdir "$PWD"
"#;

pub struct Process {
    watcher: Child,
    folder: PathBuf,
}

impl Process {
    /// Starts `command` (it must stay in the foreground); its output goes to `folder/output`.
    pub fn start(folder: &Path, command: &[&str]) -> Process {
        let watcher = Command::new("sh")
            .args(["-c", WATCHER, "watcher"])
            .arg(folder)
            .args(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Out of reach of a Ctrl-C, or of a kill of the test's process group.
            .process_group(0)
            .spawn()
            .unwrap();
        Process {
            watcher,
            folder: folder.to_owned(),
        }
    }

    /// Waits until a port answers.
    pub fn wait_for(&self, port: u16, log: impl Fn() -> String) {
        let end = Instant::now() + Duration::from_secs(120);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(
                Instant::now() < end,
                "no server came up on port {port}\n{}\n{}",
                read(&self.folder.join("output")),
                log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends the server and keeps its folder.
    pub fn stop(mut self) {
        if let Some(mut pipe) = self.watcher.stdin.take() {
            pipe.write_all(b"keep\n").ok();
        }
        self.watcher.wait().ok();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.watcher.stdin.take());
        self.watcher.wait().ok();
    }
}

/// A file's text, as far as there is one.
pub fn read(path: &Path) -> String {
    fs::read(path)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default()
}

//! A fresh Debian in a folder, without a compiler, whose packages come from where this machine's do.

use super::succeeds;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

pub struct Debian {
    folder: tempfile::TempDir,
}

impl Debian {
    pub fn new() -> Debian {
        let folder = tempfile::Builder::new()
            .prefix("queuemail-debian-")
            .tempdir()
            .unwrap();
        let debian = Debian { folder };
        match std::env::var_os("QUEUEMAIL_DEBIAN") {
            Some(ready) => {
                let ready = Path::new(&ready).join(".");
                succeeds(Command::new("cp").arg("-a").arg(ready).arg(debian.root()));
            }
            None => debian.bootstrap(),
        }
        // Packages come from the sources of this machine, whatever they are.
        succeeds(
            Command::new("cp")
                .args(["-a", "/etc/apt/."])
                .arg(debian.path("/etc/apt")),
        );
        debian.write("/etc/hosts", b"127.0.0.1 localhost\n");
        debian.run("apt-get -qq update");
        debian
    }

    fn bootstrap(&self) {
        let source = succeeds(Command::new("apt-get").args([
            "indextargets",
            "--format",
            "$(CODENAME) $(REPO_URI)",
            "Created-By: Packages",
            "Component: main",
        ]));
        let (codename, mirror) = source
            .lines()
            .find_map(|line| line.split_once(' '))
            .expect("a source of Debian's packages; run apt-get update");
        succeeds(
            Command::new("debootstrap")
                .args(["--variant=minbase", codename])
                .arg(self.root())
                .arg(mirror),
        );
    }

    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    /// A path in this Debian, as the machine outside sees it.
    pub fn path(&self, inside: &str) -> PathBuf {
        self.root().join(inside.trim_start_matches('/'))
    }

    pub fn write(&self, inside: &str, bytes: &[u8]) {
        let path = self.path(inside);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn command(&self, script: &str) -> Command {
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--pid", "--fork", "--kill-child", "sh", "-euc"])
            .arg("mount -t proc proc \"$1/proc\"; exec chroot \"$1\" sh -euc \"$2\"")
            .arg("sh")
            .arg(self.root())
            .arg(script)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", "/root")
            .env("LC_ALL", "C.UTF-8")
            .env("DEBIAN_FRONTEND", "noninteractive");
        command
    }

    /// Runs a shell's script as root of this Debian; gives what it prints.
    #[track_caller]
    pub fn run(&self, script: &str) -> String {
        succeeds(&mut self.command(script))
    }
}

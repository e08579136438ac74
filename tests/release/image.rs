//! The container image, run by crun as Kubernetes would have it run: a root that nobody can write,
//! no capabilities, no new privileges, user 65532, and volumes that are root's and a group's.

use super::{
    MAILBOX, SECRET, assert_all_fetched, config, deliver, ends, make, office, said, succeeds,
};
use crate::standin::UidFault;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const USER: u32 = 65532;

struct Container {
    folder: tempfile::TempDir,
    /// The image's own configuration.
    image: Value,
}

impl Container {
    /// Unpacks the image as a runtime would, every blob held against its digest.
    fn unpack(archive: &Path) -> Container {
        let folder = tempfile::Builder::new()
            .prefix("queuemail-container-")
            .tempdir()
            .unwrap();
        let layout = folder.path().join("layout");
        let root = folder.path().join("root");
        unpack(archive, &layout);
        let index = json_of(&layout.join("index.json"));
        let manifest = json_of(&blob(&layout, &index["manifests"][0]));
        let image = json_of(&blob(&layout, &manifest["config"]));
        for layer in manifest["layers"].as_array().unwrap() {
            unpack(&blob(&layout, layer), &root);
        }
        // As the volumes of a pod with fsGroup are.
        for (name, mode) in [("home", 0o2770), ("etc", 0o2755), ("secrets", 0o2750)] {
            let volume = folder.path().join(name);
            fs::create_dir(&volume).unwrap();
            chown(&volume, Some(0), Some(USER)).unwrap();
            fs::set_permissions(&volume, fs::Permissions::from_mode(mode)).unwrap();
        }
        fs::write(folder.path().join("hosts"), "127.0.0.1 localhost\n").unwrap();
        Container { folder, image }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts a file into a volume: root's, and the group's to read.
    fn put(&self, volume: &str, name: &str, bytes: &[u8]) {
        let path = self.path(volume).join(name);
        fs::write(&path, bytes).unwrap();
        chown(&path, Some(0), Some(USER)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o440)).unwrap();
    }

    /// A container of the image with these arguments, or with all of the image's own.
    fn command(&self, name: &str, arguments: Option<&[&str]>) -> Command {
        let own = &self.image["config"];
        let mut words = own["Entrypoint"].as_array().unwrap().clone();
        match arguments {
            Some(arguments) => words.extend(arguments.iter().map(|word| json!(word))),
            None => words.extend(own["Cmd"].as_array().unwrap().iter().cloned()),
        }
        self.spec(name, json!(words))
    }

    fn spec(&self, name: &str, words: Value) -> Command {
        let own = &self.image["config"];
        assert_eq!(own["User"], "65532:65532");
        let bind = |from: &str, to: &str, access: &str| {
            json!({"destination": to, "source": self.path(from), "type": "bind",
                   "options": ["bind", access, "nosuid", "nodev"]})
        };
        let spec = json!({
            "ociVersion": "1.0.2",
            "process": {
                "user": {"uid": USER, "gid": USER}, "args": words, "env": own["Env"],
                "cwd": own["WorkingDir"], "noNewPrivileges": true,
                "capabilities": {"bounding": [], "effective": [], "permitted": [], "inheritable": [], "ambient": []},
            },
            "root": {"path": self.path("root"), "readonly": true},
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc"},
                {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
                bind("hosts", "/etc/hosts", "ro"),
                bind("etc", "/etc/queuemail", "ro"),
                bind("secrets", "/run/secrets/queuemail", "ro"),
                bind("home", "/var/lib/queuemail", "rw"),
            ],
            // The network is this machine's, where the stand-in is.
            "linux": {"namespaces": [{"type": "pid"}, {"type": "mount"}, {"type": "ipc"}, {"type": "uts"}]},
        });
        let bundle = self.path(name);
        fs::create_dir_all(&bundle).unwrap();
        fs::write(bundle.join("config.json"), spec.to_string()).unwrap();
        let mut crun = self.crun();
        crun.arg("run")
            .arg("--bundle")
            .arg(bundle)
            .arg(self.id(name));
        crun
    }

    /// crun, to which this machine's control groups are hidden: it takes no mixture of both
    /// versions, and none is needed here.
    fn crun(&self) -> Command {
        let mut crun = Command::new("unshare");
        let hidden = "mount -t tmpfs tmpfs /sys/fs/cgroup; exec \"$@\"";
        crun.args(["--mount", "sh", "-euc", hidden, "sh", "crun"])
            .args(["--cgroup-manager=disabled", "--root"])
            .arg(self.path("crun"));
        crun
    }

    /// A container's name, which no other run of this test has.
    fn id(&self, name: &str) -> String {
        let own = self.folder.path().file_name().unwrap().to_string_lossy();
        format!("{own}-{name}")
    }

    fn run(&self, name: &str, arguments: &[&str]) -> Output {
        ends(&mut self.command(name, Some(arguments)))
    }
}

fn unpack(archive: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    succeeds(
        Command::new("tar")
            .arg("-xpf")
            .arg(archive)
            .arg("-C")
            .arg(to),
    );
}

fn json_of(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// The file of a blob, which must be what its descriptor says.
fn blob(layout: &Path, descriptor: &Value) -> PathBuf {
    let digest = descriptor["digest"]
        .as_str()
        .unwrap()
        .strip_prefix("sha256:")
        .unwrap();
    let path = layout.join("blobs/sha256").join(digest);
    let sum = succeeds(Command::new("sha256sum").arg(&path));
    assert!(sum.starts_with(digest), "{sum}");
    assert_eq!(descriptor["size"], fs::metadata(&path).unwrap().len());
    path
}

/// Waits until a Maildir has a message.
fn has_some(maildir: &Path, run: &mut Child) {
    let patience = Instant::now() + Duration::from_secs(60);
    while fs::read_dir(maildir.join("new")).map_or(0, Iterator::count) == 0 {
        assert!(
            run.try_wait().unwrap().is_none(),
            "the first fetch ended by itself"
        );
        assert!(Instant::now() < patience, "nothing is fetched");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
#[ignore = "make test-release"]
fn a_locked_container_fetches_is_killed_and_goes_on() {
    let standin = office();
    let folder = tempfile::tempdir().unwrap();
    let archive = make("image", &folder.path().join("one"), &[]);
    let again = make("image", &folder.path().join("two"), &[]);
    assert!(
        fs::read(&archive).unwrap() == fs::read(again).unwrap(),
        "not reproducible"
    );
    let container = Container::unpack(&archive);
    container.put(
        "etc",
        "config.yaml",
        config(&standin, "/run/secrets/queuemail/contoso").as_bytes(),
    );
    container.put("etc", "ca.pem", &fs::read(standin.ca_file()).unwrap());
    container.put("secrets", "contoso", SECRET.as_bytes());
    let validated = container.run("validate", &["config", "validate"]);
    assert!(validated.status.success(), "{}", said(&validated));

    // Killed in its midst: the process in the container, by its own number.
    // The server falls silent in one of the last messages, so that no machine is too fast.
    deliver(&standin, 0, 1000);
    standin
        .faults()
        .imap_uid(MAILBOX, 990, UidFault::Stall(Duration::from_secs(120)));
    let maildir = container.path("home/Mail/support");
    let mut first = container
        .command("first", None)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    has_some(&maildir, &mut first);
    succeeds(
        container
            .crun()
            .arg("kill")
            .arg(container.id("first"))
            .arg("KILL"),
    );
    let first = first.wait_with_output().unwrap();
    assert!(!first.status.success(), "{}", said(&first));
    let fetched = fs::read_dir(maildir.join("new")).unwrap().count();
    assert!(fetched < 1000, "the kill came too late");
    standin.faults().imap_uid_heals(MAILBOX, 990);

    let second = ends(&mut container.command("second", None));
    assert!(
        second.status.success() && said(&second).is_empty(),
        "{}",
        said(&second)
    );
    assert_all_fetched(&standin, &maildir);

    // The image's own health check, and what a run shows.
    let check = &container.image["config"]["Healthcheck"]["Test"];
    let words: Vec<Value> = check.as_array().unwrap()[1..].to_vec();
    let healthy = ends(&mut container.spec("health", json!(words)));
    assert!(healthy.status.success(), "{}", said(&healthy));
    let status = container.run("status", &["status"]);
    assert!(said(&status).contains(MAILBOX), "{}", said(&status));

    // All that is written is in the volume, and the user's.
    let owners = succeeds(Command::new("find").arg(container.path("home")).args([
        "-mindepth",
        "1",
        "!",
        "-uid",
        "65532",
    ]));
    assert_eq!(owners, "");
    // Where the user cannot keep the state, nothing is fetched.
    fs::rename(container.path("home"), container.path("away")).unwrap();
    fs::create_dir(container.path("home")).unwrap();
    let without_home = container.run("without-home", &["fetch"]);
    assert!(!without_home.status.success(), "{}", said(&without_home));
}

//! An office whose every run is watched, and judged by what it wrote and left behind.

use super::needles::Needles;
use super::{MESSAGE, PASSWORD, PERSON, REPLY, SECRET, SUPPORT, WRONG};
use crate::standin::{App, Standin, User};
use crate::world::{CLIENT_ID, World};
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

/// A program that leaves behind what others can see of it and of whoever started it.
pub const SPY: &str = r#"#!/bin/sh
{
    cat /proc/self/environ /proc/self/cmdline /proc/$PPID/cmdline
    # Root may read everything; for others we must be closed.
    [ "$(id -u)" = 0 ] || cat /proc/$PPID/environ
    echo
    grep core /proc/$PPID/limits
} >>"$HOME/seen" 2>&1
"#;

/// What a run wrote.
pub struct Written {
    pub what: String,
    pub text: Vec<u8>,
    /// An access token may be in it.
    pub is_token: bool,
}

pub struct Office {
    pub m365: Standin,
    pub world: World,
    pub written: Mutex<Vec<Written>>,
}

impl Office {
    pub fn new() -> Office {
        let office = Office {
            m365: Standin::start(),
            world: World::new(),
            written: Mutex::default(),
        };
        office.add_app(SECRET);
        office.m365.add_user(User {
            address: PERSON.into(),
            password: PASSWORD.into(),
            ..User::default()
        });
        for mailbox in [SUPPORT, PERSON] {
            office.m365.add_mailbox(mailbox);
            office.m365.grant(CLIENT_ID, mailbox);
            office.m365.deliver(mailbox, "INBOX", MESSAGE);
        }
        office.m365.grant_user(PERSON, SUPPORT);
        office.script("deliver", &format!("{SPY}cat >/dev/null\n"));
        office
    }

    pub fn add_app(&self, secret: &str) {
        self.m365.add_app(App {
            client_id: CLIENT_ID.into(),
            secret: Some(secret.into()),
            roles: vec![
                "Mail.ReadWrite",
                "Mail.Send",
                "IMAP.AccessAsApp",
                "SMTP.SendAsApp",
            ],
            ..App::default()
        });
    }

    /// Makes a certificate by openssl(1), with these of its options, and gives it to the app.
    pub fn certificate(&self, options: &[&str]) {
        let [key, certificate] = ["key.pem", "cert.pem"].map(|name| self.world.path(name));
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-days", "2"])
            .args(["-subj", "/CN=queuemail"])
            .args(options)
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&certificate)
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        self.world.chmod(&key, 0o600);
        self.m365.add_app(App {
            client_id: CLIENT_ID.into(),
            certificates: vec![fs::read_to_string(&certificate).unwrap()],
            roles: vec!["IMAP.AccessAsApp", "SMTP.SendAsApp"],
            ..App::default()
        });
    }

    pub fn script(&self, name: &str, text: &str) -> PathBuf {
        let path = self.world.write(name, text);
        self.world.chmod(&path, 0o700);
        path
    }

    /// A configuration with that credential for its one app, and `address` for further keys.
    pub fn configure(&self, via: &str, credential: &str, address: &str) {
        let m365 = &self.m365;
        let outgoing = match via {
            "imap" => "smtp",
            other => other,
        };
        let text = format!(
            "version: 1
incoming_servers:
  - name: in
    address: {authority}
    authentication: oauth-service
    client_id: {CLIENT_ID}
    {credential}
    via: {via}
    imap: {imap}
    graph: {graph}
    ca_file: {ca}
  - name: people
    address: {authority}
    authentication: oauth-user
    client_id: {CLIENT_ID}
    {credential}
    via: {via}
    imap: {imap}
    graph: {graph}
    ca_file: {ca}
outgoing_servers:
  - name: out
    tenant: {tenant}
    authentication: oauth-service
    app: in
    via: {outgoing}
    smtp: {smtp}
    graph: {graph}
    ca_file: {ca}
queues:
  - name: support
    addresses:
      - address: {SUPPORT}
        server: in
        sender: true
        outgoing_server: out
        deliver: command:{home}/deliver
  - name: eva
    addresses:
      - address: {PERSON}
        server: people
        deliver: maildir:{home}/mail
{address}",
            authority = m365.authority(),
            tenant = m365.tenant(),
            imap = m365.imap_url(),
            smtp = m365.smtp_url(),
            graph = m365.graph_url(),
            ca = m365.ca_file().display(),
            home = self.world.home().display(),
        );
        self.world.write_config(text);
        let folder = self.world.path(".config/queuemail");
        self.world.chmod(&folder, 0o700);
    }

    pub fn run(&self, args: &[&str]) -> i32 {
        self.run_with(args, &[], b"")
    }

    /// Runs with the widest umask, keeps what is written, and watches the process.
    pub fn run_with(&self, args: &[&str], env: &[(&str, &str)], stdin: &[u8]) -> i32 {
        let mut own = self.world.run(args);
        for (name, value) in env {
            own = own.env(name, value);
        }
        let own = own.command();
        let mut command = Command::new("sh");
        command
            .args(["-c", "umask 0; exec \"$0\" \"$@\""])
            .arg(own.get_program())
            .args(own.get_args())
            .env_clear()
            .envs(own.get_envs().filter_map(|(k, v)| Some((k, v?))))
            .env("TMPDIR", self.world.home())
            .current_dir(self.world.home())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A program that refuses early does not read on.
        let _ = child.stdin.take().unwrap().write_all(stdin);
        let pid = child.id();
        let what = args.join(" ");
        // Between fork and exec a child has the program's environment, in which a secret may be by
        // design.
        let look_inside = env.is_empty();
        let watch = std::thread::spawn(move || {
            let mut seen = BTreeSet::new();
            while let Some(line) = command_line(pid) {
                seen.insert(line);
                for below in children(pid) {
                    seen.extend(command_line(below));
                    let environment = fs::read(format!("/proc/{below}/environ"));
                    seen.extend(environment.ok().filter(|_| look_inside));
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            seen
        });
        let output = child.wait_with_output().unwrap();
        let code = output.status.code().unwrap_or(-1);
        let is_token = args.contains(&"get") && code == 0;
        let mut written = self.written.lock().unwrap();
        let mut keep = |of: &str, text, is_token| {
            written.push(Written {
                what: format!("{of} of `{what}`"),
                text,
                is_token,
            });
        };
        keep("stdout", output.stdout, is_token);
        keep("stderr", output.stderr, false);
        for seen in watch.join().unwrap() {
            keep("what others see", seen, false);
        }
        code
    }

    /// What the last run wrote to standard error.
    pub fn said_last(&self) -> String {
        let written = self.written.lock().unwrap();
        let mut errors = written.iter().rev();
        let last = errors.find(|written| written.what.starts_with("stderr"));
        last.map_or_else(String::new, |last| {
            String::from_utf8_lossy(&last.text).into_owned()
        })
    }

    /// Runs what people run, with these options.
    pub fn round(&self, env: &[(&str, &str)]) {
        for args in [
            &["fetch", "-vv"][..],
            &["fetch", "--json", "-vv", "--audit"],
            &["send", "-t", "-vv"],
            &["send", "-t", "--outbox", "--json", "-vv"],
            &["outbox", "list", "--json"],
            &["outbox", "flush", "-vv"],
            &["check", "-vv"],
            &["check", "--json"],
            &["status"],
            &["status", "--json", "--check"],
            &["config", "show"],
            &["config", "show", "--json"],
            &["config", "validate", "-vv"],
            &["server", "show", "in"],
            &["server", "list", "--json"],
            &["queue", "show", "eva", "--json"],
            &["token", "list", "--json"],
            &["token", "get", "in", "-vv"],
            &["setup-script"],
        ] {
            let stdin: &[u8] = match args[0] {
                "send" => REPLY,
                _ => b"",
            };
            self.run_with(args, env, stdin);
        }
    }

    /// Forgets the waits that were asked for, as time would.
    pub fn wait_no_more(&self) {
        let path = self.world.state_dir().join("state.sqlite");
        if let Ok(database) = rusqlite::Connection::open(path) {
            let _ = database.execute_batch("DELETE FROM wait; UPDATE outbox SET next_attempt = 0");
        }
    }

    /// All values of the state but for those of tokens.
    fn kept(&self) -> Vec<u8> {
        let path = self.world.state_dir().join("state.sqlite");
        let Ok(database) = rusqlite::Connection::open(path) else {
            return Vec::new();
        };
        let mut query = database
            .prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'token'")
            .unwrap();
        let tables = query.query_map([], |row| row.get::<_, String>(0)).unwrap();
        let mut kept = String::new();
        for table in tables {
            let mut query = database
                .prepare(&format!("SELECT * FROM \"{}\"", table.unwrap()))
                .unwrap();
            let columns = query.column_count();
            let mut rows = query.query([]).unwrap();
            while let Some(row) = rows.next().unwrap() {
                for column in 0..columns {
                    let value = row.get_ref(column).unwrap();
                    let octets = value.as_bytes().unwrap_or_default();
                    kept.push_str(&String::from_utf8_lossy(octets));
                    kept.push('\0');
                }
            }
        }
        kept.into_bytes()
    }

    /// What must be nowhere, and what `token get` may write.
    pub fn canaries(&self) -> (Needles, Needles) {
        let mut secrets = self.m365.secrets();
        secrets.extend([SECRET, PASSWORD, WRONG].map(String::from));
        let tokens = Needles::of(&self.m365.tokens());
        let mut secrets = Needles::of(&secrets);
        // Assertions and tokens begin alike.
        secrets.0.retain(|part| !tokens.0.contains(part));
        (secrets, tokens)
    }

    /// The judgement. `keepers`: files below the home that hold secrets by design.
    #[track_caller]
    pub fn is_clean(&self, keepers: &[&str]) {
        let (secrets, tokens) = self.canaries();
        let mut leaks = Vec::new();
        for written in self.written.lock().unwrap().iter() {
            leaks.extend(secrets.found(&written.what, &written.text));
            if !written.is_token {
                leaks.extend(tokens.found(&written.what, &written.text));
            }
        }
        let kept = self.kept();
        leaks.extend(secrets.found("what the state keeps besides tokens", &kept));
        leaks.extend(tokens.found("what the state keeps besides tokens", &kept));
        let home = self.world.home();
        for path in files(home) {
            let name = path.strip_prefix(home).unwrap().display().to_string();
            let mode = fs::symlink_metadata(&path).unwrap().permissions().mode() & 0o777;
            let is_ours = [".config/queuemail", ".local/state/queuemail"]
                .iter()
                .any(|ours| name.starts_with(ours));
            let is_keeper = keepers.contains(&name.as_str())
                || name.starts_with(".local/state/queuemail/state.sqlite")
                || name == ".config/queuemail/config.yaml";
            // To lock it, another user must be able to read it; it is empty.
            let is_lock = name == ".config/queuemail/.config.yaml.lock";
            if (is_ours && !is_lock || is_keeper) && mode & 0o077 != 0 {
                leaks.push(format!("`{name}` has mode {mode:o}"));
            }
            if path.is_file() && !is_keeper {
                let text = fs::read(&path).unwrap();
                leaks.extend(secrets.found(&name, &text));
                leaks.extend(tokens.found(&name, &text));
            }
        }
        assert!(leaks.is_empty(), "{}", leaks.join("\n"));
        assert!(!secrets.0.is_empty(), "the test has nothing to look for");
    }
}

fn command_line(pid: u32) -> Option<Vec<u8>> {
    fs::read(format!("/proc/{pid}/cmdline"))
        .ok()
        .filter(|line| !line.is_empty())
}

fn children(pid: u32) -> Vec<u32> {
    let mut found = Vec::new();
    for task in fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
    {
        let Ok(task) = task else { continue };
        let text = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        found.extend(
            text.split_whitespace()
                .filter_map(|n| n.parse::<u32>().ok()),
        );
    }
    found
}

/// Everything below a folder, the folders included.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            found.extend(files(&path));
        }
        found.push(path);
    }
    found
}

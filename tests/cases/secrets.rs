//! No secret leaves the places where it belongs.
//!
//! Every secret of a run is a canary: client secret, passwords, private key, assertions, codes,
//! refresh and access tokens. Many commands run against servers that work, refuse, or repeat what
//! they were sent; afterwards no canary, in no usual encoding, may be in what the runs wrote,
//! in the arguments of a process, in the environment of a child, or in a file that others may
//! read. `token get` writes an access token: that is its result, and nothing else is.

use crate::standin::{App, GraphFault, ImapFault, SmtpAt, SmtpFault, Standin, TokenFault, User};
use crate::world::{CLIENT_ID, World};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

const SUPPORT: &str = "support@contoso.example";
const PERSON: &str = "eva@contoso.example";
const SECRET: &str = "cAnArY-s3cret~+&=/of-the-client";
const PASSWORD: &str = "cAnArY pass+word&=/of eva";
const WRONG: &str = "cAnArY-wr0ng~+&=/secret";

/// A program that leaves behind what others can see of it and of whoever started it.
const SPY: &str = r#"#!/bin/sh
{
    cat /proc/self/environ /proc/self/cmdline /proc/$PPID/cmdline
    # Root may read everything; for others we must be closed.
    [ "$(id -u)" = 0 ] || cat /proc/$PPID/environ
    echo
    grep core /proc/$PPID/limits
} >>"$HOME/seen" 2>&1
"#;

/// What a run wrote.
struct Written {
    what: String,
    text: Vec<u8>,
    /// An access token may be in it.
    is_token: bool,
}

struct Office {
    m365: Standin,
    world: World,
    written: Mutex<Vec<Written>>,
}

impl Office {
    fn new() -> Office {
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

    fn add_app(&self, secret: &str) {
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

    fn script(&self, name: &str, text: &str) -> PathBuf {
        let path = self.world.write(name, text);
        self.world.chmod(&path, 0o700);
        path
    }

    /// A configuration with that credential for its one app, and `address` for further keys.
    fn configure(&self, via: &str, credential: &str, address: &str) {
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

    fn run(&self, args: &[&str]) -> i32 {
        self.run_with(args, &[], b"")
    }

    /// Runs with the widest umask, keeps what is written, and watches the process.
    fn run_with(&self, args: &[&str], env: &[(&str, &str)], stdin: &[u8]) -> i32 {
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
        // Between fork and exec a child has our environment, in which a secret may be by design.
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

    /// Runs what people run, with these options.
    fn round(&self, env: &[(&str, &str)]) {
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
    fn wait_no_more(&self) {
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
    fn canaries(&self) -> (Needles, Needles) {
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
    fn is_clean(&self, keepers: &[&str]) {
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

/// Parts that give a secret away: any twelve octets in a row of each usual encoding, in letters of
/// either case and without white space.
struct Needles(HashSet<Vec<u8>>);

const PART: usize = 12;

impl Needles {
    fn of(secrets: &[String]) -> Needles {
        let mut all = HashSet::new();
        let mut keep = |form: &str| {
            let form = flat(form);
            match form.len() {
                0..PART => all.extend([form]),
                _ => all.extend(form.windows(PART).map(<[u8]>::to_vec)),
            }
        };
        for secret in secrets {
            keep(secret);
            let form: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
            keep(&form.replace('+', "%20"));
            keep(&form.replace('%', "%25"));
            keep(&form);
            keep(
                serde_json::Value::from(secret.as_str())
                    .to_string()
                    .trim_matches('"'),
            );
            for (open, close) in [("&#", ";"), ("\\u", "")] {
                let escape = |c: char| match c {
                    c if c.is_ascii_alphanumeric() => c.to_string(),
                    c if close.is_empty() => format!("{open}{:04x}", c as u32),
                    c => format!("{open}{}{close}", c as u32),
                };
                keep(&secret.chars().map(escape).collect::<String>());
            }
            // Within a longer text base64 depends on what stands before.
            for before in 0..3 {
                let padded = [&b"   "[..before], secret.as_bytes()].concat();
                let whole = padded.len() / 3 * 3;
                let from = if before == 0 { 0 } else { 4 };
                keep(&STANDARD_NO_PAD.encode(&padded[..whole])[from..]);
                keep(&URL_SAFE_NO_PAD.encode(&padded[..whole])[from..]);
            }
        }
        Needles(all)
    }

    fn found(&self, place: &str, text: &[u8]) -> Vec<String> {
        let text = flat(&String::from_utf8_lossy(text));
        let short = self.0.iter().filter(|part| part.len() < PART);
        let lengths: BTreeSet<usize> = short.map(Vec::len).chain([PART]).collect();
        for length in lengths {
            let found = text.windows(length).position(|part| self.0.contains(part));
            if let Some(at) = found {
                let around = &text[at.saturating_sub(120)..(at + 160).min(text.len())];
                let needle = String::from_utf8_lossy(&text[at..at + length]);
                let around = String::from_utf8_lossy(around);
                return vec![format!("{place}: `{needle}` in …{around}…")];
            }
        }
        Vec::new()
    }
}

/// A text in small letters and without white space, be it written as an escape.
fn flat(text: &str) -> Vec<u8> {
    let text = text
        .replace("\\r", "")
        .replace("\\n", "")
        .replace("\\t", "");
    let octets = text.bytes().filter(|octet| !octet.is_ascii_whitespace());
    octets.map(|octet| octet.to_ascii_lowercase()).collect()
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

const MESSAGE: &[u8] = b"From: Anna <anna@fabrikam.example>\r\nTo: support@contoso.example\r\n\
Subject: order\r\nMessage-ID: <1@fabrikam.example>\r\n\r\nHello\r\n";
const REPLY: &[u8] = b"From: support@contoso.example\nTo: Anna <anna@fabrikam.example>\n\
Subject: Re: order\n\nHello\n";

fn plain() -> String {
    format!("secret: '{SECRET}'")
}

#[test]
fn commands_that_work() {
    for via in ["imap", "graph"] {
        let office = Office::new();
        office.configure(via, &plain(), &format!("        password: '{PASSWORD}'\n"));
        office.round(&[]);
        for format in ["token", "json", "xoauth2", "header", "claims"] {
            for whose in ["support", "eva"] {
                let args = ["token", "get", whose, "--format", format, "-vv"];
                assert_eq!(office.run(&args), 0, "{args:?}");
            }
        }
        assert_eq!(office.run(&["token", "list"]), 0);
        assert_eq!(office.m365.submitted().len(), 2);
        let seen = fs::read_to_string(office.world.path("seen")).unwrap();
        let limit = seen
            .lines()
            .find(|line| line.starts_with("Max core"))
            .unwrap();
        let words: Vec<_> = limit.split_whitespace().collect();
        assert_eq!(words[4..6], ["0", "0"], "a core dump is possible: {limit}");
        office.is_clean(&[]);
    }
}

#[test]
fn secrets_from_everywhere() {
    let office = Office::new();
    let secret = office.script("print-secret", &format!("{SPY}echo '{SECRET}'\n"));
    let command = secret.display().to_string();
    let file = office
        .world
        .write("the.secret", SECRET)
        .display()
        .to_string();
    let env = [("CONTOSO_SECRET", SECRET), ("EVAS_PASSWORD", PASSWORD)];
    let authority = office.m365.authority();
    let imap = office.m365.imap_url();
    let ca = office.m365.ca_file().display().to_string();
    for (name, flag, value) in [
        ("by stdin", "--secret-stdin", None),
        ("by file", "--secret-file", Some(file.as_str())),
        ("by env", "--secret-env", Some("CONTOSO_SECRET")),
        ("by command", "--secret-command", Some(command.as_str())),
    ] {
        for kind in ["oauth-service", "oauth-user"] {
            let name = format!("{kind} {name}");
            let mut args = vec!["server", "add", "incoming", &name, "--address", &authority];
            args.extend(["--auth", kind, "--client-id", CLIENT_ID, "--imap", &imap]);
            args.extend(["--ca-file", &ca, flag]);
            args.extend(value);
            assert_eq!(
                office.run_with(&args, &env, SECRET.as_bytes()),
                0,
                "{args:?}"
            );
        }
    }
    let deliver = format!("command:{}", office.world.path("deliver").display());
    for (queue, server, flag, value) in [
        ("a", "oauth-user by stdin", "--password-stdin", None),
        (
            "b",
            "oauth-user by env",
            "--password-env",
            Some("EVAS_PASSWORD"),
        ),
    ] {
        let mut args = vec![
            "queue",
            "add",
            queue,
            "--address",
            PERSON,
            "--server",
            server,
        ];
        args.extend(["--deliver", &deliver, flag]);
        args.extend(value);
        if queue == "b" {
            args[4] = SUPPORT;
            args.extend(["--account", PERSON]);
        }
        assert_eq!(
            office.run_with(&args, &env, PASSWORD.as_bytes()),
            0,
            "{args:?}"
        );
    }
    for queue in ["a", "b"] {
        assert_eq!(office.run_with(&["fetch", queue, "-vv"], &env, b""), 0);
    }
    for name in ["by stdin", "by file", "by env", "by command"] {
        let name = format!("oauth-service {name}");
        let args = ["token", "get", &name, "-vv", "--fresh"];
        assert_eq!(office.run_with(&args, &env, b""), 0, "{args:?}");
    }
    office.round(&env);
    let seen = fs::read_to_string(office.world.path("seen")).unwrap();
    assert!(
        seen.contains("QUEUEMAIL_ADDRESS"),
        "no delivery command ran"
    );
    assert!(seen.contains("HOME="), "the environment was not seen");
    office.is_clean(&["the.secret", "print-secret"]);
}

/// With a store outside not even the state holds a secret.
#[test]
fn a_store_of_tokens_outside() {
    let office = Office::new();
    let outside = tempfile::tempdir().unwrap();
    let script = format!(
        "{SPY}cd '{}'
case $1 in
get) [ -e \"$2\" ] || exit 66; cat \"$2\" ;;
store) cat >\"$2\" ;;
erase) rm -f \"$2\" ;;
esac
",
        outside.path().display()
    );
    let script = office.script("vault", &script);
    office.configure(
        "imap",
        &plain(),
        &format!("        password: '{PASSWORD}'\n"),
    );
    let config = office.world.config();
    let store = format!("token_store: {{ command: ['{}'] }}", script.display());
    office
        .world
        .write_config(config.replace("version: 1\n", &format!("version: 1\n{store}\n")));
    office.round(&[]);
    assert_eq!(office.run(&["token", "get", "eva", "--fresh", "--json"]), 0);
    assert_eq!(office.run(&["fetch", "-vv"]), 0);
    let kept = fs::read_dir(outside.path()).unwrap().count();
    assert!(kept >= 3, "only {kept} tokens were kept outside");
    // A store that fails and tells the world what it was to keep.
    let tells = "[ $1 = get ] && exit 66; cat >&2; exit 1\n";
    office.script("vault", &format!("{SPY}{tells}"));
    office.round(&[]);
    let told = office.written.lock().unwrap();
    assert!(
        told.iter()
            .any(|w| String::from_utf8_lossy(&w.text).contains("but not kept"))
    );
    drop(told);
    let (secrets, tokens) = office.canaries();
    let state = fs::read(office.world.state_dir().join("state.sqlite")).unwrap();
    assert!(secrets.found("the state", &state).is_empty());
    assert!(tokens.found("the state", &state).is_empty());
    office.is_clean(&[]);
}

#[test]
fn certificates_and_refresh_tokens() {
    let office = Office::new();
    let [key, certificate] = ["key.pem", "cert.pem"].map(|name| office.world.path(name));
    let made = Command::new("openssl")
        .args([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
        ])
        .args(["-subj", "/CN=queuemail", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    office.world.chmod(&key, 0o600);
    office.m365.add_app(App {
        client_id: CLIENT_ID.into(),
        certificates: vec![fs::read_to_string(&certificate).unwrap()],
        roles: vec!["IMAP.AccessAsApp", "SMTP.SendAsApp"],
        ..App::default()
    });
    let home = office.world.home().display();
    let credential = format!("certificate: {home}/cert.pem\n    private_key: {home}/key.pem");
    // Only an app itself has a certificate here; the person signs in by device.
    office.configure("imap", &credential, "");
    let faults = office.m365.faults();
    faults.device_interval.store(1, SeqCst);
    *faults.device_approves_after.lock().unwrap() = Some((1, PERSON.into()));
    office.round(&[]);
    assert_eq!(office.run(&["token", "login", "eva", "--device", "-vv"]), 0);
    assert_eq!(office.run(&["token", "get", "eva", "--fresh", "--json"]), 0);
    assert_eq!(office.run(&["fetch", "-vv"]), 0);
    let requests = office.m365.token_requests();
    for grant in ["client_credentials", "refresh_token"] {
        assert!(
            requests.iter().any(|r| r.grant_type == grant),
            "{requests:?}"
        );
    }
    for (status, json) in [(400, true), (401, true), (200, false), (502, false)] {
        faults.token_next(2, TokenFault::Echo { status, json });
        assert_ne!(office.run(&["token", "get", "eva", "--fresh", "-vv"]), 0);
        assert_ne!(
            office.run(&["token", "get", "support", "--fresh", "--json"]),
            0
        );
    }
    let text = fs::read_to_string(&key).unwrap();
    let lines = text
        .lines()
        .filter(|line| line.len() == 64)
        .map(String::from);
    office.m365.keep_secret(lines.skip(1));
    office.is_clean(&["key.pem"]);
}

#[test]
fn servers_that_refuse_or_repeat() {
    refuse_or_repeat("imap");
}

#[test]
fn graph_that_refuses_or_repeats() {
    refuse_or_repeat("graph");
}

fn refuse_or_repeat(via: &str) {
    let office = Office::new();
    let faults = office.m365.faults();
    let password = format!("        password: '{PASSWORD}'\n");
    office.configure(via, &plain(), &password);
    for (status, json) in [(400, true), (503, true), (403, false)] {
        faults.token_next(99, TokenFault::Echo { status, json });
        for args in [
            &["token", "get", "eva", "-vv"][..],
            &["token", "get", "in", "--json", "-vv"],
            &["fetch", "-vv"],
            &["check", "--json"],
            &["send", "-t", "-vv", "--outbox"],
            &["status", "--json"],
        ] {
            office.run_with(args, &[], REPLY);
            office.wait_no_more();
        }
        while faults.take_token().is_some() {}
    }
    // Tokens first, then servers that repeat them.
    assert_eq!(office.run(&["token", "get", "in", "--fresh"]), 0);
    for status in [401, 403, 500].into_iter().filter(|_| via == "graph") {
        faults.graph.next(9, "/", GraphFault::Echo(status));
        office.run(&["fetch", "-vv"]);
        office.wait_no_more();
        office.run_with(&["send", "-t", "-vv", "--outbox"], &[], REPLY);
        office.run(&["check", "--json"]);
        faults.graph.heal();
        office.wait_no_more();
    }
    if via == "imap" {
        for at in 0..4 {
            match at {
                0 => faults.imap_sign_in_next(2, ImapFault::Echo),
                at => faults.imap_at(at, ImapFault::Echo),
            }
            office.run(&["fetch", "support", "-vv"]);
            office.wait_no_more();
        }
        faults.imap_sign_in_next(2, ImapFault::Echo);
        office.run(&["check", "support", "--json"]);
        for at in [
            SmtpAt::Auth,
            SmtpAt::Mail,
            SmtpAt::Rcpt,
            SmtpAt::Data,
            SmtpAt::Dot,
        ] {
            for code in [451, 550] {
                faults.smtp_next(3, at, SmtpFault::Echo(code));
                office.run_with(&["send", "-t", "-vv", "--json", "--outbox"], &[], REPLY);
                faults.smtp_clear();
                office.wait_no_more();
            }
        }
    }
    office.add_app("another");
    assert_eq!(office.run(&["token", "get", "in", "--fresh", "-vv"]), 77);
    office.configure(
        via,
        &format!("secret: '{WRONG}'"),
        &format!("        password: '{WRONG}'\n"),
    );
    office.round(&[]);
    let log = office.m365.log();
    for sign in match via {
        "imap" => &[
            "fault: Echo { ",
            "HTTP",
            "IMAP ! fault: Echo",
            "SMTP ! fault at Auth: Echo",
        ][..],
        _ => &["fault: Echo { ", "GET /v1.0"],
    } {
        assert!(
            log.iter().any(|line| line.contains(sign)),
            "no `{sign}` happened"
        );
    }
    office.is_clean(&[]);
}

#[test]
fn mistakes_in_the_line_of_a_secret() {
    let office = Office::new();
    for credential in [
        format!("secret: ['{SECRET}']"),
        format!("secret: {{ value: '{SECRET}' }}"),
        format!("secret: {{ '{SECRET}': file }}"),
        format!("secret: {{ file: x, '{SECRET}': y }}"),
        format!("secrt: '{SECRET}'"),
        format!("secret: '{SECRET}"),
        format!("secret: \"{SECRET}\\q\""),
        format!("secret: {SECRET}: more"),
        format!("secret: *{SECRET}"),
        format!("secret: !{SECRET} x"),
        format!("secret: '{SECRET}'\n    secret: '{SECRET}'"),
        format!("secret: '{SECRET}'\n   password: '{PASSWORD}'"),
        format!("secret: '{SECRET}'\n    certificate: a\n    private_key: b"),
        format!("secret: '{SECRET}'\n    nonsense"),
        format!("secret '{SECRET}'"),
        format!("\tsecret: '{SECRET}'"),
    ] {
        office.configure("imap", &credential, "");
        for args in [
            &["config", "validate", "-vv"][..],
            &["config", "validate", "--json"],
            &["config", "show"],
            &["fetch", "-vv"],
            &["server", "show", "in"],
        ] {
            assert_ne!(office.run(args), 0, "{args:?} with {credential}");
        }
    }
    office.configure("imap", &plain(), "");
    office.world.chmod(&office.world.config_path(), 0o644);
    assert_eq!(office.run(&["fetch", "-vv"]), 78);
    office.world.chmod(&office.world.config_path(), 0o600);
    office.is_clean(&[]);
}

/// Every echo of every server, in every output.
mod campaigns {
    use super::super::fetch::receiver::{Receiver, Reply};
    use super::*;
    use crate::campaign::Campaign;
    use crate::servers::proxy;

    #[derive(Clone, Copy, Debug)]
    enum Echo {
        Token(u16, bool),
        ImapSignIn,
        Imap(u32),
        Smtp(u8, u16),
        Graph(u16),
    }

    const SMTP: [SmtpAt; 7] = [
        SmtpAt::Connect,
        SmtpAt::Ehlo,
        SmtpAt::Auth,
        SmtpAt::Mail,
        SmtpAt::Rcpt,
        SmtpAt::Data,
        SmtpAt::Dot,
    ];

    const COMMANDS: [&[&str]; 12] = [
        &["fetch", "-vv"],
        &["fetch", "--json"],
        &["fetch", "--audit", "-v"],
        &["check", "-vv"],
        &["check", "--json"],
        &["send", "-t", "-vv"],
        &["send", "-t", "--json"],
        &["send", "-t", "--outbox"],
        &["outbox", "flush", "-vv"],
        &["status", "--check", "--json"],
        &["token", "get", "in", "--fresh", "-vv"],
        &["token", "get", "eva", "--fresh", "--json"],
    ];

    fn echoes(via: &str) -> Vec<Echo> {
        let mut all = Vec::new();
        for status in [200, 400, 401, 403, 429, 500, 503] {
            all.extend([true, false].map(|json| Echo::Token(status, json)));
        }
        if via == "graph" {
            all.extend([400, 401, 403, 404, 410, 429, 500, 503].map(Echo::Graph));
            return all;
        }
        all.push(Echo::ImapSignIn);
        all.extend((1..8).map(Echo::Imap));
        for at in 0..SMTP.len() as u8 {
            all.extend([421, 451, 535, 550].map(|code| Echo::Smtp(at, code)));
        }
        all
    }

    impl Office {
        /// Runs a command while servers repeat what they are sent; true if one did.
        fn endures(&self, echo: Echo, args: &[&str]) -> bool {
            let faults = self.m365.faults();
            match echo {
                Echo::Token(status, json) => {
                    faults.token_next(9, TokenFault::Echo { status, json });
                }
                Echo::ImapSignIn => faults.imap_sign_in_next(2, ImapFault::Echo),
                Echo::Imap(at) => faults.imap_at(at, ImapFault::Echo),
                Echo::Smtp(at, code) => {
                    faults.smtp_next(3, SMTP[usize::from(at)], SmtpFault::Echo(code));
                }
                Echo::Graph(status) => faults.graph.next(9, "/", GraphFault::Echo(status)),
            }
            let before = self.m365.log().len();
            self.run_with(args, &[], if args[0] == "send" { REPLY } else { b"" });
            let log = self.m365.log();
            while faults.take_token().is_some() || faults.take_imap_sign_in().is_some() {}
            // A fault at a later command than the last one would strike the next run.
            (0..9).for_each(|_| drop(faults.take_imap()));
            faults.smtp_clear();
            faults.graph.heal();
            self.wait_no_more();
            log[before.min(log.len())..]
                .iter()
                .any(|line| line.contains("Echo"))
        }
    }

    #[test]
    fn no_echo_is_in_any_output() {
        for via in ["imap", "graph"] {
            let mut campaign = Campaign::new(format!("secrets repeated by servers, {via}"));
            let office = Office::new();
            office.configure(via, &plain(), &format!("        password: '{PASSWORD}'\n"));
            assert_eq!(office.run(&["token", "get", "in"]), 0);
            assert_eq!(office.run(&["token", "get", "eva"]), 0);
            let places: Vec<(Echo, &[&str])> = echoes(via)
                .into_iter()
                .flat_map(|echo| COMMANDS.map(|args| (echo, args)))
                .collect();
            for (n, (echo, args)) in campaign.some_of(&places, 24).enumerate() {
                if office.endures(*echo, args) {
                    campaign.fault();
                }
                if n % 50 == 49 {
                    office.is_clean(&[]);
                    office.written.lock().unwrap().clear();
                }
            }
            office.is_clean(&[]);
            campaign.end(3);
        }
    }

    const PASSPHRASE: &str = "cAnArY-passphrase of+the=key";
    const PROXY: &str = "cAnArY-pr0xy-pass";
    const AUTHORIZATION: &str = "Bearer cAnArY-auth0r1zes-posts";
    const KEY: &str = "whsec_Y0FuQXJZLWtleS1vZi10aGUtd2ViaG9vay0zMi1vY3RldHMh";

    /// Where the secret of the second kind is repeated, or does not fit.
    #[derive(Clone, Copy, Debug)]
    enum Trouble {
        None,
        Token(u16, bool),
        /// The proxy refuses with this status.
        Proxy(u16),
        /// The URL answers with this status.
        Webhook(u16),
        WrongPassphrase,
        /// A mistake in the line of a secret: what is in the place of what.
        Mistake(&'static str, &'static str),
    }

    /// An office whose app has a certificate with a passphrase, and which posts its mail to a URL.
    fn office_with_the_rest() -> (Office, Receiver) {
        let office = Office::new();
        let [key, certificate] = ["key.pem", "cert.pem"].map(|name| office.world.path(name));
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-days", "2"])
            .args(["-subj", "/CN=queuemail", "-passout"])
            .arg(format!("pass:{PASSPHRASE}"))
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&certificate)
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        office.world.chmod(&key, 0o600);
        office.m365.add_app(App {
            client_id: CLIENT_ID.into(),
            certificates: vec![fs::read_to_string(&certificate).unwrap()],
            roles: vec!["IMAP.AccessAsApp", "SMTP.SendAsApp"],
            ..App::default()
        });
        let home = office.world.home().display();
        let credential = format!(
            "certificate: {home}/cert.pem\n    private_key: {home}/key.pem\n    certificate_passphrase: '{PASSPHRASE}'"
        );
        let receiver = Receiver::plain(|_| Reply::ok());
        office.configure("imap", &credential, "");
        let deliver = format!("command:{home}/deliver");
        let config = office.world.config().replace(&deliver, &receiver.url());
        office.world.write_config(format!(
            "{config}webhooks:\n  - url: {}\n    secret: '{KEY}'\n    authorization: '{AUTHORIZATION}'\n",
            receiver.url()
        ));
        let secrets = [PASSPHRASE, PROXY, &AUTHORIZATION[7..], &KEY[6..]];
        office.m365.keep_secret(secrets.map(String::from));
        (office, receiver)
    }

    #[test]
    fn passphrases_proxies_and_webhooks_are_in_no_output() {
        let mut campaign = Campaign::new("passphrase, proxy's password, webhook's secrets");
        let (office, receiver) = office_with_the_rest();
        let good = office.world.config();
        let (through, targets) = proxy::connect(None);
        let through = through.trim_start_matches("http://").to_owned();
        let refuses = [407, 403, 502].map(|status| (status, proxy::echo(status)));
        let mut troubles = vec![Trouble::None, Trouble::WrongPassphrase];
        troubles.extend([200, 400, 401, 503].map(|status| Trouble::Token(status, true)));
        troubles.extend([407, 403, 502].map(Trouble::Proxy));
        troubles.extend([301, 400, 401, 429, 500].map(Trouble::Webhook));
        troubles.extend(
            [
                ("certificate_passphrase: ", "certificate_password: "),
                ("certificate_passphrase: '", "certificate_passphrase: \""),
                ("certificate_passphrase: '", "certificate_passphrase: ['"),
                ("authorization: ", "authorisation: "),
                ("authorization: '", "authorization: {'"),
                ("    secret: ", "    key: "),
                ("    secret: '", "    secret: *"),
            ]
            .map(|(right, wrong)| Trouble::Mistake(right, wrong)),
        );
        let mut commands = COMMANDS.to_vec();
        commands.extend([
            &["config", "show", "--json"][..],
            &["config", "validate", "-vv"],
            &["server", "show", "in"],
            &["queue", "show", "support", "--json"],
            &[
                "server",
                "set",
                "in",
                "--imap",
                "imaps://localhost:1",
                "--yes",
            ],
        ]);
        let places: Vec<(Trouble, &[&str])> = troubles
            .into_iter()
            .flat_map(|trouble| commands.iter().map(move |args| (trouble, *args)))
            .collect();
        for (n, (trouble, args)) in campaign.some_of(&places, 30).enumerate() {
            let faults = office.m365.faults();
            let mut by = through.clone();
            let mut config = good.clone();
            receiver.behaves(|_| Reply::ok());
            match *trouble {
                Trouble::None => {}
                Trouble::Token(status, json) => {
                    faults.token_next(9, TokenFault::Echo { status, json });
                }
                Trouble::Proxy(status) => {
                    let of = refuses.iter().find(|(other, _)| *other == status);
                    by.clone_from(&of.unwrap().1);
                }
                Trouble::Webhook(status) => receiver.behaves(move |post| {
                    let said = format!("{:?}", post.fields);
                    Reply::new(
                        &format!("{status} {said}"),
                        &format!("X: {said}\r\n"),
                        &said,
                    )
                }),
                Trouble::WrongPassphrase => {
                    let reversed: String = PASSPHRASE.chars().rev().collect();
                    config = config.replace(PASSPHRASE, &reversed);
                }
                Trouble::Mistake(right, wrong) => {
                    config = config.replace(right, wrong);
                    assert_ne!(config, good, "{trouble:?}");
                }
            }
            office.world.write_config(config);
            office.world.chmod(&office.world.config_path(), 0o600);
            office.m365.deliver(SUPPORT, "INBOX", MESSAGE);
            let env = [("HTTPS_PROXY", format!("http://eva:{PROXY}@{by}"))];
            let env = [(env[0].0, env[0].1.as_str())];
            office.run_with(args, &env, if args[0] == "send" { REPLY } else { b"" });
            while faults.take_token().is_some() {}
            office.wait_no_more();
            campaign.fault();
            if n % 50 == 49 {
                office.is_clean(&["key.pem"]);
                office.written.lock().unwrap().clear();
            }
        }
        office.world.write_config(&good);
        office.world.chmod(&office.world.config_path(), 0o600);
        office.is_clean(&["key.pem"]);
        let url = format!("http://eva:{PROXY}@{through}");
        for args in [
            &["token", "get", "in", "--fresh"][..],
            &["fetch", "support"],
        ] {
            let code = office.run_with(args, &[("HTTPS_PROXY", &url)], b"");
            assert_eq!(code, 0, "{args:?} when all is well");
        }
        assert!(
            !targets.lock().unwrap().is_empty(),
            "the proxy was not used"
        );
        let posts = receiver.posts();
        let post = posts.last().expect("nothing was posted");
        assert_eq!(post.field("authorization"), AUTHORIZATION);
        assert!(post.has("webhook-signature"));
        campaign.end(10);
    }
}

//! What all cases share: the servers, the mailboxes, and `queuemail` provisioned for them.

use crate::mail::odd;
use crate::servers::RealServers;
use crate::standin::{App, Standin};
use std::cell::RefCell;
use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const QUEUEMAIL: &str = env!("CARGO_BIN_EXE_queuemail");
pub const SENDER: &str = "support@contoso.com";
const CLIENT: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae7";

pub struct Office {
    pub servers: RealServers,
    standin: Standin,
    folder: tempfile::TempDir,
    filled: RefCell<HashSet<&'static str>>,
}

/// The mail of a mailbox.
#[derive(Clone, Copy, PartialEq)]
pub struct Corpus {
    /// The mailbox's local part.
    pub name: &'static str,
    pub count: u64,
    /// Octets of each message; 0 for odd ones.
    pub size: usize,
}

pub const A: Corpus = corpus("a", 10_000, 4 << 10);
pub const A300: Corpus = corpus("a300", 300, 4 << 10);
pub const B: Corpus = corpus("b", 300, 1 << 20);
pub const B50: Corpus = corpus("b50", 50, 1 << 20);
pub const ODD: Corpus = corpus("odd", 2000, 0);
pub const HUGE: Corpus = corpus("huge", 1, 150 << 20);

const fn corpus(name: &'static str, count: u64, size: usize) -> Corpus {
    Corpus { name, count, size }
}

impl Corpus {
    pub fn mailbox(&self) -> String {
        format!("{}@contoso.com", self.name)
    }

    pub fn message(&self, seed: u64) -> Vec<u8> {
        match self.size {
            0 => odd::any(seed),
            size => odd::sized(seed, size),
        }
    }
}

impl Office {
    pub fn open() -> Office {
        let standin = Standin::start();
        standin.add_app(App {
            client_id: CLIENT.into(),
            secret: Some("secret".into()),
            roles: vec!["IMAP.AccessAsApp", "SMTP.SendAsApp"],
            ..App::default()
        });
        let servers = RealServers::start();
        servers.trust(CLIENT, standin.key_id(), standin.public_key_pem());
        let office = Office {
            servers,
            standin,
            folder: tempfile::Builder::new()
                .prefix("queuemail-bench-")
                .tempdir()
                .unwrap(),
            filled: RefCell::default(),
        };
        let authorities = [office.standin.ca_file(), office.servers.ca_file()]
            .map(|file| fs::read(file).unwrap());
        fs::write(office.path("ca.pem"), authorities.concat()).unwrap();
        // Where the user without rights that runs the programs can reach it.
        fs::set_permissions(office.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::copy(QUEUEMAIL, office.path("queuemail")).unwrap();
        fs::copy(std::env::current_exe().unwrap(), office.path("floor")).unwrap();
        office
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The mailbox of a corpus, filled when first asked for.
    pub fn mailbox(&self, corpus: Corpus) -> String {
        let mailbox = corpus.mailbox();
        if self.filled.borrow_mut().insert(corpus.name) {
            let messages = (0..corpus.count).map(|seed| corpus.message(seed));
            self.servers.fill(&mailbox, "INBOX", messages);
        }
        mailbox
    }

    /// A mailbox of its own with the mail of a corpus, for what changes it.
    pub fn fresh_mailbox(&self, corpus: Corpus, number: usize) -> String {
        let mailbox = format!("{}-{number}@contoso.com", corpus.name);
        let messages = (0..corpus.count).map(|seed| corpus.message(seed));
        self.servers.fill(&mailbox, "INBOX", messages);
        mailbox
    }

    /// Empties the large files of an earlier run, and keeps the others until the end: ext4 without
    /// a journal looks at each inode that was freed in the last minutes before it gives a new one,
    /// and whoever comes next would pay for that.
    fn put_away(&self, home: &Path) {
        let attic = self.path("attic");
        fs::create_dir_all(&attic).unwrap();
        let number = fs::read_dir(&attic).unwrap().count();
        let away = attic.join(number.to_string());
        fs::rename(home, &away).unwrap();
        let emptied = Command::new("find")
            .arg(&away)
            .args([
                "-type", "f", "-size", "+64k", "-exec", "truncate", "-s", "0", "{}", "+",
            ])
            .status();
        assert!(emptied.unwrap().success());
    }

    /// Makes an empty folder for a program's configuration, state and mail.
    pub fn home(&self) -> PathBuf {
        self.home_named("home")
    }

    /// The same, for programs that take turns.
    pub fn home_named(&self, name: &str) -> PathBuf {
        let home = self.path(name);
        if home.exists() {
            self.put_away(&home);
        }
        fs::create_dir(&home).unwrap();
        home
    }

    /// `queuemail` in a home, its arguments to follow.
    pub fn queuemail(&self, home: &Path) -> Vec<String> {
        let text = |path: PathBuf| path.display().to_string();
        vec![
            text(self.path("queuemail")),
            "--config".into(),
            text(home.join("config.yaml")),
            "--state-dir".into(),
            text(home.join("state")),
        ]
    }

    /// Provisions `queuemail`: one queue with one mailbox, read through `imap_port`, which may
    /// send through `smtp_port`; and gets the token, as an earlier run of cron would have.
    pub fn provision(&self, home: &Path, mailbox: &str, imap_port: u16, smtp_port: u16) {
        let secret = home.join("secret");
        fs::write(&secret, "secret").unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
        let ca = self.path("ca.pem").display().to_string();
        let run = |args: &[&str]| {
            let command = self.queuemail(home);
            let output = Command::new(&command[0])
                .args(&command[1..])
                .args(args)
                .output();
            let output = output.unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{args:?}: {said}");
        };
        let secret = secret.display().to_string();
        run(&[
            "server",
            "add",
            "incoming",
            "Contoso",
            "--auth",
            "oauth-service",
            "--client-id",
            CLIENT,
            "--secret-file",
            &secret,
            "--address",
            &self.standin.authority(),
            "--via",
            "imap",
            "--imap",
            &format!("imaps://127.0.0.1:{imap_port}"),
            "--ca-file",
            &ca,
        ]);
        run(&[
            "server",
            "add",
            "outgoing",
            "Out",
            "--auth",
            "oauth-service",
            "--app",
            "Contoso",
            "--tenant",
            self.standin.tenant(),
            "--user",
            mailbox,
            "--via",
            "smtp",
            "--smtp",
            &format!("smtp://127.0.0.1:{smtp_port}"),
            "--ca-file",
            &ca,
        ]);
        let maildir = format!("maildir:{}", home.join("Mail").display());
        run(&[
            "queue",
            "add",
            "bench",
            "--address",
            mailbox,
            "--server",
            "Contoso",
            "--sender",
            "--outgoing",
            "Out",
            "--deliver",
            &maildir,
        ]);
        run(&["token", "get", "bench", "--for", "imap"]);
    }
}

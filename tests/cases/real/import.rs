//! `state import` after the real programs: each has fetched five messages, three more have arrived,
//! and queuemail delivers these three.

use super::{Office, assert_same};
use crate::servers::{PASSWORD, RealServers};
use crate::world::Run;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A mailbox, and the home of a program that has fetched from it.
struct Former {
    servers: &'static RealServers,
    mailbox: String,
    home: TempDir,
}

impl Former {
    /// `program` is told by a file what to fetch, and where to: `file` makes its text of the
    /// mailbox, the port of IMAP within TLS, the authority's certificate, and the home.
    fn new(name: &str) -> Former {
        let former = Former {
            servers: RealServers::shared(),
            mailbox: format!("former-{name}@contoso.com"),
            home: tempfile::tempdir().unwrap(),
        };
        for place in ["new", "cur", "tmp"] {
            fs::create_dir_all(former.path("Mail").join(place)).unwrap();
        }
        former
    }

    fn path(&self, below: &str) -> PathBuf {
        self.home.path().join(below)
    }

    fn arrives(&self, numbers: std::ops::Range<usize>) -> Vec<Vec<u8>> {
        let letter = |n: usize| {
            let id = format!(
                "Message-ID: <{n}@customer.example>\r\nDate: Mon, 23 Nov 2026 10:0{n}:00 +0100"
            );
            format!(
                "From: a@customer.example\r\nTo: {}\r\nSubject: Case {n}\r\n{id}\r\n\r\nCase {n}.\r\n",
                self.mailbox
            )
        };
        let all: Vec<_> = numbers.map(|n| letter(n).into_bytes()).collect();
        self.servers.append(&self.mailbox, "INBOX", &all);
        all
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// Runs the program; getmail delivers nothing as root, so all of them are somebody else.
    fn fetches(&self, words: &[&str]) {
        let home = self.home.path().to_str().unwrap();
        crate::servers::run("chown", &["-R", "nobody:nogroup", home]);
        let ran = Command::new("setpriv")
            .args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"])
            .args(words)
            .env_clear()
            .envs([
                ("HOME", home),
                ("PATH", "/usr/bin:/bin"),
                ("LANG", "C.UTF-8"),
            ])
            .env("SSL_CERT_FILE", self.servers.ca_file())
            .current_dir(home)
            .output()
            .unwrap_or_else(|e| panic!("{words:?}: {e}; scripts/need test installs it"));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(
            ran.status.success(),
            "{words:?}: {}\n{}\n{}",
            ran.status,
            text(&ran.stdout),
            text(&ran.stderr)
        );
    }

    /// How many messages it has delivered.
    fn has_delivered(&self) -> usize {
        let count = |place: &str| fs::read_dir(self.path("Mail").join(place)).unwrap().count();
        count("new") + count("cur")
    }

    /// A queuemail that has never fetched imports with these words, and fetches then.
    #[track_caller]
    fn is_followed(&self, program: &str, path: Option<&Path>, expected: &[Vec<u8>]) {
        let office = Office::new();
        office.add_queue("support", &self.mailbox, &[]);
        let import = || -> Run {
            let words = ["state", "import", program, "--address", &self.mailbox];
            match path {
                Some(path) => office.world.run(words).arg(path),
                None => office.world.run(words).arg("--read"),
            }
        };
        let told = "5 messages skipped, 3 messages for the next fetch\n";
        import().succeeds().shows(told);
        import()
            .succeeds()
            .shows("0 messages skipped, 3 messages for the next fetch; 5 on record before\n");
        office.fetch(&[]).succeeds().says_nothing();
        assert_same(expected, &office.delivered("support"));
        office
            .fetch(&["--audit"])
            .succeeds()
            .shows("3 delivered")
            .shows("5 skipped, 0 pending");
    }
}

#[test]
fn after_getmail() {
    let former = Former::new("getmail");
    former.arrives(0..5);
    let (mail, ca) = (former.path("Mail"), former.servers.ca_file());
    former.write(
        "getmailrc",
        &format!(
            "[retriever]\ntype = SimpleIMAPSSLRetriever\nserver = localhost\nport = {}\n\
             username = {}\npassword = {PASSWORD}\nca_certs = {}\n\n\
             [destination]\ntype = Maildir\npath = {}/\n\n[options]\nread_all = false\n",
            former.servers.imaps_port(),
            former.mailbox,
            ca.display(),
            mail.display()
        ),
    );
    let home = former.home.path().to_str().unwrap();
    former.fetches(&[
        "getmail",
        "--quiet",
        "--getmaildir",
        home,
        "--rcfile",
        "getmailrc",
    ]);
    assert_eq!(former.has_delivered(), 5);
    let new = former.arrives(5..8);
    let file = fs::read_dir(home)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| {
            path.file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with("oldmail-")
        });
    former.is_followed("getmail", Some(&file.expect("getmail's file")), &new);
    former.is_followed("maildir", Some(&mail), &new);
}

#[test]
fn after_mbsync() {
    let former = Former::new("mbsync");
    former.arrives(0..5);
    let mail = former.path("Mail");
    let rc = former.write(
        "mbsyncrc",
        &format!(
            "IMAPStore far\nHost localhost\nPort {}\nUser {}\nPass {PASSWORD}\nSSLType IMAPS\n\
             AuthMechs PLAIN\nCertificateFile {}\n\nMaildirStore near\nInbox {}\n\n\
             Channel all\nFar :far:\nNear :near:\nSync Pull\nCreate Near\nSyncState *\n",
            former.servers.imaps_port(),
            former.mailbox,
            former.servers.ca_file().display(),
            mail.display()
        ),
    );
    let rc = rc.to_str().unwrap();
    former.fetches(&["mbsync", "-q", "-c", rc, "all"]);
    // What has been fetched is on record once more, with other flags.
    former.fetches(&["mbsync", "-q", "-c", rc, "all"]);
    assert_eq!(former.has_delivered(), 5);
    let new = former.arrives(5..8);
    former.is_followed("mbsync", Some(&mail.join(".mbsyncstate")), &new);
    former.is_followed("mbsync", Some(&mail), &new);
    former.is_followed("maildir", Some(&mail), &new);
}

impl Former {
    /// Has fetchmail fetch by a protocol, and each message written into the Maildir.
    fn fetchmail_fetches(&self, protocol: &str) {
        let script = "#!/bin/sh\nf=$(mktemp \"$HOME/Mail/new/XXXXXXXX\") && exec cat >\"$f\"\n";
        let deliver = self.write("deliver", script);
        fs::set_permissions(&deliver, fs::Permissions::from_mode(0o700)).unwrap();
        self.write(
            "fetchmailrc",
            &format!(
                "poll localhost protocol {protocol} auth password\nuser \"{}\" password \"{PASSWORD}\"\n\
                 ssl sslcertfile \"{}\" keep mda \"{}\"\n",
                self.mailbox,
                self.servers.ca_file().display(),
                deliver.display()
            ),
        );
        self.fetches(&[
            "fetchmail",
            "--silent",
            "--idfile",
            "ids",
            "--pidfile",
            "pid",
            "-f",
            "fetchmailrc",
        ]);
        assert_eq!(self.has_delivered(), 5);
    }
}

#[test]
fn after_fetchmail_by_imap() {
    let former = Former::new("fetchmail");
    former.arrives(0..5);
    former.fetchmail_fetches(&format!("imap port {}", former.servers.imaps_port()));
    let new = former.arrives(5..8);
    former.is_followed("fetchmail", None, &new);
    former.is_followed("maildir", Some(&former.path("Mail")), &new);
}

#[test]
fn after_fetchmail_by_pop3() {
    let former = Former::new("fetchmail-pop3");
    former.arrives(0..5);
    former.fetchmail_fetches(&format!("pop3 port {} uidl", former.servers.pop3s_port()));
    let new = former.arrives(5..8);
    former.is_followed("fetchmail", Some(&former.path("ids")), &new);
}

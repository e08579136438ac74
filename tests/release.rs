//! What a release offers, made, installed and run as people would. Heavy, and with needs of its own,
//! so only `make test-release` runs it; it takes root, and Debian's packages from the network.
//!
//! `QUEUEMAIL_RELEASED` names the program to take in place of the one that cargo built for tests.
//! `QUEUEMAIL_DEBIAN` names a folder with a fresh Debian (as debootstrap makes one) to copy, which
//! saves a download.

mod apt;
mod bill;
mod debian;
mod image;
mod kubernetes;
mod rpm;

use crate::standin::{App, Standin, User};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const CLIENT: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae7";
const SECRET: &str = "s3cret~of+the&release";
const MAILBOX: &str = "support@contoso.com";

/// The program that is packed.
fn program() -> PathBuf {
    std::env::var_os("QUEUEMAIL_RELEASED")
        .unwrap_or_else(|| env!("CARGO_BIN_EXE_queuemail").into())
        .into()
}

/// A script of packaging/, not yet run, at a fixed time.
fn packaging(script: &str) -> Command {
    let mut command = Command::new(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("packaging")
            .join(script),
    );
    command.env("SOURCE_DATE_EPOCH", "1790000000");
    command
}

/// Makes a package of the program in a folder, by the script; gives the path that it prints.
fn make(script: &str, folder: &Path, environment: &[(&str, &str)]) -> PathBuf {
    let mut command = packaging(script);
    command.arg(program()).arg(folder);
    command.envs(environment.iter().copied());
    let printed = succeeds(&mut command);
    PathBuf::from(printed.trim_end())
}

/// Runs a command to the end; gives its standard output. Panics, with all it said, if it fails.
#[track_caller]
fn succeeds(command: &mut Command) -> String {
    let output = ends(command);
    assert!(output.status.success(), "{command:?}\n{}", said(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn ends(command: &mut Command) -> Output {
    command
        .output()
        .unwrap_or_else(|e| panic!("{command:?}: {e}; scripts/need test-release"))
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

/// A stand-in of Microsoft 365 with one mailbox.
fn office() -> Standin {
    let standin = Standin::start();
    standin.add_app(App {
        client_id: CLIENT.into(),
        secret: Some(SECRET.into()),
        roles: vec!["IMAP.AccessAsApp"],
        ..App::default()
    });
    standin.add_user(User {
        address: MAILBOX.into(),
        ..User::default()
    });
    standin.add_mailbox(MAILBOX);
    standin.grant(CLIENT, MAILBOX);
    standin
}

/// A configuration for that mailbox, whose authority is in `ca.pem` beside it.
fn config(standin: &Standin, secret: &str) -> String {
    format!(
        "version: 1\n\
         incoming_servers:\n\
         \x20 - name: Contoso\n\
         \x20   address: {}\n\
         \x20   authentication: oauth-service\n\
         \x20   client_id: {CLIENT}\n\
         \x20   secret: {{ file: {secret} }}\n\
         \x20   imap: {}\n\
         \x20   ca_file: ca.pem\n\
         queues:\n\
         \x20 - name: support\n\
         \x20   addresses:\n\
         \x20     - address: {MAILBOX}\n\
         \x20       server: Contoso\n\
         \x20       deliver: \"maildir:~/Mail/{{queue}}\"\n",
        standin.authority(),
        standin.imap_url()
    )
}

/// Puts so many messages into the mailbox.
fn deliver(standin: &Standin, first: usize, count: usize) {
    for n in first..first + count {
        let text = format!(
            "From: customer@fabrikam.example\r\nTo: {MAILBOX}\r\nSubject: number {n}\r\n\
             Message-ID: <{n}@fabrikam.example>\r\nDate: Mon, 23 Nov 2026 08:00:00 +0000\r\n\r\n\
             Message {n}.\r\n"
        );
        standin.deliver(MAILBOX, "INBOX", text.as_bytes());
    }
}

/// Demands that a Maildir has every message of the mailbox, each once, byte for byte.
#[track_caller]
fn assert_all_fetched(standin: &Standin, maildir: &Path) {
    let mut found: Vec<Vec<u8>> = fs::read_dir(maildir.join("new"))
        .unwrap_or_else(|e| panic!("{}: {e}", maildir.display()))
        .map(|entry| fs::read(entry.unwrap().path()).unwrap())
        .collect();
    let mut stored: Vec<Vec<u8>> = standin
        .messages(MAILBOX, "INBOX")
        .into_iter()
        .map(|message| message.bytes)
        .collect();
    found.sort();
    stored.sort();
    assert_eq!(found.len(), stored.len(), "messages in the Maildir");
    assert!(
        found == stored,
        "the Maildir's messages are not the server's"
    );
}

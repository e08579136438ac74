//! Black-box tests of `send` against the stand-in's SMTP.

mod callers;
mod campaigns;
mod compose;
mod history;
mod limits;
mod outbox;
mod outcomes;
pub mod relay;
mod sendmail;

use crate::standin::Standin;
use crate::tokens::{CLIENT, Home, Ran};
use std::io::Write;
use std::process::Stdio;

pub const SUPPORT: &str = "support@contoso.com";

/// A home with two senders, an address that only reads, and mailboxes for all.
pub fn office() -> Home {
    office_through(Standin::smtp_url)
}

pub fn office_through(smtp: fn(&Standin) -> String) -> Home {
    let home = Home::new();
    for mailbox in [SUPPORT, "billing@contoso.com", "reads@contoso.com"] {
        home.standin.add_mailbox(mailbox);
        home.standin.grant(CLIENT, mailbox);
    }
    let url = smtp(&home.standin);
    let imap = home.standin.imap_url();
    let (authority, tenant) = (home.standin.authority(), home.standin.tenant());
    let ca = home.standin.ca_file().display();
    let mail = home.path("mail").display().to_string();
    let text = format!(
        "version: 1
defaults:
  deliver: maildir:{mail}/{{queue}}
incoming_servers:
  - name: contoso
    address: {authority}
    authentication: oauth-service
    client_id: {CLIENT}
    secret: s3cret~+&=
    imap: {imap}
    ca_file: {ca}
outgoing_servers:
  - name: out
    tenant: {tenant}
    authentication: oauth-service
    user: 1b7e1c4e-8a53-4bd5-9a1e-54d1b0a4c6f1
    smtp: {url}
    ca_file: {ca}
  - name: closed
    enabled: false
    tenant: {tenant}
    authentication: oauth-service
    smtp: {url}
queues:
  - name: support
    addresses:
      - address: {SUPPORT}
        server: contoso
        sender: true
        outgoing_server: out
      - address: billing@contoso.com
        server: contoso
        sender: true
        outgoing_server: out
      - address: reads@contoso.com
        server: contoso
      - address: closed@contoso.com
        server: contoso
        sender: true
        outgoing_server: closed
"
    );
    home.write("config.yaml", &text);
    home
}

/// The outbox, as `outbox list --json` shows it.
pub fn outbox(home: &Home) -> Vec<serde_json::Value> {
    let ran = home.run(&["outbox", "list", "--json"]).succeeds();
    let object: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    object["outbox"].as_array().unwrap().clone()
}

/// Changes the state as time would.
pub fn change_state(home: &Home, sql: &str) {
    let database = rusqlite::Connection::open(home.path("state/state.sqlite")).unwrap();
    database.execute_batch(sql).unwrap();
}

/// Lets every wait and backoff be over.
pub fn later(home: &Home) {
    change_state(home, "DELETE FROM wait; UPDATE outbox SET next_attempt = 0");
}

/// Adds text to the configuration after the line that begins so.
pub fn configure(home: &Home, after: &str, text: &str) {
    let path = home.path("config.yaml");
    let config = std::fs::read_to_string(&path).unwrap();
    let line = config
        .lines()
        .find(|l| l.trim().starts_with(after))
        .unwrap();
    home.write(
        "config.yaml",
        &config.replacen(line, &format!("{line}\n{text}"), 1),
    );
}

/// Runs the program with a message on its standard input.
pub fn pipe(home: &Home, args: &[&str], message: &[u8]) -> Ran {
    let mut child = home
        .command(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that refuses early does not read on.
    let _ = child.stdin.take().unwrap().write_all(message);
    Ran::from(child.wait_with_output().unwrap())
}

pub const MESSAGE: &str = "From: Support <support@contoso.com>\n\
To: Anna <anna@example.com>\n\
Cc: Group: b@example.com, c@example.com;\n\
Bcc: secret@example.com\n\
Date: Mon, 23 Nov 2026 14:02:00 +0100\n\
Message-ID: <1@contoso.com>\n\
Subject: Re: order\n\
\n\
Hello\n\
..dots\n";

//! Black-box tests of `check`: what it finds, in which words, with which exit code.

mod boundary;
mod by_graph;
mod field;
mod report;
mod situations;
mod walk;

use crate::standin::{App, User};
use crate::tokens::{CLIENT, Home, Ran};
use serde_json::Value;
use std::path::Path;

pub const SUPPORT: &str = "support@contoso.com";
pub const OBJECT_ID: &str = "99999999-8888-7777-6666-555555555555";
pub const SECRET: &str = "s3cret~+&=";

/// The app registration of the tests, whole.
pub fn app() -> App {
    App {
        secret: Some(SECRET.into()),
        roles: vec!["IMAP.AccessAsApp", "SMTP.SendAsApp"],
        object_id: OBJECT_ID.into(),
        ..App::default()
    }
}

/// An office in which everything works: an app reads and sends for `support@contoso.com`.
pub fn office() -> Home {
    office_with("", "", "")
}

/// The same, with more keys of the incoming server, of the outgoing server and of the address.
pub fn office_with(incoming: &str, outgoing: &str, address: &str) -> Home {
    let home = Home::new();
    home.standin.add_app(app());
    home.standin.add_mailbox(SUPPORT);
    home.standin.grant(CLIENT, SUPPORT);
    let line = |text: &str, indent: &str| match text {
        "" => String::new(),
        text => format!("{indent}{text}\n"),
    };
    home.config(&format!(
        "version: 1
incoming_servers:
  - name: Contoso
    address: {{authority}}
    authentication: oauth-service
    client_id: {{client}}
    secret: {SECRET}
    ca_file: {{ca}}
    imap: {{imap}}
{}outgoing_servers:
  - name: Contoso out
    tenant: {{tenant}}
    authentication: oauth-service
    app: Contoso
    smtp: {{smtp}}
{}queues:
  - name: support
    addresses:
      - address: {SUPPORT}
        server: Contoso
        deliver: maildir:{{home}}/mail
        sender: true
        outgoing_server: Contoso out
{}",
        line(incoming, "    "),
        line(outgoing, "    "),
        line(address, "        "),
    ));
    home
}

/// Changes the text of the configuration.
pub fn rewrite(home: &Home, from: &str, to: &str) {
    let text = std::fs::read_to_string(home.path("config.yaml")).unwrap();
    assert!(text.contains(from), "{from}");
    home.write("config.yaml", &text.replace(from, to));
}

/// A person with a password reads `support@contoso.com`.
pub fn person() -> Home {
    let home = Home::new();
    home.standin.add_app(App {
        public: true,
        object_id: OBJECT_ID.into(),
        ..App::default()
    });
    home.standin.add_user(User {
        address: "eva@contoso.com".into(),
        password: "right".into(),
        ..User::default()
    });
    home.standin.add_mailbox(SUPPORT);
    home.standin.grant_user("eva@contoso.com", SUPPORT);
    home.config(&format!(
        "version: 1
incoming_servers:
  - name: People
    address: {{authority}}
    authentication: oauth-user
    client_id: {{client}}
    ca_file: {{ca}}
    imap: {{imap}}
queues:
  - name: support
    addresses:
      - address: {SUPPORT}
        server: People
        account: eva@contoso.com
        password: right
        deliver: maildir:{{home}}/mail
"
    ));
    home
}

/// Runs `check --json` and demands this exit code.
#[track_caller]
pub fn check(home: &Home, args: &[&str], code: i32) -> Value {
    let args: Vec<&str> = ["check", "--json"].iter().chain(args).copied().collect();
    let ran = Ran::from(home.command(&args).output().unwrap());
    let json: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}: {ran:?}"));
    assert_eq!(ran.code, code, "{json:#}\n{}", ran.stderr);
    assert_eq!(json["exit_code"], code);
    assert!(!ran.stdout.contains(SECRET) && !ran.stderr.contains(SECRET));
    json
}

/// The steps of the first walk.
pub fn steps(json: &Value) -> &Vec<Value> {
    json["checked"][0]["steps"].as_array().unwrap()
}

/// The first step that did not pass.
#[track_caller]
pub fn first_cross(json: &Value) -> &Value {
    steps(json)
        .iter()
        .find(|step| ["failed", "warned"].contains(&step["result"].as_str().unwrap()))
        .unwrap_or_else(|| panic!("no cross: {json:#}"))
}

/// Demands that the first cross is at this step, and its sentence that of
/// `tests/messages/check/NAME.txt`, word for word; `UPDATE=1` rewrites the file.
#[track_caller]
pub fn says(home: &Home, json: &Value, step: &str, name: &str) {
    let cross = first_cross(json);
    assert_eq!(cross["step"], step, "{json:#}");
    let text = same_each_run(home, cross["verdict"]["sentence"].as_str().unwrap()) + "\n";
    same_words("check", name, &text);
}

/// Demands that a text is that of `tests/messages/FOLDER/NAME.txt`; `UPDATE=1` rewrites the file.
#[track_caller]
fn same_words(folder: &str, name: &str, text: &str) {
    let messages = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/messages");
    let path = messages.join(folder).join(format!("{name}.txt"));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(messages.join(folder)).unwrap();
        std::fs::write(&path, text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, expected, "not the words of {folder}/{name}.txt");
}

/// Replaces the GUIDs that are made up anew in each run, and dates, which are others tomorrow.
fn unknown(text: &str) -> String {
    let known = [CLIENT, OBJECT_ID, "11111111-2222-3333-4444-555555555555"];
    let is_of_word = |c: char| c.is_ascii_alphanumeric() || c == '-';
    text.split_inclusive(|c| !is_of_word(c))
        .map(|piece| {
            let word = piece.trim_end_matches(|c| !is_of_word(c));
            let parts: Vec<usize> = word.split('-').map(str::len).collect();
            match parts[..] {
                [8, 4, 4, 4, 12] if !known.contains(&word) => piece.replace(word, "GUID"),
                [4, 2, 2] => piece.replace(word, "DATE"),
                _ => piece.to_owned(),
            }
        })
        .collect()
}

/// A text without what differs from run to run.
pub fn same_each_run(home: &Home, text: &str) -> String {
    let standin = &home.standin;
    let mut text = unknown(text)
        .replace(&home.folder.path().display().to_string(), "HOME")
        .replace(&standin.ca_file().display().to_string(), "CA");
    for (port, name) in [
        (standin.imap_port(), "993"),
        (standin.smtp_port(), "587"),
        (standin.smtps_port(), "465"),
        (standin.login_port(), "443"),
    ] {
        text = text.replace(&port.to_string(), name);
    }
    // A listener of the test's own: `localhost:40123`, or `port 40123`.
    let is_port = |word: &str| word.len() > 3 && word.chars().all(|c| c.is_ascii_digit());
    let mut before = "";
    text.split(' ')
        .map(|word| {
            match (
                std::mem::replace(&mut before, word),
                word.strip_prefix("localhost:"),
            ) {
                (_, Some(port)) if is_port(port) => "localhost:PORT",
                ("port", _) if is_port(word) => "PORT",
                _ => word,
            }
        })
        .collect::<Vec<_>>()
        .join(" ")
}

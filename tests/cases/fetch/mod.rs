//! What `fetch` promises, through the real binary against the stand-in: by IMAP and, where a test
//! says so, by Graph too.

mod campaigns;
mod deliveries;
mod import;
mod incidents;
mod large;
pub mod mail_store;
mod oddities;
pub mod receiver;
mod runs;
mod select;
mod staged;
mod start;
mod strangers;
mod webhooks;

pub use campaigns::clock::at as clock_of;

use crate::standin::{App, Standin};
use crate::world::{Run, World};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

pub const SUPPORT: &str = "support@contoso.example";

/// How the mailboxes are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    Imap,
    Graph,
}

/// The same test by each way, at the same time: most of it is waiting.
pub fn both(test: impl Fn(Via) + Sync) {
    std::thread::scope(|scope| {
        let by_graph = scope.spawn(|| test(Via::Graph));
        test(Via::Imap);
        by_graph
            .join()
            .unwrap_or_else(|e| std::panic::resume_unwind(e));
    });
}

/// A stand-in with one app and mailbox `support@…`, and a home whose queue `support` reads it.
pub struct Desk {
    pub m365: Standin,
    pub world: World,
}

impl Desk {
    /// `address`: more keys of the queue's address, one a line.
    pub fn new(via: Via, address: &str) -> Desk {
        let m365 = Standin::start();
        m365.add_app(App {
            secret: Some("s3cret~+&=".into()),
            roles: vec!["IMAP.AccessAsApp", "Mail.ReadWrite"],
            ..App::default()
        });
        let client = App::default().client_id;
        m365.add_mailbox(SUPPORT);
        m365.grant(&client, SUPPORT);
        let more: String = address
            .lines()
            .map(|line| format!("        {}\n", line.trim()))
            .collect();
        let (name, transport) = match via {
            Via::Imap => ("imap", format!("imap: {}", m365.imap_url())),
            Via::Graph => ("graph", format!("graph: {}", m365.graph_url())),
        };
        let world = World::with_config(&format!(
            "version: 1
incoming_servers:
  - name: Contoso
    address: {}
    authentication: oauth-service
    client_id: {client}
    secret: s3cret~+&=
    via: {name}
    {transport}
    ca_file: {}
queues:
  - name: support
    priority: 10
    language: de
    addresses:
      - address: {SUPPORT}
        server: Contoso
{more}",
            m365.authority(),
            m365.ca_file().display(),
        ));
        Desk { m365, world }
    }

    /// Puts messages into the INBOX; returns them as they are.
    pub fn deliver(&self, numbers: std::ops::Range<usize>) -> Vec<Vec<u8>> {
        self.deliver_to(SUPPORT, numbers)
    }

    pub fn deliver_to(&self, address: &str, numbers: std::ops::Range<usize>) -> Vec<Vec<u8>> {
        numbers
            .map(|n| {
                let bytes = message(n);
                self.m365.deliver(address, "INBOX", &bytes);
                bytes
            })
            .collect()
    }

    /// Adds an address to the queue, with more keys, one a line, and its mailbox.
    pub fn add_address(&self, address: &str, more: &str) {
        self.m365.add_mailbox(address);
        self.m365.grant(&App::default().client_id, address);
        let mut config = self.world.config();
        config.push_str(&format!(
            "      - address: {address}\n        server: Contoso\n"
        ));
        for line in more.lines() {
            config.push_str(&format!("        {}\n", line.trim()));
        }
        self.world.write_config(config);
    }

    /// Has the mailboxes read the other way from now on.
    pub fn read_by(&self, via: Via) {
        let (imap, graph) = (
            format!("via: imap\n    imap: {}", self.m365.imap_url()),
            format!("via: graph\n    graph: {}", self.m365.graph_url()),
        );
        let config = self.world.config();
        self.world.write_config(match via {
            Via::Imap => config.replace(&graph, &imap),
            Via::Graph => config.replace(&imap, &graph),
        });
    }

    /// The state database.
    pub fn state(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.world.state_dir().join("state.sqlite")).unwrap()
    }

    pub fn fetch(&self, args: &[&str]) -> Run {
        self.world.run(["fetch"]).args(args)
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.world.path(below)
    }

    /// The messages of a Maildir, sorted.
    pub fn maildir(&self, below: &str) -> Vec<Vec<u8>> {
        files(&self.path(below).join("new"))
            .into_values()
            .collect::<Vec<_>>()
            .sorted()
    }
}

/// As if the waits that servers asked for were over.
fn waits_end(desk: &Desk) {
    let now = "UPDATE wait SET until = 1";
    desk.state().execute(now, []).unwrap();
}

/// A desk whose mail goes to a command that is not over while the file at this path is there.
fn desk_that_waits() -> (Desk, PathBuf) {
    let script = "while [ -e closed ]; do sleep 0.02; done";
    let desk = Desk::new(
        Via::Imap,
        &format!("deliver: 'command:/bin/sh -c \"{script}\"'"),
    );
    let closed = desk.world.write("closed", "");
    (desk, closed)
}

pub trait Sorted {
    fn sorted(self) -> Self;
}

impl<T: Ord> Sorted for Vec<T> {
    fn sorted(mut self) -> Self {
        self.sort();
        self
    }
}

/// A message of its own for each number, some with a Message-ID and some without.
fn message(n: usize) -> Vec<u8> {
    let id = match n % 5 {
        4 => String::new(),
        _ => format!("Message-ID: <{n}@customer.example>\r\n"),
    };
    format!(
        "From: customer-{n}@customer.example\r\nTo: {SUPPORT}\r\nSubject: Case {n}\r\n\
         Date: Mon, 23 Nov 2026 10:00:00 +0000\r\n{id}\r\nFrom the start.\r\n{}",
        "A line of the text.\r\n".repeat(n * 7 % 40)
    )
    .into_bytes()
}

/// The files of a folder by name; none where there is no folder.
pub fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let Ok(entries) = fs::read_dir(folder) else {
        return BTreeMap::new();
    };
    entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, fs::read(&path).unwrap())
        })
        .collect()
}

/// The messages of an mboxrd file, sorted: what its reader sees.
fn mboxrd(file: &Path) -> Vec<Vec<u8>> {
    let bytes = fs::read(file).unwrap_or_default();
    let mut messages: Vec<Vec<u8>> = Vec::new();
    for line in bytes.split_inclusive(|&b| b == b'\n') {
        if line.starts_with(b"From ") {
            messages.push(Vec::new());
            continue;
        }
        let quotes = line.iter().take_while(|&&b| b == b'>').count();
        let quoted = quotes > 0 && line[quotes..].starts_with(b"From ");
        let message = messages.last_mut().expect("a From line first");
        message.extend_from_slice(&line[usize::from(quoted)..]);
    }
    // The empty line after each message belongs to the form.
    for message in &mut messages {
        assert_eq!(
            message.pop(),
            Some(b'\n'),
            "the message ends with an empty line"
        );
    }
    messages.sorted()
}

/// Compares messages and tells the story in few words.
#[track_caller]
pub fn assert_same(expected: &[Vec<u8>], got: &[Vec<u8>], story: &str) {
    let count = |all: &[Vec<u8>]| {
        let mut counts = BTreeMap::new();
        for message in all {
            *counts.entry(message.clone()).or_insert(0_i32) += 1;
        }
        counts
    };
    let (mut expected, got) = (count(expected), count(got));
    for (message, n) in got {
        *expected.entry(message).or_insert(0) -= n;
    }
    let lost: i32 = expected.values().filter(|n| **n > 0).sum();
    let extra: i32 = -expected.values().filter(|n| **n < 0).sum::<i32>();
    let example = expected
        .iter()
        .find(|(_, n)| **n != 0)
        .map(|(m, _)| String::from_utf8_lossy(&m[..m.len().min(200)]).into_owned());
    assert!(
        lost == 0 && extra == 0,
        "{story}: {lost} lost, {extra} too many or altered; one of them: {example:?}"
    );
}

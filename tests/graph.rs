//! Black-box tests of Microsoft Graph: the main job, the promises and the choice of the way,
//! through the real binary against the stand-in.

mod described;
mod folders;
mod limits;
mod listing;
mod memory;
mod network;
mod not_mail;
mod official_client;
mod promises;
mod reading;
mod scopes;
mod sending;
mod switching;
mod ways;

use crate::standin::{App, Standin, User};
use crate::world::{CLIENT_ID, Run, World};

pub const SUPPORT: &str = "support@contoso.example";
const SECRET: &str = "s3cret~+&=";

/// A tenant, a world whose configuration points at it, and one queue.
pub struct Office {
    pub m365: Standin,
    pub world: World,
}

impl Office {
    /// With an app that may do all by Graph and by IMAP.
    pub fn new(via: &str) -> Office {
        let roles = vec![
            "Mail.ReadWrite",
            "Mail.Send",
            "IMAP.AccessAsApp",
            "SMTP.SendAsApp",
        ];
        Office::with_roles(via, roles)
    }

    pub fn with_roles(via: &str, roles: Vec<&'static str>) -> Office {
        let office = Office {
            m365: Standin::start(),
            world: World::new(),
        };
        office.m365.add_app(App {
            client_id: CLIENT_ID.into(),
            secret: Some(SECRET.into()),
            roles,
            ..App::default()
        });
        office.m365.add_user(User {
            address: SUPPORT.into(),
            ..User::default()
        });
        office.m365.add_mailbox(SUPPORT);
        office.m365.grant(CLIENT_ID, SUPPORT);
        office.configure(via, "");
        office
    }

    /// Writes the configuration anew; `address` holds further keys of the queue's address.
    pub fn configure(&self, via: &str, address: &str) {
        let m365 = &self.m365;
        let outgoing = match via {
            "imap" => "smtp",
            other => other,
        };
        self.world.write_config(format!(
            "version: 1
incoming_servers:
  - name: in
    address: {authority}
    authentication: oauth-service
    client_id: {CLIENT_ID}
    secret: {SECRET}
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
queues:
  - name: support
    addresses:
      - address: {SUPPORT}
        server: in
        sender: true
        outgoing_server: out
        deliver: maildir:{mail}
{address}",
            authority = m365.authority(),
            tenant = m365.tenant(),
            imap = m365.imap_url(),
            smtp = m365.smtp_url(),
            graph = m365.graph_url(),
            ca = m365.ca_file().display(),
            mail = self.world.path("mail").display(),
        ));
    }

    pub fn fetch(&self) -> Run {
        self.world.run(["fetch"])
    }

    /// A message numbered `n`, arrived `n` seconds after some time.
    pub fn deliver(&self, folder: &str, n: usize) -> Vec<u8> {
        let bytes = message(n);
        let received = 1_790_000_000 + n as i64;
        self.m365
            .deliver_with(SUPPORT, folder, &bytes, &[], received);
        bytes
    }

    /// The octets of all delivered messages, sorted.
    pub fn delivered(&self) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        if let Ok(entries) = std::fs::read_dir(self.world.path("mail/new")) {
            for entry in entries {
                found.push(std::fs::read(entry.unwrap().path()).unwrap());
            }
        }
        found.sort();
        found
    }

    /// Demands that exactly these were delivered, each once.
    #[track_caller]
    pub fn holds(&self, numbers: impl IntoIterator<Item = usize>) {
        let mut expected: Vec<Vec<u8>> = numbers.into_iter().map(message).collect();
        expected.sort();
        let delivered = self.delivered();
        assert_eq!(
            delivered.len(),
            expected.len(),
            "{:#?}",
            self.m365
                .log()
                .iter()
                .rev()
                .take(30)
                .rev()
                .collect::<Vec<_>>()
        );
        assert!(delivered == expected, "some octets differ");
    }

    /// Changes what the program remembers, as time or another run would.
    pub fn change_state(&self, sql: &str) {
        let path = self.world.state_dir().join("state.sqlite");
        let state = rusqlite::Connection::open(path).unwrap();
        state.execute_batch(sql).unwrap();
    }

    /// How many requests of Graph had this text in their line.
    pub fn requests(&self, text: &str) -> usize {
        let log = self.m365.log();
        log.iter()
            .filter(|l| l.starts_with("HTTP < ") && l.contains(text))
            .count()
    }
}

pub fn message(n: usize) -> Vec<u8> {
    format!(
        "From: Customer <customer@fabrikam.example>\r\nTo: {SUPPORT}\r\nSubject: No. {n}\r\n\
         Message-ID: <{n}@fabrikam.example>\r\nDate: Mon, 23 Nov 2026 08:00:00 +0000\r\n\r\n\
         Body \u{fc} {n}\r\n.\r\nFrom here\r\nno end"
    )
    .into_bytes()
}

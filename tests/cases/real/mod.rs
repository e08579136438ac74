//! The real binary between real servers: Dovecot's IMAP, Postfix's submission, and the
//! stand-in's Entra ID, whose tokens both check.

mod campaigns;
mod deliver;
mod fetch;
mod import;
mod journal;
mod package;
mod recipes;
mod relay;
mod send;
mod servers;

use crate::servers::RealServers;
use crate::standin::{App, Standin};
use crate::world::{Run, World};
use std::fs;
use std::path::PathBuf;

const CLIENT: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae7";
const SECRET: &str = "s3cret~+&=";

/// A home with the servers `Contoso` (in) and `Contoso out`, and queues as tests add them.
struct Office<'a> {
    servers: &'a RealServers,
    standin: Standin,
    world: World,
    /// Both private CAs in one file.
    ca_file: PathBuf,
}

impl<'a> Office<'a> {
    fn new() -> Office<'static> {
        Office::with(RealServers::shared(), &RealServers::shared().imap_url())
    }

    /// With this URL for IMAP.
    fn with(servers: &'a RealServers, imap: &str) -> Office<'a> {
        let standin = Standin::start();
        standin.add_app(App {
            client_id: CLIENT.into(),
            secret: Some(SECRET.into()),
            roles: vec!["IMAP.AccessAsApp", "SMTP.SendAsApp"],
            ..App::default()
        });
        servers.trust(CLIENT, standin.key_id(), standin.public_key_pem());
        let world = World::new();
        let authorities = [standin.ca_file(), servers.ca_file()].map(|f| fs::read(f).unwrap());
        let ca_file = world.write("ca.pem", authorities.concat());
        let secret = world.write("secret", SECRET);
        let office = Office {
            servers,
            standin,
            world,
            ca_file,
        };
        office
            .world
            .run(["server", "add", "incoming", "Contoso"])
            .args(["--auth", "oauth-service", "--client-id", CLIENT])
            .args(["--address", &office.standin.authority(), "--via", "imap"])
            .args(["--imap", imap])
            .arg("--ca-file")
            .arg(&office.ca_file)
            .arg("--secret-file")
            .arg(secret)
            .succeeds();
        office
    }

    /// Adds a queue with one address, its mail delivered to the Maildir `mail/QUEUE`.
    fn add_queue(&self, queue: &str, mailbox: &str, more: &[&str]) {
        self.world
            .run(["queue", "add", queue, "--address", mailbox])
            .args(["--server", "Contoso", "--deliver"])
            .arg(format!("maildir:{}", self.maildir(queue).display()))
            .args(more)
            .succeeds();
    }

    /// Adds the outgoing server, through this submission URL.
    fn add_outgoing(&self, smtp: &str, user: &str) {
        self.world
            .run(["server", "add", "outgoing", "Contoso out"])
            .args(["--auth", "oauth-service", "--app", "Contoso"])
            .args(["--tenant", self.standin.tenant(), "--user", user])
            .args(["--via", "smtp", "--smtp", smtp])
            .arg("--ca-file")
            .arg(&self.ca_file)
            .succeeds();
    }

    fn fetch(&self, more: &[&str]) -> Run {
        self.world.run(["fetch"]).args(more)
    }

    fn maildir(&self, queue: &str) -> PathBuf {
        self.world.path("mail").join(queue)
    }

    /// What a queue's Maildir holds, in the order of its octets.
    fn delivered(&self, queue: &str) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        for place in ["new", "cur"] {
            let Ok(entries) = fs::read_dir(self.maildir(queue).join(place)) else {
                continue;
            };
            found.extend(entries.map(|entry| fs::read(entry.unwrap().path()).unwrap()));
        }
        found.sort();
        found
    }

    /// What a folder on the server holds, in the order of its octets.
    fn stored(&self, mailbox: &str, folder: &str) -> Vec<Vec<u8>> {
        let messages = self.servers.read(mailbox, folder);
        let mut bytes: Vec<_> = messages.into_iter().map(|message| message.bytes).collect();
        bytes.sort();
        bytes
    }
}

/// Demands the same messages, each as often, and tells which differ without printing all.
#[track_caller]
fn assert_same(expected: &[Vec<u8>], found: &[Vec<u8>]) {
    if expected == found {
        return;
    }
    let start =
        |bytes: &Vec<u8>| String::from_utf8_lossy(&bytes[..bytes.len().min(600)]).into_owned();
    let count = |all: &[Vec<u8>], one: &Vec<u8>| all.iter().filter(|other| *other == one).count();
    let differing = |these: &[Vec<u8>], those: &[Vec<u8>]| -> Vec<String> {
        let differs = |one: &&Vec<u8>| count(these, one) > count(those, one);
        these.iter().filter(differs).take(3).map(start).collect()
    };
    panic!(
        "{} messages expected, {} found\nmissing: {:#?}\ntoo many: {:#?}",
        expected.len(),
        found.len(),
        differing(expected, found),
        differing(found, expected)
    );
}

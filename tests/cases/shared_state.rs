//! The state in PostgreSQL: what is promised of a state in a folder holds there as well, and what
//! may befall a server, or the way to it, costs no message and brings none twice.

mod entrance;
mod tables;
mod together;
mod tokens;
mod trouble;

use super::fetch::{Desk, Via, assert_same};
use crate::servers::{Database, database, postgres};
use crate::world::{Ran, Run};
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;

const MAILDIR: &str = "deliver: maildir:mail";

const MAIL: &str = ".config/queuemail/mail";

pub const ROLE: &str = "queue";
pub const PASSWORD: &str = "hunter2-of-the-queue";

/// What the configuration says of the state, where the environment says where it is: each run
/// fetches, however soon it comes after the last one.
const STATE: &str = "state:\n  postgres: host=/nowhere\n  every: 0s";

fn desk() -> Desk {
    let desk = Desk::new(Via::Imap, MAILDIR);
    let world = &desk.world;
    let key = format!("version: 1\n{STATE}");
    world.write_config(world.config().replacen("version: 1", &key, 1));
    desk
}

/// A new database of `ROLE`, and a desk whose state is to be there.
pub struct Office {
    pub desk: Desk,
    pub database: &'static Database,
    pub name: String,
}

fn with_a_short_lease() -> String {
    format!("{STATE}\n  lease: 3s")
}

impl Office {
    pub fn new() -> Office {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let database = database();
        let name = format!("office{}", COUNT.fetch_add(1, SeqCst));
        let server = &database.server;
        let role = format!(
            "DO $$ BEGIN CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}';
             EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
        );
        server.psql("postgres", &role);
        server.psql("postgres", &format!("CREATE DATABASE {name} OWNER {ROLE}"));
        Office {
            desk: desk(),
            database,
            name,
        }
    }

    /// The same, with the tables there.
    pub fn ready() -> Office {
        let office = Office::new();
        office.run(&["state", "init"]).succeeds();
        office
    }

    /// By the server's socket, as its administrator.
    pub fn by_socket(&self) -> String {
        format!(
            "host={} port={} dbname={} user={ROLE}",
            self.database.server.socket().display(),
            self.database.server.port(),
            self.name
        )
    }

    /// By TCP to this port of this machine, in TLS, with this role and password.
    pub fn by_tls(&self, role: &str, password: &str, port: u16) -> String {
        format!(
            "postgres://{role}:{password}@localhost:{port}/{}?sslmode=verify-full&sslrootcert={}",
            self.name,
            self.database.ca_file.display()
        )
    }

    fn run(&self, args: &[&str]) -> Run {
        self.run_at(&self.by_socket(), args)
    }

    fn run_at(&self, url: &str, args: &[&str]) -> Run {
        self.desk.world.run(args).env("QUEUEMAIL_STATE", url)
    }

    /// What could not be put on record is tried again for half a minute, and not for ten.
    fn with_short_leases(self) -> Office {
        self.replaces(STATE, &with_a_short_lease());
        self
    }

    /// They hold as long as usual again, so that no slow machine loses them.
    fn with_usual_leases(&self) {
        self.replaces(&with_a_short_lease(), STATE);
    }

    fn replaces(&self, from: &str, to: &str) {
        let world = &self.desk.world;
        world.write_config(world.config().replacen(from, to, 1));
    }

    /// As much time passes as a lease holds that nobody renews: who could not say that it is done
    /// is not waited for any longer.
    fn leases_end(&self) {
        self.psql("UPDATE lease SET until = clock_timestamp() - interval '1 s'");
    }

    pub fn psql(&self, sql: &str) -> String {
        self.database.server.psql(&self.name, sql)
    }

    /// Fetches what came in, and once more, in which nothing comes again.
    fn fetches_once(&self, url: &str, mail: std::ops::Range<usize>) {
        let sent = self.desk.deliver(mail);
        for _ in 0..2 {
            self.run_at(url, &["fetch"]).succeeds().says_nothing();
            assert_same(&sent, &self.desk.maildir(MAIL), "all of it, once");
        }
    }
}

/// The words of an error tell what, where, and what to do, and not the password.
#[track_caller]
fn tells(ran: Ran, words: &[&str]) {
    let ran = words.iter().fold(ran, |ran, word| ran.mentions(word));
    ran.hides(PASSWORD);
}

impl Office {
    /// As [`Office::ready`], on a server of its own, which may be stopped.
    pub fn ready_alone() -> Office {
        let own: &'static Database = Box::leak(Box::new(Database {
            server: postgres::Postgres::start(None, None),
            ca_file: database().ca_file.clone(),
            client: Default::default(),
        }));
        own.server
            .psql("postgres", &format!("CREATE ROLE {ROLE} LOGIN"));
        own.server
            .psql("postgres", &format!("CREATE DATABASE alone OWNER {ROLE}"));
        let office = Office {
            desk: desk(),
            database: own,
            name: "alone".to_owned(),
        };
        office.run(&["state", "init"]).succeeds();
        office
    }
}

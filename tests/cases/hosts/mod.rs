//! Several hosts that share a state in PostgreSQL: what each of them promises still holds, whatever
//! befalls the other.
//!
//! A host is a process with a home, a state folder and a folder for temporary files of its own, and,
//! as root, a name of its own. What both have are the database, the folder that mail is
//! delivered to, and the stand-in of Microsoft 365.

mod campaigns;
mod costs;
mod places;
mod seen;
mod sharing;
mod takeover;

use super::fetch::{Desk, SUPPORT, Via};
use crate::patience::until;
use crate::servers::postgres::Postgres;
use crate::servers::proxy::Line;
use crate::servers::{self, free_port};
use crate::world::{Run, Running, World};
use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use tempfile::TempDir;

/// A lease holds so long, in seconds: longer than a slow machine may do nothing.
pub const LONG: u64 = 60;
/// The same where a test waits for its end. Who holds such a lease may find itself too slow.
pub const SHORT: u64 = 6;

const ROLE: &str = "hosts";
const PASSWORD: &str = "known-to-both";

/// A database with the tables of a state.
pub struct State {
    server: Server,
    name: String,
}

enum Server {
    Shared(&'static Postgres),
    Own(Postgres),
}

impl State {
    /// On the server that all tests share.
    pub fn new() -> State {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        static MADE: OnceLock<()> = OnceLock::new();
        let server = &servers::database().server;
        MADE.get_or_init(|| make(server, "hosts"));
        let name = format!("hosts{}", COUNT.fetch_add(1, SeqCst));
        let sql = format!("CREATE DATABASE {name} OWNER {ROLE} TEMPLATE hosts");
        server.psql("postgres", &sql);
        State {
            server: Server::Shared(server),
            name,
        }
    }

    /// On a server of its own.
    pub fn alone() -> State {
        let server = Postgres::start(Some(free_port()), None);
        make(&server, "hosts");
        State {
            server: Server::Own(server),
            name: "hosts".to_owned(),
        }
    }

    pub fn server(&self) -> &Postgres {
        match &self.server {
            Server::Shared(server) => server,
            Server::Own(server) => server,
        }
    }

    /// Waits for the end of all leases, of a host that cannot renew them, and until a transaction that it
    /// cannot end keeps nobody from a claim. What was on its way may have come a little later.
    pub fn wait_for_leases(&self) {
        let held = format!(
            "SELECT (SELECT count(*) FROM lease WHERE until > clock_timestamp())
                  + (SELECT count(*) FROM pg_stat_activity
                     WHERE datname = current_database() AND application_name LIKE 'queuemail/%'
                       AND state <> 'idle'
                       AND xact_start > clock_timestamp() - interval '{SHORT} s')"
        );
        until("all leases are over", || self.sql(&held) == "0");
    }

    /// What psql prints of this.
    pub fn sql(&self, sql: &str) -> String {
        self.server().psql(&self.name, sql)
    }

    /// Where it is, by a port that leads to its server.
    pub fn url(&self, port: u16) -> String {
        url(&self.name, port)
    }
}

fn url(name: &str, port: u16) -> String {
    format!("postgres://{ROLE}:{PASSWORD}@127.0.0.1:{port}/{name}")
}

/// Makes a database of `ROLE` with the tables.
fn make(server: &Postgres, name: &str) {
    let role = format!("CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'");
    server.psql("postgres", &role);
    server.psql("postgres", &format!("CREATE DATABASE {name} OWNER {ROLE}"));
    World::new()
        .run(["state", "init"])
        .env("QUEUEMAIL_STATE", url(name, server.port()))
        .succeeds();
}

/// One of the hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// Between it and the database is a line that can be frozen.
    A,
    B,
}

pub struct Fleet {
    /// The stand-in, and the home of host A.
    pub desk: Desk,
    other: World,
    pub database: State,
    pub line: Line,
    shared: TempDir,
}

impl Fleet {
    /// `address`: more keys of the queue's address, one a line; `{shared}` is a folder of both hosts.
    pub fn new(via: Via, address: &str) -> Fleet {
        Fleet::with(State::new(), via, address)
    }

    /// The same with a server of its own.
    pub fn alone(via: Via, address: &str) -> Fleet {
        Fleet::with(State::alone(), via, address)
    }

    fn with(database: State, via: Via, address: &str) -> Fleet {
        let shared = tempfile::Builder::new()
            .prefix("queuemail-shared-")
            .tempdir()
            .unwrap();
        let address = address.replace("{shared}", &shared.path().display().to_string());
        let desk = Desk::new(via, &address);
        let port = database.server().port();
        let line = Line::to(port);
        let config = desk.world.config();
        let state = |port: u16| {
            let url = database.url(port);
            // Each run fetches, however soon it comes after the last one.
            format!("state:\n  postgres: {url}\n  lease: {LONG}s\n  every: 0s\n")
        };
        let other = World::with_config(&format!("{config}{}", state(port)));
        desk.world.write_config(config + &state(line.port));
        Fleet {
            desk,
            other,
            database,
            line,
            shared,
        }
    }

    /// From its next run on, the leases that host A takes hold so long, in seconds.
    pub fn lease_of_a(&self, seconds: u64) {
        let world = self.world(At::A);
        let config = world.config();
        let (before, rest) = config.split_once("  lease: ").unwrap();
        let (_, rest) = rest.split_once('\n').unwrap();
        world.write_config(format!("{before}  lease: {seconds}s\n{rest}"));
    }

    pub fn world(&self, at: At) -> &World {
        match at {
            At::A => &self.desk.world,
            At::B => &self.other,
        }
    }

    /// A run of the program on a host.
    pub fn run(&self, at: At, args: &[&str]) -> Run {
        self.run_under(at, args, Vec::new())
    }

    /// The same, by a program that runs it.
    pub fn run_under(&self, at: At, args: &[&str], wrapper: Vec<String>) -> Run {
        let world = self.world(at);
        let temporary = world.path("tmp");
        fs::create_dir_all(&temporary).unwrap();
        let name = name(at);
        let named = ["unshare", "--uts", "--", "sh", "-c"];
        let named = named
            .into_iter()
            .chain(["hostname \"$0\" && exec \"$@\"", name]);
        let named = named.filter(|_| rustix::process::geteuid().is_root());
        let named = named.map(str::to_owned);
        world
            .run(args)
            .env("TMPDIR", temporary)
            .under(named.chain(wrapper))
    }

    pub fn fetch(&self, at: At) -> Run {
        self.run(at, &["fetch"])
    }

    /// Waits until the line is frozen, or a run is over that it would freeze.
    pub fn wait_frozen(&self, running: &mut Running, story: &str) {
        let what = format!("{story}: it ends, or speaks");
        until(&what, || self.line.is_frozen() || running.is_over());
    }

    /// A path in the folder that both have.
    pub fn shared(&self, below: &str) -> PathBuf {
        self.shared.path().join(below)
    }

    /// Nobody has renewed its leases for as long as they hold.
    pub fn leases_end(&self) {
        self.database.sql(
            "UPDATE lease SET until = clock_timestamp() - interval '1 s'
             WHERE until > clock_timestamp()",
        );
    }

    /// Nobody renews the leases, which hold for so many seconds from now on.
    pub fn leases_hold(&self, seconds: u64) {
        self.database.sql(&format!(
            "UPDATE lease SET until = clock_timestamp() + interval '{seconds} s'"
        ));
    }

    /// As much time passes as a hand-over may take, for those that were begun.
    pub fn hand_overs_end(&self) {
        self.database.sql(
            "UPDATE message SET changed_at = changed_at - 1000 WHERE state = 'staged';
             UPDATE outbox SET changed_at = changed_at - 1000 WHERE state = 'sending'",
        );
    }
}

/// What a host is called in messages, as far as it can be told.
pub fn name(at: At) -> &'static str {
    match at {
        At::A => "host-a",
        At::B => "host-b",
    }
}

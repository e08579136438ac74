//! A fleet: two hosts that share a state in PostgreSQL, and one of them killed at work, on this machine
//! alone and without any account.
//!
//! `cargo run --example fleet` starts the stand-in of Microsoft 365 and PostgreSQL in a temporary
//! folder, lets mail come in, and lets two hosts fetch it through the real binary. A host is a
//! process with a home, a state folder and, for root, a host name of its own. It ends with 0 only if
//! each message was delivered exactly once, octet for octet. `-- --short` takes less mail.

#[allow(dead_code)] // shared with the tests
#[path = "../tests/servers/postgres.rs"]
mod postgres;
#[allow(dead_code)]
#[path = "../tests/servers/process.rs"]
mod process;
#[path = "../tests/standin/mod.rs"]
mod standin;

mod parts;

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use parts::{binary, maildir};
use postgres::Postgres;
use rustix::process::{Pid, Signal, geteuid, kill_process};
use standin::{App, Standin, User};

const APP: &str = "6f1c3a52-0b7e-4d7f-9a53-2f8f0b6f4e11";
const SECRET: &str = "Gq8~demo.secret+with&odd=characters";
const PASSWORD: &str = "only-for-this-demo";

/// So long, in seconds, does a host wait for one that vanished.
const LEASE: u64 = 6;
/// So long, in seconds, is a mailbox left alone after a host has begun to fetch it.
const EVERY: u64 = 1;
/// The exit code of a run that the next one continues.
const LATER: i32 = 75;
/// So long a host is watched until it has begun to deliver something.
const LOOK: Duration = Duration::from_secs(15);
/// The whole takes no longer.
const PATIENCE: Duration = Duration::from_secs(120);

/// How much mail there is.
#[derive(Clone, Copy)]
struct Size {
    mailboxes: usize,
    /// Messages that are there before a host fetches.
    before: usize,
    /// Messages that come in after one host was killed.
    meanwhile: usize,
}

const WHOLE: Size = Size {
    mailboxes: 6,
    before: 600,
    meanwhile: 300,
};
const SHORT: Size = Size {
    mailboxes: 2,
    before: 120,
    meanwhile: 30,
};

fn main() -> ExitCode {
    let is_short = std::env::args().skip(1).any(|arg| arg == "--short");
    match Fleet::open(if is_short { SHORT } else { WHOLE }).show() {
        Ok(()) => {
            println!("\nAll is well: each message was delivered exactly once.");
            ExitCode::SUCCESS
        }
        Err(why) => {
            println!("\nFAILED: {why}");
            ExitCode::FAILURE
        }
    }
}

#[test]
fn one_host_is_killed_and_each_message_comes_once() {
    Fleet::open(SHORT).show().unwrap();
}

struct Fleet {
    size: Size,
    m365: Standin,
    database: Postgres,
    folder: tempfile::TempDir,
    hosts: [Host; 2],
    /// Messages that came in so far.
    sent: usize,
}

/// One of the hosts.
struct Host {
    name: &'static str,
    home: PathBuf,
    binary: PathBuf,
    running: Option<Child>,
    runs: u32,
    /// Runs that ended with [`LATER`].
    later: u32,
}

impl Fleet {
    /// Starts the servers and furnishes the tenant, the database and both hosts.
    fn open(size: Size) -> Fleet {
        let m365 = Standin::start();
        m365.add_app(App {
            client_id: APP.into(),
            secret: Some(SECRET.into()),
            roles: vec!["IMAP.AccessAsApp"],
            ..App::default()
        });
        for n in 0..size.mailboxes {
            m365.add_user(User {
                address: address(n),
                ..User::default()
            });
            m365.add_mailbox(&address(n));
            m365.grant(APP, &address(n));
        }
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let database = Postgres::start(Some(port.expect("a port is free").port()), None);
        database.psql(
            "postgres",
            &format!("CREATE ROLE queuemail LOGIN PASSWORD '{PASSWORD}'"),
        );
        database.psql("postgres", "CREATE DATABASE queuemail OWNER queuemail");
        let folder = tempfile::Builder::new()
            .prefix("queuemail-fleet-")
            .tempdir()
            .expect("a temporary folder can be made");
        let hosts = ["host-a", "host-b"].map(|name| {
            let home = folder.path().join(name);
            fs::create_dir(&home).expect("a home can be made");
            Host {
                name,
                home,
                binary: binary(),
                running: None,
                runs: 0,
                later: 0,
            }
        });
        Fleet {
            size,
            m365,
            database,
            folder,
            hosts,
            sent: 0,
        }
    }

    /// The whole story; an error says what is not as promised.
    fn show(&mut self) -> Result<(), String> {
        self.furnish()?;
        for _ in 0..self.size.before {
            self.mail_comes();
        }
        println!(
            "{} messages lie in {} mailboxes. Both hosts fetch, and mail keeps coming in.",
            self.sent, self.size.mailboxes
        );
        let end = Instant::now() + PATIENCE;
        self.kill_at_work(end)?;
        let killed = Instant::now();
        for _ in 0..self.size.meanwhile {
            self.mail_comes();
            self.hosts[1].keep_fetching()?;
            std::thread::sleep(Duration::from_millis(5));
        }
        let all = self.sent;
        println!(
            "All {all} messages have come in. host-b fetches on; it takes over what host-a held \
             once {LEASE} s have passed without a sign of host-a."
        );
        while self.delivered().len() < all {
            if Instant::now() > end {
                return Err(format!(
                    "after {} s only {} of {all} messages are delivered",
                    PATIENCE.as_secs(),
                    self.delivered().len()
                ));
            }
            self.hosts[1].keep_fetching()?;
            std::thread::sleep(Duration::from_millis(20));
        }
        println!(
            "host-b has delivered the rest, {:.1} s after host-a was killed.",
            killed.elapsed().as_secs_f64()
        );
        println!("host-a comes back, and both look once more.");
        for host in &mut self.hosts {
            host.finish()?;
            std::thread::sleep(Duration::from_secs(EVERY));
            host.start()?;
            host.finish()?;
        }
        self.tell_shares();
        self.compare()
    }

    /// The configuration of both hosts, and the tables.
    fn furnish(&mut self) -> Result<(), String> {
        let mut config = format!(
            "version: 1\nstate:\n  postgres: postgres://queuemail:{PASSWORD}@127.0.0.1:{}/queuemail\n  lease: {LEASE}s\n  every: {EVERY}s\n\
             incoming_servers:\n  - name: Contoso\n    address: {}\n    authentication: oauth-service\n    \
             client_id: {APP}\n    secret: \"{SECRET}\"\n    imap: {}\n    ca_file: {}\nqueues:\n",
            self.database.port(),
            self.m365.authority(),
            self.m365.imap_url(),
            self.m365.ca_file().display(),
        );
        let mail = self.folder.path().join("mail");
        for n in 0..self.size.mailboxes {
            config += &format!(
                "  - name: queue{n}\n    addresses:\n      - address: {}\n        server: Contoso\n        \
                 deliver: \"maildir:{}/{{queue}}\"\n",
                address(n),
                mail.display()
            );
        }
        for host in &self.hosts {
            let path = host.home.join("config.yaml");
            let written = fs::write(&path, &config)
                .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o600)));
            written.map_err(|e| format!("{}: {e}", path.display()))?;
        }
        println!("On this machine run a stand-in of Microsoft 365 and PostgreSQL,");
        println!("and two hosts, host-a and host-b, each with a home of its own.");
        if !geteuid().is_root() {
            println!("(Only root may give each a host name of its own.)");
        }
        let host = &mut self.hosts[0];
        host.launch(&["state", "init"])?;
        host.finish()
    }

    /// One more message, to one mailbox after the other.
    fn mail_comes(&mut self) {
        let n = self.sent;
        let to = address(n % self.size.mailboxes);
        let message = format!(
            "From: Customer <customer@fabrikam.example>\r\nTo: {to}\r\nSubject: Request {n}\r\n\
             Message-ID: <{n}@fabrikam.example>\r\nDate: Mon, 23 Nov 2026 08:00:00 +0000\r\n\r\n\
             This is request {n}.\r\n"
        );
        self.m365.deliver(&to, "INBOX", message.as_bytes());
        self.sent += 1;
    }

    /// Lets both fetch until host A is in the middle of a delivery, and kills it there. It is frozen
    /// while this looks, so that what it sees is what is true when it dies.
    fn kill_at_work(&mut self, end: Instant) -> Result<(), String> {
        let (mut frozen, began) = (Duration::ZERO, Instant::now());
        loop {
            if Instant::now() > end {
                return Err("host-a was never seen at work".to_owned());
            }
            self.mail_comes();
            for host in &mut self.hosts {
                host.keep_fetching()?;
            }
            // As long as it was frozen at least, or it could not renew its leases in time.
            std::thread::sleep(frozen + Duration::from_millis(3));
            let Some(pid) = self.hosts[0].pid() else {
                continue;
            };
            let looking = Instant::now();
            signal(pid, Signal::STOP);
            let (held, begun) = self.at_work(pid);
            // Where it is never seen so, it is enough that it holds a mailbox.
            if begun > 0 || (held > 0 && began.elapsed() > LOOK) {
                self.hosts[0].kill()?;
                println!(
                    "host-a was killed (kill -9). It held {held} mailbox(es), and had begun to deliver \
                     {begun} message(s). {} of {} messages were in their folders by then.",
                    self.delivered().len(),
                    self.sent
                );
                return Ok(());
            }
            signal(pid, Signal::CONT);
            frozen = looking.elapsed();
        }
    }

    /// The mailboxes that a process fetches right now, and the messages of them that it has begun to
    /// deliver, as the database has it on record.
    fn at_work(&self, pid: Pid) -> (u32, u32) {
        let sql = format!(
            "SELECT count(DISTINCT lease.name), count(message.id)
             FROM run JOIN lease ON lease.holder = run.id AND lease.until > clock_timestamp()
             LEFT JOIN folder ON lease.name = 'fetch ' || folder.address
             LEFT JOIN message ON message.folder = folder.id AND message.state = 'staged'
             WHERE lease.name LIKE 'fetch %' AND run.pid = {}",
            pid.as_raw_nonzero()
        );
        let said = self.database.psql("queuemail", &sql);
        let counts = said.split_once('|').map(|(a, b)| (a.parse(), b.parse()));
        match counts {
            Some((Ok(held), Ok(begun))) => (held, begun),
            _ => panic!("not two numbers: {said}"),
        }
    }

    /// Which part each run of both hosts had.
    fn tell_shares(&self) {
        let sql = "SELECT sum(mailboxes), count(*) FILTER (WHERE mailboxes > 0) FROM run";
        let said = self.database.psql("queuemail", sql);
        let (visits, runs) = said.split_once('|').unwrap_or((&said, "?"));
        println!("{visits} visits of mailboxes were divided among {runs} runs of both.");
    }

    /// Every delivered message.
    fn delivered(&self) -> Vec<Vec<u8>> {
        let mail = self.folder.path().join("mail");
        (0..self.size.mailboxes)
            .flat_map(|n| maildir(&mail.join(format!("queue{n}"))))
            .map(|(_, bytes)| bytes)
            .collect()
    }

    /// Each message of the server was delivered once, and nothing else.
    fn compare(&self) -> Result<(), String> {
        let mut total = 0;
        for n in 0..self.size.mailboxes {
            let files = maildir(&self.folder.path().join("mail").join(format!("queue{n}")));
            let mut delivered: Vec<Vec<u8>> = files.into_iter().map(|(_, bytes)| bytes).collect();
            let stored = self.m365.messages(&address(n), "INBOX");
            let mut stored: Vec<Vec<u8>> = stored.into_iter().map(|one| one.bytes).collect();
            delivered.sort();
            stored.sort();
            if delivered != stored {
                return Err(format!(
                    "{} has {} messages on the server, and {} were delivered",
                    address(n),
                    stored.len(),
                    delivered.len()
                ));
            }
            total += stored.len();
        }
        let [a, b] = &self.hosts;
        println!(
            "{total} messages came in, {total} were delivered: none lost, none twice, octet for octet. \
             {} ran {} times, {} {} times; {} run(s) ended with {LATER} (later).",
            a.name,
            a.runs,
            b.name,
            b.runs,
            a.later + b.later
        );
        Ok(())
    }
}

impl Host {
    /// Starts the real binary here.
    fn launch(&mut self, args: &[&str]) -> Result<(), String> {
        let cannot = |e: std::io::Error| format!("{}: {e}", self.name);
        let log = File::create(self.log()).map_err(cannot)?;
        let mut command = match geteuid().is_root() {
            true => {
                let mut command = Command::new("unshare");
                command.args(["--uts", "--", "sh", "-c"]);
                command.args(["hostname \"$0\" && exec \"$@\"", self.name]);
                command.arg(&self.binary);
                command
            }
            false => Command::new(&self.binary),
        };
        let child = command
            .args(args)
            .env("HOME", &self.home)
            .env("QUEUEMAIL_CONFIG", self.home.join("config.yaml"))
            .env("QUEUEMAIL_STATE_DIR", self.home.join("state"))
            .env_remove("QUEUEMAIL_STATE")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(cannot)?;
        self.running = Some(child);
        Ok(())
    }

    fn log(&self) -> PathBuf {
        self.home.join("log")
    }

    fn start(&mut self) -> Result<(), String> {
        self.runs += 1;
        self.launch(&["fetch"])
    }

    /// As a timer would: starts the next run where the last one is over.
    fn keep_fetching(&mut self) -> Result<(), String> {
        let ended = match &mut self.running {
            None => None,
            Some(child) => match child.try_wait().map_err(|e| e.to_string())? {
                None => return Ok(()),
                ended => ended,
            },
        };
        if let Some(status) = ended {
            self.judge(status)?;
        }
        self.start()
    }

    /// Waits for a run to end, if there is one.
    fn finish(&mut self) -> Result<(), String> {
        match self.running.take() {
            Some(mut child) => {
                let status = child.wait().map_err(|e| e.to_string())?;
                self.judge(status)
            }
            None => Ok(()),
        }
    }

    /// A run ends in order, or says "later", as the next one comes anyway: on a machine that is slow
    /// enough a host can lose a lease.
    fn judge(&mut self, status: ExitStatus) -> Result<(), String> {
        match status.code() {
            Some(0) => return Ok(()),
            Some(LATER) => {
                self.later += 1;
                return Ok(());
            }
            _ => {}
        }
        let said = process::read(Path::new(&self.log()));
        Err(format!("queuemail on {}: {status}\n{said}", self.name))
    }

    fn pid(&self) -> Option<Pid> {
        self.running.as_ref().map(|child| {
            let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
            pid.expect("a child has a process id")
        })
    }

    fn kill(&mut self) -> Result<(), String> {
        let Some(mut child) = self.running.take() else {
            return Err(format!("{} does not run", self.name));
        };
        child
            .kill()
            .and_then(|()| child.wait())
            .map_err(|e| e.to_string())?;
        Ok(())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // Also one that is frozen.
        self.kill().ok();
    }
}

/// A run that has just ended has no use for a signal.
fn signal(pid: Pid, signal: Signal) {
    kill_process(pid, signal).ok();
}

fn address(n: usize) -> String {
    format!("queue{n}@contoso.example")
}

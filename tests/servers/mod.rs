//! Real servers for the tests: Debian's Dovecot and Postfix, one throw-away instance of each.
//!
//! Configuration, mail and logs are in a temporary folder, the ports are free ones on loopback,
//! the system's own instances stay untouched. Both servers end, and their folder goes, when the
//! process that started them ends, in whatever way (see `process`).
//!
//! OAuth is checked for real: Dovecot verifies the RS256 signature, the expiry and the audience
//! of each access token, for IMAP and (asked by Postfix) for SMTP. A token that passes opens any
//! mailbox that `user=` names, as an app with FullAccess everywhere; a mailbox comes to be when
//! it is first used. Postfix takes mail for every domain and hands it to Dovecot by LMTP, so
//! nothing can leave the machine.
#![allow(dead_code)] // shared by the tests and the benchmark, and neither uses all of it

mod authority;
mod dovecot;
pub mod pgbouncer;
mod postfix;
pub mod postgres;
pub mod process;
pub mod proxy;
pub mod raw_imap;

use raw_imap::{Message, RawImap};
use rustix::net::{self, AddressFamily, SocketType};
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// The password of every mailbox for clients without OAuth: the tests' own IMAP client and the
/// peers in the benchmark. Only SASL PLAIN and LOGIN take it.
pub const PASSWORD: &str = "only-for-the-tests";

/// The audience that Dovecot demands of a token.
pub const AUDIENCE: &str = "https://outlook.office365.com";

/// Recipients that begin so are refused by Postfix, for good or for now.
pub const UNKNOWN: &str = "unknown";
pub const LATER: &str = "later";

pub struct RealServers {
    dovecot: dovecot::Dovecot,
    postfix: postfix::Postfix,
    ca_file: PathBuf,
}

impl RealServers {
    /// The servers that all tests of this process share; each test uses its own mailbox.
    pub fn shared() -> &'static RealServers {
        static SERVERS: OnceLock<RealServers> = OnceLock::new();
        SERVERS.get_or_init(RealServers::start)
    }

    /// Starts both servers and waits until they answer. Panics with what is missing.
    pub fn start() -> RealServers {
        RealServers::start_with("xoauth2 oauthbearer")
    }

    /// The same, and a token is taken by these SASL mechanisms alone.
    pub fn start_with(mechanisms: &'static str) -> RealServers {
        let missing = missing();
        assert!(
            missing.is_empty(),
            "the tests against real servers need {}: run `scripts/need test`, as root",
            missing.join(", ")
        );
        let folder = new_folder();
        let certificate = authority::make(&folder);
        let dovecot = dovecot::Dovecot::start(&folder.join("dovecot"), &certificate, mechanisms);
        let postfix = postfix::Postfix::start(&folder.join("postfix"), &certificate, &dovecot);
        // What the watchers do not remove: three PEM files, needed until the end.
        RealServers {
            dovecot,
            postfix,
            ca_file: certificate.ca_file,
        }
    }

    /// Makes Dovecot believe tokens that this key signed for this client ID (`azp`).
    pub fn trust(&self, client_id: &str, kid: &str, public_key_pem: &str) {
        self.dovecot.trust(client_id, kid, public_key_pem);
    }

    /// `imaps://127.0.0.1:PORT`
    pub fn imap_url(&self) -> String {
        format!("imaps://127.0.0.1:{}", self.dovecot.imaps)
    }

    /// `imap://127.0.0.1:PORT`, which offers STARTTLS.
    pub fn imap_starttls_url(&self) -> String {
        format!("imap://127.0.0.1:{}", self.dovecot.imap)
    }

    /// `smtp://127.0.0.1:PORT`, submission, which demands STARTTLS.
    pub fn smtp_url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.postfix.submission)
    }

    /// `smtps://127.0.0.1:PORT`
    pub fn smtps_url(&self) -> String {
        format!("smtps://127.0.0.1:{}", self.postfix.submissions)
    }

    /// The port behind `imap_url`, for a proxy in between.
    pub fn imaps_port(&self) -> u16 {
        self.dovecot.imaps
    }

    /// The port behind `smtp_url`.
    pub fn submission_port(&self) -> u16 {
        self.postfix.submission
    }

    /// POP3 within TLS, for peers that know nothing else.
    pub fn pop3s_port(&self) -> u16 {
        self.dovecot.pop3s
    }

    /// From now on this Sieve script sorts what LMTP brings for a mailbox.
    pub fn sieve(&self, mailbox: &str, script: &str) {
        self.dovecot.sieve(mailbox, script);
    }

    /// Where Dovecot takes mail by LMTP.
    pub fn lmtp_socket(&self) -> PathBuf {
        self.dovecot.lmtp_socket()
    }

    /// The private CA, PEM.
    pub fn ca_file(&self) -> &Path {
        &self.ca_file
    }

    /// The tests' own IMAP client, signed in to a mailbox.
    pub fn client(&self, mailbox: &str) -> RawImap<TcpStream> {
        let mut client = RawImap::connect(self.dovecot.imap);
        client.login(mailbox, PASSWORD);
        client
    }

    /// Puts messages into a folder octet for octet; gives their UIDs.
    pub fn append<M: AsRef<[u8]>>(&self, mailbox: &str, folder: &str, messages: &[M]) -> Vec<u32> {
        self.fill(mailbox, folder, messages.iter())
    }

    /// The same for very many messages, made as they are needed.
    pub fn fill<M: AsRef<[u8]>>(
        &self,
        mailbox: &str,
        folder: &str,
        messages: impl Iterator<Item = M>,
    ) -> Vec<u32> {
        let mut client = self.client(mailbox);
        client.create(folder);
        client.append(folder, messages)
    }

    /// What a folder holds, in the order of UIDs.
    pub fn read(&self, mailbox: &str, folder: &str) -> Vec<Message> {
        let mut client = self.client(mailbox);
        client.select(folder);
        client.read_all()
    }

    /// Waits until this many messages that were sent to a mailbox are in its INBOX, then reads
    /// it. A client that opened a new mailbox while the first message came in would make it a
    /// second time, and Dovecot 2.3 panics over that: its log tells when all are there.
    pub fn read_sent(&self, mailbox: &str, count: usize) -> Vec<Message> {
        let session = format!(" lmtp({mailbox})<");
        let is_saved =
            |line: &&str| line.contains(&session) && line.ends_with(": saved mail to INBOX");
        let end = std::time::Instant::now() + std::time::Duration::from_secs(120);
        while self.dovecot.log().lines().filter(is_saved).count() < count {
            assert!(
                std::time::Instant::now() < end,
                "{count} messages never came to `{mailbox}`\n{}",
                self.log()
            );
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        self.read(mailbox, "INBOX")
    }

    /// Deletes a folder with its messages and makes it anew: another UIDVALIDITY, UIDs from 1.
    pub fn recreate(&self, mailbox: &str, folder: &str) {
        let mut client = self.client(mailbox);
        client.command(&format!("DELETE {}", raw_imap::quote(folder)));
        client.create(folder);
    }

    /// A copy of a mailbox as Dovecot keeps it, its UIDs and UIDVALIDITY included.
    pub fn back_up(&self, mailbox: &str) {
        self.dovecot.copy_mailbox(mailbox, "mail", "backup");
    }

    /// Puts that copy in the mailbox's place. Nobody may be signed in to it.
    pub fn restore(&self, mailbox: &str) {
        self.dovecot.copy_mailbox(mailbox, "backup", "mail");
    }

    /// Ends Dovecot and starts it again with the same mail, ports and keys; its sessions end.
    pub fn restart_dovecot(&self) {
        self.dovecot.restart();
    }

    /// What the servers logged, for the message of a failed test.
    pub fn log(&self) -> String {
        format!(
            "--- Dovecot's log\n{}\n--- Postfix's log\n{}",
            self.dovecot.log(),
            self.postfix.log()
        )
    }
}

/// A test that fails tells what its servers saw.
impl Drop for RealServers {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
    }
}

/// What this machine lacks, in words.
pub fn missing() -> Vec<&'static str> {
    let mut missing = Vec::new();
    for (file, package) in [
        ("/usr/lib/dovecot/imap", "the package dovecot-imapd"),
        ("/usr/lib/dovecot/lmtp", "the package dovecot-lmtpd"),
        ("/usr/sbin/postfix", "the package postfix"),
    ] {
        if !Path::new(file).exists() {
            missing.push(package);
        }
    }
    // Postfix's master refuses to run as anybody else.
    if !fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0) {
        missing.push("root's rights");
    }
    missing
}

/// A folder that the servers' own users may enter; sockets in it need a short path.
/// The PostgreSQL that all tests of this process share; each test uses its own database.
pub fn database() -> &'static Database {
    static DATABASE: OnceLock<Database> = OnceLock::new();
    DATABASE.get_or_init(|| {
        // What the watchers do not remove: a few PEM files, needed until the end.
        let folder = new_folder();
        let certificate = authority::make(&folder);
        let pem = crate::standin::tls::client_certificate("Clients of the tests", "of_certificate");
        let client_ca = folder.join("client-ca.pem");
        fs::write(&client_ca, pem.ca).unwrap();
        let tls = postgres::Tls {
            ca_file: &client_ca,
            certificate: &certificate.certificate,
            key: &certificate.key,
        };
        Database {
            server: postgres::Postgres::start(Some(free_port()), Some(&tls)),
            ca_file: certificate.ca_file,
            client: (pem.certificate, pem.key),
        }
    })
}

/// A PostgreSQL, and what its clients need.
pub struct Database {
    pub server: postgres::Postgres,
    /// Whom to trust for its certificate, PEM.
    pub ca_file: PathBuf,
    /// The certificate of the client `of_certificate` and its key, PEM.
    pub client: (String, String),
}

fn new_folder() -> PathBuf {
    let folder = tempfile::Builder::new()
        .prefix("queuemail-real-")
        .tempdir()
        .unwrap()
        .keep();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

/// A port on loopback that nobody takes before the server it is for: it lies below those that
/// the kernel gives to whoever asks for any, and this process gives it once.
pub fn free_port() -> u16 {
    const RANGE: std::ops::Range<u32> = 10_000..32_000;
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id().wrapping_mul(64);
    for _ in RANGE {
        let next = first.wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed));
        let port = (RANGE.start + next % (RANGE.end - RANGE.start)) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port in {RANGE:?} is free");
}

/// A port on loopback where nobody listens and that nobody takes: it is bound until this process
/// ends.
pub fn closed_port() -> u16 {
    let socket = net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    net::bind(&socket, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let socket = TcpListener::from(socket);
    let port = socket.local_addr().unwrap().port();
    std::mem::forget(socket);
    port
}

/// Runs a small command to its end.
pub fn run(program: &str, args: &[&str]) {
    let output = std::process::Command::new(program).args(args).output();
    let output = output.unwrap_or_else(|e| panic!("{program}: {e}"));
    assert!(
        output.status.success(),
        "{program} {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

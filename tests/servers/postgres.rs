//! An instance of PostgreSQL in a temporary folder: its socket is there, its port on loopback.
//!
//! Over the socket everybody is let in; over TCP by a password (SCRAM), but `weak_md5` by md5,
//! `weak_clear` in clear text, and `of_certificate` by a certificate. Nothing is synced to
//! disk, so that what was committed outlives the server, and not the machine.

use super::process::{Process, read};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Who may do everything.
pub const ADMIN: &str = "postgres";

/// The certificate of the server, and whom it trusts (PEM files).
pub struct Tls<'a> {
    pub ca_file: &'a Path,
    pub certificate: &'a Path,
    pub key: &'a Path,
}

pub struct Postgres {
    process: Mutex<Option<Process>>,
    folder: PathBuf,
    port: u16,
}

impl Postgres {
    /// Starts one below a new folder, which goes with it; without a port it has its socket alone.
    ///
    /// # Panics
    /// Where PostgreSQL is not installed: nothing is left out without a word.
    pub fn start(port: Option<u16>, tls: Option<&Tls<'_>>) -> Postgres {
        let folder = new_folder();
        let data = folder.join("data");
        run(&as_nobody(&[
            &program("initdb"),
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
            "--username",
            ADMIN,
            "--pgdata",
            data.to_str().unwrap(),
        ]));
        let doors = "local all all trust\nlocal replication all trust\n\
                     host all weak_md5 127.0.0.1/32 md5\n\
                     host all weak_clear 127.0.0.1/32 password\n\
                     hostssl all of_certificate 127.0.0.1/32 cert\n\
                     host all all 127.0.0.1/32 scram-sha-256\n";
        let path = data.join("pg_hba.conf");
        fs::write(&path, doors).unwrap();
        let addresses = port.map_or("", |_| "127.0.0.1");
        let port = port.unwrap_or(5432);
        let mut settings = format!(
            "listen_addresses = '{addresses}'\nport = {port}\nunix_socket_directories = '{}'\n\
             fsync = off\nfull_page_writes = off\nmax_connections = 200\n\
             shared_buffers = 32MB\nautovacuum = off\n",
            folder.display()
        );
        if let Some(tls) = tls {
            for (from, name) in [
                (tls.ca_file, "ca.pem"),
                (tls.certificate, "server.pem"),
                (tls.key, "server.key"),
            ] {
                let path = data.join(name);
                fs::copy(from, &path).unwrap();
                fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
                give(&path);
            }
            settings += "ssl = on\nssl_ca_file = 'ca.pem'\nssl_cert_file = 'server.pem'\nssl_key_file = 'server.key'\n";
        }
        let path = data.join("postgresql.auto.conf");
        fs::write(&path, settings).unwrap();
        let server = Postgres {
            process: Mutex::new(None),
            folder,
            port,
        };
        server.launch();
        server
    }

    /// Starts a standby of this one, with a socket alone.
    pub fn standby(&self) -> Postgres {
        let folder = new_folder();
        let data = folder.join("data");
        run(&as_nobody(&[
            &program("pg_basebackup"),
            "--checkpoint=fast",
            "--no-sync",
            "--write-recovery-conf",
            "--host",
            self.folder.to_str().unwrap(),
            "--port",
            &self.port.to_string(),
            "--username",
            ADMIN,
            "--pgdata",
            data.to_str().unwrap(),
        ]));
        let path = data.join("postgresql.auto.conf");
        let own = format!(
            "listen_addresses = ''\nport = 5432\nunix_socket_directories = '{}'\n",
            folder.display()
        );
        fs::write(&path, fs::read_to_string(&path).unwrap() + &own).unwrap();
        let standby = Postgres {
            process: Mutex::new(None),
            folder,
            port: 5432,
        };
        standby.launch();
        standby
    }

    /// Starts it (again).
    pub fn launch(&self) {
        let data = self.folder.join("data");
        let postgres = program("postgres");
        let words = as_nobody(&[&postgres, "-D", data.to_str().unwrap()]);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        *self.process.lock().unwrap() = Some(Process::start(&self.folder, &words));
        let end = Instant::now() + Duration::from_secs(120);
        while self.psql_as(ADMIN, "postgres", "SELECT 1").is_err() {
            let log = read(&self.folder.join("output"));
            assert!(Instant::now() < end, "PostgreSQL did not come up\n{log}");
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// Ends it at once, as a power cut does.
    pub fn stop(&self) {
        let pid = fs::read_to_string(self.folder.join("data/postmaster.pid")).unwrap();
        run(&["kill", "-QUIT", pid.lines().next().unwrap()].map(str::to_owned));
        if let Some(process) = self.process.lock().unwrap().take() {
            process.stop();
        }
    }

    /// The time of a processor that it has used, with all its processes, the former ones too.
    pub fn processor(&self) -> Duration {
        let pid = fs::read_to_string(self.folder.join("data/postmaster.pid")).unwrap();
        let pid = pid.lines().next().unwrap();
        let stat = |process: &str| {
            let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
            // After the name, which may be anything: proc_pid_stat(5) from its third field.
            let fields = text.rsplit_once(") ")?.1;
            let fields = fields.split(' ').map(str::to_owned);
            Some(fields.collect::<Vec<String>>())
        };
        let ticks =
            |fields: &[String]| -> u64 { fields.iter().map(|n| n.parse().unwrap_or(0)).sum() };
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let all = processes.filter_map(|entry| {
            let process = entry.file_name().into_string().ok()?;
            let fields = stat(&process)?;
            // Of the first process, what those that are gone have used is in the next two.
            match (process == pid, fields[1] == pid) {
                (true, _) => Some(ticks(&fields[11..15])),
                (_, true) => Some(ticks(&fields[11..13])),
                _ => None,
            }
        });
        // A tick is a hundredth of a second to programs, whatever it is to the kernel.
        Duration::from_millis(10 * all.sum::<u64>())
    }

    /// The folder of its socket.
    pub fn socket(&self) -> &Path {
        &self.folder
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it logs.
    pub fn log(&self) -> String {
        read(&self.folder.join("output"))
    }

    /// What psql prints of this as the administrator: a line for each row, `|` between columns.
    pub fn psql(&self, database: &str, sql: &str) -> String {
        self.psql_as(ADMIN, database, sql)
            .unwrap_or_else(|e| panic!("{sql}: {e}\n{}", self.log()))
    }

    /// The command that does so.
    pub fn psql_command(&self, user: &str, database: &str, sql: &str) -> Command {
        let mut command = Command::new("psql");
        command
            .args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-U", user, "-d", database])
            .args(["-p", &self.port.to_string(), "-c", sql, "-h"])
            .arg(&self.folder);
        command
    }

    pub fn psql_as(&self, user: &str, database: &str, sql: &str) -> Result<String, String> {
        let output = self
            .psql_command(user, database, sql)
            .output()
            .unwrap_or_else(|e| panic!("psql: {e}: run `scripts/need test`, as root"));
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }
}

/// A folder of its own for a server; the one above goes with it.
fn new_folder() -> PathBuf {
    let folder = tempfile::Builder::new()
        .prefix("queuemail-postgres-")
        .tempdir()
        .unwrap()
        .keep()
        .join("s");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(folder.parent().unwrap(), fs::Permissions::from_mode(0o755)).unwrap();
    give(&folder);
    folder
}

/// A program of PostgreSQL, which Debian keeps in a folder for each version.
fn program(name: &str) -> String {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut found: Vec<PathBuf> = versions
        .flatten()
        .map(|version| version.path().join("bin").join(name))
        .filter(|path| path.exists())
        .collect();
    found.sort();
    let path = found.pop();
    path.unwrap_or_else(|| panic!("the tests need PostgreSQL: run `scripts/need test`, as root"))
        .to_str()
        .unwrap()
        .to_owned()
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// The command as a user without rights: PostgreSQL refuses to be root.
pub fn as_nobody(words: &[&str]) -> Vec<String> {
    let drop = [
        "setpriv",
        "--reuid=nobody",
        "--regid=nogroup",
        "--clear-groups",
        "--",
    ];
    let drop = drop.iter().filter(|_| is_root());
    drop.chain(words).map(|word| (*word).to_owned()).collect()
}

pub fn give(path: &Path) {
    if is_root() {
        run(&["chown", "nobody:nogroup", path.to_str().unwrap()].map(str::to_owned));
    }
}

fn run(words: &[String]) {
    let output = Command::new(&words[0]).args(&words[1..]).output();
    let output = output.unwrap_or_else(|e| panic!("{words:?}: {e}"));
    assert!(
        output.status.success(),
        "{words:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

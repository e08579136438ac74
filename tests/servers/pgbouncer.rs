//! An instance of PgBouncer before a PostgreSQL, in transaction mode: each transaction may get
//! another connection to the server, of which there are two.

use super::free_port;
use super::postgres::{Postgres, as_nobody, give};
use super::process::{Process, read};
use std::fs;

pub struct PgBouncer {
    _process: Process,
    pub port: u16,
}

impl PgBouncer {
    /// Lets this role in with its password, whatever database it asks for.
    pub fn start(server: &Postgres, role: &str, password: &str) -> PgBouncer {
        assert!(
            std::path::Path::new("/usr/sbin/pgbouncer").exists(),
            "the tests need PgBouncer: run `scripts/need test`, as root"
        );
        let folder = super::new_folder().join("pgbouncer");
        fs::create_dir(&folder).unwrap();
        let users = folder.join("users");
        fs::write(&users, format!("\"{role}\" \"{password}\"\n")).unwrap();
        let port = free_port();
        let config = folder.join("pgbouncer.ini");
        let text = format!(
            "[databases]\n* = host={} port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {}\n\
             pool_mode = transaction\ndefault_pool_size = 2\nmax_client_conn = 100\n",
            server.socket().display(),
            server.port(),
            users.display(),
        );
        fs::write(&config, text).unwrap();
        for path in [&folder, &users, &config] {
            give(path);
        }
        let words = as_nobody(&["/usr/sbin/pgbouncer", config.to_str().unwrap()]);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let process = Process::start(&folder, &words);
        process.wait_for(port, || read(&folder.join("output")));
        PgBouncer {
            _process: process,
            port,
        }
    }
}

//! What all servers of the stand-in share: the directory, the mailboxes, the records, the faults.

use super::gate::Way;
use std::collections::HashMap;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::directory::Directory;
use super::faults::Faults;
use super::jwt::SigningKey;
use super::mailbox::Store;
use super::records::{Submission, TokenRequest};

pub struct World {
    pub tenant: String,
    pub domain: String,
    pub acceptor: native_tls::TlsAcceptor,
    pub key: Arc<SigningKey>,
    pub faults: Faults,
    pub graph: Mutex<super::graph::State>,
    directory: Mutex<Directory>,
    store: Mutex<Store>,
    pub submitted: Mutex<Vec<Submission>>,
    pub token_requests: Mutex<Vec<TokenRequest>>,
    /// Every access token that was minted.
    pub tokens: Mutex<Vec<String>>,
    /// Every secret that a client sent to the token endpoint.
    pub secrets: Mutex<Vec<String>>,
    pub login_url: OnceLock<String>,
    lines: Mutex<Vec<String>>,
    pub stopped: Arc<AtomicBool>,
    pub sockets: Mutex<HashMap<u64, TcpStream>>,
    pub threads: Mutex<Vec<JoinHandle<()>>>,
    pub ports: Mutex<Vec<u16>>,
}

impl World {
    pub fn new(acceptor: native_tls::TlsAcceptor, key: Arc<SigningKey>) -> World {
        World {
            tenant: "11111111-2222-3333-4444-555555555555".into(),
            domain: "contoso.example".into(),
            acceptor,
            key,
            faults: Faults::default(),
            graph: Mutex::default(),
            directory: Mutex::default(),
            store: Mutex::default(),
            submitted: Mutex::default(),
            token_requests: Mutex::default(),
            tokens: Mutex::default(),
            secrets: Mutex::default(),
            login_url: OnceLock::new(),
            lines: Mutex::default(),
            stopped: Arc::default(),
            sockets: Mutex::default(),
            threads: Mutex::default(),
            ports: Mutex::default(),
        }
    }

    /// The mailboxes; a test that failed while it held them does not take them from the servers.
    pub fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The directory, likewise.
    pub fn directory(&self) -> MutexGuard<'_, Directory> {
        self.directory
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a line to the protocol log; whoever calls has masked tokens and secrets.
    pub fn log(&self, protocol: &str, text: &str) {
        let mut text = text.trim_end();
        if let Some((cut, _)) = text.char_indices().nth(400) {
            text = &text[..cut];
        }
        let mut lines = self.lines.lock().unwrap();
        // Enough to explain any failure, and no more: floods are logged too.
        if lines.len() < 200_000 {
            lines.push(format!("{protocol} {text}"));
        }
    }

    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    /// Sleeps, but not beyond the end of the stand-in.
    pub fn pause(&self, duration: Duration) {
        pause(&self.stopped, duration);
    }

    /// Waits until the gate is open, but not beyond the end of the stand-in.
    pub fn wait_at(&self, gate: &Way) {
        while !gate.is_open() && !self.is_stopped() {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Ends all listeners and connections, and waits for their threads.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        for port in self.ports.lock().unwrap().drain(..) {
            TcpStream::connect(("127.0.0.1", port)).ok(); // wakes the accepting thread
        }
        for socket in self.sockets.lock().unwrap().values() {
            socket.shutdown(Shutdown::Both).ok();
        }
        let threads: Vec<_> = self.threads.lock().unwrap().drain(..).collect();
        for thread in threads {
            thread.join().ok();
        }
    }
}

/// Sleeps until the time is over or the flag is set.
pub fn pause(stopped: &AtomicBool, duration: Duration) {
    let step = Duration::from_millis(10);
    let mut left = duration;
    while !left.is_zero() && !stopped.load(Ordering::SeqCst) {
        std::thread::sleep(left.min(step));
        left = left.saturating_sub(step);
    }
}

/// Seconds since 1970, the machine's own clock.
pub fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs() as i64
}

/// A fresh random GUID.
pub fn guid() -> String {
    let mut b = [0u8; 16];
    openssl::rand::rand_bytes(&mut b).unwrap();
    let hex: String = b.iter().map(|byte| format!("{byte:02x}")).collect();
    format!(
        "{}-{}-4{}-a{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[13..16],
        &hex[17..20],
        &hex[20..]
    )
}

/// Whether a text has the form of a GUID.
pub fn is_guid(text: &str) -> bool {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    let is_hex = |c: char| c.is_ascii_hexdigit() || c == '-';
    lengths == [8, 4, 4, 4, 12] && text.chars().all(is_hex)
}

/// A fresh random string that is safe in URLs.
pub fn random_word(bytes: usize) -> String {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let mut b = vec![0u8; bytes];
    openssl::rand::rand_bytes(&mut b).unwrap();
    URL_SAFE_NO_PAD.encode(b)
}

//! The relay: SMTP on standard input and output, into the outbox. `Relay` does what systemd does
//! with queuemail-relay.socket: a process of its own for each connection.

mod clients;
mod kills;
mod session;

use super::SUPPORT;
use crate::patience::until;
use crate::tokens::Home;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::{fs, thread};

/// Listens for a home's relay, until the test's process ends.
pub struct Relay {
    pub socket: PathBuf,
    pub port: u16,
    /// The processes of all sessions, those that have ended included.
    pub sessions: Arc<Mutex<Vec<Child>>>,
    log: PathBuf,
}

impl Relay {
    pub fn start(home: &Home) -> Relay {
        let mut command = home.command(&["send", "--smtp-session"]);
        command.env("QUEUEMAIL_RELAY", home.path("relay.sock"));
        Relay::of(home.path("relay.sock"), home.path("relay.log"), command)
    }

    /// One whose sessions are these commands.
    pub fn of(socket: PathBuf, log: PathBuf, command: Command) -> Relay {
        let sessions = Arc::new(Mutex::new(Vec::new()));
        let unix = UnixListener::bind(&socket).unwrap();
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o666)).unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = tcp.local_addr().unwrap().port();
        File::create(&log).unwrap();
        let command = Arc::new(Mutex::new(command));
        let serve = {
            let (sessions, log) = (Arc::clone(&sessions), log.clone());
            move |from: OwnedFd, to: OwnedFd| {
                let mut command = command.lock().unwrap();
                let log = File::options().append(true).open(&log);
                let Ok(log) = log else { return };
                command.stdin(from).stdout(to).stderr(log);
                let child = command.spawn().unwrap();
                // The command keeps no copy of the client's descriptor.
                command.stdin(Stdio::null()).stdout(Stdio::null());
                sessions.lock().unwrap().push(child);
            }
        };
        let by_unix = serve.clone();
        thread::spawn(move || {
            for stream in unix.incoming().flatten() {
                by_unix(stream.try_clone().unwrap().into(), stream.into());
            }
        });
        thread::spawn(move || {
            for stream in tcp.incoming().flatten() {
                serve(stream.try_clone().unwrap().into(), stream.into());
            }
        });
        Relay {
            socket,
            port,
            sessions,
            log,
        }
    }

    fn unix(&self) -> Client {
        let stream = UnixStream::connect(&self.socket).unwrap();
        Client::new(stream.try_clone().unwrap(), stream)
    }

    fn tcp(&self) -> Client {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        Client::new(stream.try_clone().unwrap(), stream)
    }

    /// What the sessions said on standard error.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Waits for all sessions to end.
    pub fn wait(&self) {
        for session in self.sessions.lock().unwrap().iter_mut() {
            session.wait().unwrap();
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        for session in self.sessions.lock().unwrap().iter_mut() {
            let _ = session.kill();
            let _ = session.wait();
        }
    }
}

/// A client that says what it is told to.
struct Client {
    from: BufReader<Box<dyn Read + Send>>,
    to: Box<dyn Write + Send>,
}

impl Client {
    fn new(from: impl Read + Send + 'static, to: impl Write + Send + 'static) -> Client {
        let mut client = Client {
            from: BufReader::new(Box::new(from)),
            to: Box::new(to),
        };
        let greeting = client.reply();
        assert!(greeting.starts_with("220 "), "{greeting}");
        client
    }

    /// The last line of a reply; empty where the relay has left.
    fn reply(&mut self) -> String {
        loop {
            let mut line = String::new();
            self.from.read_line(&mut line).unwrap();
            if line.as_bytes().get(3) != Some(&b'-') {
                return line.trim_end().to_owned();
            }
        }
    }

    fn say(&mut self, text: &str) -> String {
        self.to.write_all(text.as_bytes()).unwrap();
        self.reply()
    }

    #[track_caller]
    fn ask(&mut self, text: &str, code: &str) {
        let said = self.say(&format!("{text}\r\n"));
        assert!(said.starts_with(code), "{text}: {said}");
    }

    /// A whole transaction; gives the last reply.
    fn send(&mut self, from: &str, to: &str, text: &str) -> String {
        self.ask(&format!("MAIL FROM:<{from}>"), "250");
        self.ask(&format!("RCPT TO:<{to}>"), "250");
        self.ask("DATA", "354");
        self.say(&format!("{text}.\r\n"))
    }
}

/// A message of this number.
fn text(n: usize) -> String {
    format!(
        "From: {SUPPORT}\r\nTo: anna@example.com\r\nBcc: secret@example.com\r\nSubject: Grüße {n}\r\n\
         Message-ID: <{n}@contoso.com>\r\nDate: Mon, 23 Nov 2026 14:02:00 +0100\r\n\r\nHello\r\n"
    )
}

impl Relay {
    /// Waits until a session has said this.
    #[track_caller]
    fn wait_for(&self, text: &str) {
        until(text, || self.log().contains(text));
    }
}

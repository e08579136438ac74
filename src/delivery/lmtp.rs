//! LMTP (RFC 2033): a mail store takes each message and says what became of it.
//!
//! The recipient is the queue's address, the reverse-path empty: what cannot be stored comes back
//! as a reply and not as a bounce to a customer. One connection takes all messages of a run. A
//! connection that breaks between the message and its reply leaves open whether it was stored:
//! it is delivered again.

use super::handover::Taker;
use super::{Letter, Rejected};
use crate::fault::{Fault, Kind};
use crate::net::Patience;
use anyhow::Result;
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketType, sockopt};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// For connecting, for each command with its reply, and for sending a message; for a message more,
/// as far as its octets go out.
const PATIENCE: Duration = Duration::from_secs(60);
/// For the reply to a whole message, which a store may scan first (RFC 5321 §4.5.3.2.6).
const STORING: Duration = Duration::from_secs(600);
/// Octets of one reply line, and lines of one reply.
const MAX_LINE: u64 = 4096;
const MAX_LINES: usize = 100;

/// Where the store listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    Tcp(String, u16),
    Unix(PathBuf),
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Address::Tcp(host, port) => write!(f, "lmtp:{host}:{port}"),
            Address::Unix(path) => write!(f, "lmtp:{}", path.display()),
        }
    }
}

pub struct Lmtp {
    address: Address,
    session: Option<Session>,
}

impl Lmtp {
    pub fn new(address: Address) -> Lmtp {
        Lmtp {
            address,
            session: None,
        }
    }

    /// A session in which the store was told the recipient, and what it said to that. One that the
    /// store has ended since the last message is opened again.
    fn address(&mut self, recipient: &str) -> Result<(Session, Addressed)> {
        if let Some(mut session) = self.session.take()
            && let Ok(addressed) = session.address(recipient)
        {
            return Ok((session, addressed));
        }
        let anew = || {
            let mut session = Session::open(&self.address)?;
            let addressed = session.address(recipient)?;
            Ok((session, addressed))
        };
        anew().map_err(|e| broken(&self.address, &e))
    }
}

impl Taker for Lmtp {
    fn take(&mut self, message: File, letter: &Letter) -> Result<String> {
        let (mut session, addressed) = self.address(&letter.address)?;
        if let Err(refusal) = addressed {
            self.session = session.if_usable();
            return Err(refusal.into());
        }
        // This message may be what the store breaks over: the others go on without it.
        let verdict = session.hand_over(message).map_err(|e| Rejected {
            for_good: false,
            reason: format!("`{}` broke off over this message: {e}", self.address),
        })?;
        self.session = session.if_usable();
        verdict?;
        Ok(self.address.to_string())
    }
}

/// Whether the store greets and answers; nothing is handed over.
pub fn probe(address: &Address) -> Result<()> {
    let mut session = Session::open(address).map_err(|e| broken(address, &e))?;
    let _ = session.say("QUIT");
    Ok(())
}

fn broken(address: &Address, err: &io::Error) -> anyhow::Error {
    Fault::new(Kind::TryLater, format!("`{address}` cannot be used: {err}"))
        .hint("nothing was removed from the server; see that the mail store runs and listens there")
        .into()
}

impl Drop for Lmtp {
    fn drop(&mut self) {
        if let Some(session) = &mut self.session {
            let stream = session.stream.get_mut();
            stream.allow(Duration::from_secs(1));
            let _ = stream.write_all(b"QUIT\r\n");
        }
    }
}

/// A stream of either kind, of which each use has a time: a store that sends an octet now and then
/// cannot hold us.
struct Stream {
    socket: Socket,
    patience: Patience,
}

enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    /// Begins another use, which may take so long.
    fn allow(&mut self, time: Duration) {
        self.patience = Patience::new(time);
    }

    /// One read or write, within what is left of the time.
    fn in_time(
        &mut self,
        work: impl FnOnce(&mut Socket, Option<Duration>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let late = || io::Error::new(io::ErrorKind::TimedOut, "it did not answer in time");
        let left = self.patience.left();
        if left.is_zero() {
            return Err(late());
        }
        let since = Instant::now();
        let done = work(&mut self.socket, Some(left)).map_err(|e| match e.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => late(),
            _ => e,
        })?;
        self.patience.spend(since.elapsed(), done);
        Ok(done)
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.in_time(|socket, left| match socket {
            Socket::Tcp(s) => s.set_read_timeout(left).and_then(|()| s.read(buffer)),
            Socket::Unix(s) => s.set_read_timeout(left).and_then(|()| s.read(buffer)),
        })
    }
}

impl Write for Stream {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.in_time(|socket, left| match socket {
            Socket::Tcp(s) => s.set_write_timeout(left).and_then(|()| s.write(octets)),
            Socket::Unix(s) => s.set_write_timeout(left).and_then(|()| s.write(octets)),
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn connect(address: &Address) -> io::Result<Socket> {
    let (host, port) = match address {
        Address::Unix(path) => return connect_unix(path, PATIENCE).map(Socket::Unix),
        Address::Tcp(host, port) => (host.as_str(), *port),
    };
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(Socket::Tcp(stream));
            }
            Err(e) => last = e,
        }
    }
    Err(last)
}

/// The library's own connect would wait for ever for a store that hangs, once the callers before
/// us have filled its queue.
fn connect_unix(path: &Path, time: Duration) -> io::Result<UnixStream> {
    let socket = net::socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
    fcntl_setfd(&socket, FdFlags::CLOEXEC)?;
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Send, Some(time))?;
    net::connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket.into())
}

struct Session {
    stream: BufReader<Stream>,
    /// The store takes a message's octets counted (RFC 3030), so none of them can end it.
    chunking: bool,
    eight_bit: bool,
    /// The connection broke after an answer that holds all the same.
    over: bool,
}

/// Whether the store takes a message for a recipient.
type Addressed = std::result::Result<(), Rejected>;

struct Reply {
    code: u16,
    text: String,
}

impl Reply {
    fn rejected(self, for_good: bool) -> Rejected {
        Rejected {
            for_good,
            reason: format!("the mail store said: {}", self.text),
        }
    }
}

impl Session {
    fn open(address: &Address) -> io::Result<Session> {
        let stream = Stream {
            socket: connect(address)?,
            patience: Patience::new(PATIENCE),
        };
        let mut session = Session {
            stream: BufReader::new(stream),
            chunking: false,
            eight_bit: false,
            over: false,
        };
        session.expect(220)?;
        session.say("LHLO localhost")?;
        // Each line has its code: `250-CHUNKING`.
        let offers = session.expect(250)?.text.to_ascii_uppercase();
        let offers = |name| offers.split([' ', '-']).any(|word| word == name);
        session.chunking = offers("CHUNKING");
        session.eight_bit = offers("8BITMIME");
        Ok(session)
    }

    /// Begins a transaction for one recipient. An error means that the connection is of no more
    /// use.
    fn address(&mut self, recipient: &str) -> io::Result<Addressed> {
        let body = if self.eight_bit { " BODY=8BITMIME" } else { "" };
        for line in [
            format!("MAIL FROM:<>{body}"),
            format!("RCPT TO:<{recipient}>"),
        ] {
            self.say(&line)?;
            let reply = self.reply()?;
            match reply.code {
                250 | 251 => {}
                // It closes the connection (RFC 5321 §3.8).
                421 => return Err(said(&reply.text)),
                // What is wrong with the recipient is wrong for every message: a person must act.
                _ => return self.reset(reply),
            }
        }
        Ok(Ok(()))
    }

    /// Hands a message over. An error means that the connection is of no more use.
    fn hand_over(&mut self, message: File) -> io::Result<Addressed> {
        if self.chunking {
            let size = message.metadata()?.len();
            self.say(&format!("BDAT {size} LAST"))?;
            let copied = io::copy(&mut message.take(size), self.stream.get_mut())?;
            if copied != size {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        } else {
            self.say("DATA")?;
            let reply = self.reply()?;
            if reply.code != 354 {
                return self.reset(reply);
            }
            self.stream.get_mut().allow(PATIENCE);
            dot_stuffed(BufReader::new(message), self.stream.get_mut())?;
        }
        self.stream.get_mut().allow(STORING);
        let reply = self.reply()?;
        Ok(match reply.code {
            250 => Ok(()),
            code => Err(reply.rejected(code >= 500)),
        })
    }

    /// Ends a transaction that was refused. The refusal holds, also where the store then leaves.
    fn reset(&mut self, refusal: Reply) -> io::Result<Addressed> {
        let done = self.say("RSET").and_then(|()| self.expect(250));
        self.over = done.is_err();
        Ok(Err(refusal.rejected(false)))
    }

    fn if_usable(self) -> Option<Session> {
        (!self.over).then_some(self)
    }

    fn say(&mut self, line: &str) -> io::Result<()> {
        let stream = self.stream.get_mut();
        stream.allow(PATIENCE);
        stream.write_all(format!("{line}\r\n").as_bytes())
    }

    fn expect(&mut self, code: u16) -> io::Result<Reply> {
        let reply = self.reply()?;
        match reply.code == code {
            true => Ok(reply),
            false => Err(said(&reply.text)),
        }
    }

    fn reply(&mut self) -> io::Result<Reply> {
        let mut text = String::new();
        for _ in 0..MAX_LINES {
            let mut line = Vec::new();
            (&mut self.stream)
                .take(MAX_LINE)
                .read_until(b'\n', &mut line)?;
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end();
            let nonsense = || said(line);
            if line.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let code = line
                .get(..3)
                .and_then(|c| c.parse().ok())
                .ok_or_else(nonsense)?;
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(line);
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(Reply { code, text });
            }
        }
        Err(io::Error::other("a reply without an end"))
    }
}

/// The store's words as an error.
fn said(words: &str) -> io::Error {
    io::Error::other(format!("it said: {words}"))
}

/// Writes a message as DATA has it. Some stores take a bare line feed for a line's end, so a dot
/// after one is doubled too: no message may end itself and go on as commands.
fn dot_stuffed(mut message: impl BufRead, out: &mut impl Write) -> io::Result<()> {
    let mut last = [b'\r', b'\n'];
    loop {
        let piece = message.fill_buf()?;
        if piece.is_empty() {
            break;
        }
        let mut stuffed = Vec::with_capacity(piece.len() + 16);
        for &octet in piece {
            if octet == b'.' && last[1] == b'\n' {
                stuffed.push(b'.');
            }
            stuffed.push(octet);
            last = [last[1], octet];
        }
        let length = piece.len();
        out.write_all(&stuffed)?;
        message.consume(length);
    }
    let end: &[u8] = if last == [b'\r', b'\n'] {
        b".\r\n"
    } else {
        b"\r\n.\r\n"
    };
    out.write_all(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stuffed(message: &[u8], buffer: usize) -> Vec<u8> {
        let mut out = Vec::new();
        dot_stuffed(BufReader::with_capacity(buffer, message), &mut out).unwrap();
        out
    }

    #[test]
    fn dots_at_line_starts_are_doubled() {
        assert_eq!(stuffed(b".a\r\n..\r\n", 3), b"..a\r\n...\r\n.\r\n");
        assert_eq!(stuffed(b"a", 3), b"a\r\n.\r\n");
        assert_eq!(stuffed(b"a\n.\r\nQUIT\r\n", 64), b"a\n..\r\nQUIT\r\n.\r\n");
    }

    #[test]
    fn a_store_that_takes_nobody_in_is_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lmtp");
        let store = net::socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
        net::bind(&store, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        net::listen(&store, 0).unwrap();
        let time = Duration::from_millis(200);
        let waiting: Vec<_> = (0..4).map(|_| connect_unix(&path, time)).collect();
        assert!(waiting.iter().any(Result::is_ok));
        assert!(waiting.iter().any(Result::is_err));
    }

    #[test]
    fn a_refusal_holds_though_the_store_then_leaves() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lmtp");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let store = std::thread::spawn(move || {
            for _ in 0..2 {
                let (stream, _) = listener.accept().unwrap();
                let mut lines = BufReader::new(&stream).lines();
                (&stream).write_all(b"220 here\r\n").unwrap();
                for reply in ["250 LHLO", "250 ok", "550 5.1.1 nobody"] {
                    lines.next().unwrap().unwrap();
                    (&stream)
                        .write_all(format!("{reply}\r\n").as_bytes())
                        .unwrap();
                }
                assert_eq!(lines.next().unwrap().unwrap(), "RSET");
            }
        });
        let mut lmtp = Lmtp::new(Address::Unix(path));
        for _ in 0..2 {
            let (session, addressed) = lmtp.address("a@x.example").unwrap();
            assert!(addressed.unwrap_err().reason.contains("550 5.1.1 nobody"));
            lmtp.session = session.if_usable();
        }
        store.join().unwrap();
    }

    #[test]
    fn a_store_that_drips_is_given_up() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        std::thread::spawn(move || {
            while theirs.write_all(b"2").is_ok() {
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        let mut session = Session {
            stream: BufReader::new(Stream {
                socket: Socket::Unix(ours),
                patience: Patience::new(Duration::from_millis(300)),
            }),
            chunking: false,
            eight_bit: false,
            over: false,
        };
        let began = Instant::now();
        let err = session.reply().err().unwrap();
        assert_eq!(err.kind(), io::ErrorKind::TimedOut, "{err}");
        assert!(began.elapsed() < Duration::from_secs(5));
    }

    proptest! {
        #[test]
        fn no_message_ends_itself(message in "(\\.|\r|\n|\r\n|a){0,40}", buffer in 1usize..30) {
            let out = stuffed(message.as_bytes(), buffer);
            let body = &out[..out.len() - 3];
            prop_assert!(!body.windows(3).any(|w| w == b"\n.\r" || w == b"\n.\n"), "{:?}", out);
            prop_assert!(!body.starts_with(b".\r") && !body.starts_with(b".\n"));
        }
    }
}

//! LMTP (RFC 2033): a mail store takes each message and says what became of it.
//!
//! The recipient is the queue's address, the reverse-path empty: what cannot be stored comes back
//! as a reply and not as a bounce to a customer. One connection takes all messages of a run. A
//! connection that breaks between the message and its reply leaves open whether it was stored:
//! it is delivered again.
//!
//! Within this machine mail goes unencrypted. To another one it goes in TLS (STARTTLS, RFC 3207, as
//! RFC 2033 §4.2 allows), unless the configuration says by `lmtp-plain:` that nobody listens there.

use super::handover::Taker;
use super::{Letter, Rejected};
use crate::dialogue::{Broken, Dialogue, Dots, Offer, Reply};
use crate::fault::Fault;
use crate::net::{self as ways, Connector, Settings, Stream, Watch};
use crate::workers::locked;
use anyhow::Result;
use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// For connecting, to whichever address of the host answers.
const CONNECTING: Duration = Duration::from_secs(30);
/// For each command with its reply, and for sending a message; for a message more,
/// as far as its octets go out.
const PATIENCE: Duration = Duration::from_secs(60);
/// For the reply to a whole message, which a store may scan first (RFC 5321 §4.5.3.2.6).
const STORING: Duration = Duration::from_secs(600);
/// For all that one message needs, connecting included, however well its octets go out.
const LONGEST: Duration = Duration::from_secs(840);
/// Octets of a message that are written at once.
const BLOCK: usize = 32 << 10;

/// Where the store listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    Tcp {
        host: String,
        port: u16,
        /// Unencrypted, wherever it is.
        plain: bool,
    },
    Unix(PathBuf),
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Address::Tcp { host, port, plain } => {
                let kind = if *plain { "lmtp-plain" } else { "lmtp" };
                write!(f, "{kind}:{host}:{port}")
            }
            Address::Unix(path) => write!(f, "lmtp:{}", path.display()),
        }
    }
}

pub struct Lmtp {
    address: Address,
    session: Mutex<Option<Session>>,
}

impl Lmtp {
    pub fn new(address: Address) -> Lmtp {
        Lmtp {
            address,
            session: Mutex::default(),
        }
    }

    /// A session in which the store was told the recipient, and what it said to that. One that the
    /// store has ended since the last message is opened again.
    fn address(&self, kept: Option<Session>, recipient: &str) -> Result<(Session, Addressed)> {
        let end = Instant::now() + LONGEST;
        if let Some(mut session) = kept {
            session.dialogue.end_at(end);
            if let Ok(addressed) = session.address(recipient) {
                return Ok((session, addressed));
            }
        }
        let anew = || {
            let mut session = Session::open(&self.address, end)?;
            let addressed = session.address(recipient)?;
            Ok((session, addressed))
        };
        anew().map_err(|e| broken(&self.address, e))
    }
}

impl Taker for Lmtp {
    /// [`LONGEST`], and a minute.
    fn longest(&self) -> Duration {
        Duration::from_secs(900)
    }

    fn take(&self, message: File, letter: &Letter) -> Result<String> {
        let mut kept = locked(&self.session);
        let (mut session, addressed) = self.address(kept.take(), &letter.address)?;
        if let Err(refusal) = addressed {
            *kept = session.if_usable();
            return Err(refusal.into());
        }
        // This message may be what the store breaks over: the others go on without it.
        let verdict = session.hand_over(message).map_err(|e| Rejected {
            for_good: false,
            reason: format!(
                "`{}` ended the connection during this message: {e}",
                self.address
            ),
            wait: None,
        })?;
        *kept = session.if_usable();
        verdict?;
        Ok(self.address.to_string())
    }
}

/// Whether the store greets and answers; nothing is handed over.
pub fn probe(address: &Address) -> Result<()> {
    let end = Instant::now() + LONGEST;
    let mut session = Session::open(address, end).map_err(|e| broken(address, e))?;
    let _ = session.say("QUIT");
    Ok(())
}

fn broken(address: &Address, err: anyhow::Error) -> anyhow::Error {
    let what = format!("`{address}` cannot be used: {err}");
    let fault = match err.downcast::<Fault>() {
        Ok(fault) => Fault { what, ..fault },
        Err(err) => match err.downcast::<io::Error>() {
            Ok(err) => Fault::try_later(what).by_system(&err),
            Err(_) => Fault::try_later(what),
        },
    };
    fault
        .hint(
            "nothing was removed from the server; check that the mail store runs and listens there",
        )
        .into()
}

impl Drop for Lmtp {
    fn drop(&mut self) {
        let kept = self.session.get_mut();
        if let Some(session) = kept.unwrap_or_else(PoisonError::into_inner) {
            session.dialogue.allow(Duration::from_secs(1));
            let _ = session.dialogue.write(b"QUIT\r\n");
        }
    }
}

struct Session {
    dialogue: Dialogue,
    offer: Offer,
    /// The connection broke after an answer that holds all the same.
    over: bool,
}

/// Whether the store takes a message for a recipient.
type Addressed = std::result::Result<(), Rejected>;

fn rejected(reply: &Reply, for_good: bool) -> Rejected {
    Rejected {
        for_good,
        reason: format!("the mail store said: {}", reply.said()),
        wait: None,
    }
}

impl Session {
    fn open(address: &Address, end: Instant) -> Result<Session> {
        let timed = |mut stream: Stream| {
            stream.end_at(end);
            stream
        };
        let (host, port, plain) = match address {
            Address::Unix(path) => {
                let socket = ways::connect_unix(path, CONNECTING)?;
                return Ok(Session::greet(timed(Stream::new(socket, PATIENCE)))?);
            }
            Address::Tcp { host, port, plain } => (host, *port, *plain),
        };
        let settings = Settings {
            connect_timeout: CONNECTING,
            io_timeout: PATIENCE,
            ca_file: None,
            watch: Watch::default(),
        };
        let connect = || ways::connect(host, port, &settings);
        let tcp = connect()?;
        if plain || tcp.peer_addr()?.ip().to_canonical().is_loopback() {
            return Ok(Session::greet(timed(Stream::new(tcp, PATIENCE)))?);
        }
        let first = Cell::new(Some(tcp));
        ways::over_tls(&settings, |connector| {
            let tcp = first.take().map_or_else(connect, Ok)?;
            Session::greet(timed(Stream::new(tcp, PATIENCE)))?.start_tls(host, connector)
        })
    }

    /// Reads the greeting, and what the store offers.
    fn greet(stream: Stream) -> io::Result<Session> {
        let mut session = Session {
            dialogue: Dialogue::new(stream),
            offer: Offer::default(),
            over: false,
        };
        session.expect(220)?;
        session.hello()?;
        Ok(session)
    }

    fn hello(&mut self) -> io::Result<()> {
        self.say("LHLO localhost")?;
        self.offer = Offer::read(&self.expect(250)?);
        Ok(())
    }

    /// Goes on in TLS, and forgets what was said before (RFC 3207 §4.2).
    ///
    /// # Errors
    /// `Refused` where the store cannot, or its certificate is not to be trusted.
    fn start_tls(mut self, host: &str, connector: &Connector) -> Result<Session> {
        let refused = |what: String| Fault::refused(what);
        if !self.offer.starttls {
            return Err(refused(
                "the mail store offers no STARTTLS, and the connection would not be encrypted".to_owned(),
            )
            .hint(format!(
                "let it offer STARTTLS, with a certificate for {host} from an authority that this machine trusts; or, on a network where nobody else listens, deliver to lmtp-plain:HOST:PORT"
            ))
            .into());
        }
        self.say("STARTTLS")?;
        self.expect(220)?;
        if self.dialogue.unread() > 0 {
            // It came unencrypted, from whomever, and would be read as if it had come in TLS.
            return Err(refused(
                "the mail store sent more than the answer to STARTTLS before TLS; somebody may tamper with the connection".to_owned(),
            )
            .into());
        }
        self.dialogue = self.dialogue.start_tls(host, connector, PATIENCE)?;
        self.hello()?;
        Ok(self)
    }

    /// Begins a transaction for one recipient. An error means that the connection is of no more
    /// use.
    fn address(&mut self, recipient: &str) -> io::Result<Addressed> {
        let body = if self.offer.eight_bit {
            " BODY=8BITMIME"
        } else {
            ""
        };
        for line in [
            format!("MAIL FROM:<>{body}"),
            format!("RCPT TO:<{recipient}>"),
        ] {
            self.say(&line)?;
            let reply = self.reply()?;
            match reply.code {
                250 | 251 => {}
                // It closes the connection (RFC 5321 §3.8).
                421 => return Err(said(&reply.said())),
                // What is wrong with the recipient is wrong for every message: a person must act.
                _ => return self.reset(reply),
            }
        }
        Ok(Ok(()))
    }

    /// Hands a message over. An error means that the connection is of no more use.
    fn hand_over(&mut self, message: File) -> io::Result<Addressed> {
        // Octets that are counted (RFC 3030) cannot end the message.
        if self.offer.chunking {
            let size = message.metadata()?.len();
            self.say(&format!("BDAT {size} LAST"))?;
            let copied = self.copy(message.take(size), |octets, out| out.extend(octets))?;
            if copied != size {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        } else {
            self.say("DATA")?;
            let reply = self.reply()?;
            if reply.code != 354 {
                return self.reset(reply);
            }
            self.dialogue.allow(PATIENCE);
            let mut dots = Dots::new();
            self.copy(message, |octets, out| dots.write(octets, out))?;
            self.dialogue.write(dots.end())?;
        }
        let reply = self.reply_within(STORING)?;
        Ok(match reply.code {
            250 => Ok(()),
            code => Err(rejected(&reply, code >= 500)),
        })
    }

    /// Ends a transaction that was refused. The refusal holds, also where the store then leaves.
    fn reset(&mut self, refusal: Reply) -> io::Result<Addressed> {
        let done = self.say("RSET").and_then(|()| self.expect(250));
        self.over = done.is_err();
        Ok(Err(rejected(&refusal, false)))
    }

    fn if_usable(self) -> Option<Session> {
        (!self.over).then_some(self)
    }

    fn say(&mut self, line: &str) -> io::Result<()> {
        self.dialogue.allow(PATIENCE);
        self.dialogue.write(format!("{line}\r\n").as_bytes())
    }

    /// Writes what `put` makes of each piece of a message; how many octets the message has.
    fn copy(
        &mut self,
        mut message: impl Read,
        mut put: impl FnMut(&[u8], &mut Vec<u8>),
    ) -> io::Result<u64> {
        let mut piece = vec![0; BLOCK];
        let mut out = Vec::with_capacity(BLOCK);
        let mut copied = 0;
        loop {
            let read = message.read(&mut piece)?;
            if read == 0 {
                return Ok(copied);
            }
            out.clear();
            put(&piece[..read], &mut out);
            self.dialogue.write(&out)?;
            copied += read as u64;
        }
    }

    fn expect(&mut self, code: u16) -> io::Result<Reply> {
        let reply = self.reply()?;
        match reply.code == code {
            true => Ok(reply),
            false => Err(said(&reply.said())),
        }
    }

    fn reply(&mut self) -> io::Result<Reply> {
        self.reply_within(PATIENCE)
    }

    fn reply_within(&mut self, time: Duration) -> io::Result<Reply> {
        self.dialogue
            .reply(time, |_| {})
            .map_err(|broken| match broken {
                Broken::Io(e) => e,
                Broken::Closed => io::ErrorKind::UnexpectedEof.into(),
                Broken::Nonsense(text) => said(&text),
            })
    }
}

/// The store's words as an error.
fn said(words: &str) -> io::Error {
    io::Error::other(format!("it said: {words}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Kind;
    use openssl::pkey::PKey;
    use openssl::ssl::{SslAcceptor, SslMethod};
    use openssl::x509::X509;
    use std::io::{BufRead, BufReader, Write};
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_reply_that_breaks_off_accepts_nothing() {
        for (last, accepted) in [("250 2.0.0 kept\r\n", true), ("250 2.0.0 ke", false)] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("lmtp");
            let store = std::os::unix::net::UnixListener::bind(&path).unwrap();
            let served = std::thread::spawn(move || {
                let (mut stream, _) = store.accept().unwrap();
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                stream.write_all(b"220 x\r\n").unwrap();
                for (verb, reply) in [
                    ("LHLO", "250 x\r\n"),
                    ("MAIL", "250 x\r\n"),
                    ("RCPT", "250 x\r\n"),
                    ("DATA", "354 x\r\n"),
                    (".", last),
                ] {
                    while !lines.next().unwrap().unwrap().starts_with(verb) {}
                    stream.write_all(reply.as_bytes()).unwrap();
                }
            });
            let end = Instant::now() + LONGEST;
            let mut session = Session::open(&Address::Unix(path), end).unwrap();
            session.address("a@x.example").unwrap().unwrap();
            let mut message = tempfile::tempfile().unwrap();
            message.write_all(b"Subject: x\r\n\r\nx\r\n").unwrap();
            io::Seek::rewind(&mut message).unwrap();
            assert_eq!(session.hand_over(message).is_ok(), accepted, "{last:?}");
            served.join().unwrap();
        }
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
        let lmtp = Lmtp::new(Address::Unix(path));
        let mut kept = None;
        for _ in 0..2 {
            let (session, addressed) = lmtp.address(kept, "a@x.example").unwrap();
            assert!(addressed.unwrap_err().reason.contains("550 5.1.1 nobody"));
            kept = session.if_usable();
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
            dialogue: Dialogue::new(Stream::new(ours, PATIENCE)),
            offer: Offer::default(),
            over: false,
        };
        let began = Instant::now();
        let err = session.reply_within(Duration::from_millis(300));
        assert!(ways::is_late(&err.unwrap_err()));
        assert!(began.elapsed() < PATIENCE);
    }

    /// A store that goes on and on, and is quick enough each time.
    #[test]
    fn all_that_a_message_needs_has_an_end() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        std::thread::spawn(move || {
            let line = format!("250-{}\r\n", "x".repeat(400));
            while theirs.write_all(line.as_bytes()).is_ok() {
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        let mut session = Session {
            dialogue: Dialogue::new(Stream::new(ours, PATIENCE)),
            offer: Offer::default(),
            over: false,
        };
        let began = Instant::now();
        session.dialogue.end_at(began + Duration::from_millis(300));
        let err = session.reply_within(LONGEST);
        assert!(ways::is_late(&err.unwrap_err()));
        assert!(began.elapsed() < PATIENCE);
    }

    /// Speaks with a store that offers this, says that when TLS is to start, and then starts it. What
    /// became of the session, and what the store heard unencrypted.
    fn in_tls(offer: &'static str, answer: &'static str) -> (Result<Session>, Vec<String>) {
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let ca_file = folder.path().join("own.pem");
        std::fs::write(&ca_file, own.cert.pem()).unwrap();
        let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).unwrap();
        let certificate = X509::from_pem(own.cert.pem().as_bytes()).unwrap();
        acceptor.set_certificate(&certificate).unwrap();
        let key = PKey::private_key_from_pem(own.signing_key.serialize_pem().as_bytes());
        acceptor.set_private_key(&key.unwrap()).unwrap();
        let acceptor = acceptor.build();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let store = std::thread::spawn(move || {
            let (mut peer, _) = listener.accept().unwrap();
            let mut heard = Vec::new();
            let mut lines = BufReader::new(peer.try_clone().unwrap());
            for say in ["220 store\r\n", offer, answer] {
                peer.write_all(say.as_bytes()).unwrap();
                let mut line = String::new();
                if say != answer {
                    lines.read_line(&mut line).unwrap();
                    heard.push(line);
                }
            }
            if let Ok(tls) = acceptor.accept(peer) {
                let mut tls = BufReader::new(tls);
                tls.read_line(&mut String::new()).unwrap();
                let offer = b"250-store\r\n250 CHUNKING\r\n";
                tls.get_mut().write_all(offer).unwrap();
            }
            heard
        });
        let settings = Settings {
            connect_timeout: PATIENCE,
            io_timeout: PATIENCE,
            ca_file: Some(ca_file),
            watch: Watch::default(),
        };
        let session = ways::over_tls(&settings, |connector| {
            let tcp = TcpStream::connect(address)?;
            Session::greet(Stream::new(tcp, PATIENCE))?.start_tls("localhost", connector)
        });
        (session, store.join().unwrap())
    }

    #[test]
    fn a_store_elsewhere_gets_mail_in_tls_alone() {
        let offer = "250-store\r\n250-8BITMIME\r\n250 STARTTLS\r\n";
        let (session, heard) = in_tls(offer, "220 go on\r\n");
        let session = session.unwrap();
        let offer_in_tls = &session.offer;
        assert!(offer_in_tls.chunking && !offer_in_tls.eight_bit && !offer_in_tls.starttls);
        assert_eq!(heard, ["LHLO localhost\r\n", "STARTTLS\r\n"]);

        let refused = |offer, answer| {
            let (session, heard) = in_tls(offer, answer);
            let err = session.err().unwrap();
            let fault = err.downcast_ref::<Fault>().unwrap();
            assert_eq!(fault.kind, Kind::Refused, "{fault}");
            (fault.what.clone(), heard)
        };
        let (why, heard) = refused("250-store\r\n250 8BITMIME\r\n", "");
        assert!(why.contains("offers no STARTTLS"), "{why}");
        assert_eq!(heard, ["LHLO localhost\r\n", ""], "nothing more is said");
        let (why, _) = refused(offer, "220 go on\r\n250 CHUNKING\r\n");
        assert!(
            why.contains("sent more than the answer to STARTTLS"),
            "{why}"
        );
    }
}

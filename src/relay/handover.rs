//! The other side of the relay: a message of somebody to whom the configuration is closed goes to
//! the service by its Unix socket, as any client's would. The service knows by the kernel who it is.

use crate::fault::{Fault, Kind};
use crate::files;
use crate::mail::message::Draft;
use crate::mail::{addresses, smtp};
use crate::net::connect_unix;
use crate::send::Orders;
use anyhow::Result;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Where the packages' service listens.
const USUAL: &str = "/run/queuemail/relay.sock";
/// For connecting, and for each reply.
const PATIENCE: Duration = Duration::from_secs(60);
/// For the reply to a message, which is written to a disk first.
const KEEPING: Duration = Duration::from_secs(300);
/// How long a relay that is full, or just starting, is asked again.
const AGAIN: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(250);
/// Octets of a reply line, and lines of a reply.
const MAX_LINE: u64 = 4096;
const MAX_LINES: usize = 100;

const SEE: &str = "the message was not kept; see: systemctl status queuemail-relay.socket";

/// The relay of this machine.
pub struct Relay {
    socket: PathBuf,
}

impl Relay {
    /// The one at this socket, else at the usual one. The socket's folder says that there is one:
    /// while it is started anew, the socket itself is not there.
    pub fn find(socket: Option<PathBuf>) -> Option<Relay> {
        let socket = socket.unwrap_or_else(|| USUAL.into());
        let is_there = files::folder_of(&socket).is_dir();
        is_there.then_some(Relay { socket })
    }
}

/// Gives a message to the relay, as the orders have it; `octets` are the caller's. When this
/// returns, the relay has kept it durably, and the relay's words say how.
///
/// # Errors
/// `TryLater`: the relay is not there or full; `Malformed`, `UnknownRecipient`, `Refused`: its
/// verdict; `OutcomeUnknown`: it went away with the message.
pub fn hand_over(relay: &Relay, orders: &Orders<'_>, octets: Vec<u8>) -> Result<String> {
    let mut draft = Draft::read(octets)?;
    let to = orders.everybody(&draft)?;
    if to.is_empty() {
        return Err(orders.nobody(&draft).into());
    }
    let from = match orders.from.map(str::trim) {
        None | Some("" | "<>") => String::new(),
        Some(text) => match addresses::parse(text).as_deref() {
            Ok([one]) => one.clone(),
            _ => {
                let what = format!("`-f {}` is not an email address", text.escape_debug());
                return Err(Fault::usage(what).into());
            }
        },
    };
    if let Some(name) = orders.full_name {
        draft.name_author(name)?;
    }
    let octets = draft.text();
    let utf8 = !to.iter().chain([&from]).all(|address| address.is_ascii());
    let mut client = connected(&relay.socket)?;
    let mut mail = format!("MAIL FROM:<{from}> SIZE={}", octets.len());
    if !octets.is_ascii() {
        mail += " BODY=8BITMIME";
    }
    if utf8 {
        mail += " SMTPUTF8";
    }
    client.ask(&mail, 250, Kind::Refused)?;
    for to in &to {
        client.ask(&format!("RCPT TO:<{to}>"), 250, Kind::UnknownRecipient)?;
    }
    client.ask("DATA", 354, Kind::Refused)?;
    client.give(&octets)?;
    let said = client.ask(".", 250, Kind::Malformed)?;
    // The message is kept; nothing depends on how the session ends.
    let _ = client.stream.get_mut().write_all(b"QUIT\r\n");
    Ok(said)
}

/// Lets a caller that speaks SMTP itself speak to the relay, to the end of either.
///
/// # Errors
/// `TryLater`: the relay is not there or full.
pub fn pass_on(
    relay: &Relay,
    mut from: impl Read + Send + 'static,
    to: &mut impl Write,
) -> Result<()> {
    let end = Instant::now() + AGAIN;
    let stream = loop {
        match connect_unix(&relay.socket, PATIENCE) {
            Ok(stream) => break stream,
            Err(_) if Instant::now() < end => std::thread::sleep(PAUSE),
            Err(e) => return Err(unreached(&relay.socket, &e).hint(SEE).into()),
        }
    };
    let mut their_side = stream.try_clone()?;
    // It ends with the process, should the relay leave before the caller.
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut their_side);
        let _ = their_side.shutdown(Shutdown::Write);
    });
    let mut stream = &stream;
    let mut piece = [0; 4096];
    // Who is gone on either side knows it by what they were not told.
    while let Ok(read @ 1..) = stream.read(&mut piece) {
        if to
            .write_all(&piece[..read])
            .and_then(|()| to.flush())
            .is_err()
        {
            break;
        }
    }
    Ok(())
}

fn unreached(socket: &Path, err: &std::io::Error) -> Fault {
    let what = format!("cannot reach the relay at `{}`: {err}", socket.display());
    match err.kind() {
        ErrorKind::PermissionDenied => Fault::new(Kind::SignIn, what),
        _ => Fault::try_later(what),
    }
}

/// A session that has begun. A relay with all its places taken closes or says 421; one that is
/// being started anew refuses the connection for a moment.
fn connected(socket: &Path) -> Result<Client> {
    let end = Instant::now() + AGAIN;
    loop {
        match Client::open(socket) {
            Ok(client) => return Ok(client),
            Err(fault) if fault.kind == Kind::TryLater && Instant::now() < end => {
                std::thread::sleep(PAUSE);
            }
            Err(fault) => {
                return Err(fault.hint(SEE).into());
            }
        }
    }
}

struct Client {
    stream: BufReader<UnixStream>,
    socket: PathBuf,
    /// The message's end may have been seen.
    handed_over: bool,
}

impl Client {
    fn open(socket: &Path) -> Result<Client, Fault> {
        let connect = || -> std::io::Result<UnixStream> {
            let stream = connect_unix(socket, PATIENCE)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            Ok(stream)
        };
        let stream = connect().map_err(|e| unreached(socket, &e))?;
        let mut client = Client {
            stream: BufReader::new(stream),
            socket: socket.to_owned(),
            handed_over: false,
        };
        client.reply(220, Kind::Refused)?;
        client.ask("EHLO localhost", 250, Kind::Refused)?;
        Ok(client)
    }

    /// Says a line and reads the reply, which must have this code; `kind` is that of a refusal for
    /// good.
    fn ask(&mut self, line: &str, code: u16, kind: Kind) -> Result<String, Fault> {
        self.write(format!("{line}\r\n").as_bytes())?;
        if line == "." {
            self.handed_over = true;
            let _ = self.stream.get_ref().set_read_timeout(Some(KEEPING));
        }
        self.reply(code, kind)
    }

    /// The message, its lines ended and its dots doubled.
    fn give(&mut self, octets: &[u8]) -> Result<(), Fault> {
        smtp::stuff(octets, |piece| self.write(piece))?;
        match octets.is_empty() || octets.ends_with(b"\r\n") {
            true => Ok(()),
            false => self.write(b"\r\n"),
        }
    }

    fn write(&mut self, octets: &[u8]) -> Result<(), Fault> {
        let written = self.stream.get_mut().write_all(octets);
        match written {
            Ok(()) => Ok(()),
            // What it said before it went tells more.
            Err(e) => match self.reply(0, Kind::Refused) {
                Err(fault) if fault.server_said.is_some() => Err(fault),
                _ => Err(self.gone(&e.to_string())),
            },
        }
    }

    fn reply(&mut self, code: u16, kind: Kind) -> Result<String, Fault> {
        let mut words: Vec<String> = Vec::new();
        for _ in 0..MAX_LINES {
            let mut line = Vec::new();
            let mut limited = (&mut self.stream).take(MAX_LINE);
            let read = limited.read_until(b'\n', &mut line);
            if let Err(e) = &read {
                return Err(self.gone(&e.to_string()));
            }
            if !line.ends_with(b"\n") {
                return Err(self.gone("it closed the connection"));
            }
            let line = String::from_utf8_lossy(&line);
            let Some((found, last, text)) = smtp::Reply::split(line.trim_end()) else {
                return Err(self.gone("it does not speak SMTP"));
            };
            words.push(text.to_owned());
            if last {
                let said = words.join(" ");
                return match found == code {
                    true => Ok(said),
                    false => Err(self.refused(found, &said, kind)),
                };
            }
        }
        Err(self.gone("its reply has no end"))
    }

    fn refused(&self, code: u16, said: &str, kind: Kind) -> Fault {
        let what = format!(
            "the relay at `{}` refuses the message",
            self.socket.display()
        );
        let kind = match (code / 100, said.get(..3)) {
            (5, Some("5.7")) => Kind::Refused,
            (5, Some("5.1")) => Kind::UnknownRecipient,
            (5, _) => kind,
            _ => Kind::TryLater,
        };
        Fault::new(kind, what).said(format!("{code} {said}"))
    }

    fn gone(&self, why: &str) -> Fault {
        let socket = self.socket.display();
        match self.handed_over {
            false => Fault::try_later(format!("the relay at `{socket}` broke off: {why}")),
            true => Fault::new(
                Kind::OutcomeUnknown,
                format!("it is unknown whether the relay at `{socket}` kept the message: {why}"),
            )
            .hint("look for it as the owner of the configuration, before you send it again: queuemail outbox list"),
        }
    }
}

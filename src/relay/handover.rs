//! The other side of the relay: a message of somebody to whom the configuration is closed goes to
//! the service by its Unix socket, as any client's would. The service knows by the kernel who it is.

use crate::dialogue::{Broken, Dialogue, Dots, Reply};
use crate::fault::{Fault, Kind};
use crate::files;
use crate::mail::addresses;
use crate::mail::message::Draft;
use crate::net::{Stream, connect_unix};
use crate::send::Orders;
use anyhow::Result;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
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

const SEE: &str = "the message was not kept; see: systemctl status queuemail-relay.socket";

/// The relay of this machine.
pub struct Relay {
    socket: PathBuf,
}

impl Relay {
    /// The one at this socket, else at the usual one. The socket's folder says that there is one:
    /// while it is started again, the socket itself is not there.
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
                let what = format!("`-f {}` is not an e-mail address", text.escape_debug());
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
    let said = client.give(&octets)?;
    // The message is kept; nothing depends on how the session ends.
    let _ = client.dialogue.write(b"QUIT\r\n");
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
    let pass = move || {
        let _ = std::io::copy(&mut from, &mut their_side);
        let _ = their_side.shutdown(Shutdown::Write);
    };
    std::thread::Builder::new()
        .spawn(pass)
        .map_err(|e| unreached(&relay.socket, &e))?;
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
        ErrorKind::PermissionDenied => Fault::no_access(what),
        _ => Fault::try_later(what).by_system(err),
    }
}

/// A session that has begun. A relay with all its places taken closes or says 421; one that is
/// being started again refuses the connection for a moment.
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
    dialogue: Dialogue,
    socket: PathBuf,
    /// The message's end may have been seen.
    handed_over: bool,
}

impl Client {
    fn open(socket: &Path) -> Result<Client, Fault> {
        let stream = connect_unix(socket, PATIENCE).map_err(|e| unreached(socket, &e))?;
        let mut client = Client {
            dialogue: Dialogue::new(Stream::new(stream, PATIENCE)),
            socket: socket.to_owned(),
            handed_over: false,
        };
        client.reply(220, PATIENCE, Kind::Refused)?;
        client.ask("EHLO localhost", 250, Kind::Refused)?;
        Ok(client)
    }

    /// Says a line and reads the reply, which must have this code; `kind` is that of a refusal for
    /// good.
    fn ask(&mut self, line: &str, code: u16, kind: Kind) -> Result<String, Fault> {
        self.write(format!("{line}\r\n").as_bytes())?;
        self.reply(code, PATIENCE, kind)
    }

    /// The message, its lines ended and its dots doubled, and its end; gives what is said to it.
    fn give(&mut self, octets: &[u8]) -> Result<String, Fault> {
        let mut out = Vec::with_capacity(octets.len() + octets.len() / 64);
        let mut dots = Dots::new();
        dots.write(octets, &mut out);
        self.write(&out)?;
        self.write(dots.end())?;
        self.handed_over = true;
        self.reply(250, KEEPING, Kind::Malformed)
    }

    fn write(&mut self, octets: &[u8]) -> Result<(), Fault> {
        self.dialogue.allow(PATIENCE);
        let Err(e) = self.dialogue.write(octets) else {
            return Ok(());
        };
        // What it said before it went tells more.
        match self.reply(0, PATIENCE, Kind::Refused) {
            Err(fault) if fault.server_said.is_some() => Err(fault),
            _ => Err(self.gone(&e.to_string())),
        }
    }

    fn reply(&mut self, code: u16, wait: Duration, kind: Kind) -> Result<String, Fault> {
        let reply = self.dialogue.reply(wait, |_| {});
        let reply = reply.map_err(|broken| match broken {
            Broken::Io(e) => self.gone(&e.to_string()),
            Broken::Closed => self.gone("it closed the connection"),
            Broken::Nonsense(_) => self.gone("it does not speak SMTP"),
        })?;
        match reply.code == code {
            true => Ok(reply.said()),
            false => Err(self.refused(&reply, kind)),
        }
    }

    fn refused(&self, reply: &Reply, kind: Kind) -> Fault {
        let what = format!(
            "the relay at `{}` refuses the message",
            self.socket.display()
        );
        let status = reply.lines.first().and_then(|line| line.get(..3));
        let kind = match (reply.code / 100, status) {
            (5, Some("5.7")) => Kind::Refused,
            (5, Some("5.1")) => Kind::UnknownRecipient,
            (5, _) => kind,
            _ => Kind::TryLater,
        };
        Fault::new(kind, what).said(reply.said())
    }

    fn gone(&self, why: &str) -> Fault {
        let socket = self.socket.display();
        match self.handed_over {
            false => Fault::try_later(format!("the connection to the relay at `{socket}` broke: {why}")),
            true => Fault::new(
                Kind::OutcomeUnknown,
                format!("it is unknown whether the relay at `{socket}` kept the message: {why}"),
            )
            .hint("look for it as the owner of the configuration, before you send it again: queuemail outbox list"),
        }
    }
}
